"""Whatever is wrong with a declaration is told with its line, the key, what was meant, and a correct example."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.database import statements
from cutover.errors import CutoverError, meant
from cutover.migration import load, parse
from cutover.migration.declaration import Migration
from cutover.migration.faults import EXAMPLE, example, keys

# Lines of a terminal's first screen.
SCREEN = 24
SHIPPED = ("clean_launch", "mula_unification")

GOOD = """\
migration: m
connections:
  api: {auth: basic}
sources:
  things:
    connection: api
    path: /things
    rows: items
    paging:
      by: cursor
      cursor: [after]
databases:
  old: {}
tables:
  old_things:
    database: old
    table: public.things
    columns: {id: bigint}
"""


def refusal(text: str, name: str = "m", staged: Collection[str] | None = None) -> CutoverError:
    """The error for a text, once it is seen to be of the kind that helps."""
    with pytest.raises(CutoverError) as raised:
        parse(text, name, staged)
    error = raised.value
    assert error.code == "migration.invalid"
    assert error.obj.startswith(f"include/sql/{name}/migration.yaml, line ")
    assert error.__cause__ is None, "what a library says is not for people"
    assert len(str(error).splitlines()) <= SCREEN, error
    return error


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.mark.parametrize(
    ("old", "new", "key", "why", "shows"),
    [
        ("    path: /", "    pth: /", "sources.things.pth", "no such key. Did you mean `path`?", "path: /"),
        ("connections:", "conections:", "conections", "Did you mean `connections`?", "api:"),
        ("auth: basic", "auth: basik", "connections.api.auth", "Did you mean `basic`?", "auth: header"),
        ("connection: api", "connection: apy", "sources.things.connection", "Did you mean `api`?", "connection: api"),
        ("database: old", "database: odl", "tables.old_things.database", "Did you mean `old`?", "database: old_shop"),
        ("{id: bigint}", "{id_: bigint}", "tables.old_things", "Did you mean `id_`?", "columns: {id:"),
        ("    rows: items", "    size: 5", "sources.things.size", "it belongs to `sources.*.paging`", "size: 100"),
        ("      by: cursor", "      by: curser", "sources.things.paging.by", "Did you mean `cursor`?", "by: cursor"),
        ("    path: /things\n", "", "sources.things.path", "it is missing.", "path: /v1/"),
        ("migration: m\n", "", "migration", "it is missing.", "migration: m"),
        ("migration: m", "migration: n", "migration", "it says 'n', and its folder is called 'm'.", "migration: m"),
        ("path: /things", "path: things", "sources.things.path", "a path that begins with /", "path: /v1/"),
        ("table: public.things", "table: things", "tables.old_things.table", "schema.table", "table: public."),
        ("id: bigint", "id: BIG", "tables.old_things.columns.id", "a type as PostgreSQL", "id: bigint"),
        ("  things:", "  Things-2:", "sources.Things-2", "should be a name: small letters", "Things-2:"),
        ("  api: {auth", "  on: {auth", "connections.1", "put the key in quotes", "api:"),
        ("rows: items", "rows: no", "sources.things.rows", "it is false, and should be text.", "rows: items"),
        ("rows: items", "rows: {a: b}", "sources.things.rows", "it is a section, and should be text.", "rows: items"),
        ("by: cursor", "size: yes", "sources.things.paging.size", "it is true, and should be a whole", "size: 100"),
        ("by: cursor", "size: '9'", "sources.things.paging.size", "it is '9', and should be a whole", "size: 100"),
        ("rows: items", "gone_share: yes", "sources.things.gone_share", "it is true, and should be a number", "0.1"),
        ("rows: items", "gone_share: 7", "sources.things.gone_share", "should be less than or equal to 1", "0.1"),
        ("cursor: [after]", "cursor: after", "sources.things.paging.cursor", "should be a list.", "[after]"),
        ("cursor: [after]", "cursor: []", "sources.things.paging.cursor", "at least one.", "[after]"),
        ("by: cursor", "by: next", "sources.things.paging", "`cursor` is for paging by cursor", "next: links.next"),
        ("rows: items", "name: other", "sources.things.name", "take `name` out", "things:"),
        ("  old: {}", "  old:", "databases.old", "it is empty, and should be a section", "fence: old_shop_owner"),
        ("migration: m", "migration: m\nwindow: {steps: {swap: 9}}", "window.steps.swap", "such as 90d, 12h", "5m"),
        ("migration: m", "migration: m\nnamespace: 7", "namespace", "it is 7, and should be a UUID.", "namespace: "),
        ("migration: m", "migration: m\nmerge:", "merge", "it is empty, and should be a section", "users: auth.users"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_key_line_and_example(old: str, new: str, key: str, why: str, shows: str) -> None:
    parse(GOOD, "m")
    assert GOOD.count(old) == 1
    error = refusal(GOOD.replace(old, new))
    assert error.obj.endswith(f", {key}")
    assert why in error.why
    introduction, _, correct = error.remedy.partition("\n")
    assert introduction == "correct it, as in this example:" and shows in correct
    assert isinstance(yaml.safe_load(correct), dict)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("    rows: items", "    rows: items\n    rows: data", 9, "`rows` stands in line 8 already"),
        ("databases:", "sources: {}\ndatabases:", 12, "`sources` stands in line 4 already"),
        ("  api: {auth: basic}", "  api: {auth: basic, auth: header}", 3, "`auth` stands in line 3 already"),
        ("  things:", "\tthings:", 5, "it is indented by a tab."),
        ("    path:", "  \t path:", 7, "it is indented by a tab."),
        ("path: /things", "path: @things", 7, "a value that begins with @ is no YAML."),
        ("path: /things", "path: *things", 7, "it begins with *"),
        ("path: /things", "path: /a: b", 7, "a colon stands where none can"),
        ("path: /things", "path: !things x", 7, "a tag (!) means nothing here."),
        ("path: /things", "path: !!int x", 7, "'x' looks like a number, and is none."),
        ("path: /things", "path: 2015-02-31", 7, "'2015-02-31' looks like a date, and is none."),
        ("path: /things", "path: '/\x01'", 7, "it holds the character U+0001."),
        ("    path: /things", "   path: /things", 7, "it is not YAML"),
        ("path: /things", "path: '/things", 7, "it is not YAML"),
        ("connections:", "? [a, b]\n: c\nconnections:", 2, "a key is a list, or has keys itself."),
        ("databases:", "---\ndatabases:", 12, "a second document begins"),
        ("  api: {auth: basic}", "  api: &api {auth: *api}", 3, "an alias (*) stands within what it repeats."),
        # libyaml by itself would end the process at the second
        ("path: /things", f"path: {'[' * 100}", 7, "41 deep"),
        ("path: /things", f"path: {'[' * 200_000}", 7, "41 deep"),
        (GOOD, "", 1, "it has no keys at its top level."),
        (GOOD, "- a list", 1, "it has no keys at its top level."),
    ],
    ids=str,
)  # fmt: skip
def test_a_text_that_cannot_be_read_or_is_ambiguous_is_told_with_its_line(
    old: str, new: str, line: int, why: str
) -> None:
    error = refusal(GOOD.replace(old, new, 1))
    assert error.obj.startswith(f"include/sql/m/migration.yaml, line {line}")
    assert why in error.why
    assert error.remedy


def test_text_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sql" / "latin"
    folder.mkdir(parents=True)
    (folder / "migration.yaml").write_bytes("migration: latin\n# für\n".encode("latin-1"))
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    with pytest.raises(CutoverError, match=r"\[migration.invalid\].*line 2: it is not text in UTF-8."):
        load("latin")


def test_a_migration_that_is_nearly_there_is_named() -> None:
    with pytest.raises(CutoverError, match=r"\[migration.missing\].*Did you mean `clean_launch`\?"):
        load("clean_lunch")
    with pytest.raises(CutoverError, match=r"\[migration.no-such-source\].*Did you mean `systemeio_tags`\?"):
        load("clean_launch").source("systemeio_tag")


def test_nothing_is_guessed_where_nothing_is_alike() -> None:
    assert meant("zebra", ["path", "paging"]) == ""
    error = refusal(GOOD + "zebra: 1\n")
    assert "Did you mean" not in error.why and "migration, connections, sources" in error.why


def test_the_value_of_a_key_that_nobody_knows_is_not_told() -> None:
    error = refusal(GOOD.replace("auth: basic", "auth: basic, password: hunter2"))
    assert "password" in error.obj and "hunter2" not in str(error)


def test_the_lines_of_further_faults_are_named() -> None:
    text = GOOD.replace("auth: basic", "auth: 7").replace("rows: items", "rows: 7").replace("table: public", "table: 7")
    error = refusal(text)
    assert ", line 3, connections.api.auth" in error.obj
    assert error.why.endswith(" Lines 8, 17 are wrong, too.")


def test_the_name_of_a_source_may_be_repeated_as_it_is() -> None:
    parse(GOOD.replace("    rows: items", "    name: things"), "m")


def test_an_anchor_may_be_repeated_and_merged() -> None:
    text = (
        GOOD
        + "  other: &t\n    <<: {key: id}\n    database: old\n    table: a.b\n    columns: {id: bigint}\n  more: *t\n"
    )
    tables = parse(text, "m").tables
    assert [tables["other"].name, tables["more"].name] == ["other", "more"]
    error = refusal(text.replace("table: a.b", "table: ab"))
    assert f"line {line_of(text, 'table: a.b')}, tables.other.table" in error.obj


def test_the_example_is_right_and_has_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    parse(text, "shop")
    values = yaml.safe_load(text)
    assert [path for path in keys(Migration) if path[-1] != 0 and not _is_in(values, path)] == []


def test_every_key_has_an_example_of_itself_that_fits_on_a_screen() -> None:
    for path in keys(Migration):
        named = tuple("mine" if part == "*" else part for part in path)
        text = example(Migration, named, "m", {})
        value = yaml.safe_load(text)
        assert len(text.splitlines()) <= SCREEN - 2
        for part in named:
            value = value[part]


def _is_in(values: Any, path: tuple[Any, ...]) -> bool:
    if not path:
        return True
    part, rest = path[0], path[1:]
    if part == "*":
        return any(_is_in(value, rest) for value in values.values())
    if isinstance(values, list):
        return _is_in(values[0], rest)
    return isinstance(values, dict) and part in values and _is_in(values[part], rest)


# Every key of what is shipped, without, under another name and with another kind of value: one of each in the schema.


def _places(values: Any, schema: dict[Any, Any], above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The first place in ``values`` of each key of the schema; names that a team chooses are passed over."""
    for part, below in schema.items():
        if part == "*":
            merged = [(key, one) for key, one in values.items()]
        elif isinstance(values, list):
            merged = list(enumerate(values))
        else:
            merged = [(part, values[part])] if part in values else []
        for key, one in merged:
            if part not in {"*", 0}:
                yield (*above, key)
            if isinstance(one, (dict, list)):
                yield from _places(one, below, (*above, key))


