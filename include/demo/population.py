"""The demonstration's world: people, their contacts, invoices and money movements, the same in every run.

One *block* of people has exactly the profile of the business rules (9,025 invoices, 15,270 contacts ...); a
population of scale N has N blocks, one after the other in time, so that a stream of them is a stream in time and
memory does not grow with N. Nothing here looks at the clock: the world ends at ``TODAY``.

Times are milliseconds since 1970 in UTC, money is centavos: integers, because Xendit's numbers are exact.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone

from demo import names

P2P = "p2p_course"
CANVA = "canva_ebook"
OTHER = "unattributed"
PRODUCTS = (P2P, CANVA, OTHER)
_SHORT = {P2P: "p2p", CANVA: "canva", OTHER: "other"}

TAG_OF = {P2P: "PaidP2P", CANVA: "Canva"}
AFFILIATE_TAG = "Affiliate"
ALL_TAGS = (*TAG_OF.values(), AFFILIATE_TAG, *names.OTHER_TAGS)

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def milliseconds(text: str) -> int:
    """An ISO date or date-time, in UTC, as milliseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


FIRST_DAY = milliseconds("2023-10-01")
TODAY = milliseconds("2025-09-30")
# Before this day Xendit's rows had no `fee`, no settlement and no `product_data`.
LEGACY_UNTIL = milliseconds("2024-04-01")

# What a customer can pay with: invoice method and channel, transaction category and code, fee rate and fixed fee.
_METHODS = (
    ("EWALLET", "GCASH", "EWALLET", "PH_GCASH", 0.023, 0),
    ("EWALLET", "GCASH", "EWALLET", "PH_GCASH", 0.023, 0),
    ("EWALLET", "PAYMAYA", "EWALLET", "PH_PAYMAYA", 0.018, 0),
    ("EWALLET", "GRABPAY", "EWALLET", "PH_GRABPAY", 0.02, 0),
    ("CREDIT_CARD", "CREDIT_CARD", "CARDS", "VISA", 0.032, 1_000),
    ("DIRECT_DEBIT", "DD_BPI", "DIRECT_DEBIT", "BA_BPI", 0.01, 1_500),
    ("RETAIL_OUTLET", "7ELEVEN", "RETAIL_OUTLET", "7ELEVEN", 0.02, 0),
    ("QR_CODE", "QRPH", "QR_CODE", "QRPH", 0.014, 0),
)
_PRICES = {
    P2P: (100_000,) * 14 + (125_000,) * 3 + (80_000, 80_000, 149_975),
    CANVA: (100_000,) * 12 + (99_950,) * 3 + (120_000,) * 3 + (104_999, 104_999),
    OTHER: (35_000, 150_000, 249_950),
}
_DESCRIPTIONS: Mapping[str, tuple[str | None, ...]] = {
    P2P: names.P2P_DESCRIPTIONS,
    CANVA: names.CANVA_DESCRIPTIONS,
    OTHER: names.OTHER_DESCRIPTIONS,
}


@dataclass(frozen=True)
class Cohort:
    """People alike in what the rules look at: the products they are tagged with, and those they paid for."""

    count: int
    tagged: tuple[str, ...] = ()
    pays: tuple[str, ...] = ()
    contact: bool = True


