"""A whole deployment that runs: Airflow's processes over a small world, with a webhook that listens and a dead mail
server."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import requests
from psycopg import sql

from cutover.commands.api import Api, run_path
from cutover.operators.approvers import VARIABLE
from cutover.records.ledger import run_key
from demo import credentials, production
from demo.population import Population, Profile
from demo.simulators import Simulator
from stack.demonstration import until_parked
from stack.deployment import Deployment
from stack.postgres import EmbeddedPostgres, free_port
from stack.progress import Console
from stack.settings import PORTS, ROOT, Settings

PASSWORD = "only-for-this-test-server"
_PATIENCE_S = 120
_UNDER_WAY = ("scheduled", "queued", "running", "restarting", "awaiting_input", "deferred", "up_for_retry")
SMALL = {"minimum_profiles": 100, "minimum_transactions": 100, "minimum_enrollments": 100}


@dataclass
class Running:
    """The deployment, its target database, its migrations' files, and what its webhook has been told."""

    deployment: Deployment
    dsn: str
    include: Path
    messages: list[dict[str, Any]]
    conf: dict[str, Any]
    apis: dict[str, Api] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where Airflow is."""
        return self.deployment.settings.url

    def password(self, account: str) -> str:
        """An account's password."""
        return self.deployment.airflow.passwords()[account]

    def api(self, account: str) -> Api:
        """The REST API as ``account``."""
        if account not in self.apis:
            self.apis[account] = Api(self.url, account, self.password(account))
        return self.apis[account]

    def ask(self, account: str, method: str, path: str, body: object = None) -> requests.Response:
        """Any request as ``account``, whatever the answer; below /api/v2, or a whole path."""
        path = path if path.startswith("/") else f"/api/v2/{path}"
        return self.api(account)._session.request(method, self.url + path, json=body, timeout=30)

    def value(self, query: str, *values: Any) -> Any:
        """The first value of a query on the target, as superuser; None if there is no row."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def name_approvers(self, *named: dict[str, str] | str) -> None:
        """Say in Airflow's variable who may approve from now on."""
        body = {"key": VARIABLE, "value": json.dumps(named)}
        answer = self.ask("admin", "PATCH", f"variables/{VARIABLE}", body)
        assert answer.ok, answer.text

    def account(self, name: str) -> dict[str, str]:
        """An account with its id, as Airflow has it."""
        with psycopg.connect(self.deployment.settings.dsn("airflow")) as metadata:
            row = metadata.execute("select id::text from ab_user where username = %s", (name,)).fetchone()
        assert row is not None
        return {"id": row[0], "name": name}

    def trigger(self, dag_id: str, account: str = "operator", *, run_id: str | None = None, **conf: Any) -> Run:
        """A new run; ``run_id`` is the one that somebody has chosen for it."""
        body = {"logical_date": None, "conf": conf} | ({"dag_run_id": run_id} if run_id else {})
        return Run(self, dag_id, str(self.api(account).post(f"dags/{dag_id}/dagRuns", body)["dag_run_id"]))


