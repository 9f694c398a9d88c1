"""Data Docs as files below one folder, and nothing outside it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cutover.validate import data_docs
from cutover.validate.validation import docs_root

_SITE = re.compile(r"(\d+)-(\w+)")
# Files of other kinds do not belong to a site, and are not handed out.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".eot": "application/vnd.ms-fontobject",
}
_ASSET_TYPES = {ending: _TYPES[ending] for ending in (".css", ".js", ".woff2", ".ttf")}
ASSETS = "assets"
_DIGEST = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True)
class Site:
    """The pages of one validation: ``address`` below the root, the result kept beside them, and what was altered."""

    address: str
    phase: str
    number: int
    result: dict[str, Any]
    manifest: str
    altered: list[str]

    def page(self, suite: str) -> str | None:
        """The address of a suite's page, below the root."""
        pages = sorted((docs_root() / self.address).glob(f"validations/{suite}/**/*.html"))
        return str(pages[0].relative_to(docs_root())) if pages else None


def sites(migration: str, run: str) -> list[Site]:
    """The sites of a run, in the order of its validations."""
    folder = docs_root() / migration / run
    if not folder.is_dir():
        return []
    named = sorted(
        (int(match[1]), match[2], path) for path in folder.iterdir() if (match := _SITE.fullmatch(path.name))
    )
    return [_site(number, phase, path) for number, phase, path in named]


def _site(number: int, phase: str, path: Path) -> Site:
    address = str(path.relative_to(docs_root()))
    try:
        return Site(
            address=address,
            phase=phase,
            number=number,
            result=json.loads((path / "result.json").read_text(encoding="utf-8")),
            manifest=hashlib.sha256((path / data_docs.MANIFEST).read_bytes()).hexdigest(),
            altered=data_docs.differences(path),
        )
    except (OSError, ValueError, KeyError):  # one of the two is gone, or is no longer what was written
        empty: dict[str, Any] = {"suites": [], "checks": [], "digest": None}
        return Site(address, phase, number, empty, "", ["result.json or manifest.json"])


def find(migration: str, address: str) -> tuple[Path, str] | None:
    """The file at ``address`` below the root, with its type; None unless it is a file of this migration's sites.

    Links that lead out of the folder lead nowhere.
    """
    parts = PurePosixPath(address).parts
    return _file_below(docs_root() / migration, parts[1:], _TYPES) if parts and parts[0] == migration else None


def find_asset(digest: str, address: str) -> tuple[Path, str] | None:
    """The script, style or font at ``address`` of the shared files with this ``digest``, with its type."""
    if not _DIGEST.fullmatch(digest):
        return None
    return _file_below(docs_root() / ASSETS / digest, PurePosixPath(address).parts, _ASSET_TYPES)


def _file_below(folder: Path, parts: tuple[str, ...], types: dict[str, str]) -> tuple[Path, str] | None:
    if not parts or any("\0" in part or part.startswith(".") for part in parts):
        return None
    try:
        path = folder.joinpath(*parts).resolve()
        kind = types.get(path.suffix.lower())
        if kind is None or not path.is_relative_to(folder.resolve()) or not path.is_file():
            return None
    except (OSError, RuntimeError):  # a name that no file system takes, or links in a circle
        return None
    return path, kind
