"""How fast and how lean extraction is, beside doing it plainly and beside dlt.

``python -m bench.extract`` serves the simulated APIs from this process and runs every tool in a process of its own,
against an embedded PostgreSQL. The *floor* is the same rows by plain requests and COPY, with nothing that could
survive a fault. Seconds of CPU and peak memory are the tool's process, from its start; the simulators' are not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stack.postgres import EmbeddedPostgres

MIGRATION = "clean_launch"
ROOT = Path(__file__).resolve().parents[2]
DLT_HOME = ROOT / ".local" / "bench-dlt"
DLT = "dlt[postgres]==1.31.0"


@dataclass(frozen=True)
class Job:
    """What a tool is to do: read all endpoints at these addresses into that database."""

    dsn: str
    xendit: str
    systemeio: str
    full: bool = True
    limit_window: float | None = None


@dataclass(frozen=True)
class Figure:
    """One run of one tool."""

    tool: str
    scale: int
    latency_ms: int
    limit: int | None
    run: str
    rows: int
    seconds: float
    cpu: float
    memory_mb: float
    requests: int
    refused: int
    server_cpu: float
    # of the requests that the rate limit allows, the share that was made by the endpoint that had to wait longest
    spent: float | None = None


# The tools, each in a process of its own --------------------------------------------------------------------------


def run_cutover(job: Job) -> None:
    """This project's extraction: all endpoints side by side, as the DAG does."""
    from cutover.database.connect import connector
    from cutover.extract.client import Access
    from cutover.extract.sync import sync
    from cutover.migration import load
    from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY

    migration = load(MIGRATION)
    access = {
        "xendit": Access("xendit", job.xendit, XENDIT_API_KEY, limit_window=job.limit_window),
        "systemeio": Access("systemeio", job.systemeio, SYSTEMEIO_API_KEY, limit_window=job.limit_window),
    }
    connect = connector(job.dsn, "bench", "bench")

    def one(name: str) -> None:
        source = migration.source(name)
        sync(source, migration.service(source), access[source.connection], connect, full=job.full, log=_quiet)

    _side_by_side(one, migration.sources)


def run_floor(job: Job) -> None:
    """The least that brings the same rows: page, decode, COPY. One fault, and it is over."""
    import psycopg
    import requests

    from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY

    def pages(base: str, paging: tuple[Any, ...]) -> Iterator[Any]:
        path, size, cursor, rows, more = paging
        session = requests.Session()
        if base == job.xendit:
            session.auth = (XENDIT_API_KEY, "")
        else:
            session.headers["X-API-Key"] = SYSTEMEIO_API_KEY
        params: dict[str, str] = {"limit": str(size)}
        while True:
            body = session.get(base + path, params=params, timeout=60).json()
            page = body if rows is None else body[rows]
            yield page
            if not page or (more is not None and not body[more]):
                return
            params[cursor] = str(page[-1]["id"])

    def one(name: str) -> None:
        base, *paging = _PLAIN[name]
        address = job.xendit if base == "xendit" else job.systemeio
        columns = ", ".join(column for column, _ in _COLUMNS[name])
        copy_rows = f"copy plain.{name} ({columns}, api_response) from stdin".encode()
        with psycopg.connect(job.dsn) as connection, connection.cursor() as cursor, cursor.copy(copy_rows) as copy:
            for page in pages(address, tuple(paging)):
                for row in page:
                    copy.write_row([value(row) for _, value in _COLUMNS[name]] + [json.dumps(row)])

    with psycopg.connect(job.dsn) as connection:
        connection.execute("drop schema if exists plain cascade")
        connection.execute("create schema plain")
        for name, columns in _COLUMNS.items():
            typed = ", ".join(f"{column} {_TYPES.get(column, 'text')}" for column, _ in columns)
            connection.execute(f"create table plain.{name} ({typed}, api_response jsonb not null)".encode())
    _side_by_side(one, _PLAIN)


def _member(*path: str) -> Callable[[Any], Any]:
    def value(row: Any) -> Any:
        for name in path:
            row = row.get(name) if row else None
        return row

    return value


def _field(slug: str) -> Callable[[Any], Any]:
    return lambda row: next((field["value"] for field in row["fields"] if field["slug"] == slug), None)


