"""What recording a write costs the application: ``python -m bench.capture``.

One table of ten columns and one client: inserts, updates of one column, deletes. Three ways, in turns, on one server:

none    no trigger
json    the trigger of earlier versions: rows as ``jsonb``
engine  the trigger as it is: rows as PostgreSQL writes them down

and then how many captured updates a second are carried into another table. What is counted is the time that the server
process spent on a CPU (the machine may do other things), least of the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from bench.server import temporary_server
from cutover.database import statements as files
from cutover.database.connect import session
from cutover.records import ledger
from cutover.swap import capture

ACTIONS = {
    "insert": "insert into public.t (id, status, amount, meta, email, n, f, b) select g, 'paid', g, "
    "'{{\"a\": 1, \"b\": \"hello\"}}', 'person' || g || '@example.com', g, g / 7.0, true "
    "from generate_series(1, {rows}) as g",
    "update": "update public.t set status = 'refunded'",
    "delete": "delete from public.t",
}


@dataclass(frozen=True)
class Figure:
    """One way: microseconds on a CPU for each row."""

    way: str
    insert: float
    update: float
    delete: float


def on_cpu(process: int) -> float:
    """Seconds that a process has spent on a CPU; wall time where the system does not tell."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return time.monotonic()


def measure(connection: psycopg.Connection, way: str, rows: int) -> Figure:
    """Each action once."""
    connection.execute(files.text("bench/capture.sql").encode())
    if way == "engine":
        capture.install(connection, [("public", "t")])
    elif way == "json":
        connection.execute(
            "create trigger recorded after insert or update or delete on public.t "
            "for each row execute function public.recorded_as_json()"
        )
    took: dict[str, float] = {}
    for action, statement in ACTIONS.items():
        began = on_cpu(connection.info.backend_pid)
        connection.execute(statement.format(rows=rows).encode())
        took[action] = (on_cpu(connection.info.backend_pid) - began) / rows * 1e6
    return Figure(way, **took)


def carried(connection: psycopg.Connection, rows: int) -> float:
    """Captured updates carried per second."""
    connection.execute(files.text("bench/capture.sql").encode())
    connection.execute(ACTIONS["insert"].format(rows=rows).encode())
    connection.execute("create table public.u (like public.t including all)")
    connection.execute("insert into public.u select * from public.t; analyze public.u")
    capture.install(connection, [("public", "t")])
    since = connection.execute("select pg_current_snapshot()::text").fetchone()
    connection.execute(ACTIONS["update"].encode())
    began = on_cpu(connection.info.backend_pid)
    connection.execute(
        "select * from cutover.carry('bench', array['public.t'::regclass::oid], array['public.u'::regclass::oid], "
        "%s::pg_snapshot, pg_current_snapshot(), null, false)",
        since,
    )
    took = on_cpu(connection.info.backend_pid) - began
    same = connection.execute("select count(*) from public.u where status = 'refunded'").fetchone()
    assert same == (rows,)
    return rows / took


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench capture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args(arguments)
    with temporary_server(durable=False) as server, session(server.dsn(), "bench") as connection:
        connection.autocommit = True
        ledger.install(connection)
        rounds = [
            {way: measure(connection, way, chosen.rows) for way in ("none", "json", "engine")}
            for _ in range(chosen.rounds)
        ]
        best = [
            Figure(way, **{a: min(getattr(r[way], a) for r in rounds) for a in ACTIONS})
            for way in ("none", "json", "engine")
        ]
        rate = max(carried(connection, chosen.rows) for _ in range(3))
        print(f"{'µs a row':<10} {'insert':>8} {'update':>8} {'delete':>8}")
        for figure in best:
            print(f"{figure.way:<10} {figure.insert:>8.1f} {figure.update:>8.1f} {figure.delete:>8.1f}")
        added = {a: [getattr(f, a) - getattr(best[0], a) for f in best[1:]] for a in ACTIONS}
        ratios = {a: round(engine / before, 2) for a, (before, engine) in added.items()}
        print(f"{'engine/json':<10} {ratios['insert']:>7.2f} {ratios['update']:>8.2f} {ratios['delete']:>8.2f}")
        print(f"carried: {rate:,.0f} updates a second")
    if chosen.json:
        document = {"figures": [asdict(f) for f in best], "added": ratios, "carried_per_second": rate}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
