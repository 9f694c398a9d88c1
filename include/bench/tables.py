"""How fast tables are copied between databases, beside ``psql \\copy`` through a pipe, and how merging grows.

``python -m bench.tables`` makes 1,000,000 users and 2,000,000 charts in one database of an embedded PostgreSQL and
copies them to another in turn: by ``psql \\copy ... (format binary)`` piped into the same, into tables of the same
columns without a key; and by our first copy, which also keeps where each row comes from, and to which a primary key
and statistics are added. Both are timed several times, in turn, and the best of each are compared, as the machine may
be busy with other things.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psycopg

from bench.server import temporary_server
from cutover import freeze, migration, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.extract.tables import copy_database
from cutover.migration import load_order
from cutover.records import phase, run
from demo import mula
from stack.postgres import EmbeddedPostgres, bin_dir

MIGRATION = migration.load("mula_unification")
_BENCHED = ("dasha_users", "dasha_birth_charts")
_PASSWORD = "only-for-this-bench"
_ROLES = ("mula_reader", "dasha_owner", "compatibility_owner", "cutover")
_EMPTY = mula.Size(*([0] * 12))
Dsn = dict[str, str]


def main() -> None:
    """Measure and print; with ``--json``, as JSON."""
    parser = argparse.ArgumentParser(prog="./run bench tables", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000, metavar="N", help="and twice as many charts")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--merge", type=int, nargs="*", default=[50_000, 100_000, 200_000], metavar="USERS")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--copy-into", metavar="DSNS", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.copy_into:
        _copy_once(json.loads(chosen.copy_into))
        return
    with temporary_server(durable=False) as server:
        figures = _measure(server, chosen.users, chosen.rounds, chosen.merge)
    print(json.dumps(figures, indent=2) if chosen.json else _told(figures))


def _measure(server: EmbeddedPostgres, users: int, rounds: int, merge: list[int]) -> dict[str, object]:
    dsn = _make(server)
    _fill(dsn, "dasha", users)
    piped, copies = [], []
    # in turn, so that whatever else the machine does disturbs both alike
    for _ in range(rounds):
        piped.append(_timed(lambda: _pipe(dsn)))
        copies.append(_in_process(dsn))
    again = _in_process(dsn, keep=True)
    small = _make(server)
    _fill(small, "dasha", users // 10)
    memory = _in_process(small)["peak_mb"]
    best = min(copies, key=lambda figure: figure["copy_seconds"])
    return {
        "rows": 3 * users,
        "psql_seconds": round(min(piped), 2),
        "copy_seconds": best["copy_seconds"],
        "speed_beside_psql": round(min(piped) / best["copy_seconds"], 3),
        "with_key_and_statistics_seconds": best["seconds"],
        "cpu_seconds": best["cpu_seconds"],
        "peak_mb": best["peak_mb"],
        "peak_mb_at_a_tenth": memory,
        "unchanged_again_seconds": again["seconds"],
        "merge": [_merge(server, count) for count in merge],
    }


def _make(server: EmbeddedPostgres) -> Dsn:
    """Three databases of the demonstration's shape, without a row."""
    number = time.monotonic_ns()
    names = {name: f"bench_{number}_{name}" for name in mula.DATABASES}
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names.values():
            admin.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
    superuser = {name: server.dsn(database) for name, database in names.items()}
    mula.load(superuser, dict.fromkeys(_ROLES, _PASSWORD), _EMPTY)
    return superuser


def _fill(dsn: Dsn, name: str, users: int) -> None:
    """People and two charts each, made by the server; every tenth address is the other application's, too."""
    with psycopg.connect(dsn[name], autocommit=True) as connection:
        connection.execute(files.text("bench/mula_users.sql").encode(), {"users": users, "application": name})
        connection.execute(files.text("bench/mula_charts.sql").encode(), {"users": users})
        connection.execute("vacuum (analyze)")


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _pipe(dsn: Dsn) -> None:
    """The same columns by psql, from one database to the other."""
    psql = str(bin_dir() / "psql")
    for name in _BENCHED:
        table = MIGRATION.tables[name]
        columns = ", ".join(table.columns)
        with psycopg.connect(dsn["unified"], autocommit=True) as connection:
            connection.execute(f"drop table if exists public.piped_{name}".encode())
            kinds = ", ".join(f"{column} {kind}" for column, kind in table.columns.items())
            connection.execute(f"create table public.piped_{name} ({kinds})".encode())
        out = f"\\copy (select {columns} from {table.table}) to stdout (format binary)"
        into = f"\\copy public.piped_{name} from stdin (format binary)"
        reader = subprocess.Popen([psql, "-Xqc", out, dsn["dasha"]], stdout=subprocess.PIPE)
        subprocess.run([psql, "-Xqc", into, dsn["unified"]], stdin=reader.stdout, check=True)
        assert reader.wait() == 0


