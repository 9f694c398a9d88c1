"""Only what cannot be applied goes to the quarantine, and none of the application's code runs as the engine."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cutover.records import ledger
from cutover.swap.carry import carry
from cutover.swap.order import read_scope

from .conftest import Production
from .test_carry import ready_to_carry
from .test_values import prepared, rows

SMALL = """
create table public.persons (id integer primary key, name text);
create table public.things (id integer primary key, owner integer, place integer, words text);
alter table public.things add constraint owned foreign key (owner) references public.persons deferrable;
alter table public.things add constraint placed unique (place) deferrable initially deferred;
alter table public.persons owner to app_owner; alter table public.things owner to app_owner;
insert into public.persons select n, 'p' || n from generate_series(1, 5) as n;
insert into public.things select n, n, n, 'w' from generate_series(1, 5) as n;
"""
TABLES = [("public", "persons"), ("public", "things")]


def written(production: Production, *transactions: str) -> None:
    """As a superuser, each in a transaction of its own."""
    with production.admin() as admin:
        for text in transactions:
            with admin.transaction():
                admin.execute(text.encode())


def set_aside(production: Production) -> list[tuple[str, str, str]]:
    """What is in quarantine: operation, SQLSTATE, and the words of the row."""
    with production.admin() as admin:
        return admin.execute(
            "select operation, sqlstate, coalesce(new_row, old_row) ->> 'words' from cutover.quarantine "
            "order by change_id"
        ).fetchall()


def test_a_write_that_breaks_a_deferrable_constraint_is_the_only_one_in_quarantine(
    empty_production: Production,
) -> None:
    production = empty_production
    written(production, SMALL)
    load = {
        "persons": "insert into staging.persons select * from public.persons where id <> 3",
        "things": "insert into staging.things select id, id % 2 + 1, place, words from public.things; "
        "insert into staging.things values (90, 1, 90, 'staged')",
    }
    order = production.prepare("r1", load, TABLES)
    written(
        production,
        "insert into public.things values (10, 3, 10, 'its owner was left out')",
        # in the order that only a deferrable constraint allows
        "set constraints all deferred; insert into public.things values (11, 7, 11, 'before its owner'); "
        "insert into public.persons values (7, 'late')",
        "update public.things set place = 2, words = 'was 1' where id = 1; "
        "update public.things set place = 1, words = 'was 2' where id = 2",
        "insert into public.things values (12, 1, 90, 'taken')",
        "insert into public.things values (13, 1, 13, 'beside it'); "
        "insert into public.things values (14, 3, 14, 'left out, too')",
        "update public.things set words = 'later' where id = 11",
        "update public.things set words = 'never there' where id = 12",
    )
    entry = production.swap(order)
    assert set_aside(production) == [
        ("insert", "23503", "its owner was left out"),
        ("insert", "23505", "taken"),
        ("insert", "23503", "left out, too"),
        ("update", "02000", "never there"),
    ]
    with production.admin() as admin:
        rows = dict(admin.execute("select id, place || ' ' || words from public.things where id not in (3, 4, 5)"))  # type: ignore[arg-type]
    assert rows == {1: "2 was 1", 2: "1 was 2", 11: "11 later", 13: "13 beside it", 90: "90 staged"}
    assert sum(c["carried"] for c in entry.carried) == 6


SPYING = """
create function public.spy(anyelement) returns boolean language plpgsql immutable as $$
begin
    perform set_config('spy.who', concat_ws(',', current_setting('spy.who', true), current_user), false);
    begin
        perform set_config('role', 'none', false);
        perform set_config('spy.who', concat_ws(',', current_setting('spy.who', true), current_user), false);
    exception when others then null;
    end;
    return true;