_PLAIN: dict[str, tuple[Any, ...]] = {
    "xendit_invoices": ("xendit", "/v2/invoices", 100, "last_invoice", None, None),
    "xendit_transactions": ("xendit", "/transactions", 50, "after_id", "data", "has_more"),
    "systemeio_contacts": ("systemeio", "/api/contacts", 100, "startingAfter", "items", "hasMore"),
    "systemeio_tags": ("systemeio", "/api/tags", 100, "startingAfter", "items", "hasMore"),
}
_TYPES = {
    "amount": "numeric",
    "paid_amount": "numeric",
    "net_amount": "numeric",
    "created": "timestamptz",
    "updated": "timestamptz",
    "paid_at": "timestamptz",
    "registered_at": "timestamptz",
    "tags": "text[]",
}
# A choice of what the raw tables have, so that the floor's rows are of use too.
_COLUMNS: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {
    "xendit_invoices": [
        (name, _member(name))
        for name in (
            *("id", "external_id", "status", "amount", "paid_amount", "currency", "description", "payer_email"),
            *("payment_method", "created", "updated", "paid_at"),
        )
    ],
    "xendit_transactions": [
        *(
            (name, _member(name))
            for name in (
                *("id", "type", "status", "channel_code", "reference_id", "product_id", "currency", "amount"),
                *("net_amount", "cashflow", "settlement_status", "created", "updated"),
            )
        ),
        ("payment_link_id", _member("product_data", "payment_link_id")),
    ],
    "systemeio_contacts": [
        ("id", _member("id")),
        ("email", _member("email")),
        ("first_name", _field("first_name")),
        ("surname", _field("surname")),
        ("phone_number", _field("phone_number")),
        ("tags", lambda row: sorted(tag["name"] for tag in row["tags"])),
        ("registered_at", _member("registeredAt")),
    ],
    "systemeio_tags": [("id", _member("id")), ("name", _member("name"))],
}


def run_dlt(job: Job) -> None:
    """dlt with the same endpoints, tuned as its documentation advises. Runs in its own environment."""
    import dlt  # type: ignore[import-not-found]
    from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

    from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY

    def resource_of(name: str) -> dict[str, Any]:
        base, path, size, cursor, rows, _more = _PLAIN[name]
        address = job.xendit if base == "xendit" else job.systemeio
        headers = {"X-API-Key": SYSTEMEIO_API_KEY} if base == "systemeio" else {}
        return {
            "name": name,
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {
                "path": address + path,
                "params": {"limit": size},
                "data_selector": rows or "$",
                "paginator": _LastId(cursor, rows),
                "headers": headers,
            },
        }

    from dlt.sources.helpers.rest_client.auth import HttpBasicAuth  # type: ignore[import-not-found]
    from dlt.sources.helpers.rest_client.paginators import BasePaginator  # type: ignore[import-not-found]

    class _LastId(BasePaginator):  # type: ignore[misc]
        def __init__(self, cursor: str, rows: str | None) -> None:
            super().__init__()
            self.cursor, self.rows, self.last = cursor, rows, None

        def update_state(self, response: Any, data: Any = None) -> None:  # noqa: ARG002 - dlt names it
            body = response.json()
            page = body if self.rows is None else body[self.rows]
            more = bool(page) if self.rows is None else body.get("has_more", body.get("hasMore"))
            self._has_next_page = bool(page and more)
            self.last = page[-1]["id"] if page else None

        def update_request(self, request: Any) -> None:
            request.params = {**(request.params or {}), self.cursor: self.last}

    working = tempfile.TemporaryDirectory(prefix="cutover-bench-dlt-")  # gone with this process
    os.environ["DLT_DATA_DIR"] = working.name
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    source = rest_api_source(
        {
            "client": {"base_url": job.xendit, "auth": HttpBasicAuth(XENDIT_API_KEY, "")},
            "resources": [resource_of(name) for name in _PLAIN],
        },
        parallelized=True,
    )
    pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(job.dsn), dataset_name="dlt_raw")
    pipeline.run(source)
    shutil.rmtree(os.environ["DLT_DATA_DIR"], ignore_errors=True)


_TOOLS: dict[str, Callable[[Job], None]] = {"floor": run_floor, "cutover": run_cutover, "dlt": run_dlt}


def _quiet(_line: str) -> None:
    """A log that nobody reads."""


