"""How long clients wait for a swap, beside the ways it is done otherwise: ``python -m bench.swap``.

One embedded server, one production with every kind of dependent (``include/bench/sql/production.sql``), eight client
processes that read, write and sign up. For every size the same staged tables are put in place by each variant, each
on its own copy of the database:

engine            this project's swap, and then its rollback
rehearsal         the same transaction, taken back; and what ten of them leave in the catalogue
bare renames      the moves alone, in one transaction: the floor. It loses every dependent, so writes fail after it
table by table    the moves, each table in its own transaction: shows that torn answers are seen
truncate+insert   production's own tables emptied and filled, outside foreign keys dropped and added
delete+insert     the same by DELETE, with foreign keys and triggers switched off (needs a superuser)
12 s select       the engine again, with a reader in front of it that holds its lock for 12 seconds

*hold* is the time from all locks taken to the end of the commit; *busy* the part of it that the server spent working
(on a machine that does other things too, the rest is waiting for a CPU). *max wait* is the longest transaction of a
client that ran while locks were asked for or held, or in the half second after; *elsewhere* the longest in the rest of
the run (preparing, validating). A client whose query would see rows of two batches counts as torn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench.clients import MARKED, RATE, Answer, at_work
from bench.production import PASSWORD, TABLES, Production, allow, lay
from bench.server import temporary_server
from cutover import rollback
from cutover.database import statements as files
from cutover.migration import Migration
from cutover.records import ledger
from cutover.swap import preparation, scope
from cutover.swap.execution import Observer
from cutover.swap.rehearsal import rehearse
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

MIGRATION = Migration(migration="test", merge={"users": "auth.users"})
LOCK = "lock table public.profiles, public.affiliates, public.orders in {} mode"
# Who drops foreign keys needs the tables that have them, too; taken later, clients and we would wait for each other.
LOCK_ALL = (
    "lock table public.refunds, public.commissions, public.events, public.profiles, public.affiliates, public.orders "
    "in {} mode"
)
SETTLE_S = 0.5
# Of one alone, what pages happen to have room would be measured.
REHEARSALS = 10
LONG_WAIT_S = 0.2
# At 5 million rows a DELETE and INSERT takes minutes in which nothing is learned.
MOST_ROWS_TO_DELETE = 2_000_000


@dataclass(frozen=True)
class Figure:
    """One variant at one size. Times in milliseconds; waits are clients' whole transactions."""

    rows: int
    variant: str
    hold_ms: float
    busy_ms: float | None  # of the hold, the time that the server process was on a CPU; Linux only
    max_wait_ms: float
    elsewhere_ms: float
    usual_ms: float
    waits_over_200_ms: int
    failed: int
    failures: dict[str, int]  # by kind of transaction and SQLSTATE
    torn: int
    transactions: int
    attempts: int
    carried: int
    total_s: float
    ratio: float | None = None


