"""What the guard and the content digest of a fingerprint cost, beside a sum of PostgreSQL's own row hashes.

``python -m bench.fingerprint`` fills a table of ten columns and times each in turn, serially and with two workers, on
one server: the ratios are what counts, since the machine may be busy with other things. The memory is that of the
session's own process.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from bench.server import temporary_server
from cutover.database import statements as files
from cutover.swap import fingerprint, guard

_TABLE = sql.Identifier("public", "measured")


def main() -> None:
    """Measure and print; with ``--json``, as JSON."""
    parser = argparse.ArgumentParser(prog="./run bench fingerprint", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 5_000_000], metavar="N")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with temporary_server(durable=False) as server:
        figures = [figure for rows in chosen.rows for figure in _measure(server.dsn(), rows)]
    print(json.dumps(figures, indent=2) if chosen.json else _told(figures))


def _measure(dsn: str, rows: int) -> list[dict[str, float]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(files.text("bench/measured.sql").format(rows=rows).encode())
        connection.execute("vacuum analyze public.measured")
    return [_with_workers(dsn, rows, workers) for workers in (0, 2)]


def _with_workers(dsn: str, rows: int, workers: int) -> dict[str, float]:
    with psycopg.connect(dsn) as connection, fingerprint.pinned(connection):
        connection.execute("select set_config('max_parallel_workers_per_gather', %s, true)", (str(workers),))
        earlier = guard.take(connection, _TABLE)
        assert earlier is not None
        hashed = sql.SQL("select count(*), sum(hash_record_extended(m, 0)) from {} as m").format(_TABLE)
        count = _seconds(lambda: connection.execute(hashed).fetchone())
        guarded = _seconds(lambda: guard.holds(connection, _TABLE, earlier))
        digested = _seconds(lambda: fingerprint.content(connection, _TABLE))
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{connection.info.backend_pid}/status").read_text("ascii"))
        shared = re.search(r"RssShmem:\s+(\d+)", Path(f"/proc/{connection.info.backend_pid}/status").read_text("ascii"))
    assert peak is not None and shared is not None
    per = 1e6 / rows
    return {
        "rows": rows,
        "workers": workers,
        "sum_s": count * per,
        "guard_s": guarded * per,
        "digest_s": digested * per,
        "guard_ratio": guarded / count,
        "digest_ratio": digested / count,
        "own_memory_mb": (int(peak[1]) - int(shared[1])) / 1024,
    }


def _seconds(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return time.monotonic() - began


def _told(figures: list[dict[str, float]]) -> str:
    lines = [
        "| rows | workers | sum of row hashes | guard | content digest | memory |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {f['rows']:,} | {f['workers']} | {f['sum_s']:.2f} s | {f['guard_s']:.2f} s ({f['guard_ratio']:.1f} ×) "
        f"| {f['digest_s']:.2f} s ({f['digest_ratio']:.1f} ×) | {f['own_memory_mb']:.0f} MB |"
        for f in figures
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
