"""Anchors: where the chain's newest heads are noted, outside the database that holds the chain.

Whoever may write to that database can take links off the chain's end, or all of it. Against a head that was noted
elsewhere, that shows. Heads are noted in the log of the task that made them, in the notices, in the run's folder of
Data Docs, and in the folder, file or object store that ``CUTOVER_ANCHORS`` names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutover.database.connect import Log
from cutover.records.chain import Link

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

VARIABLE = "CUTOVER_ANCHORS"
# Beside the sites of a run in Data Docs.
DOCS_FILE = "heads.jsonl"


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


def note(database: str, link: Link, log: Log, docs: Path | None = None) -> None:
    """Note the newest head of a database's chain everywhere. Never raises: what it tells of has happened already.

    ``database`` is the name of its connection, ``docs`` the run's folder in Data Docs.
    """
    log(describe(link))
    text = _line(database, link)
    places = [docs / DOCS_FILE] if docs is not None else []
    named = os.environ.get(VARIABLE)
    if named and "://" not in named:
        places.append(_file(Path(named), database))
    for place in places:
        try:
            if text not in {_without_time(line) for line in _lines(place)}:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("a", encoding="utf-8") as file:
                    file.write(_with_time(text))
        except OSError as error:
            log(f"the head could not be noted in {place}: {error.strerror or error}")
    if named and "://" in named:
        try:
            folder = _store(named) / database
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{link.link:09}-{link.head[:16]}.json"
            if not path.exists():
                path.write_text(_with_time(text))
        except Exception as error:  # whatever the object store's library raises
            log(f"the head could not be noted in {named}: {error}")


def known(database: str, docs_root: Path | None = None) -> list[Anchor]:
    """Every head of a database's chain that was noted in a place which can be read again."""
    heads: list[Anchor] = []
    named = os.environ.get(VARIABLE)
    if named and "://" in named:
        folder = _store(named) / database
        if folder.exists():
            for file in folder.iterdir():
                heads += _anchors(database, [file.read_text()], named)
    elif named:
        place = _file(Path(named), database)
        heads += _anchors(database, _lines(place), f"{place.parent.name}/{place.name}")
    if docs_root is not None:
        for place in sorted(docs_root.glob(f"*/*/{DOCS_FILE}")):
            heads += _anchors(database, _lines(place), "Data Docs")
    return sorted(heads, key=lambda anchor: (anchor.link, anchor.noted_at))


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


def _with_time(text: str) -> str:
    return json.dumps({**json.loads(text), "noted_at": datetime.now(timezone.utc).isoformat()}) + "\n"


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


def _store(named: str) -> ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(named)
