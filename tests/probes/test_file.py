"""The form of a probe file, and where it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover import inspection, migration
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.probes.file import read
from cutover.swap import code

PATH = "shop/probes/orders.sql"


def test_a_file_says_what_it_is_for_and_what_has_to_hold() -> None:
    probe = read(
        PATH,
        "-- What a list shows. It is asked often.\n-- Assert: no fewer  rows,  not slower than 2.5 x.\n"
        "-- assert: some rows\n\nselect 'a;b' from orders; -- at last\n",
    )
    assert probe.title == "What a list shows" and probe.query.strip() == "select 'a;b' from orders"
    assert [(one.text, one.line, one.factor) for one in probe.assertions] == [
        ("no fewer rows", 2, None), ("not slower than 2.5 x", 2, 2.5), ("some rows", 3, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("-- Nothing.\n", 2, "it has no query"),
        ("", 1, "it has no query"),
        ("-- Two.\nselect 1;\n\nselect 2", 4, "a second statement begins"),
        ("-- T.\n-- assert: samerows\nselect 1", 2, "`samerows` cannot be asserted. Did you mean `same rows`?"),
        ("-- T.\n-- assert same rows\nselect 1", 2, "after `assert` comes a colon"),
        ("-- T.\n-- assert:\nselect 1", 2, "nothing is asserted"),
        ("-- T.\n-- assert: not slower than 0.5x\nselect 1", 2, "cannot be asserted"),
        ("-- T.\ndelete from orders", 2, "no query that only reads"),
        ("-- T.\n\nwith d as (delete from orders returning id) select id from d", 3, "no query that only reads"),
        ("-- T.\nselect id from orders for update", 2, "no query that only reads"),
        ("-- T.\nselect id into x from orders", 2, "no query that only reads"),
        ("-- T.\nvacuum orders", 2, "no query that only reads"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(CutoverError) as wrong:
        read(PATH, text)
    assert wrong.value.code == "probes.wrong-file"
    assert wrong.value.obj == f"include/sql/{PATH}, line {line}" and why in wrong.value.why


def test_a_slip_in_a_probe_is_found_without_a_database(own: Path) -> None:
    declared = migration.load("tiny")
    assert inspection.of_files(declared) == []
    (own / "sql/tiny/probes/people.sql").write_text("-- P.\n-- assert: none\nselect 1")
    files.text.cache_clear()
    (reason,) = inspection.of_files(declared)
    assert (reason.code, reason.obj) == ("probes.wrong-file", "include/sql/tiny/probes/people.sql, line 2")


def test_a_probe_is_covered_by_the_approval(own: Path) -> None:
    before = code.of_migration("tiny")
    path = own / "sql/tiny/probes/people.sql"
    path.write_text(path.read_text() + "-- otherwise\n")
    files.text.cache_clear()
    assert code.of_migration("tiny") != before


def test_every_probe_that_is_shipped_has_the_form() -> None:
    for name in ("clean_launch", "mula_unification"):
        paths = files.files(f"{name}/probes")
        assert len(paths) >= 3
        for path in paths:
            assert 20 < len(read(path, files.text(path)).title) < 100, path
