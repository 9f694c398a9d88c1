"""Fixtures that every test shares: a real PostgreSQL of this session's own, and no network but loopback."""

from __future__ import annotations

import ipaddress
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover.dumps import client
from cutover.records import anchors, signing
from cutover.validate import validation
from stack.postgres import EmbeddedPostgres, bin_dir
from tests import databases, object_store

_names = itertools.count(1)
_ROOT = Path(__file__).resolve().parents[1]

# Airflow reads its settings when it is first imported, by whichever test: a home and a database of this process's own.
_AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="cutover-tests-airflow-"))
os.environ.update(
    AIRFLOW_HOME=str(_AIRFLOW_HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(_ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(_ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_AIRFLOW_HOME}/airflow.db",
    AIRFLOW__API_AUTH__JWT_SECRET="a secret of the tests alone, as long as the algorithm that signs with it wants",
)
# What tests sign with, as a deployment does: with a key of its own.
os.environ[signing.VARIABLE] = str(_AIRFLOW_HOME / "signing.key")
signing.make(_AIRFLOW_HOME / "signing.key")
# The programs of the server that is tested against.
os.environ[client.VARIABLE] = str(bin_dir())


# Minutes each; whatever else there is takes seconds. The last of them decides when a run of all tests ends.
_LONGEST_FIRST = (
    "swap/test_kills.py",
    "ui/test_running.py",
    "end_to_end/test_demo.py",
    "stack/test_deployment.py",
    "swap/test_clients.py",
    "swap/test_any_schema.py",
    "mula/test_writes.py",
    "swap/test_under_load.py",
    "swap/test_carry.py",
    "swap/test_dependents.py",
)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name cases of bytes by their argument: what is packed holds the time, and workers must agree on names."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest. Within a file the order stays."""
    places = {_ROOT / "tests" / name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse any connection that would leave the machine: no test may depend on, or disturb, a real service."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise RuntimeError(f"a test tried to leave the machine: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


# Where evidence is, and with what it is signed: a command that runs in this process leaves that in its environment.
_EVIDENCE = (anchors.VARIABLE, validation.VARIABLE, signing.VARIABLE)


@pytest.fixture(autouse=True)
def _evidence_is_each_test_s_own() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _EVIDENCE}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL server for the session (per pytest-xdist worker).

    ``CUTOVER_PG`` (16 or 18) or ``PG_BINDIR`` choose the binaries. It does not wait for the disk: tests that
    kill processes kill clients, not the machine.
    """
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    embedded.start()
    yield embedded
    embedded.remove()


@pytest.fixture
def database(server: EmbeddedPostgres) -> Iterator[str]:
    """A fresh, empty database; its DSN as superuser. Dropped after the test."""
    name = f"test_{os.getpid()}_{next(_names)}"
    databases.create(server, name)
    yield server.dsn(name)
    databases.drop(server, name)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection to the fresh database, in a transaction as psycopg opens it."""
    with psycopg.connect(database) as connected:
        yield connected


def pytest_unconfigure() -> None:
    """Remove this process's Airflow home."""
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return _ROOT


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A client of an S3-compatible server with a bucket ``docs``; the Airflow connection ``docs_store`` leads there."""
    with object_store.serving() as client:
        client.create_bucket(Bucket="docs")
        yield client
