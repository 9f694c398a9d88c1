"""A person taken out of Data Docs: files that show one of their keys are deleted, and what was deleted is written down.

Values of people are masked in them. What can still lead to one is the key of a row: an account's id, which follows from
the address where a launch has made the account, or that of a contact or an invoice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime

from cutover.records import evidence
from cutover.storage import Storage
from cutover.validate import data_docs


def find(docs: Storage, migration: str, keys: Iterable[str]) -> dict[str, list[str]]:
    """Complete site of a migration → its files, below the root, that show one of ``keys``. Raises ``storage.*``."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    shows = re.compile(rf"(?<![0-9a-z])({'|'.join(map(re.escape, map(str.lower, wanted)))})(?![0-9a-z])")
    names = docs.names(migration)
    sites: dict[str, list[str]] = {}
    for run in sorted({"/".join(name.split("/")[:2]) for name in names if name.count("/") > 1}):
        for site in data_docs.complete((name for name in names if name.startswith(f"{run}/")), run):
            files = [name for name in names if name.startswith(f"{site}/") and not name.endswith(_OURS)]
            # a site at a time: it has a megabyte
            contents = docs.read_all(files)
            named = sorted(
                n for n, content in contents.items() if shows.search(content.decode(errors="replace").lower())
            )
            if named:
                sites[site] = named
    return sites


def take_out(docs: Storage, files: dict[str, list[str]], now: datetime) -> None:
    """Delete files that were found, and the archives of their runs. Safe to repeat. Raises ``storage.*``.

    What is deleted is written down first, so that a site that is half taken out shows no difference.
    """
    for site, names in files.items():
        known = docs.read(f"{site}/{data_docs.ERASED}")
        erased = json.loads(known)["files"] if known else {}
        erased |= {name.removeprefix(f"{site}/"): now.isoformat(timespec="seconds") for name in names}
        docs.write(f"{site}/{data_docs.ERASED}", json.dumps({"files": erased}, indent=1).encode())
        migration, run, _ = site.split("/")
        docs.delete([*names, evidence.path_of(migration, run)])


# Files of a site that hold no value.
_OURS = (f"/{data_docs.MANIFEST}", f"/{data_docs.ERASED}")
