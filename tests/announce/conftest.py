"""A unified database, a mail server and Firebase Cloud Messaging."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from cutover.announce.channels import Open
from demo.simulators.messages import Fcm, MailServer
from stack.postgres import EmbeddedPostgres
from tests import databases

from .world import World, ways

_names = itertools.count(1)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server."""
    with MailServer() as server:
        yield server


@pytest.fixture
def fcm() -> Iterator[Fcm]:
    """Firebase Cloud Messaging."""
    with Fcm() as server:
        yield server


@pytest.fixture
def by(mail: MailServer, fcm: Fcm) -> dict[str, Open]:
    """Both ways out."""
    return ways(mail.port, fcm.url, fcm.service_account)


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> Iterator[str]:
    """The tables, made once: each test gets a copy."""
    name = f"announce_{os.getpid()}"
    databases.create(server, name)
    World(server.dsn(name)).create()
    yield name
    databases.drop(server, name)


@pytest.fixture
def unlaunched(server: EmbeddedPostgres, template: str) -> Iterator[World]:
    """Nobody yet, and no launch."""
    name = f"announce_{os.getpid()}_{next(_names)}"
    databases.create(server, name, template)
    yield World(server.dsn(name))
    databases.drop(server, name)


@pytest.fixture
def world(unlaunched: World) -> World:
    """Nobody yet, after a launch."""
    return unlaunched.launched()
