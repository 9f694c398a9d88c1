"""A value is carried as it was written, whatever the writer's session is set to, and capture refuses nothing."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from cutover.swap import capture
from cutover.swap.carry import Carried

from .conftest import Production, back
from .test_carry import carried_since, ready_to_carry

TABLE = ("public", "things")
SHAPE = """
create schema kinds authorization app_owner;
create type kinds.mood as enum ('glad', 'so, so', 'a "b" \\ c', '');
create domain kinds.even as integer check (value % 2 = 0);
create type kinds.pair as (name text, at timestamptz, deep kinds.even[]);
create domain kinds.short as kinds.pair check ((value).name is distinct from 'too long');
create domain kinds.document as json;
create type kinds.span as range (subtype = float8);
grant usage on schema kinds to public;
create table public.things (
    id bigint generated always as identity primary key,
    gone text,
    whole integer, small smallint, exact numeric, real4 real, real8 double precision, truth boolean,
    words text, fixed char(5), letters varchar(40), one "char", named name,
    doc json, docb jsonb, docs json[], docbs jsonb[], kept jsonb not null default '1', own kinds.document,
    day date, clock time, clocktz timetz, moment timestamp, momenttz timestamptz, span interval,
    days daterange, moments tstzrange, stamps tsrange, many datemultirange, ownspan kinds.span,
    bytes bytea, ids uuid, bits bit varying(20), cash money, markup xml, address inet, place point,
    numbers integer[], texts text[], spans interval[], cashes money[], feeling kinds.mood, feelings kinds.mood[],
    even kinds.even, pair kinds.pair, pairs kinds.pair[], short kinds.short, lexemes tsvector, path jsonpath,
    twice integer generated always as (whole * 2) stored,
    constraint odd check (kept is not null)
);
alter table public.things drop column gone;
alter table public.things owner to app_owner;
alter type kinds.mood owner to app_owner; alter type kinds.pair owner to app_owner;
grant select, insert, update, delete on public.things to app;
"""
LOAD = {"things": "insert into staging.things ({0}) overriding system value select {0} from public.things"}
# Every image of both tables, under the settings that lose nothing.
ROWS = "select coalesce(array_agg(concat(t) order by id), '{{}}') from {}.things as t"


def laid(production: Production) -> list[str]:
    """Makes the table, and returns the names of its columns that take values."""
    with production.admin() as admin:
        admin.execute(SHAPE.encode())
        names = admin.execute(
            "select attname from pg_attribute where attrelid = 'public.things'::regclass and attnum > 0 "
            "and not attisdropped and attgenerated = '' order by attnum"
        ).fetchall()
    return [name for (name,) in names]


def prepared(production: Production, run: str, names: list[str]) -> Any:
    listed = sql.SQL(", ").join(sql.Identifier(name) for name in names).as_string()
    return production.prepare(run, {"things": LOAD["things"].format(listed)}, [TABLE])


def rows(production: Production, schema: str) -> list[str]:
    with production.admin() as admin:
        admin.execute("set extra_float_digits = 3; set lc_monetary = 'C'; set timezone = 'UTC'; set datestyle = 'ISO'")
        row = admin.execute(ROWS.format(schema).encode()).fetchone()
    assert row is not None
    return list(row[0])


AWKWARD = {
    "doc": ['{"a":"x\\u0000y"}', "1e400000", '"\\ud800"', '{"b":1, "a":2}', '{"a":1,"a":2}', "1E2", "null", " [ 1 ] "],
    "docb": ["null", '{"a": null}', "[]"],
    "kept": ["null"],
    "own": ["null", '{"a":"\\u0000"}'],
    "docs": ['{"[1,2]","null"}', "{NULL}"],
    "docbs": ['{"[1, 2]"}', '{"null"}', "{NULL,1}"],
    "span": ["-1 days -02:03:04", "-1 days +02:00:00", "1 year -3 days 04:05:06.789"],
    "days": ["[2024-02-01,2024-03-04)"],
    "moments": ["[2024-02-01 00:00+02,2024-03-04 12:00+05:30)"],
    "many": ["{[2024-02-01,2024-03-04),[2025-01-02,2025-03-04)}"],
    "momenttz": [
        "1900-01-01 00:00:00+00:19:32",
        "infinity",
        "0044-03-15 12:00:00+00 BC",
        "2024-05-06 07:08:09.123456+00",
    ],
    "real8": ["0.30000000000000004", "-0", "1.7976931348623157e308", "NaN", "0.12345678901234568", "5e-324"],
    "real4": ["-0", "1.1754944e-38", "3.4028235e38"],
    "exact": ["NaN", "1.00", "-0.000", "Infinity", "12345678901234567890.123456789"],
    "numbers": ["[5:7]={1,2,3}", "{}", "{{1,2},{3,NULL}}"],
    "markup": ["<a b='1'>x &amp; y</a>", "<?xml version='1.0'?><a/>", "text <b/> and more"],
    "texts": ['{"a,b","(c)","\\"d\\"","\\\\",NULL,"NULL",""}'],
    "words": ["", " ", '(a,"b")', "\\", "line\nbreak\ttab", "null", '"', "é漢"],
    "pair": ['("a ""b"" (c), d","2024-05-06 07:08:09+00","{2,4}")', "(,,)"],
    "pairs": ['{"(x,,)",NULL}'],
    "short": ["(a,,)"],
    "cash": ["1234.56", "-0.01"],
    "cashes": ["{1.5,-2}"],
    "bytes": ["\\x00ff5c27", ""],
    "feeling": ['a "b" \\ c', "", "so, so"],
    "spans": ['{"-1 days -02:03:04"}'],
    "ownspan": ["[0.30000000000000004,1e300)"],
}
SETTINGS = {
    "intervalstyle": ["sql_standard", "postgres_verbose", "iso_8601", "postgres"],
    "datestyle": ["SQL, DMY", "German", "Postgres, MDY", "ISO, DMY"],
    "timezone": ["Asia/Kolkata", "America/St_Johns", "UTC", "Europe/Amsterdam"],
    "extra_float_digits": ["-3", "0", "3"],
    "bytea_output": ["escape", "hex"],
    "lc_monetary": ["C", "POSIX"],
    "xmloption": ["document", "content"],
    "search_path": ["kinds", "public", ""],
    "session_replication_role": ["replica", "origin"],
    "default_transaction_isolation": ["serializable", "repeatable read", "read committed"],
    "row_security": ["on", "off"],
}


def inserted(admin: psycopg.Connection, values: dict[str, str]) -> None:
    """One row; each value as the text of its type, read under settings that PostgreSQL always understands."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in values)
    given = sql.SQL(", ").join(sql.Literal(value) for value in values.values())
    admin.execute(sql.SQL("insert into public.things ({}) values ({})").format(names, given))