def _in_process(dsn: Dsn, *, keep: bool = False) -> dict[str, float]:
    """One copy by us, in a process of its own, so that its memory is its own."""
    if not keep:
        with psycopg.connect(dsn["unified"], autocommit=True) as connection:
            connection.execute("drop schema if exists raw, cutover cascade")
    command = [sys.executable, "-m", "bench.tables", "--copy-into", json.dumps(dsn)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _copy_once(dsn: Dsn) -> None:
    from cutover.extract import tables

    spent = 0.0
    stream = tables._Copy._copy

    def watched(self: tables._Copy, *arguments: object) -> int:
        nonlocal spent
        began = time.monotonic()
        copied = stream(self, *arguments)  # type: ignore[arg-type]
        spent += time.monotonic() - began
        return copied

    tables._Copy._copy = watched  # type: ignore[method-assign]
    began, cpu = time.monotonic(), time.process_time()
    copy_database([MIGRATION.tables[name] for name in _BENCHED], *_connects(dsn), log=_quiet)
    print(
        json.dumps(
            {
                "seconds": round(time.monotonic() - began, 2),
                "copy_seconds": round(spent, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        )
    )


def _connects(dsn: Dsn) -> tuple[Connect, Connect]:
    return connector(dsn["dasha"], "dasha", "bench"), connector(dsn["unified"], "unified", "bench")


def _merge(server: EmbeddedPostgres, users: int) -> dict[str, float]:
    """Freeze and transform of ``users`` in each application, after the copy: seconds in all."""
    dsn = _make(server)
    unified = connector(dsn["unified"], "unified", "bench")
    for name in ("dasha", "compatibility"):
        _fill(dsn, name, users)
        copy_database(MIGRATION.tables_of(name), connector(dsn[name], name, "bench"), unified, log=_quiet)
    freeze.install(unified, MIGRATION)
    with opened(unified) as connection:
        run.begin(
            connection,
            run="bench",
            migration=MIGRATION.migration,
            dag_id="bench",
            dag_run_id="bench",
            triggered_by=None,
            parameters={},
        )
    _record(unified, ("preflight", *(f"extract.{name}" for name in MIGRATION.databases), "capture"))
    seconds = _timed(lambda: _transform(unified))
    return {"users": 2 * users, "charts": 4 * users, "seconds": round(seconds, 2)}


def _transform(unified: Connect) -> None:
    freeze.freeze(unified, MIGRATION, "bench", _quiet)
    transform.prepare(unified, MIGRATION, "bench", _quiet)
    for step in load_order.steps(MIGRATION):
        statement = files.text(f"mula_unification/transform/{step}.sql")
        transform.load(unified, MIGRATION, "bench", step=step, statement=statement, log=_quiet)
    transform.add_keys(unified, MIGRATION, "bench", _quiet)


def _record(unified: Connect, steps: Sequence[str]) -> None:
    """Steps that are not measured here."""
    for step in steps:
        with opened(unified) as connection:
            phase.record(connection, MIGRATION, "bench", step)


def _quiet(_: str) -> None:
    """Nobody reads along."""


def _told(figures: dict[str, object]) -> str:
    lines = [f"{name.replace('_', ' '):<36}{value}" for name, value in figures.items() if name != "merge"]
    merges = figures["merge"]
    assert isinstance(merges, list)
    for merge in merges:
        per = merge["seconds"] / merge["users"] * 1e6
        lines.append(
            f"merge of {merge['users']:,} accounts and {merge['charts']:,} charts: {merge['seconds']} s "
            f"({per:.1f} µs an account)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
