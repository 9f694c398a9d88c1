"""Whatever fails on the way, the raw tables end as they would without it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from demo.simulators import Faults
from demo.simulators.faults import KINDS
from tests.extract.conftest import SOURCES, World


@pytest.mark.parametrize("seed", range(6))
def test_a_fifth_of_all_requests_fails_in_any_way(simulate: Callable[..., World], seed: int) -> None:
    world = simulate(faults=Faults(rate=0.2, seed=seed, slow_seconds=0.05))
    reports = [world.sync(name) for name in SOURCES]
    for name in SOURCES:
        assert world.content(name) == world.truth(name)
    assert sum(report.retries for report in reports) > 5
    # and again, over what is there: nothing is written twice, and nothing is lost to the faults
    for name in SOURCES:
        before = world.versions(name)
        assert world.sync(name, full=True).written == 0
        assert world.versions(name) == before


@pytest.mark.parametrize("kind", KINDS)
def test_any_one_fault_at_any_place(simulate: Callable[..., World], kind: str) -> None:
    world = simulate(faults=Faults(slow_seconds=0.05))
    rng = random.Random(kind)
    doomed = set(rng.sample(range(2, 30), 6))
    requests = [0]

    def act(_request: Any) -> None:
        requests[0] += 1
        if requests[0] in doomed:
            world.simulator.fail(kind)

    world.simulator.on_request(act)
    report = world.sync("systemeio_contacts")
    assert world.content("systemeio_contacts") == world.truth("systemeio_contacts")
    if kind != "slow":
        assert report.retries >= 6


def test_one_broken_body_costs_one_request_and_not_the_load(simulate: Callable[..., World]) -> None:
    """A body with the right Content-Length that is half a JSON ends other tools' whole load."""
    world = simulate()
    world.simulator.fail("truncated", "/v2/invoices", times=1)
    report = world.sync("xendit_invoices")
    assert report.retries == 1
    assert world.content("xendit_invoices") == world.truth("xendit_invoices")


@pytest.mark.parametrize("lost_cursor", ["continue", "error", "empty"])
@pytest.mark.parametrize("name", ["systemeio_contacts", "xendit_transactions", "xendit_invoices"])
@pytest.mark.parametrize("seed", range(2))
def test_the_list_changes_while_it_is_read(
    simulate: Callable[..., World], name: str, lost_cursor: str, seed: int
) -> None:
    """Inserts at the top, updates anywhere, deletes of whatever is the cursor just then."""
    from demo.simulators import SystemeioOptions, XenditOptions

    world = simulate(xendit=XenditOptions(lost_cursor=lost_cursor), systemeio=SystemeioOptions(lost_cursor=lost_cursor))
    rows = world.rows(name)
    at_first = set(rows.ids())
    rng = random.Random(f"{name} {lost_cursor} {seed}")
    cursors = ("startingAfter", "after_id", "last_invoice")
    changed: set[Any] = set()

    def act(request: Any) -> None:
        cursor = next((request.value(parameter) for parameter in cursors if request.value(parameter)), None)
        draw = rng.random()
        if draw < 0.15:
            first = rows.ids()[0]
            fresh = first + 1 if isinstance(first, int) else f"{'f' * 18}{rng.randrange(10**6):06d}"
            rows.insert(rows.get(first) | {"id": fresh})
        elif draw < 0.3:
            row_id = rng.choice(rows.ids())
            changed.add(row_id)
            rows.update(row_id, locale="xx")
        elif draw < 0.4 and cursor is not None:
            row_id = int(cursor) if cursor.isdigit() and isinstance(rows.ids()[0], int) else cursor
            if row_id in rows:
                rows.delete(row_id)

    world.simulator.on_request(act)
    world.sync(name)
    world.simulator.on_request(None)
    stored, truth = world.content(name), world.truth(name)
    still_there = {str(row_id) for row_id in at_first if row_id in rows}
    assert still_there <= set(stored)
    for row_id in still_there - {str(row_id) for row_id in changed}:
        assert stored[row_id] == truth[row_id]
    # the next full read mends what went on behind the back of this one
    world.sync(name, full=True)
    assert world.content(name) == truth
