"""What would stop a launch later is found before anything is made, with the statement that clears it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from cutover import freeze, migration, preflight
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.errors import CutoverError
from demo import production
from demo.population import Population, Profile
from stack.postgres import EmbeddedPostgres

PASSWORD = "only-for-this-test-server"
RUN = "r20251102_081500_1f0c9a"
CLEAN_LAUNCH = migration.load("clean_launch")
POPULATION = Population(profile=Profile().shrunk(40))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of this module's own: rights are taken from roles, which all databases of a server share."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    embedded.start()
    production.load(embedded.dsn(), 1, PASSWORD, population=POPULATION)
    yield embedded
    embedded.remove()


@pytest.fixture
def admin(cluster: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """The demonstration's production as superuser; the role ``cutover`` has in it what docs/roles.md says."""
    with psycopg.connect(cluster.dsn("template1"), autocommit=True) as maker:
        maker.execute("create database production template postgres")
    with psycopg.connect(cluster.dsn("production"), autocommit=True) as connection:
        connection.execute("drop owned by cutover; revoke app_owner, pg_read_all_stats from cutover")
        connection.execute("set cutover.owner = 'app_owner'")
        connection.execute("set cutover.merged = 'auth.users'")
        connection.execute("set cutover.inserts = 'auth.identities'")
        deletes = ", ".join(CLEAN_LAUNCH.deletes)
        connection.execute("select set_config('cutover.deletes', %s, false)", (deletes,))
        connection.execute(files.text("roles.sql").encode())
        yield connection
    with psycopg.connect(cluster.dsn("template1"), autocommit=True) as maker:
        maker.execute("drop database production with (force)")


@pytest.fixture
def connect(admin: psycopg.Connection, cluster: EmbeddedPostgres) -> Connect:
    """Opens the production as the role that migrates."""
    return connector(cluster.dsn("production", "cutover", PASSWORD), "production", "test")


def reasons(connect: Connect) -> list[CutoverError]:
    """What the first task of a launch finds."""
    try:
        preflight.require_rights(connect, CLEAN_LAUNCH)
        freeze.install(connect, CLEAN_LAUNCH)
        preflight.check(connect, CLEAN_LAUNCH, RUN, print)
    except preflight.PreflightError as error:
        return error.reasons
    return []


def test_the_documented_rights_are_enough(connect: Connect) -> None:
    assert reasons(connect) == []


@pytest.mark.parametrize(
    ("taken", "codes"),
    [
        ("revoke create on database production from cutover, cutover_transform", "preflight.cannot-create-schemas"),
        ("revoke create on schema public from cutover, app_owner, public", "preflight.cannot-create-tables"),
        ("revoke pg_read_all_stats from cutover", "preflight.cannot-see-sessions"),
        ("revoke usage on schema auth from cutover, cutover_transform, app_owner", "preflight.cannot-use-schema"),
        ("revoke insert on auth.users from cutover", "preflight.cannot-write"),
        # without it the lock on the accounts is refused, an hour later and inside the swap
        ("revoke update, truncate on auth.users from cutover", "preflight.cannot-write"),
        ("revoke insert on auth.identities from cutover", "preflight.cannot-write"),
        # without them a stranger's session outlives the launch that made the account a customer's
        ("revoke delete on auth.users from cutover", "preflight.cannot-delete"),
        ("revoke delete on auth.sessions from cutover", "preflight.cannot-delete"),
        ("revoke select (user_id) on auth.flow_state from cutover", "preflight.cannot-delete"),
        ("revoke select (identity_data) on auth.identities from cutover", "preflight.cannot-delete"),
        ("alter role cutover nobypassrls", "preflight.rows-hidden"),
        # what the role could do as a member of the owner: change the set's tables, and refer to the others
        ("revoke app_owner from cutover", "preflight.not-owner preflight.may-not-refer"),
    ],
)
def test_a_missing_right_is_named_with_the_statement_that_gives_it(
    admin: psycopg.Connection, connect: Connect, taken: str, codes: str
) -> None:
    admin.execute(taken.encode())
    reasons_given = reasons(connect)
    assert {one.code for one in reasons_given} == set(codes.split())
    assert all(one.why.endswith(".") and not one.why.endswith("..") for one in reasons_given)
    # every object has its own reason, and often the same statement
    for remedy in {one.remedy for one in reasons_given}:
        admin.execute(remedy.encode())
    assert reasons(connect) == []


