"""What an approver is told first: only what is on record, and never more than that."""

from __future__ import annotations

from typing import Any

import pytest

from cutover.review import verdict
from cutover.review.verdict import OVER, SAFE, STOP, WEIGH, Verdict, of_launch

REHEARSED = {"reason": None, "hold_ms": 27.3}
SUITE = {"suite": "t", "success": True, "evaluated": 25, "failed": [], "warned": []}


def made(**values: Any) -> dict[str, Any]:
    """A review against which nothing stands."""
    table = {"name": "t", "before": 3, "after": 5, "added": 3, "removed": 1, "changed": 2}
    source = {"source": "s", "read": 5, "staged": 5, "merged": 0, "left_out": 0, "rejected": 0, "difference": 0}
    return {
        "migration": "tiny", "tables": [table, table], "warnings": [], "reconciliation": [source], "lock_times": [],
        "rehearsal": REHEARSED, "validation": {"success": True, "suites": [SUITE], "checks": []},
    } | values  # fmt: skip


def of(state: str = "waits for an answer", *, looked: bool = True, **values: Any) -> Verdict:
    """The verdict on a launch that waits, unless it says otherwise."""
    look = {name: values.pop(name) for name in ("reasons", "unknown", "answered_by") if name in values}
    return of_launch(made(**values), state, looked=looked, **look)


def test_a_launch_against_which_nothing_stands_is_safe_to_approve() -> None:
    told = of()
    assert (told.comes_to, told.headline) == (SAFE, "Safe to approve: nothing stands against it.")
    assert told.against == () and told.what == "2 tables: 6 rows added, 2 removed, 4 changed."
    assert told.favour == (
        "The whole swap was rehearsed on production and taken back",
        "25 of 25 expectations and 0 of 0 checks hold",
        "Every row of every source is accounted for",
        "Nothing stands in the way of the swap now",
    )
    assert told.wait == "Clients will wait 27 ms, as rehearsed."
    assert told.undo is not None and told.undo.startswith("tiny_rollback brings the tables of before back")


@pytest.mark.parametrize(
    ("values", "point"),
    [
        ({"warnings": [{"title": "Paid for nothing", "total": 19}]}, "19 × Paid for nothing"),
        (
            {"validation": {"success": True, "suites": [SUITE | {"warned": [{}]}], "checks": []}},
            "1 expectation that may fail without a stop did fail",
        ),
        ({"validation": {"success": False, "suites": [SUITE], "checks": []}}, "The validation did not succeed"),
        ({"validation": None}, "The run was not validated"),
        ({"reconciliation": [{"rejected": 1200, "difference": 0}]}, "1,200 rows of the sources rejected"),
        ({"leaving": [{"rows": 3}, {"rows": 4}]}, "7 rows of other tables that lose what they refer to"),
        (
            {"unknown": "the database does not answer"},
            "What would stop the swap could not be looked at: whether anything does is not known",
        ),
    ],
)
def test_whatever_there_is_to_weigh_is_named_and_nothing_is_called_safe(values: dict[str, Any], point: str) -> None:
    told = of(**values)
    assert (told.comes_to, told.against) == (WEIGH, (point,))
    assert told.headline == "Can be approved, once you have weighed 1 point."


def test_what_would_stop_the_swap_comes_before_everything_else() -> None:
    warned = [{"title": "Paid for nothing", "total": 19}, {"title": "none of these", "total": 0}]
    told = of(reasons=("[swap.orphans] a: b\n  To clear it: c", "[x.y] d"), warnings=warned)
    assert (told.comes_to, told.headline) == (STOP, "Do not approve now: 2 things would stop the swap.")
    assert told.against == ("[swap.orphans] a: b", "[x.y] d", "19 × Paid for nothing")
    assert "Nothing stands in the way of the swap now" not in told.favour


@pytest.mark.parametrize("looked", [False, True])
def test_what_nobody_has_looked_at_is_not_said(looked: bool) -> None:
    told = of(looked=looked, rehearsal=REHEARSED | {"reason": "no locks", "hold_ms": None}, reconciliation=[])
    assert told.favour == ("25 of 25 expectations and 0 of 0 checks hold",) + (
        ("Nothing stands in the way of the swap now",) if looked else ()
    )
    assert told.wait == "How long clients will wait has not been measured yet."
    assert of(rehearsal=None).favour[0].startswith("25 of 25")


@pytest.mark.parametrize(
    ("state", "headline", "has_undo"),
    [
        ("done", "Launched.", True),
        ("done, then failed in verify.suites", "Launched; after that it failed in verify.suites.", True),
        ("taken back", "Launched, and taken back since.", False),
        (
            "failed in swap.swap",
            "Failed in swap.swap: there is nothing to approve, and production is as it was.",
            False,
        ),
        ("failed", "Failed: there is nothing to approve, and production is as it was.", False),
        ("rejected", "Rejected by ana: production is as it was.", False),
        ("approved", "Approved by ana: it waits for its swap.", True),
        ("waits for its time", "Approved by ana: it waits for the time of its swap.", True),
        ("approval void", "Approved by ana, and that approval is void: nothing will be launched by it.", False),
        ("ended without a launch", "Ended without a launch: nobody is asked.", False),
        ("not launched", "Not launched: production is as it was.", False),
    ],
)
def test_a_run_that_is_decided_says_how_it_stands(state: str, headline: str, has_undo: bool) -> None:
    told = of(state, looked=False, answered_by="ana")
    assert (told.comes_to, told.headline, told.wait) == (OVER, headline, None)
    assert (told.undo is not None) is has_undo
    assert verdict.of_launch(made(), "waits for an answer").comes_to == SAFE
