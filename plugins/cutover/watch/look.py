"""Looks, for some hours after a swap, whether what was launched does what it should.

What is seen is kept in ``cutover.watch``; this never changes anything else, and takes nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration
from cutover.records import ledger
from cutover.watch import service
from cutover.watch.check import Check, checks
from cutover.watch.service import Counted, Fetch

# A look that takes longer than this is a burden on production, and tells nothing in time.
_STATEMENT_TIMEOUT = "5s"

GOOD, BAD, INCONCLUSIVE = "good", "bad", "inconclusive"


@dataclass(frozen=True)
class Look:
    """What one look at one check has shown. ``value`` is None when there was nothing to measure."""

    name: str
    value: Decimal | None
    verdict: str
    detail: str


def judge(check: Check, value: Decimal | None, baseline: Decimal | None) -> Look:
    """What a value means. Without one, or without the baseline that a bound needs, nothing can be said."""
    if value is None:
        return Look(check.name, None, INCONCLUSIVE, "there is nothing to measure")
    for bound, word in ((check.at_least, "at least"), (check.at_most, "at most")):
        if bound is None:
            continue
        limit = bound.against(baseline)
        if limit is None:
            return Look(check.name, value, INCONCLUSIVE, "nothing was measured before the swap to compare it with")
        if value < limit if word == "at least" else value > limit:
            return Look(check.name, value, BAD, f"{value:,f} {check.unit}".strip() + f", and not {word} {limit:,f}")
    return Look(check.name, value, GOOD, f"{value:,f} {check.unit}".strip())


def sample(connect: Connect, migration: Migration, this_run: str, fetch: Fetch, log: Log) -> list[Look]:
    """Measure each check before the swap, as what later looks are compared with. Never raises for a query.

    Where production is not there yet, and no ``baseline`` measures what is staged, there is no baseline: what needs
    one stays inconclusive. Once the run has swapped, what is there is the launch itself: then nothing is measured.
    """
    with opened(connect) as connection:
        if ledger.find(connection, this_run) is not None:
            log("the launch is live: what it is compared with stays as it was measured before")
            return []
    return _look(connect, migration, this_run, fetch, log, moment="baseline")


def look(connect: Connect, migration: Migration, this_run: str, fetch: Fetch, log: Log) -> list[Look]:
    """Measure each check now, and keep what was seen."""
    return _look(connect, migration, this_run, fetch, log, moment="watch")


def claim(connection: psycopg.Connection, this_run: str, watcher: str, *, gone_after_s: float) -> bool:
    """Whether ``watcher`` is the one that watches this launch: the first who asked and has gone on looking since."""
    values = {"run": this_run, "watcher": watcher, "gone_after_s": gone_after_s}
    return connection.execute(files.statement("watch/claim.sql"), values).fetchone() is not None


def history(connection: psycopg.Connection, this_run: str) -> list[dict[str, Any]]:
    """Everything that was seen of a launch, oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement("watch/of_run.sql"), {"run": this_run}).fetchall()


def written_since(connection: psycopg.Connection, this_run: str) -> list[dict[str, Any]]:
    """Writes on the tables that an entry put in place, made since: what a rollback would have to carry."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement("watch/written_since.sql"), {"run": this_run}).fetchall()


def trouble(known: Sequence[Check], looks: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, the checks that were out of bounds as often in a row as their limit says. Inconclusive counts not."""
    lines = []
    for check in known:
        conclusive = [
            one
            for one in looks
            if one["name"] == check.name and one["moment"] == "watch" and one["verdict"] != INCONCLUSIVE
        ]
        last = conclusive[-check.failure_limit :]
        if len(last) == check.failure_limit and all(one["verdict"] == BAD for one in last):
            times = "" if check.failure_limit == 1 else f", {check.failure_limit} times in a row"
            lines.append(f"{check.title}: {last[-1]['detail']}{times}")
    return lines


def _look(connect: Connect, migration: Migration, this_run: str, fetch: Fetch, log: Log, *, moment: str) -> list[Look]:
    with opened(connect) as connection:
        earlier = history(connection, this_run)
    baseline = {one["name"]: one["value"] for one in earlier if one["moment"] == "baseline"}
    # what happened before the swap says nothing about the launch
    counted = {one["name"]: one["counted"] for one in earlier if one["moment"] == moment and one["counted"] is not None}
    looks = []
    for check in checks(migration.migration):
        now: Counted = {}
        problem = None
        try:
            if check.service is not None:
                value, now = service.measure(check.service, fetch, counted.get(check.name))
            else:
                at_first = check.baseline if moment == "baseline" else None
                value = _asked(connect, at_first or check.path)
        except CutoverError as error:
            value, problem = None, masked_text(f"[{error.code}] {error.why}")
        except psycopg.Error as error:
            value, problem = None, masked_text(error.diag.message_primary or type(error).__name__)
        look = judge(check, value, value if moment == "baseline" else baseline.get(check.name))
        if problem:
            look = Look(check.name, None, INCONCLUSIVE, problem)
        looks.append(look)
        log(f"{check.title}: {look.verdict}, {look.detail}")
        row = {**vars(look), "run": this_run, "moment": moment, "counted": Jsonb(dict(now)) if now else None}
        with opened(connect) as connection:
            connection.execute(files.statement("watch/keep.sql"), row)
    return looks


def _asked(connect: Connect, path: str) -> Decimal | None:
    """The number that a query gives, by reading in bounded time."""
    with opened(connect) as connection:
        connection.read_only = True
        connection.execute("select set_config('statement_timeout', %s, true)", (_STATEMENT_TIMEOUT,))
        row = connection.execute(files.statement(path)).fetchone()
    value = row[0] if row else None
    return None if value is None else Decimal(value)
