"""The keys are nowhere but in the connections: not in a table, a log line, an error or an XCom."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover.errors import CutoverError
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from demo.simulators import Faults, XenditOptions
from demo.simulators.server import Response
from tests.extract.conftest import SOURCES, World
from tests.extract.scripted import Scripted

SECRETS = [
    XENDIT_API_KEY,
    SYSTEMEIO_API_KEY,
    base64.b64encode(f"{XENDIT_API_KEY}:".encode()).decode(),
    base64.b64encode(XENDIT_API_KEY.encode()).decode(),
]


def everything_in(dsn: str) -> str:
    """Every row of every table of the database, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 10
        texts = []
        for table in tables:
            rows = connection.execute(sql.SQL("select t::text from {} as t").format(sql.Identifier(*table))).fetchall()
            texts += [row[0] for row in rows]
        # bytea is shown in hex
        for name, column in (("rejects", "source_bytes"), ("sync_adjustment", "received")):
            stored = connection.execute(
                sql.SQL("select {} from cutover.{} where {} is not null").format(
                    sql.Identifier(column), sql.Identifier(name), sql.Identifier(column)
                )
            ).fetchall()
            texts += [bytes(row[0]).decode(errors="replace") for row in stored]
    return "\n".join(texts)


def test_no_key_is_in_any_table_log_line_or_report(
    simulate: Callable[..., World], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    world = simulate(
        faults=Faults(rate=0.2, slow_seconds=0.01), xendit=XenditOptions(rate_limit=600, retry_after="seconds")
    )
    reports = [world.sync(name) for name in SOURCES]
    with pytest.raises(CutoverError) as refused:
        world.sync("xendit_invoices", access=world.access("xendit", secret=XENDIT_API_KEY + "x"))
    said = "\n".join(
        [
            *world.log,
            *(json.dumps(report.to_xcom()) for report in reports),
            *(repr(report) for report in reports),
            str(refused.value),
            repr(refused.value.args),
            caplog.text,
            *capfd.readouterr(),
            everything_in(world.dsn),
        ]
    )
    assert "/v2/invoices" in said
    assert [secret for secret in SECRETS if secret in said] == []


def test_a_key_that_the_api_repeats_is_blotted_out(world: World) -> None:
    """In an error it ends in the task's log and in cutover.sync."""

    def echo(_request: Any) -> Response:
        body = {"error_code": "BAD_KEY", "message": f"{XENDIT_API_KEY} / {SECRETS[2]} is not welcome"}
        return Response(400, json.dumps(body).encode())

    with Scripted(echo) as server, pytest.raises(CutoverError) as raised:
        world.sync("xendit_invoices", access=world.access("xendit", base_url=server.url))
    assert "*** / *** is not welcome" in str(raised.value)
    assert [secret for secret in SECRETS if secret in everything_in(world.dsn)] == []


def test_the_report_for_other_tasks_is_small_and_has_nothing_personal(world: World) -> None:
    report = world.sync("systemeio_contacts").to_xcom()
    assert len(json.dumps(report)) < 1500
    assert "first_id" not in report
    assert all(not isinstance(value, str) or "@" not in value for value in report.values())
