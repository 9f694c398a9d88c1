"""How long a review takes whose rows hold long values: ``python -m bench.review``.

So many charts of one application whose ``chart_data`` has so many characters are launched by mula_unification, all of
them are changed at their source, and they are launched again. *first* and *repeat* are the review's task alone, from
the counts to the fingerprint: the repeat's has rows to compare, and samples of changed ones to show. *1 kB* is the same
with short values, *samples* what of the repeat's is reading, masking and cutting what the page shows.
"""

from __future__ import annotations

import argparse
import time

import psycopg

from bench.launches import Launches
from bench.members import sizes
from bench.server import temporary_server
from cutover.review import samples
from stack.postgres import EmbeddedPostgres

HEAD = f"{'charts':>8} {'characters':>12} {'first s':>8} {'repeat s':>9} {'samples s':>10}"
_FILL = (
    "insert into public.users (email, created_at, updated_at) "
    "select 'person' || n || '@example.com', now(), now() from generate_series(1, %(rows)s) as n",
    "insert into public.birth_charts (user_id, birth_date, chart_data) select n, timestamp '1990-05-17 06:30', "
    "jsonb_build_object('picture', (select string_agg(md5(n || '/' || part), '') "
    "from generate_series(1, %(size)s / 32) as part)) from generate_series(1, %(rows)s) as n",
)
_CHANGE = "update public.birth_charts set chart_data = chart_data || '{\"end\": 1}', updated_at = now()"


def measure(server: EmbeddedPostgres, rows: int, size: int) -> None:
    """Print one line."""
    launches = Launches(server, f"review_{rows}_{size}")
    with psycopg.connect(launches.dsns["dasha"]) as admin:
        for statement in _FILL:
            admin.execute(statement.encode(), {"rows": rows, "size": size})
    first = launches.launch("first")
    with psycopg.connect(launches.dsns["dasha"]) as admin:
        admin.execute(_CHANGE.encode())
    showing: list[float] = []
    of_tables = samples.of_tables

    def watched(*given: object) -> object:
        began = time.perf_counter()
        try:
            return of_tables(*given)  # type: ignore[arg-type]
        finally:
            showing.append(time.perf_counter() - began)

    samples.of_tables = watched  # type: ignore[assignment]
    try:
        repeat = launches.launch("second")
    finally:
        samples.of_tables = of_tables
    print(f"{rows:>8,} {size:>12,} {first:>8.2f} {repeat:>9.2f} {showing[-1]:>10.2f}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--charts", type=int, default=20, metavar="N", help="charts with such a value")
    parser.add_argument(
        "--sizes", type=sizes, default=sizes("1k,1m"), metavar="N,N", help="characters of each value, such as 1k,1m"
    )
    chosen = parser.parse_args(arguments)
    print(HEAD)
    with temporary_server(durable=False) as server:
        for size in chosen.sizes:
            measure(server, chosen.charts, size)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
