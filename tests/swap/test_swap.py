"""The swap keeps every dependent, carries every write, and is all or nothing."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cutover import rollback
from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.patience import Patience
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import ledger
from cutover.swap.execution import Observer
from cutover.swap.order import Order
from cutover.swap.plan import plan
from cutover.swap.transaction import swap

from .conftest import COPY, TABLES, Production, back

NEW_PROFILE = "insert into public.profiles (id, email, name) values (md5('u-new')::uuid, 'new@example.com', 'New')"
MIGRATION = Migration(migration="test", merge={"users": "auth.users"})


def roll_back(production: Production, run: str, **policy: Any) -> ledger.Entry:
    """Preview, approve and run the rollback of the newest entry."""
    with production.connect() as connection:
        entry = rollback.undoable(connection, "test")
    planned = rollback.order(entry, MIGRATION, run, **policy)
    rollback.preview(production.connect, planned)
    production.approve(planned)
    return rollback.roll_back(production.connect, planned, production.log)


def test_the_inventory_is_the_same_after_a_swap_a_rollback_and_its_rollback(production: Production) -> None:
    before = production.inventory()
    kinds = {kind for kind, _, _ in before.facts}
    assert kinds == {
        "relation", "column", "constraint", "index", "trigger", "policy", "rule", "view definition", "publication",
        "statistics", "sequence", "function",
    }  # fmt: skip
    entry = production.swap(production.prepare("r1"))
    assert before.compare(production.inventory()) == []
    assert entry.approved_by == "reviewer"
    roll_back(production, "b1")
    assert before.compare(production.inventory()) == []
    roll_back(production, "b2")
    assert before.compare(production.inventory()) == []
    production.swap(production.prepare("r2"))
    assert before.compare(production.inventory()) == []


def test_nothing_is_tidied_up_while_clients_wait_and_everything_afterwards(production: Production) -> None:
    collects: dict[str, bool] = {}

    class Watch(Observer):
        def at(self, moment: str) -> None:
            collects[moment] = gc.isenabled()

    production.swap(production.prepare("r1"), Watch())
    assert not collects["locked"] and not collects["recorded"]
    assert gc.isenabled()


class Reads(Observer):
    """The files that this process opens from the wait for the locks to the commit."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.moments: list[str] = []
        self.is_watching = False

    def at(self, moment: str) -> None:
        self.moments.append(moment)
        # after `recorded` comes the commit alone
        self.is_watching = moment in {"locking", "locked", "recorded"}

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        # an audit hook stays as long as the process does, and this one has nothing to say outside the locks
        if self.is_watching and event == "open":
            self.files.append(str(arguments[0]))


def test_no_file_is_read_while_clients_wait_for_a_swap_or_a_rollback(production: Production) -> None:
    """A disk that hangs, or a deploy in the middle of it, would hold the locks."""
    for make in (lambda: production.prepare("r1"), lambda: back(production, "b1"), lambda: back(production, "b2")):
        order, reads = make(), Reads()
        sys.addaudithook(reads)
        # as in a task's own process, where nothing has been read before
        files.text.cache_clear()
        swap(production.connect, order, production.log, reads)
        assert reads.moments[-5:] == ["locking", "locked", "recorded", "committed", "finished"]
        assert reads.files == []
        reads.at("locked")
        files.text.cache_clear()
        files.text("swap/settings.sql")
        reads.at("finished")
        assert [name.rsplit("/", 1)[1] for name in reads.files] == ["settings.sql"], "it would have been seen"


def test_plans_go_by_index_for_questions_to_the_catalogue_alone(production: Production) -> None:
    order = production.prepare("r1")
    planner = (
        "select name, setting from pg_settings where name ~ '^enable_(seqscan|hashjoin|mergejoin|material|memoize)$'"
    )
    with production.connect() as connection:
        connection.autocommit = True
        before = connection.execute(planner.encode()).fetchall()
        planned = plan(connection, order)
        assert connection.execute(planner.encode()).fetchall() == before and len(before) == 5
        connection.execute("set plan_cache_mode = force_generic_plan")
        query = "explain (costs off) " + files.text("catalog/versions.sql")
        names = {"relations": list(planned.names.relations), "functions": list(planned.names.functions)}
        with catalog.by_index(connection):
            shown = str(connection.execute(query.encode(), names).fetchall())
        assert "Hash Join" not in shown and "Seq Scan" not in shown