end $$;
create domain public.spied_text as text check (public.spy(value));
create table public.things (
    id integer primary key, words public.spied_text, list public.spied_text[],
    seen boolean generated always as (public.spy(id)) stored, constraint looked check (public.spy(words))
);
create index on public.things ((public.spy(id)));
create function public.as_words(public.things) returns text language plpgsql as $$
begin perform public.spy(1); return 'bent'; end $$;
create function public.from_words(text) returns public.things language plpgsql as $$
begin perform public.spy(1); return null; end $$;
create function public.as_json(public.spied_text[]) returns json language plpgsql as $$
begin perform public.spy(1); return null; end $$;
alter table public.things owner to app_owner; alter domain public.spied_text owner to app_owner;
grant select, insert, update, delete on public.things to app; grant usage on schema public to app;
create cast (public.things as text) with function public.as_words(public.things) as assignment;
create cast (text as public.things) with function public.from_words(text) as assignment;
alter table public.things enable row level security, force row level security;
create policy none on public.things for select to app_owner using (false);
"""


def test_no_code_of_the_application_runs_as_the_engine(empty_production: Production) -> None:
    """Domains, checks, generated columns, indexes and casts, while writes are recorded, carried and carried back."""
    production = empty_production
    written(production, SPYING)
    load = {"things": "insert into staging.things (id, words) select id, words from public.things"}
    order = production.prepare("r1", load, [("public", "things")])
    with psycopg.connect(production.app_dsn) as app:
        app.execute(
            "insert into public.things (id, words, list) values (1, 'one', '{a}'), (2, 'two', '{}'), (3, 'x', null)"
        )
        app.execute("update public.things set words = 'second' where id = 2")
        app.execute("delete from public.things where id = 3")
        # recording them ran none of it but what the application's own statements run
        who = app.execute(
            "select distinct w from string_to_table(current_setting('spy.who'), ',') as w where w <> ''"
        ).fetchall()
    assert who == [("app",)]
    scope = ready_to_carry(production, order)
    with production.connect() as connection:
        connection.execute("select set_config('spy.who', null, false)")
        counts, _ = carry(connection, "r0", scope, order.since, None)
        who = connection.execute(
            "select distinct w from string_to_table(current_setting('spy.who'), ',') as w where w <> ''"
        ).fetchall()
        assert who == [("app_owner",)]
        assert sum(c.carried for c in counts) == 5 and sum(c.quarantined for c in counts) == 0
        forced = "select relforcerowsecurity from pg_class where oid = 'staging.things'::regclass"
        assert connection.execute(forced).fetchone() == (True,)
        left = "select count(*) from pg_proc where proname ~ '^cutover_(apply|read)'"
        assert connection.execute(left).fetchone() == (0,)
        connection.commit()
    assert rows(production, "staging") == rows(production, "public")


@pytest.mark.parametrize("rounds", ["together", "a few at a time"])
def test_a_column_that_comes_or_goes_meanwhile_keeps_every_value_with_its_name(
    empty_production: Production, rounds: str
) -> None:
    """Also where so few are left, as inside the lock, that they are read as they are."""
    production = empty_production
    written(
        production,
        "create table public.things (id integer primary key, gone text, a text, b text, z integer); "
        "alter table public.things drop column gone; alter table public.things owner to app_owner",
    )
    order = prepared(production, "r1", ["id", "a", "b", "z"])
    with production.connect() as connection:
        connection.execute("alter table staging.things add primary key (id)")
    rest = [
        [
            "insert into public.things values (1, 'a1', 'b1', 1), (2, 'a2', 'b2', 2)",
            "alter table public.things add column c text",
            "insert into public.things values (3, 'a3', 'b3', 3, 'c3')",
        ],
        [
            "update public.things set b = 'new' where id = 1",
            "alter table public.things drop column a",
            "insert into public.things values (4, 'b4', 4, 'c4')",
            "update public.things set b = 'newer' where id = 2",
        ],
        ["alter table public.things add column a text", "insert into public.things values (5, 'b5', 5, 'c5', 'a5')"],
    ]
    if rounds == "together":
        rest = [[statement for statements in rest for statement in statements]]
    since, counts = order.since, []
    for statements in rest:
        written(production, *statements)
        with production.connect() as connection:
            more, since = carry(connection, "r1", read_scope(connection, order), since, None)
            counts += more
    with production.connect() as connection:
        rows = connection.execute("select id, a, b, z from staging.things order by id").fetchall()
    values = ["a1", "a2", "a3"] if rounds == "a few at a time" else [None, None, None]
    assert [(row[0], *row[2:]) for row in rows] == [
        (1, "new", 1),
        (2, "newer", 2),
        (3, "b3", 3),
        (4, "b4", 4),
        (5, "b5", 5),
    ]
    # what the column held that went is carried if it was still there, and never under another one's name
    assert [row[1] for row in rows] == [*values, None, "a5"]
    assert sum(c.quarantined for c in counts) == 0 and sum(c.carried for c in counts) == 7


def test_rows_that_an_earlier_version_recorded_are_carried_too(production: Production) -> None:
    order = production.prepare("r1")
    with production.connect() as connection:
        # the table as it was, before and after the upgrade
        connection.execute(
            "alter table cutover.changelog drop column attributes, drop column old_image, drop column new_image"
        )
        connection.execute("comment on schema cutover is 'an earlier version'")
    with production.admin() as admin:
        row: Any = admin.execute("select to_jsonb(o) from public.orders as o where id = md5('o207')::uuid").fetchone()
        admin.execute("alter table public.orders disable trigger cutover_capture")
        admin.execute(
            "insert into cutover.changelog (relid, operation, old_row, new_row) "
            "values ('public.orders'::regclass, 'update', %s, %s)",
            (Jsonb(row[0]), Jsonb({**row[0], "amount": 4711})),
        )
    with production.connect() as connection:
        ledger.install(connection)
    with production.connect() as connection:
        connection.execute("alter table staging.orders add primary key (id)")
        connection.execute("alter table staging.profiles add primary key (id)")
        connection.execute("alter table staging.affiliates add primary key (id)")
        carry(connection, "r1", read_scope(connection, order), order.since, None)
        amount = connection.execute("select amount from staging.orders where id = md5('o207')::uuid").fetchone()
    assert amount == (4711,)


def test_a_row_that_was_longer_than_text_can_be_is_set_aside_alone(empty_production: Production) -> None:
    production = empty_production
    written(
        production,
        "create table public.things (id integer primary key, words text); alter table public.things owner to app_owner",
    )
    order = prepared(production, "r1", ["id", "words"])
    written(
        production,
        "insert into public.things values (1, 'one')",
        # what capture_large() leaves of such a row
        "insert into cutover.changelog (relid, operation) values ('public.things'::regclass, 'insert')",
        # a large one that can be written down
        "insert into public.things select 2, string_agg(md5(n::text), '') from generate_series(1, 100000) as n",
    )
    before = rows(production, "public")
    entry = production.swap(order)
    assert [(c["carried"], c["quarantined"]) for c in entry.carried] == [(2, 1)]
    assert set_aside(production) == [("insert", "54000", None)]
    assert rows(production, "public") == before
