"""People's rows as they were before the launch: all of theirs and nobody else's, or nothing."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover import erase, restore, review, rollback
from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.records import audit, run, signing
from cutover.swap.transaction import swap
from tests.clean_launch_launched import MIGRATION, Launched
from tests.restore.conftest import TABLES, account_of, rows_of

ANA = "ana@example.com"


def preview(world: Launched, *people: str) -> restore.Preview:
    return restore.preview(world.connect(), MIGRATION, list(people), world.said.append)


def restore_now(world: Launched, *people: str) -> dict[str, Any]:
    """As the command does it."""
    foreseen = preview(world, *people)
    restore.require_possible(foreseen.refusals, 0)
    with opened(world.connect()) as connection:
        number = restore.ask(connection, MIGRATION, list(people), "operator")
    return restore.restore(
        world.connect(), MIGRATION, number, by="operator", fingerprint=foreseen.fingerprint, log=world.said.append
    )


def everything(world: Launched) -> dict[str, list[Any]]:
    """Every row of production."""
    tables = [f"public.{table}" for table in (*TABLES, "leads", "badges")]
    return {
        t: [row["image"] for row in world.rows(f"select t::text as image from {t} as t order by 1")] for t in tables
    }


def of_ana(world: Launched, schema: str = "public") -> dict[str, list[Any]]:
    return rows_of(world, schema, [account_of(world, "Ana@example.com")], [ANA])


def theirs(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {table: rows for table, rows in rows.items() if "others" not in table}


def others(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {table: rows for table, rows in rows.items() if "others" in table}


def test_a_persons_rows_are_as_they_were_and_nobody_elses_have_changed(world: Launched) -> None:
    before = of_ana(world)
    was = of_ana(world, "backup_r1")
    assert theirs(before) != theirs(was)
    done = restore_now(world, ANA)
    after = of_ana(world)
    assert theirs(after) == theirs(was)
    assert others(after) == others(before)
    assert done["certificate"]["different"] == 0 and done["certificate"]["compared"] == sum(
        map(len, theirs(was).values())
    )
    # in the same place: a key from outside has not seen it go
    assert not world.rows(
        "select * from pg_trigger where tgenabled = 'D' and not tgisinternal and tgname !~ '^cutover'"
    )


def test_what_was_written_since_is_shown_and_kept(world: Launched) -> None:
    account = account_of(world, "Ana@example.com")
    world.connection.execute("update public.unified_profiles set phone = 'hers' where id = %s", (account,))
    world.connection.execute(
        "insert into public.enrollments (id, user_id, product_type) values (gen_random_uuid(), %s, 'new')", (account,)
    )
    world.connection.execute(
        "delete from public.enrollments where user_id = %s and product_type = 'canva_ebook'", (account,)
    )
    foreseen = preview(world, ANA)
    assert foreseen.counts["public.unified_profiles"]["lost"] == 1
    assert foreseen.counts["public.enrollments"] | {"same": 0, "go": 0} == {
        "change": 0, "come": 1, "go": 0, "same": 0, "lost": 1, "deleted_since": 1, "lost_columns": []
    }  # fmt: skip
    match = "\n".join(restore.lines(foreseen))
    assert "public.unified_profiles: 1 of them were written since the launch" in match
    assert "public.enrollments: 1 that come were deleted since the launch by somebody." in match
    assert "public.leads had no predecessor, and stays as it is." in match
    assert "ana" not in match.lower()
    restore_now(world, ANA)
    stored = world.rows("select * from cutover.restored_row where written_since order by table_name, operation")
    assert [(row["table_name"], row["operation"]) for row in stored] == [
        ("enrollments", "come"), ("enrollments", "go"), ("unified_profiles", "change"),
    ]  # fmt: skip
    assert stored[2]["row_before"]["phone"] == "hers" and stored[1]["row_before"]["product_type"] == "new"


def test_once_more_changes_nothing(world: Launched) -> None:
    restore_now(world, ANA)
    before = everything(world)
    foreseen = preview(world, ANA)
    assert foreseen.rows == 0 and "Every row is as it was already." in restore.lines(foreseen)
    restore_now(world, ANA)
    assert everything(world) == before
    assert world.value("select count(*) from cutover.restored_row where restoration_id = 2") == 0


def test_both_accounts_of_one_address_are_one_person(world: Launched) -> None:
    accounts = [account_of(world, spelled) for spelled in ("duo@example.com", "Duo@Example.com")]
    before = rows_of(world, "public", accounts, ["duo@example.com"])
    was = rows_of(world, "backup_r1", accounts, ["duo@example.com"])
    assert theirs(before) != theirs(was)
    # by the id of one of them
    restore_now(world, str(accounts[0]).upper())
    after = rows_of(world, "public", accounts, ["duo@example.com"])
    assert theirs(after) == theirs(was) and others(after) == others(before)


def test_who_was_left_out_comes_back(world: Launched) -> None:
    address = "qa.1@learn.example.com"
    assert address not in world.people()
    assert preview(world, address).counts["public.unified_profiles"]["come"] == 1
    restore_now(world, address)
    assert address in world.people()


def test_who_was_not_there_before_is_refused_by_line_and_no_writer_waits_for_that(
    world: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(world)
    monkeypatch.setattr(restore.writing, "lock", lambda *_: pytest.fail("writers wait"))
    with pytest.raises(CutoverError, match=r"\[restore.nobody-there\] line 3") as refused:
        preview(world, ANA, "cleo@example.com")
    assert "cleo" not in str(refused.value)
    with pytest.raises(CutoverError, match=r"\[restore.nobody-there\] lines 2, 3"):
        preview(world, "stranger@example.com", "cleo@example.com")
    assert everything(world) == before


def test_a_row_of_somebody_else_that_needs_one_of_theirs_is_named(world: Launched) -> None:
    account = account_of(world, "Ana@example.com")
    enrolment = world.value(
        "insert into public.enrollments (id, user_id, product_type) values (gen_random_uuid(), %s, 'new') returning id",
        account,
    )
    world.connection.execute("insert into public.badges values (7, null, %s)", (enrolment,))
    before = everything(world)
    foreseen = preview(world, ANA)
    (refusal,) = foreseen.refusals
    assert refusal.table == "public.enrollments" and refusal.key == str(enrolment)
    assert "(7 of public.badges)" in refusal.why and "badges_enrolment_fkey" in refusal.why
    with pytest.raises(CutoverError, match=r"\[restore.refused\]"):
        restore_now(world, ANA)
    assert everything(world) == before
    world.connection.execute("delete from public.badges")
    restore_now(world, ANA)


def test_a_place_that_is_taken_by_now_is_named(world: Launched) -> None:
    account, ben = account_of(world, "Ana@example.com"), account_of(world, "ben@example.com")
    number = world.value("select receipt_no from backup_r1.transactions where user_id = %s", account)
    # what her payment was numbered by before, his is by now
    world.connection.execute("update public.transactions set receipt_no = 500 where receipt_no = %s", (number,))
    world.connection.execute(
        "insert into public.transactions (id, user_id, receipt_no, amount, status) "
        "values (gen_random_uuid(), %s, %s, 1, 'x')", (ben, number),
    )  # fmt: skip
    before = everything(world)
    (refusal,) = preview(world, ANA).refusals
    assert refusal.table == "public.transactions" and "transactions_receipt_no_key" in refusal.why
    with pytest.raises(CutoverError, match=r"\[restore.refused\]"):
        restore_now(world, ANA)
    assert everything(world) == before


def test_a_row_that_is_somebody_elses_by_now_is_named(world: Launched) -> None:
    account, ben = account_of(world, "Ana@example.com"), account_of(world, "ben@example.com")
    world.connection.execute(
        "update public.enrollments set user_id = %s, product_type = 'gift' where user_id = %s "
        "and product_type = 'canva_ebook'", (ben, account),
    )  # fmt: skip
    (refusal,) = preview(world, ANA).refusals
    assert refusal.table == "public.enrollments" and "by now it is somebody else's row" in refusal.why
    # both together know whose it was
    restore_now(world, ANA, "ben@example.com")
    assert theirs(of_ana(world)) == theirs(of_ana(world, "backup_r1"))


def test_another_preview_than_what_is_there_is_not_done(world: Launched) -> None:
    foreseen = preview(world, ANA)
    with opened(world.connect()) as connection:
        number = restore.ask(connection, MIGRATION, [ANA], "operator")
    world.connection.execute("update public.unified_profiles set phone = '999' where lower(email) = %s", (ANA,))
    before = everything(world)
    with pytest.raises(CutoverError, match=r"\[restore.changed\]"):
        restore.restore(world.connect(), MIGRATION, number, by="operator", fingerprint=foreseen.fingerprint, log=print)
    assert everything(world) == before


def ask(world: Launched, this_run: str, *people: str) -> int:
    """A run of the DAG up to its question."""
    world.begin(this_run, "restore_people")
    with opened(world.connect()) as connection:
        number = restore.ask(connection, MIGRATION, list(people), "operator")
    restore.review(world.connect(), MIGRATION, this_run, number, world.said.append)
    return number


def test_a_run_restores_whom_it_was_asked_for_after_an_approval(world: Launched) -> None:
    number = ask(world, "s1", ANA)
    with opened(world.connect()) as connection:
        row = run.get(connection, "s1")
        assert row.review is not None and row.fingerprint == restore.fingerprint_of(connection, MIGRATION, row)
    form = restore.markdown(row.review)
    assert "public.unified_profiles: 1 change" in form and "ana@" not in form + str(row) + " ".join(world.said)
    before = everything(world)
    with pytest.raises(CutoverError, match=r"\[swap.not-approved\]"):
        restore.restore_reviewed(world.connect(), MIGRATION, "s1", world.said.append)
    assert everything(world) == before
    world.approve("s1", restore.ACTION)
    done = restore.restore_reviewed(world.connect(), MIGRATION, "s1", world.said.append)
    assert theirs(of_ana(world)) == theirs(of_ana(world, "backup_r1"))
    record = world.row("select * from cutover.restoration")
    assert (record["subject"], record["run"], record["approved_by"]) == (None, "s1", "reviewer")
    assert record["restoration_id"] == number and record["fingerprint"] == row.fingerprint
    # a worker that was killed after the commit: the task says what was done, and does nothing
    after = everything(world)
    assert restore.restore_reviewed(world.connect(), MIGRATION, "s1", world.said.append)["counts"] == done["counts"]
    assert everything(world) == after
    with opened(world.connect()) as connection:
        audit.require_whole(audit.look(connection, signing.keys()), "production")
        assert connection.execute("select payload from cutover.chain where kind = 'restoration'").fetchone()
        assert ANA not in str(connection.execute("select payload from cutover.chain").fetchall())


def test_what_was_approved_is_void_once_somebody_has_written(world: Launched) -> None:
    ask(world, "s1", ANA)
    world.approve("s1", restore.ACTION)
    world.connection.execute("update public.unified_profiles set phone = '999' where lower(email) = %s", (ANA,))
    before = everything(world)
    with pytest.raises(CutoverError, match=r"\[swap.not-approved\].*people's rows were written since"):
        restore.restore_reviewed(world.connect(), MIGRATION, "s1", world.said.append)
    assert everything(world) == before


def test_nobody_approves_what_they_have_asked_for(world: Launched) -> None:
    ask(world, "s1", ANA)
    world.connection.execute("update cutover.restoration set requested_by = 'reviewer'")
    world.approve("s1", restore.ACTION)
    with pytest.raises(CutoverError, match=r"\[restore.own-request\]"):
        restore.restore_reviewed(world.connect(), MIGRATION, "s1", world.said.append)
    assert theirs(of_ana(world)) != theirs(of_ana(world, "backup_r1"))


def test_of_two_requests_for_one_person_the_second_has_nothing_left_to_do(world: Launched) -> None:
    for this_run in ("s1", "s2"):
        ask(world, this_run, ANA)
        world.approve(this_run, restore.ACTION)
    outcomes: dict[str, Any] = {}

    def go(this_run: str) -> None:
        try:
            outcomes[this_run] = restore.restore_reviewed(world.connect(), MIGRATION, this_run, world.said.append)
        except CutoverError as error:
            outcomes[this_run] = error

    both = [threading.Thread(target=go, args=(name,)) for name in ("s1", "s2")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    refused = [outcome for outcome in outcomes.values() if isinstance(outcome, CutoverError)]
    assert [error.code for error in refused] in (["swap.not-approved"], ["swap.another-run"])
    assert theirs(of_ana(world)) == theirs(of_ana(world, "backup_r1"))
    assert world.value("select count(*) from cutover.restoration where restored_at is not null") == 1


@pytest.mark.parametrize("breaking", ["keep", "write", "_certify"])
def test_killed_in_the_middle_nothing_has_happened(
    world: Launched, monkeypatch: pytest.MonkeyPatch, breaking: str
) -> None:
    """The server ends the session when it has come so far."""
    foreseen = preview(world, ANA)
    with opened(world.connect()) as connection:
        number = restore.ask(connection, MIGRATION, [ANA], "operator")
    before = everything(world)
    place = restore if breaking == "_certify" else restore.writing
    done = getattr(place, breaking)

    def kill_after(connection: psycopg.Connection, *rest: Any) -> Any:
        answer = done(connection, *rest)
        world.connection.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(place, breaking, kill_after)
        with pytest.raises(psycopg.OperationalError):
            restore.restore(world.connect(), MIGRATION, number, by="x", fingerprint=foreseen.fingerprint, log=print)
    assert everything(world) == before
    assert world.value("select count(*) from cutover.restored_row") == 0
    restore.restore(world.connect(), MIGRATION, number, by="x", fingerprint=foreseen.fingerprint, log=print)
    assert theirs(of_ana(world)) == theirs(of_ana(world, "backup_r1"))


def test_a_launch_that_waits_carries_what_was_restored(world: Launched) -> None:
    world.stage("r2")
    world.approve("r2", "swap")
    assert preview(world, ANA).runs == ["r2"]
    world.connection.execute(
        "update public.unified_profiles set acquisition_source = 'hers' where lower(email) = %s", (ANA,)
    )
    restore_now(world, ANA)
    restored = world.row("select * from public.unified_profiles where lower(email) = %s", ANA)
    with opened(world.connect()) as connection:
        row = run.get(connection, "r2")
    # what was approved of it holds
    entry = swap(world.connect(), review.order(MIGRATION, row), world.said.append)
    now = world.row("select * from public.unified_profiles where lower(email) = %s", ANA)
    # every column that restoring has changed is carried; the others are as they were staged
    for column in ("first_name", "phone", "acquisition_source"):
        assert now[column] == restored[column], column
    assert sum(count["quarantined"] for count in entry.carried) == 0


def test_a_rollback_after_it_comes_to_the_same(world: Launched) -> None:
    was = {table: world.rows(f"select * from backup_r1.{table} order by id") for table in TABLES}
    restore_now(world, ANA, "qa.1@learn.example.com")
    world.begin("b1", "clean_launch_rollback")
    review = rollback.review(world.connect(), MIGRATION, "b1", world.said.append)
    # what is in the backup as it was put back needs no carrying, and is no write that cannot be
    assert review["quarantined"] == []
    world.approve("b1", "rollback")
    rollback.run_reviewed(world.connect(), MIGRATION, "b1", world.said.append)
    assert {table: world.rows(f"select * from public.{table} order by id") for table in TABLES} == was
    # and there is nothing before it any more
    with pytest.raises(CutoverError, match=r"\[rollback.nothing-to-undo\]"):
        preview(world, ANA)


def test_a_writer_is_waited_for_and_waits(world: Launched) -> None:
    """Bounded: whoever has the row ends, and the restoration goes through."""
    with psycopg.connect(world.dsn) as writer:
        writer.execute("update public.unified_profiles set phone = '5' where lower(email) = %s", (ANA,))
        done = threading.Thread(target=lambda: world.said.append(str(preview(world, ANA).rows)))
        done.start()
        while not any("trying again" in line for line in world.said):
            assert done.is_alive()
        writer.commit()
        done.join()
    assert world.said[-1].isdigit()


def test_a_row_that_is_written_between_reading_and_locking_is_compared_again(
    world: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, writes = restore.writing.lock, iter(["5", "6"])

    def late(connection: psycopg.Connection, tables: Any) -> None:
        if (phone := next(writes, None)) is not None:
            world.connection.execute(
                "update public.unified_profiles set phone = %s where lower(email) = %s", (phone, ANA)
            )
        lock(connection, tables)

    monkeypatch.setattr(restore.writing, "lock", late)
    foreseen = preview(world, ANA)
    assert sum("written to a moment ago, trying again" in line for line in world.said) == 2
    assert not foreseen.refusals and foreseen.fingerprint == preview(world, ANA).fingerprint


def test_who_is_erased_is_not_kept_here_either(world: Launched) -> None:
    restore_now(world, ANA)
    with opened(world.connect()) as connection:
        restore.ask(connection, MIGRATION, ["ben@example.com", ANA], "operator")
    assert world.value("select count(*) from cutover.restored_row where row_before::text ~* 'ana@'") > 0
    with opened(world.connect()) as connection:
        erase.erase(connection, MIGRATION, ANA, by="operator")
    assert world.value("select count(*) from cutover.restored_row where row_before::text ~* 'ana@'") == 0
    assert (
        world.value("select subject from cutover.restoration where subject is not null") == "ben@example.com\n[erased]"
    )


@pytest.mark.parametrize("seed", range(6))
def test_whatever_has_happened_since_it_is_as_before_or_refused(world: Launched, seed: int) -> None:
    """Random writes of random people, and some of them restored: theirs as in the backup, others' as they were."""
    chance = random.Random(seed)
    spelled = ["Ana@example.com", "ben@example.com", "duo@example.com", "member@example.com", "qa.1@learn.example.com"]
    accounts = {address: account_of(world, address) for address in spelled}
    accounts["Duo@Example.com"] = account_of(world, "Duo@Example.com")
    execute = world.connection.execute
    for _ in range(chance.randint(5, 25)):
        who = chance.choice(list(accounts.values()))
        product = chance.choice(["webinar", "canva_ebook", "p2p_course", "new"])
        what = chance.randrange(7)
        has_profile = world.value("select count(*) from public.unified_profiles where id = %s", who) == 1
        if what == 0:
            execute("update public.unified_profiles set phone = %s where id = %s", (str(chance.random()), who))
        elif what == 1 and has_profile:
            execute(
                "insert into public.enrollments (id, user_id, product_type) values (gen_random_uuid(), %s, %s) "
                "on conflict do nothing", (who, product),
            )  # fmt: skip
        elif what == 2:
            execute("delete from public.enrollments where user_id = %s and product_type = %s", (who, product))
        elif what == 3:
            execute(
                "insert into public.transactions (id, user_id, amount, status) "
                "values (gen_random_uuid(), %s, 5, 'x')", (who,),
            )  # fmt: skip
        elif what == 4:
            execute("delete from public.transactions where user_id = %s and amount = 5", (who,))
        elif what == 5:
            execute(
                "update public.enrollments set product_type = %s || product_type where user_id = %s",
                (str(chance.randrange(9)), who),
            )
        elif has_profile:
            execute(
                "insert into public.badges select %s, %s, (select id from public.enrollments where user_id = %s "
                "order by id limit 1) on conflict do nothing", (chance.randrange(30), who, who),
            )  # fmt: skip
    chosen = chance.sample(spelled, chance.randint(1, 4))
    ids = [account for address, account in accounts.items() if address.lower() in {one.lower() for one in chosen}]
    addresses = [address.lower() for address in chosen]
    before, whole = rows_of(world, "public", ids, addresses), everything(world)
    was = rows_of(world, "backup_r1", ids, addresses)
    try:
        restore_now(world, *chosen)
    except CutoverError as error:
        assert error.code == "restore.refused"
        assert everything(world) == whole
        assert "badges" in str(error) or "somebody else's" in str(error) or "affiliate" in str(error), error
        return
    after = rows_of(world, "public", ids, addresses)
    assert theirs(after) == theirs(was)
    assert others(after) == others(before)
    assert everything(world)["public.badges"] == whole["public.badges"]
    assert everything(world)["public.leads"] == whole["public.leads"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: the header"),
        (b"name\nana@example.com\n", "line 1: the header"),
        (b"email\n", "nobody is named"),
        (b"email\nana@example.com,x\n", "line 2: more than one column"),
        (b"email\nana@example.com\n\nben@example.com\n", "line 3: it is empty"),
        (b"email\nana\n", "line 2: no e-mail address"),
        (b"email\nana@example.com\nANA@example.com\n", "line 3: the same as line 2"),
        (b"id\nana@example.com\n", "line 2: no id of an account"),
        (b"email\n\xff@example.com\n", "no UTF-8"),
        (b"email\na\0na@example.com\n", "line 2: no e-mail address"),
        (b"email\n" + b"".join(b"p%d@example.com\n" % n for n in range(1001)), "1,001 people"),
        (b"email\n" + b"".join(b"odd%d\n" % n for n in range(30)), "and 10 more"),
    ],
)
def test_odd_lines_are_refused_by_number_and_never_printed(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    with pytest.raises(CutoverError, match=r"\[restore.odd-lines\]") as refused:
        restore.read(path)
    assert said in str(refused.value)
    assert "ana@example" not in str(refused.value).lower()


def test_a_file_as_people_make_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b'\xef\xbb\xbf"E-Mail"\r\nana@example.com\r\n"ben@example.com"\r\n')
    assert restore.read(path) == ["ana@example.com", "ben@example.com"]
    with pytest.raises(CutoverError, match=r"\[restore.no-file\]"):
        restore.read(tmp_path / "none.csv")


