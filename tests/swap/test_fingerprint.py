"""What a fingerprint notices: everything that anybody could read in a table, whatever its columns are called."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from cutover.database.statements import ENGINE
from cutover.errors import CutoverError
from cutover.swap import fingerprint
from stack.postgres import EmbeddedPostgres, bin_dir
from tests import databases

from .schemas import Schema, Table
from .test_any_schema import drop, make, swapped

# Types that have no equality, or none that tells everything apart, beside those that have.
TYPES = """
    create type mood as enum ('calm', 'keen');
    create domain grade as integer check (value between 1 and 5);
    create type place as (name text, at point);
    create table public.odd (
        id bigint primary key, t text, r integer, "row" text, "quo""te" text, "Übung" numeric, doc json, docb jsonb,
        at point, area polygon, price money, bits bit varying, way jsonpath, words tsvector, span interval,
        feeling mood, mark grade, home place, moods mood[], real_ float8, exact numeric, raw bytea, since timestamptz,
        during tstzrange, name "char", doubled numeric generated always as (exact * 2) stored
    );
    insert into public.odd (
        id, t, r, "row", "quo""te", "Übung", doc, docb, at, area, price, bits, way, words, span, feeling, mark,
        home, moods, real_, exact, raw, since, during, name
    )
    select
        n, 't' || n, n, 'row' || n, null, n, '{"b": 1,  "a": 2}', '{"b": 1, "a": 2}', point(n, 0.1),
        '((0,0),(1,1),(1,0))', n::numeric::money, b'101', '$.a', 'a b', '1 mon', 'keen', 3, '(here,"(1,2)")'::place,
        array['calm', 'keen']::mood[], 0, 1.0, '\\x00ff', '2026-01-02 03:04:05.678901+02', '[2026-01-01, 2026-02-01)',
        'a'
    from generate_series(1, 40) as n
"""


def digest(connection: psycopg.Connection, *relation: str) -> fingerprint.Content:
    """The digest of one table's content."""
    with fingerprint.pinned(connection):
        return fingerprint.content(connection, sql.Identifier(*relation))


@pytest.fixture
def odd(connection: psycopg.Connection) -> psycopg.Connection:
    """A database with a table of odd types."""
    connection.execute(TYPES.encode())
    connection.commit()
    return connection


CHANGES = [
    "update odd as o set \"Übung\" = p.\"Übung\" from odd as p where o.id in (1, 2) and p.id = 3 - o.id",
    "update odd set t = \"row\", \"row\" = t where id = 3",
    "update odd set \"quo\"\"te\" = '' where id = 3",
    "update odd set r = r + 1 where id = 3",
    "update odd set doc = '{\"b\": 1, \"a\": 2}' where id = 3",
    "update odd set at = point(3, 0.10000000000000002) where id = 3",
    "update odd set price = '3.01' where id = 3",
    "update odd set bits = b'0101' where id = 3",
    "update odd set span = '30 days' where id = 3",
    "update odd set feeling = 'calm' where id = 3",
    "update odd set mark = 4 where id = 3",
    "update odd set home.at = point(1, 3) where id = 3",
    "update odd set moods = '{keen,calm}' where id = 3",
    "update odd set moods = '[0:1]={calm,keen}' where id = 3",
    "update odd set real_ = '-0' where id = 3",
    "update odd set exact = 1.00 where id = 3",
    "update odd set since = since + interval '1 microsecond' where id = 3",
    "update odd set during = '[2026-01-01, 2026-02-01]' where id = 3",
    "update odd set id = 4294967296 where id = 1",
    "delete from odd where id = 3",
    "alter type mood rename value 'keen' to 'eager'",
    "alter table odd drop column r",
    "alter table odd rename column t to z",
]  # fmt: skip


def test_every_change_of_content_changes_the_digest(odd: psycopg.Connection) -> None:
    before = digest(odd, "public", "odd")
    assert before.rows == 40
    for change in CHANGES:
        with odd.transaction(force_rollback=True):
            assert odd.execute(change.encode()).rowcount
            assert digest(odd, "public", "odd").digest != before.digest, change
    assert digest(odd, "public", "odd") == before


def test_the_digest_depends_on_no_setting_and_on_no_order(odd: psycopg.Connection) -> None:
    before = digest(odd, "public", "odd")
    odd.execute("create table again as select * from odd order by id desc")
    odd.execute(
        "set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set timezone = 'Asia/Manila'; "
        "set extra_float_digits = 0; set bytea_output = 'escape'; set search_path = public; set xmlbinary = 'hex'; "
        "set quote_all_identifiers = on"
    )
    assert digest(odd, "public", "again") == before
    assert odd.execute("select current_setting('datestyle'), current_setting('timezone')").fetchone() == (
        "SQL, DMY",
        "Asia/Manila",
    )
    odd.execute("insert into again select * from odd where id = 3")
    twice = digest(odd, "public", "again")
    assert twice.rows == 41 and twice.digest != before.digest


