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
    return [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]


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


def test_the_page_of_errors_is_what_the_code_says(repository: Path) -> None:
    """``./run errors`` writes it."""
    from stack import errors

    assert (repository / errors.PAGE).read_text() == errors.page(repository)
    entries = {entry.code: entry for entry in errors.entries(repository)}
    # of each way in which an error is made: an argument, a choice between two, a query, a table, a step, a right
    for code in (
        "swap.drift", "approve.expired", "approve.failed", "swap.columns-changed", "database.locked",
        "review.not-validated", "preflight.cannot-write", "preflight.course-missing",
    ):  # fmt: skip
        assert code in entries, code
    assert all(entry.raised_in for entry in entries.values())


def test_every_warning_check_and_reason_of_clean_launch_is_explained(repository: Path) -> None:
    page = (repository / "docs/clean_launch.md").read_text()
    folder = repository / "include/sql/clean_launch"
    listed = set(re.findall(r"`(\d\d_[a-z_]+)`", page[page.index("## Warnings for the approver") :]))
    assert listed == {path.stem for path in (folder / "review/warnings").glob("*.sql")}
    checks = page[page.index("## Validation") : page.index("## Warnings for the approver")]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", checks, re.M)) == {
        path.stem for path in (folder / "validate/checks").glob("*.sql")
    }
    rejects = (folder / "prepare/90_rejects.sql").read_text()
    replaced = rejects[rejects.index("reason in (") : rejects.index("rejected as")]
    fates = page[page.index("## What becomes of every row") : page.index("## Validation")]
    reasons = set(re.findall(r"'([a-z_]+)'", replaced))
    assert {reason for reason in reasons if f"`{reason}`" not in fates} == set()
    rules = re.findall(r"'((?:second )?payment [a-z ]*[a-z])'", (folder / "prepare/80_movement.sql").read_text())
    assert len(rules) > 6 and {rule for rule in rules if f"`{rule}`" not in fates} == set()


def test_every_command_is_one(repository: Path) -> None:
    from cutover.commands import COMMANDS
    from stack.__main__ import _COMMANDS

    named = {command for page in pages(repository) for command in _COMMAND.findall(page.read_text())}
    assert named - {"help"} == {*_COMMANDS, *COMMANDS}


def test_the_rows_of_the_apis_are_counted_right(repository: Path) -> None:
    (block,) = Population().blocks()
    tags = {tag for contact in block.contacts for tag in contact.tags}
    rows = len(block.invoices) + len(block.transactions) + len(block.contacts) + len(tags)
    assert f"APIs with {rows:,} rows" in " ".join((repository / "README.md").read_text().split())