def _tree() -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for path in keys(Migration):
        at = tree
        for part in path:
            at = at.setdefault(part, {})
    return tree


def _of_schema(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """A path with ``*`` for names: to have one of each."""
    at, shown = _tree(), []
    for part in path:
        key = 0 if isinstance(part, int) else part if part in at else "*"
        shown.append(key)
        at = at[key]
    return tuple(shown)


def _cases() -> Iterator[Any]:
    for name in SHIPPED:
        values = yaml.safe_load(statements.text(f"{name}/migration.yaml"))
        one_of_each = {_of_schema(path): path for path in reversed(list(_places(values, _tree())))}
        for path in one_of_each.values():
            yield pytest.param(name, path, id=f"{name}-{'.'.join(map(str, path))}")


def _changed(values: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> str:
    values = copy.deepcopy(values)
    at = values
    for part in path[:-1]:
        at = at[part]
    change(at, path[-1])
    text: str = yaml.dump(values, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    return text


@pytest.mark.parametrize(("name", "path"), _cases())
def test_each_key_of_what_is_shipped_dropped_renamed_or_of_another_type(name: str, path: tuple[Any, ...]) -> None:
    values = yaml.safe_load(statements.text(f"{name}/migration.yaml"))
    key = path[-1]

    def rename(at: Any, key: Any) -> None:
        at[f"{key}x"] = at.pop(key)

    def retype(at: Any, key: Any) -> None:
        at[key] = 17 if isinstance(at[key], (dict, list)) else {"a": {"b": 1}}

    text = _changed(values, path, rename)
    error = refusal(text, name)
    assert error.obj.endswith(f", line {line_of(text, f'{key}x:')}, {'.'.join(map(str, path))}x")
    assert f"Did you mean `{key}`?" in error.why and f"{key}:" in error.remedy

    text = _changed(values, path, retype)
    error = refusal(text, name)
    assert ", and should be " in error.why or "such as 90d" in error.why or key == "migration"
    assert f"{key}:" in error.remedy

    try:
        parse(_changed(values, path, lambda at, key: at.pop(key)), name)
    except CutoverError as error:
        assert error.code == "migration.invalid" and ", line " in error.obj
        assert "as in this example:" in error.remedy and len(str(error).splitlines()) <= SCREEN


@pytest.mark.parametrize(
    ("declared", "key", "why", "shows"),
    [
        (
            "may_be_empty: [users, ordres]",
            "may_be_empty.1",
            "'ordres' is no staging table: there is no staging/ordres",
            "",
        ),
        ("may_be_empty: [users, ordres]", "may_be_empty.1", "Did you mean `orders`?", "may_be_empty: [refunds]"),
        ("may_be_empty:\n- users\n- nothing_like_it", "may_be_empty.1", "no staging/nothing_like_it.sql", ""),
        ("merge: {usrs: auth.users}", "merge.usrs", "Did you mean `users`?", "users: auth.users"),
        ("merge:\n  users: auth.users\n  no_such: auth.no_such", "merge.no_such", "'no_such' is no staging", ""),
        ("retire: [old, orders]", "retire.1", "'orders' has a successor, which staging/orders.sql makes", "old_orders"),
    ],
)
def test_a_name_of_a_table_that_no_file_makes_is_refused(declared: str, key: str, why: str, shows: str) -> None:
    error = refusal(f"{GOOD}{declared}\n", staged=["orders", "users"])
    assert error.obj.endswith(f", {key}")
    assert why in error.why
    assert shows in error.remedy
    first = line_of(GOOD + declared, declared.splitlines()[0])
    assert f"line {first + (len(declared.splitlines()) - 1)}," in error.obj


def test_all_lines_with_names_that_no_file_makes_are_told_at_once() -> None:
    error = refusal(f"{GOOD}merge: {{usrs: auth.users}}\nmay_be_empty: [ordres]\n", staged=["orders", "users"])
    assert error.obj.endswith(", merge.usrs")
    assert f"Line {len(GOOD.splitlines()) + 2} is wrong, too." in error.why


def test_names_of_tables_that_there_are_are_taken() -> None:
    parse(f"{GOOD}merge: {{users: auth.users}}\nmay_be_empty: [orders]\nretire: [old]\n", "m", ["orders", "users"])


def test_a_migrations_folder_says_which_tables_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sql" / "m" / "staging"
    folder.mkdir(parents=True)
    (folder / "orders.sql").write_text("create table staging.orders (id bigint primary key);\n")
    (folder.parent / "migration.yaml").write_text("migration: m\nmay_be_empty: [ordesr]\n")
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    load.cache_clear()
    with pytest.raises(CutoverError, match=r"line 2, may_be_empty.0.*Did you mean `orders`\?"):
        load("m")
