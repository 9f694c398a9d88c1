"""A sync in a process of its own, to be killed or measured: python -m tests.extract.killable DSN URL SOURCE."""

from __future__ import annotations

import sys
from pathlib import Path

from cutover.database.connect import connector
from cutover.extract.client import Access
from cutover.extract.sync import sync
from cutover.migration import load
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY


def main(dsn: str, url: str, name: str) -> None:
    """Sync with pages of 10 rows; print the rows that are new and the most memory used, in MB."""
    migration = load("clean_launch")
    declared = migration.source(name)
    source = declared.model_copy(update={"paging": declared.paging.model_copy(update={"size": 10})})
    key = XENDIT_API_KEY if source.connection == "xendit" else SYSTEMEIO_API_KEY
    access = Access(source.connection, url, key)
    report = sync(
        source, migration.service(source), access, connector(dsn, "production", "killable"), log=lambda _line: None
    )
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    sys.stdout.write(f"{report.new} {int(peak.split()[1]) // 1024}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
