"""Every row that differs: what the review has counted, row by row, as its samples show a few."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover.errors import CutoverError
from cutover.masking import HIDDEN
from cutover.records import run as runs
from cutover.review import difference, samples, subject
from cutover.transform import SCHEMA
from cutover.ui import sheet
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.clean_launch_reviewed import MIGRATION, reviewed
from tests.clean_launch_world import RUN, World, at
from tests.own_type import SHOUT

HIDE = samples.masks("clean_launch")


@pytest.fixture(scope="module")
def template(server: EmbeddedPostgres) -> Iterator[str]:
    """A database with a world that is reviewed.

    Maria is a customer whose phone is known, Juan a member, Ana new; the test account loses its profile.
    """
    name = f"difference_{os.getpid()}"
    with psycopg.connect(databases.create(server, name)) as connection:
        world = World(connection).create()
        maria = world.account("maria@example.com")
        world.profile(maria, "maria@example.com", first_name="Mary", phone="0917 111")
        juan = world.profile(world.account("juan@example.com"), "juan@example.com", first_name="Juan")
        world.profile(world.account("qa.1@learn.example.com"), "qa.1@learn.example.com", first_name="Quentin")
        world.current("affiliates", user_id=juan, total_earned=500)
        world.current("affiliates", user_id=maria, total_earned=250)
        world.contact("maria@example.com", ["PaidP2P"], first_name="Maria", surname="Santos", phone_number="0917 222")
        world.contact("ana@example.com", [], first_name="Ana", surname="Reyes")
        world.invoice("maria@example.com", amount=1000, paid_at=at("2024-06-02"))
        world.invoice("ana@example.com", amount=499, description="a tip")
        world.transform()
        reviewed(connection, RUN)
    yield name
    databases.drop(server, name)


@pytest.fixture
def database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """A copy of it; its DSN as superuser."""
    name = f"{template}_copy"
    yield databases.create(server, name, template)
    databases.drop(server, name)


@pytest.fixture
def world(connection: psycopg.Connection) -> World:
    """The world in the copy."""
    return World(connection)


def differences(world: World, table: str, *kinds: str) -> list[difference.Difference]:
    """All of them, of every kind unless one is named."""
    compared = difference.of_table(world.connection, MIGRATION, runs.get(world.connection, RUN), table)
    found = difference.rows(world.connection, compared, HIDE, kinds or difference.KINDS, lambda _: None)
    return list(found)


def of(world: World, table: str) -> difference.Comparison:
    """How a table of the run's review is compared."""
    return difference.of_table(world.connection, MIGRATION, runs.get(world.connection, RUN), table)


def refusal(world: World, table: str = "unified_profiles") -> str:
    """The code with which its differences are refused."""
    with pytest.raises(CutoverError) as refused:
        differences(world, table)
    world.connection.rollback()
    return refused.value.code


def lines(world: World, table: str, *kinds: str) -> list[dict[str, str]]:
    """The file of a table's differences, as a program reads it."""
    chosen = kinds or difference.KINDS
    pieces = sheet.difference(of(world, table), differences(world, table, *kinds), chosen)
    text = b"".join(pieces).decode()
    assert text.startswith(sheet.MARK) and "\n" not in text.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(text.removeprefix(sheet.MARK), newline="")))


def test_there_are_as_many_as_the_review_counts_of_each_table_and_kind(world: World) -> None:
    review = runs.get(world.connection, RUN).review
    assert review is not None and len(review["tables"]) > 5
    for table in review["tables"]:
        counted = Counter(one.kind for one in differences(world, table["name"]))
        assert {kind: counted[kind] for kind in difference.KINDS} == {kind: table[kind] for kind in difference.KINDS}, (
            table
        )
    names = {table["name"]: table for table in review["tables"]}
    assert names["auth.users"]["added"] == 1 and names["unified_profiles"]["changed"] == 2


def test_a_row_shows_what_the_samples_show_of_it(world: World) -> None:
    scope = subject.scope_of(world.connection, MIGRATION, RUN)
    samples_of = samples.of_tables(world.connection, scope, MIGRATION, HIDE)
    for table, shown in samples_of.items():
        found = differences(world, table)
        assert [one.after for one in found if one.kind == "added"] == shown["added"], table
        assert [one.before for one in found if one.kind == "removed"] == shown["removed"], table
        changed = [one for one in found if one.kind == "changed"]
        assert [
            {name: {"before": one.before.get(name), "after": one.after[name]} for name in one.columns}
            for one in changed
        ] == [one["columns"] for one in shown["changed"]], table
        text = json.dumps(lines(world, table)).lower()
        for personal in ("maria", "santos", "juan", "ana@", "reyes", "quentin", "0917", "example.com"):
            assert personal not in text, (table, personal)