def _side_by_side(one: Callable[[str], None], names: Iterable[str]) -> None:
    failures: list[BaseException] = []

    def guarded(name: str) -> None:
        try:
            one(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def work(tool: str, job: Job) -> dict[str, float]:
    """Run a tool in this process and measure it."""
    started = time.perf_counter()
    _TOOLS[tool](job)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "memory_mb": _peak_memory()}


def _peak_memory() -> float:
    """The most memory that this process had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # not ru_maxrss: that one begins with what the parent had when it forked
        peak = next(entry for entry in status.read_text().splitlines() if entry.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


# Running them ---------------------------------------------------------------------------------------------------


class Bench:
    """The servers that all tools meet."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.postgres = postgres
        self.figures: list[Figure] = []

    def measure(self, tools: list[str], scale: int, latency_ms: int, limit: int | None, window: float) -> None:
        """Run every tool against the same world: a first time into nothing, and a second time with nothing changed."""
        from demo.population import Population
        from demo.simulators import Simulator, SystemeioOptions, XenditOptions

        # without a limit it would still report one
        xendit = XenditOptions(rate_limit=limit, window_seconds=window, rate_limit_headers=limit is not None)
        systemeio = SystemeioOptions(rate_limit=limit, window_seconds=window)
        with Simulator(
            Population(scale=scale), xendit=xendit, systemeio=systemeio, latency=latency_ms / 1000
        ) as simulator:
            rows = sum(
                len(table) for table in (simulator.invoices, simulator.transactions, simulator.contacts, simulator.tags)
            )
            for tool in tools:
                database = self._fresh_database()
                job = Job(database, simulator.xendit_url, simulator.systemeio_url, True, window if limit else None)
                runs = {"first": job, "unchanged": job}
                if tool == "cutover":
                    runs["hourly"] = Job(**{**asdict(job), "full": False})
                if tool == "floor" or limit is not None:
                    runs = {"first": job}
                for run, this_job in runs.items():
                    simulator.forget_requests()
                    before = self._server_cpu()
                    measured = _run_tool(tool, this_job)
                    if measured is None:
                        break
                    self.figures.append(
                        Figure(
                            *(tool, scale, latency_ms, limit, run, rows),
                            seconds=measured["seconds"],
                            cpu=measured["cpu"],
                            memory_mb=measured["memory_mb"],
                            requests=simulator.count(),
                            refused=simulator.count(status=429),
                            server_cpu=self._server_cpu() - before,
                            spent=_spent(simulator.requests, limit, window) if limit else None,
                        )
                    )
                    print(line(self.figures[-1], self.figures), flush=True)

    def _fresh_database(self) -> str:
        import psycopg

        with psycopg.connect(self.postgres.dsn(), autocommit=True) as admin:
            admin.execute("drop database if exists bench with (force)")
            admin.execute("create database bench")
            admin.execute("checkpoint")
        return self.postgres.dsn("bench")

    def _server_cpu(self) -> float:
        import psutil

        postmaster = psutil.Process(int((self.postgres.data / "postmaster.pid").read_text().splitlines()[0]))
        times = [postmaster.cpu_times()]
        for child in postmaster.children():
            # one that has ended since is counted among the postmaster's children
            with contextlib.suppress(psutil.NoSuchProcess):
                times.append(child.cpu_times())
        return sum(part.user + part.system for part in times) + times[0].children_user + times[0].children_system


def _spent(requests: list[Any], limit: int, window: float) -> float | None:
    """The least time that a sliding window allows until the last quota is begun, by the time that was taken to it.

    Of the endpoint that is furthest from it; None if no endpoint needed more than one quota. What is asked for within
    the last quota no limit holds back.
    """
    times: dict[str, list[float]] = {}
    for request in requests:
        if request.status != 429:
            times.setdefault(request.path, []).append(request.at)
    shares = []
    for moments in map(sorted, times.values()):
        quotas = (len(moments) - 1) // limit
        if quotas:
            shares.append(window * quotas / (moments[quotas * limit] - moments[0]))
    return min(shares, default=None)


