"""Ten thousand writes of both applications, made while they are copied, fenced and merged: none is lost.

Clients insert, update with and without a stamp, update many rows at once and delete, from before the first copy until
the fence refuses them, and go on trying until the tables are swapped; the engine's sessions are killed while the fence
is put up, while the last copy is made and while the tables are swapped. What each client was told to be committed must
be in the unified database, and nothing else.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import psycopg
import pytest

from cutover import window
from cutover.errors import CutoverError
from tests.mula.world import MIGRATION, World

WRITES = 10_000
APPLICATIONS = ("dasha", "compatibility")
BORN = datetime(1950, 1, 1)
KILLS = 3


@dataclass
class Client:
    """One client of an application, with accounts and charts of its own, and what it was told to be committed."""

    world: World
    application: str
    number: int
    drawn: random.Random
    # by e-mail address the name; by minute of birth, which no two charts share, the place
    names: dict[str, str] = field(default_factory=dict)
    places: dict[datetime, str] = field(default_factory=dict)
    writes: int = 0
    minutes: int = 0
    # what it was told last when it was refused, and how often that was
    stopped: str = ""
    refused: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def lay(self) -> None:
        """Twenty people, each with a chart."""
        with psycopg.connect(self.world.admin[self.application]) as connection:
            for _ in range(20):
                self.sign_up(connection)

    def run(self) -> None:
        """Write, and go on trying where it is refused, until everything is over."""
        kinds: list[Callable[[psycopg.Connection], None]] = [
            self.sign_up, self.rename, self.move_unstamped, self.move_many, self.move_many, self.delete,
        ]  # fmt: skip
        weights = [2, 8, 8, 4, 4, 1]
        with psycopg.connect(self.world.admin[self.application], autocommit=True) as connection:
            while not self.over.is_set():
                (kind,) = self.drawn.choices(kinds, weights)
                names, places, writes = dict(self.names), dict(self.places), self.writes
                try:
                    with connection.transaction():
                        kind(connection)
                except psycopg.errors.ReadOnlySqlTransaction as error:
                    # it was not committed
                    self.names, self.places, self.writes, self.stopped = names, places, writes, str(error)
                    self.refused += 1
                    time.sleep(0.05)
                time.sleep(0.004)

    def sign_up(self, connection: psycopg.Connection) -> None:
        """A person and a chart."""
        self.minutes += 1
        email = f"{self.application}{self.number}.{self.minutes}@example.com"
        born = BORN + timedelta(days=self.number * 5_000, minutes=self.minutes)
        row = connection.execute(
            "insert into public.users (email, username) values (%s, 'new') returning id", (email,)
        ).fetchone()
        assert row is not None
        connection.execute(
            "insert into public.birth_charts (user_id, birth_date, birth_location_name) values (%s, %s, 'new')",
            (row[0], born),
        )
        self.names[email], self.places[born] = "new", "new"
        self.writes += 2

    def rename(self, connection: psycopg.Connection) -> None:
        """One person's name, with the time of it."""
        email, name = self.drawn.choice(list(self.names)), self._word()
        connection.execute("update public.users set username = %s, updated_at = now() where email = %s", (name, email))
        self.names[email] = name
        self.writes += 1

    def move_unstamped(self, connection: psycopg.Connection) -> None:
        """One chart's place, and nothing says when."""
        self._move(connection, [self.drawn.choice(list(self.places))])

    def move_many(self, connection: psycopg.Connection) -> None:
        """The places of a dozen charts in one statement, and nothing says when."""
        self._move(connection, self.drawn.sample(list(self.places), 12))

    def delete(self, connection: psycopg.Connection) -> None:
        """A chart, if that leaves enough."""
        if len(self.places) < 20:
            return
        born = self.drawn.choice(list(self.places))
        connection.execute("delete from public.birth_charts where birth_date = %s", (born,))
        del self.places[born]
        self.writes += 1

    def _move(self, connection: psycopg.Connection, born: list[datetime]) -> None:
        place = self._word()
        connection.execute(
            "update public.birth_charts set birth_location_name = %s where birth_date = any(%s)", (place, born)
        )
        self.places |= dict.fromkeys(born, place)
        self.writes += len(born)

    def _word(self) -> str:
        return f"{self.application} {self.drawn.randrange(1_000_000_000)}"


