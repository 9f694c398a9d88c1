"""A migration that is not there yet."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cutover.commands.deployment import Deployment
from cutover.database.connect import connector
from cutover.database.statements import include_root
from cutover.scaffold import command


def new(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Write a migration's files; asks for what is left out, on a terminal. Raises as ``scaffold.command.main`` does."""
    return command.main(
        arguments,
        root=include_root().resolve().parent,
        opener=lambda name: connector(deployment.dsn(name), name, "cutover new"),
        ask=_ask if sys.stdin.isatty() else None,
        say=print,
    )


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()
