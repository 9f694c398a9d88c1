"""docs/errors.md, from the code: every error that a user can meet, when it comes, what clears it, where it is tested.

It reads the sources and runs nothing: a code is a literal where an error is made, its sentences are the literals beside
it, with an ellipsis for what only a run knows.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cutover.errors import PROGRAM
from stack.settings import ROOT

PAGE = Path("docs/errors.md")
_FOLDERS = ("plugins/cutover", "include/stack", "include/demo", "include/bench", "include/mula_platform")
_CODE = re.compile(r"^[a-z]+\.[a-z]+(-[a-z]+)*$")
_REFUSALS = Path("plugins/cutover/sql/catalog/refusals")
# A word as it stands in a query that names the reasons of preflight, beside the object, why and the remedy.
_REASON = re.compile(r"^    '([a-z]+(?:-[a-z]+)+)'(?: as code)?,$", re.MULTILINE)
# of a launch that has every step
_EVERYTHING = {"maintenance_window": True, "dump_sources": True, "rehearse": True, "probe": True}
# areas whose names are files, modules or other things with a dot
_NO_AREAS = frozenset(("cutover", "staging", "input", "public", "raw", "auth", "pg"))
_INTRODUCTION = """\
# Errors

Every error that somebody can meet and clear: `[area.words]`, the object, why, and the one thing that clears it. The
code never changes once released. `…` stands for what only a run knows. This page is written by `./run errors` from the
code, and a test fails when it is not.

What PostgreSQL or the network says in between is `database.*`: what may pass is tried again by itself.
"""


@dataclass
class Entry:
    """One code: where it is raised, in which words, and which tests name it."""

    code: str
    whens: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)
    raised_in: set[str] = field(default_factory=set)
    tests: list[str] = field(default_factory=list)


def page(root: Path = ROOT) -> str:
    """The whole page."""
    areas: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries(root):
        areas[entry.code.split(".")[0]].append(entry)
    parts = [_INTRODUCTION]
    parts.append(" · ".join(f"[{area}](#{area})" for area in sorted(areas)) + "\n")
    for area in sorted(areas):
        parts.append(f"## {area}\n")
        parts += [_shown(entry) for entry in areas[area]]
    return "\n".join(parts)


def entries(root: Path = ROOT) -> list[Entry]:
    """Every code, in order."""
    known: dict[str, Entry] = {}
    for path in _sources(root):
        tree = ast.parse(path.read_text(), str(path))
        for code, when, remedy in _made(tree):
            _add(known, code, path.relative_to(root), when, remedy)
    refusals = [(f"swap.{path.stem}", path) for path in (root / _REFUSALS).glob("*.sql")]
    refusals += [(f"preflight.{path.stem}", path) for path in (root / "include/sql").glob("*/preflight/*.sql")]
    for code, path in refusals:
        _add(known, code, path.relative_to(root), _first_sentence(path.read_text()), None)
    rights = root / "plugins/cutover/sql/catalog/rights.sql"
    for words in _REASON.findall(rights.read_text()):
        _add(known, f"preflight.{words}", rights.relative_to(root), "A right is missing that the message names.", None)
    for code, when, remedy in _phases():
        _add(known, code, Path("plugins/cutover/records/phase.py"), when, remedy)
    tests = {path.relative_to(root): path.read_text() for path in sorted((root / "tests").rglob("test_*.py"))}
    for entry in known.values():
        area, words = entry.code.split(".")
        # a pattern escapes the dot; a table of refusals leaves out the area
        named = re.compile(rf"\b{area}\\*\.{words}\b(?!-)" + (rf"|[\"']{words}[\"']" if "-" in words else ""))
        entry.tests = [str(path) for path, text in tests.items() if words in text and named.search(text)]
    return [known[code] for code in sorted(known)]


def _sources(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from sorted((root / folder).rglob("*.py"))


def _add(known: dict[str, Entry], code: str, path: Path, when: str | None, remedy: str | None) -> None:
    entry = known.setdefault(code, Entry(code))
    entry.raised_in.add(str(path))
    if when and when not in entry.whens:
        entry.whens.append(when)
    if remedy and remedy not in entry.remedies:
        entry.remedies.append(remedy)


def _made(tree: ast.AST) -> Iterator[tuple[str, str | None, str | None]]:
    """Code, why and remedy of every call whose first argument is a code, or one of several codes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple):
            yield from _listed(node)
        if not isinstance(node, ast.Call) or not node.args:
            continue
        codes = [code for code in _literals(node.args[0]) if _is_code(code)]
        # the sentences come last, whatever the helper is called
        said = [_words(argument) for argument in node.args[1:]]
        when, remedy = (said[-2], said[-1]) if len(said) >= 3 else (None, None)
        for code in codes:
            yield code, when, remedy


def _listed(node: ast.Tuple) -> Iterator[tuple[str, str | None, str | None]]:
    """A line of a table of errors: its code, what has happened, what clears it."""
    said = [_words(part) for part in node.elts]
    for position, text in enumerate(said[:-2]):
        if text is not None and _is_code(text) and all(said[position + 1 : position + 3]):
            yield text, said[position + 1], said[position + 2]


def _phases() -> Iterator[tuple[str, str, str]]:
    """What a step says when one that it needs is missing, for every step of every migration of this repository."""
    from cutover import migration
    from cutover.records import phase

    for name in migration.declared():
        known = phase.steps(migration.load(name), phase.SWAP, _EVERYTHING)
        for step in known.values():
            for needed in step.after:
                missing = known[needed]
                yield (
                    f"{step.area}.{missing.missing}",
                    "A step before it is not on record, does not hold, or was made from what has been made anew since.",
                    "clear the task that the message names, with the tasks behind it.",
                )


def _first_sentence(text: str) -> str:
    """Of the comment at the head of a query."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines).split(". ")[0].rstrip(".") + "."


def _is_code(text: str) -> bool:
    return (
        _CODE.match(text) is not None
        and text.split(".", maxsplit=1)[0] not in _NO_AREAS
        and not text.endswith((".sql", ".py", ".json", ".yaml", ".com"))
    )


def _literals(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return _literals(node.body) + _literals(node.orelse)
    return []


def _words(node: ast.AST) -> str | None:
    """A sentence as it stands in the code; None where the code says nothing of it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.FormattedValue):
        return PROGRAM if isinstance(node.value, ast.Name) and node.value.id == "PROGRAM" else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (_words(node.left) or "…") + (_words(node.right) or "…")
    if isinstance(node, ast.IfExp):
        return " / ".join(filter(None, (_words(node.body), _words(node.orelse)))) or None
    return None


def _shown(entry: Entry) -> str:
    lines = [f"### {entry.code}\n"]
    lines += [f"* {_escaped(when)}" for when in entry.whens] or ["* Said in the message itself."]
    lines += [f"* **To clear it:** {_escaped(remedy)}" for remedy in entry.remedies]
    where = ", ".join(f"`{path}`" for path in sorted(entry.raised_in))
    tested = ", ".join(f"`{path}`" for path in entry.tests) or "no test by this name"
    lines.append(f"* Raised in {where}; tested in {tested}.\n")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """A sentence on one line, with nothing in it that Markdown would take for markup."""
    return re.sub(r"([*_<>|])", r"\\\1", " ".join(text.split()))
