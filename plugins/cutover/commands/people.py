"""One person, or some, in what the engine keeps: taken out of it, or put back from it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from cutover import erase as erasures
from cutover import restore as restorations
from cutover.commands import migrations
from cutover.commands.deployment import Deployment
from cutover.database.connect import connector, opened
from cutover.errors import PROGRAM
from cutover.operators.base import keep_evidence
from cutover.records import ledger
from cutover.validate.validation import docs_root


def erase(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Take one person out of everything that the engine keeps, or ask for it; asks whom."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} erase")
    parser.add_argument("migration", nargs="?", help="default: the first in name order")
    parser.add_argument("--ask", action="store_true", help="make a request for DAG erase_person, and erase nothing")
    # an address on the command line would stand in the list of processes and in the shell's history
    chosen = parser.parse_args(arguments)
    migration = migrations.chosen(chosen.migration)
    connect = connector(deployment.dsn(migration.target), migration.target, "cutover erase")
    deployment.share_evidence()
    docs = docs_root()
    whom = _answer("Whom? An e-mail address, or the id of an account: ")
    by = getpass.getuser()
    with opened(connect) as connection:
        ledger.install(connection)
    with opened(connect) as connection:
        print("\n".join(erasures.lines(erasures.preview(connection, migration, whom, docs))))
        if chosen.ask:
            number = erasures.ask(connection, migration, whom, by)
            print(f"This is request {number}. Trigger DAG erase_person with it; a second person is asked there.")
            return 0
    if _answer("This cannot be undone. Type erase to do it: ") != "erase":
        print("Nothing was erased.")
        return 1
    with opened(connect) as connection:
        erasure = erasures.erase(connection, migration, whom, by=by, docs=docs)
    for run in erasure.runs_of_pages:
        # the archive that was kept had the pages in it
        keep_evidence(connect, migration, run, print)
    print(f"Erased: {erasure.rows:,} rows. What was done stands in cutover.erasure, without a name.")
    return 0


def restore(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Put the rows of the people in a file back as they were before the newest launch, or ask for it."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} restore")
    parser.add_argument("file", type=Path, help="one column with a header: email, or id (of an account)")
    parser.add_argument("migration", nargs="?", help="default: the first in name order")
    parser.add_argument("--ask", action="store_true", help="make a request for DAG restore_people, and change nothing")
    chosen = parser.parse_args(arguments)
    values = restorations.read(chosen.file)
    deployment.share_evidence()
    migration = migrations.chosen(chosen.migration)
    connect = connector(deployment.dsn(migration.target), migration.target, "cutover restore")
    with opened(connect) as connection:
        ledger.install(connection)
    preview = restorations.preview(connect, migration, values, print)
    print("\n".join(restorations.lines(preview)))
    restorations.require_possible(preview.refusals, 0)
    if not preview.rows:
        return 0
    by = getpass.getuser()
    if not chosen.ask and _answer("Type restore to do it: ") != "restore":
        print("Nothing was changed.")
        return 1
    with opened(connect) as connection:
        number = restorations.ask(connection, migration, values, by)
    if chosen.ask:
        print(f"This is request {number}. Trigger DAG restore_people with it; a second person is asked there.")
        return 0
    done = restorations.restore(connect, migration, number, by=by, fingerprint=preview.fingerprint, log=print)
    compared = done["certificate"]["compared"]
    print(f"Restored: all {compared:,} rows are as the backup has them. What was done stands in cutover.restoration.")
    return 0


def _answer(question: str) -> str:
    """A line from the terminal, or from whatever is piped in."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