@dataclass
class Run:
    """One DAG run, through the REST API."""

    running: Running
    dag_id: str
    run_id: str

    @property
    def key(self) -> str:
        """Its key in the target database."""
        return run_key(self.dag_id, self.run_id)

    @property
    def path(self) -> str:
        """Below /api/v2."""
        return run_path(self.dag_id, self.run_id)

    @property
    def page(self) -> str:
        """Of ``cutover.ui``."""
        return f"/cutover/{self.path.replace('/dagRuns/', '/runs/')}"

    def task(self, task_id: str) -> dict[str, Any]:
        """A task instance."""
        return dict(self.running.api("admin").get(f"{self.path}/taskInstances/{task_id}"))

    def until(self, task_id: str, *states: str, seconds: float = 240) -> str:
        """Wait for a task; fails the test when it ends otherwise."""
        deadline = time.monotonic() + seconds
        while (state := self.task(task_id)["state"]) not in states:
            ended = state in ("failed", "success", "upstream_failed", "skipped")
            assert not ended, f"{task_id} is {state}:\n{self.failures()}"
            assert time.monotonic() < deadline, f"{task_id} is {state} after {seconds} s"
            time.sleep(0.3)
        return str(state)

    def until_asked(self, task_id: str = "approve") -> None:
        """Wait for the question, and until an answer cannot overtake Airflow's own bookkeeping."""
        self.until(task_id, "awaiting_input")
        until_parked(self.running.deployment, self.dag_id, self.run_id, task_id, self.task(task_id)["try_number"])

    def form(self, account: str = "reviewer") -> dict[str, Any]:
        """What the approval form holds."""
        return dict(self.running.api(account).get(f"{self.path}/taskInstances/approve/-1/hitlDetails"))

    def answer(self, account: str, option: str = "Approve", **values: Any) -> requests.Response:
        """Answer as ``account``."""
        given = {name: field["value"] for name, field in self.form().get("params", {}).items()}
        body = {"chosen_options": [option], "params_input": {**given, **values}}
        return self.running.ask(account, "PATCH", f"{self.path}/taskInstances/approve/-1/hitlDetails", body)

    def mark_success(self, task_id: str, account: str = "operator") -> requests.Response:
        """What the check mark in the UI does."""
        return self.running.ask(account, "PATCH", f"{self.path}/taskInstances/{task_id}", {"new_state": "success"})

    def clear(self, task_id: str, account: str = "operator", *, downstream: bool = True) -> None:
        """Run a task again; with everything behind it, unless told otherwise."""
        self.let_the_run_end()
        before = self.task(task_id)["try_number"]
        body = {
            "dry_run": False, "task_ids": [task_id], "dag_run_id": self.run_id, "include_downstream": downstream,
            "only_failed": False, "reset_dag_runs": True,
        }  # fmt: skip
        answer = self.running.ask(account, "POST", f"dags/{self.dag_id}/clearTaskInstances", body)
        assert answer.ok, answer.text
        deadline = time.monotonic() + _PATIENCE_S
        # the states of the earlier try are still there until the new one has begun
        while self.task(task_id)["try_number"] == before or self.task(task_id)["state"] in (None, "scheduled"):
            assert time.monotonic() < deadline, f"{task_id} has not begun again: {self.task(task_id)['state']}"
            time.sleep(0.2)

    def clear_blindly(self, task_id: str, *, downstream: bool) -> None:
        """Clear a task, whatever comes of it."""
        body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": self.run_id, "include_downstream": downstream,
                "only_failed": False, "reset_dag_runs": True}  # fmt: skip
        self.running.ask("admin", "POST", f"dags/{self.dag_id}/clearTaskInstances", body)

    def tasks(self) -> list[dict[str, Any]]:
        """All task instances."""
        return list(self.running.api("admin").get(f"{self.path}/taskInstances", limit=200)["task_instances"])

    def give_up(self) -> None:
        """Mark the run as failed, whatever it is doing: the next one need not wait for its schemas."""
        self.running.ask("admin", "PATCH", self.path, {"state": "failed"})

    def settle(self, seconds: float = 240) -> None:
        """Wait until nothing of it is under way, the question apart, for two looks in a row."""
        deadline, quiet = time.monotonic() + seconds, 0
        while quiet < 2:
            busy = [task for task in self.tasks() if task["state"] in _UNDER_WAY and task["state"] != "awaiting_input"]
            quiet = 0 if busy else quiet + 1
            assert not busy or time.monotonic() < deadline, busy
            time.sleep(0.7)

    def let_the_run_end(self) -> None:
        """Wait, when none of its tasks is under way, until the run has ended.

        The scheduler that is about to end a run ends it even if a task was cleared meanwhile, and gives the tasks
        behind one that has failed their state: they would never run again.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while self.running.api("admin").get(self.path)["state"] not in ("failed", "success"):
            tasks = self.tasks()
            if any(task["state"] in _UNDER_WAY for task in tasks):
                return
            assert time.monotonic() < deadline, f"nothing runs, and the run does not end: {tasks}"
            time.sleep(0.2)

    def let_time_run_out(self, task_id: str) -> None:
        """Put the end of a task's wait into the past, for the scheduler to find."""
        with psycopg.connect(self.running.deployment.settings.dsn("airflow"), autocommit=True) as metadata:
            late = metadata.execute(
                "update task_instance set trigger_timeout = now() - interval '1 s' "
                "where dag_id = %s and run_id = %s and task_id = %s and state = 'awaiting_input'",
                (self.dag_id, self.run_id, task_id),
            )
        assert late.rowcount == 1

    def log(self, task_id: str) -> str:
        """The log of a task's last try."""
        number = self.task(task_id)["try_number"]
        content = self.running.api("admin").get(f"{self.path}/taskInstances/{task_id}/logs/{number}")["content"]
        return json.dumps(content)

    def failures(self) -> str:
        """The logs' ends of all tasks that failed."""
        failed = [task["task_id"] for task in self.tasks() if task["state"] == "failed"]
        said = {task: re.findall(r"\[[a-z]+\.[a-z-]+\][^\"]*", self.log(task)) for task in failed}
        return "\n".join(f"{task}: {' '.join(each[-1:]) or self.log(task)[-1500:]}" for task, each in said.items())


