"""Worlds of two applications: an empty one per test, and one of the demonstration's size per session."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from demo import mula
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.mula.world import World

PASSWORD = "only-for-this-test-server"
ROLES = ("mula_reader", "dasha_owner", "compatibility_owner", "cutover")
# Who may make schemas in which database.
_MAKERS = {"dasha": "dasha_owner", "compatibility": "compatibility_owner", "unified": "cutover"}
_EMPTY = mula.Size(*([0] * 12))
_names = itertools.count(1)


def _make(server: EmbeddedPostgres, names: dict[str, str]) -> World:
    host = server.dsn("template1")

    def as_role(role: str, database: str) -> str:
        return server.dsn(names[database], role, PASSWORD)

    assert host
    return World(
        dsn={
            "dasha": as_role("mula_reader", "dasha"),
            "compatibility": as_role("mula_reader", "compatibility"),
            "dasha_owner": as_role("dasha_owner", "dasha"),
            "compatibility_owner": as_role("compatibility_owner", "compatibility"),
            "unified": as_role("cutover", "unified"),
        },
        admin={name: server.dsn(database) for name, database in names.items()},
    )


@pytest.fixture(scope="session")
def templates(server: EmbeddedPostgres) -> Iterator[Callable[[mula.Size], dict[str, str]]]:
    """The three databases of a size, loaded when it is first asked for; whoever needs them copies them."""
    made: dict[str, dict[str, str]] = {}

    def load(size: mula.Size) -> dict[str, str]:
        if repr(size) not in made:
            number = next(_names)
            names = {name: f"mula_{os.getpid()}_{number}_{name}" for name in mula.DATABASES}
            dsn = {name: databases.create(server, database) for name, database in names.items()}
            mula.load(dsn, dict.fromkeys(ROLES, PASSWORD), size)
            made[repr(size)] = names
        return made[repr(size)]

    yield load
    databases.drop(server, *(database for names in made.values() for database in names.values()))


@pytest.fixture
def make_world(
    server: EmbeddedPostgres, templates: Callable[[mula.Size], dict[str, str]]
) -> Iterator[Callable[[mula.Size], World]]:
    """Makes both applications in a size, and nothing in the unified database; all are dropped after the test."""
    made: list[str] = []

    def make(size: mula.Size) -> World:
        number = next(_names)
        names = {}
        for name, template in templates(size).items():
            names[name] = f"mula_{os.getpid()}_{number}_{name}"
            databases.create(server, names[name], template)
            made.append(names[name])
        world = _make(server, names)
        # roles are the server's: tests of other worlds give them other passwords
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for role in ROLES:
                admin.execute(f"alter role {role} password '{PASSWORD}'".encode())
        # a copy has the rights within the template, and not those on it
        for name, role in _MAKERS.items():
            world.execute(name, f"grant create on database {names[name]} to {role}")
        return world

    yield make
    databases.drop(server, *made)


@pytest.fixture
def world(make_world: Callable[[mula.Size], World]) -> World:
    """Both applications without a row."""
    return make_world(_EMPTY)


@pytest.fixture
def demonstration(make_world: Callable[[mula.Size], World]) -> World:
    """Both applications in the seed's size."""
    return make_world(mula.Size())
