"""A world with some of everything, transformed; and how to validate it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover import migration, storage
from cutover.database.connect import connector
from cutover.validate import validation
from cutover.validate.result import ValidationResult
from tests.clean_launch_world import RUN, World, fill_with_some_of_everything

SMALL = {"minimum_profiles": 1, "minimum_transactions": 1, "minimum_enrollments": 1}

Validate = Callable[..., ValidationResult]


@pytest.fixture
def world(connection: psycopg.Connection) -> World:
    """Sources and production with some of everything, staged."""
    made = World(connection).create()
    fill_with_some_of_everything(made)
    return made.transform()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The root of the Data Docs."""
    return tmp_path / "docs"


@pytest.fixture
def validate(world: World, database: str, docs: Path) -> Validate:
    """Commit what the test has changed, and validate."""

    def call(phase: str = "staging", **given: Any) -> ValidationResult:
        world.connection.commit()
        return validation.validate(
            connector(database, "production", "test"),
            migration.load("clean_launch"),
            RUN,
            phase=phase,
            given=SMALL | given,
            log=lambda line: None,
            root=storage.at(str(docs), "CUTOVER_DATA_DOCS"),
        )

    return call
