"""Every kind of tests/swap/kinds.py is carried, or refused before any work; what pg_dump says is the measure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench.production import Production
from cutover import rollback
from cutover.database import answer
from cutover.errors import CutoverError
from cutover.swap import refusals, scope
from cutover.swap.execution import Observer
from cutover.swap.inventory import settled
from cutover.swap.order import Order
from cutover.swap.plan import Statement
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

from .dump import dump
from .kinds import CARRIED, ELSEWHERE, REFUSED, Kind, page
from .small import MIGRATION, SET, Locks, copies, rolled_back, small, swapped


def make(admin: psycopg.Connection, kind: Kind) -> None:
    """Run the statements of a kind, in the order of its fields."""
    if kind.statements:
        admin.execute("set local role app_owner")
        admin.execute(kind.statements.encode())
        admin.execute("reset role")
    if kind.as_superuser:
        admin.execute("set local allow_system_table_mods = on")
        admin.execute(kind.as_superuser.encode())


@pytest.mark.parametrize("group", CARRIED)
def test_a_carried_kind_is_the_same_after_a_swap_its_rollback_and_a_second_swap(
    server: EmbeddedPostgres, group: str
) -> None:
    with small(server) as production:
        version = int(production.value("show server_version_num")) // 10_000
        kinds = [kind for kind in CARRIED[group] if kind.since <= version]
        if not kinds:
            pytest.skip(f"PostgreSQL {version} has none of these kinds")
        tables = [*SET, *(("public", name) for kind in kinds for name in kind.further)]
        for kind in kinds:
            with production.admin() as admin, admin.transaction():
                make(admin, kind)
        inventory, dumped = production.inventory(), dump(production)
        assert any("CREATE TABLE public.orders" in block for block in dumped)
        locks = Locks()
        swapped(production, "r1", tables, locks)
        for run in ("r1", "b1", "r2"):
            if run == "b1":
                rolled_back(production, run)
            elif run == "r2":
                swapped(production, run, tables)
            assert inventory.compare(production.inventory()) == [], run
            assert dumped ^ dump(production) == set(), run
        # what the plan says, printed before the lock: its statements and no others, and no further lock
        assert locks.statements and locks.further == set()
        (plan, *_) = (message for message in production.messages if message.startswith("plan: "))
        assert plan.startswith(f"plan: {len(locks.statements)} statements ")
        assert all(
            f"\n{statement.step}: " in plan and f"\n  {statement.object}" in plan for statement in locks.statements
        )


LISTS = (
    "x in ('a', 'b')",
    "y not in ('p, q', 'it''s', '[') or x is null",
    "z in ('a', 'b')",
    "net in ('10.0.0.0/8', '1.1.1.1')",
    "x = any (array['(a)', '])::text[]']::varchar[]) and y in ('1', '2')",
    "label in ('a', 'b')",
    "case when x in (E'a\\b', 'c') then y in ('\"c', 'd') else true end",
    "x || y in ('a', 'b')",
    "x in (y, lower(y)::varchar)",
)


def test_a_definition_is_written_as_postgresql_writes_what_it_has_read(server: EmbeddedPostgres) -> None:
    with small(server) as production, production.admin() as admin:
        production.install([])
        admin.execute(
            "create domain label as varchar(9); "
            "create table written (x varchar(20), y varchar, z text, net cidr, label label); "
            "create table read (like written); create table again (like written)"
        )
        for condition in LISTS:
            definition = f"check ({condition})"
            forms = []
            for table in ("written", "read", "again"):
                admin.execute(f"alter table {table} add constraint k {definition}".encode())
                definition = production.value(
                    "select pg_get_constraintdef(oid) from pg_constraint "
                    "where conname = 'k' and conrelid = %s::regclass",
                    table,
                )
                forms.append(definition)
            first, then, later = forms
            assert then == later
            assert settled(first) == settled(then) == then
            assert production.value("select cutover.settled(%s::text)", first) == then
            assert production.value("select cutover.settled(%s::text)", then) == then
            admin.execute("alter table written drop constraint k; alter table read drop constraint k")
            admin.execute("alter table again drop constraint k")


STATEMENT = re.compile(r"(grant|revoke|alter (table|type|function|statistics)|drop (domain|function)) [^.]*\S*[^;]*;")


def found_as_engine(admin: psycopg.Connection) -> list[refusals.Refusal]:
    """Every reason to refuse the small set, as the engine's role finds them."""
    admin.execute("set local role cutover")
    tables = scope.read(admin, SET, incoming_schema="staging", backup_schema="backup_r1")
    reasons = refusals.find(admin, tables, retired=())
    admin.execute("reset role")
    return reasons