def test_writes_between_freeze_and_swap_are_carried_column_by_column(production: Production) -> None:
    since = production.freeze()
    staged_xid = production.stage({
        "profiles": "insert into staging.profiles (id, email, name, level_id, affiliate_id, settings, updated_at) "
        "select id, email, 'Clean ' || name, level_id, affiliate_id, settings, updated_at from public.profiles",
        "affiliates": "insert into staging.affiliates select * from public.affiliates",
        "orders": "insert into staging.orders select * from public.orders where id <> md5('o207')::uuid",
    })  # fmt: skip
    with psycopg.connect(production.app_dsn) as app:
        app.execute("update public.profiles set settings = '{\"a\": 1}' where email = 'person3@example.com'")
        app.execute("insert into auth.users (id, email) values (md5('u-new')::uuid, 'new@example.com')")
        app.execute(
            "insert into public.profiles (id, email, name) values (md5('u-new')::uuid, 'new@example.com', 'New')"
        )
    with production.admin() as admin:
        admin.execute("delete from public.orders where id = md5('o208')::uuid")
        admin.execute("update public.orders set amount = 1 where id = md5('o207')::uuid")
        admin.execute("update public.orders set status = 'refunded' where id = md5('o209')::uuid")
    order = production.order("r1", since, staged_xid)
    production.approve(order)
    entry = production.swap(order)
    assert production.value(
        "select array[name, settings::text, shout] from public.profiles where email = 'person3@example.com'"
    ) == ["Clean Person 3", '{"a": 1}', "CLEAN PERSON 3"]
    assert production.value("select name from public.profiles where email = 'new@example.com'") == "New"
    assert production.value("select count(*) from public.orders where id = md5('o208')::uuid") == 0
    assert production.value("select status from public.orders where id = md5('o209')::uuid") == "refunded"
    assert production.value("select new_row ->> 'amount' from cutover.quarantine where run = 'r1'") == "1.00"
    assert production.value("select sqlstate from cutover.quarantine where run = 'r1'") == "02000"
    assert {(c["table_name"], c["operation"]): c["carried"] for c in entry.carried} == {
        ("profiles", "update"): 1, ("profiles", "insert"): 1, ("orders", "delete"): 1, ("orders", "update"): 1,
    }  # fmt: skip


def test_writes_after_the_swap_survive_its_rollback(production: Production) -> None:
    production.swap(production.prepare("r1"))
    with psycopg.connect(production.app_dsn) as app:
        app.execute("insert into auth.users (id, email) values (md5('u-new')::uuid, 'new@example.com')")
        app.execute(
            "insert into public.profiles (id, email, name) values (md5('u-new')::uuid, 'new@example.com', 'New')"
        )
        app.execute("update public.profiles set name = 'Renamed' where email = 'person5@example.com'")
        app.execute("delete from public.events where profile_id = md5('u11')::uuid")
        app.execute("delete from auth.users where email = 'person11@example.com'")
    roll_back(production, "b1")
    assert production.value("select name from public.profiles where email = 'new@example.com'") == "New"
    assert production.value("select name from public.profiles where email = 'person5@example.com'") == "Renamed"
    assert production.value("select count(*) from public.profiles where email = 'person11@example.com'") == 0
    assert (
        production.value(
            "select count(*) from auth.users as u where not exists (select from public.profiles as p where p.id = u.id)"
        )
        == 0
    )


def test_a_previews_reasons_name_nobody(production: Production) -> None:
    """What refuses a write may quote its value, and the preview is shown and stored."""
    production.swap(production.prepare("r1"))
    with production.admin() as admin:
        admin.execute("alter table backup_r1.profiles add constraint odd check (name <> 'New' or email::int > 0)")
    with psycopg.connect(production.app_dsn) as app:
        app.execute("insert into auth.users (id, email) values (md5('u-new')::uuid, 'new@example.com')")
        app.execute(NEW_PROFILE.encode())
    with production.connect() as connection:
        planned = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
    (stored,) = rollback.preview(production.connect, planned).quarantined
    assert (stored["table_name"], stored["sqlstate"]) == ("profiles", "22P02")
    assert stored["reason"] == 'invalid input syntax for type integer: "n•••@e•••"'