def test_a_cast_of_the_applications_own_has_no_say(odd: psycopg.Connection) -> None:
    before = digest(odd, "public", "odd")
    odd.execute(
        "create function hide(public.odd) returns text immutable language sql return 'nothing'; "
        "create cast (public.odd as text) with function hide(public.odd) as implicit; "
        "create function hide_mood(mood) returns text immutable language sql return 'nothing'; "
        "create cast (mood as text) with function hide_mood(mood) as implicit; "
        "create function public.sha256(bytea) returns bytea immutable language sql return $1; "
        "create schema shadow; create function shadow.convert_to(text, text) returns bytea "
        "language sql return null::bytea; "
        "set search_path = shadow, public, pg_catalog"
    )
    assert digest(odd, "public", "odd") == before
    odd.execute("update public.odd set t = 'other' where id = 3")
    assert digest(odd, "public", "odd").digest != before.digest


def test_tables_without_rows_or_columns_have_a_digest(connection: psycopg.Connection) -> None:
    connection.execute("create table empty (id integer); create table bare (); insert into bare default values")
    empty, bare = digest(connection, "public", "empty"), digest(connection, "public", "bare")
    assert (empty.rows, bare.rows) == (0, 1)
    assert empty.digest != bare.digest


@pytest.fixture
def other(server: EmbeddedPostgres) -> Iterator[str]:
    """The name of a second database, of another encoding's collation and without rows."""
    name = f"restored_{os.getpid()}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0 locale 'C'").format(sql.Identifier(name)))
    yield name
    databases.drop(server, name)


def test_anybody_can_compute_the_digest_again_from_a_dump(
    server: EmbeddedPostgres, odd: psycopg.Connection, other: str
) -> None:
    odd.execute('create table public."Odd ""name" as select id, "quo""te", span from odd')
    odd.commit()
    path = ENGINE / "fingerprint" / "content.psql"
    dump = [str(bin_dir() / "pg_dump"), "--dbname", server.dsn(odd.info.dbname), "--format=plain"]
    restore = [
        str(bin_dir() / "psql"),
        "--quiet",
        "--no-psqlrc",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        server.dsn(other),
    ]
    text = subprocess.run(dump, check=True, capture_output=True).stdout
    subprocess.run(restore, check=True, capture_output=True, input=text)
    for relation in (("public", "odd"), ("public", 'Odd "name')):
        digests = digest(odd, *relation)
        table = f"table={sql.Identifier(*relation).as_string(odd)}"
        again = subprocess.run(
            [*restore, "--tuples-only", "--no-align", "--set", table, f"--file={path}"],
            check=True, capture_output=True, text=True,
            env={**os.environ, "PGDATESTYLE": "SQL, DMY", "PGTZ": "Asia/Manila"},
        )  # fmt: skip
        assert again.stdout.strip() == f"{digests.rows}|{digests.digest}"


# One table with types that can be named in two ways, and columns that are called like aliases.
SALES = Schema(
    [Table("public", "sales", True)],
    [
        "create type public.sale_status as enum ('new', 'paid')",
        "create domain public.grade as integer check (value > 0)",
        "create type public.place as (street text, at point)",
        "create table public.sales (id bigint primary key, t text, r timestamptz, "
        "status public.sale_status not null, grade public.grade, place public.place, doc json, "
        "words tsvector, amount numeric(10, 2), flags bit(3))",
        "insert into public.sales select n, 'x', now(), 'paid', 1, '(a,\"(1,1)\")'::public.place, '{}', 'a', n, "
        "b'101' from generate_series(1, 20) as n",
        "alter table public.sales owner to app_owner",
    ],
)


def test_columns_of_types_outside_pg_catalog_can_be_approved_and_swapped(server: EmbeddedPostgres) -> None:
    from bench.production import make_roles

    make_roles(server)
    production = make(server, SALES)
    try:
        swapped(production, SALES, "r1")
        assert production.value("select sum(amount) from public.sales where status = 'paid'") == 210
    finally:
        drop(server, production)


def test_a_column_called_like_an_alias_hides_no_other(server: EmbeddedPostgres) -> None:
    from bench.production import make_roles

    make_roles(server)
    production = make(server, SALES)
    try:
        order = production.prepare(
            "r1", {"sales": "insert into staging.sales select * from public.sales"}, SALES.swapped, merged=()
        )
        with production.admin() as admin:
            admin.execute("update staging.sales set amount = 999999 where id = 1")
        with pytest.raises(CutoverError, match=r"swap\.not-approved"):
            production.swap(order)
    finally:
        drop(server, production)
