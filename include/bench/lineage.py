"""What OpenLineage costs a task: ``python -m bench.lineage``.

A deployment of its own over small simulated APIs, twice: without a transport, and with one that leads to a backend in
this process. In each, dry runs of clean_launch, which end with their review. *CPU* is that of the scheduler and all
that it has run, per task, with what it took while idle for as long taken off; it is without the processes that send
events, which are nobody's children. *wall* is from the trigger to the end of the run, per task.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from bench.server import temporary_server
from cutover.commands.api import Api, run_path
from demo import credentials, production
from demo.population import Population, Profile
from demo.simulators import Simulator
from stack.deployment import Deployment
from stack.postgres import EmbeddedPostgres, free_port
from stack.progress import Console
from stack.settings import PORTS, ROOT, Settings

PASSWORD = "only-for-this-measurement"
SMALL = {"minimum_profiles": 100, "minimum_transactions": 100, "minimum_enrollments": 100}
HEAD = f"{'events':>8} {'runs':>5} {'tasks':>6} {'CPU s/task':>11} {'wall s/task':>12} {'events/run':>11}"


@dataclass
class Measured:
    """Of the best of some runs."""

    tasks: int
    cpu_s: float
    wall_s: float
    events: int

    def line(self, name: str, runs: int) -> str:
        """A line below ``HEAD``."""
        per_task = f"{self.cpu_s / self.tasks:>11.3f} {self.wall_s / self.tasks:>12.3f}"
        return f"{name:>8} {runs:>5} {self.tasks:>6} {per_task} {self.events:>11}"


@contextmanager
def backend(events: list[str]) -> Iterator[str]:
    """Takes events over HTTP; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["eventType"])
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def deployment(server: EmbeddedPostgres, name: str, transport: str | None) -> Iterator[Deployment]:
    """Airflow's processes over a small world; with events if a transport is given."""
    population = Population(profile=Profile().shrunk(40))
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
    production.load(server.dsn(name), 1, PASSWORD, population=population)
    with tempfile.TemporaryDirectory(prefix="cutover-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Simulator(population) as simulators:
            keys = quote(credentials.XENDIT_API_KEY), quote(credentials.SYSTEMEIO_API_KEY)
            addresses = (simulators.xendit_url, simulators.systemeio_url)
            xendit, systemeio = (
                f"http://:{key}@{url.removeprefix('http://')}" for key, url in zip(keys, addresses, strict=True)
            )
            inherited = {one: text for one, text in os.environ.items() if not one.startswith(("AIRFLOW", "CUTOVER"))}
            variables = inherited | {port: str(free_port()) for port in PORTS}
            variables |= {
                "CUTOVER_HOME": str(Path(folder) / "home"),
                "AIRFLOW_CONN_PRODUCTION": server.dsn(name, "cutover", PASSWORD),
                "AIRFLOW_CONN_XENDIT": xendit,
                "AIRFLOW_CONN_SYSTEMEIO": systemeio,
                "AIRFLOW__CORE__PARALLELISM": "2",
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            }
            if transport is not None:
                variables["AIRFLOW__OPENLINEAGE__TRANSPORT"] = transport
            stack = Deployment(Settings.read(variables, ROOT / "dags"), Console())
            try:
                stack.up()
                yield stack
            finally:
                stack.down()
                stack.settings.postgres.remove()


def cpu_s(home: Path) -> float:
    """CPU seconds of the deployment's scheduler, and of everything that it runs or has run."""
    schedulers = [one for one in psutil.process_iter() if _is_scheduler(one, home)]
    total = 0.0
    for process in [each for one in schedulers for each in (one, *one.children(recursive=True))]:
        try:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:  # has ended, and is counted with its parent
            continue
    return total


def _is_scheduler(process: psutil.Process, home: Path) -> bool:
    try:
        return "stack.scheduler" in process.cmdline() and str(home) in process.environ().get("AIRFLOW_HOME", "")
    except psutil.Error:
        return False


def one_run(stack: Deployment, api: Api, number: int) -> tuple[int, float, float]:
    """Tasks, CPU and wall seconds of a dry run."""
    home = stack.settings.home
    began, used = time.monotonic(), cpu_s(home)
    body = {"logical_date": None, "dag_run_id": f"bench_{number}", "conf": {"dry_run": True, **SMALL}}
    api.post("dags/clean_launch/dagRuns", body)
    path = run_path("clean_launch", f"bench_{number}")
    while (state := api.get(path)["state"]) in ("queued", "running"):
        time.sleep(0.2)
    seconds = time.monotonic() - began
    assert state == "success", state
    time.sleep(3)  # what is told after the last task
    used, rested = cpu_s(home) - used, cpu_s(home)
    time.sleep(seconds / 2)
    idle = (cpu_s(home) - rested) * 2
    tasks = [one for one in api.get(f"{path}/taskInstances", limit=200)["task_instances"] if one["state"] == "success"]
    return len(tasks), used - idle, seconds


def measure(server: EmbeddedPostgres, name: str, runs: int, *, tells: bool) -> Measured:
    """The best of ``runs`` dry runs."""
    events: list[str] = []
    with backend(events) as address:
        sending = {"type": "http", "url": address}
        transport = json.dumps({"type": "cutover.lineage.transport.Detached", "transport": sending}) if tells else None
        with deployment(server, name, transport) as stack:
            api = Api(stack.settings.url, "operator", stack.airflow.passwords()["operator"])
            results = [one_run(stack, api, number) for number in range(runs)]
    cpu, wall = min(used for _, used, _ in results), min(seconds for _, _, seconds in results)
    return Measured(results[0][0], cpu, wall, len(events) // runs)


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(prog="./run bench lineage")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    print(HEAD)
    with temporary_server(durable=True) as server:
        for name, tells in (("off", False), ("on", True)):
            print(measure(server, f"lineage_{name}", runs, tells=tells).line(name, runs), flush=True)


if __name__ == "__main__":
    main()