def test_a_second_call_finds_the_swap_done(production: Production) -> None:
    order = production.prepare("r1")
    first = production.swap(order)
    again = production.swap(order)
    assert again.entry == first.entry
    assert production.value("select count(*) from cutover.ledger") == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update staging.orders set amount = amount + 1 where id = md5('o1')::uuid", "changed after the approval"),
        # named with its column, before the approval is looked at
        ("alter table staging.orders alter column seat type bigint", "columns-changed.*in production it is integer"),
        ("update cutover.approvals set expires_at = now() - interval '1 s'", "expired"),
        ("update cutover.approvals set decision = 'reject'", "rejected"),
        ("update cutover.approvals set consumed_at = now(), consumed_by = 'x'", "was used"),
        (
            "update cutover.approvals set approved_by = 'somebody else'",
            "its approved_by was changed after it was signed",
        ),
        ("update cutover.chain set signature = signature || 'x'", "not signed by this deployment"),
        ("delete from cutover.approvals", "nobody has approved"),
    ],
)
def test_what_was_not_approved_is_not_swapped(production: Production, change: str, reason: str) -> None:
    order = production.prepare("r1")
    before = production.inventory()
    with production.admin() as admin:
        # past the triggers that keep an answer as it was given
        admin.execute("set session_replication_role = replica")
        admin.execute(change.encode())
    with pytest.raises(CutoverError, match=reason) as raised:
        production.swap(order)
    assert raised.value.code == ("swap.columns-changed" if "alter" in change else "swap.not-approved")
    assert production.value("select count(*) from cutover.ledger") == 0
    assert before.compare(production.inventory()) == []


def test_rows_outside_that_would_be_orphaned_stop_the_swap(production: Production) -> None:
    since = production.freeze()
    load = {
        "profiles": "insert into staging.profiles (id, email, name) select id, email, name from public.profiles",
        "orders": "insert into staging.orders select * from public.orders where id <> md5('o1')::uuid",
    }
    order = production.order("r1", since, production.stage(load))
    production.approve(order)
    with pytest.raises(CutoverError, match=r"rows of public\.refunds:refunds_order_id_fkey") as raised:
        production.swap(order)
    assert raised.value.code == "swap.orphans"
    assert production.value("select to_regclass('public.orders') is not null") is True


def test_parity_stops_a_swap_that_would_lose_something(production: Production) -> None:
    order = production.prepare("r1")

    class Saboteur(Observer):
        def at(self, moment: str) -> None:
            if moment == "planned":
                with production.admin() as admin:
                    admin.execute("drop index staging.orders_lower_idx")

    before = production.inventory()
    with pytest.raises(CutoverError, match="orders_lower_idx") as raised:
        production.swap(order, Saboteur())
    assert raised.value.code == "swap.parity"
    assert before.compare(production.inventory()) == []


def test_a_view_made_after_the_plan_is_found(production: Production) -> None:
    order = production.prepare("r1")

    class Colleague(Observer):
        made = False

        def at(self, moment: str) -> None:
            if moment == "planned" and not self.made:
                self.made = True
                with production.admin() as admin:
                    admin.execute("set role app_owner; create view public.late as select count(*) from public.orders")

    with pytest.raises(CutoverError, match="late") as raised:
        production.swap(order, Colleague())
    assert raised.value.code == "swap.left-behind"
    production.swap(order)  # the next one finds it, and takes it along
    assert production.value("select count from public.late") == 400


def test_an_index_made_after_the_plan_is_not_lost(production: Production) -> None:
    order = production.prepare("r1")

    class Colleague(Observer):
        made = False

        def at(self, moment: str) -> None:
            if moment == "planned" and not self.made:
                self.made = True
                with production.admin() as admin:
                    admin.execute("create index late_idx on public.orders (course_id)")

    production.swap(order, Colleague())
    assert (
        production.value("select count(*) from pg_indexes where indexname = 'late_idx' and schemaname = 'public'") == 1
    )