def test_a_file_has_a_line_for_each_row_and_the_columns_that_its_kinds_have(world: World) -> None:
    maria, juan = sorted(lines(world, "unified_profiles", "changed"), key=lambda line: line["last_name after"])[::-1]
    assert (maria["kind"], maria["last_name before"], maria["last_name after"]) == ("changed", "", "S•••")
    assert "last_name" in maria["columns that differ"] and juan["columns that differ"] == "affiliate_id"
    (new,) = lines(world, "unified_profiles", "added")
    assert new["email after"] == "a•••@e•••" and not any(name.endswith(" before") for name in new)
    (gone,) = lines(world, "unified_profiles", "removed")
    assert gone["email before"] == "q•••@l•••" and not any(name.endswith(" after") for name in gone)
    assert {line["kind"] for line in lines(world, "unified_profiles")} == {"added", "removed", "changed"}
    assert lines(world, "enrollments", "removed") == []


def test_stretches_of_any_length_find_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = {name: differences(world, name) for name in ("unified_profiles", "auth.users", "leads", "affiliates")}
    for size in (1, 2, 3):
        monkeypatch.setattr(difference, "STRETCH", size)
        assert {name: differences(world, name) for name in at_once} == at_once


KEYS = ("a, b", "b, a", "b, a, mood", "mood, a, b", "c", "b, a, shout", "shout")


def test_every_row_is_met_once_whatever_the_key_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types of the application's sort in their own order, and by operators that are not on the search path."""
    monkeypatch.setattr(difference, "STRETCH", 3)
    execute = world.connection.execute
    execute("create type public.mood as enum ('z', 'b', 'a')")
    execute(SHOUT.encode())
    rows = (
        "select a, 'it''s \\ ' || b, (array['z', 'b', 'a'])[1 + (a + b) % 3]::public.mood, timestamptz '2024-01-01' + "
        "(a * 100 + b) * interval '1.000001 s', ('Key ' || a || b)::public.shout, null::text "
        "from generate_series(1, 4) as a, generate_series(1, 5) as b"
    )
    columns = "a integer, b text, mood public.mood, c timestamptz, shout public.shout, note text"
    for number, key in enumerate(KEYS):
        for schema in ("public", SCHEMA):
            execute(f"create table {schema}.pages{number} ({columns}, primary key ({key}))".encode())
            execute(f"insert into {schema}.pages{number} {rows}".encode())
        execute(f"delete from staging.pages{number} where a = 1 and b like '%2'".encode())
        execute(f"delete from public.pages{number} where a = 3 and b like '%3'".encode())
        execute(f"update staging.pages{number} set note = 'new' where a = 4".encode())
        if key == "shout":
            # a key that is written otherwise is the same row's
            execute(f"update staging.pages{number} set shout = upper(shout::text)::public.shout where a = 4".encode())
        changed = ("shout", "note") if key == "shout" else ("note",)
        found = Counter((one.kind, one.columns) for one in through(world, f"pages{number}"))
        assert found == {("removed", ()): 1, ("added", ()): 1, ("changed", changed): 5}, key
    # a new table without a key is gone through by where its rows lie
    execute("create table staging.bare as select n from generate_series(1, 10) as n")
    assert [one.after for one in through(world, "bare")] == [{"n": HIDDEN}] * 10


def through(world: World, table: str) -> list[difference.Difference]:
    """The differences of a table that the migration does not have."""
    live, staged = sql.Identifier("public", table), sql.Identifier(SCHEMA, table)
    ways, key, columns = difference.between(world.connection, staged, live, merges=False)
    compared = difference.Comparison(RUN, table, columns, key, table, ways)
    return list(difference.rows(world.connection, compared, HIDE, difference.KINDS, lambda _: None))


