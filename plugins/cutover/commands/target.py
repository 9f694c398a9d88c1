"""What a person needs to prepare a target database, to look into it, and to see what is to come there."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cutover import assess as assessment
from cutover.commands import migrations
from cutover.commands.deployment import Deployment
from cutover.commands.shown import short
from cutover.database import statements as files
from cutover.database.connect import connector
from cutover.dumps.client import VARIABLE
from cutover.errors import PROGRAM, CutoverError
from cutover.records.evidence import page_alone
from cutover.ui import store
from cutover.ui.templating import STYLE, render
from cutover.validate.validation import docs_root


def roles(_deployment: Deployment, arguments: Sequence[str]) -> int:
    """Print the SQL of the engine's roles and their rights, which an administrator of the target database runs."""
    argparse.ArgumentParser(prog=f"{PROGRAM} roles").parse_args(arguments)
    print(files.ROLES.read_text(encoding="utf-8"), end="")
    return 0


def dsn(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Print a PostgreSQL connection as a URI, with its password."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} dsn")
    parser.add_argument("connection")
    print(deployment.dsn(parser.parse_args(arguments).connection))
    return 0


def psql(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Open psql on a connection, with whatever else psql takes. Raises CutoverError ``psql.not-there``."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} psql", description="Everything after CONNECTION is psql's.")
    parser.add_argument("connection")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    options: dict[str, Any] = conninfo_to_dict(deployment.dsn(chosen.connection))
    program = shutil.which("psql", path=deployment.programs)
    if program is None:
        raise CutoverError(
            "psql.not-there",
            "psql",
            f"it is not on the PATH, nor in a folder that {VARIABLE} names.",
            "install PostgreSQL's client programs, or name their folder.",
        )
    password = options.pop("password", None)
    variables = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    command = [program, make_conninfo("", **options), *chosen.arguments]
    return subprocess.run(command, env=variables, check=False).returncode


def assess(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Look at a migration's source databases side by side. Raises CutoverError ``assess.no-databases``."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} assess")
    parser.add_argument("migration", nargs="?", help="default: the first in name order with source databases")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write page and file there, too")
    chosen = parser.parse_args(arguments)
    migration = migrations.chosen(chosen.migration, fits=lambda migration: migration.databases)
    if not migration.databases:
        raise CutoverError(
            "assess.no-databases",
            f"migration {migration.migration}",
            "its sources are APIs, and no databases.",
            "name a migration with `databases` in its migration.yaml.",
        )
    deployment.share_evidence()
    made = assessment.assess(migration, lambda name: connector(deployment.dsn(name), name, "cutover assess"), print)
    place = assessment.keep(made, docs_root())
    print(f"File: {place if '://' in place else short(Path(place))}")
    print(f"Page: {deployment.url}/cutover/dags/{migration.migration}/assessment")
    if chosen.to is not None:
        page = render("assessment.html", base="", airflow="", embedded=True, **store.assessment(migration))
        chosen.to.mkdir(parents=True, exist_ok=True)
        (chosen.to / "assessment.html").write_text(page_alone(page, STYLE.read_text(), migration.migration))
        (chosen.to / assessment.FILE).write_bytes(docs_root().read(f"{migration.migration}/{assessment.FILE}") or b"")
        print(f"Both, to be read without Airflow: {short(chosen.to)}")
    return 0