@pytest.fixture
def things(empty_production: Production) -> Production:
    return empty_production


def test_what_postgresql_accepts_is_accepted_and_carried_as_it_is(things: Production) -> None:
    """Through a swap and its rollback: written with every setting that changes how a value looks."""
    names = laid(things)
    order = prepared(things, "r1", names)

    def write() -> None:
        with things.admin() as admin:
            for turn in range(4):
                for name, choices in SETTINGS.items():
                    if name not in ("datestyle", "intervalstyle", "xmloption"):
                        admin.execute("select set_config(%s, %s, false)", (name, choices[turn % len(choices)]))
                for column, texts in AWKWARD.items():
                    for text in texts:
                        admin.execute(
                            "set datestyle = 'ISO'; set intervalstyle = 'postgres'; set xmloption = 'content'"
                        )
                        values = sql.SQL("prepare w as insert into public.things ({}) values ({})").format(
                            sql.Identifier(column), sql.Literal(text)
                        )
                        try:
                            admin.execute(values)
                        except psycopg.errors.FeatureNotSupported:
                            assert column == "markup", "this server was built without XML"
                            continue
                        for name in ("datestyle", "intervalstyle", "xmloption"):
                            choices = SETTINGS[name]
                            admin.execute("select set_config(%s, %s, false)", (name, choices[turn % len(choices)]))
                        admin.execute("execute w; deallocate w")
                admin.execute("update public.things set whole = id where id % 3 = 0")
                admin.execute("update public.things set docb = 'null' where docb is null and id % 5 = 0")
                admin.execute("update public.things set truth = true, doc = doc")
                admin.execute("update public.things set id = default where id % 7 = 0")
                admin.execute("update public.things set small = 7 where id > 20")
                admin.execute("delete from public.things where id % 11 = 0")

    write()
    before = rows(things, "public")
    entry = things.swap(order)
    assert sum(c["quarantined"] for c in entry.carried) == 0, things.value(
        "select array_agg(distinct sqlstate || ' ' || reason) from cutover.quarantine"
    )
    assert rows(things, "public") == before
    write()
    before = rows(things, "public")
    entry = things.swap(back(things, "b1"))
    assert sum(c["quarantined"] for c in entry.carried) == 0
    assert rows(things, "public") == before


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
).map(psycopg.types.json.Jsonb)
ANY: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**30), 2**30),
    "real8": st.floats(),
    "real4": st.floats(width=32),
    "exact": st.decimals(allow_nan=True, allow_infinity=False),
    "words": TEXTS,
    "letters": TEXTS,
    "texts": st.lists(st.none() | TEXTS, max_size=4),
    "docb": JSON,
    "day": st.dates(),
    "moment": st.datetimes(),
    "momenttz": st.datetimes(timezones=st.timezones()),
    "span": st.timedeltas(),
    "bytes": st.binary(max_size=20),
    "ids": st.uuids(),
    "numbers": st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=4),
    "even": st.integers(-(2**29), 2**29).map(lambda n: n * 2),
    "truth": st.booleans(),
}
AT_RANDOM = st.one_of(
    *(st.tuples(st.just(name), values) for name, values in ANY.items()),
    *(st.tuples(st.just(name), st.sampled_from(texts)) for name, texts in AWKWARD.items()),
)
SESSION = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(choices) for name, choices in SETTINGS.items() if name != "xmloption"}
)
DEED = st.tuples(
    st.sampled_from(["insert", "update", "update", "move", "delete"]),
    st.integers(0, 8),
    st.lists(AT_RANDOM, max_size=4),
)


