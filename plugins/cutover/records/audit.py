"""Looks whether all evidence is as it was written: links, the rows that they cover, the heads noted elsewhere.

Everything is computed here, from the rows as plain text: no function of the database is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import chain, signing
from cutover.records.anchors import Anchor
from cutover.records.chain import COVERED, Link

# The columns that an entry's own hash is made of: those that the ledger had when it was the only chain.
_HASHED = (
    "entry", "run", "migration", "action", "undoes", "backup_schema", "fingerprint", "approval_id", "approved_by",
    "snapshot", "xid", "started_at", "locked_at", "recorded_at", "attempts", "tables", "carried", "report",
    "previous_hash",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written. ``subject`` is "<table> <key>", or "link <number>"."""

    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject} {self.what}"


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and what is wrong with it: nothing, in a chain that is whole."""

    links: int
    entries: int
    newest: Link | None
    faults: list[Fault]
    anchors: list[Anchor]
    keys: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it was written."""
        return not self.faults

    @property
    def newest_anchor(self) -> Anchor | None:
        """The anchor furthest along the chain."""
        return self.anchors[-1] if self.anchors else None

    def about(self, *subjects: str) -> list[Fault]:
        """The faults of these subjects."""
        return [fault for fault in self.faults if fault.subject in subjects]

    def compared(self) -> str:
        """Which head was compared with what, in a sentence."""
        newest = self.newest_anchor
        if newest is None:
            return "compared with no head noted elsewhere: links taken off the end would not show"
        behind = self.links - newest.link
        heads = f"{len(self.anchors)} heads" if len(self.anchors) > 1 else "one head"
        places = ", ".join(sorted({anchor.where for anchor in self.anchors}))
        since = "" if behind <= 0 else f"; {behind} {'link' if behind == 1 else 'links'} newer than that"
        noted_at = f"{newest.noted_at:%Y-%m-%d %H:%M:%S %Z}"
        return (
            f"compared with {heads} noted elsewhere ({places}), the newest of link {newest.link} at {noted_at}{since}"
        )


def look(connection: psycopg.Connection, keys: signing.Keys, anchors: Sequence[Anchor] = ()) -> Verdict:
    """Look at everything. ``connection`` sees one moment (REPEATABLE READ), with time zone UTC."""
    connection.execute("select set_config('timezone', 'UTC', true), set_config('row_security', 'off', true)")
    links = all_links(connection)
    entries = _entries(connection)
    faults = [*_links(links, keys), *_anchored(links, anchors), *_rows(connection, links), *_hashes(entries)]
    used = list(dict.fromkeys(link.key_id for link in links))
    return Verdict(len(links), len(entries), links[-1] if links else None, faults, list(anchors), used)


def require_whole(verdict: Verdict, database: str) -> None:
    """Raise CutoverError ``ledger.broken`` that names the first thing which is not as it was written."""
    if verdict.faults:
        first, more = verdict.faults[0], len(verdict.faults) - 1
        raise CutoverError(
            "ledger.broken",
            f"{first.subject} of {database}",
            f"it {first.what}{f' (and {more} more)' if more else ''}.",
            "compare it with a database backup, and find out who has changed it.",
        )


def all_links(connection: psycopg.Connection) -> list[Link]:
    """The whole chain, oldest link first."""
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(files.statement("chain/links.sql")).fetchall()


def _links(links: Sequence[Link], keys: signing.Keys) -> Iterator[Fault]:
    """Numbers, hashes, order and signatures."""
    believed = list(keys.trusted)
    if not believed:
        yield Fault("the chain", f"cannot be verified: there is no public key to verify it with ({keys.where})")
        return
    number, head, current = 0, None, None
    for link in links:
        subject = f"link {link.link}"
        if link.link != number + 1:
            yield Fault(f"link {number + 1}", "is missing")
        elif link.computed() != (link.digest, link.head):
            yield Fault(subject, "was changed after it was written")
        elif link.previous != head:
            yield Fault(subject, "does not follow the link before it")
        else:
            yield from _signature(link, believed, current)
        if link.kind == "key" and (made := str(link.says.get("public_key"))) not in believed:
            believed.append(made)
        number, head = link.link, link.head
        current = next((public for public in believed if signing.key_id(public) == link.key_id), current)


