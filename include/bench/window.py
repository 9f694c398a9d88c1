"""What a maintenance window of mula_unification takes: ``python -m bench.window``.

*first copy*: so many accounts and twice as many charts of one application into raw. *last copy*: the same again behind
the fence, every row compared by content, with nothing changed and with one row in a hundred changed without a stamp.
*plain*: what ``copy ... to stdout`` alone takes for the same rows, to nowhere: the floor of reading them. *fence* and
*release* are of a source that somebody reads all the while, in a transaction that stays open, as ``pg_dump`` does: the
release has ended when it has tried in vain to take the triggers away, which refuse nothing by then.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
from psycopg import sql

from bench.members import sizes
from bench.server import temporary_server
from cutover import freeze, migration, window
from cutover.database.connect import connector
from cutover.extract.tables import copy_database
from cutover.migration.tables import Table
from demo import mula
from stack.postgres import EmbeddedPostgres

MIGRATION = migration.load("mula_unification")
PASSWORD = "only-for-this-server"
ROLES = ("mula_reader", "dasha_owner", "compatibility_owner", "cutover")
HEAD = f"{'accounts':>10} {'charts':>10} {'plain':>8} {'first':>8} {'last':>8} {'1 % new':>8} {'× plain':>8}"
_FILL = (
    "insert into public.users (email, username, created_at, updated_at) "
    "select 'person' || n || '@example.com', 'name ' || n, now(), now() from generate_series(1, %(users)s) as n",
    "insert into public.birth_charts (user_id, birth_date, birth_location_name, chart_data) "
    "select 1 + n %% %(users)s, timestamp '1950-01-01' + n * interval '7 minutes', 'place ' || n, "
    "jsonb_build_object('sun', n %% 12, 'moon', n %% 27) from generate_series(1, 2 * %(users)s) as n",
)
_UNSTAMPED = "update public.birth_charts set birth_location_name = 'elsewhere' where id % 100 = 0"


def silent(line: str) -> None:
    """Keep the engine's log out of the table."""


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def lay(server: EmbeddedPostgres, users: int) -> dict[str, str]:
    """The three databases, by name, with one application filled; returns superuser DSNs."""
    names = {name: f"window_{users}_{name}" for name in mula.DATABASES}
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names.values():
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsns = {name: server.dsn(database) for name, database in names.items()}
    mula.load(dsns, dict.fromkeys(ROLES, PASSWORD), mula.Size(*([0] * 12)))
    with psycopg.connect(dsns["dasha"]) as admin:
        for statement in _FILL:
            admin.execute(statement.encode(), {"users": users})
    with psycopg.connect(dsns["dasha"], autocommit=True) as admin:
        admin.execute("vacuum (analyze)")
    return names


def plain(dsn: str, tables: Sequence[Table]) -> None:
    """Read every row of the tables, and nothing else."""
    with psycopg.connect(dsn) as reader, reader.cursor() as cursor:
        for table in tables:
            with cursor.copy(sql.SQL("copy {} to stdout (format binary)").format(table.identifier)) as rows:
                for _ in rows:
                    pass


def measure(server: EmbeddedPostgres, users: int) -> None:
    """Print a line of the copies, and one of the fence."""
    names = lay(server, users)
    tables = MIGRATION.tables_of("dasha")
    source = connector(server.dsn(names["dasha"], "mula_reader", PASSWORD), "dasha", "bench window")
    owner = connector(server.dsn(names["dasha"], "dasha_owner", PASSWORD), "dasha_owner", "bench window")
    target = connector(server.dsn(names["unified"], "cutover", PASSWORD), "unified", "bench window")
    freeze.install(target, MIGRATION)

    def copy() -> None:
        copy_database(tables, source, target, full=True, log=silent)

    floor = timed(lambda: plain(server.dsn(names["dasha"]), tables))
    first, last = timed(copy), timed(copy)
    with psycopg.connect(server.dsn(names["dasha"])) as admin:
        admin.execute(_UNSTAMPED.encode())
    changed = timed(copy)
    print(
        f"{users:>10,} {2 * users:>10,} {floor:>8.2f} {first:>8.2f} {last:>8.2f} {changed:>8.2f} {last / floor:>8.2f}",
        flush=True,
    )
    with psycopg.connect(server.dsn(names["dasha"])) as reader:
        reader.execute("select count(*) from public.users")
        patience = timedelta(seconds=30)
        fenced = timed(lambda: window.fence(owner, tables, "r1", patience=patience, log=silent))
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit(accepted, server.dsn(names["dasha"]))
            released = timed(lambda: window.release(owner, "r1", silent))
            let_in = written.result() - began
    print(
        f"{'':>10} a reader in a transaction all the while: fence {fenced:.2f} s, "
        f"writers in again after {let_in:.2f} s, release ended after {released:.2f} s",
        flush=True,
    )


def accepted(dsn: str) -> float:
    """The moment in which a source takes a write again."""
    with psycopg.connect(dsn, autocommit=True) as client:
        while True:
            try:
                client.execute("update public.users set username = 'in again' where id = 1")
            except psycopg.errors.ReadOnlySqlTransaction:
                time.sleep(0.005)
            else:
                return time.perf_counter()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench window", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--users", type=sizes, default=sizes("10k,100k"), metavar="N,N", help="accounts, such as 100k,1m"
    )
    chosen = parser.parse_args(arguments)
    print(HEAD)
    with temporary_server(durable=False) as server:
        for users in chosen.users:
            measure(server, users)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
