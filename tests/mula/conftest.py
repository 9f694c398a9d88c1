"""Worlds of two applications: an empty one per test, and one of the demonstration's size per session."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from demo import mula
from stack.postgres import EmbeddedPostgres
from tests.mula.world import World

PASSWORD = "only-for-this-test-server"
ROLES = ("mula_reader", "dasha_owner", "compatibility_owner", "cutover")
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


@pytest.fixture
def databases(server: EmbeddedPostgres) -> Iterator[Callable[[], dict[str, str]]]:
    """Makes a set of three databases, as often as it is called; all are dropped after the test."""
    made: list[str] = []

    def create() -> dict[str, str]:
        number = next(_names)
        names = {name: f"mula_{os.getpid()}_{number}_{name}" for name in mula.DATABASES}
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for name in names.values():
                admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        made.extend(names.values())
        return names

    yield create
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def world(server: EmbeddedPostgres, databases: Callable[[], dict[str, str]]) -> World:
    """Both applications without a row, and nothing in the unified database."""
    names = databases()
    mula.load(
        {name: server.dsn(database) for name, database in names.items()},
        dict.fromkeys(ROLES, PASSWORD),
        _EMPTY,
    )
    return _make(server, names)


@pytest.fixture
def demonstration(server: EmbeddedPostgres, databases: Callable[[], dict[str, str]]) -> World:
    """Both applications in the seed's size."""
    names = databases()
    mula.load(
        {name: server.dsn(database) for name, database in names.items()},
        dict.fromkeys(ROLES, PASSWORD),
    )
    return _make(server, names)
