"""The engine is built in floors: nothing imports upwards, and a new room must say on which floor it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# From the ground. docs/architecture.md draws it.
FLOORS = (
    {"errors", "masking", "provider", "storage"},
    {"database"},
    {"records", "migration", "person"},
    {"extract", "swap"},
    {
        "scaffold",
        "inspection",
        "preflight",
        "room",
        "probes",
        "freeze",
        "transform",
        "validate",
        "review",
        "approve",
        "verify",
        "rollback",
        "revert",
        "retention",
        "status",
        "window",
        "notices",
        "watch",
        "outlook",
        "request",
        "erase",
        "restore",
        "dumps",
        "announce",
        "assess",
        "rehearsal",
        "wait",
        "lineage",
    },
    {"operators"},
    {"ui"},
    {"commands"},
)
# The evidence of a run holds its review's page as it was, and pages are made in ui.
EXCEPTIONS = {("operators/base.py", "ui")}
# It derives a class from Great Expectations, which takes seconds to import.
SLOW = "cutover.validate.counting"


def _floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def _imports(package: Path) -> Iterator[tuple[str, str]]:
    """(file, room of the engine that it imports from), everywhere in the file."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cutover":
                inner = node.module.split(".")[1:]
                for name in inner[:1] or [alias.name for alias in node.names]:
                    yield path.relative_to(package).as_posix(), name


def test_nothing_imports_upwards(repository: Path) -> None:
    imports = set(_imports(repository / "plugins" / "cutover"))
    upwards = {(file, room) for file, room in imports if _floor(room) > _floor(Path(file).parts[0].removesuffix(".py"))}
    assert len(imports) > 200
    assert upwards == EXCEPTIONS


def _late_imports(path: Path) -> Iterator[str]:
    """What of the engine is imported within a function: ``if TYPE_CHECKING`` is not."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
                if module.split(".")[0] == "cutover" and module != SLOW:
                    yield f"{path.name} imports {module} in {function.name}"


def test_only_operators_import_the_engine_where_it_is_used(repository: Path) -> None:
    engine = repository / "plugins" / "cutover"
    # and what Airflow asks of every process of its own for plugins
    late = (engine / "operators", engine / "ui" / "plugin.py")
    paths = [path for path in sorted(engine.rglob("*.py")) if not any(path.is_relative_to(one) for one in late)]
    assert [each for path in paths for each in _late_imports(path)] == []
