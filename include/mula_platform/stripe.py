"""What Stripe sends: whether a body is signed by one of our endpoints' secrets, and what an event says.

The signature is an HMAC over the bytes as they came, and verified here: Stripe's own package verifies with one secret
at a time, which is neither rotation nor two accounts, does not know of times in the future, and would bring a client of
its whole API along. What an event holds of a person (names, addresses, cards) is not read.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

# Seconds by which the time of a signature may be off: Stripe's own default. Each retry is signed anew.
TOLERANCE_S = 300
# Bytes: a signature header is a time and a few digests.
_LONGEST_HEADER = 4_096
# Signatures that are compared: Stripe sends one for each secret of the endpoint that is good at the time, two at most.
_MOST_SIGNATURES = 16
# Statuses that Stripe never leaves again.
ENDED = frozenset(("canceled", "incomplete_expired"))
# Plans of the unified database.
PLANS = ("free", "basic", "premium")
PAID, FAILED = "invoice.paid", "invoice.payment_failed"
# Events that hold a whole subscription, with what goes first where two are of one second.
SNAPSHOTS = {
    "customer.subscription.created": 1,
    "customer.subscription.updated": 2,
    "customer.subscription.paused": 2,
    "customer.subscription.resumed": 2,
    "customer.subscription.deleted": 3,
}
# The way of a subscription, for two snapshots of one second.
_PROGRESS = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused", "incomplete_expired", "canceled")
# Months of one interval of a price. A year has 12 months, 365.25 days and as many weeks as fit.
_MONTHS = {
    "month": Decimal(1),
    "year": Decimal(12),
    "week": Decimal(7) * 12 / Decimal("365.25"),
    "day": Decimal(12) / Decimal("365.25"),
}
# The only currency that monthly_amount means.
_CURRENCY = "usd"
# What numeric(10, 2) holds.
_MOST = Decimal("99999999.99")

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,255}$")]
# Seconds since 1970, until 2100.
Moment = Annotated[int, Field(ge=0, le=4_102_444_800)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class UnsignedError(Exception):
    """A body that none of our endpoints' secrets has signed, or not lately; ``reason`` is for logs and for Stripe."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class MalformedError(Exception):
    """A body that is signed and no event that we can read; ``reason`` names what is wrong, and holds no value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Fact:
    """What an event says. Of an event that says nothing about a subscription, only what it is.

    ``created_at`` is when it happened, by Stripe. What a snapshot does not tell (an amount in another currency, a plan
    by another name) is None. ``ends``: it is billed no more.
    """

    event_id: str
    event_type: str
    created_at: datetime
    subscription_id: str | None = None
    customer_id: str | None = None
    status: str | None = None
    plan_name: str | None = None
    monthly_amount: Decimal | None = None
    next_billing_at: datetime | None = None
    ends: bool = False

    @property
    def order(self) -> tuple[datetime, int, int, str]:
        """Where it belongs among the events of its subscription, whenever it came.

        Stripe's times are whole seconds: within one, a snapshot counts more than an invoice, and the one counts that is
        further on the way of a subscription.
        """
        progress = _PROGRESS.index(self.status) if self.status in _PROGRESS else len(_PROGRESS)
        return self.created_at, SNAPSHOTS.get(self.event_type, 0), progress, self.event_id


def source_of(payload: bytes, header: str, secrets: Mapping[str, Sequence[str]], now: float) -> str:
    """Whose secret has signed ``payload``: a name of ``secrets``. ``now`` is in seconds since 1970.

    Raises UnsignedError.
    """
    signed_at, signatures = _parts(header)
    if not signatures:
        raise UnsignedError("no signature")
    message = signed_at.encode() + b"." + payload
    signers = [
        source
        for source, own in secrets.items()
        for secret in own
        # every one is compared, and each in the same time, whatever is in it
        if any([hmac.compare_digest(_signature(secret, message), given) for given in signatures])  # noqa: C419
    ]
    if not signers:
        raise UnsignedError("another signature")
    if abs(now - int(signed_at)) > TOLERANCE_S:
        raise UnsignedError("signed too long ago, or in the future")
    return signers[0]


def _parts(header: str) -> tuple[str, list[bytes]]:
    """The time and the signatures of scheme v1, of ``t=…,v1=…,v1=…,v0=…``."""
    if len(header) > _LONGEST_HEADER:
        raise UnsignedError("header too long")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise UnsignedError("no time")
    return times[0], [value.encode() for name, _, value in pairs if name == "v1"][:_MOST_SIGNATURES]


def _signature(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode()


class _Model(BaseModel):
    """As Stripe writes it: no text for a number; what we do not know is passed over."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Expanded(_Model):
    id: Id


