"""A session of ours is what we say, whatever role, database, options or environment say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from cutover.database.connect import (
    LIBPQ_VARIABLES,
    SETTINGS,
    connector,
    options,
    parameters,
    pin_search_path,
    session,
    uri,
)
from cutover.errors import CutoverError
from stack.postgres import EmbeddedPostgres
from stack.settings import plain_dsn

from .pooler import pooler

# For each setting something else, as a role, a database, options or the environment might have it.
OTHERWISE = {
    "search_path": "public, pg_catalog",
    "client_encoding": "LATIN1",
    "TimeZone": "Asia/Jakarta",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "xmlbinary": "hex",
    "xmloption": "document",
    "timezone_abbreviations": "India",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "row_security": "off",
    "gin_fuzzy_search_limit": "10",
    "statement_timeout": "1234",
    "lock_timeout": "1234",
    "idle_in_transaction_session_timeout": "123400",
    "idle_session_timeout": "123400",
    "default_tablespace": "pg_default",
    "jit": "on",
    "plan_cache_mode": "force_generic_plan",
}


@pytest.fixture
def role(server: EmbeddedPostgres, database: str) -> Iterator[str]:
    """A login of its own; its DSN."""
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("create role pinned login password 'pinned'")
    yield conninfo.make_conninfo(database, user="pinned", password="pinned")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("drop role pinned")


def _differing(connection: psycopg.Connection) -> dict[str, object]:
    """The settings of ours that this session does not have."""
    rows = {
        name: connection.execute("select pg_catalog.current_setting(%s, true)", (name,)).fetchone() for name in SETTINGS
    }
    return {name: row for name, row in rows.items() if row not in ((SETTINGS[name],), (None,))}


def test_a_session_has_our_settings_whatever_is_set(role: str, database: str) -> None:
    name = sql.Identifier(str(conninfo.conninfo_to_dict(database)["dbname"]))
    for place in ("role pinned", "role pinned in database {}", "database {}", "options"):
        dsn = conninfo.make_conninfo(role, options=options(**OTHERWISE)) if place == "options" else role
        with psycopg.connect(database, autocommit=True, options="-c search_path=pg_catalog") as admin:
            clause = sql.SQL(place).format(name)
            for setting, value in OTHERWISE.items() if place != "options" else ():
                value_of = sql.SQL(value) if setting == "search_path" else sql.Literal(value)
                admin.execute(
                    sql.SQL("alter {} set {} to {}").format(clause, sql.Identifier(setting.lower()), value_of)
                )
            with psycopg.connect(dsn) as theirs:
                # the test's own claim: each is otherwise for whoever does not say more
                assert set(_differing(theirs)) >= set(OTHERWISE), place
            with session(dsn, "test") as ours:
                assert _differing(ours) == {}, place
                assert ours.execute("show transaction_isolation").fetchone() == ("read committed",)
            if place != "options":
                admin.execute("set default_transaction_read_only = off")
                admin.execute(sql.SQL("alter {} reset all").format(clause))


def test_every_setting_is_among_those_that_are_tried() -> None:
    assert set(SETTINGS) - set(OTHERWISE) == {"lc_monetary", "lc_numeric", "lc_time", "transaction_timeout"}


def test_sessions_that_others_open_for_us_have_our_settings_too(database: str) -> None:
    dsn = conninfo.make_conninfo(database, options=f"{options(**OTHERWISE)} {options()}")
    with psycopg.connect(dsn, client_encoding="UTF8") as connection:
        assert _differing(connection) == {}


def test_a_session_that_skips_triggers_and_keys_is_refused(role: str, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("alter role pinned set session_replication_role = 'replica'")
    with pytest.raises(CutoverError, match=r"connect.replica-role.*(?s:.*)alter role \"pinned\" reset"):
        connector(role, "production", "test")()


@pytest.mark.parametrize("by_transaction", [True, False])
def test_a_pooler_that_mixes_sessions_is_refused_and_one_that_does_not_is_no_matter(
    database: str, by_transaction: bool
) -> None:
    parameters = conninfo.conninfo_to_dict(database)
    with pooler(str(parameters["host"]), int(str(parameters["port"])), by_transaction=by_transaction) as port:
        through = conninfo.make_conninfo(database, port=port)
        if not by_transaction:
            with session(through, "test") as connection:
                assert connection.info.backend_pid == 7
                assert _differing(connection) == {}
            return
        with psycopg.connect(through, autocommit=True) as theirs:
            theirs.execute("select 1")
            with pytest.raises(CutoverError) as raised:
                session(through, "test")
            # our settings were given to none of the sessions that other programs go on to use
            assert {theirs.execute("show jit", prepare=False).fetchone() for _ in range(6)} == {("on",)}
    assert (raised.value.code, raised.value.obj) == ("connect.pooler", f"{parameters['host']}:{port}")
    assert "use a direct connection to the server" in raised.value.remedy


def test_the_environment_neither_redirects_nor_breaks_a_connection(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "nobody",
        "PGPASSWORD": "wrong",
        "PGDATABASE": "none",
        "PGPASSFILE": str(tmp_path),
        "PGSERVICE": "nowhere",
        "PGSERVICEFILE": str(tmp_path / "none"),
        "PGOPTIONS": "-c search_path=public -c nothing.like=this",
        "PGAPPNAME": "other",
        "PGCLIENTENCODING": "LATIN1",
        "PGSSLMODE": "verify-full",
        "PGREQUIRESSL": "1",
        "PGSSLCERT": "/nowhere",
        "PGSSLKEY": "/nowhere",
        "PGSSLROOTCERT": "/nowhere",
        "PGSSLCERTMODE": "require",
        "PGSSLCRL": "/nowhere",
        "PGSSLCRLDIR": "/nowhere",
        "PGSSLCOMPRESSION": "x",
        "PGSSLSNI": "0",
        "PGSSLNEGOTIATION": "direct",
        "PGSSLMINPROTOCOLVERSION": "TLSv1.9",
        "PGSSLMAXPROTOCOLVERSION": "TLSv1.9",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "none",
        "PGREQUIREPEER": "nobody",
        "PGMINPROTOCOLVERSION": "3.9",
        "PGMAXPROTOCOLVERSION": "2.0",
        "PGGSSENCMODE": "require",
        "PGGSSLIB": "none",
        "PGGSSDELEGATION": "x",
        "PGKRBSRVNAME": "x",
        "PGTARGETSESSIONATTRS": "standby",
        "PGLOADBALANCEHOSTS": "x",
        "PGCONNECT_TIMEOUT": "x",
        "PGDATESTYLE": "none",
        "PGTZ": "Nowhere/None",
        "PGGEQO": "x",
    }
    assert set(LIBPQ_VARIABLES) <= set(wrong)
    with monkeypatch.context() as alone:
        for name, value in wrong.items():
            alone.setenv(name, value)
        with session(database, "test") as connection:
            assert connection.info.dbname == conninfo.conninfo_to_dict(database)["dbname"]
            assert _differing(connection) == {}
        assert {name: os.environ.get(name) for name in wrong} == wrong  # and they are still there for others


def test_each_variable_alone_changes_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBPQ_VARIABLES:
        with monkeypatch.context() as alone:
            alone.setenv(name, "192.0.2.1")
            session(database, "test").close()


def test_a_service_file_is_read_only_where_the_connection_names_a_service(
    server: EmbeddedPostgres, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = conninfo.conninfo_to_dict(database)
    (tmp_path / "service").write_text(
        f"[ours]\nhost={parameters['host']}\nport={parameters['port']}\ndbname={parameters['dbname']}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "service"))
    monkeypatch.setenv("PGPORT", "1")
    dsn = conninfo.make_conninfo(service="ours", user=parameters["user"], password=parameters["password"])
    with session(dsn, "test") as connection:
        assert connection.info.dbname == parameters["dbname"]


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (
            "postgres://u:p@/shop?options=-c%20work_mem%3D8MB%20-c%20geqo%3Doff&host=/var/run/postgresql",
            {
                "user": "u",
                "password": "p",
                "dbname": "shop",
                "options": "-c work_mem=8MB -c geqo=off",
                "host": "/var/run/postgresql",
            },
        ),
        (
            "postgres://u:p@db:6432/shop?target_session_attrs=read-write&channel_binding=require&gssencmode=disable",
            {
                "user": "u",
                "password": "p",
                "host": "db",
                "port": "6432",
                "dbname": "shop",
                "target_session_attrs": "read-write",
                "channel_binding": "require",
                "gssencmode": "disable",
            },
        ),
        ("postgres://u@%2Fvar%2Frun/shop", {"user": "u", "host": "/var/run", "dbname": "shop"}),
        ("postgres://u@[::1]:5433/shop", {"user": "u", "host": "::1", "port": "5433", "dbname": "shop"}),
        (
            '{"conn_type": "postgres", "login": "a b", "password": "/?&%+", "schema": "a/b", "port": 5433,'
            ' "extra": {"host": "one,two", "port": "1,2", "sslsni": false, "approvers": "x"}}',
            {"user": "a b", "password": "/?&%+", "dbname": "a/b", "host": "one,two", "port": "1,2", "sslsni": "0"},
        ),
    ],
)
def test_an_airflow_connection_says_all_of_libpq_s_options(connection: str, expected: dict[str, str]) -> None:
    dsn = plain_dsn(connection)
    assert dsn is not None
    assert conninfo.conninfo_to_dict(dsn) == expected


def test_tasks_and_commands_read_a_connection_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection

    text = "postgres://u:p%40@db:6432/shop?options=-c%20geqo%3Doff&sslmode=require&keepalives_count=3&cursor=dict"
    connection = Connection.from_uri(text, conn_id="production")
    options = parameters(
        host=connection.host,
        port=connection.port,
        user=connection.login,
        password=connection.password,
        dbname=connection.schema,
        extra=connection.extra_dejson,
    )
    assert plain_dsn(text) == uri(options)
    assert conninfo.conninfo_to_dict(uri(options)) == options


def test_no_function_of_another_schema_is_taken_for_the_catalogue_s(database: str) -> None:
    """A function of public whose arguments fit better than the catalogue's, and an operator likewise."""
    with psycopg.connect(database) as admin:
        admin.execute(
            "create function public.jsonb_build_object(text, text) returns jsonb "
            "language sql as $$ select '\"stolen\"'::jsonb $$"
        )
        admin.execute("create function public.taken(text, varchar) returns text language sql as $$ select 'stolen' $$")
        admin.execute("create operator public.|| (function = public.taken, leftarg = text, rightarg = varchar)")
        admin.execute("create table public.pg_class (relname text)")
    query = (
        "select jsonb_build_object('a'::text, 'b'::text)::text, 'a'::text || 'b'::varchar, "
        "(select count(*) > 100 from pg_class)"
    )
    with psycopg.connect(database) as theirs:
        assert theirs.execute(query).fetchone() == ('"stolen"', "stolen", True)
    with session(database, "test") as ours:
        assert ours.execute(query).fetchone() == ('{"a": "b"}', "ab", True)
        ours.execute("set search_path = public")
        pin_search_path(ours)
        assert ours.execute(query).fetchone() == ('{"a": "b"}', "ab", True)


