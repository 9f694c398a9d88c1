"""The chain: a signed link for every piece of evidence, so that whatever is done to evidence afterwards shows.

A link covers rows as they were when it was made: reviews, approvals, ledger entries, certificates. It names the link
before it, and is signed with a key that the database does not have. So a link can be neither made up, nor changed, nor
taken out of the middle. Links taken off the end, or all of them, show against the heads that were noted elsewhere
(``cutover.anchors``).

``append`` comes last in its transaction: it holds the chain's lock until that ends. Links are computed and verified
here and not in the database, whose functions somebody may have replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import signing
from cutover.records.signing import Signer

# A value whose JSON is longer than this is in a payload by its digest.
_LONGEST = 200


@dataclass(frozen=True)
class Covered:
    """A table whose rows are evidence: its key, and what of a row is covered how.

    ``digested`` columns are covered by their digest even when short: nothing that may have to be erased from the
    table may stay in the chain. ``later`` columns are written after the evidence is complete, and not covered.
    ``due`` says whether a row must have a link.
    """

    key: str
    digested: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    due: Callable[[dict[str, Any]], bool] = lambda _: True


COVERED = {
    "run": Covered(
        "run",
        digested=("parameters", "validation", "review"),
        later=("finished_at",),
        due=lambda row: row["review"] is not None,
    ),
    "approvals": Covered("approval_id", digested=("comment",)),
    "ledger": Covered("entry"),
    "certificate": Covered("run"),
}


@dataclass(frozen=True)
class Row:
    """A row as a link covers it: large and private values by their digest."""

    table: str
    key: str
    columns: dict[str, Any]

    @property
    def subject(self) -> str:
        """Its name: table and key."""
        return f"{self.table} {self.key}"


@dataclass(frozen=True)
class Link:
    """A link as it is stored."""

    link: int
    kind: str
    run: str | None
    payload: str
    digest: str
    previous: str | None
    head: str
    key_id: str
    signature: str
    signed_at: datetime

    @property
    def covers(self) -> dict[str, dict[str, Any]]:
        """The rows that it covers, by subject."""
        rows: dict[str, dict[str, Any]] = json.loads(self.payload)["rows"]
        return rows

    @property
    def says(self) -> dict[str, Any]:
        """What it says beside the rows."""
        said: dict[str, Any] = json.loads(self.payload)["says"]
        return said

    def computed(self) -> tuple[str, str]:
        """Digest and head as they should be."""
        digest = hashlib.sha256(self.payload.encode()).hexdigest()
        signed_at = self.signed_at.astimezone(timezone.utc).isoformat(timespec="microseconds")
        content = [self.link, self.kind, self.run, digest, self.previous, self.key_id, signed_at]
        return digest, hashlib.sha256(canonical(content).encode()).hexdigest()


@dataclass(frozen=True)
class Tail:
    """The end of the chain, which nobody else can append to until this transaction ends; the key to go on with."""

    signer: Signer
    link: int
    head: str | None


def canonical(value: Any) -> str:
    """JSON in its one form: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parsed(text: str) -> Any:
    """JSON, with no digit of a number lost."""
    return json.loads(text, parse_float=lambda number: {"number": number})


def digest_of(value: Any) -> dict[str, str]:
    """What stands in a payload for a value that is not told."""
    return {"sha256": hashlib.sha256(canonical(value).encode()).hexdigest()}


def signed_text(head: str) -> str:
    """What is signed of a link."""
    return f"cutover chain {head}"


