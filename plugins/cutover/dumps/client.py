"""PostgreSQL's own programs for dumps: found, told where to connect with no secret on a command line, ended with us."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from cutover.database.connect import LIBPQ_VARIABLES, options, whole
from cutover.errors import CutoverError

# The folder of pg_dump and pg_restore; without it they are looked for on the PATH.
VARIABLE = "CUTOVER_PG_CLIENT"
# Always told, and all that is told of what has a default: an older program does not know every newer option.
_ADDRESS = ("host", "hostaddr", "port", "user", "dbname", "connect_timeout", "keepalives_idle", "tcp_user_timeout")
# Told by the environment, or ours to say.
_APART = frozenset(
    ("password", "options", "service", "servicefile", "replication", "client_encoding", "fallback_application_name")
)
# Of what a program has said at its end, so many characters are told: its first complaint, and what it was about.
_SAID = 600


@dataclass(frozen=True)
class Client:
    """The two programs, of one folder, and their major version."""

    pg_dump: str
    pg_restore: str
    version: int


def find() -> Client:
    """The programs of ``CUTOVER_PG_CLIENT``, or else of the PATH. Raises CutoverError ``dump.no-client``."""
    folder = os.environ.get(VARIABLE)
    paths = [shutil.which(name, path=folder or None) for name in ("pg_dump", "pg_restore")]
    missing = [name for name, path in zip(("pg_dump", "pg_restore"), paths, strict=True) if path is None]
    remedy = f"install PostgreSQL's client programs for the worker, or name their folder in {VARIABLE}."
    if paths[0] is None or paths[1] is None:
        where = f"folder {folder}" if folder else "the PATH of the worker"
        raise CutoverError("dump.no-client", " and ".join(missing), f"not found in {where}.", remedy)
    try:
        said = subprocess.run([paths[0], "--version"], capture_output=True, text=True, check=False, env=_environment())
    except OSError as error:
        raise CutoverError("dump.no-client", paths[0], f"it cannot be run: {error.strerror}.", remedy) from error
    version = re.search(r"\) (\d+)", said.stdout)
    if version is None:
        why = f"it does not say its version: {_short(said.stdout + said.stderr)}"
        raise CutoverError("dump.no-client", paths[0], why, remedy)
    return Client(paths[0], paths[1], int(version[1]))


def require_version(client: Client, connection: psycopg.Connection) -> None:
    """Raise CutoverError ``dump.old-client`` when the programs are older than the server: they refuse to dump it."""
    server = connection.info.server_version // 10_000
    if client.version < server:
        raise CutoverError(
            "dump.old-client",
            client.pg_dump,
            f"it is of PostgreSQL {client.version}, and database {connection.info.dbname} of {server}.",
            f"install PostgreSQL's client programs of version {server} or later for the worker, or name their folder "
            f"in {VARIABLE}.",
        )


def parameters(connection: psycopg.Connection) -> dict[str, str]:
    """The options of libpq that a session was opened with, its password among them, as an older libpq takes them."""
    neutral = whole("")
    options = {}
    for option in connection.pgconn.info:
        name, value = option.keyword.decode(), (option.val or b"").decode()
        is_default = value in (neutral.get(name), (option.compiled or b"").decode())
        if value and (name in _ADDRESS or not is_default):
            options[name] = value
    # of several hosts the one that has answered: a snapshot is known there alone
    info = connection.info
    options |= {"host": info.host, "port": str(info.port)}
    if "hostaddr" in options:
        options["hostaddr"] = info.hostaddr
    return options


@contextmanager
def environment(parameters: dict[str, str]) -> Iterator[dict[str, str]]:
    """Variables by which a program connects as ``told`` says: nothing of it is on a command line, or outlives this."""
    with tempfile.TemporaryDirectory(prefix="cutover-dump-") as folder:
        service = Path(folder) / "service.conf"
        service.touch(mode=0o600)
        lines = [f"{name}={value}" for name, value in parameters.items() if name not in _APART]
        service.write_text("\n".join(["[cutover]", *lines, ""]), encoding="utf-8")
        variables = _environment() | {
            "PGSERVICEFILE": str(service),
            "PGSERVICE": "cutover",
            # a session of ours is what we say, so that the same value is the same bytes everywhere
            "PGOPTIONS": f"{parameters.get('options', '')} {options()}".strip(),
        }
        if "password" in parameters:
            variables["PGPASSWORD"] = parameters["password"]
        yield variables


@contextmanager
def running(command: Sequence[str], variables: dict[str, str], **pipes: Any) -> Iterator[tuple[Any, IO[bytes]]]:
    """A program for the time of a block, which ends with it whatever happens; and the file of what it complains of.

    ``pipes`` are subprocess's ``stdin`` and ``stdout``.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stderr=complaints, env=variables, cwd="/", **pipes)
        try:
            yield process, complaints
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    # what is left for a program that has ended
                    with suppress(OSError):
                        pipe.close()


def said(complaints: IO[bytes]) -> str:
    """What a program has complained of, on one line."""
    complaints.seek(0)
    return _short(complaints.read(100_000).decode(errors="replace"))


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SAID else f"{words[:_SAID]} …"


def _environment() -> dict[str, str]:
    """This process's variables without those that libpq reads, and without those that may hold secrets of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in LIBPQ_VARIABLES and not name.startswith(("AIRFLOW", "_AIRFLOW", "CUTOVER_"))
    }
