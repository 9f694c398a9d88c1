"""The page followed once, and the shop's databases as it left them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from cutover.database.connect import Connect, connector
from cutover.migration import load
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.own.page import Page, connection_of


@dataclass
class Shop:
    """The page's folder, and its two databases. ``messages`` are what was printed while it was followed."""

    page: Page
    server: EmbeddedPostgres
    names: dict[str, str]
    messages: list[str] = field(default_factory=list)

    def dsn(self, name: str) -> str:
        """Of `shop` or `old_shop`, as superuser."""
        return self.server.dsn(self.names[name])

    def connect(self, name: str = "shop") -> Connect:
        """Opens one of them."""
        return connector(self.dsn(name), name, "test")

    def rows(self, query: str, name: str = "shop") -> list[tuple[object, ...]]:
        """Of a query, or none for a statement without a result."""
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def followed(server: EmbeddedPostgres, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The page, followed to its end but for Airflow; the databases are templates."""
    page = Page(repository, tmp_path_factory.mktemp("home"))
    names = {name: f"{name}_{os.getpid()}" for name in ("shop", "old_shop")}
    for name in names.values():
        databases.create(server, name)
    for name, database in names.items():
        page.run_sql(f"{name}.sql", server.dsn(database))
    crm, address = page.crm()
    page.given = {
        "AIRFLOW_CONN_CRM": address,
        **{f"AIRFLOW_CONN_{name.upper()}": connection_of(server.dsn(database)) for name, database in names.items()},
    }
    yield Shop(page, server, names, page.follow())
    crm.kill()
    crm.wait()


@pytest.fixture
def shop(followed: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A copy of folder and target of this test's own, found by the engine as the page says."""
    page = Page(followed.page.repository, tmp_path / "home", followed.page.given, dict(followed.page.exported))
    shutil.copytree(followed.page.folder, page.folder)
    name = f"{followed.names['shop']}_{tmp_path.name[-8:]}"
    databases.create(followed.server, name, followed.names["shop"])
    page.exported["AIRFLOW_CONN_SHOP"] = connection_of(followed.server.dsn(name))
    use(monkeypatch, page.folder)
    yield Shop(page, followed.server, {**followed.names, "shop": name})
    load.cache_clear()
    databases.drop(followed.server, name)


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the engine find the migrations of a folder, as its files are at this moment."""
    from cutover.database import statements

    monkeypatch.setenv("CUTOVER_INCLUDE", str(folder / "include"))
    load.cache_clear()
    statements.text.cache_clear()
