"""Anchors: where the chain's newest heads are noted, outside the database that holds the chain.

Whoever may write to that database can take links off the chain's end, or all of it. Against a head that was noted
elsewhere, that shows. Heads are noted in the log of the task that made them, in the notices, in the run's folder of
Data Docs, and in the folder, file or object store that ``CUTOVER_ANCHORS`` names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cutover.database.connect import Log
from cutover.errors import CutoverError
from cutover.records.chain import Link
from cutover.storage import Folder, Storage, at

VARIABLE = "CUTOVER_ANCHORS"
# Beside the sites of a run in Data Docs, where these are in a folder.
DOCS_FILE = "heads.jsonl"
# Below Data Docs in a bucket, by database: a store can append to nothing, so each head is an object. Its name says all
# that it is compared by, so that a thousand of them are one request.
DOCS_FOLDER = "heads"
_NAME = re.compile(r"(\d{9,})-([0-9a-f]{64})-(\d{8}T\d{6}\.\d{6}Z)\.json")
_MOMENT = "%Y%m%dT%H%M%S.%fZ"
# So much of a head was in an object's name before all of it was.
_SHORT = 16


@dataclass(frozen=True)
class Anchor:
    """A head as it was noted: of which database's chain, which link it was, where, and when."""

    database: str
    link: int
    head: str
    noted_at: datetime
    where: str


def describe(link: Link) -> str:
    """The newest head in a line, as logs and notices show it."""
    return f"ledger link {link.link} ({link.kind}), head {link.head}, signed by key {link.key_id}"


def note(database: str, link: Link, log: Log, docs: Storage | None = None, folder: str = "") -> None:
    """Note the newest head of a database's chain everywhere. Never raises: what it tells of has happened already.

    ``database`` is the name of its connection, ``folder`` the run's in Data Docs.
    """
    log(describe(link))
    text = _line(database, link)
    named = os.environ.get(VARIABLE)
    files = []
    if isinstance(docs, Folder):
        files.append(docs.path / folder / DOCS_FILE)
    elif docs is not None:
        _note_object(docs, f"{DOCS_FOLDER}/{database}", link, text, log)
    if named and "://" in named:
        try:
            store = at(named, VARIABLE)
        except CutoverError as error:
            log(f"the head could not be noted in {VARIABLE}: {error}")
        else:
            _note_object(store, database, link, text, log)
    elif named:
        files.append(_file(Path(named), database))
    for file in files:
        _note_line(file, text, log)


def _note_line(file: Path, text: str, log: Log) -> None:
    try:
        if text not in {_without_time(line) for line in _lines(file)}:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as opened:
                opened.write(_with_time(text, datetime.now(timezone.utc)))
    except OSError as error:
        log(f"the head could not be noted in {file}: {error.strerror or error}")


def _note_object(store: Storage, folder: str, link: Link, text: str, log: Log) -> None:
    try:
        known = (f"{folder}/{link.link:09}-{link.head}-", f"{folder}/{link.link:09}-{link.head[:_SHORT]}.json")
        if not any(name.startswith(known) for name in store.names(folder)):
            now = datetime.now(timezone.utc)
            name = f"{folder}/{link.link:09}-{link.head}-{now.strftime(_MOMENT)}.json"
            store.write(name, _with_time(text, now).encode())
    except CutoverError as error:
        log(f"the head could not be noted: {error}")


def known(database: str, docs: Storage | None = None) -> list[Anchor]:
    """Every head of a database's chain that was noted in a place which can be read again. Raises ``storage.*``."""
    heads: list[Anchor] = []
    named = os.environ.get(VARIABLE)
    if named and "://" in named:
        store = at(named, VARIABLE)
        heads += _objects(store, database, database, str(store))
    elif named:
        place = _file(Path(named), database)
        heads += _anchors(database, _lines(place), f"{place.parent.name}/{place.name}")
    if isinstance(docs, Folder):
        for place in sorted(docs.path.glob(f"*/*/{DOCS_FILE}")):
            heads += _anchors(database, _lines(place), "Data Docs")
    elif docs is not None:
        heads += _objects(docs, f"{DOCS_FOLDER}/{database}", database, "Data Docs")
    return sorted(heads, key=lambda anchor: (anchor.link, anchor.noted_at))


def _objects(store: Storage, folder: str, database: str, where: str) -> Iterator[Anchor]:
    others = []
    for name in store.names(folder):
        said = _NAME.fullmatch(name.rpartition("/")[2])
        if said is None:
            others.append(name)
            continue
        noted_at = datetime.strptime(said[3], _MOMENT).replace(tzinfo=timezone.utc)
        yield Anchor(database, int(said[1]), said[2], noted_at, where)
    # named as they were before names said everything
    for content in store.read_all(others).values():
        yield from _anchors(database, [content.decode(errors="replace")], where)


def _line(database: str, link: Link) -> str:
    anchor = {
        "database": database,
        "link": link.link,
        "head": link.head,
        "kind": link.kind,
        "run": link.run,
        "signed_at": link.signed_at.astimezone(timezone.utc).isoformat(),
        "key": link.key_id,
        "signature": link.signature,
    }
    return json.dumps(anchor)


def _with_time(text: str, now: datetime) -> str:
    return json.dumps({**json.loads(text), "noted_at": now.isoformat()}) + "\n"


def _without_time(line: str) -> str:
    with suppress(ValueError):
        return json.dumps({name: value for name, value in json.loads(line).items() if name != "noted_at"})
    return ""


def _anchors(database: str, lines: list[str], where: str) -> Iterator[Anchor]:
    for line in lines:
        # a line that was cut off by a full disk notes nothing
        with suppress(ValueError, KeyError, TypeError):
            anchor: dict[str, Any] = json.loads(line)
            if anchor["database"] == database:
                noted_at = datetime.fromisoformat(anchor["noted_at"])
                yield Anchor(database, int(anchor["link"]), str(anchor["head"]), noted_at, where)


def _file(named: Path, database: str) -> Path:
    return named if named.suffix else named / f"{database}.jsonl"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
