"""Whatever the schema: swap, roll back, roll that back, maybe swap again: it is what it was, also to pg_dump.

Or it is refused, and untouched. Any of the carried kinds of tests/swap/kinds.py may hang on its tables.

``CUTOVER_EXAMPLES`` says how many schemas (default: 5); more than ten are drawn at random, different each time. With
``--hypothesis-show-statistics`` it says how many were carried, and how many refused for what.
"""

from __future__ import annotations

import itertools
import os

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st
from psycopg import sql

from bench.production import PASSWORD, Production, allow, make_roles
from cutover import rollback
from cutover.migration import Migration
from cutover.swap.refusals import SwapRefusedError
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres
from tests import databases

from .dump import dump
from .schemas import TABLESPACE, Schema, schemas

EXAMPLES = int(os.environ.get("CUTOVER_EXAMPLES", "5"))
MIGRATION = Migration(migration="test")
_numbers = itertools.count(1)


def make(server: EmbeddedPostgres, schema: Schema) -> Production:
    """A database of its own with this schema."""
    name = f"any_{os.getpid()}_{next(_numbers)}"
    space = sql.Identifier(TABLESPACE)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        if not admin.execute("select 1 from pg_tablespace where spcname = %s", (TABLESPACE,)).fetchone():
            # not outside the server's own folder
            admin.execute("set allow_in_place_tablespaces = on")
            admin.execute(sql.SQL("create tablespace {} location ''").format(space))
            admin.execute(sql.SQL("grant create on tablespace {} to public").format(space))
    databases.create(server, name)
    production = Production(server.dsn(name), server.dsn(name, "cutover", PASSWORD), server.dsn(name, "app", PASSWORD))
    with production.admin() as admin:
        for statement in schema.statements:
            admin.execute(statement.encode())
    allow(production, merged="")
    return production


def drop(server: EmbeddedPostgres, production: Production) -> None:
    """Remove the database again."""
    name = production.admin_dsn.rsplit("/", 1)[1]
    databases.drop(server, name)


def copies(production: Production, schema: Schema) -> dict[str, str]:
    """Statements that fill each staging table with production's rows."""
    made = {}
    for owner, name in schema.swapped:
        columns = production.value(
            "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
            sql.Identifier(owner, name).as_string(),
        )
        made[name] = (
            f"insert into {sql.Identifier('staging', name).as_string()} ({columns}) "
            f"select {columns} from {sql.Identifier(owner, name).as_string()}"
        )
    return made


def rows(production: Production, schema: Schema) -> list[str]:
    """Every row of every table, as text."""
    return [
        production.value(f"select coalesce(string_agg(t::text, ' ' order by id), '') from {table.qualified} as t")
        for table in schema.tables
    ]


def swapped(production: Production, schema: Schema, run: str) -> None:
    """Freeze, stage, approve, swap."""
    order = production.prepare(run, copies(production, schema), schema.swapped, merged=())
    swap(production.connect, order, production.log)


def rolled_back(production: Production, run: str) -> None:
    """Approve and run the rollback of the newest entry."""
    with production.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, run)
    rollback.preview(production.connect, order)
    production.approve(order)
    swap(production.connect, order, production.log)


@pytest.mark.timeout(0)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 10,
    database=None,
    # what is drawn is small already, and a failing one is printed as SQL
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), again=st.booleans())
def test_any_schema_comes_through_a_swap_and_a_rollback_or_is_refused(
    server: EmbeddedPostgres, data: st.DataObject, again: bool
) -> None:
    make_roles(server)
    with psycopg.connect(server.dsn()) as connection:
        version = connection.info.server_version // 10_000
    schema = data.draw(schemas(version))
    note(repr(schema))
    production = make(server, schema)
    try:
        before, dumped, held = production.inventory(), dump(production), rows(production, schema)
        try:
            swapped(production, schema, "r1")
        except SwapRefusedError as refused:
            note(str(refused))
            event(f"refused: {refused.code}")
            assert before.compare(production.inventory()) == []
            assert rows(production, schema) == held
            return
        for step in ("swap", "rollback", "rollback of the rollback", *(["second swap"] if again else [])):
            if step == "rollback":
                rolled_back(production, "b1")
            elif step == "rollback of the rollback":
                rolled_back(production, "b2")
            elif step == "second swap":
                swapped(production, schema, "r2")
            assert before.compare(production.inventory()) == [], step
            assert dumped ^ dump(production) == set(), step
            assert rows(production, schema) == held, step
        event("carried, with a second swap" if again else "carried")
        # and life goes on: keys are drawn from where they stood
        with production.admin() as admin:
            for table in schema.tables:
                admin.execute(f"select count(*) from {table.qualified}".encode())
    finally:
        drop(server, production)
