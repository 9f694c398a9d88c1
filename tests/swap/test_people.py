"""People in a launch and its rollback, on the demonstration's production: accounts, members, what hangs on them."""

from __future__ import annotations

import operator
import os
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover import review, rollback
from cutover.database import statements as files
from cutover.database.connect import connector, opened
from cutover.database.patience import Patience
from cutover.errors import CutoverError
from cutover.records import run
from cutover.swap.execution import Observer
from cutover.swap.finish import finish
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.clean_launch_run import PASSWORD, Launch, make_template
from tests.clean_launch_world import World, at

from .dump import dumped


@pytest.fixture(scope="module")
def template(server: EmbeddedPostgres) -> Iterator[str]:
    """A production without people."""
    name = f"people_{os.getpid()}"
    make_template(server, name)
    yield name
    databases.drop(server, name)


@pytest.fixture
def launch(server: EmbeddedPostgres, template: str) -> Iterator[Launch]:
    """A production of the test's own, in which one customer has paid."""
    name = f"{template}_copy"
    databases.create(server, name, template)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("grant create on database {} to cutover").format(sql.Identifier(name)))
    with psycopg.connect(server.dsn(name)) as connection:
        world = World(connection)
        world.contact("customer@example.com", ["Affiliate"])
        invoice = world.invoice("customer@example.com")
        world.movement(payment_link_id=invoice)
        for tag in ("PaidP2P", "Canva", "Affiliate"):
            world.tag(tag)
        yield Launch(connector(server.dsn(name, "cutover", PASSWORD), "production", "test"), world)
    databases.drop(server, name)


def test_an_unproved_account_is_void_after_the_launch_and_after_its_rollback(launch: Launch) -> None:
    world = launch.world
    early = world.account("customer@example.com", email_confirmed_at=None)
    world.insert("auth.sessions", id=early, user_id=early)
    world.invoice("late@example.com")
    review = launch.review("launch1")
    assert next(w["total"] for w in review["warnings"] if w["name"] == "56_unproved_accounts") == 1
    launch.approve("launch1")
    # somebody signs up with another customer's address while the approver thinks, and is signed in at once
    late = world.account("late@example.com", email_confirmed_at=None)
    world.insert("auth.sessions", id=late, user_id=late)
    world.connection.commit()
    entry = launch.swap("launch1")
    assert entry.report["accounts_made_void"] == 2
    assert {row["id"] for row in world.rows("select id from public.unified_profiles")} == {early, late}
    void = {"password": "", "confirmed": True, "sessions": 0}
    state = (
        "select encrypted_password as password, email_confirmed_at is not null as confirmed, "
        "(select count(*) from auth.sessions as s where s.user_id = u.id) as sessions from auth.users as u"
    )
    assert world.rows(state) == [void, void]
    review = launch.preview("back1")
    assert review["stays"] == {"accounts_made_void": 2}
    launch.approve("back1", "rollback")
    rollback.run_reviewed(launch.connect, launch.migration, "back1", launch.log)
    assert world.rows(state) == [void, void]


def test_a_launch_that_lets_no_unproved_account_be_is_refused_at_the_review_and_at_the_swap(launch: Launch) -> None:
    launch.migration = launch.migration.model_copy(update={"unconfirmed": "refuse"})
    launch.review("launch1")
    launch.approve("launch1")
    stranger = launch.world.account("customer@example.com", email_confirmed_at=None)
    launch.world.connection.commit()
    with pytest.raises(CutoverError, match=r"swap\.refused-inside.*1 customers' accounts"):
        launch.swap("launch1")
    assert launch.world.row("select encrypted_password as p from auth.users where id = %s", stranger) == {"p": "secret"}
    with pytest.raises(CutoverError, match=r"review\.hindered"):
        launch.review("launch2")


def test_an_address_confirmed_by_its_owner_in_time_keeps_its_password(launch: Launch) -> None:
    owner = launch.world.account("customer@example.com", email_confirmed_at=None)
    launch.review("launch1")
    launch.approve("launch1")
    launch.world.connection.execute("update auth.users set email_confirmed_at = %s", (at("2025-06-01"),))
    launch.world.connection.commit()
    entry = launch.swap("launch1")
    assert entry.report["accounts_made_void"] == 0
    assert launch.world.row("select encrypted_password as p from auth.users where id = %s", owner) == {"p": "secret"}


