"""A small migration with the connections that its tasks look up in Airflow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cutover import migration
from cutover.validate import validation

from .tiny import World, lay_out


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out Great Expectations and its pages, which take seconds and have tests of their own; checks are run."""
    monkeypatch.setattr(validation.suites, "run", lambda *_: SimpleNamespace(suites=[]))
    monkeypatch.setattr(validation.data_docs, "write", lambda *_: ("docs", "0" * 64))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path, quick: None) -> pytest.MonkeyPatch:
    """Where files and people are."""
    lay_out(tmp_path / "include", repository / "include")
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path / "include"))
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path / "docs"))
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", '["reviewer"]')
    migration.load.cache_clear()
    return monkeypatch


@pytest.fixture
def world(settings: pytest.MonkeyPatch, database: str) -> World:
    """A production that nothing was done to yet."""
    settings.setenv("AIRFLOW_CONN_PRODUCTION", database.replace("postgresql://", "postgres://"))
    return World(database).create()
