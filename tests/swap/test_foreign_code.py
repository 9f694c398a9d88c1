"""What the application's expressions call never runs with the engine's rights."""

from __future__ import annotations

import psycopg
import pytest

from cutover.errors import CutoverError
from cutover.swap import owner, refusals, scope
from cutover.swap.execution import Observer
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

from .conftest import TABLES, Production
from .small import SET, copies, small

# What each function does when it is called: it says as whom, and tries to become somebody else, and to approve.
SPY = """
create table public.called (by_whom text, what text);
grant insert on public.called to public;
create function public.spy_out(what text) returns boolean language plpgsql as $$
begin
    begin
        execute 'reset role';
    exception when others then null;
    end;
    begin
        execute 'grant usage on schema cutover to app_owner';
        execute 'grant insert on cutover.approvals to app_owner';
    exception when others then null;
    end;
    insert into public.called values (current_user, what);
    return true;
end $$;
alter function public.spy_out(text) owner to app_owner;
create function public.spy(what text) returns boolean language plpgsql immutable as $$
begin
    return public.spy_out(what);
end $$;
alter function public.spy(text) owner to app_owner;
alter table public.called owner to app_owner;
create function public.spied(text, text) returns boolean language sql immutable as $$ select public.spy('operator') $$;
alter function public.spied(text, text) owner to app_owner;
"""


@pytest.fixture
def spied(production: Production) -> Production:
    """A production whose expressions call a function of the tables' owner."""
    with production.admin() as admin:
        admin.execute(SPY.encode())
        admin.execute("create operator public.~=~ (function = public.spied, leftarg = text, rightarg = text)")
        for statement in (
            "alter table public.orders add constraint spied_check check (public.spy('check'))",
            "alter table public.orders add constraint spied_operator check (id::text operator(public.~=~) id::text)",
            "create index spied_index on public.orders (id) where public.spy('index' || left(id::text, 0))",
            "create materialized view public.spied_view as select id, public.spy('view') from public.orders",
        ):
            admin.execute("set role app_owner")  # what it calls sets it back, where it can
            admin.execute(statement.encode())
        admin.execute("truncate public.called")
    return production


def test_checks_indexes_and_materialized_views_are_built_as_their_owner(spied: Production) -> None:
    spied.swap(spied.prepare("r1"))
    with spied.admin() as admin:
        called = admin.execute("select distinct what, by_whom from public.called order by 1, 2").fetchall()
    assert {what for what, _ in called} >= {"check", "index", "view"}, called
    assert {who for _, who in called} == {"app_owner"}, called
    assert spied.value("select has_table_privilege('app_owner', 'cutover.approvals', 'insert')") is False
    assert spied.value("select count(*) from pg_namespace where nspname = 'cutover_as_owner'") == 0
    assert (
        spied.value(
            "select convalidated from pg_constraint where conname = 'spied_check' and "
            "conrelid = 'public.orders'::regclass"
        )
        is True
    )


def test_the_functions_that_a_lesser_role_can_change_are_found(spied: Production) -> None:
    with spied.admin() as admin:
        admin.execute("set role app_owner")
        admin.execute("create domain public.spied_domain as text check (public.spy('domain'))")
        admin.execute(
            "create table public.odd (a text default public.spy('default')::text, b public.spied_domain[], "
            "c boolean generated always as (public.spy('generated')) stored)"
        )
    with spied.connect() as connection:
        tables = [
            spied.value("select 'public.orders'::regclass::oid"),
            spied.value("select 'public.odd'::regclass::oid"),
            spied.value("select 'public.profiles'::regclass::oid"),
        ]
        values = {(code.table_name, code.kind, code.name) for code in owner.foreign_code(connection, tables)}
    assert values >= {
        ("public.orders", "check", "spied_check"),
        ("public.orders", "check", "spied_operator"),
        ("public.orders", "index", "spied_index"),
        ("public.odd", "default", "a"),
        ("public.odd", "domain", "b"),
        ("public.odd", "generated", "c"),
    }


def test_what_runs_as_the_owner_cannot_become_the_engine_again(spied: Production) -> None:
    with spied.connect() as connection:
        assert owner.run(connection, "app_owner", "select public.spy('direct')") == 1
        for attempt in ("reset role", "set role cutover", "set session authorization default", "set role none"):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="security-definer"),
                connection.transaction(),
            ):
                owner.run(connection, "app_owner", attempt)
    assert spied.value("select distinct by_whom from public.called") == "app_owner"