# rows outside the set


def value(launch: Launch, query: str, *values: Any) -> Any:
    """The one value of a query on what is committed."""
    launch.world.connection.commit()
    (row,) = launch.world.row(query, *values).values()
    return row


def person(launch: Launch, email: str, **values: Any) -> uuid.UUID:
    """An account, with the profile that the sign-up trigger gives it."""
    return launch.world.account(email, **values)


def study(launch: Launch, enrolment: uuid.UUID) -> None:
    """Progress on an enrolment, and a quiz with answers: rows that refer to rows outside."""
    world = launch.world
    lesson = world.row("select min(id) as id from public.lessons")["id"]
    world.insert("public.lesson_progress", enrollment_id=enrolment, lesson_id=lesson, watched_seconds=7)
    quiz = world.row("insert into public.quizzes (lesson_id, title) values (%s, 'q') returning id", lesson)["id"]
    question = world.row(
        "insert into public.quiz_questions (quiz_id, position, question) values (%s, 1, 'q') returning id", quiz
    )["id"]
    attempt = world.row(
        "insert into public.quiz_attempts (quiz_id, enrollment_id) values (%s, %s) returning id", quiz, enrolment
    )["id"]
    world.insert("public.quiz_answers", attempt_id=attempt, question_id=question)


OUTSIDE = ("events", "notifications", "lesson_progress", "quiz_attempts", "quiz_answers", "course_reviews")


def outside(launch: Launch) -> dict[str, list[dict[str, Any]]]:
    """All rows of some outside tables."""
    launch.world.connection.commit()
    return {table: launch.world.rows(f"select * from public.{table} order by 1, 2") for table in OUTSIDE}


def test_members_and_all_that_hangs_on_them_stay_launch_after_launch(launch: Launch, server: EmbeddedPostgres) -> None:
    world = launch.world
    production = server.dsn(world.connection.info.dbname)
    member = person(launch, "free@example.com")
    world.insert("public.notifications", profile_id=member, title="Welcome!")
    world.insert("public.events", profile_id=member, kind="login", at=at("2025-01-01"), details={})
    enrolment = world.current("enrollments", user_id=member, product_type="webinar")
    study(launch, enrolment)
    world.connection.commit()
    before, schemas = outside(launch), [dumped(production)]
    for number in (1, 2):
        entry = launch.launch(f"launch{number}")
        assert entry.report.get("left", []) == []
        assert outside(launch) == before
        schemas.append(dumped(production))
        # they go on clicking
        world.insert("public.events", profile_id=member, kind=f"click {number}", at=at("2025-02-01"), details={})
        before = outside(launch)
    assert value(launch, "select count(*) from public.unified_profiles") == 2
    # the first launch brings the table of leads, and takes nothing away
    assert schemas[0] - schemas[1] == set()
    assert schemas[1] ^ schemas[2] == set()
    launch.roll_back("back1")
    assert schemas[1] ^ dumped(production) == set()


def test_progress_of_a_customer_in_a_product_outside_the_catalogue_stays_and_a_rollback_changes_nothing_of_it(
    launch: Launch,
) -> None:
    customer = person(launch, "customer@example.com")
    enrolment = launch.world.current("enrollments", user_id=customer, product_type="webinar")
    study(launch, enrolment)
    launch.world.connection.commit()
    before = outside(launch)
    review = launch.review("launch1")
    assert review["leaving"] == []
    [row] = [one for one in review["warnings"] if one["name"] == "78_enrolments_kept"]
    assert row["total"] == 1
    launch.approve("launch1")
    assert launch.swap("launch1").report.get("left", []) == []
    assert outside(launch) == before
    enrolled = launch.world.row("select user_id, product_type from public.enrollments where id = %s", enrolment)
    assert enrolled == {"user_id": customer, "product_type": "webinar"}
    launch.roll_back("back1")
    assert outside(launch) == before