def test_nothing_of_production_is_held_while_somebody_reads(
    world: World, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setattr(difference, "STRETCH", 1)
    found = difference.rows(world.connection, of(world, "affiliates"), HIDE, ("added", "changed"), lambda _: None)
    with psycopg.connect(database) as application:
        application.execute("update public.affiliates set total_earned = 7")
    first = next(found)
    # a row is as it was when it was read
    assert (first.columns, first.before["total_earned"]) == (("total_earned",), "7.00")
    with psycopg.connect(database) as application:
        application.execute("lock table public.affiliates, staging.affiliates nowait")
        state = "select state, backend_xmin from pg_stat_activity where pid = %s"
        assert application.execute(state, (world.connection.info.backend_pid,)).fetchone() == ("idle", None)
        application.execute("update public.affiliates set total_earned = 8")
    assert [one.before["total_earned"] for one in found if one.kind == "changed"] == ["8.00"]


def test_the_staged_tables_of_another_run_are_not_shown_as_this_one_s(
    world: World, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setattr(difference, "STRETCH", 1)
    compared = of(world, "unified_profiles")
    found = difference.rows(world.connection, compared, HIDE, difference.KINDS, lambda _: None)
    next(found)
    with psycopg.connect(database) as other:
        other.execute("insert into cutover.run (run, migration, dag_id, dag_run_id, parameters) "
                      "values ('r2', 'clean_launch', 'clean_launch', 'm2', '{}')")  # fmt: skip
        other.execute("update cutover.workspace set run = 'r2'")
    with pytest.raises(CutoverError, match=r"diff.overtaken.*r2 has them"):
        list(found)
    world.connection.rollback()
    assert refusal(world) == "diff.overtaken"
    world.connection.execute("delete from cutover.workspace")
    assert refusal(world) == "diff.overtaken"


@pytest.mark.parametrize("staged", ["stays", "goes"])
def test_rows_are_not_read_past_a_swap_that_commits_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, database: str, staged: str
) -> None:
    """Of a table that is merged the staged rows stay, and no longer differ: half a list would pass for a whole one."""
    monkeypatch.setattr(difference, "STRETCH", 1)
    compared = of(world, "unified_profiles")
    rows = difference.rows(world.connection, compared, HIDE, difference.KINDS, lambda _: None)
    next(rows)
    with psycopg.connect(database) as swap:
        swap.execute("""insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, snapshot, xid,
            started_at, locked_at, attempts, tables, carried) values (%s, 'clean_launch', 'swap', 'b', 'f',
            pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')""", (RUN,))  # fmt: skip
        if staged == "goes":
            swap.execute("create schema moved; alter table staging.unified_profiles set schema moved")
    with pytest.raises(CutoverError, match=r"diff\.launched"):
        list(rows)


def test_what_cannot_be_shown_is_refused_in_words(world: World) -> None:
    assert refusal(world, "unified_profile") == "diff.unknown-table"
    assert refusal(world, "auth.audit\0") == "diff.unknown-table"
    world.connection.execute("update staging.unified_profiles set first_name = 'Marie' where email ~ 'maria'")
    world.connection.commit()
    assert refusal(world) == "diff.changed"
    assert differences(world, "affiliates", "removed") == []
    world.connection.execute("update cutover.run set review = null")
    assert refusal(world) == "diff.no-review"
    world.connection.execute("""update cutover.run set review = '{"undoes": "r0", "tables": []}'""")
    assert refusal(world) == "diff.not-a-launch"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+63 917", "'+63 917"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r\n=1", "'\r\n=1"),
        ("＝1+1", "'＝1+1"),
        ("-", "'-"),
        ("-1.2.3", "'-1.2.3"),
        (-5, "-5"),
        ("-12.50", "-12.50"),
        ("-1e-7", "-1e-7"),
        ("a=b", "a=b"),
        (True, "true"),
        (None, ""),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(value: Any, text: str) -> None:
    assert sheet.cell(value) == text


def test_names_of_columns_are_no_formulas_either_and_cells_hold_any_text() -> None:
    compared = difference.Comparison("r1", "t", ("id", "=x", 'a "quoted", name'), ("id",), "t", ())
    row = difference.Difference("added", {}, {"id": 1, "=x": "one\r\ntwo, three", 'a "quoted", name': 'say "hi"'}, ())
    text = b"".join(sheet.difference(compared, [row], ["added"])).decode().removeprefix(sheet.MARK)
    head, line = csv.reader(io.StringIO(text, newline=""))
    assert head == ["kind", "id", "columns that differ", "'=x after", 'a "quoted", name after']
    assert line == ["added", "1", "", "one\r\ntwo, three", 'say "hi"']


def test_a_long_file_is_made_in_pieces() -> None:
    compared = difference.Comparison("r1", "t", ("id", "note"), ("id",), "t", ())
    rows = (difference.Difference("added", {}, {"id": number, "note": "x" * 100}, ()) for number in range(5_000))
    pieces = sheet.difference(compared, rows, ["added"])
    first = next(pieces)
    assert len(first) < 100_000 and next(rows).after["id"] < 1_000
    assert len(list(pieces)) > 3