def pictures() -> Path | None:
    """Where to keep screenshots: with ``CUTOVER_PICTURES`` set, the world has the real account's size."""
    folder = os.environ.get("CUTOVER_PICTURES")
    return Path(folder) if folder else None


@contextmanager
def deployment(server: EmbeddedPostgres, folder: Path, name: str = "running", declared: str = "") -> Iterator[Running]:
    """Start everything, and stop it at the end; ``declared`` is what its migration says besides."""
    small = Population(profile=Profile().shrunk(40))
    population = Population() if pictures() else small
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsn = server.dsn(name)
    production.load(dsn, 1, PASSWORD, population=population)
    lines: list[dict[str, Any]] = []
    # of its own, so that a test can deploy another version
    shutil.copytree(ROOT / "include", folder / "include", ignore=shutil.ignore_patterns("__pycache__"))
    declaration = folder / "include/sql/clean_launch/migration.yaml"
    declaration.write_text(declaration.read_text() + declared)
    with Simulator(population) as simulators, _webhook(lines) as webhook:
        settings = Settings.read(
            _variables(server.dsn(name, "cutover", PASSWORD), simulators, webhook, folder), ROOT / "dags"
        )
        stack = Deployment(settings, Console())
        try:
            stack.up()
            yield Running(stack, dsn, folder / "include", lines, {} if pictures() else dict(SMALL))
        finally:
            stack.down()
            settings.postgres.remove()
            shutil.rmtree(folder, ignore_errors=True)


def _variables(dsn: str, simulators: Simulator, webhook: str, folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CUTOVER"))}
    mail = {"conn_type": "smtp", "host": "127.0.0.1", "port": free_port(), "login": "", "password": "",
            "extra": {"to": ["people@example.com"], "disable_ssl": True, "disable_tls": True, "retry_limit": 0,
                      "from_email": "cutover@example.com"}}  # fmt: skip
    ports = tuple(PORTS)
    xendit, systemeio = quote(credentials.XENDIT_API_KEY), quote(credentials.SYSTEMEIO_API_KEY)
    return {
        **inherited,
        **{name: str(free_port()) for name in ports},
        "CUTOVER_HOME": str(folder / "home"),
        "CUTOVER_INCLUDE": str(folder / "include"),
        "AIRFLOW_CONN_PRODUCTION": dsn,
        "AIRFLOW_CONN_XENDIT": f"http://:{xendit}@{simulators.xendit_url.removeprefix('http://')}",
        "AIRFLOW_CONN_SYSTEMEIO": f"http://:{systemeio}@{simulators.systemeio_url.removeprefix('http://')}",
        "AIRFLOW_CONN_CUTOVER_SMTP": json.dumps(mail),
        "AIRFLOW_CONN_CUTOVER_WEBHOOK": json.dumps({"conn_type": "http", "host": webhook, "password": "s3cret-part"}),
        "AIRFLOW__CORE__PARALLELISM": "2",
        # no DAG changes meanwhile, and reading all of them every 30 s is a fifth of a processor
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    }


@contextmanager
def _webhook(messages: list[dict[str, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            messages.append({"path": self.path, **body})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the tests' standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/hooks"
        listening.shutdown()
