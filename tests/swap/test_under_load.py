"""Nothing that a client was told is lost: counted increments and sign-ups through a swap and its rollback.

``CUTOVER_LOAD`` says how many increments and sign-ups there must be at least (default: 20,000). The load goes on until
there are as many.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from bench.clients import MARKED, Answer, at_work
from bench.production import Production
from cutover.database.patience import Patience
from cutover.swap import preparation
from cutover.swap.execution import Observer
from cutover.swap.order import read_scope
from cutover.swap.transaction import swap

from .conftest import back

AT_LEAST = int(os.environ.get("CUTOVER_LOAD", "20000"))
# Transactions per second of each of the eight counting clients: busy on any machine, and as busy on a quicker one.
COUNTING = 250
PEOPLE = 400


@pytest.fixture
def busy(empty_production: Production) -> Production:
    """A production of 400 people that clients may count in."""
    empty_production.fill(PEOPLE)
    with empty_production.admin() as admin:
        admin.execute("grant select on public.paid to app; grant execute on function public.display_name to app")
    return empty_production


def counted(production: Production) -> tuple[int, int, int]:
    """Increments, people who signed up, and accounts without a profile, as the tables have them."""
    return (
        production.value("select coalesce(sum((settings ->> 'count')::integer), 0) from public.profiles"),
        production.value("select count(*) from public.profiles where name like '%signed up'"),
        production.value(
            "select count(*) from auth.users as u where not exists (select from public.profiles as p where p.id = u.id)"
        ),
    )


@pytest.mark.timeout(900)
def test_no_increment_and_no_sign_up_is_lost_through_a_swap_and_its_rollback(busy: Production) -> None:
    facts = busy.inventory()
    began = time.monotonic()
    with at_work(busy.app_dsn, PEOPLE, rate=COUNTING, counting=True) as answers:
        # frozen, staged and swapped while the clients write; then rolled back, and the rollback rolled back
        # (however many they write until then: this is about what becomes of it, not about when to begin anew)
        swapped = swap(busy.connect, busy.prepare("r1", MARKED, carry_limit=None), busy.log)
        rolled = swap(busy.connect, back(busy, "b1"), busy.log)
        again = swap(busy.connect, back(busy, "b2"), busy.log)
        pace = so_far(busy) / (time.monotonic() - began)
        time.sleep(max(0.0, (AT_LEAST - so_far(busy)) / pace))
    assert [a for a in answers if a.outcome != "ok"] == []
    increments = sum(a.kind == "write_profile" for a in answers)
    sign_ups = sum(a.kind == "sign_up" for a in answers)
    assert increments + sign_ups >= AT_LEAST
    assert counted(busy) == (increments, sign_ups, 0)
    assert busy.value("select count(*) from cutover.quarantine") == 0
    assert min(len(entry.carried) for entry in (swapped, rolled, again)) > 0
    assert facts.compare(busy.inventory()) == []


def so_far(production: Production) -> int:
    """Increments and sign-ups at this moment."""
    return sum(counted(production)[:2])


def held(production: Production, seconds: float) -> threading.Thread:
    """A reader that holds its lock on orders for so long."""
    ready = threading.Event()

    def read() -> None:
        with production.admin() as reader, reader.transaction():
            reader.execute("select 1 from public.orders limit 1")
            ready.set()
            reader.execute("select pg_sleep(%s)", (seconds,))

    thread = threading.Thread(target=read)
    thread.start()
    ready.wait()
    return thread


def under_load(production: Production, work: Callable[[], object]) -> list[Answer]:
    """What the clients saw while ``work`` ran."""
    with at_work(production.app_dsn, PEOPLE) as answers:
        time.sleep(0.5)
        work()
        time.sleep(0.5)
    return answers


def test_a_long_select_in_front_makes_nobody_else_wait(busy: Production) -> None:
    """The swap looks for a gap instead of queueing; and at no time do clients see two batches."""
    order = busy.prepare("r1", MARKED)

    reads_for = 4.0

    def behind_a_reader() -> None:
        reader = held(busy, reads_for)
        busy.swap(order)
        reader.join()

    answers = under_load(busy, behind_a_reader)
    assert {a.outcome for a in answers} == {"ok"}
    # how long the longest did wait is measured by ./run bench swap
    assert max(a.seconds for a in answers) < reads_for
    assert any("did not queue behind it" in message for message in busy.messages)
    assert any("pg_sleep" in message for message in busy.messages)  # who was in the way, and with what


def test_a_reader_that_comes_when_all_is_carried_is_waited_for_and_nothing_is_carried_again(
    busy: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each attempt has more to carry than the one before, and clients who write much keep a swap away."""
    monkeypatch.setattr("cutover.swap.approach.TRIES", 1)
    monkeypatch.setattr("cutover.swap.approach.LAST_LOOK_S", 30.0)
    monkeypatch.setattr("cutover.swap.approach.GOES_ON_S", 30.0)
    order = busy.prepare("r1", MARKED, patience=Patience(attempts=1))
    readers: list[threading.Thread] = []

    class ReaderFirst(Observer):
        def at(self, moment: str) -> None:
            if moment == "locking" and not readers:
                readers.append(held(busy, 3.0))

    def behind_a_reader() -> None:
        busy.swap(order, ReaderFirst())
        readers[0].join()

    answers = under_load(busy, behind_a_reader)
    assert {a.outcome for a in answers} == {"ok"}
    assert busy.value("select attempts from cutover.ledger") == 1


def test_torn_answers_would_be_seen(busy: Production) -> None:
    """The check on the check: tables moved one by one do tear."""
    order = busy.prepare("r1", MARKED)
    with busy.connect() as connection:
        connection.autocommit = True
        preparation.dress(connection, read_scope(connection, order))

    def one_by_one() -> None:
        with busy.admin() as admin:
            admin.execute("create schema aside; grant usage on schema aside to app, app_owner")
            for name in ("profiles", "affiliates", "orders"):
                admin.execute(
                    f"alter table public.{name} set schema aside; alter table staging.{name} set schema public".encode()
                )
                time.sleep(0.2)

    assert "torn" in {a.outcome for a in under_load(busy, one_by_one)}


def test_a_steady_stream_of_long_readers_does_not_keep_the_swap_away(busy: Production) -> None:
    order = busy.prepare("r1", MARKED)
    stop = threading.Event()

    def stream(offset: float) -> None:
        time.sleep(offset)
        with psycopg.connect(busy.admin_dsn) as reader:
            while not stop.is_set():
                reader.execute("select pg_sleep(0.15) from public.orders limit 1")
                reader.commit()

    threads = [threading.Thread(target=stream, args=(n * 0.07,)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert busy.swap(order).attempts >= 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
