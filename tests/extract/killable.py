"""A sync in a process of its own, to be killed: python -m tests.extract.killable DSN URL SOURCE."""

from __future__ import annotations

import sys

from cutover.connect import connector
from cutover.extract.client import Access
from cutover.extract.sync import sync
from cutover.migration import load
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY


def main(dsn: str, url: str, name: str) -> None:
    """Sync with pages of 10 rows."""
    migration = load("clean_launch")
    declared = migration.source(name)
    source = declared.model_copy(update={"paging": declared.paging.model_copy(update={"size": 10})})
    key = XENDIT_API_KEY if source.connection == "xendit" else SYSTEMEIO_API_KEY
    access = Access(source.connection, url, key)
    sync(source, migration.service(source), access, connector(dsn, "production", "killable"))


if __name__ == "__main__":
    main(*sys.argv[1:])
