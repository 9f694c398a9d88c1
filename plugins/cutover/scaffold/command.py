"""The command ``new``: a migration's files, and what is left to do."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from cutover.errors import PROGRAM
from cutover.scaffold import answers, writing
from cutover.scaffold.answers import Ask, Opener, Options

# A checkout has tests and an Airflow of its own; an installed engine is beside the team's.
_TESTS = "./run test" if PROGRAM == "./run" else "pytest"
_START = "start Airflow (./run up)" if PROGRAM == "./run" else "restart Airflow"
_DESCRIPTION = (
    "Write a new migration: its declaration, SQL, suites, checks, DAGs and a test. It runs as it is written. Nothing "
    "that is there is written over. docs/your-own-migration.md leads through it."
)


def main(arguments: Sequence[str], *, root: Path, opener: Opener, ask: Ask | None, say: Callable[[str], None]) -> int:
    """Run the command; returns its exit status. ``root`` is where it writes unless told otherwise.

    ``ask`` asks a person (None: there is nobody), ``say`` prints a line.
    Raises CutoverError ``new.*``, ``migration.name-taken``, ``connect.*``.
    """
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} new", description=_DESCRIPTION)
    parser.add_argument("name", help="of the migration, its folders and its DAG: small letters, digits, underscores")
    parser.add_argument("--target", metavar="CONNECTION", help="Airflow connection of the database to launch into")
    parser.add_argument(
        "--like",
        action="append",
        default=[],
        metavar="TABLE",
        help="a table of the target to write files for, such as public.orders: its columns, keys and checks are read "
        "from the catalogue. Repeatable",
    )
    parser.add_argument("--tables", metavar="A,B", help="further tables, which the target need not have yet")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="[TABLE=]KIND[:CONNECTION[:PLACE]]",
        help=f"where rows come from: {', '.join(answers.KINDS)}; for one table behind TABLE=. PLACE is a path, a "
        "table, or an address. Repeatable. With --like and without it, the rows are the target's own",
    )
    parser.add_argument(
        "--to", type=Path, default=root, metavar="FOLDER", help=f"folder with include, dags and tests (default {root})"
    )
    chosen = parser.parse_args(arguments)
    tables = tuple(filter(None, (one.strip() for one in (chosen.tables or "").split(","))))
    options = Options(chosen.name, chosen.target, tables, tuple(chosen.like), tuple(chosen.source))
    made = answers.complete(options, opener, ask)
    paths = writing.write(chosen.to, {**writing.texts(made), **writing.general(chosen.to)})
    say(f"Written to {chosen.to}:")
    for path in paths:
        say(f"  {path.relative_to(chosen.to)}")
    say("")
    say("What to do next:")
    steps = [
        *writing.remaining(made),
        f"look whether the files fit together: {_TESTS} {chosen.to / 'tests' / f'test_{made.name}.py'}",
        *_where(chosen.to, root),
        f"{_START}, trigger {made.name} with `dry_run`, and read its review",
    ]
    for number, step in enumerate(steps, 1):
        say(f"  {number}. {step}")
    say("docs/your-own-migration.md leads through all of it.")
    return 0


def _where(folder: Path, root: Path) -> list[str]:
    return [] if folder == root else [f"let Cutover find it: export CUTOVER_INCLUDE={folder.resolve() / 'include'}"]