class Clock(Observer):
    """Notes when a swap began to ask for its locks, had them, and had committed, and the CPU time it took."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.locked = 0.0
        self.released = 0.0
        self.busy: float | None = None
        self.server_process = 0

    def connector(self, connect: Callable[[], psycopg.Connection]) -> Callable[[], psycopg.Connection]:
        """The same connections; the newest is the one whose time is counted."""

        def connected() -> psycopg.Connection:
            connection = connect()
            self.server_process = connection.info.backend_pid
            return connection

        return connected

    def _on_cpu(self) -> float:
        try:
            return int(Path(f"/proc/{self.server_process}/schedstat").read_text().split()[0]) / 1e9
        except OSError:
            return float("nan")

    def at(self, moment: str) -> None:
        now = time.monotonic()
        if moment == "locking":
            self.asked.append(now)
        elif moment == "locked":
            self.locked = now
            self.busy = -self._on_cpu()
        elif moment == "committed" and self.busy is not None:
            self.released = now
            self.busy += self._on_cpu()


@dataclass
class Site:
    """A copy of the staged production for one variant."""

    production: Production
    people: int
    order: Any


class Bench:
    """The server, and the figures so far."""

    def __init__(self, postgres: EmbeddedPostgres, seconds: float) -> None:
        self.postgres = postgres
        self.seconds = seconds
        self.figures: list[Figure] = []
        self.rows = 0
        self.people = 0
        self.order: Any = None

    def build(self, rows: int) -> None:
        """A production of so many rows in the swapped tables, frozen, staged, approved: every variant's start."""
        self._drop("staged")
        with psycopg.connect(self.postgres.dsn(), autocommit=True) as admin:
            admin.execute("create database staged")
        self.rows, self.people = rows, max(200, round(rows / 3.05))
        production = lay(self.postgres, "staged")
        with production.admin() as admin:
            admin.execute("grant select on public.paid, public.levels to app")
            admin.execute("grant update, select on public.profiles to app")
            admin.execute("grant execute on function public.display_name to app")
            # the rows are consistent by themselves: checking each costs minutes
            admin.execute("set session_replication_role = replica")
            admin.execute(files.text("bench/rows.sql").format(people=self.people).encode())
        self.order = production.prepare("bench", MARKED)
        with production.connect() as connection:
            connection.autocommit = True
            tables = scope.read(
                connection, TABLES, incoming_schema="staging", backup_schema="staging", merged=[("auth", "users")]
            )
            preparation.dress(connection, tables)

    def site(self, name: str) -> Site:
        """A copy of what ``build`` made."""
        self._drop(name)
        with psycopg.connect(self.postgres.dsn(), autocommit=True) as admin:
            admin.execute(sql.SQL("create database {} template staged strategy file_copy").format(sql.Identifier(name)))
        copy = Production(
            self.postgres.dsn(name),
            self.postgres.dsn(name, "cutover", PASSWORD),
            self.postgres.dsn(name, "app", PASSWORD),
        )
        allow(copy)
        with copy.admin() as admin:
            admin.execute("analyze")
            admin.execute("checkpoint")
        return Site(copy, self.people, self.order)

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.postgres.dsn(), autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def measure(self, name: str, work: Callable[[Clock], dict[str, int]], site: Site) -> None:
        """Run ``work`` under load, and work out what the clients felt."""
        clock = Clock()
        with at_work(site.production.app_dsn, site.people) as answers:
            time.sleep(self.seconds)
            began = time.monotonic()
            extra = work(clock)
            ended = time.monotonic()
            time.sleep(max(SETTLE_S, self.seconds / 2))
        self.figures.append(self._figure(name, clock, answers, (began, ended), extra))
        print(_line(self.figures[-1]), flush=True)

    def _figure(
        self, name: str, clock: Clock, answers: Sequence[Answer], span: tuple[float, float], extra: dict[str, int]
    ) -> Figure:
        began, ended = span
        asked = clock.asked[0]
        touched = [a for a in answers if a.ended >= asked and a.began <= clock.released + SETTLE_S]
        run = [a for a in answers if a.ended >= began and a.began <= ended + SETTLE_S]
        before = sorted(a.seconds for a in answers if a.ended < began)
        during = set(touched)
        rest = [a.seconds for a in run if a not in during]
        failures = Counter(f"{a.kind} {a.outcome}" for a in run if a.outcome not in ("ok", "torn"))
        worst = max((a.seconds for a in touched), default=0.0)
        floor = next((f for f in self.figures if f.rows == self.rows and f.variant == "bare renames"), None)
        return Figure(
            rows=self.rows,
            variant=name,
            hold_ms=_ms(clock.released - clock.locked),
            busy_ms=None if clock.busy is None or math.isnan(clock.busy) else _ms(clock.busy),
            max_wait_ms=_ms(worst),
            elsewhere_ms=_ms(max(rest, default=0.0)),
            usual_ms=_ms(before[int(len(before) * 0.99)]) if before else 0.0,
            waits_over_200_ms=sum(a.seconds > LONG_WAIT_S for a in run),
            failed=sum(failures.values()),
            failures=dict(failures),
            torn=sum(a.outcome == "torn" for a in run),
            transactions=len(run),
            attempts=extra.get("attempts", 1),
            carried=extra.get("carried", 0),
            total_s=round(ended - began, 2),
            ratio=round(_ms(worst) / floor.max_wait_ms, 1) if floor else None,
        )

    # The variants ---------------------------------------------------------------------------------------------------

    def renames(self) -> None:
        """The floor."""
        site = self.site("renames")
        self._statements("bare renames", site, [files.text("bench/renames.sql")], LOCK.format("access exclusive"))

    def table_by_table(self) -> None:
        """One transaction per table."""
        site = self.site("piecemeal")
        lines = [line for line in files.text("bench/renames.sql").splitlines() if line.startswith("alter")]
        pairs = [f"{out}{back}" for out, back in zip(lines[:3], lines[3:], strict=True)]
        self._statements("table by table", site, pairs)

    def truncate(self) -> None:
        """TRUNCATE and INSERT, in one transaction."""
        steps = (
            files.text("bench/drop_outside_keys.sql")
            + "truncate public.profiles, public.affiliates, public.orders;\n"
            + files.text("bench/insert_staged.sql")
            + files.text("bench/add_outside_keys.sql")
        )
        self._statements("truncate+insert", self.site("truncated"), [steps], LOCK_ALL.format("access exclusive"))

    def delete(self) -> None:
        """DELETE and INSERT, in one transaction, without foreign keys and triggers."""
        steps = (
            "set local session_replication_role = replica;\n"
            "delete from public.orders; delete from public.affiliates; delete from public.profiles;\n"
            + files.text("bench/insert_staged.sql")
        )
        self._statements("delete+insert", self.site("deleted"), [steps], LOCK.format("share row exclusive"))

    def _statements(self, name: str, site: Site, transactions: Sequence[str], lock: str = "") -> None:
        with site.production.admin() as admin:
            admin.execute("create schema backup_bench; grant usage on schema backup_bench to app, app_owner")

            def work(clock: Clock) -> dict[str, int]:
                clock.server_process = admin.info.backend_pid
                clock.at("locking")
                for number, statements in enumerate(transactions):
                    with admin.transaction():
                        if lock:
                            admin.execute(lock.encode())
                        if number == 0:
                            clock.at("locked")
                        admin.execute(statements.encode())
                clock.at("committed")
                return {}

            self.measure(name, work, site)

    def engine(self) -> None:
        """The swap, and then its rollback, on the same copy."""
        site = self.site("engine")
        production = site.production

        def forwards(clock: Clock) -> dict[str, int]:
            return _counts(swap(clock.connector(production.connect), site.order, _quiet, clock))

        self.measure("engine: swap", forwards, site)
        with production.connect() as connection:
            entry = rollback.undoable(connection, MIGRATION.migration)
        order = rollback.order(entry, MIGRATION, "back")
        rollback.preview(production.connect, order)
        production.approve(order)

        def backwards(clock: Clock) -> dict[str, int]:
            return _counts(swap(clock.connector(production.connect), order, _quiet, clock))

        self.measure("engine: rollback", backwards, site)

    def rehearsal(self) -> None:
        """The swap rehearsed under load; then ten times without, for what that leaves to be vacuumed."""
        site = self.site("rehearsal")
        production = site.production

        def work(clock: Clock) -> dict[str, int]:
            outcome = rehearse(clock.connector(production.connect), site.order, _quiet, clock)
            if outcome.waited_ms is None:
                raise SystemExit(f"not rehearsed: {outcome.reason}")
            clock.released, clock.busy = clock.locked + outcome.waited_ms / 1000, None
            return {"attempts": outcome.attempts, "carried": sum(count["carried"] for count in outcome.carried)}

        self.measure("engine: rehearsal", work, site)
        before = self._catalogue(production)
        for _ in range(REHEARSALS):
            rehearse(production.connect, site.order, _quiet)
        after = self._catalogue(production)
        grown = [
            f"{what} {(now - then) / REHEARSALS:,.0f}"
            for what, then, now in zip(("bytes", "dead rows"), before, after, strict=True)
        ]
        print(f"{'':>9} left in pg_catalog by each, until it is vacuumed: {', '.join(grown)}", flush=True)

    @staticmethod
    def _catalogue(production: Production) -> tuple[int, int]:
        """Bytes and dead rows of pg_catalog."""
        with production.admin() as admin:
            admin.execute("select pg_stat_force_next_flush()")
            row = admin.execute(files.text("bench/catalogue.sql").encode()).fetchone()
            assert row is not None
            return int(row[0]), int(row[1])

    def reader_in_front(self) -> None:
        """The swap, while a reader holds its lock for 12 seconds."""
        site = self.site("reader")

        def work(clock: Clock) -> dict[str, int]:
            held = threading.Event()

            def read() -> None:
                with site.production.admin() as reader, reader.transaction():
                    reader.execute("select 1 from public.orders limit 1")
                    held.set()
                    reader.execute("select pg_sleep(12)")

            reader = threading.Thread(target=read)
            reader.start()
            held.wait()
            counts = _counts(swap(clock.connector(site.production.connect), site.order, _quiet, clock))
            reader.join()
            return counts

        self.measure("engine: 12 s select", work, site)


