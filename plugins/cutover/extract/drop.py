"""One sync of one file drop: which files are new, and their rows into the raw table, a transaction each.

A file that was read is not read again while its bytes stay the same. What raw holds follows from the files and their
names, not from when they came: of a key, the row of the last file that has it, and in that file its last line. What a
changed file has lost is looked for in those of earlier names; what no file has stays.
Killed at any moment and started again, a sync goes on with the first file that was not stored.
"""

from __future__ import annotations

import io
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.database.connect import Connect, Log
from cutover.errors import CutoverError
from cutover.extract import raw, session
from cutover.extract.folder import Digesting, File, Folder, changed
from cutover.extract.load import Load
from cutover.extract.records import empty
from cutover.extract.report import Report
from cutover.extract.sync import FEW_GONE
from cutover.extract.why import install_lineage
from cutover.masking import masked_text
from cutover.migration.files import PROVENANCE, FileDrop
from cutover.records import ledger

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

# Names in one message.
_NAMES = 5


@dataclass(frozen=True)
class DropReport(Report):
    """One complete sync of one file drop."""

    files: int

    def lines(self) -> list[str]:
        """The whole report as text."""
        return [
            self.summary(),
            f"  sync {self.sync_id}, {self.mode} because {self.because}",
            f"  {self.files:,} files with {self.rows:,} rows ({self.unchanged:,} unchanged, {self.repeated:,} of a key "
            f"that a later line has, too), {self.received_bytes / 1e6:,.1f} MB, in {self.seconds:.1f} s",
            *(f"  not given: {note}" for note in self.not_given),
        ]

    def to_xcom(self) -> dict[str, Any]:
        """What other tasks need: small, and without anything secret or personal."""
        return {name: value for name, value in asdict(self).items() if name != "because"}


def sync_drop(
    drop: FileDrop,
    path: ObjectStoragePath,
    connect: Connect,
    *,
    full: bool = False,
    accept_gone: bool = False,
    log: Log = print,
) -> DropReport:
    """Bring ``raw.<drop>`` up to the files in the folder ``path``, and return what was done.

    ``full`` reads every file again. ``accept_gone`` believes a whole list that misses many of the rows known, and a
    folder that misses files which are needed. ``connect`` opens a connection to the database; ``log`` is called with
    lines for a person who watches.

    A file that cannot be read keeps nobody from the others: its error is raised behind the last one, and nothing of it
    was stored.

    Raises:
        CutoverError: ``extract.no-folder``; ``extract.no-files``; ``extract.files-gone``; ``extract.no-permission``;
            ``extract.storage``; ``extract.file-changed``; ``extract.too-many-rejected``; ``extract.too-many-gone``;
            ``extract.bad-type``; those of ``records.records``; ``extract.busy``; ``extract.database``;
            ``extract.not-allowed``; ``extract.raw-table``.
    """
    made_by = f"files.{drop.name} of {drop.migration}/migration.yaml"
    with session.database_errors(drop.name, made_by), connect() as connection:
        # a date that could be read in two ways is refused, not guessed
        connection.execute("set datestyle to 'ISO, YMD'")
        connection.execute("set time zone 'UTC'")
        connection.commit()
        with connection.transaction():
            ledger.install(connection)
            connection.execute(files.statement("extract/lock_tables.sql"))
            install_lineage(connection, drop.migration)
        with session.turn(connection, drop.name, log):
            return _Sync(drop, Folder(drop, path), connection, accept_gone=accept_gone, log=log).run(full)


