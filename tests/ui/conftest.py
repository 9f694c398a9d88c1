"""Airflow's own API server in this process, with the plugin as Airflow finds it, and a target database to show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from starlette.testclient import TestClient

from cutover.extract.why import install_lineage
from cutover.records import chain, ledger
from cutover.records.ledger import run_key
from tests.clean_launch_world import World

DAG = "clean_launch"
RUN_ID = "manual__2025-11-02T08:15:00+00:00"
RUN = run_key(DAG, RUN_ID)
HERE = f"/cutover/dags/{DAG}/runs/manual__2025-11-02T08%3A15%3A00%2B00%3A00"
Pages = Callable[..., Any]


@dataclass
class Deployment:
    """The target database, as superuser, and where its Data Docs are."""

    dsn: str
    docs: Path

    def execute(self, query: str, *values: Any) -> None:
        """One statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(query.encode(), values or None)

    def run(self, review: dict[str, Any] | None, dag_id: str = DAG, run_id: str = RUN_ID) -> str:
        """A run that has been reviewed; its key."""
        key = run_key(dag_id, run_id)
        self.execute(
            "insert into cutover.run (run, migration, dag_id, dag_run_id, triggered_by, review, frozen_at, snapshot) "
            "values (%s, %s, %s, %s, 'operator', %s, now(), pg_current_snapshot())",
            key, DAG, dag_id, run_id, Jsonb(review),
        )  # fmt: skip
        if review is not None:
            self.cover("review", key, "run", key)
        return key

    def cover(self, kind: str, run: str, table: str, key: object) -> None:
        """A link of the chain for a row that is written, as the engine would append it."""
        with psycopg.connect(self.dsn) as connection:
            chain.cover(connection, kind, run, (table, key))

    def entry(self, run: str, action: str = "swap", **values: Any) -> None:
        """A ledger entry of a run."""
        row: dict[str, Any] = {
            "run": run, "migration": DAG, "action": action, "backup_schema": f"backup_{run}", "fingerprint": "f" * 64,
            "approved_by": "reviewer", "attempts": 1, "tables": Jsonb([]), "carried": Jsonb([]),
        } | values  # fmt: skip
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        self.execute(
            f"insert into cutover.ledger ({names}, snapshot, xid, started_at, locked_at) "
            f"values ({marks}, pg_current_snapshot(), pg_current_xact_id(), now(), now())",
            *row.values(),
        )
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute("select entry from cutover.ledger where run = %s", (run,)).fetchone()
        assert rows is not None
        self.cover(action, run, "ledger", rows[0])


@pytest.fixture(scope="session")
def api_server() -> Iterator[TestClient]:
    """The API server's application, as ``airflow api-server`` makes it."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, timeout=180)
    from airflow.api_fastapi.app import create_app

    with TestClient(create_app(), follow_redirects=False) as client:
        yield client


@pytest.fixture
def target(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """An empty target with the engine's tables and clean_launch's production, known to Airflow as ``production``."""
    with psycopg.connect(database) as connection:
        World(connection).create()
        ledger.install(connection)
        install_lineage(connection, DAG)
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", database.replace("postgresql://", "postgres://"))
    monkeypatch.delenv("AIRFLOW_CONN_UNIFIED", raising=False)
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path / "docs"))
    (tmp_path / "docs").mkdir()
    return Deployment(database, tmp_path / "docs")


@pytest.fixture
def get(api_server: TestClient) -> Pages:
    """GET as a signed-in viewer, or as ``role``; None for nobody."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def ask(path: str, role: str | None = "viewer", **headers: str) -> Any:
        if role is not None:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
            headers["Authorization"] = f"Bearer {token}"
        return api_server.get(path, headers=headers)

    return ask


@pytest.fixture
def airflow_runs(api_server: TestClient) -> Iterator[Callable[..., None]]:
    """Puts a run and its tasks into Airflow's database as the scheduler would, and takes them out at the end.

    A task is its state, or that with when it began and ended. ``beside``: the runs that are there stay.
    """
    from airflow.utils.session import create_session
    from sqlalchemy import text

    def put(
        dag_id: str,
        run_id: str,
        state: str,
        tasks: Mapping[str, str | tuple[str, datetime | None, datetime | None]],
        began: datetime | None = None,
        *,
        beside: bool = False,
    ) -> None:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance

        if not beside:
            clean()
        with create_session() as session:
            moment = began or datetime.now(timezone.utc)
            session.execute(
                DagRun.__table__.insert().values(
                    dag_id=dag_id, run_id=run_id, state=state, run_after=moment, start_date=moment, run_type="manual",
                    triggering_user_name="operator", clear_number=0,
                )
            )  # fmt: skip
            for task, given in tasks.items():
                of_task, start, end = (given, None, moment) if isinstance(given, str) else given
                session.execute(
                    TaskInstance.__table__.insert().values(
                        id=uuid4(), dag_id=dag_id, run_id=run_id, task_id=task, state=of_task, map_index=-1,
                        try_number=1, max_tries=0, pool="default_pool", pool_slots=1, queue="default",
                        priority_weight=1, operator="x", custom_operator_name="x", task_display_name=task,
                        start_date=start, end_date=end, executor_config={}, unixname="x", hostname="x",
                    )
                )  # fmt: skip

    def clean() -> None:
        with create_session() as session:
            session.execute(text("delete from task_instance"))
            session.execute(text("delete from dag_run"))

    yield put
    clean()