def _run_tool(tool: str, job: Job) -> dict[str, float] | None:
    python = sys.executable
    if tool == "dlt":
        interpreter = _dlt_python()
        if interpreter is None:
            return None
        python = interpreter
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT / "include")])}
    done = subprocess.run(
        [python, "-m", "bench.extract", "--work", tool, json.dumps(asdict(job))],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        # an error of ours has two lines: what is wrong, and what clears it
        said = " ".join(line.strip() for line in done.stderr.strip().splitlines()[-2:])
        print(f"{tool} failed: {said or 'no message'}")
        return None
    measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def _dlt_python() -> str | None:
    """The interpreter of dlt's own environment, made when it is first needed; None, with a line, if that fails."""
    python = DLT_HOME / "bin" / "python"
    marker = DLT_HOME / "complete"
    if not marker.exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        for command in (
            [uv, "venv", "--clear", "--python", sys.executable, str(DLT_HOME)],
            [uv, "pip", "install", "--compile-bytecode", "--python", str(python), DLT, "psycopg2-binary"],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                print(f"dlt is skipped: {uv} does not run ({error.strerror})")
                return None
            if done.returncode != 0:
                print(f"dlt is skipped: it cannot be installed ({done.stderr.strip().splitlines()[-1:]})")
                return None
        marker.touch()
    return str(python)


HEAD = (
    f"{'tool':8} {'scale':>5} {'latency':>7} {'limit':>5} {'run':9} {'rows':>9} {'seconds':>8} {'rows/s':>8} "
    f"{'CPU s':>7} {'MB':>5} {'requests':>8} {'429':>4} {'PG CPU':>7}  against the floor"
)


def line(figure: Figure, others: list[Figure]) -> str:
    """A figure as a line of the table, compared with first runs in the same circumstances: the floor's, its own."""
    first = {
        other.tool: other
        for other in others
        if (other.scale, other.latency_ms, other.limit, other.run)
        == (figure.scale, figure.latency_ms, figure.limit, "first")
    }
    compared = ""
    if figure.limit is not None:
        compared = "fewer requests than the limit" if figure.spent is None else f"{figure.spent:.1%} of the quota spent"
    elif figure.tool != "floor" and "floor" in first:
        floor, own = first["floor"], first[figure.tool]
        compared = f"{figure.cpu / floor.cpu:.2f} x CPU, {figure.seconds / floor.seconds:.2f} x time"
        if figure is not own:
            compared += f" ({figure.cpu / own.cpu:.2f} x CPU, {figure.seconds / own.seconds:.2f} x time of its first)"
    return (
        f"{figure.tool:8} {figure.scale:5} {figure.latency_ms:4} ms {figure.limit or '-':>5} {figure.run:9} "
        f"{figure.rows:9,} {figure.seconds:8.2f} {figure.rows / figure.seconds:8,.0f} {figure.cpu:7.2f} "
        f"{figure.memory_mb:5.0f} {figure.requests:8,} {figure.refused:4} {figure.server_cpu:7.2f}  {compared}"
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,10") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.extract", description=__doc__)
    parser.add_argument("--scales", type=_numbers, default=[1], metavar="1,10,30")
    parser.add_argument("--latencies", type=_numbers, default=[0], metavar="0,100", help="milliseconds of each answer")
    parser.add_argument(
        "--limits",
        type=_numbers,
        default=[],
        metavar="60,600",
        help="also with so many requests a window, this tool only",
    )
    parser.add_argument("--window", type=float, default=6.0, help="seconds that the limits count over; 60 in real life")
    parser.add_argument("--limit-scale", type=int, default=1, help="the scale at which limits are measured")
    parser.add_argument("--tools", default="floor,cutover,dlt")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--work", nargs=2, metavar=("TOOL", "JOB"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.work:
        tool, job = chosen.work
        print(json.dumps(work(tool, Job(**json.loads(job)))))
        return 0
    tools = chosen.tools.split(",")
    if unknown := set(tools) - set(_TOOLS):
        parser.error(f"--tools: there is no {', '.join(sorted(unknown))}; choose among {', '.join(_TOOLS)}")
    from bench.server import temporary_server

    with temporary_server(durable=True, settings={"shared_buffers": "1GB"}) as server:
        bench = Bench(server)
        print(HEAD)
        for scale in chosen.scales:
            for latency in chosen.latencies:
                bench.measure(tools, scale, latency, None, chosen.window)
        for limit in chosen.limits:
            bench.measure(["cutover"], chosen.limit_scale, chosen.latencies[0], limit, chosen.window)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(figure) for figure in bench.figures], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