def _signature(link: Link, believed: Sequence[str], current: str | None) -> Iterator[Fault]:
    subject = f"link {link.link}"
    public = next((public for public in believed if signing.key_id(public) == link.key_id), None)
    if public is None:
        yield Fault(subject, f"is signed by key {link.key_id}, which this deployment does not believe")
    elif not signing.is_signed(chain.signed_text(link.head), link.signature, public):
        yield Fault(subject, f"was not signed by key {link.key_id}, whose name it bears")
    elif current is not None and believed.index(public) < believed.index(current):
        yield Fault(subject, f"is signed by key {link.key_id}, which had been replaced by then")


def _anchored(links: Sequence[Link], anchors: Sequence[Anchor]) -> Iterator[Fault]:
    heads = {link.link: link.head for link in links}
    for anchor in anchors:
        noted = f"with head {anchor.head[:16]}… ({anchor.where}, {anchor.noted_at:%Y-%m-%d %H:%M:%S %Z})"
        if anchor.link not in heads:
            yield Fault(f"link {anchor.link}", f"is missing, which was noted {noted}")
        elif heads[anchor.link] != anchor.head:
            yield Fault(f"link {anchor.link}", f"is not the one that was noted {noted}")


def _rows(connection: psycopg.Connection, links: Sequence[Link]) -> Iterator[Fault]:
    """The rows as they are now, against the newest link of each; none of them without a link, none gone."""
    rows: dict[str, tuple[int, dict[str, Any]]] = {}
    taken: dict[str, Any] = {}
    for link in links:
        if link.kind == "begin" and not taken:
            taken = link.says["taken_in"]
        for subject, columns in link.covers.items():
            rows[subject] = (link.link, columns)
    there: set[str] = set()
    for table, known in COVERED.items():
        old = taken.get(table, {"columns": [], "rows": {}})
        for key, row in chain.rows(connection, table).items():
            subject = f"{table} {key}"
            there.add(subject)
            if subject in rows:
                number, columns = rows[subject]
                differs = chain.differences(columns, row)
                if differs:
                    yield Fault(subject, f"was changed after it was written: its {_and(differs)} (link {number})")
            elif key in old["rows"]:
                if chain.digest_of({name: row.get(name) for name in old["columns"]})["sha256"] != old["rows"][key]:
                    yield Fault(subject, "was changed after it was taken into the chain (link 1)")
            elif known.due(row):
                yield Fault(subject, "has no link: it was not written by this deployment")
    expected = {**{subject: number for subject, (number, _) in rows.items()}}
    for table, old in taken.items():
        expected |= {f"{table} {key}": 1 for key in old["rows"] if f"{table} {key}" not in expected}
    for subject in (subject for subject in expected if subject not in there):
        yield Fault(subject, f"is gone (link {expected[subject]})")


def _entries(connection: psycopg.Connection) -> list[tuple[int, str | None, str | None, str]]:
    return connection.execute(files.statement("chain/entries.sql"), {"hashed": list(_HASHED)}).fetchall()


def _hashes(entries: Sequence[tuple[int, str | None, str | None, str]]) -> Iterator[Fault]:
    """The ledger's own hashes, by which entries were chained before there were signed links."""
    before: str | None = None
    for entry, previous, noted, text in entries:
        subject = f"ledger {entry}"
        if noted is None:
            yield Fault(subject, "has no hash")
        elif noted != hashlib.sha256(text.encode()).hexdigest():
            yield Fault(subject, "was changed after it was written")
        elif previous != before:
            yield Fault(subject, "does not follow the entry before it")
        before = noted


def _and(names: Sequence[str]) -> str:
    return ", ".join(names)