def test_nothing_is_made_before_the_rights_are_there(admin: psycopg.Connection, connect: Connect) -> None:
    before = admin.execute("select count(*) from pg_class").fetchone()
    admin.execute(b"revoke insert on auth.users from cutover")
    assert len(reasons(connect)) == 1
    assert admin.execute("select count(*) from pg_class").fetchone() == before


def test_a_table_that_receives_rows_and_is_not_there_is_named(admin: psycopg.Connection, connect: Connect) -> None:
    admin.execute("drop table auth.identities")
    (reason,) = reasons(connect)
    assert (reason.code, reason.obj) == ("preflight.table-missing", "auth.identities")


def test_an_old_server_is_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "OLDEST_SERVER", 990_000)
    assert [one.code for one in reasons(connect)] == ["preflight.old-server"]


def test_a_swap_that_was_not_finished_is_named_with_the_task_that_finishes_it(
    admin: psycopg.Connection, connect: Connect
) -> None:
    assert reasons(connect) == []
    with opened(connect) as connection:
        connection.execute(
            "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, approved_by, attempts, "
            "tables, carried, snapshot, xid, started_at, locked_at) values ('r1', 'clean_launch', 'swap', "
            "'backup_r1', 'f', 'reviewer', 1, '[]', '[]', pg_current_snapshot(), pg_current_xact_id(), now(), now())"
        )
    (reason,) = reasons(connect)
    assert (reason.code, reason.obj) == ("preflight.unfinished-run", "swap r1")
    assert "clear its task swap" in reason.remedy


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            "alter table public.affiliates add column number bigint generated by default as identity",
            "only production has: number bigint",
        ),
        ("alter table public.affiliates drop column total_earned cascade", "only the migration has: total_earned num"),
        ("alter table public.affiliates alter status drop not null", "only production has: status text"),
    ],
)
def test_a_table_of_another_shape_is_named_with_the_difference(
    admin: psycopg.Connection, connect: Connect, change: str, difference: str
) -> None:
    admin.execute(change.encode())
    (reason,) = reasons(connect)
    assert (reason.code, reason.obj) == ("preflight.shape-differs", '"public"."affiliates"')
    assert difference in reason.why


def test_a_column_that_a_feature_has_added_is_in_nobody_s_way(admin: psycopg.Connection, connect: Connect) -> None:
    admin.execute(b"alter table public.affiliates add column note text, add column level integer not null default 1")
    assert reasons(connect) == []


def test_every_reason_is_in_one_message(admin: psycopg.Connection, connect: Connect) -> None:
    admin.execute(b"revoke pg_read_all_stats from cutover; revoke insert on auth.users from cutover")
    with pytest.raises(preflight.PreflightError) as raised:
        preflight.require_rights(connect, CLEAN_LAUNCH)
    assert str(raised.value).count("To clear it: grant ") == 2


@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        ("postgresql://cutover:a-secret@127.0.0.1:1/production", "connect.unreachable"),
        ("postgresql://nobody:a-secret@127.0.0.1:{port}/postgres", "connect.refused"),
    ],
)
def test_a_database_that_does_not_let_us_in_is_told_without_the_secret(
    cluster: EmbeddedPostgres, dsn: str, code: str
) -> None:
    dsn = dsn.format(port=cluster.port)
    with pytest.raises(CutoverError) as raised:
        preflight.require_rights(connector(dsn, "production", "test"), CLEAN_LAUNCH)
    assert raised.value.code == code
    assert "connection production" in str(raised.value) and "a-secret" not in str(raised.value)


def test_an_owner_that_is_not_inherited_from_is_found(connect: Connect, admin: psycopg.Connection) -> None:
    version = admin.info.server_version
    admin.execute(
        "grant app_owner to cutover with inherit false" if version >= 160_000 else "alter role cutover noinherit"
    )
    try:
        codes = reasons(connect)
        assert {reason.code for reason in codes} >= {"preflight.not-inherited"}
        admin.execute(next(r.remedy for r in codes if r.code == "preflight.not-inherited").encode())
        assert reasons(connect) == []
    finally:
        admin.execute("alter role cutover inherit")


