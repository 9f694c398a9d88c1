"""Simulators that end with the test, and a loaded production to copy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from demo.population import Population
from demo.production import load
from demo.simulators import Simulator
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.demo.client import SMALL, Client

_copies = itertools.count(1)


@pytest.fixture
def simulate() -> Iterator[Callable[..., Client]]:
    """Starts simulators with given options and returns a client; they end with the test."""
    running: list[Simulator] = []

    def start(population: Population = SMALL, **options: object) -> Client:
        running.append(Simulator(population, **options).start())  # type: ignore[arg-type]
        return Client(running[-1])

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture(scope="session")
def loaded(server: EmbeddedPostgres) -> str:
    """The name of a database that holds the whole production at scale 1; copy it, do not change it."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database demo_template")
    load(server.dsn("demo_template"), 1, "migrates", app_password="serves")
    return "demo_template"


@pytest.fixture
def production(server: EmbeddedPostgres, loaded: str) -> Iterator[str]:
    """The DSN of a copy of the loaded production, as superuser."""
    name = f"demo_copy_{next(_copies)}"
    databases.create(server, name, loaded)
    load(server.dsn(name), 1, "migrates", app_password="serves")
    yield server.dsn(name)
    databases.drop(server, name)
