"""A dump of a source as it was at one moment, and what its source held at that moment.

The session that counts the source's rows exports its snapshot, and ``pg_dump`` takes that: dump and counts are of one
moment, whatever is written meanwhile. Both only read; who wants a lock that a reader is in the way of waits for them.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.dumps import client, content, place
from cutover.dumps.content import Rows, Tables
from cutover.errors import CutoverError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

# How long reading may wait for somebody who changes a table's definition; with it waits whoever comes behind. After
# that the dump is given up, and tried again by the task.
LOCK_TIMEOUT = "5s"


@dataclass(frozen=True)
class Dump:
    """A dump as it was made. ``bytes`` and ``sha256`` are of the file, ``tables`` of the source at ``taken_at``."""

    database: str
    location: str
    sha256: str
    bytes: int
    seconds: float
    server_version: str
    client_version: int
    taken_at: datetime
    tables: Tables

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    def as_json(self) -> dict[str, Any]:
        """As a step's record keeps it."""
        return {
            **vars(self),
            "taken_at": self.taken_at.isoformat(),
            "tables": {name: [rows.rows, rows.sha256] for name, rows in self.tables.items()},
        }

    def as_evidence(self) -> dict[str, Any]:
        """As the chain signs it: the tables by their number, their rows and one digest."""
        listed = [f"{name} {rows.rows} {rows.sha256}" for name, rows in self.tables.items()]
        content_digest = hashlib.sha256("\n".join(listed).encode()).hexdigest()
        return self.as_json() | {"tables": len(listed), "rows": self.rows, "content": content_digest}


def recorded(record: dict[str, Any]) -> Dump:
    """The dump that ``as_json`` was made of."""
    tables = {name: Rows(*rows) for name, rows in record["tables"].items()}
    return Dump(**record | {"taken_at": datetime.fromisoformat(record["taken_at"]), "tables": tables})


def require_able(source: Connect) -> None:
    """Raise CutoverError unless this source can be dumped, before anything is done.

    ``dump.no-client``, ``dump.old-client``, ``dump.not-readable``.
    """
    programs = client.find()
    with opened(source) as connection:
        client.require_version(programs, connection)
        lacking = connection.execute(files.statement("dumps/unreadable.sql"), {}).fetchall()
        if lacking:
            raise CutoverError(
                "dump.not-readable",
                f"database {connection.info.dbname}, role {connection.info.user}",
                f"a dump is of the whole database, and it cannot read {_some([row[0] for row in lacking])}.",
                lacking[0][1],
            )


def make(source: Connect, database: str, folder: ObjectStoragePath, log: Log) -> Dump:
    """Dump a source into ``folder``, under its name; what was there under that name is replaced.

    Nothing is left of a dump that was not finished. Raises CutoverError ``dump.locked-out``, ``dump.failed``,
    ``dump.not-written``, and those of ``require_able``.
    """
    programs = client.find()
    began = time.monotonic()
    name = f"{database}.dump"
    with opened(source) as connection:
        client.require_version(programs, connection)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
        taken = connection.execute(files.statement("dumps/begin.sql")).fetchone()
        assert taken is not None
        _keep_tables(connection)
        with place.storing(folder, name) as file:
            digest, size = _dump_into(file, programs, connection, taken[0])
        tables = content.of_database(connection)
        made = Dump(
            database=database,
            location=str(folder / name),
            sha256=digest,
            bytes=size,
            seconds=round(time.monotonic() - began, 1),
            server_version=str(connection.info.parameter_status("server_version")),
            client_version=programs.version,
            taken_at=taken[1],
            tables=tables,
        )
    log(
        f"{database}: {made.rows:,} rows of {len(tables)} tables as of {made.taken_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"{size / 1e6:,.1f} MB in {made.location}, SHA-256 {made.sha256}"
    )
    return made


def _keep_tables(connection: psycopg.Connection) -> None:
    """See that nobody rewrites or drops a table until its rows are counted. Raises ``dump.locked-out``."""
    names = [sql.Identifier(schema, name) for schema, name, _ in content.listed(connection)]
    if not names:
        return
    try:
        connection.execute(sql.SQL("lock table only {} in access share mode").format(sql.SQL(", only ").join(names)))
    except psycopg.errors.LockNotAvailable as error:
        raise CutoverError(
            "dump.locked-out",
            f"database {connection.info.dbname}",
            f"somebody changes the definition of a table ({str(error).splitlines()[0]}).",
            "Airflow tries again by itself; after that, end that session, and clear the task.",
        ) from error


def _dump_into(
    file: IO[bytes], programs: client.Client, connection: psycopg.Connection, snapshot: str
) -> tuple[str, int]:
    """Have the dump written to ``file``. Returns its SHA-256 and size. Raises ``dump.failed``."""
    command = (
        programs.pg_dump,
        "--format=custom",
        # as our sessions read it
        "--encoding=UTF8",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_TIMEOUT}",
        "--no-password",
    )
    digest, size = hashlib.sha256(), 0
    with (
        client.environment(client.parameters(connection)) as variables,
        client.running(command, variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as (process, complaints),
    ):
        while block := process.stdout.read(content.BLOCK):
            digest.update(block)
            size += len(block)
            file.write(block)
        if process.wait() != 0:
            raise CutoverError(
                "dump.failed",
                f"database {connection.info.dbname}",
                f"pg_dump ended with {process.returncode}: {client.said(complaints)}",
                "clear what it names, then clear the task.",
            )
    return digest.hexdigest(), size


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
