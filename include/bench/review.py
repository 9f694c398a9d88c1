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
from psycopg import sql

from bench.members import sizes
from bench.server import temporary_server
from bench.window import PASSWORD, ROLES, silent, timed
from cutover import freeze, migration, preflight, review, samples, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.extract.tables import copy_database
from cutover.migration import load_order
from cutover.records import chain, phase, run
from cutover.swap.transaction import swap
from cutover.validate import checks
from demo import mula
from stack.postgres import EmbeddedPostgres

MIGRATION = migration.load("mula_unification")
HEAD = f"{'charts':>8} {'characters':>12} {'first s':>8} {'repeat s':>9} {'samples s':>10}"
_FILL = (
    "insert into public.users (email, created_at, updated_at) "
    "select 'person' || n || '@example.com', now(), now() from generate_series(1, %(rows)s) as n",
    "insert into public.birth_charts (user_id, birth_date, chart_data) select n, timestamp '1990-05-17 06:30', "
    "jsonb_build_object('picture', (select string_agg(md5(n || '/' || part), '') "
    "from generate_series(1, %(size)s / 32) as part)) from generate_series(1, %(rows)s) as n",
)
_CHANGE = "update public.birth_charts set chart_data = chart_data || '{\"end\": 1}', updated_at = now()"


class Launches:
    """Three databases, and the tasks of a launch between them."""

    def __init__(self, server: EmbeddedPostgres, rows: int, size: int) -> None:
        names = {name: f"review_{rows}_{size}_{name}" for name in mula.DATABASES}
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for name in names.values():
                admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        self.dsns = {name: server.dsn(database) for name, database in names.items()}
        mula.load(self.dsns, dict.fromkeys(ROLES, PASSWORD), mula.Size(*([0] * 12)))
        with psycopg.connect(self.dsns["dasha"]) as admin:
            for statement in _FILL:
                admin.execute(statement.encode(), {"rows": rows, "size": size})
        self.target = connector(server.dsn(names["unified"], "cutover", PASSWORD), "unified", "bench review")
        self.sources: dict[str, Connect] = {
            name: connector(server.dsn(names[name], "mula_reader", PASSWORD), name, "bench review")
            for name in MIGRATION.databases
        }

    def launch(self, this_run: str) -> float:
        """A whole launch; the seconds of its review."""
        self._stage(this_run)
        seconds = timed(lambda: review.build(self.target, MIGRATION, this_run, silent))
        with psycopg.connect(self.dsns["unified"]) as admin:
            admin.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select r.run, 'swap', 'approve', r.fingerprint, 'approve', 1, 'reviewer', "
                "now(), now() + interval '1 hour' from cutover.run as r where r.run = %s",
                (this_run,),
            )
        with opened(self.target) as connection:
            newest = connection.execute("select max(approval_id) from cutover.approvals").fetchone()
            chain.cover(connection, "approval", this_run, ("approvals", newest[0] if newest else None))
            row = run.get(connection, this_run)
        swap(self.target, review.order(MIGRATION, row), silent)
        return seconds

    def _stage(self, this_run: str) -> None:
        freeze.install(self.target, MIGRATION)
        with opened(self.target) as connection:
            run.begin(
                connection, run=this_run, migration=MIGRATION.migration, dag_id=MIGRATION.migration,
                dag_run_id=this_run, triggered_by="operator", parameters={},
            )  # fmt: skip
        preflight.check(self.target, MIGRATION, this_run, silent)
        self._record(this_run, "preflight")
        for name, source in self.sources.items():
            copy_database(MIGRATION.tables_of(name), source, self.target, log=silent)
            self._record(this_run, f"extract.{name}")
        freeze.install_capture(self.target, MIGRATION, silent)
        self._record(this_run, "capture")
        freeze.freeze(self.target, MIGRATION, this_run, silent)
        transform.prepare(self.target, MIGRATION, this_run, silent)
        for step in load_order.steps(MIGRATION):
            statement = files.text(f"mula_unification/transform/{step}.sql")
            transform.load(self.target, MIGRATION, this_run, step=step, statement=statement, log=silent)
        transform.add_keys(self.target, MIGRATION, this_run, silent)
        with opened(self.target) as connection:
            told = {"checks": [result.check for result in checks.run(connection, MIGRATION.migration, this_run)]}
            run.note(connection, this_run, validation=told)
            digests = {"result": phase.digest(told), "staged": transform.digest(connection, MIGRATION)}
        self._record(this_run, "validation", **digests)
        self._record(this_run, "late_writes")

    def _record(self, this_run: str, step: str, **result: str) -> None:
        with opened(self.target) as connection:
            phase.record(connection, MIGRATION, this_run, step, None, **result)


def measure(server: EmbeddedPostgres, rows: int, size: int) -> None:
    """Print one line."""
    launches = Launches(server, rows, size)
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