@pytest.fixture
def post(api_server: TestClient, get: Pages) -> Pages:
    """POST of a form as a signed-in viewer, or as ``role``; None for nobody."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def send(path: str, role: str | None = "viewer", headers: dict[str, str] | None = None, **fields: str) -> Any:
        given = dict(headers or {})
        if role is not None:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
            given["Authorization"] = f"Bearer {token}"
        return api_server.post(path, data=fields, headers=given)

    return send


def review(**values: Any) -> dict[str, Any]:
    """A stored review, as ``review.build`` makes one."""
    table = {"name": "unified_profiles", "before": 3636, "after": 6133, "added": 2827, "removed": 330, "changed": 5}
    return {
        "migration": DAG, "run": RUN, "triggered_by": "operator", "frozen_at": "2025-11-02T08:20:00+00:00",
        "tables": [table], "samples": {}, "figures": [], "warnings": [], "dependents": [], "captured": 0,
        "lock_times": [], "fingerprint": "f" * 64,
        "reconciliation": [{
            "source": "xendit_invoices", "read": 9025, "staged": 6136, "merged": 0, "left_out": 2889, "rejected": 0,
            "difference": 0, "reasons": {"left_out": {"status EXPIRED": 2818, "status PENDING": 71}},
        }],
        "validation": {"success": True, "suites": [
            {"suite": "unified_profiles", "source": "", "success": True, "evaluated": 25, "failed": [], "warned": []}
        ], "checks": []},
    } | values  # fmt: skip


REHEARSED = {
    "rehearsed_at": "2025-11-02T08:29:00+00:00", "reason": None, "attempts": 1, "seconds": 1.4, "hold_ms": 27.3,
    "waited_ms": 29.1, "clients": 3, "longest_ms": 28.4, "statements": 97, "facts": 1204,
    "carried": [{"table_name": "orders", "operation": "update", "carried": 12, "already_gone": 0, "quarantined": 1}],
}  # fmt: skip


_QUERY = {
    "name": "include/sql/clean_launch/probes/products.sql", "title": "Products that somebody may use", "why": None,
    "is_probe": True, "calls": None, "mean_ms": None, "verdict": "answers differently", "rows_before": 2883,
    "rows_after": 2880, "only_before": 3, "only_after": 0, "values_before": None, "values_after": None,
    "ms_before": 1.2, "ms_after": 14.0, "factor": 11.67, "runs": 3, "slower": True,
    "plan": ["transactions: index scan (by_user) → sequential scan"], "asserted": ["no fewer rows"], "broken": [],
}  # fmt: skip
PROBED = {
    "compared_at": "2025-11-02T08:29:30+00:00", "reason": None, "seconds": 3.1,
    "statements": "3 statements are hidden from the engine's role: grant pg_read_all_stats to cutover",
    "queries": [
        _QUERY,
        _QUERY | {"title": "Revenue", "rows_before": 1, "rows_after": 1, "only_before": 1, "only_after": 1,
                  "values_before": {"revenue": "1200.50", "month": "2•••"}, "plan": [], "slower": False,
                  "values_after": {"revenue": 1300, "month": "2•••"}},
        _QUERY | {"title": "select a from t where <script> = $1", "name": "statement 77", "is_probe": False,
                  "calls": 42,
                  "mean_ms": 0.5, "verdict": "fails", "why": 'column "a" does not exist', "rows_before": None,
                  "rows_after": None, "slower": False, "asserted": []},
    ],
}  # fmt: skip


def site(target: Deployment, number: int = 1, phase: str = "staging", run: str = RUN) -> Path:
    """Data Docs as the validation writes them, with one page."""
    import hashlib

    folder = target.docs / DAG / run / f"{number}-{phase}"
    page = folder / "validations" / "unified_profiles" / run / "t" / "unified_profiles.html"
    page.parent.mkdir(parents=True)
    page.write_text("<h1>unified_profiles</h1><script>inline()</script>")
    (folder / "index.html").write_text("<h1>index</h1>")
    result = {"run": run, "phase": phase, "digest": "d" * 64, "checks": [], **review()["validation"]}
    (folder / "result.json").write_text(json.dumps(result))
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder
