"""What the application asks most, as ``pg_stat_statements`` keeps it, asked before and after.

The binaries of the suite have no such extension: a server of an installation that has it is started for these tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cutover.probes import names
from cutover.probes.comparison import Comparison
from stack.postgres import EmbeddedPostgres
from tests.swap.small import SET, copies, small

from .conftest import Launch

_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/lib/pg_stat_statements.so"))


@pytest.fixture(scope="module")
def gathering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that gathers statements."""
    if not _INSTALLED:
        pytest.skip("no PostgreSQL with pg_stat_statements is installed here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BINDIR", str(_INSTALLED[-1].parents[1] / "bin"))
        server = EmbeddedPostgres(
            tmp_path_factory.mktemp("gathering"),
            durable=False,
            settings={"shared_preload_libraries": "pg_stat_statements"},
        )
        server.start()
        yield server
        server.remove()


@pytest.fixture
def asked(gathering: EmbeddedPostgres) -> Iterator[Launch]:
    """A launch that leaves 50 orders out, of an application that has asked this and that."""
    view = "create view public.big as select * from public.orders where amount > 190; grant select on public.big to app"
    with small(gathering, view) as production:
        with production.admin() as admin:
            admin.execute("create extension pg_stat_statements; select pg_stat_statements_reset()")
        with psycopg.connect(production.app_dsn, autocommit=True) as app:
            for query, given in _APPLICATION:
                for _ in range(3):
                    app.execute(query.encode(), given)
        fewer = {"orders": copies(production, SET)["orders"] + " where id <= 150"}
        order = production.prepare("r1", copies(production, SET) | fewer, SET, merged=())
        yield Launch(production, order)


_APPLICATION: list[tuple[str, tuple[object, ...]]] = [
    ("select o.id, c.email from orders as o join customers as c on c.id = o.customer_id where c.email = 'c7'", ()),
    ("select id, amount from public.orders where customer_id = %s and status in ('new', 'old') limit 5", (3,)),
    ("select count(*) from big", ()),
    ("select id from orders where id = any(%s::bigint[]) and amount between 1 and 500", ([1, 2],)),
    ("select /* ana@example.com */ id from orders where date_trunc('day', created_at) = now()", ()),
    ("select random(), id from customers", ()),
    ("select title from courses", ()),
    ("update orders set amount = amount where id = 1", ()),
    ("with gone as (delete from orders where id = 0 returning id) select * from gone", ()),
    ("select id from orders where id = 1 for update", ()),
]


def found(launch: Launch) -> dict[str, Comparison]:
    """What has come of each statement, by its text."""
    report = launch.ask()
    assert report.reason is None and report.statements is None
    assert not any("@" in json.dumps(one.as_dict()) for one in report.queries)
    return {one.title: one for one in report.queries}


def one(given: dict[str, Comparison], *words: str) -> Comparison:
    (fitting,) = [value for title, value in given.items() if all(word in title for word in words)]
    return fitting


def test_the_applications_own_queries_are_asked_with_values_of_its_rows(asked: Launch) -> None:
    queries = found(asked)
    join = one(queries, "join customers")
    assert join.verdict in ("same answer", "answers differently") and join.calls == 3 and not join.is_probe, join
    assert join.rows_before and join.rows_before > 0, "the value is one of the table's"
    assert one(queries, "limit").rows_before is not None, one(queries, "limit")
    assert one(queries, "any").rows_before == 1, one(queries, "any")
    big = one(queries, "from big")
    assert (big.values_before, big.values_after) == ({"count": 10}, {"count": 0})


def test_what_cannot_be_asked_is_told_with_the_reason_and_nothing_else_is_there(asked: Launch) -> None:
    queries = found(asked)
    assert one(queries, "date_trunc").why == "no value can be found for $1"
    assert "answers otherwise each time" in (one(queries, "random").why or "")
    for what in ("delete", "for update"):
        assert one(queries, what).why == "it is no single SELECT that only reads"
    assert not [title for title in queries if "courses" in title or title.startswith("update")]


def test_statements_that_are_hidden_are_told_with_the_right_that_is_missing(asked: Launch) -> None:
    with asked.production.admin() as admin:
        admin.execute("revoke pg_read_all_stats from cutover")
    try:
        report = asked.ask("-- Customers.\nselect id from customers")
    finally:
        with asked.production.admin() as admin:
            admin.execute("grant pg_read_all_stats to cutover")
    assert report.queries[0].verdict == "same answer" and len(report.queries) == 1
    assert report.statements is not None and report.statements.endswith('grant pg_read_all_stats to "cutover"')


def test_a_name_is_looked_up_where_the_application_does(asked: Launch) -> None:
    """A table of the same name in a schema of its role's path is another table, and no longer of the launch."""
    with asked.production.admin() as admin:
        admin.execute(
            "create schema mine; grant usage on schema mine to app, app_owner; "
            "create table mine.orders as select 1 as id, 2 as customer_id; "
            "grant select on mine.orders to app, app_owner"
        )
        database = admin.info.dbname
        admin.execute(f"alter role app in database {database} set search_path = mine, public; "
                      "select pg_stat_statements_reset()")  # fmt: skip
    with psycopg.connect(asked.production.app_dsn, autocommit=True) as app:
        app.execute("select o.customer_id from orders as o")
        app.execute("select o.customer_id from public.orders as o")
    queries = found(asked)
    assert [title for title in queries if " orders" in title] == []
    assert one(queries, "public.orders").verdict == "answers differently"


def test_a_statement_is_shown_without_what_was_in_it() -> None:
    """Not every statement comes without its constants; and programs write in comments who asks."""
    text = (
        "select a, 'x''y', E'a', $tag$it's$tag$ /* ana@example.com */ from t -- ana\n"
        "where b in ($1,$2) and phone = 639171234567 and \"Select\" = 'ana@example.com'"
    )
    shown = names.masked(text)
    assert "ana" not in shown and "6391" not in shown and "it's" not in shown and "x'" not in shown
    assert shown.startswith("select a, •••") and "in ($1,$2)" in shown and '"Select"' in shown


def test_names_are_exchanged_and_nothing_else() -> None:
    moved = {("public", "orders"), ("Odd", "A b")}
    text = "select {}.orders.id, x.public.orders, 'public.orders' from {} . orders, {}.\"A b\", other.orders"
    given = text.format("public", "Public", '"Odd"')
    assert names.rehearsed(given, "there", moved) == text.format(*['"there"'] * 3)