@pytest.fixture(scope="module")
def refusing(server: EmbeddedPostgres) -> Iterator[Production]:
    """A production to which nothing is committed but the engine's own functions."""
    with small(server) as production:
        production.install(SET)
        yield production


@pytest.mark.parametrize("kind", REFUSED, ids=[kind.name for kind in REFUSED])
def test_a_refused_kind_is_named_before_any_work(refusing: Production, kind: Kind) -> None:
    with psycopg.connect(refusing.admin_dsn) as admin:
        make(admin, kind)
        reasons = found_as_engine(admin)
        named = [reason for reason in reasons if reason.code == kind.code and reason.object.startswith(kind.object)]
        assert named, reasons
        # what is in the remedy's first sentence clears it, if that is a statement
        statements = [r.remedy.split(";")[0] for r in named if STATEMENT.match(r.remedy)]
        for statement in statements:
            admin.execute(statement.encode())
        left = found_as_engine(admin)
        admin.rollback()
    assert all(reason.remedy and not reason.remedy.startswith("run the swap") for reason in reasons)
    assert not statements or not set(named) & set(left)


def test_everything_stays_in_its_tablespace(server: EmbeddedPostgres) -> None:
    with (
        psycopg.connect(server.dsn(), autocommit=True) as superuser,
        small(
            server,
            "create materialized view public.kept as select id, status from public.orders",
            "create index kept_id on public.kept (id)",
            "create index by_status on public.orders (status)",
        ) as production,
    ):
        # not outside the server's own folder
        superuser.execute("set allow_in_place_tablespaces = on")
        superuser.execute("create tablespace \"fa'st {0} %s\" location ''")
        try:
            superuser.execute('grant create on tablespace "fa\'st {0} %s" to app_owner, cutover')
            with production.admin() as admin:
                for relation in ("table public.orders", "materialized view public.kept"):
                    admin.execute(f'alter {relation} set tablespace "fa\'st {{0}} %s"'.encode())
                for index in ("by_status", "orders_pkey", "kept_id"):
                    admin.execute(f'alter index public.{index} set tablespace "fa\'st {{0}} %s"'.encode())
            before, dumped = production.inventory(), dump(production)
            assert str(before.facts).count("tablespace=") >= 5
            assert "\n".join(dumped).count('-- default_tablespace = "fa\'st {0} %s"') == 5, dumped
            for step, run in ((swapped, "r1"), (rolled_back, "b1"), (swapped, "r2")):
                step(production, run)
                assert before.compare(production.inventory()) == [], run
                assert dumped ^ dump(production) == set(), run
            superuser.execute('revoke create on tablespace "fa\'st {0} %s" from app_owner, cutover')
            with production.connect() as connection:
                tables = scope.read(connection, SET, incoming_schema="staging", backup_schema="backup_r3")
                reasons = [r for r in refusals.find(connection, tables, retired=()) if r.code == "tablespace-closed"]
            assert {reason.object for reason in reasons} >= {"public.orders", "public.by_status", "public.kept"}
            superuser.execute(reasons[0].remedy.encode())
        finally:
            with production.admin() as admin:
                admin.execute("drop schema public cascade")
                for schema in ("backup_r1", "backup_b1", "backup_r2", "staging"):
                    admin.execute(f"drop schema if exists {schema} cascade".encode())
            superuser.execute('drop tablespace "fa\'st {0} %s"')


def test_the_page_of_kinds_is_made_from_these_tests(repository: Path) -> None:
    assert (repository / "docs" / "dependents.md").read_text() == page()
    for test in ELSEWHERE.values():
        path, name = test.split("::")
        assert f"def {name}(" in (repository / "tests" / path).read_text(), test


