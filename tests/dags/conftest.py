"""Runs whole DAGs in this process by ``dag.test()``, against a small world on a real PostgreSQL."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy.orm import configure_mappers

from cutover.lineage import graph
from demo import credentials, production
from demo.population import Population, Profile
from demo.simulators import Simulator
from stack.postgres import EmbeddedPostgres
from tests.lineage.collector import Collector, listening

PASSWORD = "only-for-this-test-server"
# A fortieth of the seed's size: the shape of everything, in seconds.
POPULATION = Population(profile=Profile().shrunk(40))
# No session of ours may take a name from a schema of others.
TRAPS = Path(__file__).with_name("traps.sql")
SMALL = {"minimum_profiles": 100, "minimum_transactions": 100, "minimum_enrollments": 100}


@dataclass
class World:
    """One production and two simulated APIs, known to Airflow by its usual connections."""

    dsn: str
    state: dict[str, Any] = field(default_factory=dict)

    def value(self, query: str, *parameters: Any) -> Any:
        """The first value of a query, as superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return None if row is None else row[0]


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, made once per session in the database that the root conftest names."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, timeout=180)
    # All at once and here: two threads that import Airflow's models for the first time wait for each other for ever.
    importlib.import_module("airflow.dag_processing.dagbag")
    configure_mappers()


@pytest.fixture(scope="session")
def simulators() -> Iterator[Simulator]:
    """The two APIs over the small population."""
    with Simulator(POPULATION) as running:
        yield running


@pytest.fixture
def world(
    airflow_database: None, server: EmbeddedPostgres, database: str, simulators: Simulator, monkeypatch: Any
) -> World:
    """A contaminated production with traps, and the connections to it and to the simulators in the environment."""
    name = database.rsplit("/", 1)[1]
    production.load(database, 1, PASSWORD, population=POPULATION)
    with psycopg.connect(database) as admin:
        admin.execute(TRAPS.read_bytes())
    connections = {
        "PRODUCTION": server.dsn(name, "cutover", PASSWORD).replace("postgresql://", "postgres://"),
        "XENDIT": f"http://{quote(credentials.XENDIT_API_KEY)}:@{simulators.xendit_url.removeprefix('http://')}",
        "SYSTEMEIO": f"http://:{quote(credentials.SYSTEMEIO_API_KEY)}@{simulators.systemeio_url.removeprefix('http://')}",
    }
    for connection_id, uri in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id}", uri)
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", '["reviewer"]')
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(Path(server.home) / f"docs-{name}"))
    return World(database)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A lineage backend, and Airflow configured to tell it everything."""
    from airflow.providers.openlineage.plugins.listener import OpenLineageListener
    from airflow.sdk.listener import get_listener_manager

    # every event is made in a fork of this process: what is known in here need not be found out there
    graph.of_migration("clean_launch")
    with listening() as collector:
        monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", collector.transport)
        manager = get_listener_manager()
        # Airflow asks for plugins once in a process, and may have done so before there was a transport
        if not any(isinstance(one, OpenLineageListener) for one in manager.pm.get_plugins()):
            manager.add_listener(OpenLineageListener())
        yield collector
        for one in manager.pm.get_plugins():
            if isinstance(one, OpenLineageListener):
                manager.pm.unregister(one)


def load_dag(dag_id: str) -> Any:
    """One DAG of the repository, parsed anew."""
    from airflow.dag_processing.dagbag import DagBag

    root = Path(__file__).resolve().parents[2]
    bag = DagBag(str(root / "dags"))
    assert not bag.import_errors, bag.import_errors
    return bag.dags[dag_id]


# What the scheduler delivers to a task whose question nobody has answered in time.
TIME_OUT = {"error": "The response timeout has passed without a response.", "error_type": "timeout"}


def answer(
    dag_id: str,
    option: str | None,
    *,
    person: str | None = "reviewer",
    values: Callable[[Any], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Answer the next question of a DAG from a thread, as Airflow's API does; returns what the form showed.

    Without an option nobody answers, and the wait ends as the scheduler ends it.
    """
    from airflow._shared.timezones import timezone
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    answer: dict[str, Any] = {}

    def work() -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            with create_session() as session:
                waiting = session.scalar(
                    select(TaskInstance)
                    .where(TaskInstance.dag_id == dag_id, TaskInstance.state == "awaiting_input")
                    .options(joinedload(TaskInstance.hitl_detail))
                )
                if waiting is None and answer:
                    return
                if waiting is not None and waiting.hitl_detail is not None:
                    time.sleep(0.3)  # dag.test() writes the state once more after the task has parked
                    form = waiting.hitl_detail
                    first = not answer
                    answer.update(subject=form.subject, body=form.body, params=form.params)
                    if first and option is not None:
                        form.responded_by = None if person is None else {"id": "7", "name": person}
                        form.responded_at = timezone.utcnow()
                        form.chosen_options = [option]
                        given = {name: param["value"] for name, param in form.params.items()}
                        form.params_input = values(given) if values else given
                        session.add(form)
                    payload = TIME_OUT if option is None else form.as_resume_event_payload()
                    handle_event_submit(TriggerEvent(payload), task_instance=waiting, session=session)
            time.sleep(0.2)

    threading.Thread(target=work, daemon=True).start()
    return answer


def run(dag_id: str, **conf: Any) -> tuple[str, dict[str, str]]:
    """Run a DAG to its end: its state, and the state of each task."""
    dag_run = load_dag(dag_id).test(run_conf=conf)
    return str(dag_run.state), {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
