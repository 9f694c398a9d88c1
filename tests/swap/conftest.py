"""A production with every kind of dependent, and runs of the engine on it as an ordinary role."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.production import COPY, PASSWORD, TABLES, Production, lay, make_roles
from cutover import rollback
from cutover.migration import Migration
from cutover.swap.order import Order
from stack.postgres import EmbeddedPostgres

MIGRATION = Migration(migration="test", merge={"users": "auth.users"})

__all__ = ["COPY", "PASSWORD", "TABLES", "Production", "make_roles"]


@pytest.fixture
def empty_production(server: EmbeddedPostgres, database: str) -> Production:
    """The production schema without rows."""
    return lay(server, database.rsplit("/", 1)[1])


@pytest.fixture
def fill() -> Callable[[Production, int], None]:
    """Fills a production with the given number of people, twice as many orders, and what hangs on them."""
    return Production.fill


@pytest.fixture
def production(empty_production: Production) -> Production:
    """A production of 200 people."""
    empty_production.fill(200)
    return empty_production


def back(production: Production, run: str) -> Order:
    """The approved rollback of the newest entry."""
    with production.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, run)
    rollback.preview(production.connect, order)
    production.approve(order)
    return order
