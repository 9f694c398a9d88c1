"""What production holds before the launch: a part of the truth, mixed with what testing left behind.

One block of a population gives one block of production rows, with the counts of the business rules (3,645 accounts,
3,636 profiles, 3,358 transactions, 2,883 enrolments). Real customers hold only the course's part of the revenue;
beside them are test accounts with payments that nobody made, people whom neither API knows, and second accounts.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import Any

from demo.population import AFFILIATE_TAG, CANVA, DAY, HOUR, P2P, Block, Invoice, Person, Population, milliseconds

COURSE_OF = {
    P2P: "c0000000-0000-4000-8000-000000000001",
    CANVA: "c0000000-0000-4000-8000-000000000002",
}
_LEVELS = tuple(f"10000000-0000-4000-8000-00000000000{rank}" for rank in (1, 2, 3))
_LESSONS = 24
_DAYS_OF_STRANGERS = 600
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Row = tuple[Any, ...]

# The columns that are filled, by table, in the order in which foreign keys allow it. The circular key of a profile
# to its affiliate row is checked at the end of the transaction.
COLUMNS: dict[str, tuple[str, ...]] = {
    "auth.users": (
        *("instance_id", "id", "aud", "role", "email", "encrypted_password", "email_confirmed_at"),
        *("confirmation_token", "recovery_token", "email_change_token_new", "email_change", "last_sign_in_at"),
        *("raw_app_meta_data", "raw_user_meta_data", "created_at", "updated_at"),
    ),
    "auth.identities": (
        *("provider_id", "user_id", "identity_data", "provider", "last_sign_in_at", "created_at", "updated_at"),
    ),
    "public.unified_profiles": (
        *("id", "email", "first_name", "last_name", "phone", "tags", "acquisition_source", "status"),
        *("membership_level_id", "affiliate_id", "admin_metadata", "systemeio_id", "systemeio_tags", "api_source"),
        *("created_at", "updated_at"),
    ),
    "public.affiliates": ("id", "user_id", "status", "commission_rate", "total_earned", "created_at", "updated_at"),
    "public.transactions": (
        *("id", "user_id", "xendit_invoice_id", "xendit_transaction_id", "external_id", "contact_email"),
        *("product_type", "transaction_type", "amount", "currency", "status", "payment_method", "refunded_amount"),
        *("created_at", "paid_at", "metadata"),
    ),
    "public.enrollments": (
        *("id", "user_id", "course_id", "transaction_id", "product_type", "status", "enrolled_at"),
        *("last_accessed_at", "metadata"),
    ),
    "public.lesson_progress": ("enrollment_id", "lesson_id", "watched_seconds", "completed_at", "updated_at"),
    "public.certificates": ("enrollment_id", "serial_no", "issued_at"),
    "public.refunds": ("transaction_id", "amount", "reason", "created_at"),
    "public.disputes": ("transaction_id", "status", "opened_at"),
    "public.affiliate_links": ("affiliate_id", "code", "target_url"),
    "public.commissions": ("affiliate_id", "transaction_id", "amount", "earned_at"),
    "public.support_tickets": ("profile_id", "subject", "status", "created_at", "updated_at"),
    "public.notifications": ("profile_id", "title", "read_at", "created_at"),
    "public.events": ("profile_id", "kind", "at", "details"),
    "public.lesson_bookmarks": ("profile_id", "lesson_id"),
    "public.lesson_notes": ("profile_id", "lesson_id", "body", "created_at"),
    "public.notification_preferences": ("profile_id", "by_email", "by_push"),
    "public.direct_messages": ("sender_id", "receiver_id", "body", "sent_at"),
    "public.course_reviews": ("course_id", "profile_id", "stars", "body"),
}


@dataclass(frozen=True)
class Contamination:
    """How many of what one block of production holds. The defaults add up to the business rules' counts."""

    # customers with a payment for the course, and customers who carry its tag alone; each with a profile
    payers: int = 2960
    tagged_without_payment: int = 346
    # their rows
    payments: int = 2790
    manual_payments: int = 280
    enrollments_of_payers: int = 2560
    enrollments_without_payment: int = 190
    # further accounts of people in the above: beside the one with the profile, and with no profile at all
    second_accounts_younger: int = 5
    second_accounts_older: int = 2
    accounts_twice_without_profile: int = 1
    # accounts that no clean source makes a customer
    leads: int = 110
    unknown_people: int = 60
    # further members, who signed up and never bought; beyond the business rules' counts
    members: int = 0
    test_accounts: int = 160
    test_payments: int = 288
    test_enrollments: int = 133
    affiliates_tagged: int = 52
    affiliates_untagged: int = 6
    affiliates_not_customers: int = 6

    def shrunk(self, divisor: int) -> Contamination:
        """About one ``divisor``-th, everything still occurring at least once."""
        counts = {
            item.name: max(1, getattr(self, item.name) // divisor) if getattr(self, item.name) else 0
            for item in fields(self)
        }
        return Contamination(**counts)

    @property
    def profiles(self) -> int:
        """Rows of unified_profiles."""
        people = self.payers + self.tagged_without_payment + self.leads + self.unknown_people
        return people + self.members + self.test_accounts

    @property
    def accounts(self) -> int:
        """Rows of auth.users."""
        seconds = self.second_accounts_younger + self.second_accounts_older + 2 * self.accounts_twice_without_profile
        return self.profiles + seconds

    @property
    def transactions(self) -> int:
        """Rows of transactions."""
        return self.payments + self.manual_payments + self.test_payments

    @property
    def enrollments(self) -> int:
        """Rows of enrollments."""
        return self.enrollments_of_payers + self.enrollments_without_payment + self.test_enrollments


@dataclass
class _Account:
    """An account as the following rows need it."""

    id: str
    email: str
    created: int
    person: Person | None = None
    invoice: Invoice | None = None
    enrollment: str | None = None


@dataclass
class ProductionBlock:
    """The rows of one block, by table."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})

    def add(self, table: str, *values: Any) -> None:
        """Append a row, in the order of ``COLUMNS``."""
        assert len(values) == len(COLUMNS[table]), table
        self.rows[table].append(values)


def production_block(
    population: Population, block: Block, contamination: Contamination, *, orphans: bool = False
) -> ProductionBlock:
    """The production rows that belong to a block of the population.

    Members and test accounts are active everywhere: what members did stays, what test accounts did goes with their
    profiles. Everything else outside refers to what outlives the launch; with ``orphans``, some refers to payments that
    do not, and to which their keys hold on.
    """
    return _Maker(population, block, contamination, orphans).make()


def _moment(milliseconds_: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds_)


class _Maker:
    def __init__(self, population: Population, block: Block, contamination: Contamination, orphans: bool) -> None:
        self.block = block
        self.counts = contamination
        self.orphans = orphans
        self.rng = random.Random(f"{population.seed}/production/{block.number}")
        self.made = ProductionBlock()
        self.payment_of = {
            movement.invoice_id: movement
            for movement in block.transactions
            if movement.type == "PAYMENT" and movement.status == "SUCCESS"
        }

    def make(self) -> ProductionBlock:
        counts = self.counts
        payers = [person for person in self.block.people if _first_payment(person)]
        tagged = [person for person in self.block.people if P2P in person.cohort.tagged and not _first_payment(person)]
        leads = [person for person in self.block.people if person.contact and not person.is_customer]
        self.rng.shuffle(payers)
        self.rng.shuffle(tagged)
        # Affiliates first, so that some of them are among those who have an account.
        for group in (payers, tagged):
            group.sort(key=lambda person: not _is_tagged_affiliate(person))

        paying = [self._person_account(person) for person in payers[: counts.payers]]
        unpaid = [self._person_account(person) for person in tagged[: counts.tagged_without_payment]]
        others = [self._person_account(person) for person in self.rng.sample(leads, min(counts.leads, len(leads)))]
        others += [self._stranger_account(position) for position in range(counts.unknown_people + counts.members)]
        tests = [self._test_account(position) for position in range(counts.test_accounts)]
        self._second_accounts(paying, payers[counts.payers :])

        affiliates = self._affiliates(paying + unpaid, others + tests)
        self._profiles(paying + unpaid + others + tests, affiliates)
        self._payments(paying)
        self._manual_payments(unpaid)
        self._test_payments(tests)
        self._enrollments(paying, counts.enrollments_of_payers)
        self._enrollments(unpaid, counts.enrollments_without_payment)
        self._enrollments(tests, counts.test_enrollments)
        self._outside_rows(paying, unpaid, affiliates)
        self._activity(others)
        self._activity(tests)
        if self.orphans:
            self._orphans(tests, affiliates)
        return self.made

    def _uuid(self) -> str:
        bits = f"{self.rng.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-9{bits[17:20]}-{bits[20:]}"

    # accounts

    def _account(self, email: str, created: int, first: str, last: str, person: Person | None = None) -> _Account:
        account = _Account(self._uuid(), email, created, person)
        digest = hashlib.sha256(account.id.encode()).hexdigest()
        at = _moment(created)
        self.made.add(
            "auth.users",
            *("00000000-0000-0000-0000-000000000000", account.id, "authenticated", "authenticated", email),
            # the form of a bcrypt hash; no password belongs to it
            *(f"$2a$10${digest[:53]}", at + timedelta(minutes=5), "", "", "", "", at + timedelta(days=3)),
            json.dumps({"provider": "email", "providers": ["email"]}),
            json.dumps({"first_name": first, "last_name": last, "sub": account.id}),
            *(at, at),
        )
        identity = json.dumps({"sub": account.id, "email": email, "email_verified": True})
        self.made.add("auth.identities", account.id, account.id, identity, "email", at + timedelta(days=3), at, at)
        return account

    def _person_account(self, person: Person) -> _Account:
        email = person.email_key
        if person.number % 12 == 0:
            # as typed at sign-up; GoTrue looks accounts up by lower(email), so they work
            email = email.title() if person.number % 24 else email.upper()
        invoice = _first_payment(person)
        if invoice:
            created = invoice.created + HOUR
        else:
            assert person.contact, "somebody without a payment is only known as a contact"
            created = person.contact.registered + DAY
        account = self._account(email, created, person.first_name, person.surname, person)
        account.invoice = invoice
        return account

    def _stranger_account(self, position: int) -> _Account:
        email = f"old.student{self.block.number}.{position}@example.ph"
        # the last of many have not signed up in the future
        created = milliseconds("2023-11-05") + position % _DAYS_OF_STRANGERS * DAY
        return self._account(email, created, "Old", f"Student {position}")

    def _test_account(self, position: int) -> _Account:
        name = f"{self.block.number}.{position}"
        email, first, last = (
            (f"test+{name}@learn.example.com", "Test", "User"),
            (f"qa.{name}@learn.example.com", "QA", f"Robot {position}"),
            (f"dev{name}@mailinator.com", "asdf", "asdf"),
            (f"Test.Checkout{name}@example.com", "Juan", "Test"),
        )[position % 4]
        return self._account(email, milliseconds("2023-10-20") + position * 4 * DAY, first, last)

    def _second_accounts(self, paying: Sequence[_Account], without: Sequence[Person]) -> None:
        """A second account for one e-mail key: with a capital, which the unique index takes for another address."""
        counts = self.counts
        plain = [account for account in paying if account.email != account.email.capitalize()]
        first, younger = plain[: counts.second_accounts_older], plain[counts.second_accounts_older :]
        for account in first:
            self._account(account.email.capitalize(), account.created - 40 * DAY, "", "", account.person)
        for account in younger[: counts.second_accounts_younger]:
            self._account(account.email.capitalize(), account.created + 40 * DAY, "", "", account.person)
        for person in without[: counts.accounts_twice_without_profile]:
            self._account(person.email_key.capitalize(), person.paid[0].created, person.first_name, "", person)
            self._account(person.email_key, person.paid[0].created + DAY, person.first_name, "", person)

    # profiles and affiliates

    def _affiliates(self, customers: Sequence[_Account], others: Sequence[_Account]) -> dict[str, str]:
        """Affiliate rows; returns profile id -> affiliate id."""
        counts, made = self.counts, {}
        tagged = [account for account in customers if account.person and _is_tagged_affiliate(account.person)]
        untagged = [account for account in customers if account.person and not _is_tagged_affiliate(account.person)]
        chosen = [
            *tagged[: counts.affiliates_tagged],
            *untagged[: counts.affiliates_untagged],
            *others[: counts.affiliates_not_customers],
        ]
        for position, account in enumerate(chosen):
            affiliate = self._uuid()
            made[account.id] = affiliate
            self.made.add(
                "public.affiliates",
                *(affiliate, account.id, "suspended" if position % 17 == 16 else "active"),
                *(("0.3000", "0.4000", "0.2550")[position % 3], f"{self.rng.randrange(0, 4_000_000) / 100:.2f}"),
                *(_moment(account.created + 5 * DAY), _moment(account.created + 9 * DAY)),
            )
        return made

    def _profiles(self, accounts: Sequence[_Account], affiliates: dict[str, str]) -> None:
        for position, account in enumerate(accounts):
            person, contact = account.person, account.person.contact if account.person else None
            tags = list(contact.tags[:1]) if contact else []
            notes: dict[str, object] = {}
            if person and position % 9 == 0:
                notes = {"note": f"called on day {position}", "vip": position % 2 == 0}
            first, last = ("Test", "User") if person is None else (person.first_name, person.surname)
            self.made.add(
                "public.unified_profiles",
                *(account.id, account.email, first, last),
                # production knows phones that neither API has
                person.phone if person and position % 3 == 0 else None,
                *(tags, "csv_import" if person else "signup", "active"),
                *(_LEVELS[position % 3] if position % 4 == 0 else None, affiliates.get(account.id), json.dumps(notes)),
                *(str(contact.id) if contact else None, tags, "systemeio" if contact else "signup"),
                *(_moment(account.created), _moment(account.created + 2 * DAY)),
            )

    # money and rights

    def _payments(self, paying: Sequence[_Account]) -> None:
        for position, account in enumerate(paying[: self.counts.payments]):
            invoice = account.invoice
            assert invoice and invoice.paid and invoice.paid_amount
            payment = self.payment_of[invoice.id]
            # Synchronised at different times by different code: most rows have both ids, some only one.
            by_invoice, by_payment = position % 11 != 0, position % 7 != 0 or position % 11 == 0
            self.made.add(
                "public.transactions",
                *(self._uuid(), account.id, invoice.id if by_invoice else None, payment.id if by_payment else None),
                *(invoice.external_id, account.email, P2P if position % 5 else None),
                *("payment" if position % 2 else "unknown", f"{invoice.paid_amount / 100:.2f}", "PHP"),
                *("paid", invoice.method, 0, _moment(invoice.created), _moment(invoice.paid), "{}"),
            )

    def _manual_payments(self, unpaid: Sequence[_Account]) -> None:
        for account in unpaid[: self.counts.manual_payments]:
            self.made.add(
                "public.transactions",
                *(self._uuid(), account.id, None, None, None, account.email, P2P, "manual", "800.00", "PHP", "paid"),
                *("MANUAL", 0, _moment(account.created), _moment(account.created), '{"entered_by": "staff"}'),
            )

    def _test_payments(self, tests: Sequence[_Account]) -> None:
        for position in range(self.counts.test_payments):
            account = tests[position % len(tests)]
            fake = f"test-{self.block.number}-{position}"
            self.made.add(
                "public.transactions",
                *(
                    self._uuid(),
                    account.id,
                    fake if position % 3 else None,
                    f"txn_{fake}" if position % 4 == 0 else None,
                ),
                *(fake, account.email, (P2P, CANVA, None)[position % 3], "test", ("1.00", "999999.00")[position % 2]),
                *("PHP", ("paid", "pending", "settled", "failed")[position % 4], "TEST", 0),
                *(_moment(account.created), _moment(account.created) if position % 4 != 1 else None, "{}"),
            )

    def _enrollments(self, accounts: Sequence[_Account], count: int) -> None:
        transactions = {row[1]: row[0] for row in self.made.rows["public.transactions"]}
        for position, account in enumerate(accounts[:count]):
            enrollment = self._uuid()
            account.enrollment = enrollment
            seen_at = account.created + self.rng.randrange(DAY, 60 * DAY) if position % 5 < 3 else None
            progress = {"percent": self.rng.randrange(101), "last_lesson": position % _LESSONS + 1} if seen_at else {}
            self.made.add(
                "public.enrollments",
                *(enrollment, account.id, COURSE_OF[P2P], transactions.get(account.id), P2P),
                *("active", _moment(account.created), _moment(seen_at) if seen_at else None, json.dumps(progress)),
            )

    # tables around

    def _outside_rows(self, paying: Sequence[_Account], unpaid: Sequence[_Account], affiliates: dict[str, str]) -> None:
        add, number = self.made.add, self.block.number
        students = [account for account in [*paying, *unpaid] if account.enrollment]
        for position, account in enumerate(students[::2]):
            started = _moment(account.created + DAY)
            for lesson in range(1, 2 + position % 5):
                done = started + timedelta(hours=lesson)
                add("public.lesson_progress", account.enrollment, lesson, 600, done if lesson % 3 else None, done)
            if position % 25 == 0:
                add("public.certificates", account.enrollment, f"C-{number}-{position:06d}", started)
        real = {
            row[1]: row[0] for row in self.made.rows["public.transactions"] if row[2] and not row[2].startswith("test-")
        }
        for position, (profile, transaction) in enumerate(list(real.items())[: max(4, len(real) // 60)]):
            at = _moment(paying[position].created)
            add("public.refunds", transaction, "150.00", "partial goodwill", at)
            if position % 5 == 0:
                add("public.disputes", transaction, "closed", at)
            add("public.support_tickets", profile, f"Where is lesson {position}?", "closed", at, at)
        customers = {account.id: account for account in [*paying, *unpaid]}
        sales = list(real.values())
        for position, (profile, affiliate) in enumerate(affiliates.items()):
            if profile not in customers:
                continue
            at = _moment(customers[profile].created + 20 * DAY)
            code = f"{number}-{position}"
            add("public.affiliate_links", affiliate, code, f"https://learn.example.com/?ref={code}")
            for sale in sales[position::97][:5]:
                add("public.commissions", affiliate, sale, "300.00", at)
        for position, account in enumerate(paying):
            at = _moment(account.created + DAY)
            add("public.events", account.id, ("login", "video", "download")[position % 3], at, '{"device": "phone"}')
            if position % 6 == 0:
                add("public.notifications", account.id, "Welcome!", at if position % 4 else None, at)

    def _activity(self, accounts: Sequence[_Account]) -> None:
        """What people do who have not bought: a row or more of each in every table that knows people."""
        add = self.made.add
        for position, account in enumerate(accounts):
            for day in range(1, 4 + position % 5):
                at = _moment(account.created + day * DAY)
                add("public.events", account.id, ("login", "video", "search")[day % 3], at, '{"device": "laptop"}')
            add("public.notifications", account.id, "Your first lesson is free", None, at)
            add("public.lesson_bookmarks", account.id, position % _LESSONS + 1)
            add("public.notification_preferences", account.id, position % 2 == 0, position % 3 == 0)
            if position % 2 == 0:
                add("public.lesson_notes", account.id, position % _LESSONS + 1, "look at this again", at)
                add("public.direct_messages", account.id, accounts[position - 1].id, "are you in, too?", at)
            if position % 3 == 0:
                add("public.course_reviews", COURSE_OF[P2P], account.id, 5 - position % 2, "the free part is good")
                add("public.support_tickets", account.id, "Is there an instalment plan?", "open", at, at)

    def _orphans(self, tests: Sequence[_Account], affiliates: dict[str, str]) -> None:
        add = self.made.add
        by_account = {row[1]: row[0] for row in self.made.rows["public.transactions"]}
        for account in tests[:2]:
            at = _moment(account.created)
            add("public.lesson_progress", account.enrollment, 1, 10, None, at)
            add("public.refunds", by_account[account.id], "1.00", "test", at)
            add("public.support_tickets", account.id, "test ticket", "open", at, at)
            add("public.events", account.id, "login", at, "{}")
        lost = list(affiliates.values())[-1]
        add("public.commissions", lost, None, "12.34", _moment(tests[0].created))


def _first_payment(person: Person) -> Invoice | None:
    return next((invoice for invoice in person.paid if invoice.product == P2P), None)


def _is_tagged_affiliate(person: Person) -> bool:
    return person.contact is not None and AFFILIATE_TAG in person.contact.tags
