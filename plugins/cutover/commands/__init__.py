"""The command line: ``cutover COMMAND`` where the engine is installed, ``./run COMMAND`` in a checkout of it.

A command is a function of the module that it is about, which takes the deployment that it is called for and its
arguments, and an entry in ``COMMANDS``. Whatever is about the demonstration, or about developing the engine, is
``./run``'s alone (``include/stack``).

``scaffold``    a migration that is not there yet
``evidence``    what is written down of launches, and who signed it
``revert``      a swap taken back by its revert window
``launches``    launches and rollbacks, as one account of Airflow's
``people``      one person, or some, in what the engine keeps
``target``      what a person needs to look into, or prepare, a target database
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from cutover.commands.deployment import AirflowDeployment, Deployment
from cutover.database.statements import include_root
from cutover.errors import PROGRAM, CutoverError
from cutover.provider import DISTRIBUTION

# The help's column where what a command does begins; ./run prints the same.
_INDENT = 39


@dataclass(frozen=True)
class Command:
    """A command: its name, its arguments as the help shows them, what it does in lines, and the function behind it."""

    name: str
    arguments: str
    what: str
    module: str

    def run(self, deployment: Deployment, arguments: Sequence[str]) -> int:
        """Do it; returns the exit status. Raises CutoverError."""
        function = getattr(import_module(f"cutover.commands.{self.module}"), self.name.replace("-", "_"))
        return int(function(deployment, arguments))

    def help(self) -> str:
        """Its lines of the help."""
        head, what = f"  {self.name} {self.arguments}".rstrip(), self.what.split("\n")
        lines = [" " * _INDENT + line for line in what]
        if len(head) < _INDENT:
            lines[0] = f"{head:<{_INDENT}}{what[0]}"
        else:
            lines.insert(0, head)
        return "".join(f"{line}\n" for line in lines)


# Modules are imported when a command of theirs is called: the help must not wait for Airflow.
COMMANDS = {
    command.name: command
    for command in (
        Command(
            "new",
            "NAME",
            "write a migration of your own, ready to run: from a few answers, or from tables\n"
            "that are there (--like public.orders)",
            "scaffold",
        ),
        Command(
            "roles",
            "",
            "print the SQL that an administrator of a target database runs there\nonce: it makes the engine's roles",
            "target",
        ),
        Command(
            "dsn",
            "CONNECTION",
            f"print a PostgreSQL connection string, e.g. {PROGRAM} dsn production",
            "target",
        ),
        Command(
            "psql",
            "CONNECTION [ARGUMENTS]",
            "open psql on a connection; the password is on no command line",
            "target",
        ),
        Command(
            "status",
            "[MIGRATION] [--watch] [--json]",
            "how the newest launches stand, and how far one is that is under way",
            "launches",
        ),
        Command(
            "review",
            "[RUN] [--json]",
            "what a run would change, as its question shows it; --json: everything",
            "launches",
        ),
        Command(
            "diff",
            "RUN TABLE [--kind KIND] [--csv]",
            "how many rows of a table a run would add, take away and change; with --csv\n"
            "every one of them, personal values masked",
            "launches",
        ),
        Command(
            "approve",
            "[RUN] [--reject] [--revert MINUTES]",
            "show a run's review, and answer its question",
            "launches",
        ),
        Command(
            "comment",
            "[RUN] [TEXT]",
            "say something about a run that the next one should know; it stays with the launch",
            "launches",
        ),
        Command(
            "logs",
            "[RUN] [TASK]",
            "print a task's log: by default of the one that failed, or runs now",
            "launches",
        ),
        Command(
            "why",
            "TABLE [ID]",
            "from a row of production back to the API responses that it was made of",
            "launches",
        ),
        Command(
            "verify-ledger",
            "[CONNECTION]",
            "check that no evidence was changed since it was written (default production)",
            "evidence",
        ),
        Command(
            "evidence",
            "RUN [CONNECTION]",
            "write all evidence of a run into one signed file, to be verified offline",
            "evidence",
        ),
        Command(
            "signing-key",
            "[--rotate|--make FILE]",
            "print the public keys; sign with a new key; make one for elsewhere",
            "evidence",
        ),
        Command(
            "revert",
            "[MIGRATION] [--as ACCOUNT] [--yes]",
            "take the newest swap back while its revert window is open: shows what that does,\n"
            "and asks you and nobody else (docs/runbooks/revert.md)",
            "revert",
        ),
        Command(
            "assess",
            "[MIGRATION] [--to FOLDER]",
            "look at a migration's source databases side by side: counts, duplicates, orphans,\n"
            "conflicts, as a page and a file; changes nothing",
            "target",
        ),
        Command(
            "erase",
            "[--ask] [MIGRATION]",
            "take one person out of everything that the engine keeps; asks whom. With --ask it\n"
            "only makes a request, which DAG erase_person has approved",
            "people",
        ),
        Command(
            "restore",
            "FILE [--ask] [MIGRATION]",
            "the rows of the people in a file as they were before the newest launch, from its\n"
            "backup. With --ask it only makes a request, which DAG restore_people has approved",
            "people",
        ),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script ``cutover``, for the Airflow that it is installed beside; returns the exit status."""
    be_printable()
    try:
        status = _run(*((sys.argv[1:] if arguments is None else arguments) or ["help"]))
        sys.stdout.flush()
        return status
    except CutoverError as error:
        print(error, file=sys.stderr)
        return 1
    except (BrokenPipeError, KeyboardInterrupt) as error:
        return broken_off(error, "Interrupted.")


def _run(command: str, *arguments: str) -> int:
    if command in ("help", "-h", "--help"):
        print(_help(), end="")
        return 0
    if command == "--version":
        print(_version())
        return 0
    if command in COMMANDS:
        return COMMANDS[command].run(AirflowDeployment(), arguments)
    print(f"{PROGRAM} {command}: there is no such command.\n\n{_help()}", end="", file=sys.stderr)
    return 2


def broken_off(error: BrokenPipeError | KeyboardInterrupt, words: str) -> int:
    """The exit status of a command that a person has interrupted, or whose reader, such as ``head``, has gone."""
    if isinstance(error, KeyboardInterrupt):
        print(f"\n{words}", file=sys.stderr)
        return 128 + signal.SIGINT
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def be_printable() -> None:
    """Have a terminal that lacks a letter, such as the ellipsis, get a question mark instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _help() -> str:
    return (
        f"usage: {PROGRAM} <command>\n\n"
        + "".join(command.help() for command in COMMANDS.values())
        + "  help                                 this text; each command has --help\n\n"
        "  Connections are Airflow's. CUTOVER_INCLUDE: the folder of your migrations (here: "
        f"{include_root()}).\n"
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{DISTRIBUTION} {version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return f"{DISTRIBUTION}, from source"
