"""Data Docs below one root, a folder or a bucket, and nothing outside it; and their pages as a browser gets them.

A page of Data Docs has no origin (``access.DOCS_POLICY``), and for a page without one browsers keep nothing of what it
loads, whatever the answers' headers allow: each page loaded all scripts and styles again. So they are put into the page
when it is handed out, those that it uses. It is one request then, and no further one while the page is as it was.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from cutover.storage import Object, Storage
from cutover.validate import data_docs
from cutover.validate.validation import docs_root

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
# A style sheet or script of the shared assets, as a page names it.
_LINK = re.compile(r"""<link\b[^>]*?\bhref=["'](?:\.\./)+assets/([0-9a-f]{12})/([^"'?#]+\.css)["'][^>]*>""")
_SCRIPT = re.compile(
    r"""<script\b[^>]*?\bsrc=["'](?:\.\./)+assets/([0-9a-f]{12})/([^"'?#]+\.js)["'][^>]*>\s*</script>"""
)
# Packages that a page names, and what it has in it if it uses them.
_USED = {
    "vega": re.compile(r"vegaEmbed\s*\("),
    "vega-lite": re.compile(r"vegaEmbed\s*\("),
    "vega-embed": re.compile(r"vegaEmbed\s*\("),
    "bootstrap-datepicker": re.compile(r"datepicker", re.IGNORECASE),
    "@fortawesome": re.compile(r"\bfa[srb]? fa-"),
    "bootstrap-table": re.compile(r"bootstrapTable\s*\(|data-toggle=.table\b"),
}
# Icons of Great Expectations' pages, as shapes: the font that has them is 157 kB, with a style sheet of 96 kB.
_ICONS = {
    "fa-check-circle": "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zm4.3 5.9-5 5.4a1 1 0 0 1-1.4 0L3.6 9 5 7.6l1.6 1.6 4.3-4.7z",
    "fa-times": "M3 1.6 8 6.6l5-5L14.4 3l-5 5 5 5-1.4 1.4-5-5-5 5L1.6 13l5-5-5-5z",
}
_ICON = re.compile(r"\bfa[srb]? (fa-[a-z-]+)")
# A page of more bytes is handed on as it is, a block at a time: that of a suite has some 60 kB.
LARGEST_PAGE = 8 * 1024 * 1024
# Assets that are kept in memory: 1.6 MB in all for each version of them.
_KEPT_ASSETS = 64
# Pages that are kept ready, of some hundred kB each.
_KEPT_PAGES = 32


@dataclass(frozen=True)
class Site:
    """The pages of one validation: ``address`` below the root, the result kept beside them, and what was altered.

    ``erased`` tells which files were taken out since, and when.
    """

    address: str
    phase: str
    number: int
    result: dict[str, Any]
    manifest: str
    altered: list[str]
    erased: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def page(self, suite: str) -> str | None:
        """The address of a suite's page, below the root."""
        prefix = f"{self.address}/validations/{suite}/"
        return next((name for name in self.files if name.startswith(prefix) and name.endswith(".html")), None)


def sites(migration: str, run: str) -> list[Site]:
    """The complete sites of a run, in the order of its validations. Raises CutoverError ``storage.*``."""
    root, folder = docs_root(), f"{migration}/{run}"
    names = root.names(folder)
    complete = []
    for address, (number, phase) in data_docs.complete(names, folder).items():
        files = {name: file for name, file in names.items() if name.startswith(f"{address}/")}
        complete.append(_site(root, address, number, phase, files))
    return complete


def _site(root: Storage, address: str, number: int, phase: str, files: dict[str, Object]) -> Site:
    wanted = [f"{address}/{name}" for name in ("result.json", data_docs.MANIFEST, data_docs.ERASED)]
    contents = root.read_all(name for name in wanted if name in files)
    result, manifest, erased = (contents.get(name) for name in wanted)
    empty: dict[str, Any] = {"suites": [], "checks": [], "digest": None}
    try:
        gone = json.loads(erased)["files"] if erased else {}
        if manifest is None or (result is None and "result.json" not in gone):
            raise ValueError
        return Site(
            address=address,
            phase=phase,
            number=number,
            result=json.loads(result) if result else empty,
            manifest=hashlib.sha256(manifest).hexdigest(),
            altered=data_docs.differences(root, address, files),
            erased=gone,
            files=tuple(sorted(files)),
        )
    except (ValueError, KeyError):  # one of the two is gone, or is no longer what was written
        return Site(address, phase, number, empty, "", ["result.json or manifest.json"], files=tuple(sorted(files)))


@dataclass(frozen=True)
class File:
    """A file to hand out: its ``kind`` for the browser, its bytes, and a ``tag`` that is another for other bytes."""

    root: Storage
    name: str
    kind: str
    size: int
    tag: str
    is_page: bool = False

    def content(self) -> bytes | None:
        """All of a page, with what it loads; None if it was taken away meanwhile."""
        try:
            return _page(self.root, self.name, self.tag)
        except _AbsentError:
            return None

    def blocks(self) -> Iterator[bytes]:
        """Any other file."""
        return self.root.blocks(self.name, self.size)


def find(migration: str, address: str) -> File | None:
    """The file at ``address`` below the root; None unless it is a file of one of this migration's complete sites.

    Links that lead out of the folder lead nowhere. Raises CutoverError ``storage.*``.
    """
    parts = PurePosixPath(address).parts
    # migration, run, site, and what is in it
    if len(parts) <= _IN_A_SITE or parts[0] != migration:
        return None
    file = _file(parts, _TYPES)
    if file is None or not _is_complete(file.root, "/".join(parts[:_IN_A_SITE])):
        return None
    return file


