"""What becomes of a subscription by what Stripe says of it: each event once, in whatever order they come.

Every event is written down, and the subscription is what all of them say in the order in which they happened, on top of
what the launch has brought. So the order in which they came is no matter, and neither is how often.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg

from mula_platform.database import Database, Row, do, row, rows
from mula_platform.stripe import ENDED, FAILED, PAID, Fact

LOG = logging.getLogger("mula_platform")
# What an invoice changes, where no subscription of its own says so: the debts that a payment lifts, and what a failure
# makes a debt of. A trial whose first invoice of nothing is paid goes on.
_LIFTED = frozenset(("incomplete", "past_due", "unpaid"))
_OWING = frozenset(("active", "trialing"))
# What has become of an event: a label of the figures.
CHANGED, NOTHING_NEW, KNOWN, OF_NOBODY, NO_SUBSCRIPTION = (
    "changed", "nothing_new", "known", "of_nobody", "no_subscription",
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """A subscription, as public.subscriptions has it."""

    status: str | None
    plan_name: str | None
    monthly_amount: Decimal | None
    next_billing_at: datetime | None


def after(state: State, facts: Iterable[Fact]) -> State:
    """What a subscription is once all of that has happened to it, in whatever order it is told."""
    has_ended = False
    for fact in sorted(facts, key=lambda fact: fact.order):
        if fact.status is not None:
            if has_ended and fact.status not in ENDED:
                continue  # nothing begins again: Stripe makes another subscription then
            has_ended = fact.status in ENDED
            state = State(
                fact.status,
                fact.plan_name or state.plan_name,
                state.monthly_amount if fact.monthly_amount is None else fact.monthly_amount,
                None if fact.ends else fact.next_billing_at or state.next_billing_at,
            )
        elif fact.event_type == PAID and state.status in _LIFTED:
            state = replace(state, status="active")
        elif fact.event_type == FAILED and state.status in _OWING:
            state = replace(state, status="past_due")
    return state


def take(database: Database, source: str, fact: Fact) -> str:
    """Write an event down and do what it says, in one transaction; returns what has become of it.

    ``source`` is the application whose Stripe account it is of: no other's subscriptions are touched.
    """
    with database.transaction() as connection:
        # of two at once the other waits here, and finds it
        if row(connection, "payment/add", source=source, **vars(fact)) is None:
            return KNOWN
        if fact.subscription_id is None:
            do(connection, "payment/prune")
            return NO_SUBSCRIPTION
        return follow(connection, source, fact.subscription_id)


def follow(connection: psycopg.Connection[Row], source: str, subscription_id: str) -> str:
    """Make a subscription what its events say; returns what has become of it."""
    known = row(connection, "payment/lock", source=source, subscription_id=subscription_id)
    if known is None:
        LOG.warning("%s: Stripe speaks of %s, which nobody has here", source, subscription_id)
        return OF_NOBODY
    events = rows(
        connection, "payment/events", source=source, subscription_id=subscription_id, known_at=known["known_at"]
    )
    state = after(
        State(**{name.name: known[name.name] for name in fields(State)}),
        [Fact(**{name.name: event[name.name] for name in fields(Fact)}) for event in events],
    )
    if not do(connection, "payment/set", id=known["id"], **vars(state)):
        return NOTHING_NEW
    billed = row(connection, "payment/billed", user_id=known["user_id"])
    if billed is not None and billed["subscriptions"] > 1:
        LOG.warning("%s is billed %s times: ./run platform billed-twice", known["user_id"], billed["subscriptions"])
    return CHANGED


def catch_up(database: Database) -> int:
    """Make every subscription that a launch has brought what events from before say; returns how many that changed."""
    with database.transaction() as connection:
        waiting = rows(connection, "payment/followed")
    changed = 0
    for each in waiting:
        with database.transaction() as connection:
            changed += follow(connection, each["source"], each["subscription_id"]) == CHANGED
    return changed


@dataclass(frozen=True)
class Billed:
    """Somebody with more than one subscription that is billed, oldest first."""

    user_id: UUID
    email: str
    subscriptions: tuple[Row, ...]

    @property
    def monthly_amount(self) -> Decimal:
        """Dollars a month, as far as is known."""
        return sum((one["monthly_amount"] or Decimal(0) for one in self.subscriptions), Decimal(0))

    @property
    def since(self) -> datetime | None:
        """When the second began."""
        began = sorted(one["started_at"] for one in self.subscriptions if one["started_at"])
        return began[1] if len(began) > 1 else None


def billed_twice(connection: psycopg.Connection[Row]) -> list[Billed]:
    """Everybody with more than one subscription that is billed, for support: names and ids are whole."""
    people: dict[UUID, list[Row]] = {}
    for pair in rows(connection, "payment/billed_twice"):
        people.setdefault(pair["user_id"], []).append(pair)
    return [Billed(person, theirs[0]["email"], tuple(theirs)) for person, theirs in people.items()]


def of_nobody(connection: psycopg.Connection[Row]) -> list[Row]:
    """Subscriptions that Stripe speaks of and nobody has here, each as its newest event has it."""
    return rows(connection, "payment/of_nobody")