class _Sync:
    """The steps of one sync, in order, over one connection that is in no transaction between them."""

    def __init__(
        self, drop: FileDrop, folder: Folder, connection: psycopg.Connection, *, accept_gone: bool, log: Log
    ) -> None:
        self._drop = drop
        self._folder = folder
        self._connection = connection
        self._accept_gone = accept_gone
        self._log = log
        self._notes: list[str] = []
        self._raw = sql.Identifier("raw", drop.name)

    def run(self, full: bool) -> DropReport:
        listing = self._folder.list()
        known = self._known()
        self._note(listing.waiting, "is left for later")
        if not listing.files and not known:
            raise self._no_files(listing.waiting, listing.others)
        because, anew = self._why_all(full)
        wanted = self._wanted(listing.files, known)
        missing = [name for name in known if name not in {*listing.waiting, *(file.name for file in listing.files)}]
        self._notice_removed(known, missing)
        self._make_raw(missing)
        sync_id = self._begin(because)
        try:
            self._read_all(sync_id, wanted, known, anew=anew)
            return self._finish(sync_id, is_full=because is not None)
        except BaseException as error:
            self._record_failure(sync_id, error)
            raise

    def _known(self) -> dict[str, dict[str, Any]]:
        """The newest version of each file that was read, by name."""
        known = {row["name"]: row for row in self._execute("extract/files/known.sql")}
        self._connection.commit()
        return known

    # deciding

    def _why_all(self, full: bool) -> tuple[str | None, bool]:
        """Why more is read than what is new (None: it is not), and whether files are that were read so already."""
        if full:
            return "a full read was asked for", True
        if not raw.has_shape(self._connection, self._drop.name, self._columns):
            return "the declaration of the columns has changed" if self._is_there() else "raw had no such table", True
        state = self._one("extract/state.sql")
        if state is None:
            return "this folder was never read to its end", False
        stored = self._one("extract/count_raw.sql")["stored"]
        if state["stored"] != stored:
            return f"raw has {stored:,} rows where the last sync left {state['stored']:,}", True
        if state["declaration"] != self._drop.fingerprint:
            # each file knows which it was read for
            return "the declaration of the files has changed", False
        return None, False

    def _wanted(self, there: list[File], known: dict[str, dict[str, Any]]) -> list[File]:
        """The files that count: all of them, or the last one where each holds the whole list."""
        if not self._drop.whole:
            return there
        newest = max(known, default="")
        if there and there[-1].name < newest and not self._accept_gone:
            self._notes.append(
                f"{masked_text(newest)}, the last list that was read, is no longer there: its rows stay, and "
                f"{masked_text(there[-1].name)}, which is older, is not read"
            )
            return []
        return there[-1:]

    def _notice_removed(self, known: dict[str, dict[str, Any]], missing: list[str]) -> None:
        """Files that the folder has no more: what they brought stays."""
        removed = [name for name in missing if not known[name]["is_removed"]]
        if removed and not self._drop.whole:
            self._note(
                dict.fromkeys(removed, "it was read before; its rows stay as they are"), "is no longer in the folder"
            )
        if removed:
            self._execute("extract/files/remove.sql", file_ids=[known[name]["file_id"] for name in removed])
        self._connection.commit()

    def _make_raw(self, missing: list[str]) -> None:
        """The raw table with the declared columns, made anew where it has others.

        Raises CutoverError ``extract.files-gone`` if files would be needed for that which are there no more, and
        ``extract.bad-type``.
        """
        with self._connection.transaction():
            if not raw.has_shape(self._connection, self._drop.name, self._columns):
                if missing and not self._drop.whole and self._is_there() and not self._accept_gone:
                    raise CutoverError(
                        "extract.files-gone",
                        f"raw.{self._drop.name}",
                        "its columns are declared otherwise, so every file is to be read again; and "
                        f"{_listed(missing)} are no longer in the folder.",
                        "put them back; or alter the table to the columns of migration.yaml, in their order; or, if "
                        "their rows may go, start it again with the parameter accept_gone.",
                    )
                self._connection.execute(sql.SQL("drop table if exists {}").format(self._raw))
                self._create()
            raw.require_plain(self._connection, [self._drop.name])

    def _create(self) -> None:
        try:
            with self._connection.transaction():
                raw.create(self._connection, self._drop.name, self._columns)
                key = sql.Identifier(self._drop.key)
                self._connection.execute(sql.SQL("alter table {} add primary key ({})").format(self._raw, key))
            columns = {"table": self._raw.as_string()}
            made: dict[str, str] = dict(
                self._connection.execute(files.statement("extract/tables/columns.sql"), columns).fetchall()
            )
            differing = (f"{name} would be {made[name]}" for name, kind in self._columns.items() if made[name] != kind)
            wrong = next(differing, "")
        except psycopg.errors.InsufficientPrivilege:
            raise
        except (psycopg.ProgrammingError, psycopg.errors.InvalidParameterValue) as error:
            # a type that there is not, or that cannot be a key's
            wrong = str(error.diag.message_primary)
        if wrong:
            raise CutoverError(
                "extract.bad-type",
                f"include/sql/{self._drop.migration}/migration.yaml, files.{self._drop.name}.columns",
                f"a type is not as PostgreSQL writes it: {wrong}.",
                "write types as PostgreSQL's \\d shows them, such as integer, character varying(40), numeric(12,2), "
                "timestamp with time zone.",
            )

    def _begin(self, because: str | None) -> int:
        with self._connection.transaction():
            earlier = self._execute("extract/unfinished.sql")
            for one in earlier:
                why = "another sync goes on with the files that it had not stored"
                self._execute("extract/abandon_sync.sql", sync_id=one["sync_id"], why=why)
            begun = self._one(
                "extract/begin_sync.sql",
                mode="full" if because else "incremental",
                because=because or "files that were read stay read",
                api=masked_text(self._drop.path),
                account=self._drop.connection or "",
                declaration=self._drop.fingerprint,
                until=datetime.now(timezone.utc),
            )
        self._log(f"{self._drop.name}: sync {begun['sync_id']}: {because or 'what is new'}")
        return int(begun["sync_id"])

    # reading

    def _read_all(self, sync_id: int, wanted: list[File], known: dict[str, dict[str, Any]], *, anew: bool) -> None:
        refused: dict[str, CutoverError] = {}
        page_no = 0
        while wanted:
            for file in wanted:
                before = known.get(file.name)
                # what was read for another declaration is read again, also by the sync after one that failed halfway
                counts = before is not None and before["declaration"] == self._drop.fingerprint and not anew
                try:
                    digest = self._unread(file, before, counts=counts)
                    if digest is not None:
                        page_no += 1
                        # the same bytes once more are read for what a later file has lost, and for nothing else
                        is_refill = before is not None and counts and before["digest"] == digest
                        was_read = before is not None
                        self._read(sync_id, page_no, file, digest, was_read=was_read, is_refill=is_refill)
                except CutoverError as error:
                    self._log(str(error))
                    refused[file.name] = error
            # a file that has lost rows has those of earlier names looked into for them
            known, anew = self._known(), False
            wanted = [file for file in wanted if file.name not in refused and self._is_due(known.get(file.name))]
        if refused:
            raise _of_all(list(refused.values()))

    @staticmethod
    def _is_due(before: dict[str, Any] | None) -> bool:
        return before is not None and bool(before["look_again"])

    def _unread(self, file: File, before: dict[str, Any] | None, *, counts: bool) -> str | None:
        """The digest of a file that is to be read; None if what was read ``before`` ``counts``, and is the same."""
        if before is not None and counts and not before["look_again"]:
            looks = (before["stamp"], before["size"], before["is_removed"])
            if looks == (file.stamp, file.size, False):
                return None
        if file.size == 0:
            raise empty(file.shown, "it has no byte: it was not written, or not yet.")
        digest = self._folder.digest(file)
        if before is None or before["digest"] != digest:
            if before is not None:
                why = "it is read again; what it no longer has stays, as an earlier file has it or as it was"
                self._note({file.name: why}, "was changed since it was read")
            return digest
        if not counts or before["look_again"]:
            return digest
        with self._connection.transaction():
            self._execute("extract/files/touch.sql", file_id=before["file_id"], size=file.size, stamp=file.stamp)
        return None

    def _read(self, sync_id: int, page_no: int, file: File, digest: str, *, was_read: bool, is_refill: bool) -> None:
        """All of one file, and that it was read, in one transaction.

        Rows are collected before it, in temporary tables: no transaction is open for as long as a download takes.
        """
        began = time.monotonic()
        load = Load(self._connection, self._drop, file)
        with self._folder.opened(file) as stream:
            digesting = Digesting(stream)
            load.all(io.BufferedReader(digesting))
            is_same = digesting.rest() == digest
        now = self._folder.current(file)
        if not is_same or now is None or (now.size, now.stamp) != (file.size, file.stamp):
            raise changed(file, "it was changed while it was read")
        load.require_believable()
        with self._connection.transaction():
            row = self._one(
                "extract/files/begin.sql",
                name=file.name,
                sync_id=sync_id,
                page_no=page_no,
                path=file.shown,
                size=file.size,
                stamp=file.stamp,
                digest=digest,
                declaration=self._drop.fingerprint,
            )
            if not is_refill:
                self._execute("extract/files/drop_rejects.sql", name=file.name, whole=self._drop.whole)
                self._execute("extract/files/keep_rejects.sql", sync_id=sync_id, file_id=row["file_id"])
            counts = load.refill(sync_id, page_no) if is_refill else load.store(sync_id, page_no)
            counts["gone"] = self._mark_gone(row["file_id"], file) if self._drop.whole else 0
            if was_read and not is_refill and not self._drop.whole:
                self._let_go(row["file_id"], file)
            line = {"file_id": row["file_id"], "name": masked_text(file.name), "size": file.size, **counts}
            self._execute("extract/files/complete.sql", **line)
        self._log(
            f"{masked_text(file.name)}: {counts['rows']:,} rows, {counts['rejected']:,} of them rejected, "
            f"in {time.monotonic() - began:.1f} s"
        )

    def _let_go(self, file_id: int, file: File) -> None:
        """Rows that a changed file has lost are its own no more: any file may stand over them, also an earlier one."""
        lost = self._one("extract/files/lose.sql", file_id=file_id, name=file.name)["rows"]
        if lost:
            self._execute("extract/files/look_again.sql", name=file.name)
            self._note(
                {file.name: "they are looked for in the files of earlier names"}, f"has lost {lost:,} of its rows"
            )

    def _mark_gone(self, file_id: int, file: File) -> int:
        """Mark rows that a whole list has no more; their number. Raises CutoverError ``extract.too-many-gone``."""
        counted = self._one("extract/files/missing.sql", file_id=file_id)
        missing, present = counted["missing"], counted["present"]
        if missing > max(FEW_GONE, self._drop.gone_share * present) and not self._accept_gone:
            raise CutoverError(
                "extract.too-many-gone",
                f"raw.{self._drop.name}",
                f"{file.shown} lacks {missing:,} of the {present:,} rows known, more than {self._drop.gone_share:.0%}; "
                "none was marked as gone.",
                "look whether the file is the whole list; if the rows are really gone, start it again with the "
                "parameter accept_gone.",
            )
        if missing and self._one("extract/files/nameless.sql", file_id=file_id)["rows"]:
            self._notes.append(
                f"{missing:,} rows are not in {masked_text(file.name)} and were not marked as gone: rejected rows "
                "in it have no key, and may be theirs"
            )
            return 0
        if missing:
            self._execute("extract/files/mark_gone.sql", file_id=file_id)
        return int(missing)

    # ending

    def _finish(self, sync_id: int, *, is_full: bool) -> DropReport:
        with self._connection.transaction():
            counted = self._one("extract/count_raw.sql")
            row = self._one(
                "extract/files/end_sync.sql", sync_id=sync_id, not_given=Jsonb(self._notes), total=counted["present"]
            )
            self._execute(
                "extract/keep_state.sql",
                api=masked_text(self._drop.path),
                account=self._drop.connection or "",
                declaration=self._drop.fingerprint,
                watermark=datetime.now(timezone.utc),
                cursor_name=None,
                sweep=0,
                stored=counted["stored"],
                sync_id=sync_id,
                full=is_full,
            )
        report = DropReport(source=self._drop.name, sync_id=sync_id, not_given=self._notes, **row)
        for line in report.lines():
            self._log(line)
        return report

    def _record_failure(self, sync_id: int, error: BaseException) -> None:
        if self._connection.closed or self._connection.broken:
            return
        code = error.code if isinstance(error, CutoverError) else type(error).__name__
        reason = error.why if isinstance(error, CutoverError) else type(error).__name__
        self._connection.rollback()
        self._execute("extract/fail_sync.sql", sync_id=sync_id, code=code, error=reason)
        self._connection.commit()

    def _note(self, about: dict[str, str], what: str) -> None:
        """Say of some files what became of them, each once, and of many how many more there are."""
        for name, why in list(about.items())[:_NAMES]:
            self._notes.append(f"{masked_text(name)} {what}: {why}")
            self._log(f"{self._drop.name}: {self._notes[-1]}")
        if len(about) > _NAMES:
            self._notes.append(f"{len(about) - _NAMES:,} more files: {what}")

    def _no_files(self, waiting: dict[str, str], others: int) -> CutoverError:
        if waiting:
            name, why = next(iter(waiting.items()))
            return CutoverError(
                "extract.no-files",
                masked_text(self._drop.path),
                f"none of the {len(waiting):,} files there is complete, such as {masked_text(name)}: {why}.",
                "have the files completed, then clear the task.",
            )
        return CutoverError(
            "extract.no-files",
            masked_text(self._drop.path),
            f"it has no file that matches {self._drop.pattern} ({others:,} do not).",
            f"correct `pattern` of files.{self._drop.name} in migration.yaml, or put the files there.",
        )

    @property
    def _columns(self) -> dict[str, str]:
        return {**self._drop.columns, **PROVENANCE}

    def _is_there(self) -> bool:
        row = self._connection.execute("select to_regclass(%s) is not null", (self._raw.as_string(),)).fetchone()
        return row == (True,)

    def _execute(self, path: str, /, **values: object) -> list[dict[str, Any]]:
        return _execute(self._connection, self._drop, path, **values)

    def _one(self, path: str, /, **values: object) -> Any:
        rows = self._execute(path, **values)
        return rows[0] if rows else None


def _execute(connection: psycopg.Connection, drop: FileDrop, path: str, /, **values: object) -> list[dict[str, Any]]:
    """Run ``sql/<path>`` for a drop: ``{raw}`` and ``{key}`` in it are its raw table and key."""
    text = files.text(path)
    names: dict[str, sql.Identifier] = {"raw": sql.Identifier("raw", drop.name), "key": sql.Identifier(drop.key)}
    statement: Any = text.encode()
    if any(f"{{{name}}}" in text for name in names):
        statement = files.statement(path, **names)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, {"source": drop.name, **values})
        return cursor.fetchall() if cursor.description else []


def _of_all(refused: list[CutoverError]) -> CutoverError:
    """The first error, saying how many further files could not be read."""
    first = refused[0]
    if len(refused) == 1:
        return first
    others = _listed([error.obj for error in refused[1:]])
    why = f"{first.why.rstrip('.')}; and {len(refused) - 1:,} more could not be read, which the log tells ({others})."
    return CutoverError(first.code, first.obj, why, first.remedy)


def _listed(names: list[str]) -> str:
    shown = [masked_text(name) for name in names[:_NAMES]]
    return ", ".join(shown) + (f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else "")
