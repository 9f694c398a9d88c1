"""A small application at work on production: it signs people up, edits profiles, records progress and payments.

Members who never bought visit it, too, those who have signed up meanwhile among them.

It remembers every write that the database acknowledged, so that a test or a bench can ask afterwards which of them
are gone (``lost``), how long clients waited and what they were told.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import cast
from uuid import UUID

import psycopg
from psycopg import sql

from cutover.database.connect import session
from cutover.database.statements import statement, text

_FOLDER = "demo/traffic"
_KINDS = ("read", "edit", "progress", "visit", "payment", "sign_up")
_WEIGHTS = (50, 16, 16, 10, 6, 2)


@dataclass
class Outcome:
    """What one client saw: waiting times in seconds, errors by SQLSTATE, and its acknowledged writes."""

    waits: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    # the last acknowledged value by key: a later write to the same row replaces an earlier one
    phones: dict[UUID, str] = field(default_factory=dict)
    watched: dict[tuple[UUID, int], int] = field(default_factory=dict)
    # whose, and begun when
    payments: dict[str, tuple[UUID, datetime]] = field(default_factory=dict)
    accounts: dict[UUID, str] = field(default_factory=dict)
    visits: dict[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True)
class _Student:
    profile: UUID
    enrollment: UUID
    # somebody else, who never bought; nobody where production has no such people
    member: UUID | None = None


class Traffic:
    """``clients`` threads that together try for ``rate`` actions a second, until ``stop``.

    ``dsn`` is of the role ``app``. Each client keeps to students of its own, so that the last write to a row is
    known. A client that meets an error counts it, connects again and goes on.
    """

    def __init__(self, dsn: str, *, clients: int = 4, rate: float = 100.0, seed: int = 1) -> None:
        self._dsn = dsn
        self._pause = clients / rate
        self._stopping = threading.Event()
        self.outcomes = [Outcome() for _ in range(clients)]
        with session(dsn, "demonstration traffic", pinned=False) as connection:
            connection.execute("set role service_role")
            members = [row[0] for row in connection.execute(text(f"{_FOLDER}/members.sql").encode())]
            students = [
                _Student(profile, enrollment, members[number % len(members)] if members else None)
                for number, (profile, enrollment) in enumerate(
                    connection.execute(text(f"{_FOLDER}/students.sql").encode())
                )
            ]
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(outcome, students[number::clients], random.Random(f"{seed}/{number}"), number),
                name=f"traffic-{number}",
                daemon=True,
            )
            for number, outcome in enumerate(self.outcomes)
        ]

    def start(self) -> Traffic:
        """Set the clients to work."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Let each client finish what it does, and wait for them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def done(self) -> Counter[str]:
        """Acknowledged actions by kind."""
        return sum((outcome.done for outcome in self.outcomes), Counter())

    @property
    def errors(self) -> Counter[str]:
        """Failed actions by SQLSTATE (``connection`` for a lost connection)."""
        return sum((outcome.errors for outcome in self.outcomes), Counter())

    @property
    def longest_wait(self) -> float:
        """The longest that any action took, in seconds."""
        return max((wait for outcome in self.outcomes for wait in outcome.waits), default=0.0)

    def begun(self, before: datetime) -> int:
        """Payments that were begun before a moment. None was paid by its end."""
        return sum(at < before for outcome in self.outcomes for _, at in outcome.payments.values())

    def lost(self, dsn: str, *, frozen_at: datetime | None = None) -> list[str]:
        """Acknowledged writes that the database does not hold, in words. ``dsn`` is of a role that sees every row.

        After a launch: a payment that was only begun before ``frozen_at`` is none to it (business rules, 1.4).
        """
        payments = [
            (key, profile)
            for outcome in self.outcomes
            for key, (profile, at) in outcome.payments.items()
            if frozen_at is None or at >= frozen_at
        ]
        with session(dsn, "demonstration traffic", pinned=False) as connection:
            return [
                *_missing(connection, "phones.sql", ((k, v) for o in self.outcomes for k, v in o.phones.items())),
                *_missing(connection, "watched.sql", ((*k, v) for o in self.outcomes for k, v in o.watched.items())),
                *_missing(connection, "payments.sql", payments),
                *_missing(connection, "accounts.sql", ((k, v) for o in self.outcomes for k, v in o.accounts.items())),
                *_missing(connection, "visits.sql", ((k, v) for o in self.outcomes for k, v in o.visits.items())),
            ]

    # one client

    def _work(self, outcome: Outcome, students: list[_Student], rng: random.Random, number: int) -> None:
        connection: psycopg.Connection | None = None
        actions: dict[str, Callable[[psycopg.Connection, _Student, Outcome, random.Random, str], None]] = {
            "read": _read,
            "edit": _edit,
            "progress": _record_progress,
            "visit": _visit,
            "payment": _pay,
            "sign_up": _sign_up,
        }
        serial = 0
        while not self._stopping.is_set():
            serial += 1
            kind = rng.choices(_KINDS, _WEIGHTS)[0]
            started = time.monotonic()
            try:
                if connection is None or connection.closed:
                    connection = session(self._dsn, "demonstration traffic", autocommit=True, pinned=False)
                actions[kind](connection, rng.choice(students), outcome, rng, f"{number}.{serial}")
                outcome.done[kind] += 1
            except psycopg.Error as error:
                outcome.errors[error.sqlstate or "connection"] += 1
                if connection is not None:
                    connection.close()
            elapsed = time.monotonic() - started
            outcome.waits.append(elapsed)
            self._stopping.wait(max(0.0, self._pause - elapsed))
        if connection is not None:
            connection.close()