def test_what_the_application_evaluates_runs_as_its_owner(world: Launched) -> None:
    """A check that calls a function of a lesser role: with the engine's rights it would see the ledger."""
    role = f"app_{world.dsn.rpartition('/')[2].partition('?')[0]}"
    execute = world.connection.execute
    execute(f"create role {role}")
    execute(f"grant usage, create on schema public to {role}")
    execute(
        f"create function public.allowed(text) returns boolean language plpgsql as $$ begin "
        f"return current_user = '{role}'; end $$"
    )
    execute(f"alter function public.allowed(text) owner to {role}")
    execute("alter table public.enrollments add constraint allowed check (public.allowed(product_type)) not valid")
    execute(f"alter table public.enrollments owner to {role}")
    execute(f"grant select, references on public.unified_profiles, public.transactions, public.courses to {role}")
    execute("alter table public.enrollments disable trigger cutover_capture")
    execute("delete from public.enrollments where product_type = 'canva_ebook'")
    execute("alter table public.enrollments enable always trigger cutover_capture")
    try:
        restore_now(world, ANA)
        assert theirs(of_ana(world))["enrollments"] == theirs(of_ana(world, "backup_r1"))["enrollments"]
    finally:
        execute("alter table public.enrollments owner to current_user")
        execute(f"drop owned by {role} cascade")
        execute(f"drop role {role}")