def test_reads_are_granted_for_the_statement_alone(spied: Production) -> None:
    with spied.connect() as connection:
        connection.execute("create schema input")
        connection.execute("create table input.things as select 1 as id")
        copy = "create table public.things as select * from input.things"
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            owner.run(connection, "app_owner", copy)
        assert owner.run(connection, "app_owner", copy, reads=[("input", "things")]) == 1
    assert spied.value("select has_schema_privilege('app_owner', 'input', 'usage')") is False
    assert spied.value("select has_table_privilege('app_owner', 'input.things', 'select')") is False


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "alter table public.orders add column g boolean generated always as (public.spy('row')) stored",
            "generated g",
        ),
        ("alter table public.orders add column d boolean default public.spy('row')", "default d"),
        (
            "create domain public.spied as text check (public.spy('row')); "
            "alter table public.orders add column v public.spied",
            "domain v",
        ),
        (
            "create domain public.spied as text check (public.spy('row')); "
            "alter table public.orders add column v public.spied[]",
            "domain v",
        ),
        ("create index folded on public.orders (id) where public.spy('folded')", "index folded"),
        ("create index folded on public.orders ((public.spy(upper('folded'))))", "index folded"),
        ("create statistics public.folded on (public.spy('folded')), id from public.orders", "statistics folded"),
    ],
)
def test_what_would_run_with_the_engine_s_rights_is_refused(spied: Production, statement: str, words: str) -> None:
    with spied.admin() as admin:
        for part in statement.split("; "):
            admin.execute("set role app_owner")
            admin.execute(part.encode())
        admin.execute("truncate public.called")
    with spied.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_x")
        refused = refusals.find(connection, tables, retired=[])
    assert [(r.code, r.object) for r in refused] == [("foreign-code", f"{words} of public.orders")]
    assert refused[0].remedy.endswith('alter function public.spy(text) owner to "cutover";')
    assert spied.value("select count(*) from public.called where by_whom <> 'app_owner'") == 0


def test_a_cast_of_the_application_is_refused(spied: Production) -> None:
    with spied.admin() as admin:
        admin.execute("create type public.mood as enum ('good', 'bad')")
        admin.execute(
            "create function public.mood_as_json(public.mood) returns json language sql as "
            "$$ select pg_catalog.to_json($1::text) $$"
        )
        admin.execute("alter type public.mood owner to app_owner")
        admin.execute("alter function public.mood_as_json(public.mood) owner to app_owner")
        admin.execute("create cast (public.mood as json) with function public.mood_as_json(public.mood)")
        admin.execute("alter table public.orders add column mood public.mood")
    with spied.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_x")
        assert [(r.code, r.object) for r in refusals.find(connection, tables, retired=[])] == [
            ("foreign-cast", "cast (public.mood as json)")
        ]


SPY_TRIGGER = """
create function public.spy_trigger() returns trigger language plpgsql as $$
begin
    perform public.spy_out('trigger');
    return coalesce(new, old);
end $$;
alter function public.spy_trigger() owner to app_owner;
"""


def refused(production: Production, **named: object) -> list[tuple[str, str]]:
    with production.connect() as connection:
        tables = scope.read(
            connection,
            TABLES,
            incoming_schema="staging",
            backup_schema="backup_x",
            merged=[("auth", "users")],
            **named,  # type: ignore[arg-type]
        )
        return [(r.code, r.object) for r in refusals.find(connection, tables, retired=[])]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "create trigger spied after insert on auth.users for each row execute function public.spy_trigger()",
            "trigger spied of auth.users",
        ),
        (
            "create trigger spied after insert on auth.users for each row when (public.spy('when')) "
            "execute function public.log_change()",
            "trigger spied of auth.users",
        ),
        ("alter table auth.users add constraint spied check (public.spy('check'))", "check spied of auth.users"),
        ("create index spied on auth.users ((public.spy(email)))", "index spied of auth.users"),
        ("alter table auth.users add column d boolean default public.spy('default')", "default d of auth.users"),
        (
            "create rule spied as on insert to auth.users do also select public.spy('rule')",
            "rule spied of auth.users",
        ),
        # rows of these follow the set, in one step and in two
        (
            "alter table public.refunds add constraint spied check (public.spy('check'))",
            "check spied of public.refunds",
        ),
        (
            "create table public.refund_notes (refund_id bigint references public.refunds, n integer); "
            "create index spied on public.refund_notes (n) where public.spy(left(n::text, 0))",
            "index spied of public.refund_notes",
        ),
    ],
)
def test_what_would_run_where_the_engine_writes_itself_is_refused(
    spied: Production, statement: str, words: str
) -> None:
    with spied.admin() as admin:
        admin.execute(SPY_TRIGGER.encode())
    assert refused(spied) == []
    with spied.admin() as admin:
        for part in statement.split("; "):
            admin.execute(part.encode())
    assert refused(spied) == [("foreign-code", words)]


def test_a_table_that_a_migration_adds_rows_to_is_looked_at_too(spied: Production) -> None:
    with spied.admin() as admin:
        admin.execute("create table auth.identities (n integer check (public.spy('identity')))")
    assert refused(spied) == []
    assert refused(spied, written=[("auth", "identities"), ("auth", "not_there")]) == [
        ("foreign-code", "check identities_check of auth.identities")
    ]