_IN_A_SITE = 3


def erased(migration: str, address: str) -> str | None:
    """When the file at ``address`` was taken out of its site; None if it was not, or never was in it."""
    parts = PurePosixPath(address).parts
    if len(parts) <= _IN_A_SITE or parts[0] != migration or not _is_name(parts):
        return None
    content = docs_root().read(f"{'/'.join(parts[:_IN_A_SITE])}/{data_docs.ERASED}")
    when = json.loads(content)["files"].get("/".join(parts[_IN_A_SITE:])) if content else None
    return str(when) if when else None


def find_asset(digest: str, address: str) -> File | None:
    """The script, style or font at ``address`` of the shared files with this ``digest``."""
    if not _DIGEST.fullmatch(digest):
        return None
    return _file((ASSETS, digest, *PurePosixPath(address).parts), _ASSET_TYPES)


def _file(parts: tuple[str, ...], types: dict[str, str]) -> File | None:
    kind = types.get(PurePosixPath(parts[-1]).suffix.lower())
    if kind is None or not _is_name(parts):
        return None
    root, name = docs_root(), "/".join(parts)
    stored = root.look(name)
    if stored is None:
        return None
    tag = hashlib.sha256(f"{name} {stored.version} {stored.size} {_composition()}".encode()).hexdigest()[:32]
    is_page = kind == _TYPES[".html"] and stored.size <= LARGEST_PAGE
    return File(root, name, kind, stored.size, tag, is_page)


def _is_name(parts: tuple[str, ...]) -> bool:
    return not any("\0" in part or part.startswith(".") or part in ("", "/") for part in parts)


def _is_complete(root: Storage, site: str) -> bool:
    key = (root.address, site)
    if key not in _complete and root.look(f"{site}/{data_docs.MANIFEST}") is not None:
        # a site that is complete stays so
        _complete[key] = None
        if len(_complete) > _MOST_COMPLETE:
            del _complete[next(iter(_complete))]
    return key in _complete


# Sites that this process has seen complete, newest last.
_complete: dict[tuple[str, str], None] = {}
_MOST_COMPLETE = 1_000


@lru_cache(maxsize=_KEPT_PAGES)
def _page(root: Storage, name: str, tag: str) -> bytes:  # noqa: ARG001 # another version has another tag
    return composed(root, _text(root, name)).encode()


def composed(root: Storage, page: str) -> str:
    """A page with the scripts and styles in it that it uses, and nothing to load besides."""

    def styled(link: re.Match[str]) -> str:
        if link[2].startswith("@fortawesome/"):
            return icons if icons is not None else link[0]
        return _inlined(root, page, link, "style")

    icons = _icons(page)
    composed = _LINK.sub(styled, page)
    composed = _SCRIPT.sub(lambda script: _inlined(root, page, script, "script"), composed)
    # browsers ask for one otherwise
    return re.sub(r"(<head\b[^>]*>)", r'\1<link rel="icon" href="data:,">', composed, count=1, flags=re.IGNORECASE)


def _inlined(root: Storage, page: str, tag: re.Match[str], element: str) -> str:
    package = tag[2].partition("/")[0]
    # what names an asset, names it as a package does; the rest of the page is what uses it
    if package in _USED and not _USED[package].search(_LINK.sub("", _SCRIPT.sub("", page))):
        return ""
    try:
        text = _asset(root, f"{ASSETS}/{tag[1]}/{tag[2]}")
    except _AbsentError:
        return tag[0]
    if f"</{element}" in text.lower() or "<!--" in text:
        # it would end its element, or not end it
        return tag[0]
    return f"<{element}>{text}</{element}>"


def _icons(page: str) -> str | None:
    """A style that shows the icons of a page; None if it has others than are known here."""
    names = {icon[1] for icon in _ICON.finditer(page)}
    if not names <= _ICONS.keys():
        return None
    shapes = "".join(
        f".{name}::before{{-webkit-mask-image:url({_shape(_ICONS[name])});mask-image:url({_shape(_ICONS[name])})}}"
        for name in sorted(names)
    )
    return (
        '<style>.fas::before{content:"";display:inline-block;width:1em;height:1em;vertical-align:-.125em;'
        f"background:currentColor;-webkit-mask-size:contain;mask-size:contain}}{shapes}</style>"
        if names
        else ""
    )


def _shape(path: str) -> str:
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path fill-rule='evenodd' d='{path}'/></svg>"
    return html.escape(f'"data:image/svg+xml,{svg}"', quote=False).replace("&lt;", "%3C").replace("&gt;", "%3E")


@lru_cache(maxsize=_KEPT_ASSETS)
def _asset(root: Storage, name: str) -> str:
    return _text(root, name)


def _text(root: Storage, name: str) -> str:
    content = root.read(name)
    if content is None:
        # what is not there is not remembered
        raise _AbsentError(name)
    return content.decode("utf-8", errors="replace")


class _AbsentError(Exception):
    pass


@lru_cache(maxsize=1)
def _composition() -> str:
    """What says how a page is put together: with another engine it is another page."""
    recipe = json.dumps([_ICONS, {name: pattern.pattern for name, pattern in _USED.items()}, "1"])
    return hashlib.sha256(recipe.encode()).hexdigest()
