"""A declaration that is wrong is refused, and the key that is wrong is named."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.database import statements
from cutover.errors import CutoverError
from cutover.migration import load, parse

GOOD: dict[str, Any] = {
    "migration": "m",
    "connections": {"api": {"auth": "basic"}},
    "sources": {"things": {"connection": "api", "path": "/things", "paging": {"cursor": ["after"]}}},
}


def test_the_declaration_of_clean_launch_is_read() -> None:
    migration = load("clean_launch")
    assert list(migration.sources) == [
        "xendit_invoices",
        "xendit_transactions",
        "systemeio_contacts",
        "systemeio_tags",
    ]
    for source in migration.sources.values():
        for kind in ("create", "store"):
            assert f"raw.{source.name}" in statements.text(f"clean_launch/extract/{source.name}.{kind}.sql")
        created = statements.text(f"clean_launch/extract/{source.name}.create.sql")
        assert all(f"    {column} " in created for column in source.personal)


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(declared: dict[str, Any]) -> None:
        for key in path[:-1]:
            declared = declared[key]
        declared[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (_set("sources", "things", "pagging", value={}), "sources.things.pagging"),
        (_set("sources", "things", "path", value="things"), "sources.things.path"),
        (_set("sources", "things", "paging", value={"cursor": []}), "sources.things.paging.cursor"),
        (_set("sources", "things", "connection", value="nowhere"), "sources.things.connection"),
        (_set("sources", "things", "paging", "size", value="many"), "sources.things.paging.size"),
        (
            _set("sources", "things", "incremental", value=[{"name": "w", "start": "a", "end": "b"}]),
            "sources.things",
        ),
        (
            _set("sources", "things", "history", value={"column": "c", "start": "a", "end": "b", "first": "long"}),
            "sources.things.history.first",
        ),
        (_set("sources", "things", "paging", "lanes", value=0), "sources.things.paging.lanes"),
        (_set("sources", "things", "paging", "lanes", value=4), "sources.things"),
        (_set("connections", "api", "auth", value="trust"), "connections.api.auth"),
        (_set("surprise", value=1), "surprise"),
        (_set("migration", value="other"), "migration"),
    ],
)
def test_a_wrong_key_is_named(change: Callable[[dict[str, Any]], None], key: str) -> None:
    declared = copy.deepcopy(GOOD)
    parse(yaml.safe_dump(declared), "m")
    change(declared)
    with pytest.raises(CutoverError) as raised:
        parse(yaml.safe_dump(declared), "m")
    assert raised.value.code == "migration.invalid"
    assert re.fullmatch(rf"include/sql/m/migration.yaml, line \d+, {key}", raised.value.obj)


@pytest.mark.parametrize(
    ("paging", "why"),
    [
        ({"by": "pages"}, r"paging.by: it is 'pages', and should be .*'page', 'offset', 'next' or 'link'"),
        ({"by": "page", "cursor": ["after"]}, r"paging: `cursor` is for paging by cursor, and this is by page"),
        ({"by": "link", "next": "links.next"}, r"paging: `next` is for paging by next, and this is by link"),
        ({"by": "next"}, r"paging: paging by next needs `next`"),
        ({"by": "offset", "size_parameter": None}, r"paging: paging by offset needs `size_parameter`"),
        ({}, r"paging: paging by cursor needs `cursor`"),
    ],
)
def test_keys_of_another_way_to_page_are_refused(paging: dict[str, Any], why: str) -> None:
    declared = copy.deepcopy(GOOD)
    declared["sources"]["things"]["paging"] = paging
    with pytest.raises(
        CutoverError, match=rf"\[migration.invalid\] include/sql/m/migration.yaml, line \d+, sources.things.{why}"
    ):
        parse(yaml.safe_dump(declared), "m")


def test_a_link_is_a_member_beside_the_rows() -> None:
    declared = copy.deepcopy(GOOD)
    declared["sources"]["things"] |= {"paging": {"by": "next", "next": "items.next"}, "rows": "items"}
    with pytest.raises(CutoverError, match=r"`paging.next` is a member beside `rows`"):
        parse(yaml.safe_dump(declared), "m")
    del declared["sources"]["things"]["rows"]
    with pytest.raises(CutoverError, match=r"`rows` is null, so the response itself is the list"):
        parse(yaml.safe_dump(declared), "m")


@pytest.mark.parametrize("text", ["- a list", "just text", "", "a: [", "\ta: b"])
def test_what_is_no_declaration_is_told_so(text: str) -> None:
    with pytest.raises(CutoverError, match=r"\[migration.invalid\] include/sql/m/migration.yaml, line 1: "):
        parse(text, "m")


def test_a_migration_that_is_not_there_is_told_so() -> None:
    with pytest.raises(CutoverError, match=r"\[migration.missing\] migration nothing"):
        load("nothing")


@pytest.mark.parametrize("name", ["swap", "review", "demo", "bench", "mula_platform"])
def test_a_migration_cannot_have_the_name_of_anothers_statements(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its files would stand in for the engine's, or the engine's for its own."""
    for package in ("demo", "bench", "mula_platform"):
        (tmp_path / package).symlink_to(repository / "include" / package)
    folder = tmp_path / "sql" / name
    folder.mkdir(parents=True)
    (folder / "migration.yaml").write_text(f"migration: {name}\n")
    (folder / "settings.sql").write_text("select 'shadow'")
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    load.cache_clear()
    statements.text.cache_clear()
    try:
        with pytest.raises(CutoverError, match=rf"\[migration.name-taken\] migration {name}"):
            load(name)
        assert "shadow" not in statements.text("swap/settings.sql")
    finally:
        load.cache_clear()
        statements.text.cache_clear()


def test_a_source_that_is_not_there_is_told_so() -> None:
    with pytest.raises(CutoverError, match=r"\[migration.no-such-source\].*xendit_invoices, xendit_transactions"):
        load("clean_launch").source("orders")


def test_what_is_read_and_how_is_in_the_fingerprint_and_nothing_else() -> None:
    source = load("clean_launch").source("xendit_invoices")
    assert source.model_copy(update={"personal": ()}).fingerprint == source.fingerprint
    assert source.model_copy(update={"permission": "x"}).fingerprint == source.fingerprint
    assert source.model_copy(update={"params": {"a": "b"}}).fingerprint != source.fingerprint
    in_lanes = source.paging.model_copy(update={"lanes": 8})
    assert source.model_copy(update={"paging": in_lanes}).fingerprint == source.fingerprint
    smaller = source.paging.model_copy(update={"size": 50})
    assert source.model_copy(update={"paging": smaller}).fingerprint != source.fingerprint
