"""What people who never bought cost a launch of clean_launch: ``python -m bench.members``.

*launch*: the demonstration's sources and production, from the freeze to the certificate, without and with so many
members and what they have done (some twenty rows each in the tables outside); the two take turns on servers' copies of
one database each. *clients* is the time in which clients waited. *follow*: rows of one outside table that refer to
people of whom one in twenty goes; what finding and counting them takes, and what remembering them whole takes, which
the swap does before it locks. Both should grow as the rows do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from bench.server import temporary_server
from cutover import freeze, migration, review, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, moment, opened
from cutover.migration import load_order
from cutover.records import chain, phase, run
from cutover.swap import orphans, outside
from cutover.swap.order import Order, read_scope
from cutover.swap.transaction import swap
from cutover.validate import validation
from demo import production
from demo.contamination import Contamination
from demo.population import Population
from demo.simulators.systemeio import contact_row
from demo.simulators.xendit import invoice_row, transaction_row
from stack.postgres import EmbeddedPostgres

MIGRATION = migration.load("clean_launch")
PASSWORD = "only-for-this-server"
STEPS = ("freeze", "stage", "validate", "review", "swap", "clients")
# What the demonstration's launch is triggered with.
FEWEST = {"minimum_profiles": 6_000, "minimum_transactions": 6_000, "minimum_enrollments": 6_000}
HEAD = f"{'members':>8} {'outside':>9} " + " ".join(f"{step:>8}" for step in (*STEPS, "launch")) + f" {'×':>6}"
FOLLOWED = f"{'rows':>10} {'find':>8} {'remember':>9} {'orphans':>8} {'µs a row':>9}"


def silent(line: str) -> None:
    """Keep the engine's log out of the table."""


@dataclass
class Launch:
    """One launch on a database of its own; ``seconds`` by step."""

    connect: Connect
    this_run: str
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add what a block takes to a step."""
        began = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began

    def prepare(self) -> None:
        """Everything up to the question."""
        with opened(self.connect) as connection:
            values = {"run": self.this_run, "migration": "clean_launch", "dag_id": "clean_launch"}
            run.begin(connection, **values, dag_run_id=self.this_run, triggered_by="operator", parameters={})
            for step in ("preflight", *(f"extract.{name}" for name in MIGRATION.sources), "capture"):
                phase.record(connection, MIGRATION, self.this_run, step)
        with self.timed("freeze"):
            freeze.install_capture(self.connect, MIGRATION, silent)
            freeze.freeze(self.connect, MIGRATION, self.this_run, silent)
        with self.timed("stage"):
            transform.prepare(self.connect, MIGRATION, self.this_run, silent)
            for step in load_order.steps(MIGRATION):
                statement = files.text(f"clean_launch/transform/{step}.sql")
                transform.load(self.connect, MIGRATION, self.this_run, step=step, statement=statement, log=silent)
            transform.add_keys(self.connect, MIGRATION, self.this_run, silent)
        with self.timed("validate"):
            validated = validation.validate_staged(self.connect, MIGRATION, self.this_run, given=FEWEST, log=silent)
        assert validated.success, validated.complaint()
        with self.timed("review"):
            review.build(self.connect, MIGRATION, self.this_run, silent)

    def swap(self) -> None:
        """The answer, and all that follows."""
        with opened(self.connect) as connection:
            written = connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select %s, 'swap', 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
                "now() + interval '1 hour' from cutover.run as r where r.run = %s returning approval_id",
                (self.this_run, self.this_run),
            ).fetchone()
            assert written is not None
            chain.cover(connection, "approval", self.this_run, ("approvals", written[0]))
        with opened(self.connect) as connection:
            order = review.order(MIGRATION, run.get(connection, self.this_run))
        with self.timed("swap"):
            entry = swap(self.connect, order, silent)
        self.seconds["clients"] = (entry.recorded_at - entry.locked_at).total_seconds()

    @property
    def whole(self) -> float:
        """Seconds in all; those in which clients waited are part of the swap's."""
        return sum(took for step, took in self.seconds.items() if step != "clients")


def template(server: EmbeddedPostgres, name: str, members: int) -> int:
    """A production with so many members beside the complete sources; returns how many rows refer to people."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    production.load(server.dsn(name), 1, PASSWORD, contamination=Contamination(members=members))
    connect = connector(server.dsn(name, "cutover", PASSWORD), "production", "bench members")
    freeze.install(connect, MIGRATION)
    with opened(connect) as connection:
        store_sources(connection)
    with psycopg.connect(server.dsn(name), autocommit=True) as admin:
        admin.execute("vacuum (analyze)")
        keys = admin.execute(
            "select distinct conrelid::regclass::text from pg_constraint where contype = 'f' and conparentid = 0 and "
            "confrelid in ('unified_profiles'::regclass, 'enrollments'::regclass, 'affiliates'::regclass, "
            "'transactions'::regclass)"
        ).fetchall()
        inside = ("unified_profiles", "enrollments", "affiliates", "transactions")
        tables = [table for (table,) in keys if table not in inside]
        counted = [admin.execute(f"select count(*) from {table}".encode()).fetchone() for table in tables]
    return sum(row[0] for row in counted if row)


def store_sources(connection: psycopg.Connection) -> None:
    """Every row that the simulated APIs have, stored by the statements of the extraction."""
    (block,) = Population().blocks()
    names = sorted({tag for contact in block.contacts for tag in contact.tags})
    sources: dict[str, Iterable[dict[str, Any]]] = {
        "xendit_invoices": map(invoice_row, block.invoices),
        "xendit_transactions": map(transaction_row, block.transactions),
        "systemeio_contacts": map(contact_row, block.contacts),
        "systemeio_tags": ({"id": number, "name": name} for number, name in enumerate(names)),
    }
    for source, rows in sources.items():
        listed = list(rows)
        connection.execute(files.text(f"clean_launch/extract/{source}.create.sql").encode())
        kind = "text" if isinstance(listed[0]["id"], str) else "bigint"
        store = files.text(f"clean_launch/extract/{source}.store.sql").replace("%(ids)s", f"%(ids)s::{kind}[]")
        connection.execute(
            store.encode(),
            {
                "sync_id": 1,
                "ids": [row["id"] for row in listed],
                "content_hashes": [hashlib.sha256(json.dumps(row, default=str).encode()).digest() for row in listed],
                "page_nos": [1] * len(listed),
                "responses": [Jsonb(row) for row in listed],
            },
        )


def copied(server: EmbeddedPostgres, source: str, name: str) -> Connect:
    """A copy of a database, opened as the role that migrates."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )
        admin.execute(sql.SQL("grant create on database {} to cutover").format(sql.Identifier(name)))
    return connector(server.dsn(name, "cutover", PASSWORD), "production", "bench members")


