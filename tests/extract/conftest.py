"""Simulated APIs, a database, and one call that syncs a source from the one into the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from cutover.database.connect import connector
from cutover.extract.client import Access
from cutover.extract.rates import Clock
from cutover.extract.report import SyncReport
from cutover.extract.sync import sync
from cutover.migration import load
from cutover.migration.source import Source
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from demo.population import Population, Profile
from demo.simulators import Simulator

SMALL = Population(profile=Profile().shrunk(40))
MIGRATION = load("clean_launch")


class Hurried(Clock):
    """Time in which nobody waits: a sleep moves the clock."""

    def __init__(self) -> None:
        self._slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._slept

    def sleep(self, seconds: float, until: threading.Event) -> None:
        self._slept += seconds


class World:
    """Simulated APIs and a database. ``pages`` are made small, so that little data has many of them."""

    def __init__(self, simulator: Simulator, dsn: str) -> None:
        self.simulator = simulator
        self.dsn = dsn
        self.log: list[str] = []

    def source(self, name: str, **changes: Any) -> Source:
        """A declared source with pages of 10 rows, and with ``changes`` to its declaration."""
        source = MIGRATION.source(name)
        return source.model_copy(update={"paging": source.paging.model_copy(update={"size": 10}), **changes})

    def access(self, connection: str, **changes: Any) -> Access:
        """The simulator of ``connection``, with its key."""
        address, key = {
            "xendit": (self.simulator.xendit_url, XENDIT_API_KEY),
            "systemeio": (self.simulator.systemeio_url, SYSTEMEIO_API_KEY),
        }[connection]
        return Access(connection, **{"base_url": address, "secret": key, "timeout": 5.0, **changes})

    def sync(
        self,
        name: str | Source,
        *,
        access: Access | None = None,
        clock: Clock | None = None,
        full: bool = False,
        accept_gone: bool = False,
    ) -> SyncReport:
        """Sync one source."""
        source = self.source(name) if isinstance(name, str) else name
        return sync(
            source,
            MIGRATION.connections[source.connection],
            access or self.access(source.connection),
            connector(self.dsn, "production", "test"),
            full=full,
            accept_gone=accept_gone,
            log=self.log.append,
            clock=clock or Hurried(),
        )

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a query, numbers in JSON as exact as they are kept."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            set_json_loads(partial(json.loads, parse_float=Decimal), connection)
            return connection.execute(statement.encode(), values).fetchall()

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement and commit."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement.encode(), values)

    def content(self, name: str) -> dict[str, Any]:
        """What raw holds of a source and the API still shows: the response by id."""
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                sql.SQL("select id::text, api_response from raw.{} where gone_at is null").format(sql.Identifier(name))
            )
            return dict(rows.fetchall())

    def truth(self, name: str) -> dict[str, Any]:
        """What the API holds of a source: the row by id."""
        rows = self.rows(name)
        return {str(row_id): rows.get(row_id) for row_id in rows.ids()}

    def rows(self, name: str) -> Any:
        """The simulator's rows behind a source."""
        return getattr(self.simulator, name.split("_")[1])

    def versions(self, name: str) -> list[tuple[Any, ...]]:
        """What PostgreSQL changes whenever a row is written: version, place and times of each row."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(
                sql.SQL(
                    "select id::text, xmin::text, ctid::text, api_synced_at, gone_at from raw.{} order by 1"
                ).format(sql.Identifier(name))
            ).fetchall()


SOURCES = tuple(MIGRATION.sources)


@pytest.fixture
def simulate(database: str) -> Iterator[Callable[..., World]]:
    """Starts simulated APIs with given options; they end with the test."""
    running: list[Simulator] = []

    def start(population: Population = SMALL, **options: Any) -> World:
        running.append(Simulator(population, **options).start())
        return World(running[-1], database)

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture
def world(simulate: Callable[..., World]) -> World:
    """Simulated APIs that behave, and a database."""
    return simulate()
