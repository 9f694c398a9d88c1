"""The hourly sync as Airflow runs it: all once, nothing when nothing changed, and no key in what Airflow keeps."""

from __future__ import annotations

import base64
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import inspect, text

from demo import credentials
from demo.simulators import Simulator

from .conftest import World, run

pytestmark = pytest.mark.timeout(240)

SOURCES = ("xendit_invoices", "xendit_transactions", "systemeio_contacts", "systemeio_tags")
SECRETS = (
    credentials.XENDIT_API_KEY,
    credentials.SYSTEMEIO_API_KEY,
    base64.b64encode(f"{credentials.XENDIT_API_KEY}:".encode()).decode(),
)


def versions(world: World) -> dict[str, Any]:
    """What PostgreSQL changes whenever a row is written, of every raw row."""
    with psycopg.connect(world.dsn) as connection:
        return {
            name: connection.execute(
                sql.SQL("select id::text, xmin::text, ctid::text, t::text from raw.{} as t order by 1").format(
                    sql.Identifier(name)
                )
            ).fetchall()
            for name in SOURCES
        }


def modes(world: World) -> Any:
    """How each source was read the last time."""
    return world.value(
        "select jsonb_object_agg(source, mode) from (select distinct on (source) source, mode "
        "from cutover.sync order by source, sync_id desc) as latest"
    )


def kept_by_airflow() -> str:
    """Every row of Airflow's own database: XComs, rendered templates, its log of events."""
    from airflow.utils.session import create_session

    with create_session() as session:
        tables = inspect(session.connection()).get_table_names()
        assert {"xcom", "rendered_task_instance_fields"} <= set(tables)
        return "\n".join(str(row) for table in tables for row in session.execute(text(f'select * from "{table}"')))


def test_an_hour_without_changes_writes_nothing_and_says_so(
    world: World, simulators: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    state, tasks = run("raw_sync")
    assert state == "success", tasks
    assert set(tasks) == {*(f"extract.{name}" for name in SOURCES), "summary"}
    before = versions(world)
    counts = {name: len(rows) for name, rows in before.items()}
    assert counts == {name: len(getattr(simulators, name.split("_")[1])) for name in SOURCES}
    assert set(modes(world).values()) == {"full"}

    state, tasks = run("raw_sync")
    assert state == "success", tasks
    assert versions(world) == before
    assert modes(world)["xendit_invoices"] == modes(world)["xendit_transactions"] == "incremental"
    output = capsys.readouterr().out
    assert f"0 changed of {sum(counts.values()):,}" in output

    state, tasks = run("raw_sync", full=True)
    assert state == "success", tasks
    assert set(modes(world).values()) == {"full"}
    assert versions(world) == before
    output += capsys.readouterr().out

    stored = kept_by_airflow()
    assert "xendit_invoices" in stored
    assert [secret for secret in SECRETS if secret in stored or secret in output] == []