def dropped(server: EmbeddedPostgres, name: str) -> None:
    """Away with a copy."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def launches(server: EmbeddedPostgres, members: int, turns: int) -> None:
    """Print the launches without and with members, the best of the turns of each step, and their ratio."""
    rows = {count: template(server, f"members_{count}", count) for count in (0, members)}
    best: dict[int, Launch] = {}
    for turn in range(turns):
        for count in rows:
            name = f"members_{count}_{turn}"
            made = Launch(copied(server, f"members_{count}", name), f"r{turn}")
            made.prepare()
            made.swap()
            dropped(server, name)
            if count not in best or made.whole < best[count].whole:
                best[count] = made
    for count, launch in best.items():
        took = " ".join(f"{launch.seconds[step]:>8.2f}" for step in STEPS)
        ratio = launch.whole / best[0].whole
        print(f"{count:>8,} {rows[count]:>9,} {took} {launch.whole:>8.2f} {ratio:>6.2f}", flush=True)


def follow(server: EmbeddedPostgres, rows: int) -> None:
    """Print what it takes to find, and to remember, those of so many outside rows that lose what they refer to."""
    name = f"follow_{rows}"
    connect = copied(server, "members_0", name)
    with psycopg.connect(server.dsn(name), autocommit=True) as admin:
        admin.execute(
            # two keys, of which one takes the row along and the other empties a column
            "with people as materialized (select id, row_number() over (order by id) as n, count(*) over () as total "
            "from public.unified_profiles) "
            "insert into public.profile_notes (profile_id, author_id, body) "
            "select p.id, a.id, 'news' from generate_series(1, %s::bigint) as g(n) "
            "cross join (select total from people limit 1) as t "
            "inner join people as p on p.n = 1 + g.n %% t.total inner join people as a on a.n = 1 + g.n * 7 %% t.total",
            (rows,),
        )
        admin.execute("vacuum (analyze) public.profile_notes")
    launch = Launch(connect, "r0")
    launch.prepare()
    with psycopg.connect(server.dsn(name), autocommit=True) as admin:
        # as autovacuum would, which says of it then that it is empty
        admin.execute("vacuum (analyze) cutover.set_aside")
    with opened(connect) as connection:
        planned = review.order(MIGRATION, run.get(connection, "r0"))
        scope = read_scope(connection, planned)
    with opened(connect) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        now = moment(connection)
        seconds = {
            "find": best_of(
                lambda: outside.foresee(connect, "r0", scope, planned.leaving, planned.since, snapshot=now)
            ),
            "remember": best_of(lambda: remember(connect, planned)),
            "orphans": best_of(
                lambda: orphans.as_carried(connect, "r0", scope, planned.since, snapshot=now, merged=False)
            ),
        }
    dropped(server, name)
    a_row = sum(seconds.values()) / rows * 1e6
    print(
        f"{rows:>10,} {seconds['find']:>8.2f} {seconds['remember']:>9.2f} {seconds['orphans']:>8.2f} {a_row:>9.2f}",
        flush=True,
    )


def remember(connect: Connect, planned: Order) -> None:
    """What the swap does on every try before it locks, taken back."""
    with connect() as connection:
        connection.execute("set local search_path = ''")
        outside.collect(connection, planned.run, read_scope(connection, planned), planned.leaving)
        connection.rollback()


def best_of(work: Callable[[], object], turns: int = 2) -> float:
    """Seconds that something takes, at best."""
    best = float("inf")
    for _ in range(turns):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def sizes(text: str) -> list[int]:
    """``50k,5m`` as numbers."""
    units = {"k": 1_000, "m": 1_000_000}
    return [int(part.rstrip("km")) * units.get(part[-1], 1) for part in text.lower().split(",")]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench members", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=10_000, help="0 leaves the launches out")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument(
        "--outside", type=sizes, default=sizes("50k,200k"), metavar="N,N", help="rows outside, such as 500k,5m"
    )
    chosen = parser.parse_args(arguments)
    with temporary_server(durable=False) as server, TemporaryDirectory() as data_docs:
        os.environ["CUTOVER_DATA_DOCS"] = data_docs
        if chosen.members:
            print(HEAD)
            launches(server, chosen.members, chosen.turns)
        else:
            template(server, "members_0", 0)
        print(FOLLOWED)
        for rows in chosen.outside:
            follow(server, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