def test_a_stack_process_inherits_no_variable_of_libpq(tmp_path: Path) -> None:
    from stack.settings import Settings

    settings = Settings.read({"PATH": os.environ["PATH"], "CUTOVER_HOME": str(tmp_path), "PGHOSTADDR": "192.0.2.1"})
    environment = settings.python_environment()
    program = "import os; print([name for name in os.environ if name.startswith('PG')])"
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_every_function_that_runs_by_itself_or_for_others_says_where_names_are_looked_up(repository: Path) -> None:
    """One in plain SQL may be part of its caller's query, and looks where that does: sessions of ours are pinned."""
    declared = re.compile(r"create (?:or replace )?function (\S+?)\(.*?\bas (?:\$\w*\$|')", re.S)
    folders = ("plugins/cutover/sql", "include/sql", "include/mula_platform/sql")
    functions = [
        (match.group(1), match.group(0))
        for folder in folders
        for path in sorted((repository / folder).rglob("*.sql"))
        for match in declared.finditer(path.read_text())
    ]
    assert len(functions) > 40
    # Asks what the application asks, where that looks, as the tables' owner; nobody sees it: it is never committed.
    as_the_application = {"{schema}.cutover_as_owner"}
    assert {
        name
        for name, head in functions
        if ("plpgsql" in head or "security definer" in head) and "search_path" not in head
    } == as_the_application
