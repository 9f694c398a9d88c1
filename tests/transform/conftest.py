"""A small, empty world per test."""

from __future__ import annotations

import psycopg
import pytest

from tests.clean_launch_world import World


@pytest.fixture
def world(connection: psycopg.Connection) -> World:
    """Sources and production without a row."""
    return World(connection).create()