def test_rows_of_what_leaves_follow_their_keys_and_a_rollback_brings_every_one_back(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    member = person(launch, "free@example.com")
    for account in (tester, member):
        world.insert("public.events", profile_id=account, kind="login", at=at("2025-01-01"), details={"a": 1})
        world.insert("public.notifications", profile_id=account, title='it\'s, "quoted" \\ {x}\n')
        course = world.row("select min(id::text) as id from public.courses")["id"]
        world.insert("public.course_reviews", course_id=course, profile_id=account, stars=5)
        study(launch, world.current("enrollments", user_id=account, product_type="webinar"))
    world.connection.commit()
    before = outside(launch)
    review = launch.review("launch1")
    foreseen = {one["key_name"].split(":")[0]: (one["operation"], one["rows"]) for one in review["leaving"]}
    assert foreseen["public.events"] == ("delete", 1)
    assert foreseen["public.quiz_answers"] == ("delete", 1), "what hangs on what goes, goes too"
    assert foreseen["public.course_reviews"] == ("set null", 1)
    launch.approve("launch1")
    entry = launch.swap("launch1")
    by_key = operator.itemgetter("key_name", "operation")
    assert sorted(entry.report["left"], key=by_key) == sorted(review["leaving"], key=by_key)
    left = outside(launch)
    assert {table: len(rows) for table, rows in left.items()} == dict.fromkeys(OUTSIDE, 1) | {"course_reviews": 2}
    assert {row["profile_id"] for row in left["course_reviews"]} == {member, None}
    review = launch.preview("back1")
    assert review["waiting"] == sum(one["rows"] for one in entry.report["left"])
    launch.approve("back1", "rollback")
    rollback.run_reviewed(launch.connect, launch.migration, "back1", launch.log)
    assert outside(launch) == before
    # and the rollback's rollback takes them out again
    launch.roll_back("back2")
    assert outside(launch)["events"] == left["events"]
    launch.roll_back("back3")
    assert outside(launch)["events"] == before["events"]


def test_a_rollback_after_use_sets_aside_what_customers_did_and_its_own_rollback_puts_it_back(launch: Launch) -> None:
    world = launch.world
    launch.launch("launch1")
    enrolment = value(launch, "select id from public.enrollments")
    study(launch, enrolment)
    # a key that says RESTRICT is no reason to keep a broken launch
    world.insert("public.certificates", enrollment_id=enrolment, serial_no="C-1", issued_at=at("2025-01-01"))
    customer = value(launch, "select id from public.unified_profiles")
    world.insert("public.events", profile_id=customer, kind="login", at=at("2025-01-01"), details={})
    world.connection.commit()
    used = outside(launch)
    foreseen = launch.preview("back1")
    names = {one["key_name"].split(":")[0] for one in foreseen["leaving"]}
    assert {"public.lesson_progress", "public.certificates", "public.quiz_answers"} <= names
    assert "public.events" not in names, "the sign-up trigger gave the customer a profile that comes back, too"
    launch.approve("back1", "rollback")
    rollback.run_reviewed(launch.connect, launch.migration, "back1", launch.log)
    assert {table: len(rows) for table, rows in outside(launch).items() if rows} == {"events": 1}
    launch.roll_back("back2")
    assert outside(launch) == used
    assert value(launch, "select count(*) from public.certificates") == 1


def test_the_next_launch_puts_back_what_an_earlier_rollback_set_aside(launch: Launch) -> None:
    launch.launch("launch1")
    study(launch, value(launch, "select id from public.enrollments"))
    launch.world.connection.commit()
    used = outside(launch)
    launch.roll_back("back1")
    launch.launch("launch2")
    assert outside(launch) == used
    assert value(launch, "select count(*) from cutover.set_aside where put_back_by is null") == 0


def test_rows_that_must_not_lose_what_they_refer_to_refuse_with_ids_alone(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com", raw_user_meta_data={"first_name": "Secret"})
    enrolment = world.current("enrollments", user_id=tester, product_type="webinar")
    world.insert("public.certificates", enrollment_id=enrolment, serial_no="C-SECRET", issued_at=at("2025-01-01"))
    with pytest.raises(CutoverError, match=r"swap\.orphans.*1 rows of public\.certificates") as refused:
        launch.review("launch1")
    assert "SECRET" not in str(refused.value)
    key = next(iter(str(refused.value).split("]")[1].split(": ")[0].split()))
    launch.migration = launch.migration.model_copy(update={"leaving": {key: "cascade"}})
    launch.launch("launch2")
    assert value(launch, "select count(*) from public.certificates") == 0
    launch.roll_back("back1")
    assert value(launch, "select serial_no from public.certificates") == "C-SECRET"


def test_what_is_written_between_the_review_and_the_lock_is_judged_too(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    launch.review("launch1")
    launch.approve("launch1")
    world.insert("public.events", profile_id=tester, kind="login", at=at("2025-01-01"), details={})
    world.connection.commit()
    entry = launch.swap("launch1")
    assert [one["rows"] for one in entry.report["left"]] == [1]
    assert value(launch, "select count(*) from public.events") == 0


def test_no_code_of_the_application_runs_when_rows_go_and_come(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    world.insert("public.events", profile_id=tester, kind="login", at=at("2025-01-01"), details={})
    world.connection.execute(
        "create table public.seen (by text); grant all on public.seen to public; "
        "create function public.spy() returns trigger language plpgsql as "
        "$$ begin insert into public.seen values (current_user); return coalesce(new, old); end $$; "
        "create trigger spy before insert or delete on public.events for each row execute function public.spy(); "
        "alter table public.events enable always trigger spy"
    )
    launch.launch("launch1")
    launch.roll_back("back1")
    assert value(launch, "select count(*) from public.events") == 1
    assert value(launch, "select count(*) from public.seen") == 0
    assert (
        value(launch, "select tgenabled from pg_trigger where tgname = 'spy' and tgrelid = 'public.events'::regclass")
        == "A"
    )


def test_what_hangs_on_a_customers_second_account_goes_to_the_chosen_one(launch: Launch) -> None:
    world = launch.world
    chosen = person(launch, "customer@example.com")
    second = person(launch, "Customer@example.com", created_at=at("2025-01-01"))
    for account in (chosen, second):
        study(launch, world.current("enrollments", user_id=account, product_type="p2p_course"))
        world.insert("public.notification_preferences", profile_id=account, by_push=account == chosen)
    world.insert("public.notifications", profile_id=second, title="Welcome!")
    course = world.row("select min(id::text) as id from public.courses")["id"]
    world.insert("public.course_reviews", course_id=course, profile_id=second, stars=5)
    world.connection.commit()
    before = outside(launch)
    review = launch.review("launch1")
    fates = {(one["key_name"].split(":")[0], one["operation"]): one["rows"] for one in review["leaving"]}
    assert fates["public.notifications", "move"] == fates["public.course_reviews", "move"] == 1
    # there is one already: two would break a unique key
    assert fates["public.notification_preferences", "delete"] == 1
    assert fates["public.lesson_progress", "delete"] == fates["public.quiz_attempts", "move"] == 1
    launch.approve("launch1")
    launch.swap("launch1")
    assert value(launch, "select profile_id from public.notifications") == chosen
    assert value(launch, "select profile_id from public.course_reviews") == chosen
    assert value(launch, "select by_push from public.notification_preferences") is True
    assert value(launch, "select count(distinct enrollment_id) from public.quiz_attempts") == 1
    launch.roll_back("back1")
    assert outside(launch) == before
    assert value(launch, "select count(*) from public.notification_preferences") == 2


# accounts that a launch made


def accounts(launch: Launch) -> set[str]:
    """The addresses of all accounts."""
    launch.world.connection.commit()
    return {row["email"] for row in launch.world.rows("select email from auth.users")}


def test_a_rollback_takes_back_the_accounts_that_nobody_has_used_and_its_own_rollback_makes_them_again(
    launch: Launch,
) -> None:
    world = launch.world
    for name in ("signed-in", "noted", "linked", "unused"):
        world.invoice(f"{name}@example.com")
    person(launch, "known@example.com")
    world.invoice("known@example.com")
    world.connection.commit()
    before = launch.world.rows("select * from public.unified_profiles order by id")
    launch.launch("launch1")
    ids = {row["email"].split("@")[0]: row["id"] for row in world.rows("select id, email from auth.users")}
    world.connection.execute("update auth.users set last_sign_in_at = now() where id = %s", (ids["signed-in"],))
    world.insert("public.events", profile_id=ids["noted"], kind="login", at=at("2025-01-01"), details={})
    world.insert(
        "auth.identities", id=uuid.uuid4(), provider_id="g", user_id=ids["linked"], provider="google", identity_data={}
    )
    world.connection.commit()
    everybody = accounts(launch)
    foreseen = launch.preview("back1")
    # customer@example.com and unused@example.com
    assert foreseen["accounts"] == {"accounts_made": 5, "accounts_unused": 2}
    counted = {t["name"]: (t["before"], t["now"], t["after"]) for t in foreseen["tables"]}
    assert counted["transactions"] == (0, 6, 0)
    # one profile was there, the sign-up trigger gave five, and leads had no predecessor
    assert counted["unified_profiles"] == (1, 6, 6) and counted["leads"] == (None, 1, None)
    form = rollback.markdown(foreseen)
    assert "| unified_profiles | 1 | 6 | 6 |" in form and "Of **5** accounts that the launch made, **2**" in form
    launch.approve("back1", "rollback")
    entry = rollback.run_reviewed(launch.connect, launch.migration, "back1", launch.log)
    taken_back = "clean_launch/swap/finish_accounts.sql: accounts_taken_back 2"
    for _ in range(2):
        certificate = world.row("select done from cutover.certificate where run = 'back1'")
        assert taken_back in certificate["done"]
        # a second try of what comes after the lock finds none, and says the same
        with launch.connect() as connection:
            connection.autocommit = True
            finish(connection, entry, launch.log)
    assert accounts(launch) == everybody - {"customer@example.com", "unused@example.com"}
    profiles = world.rows("select * from public.unified_profiles order by id")
    assert [row for row in profiles if row["email"] == "known@example.com"] == before
    assert {row["email"].split("@")[0] for row in profiles} == {"known", "signed-in", "noted", "linked"}
    # what the launch had put in place is whole in the rollback's backup
    assert value(launch, "select count(*) from backup_back1.unified_profiles") == 6
    launch.roll_back("back2")
    assert accounts(launch) == everybody
    assert {row["email"]: row["id"] for row in world.rows("select id, email from auth.users")} == {
        f"{name}@example.com": number for name, number in ids.items()
    }
    assert value(launch, "select count(*) from public.unified_profiles") == 6
    launch.roll_back("back3")
    assert accounts(launch) == everybody - {"customer@example.com", "unused@example.com"}
    launch.launch("launch2")
    assert accounts(launch) == everybody


# while the question waits


def in_the_way(launch: Launch) -> list[str]:
    """The codes of what would stop the swap, found by reading alone."""
    launch.world.connection.commit()
    with opened(launch.connect) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select set_config('row_security', 'off', true), set_config('search_path', '', true)")
        reasons = review.in_the_way(connection, launch.migration, run.get(connection, "launch1"))
    return [f"{reason.code} {reason.obj}" for reason in reasons]


def test_what_would_stop_the_swap_is_told_while_the_question_waits_and_that_it_has_gone_again(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    launch.migration = launch.migration.model_copy(update={"unconfirmed": "refuse"})
    left_out = world.current("transactions", user_id=tester, amount=1, status="paid", transaction_type="test")
    launch.review("launch1")
    assert in_the_way(launch) == []
    # what is written meanwhile, and refers to what is written meanwhile, is nothing to speak of
    member = person(launch, "late@example.com")
    world.insert("public.notifications", profile_id=member, title="Welcome!")
    sale = world.current("transactions", user_id=member, amount=1, status="pending")
    world.insert("public.refunds", transaction_id=sale, amount=1)
    world.connection.execute("update public.unified_profiles set phone = '1' where id = %s", (member,))
    assert in_the_way(launch) == []
    # a row that its key holds to one that goes
    world.insert("public.refunds", transaction_id=left_out, amount=1)
    assert in_the_way(launch) == ["swap.orphans public.refunds:refunds_transaction_id_fkey"]
    with pytest.raises(CutoverError, match=r"swap\.orphans"):
        launch.approve("launch1")
        launch.swap("launch1")
    world.connection.execute("delete from public.refunds where transaction_id = %s", (left_out,))
    assert in_the_way(launch) == []
    # a stranger signs up with a customer's address, and its owner confirms it
    world.account("customer@example.com", email_confirmed_at=None)
    assert [each.split()[0] for each in in_the_way(launch)] == ["review.hindered"]
    world.connection.execute("update auth.users set email_confirmed_at = now()")
    assert in_the_way(launch) == []
    launch.swap("launch1")


def test_what_incoming_rows_refer_to_and_is_deleted_meanwhile_is_told_unless_carrying_mends_it(launch: Launch) -> None:
    world = launch.world
    member = person(launch, "member@example.com")
    lost = world.row(
        "insert into public.courses (slug, title, product_type, price) values ('w', 'Webinar', 'webinar', 0) "
        "returning id"
    )["id"]
    world.current("enrollments", user_id=member, product_type="webinar", course_id=lost)
    launch.review("launch1")
    # the enrolment that is there loses its course as the application has it, and so does the staged one
    world.connection.execute("delete from public.courses where id = %s", (lost,))
    assert in_the_way(launch) == []
    # the one that the launch brings would refer to nothing
    world.connection.execute("delete from public.courses where product_type = 'p2p_course'")
    assert [each.split()[0] for each in in_the_way(launch)] == ["swap.orphans"]


def test_writes_beyond_the_limit_and_past_the_capture_are_told_and_so_is_what_was_changed(launch: Launch) -> None:
    world = launch.world
    member = person(launch, "member@example.com")
    launch.review("launch1")
    world.connection.execute('update cutover.run set parameters = \'{"on_drift": "refuse"}\'')
    changed = in_the_way(launch)
    assert changed == ["swap.not-approved run launch1"]
    world.connection.execute("update public.unified_profiles set phone = '1' where id = %s", (member,))
    assert [each.split()[0] for each in in_the_way(launch)] == ["swap.drift", "swap.not-approved"]
    world.connection.execute("alter table public.unified_profiles disable trigger cutover_capture")
    assert [each.split()[0] for each in in_the_way(launch)] == ["swap.drift", "swap.capture-gap", "swap.not-approved"]


# at the last moment


class Intruder(Observer):
    """Leaves rows behind as somebody's transaction does that commits between the last look and the locks."""

    def __init__(self, launch: Launch, *statements: str) -> None:
        self.launch = launch
        self.statements = statements

    def at(self, moment: str) -> None:
        """When the new tables are in place and their keys are not yet validated."""
        if moment != "committed":
            return
        connection = self.launch.world.connection
        connection.execute("set session_replication_role = replica")
        for statement in self.statements:
            connection.execute(statement.encode())
        connection.execute("set session_replication_role = origin")
        connection.commit()


def test_rows_of_the_last_moment_follow_like_the_others_and_come_back_with_the_rollback(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    world.insert("public.notifications", profile_id=tester, title="early")
    launch.review("launch1")
    launch.approve("launch1")
    intruder = Intruder(
        launch,
        f"insert into public.notifications (profile_id, title) values ('{tester}', 'late')",
        f"insert into public.course_reviews (course_id, profile_id, stars) "
        f"select id, '{tester}', 5 from public.courses limit 1",
    )
    world.connection.commit()
    with opened(launch.connect) as connection:
        order = review.order(launch.migration, run.get(connection, "launch1"))
    entry = swap(launch.connect, order, launch.log, intruder)
    assert any("notifications" in line and "last moment" in line for line in launch.messages)
    assert value(launch, "select count(*) from public.notifications") == 0
    assert value(launch, "select count(*) from public.course_reviews where profile_id is null") == 1
    query = "select operation, count(*) from cutover.set_aside where run = %s group by 1 order by 1"
    assert world.rows(query, entry.run) == [
        {"operation": "delete", "count": 2},
        {"operation": "set null", "count": 1},
    ]
    left = value(launch, "select count(*) from pg_constraint where contype = 'f' and not convalidated")
    assert left == 0
    launch.roll_back("back1")
    assert value(launch, "select count(*) from public.notifications") == 2
    assert value(launch, "select count(*) from public.course_reviews where profile_id is not null") == 1


def test_a_row_of_the_last_moment_that_nothing_may_happen_to_is_told_with_its_key(launch: Launch) -> None:
    world = launch.world
    tester = person(launch, "qa.1@learn.example.com")
    left_out = world.current("transactions", user_id=tester, amount=1, status="paid", transaction_type="test")
    launch.review("launch1")
    launch.approve("launch1")
    intruder = Intruder(launch, f"insert into public.refunds (transaction_id, amount) values ('{left_out}', 1)")
    with opened(launch.connect) as connection:
        order = review.order(launch.migration, run.get(connection, "launch1"))
    with pytest.raises(CutoverError, match=r"verify\.orphans\] public\.refunds:refunds_transaction_id_fkey"):
        swap(launch.connect, order, launch.log, intruder)


def test_a_product_whose_course_was_deleted_is_found_before_anything_by_its_name(launch: Launch) -> None:
    world = launch.world
    launch.begin("launch1")
    world.connection.execute(
        "insert into cutover.product (product_type, priority, description_pattern, tag, course_id) "
        "values ('coaching', 30, '%coaching%', 'Coached', gen_random_uuid())"
    )
    world.connection.execute("delete from public.courses where product_type = 'p2p_course'")
    with pytest.raises(CutoverError) as refused:
        launch.begin("launch2")
    for product in ("coaching", "p2p_course"):
        assert f"[preflight.course-missing] product {product}" in str(refused.value)
    world.connection.execute("update cutover.product set course_id = null where product_type <> 'canva_ebook'")
    launch.begin("launch3")


@pytest.mark.parametrize(
    ("statements", "obj"),
    [
        (
            "alter table raw.systemeio_tags rename to kept; "
            "create view raw.systemeio_tags as select * from raw.kept where public.somebodys(id)",
            "raw.systemeio_tags",
        ),
        (
            "alter table raw.xendit_invoices enable row level security; "
            "create policy p on raw.xendit_invoices using (public.somebodys(1))",
            "raw.xendit_invoices",
        ),
    ],
)
def test_whoever_fills_raw_runs_nothing_as_the_engine_that_freezes_it(
    launch: Launch, statements: str, obj: str
) -> None:
    """Its role owns what it made there, and may put on it, or in its place, what it likes."""
    admin = launch.world.connection
    admin.execute(
        "create function public.somebodys(bigint) returns boolean language plpgsql as "
        "$$ begin raise exception 'ran as %', current_user; end $$"
    )
    admin.execute("alter function public.somebodys(bigint) owner to app_owner")
    for statement in statements.split("; "):
        admin.execute(statement.encode())
    with pytest.raises(CutoverError) as raised:
        launch.stage("r1")
    assert (raised.value.code, raised.value.obj) == ("extract.foreign-code", obj)


def test_a_view_in_the_place_of_an_application_s_table_is_not_read_as_the_engine(launch: Launch) -> None:
    """The affiliates' table is the set's, and refused as a view; any other that a freeze names must be a table, too."""
    with opened(launch.connect) as connection:
        connection.execute(files.text("freeze/no_views.sql").encode())
        connection.execute("select count(*) from public.affiliates")
        launch.world.connection.execute("create view public.somebodys as select 1 as n")
        launch.world.connection.execute("grant select on public.somebodys to cutover")
        launch.world.connection.commit()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="non-system view"):
            connection.execute("select * from public.somebodys")


def test_a_profile_that_takes_a_new_customers_address_is_told_before_the_swap_stops_on_it(launch: Launch) -> None:
    world = launch.world
    world.invoice("late@example.com")
    member = person(launch, "free@example.com")
    launch.review("launch1")
    launch.approve("launch1")
    assert in_the_way(launch) == []
    # a profile is its owner's to edit, and the sign-up trigger makes one for each new account
    world.connection.execute("update public.unified_profiles set email = 'late@example.com' where id = %s", [member])
    world.connection.commit()
    assert in_the_way(launch) == ["review.hindered 1 rows of clean_launch/review/hindrances/new_accounts.sql"]
    with pytest.raises(CutoverError, match=r"swap\.locked-out.*\(Key \(email\)=\(l•••@e•••\) already exists") as raised:
        launch.swap("launch1", patience=Patience(attempts=2, first_pause_s=0))
    assert "late@" not in str(raised.value) + "\n".join(launch.messages)
    # whoever signs up with the address is no new customer any more, and is in nobody's way
    world.connection.execute("update public.unified_profiles set email = 'free@example.com' where id = %s", [member])
    own = person(launch, "Late@example.com")
    world.connection.commit()
    assert in_the_way(launch) == []
    launch.swap("launch1")
    assert value(launch, "select id from public.unified_profiles where email = 'late@example.com'") == own