def killed(
    world: World,
    work: Callable[[], Any],
    drawn: random.Random,
    roles: tuple[str, ...] = ("mula_reader", "cutover"),
    within: float = 0.6,
) -> Any:
    """Do some work of the engine; end its sessions in the middle of it a few times, and begin again each time."""
    with psycopg.connect(world.admin["unified"], autocommit=True) as admin:
        for left in range(KILLS, -1, -1):
            over = threading.Event()
            # the first time as soon as there is a session, so that one kill at least comes early enough
            after = 0.0 if left == KILLS else drawn.uniform(0.0, within)
            hitman = threading.Thread(target=_kill_once, args=(world, admin, after, over, roles))
            if left:
                hitman.start()
            try:
                return work()
            except (psycopg.OperationalError, CutoverError) as error:
                if isinstance(error, CutoverError) and not error.code.startswith(("database.", "connect.")):
                    raise
                assert left, "not killed any more"
                world.messages.append(f"killed {roles[0]}: {error}")
            finally:
                over.set()
                if left:
                    hitman.join()
    raise AssertionError


def _kill_once(
    world: World, admin: psycopg.Connection, after: float, over: threading.Event, roles: tuple[str, ...]
) -> None:
    if over.wait(after):
        return
    databases = [psycopg.conninfo.conninfo_to_dict(dsn)["dbname"] for dsn in world.admin.values()]
    while not over.is_set():
        ended = admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = any(%s) and datname = any(%s)",
            (list(roles), databases),
        )
        if ended.rowcount:
            return
        time.sleep(0.001)


@pytest.mark.timeout(600)
def test_no_accepted_write_is_lost_between_first_copy_and_swap(world: World) -> None:
    drawn = random.Random(20261126)
    clients = [
        Client(world, application, number, random.Random(number))
        for number, application in enumerate(APPLICATIONS * 2, start=1)
    ]
    for client in clients:
        client.lay()
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    _until(clients, WRITES // 3)
    world.begin("first")
    world.copy()
    _until(clients, WRITES)
    for application in APPLICATIONS:
        fence = partial(
            window.fence,
            world.connect(f"{application}_owner"),
            MIGRATION.tables_of(application),
            "first",
            patience=timedelta(seconds=60),
            log=world.messages.append,
        )
        # it takes a moment to put up
        killed(world, fence, drawn, (f"{application}_owner",), within=0.02)

    killed(world, lambda: world.copy(full=True), drawn)
    world.stage("first")
    assert world.check("first") == {}
    world.review("first")
    world.approve("first")
    killed(world, lambda: world.swap("first"), drawn)
    for client in clients:
        client.over.set()
    for thread in threads:
        thread.join(timeout=60)

    # each of them has come again and again, and was told why not
    assert all("maintenance" in client.stopped for client in clients), [client.stopped for client in clients]
    assert all(client.refused > 10 for client in clients), [client.refused for client in clients]
    for role, least in (("mula_reader", 2), ("dasha_owner", 1), ("compatibility_owner", 1)):
        kills = sum(f"killed {role}: " in str(message) for message in world.messages)
        assert kills >= least, f"the kills of {role} came too late"
    names = {email: name for client in clients for email, name in client.names.items()}
    places = {born: place for client in clients for born, place in client.places.items()}
    assert {row["email"]: row["username"] for row in world.rows("select email, username from public.users")} == names
    charts = world.rows("select birth_date, birth_location_name from public.birth_charts")
    assert {row["birth_date"]: row["birth_location_name"] for row in charts} == places and len(charts) == len(places)
    assert sum(client.writes for client in clients) >= WRITES


def _until(clients: list[Client], writes: int) -> None:
    deadline = datetime.now(timezone.utc) + timedelta(minutes=4)
    while sum(client.writes for client in clients) < writes:
        assert datetime.now(timezone.utc) < deadline, [client.writes for client in clients]
        time.sleep(0.05)