def _settings() -> dict[str, str]:
    return {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "30min"}


def _counts(entry: ledger.Entry) -> dict[str, int]:
    return {"attempts": entry.attempts, "carried": sum(count["carried"] for count in entry.carried)}


def _quiet(_: str) -> None:
    return None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


HEAD = (
    f"{'rows':>9} {'variant':<20} {'hold ms':>9} {'busy ms':>8} {'max wait':>9} {'x floor':>8} {'>200 ms':>8} "
    f"{'failed':>7} {'torn':>6} {'elsewhere':>10} {'usual p99':>10} {'tx':>7} {'tries':>6} {'carried':>8} "
    f"{'total s':>8}"
)


def _line(figure: Figure) -> str:
    busy = "" if figure.busy_ms is None else f"{figure.busy_ms:.1f}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.1f}"
    return (
        f"{figure.rows:>9,} {figure.variant:<20} {figure.hold_ms:>9.1f} {busy:>8} {figure.max_wait_ms:>9.1f} "
        f"{ratio:>8} {figure.waits_over_200_ms:>8} {figure.failed:>7} {figure.torn:>6} {figure.elsewhere_ms:>10.1f} "
        f"{figure.usual_ms:>10.1f} {figure.transactions:>7,} {figure.attempts:>6} {figure.carried:>8,} "
        f"{figure.total_s:>8.1f}  {' '.join(f'{n} x {what}' for what, n in figure.failures.items())}"
    )


