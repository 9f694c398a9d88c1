"""What one statement makes of which columns: names as PostgreSQL resolves them."""

from __future__ import annotations

import pytest

from cutover.lineage import statement
from cutover.lineage.statement import Kind

KNOWN = {"s.t": ["id", "a", "b"], "s.u": ["id", "c"]}


def made_of(query: str) -> dict[str, list[str]]:
    """Column → the columns that it is made of, as ``table.column``."""
    [written] = statement.read(f"create table s.made as {query}", KNOWN).written
    assert written.unread is None, written.unread
    return {
        name: sorted(f"{one.table}.{one.column}{f'/{one.member}' if one.member else ''}" for one in sources)
        for name, sources in written.columns.items()
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select a as b, b + 1 as c, b as a from s.t", {"b": ["s.t.a"], "c": ["s.t.b"], "a": ["s.t.b"]}),
        # a name that a select list gives is nothing to its other columns
        (
            "select first as id, id as other from (select a as first, id from s.t) as k",
            {"id": ["s.t.a"], "other": ["s.t.id"]},
        ),
        # a CTE of a table's name hides no table of a schema
        (
            "with u as (select a as id from s.t) select u.id, x.id as own from s.u as x cross join u",
            {"id": ["s.t.a"], "own": ["s.u.id"]},
        ),
        ("with u as (select a from s.t), w as (select * from u) select * from w", {"a": ["s.t.a"]}),
        ("select a as v from s.t union all select c from s.u", {"v": ["s.t.a", "s.u.c"]}),
        ("select *, 1 as one from s.t", {"id": ["s.t.id"], "a": ["s.t.a"], "b": ["s.t.b"], "one": []}),
        ("select l.y from s.t cross join lateral (select t.a as x, t.b as y) as l", {"y": ["s.t.b"]}),
        ("select p.value from s.t as t cross join lateral jsonb_each(t.b) as p", {"value": ["s.t.b"]}),
        ("select (select max(c) from s.u where u.id = t.id) as most from s.t", {"most": ["s.u.c"]}),
        ("select exists(select from s.u where u.id = t.a) as has from s.t", {"has": ["s.t.a", "s.u.id"]}),
        ("select to_jsonb(t) as row_ from s.t", {"row_": ["s.t.a", "s.t.b", "s.t.id"]}),
        ("select nullif(a -> 'x', 'null') as x, b ->> 'y' as y from s.t", {"x": ["s.t.a/x"], "y": ["s.t.b/y"]}),
        (
            "select %(run)s as run, '100%%' as text, '{}'::jsonb as nothing, a as {name} from s.t",
            {"run": [], "text": [], "nothing": [], "name": ["s.t.a"]},
        ),
        (
            "with recursive r as (select id, a from s.t union all select t.id, r.a from s.t join r on r.id = t.a) "
            "select a from r",
            {"a": ["s.t.a"]},
        ),
    ],
)
def test_columns_are_resolved_as_postgresql_does(query: str, expected: dict[str, list[str]]) -> None:
    assert made_of(query) == expected


def test_what_becomes_of_a_value_is_told() -> None:
    [written] = statement.read(
        "create table s.made as select a as same, a + 1 as other, max(a) as most from "
        "(select a from s.t) as k group by a",
        KNOWN,
    ).written
    kinds = {name: next(iter(sources)).kind for name, sources in written.columns.items()}
    assert kinds == {"same": Kind.IDENTITY, "other": Kind.TRANSFORMATION, "most": Kind.AGGREGATION}


def test_everything_that_a_text_writes_is_read() -> None:
    reading = statement.read(
        """
        create table s.passing as select id from s.t;
        do $$ begin
            if to_regclass('s.u') is not null then insert into s.kept (id) select id from s.passing; end if;
        end $$;
        with added as (insert into s.first (x) select a from s.t on conflict (x) do update set x = 1 returning x)
        insert into s.second (y) select x from added;
        update s.kept as k set id = u.c from s.u as u where u.id = k.id;
        drop table s.passing;
        """,
        KNOWN,
    )
    assert [written.table for written in reading.written] == ["s.passing", "s.kept", "s.first", "s.second", "s.kept"]
    assert reading.dropped == ["s.passing"]
    second, update = reading.written[3:]
    assert {(one.table, one.column) for one in second.columns["y"]} == {("s.first", "x")}
    assert {(one.table, one.column) for one in update.columns["id"]} == {("s.u", "c")}
    assert update.reads == {"s.kept", "s.u"}


def test_a_statement_that_cannot_be_read_is_told_by_its_tables() -> None:
    broken, after = statement.read(
        "insert into s.made (x) select frob ( from s.t; insert into s.made (x) select a from s.t", KNOWN
    ).written
    assert (broken.table, broken.reads, broken.columns) == ("s.made", {"s.t"}, {}) and broken.unread
    assert after.unread is None
    [unknown] = statement.read("create table s.made as select * from o.nobody_knows", KNOWN).written
    assert unknown.reads == {"o.nobody_knows"} and unknown.unread
