"""How long the suites of clean_launch take, beside the same checks as plain SQL: ``python -m bench.validate``.

Five staged tables of the same size, each row consistent. *suites* is Great Expectations over all of them, without its
import and without the pages. *plain SQL* is what a person would write for the same expectations: one pass per table
for all that is about single columns, one grouping per unique key, one count per query across tables. They take turns;
the best of the turns counts. Memory is the peak of this process, so that of the suites.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from bench.server import temporary_server
from cutover.database import statements as files
from cutover.database.connect import connector
from cutover.migration import load_order
from cutover.records import ledger
from cutover.validate import suites
from cutover.validate.suites import Place, Suite
from stack.postgres import EmbeddedPostgres

TABLES = ("users", "affiliates", "unified_profiles", "transactions", "enrollments")
HEAD = f"{'rows':>10} {'suites s':>10} {'plain SQL s':>12} {'ratio':>6} {'expectations':>13} {'peak MB':>8}"


def fill(server: EmbeddedPostgres, rows: int) -> str:
    """A database with five staged tables of ``rows`` rows; its DSN."""
    name = f"validate_{rows}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsn = server.dsn(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        ledger.install(connection)
        connection.execute("create table public.courses (id uuid primary key, product_type text)")
        for path in files.files("clean_launch/install"):
            connection.execute(files.text(path).encode())
        connection.execute("create schema staging")
        for table in TABLES:
            for statement in load_order.split_foreign_keys(files.text(f"clean_launch/staging/{table}.sql"))[0]:
                connection.execute(statement.encode())
        connection.execute(files.statement("bench/validate.sql", rows=sql.Literal(rows)))
        connection.execute("vacuum (analyze)")
    return dsn


def plain(connection: psycopg.Connection, suite: Suite, place: Place) -> None:
    """The expectations of one suite as a person would write them."""
    table = sql.Identifier(*place.tables[suite.table])
    counted: list[sql.Composable] = [sql.SQL("count(*)")]
    for expectation in suite.for_phase(place.phase):
        kind, arguments = expectation["type"], expectation["kwargs"]
        columns = arguments.get("column_list") or [arguments.get("column")]
        if kind == "unexpected_rows_expectation":
            query = place.within(arguments["unexpected_rows_query"]).format(batch=table.as_string(connection))
            connection.execute(sql.SQL("select count(*) from ({}) as offending").format(sql.SQL(query)))
        elif kind.endswith("_to_be_unique"):
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            grouped = (
                "select count(*) from (select from {0} where ({1}) is not null group by {1} having count(*) > 1) as x"
            )
            connection.execute(sql.SQL(grouped).format(table, names))
        elif not kind.startswith("expect_table_"):
            counted.append(sql.SQL("count(*) filter (where {})").format(_broken(kind, arguments)))
    connection.execute(sql.SQL("select {} from {}").format(sql.SQL(", ").join(counted), table))


def _broken(kind: str, arguments: dict[str, Any]) -> sql.Composable:
    """The condition under which a row breaks an expectation about one column."""
    column = sql.Identifier(arguments["column"])
    pattern = sql.Literal(arguments.get("regex"))
    least, most = sql.Literal(arguments.get("min_value")), sql.Literal(arguments.get("max_value"))
    conditions: dict[str, Callable[[], sql.Composable]] = {
        "expect_column_values_to_not_be_null": lambda: sql.SQL("{} is null").format(column),
        "expect_column_values_to_be_in_set": lambda: sql.SQL("{} <> all ({})").format(
            column, sql.Literal(arguments["value_set"])
        ),
        "expect_column_values_to_be_between": lambda: sql.SQL("{0} < {1} or {0} > {2}").format(column, least, most),
        "expect_column_value_lengths_to_be_between": lambda: sql.SQL("length({}) > {}").format(column, most),
        "expect_column_values_to_match_regex": lambda: sql.SQL("{} !~ {}").format(column, pattern),
        "expect_column_values_to_not_match_regex": lambda: sql.SQL("{} ~ {}").format(
            column, sql.Literal(arguments["regex"])
        ),
    }
    return conditions[kind]()


def silent(line: str) -> None:
    """Keep the suites' log out of the table."""


def measure(dsn: str, rows: int, turns: int) -> str:
    """One line of the table."""
    chosen = [suite for suite in suites.load("clean_launch") if suite.table in TABLES]
    place = Place("staging", {table: ("staging", table) for table in TABLES})
    given = dict.fromkeys(suites.parameters(chosen, {}), 1)
    connect = connector(dsn, "bench", "bench validate")
    best_suites = best_plain = float("inf")
    evaluated = 0
    for _ in range(turns):
        began = time.perf_counter()
        outcome = suites.run(connect, chosen, place, given, silent)
        best_suites = min(best_suites, time.perf_counter() - began)
        assert all(suite.success for suite in outcome.suites), [suite.failed for suite in outcome.suites]
        evaluated = sum(suite.evaluated for suite in outcome.suites)
        began = time.perf_counter()
        with connect() as connection:
            for suite in chosen:
                plain(connection, suite, place)
        best_plain = min(best_plain, time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ratio = best_suites / best_plain
    return f"{rows:>10,} {best_suites:>10.2f} {best_plain:>12.2f} {ratio:>6.2f} {evaluated:>13} {peak:>8}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench validate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[10_000, 1_000_000],
        metavar="N,N",
        help="rows per table; several, separated by commas, smallest first",
    )
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args(arguments)
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401 - its import is not what is measured

    with temporary_server(durable=False) as server:
        print(HEAD)
        for rows in chosen.rows:
            print(measure(fill(server, rows), rows, chosen.turns), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
