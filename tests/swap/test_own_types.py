"""Keys of a type of the application's own: its equality tells rows, wherever rows are told by a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.production import Production
from cutover.migration import Migration
from cutover.review import counts
from cutover.swap import scope
from stack.postgres import EmbeddedPostgres
from tests.own_type import SHOUT

from .small import rolled_back, small

TAGS = [("public", "tags")]
LAID = """
create table public.tags (name public.shout primary key, n integer);
create table public.tagged (
    label public.shout primary key, tag public.shout references public.tags on delete cascade, unique (label, tag)
);
insert into public.tags values ('Alpha', 1), ('Beta', 2), ('gamma', 3);
insert into public.tagged values ('one', 'ALPHA'), ('two', 'beta');
grant select, insert, update, delete on public.tags, public.tagged to app
"""
# Alpha is written otherwise, Beta is left out.
LOAD = {"tags": "insert into staging.tags values ('ALPHA', 1), ('gamma', 3)"}


@pytest.fixture
def production(server: EmbeddedPostgres) -> Iterator[Production]:
    """Tags, and rows outside the set that refer to them."""
    with small(server) as made:
        with made.admin() as admin:
            admin.execute(SHOUT.encode())
            admin.execute("set role app_owner")
            admin.execute(LAID.encode())
        yield made


def rows(production: Production, table: str) -> list[tuple[Any, ...]]:
    """The rows of a table as they read, in order."""
    with production.admin() as admin:
        return admin.execute(f"select t.* from public.{table} as t order by lower(t.*::text)".encode()).fetchall()


def write(production: Production, *statements: str) -> None:
    """As the application."""
    with production.admin() as admin:
        admin.execute("set role app")
        for statement in statements:
            admin.execute(statement.encode())


def test_rows_are_counted_carried_taken_out_and_brought_back_by_the_key_s_own_equality(
    production: Production,
) -> None:
    order = production.prepare("r1", LOAD, TAGS, merged=())
    with production.connect() as connection:
        tables = scope.read(connection, TAGS, incoming_schema="staging", backup_schema="backup_r1")
        (counted,) = counts.of_tables(connection, tables, Migration(migration="test"))
    assert counted == {"name": "tags", "before": 3, "after": 2, "added": 0, "removed": 1, "changed": 1}
    write(
        production,
        "update public.tags set n = 5 where name = 'alpha'",
        "delete from public.tags where name = 'GAMMA'",
        "insert into public.tags values ('Delta', 4)",
    )
    production.swap(order)
    assert rows(production, "tags") == [("ALPHA", 5), ("Delta", 4)]
    assert rows(production, "tagged") == [("one", "ALPHA")]
    write(
        production,
        "update public.tags set n = 7 where name = 'Alpha'",
        "insert into public.tagged values ('x', 'DELTA')",
    )
    rolled_back(production, "b1")
    assert rows(production, "tags") == [("Alpha", 7), ("Beta", 2), ("Delta", 4)]
    assert rows(production, "tagged") == [("one", "ALPHA"), ("two", "beta"), ("x", "DELTA")]


def test_a_row_that_has_moved_is_found_by_it_too(production: Production) -> None:
    order = production.prepare("r1", LOAD, TAGS, merged=())
    with production.admin() as admin:
        admin.execute("insert into cutover.moved_row values ('r1', 'tags', 'BETA', 'alpha')")
    production.swap(order)
    assert rows(production, "tagged") == [("one", "ALPHA"), ("two", "alpha")]
    rolled_back(production, "b1")
    assert rows(production, "tagged") == [("one", "ALPHA"), ("two", "beta")]
