"""What a rehearsal of sign-ins takes: ``./run bench sign_in``.

*accounts* of both applications in the demonstration's mixture, launched by the migration itself; the platform is a
process of its own on this machine, asked over HTTP as after a swap. *bare*: as many requests to ``/healthz``, which
needs no database: what asking alone takes. *rehearsed*: every account, by a token, and what it is shown. *ms each* has
to stay the same when there are more of them; *CPU* is the platform's own time of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
from psycopg import sql

from bench.server import temporary_server
from bench.window import PASSWORD, ROLES, silent
from cutover import freeze, rehearsal, review, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.extract.tables import copy_database
from cutover.migration import load, load_order
from cutover.records import chain, phase, run
from cutover.swap.transaction import swap
from cutover.validate import checks
from demo import mula
from mula_platform import setup
from stack.postgres import EmbeddedPostgres, free_port

MIGRATION = load("mula_unification")
RUN = "bench"
HEAD = f"{'accounts':>10} {'bare':>8} {'rehearsed':>10} {'a second':>9} {'ms each':>8} {'CPU ms':>7} {'failed':>7}"
_APPROVE = (
    "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, decided_at, "
    "expires_at) select r.run, 'swap', 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
    "now() + interval '1 hour' from cutover.run as r where r.run = %s returning approval_id"
)


def launched(server: EmbeddedPostgres, scale: int) -> dict[str, str]:
    """The databases of so many times the seed's applications, launched and with the platform set up, by name."""
    names = {name: f"sign_in_{scale}_{name}" for name in mula.DATABASES}
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names.values():
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsns = {name: server.dsn(database) for name, database in names.items()}
    mula.load(dsns, dict.fromkeys(ROLES, PASSWORD), mula.Size().times(scale))
    unified = _unified(server, names)
    freeze.install(unified, MIGRATION)
    with opened(unified) as connection:
        run.begin(
            connection, run=RUN, migration=MIGRATION.migration, dag_id=RUN, dag_run_id=RUN, triggered_by="operator",
            parameters={},
        )  # fmt: skip
        phase.record(connection, MIGRATION, RUN, "preflight")
    for name in MIGRATION.databases:
        source = connector(server.dsn(names[name], "mula_reader", PASSWORD), name, "bench")
        copy_database(MIGRATION.tables_of(name), source, unified, log=silent)
        _record(unified, f"extract.{name}")
    freeze.install_capture(unified, MIGRATION, silent)
    _record(unified, "capture")
    freeze.freeze(unified, MIGRATION, RUN, silent)
    transform.prepare(unified, MIGRATION, RUN, silent)
    for step in load_order.steps(MIGRATION):
        statement = files.text(f"mula_unification/transform/{step}.sql")
        transform.load(unified, MIGRATION, RUN, step=step, statement=statement, log=silent)
    transform.add_keys(unified, MIGRATION, RUN, silent)
    with opened(unified) as connection:
        record = {"checks": [result.check for result in checks.run(connection, MIGRATION.migration, RUN)]}
        run.note(connection, RUN, validation=record)
        digests = {"result": phase.digest(record), "staged": transform.digest(connection, MIGRATION)}
    _record(unified, "validation", **digests)
    _record(unified, "late_writes")
    review.build(unified, MIGRATION, RUN, silent)
    with opened(unified) as connection:
        approval = connection.execute(_APPROVE.encode(), (RUN,)).fetchone()
        chain.cover(connection, "approval", RUN, ("approvals", approval[0] if approval else None))
    with opened(unified) as connection:
        order = review.order(MIGRATION, run.get(connection, RUN))
    swap(unified, order, silent)
    setup.prepare(dsns["unified"], PASSWORD)
    platform = server.dsn(names["unified"], setup.ROLE, PASSWORD)
    setup.carry_all({name: dsns[name] for name in MIGRATION.databases}, platform, silent)
    return names


def _unified(server: EmbeddedPostgres, names: dict[str, str]) -> Connect:
    return connector(server.dsn(names["unified"], "cutover", PASSWORD), "unified", "bench sign_in")


def _record(unified: Connect, step: str, **result: str) -> None:
    with opened(unified) as connection:
        phase.record(connection, MIGRATION, RUN, step, **result)


@contextmanager
def served(dsn: str, keys: Path) -> Iterator[tuple[rehearsal.Service, psutil.Process]]:
    """The platform over a database, as a process of its own."""
    port = free_port()
    environment = {
        **os.environ,
        "CUTOVER_PLATFORM_DSN": dsn,
        "CUTOVER_PLATFORM_KEYS": str(keys),
        "CUTOVER_PLATFORM_PORT": str(port),
        "CUTOVER_PLATFORM_DASHA_SECRET": "of the bench, for the Dasha Timer, and long",
        "CUTOVER_PLATFORM_COMPATIBILITY_SECRET": "of the bench, for Compatibility, and long",
    }
    command = [sys.executable, "-m", "mula_platform"]
    subprocess.run([*command, "rotate-keys"], env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([*command, "serve"], env=environment, stderr=subprocess.DEVNULL)
    assert MIGRATION.sign_ins is not None
    service = rehearsal.Service(f"http://127.0.0.1:{port}", MIGRATION.sign_ins)
    try:
        while (why := service.why_not_ready()) is not None:
            if process.poll() is not None:
                raise RuntimeError(why)
            time.sleep(0.1)
        yield service, psutil.Process(process.pid)
    finally:
        service.close()
        process.terminate()
        process.wait()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(server: EmbeddedPostgres, scale: int) -> None:
    """Print a line."""
    names = launched(server, scale)
    platform = server.dsn(names["unified"], setup.ROLE, PASSWORD)
    with TemporaryDirectory() as keys, served(platform, Path(keys)) as (service, process):
        before = _cpu(process)
        report = rehearsal.rehearse(_unified(server, names), MIGRATION, RUN, service, sample=[], log=silent)
        accounts, spent = report.token.tried, _cpu(process) - before
        began = time.perf_counter()
        with ThreadPoolExecutor(rehearsal.CONCURRENCY) as pool:
            list(pool.map(lambda _: service.get("/healthz"), range(2 * accounts)))
        bare = time.perf_counter() - began
    print(
        f"{accounts:>10,} {bare:>8.1f} {report.seconds:>10.1f} {accounts / report.seconds:>9,.0f} "
        f"{1000 * report.seconds / accounts:>8.2f} {1000 * spent / accounts:>7.2f} {report.token.failed:>7,}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench sign_in", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scale", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="times the seed's 4,400 accounts"
    )
    chosen = parser.parse_args(arguments)
    print(HEAD)
    with temporary_server(durable=False) as server:
        for scale in chosen.scale:
            measure(server, scale)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