CHANGES = {
    "a column more": (
        "add column extra text",
        "extra",
        "production has this column (text), the incoming table has it not",
    ),
    # one that writes no row anew: those that do are a gap of the capture (test_gaps.py)
    "another type": ("alter column status type varchar", "status", "in production it is character varying"),
    "null allowed no longer": ("alter column amount set not null", "amount", "in production it is numeric not null"),
    "a column less": ("drop column meta", "meta", "the incoming table has this column (jsonb), production has it not"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_column_changed_since_the_approval_stops_what_is_approved(server: EmbeddedPostgres, change: str) -> None:
    statement, column, why = CHANGES[change]
    with small(server) as production:
        swapped(production, "r1")
        order = production.prepare("r2", copies(production), SET, merged=())
        with production.admin() as admin:
            admin.execute(f"alter table public.orders {statement}".encode())
        with pytest.raises(refusals.SwapRefusedError) as raised:
            swap(production.connect, order, production.log)
        assert [(r.code, r.object) for r in raised.value.refusals] == [("columns-changed", f"public.orders.{column}")]
        assert why in str(raised.value)
        assert "start a new run" in str(raised.value)
        rolled_back(production, "b1")


def test_what_a_deploy_changed_meanwhile_is_put_on_the_incoming_tables(server: EmbeddedPostgres) -> None:
    changes = """
        alter table public.orders alter column status set default 'open', alter column amount set statistics 55;
        alter table public.orders alter column meta set default '{}', alter column created_at drop default;
        alter table public.orders add constraint small check (amount < 1000), set (fillfactor = 60);
        create index orders_status on public.orders (status);
        create unique index orders_two on public.orders (id, amount);
        alter table public.customers drop constraint customers_email_key;
        comment on column public.orders.meta is 'more';
        create view public.open_orders as select id from public.orders where status = 'open'"""
    with small(server) as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        for run in ("r1", "b1"):
            with production.admin() as admin:
                admin.execute("set role app_owner")
                admin.execute(changes.encode())
            before = production.inventory(), dump(production)
            if run == "r1":
                swap(production.connect, order, production.log)
            else:
                rolled_back(production, run)
            assert before[0].compare(production.inventory()) == []
            assert before[1] ^ dump(production) == set()
            changes = """
                alter table public.orders alter column status drop default, drop constraint small;
                drop view public.open_orders; drop index public.orders_status;
                alter table public.customers add constraint another unique (email, name)"""


def test_a_table_of_staging_is_not_taken_for_the_one_that_stays(server: EmbeddedPostgres) -> None:
    with small(
        server,
        "alter table public.orders enable row level security",
        "create policy by_course on public.orders using "
        "(exists (select from public.courses as c where c.id = course_id))",
        "create materialized view public.titles as select o.id, c.title from public.orders as o "
        "join public.courses as c on c.id = o.course_id",
    ) as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        with production.connect() as connection:
            connection.execute("create table staging.courses (id integer, title text)")
        before = production.inventory(), dump(production)
        swap(production.connect, order, production.log)
        assert before[0].compare(production.inventory()) == []
        assert before[1] ^ dump(production) == set()
        assert production.value("select count(*) from public.titles") == 200


def test_a_failed_swap_leaves_nothing_on_production(server: EmbeddedPostgres) -> None:
    class Break(Observer):
        def at(self, moment: str) -> None:
            if moment == "locked":
                raise RuntimeError("broken off")

    with small(
        server,
        "create function public.noted() returns trigger language plpgsql as 'begin return null; end'",
        'create trigger "audit ON public.orders rows" after insert on public.orders for each row '
        "execute function public.noted()",
    ) as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        before = production.inventory(), dump(production)
        with pytest.raises(RuntimeError, match="broken off"):
            swap(production.connect, order, production.log, Break())
        assert before[0].compare(production.inventory()) == []
        assert before[1] ^ dump(production) == set()


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_postgresql_refuses_inside_the_move_is_a_message(server: EmbeddedPostgres, one_by_one: bool) -> None:
    class Spoil(Observer):
        def at(self, moment: str) -> None:
            # a name is taken between the plan and the lock
            if moment == "locking":
                with production.admin() as admin:
                    admin.execute("create table if not exists backup_r1.orders ()")

    class OneByOne(Spoil):
        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            pass

    with small(server, 'create view public."two\nlines" as select id from public.orders') as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log, OneByOne() if one_by_one else Spoil())
        assert (raised.value.code, raised.value.obj) == ("swap.cannot-move", "public.orders")
        assert "`alter table public.orders set schema backup_r1`" in raised.value.why
        assert "42P07" in raised.value.why
        assert "rename one of both" in raised.value.remedy


def test_what_postgresql_refuses_while_preparing_is_a_message(server: EmbeddedPostgres) -> None:
    with small(server, "alter table public.orders add constraint small check (amount < 1000)") as production:
        load = copies(production)
        load["too much"] = "update staging.orders set amount = 5000 where id = 7"
        order = production.prepare("r1", load, SET, merged=())
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log)
        assert (raised.value.code, raised.value.obj) == ("swap.cannot-prepare", "small")
        assert "is violated by some row (23514)" in raised.value.why
        assert "start a new run" in raised.value.remedy


