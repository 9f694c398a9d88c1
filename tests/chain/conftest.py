"""A database with evidence in it: three launches, each with review, approval, entry and certificate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cutover import approve
from cutover.records import audit, chain, ledger, run, signing
from cutover.records.anchors import Anchor
from stack.postgres import EmbeddedPostgres
from tests import databases

REVIEW: dict[str, Any] = {
    "tables": [{"name": "profiles", "before": 1, "after": 2}],
    "captured": 0,
    "validation": {"success": True},
}


def launch(connection: psycopg.Connection, key: str, review: dict[str, Any] | None = None) -> None:
    """The evidence of a launch, as the engine writes it: from its review to its certificate."""
    run.begin(connection, run=key, migration="test", dag_id="test", dag_run_id=key, triggered_by="maker", parameters={})
    read = review or REVIEW
    run.note(connection, key, review=read, validation=read.get("validation", {}), fingerprint="f" * 64)
    chain.cover(connection, "review", key, ("run", key))
    answer = approve.Answer(
        run=key, action="swap", decision="approve", fingerprint="f" * 64, task_id="approve", try_number=1,
        person="reviewer", person_id="3", triggered_by="maker", comment="seen", decided_at=datetime.now(timezone.utc),
        valid_for=timedelta(hours=1),
    )  # fmt: skip
    approve.record(connection, answer)
    now = datetime.now(timezone.utc)
    values: dict[str, Any] = {
        "run": key, "migration": "test", "action": "swap", "undoes": None, "backup_schema": f"backup_{key}",
        "fingerprint": "f" * 64, "approval_id": None, "approved_by": "reviewer", "started_at": now, "locked_at": now,
        "attempts": 1, "tables": [], "carried": [], "report": {"rate": 3.5},
    }  # fmt: skip
    chain.append(connection, "swap", key, [ledger.write(connection, {}, **values)])
    connection.execute(
        "insert into cutover.certificate (run, left_behind, not_validated, inventory_hash, done) "
        "values (%s, %s, '[]', 'h', '[]')",
        (key, Jsonb([])),
    )
    chain.cover(connection, "certificate", key, ("certificate", key))


@pytest.fixture(scope="module")
def evidence(server: EmbeddedPostgres) -> Iterator[str]:
    """The database, for tests that take back what they do."""
    name = f"chain_{os.getpid()}"
    databases.create(server, name)
    with psycopg.connect(server.dsn(name)) as connection:
        ledger.install(connection)
        for number in range(1, 4):
            launch(connection, f"r{number}")
    yield server.dsn(name)
    databases.drop(server, name)


@pytest.fixture
def opened(evidence: str) -> Iterator[psycopg.Connection]:
    """As somebody with all rights, triggers or not; nothing is kept."""
    with psycopg.connect(evidence) as connection:
        connection.execute("set local session_replication_role = replica")
        yield connection
        connection.rollback()


def noted(connection: psycopg.Connection) -> list[Anchor]:
    """The newest head, noted elsewhere."""
    newest = chain.newest(connection)
    assert newest is not None
    return [Anchor("test", newest.link, newest.head, datetime.now(timezone.utc), "a file")]


def faults(connection: psycopg.Connection, anchors: list[Anchor] | None = None) -> list[str]:
    """What is not as it was written."""
    return [str(fault) for fault in audit.look(connection, signing.keys(), anchors or []).faults]
