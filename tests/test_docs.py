"""What the documentation names is there: files, error codes, commands, and the figures of the demonstration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.population import Population

_LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
_PATH = re.compile(r"`((?:tests|include|plugins|dags|docs)/[\w./-]+)`")
_CODE = re.compile(r"\[([a-z]+)\.([a-z]+(?:-[a-z]+)*)\](?!\()")
_COMMAND = re.compile(r"\./run ([a-z-]+)")


def pages(repository: Path) -> list[Path]:
    """Everything that a user reads."""
    return [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]


def sources(repository: Path) -> str:
    """All code that can raise an error."""
    folders = [repository / name for name in ("plugins", "include", "dags")]
    files = [path for folder in folders for kind in ("*.py", "*.sql") for path in folder.rglob(kind)]
    return "\n".join(path.read_text() for path in [*files, repository / "run"])


@pytest.mark.parametrize("pattern", [_LINK, _PATH], ids=["links", "paths"])
def test_every_file_that_is_named_is_there(repository: Path, pattern: re.Pattern[str]) -> None:
    missing = [
        f"{page.name}: {name}"
        for page in pages(repository)
        for name in pattern.findall(page.read_text())
        if not ((page.parent if pattern is _LINK else repository) / name).exists()
    ]
    assert not missing


def test_every_error_code_that_is_explained_can_be_raised(repository: Path) -> None:
    code = sources(repository)
    unknown = [
        f"{page.name}: {phase}.{words}"
        for page in pages(repository)
        for phase, words in _CODE.findall(page.read_text())
        # refusals are named after their query file, rights after a column
        if f"{phase}.{words}" not in code and f"'{words}'" not in code
    ]
    assert not unknown


def test_every_command_is_one(repository: Path) -> None:
    from stack.__main__ import _COMMANDS

    named = {command for page in pages(repository) for command in _COMMAND.findall(page.read_text())}
    assert named - {"help"} == set(_COMMANDS) - {"help"}


def test_the_rows_of_the_apis_are_counted_right(repository: Path) -> None:
    (block,) = Population().blocks()
    tags = {tag for contact in block.contacts for tag in contact.tags}
    rows = len(block.invoices) + len(block.transactions) + len(block.contacts) + len(tags)
    assert f"APIs with {rows:,} rows" in " ".join((repository / "README.md").read_text().split())