@pytest.mark.parametrize("step", ["swap", "rollback"])
def test_what_postgresql_refuses_while_planning_is_a_message(server: EmbeddedPostgres, step: str) -> None:
    with small(server) as production:
        swapped(production, "r1")
        order = production.prepare("r2", copies(production), SET, merged=()) if step == "swap" else back(production)

        def log(message: str) -> None:
            # between the preparation and the plan
            if message.startswith("made the incoming tables equal"):
                with production.admin() as admin:
                    admin.execute("revoke select on pg_catalog.pg_rewrite from public")

        before = production.inventory()
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, log)
        assert (raised.value.code, raised.value.obj) == ("swap.cannot-plan", "public.customers, public.orders")
        assert "PostgreSQL does not accept `with " in raised.value.why
        assert "permission denied for table pg_rewrite (42501). Nothing was changed." in raised.value.why
        assert "give the engine's role the right" in raised.value.remedy
        with production.admin() as admin:
            admin.execute("grant select on pg_catalog.pg_rewrite to public")
        assert before.compare(production.inventory()) == []
        swap(production.connect, order, production.log)


def back(production: Production) -> Order:
    """The approved rollback of the newest entry."""
    with production.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
    rollback.preview(production.connect, order)
    production.approve(order)
    return order


def test_what_postgresql_refuses_in_a_rollback_is_a_message(server: EmbeddedPostgres) -> None:
    class Forbid(Observer):
        def at(self, moment: str) -> None:
            # in the transaction, by nothing that is moved
            if moment == "planned":
                with production.admin() as admin:
                    admin.execute(
                        "create function public.guard() returns trigger language plpgsql as "
                        "$$ begin raise exception 'not by %', 'jane.doe@example.com'; end $$"
                    )
                    admin.execute(
                        "create trigger guard before insert on cutover.ledger for each row "
                        "execute function public.guard()"
                    )

    with small(server) as production:
        swapped(production, "r1")
        order = back(production)
        before = production.inventory()
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log, Forbid())
        assert (raised.value.code, raised.value.obj) == ("swap.cannot-complete", "public.customers, public.orders")
        assert re.search(r"does not accept `insert into cutover\.ledger .*`: not by j•••@e", raised.value.why)
        assert "(P0001, in public.guard()). Nothing was changed." in raised.value.why
        assert "switch it off for the time of the swap" in raised.value.remedy
        with production.admin() as admin:
            admin.execute("drop function public.guard() cascade")
        assert before.compare(production.inventory()) == []
        swap(production.connect, order, production.log)


def test_what_postgresql_refuses_of_a_preview_is_a_message(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        swapped(production, "r1")
        with production.admin() as admin:
            admin.execute("revoke select on pg_catalog.pg_policy from public")
        with production.connect() as connection:
            order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
        with pytest.raises(CutoverError) as raised:
            rollback.preview(production.connect, order)
        assert (raised.value.code, raised.value.obj) == ("rollback.cannot-preview", "b1 (takes back r1)")
        assert "permission denied for table pg_policy (42501)" in raised.value.why


def test_what_postgresql_refuses_after_the_lock_is_a_message(server: EmbeddedPostgres) -> None:
    class Break(Observer):
        def at(self, moment: str) -> None:
            if moment == "committed":
                with production.admin() as admin:
                    admin.execute("update public.orders set amount = 0 where id = 7")

    with small(
        server,
        "create view public.shares as select id, 100 / amount as share from public.orders",
        "create materialized view public.kept as select * from public.shares",
    ) as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log, Break())
        assert (raised.value.code, raised.value.obj) == ("verify.cannot-finish", "public.kept")
        assert "`refresh materialized view public.kept`: division by zero (22012)." in raised.value.why
        assert "The tables are swapped" in raised.value.why
        assert "clear the cause" in raised.value.remedy
        with production.admin() as admin:
            admin.execute("update public.orders set amount = 1 where id = 7")
        swap(production.connect, order, production.log)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), "who holds a lock"),
        (psycopg.errors.DeadlockDetected("deadlock detected"), "wait for a quieter moment"),
        (psycopg.errors.QueryCanceled("canceling statement"), "who or which time limit"),
        (psycopg.errors.ObjectInUse("in use"), "in a state that does not allow it"),
    ],
)
def test_the_remedy_of_a_lock_is_not_about_the_object(error: psycopg.Error, remedy: str) -> None:
    assert remedy in answer.refused("swap.cannot-prepare", "public.orders", "alter table …", error).remedy