# Settings of a session, and what it does: which deed, to which row, with which values.
Sessions = list[tuple[dict[str, str], list[tuple[str, int, list[tuple[str, Any]]]]]]


EXAMPLES = int(os.environ.get("CUTOVER_EXAMPLES", "60"))
drawn = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
histories = given(st.lists(st.tuples(SESSION, st.lists(DEED, min_size=1, max_size=4)), min_size=1, max_size=6))


def do(admin: psycopg.Connection, deed: str, which: int, values: dict[str, Any]) -> None:
    """One deed of a client."""
    target = sql.SQL("id = (select id from public.things order by id offset {} limit 1)").format(sql.Literal(which))
    if deed == "insert":
        chosen = values or {"whole": 1}
        admin.execute(
            sql.SQL("insert into public.things ({}) values ({})").format(
                sql.SQL(", ").join(sql.Identifier(name) for name in chosen),
                sql.SQL(", ").join(sql.Placeholder() for _ in chosen),
            ),
            list(chosen.values()),
        )
    elif deed == "update" and values:
        sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        admin.execute(sql.SQL("update public.things set {} where ").format(sets) + target, list(values.values()))
    elif deed == "move":
        admin.execute(sql.SQL("update public.things set id = default where ") + target)
    elif deed == "delete":
        admin.execute(sql.SQL("delete from public.things where ") + target)


def write(things: Production, sessions: Sessions) -> None:
    """A history of clients, each with settings of its own."""
    with things.admin() as admin:
        for chosen, deeds in sessions:
            admin.execute("reset all")
            for name, value in chosen.items():
                admin.execute("select set_config(%s, %s, false)", (name, value))
            for deed, which, values in deeds:
                # a text that this session reads otherwise, or a value out of range: not written, so not carried
                try:
                    do(admin, deed, which, dict(values))
                except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.DatatypeMismatch):
                    continue
                except psycopg.errors.FeatureNotSupported:
                    assert "markup" in dict(values), "this server was built without XML"


