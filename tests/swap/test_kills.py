"""Killed at any instant: production is as before or as after, and a second call completes it or finds it done."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover.database import statements as files
from cutover.swap import preparation
from cutover.swap.execution import Observer
from cutover.swap.order import Order, read_scope
from cutover.swap.plan import Statement
from cutover.swap.transaction import swap

from .conftest import COPY, Production

# `CUTOVER_KILLS` asks for the campaign: so many random instants, and each boundary instead of one for each step and
# moment. All statements of a step are in one transaction, so one of them stands for its step.
CAMPAIGN = int(os.environ.get("CUTOVER_KILLS", "0"))
RANDOM_KILLS = CAMPAIGN or 12
_spawn = multiprocessing.get_context("fork")


class KilledAt(Observer):
    """Dies by SIGKILL at its n-th boundary, or counts them when n is None."""

    def __init__(self, n: int | None) -> None:
        self.left = n
        self.passed: list[str] = []

    def _boundary(self, name: str) -> None:
        self.passed.append(name)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        self._boundary(f"{statement.step} {statement.object}")

    def at(self, moment: str) -> None:
        self._boundary(moment)


def run_and_die(production: Production, order: Order, observer: Observer | None) -> None:
    """In a process of its own, so that it can be killed."""
    swap(production.connect, order, lambda _: None, observer)


def state(production: Production) -> tuple[int, int, int, int]:
    """Ledger rows, orders, their amount, and profiles: what must be whole."""
    return tuple(
        production.value(query)
        for query in (
            "select count(*) from cutover.ledger",
            "select count(*) from public.orders",
            "select sum(amount)::bigint from public.orders",
            "select count(*) from public.profiles",
        )
    )  # type: ignore[return-value]


def changed_order(production: Production, run: str) -> Order:
    """A run whose new orders differ from the old by one peso each, so that both can be told apart."""
    since = production.freeze()
    staged_xid = production.stage({**COPY, "raise": "update staging.orders set amount = amount + 1"})
    order = production.order(run, since, staged_xid)
    production.approve(order)
    return order


def kill_at(production: Production, order: Order, observer: Observer | None, after: float | None = None) -> None:
    """Start the swap in a child, and end it by SIGKILL at a boundary or after some seconds."""
    child = _spawn.Process(target=run_and_die, args=(production, order, observer))
    child.start()
    if after is not None:
        time.sleep(after)
        if child.is_alive() and child.pid:
            os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert not child.is_alive()
    # the server notices the loss when it next reads from or writes to the client
    deadline = time.monotonic() + 20
    while production.value("select count(*) from pg_stat_activity where usename = 'cutover'"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check(production: Production, order: Order, before: tuple[int, int, int, int], where: str) -> None:
    """After the kill: all or nothing. After a second call: all, once."""
    orders, amount = before[1], before[2]
    after = (before[0] + 1, orders, amount + orders, before[3])
    assert state(production) in (before, after), where
    production.swap(order)
    assert state(production) == after, where
    assert production.value("select count(*) from cutover.certificate where run = %s", order.run) == 1, where


def boundaries(production: Production) -> list[str]:
    """The boundaries of a swap of this fixture, by swapping once."""
    counting = KilledAt(None)
    order = changed_order(production, "count")
    swap(production.connect, order, lambda _: None, counting)
    return counting.passed


def one_of_each(names: list[str]) -> list[int]:
    """The place of one boundary of each step and moment, counted from 1: a statement in its middle."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, 1):
        places.setdefault(name.split()[0], []).append(place)
    return sorted(of_step[len(of_step) // 2] for of_step in places.values())


@pytest.mark.timeout(1500)
def test_killed_at_each_boundary(production: Production) -> None:
    facts = production.inventory()
    names = boundaries(production)
    # every step of the move but that of expressions of outside tables, of which this production has none; and between
    moments = {"planned", "locking", "locked", "recorded", "committed", "finished"}
    steps = {Path(path).stem for path in files.files("catalog/move")} - {"78_outside_expressions"}
    assert {name.split()[0] for name in names} == steps | moments
    assert len(names) >= 50
    for n in range(1, len(names) + 1) if CAMPAIGN else one_of_each(names):
        before = state(production)
        order = changed_order(production, f"k{n}")
        kill_at(production, order, KilledAt(n))
        check(production, order, before, f"boundary {n}: {names[n - 1]}")
        drop_backup(production, order)
    assert facts.compare(production.inventory()) == []


@pytest.mark.timeout(600)
def test_killed_at_random_instants(production: Production) -> None:
    facts = production.inventory()
    began = time.monotonic()
    production.swap(changed_order(production, "measure"))
    whole = time.monotonic() - began
    moments = random.Random(20251122)
    for n in range(RANDOM_KILLS):
        before = state(production)
        order = changed_order(production, f"x{n}")
        after = moments.uniform(0, whole)
        kill_at(production, order, None, after)
        check(production, order, before, f"after {after:.3f} s")
        drop_backup(production, order)
    assert facts.compare(production.inventory()) == []


class Dies(psycopg.Connection[Any]):
    """A connection that is lost before its n-th statement that changes something, or counts them."""

    left = -1
    changes = 0

    def execute(self, query: Any, *arguments: Any, **options: Any) -> psycopg.Cursor[Any]:
        text = (
            query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else query.as_string(self)
        )
        if not text.lstrip().lower().startswith(("select", "set ", "with", "--")):
            self.changes += 1
            self.left -= 1
            if self.left == 0:
                self.close()
        return super().execute(query, *arguments, **options)


@pytest.mark.timeout(600)
def test_a_preparation_that_was_broken_off_is_completed(empty_production: Production) -> None:
    facts = empty_production.inventory()
    order = changed_order(empty_production, "prepared")
    with Dies.connect(empty_production.dsn, autocommit=True) as counting:
        preparation.dress(counting, read_scope(counting, order))
    assert counting.changes >= 90
    # a statement is much like the next one: the campaign tries each
    for n in range(1, counting.changes + 1, 1 if CAMPAIGN else 6):
        empty_production.stage({})
        with Dies.connect(empty_production.dsn, autocommit=True) as dying:
            dying.left = n
            with pytest.raises(psycopg.OperationalError, match="closed"):
                preparation.dress(dying, read_scope(dying, order))
        with empty_production.connect() as connection:
            connection.autocommit = True
            preparation.dress(connection, read_scope(connection, order))
    order = changed_order(empty_production, "swapped")
    empty_production.swap(order)
    assert facts.compare(empty_production.inventory()) == []


def test_a_client_that_hangs_inside_the_lock_loses_it(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutover.swap.transaction.IDLE_IN_TRANSACTION_MS", 500)
    order = changed_order(production, "hang")
    before = state(production)

    class Hangs(Observer):
        def at(self, moment: str) -> None:
            if moment == "recorded":
                time.sleep(2)

    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        production.swap(order, Hangs())
    check(production, order, before, "hung inside the lock")


def test_two_swaps_at_once_are_one(production: Production) -> None:
    order = changed_order(production, "both")
    before = state(production)
    children = [_spawn.Process(target=run_and_die, args=(production, order, None)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    check(production, order, before, "two at once")


def drop_backup(production: Production, order: Order) -> None:
    """Keep the database small over a long campaign."""
    with production.admin() as admin:
        admin.execute(f"drop schema if exists {order.backup_schema} cascade".encode())
        admin.execute("truncate cutover.changelog")