def test_a_trigger_of_outside_rows_is_off_while_they_follow_and_one_that_runs_as_its_owner_may_stay(
    spied: Production,
) -> None:
    with spied.admin() as admin:
        admin.execute(SPY_TRIGGER.encode())
        admin.execute("alter table public.refunds owner to app_owner")
        admin.execute(
            "create trigger spied after update on public.refunds for each row execute function public.spy_trigger()"
        )
    assert refused(spied) == []
    with spied.admin() as admin:
        admin.execute("alter function public.spy_trigger() security definer")
        admin.execute(
            "create trigger spied after insert on auth.users for each row execute function public.spy_trigger()"
        )
    assert refused(spied) == []
    with spied.admin() as admin:
        admin.execute("alter function public.spy_trigger() security invoker")
    assert refused(spied) == [("foreign-code", "trigger spied of auth.users")]


class Replaces(Observer):
    """Somebody makes a function another one while the swap is under way, and in time the one that it was."""

    def __init__(self, production: Production) -> None:
        self.production = production

    def at(self, moment: str) -> None:
        if moment == "locked":
            with self.production.admin() as admin:
                admin.execute("alter function public.spy_trigger() security invoker")
                admin.execute("alter function public.spy_trigger() security definer")


def test_a_function_that_is_another_one_for_a_moment_ends_the_swap(spied: Production) -> None:
    with spied.admin() as admin:
        admin.execute(SPY_TRIGGER.encode())
        admin.execute("alter function public.spy_trigger() security definer")
        admin.execute(
            "create trigger spied after insert on auth.users for each row execute function public.spy_trigger()"
        )
    order = spied.prepare("r1")
    before = spied.value("select 'public.orders'::regclass::oid")
    with pytest.raises(CutoverError) as raised:
        spied.swap(order, Replaces(spied))
    assert raised.value.code == "swap.foreign-code"
    assert "it was replaced, or came, while the swap" in raised.value.why
    assert spied.value("select 'public.orders'::regclass::oid") == before
    spied.swap(order)
    assert spied.value("select 'public.orders'::regclass::oid") != before


class Adds(Observer):
    """The owner of a table that the swap has not written to yet puts something on it in the last moment."""

    def __init__(self, production: Production, statement: str) -> None:
        self.production = production
        self.statement = statement

    def at(self, moment: str) -> None:
        if moment == "locked":
            with self.production.admin() as admin:
                admin.execute("set role app_owner")
                admin.execute(self.statement.encode())


@pytest.mark.parametrize("is_definer", [False, True])
def test_what_comes_upon_a_table_that_is_first_written_to_in_the_lock_ends_the_swap(
    server: EmbeddedPostgres, is_definer: bool
) -> None:
    """A row outside goes, and one of a further table, which nobody has locked, loses what it refers to."""
    with small(
        server,
        "alter table public.invoices drop constraint invoices_order_id_fkey, "
        "add constraint invoices_order_id_fkey foreign key (order_id) references public.orders on delete cascade",
        "create table public.letters (id integer primary key, invoice_id integer references public.invoices "
        "on delete set null)",
        "insert into public.letters values (1, 1)",
        "create function public.late(integer) returns boolean language plpgsql immutable "
        "as $$ begin return true; end $$",
        *(["alter function public.late(integer) security definer"] if is_definer else []),
    ) as production:
        load = copies(production)
        load["orders"] += " where id <> 1"
        order = production.prepare("r1", load, SET, merged=())
        before = production.value("select 'public.orders'::regclass::oid")
        # a check would have to wait: the swap has read the table
        late = Adds(production, "create index late on public.letters (id) where public.late(id)")
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log, late)
        assert (raised.value.code, raised.value.obj) == ("swap.foreign-code", "public.late(integer)")
        assert production.value("select 'public.orders'::regclass::oid") == before
        assert production.value("select invoice_id from public.letters") == 1
        with production.admin() as admin:
            admin.execute("drop index public.late")
        swap(production.connect, order, production.log)
        assert production.value("select invoice_id from public.letters") is None


# Whatever could end a line, a literal or a body too early, on lines of their own.
LINES = """create table public.of_lines (
    -- a comment with 'a quote, a "name, $$ dollars $body$, 100 %, %s, {braces} and a \\ backslash
    first text default 'it''s
of two lines; and {{goes}} on',\r
    second text default $body$one $$
two \\n$body$ /* of
  two lines */ check (
        second <> 'a
b'
    ),
    third text default E'x\\ny\\'z'
)
-- the end, without a semicolon"""


def test_a_statement_of_several_lines_is_run_as_it_is_written(connection: psycopg.Connection) -> None:
    role = connection.info.user
    owner.run(connection, role, LINES)
    made = connection.execute("insert into public.of_lines default values returning *").fetchone()
    assert made == ("it's\nof two lines; and {{goes}} on", "one $$\ntwo \\n", "x\ny'z")
    row = connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conname ~ 'of_lines'"
    ).fetchone()
    assert row == ("CHECK ((second <> 'a\nb'::text))",)
    assert owner.run(connection, role, "insert into public.of_lines (first)\nvalues ('%s'),\n\n('{}')\n;\n") == 2
    body = "begin\n  -- it's\n  return 'a\nb';\nend"
    owner.run(
        connection, role, f"create function public.of_lines() returns text\nlanguage plpgsql as $f$\n{body}\n$f$;"
    )
    assert connection.execute("select public.of_lines()").fetchone() == ("a\nb",)
