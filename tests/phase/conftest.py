"""A small migration with the connections that its tasks look up in Airflow."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from cutover import migration
from cutover.validate import validation
from stack.postgres import EmbeddedPostgres
from tests import databases

from .tiny import World, lay_out

_names = itertools.count(1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out Great Expectations and its pages, which take seconds and have tests of their own; checks are run."""
    _make_quick(monkeypatch)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path, quick: None) -> pytest.MonkeyPatch:
    """Where files and people are."""
    _settle(monkeypatch, tmp_path, repository)
    return monkeypatch


def _make_quick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(validation.suites, "run", lambda *_: SimpleNamespace(suites=[]))
    patch.setattr(validation.data_docs, "write", lambda *_: ("docs", "0" * 64))


def _settle(patch: pytest.MonkeyPatch, folder: Path, repository: Path) -> None:
    lay_out(folder / "include", repository / "include")
    patch.setenv("CUTOVER_INCLUDE", str(folder / "include"))
    patch.setenv("CUTOVER_DATA_DOCS", str(folder / "docs"))
    patch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", '["reviewer"]')
    migration.load.cache_clear()


@pytest.fixture
def world(settings: pytest.MonkeyPatch, database: str) -> World:
    """A production that nothing was done to yet."""
    _lead_to(settings, database)
    return World(database).create()


def _lead_to(patch: pytest.MonkeyPatch, dsn: str) -> None:
    patch.setenv("AIRFLOW_CONN_PRODUCTION", dsn.replace("postgresql://", "postgres://"))


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[str]:
    """A run up to its review, made once: each test gets a copy."""
    name = f"reviewed_{os.getpid()}"
    dsn = databases.create(server, name)
    with pytest.MonkeyPatch.context() as patch:
        _make_quick(patch)
        _settle(patch, tmp_path_factory.mktemp("reviewed"), repository)
        _lead_to(patch, dsn)
        assert World(dsn).create().run("manual__1").until("review.build") is None
    yield name
    databases.drop(server, name)


@contextmanager
def _copied(settings: pytest.MonkeyPatch, server: EmbeddedPostgres, template: str) -> Iterator[World]:
    """A database of a test's own, that Airflow finds as the target."""
    name = f"{template}_{next(_names)}"
    dsn = databases.create(server, name, template)
    _lead_to(settings, dsn)
    yield World(dsn)
    databases.drop(server, name)


@pytest.fixture
def reviewed(settings: pytest.MonkeyPatch, server: EmbeddedPostgres, template: str) -> Iterator[World]:
    """A production whose launch ``manual__1`` is reviewed, and nobody asked about it yet."""
    with _copied(settings, server, template) as world:
        yield world


@pytest.fixture(scope="session")
def launched_template(
    server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A launch whose approver has given it a revert window of half an hour, made once."""
    name = f"launched_{os.getpid()}"
    dsn = databases.create(server, name, template)
    with pytest.MonkeyPatch.context() as patch:
        _make_quick(patch)
        _settle(patch, tmp_path_factory.mktemp("launched"), Path(__file__).parents[2])
        _lead_to(patch, dsn)
        run = World(dsn).run("manual__1")
        assert run.do("approve") == "waiting" and run.answer(revert=True, revert_minutes=30) is None
        assert run.do("swap") is None and run.do("verify.certificate") is None
    yield name
    databases.drop(server, name)


@pytest.fixture
def launched(settings: pytest.MonkeyPatch, server: EmbeddedPostgres, launched_template: str) -> Iterator[World]:
    """A production in which ``manual__1`` has been launched, to be taken back within half an hour of it."""
    with _copied(settings, server, launched_template) as world:
        yield world
