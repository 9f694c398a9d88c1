"""Eight clients of the bench's production: reads, writes and sign-ups, every one timed and checked."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event

import psycopg

CLIENTS = 8
# Transactions per second of each client. Together about 320: a busy application, and not a saturated machine.
RATE = 40.0

# Rows of the batch that is staged are marked; one query that reads three tables must see one batch.
TORN = """
select
    (select p.name like 'batch%%' from public.profiles as p where p.id = %(person)s),
    (select 'batch' = any(o.tags) from public.orders as o where o.id = %(order)s),
    (select a.code like 'batch%%' from public.affiliates as a where a.user_id = %(affiliate)s)
"""
MARKED = {
    "profiles": "insert into staging.profiles (id, email, name, level_id, affiliate_id, settings, updated_at) "
    "select id, email, 'batch ' || name, level_id, affiliate_id, settings, updated_at from public.profiles",
    "affiliates": "insert into staging.affiliates select id, user_id, earned, 'batch ' || code from public.affiliates",
    "orders": "insert into staging.orders select id, number, user_id, profile_id, course_id, amount, status, "
    "tags || '{batch}', during, seat, created_at from public.orders",
}


@dataclass(frozen=True)
class Answer:
    """One transaction of a client: when it began (monotonic seconds), how long it took, and how it ended."""

    kind: str
    began: float
    seconds: float
    outcome: str  # "ok", "torn", or the SQLSTATE of a failure

    @property
    def ended(self) -> float:
        """Monotonic seconds."""
        return self.began + self.seconds


@dataclass(frozen=True)
class Load:
    """What the clients do: on how many people's rows, how often, and whether only what can be counted."""

    dsn: str
    people: int
    rate: float
    counting: bool


def identifier(text: str) -> uuid.UUID:
    """The uuid that ``rows.sql`` makes of a text: ``md5(text)::uuid``."""
    return uuid.UUID(md5(text.encode(), usedforsecurity=False).hexdigest())


class Client:
    """One client: a connection, its own random numbers, and what it can do."""

    def __init__(self, load: Load, number: int) -> None:
        self.connection = psycopg.connect(load.dsn, autocommit=True, application_name=f"client {number}")
        self.people = load.people
        self.random = random.Random(number)
        self.counting = load.counting
        first, last = (number + 1) * 10_000_000, (number + 2) * 10_000_000
        used = self.connection.execute(
            "select coalesce(max(id), %s) from public.refunds where id >= %s and id < %s", (first, first, last)
        ).fetchone()
        assert used is not None
        self.next_id = int(used[0])

    def person(self) -> uuid.UUID:
        """Somebody who is there in every batch."""
        return identifier(f"u{self.random.randint(1, self.people)}")

    def order(self) -> uuid.UUID:
        """An order that is there in every batch."""
        return identifier(f"o{self.random.randint(1, 2 * self.people)}")

    def read(self) -> str:
        """One query over three tables: they must be of one batch."""
        affiliate = identifier(f"u{1 + 20 * self.random.randrange(max(1, self.people // 20))}")
        row = self.connection.execute(
            TORN, {"person": self.person(), "order": self.order(), "affiliate": affiliate}
        ).fetchone()
        assert row is not None
        return "ok" if row in ((True, True, True), (False, False, False)) else "torn"

    def read_view(self) -> str:
        """Through a view and a function that takes the row type."""
        self.connection.execute("select amount from public.paid where id = %s", (self.order(),)).fetchall()
        self.connection.execute(
            "select public.display_name(p) from public.profiles as p where p.id = %s", (self.person(),)
        ).fetchall()
        return "ok"

    def write_profile(self) -> str:
        """An update by key: the increment that must never be lost."""
        self.connection.execute(
            "update public.profiles set settings = jsonb_set(settings, '{count}', "
            "to_jsonb(coalesce((settings ->> 'count')::integer, 0) + 1)) "
            "where id = %s",
            (self.person(),),
        )
        return "ok"

    def write_order(self) -> str:
        """An insert that draws from a sequence and fires triggers."""
        person = self.person()
        self.connection.execute(
            "insert into public.orders (user_id, profile_id, course_id, amount) values (%s, %s, %s, %s)",
            (person, person, self.random.randint(1, 5), self.random.randint(1, 500)),
        )
        return "ok"

    def write_refund(self) -> str:
        """An insert into an outside table, whose foreign key the swap turns round."""
        self.next_id += 1
        self.connection.execute(
            "insert into public.refunds (id, order_id, note) values (%s, %s, 'bench')", (self.next_id, self.order())
        )
        return "ok"

    def sign_up(self) -> str:
        """An account and its profile, in one transaction."""
        new = uuid.uuid4()
        with self.connection.transaction():
            self.connection.execute(
                "insert into auth.users (id, email) values (%s, %s)", (new, f"{new.hex}@signed-up.example.com")
            )
            self.connection.execute(
                "insert into public.profiles (id, email, name) values (%s, %s, 'signed up')",
                (new, f"{new.hex}@signed-up.example.com"),
            )
        return "ok"

    def act(self) -> Answer:
        """Do one thing: 60 reads, 36 writes and 4 sign-ups in a hundred; or, counting, only what can be counted."""
        if self.counting:
            name = self.random.choices(["write_profile", "sign_up"], [94, 6])[0]
        else:
            name = self.random.choices(
                ["read", "read_view", "write_profile", "write_order", "write_refund", "sign_up"],
                [48, 12, 14, 12, 10, 4],
            )[0]
        began = time.monotonic()
        try:
            outcome = getattr(self, name)()
        except psycopg.Error as error:
            outcome = error.sqlstate or type(error).__name__
        return Answer(name, began, time.monotonic() - began, outcome)


def _run(load: Load, number: int, stop: Event, pipe: Pipe) -> None:
    client = Client(load, number)
    answers: list[Answer] = []
    pipe.send("ready")
    due = time.monotonic()
    parent = os.getppid()
    # whoever started it may have been killed, and nobody else would end it
    while not stop.is_set() and os.getppid() == parent:
        due += client.random.expovariate(load.rate)
        pause = due - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        else:
            due = time.monotonic()  # it was held up: what it missed is not made up for
        answers.append(client.act())
    client.connection.close()
    pipe.send(answers)


@contextlib.contextmanager
def at_work(dsn: str, people: int, *, rate: float = RATE, counting: bool = False) -> Iterator[list[Answer]]:
    """Eight client processes for the time of a block; the list is filled with their answers at its end."""
    load = Load(dsn, people, rate, counting)
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    pipes, processes = [], []
    answers: list[Answer] = []
    for number in range(CLIENTS):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_run, args=(load, number, stop, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    try:
        yield answers
    finally:
        stop.set()
        for pipe in pipes:
            answers.extend(pipe.recv())
        for process in processes:
            process.join()