Reference = Id | _Expanded | None


class _Data(_Model):
    object: dict[str, Any]


class _Event(_Model):
    id: Id
    type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,100}$")]
    created: Moment
    data: _Data


class _Recurring(_Model):
    interval: str
    interval_count: Annotated[int, Field(ge=1, le=10_000)] = 1
    usage_type: str = "licensed"


class _Price(_Model):
    currency: str = ""
    unit_amount: Annotated[int, Field(ge=0, le=10**12)] | None = None
    unit_amount_decimal: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}(\.[0-9]{1,12})?$")] | None = None
    recurring: _Recurring | None = None
    lookup_key: str | None = None
    nickname: str | None = None

    def cents_a_month(self, quantity: int) -> Decimal | None:
        """What so many of it are billed a month, in hundredths of a dollar; None if that depends on their use."""
        each = Decimal(self.unit_amount_decimal) if self.unit_amount_decimal else self.unit_amount
        recurring = self.recurring
        if each is None or recurring is None or recurring.usage_type != "licensed" or self.currency != _CURRENCY:
            return None
        months = _MONTHS.get(recurring.interval)
        return None if months is None else quantity * Decimal(each) / (months * recurring.interval_count)

    @property
    def plan(self) -> str | None:
        """The plan that it is called after: the first word of its lookup key, or of its nickname."""
        for name in (self.lookup_key, self.nickname):
            word = re.split(r"[^a-z]", (name or "").lower(), maxsplit=1)[0]
            if word in PLANS:
                return word
        return None


class _Item(_Model):
    price: _Price
    quantity: Count = 1
    current_period_end: Moment | None = None


class _Items(_Model):
    data: Annotated[list[_Item], Field(max_length=100)]


class _Subscription(_Model):
    id: Id
    status: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,50}$")]
    items: _Items
    customer: Reference = None
    cancel_at_period_end: bool = False
    # until the API's version of March 2025; since then each item has its own
    current_period_end: Moment | None = None

    @property
    def monthly_amount(self) -> Decimal | None:
        """Dollars a month before discounts; None if that cannot be said."""
        each = [item.price.cents_a_month(item.quantity) for item in self.items.data]
        known = [cents for cents in each if cents is not None]
        if not each or len(known) < len(each):
            return None
        dollars = (sum(known, Decimal(0)) / 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return dollars if dollars <= _MOST else None

    @property
    def period_ends_at(self) -> datetime | None:
        """When it is billed next, if it goes on: the first of its items' periods that ends."""
        ends = [item.current_period_end for item in self.items.data if item.current_period_end is not None]
        end = min(ends) if ends else self.current_period_end
        return None if end is None else _moment(end)


class _SubscriptionDetails(_Model):
    subscription: Reference = None


class _Parent(_Model):
    subscription_details: _SubscriptionDetails | None = None


class _Invoice(_Model):
    customer: Reference = None
    # until the API's version of March 2025; since then it is the parent's
    subscription: Reference = None
    parent: _Parent | None = None

    @property
    def subscription_id(self) -> str | None:
        """The subscription that it bills, if it is one's."""
        details = self.parent.subscription_details if self.parent else None
        return _id(self.subscription) or (_id(details.subscription) if details else None)


def read(payload: bytes) -> Fact:
    """What an event says. Raises MalformedError."""
    try:
        event = _Event.model_validate_json(payload)
        fact = Fact(event.id, event.type, _moment(event.created))
        if event.type in SNAPSHOTS:
            return _snapshot(fact, _Subscription.model_validate(event.data.object))
        if event.type in (PAID, FAILED):
            return _invoice(fact, _Invoice.model_validate(event.data.object))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(part for part in map(str, first["loc"]) if re.fullmatch(r"\w{1,40}", part))
        raise MalformedError(f"{where or 'body'}: {first['type']}") from error
    return fact


def _snapshot(fact: Fact, subscription: _Subscription) -> Fact:
    status = (
        "canceled" if fact.event_type.endswith(".deleted") and subscription.status not in ENDED else subscription.status
    )
    return Fact(
        fact.event_id,
        fact.event_type,
        fact.created_at,
        subscription.id,
        _id(subscription.customer),
        status,
        next((item.price.plan for item in subscription.items.data if item.price.plan), None),
        subscription.monthly_amount,
        subscription.period_ends_at,
        subscription.cancel_at_period_end or status in ENDED,
    )


def _invoice(fact: Fact, invoice: _Invoice) -> Fact:
    return Fact(fact.event_id, fact.event_type, fact.created_at, invoice.subscription_id, _id(invoice.customer))


def _id(reference: Reference) -> str | None:
    return reference.id if isinstance(reference, _Expanded) else reference


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