# of every command that a launch may need, by the tag that an event trigger sees
TAGS = [
    *(f"CREATE {kind}" for kind in ("SCHEMA", "TABLE", "INDEX", "TRIGGER", "RULE", "STATISTICS", "TYPE", "POLICY")),
    *(f"CREATE {kind}" for kind in ("VIEW", "MATERIALIZED VIEW", "FUNCTION", "SEQUENCE")),
    *(f"ALTER {kind}" for kind in ("TABLE", "SEQUENCE", "FUNCTION", "POLICY", "STATISTICS", "INDEX", "PUBLICATION")),
    *(f"ALTER {kind}" for kind in ("MATERIALIZED VIEW", "ROUTINE")),
    *(f"DROP {kind}" for kind in ("POLICY", "RULE", "TRIGGER", "SCHEMA")),
    *("REFRESH MATERIALIZED VIEW", "COMMENT", "GRANT", "REVOKE"),
]


def test_an_event_trigger_that_forbids_ddl_is_found_by_trying(connect: Connect, admin: psycopg.Connection) -> None:
    admin.execute(
        "create function public.forbid() returns event_trigger language plpgsql as "
        "$$ begin if current_user <> 'postgres' then raise exception 'only the administrator'; end if; end $$"
    )
    # one that is in nobody's way, for what is tried to be tried
    admin.execute(
        "create event trigger idle on ddl_command_start when tag in ('DROP CAST') execute function public.forbid()"
    )
    admin.execute("create publication sent for table public.transactions")
    admin.execute("alter publication sent owner to app_owner")
    for tag in TAGS:
        admin.execute(
            f"create event trigger guard on ddl_command_start when tag in ('{tag}') execute function public.forbid()"
        )
        (reason,) = [r for r in _rights_of(connect) if r.code == "preflight.ddl-refused"]
        assert reason.obj == "event trigger guard, idle"
        assert "only the administrator" in reason.why, (tag, reason.why)
        admin.execute("alter event trigger guard disable")
        assert _rights_of(connect) == []
        admin.execute("drop event trigger guard")
    assert admin.execute("select count(*) from pg_namespace where nspname ~ 'cutover_try'").fetchone() == (0,)


def test_an_event_trigger_that_guards_the_schema_of_the_set_is_found_and_nobody_waits_for_it(
    connect: Connect, admin: psycopg.Connection
) -> None:
    admin.execute(
        "create function public.guard() returns event_trigger language plpgsql as $$ begin "
        "if exists (select from pg_event_trigger_ddl_commands() as d where d.schema_name = 'public' "
        "and d.command_tag = 'ALTER TABLE' and current_user <> 'postgres') "
        "then raise exception 'nobody alters public'; end if; end $$"
    )
    admin.execute("create event trigger guard on ddl_command_end execute function public.guard()")
    (reason,) = [r for r in _rights_of(connect) if r.code == "preflight.ddl-refused"]
    assert (reason.obj, "nobody alters public" in reason.why) == ("event trigger guard", True)
    admin.execute(
        "create or replace function public.guard() returns event_trigger language plpgsql as $$ "
        "declare held text = (select string_agg(c.relname || ' ' || l.mode, ', ') from pg_locks as l "
        "join pg_class as c on c.oid = l.relation where l.pid = pg_backend_pid() and c.oid >= 16384 "
        "and c.relnamespace = 'public'::regnamespace and c.relname !~ 'cutover_try' and c.relkind <> 'i'); "
        "begin if current_user <> 'postgres' and held <> '' then raise exception 'locked %', held; end if; end $$"
    )
    assert _rights_of(connect) == []


def _rights_of(connect: Connect) -> list[CutoverError]:
    try:
        preflight.require_rights(connect, CLEAN_LAUNCH)
    except preflight.PreflightError as error:
        return error.reasons
    return []


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_the_sources_is_refused(cluster: EmbeddedPostgres, encoding: str) -> None:
    with psycopg.connect(cluster.dsn("template1"), autocommit=True) as maker:
        how = f"encoding '{encoding}' locale_provider libc locale 'C' template template0"
        maker.execute(f"create database narrow {how}")
        try:
            rights = _rights_of(connector(cluster.dsn("narrow"), "production", "test"))
            assert [r.obj for r in rights if r.code == "preflight.encoding"] == ["database narrow"]
        finally:
            maker.execute("drop database narrow with (force)")