@dataclass(frozen=True)
class Profile:
    """How many of what one block holds. The default is the profile of the business rules, section 1.5."""

    cohorts: tuple[Cohort, ...] = (
        Cohort(1500, tagged=(P2P, CANVA), pays=(P2P, CANVA)),
        Cohort(920, tagged=(P2P, CANVA), pays=(P2P,)),
        Cohort(200, tagged=(P2P, CANVA), pays=(CANVA,)),
        Cohort(273, tagged=(P2P, CANVA)),
        Cohort(550, tagged=(P2P,), pays=(P2P,)),
        Cohort(14, tagged=(P2P,), pays=(P2P, CANVA)),
        Cohort(6, tagged=(P2P,), pays=(CANVA,)),
        Cohort(201, tagged=(P2P,)),
        Cohort(740, tagged=(CANVA,), pays=(CANVA,)),
        Cohort(13, tagged=(CANVA,), pays=(P2P, CANVA)),
        Cohort(7, tagged=(CANVA,), pays=(P2P,)),
        Cohort(1263, tagged=(CANVA,)),
        Cohort(60, pays=(P2P,)),
        Cohort(10, pays=(P2P, CANVA)),
        Cohort(100, pays=(CANVA,)),
        Cohort(6, pays=(OTHER,)),
        Cohort(9407),
        # payers and abandoned carts that Systeme.io has never heard of
        Cohort(125, pays=(P2P,), contact=False),
        Cohort(15, pays=(P2P, CANVA), contact=False),
        Cohort(125, pays=(CANVA,), contact=False),
        Cohort(5, pays=(OTHER,), contact=False),
        Cohort(300, contact=False),
    )
    # further paid invoices of people of the first cohort: second ones for a product, or one for something else
    repeats_p2p: int = 120
    repeats_canva: int = 60
    repeats_other: int = 8
    settled_p2p: int = 332
    settled_canva: int = 1299
    settled_other: int = 9
    expired_p2p: int = 973
    expired_canva: int = 1839
    expired_other: int = 6
    pending_p2p: int = 36
    pending_canva: int = 31
    pending_other: int = 4
    # what happened to paid invoices afterwards
    full_refunds: int = 38
    refunds_in_two_parts: int = 3
    partial_refunds: int = 21
    chargebacks: int = 9
    unsuccessful_refunds: int = 4
    # a first attempt at an invoice that was voided before the one that paid it
    voided_payments: int = 25
    # an expired invoice that bears the external_id of the paid one that followed it
    reused_external_ids: int = 30
    # invoices with the e-mail in `customer` alone
    without_payer_email: int = 40
    # disbursements, withdrawals, top-ups ...: no customer behind them
    unrelated_movements: int = 130
    affiliates_among_customers: int = 180
    affiliates_among_leads: int = 60

    def shrunk(self, divisor: int) -> Profile:
        """A profile of about one ``divisor``-th, in which everything still occurs at least once: for quick tests."""
        counts = {
            item.name: max(1, getattr(self, item.name) // divisor) for item in fields(self) if item.name != "cohorts"
        }
        cohorts = tuple(replace(cohort, count=max(1, cohort.count // divisor)) for cohort in self.cohorts)
        return Profile(cohorts=cohorts, **counts)

    def count(self, status: str, product: str) -> int:
        """Invoices of one status (``repeats``, ``settled``, ``expired``, ``pending``) and product."""
        return int(getattr(self, f"{status}_{_SHORT[product]}"))

    def paid_for(self, product: str) -> int:
        """PAID and SETTLED invoices of a product."""
        return sum(cohort.count for cohort in self.cohorts if product in cohort.pays) + self.count("repeats", product)


@dataclass(frozen=True)
class Nasty:
    """Content that real APIs deliver and nobody expects: so many extra rows of each kind in the first block.

    They come on top of the profile, so the clean part of the world stays as it was.
    """

    contacts_with_bad_email: int = 0
    invoices_with_bad_email: int = 0
    # a second contact with the e-mail key of an earlier one, registered later, with tags and names of its own
    contacts_with_shared_email: int = 0
    # \u0000 in a name or description, which PostgreSQL's text and jsonb refuse
    contacts_with_nul: int = 0
    invoices_with_nul: int = 0
    # half of a surrogate pair in a name: valid JSON, not valid Unicode
    contacts_with_lone_surrogate: int = 0
    # statuses, types and channels that no documentation lists
    invoices_with_unknown_status: int = 0
    transactions_with_unknown_enum: int = 0
    # payments for which there is no invoice, invoices for which there is no payment, invoices paid twice
    payments_without_invoice: int = 0
    invoices_without_payment: int = 0
    second_payments: int = 0
    refunds_without_payment: int = 0
    # paid in another currency
    invoices_in_dollars: int = 0

    @classmethod
    def everything(cls, count: int = 1) -> Nasty:
        """``count`` rows of each kind."""
        return cls(**{item.name: count for item in fields(cls)})


BAD_EMAILS: tuple[str | None, ...] = (
    "no-at-sign.example.com",
    "two@@ats.example.com",
    "inner space@example.com",
    "",
    "   ",
    "x" * 320 + "@example.com",
    None,
)


@dataclass(slots=True)
class Contact:
    """A contact of Systeme.io."""

    id: int
    email: str | None
    first_name: str | None
    surname: str | None
    phone: str | None
    country: str | None
    tags: tuple[str, ...]
    registered: int
    locale: str
    source_url: str | None
    unsubscribed: bool
    bounced: bool
    needs_confirmation: bool
    person: int


@dataclass(slots=True)
class Invoice:
    """An invoice of Xendit. ``paid_amount`` and what follows from payment are None until it is paid."""

    id: str
    external_id: str
    status: str
    product: str
    description: str | None
    amount: int
    payer_email: str | None
    customer: dict[str, str] | None
    created: int
    updated: int
    expiry: int
    person: int
    currency: str = "PHP"
    paid_amount: int | None = None
    paid: int | None = None
    method: str | None = None
    channel: str | None = None
    payment_id: str | None = None


@dataclass(slots=True)
class Transaction:
    """A money movement of Xendit. ``legacy`` rows lack fee, settlement and product_data altogether.

    ``invoice_id`` is the truth of the world; the API shows it only as far as ``payment_link_id`` does.
    """

    id: str
    product_id: str
    type: str
    status: str
    channel_category: str
    channel_code: str
    reference_id: str
    amount: int
    cashflow: str
    created: int
    updated: int
    fee: int = 0
    vat: int = 0
    settlement_status: str | None = None
    settlement: int | None = None
    account_identifier: str | None = None
    currency: str = "PHP"
    payment_link_id: str | None = None
    payment_request_id: str | None = None
    legacy: bool = False
    invoice_id: str | None = None


@dataclass(slots=True)
class Refund:
    """A refund as `GET /refunds` shows it."""

    id: str
    invoice_id: str
    payment_request_id: str
    amount: int
    channel_code: str
    reference_id: str
    status: str
    reason: str
    created: int
    updated: int


@dataclass(slots=True)
class Person:
    """Somebody of this world, under one e-mail key."""

    number: int
    email_key: str
    first_name: str
    surname: str
    phone: str
    cohort: Cohort
    contact: Contact | None = None
    paid: list[Invoice] = field(default_factory=list)

    @property
    def is_customer(self) -> bool:
        """Whether the business rules count this person as a customer."""
        return bool(self.paid or self.cohort.tagged)


@dataclass(slots=True)
class Block:
    """One profile's worth of people and rows, each list in the order of its ids' or rows' creation."""

    number: int
    people: list[Person]
    contacts: list[Contact]
    invoices: list[Invoice]
    transactions: list[Transaction]
    refunds: list[Refund]


@dataclass(frozen=True)
class Figures:
    """What a migration of a clean world (no ``Nasty``, no production) has to arrive at, counted person by person."""

    contacts: int
    invoices: int
    transactions: int
    customers: int
    invoices_by_status_and_product: Mapping[tuple[str, str], int]
    paid_by_product: Mapping[str, int]
    revenue_by_product: Mapping[str, int]
    manual: int
    enrollments_by_product: Mapping[str, int]
    tagged_without_payment: Mapping[str, int]
    refunded_statuses: Mapping[str, int]
    revoked_enrollments: int
    customers_without_contact: int
    affiliates_tagged: int


@dataclass(frozen=True)
class Population:
    """A world: ``scale`` blocks of ``profile``, drawn from ``seed``."""

    scale: int = 1
    seed: int = 20250930
    profile: Profile = Profile()
    nasty: Nasty = Nasty()

    def blocks(self) -> Iterator[Block]:
        """The blocks, oldest first. Each is made when asked for, so hold one at a time."""
        for number in range(self.scale):
            yield self.block(number)

    def block(self, number: int) -> Block:
        """One block; the same in every call."""
        return _Maker(self, number).make()

    def figures(self) -> Figures:
        """The outcome that the business rules ask for."""
        return _count(self)


def _uuid(rng: random.Random) -> str:
    bits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(bits[16], 16) % 4]
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{variant}{bits[17:20]}-{bits[20:]}"


class _Maker:
    """Builds one block from its own random stream."""

    def __init__(self, population: Population, number: int) -> None:
        span = (TODAY - FIRST_DAY) // population.scale
        self.profile = population.profile
        self.nasty = population.nasty if number == 0 else Nasty()
        self.number = number
        self.start = FIRST_DAY + number * span
        self.end = self.start + span
        # Invoices stop a little before the block ends, so that what follows them still falls into it.
        self.last_invoice = self.end - span // 50
        self.rng = random.Random(f"{population.seed}/{number}")
        self.people: list[Person] = []
        self.contacts: list[Contact] = []
        self.invoices: list[Invoice] = []
        self.transactions: list[Transaction] = []
        self.refunds: list[Refund] = []

    def make(self) -> Block:
        self._make_people()
        self._make_paid_invoices()
        self._make_unpaid_invoices()
        self._make_payments()
        self._make_refunds()
        self._make_unrelated_movements()
        self._make_nasty_contacts()
        self._make_nasty_invoices()
        self._make_nasty_transactions()
        self.contacts.sort(key=lambda contact: contact.registered)
        for rank, contact in enumerate(self.contacts):
            # Ids rise with registration and have gaps, as those of a service that other customers share.
            contact.id = 61_000_000 + self.number * 100_000 + rank * 3 + contact.person % 3
        self.invoices.sort(key=lambda invoice: (invoice.created, invoice.id))
        self.transactions.sort(key=lambda movement: (movement.created, movement.id))
        return Block(self.number, self.people, self.contacts, self.invoices, self.transactions, self.refunds)

    # people

    def _make_people(self) -> None:
        size = sum(cohort.count for cohort in self.profile.cohorts)
        number = self.number * size
        for cohort in self.profile.cohorts:
            for _ in range(cohort.count):
                self.people.append(self._person(number, cohort))
                number += 1
        for buys, count in (
            (True, self.profile.affiliates_among_customers),
            (False, self.profile.affiliates_among_leads),
        ):
            group = [
                person.contact
                for person in self.people
                if person.contact and bool(person.cohort.tagged or person.cohort.pays) == buys
            ]
            for contact in self.rng.sample(group, min(count, len(group))):
                contact.tags = (*contact.tags, AFFILIATE_TAG)

    def _person(self, number: int, cohort: Cohort) -> Person:
        rng = self.rng
        if number < len(names.HOSTILE_NAMES):
            first, surname = names.HOSTILE_NAMES[number]
        else:
            first, surname = rng.choice(names.FIRST_NAMES), rng.choice(names.SURNAMES)
        local = "".join(letter for letter in f"{first}.{surname}".lower() if letter.isalnum() or letter == ".")
        if number % 500 or not number:
            local = local.encode("ascii", "ignore").decode().strip(".") or "someone"
        key = f"{local}{number}@{rng.choice(names.EMAIL_DOMAINS)}"
        person = Person(number, key, first, surname, f"+639{rng.randrange(10**8, 10**9)}", cohort)
        if cohort.contact:
            person.contact = self._contact(person)
            self.contacts.append(person.contact)
        return person

    def _contact(self, person: Person) -> Contact:
        rng = self.rng
        tags = [TAG_OF[product] for product in person.cohort.tagged]
        tags += [tag for tag in names.OTHER_TAGS if rng.random() < 0.07]
        named = rng.random()
        return Contact(
            id=0,
            email=_respelled(person.email_key, rng, often=0.05),
            first_name=person.first_name if named < 0.93 or person.cohort.pays else None,
            surname=person.surname if named < 0.80 else None,
            phone=person.phone if rng.random() < 0.6 else None,
            country=rng.choice(names.COUNTRIES),
            tags=tuple(tags),
            # more of them early on than late; the service gives whole seconds
            registered=int(self.start + (self.last_invoice - self.start) * rng.random() ** 1.6) // SECOND * SECOND,
            locale=rng.choice(names.LOCALES),
            source_url=rng.choice(names.SOURCE_URLS),
            unsubscribed=rng.random() < 0.06,
            bounced=rng.random() < 0.02,
            needs_confirmation=rng.random() < 0.03,
            person=person.number,
        )

    # invoices

    def _make_paid_invoices(self) -> None:
        regulars = self.people[: self.profile.cohorts[0].count]
        for product in PRODUCTS:
            buyers = [person for person in self.people if product in person.cohort.pays]
            buyers += regulars[: self.profile.count("repeats", product)]
            settled = set(self.rng.sample(range(len(buyers)), min(len(buyers), self.profile.count("settled", product))))
            for position, person in enumerate(buyers):
                status = "SETTLED" if position in settled else "PAID"
                invoice = self._invoice(person, product, status, position)
                person.paid.append(invoice)
        paid = [invoice for invoice in self.invoices if invoice.customer]
        for invoice in self.rng.sample(paid, min(len(paid), self.profile.without_payer_email)):
            invoice.payer_email = None

    def _make_unpaid_invoices(self) -> None:
        strangers = [person for person in self.people if not person.contact and not person.cohort.pays]
        others = [person for person in self.people if person.contact and not person.cohort.tagged]
        payers = [person for person in self.people if person.cohort.pays]
        for status in ("EXPIRED", "PENDING"):
            for product in PRODUCTS:
                for position in range(self.profile.count(status.lower(), product)):
                    # every stranger appears in some invoice, or would not exist
                    group = others if self.rng.random() < 0.6 else payers
                    person = strangers.pop() if strangers else self.rng.choice(group)
                    self._invoice(person, product, status, position)
        paid_later = [person.paid[0] for person in payers[: self.profile.reused_external_ids]]
        expired = [invoice for invoice in self.invoices if invoice.status == "EXPIRED"]
        for earlier, later in zip(expired, paid_later, strict=False):
            earlier.external_id = later.external_id

    def _invoice(self, person: Person, product: str, status: str, position: int) -> Invoice:
        rng = self.rng
        earliest = person.contact.registered if person.contact else self.start
        latest = self.end - DAY // 4 if status == "PENDING" else self.last_invoice
        # PENDING means: not yet expired, so it is as young as the block allows
        if status == "PENDING":
            earliest = max(self.start, latest - DAY)
        created = rng.randrange(min(earliest, latest - 1), latest)
        expiry = created + DAY
        method, channel, *_ = rng.choice(_METHODS)
        amount = rng.choice(_PRICES[product])
        email = _respelled(person.email_key, rng, often=0.12)
        customer = None
        if rng.random() < 0.7 or not person.contact:
            customer = {"given_names": person.first_name, "surname": person.surname, "email": person.email_key}
            if rng.random() < 0.7:
                customer["mobile_number"] = person.phone
        choices = _DESCRIPTIONS[product]
        invoice = Invoice(
            id=f"{created // 1000:08x}{rng.getrandbits(64):016x}",
            external_id=f"{product.partition('_')[0]}-{person.number}-{len(self.invoices)}-{self.number}",
            status=status,
            product=product,
            description=choices[position % len(choices)] if product == OTHER else rng.choice(choices),
            amount=amount,
            payer_email=email,
            customer=customer,
            created=created,
            updated=created,
            expiry=expiry,
            person=person.number,
        )
        if status in ("PAID", "SETTLED"):
            invoice.method, invoice.channel = method, channel
            invoice.paid = min(created + rng.randrange(40 * SECOND, 6 * HOUR), self.end - HOUR)
            invoice.paid_amount = amount if rng.random() < 0.996 else amount - 5_050
            invoice.payment_id = f"py-{_uuid(rng)}"
            invoice.updated = invoice.paid
            if status == "SETTLED":
                invoice.updated = min(invoice.paid + 2 * DAY + rng.randrange(HOUR), self.end - 1)
        elif status == "EXPIRED":
            invoice.updated = min(expiry, self.end - 1)
        self.invoices.append(invoice)
        return invoice

    # money

    def _make_payments(self) -> None:
        paid = [invoice for invoice in self.invoices if invoice.paid]
        voided = {id(invoice) for invoice in self.rng.sample(paid, min(len(paid), self.profile.voided_payments))}
        for invoice in paid:
            payment = self._payment(invoice)
            if id(invoice) in voided:
                attempt = self._payment(invoice)
                attempt.status, attempt.settlement_status, attempt.settlement = "VOIDED", None, None
                attempt.created = max(self.start, payment.created - 10 * MINUTE)
                attempt.updated = attempt.created + MINUTE
        # several movements in the same millisecond, for whoever believes that a time is a key
        for earlier, later in zip(self.transactions[0:12:4], self.transactions[1:12:4], strict=False):
            later.created = earlier.created
            later.updated = max(later.updated, later.created)

    def _payment(self, invoice: Invoice) -> Transaction:
        rng = self.rng
        assert invoice.paid is not None and invoice.paid_amount is not None
        _, _, category, code, rate, fixed = next(entry for entry in _METHODS if entry[1] == invoice.channel)
        fee = round(invoice.paid_amount * rate) + fixed
        settled_by = min(invoice.paid + 2 * DAY, self.end - 1)
        is_settled = invoice.status == "SETTLED" or (settled_by < TODAY - DAY and rng.random() < 0.9)
        legacy = invoice.paid < LEGACY_UNTIL
        movement = Transaction(
            id=f"txn_{_uuid(rng)}",
            product_id=invoice.payment_id or "",
            type="PAYMENT",
            status="SUCCESS",
            channel_category=category,
            channel_code=code,
            reference_id=invoice.external_id,
            amount=invoice.paid_amount,
            cashflow="MONEY_IN",
            created=invoice.paid,
            updated=settled_by if is_settled else invoice.paid,
            fee=fee,
            vat=round(fee * 0.12),
            settlement_status="SETTLED" if is_settled else "PENDING",
            settlement=settled_by,
            account_identifier="520000XXXXXX2151" if category == "CARDS" else None,
            payment_link_id=None if legacy else invoice.id,
            payment_request_id=None if legacy else f"pr-{_uuid(rng)}",
            legacy=legacy,
            invoice_id=invoice.id,
        )
        if is_settled and rng.random() < 0.02:
            movement.settlement_status = "EARLY_SETTLED"
        self.transactions.append(movement)
        return movement

    def _make_refunds(self) -> None:
        profile = self.profile
        payments = [movement for movement in self.transactions if movement.status == "SUCCESS"]
        kinds = (
            ["full"] * profile.full_refunds
            + ["two parts"] * profile.refunds_in_two_parts
            + ["partial"] * profile.partial_refunds
            + ["chargeback"] * profile.chargebacks
            + ["unsuccessful"] * profile.unsuccessful_refunds
        )
        self.rng.shuffle(payments)
        # One full refund goes to somebody who paid twice for the product: that enrolment stays active.
        twice = {invoice.id for invoice in self.people[0].paid}
        payments.sort(key=lambda movement: movement.invoice_id not in twice)
        chosen = payments[:1] + [movement for movement in payments if movement.invoice_id not in twice]
        for position, (kind, source) in enumerate(zip(kinds, chosen, strict=False)):
            half = source.amount // 2 + 1
            if kind == "full":
                self._money_back(source, "REFUND", source.amount)
            elif kind == "two parts":
                self._money_back(source, "REFUND", half)
                self._money_back(source, "REFUND", source.amount - half)
            elif kind == "partial":
                self._money_back(source, "REFUND", half)
            elif kind == "chargeback":
                self._money_back(source, "CHARGEBACK", source.amount)
            else:
                self._money_back(source, "REFUND", source.amount, "FAILED" if position % 2 else "PENDING")

    def _money_back(self, payment: Transaction, kind: str, amount: int, status: str = "SUCCESS") -> Transaction:
        rng = self.rng
        created = rng.randrange(payment.created, self.end - 1)
        legacy = payment.legacy
        product_id = f"rfd-{_uuid(rng)}" if kind == "REFUND" else f"dsp-{_uuid(rng)}"
        movement = Transaction(
            id=f"txn_{_uuid(rng)}",
            product_id=product_id,
            type=kind,
            status=status,
            channel_category=payment.channel_category,
            channel_code=payment.channel_code,
            # Old rows can only be followed by the merchant's reference, new ones name the payment link.
            reference_id=payment.reference_id if legacy else f"{kind.lower()}-{product_id[4:12]}",
            amount=amount,
            cashflow="MONEY_OUT",
            created=created,
            updated=min(created + HOUR, self.end - 1),
            settlement_status="SETTLED" if status == "SUCCESS" else "PENDING" if status == "PENDING" else None,
            payment_link_id=payment.payment_link_id,
            payment_request_id=payment.payment_request_id,
            legacy=legacy,
            invoice_id=payment.invoice_id,
            currency=payment.currency,
        )
        self.transactions.append(movement)
        if kind == "REFUND":
            self.refunds.append(
                Refund(
                    id=product_id,
                    invoice_id=payment.invoice_id or "",
                    payment_request_id=payment.payment_request_id or "",
                    amount=amount,
                    channel_code=payment.channel_code,
                    reference_id=movement.reference_id,
                    status={"SUCCESS": "SUCCEEDED"}.get(status, status),
                    reason="REQUESTED_BY_CUSTOMER",
                    created=created,
                    updated=movement.updated,
                )
            )
        return movement

    def _make_unrelated_movements(self) -> None:
        kinds = ("DISBURSEMENT", "WITHDRAWAL", "TOPUP", "TRANSFER_OUT", "ADJUSTMENT_DEDUCT", "IN_PERSON_PAYMENT")
        for position in range(self.profile.unrelated_movements):
            kind = kinds[position % len(kinds)]
            created = self.rng.randrange(self.start, self.end - HOUR)
            money_in = kind in ("TOPUP", "IN_PERSON_PAYMENT")
            failed = kind == "DISBURSEMENT" and position % 5 == 0
            self.transactions.append(
                Transaction(
                    id=f"txn_{_uuid(self.rng)}",
                    product_id=f"disb-{_uuid(self.rng)}",
                    type=kind,
                    status="FAILED" if failed else "SUCCESS",
                    channel_category="BANK",
                    channel_code="PH_BDO",
                    reference_id=f"{kind.lower()}-{self.number}-{position}",
                    amount=self.rng.randrange(5_000, 9_000_000),
                    cashflow="MONEY_IN" if money_in else "MONEY_OUT",
                    created=created,
                    updated=created + 20 * MINUTE,
                    fee=1_500,
                    vat=180,
                    settlement_status=None if failed else "SETTLED",
                    account_identifier=f"00{self.rng.randrange(10**8)}",
                )
            )

    # content that nobody expects

    def _make_nasty_contacts(self) -> None:
        nasty = self.nasty
        stranger = self.profile.cohorts[-1]
        for position in range(nasty.contacts_with_bad_email):
            self._extra_contact(stranger).email = BAD_EMAILS[position % len(BAD_EMAILS)]
        for _ in range(nasty.contacts_with_nul):
            self._extra_contact(stranger).first_name = "before\x00after"
        for _ in range(nasty.contacts_with_lone_surrogate):
            self._extra_contact(stranger).surname = "half \ud83d of an emoji"
        for position in range(nasty.contacts_with_shared_email):
            original = self.people[position].contact
            assert original and original.email
            double = self._extra_contact(stranger)
            double.email = f" {original.email.upper()}"
            double.registered = min(original.registered + DAY, self.end - SECOND)
            double.tags = ("VIP",)
            double.person = original.person

    def _make_nasty_invoices(self) -> None:
        nasty = self.nasty
        for position in range(nasty.invoices_with_bad_email):
            invoice = self._extra_invoice()
            invoice.payer_email, invoice.customer = BAD_EMAILS[position % len(BAD_EMAILS)], None
            self._payment(invoice)
        for _ in range(nasty.invoices_with_nul):
            invoice = self._extra_invoice()
            invoice.description = "Papers to Profits\x00"
            self._payment(invoice)
        for _ in range(nasty.invoices_with_unknown_status):
            self._extra_invoice("EXPIRED").status = "ACTIVE"
        for _ in range(nasty.invoices_without_payment):
            self._extra_invoice()
        for _ in range(nasty.invoices_in_dollars):
            invoice = self._extra_invoice()
            invoice.currency = "USD"
            self._payment(invoice).currency = "USD"

    def _make_nasty_transactions(self) -> None:
        nasty = self.nasty
        for position in range(nasty.second_payments):
            self._payment(self.people[position].paid[0])
        for position in range(nasty.payments_without_invoice):
            movement = self._payment(self.people[position].paid[0])
            movement.payment_link_id = movement.invoice_id = None
            movement.reference_id = f"nowhere-{position}"
        for position in range(nasty.refunds_without_payment):
            movement = self._money_back(self.transactions[position], "REFUND", 12_345)
            movement.payment_link_id = movement.payment_request_id = movement.invoice_id = None
            movement.reference_id = f"nowhere-refund-{position}"
        for position in range(nasty.transactions_with_unknown_enum):
            movement = self._payment(self.people[position].paid[0])
            movement.type, movement.settlement_status = "TIME_TRAVEL", "UNSETTLED_AGAIN"

    def _extra_contact(self, cohort: Cohort) -> Contact:
        person = self._person(10**9 + len(self.contacts), cohort)
        contact = self._contact(person)
        self.contacts.append(contact)
        return contact

    def _extra_invoice(self, status: str = "PAID") -> Invoice:
        person = self._person(10**9 + len(self.invoices), self.profile.cohorts[-1])
        return self._invoice(person, P2P, status, 0)


def _respelled(email_key: str, rng: random.Random, often: float) -> str:
    """The e-mail as somebody typed it: mostly the key itself, sometimes with capitals or blanks around it."""
    chance = rng.random()
    if chance > often:
        return email_key
    if chance < often / 4:
        return f" {email_key} " if rng.random() < 0.5 else f"{email_key} "
    return email_key.upper() if chance < often / 2 else email_key.title()


def _count(population: Population) -> Figures:
    """Apply the business rules person by person, slowly and plainly: what SQL does by sets is compared with this."""
    statuses: Counter[tuple[str, str]] = Counter()
    paid: Counter[str] = Counter()
    revenue: Counter[str] = Counter()
    enrollments: Counter[str] = Counter()
    unpaid_tags: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    customers = contacts = invoices = transactions = manual = revoked = strangers = affiliates = 0
    for block in population.blocks():
        contacts += len(block.contacts)
        invoices += len(block.invoices)
        transactions += len(block.transactions)
        statuses.update((invoice.status, invoice.product) for invoice in block.invoices)
        returned: Counter[str] = Counter()
        charged_back = set()
        for movement in block.transactions:
            if movement.type in ("REFUND", "CHARGEBACK") and movement.status == "SUCCESS" and movement.invoice_id:
                returned[movement.invoice_id] += movement.amount
                if movement.type == "CHARGEBACK":
                    charged_back.add(movement.invoice_id)
        for person in block.people:
            if not person.is_customer:
                continue
            customers += 1
            strangers += person.contact is None
            affiliates += person.contact is not None and AFFILIATE_TAG in person.contact.tags
            dead: dict[str, bool] = {}
            for invoice in person.paid:
                assert invoice.paid_amount is not None
                paid[invoice.product] += 1
                revenue[invoice.product] += invoice.paid_amount
                gone = invoice.id in charged_back or returned[invoice.id] >= invoice.paid_amount
                if invoice.id in charged_back:
                    outcomes["charged_back"] += 1
                elif returned[invoice.id]:
                    outcomes["refunded" if gone else "partially_refunded"] += 1
                dead[invoice.product] = dead.get(invoice.product, True) and gone
            for product in (P2P, CANVA):
                tagged_only = product in person.cohort.tagged and product not in dead
                enrollments[product] += product in dead or tagged_only
                unpaid_tags[product] += tagged_only
                manual += tagged_only and product == P2P
                revoked += dead.get(product, False)
    return Figures(
        contacts=contacts,
        invoices=invoices,
        transactions=transactions,
        customers=customers,
        invoices_by_status_and_product=dict(statuses),
        paid_by_product=dict(paid),
        revenue_by_product=dict(revenue),
        manual=manual,
        enrollments_by_product=dict(enrollments),
        tagged_without_payment=dict(unpaid_tags),
        refunded_statuses=dict(outcomes),
        revoked_enrollments=revoked,
        customers_without_contact=strangers,
        affiliates_tagged=affiliates,
    )
