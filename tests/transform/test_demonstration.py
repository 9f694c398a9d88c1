"""The whole demonstration, at the seed's size, through the engine's own phases: the figures of business rules 1.5."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover import freeze, migration, review, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector
from cutover.migration import load_order
from cutover.records import phase, run
from cutover.validate import checks, suites, validation
from demo import production
from demo.contamination import Contamination
from demo.population import CANVA, OTHER, P2P, Population
from demo.simulators.systemeio import contact_row
from demo.simulators.xendit import invoice_row, transaction_row
from stack.postgres import EmbeddedPostgres
from tests import databases

RUN = "r20251102_081500_1f0c9a"
PASSWORD = "only-for-this-test-server"
WORLD = Population()
CLEAN_LAUNCH = migration.load("clean_launch")


@pytest.fixture(scope="module")
def connect(server: EmbeddedPostgres) -> Iterator[Connect]:
    """A contaminated production beside the complete sources, frozen and staged; opened as the role that migrates."""
    name = f"demonstration_{os.getpid()}"
    databases.create(server, name)
    production.load(server.dsn(name), 1, PASSWORD)
    opened = connector(server.dsn(name, "cutover", PASSWORD), "production", "test")
    freeze.install(opened, CLEAN_LAUNCH)
    with opened() as connection:
        store_sources(connection)
        run.begin(
            connection, run=RUN, migration="clean_launch", dag_id="clean_launch", dag_run_id="1", triggered_by="test",
            parameters={},
        )  # fmt: skip
    for step in ("preflight", *(f"extract.{source}" for source in CLEAN_LAUNCH.sources), "capture"):
        with opened() as connection:
            phase.record(connection, CLEAN_LAUNCH, RUN, step)
    freeze.freeze(opened, CLEAN_LAUNCH, RUN, print)
    stage_all(opened)
    transform.add_keys(opened, CLEAN_LAUNCH, RUN, print)
    yield opened
    databases.drop(server, name)


def stage_all(opened: Connect) -> None:
    """Prepare and load every table, as the tasks do one after the other."""
    transform.prepare(opened, CLEAN_LAUNCH, RUN, print)
    for step in load_order.steps(CLEAN_LAUNCH):
        statement = files.text(f"clean_launch/transform/{step}.sql")
        transform.load(opened, CLEAN_LAUNCH, RUN, step=step, statement=statement, log=print)


def store_sources(connection: psycopg.Connection) -> None:
    """Every row that the simulated APIs have, stored by the statements of the extraction."""
    (block,) = WORLD.blocks()
    names = sorted({tag for contact in block.contacts for tag in contact.tags} | {"Nobody has this"})
    sources: dict[str, Iterable[dict[str, Any]]] = {
        "xendit_invoices": map(invoice_row, block.invoices),
        "xendit_transactions": map(transaction_row, block.transactions),
        "systemeio_contacts": map(contact_row, block.contacts),
        "systemeio_tags": ({"id": number, "name": name} for number, name in enumerate(names)),
    }
    for source, rows in sources.items():
        listed = list(rows)
        connection.execute(files.text(f"clean_launch/extract/{source}.create.sql").encode())
        kind = "text" if isinstance(listed[0]["id"], str) else "bigint"
        store = files.text(f"clean_launch/extract/{source}.store.sql").replace("%(ids)s", f"%(ids)s::{kind}[]")
        connection.execute(
            store.encode(),
            {
                "sync_id": 1,
                "ids": [row["id"] for row in listed],
                "content_hashes": [hashlib.sha256(repr(row).encode()).digest() for row in listed],
                "page_nos": [1] * len(listed),
                "responses": [Jsonb(row) for row in listed],
            },
        )


def rows(connect: Connect, query: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def value(connect: Connect, query: str) -> Any:
    """The one value of a query."""
    ((value,),) = (tuple(row.values()) for row in rows(connect, query))
    return value


def test_the_transactions_of_the_api_are_the_seeds(connect: Connect) -> None:
    result = rows(
        connect,
        "select product_type, count(*) as counted from staging.transactions "
        "where transaction_type = 'payment' group by 1",
    )
    assert {row["product_type"]: row["counted"] for row in result} == {P2P: 3334, CANVA: 2783, OTHER: 19}


def test_people_without_an_invoice_paid_800_by_hand(connect: Connect) -> None:
    result = rows(
        connect,
        "select amount, product_type, count(*) from staging.transactions "
        "where transaction_type = 'manual' group by 1, 2",
    )
    assert [tuple(row.values()) for row in result] == [(800, P2P, WORLD.figures().manual)]


def test_every_figure_is_what_counting_person_by_person_gives(connect: Connect) -> None:
    expected = WORLD.figures()
    assert value(connect, "select count(*) from staging.users") == expected.customers
    before = Contamination()
    members = before.leads + before.unknown_people
    assert value(connect, "select count(*) from staging.unified_profiles") == expected.customers + members >= 6000
    assert value(connect, "select count(*) from staging.leads") == 15270
    result = rows(connect, "select product_type, count(*) as counted from staging.enrollments group by 1")
    assert {row["product_type"]: row["counted"] for row in result} == expected.enrollments_by_product
    assert sum(expected.enrollments_by_product.values()) >= 6000
    assert (
        value(connect, "select count(*) from staging.enrollments where status = 'revoked'")
        == expected.revoked_enrollments
    )
    result = rows(
        connect,
        "select status, count(*) as counted from staging.transactions where refunded_amount > 0 group by 1",
    )
    assert {row["status"]: row["counted"] for row in result} == expected.refunded_statuses
    result = rows(
        connect,
        "select product_type, sum(amount) * 100 as revenue from staging.transactions "
        "where transaction_type = 'payment' group by 1",
    )
    assert {row["product_type"]: row["revenue"] for row in result} == expected.revenue_by_product
    assert (
        value(connect, "select count(*) from staging.unified_profiles where acquisition_source = 'xendit'")
        == expected.customers_without_contact
    )


def test_every_payment_of_the_world_was_found(connect: Connect) -> None:
    assert (
        value(
            connect,
            "select count(*) from staging.transactions "
            "where transaction_type = 'payment' and xendit_transaction_id is null",
        )
        == 0
    )


def test_nobody_who_was_there_before_lost_id_receipt_or_money(connect: Connect) -> None:
    with connect() as connection:
        result = checks.run(connection, "clean_launch", RUN)
    assert [check for check in result if not check.success] == []
    assert value(connect, "select count(*) from staging.users where not is_new") > 2000
    assert value(connect, "select count(*) from input.sale where continues is not null") > 2000


def test_every_source_balances_to_zero(connect: Connect) -> None:
    with connect() as connection:
        checks.run(connection, "clean_launch", RUN)
    values = {row["source"]: row for row in rows(connect, "select * from cutover.reconciliation")}
    invoices = values["xendit_invoices"]
    assert (invoices["read"], invoices["staged"], invoices["left_out"], invoices["rejected"]) == (9025, 6136, 2889, 0)
    assert invoices["reasons"]["left_out"] == {"status EXPIRED": 2818, "status PENDING": 71}
    assert (values["systemeio_contacts"]["read"], values["systemeio_contacts"]["staged"]) == (15270, 15270)
    for row in values.values():
        assert row["read"] == row["staged"] + row["merged"] + row["left_out"] + row["rejected"]


def handled(plan: dict[str, Any]) -> float:
    """Rows that a plan's nodes took up, all together: given on, or filtered away."""
    own = sum(plan.get(key, 0) for key in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter"))
    return float(own * plan["Actual Loops"]) + sum(handled(part) for part in plan.get("Plans", []))


def test_no_figure_of_the_review_takes_every_row_up_for_every_other(connect: Connect) -> None:
    """It is read while somebody waits: its work grows with the rows, and not with their square."""
    tables = rows(
        connect,
        "select oid::regclass::text as name from pg_class "
        "where relnamespace = 'staging'::regnamespace and relkind = 'r'",
    )
    staged = sum(value(connect, f"select count(*) from {table['name']}") for table in tables)
    for path in [*files.files("clean_launch/review"), *files.files("clean_launch/review/warnings")]:
        with connect() as connection:
            explain = f"explain (analyze, timing off, format json) {files.text(path)}"
            row = connection.execute(explain.encode(), {"run": RUN, **review.settings(CLEAN_LAUNCH)}).fetchone()
            assert row is not None
            assert handled(row[0][0]["Plan"]) < 20 * staged, path


def test_staging_again_gives_the_same_rows(connect: Connect) -> None:
    def tables() -> dict[str, tuple[Any, ...]]:
        return {
            table: tuple(
                rows(
                    connect,
                    f"select count(*), sum(hashtextextended(t::text, 0)) as digest from staging.{table} as t",
                )[0].values()
            )
            for table in CLEAN_LAUNCH.staging_tables()
        }

    before = tables()
    stage_all(connect)
    assert tables() == before


def test_the_suites_hold_with_the_counts_of_the_business_rules(connect: Connect) -> None:
    loaded = suites.load("clean_launch")
    result = suites.run(
        connect, loaded, validation.place(CLEAN_LAUNCH, "staging"), suites.parameters(loaded, {}), print
    )
    assert [(suite.suite, suite.failed, suite.warned) for suite in result.suites if suite.failed or suite.warned] == []


def test_the_order_is_the_one_that_the_live_catalogue_asks_for(connect: Connect) -> None:
    """Every foreign key of production among the set is respected, and each is declared in the staging DDL."""
    tables = {f"public.{table}": table for table in CLEAN_LAUNCH.staging_tables()} | {"auth.users": "users"}
    live = rows(
        connect,
        "select conrelid::regclass::text as child, confrelid::regclass::text as parent, conname as name, "
        "(select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1]) as column "
        "from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace",
    )
    order = load_order.steps(CLEAN_LAUNCH)
    values = set()
    for key in live:
        names = [name if "." in name else f"public.{name}" for name in (key["child"], key["parent"])]
        if names[0] not in tables or names[1] not in tables or names[0] == "auth.users":
            continue
        child, parent = (tables[name] for name in names)
        step = f"{child}.{key['column']}"
        assert order.index(parent) < order.index(step if step in order else child), key
        values.add((child, key["column"], parent))
    declared = {
        (key.table, key.columns[0], key.target.rsplit(".", 1)[1])
        for table in CLEAN_LAUNCH.staging_tables()
        for key in load_order.foreign_keys(files.text(f"clean_launch/staging/{table}.sql"))[1]
        if key.target.rsplit(".", 1)[1] in tables.values()
    }
    assert declared == values | {("leads", "user_id", "unified_profiles")}


def test_the_staging_ddl_is_productions_column_by_column(connect: Connect) -> None:
    """The DDL in git is what people read; the shells that are loaded are made from production itself."""
    columns = (
        "select attname, format_type(atttypid, atttypmod) as type, attnotnull, attgenerated <> '' as generated "
        "from pg_attribute where attrelid = '{}'::regclass and attnum > 0 and not attisdropped order by attnum"
    )
    for table in ("unified_profiles", "transactions", "enrollments", "affiliates"):
        ddl = load_order.split_foreign_keys(files.text(f"clean_launch/staging/{table}.sql"))[0]
        with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("create schema compared")
            for statement in ddl:
                cursor.execute(statement.replace("staging.", "compared.").encode())
            declared = cursor.execute(columns.format(f"compared.{table}").encode()).fetchall()
            live = cursor.execute(columns.format(f"public.{table}").encode()).fetchall()
            constraints = (
                "select conname, contype from pg_constraint "
                "where conrelid = '{}'::regclass and contype not in ('f', 'n') order by conname"
            )
            assert declared == live
            assert (
                cursor.execute(constraints.format(f"compared.{table}").encode()).fetchall()
                == cursor.execute(constraints.format(f"public.{table}").encode()).fetchall()
            )
            connection.rollback()