def test_the_ledger_cannot_be_rewritten(production: Production) -> None:
    production.swap(production.prepare("r1"))
    with production.admin() as admin, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        admin.execute("update cutover.ledger set approved_by = 'somebody else'")


def test_staging_is_closed_to_the_api_roles(production: Production) -> None:
    production.prepare("r1")
    for role in ("anon", "authenticated", "app"):
        with production.admin() as admin:
            admin.execute(f"set role {role}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                admin.execute("select 1 from staging.orders")


def test_drift_can_be_refused(production: Production) -> None:
    order = production.prepare("r1", on_drift="refuse")
    with psycopg.connect(production.app_dsn) as app:
        app.execute("update public.profiles set name = 'Changed' where email = 'person5@example.com'")
    with pytest.raises(CutoverError, match="1 production writes were captured") as raised:
        production.swap(order)
    assert raised.value.code == "swap.drift"


def test_a_session_that_would_read_the_new_tables_as_empty_stops_the_swap(production: Production) -> None:
    with production.admin() as dump, dump.transaction():
        dump.execute("set transaction isolation level repeatable read")
        before = dump.execute("select count(*) from public.levels").fetchone()
        order = production.prepare("r1", patience=Patience(attempts=2, first_pause_s=0.01))
        with pytest.raises(CutoverError, match="snapshot from before the swap and would not see all rows"):
            production.swap(order)
        assert before == dump.execute("select count(*) from public.levels").fetchone()
    assert production.value("select count(*) from cutover.ledger") == 0
    # without it, the same order is carried out
    production.swap(replace(order, patience=Patience()))


def with_leads(production: Production, *further: tuple[str, str]) -> Order:
    """An approved order with a table that production does not have."""
    order = production.prepare("r1", COPY, TABLES)
    with production.connect() as connection:
        connection.execute("create table staging.leads (id integer primary key, user_id uuid references auth.users)")
        connection.execute("insert into staging.leads select 1, id from staging.profiles limit 1")
    order = replace(
        order, tables=[*TABLES, ("public", "leads"), *further], fingerprinted=[*order.fingerprinted, "leads"]
    )
    production.approve(order)
    return order


def test_a_table_that_is_new_and_one_that_disappears_are_part_of_the_set(production: Production) -> None:
    with production.admin() as admin:
        admin.execute("create table public.notes (id integer primary key, body text)")
        admin.execute("insert into public.notes values (1, 'kept in the backup')")
        admin.execute("alter table public.notes owner to app_owner; grant select on public.notes to anon")
    facts = production.inventory()
    production.swap(with_leads(production, ("public", "notes")))
    assert production.value("select count(*) from public.leads") == 1
    assert production.value("select to_regclass('public.notes')") is None
    assert production.value("select body from backup_r1.notes") == "kept in the backup"
    roll_back(production, "b1")
    assert facts.compare(production.inventory()) == []
    assert production.value("select count(*) from backup_b1.leads") == 1
    roll_back(production, "b2")
    assert production.value("select count(*) from public.leads") == 1


@pytest.mark.parametrize(
    "change",
    [
        "alter table staging.leads alter column id set default 7",
        "alter table staging.leads drop constraint leads_user_id_fkey",
        "alter table staging.leads add check (id < 5)",
        "create index on staging.leads (user_id)",
        "create trigger looks_on after insert on staging.leads execute function public.log_change()",
        "create rule swallows as on insert to staging.leads do instead nothing",
        "alter table staging.leads enable row level security",
        "create policy open_to_all on staging.leads using (true)",
        "grant select on staging.leads to app with grant option",
        "grant update (user_id) on staging.leads to anon",
    ],
)
def test_a_new_table_goes_live_as_it_was_approved(production: Production, change: str) -> None:
    order = with_leads(production)
    with production.admin() as admin:
        admin.execute(change.encode())
    with pytest.raises(CutoverError, match="changed after the approval"):
        production.swap(order)
    assert production.value("select to_regclass('public.leads')") is None
