"""The proof of a dump: its file is the one that was written, every row of the source is in it, and it can be restored.

Without a server to restore on, the archive is read to its end and its rows are compared with the source's, table by
table. With one, it is restored there into a database made for it, the rows there are compared as well, and that
database is dropped.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, connector, opened
from cutover.dumps import client, content
from cutover.dumps.dump import Dump
from cutover.errors import CutoverError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

# The Airflow connection of the server that dumps are restored on, where there is one.
CONNECTION = "rehearsal"


@dataclass(frozen=True)
class Proof:
    """What was found to hold of a dump. ``restored_on`` is the server that it was restored on; None where on none."""

    database: str
    sha256: str
    tables: int
    rows: int
    seconds: float
    restored_on: str | None


class _Feed:
    """Gives an archive to a program, in a thread of its own, and digests it on the way to the end."""

    def __init__(self, archive: IO[bytes], program: subprocess.Popen[bytes]) -> None:
        self._archive, self._program = archive, program
        self._digest, self._size = hashlib.sha256(), 0
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        into = self._program.stdin
        assert into is not None
        is_open = True
        try:
            while block := self._archive.read(content.BLOCK):
                self._digest.update(block)
                self._size += len(block)
                try:
                    if is_open:
                        into.write(block)
                except OSError:
                    # it has ended, and says why; the rest is digested all the same
                    is_open = False
        except Exception as error:  # whatever the store's library raises
            self._problem = error
        finally:
            with suppress(OSError):
                into.close()

    def end(self) -> tuple[str, int]:
        """Digest and size of all of it, when it has been read. Raises what reading it has raised."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._digest.hexdigest(), self._size


def require_able(rehearsal: Connect, sources: Sequence[Connect]) -> None:
    """Raise CutoverError ``dump.no-rehearsal`` unless dumps of ``sources`` can be restored on that server."""
    oldest = max((_version(source) for source in sources), default=0)
    with opened(rehearsal) as connection:
        may = connection.execute(files.statement("dumps/may_rehearse.sql")).fetchone()
        why, remedy = "", ""
        if may != (True,):
            why = "it may not create the database that a dump is restored into."
            remedy = f"alter role {sql.Identifier(connection.info.user).as_string()} createdb;"
        elif connection.info.server_version // 10_000 < oldest:
            why = f"the server is of PostgreSQL {connection.info.server_version // 10_000}, and a source of {oldest}."
            remedy = f"let the Airflow connection {CONNECTION} lead to a server of version {oldest} or later."
        if why:
            obj = f"connection {CONNECTION}, role {connection.info.user}"
            raise CutoverError("dump.no-rehearsal", obj, why, remedy)


def _version(connect: Connect) -> int:
    with opened(connect) as connection:
        return connection.info.server_version // 10_000


def prove(made: Dump, file: ObjectStoragePath, rehearsal: Connect | None, this_run: str, log: Log) -> Proof:
    """See that the file is the dump that was made and holds what its source held, and restore it if there is a server.

    Changes nothing but a database of its own on the rehearsal's server, which is gone afterwards. Raises CutoverError
    ``dump.damaged``, ``dump.differs``, ``dump.not-restorable``.
    """
    began = time.monotonic()
    programs = client.find()
    _require_same(made, _read_through(programs, made, file), "the dump")
    where = None
    if rehearsal is not None:
        where = _restore(programs, made, file, rehearsal, _scratch(this_run, made.database))
    evidence = Proof(made.database, made.sha256, len(made.tables), made.rows, round(time.monotonic() - began, 1), where)
    log(
        f"{made.database}: {evidence.rows:,} rows of {evidence.tables} tables are in {made.location}, "
        + (f"and were restored on {where}" if where else f"and it was restored nowhere: no connection {CONNECTION}")
    )
    return evidence


def _scratch(this_run: str, database: str) -> str:
    """The name of the database that a dump is restored into: the same in every try, and nobody else's."""
    return f"cutover_rehearsal_{hashlib.sha256(f'{this_run} {database}'.encode()).hexdigest()[:16]}"


def _read_through(programs: client.Client, made: Dump, file: ObjectStoragePath) -> content.Tables:
    """The rows that the archive holds, every block of it read."""
    command = (programs.pg_restore, "--data-only", "--file=-")
    with (
        client.environment({}) as variables,
        _fed(command, variables, made, file, stdout=subprocess.PIPE) as (process, _),
    ):
        return content.of_script(process.stdout)


def _restore(programs: client.Client, made: Dump, file: ObjectStoragePath, rehearsal: Connect, scratch: str) -> str:
    """Restore the archive into database ``scratch``, and compare its rows. Returns where that was."""
    name = sql.Identifier(scratch)
    with opened(rehearsal, autocommit=True) as admin:
        options = client.parameters(admin) | {"dbname": scratch}
        # what a task that was killed has left
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        admin.execute(sql.SQL("create database {} template template0 encoding 'UTF8'").format(name))
        try:
            command = (
                programs.pg_restore,
                "--dbname=service=cutover",
                "--no-owner",
                "--no-privileges",
                "--exit-on-error",
                "--no-password",
            )
            with (
                client.environment(options) as variables,
                _fed(command, variables, made, file, stdout=subprocess.DEVNULL),
            ):
                pass
            there = connector(make_conninfo("", **options), CONNECTION, "cutover rehearsal")
            with opened(there) as connection:
                _require_same(made, content.of_database(connection), "the database restored from it")
        finally:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        return f"{admin.info.host}:{admin.info.port}"


@contextmanager
def _fed(
    command: Sequence[str], variables: dict[str, str], made: Dump, file: ObjectStoragePath, **pipes: Any
) -> Iterator[tuple[Any, _Feed]]:
    """``pg_restore`` with the archive as its input. At the end of the block both must have come to a good end."""
    try:
        with (
            file.open("rb") as archive,  # type: ignore[no-untyped-call]
            client.running(command, variables, stdin=subprocess.PIPE, **pipes) as (process, complaints),
        ):
            feed = _Feed(archive, process)
            yield process, feed
            content_read = feed.end()
            ended = process.wait()
            said = client.said(complaints)
    except (CutoverError, psycopg.Error):
        raise
    except Exception as error:  # whatever the store's library raises
        raise _damaged(made, f"it cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if content_read != (made.sha256, made.bytes):
        sha256, size = content_read
        why = f"it has {size:,} bytes with SHA-256 {sha256}, and was written with {made.bytes:,} and {made.sha256}."
        raise _damaged(made, why)
    if ended != 0 and "--exit-on-error" in command:
        raise CutoverError(
            "dump.not-restorable",
            made.location,
            f"pg_restore ended with {ended}: {said}",
            f"make on the server of connection {CONNECTION} what it lacks (an extension, a role), then clear the task.",
        )
    if ended != 0:
        raise _damaged(made, f"pg_restore cannot read it: {said}")


def _require_same(made: Dump, restored: content.Tables, what: str) -> None:
    differences = content.differences(made.tables, restored)
    if differences:
        raise CutoverError(
            "dump.differs",
            made.location,
            f"{what} does not hold what {made.database} held at {made.taken_at:%H:%M:%S}: "
            f"{'; '.join(differences[:5])}.",
            f"clear the task dump.{made.database}, with the tasks behind it: it dumps the source anew.",
        )


def _damaged(made: Dump, why: str) -> CutoverError:
    remedy = f"clear the task dump.{made.database}, with the tasks behind it: it dumps the source anew."
    return CutoverError("dump.damaged", made.location, why, remedy)