def test_random_values_of_random_types_under_random_settings_become_the_same(things: Production) -> None:
    names = laid(things)
    order = prepared(things, "r1", names)
    scope = ready_to_carry(things, order)
    since, carried = order.since, 0

    @drawn
    @histories
    def carry(sessions: Sessions) -> None:
        nonlocal since, carried
        write(things, sessions)
        counts: list[Carried]
        counts, since = carried_since(things, order, scope, since)
        assert sum(c.quarantined for c in counts) == 0
        assert rows(things, "staging") == rows(things, "public")
        carried += sum(c.carried for c in counts)

    carry()
    assert carried > 50


def test_random_values_come_through_a_swap_and_its_rollback(things: Production) -> None:
    names = laid(things)

    @drawn
    @histories
    def some(sessions: Sessions) -> None:
        write(things, sessions)

    order = prepared(things, "r1", names)
    for step in ("swap", "rollback"):
        some()
        before = rows(things, "public")
        entry = things.swap(order if step == "swap" else back(things, "b1"))
        assert sum(c["carried"] for c in entry.carried) > 0 == sum(c["quarantined"] for c in entry.carried)
        assert rows(things, "public") == before, step


def test_an_image_is_recorded_with_the_last_column_that_its_row_has(things: Production) -> None:
    """Whatever came and went since the session has planned its capture, and whatever its snapshot sees."""
    last = "select attributes from cutover.changelog order by change_id desc limit 1"
    with things.admin() as admin:
        admin.execute("create table public.wide (a int primary key, b text, c text); grant all on public.wide to app")
        things.install()
        capture.install(admin, [("public", "wide")])
        admin.commit()
    with psycopg.connect(things.app_dsn) as app, things.admin() as admin:
        admin.autocommit = True
        for number in range(8):
            app.execute("insert into public.wide (a) values (%s)", (number,))
            app.execute("update public.wide set a = a where a = %s", (number,))
        app.commit()
        assert things.value(last) == 3
        app.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        app.execute("select 1")
        admin.execute("alter table public.wide add column d text, drop column b")
        app.execute("insert into public.wide (a) values (100)")
        app.commit()
        assert things.value(last) == 4
        name = "wide"
        for change, number in (
            ("add column e int default 7", 5),
            ("drop column e", 4),
            ("add column f text, add column g text, drop column d", 7),
            ("rename to wider", 7),
            ("drop column g", 6),
        ):
            admin.execute(f"alter table public.{name} {change}".encode())
            name = change.removeprefix("rename to ") if change.startswith("rename") else name
            app.execute(f"update public.{name} set a = a where a = 100".encode())
            app.commit()
            assert things.value(last) == number, change
        # what a session does itself counts at once, and no more once it is taken back
        admin.autocommit = False
        admin.execute("alter table public.wider add column h text; delete from public.wider where a = 1")
        assert admin.execute(last.encode()).fetchone() == (8,)
        admin.rollback()
        admin.execute("delete from public.wider where a = 1")
        assert admin.execute(last.encode()).fetchone() == (6,)
        admin.rollback()


def test_the_columns_of_an_image_are_told_or_it_says_that_they_cannot_be(things: Production) -> None:
    """Whoever writes with a snapshot from before so many columns: what is recorded names none of them wrongly."""
    names = (
        "select cutover.image_names(l.relid, l.attributes, cutover.image_width(l.new_image), null) "
        "from cutover.changelog as l order by l.change_id desc limit 1"
    )
    with things.admin() as admin:
        admin.execute("create table public.wide (a int primary key, b text); grant all on public.wide to app")
        things.install()
        capture.install(admin, [("public", "wide")])
        admin.commit()
        admin.autocommit = True
        for came in (32, 33):
            with psycopg.connect(things.app_dsn) as app:
                app.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                app.execute("select 1")
                columns = [f"c{came}_{n}" for n in range(came)]
                admin.execute(f"alter table public.wide {', '.join(f'add {name} text' for name in columns)}".encode())
                app.execute("insert into public.wide (a) values (%s)", (came,))
            named = things.value(names)
            assert named is None if came > 32 else named == ["a", "b", *columns]