def _size(text: str) -> int:
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    return int(float(text.rstrip("kKmM")) * factor)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench swap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        type=lambda text: [_size(part) for part in text.split(",")],
        default=[6_000, 1_000_000],
        metavar="6k,1m,5m",
        help="rows in the swapped tables; several, separated by commas",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="load before each variant")
    parser.add_argument("--variants", default="renames,table_by_table,engine,rehearsal,reader_in_front,truncate,delete")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args(arguments)
    with temporary_server(durable=True, settings=_settings()) as server:
        bench = Bench(server, chosen.seconds)
        with psycopg.connect(server.dsn()) as connection:
            version = connection.info.parameter_status("server_version")
        load = " ".join(f"{one:.1f}" for one in os.getloadavg())
        print(f"PostgreSQL {version}, {os.cpu_count()} CPUs, load before the start {load}; 8 clients at {RATE:.0f}/s")
        print(HEAD)
        for rows in chosen.rows:
            bench.build(rows)
            for variant in chosen.variants.split(","):
                if variant != "delete" or rows <= MOST_ROWS_TO_DELETE:
                    getattr(bench, variant)()
    if chosen.json:
        document = {
            "server": version,
            "cpus": os.cpu_count(),
            "load_before": os.getloadavg(),
            "figures": [asdict(figure) for figure in bench.figures],
        }
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