def _read(connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str) -> None:
    del outcome, rng, serial
    with connection.transaction():
        connection.execute("select set_config('request.jwt.claim.sub', %s, true)", (str(student.profile),))
        connection.execute("set local role authenticated")
        connection.execute(text(f"{_FOLDER}/read.sql").encode()).fetchall()


def _write(connection: psycopg.Connection, path: str, **values: object) -> tuple[object, ...] | None:
    with connection.transaction():
        connection.execute("set local role service_role")
        cursor = connection.execute(statement(f"{_FOLDER}/{path}"), values)
        return cursor.fetchone() if cursor.description else None


def _edit(connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str) -> None:
    del serial
    phone = f"+639{rng.randrange(10**8, 10**9)}"
    if _write(connection, "edit.sql", phone=phone, profile=student.profile):
        outcome.phones[student.profile] = phone


def _record_progress(
    connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str
) -> None:
    del serial
    lesson, seconds = rng.randrange(1, 25), rng.randrange(1, 3600)
    if _write(connection, "progress.sql", enrollment=student.enrollment, lesson=lesson, seconds=seconds):
        outcome.watched[student.enrollment, lesson] = seconds


def _pay(connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str) -> None:
    external_id = f"traffic-{serial}-{rng.getrandbits(48):012x}"
    if row := _write(connection, "pay.sql", profile=student.profile, external_id=external_id):
        outcome.payments[external_id] = student.profile, cast(datetime, row[0])


def _sign_up(
    connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str
) -> None:
    del student
    account, email = UUID(int=rng.getrandbits(128), version=4), f"new.{serial}.{rng.getrandbits(32):08x}@example.ph"
    if _write(connection, "sign_up.sql", account=account, email=email):
        outcome.accounts[account] = email


def _visit(
    connection: psycopg.Connection, student: _Student, outcome: Outcome, rng: random.Random, serial: str
) -> None:
    # whoever has just signed up looks around first
    signed_up = list(outcome.accounts)[-5:]
    profile = rng.choice(signed_up) if signed_up and rng.random() < 0.5 else student.member
    visit = f"{serial}-{rng.getrandbits(48):012x}"
    if profile is not None and _write(connection, "visit.sql", visit=visit, profile=profile):
        outcome.visits[visit] = profile


def _missing(connection: psycopg.Connection, path: str, rows: Iterable[tuple[object, ...]]) -> list[str]:
    """The expected rows that the query of ``path`` does not find; it reads them from the table ``expected``."""
    connection.execute("drop table if exists expected")
    connection.execute("create temporary table expected (a text, b text, c text)")
    with connection.cursor().copy("copy expected from stdin") as copy:
        for row in rows:
            copy.write_row((*map(str, row), *[None] * (3 - len(row))))
    cursor = connection.execute(sql.SQL("select * from ({}) as missing").format(statement(f"{_FOLDER}/{path}")))
    return [" ".join(map(str, row)) for row in cursor]
