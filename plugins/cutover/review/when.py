"""When an approved swap happens, in the approver's words."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from cutover.database import clock
from cutover.swap.order import Order
from cutover.swap.timing import Timing


def of_run(connection: psycopg.Connection, order: Order, *, may_be_past: bool) -> dict[str, Any]:
    """When the swap of ``order`` is to happen, as the review stores it.

    Raises ``swap.missed`` and ``swap.frozen``, unless it ``may_be_past``, since nothing is swapped anyway.
    """
    schedule, now = order.schedule, clock.now(connection)
    if not may_be_past:
        schedule.require_ahead(now)
    ahead = None if schedule.is_at_once else schedule.next(now)
    planned = next(iter(Timing(schedule.when).open_spans(now)), None)
    frozen = schedule.frozen_at(max(now, planned.opens_at)) if planned is not None else None
    return {
        "swap_at": None if schedule.is_at_once else schedule.when.words,
        "next": ahead and ahead.label,
        "freeze_override": schedule.override,
        "frozen": frozen and {"name": frozen.name, "ends_at": frozen.ends_at.isoformat()},
        "drift_limit": order.drift_limit,
    }


def in_words(timing: dict[str, Any] | None) -> list[str]:
    """What ``of_run`` has found, in sentences; none for a review of before, or where nothing special was asked for."""
    if not timing:
        return []
    lines = []
    if timing["swap_at"]:
        following = f"; the next is {timing['next']}" if timing["next"] and timing["swap_at"].startswith("in ") else ""
        lines.append(f"Once approved, it swaps {timing['swap_at']}{following}.")
    frozen = timing["frozen"]
    during = f"{_quoted(frozen['name'])} (until {frozen['ends_at']})" if frozen else "a freeze"
    if timing["freeze_override"]:
        lines.append(f"It may happen during {during}, because: {_quoted(timing['freeze_override'])}.")
    elif frozen:
        lines.append(f"A window before that is within {during}, and passed over.")
    if timing["drift_limit"] is not None:
        lines.append(f"The approval lapses with more than {timing['drift_limit']:,} writes after it.")
    return lines


def _quoted(text: str) -> str:
    """What a person has written, so that it cannot be taken for Markdown."""
    words = re.sub(r"[`\s]+", " ", text).strip()
    return f"`{words}`"