def as_covered(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row, parsed from JSON, as a payload holds them."""
    known = COVERED[table]
    return {
        name: digest_of(value)
        if value is not None and (name in known.digested or len(canonical(value)) > _LONGEST)
        else value
        for name, value in row.items()
        if name not in known.later
    }


def row_of(connection: psycopg.Connection, table: str, key: object) -> Row:
    """A row of a covered table as it is now."""
    return Row(table, str(key), as_covered(table, _row(connection, table, key)))


def cover(connection: psycopg.Connection, kind: str, run: str | None, *rows: tuple[str, object], **says: Any) -> Link:
    """Append a link that covers rows, (table, key) each, as they are in this transaction."""
    return append(connection, kind, run, [row_of(connection, table, key) for table, key in rows], says=says)


def refuse(connection: psycopg.Connection, run: str, task: str, error: CutoverError) -> Link:
    """Append what was refused: code and object. The reason may quote rows, and stays in the task's log."""
    return append(connection, "refusal", run, says={"task": task, "code": error.code, "object": error.obj})


def newest(connection: psycopg.Connection) -> Link | None:
    """The newest link; None if nothing has been written down yet."""
    if connection.execute("select to_regclass('cutover.chain') is null").fetchone() == (True,):
        return None
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(files.statement("chain/newest.sql")).fetchone()


def append(
    connection: psycopg.Connection,
    kind: str,
    run: str | None,
    covers: Sequence[Row] = (),
    *,
    says: dict[str, Any] | None = None,
    tail: Tail | None = None,
) -> Link:
    """Append a link in the transaction of what it tells. It comes last there, and that transaction is READ COMMITTED.

    ``says`` are facts that are no row. ``tail`` is from ``reserve``, for who cannot wait now. Raises CutoverError
    ``chain.no-signing-key``.
    """
    tail = tail or reserve(connection, {row.subject for row in covers})
    payload = canonical({"rows": {row.subject: row.columns for row in covers}, "says": says or {}})
    link = Link(
        link=tail.link + 1,
        kind=kind,
        run=run,
        payload=payload,
        digest="",
        previous=tail.head,
        head="",
        key_id=tail.signer.key_id,
        signature="",
        signed_at=datetime.now(timezone.utc),
    )
    digest, head = link.computed()
    link = replace(link, digest=digest, head=head, signature=tail.signer.sign(signed_text(head)))
    connection.execute(
        files.statement("chain/append.sql"), {**vars(link), "subjects": sorted(row.subject for row in covers)}
    )
    return link


def reserve(connection: psycopg.Connection, but: set[str] | None = None) -> Tail:
    """Lock the chain until this transaction ends, and read where it ends; a chain that is empty is begun.

    Rows that are there already are taken in by its first link, but for the subjects that the caller is about to cover.
    """
    signer = signing.signer()
    # a snapshot from before the lock would not show the links that were appended while this waited for it
    assert connection.isolation_level in (None, psycopg.IsolationLevel.READ_COMMITTED)
    connection.execute(files.statement("chain/lock.sql"))
    row = connection.execute(files.statement("chain/tail.sql"), prepare=True).fetchone()
    if row is not None:
        return Tail(signer, *row)
    begun = append(connection, "begin", None, says=_taken_in(connection, but or set()), tail=Tail(signer, 0, None))
    return Tail(signer, begun.link, begun.head)


def _taken_in(connection: psycopg.Connection, but: set[str]) -> dict[str, Any]:
    """What was there before there was a chain: the digest of each row, over the columns that it has now."""
    taken: dict[str, Any] = {}
    with _in_utc(connection):
        for table, known in COVERED.items():
            due = {
                key: row
                for key, row in rows(connection, table).items()
                if f"{table} {key}" not in but and known.due(row)
            }
            if due:
                columns = sorted(set(next(iter(due.values()))) - set(known.later))
                digests = {key: digest_of({name: row[name] for name in columns})["sha256"] for key, row in due.items()}
                taken[table] = {"columns": columns, "rows": digests}
    return {"public_key": signing.signer().public, "taken_in": taken}


def why_not_signed(
    connection: psycopg.Connection, kind: str, table: str, key: object, *, but: Sequence[str], whole: bool = False
) -> str | None:
    """In words, why a row is not what a believed key has signed as ``kind``; None if it is.

    ``but`` names columns that may have changed since. Columns that the table did not have then were not signed:
    ``whole`` refuses a row that has a value in one of them.
    """
    subject = f"{table} {key}"
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        link = cursor.execute(files.statement("chain/link_of.sql"), {"kind": kind, "subject": subject}).fetchone()
    if link is None:
        return "the chain has no link of it: somebody else than the gate has written it."
    if not _is_signed(link):
        return f"link {link.link} of the chain, which is about it, was not signed by this deployment."
    signed, row = link.covers.get(subject, {}), _row(connection, table, key)
    differs = differences(signed, row, but)
    if whole:
        left_out = {*signed, *but, *COVERED[table].later}
        differs += [name for name, value in row.items() if value is not None and name not in left_out]
    if differs:
        return f"its {', '.join(differs)} was changed after it was signed (link {link.link} of the chain)."
    return None


def since(connection: psycopg.Connection, run: str) -> list[Link]:
    """The links since a run's first one, and the one before that; of all runs, oldest first."""
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(files.statement("chain/since.sql"), {"run": run}).fetchall()


def why_not_whole(links: Sequence[Link], run: str) -> str | None:
    """In words, why the links ``since`` a run's first one are not what was signed; None if they are.

    Of links that were taken off the end only heads that were noted elsewhere tell.
    """
    for link in links:
        if not _is_signed(link):
            return f"link {link.link} of the chain was not signed by this deployment."
    # nothing comes before the first of all links, and something before that of any run
    if links and links[0].run == run and links[0].previous is not None:
        return f"link {links[0].link - 1} of the chain is not there any more."
    for before, link in pairwise(links):
        if link.previous != before.head:
            return f"link {link.link} of the chain does not follow link {before.link}: something was taken out."
    return None


def _is_signed(link: Link) -> bool:
    return link.computed() == (link.digest, link.head) and _is_believed(link)


def _is_believed(link: Link) -> bool:
    return any(
        signing.key_id(public) == link.key_id and signing.is_signed(signed_text(link.head), link.signature, public)
        for public in signing.keys().trusted
    )


def differences(noted: dict[str, Any], row: dict[str, Any], but: Sequence[str] = ()) -> list[str]:
    """The columns of a payload in which the row is another now. A column that came later is no difference."""
    return [name for name, value in noted.items() if name not in but and value not in _forms(row.get(name))]


def _forms(value: Any) -> tuple[Any, ...]:
    """What a payload may hold for a value: itself, or its digest."""
    return value, digest_of(value)


def _statement(path: str, table: str) -> sql.Composed:
    return files.statement(path, table=sql.Identifier("cutover", table), key=COVERED[table].key)


def _row(connection: psycopg.Connection, table: str, key: object) -> dict[str, Any]:
    with _in_utc(connection):
        present = connection.execute(_statement("chain/row.sql", table), {"key": str(key)}).fetchone()
    if present is None:
        raise LookupError(f"cutover.{table} has no row {key}")
    row: dict[str, Any] = parsed(present[0])
    return row


def rows(connection: psycopg.Connection, table: str) -> dict[str, dict[str, Any]]:
    """All rows of a covered table as they are now, by key."""
    return {key: parsed(text) for key, text in connection.execute(_statement("chain/rows.sql", table)).fetchall()}


@contextmanager
def _in_utc(connection: psycopg.Connection) -> Iterator[None]:
    """The zone in which times become text, for as long as rows are read."""
    before = connection.info.parameter_status("TimeZone")
    if before == "UTC":
        yield
        return
    connection.execute("select set_config('timezone', 'UTC', true)")
    yield
    connection.execute("select set_config('timezone', %s, true)", (before,))
