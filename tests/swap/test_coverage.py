"""What an approval covers: whatever of it changes stops the swap, which says what it was; what the engine itself does
between review and swap does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.production import Production, make_roles
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.swap import code
from stack.postgres import EmbeddedPostgres

from .test_any_schema import drop, make
from .test_fingerprint import SALES

LOAD = {"sales": "insert into staging.sales select * from public.sales"}


@pytest.fixture
def sales(server: EmbeddedPostgres) -> Iterator[Production]:
    """A production of one table."""
    make_roles(server)
    production = make(server, SALES)
    yield production
    drop(server, production)


def refused(production: Production, order: object) -> CutoverError:
    """How the swap refuses."""
    with pytest.raises(CutoverError) as raised:
        production.swap(order)  # type: ignore[arg-type]
    return raised.value


def test_whatever_is_covered_and_changes_stops_the_swap_and_is_named(
    sales: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales.install(SALES.swapped)
    with sales.connect() as connection:
        connection.execute("create schema input")
        connection.execute("create table input.known as select 1 as id, 'a' as name")
        connection.execute("create function input.rated(integer) returns integer language sql as 'select $1'")
    order = sales.prepare("r1", LOAD, SALES.swapped, merged=(), reads=[("input", "known"), ("input", "rated")])
    for change, back, named in (
        ("update staging.sales as s set amount = p.amount from staging.sales as p "
         "where s.id in (1, 2) and p.id = 3 - s.id",
         None, 'content of "staging"."sales"'),
        ("update input.known set name = 'b'", "update input.known set name = 'a'",
         'read by the swap of "input"."known"'),
        ("create or replace function input.rated(integer) returns integer language sql as 'select 2 * $1'",
         "create or replace function input.rated(integer) returns integer language sql as 'select $1'",
         "called by the swap of input.rated"),
        ("update cutover.run set parameters = '{\"a\": 1}'", "update cutover.run set parameters = '{}'", "parameters"),
        ("update cutover.run set review = '{\"a\": 1}'", "update cutover.run set review = null", "review"),
        ("update cutover.run set validation = '{\"a\": 1}'", "update cutover.run set validation = null", "validation"),
        ("insert into cutover.reconciliation (run, source, read, staged, merged, left_out, rejected) "
         "values ('r1', 's', 1, 1, 0, 0, 0)", "delete from cutover.reconciliation", "reconciliation"),
    ):  # fmt: skip
        with sales.admin() as admin:
            admin.execute(change.encode())
        error = refused(sales, order)
        assert error.code == "swap.not-approved" and f"({named})" in str(error), (change, str(error))
        with sales.admin() as admin:
            if back is None:  # the same again, written anew: the digest says so where the guard cannot
                admin.execute(change.encode())
            else:
                admin.execute(back.encode())
    sales.swap(order)


def test_files_that_change_while_the_question_waits_are_noticed(
    sales: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(files.ENGINE, tmp_path / "engine")
    monkeypatch.setattr(files, "ENGINE", tmp_path / "engine")
    order = sales.prepare("r1", LOAD, SALES.swapped, merged=())
    changed = tmp_path / "engine" / "catalog" / "move" / "40_move_in.sql"
    before = changed.read_text(encoding="utf-8")
    changed.write_text(before + "\n-- deployed\n", encoding="utf-8")
    files.text.cache_clear()
    try:
        error = refused(sales, order)
        assert error.code == "swap.code-changed" and "engine" in str(error)
        changed.write_text(before, encoding="utf-8")
        monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
        (tmp_path / "sql" / "test" / "swap").mkdir(parents=True)
        (tmp_path / "sql" / "test" / "swap" / "merge_it.sql").write_text("select 1", encoding="utf-8")
        (tmp_path / "sql" / "test" / "migration.yaml").write_text("migration: test\n", encoding="utf-8")
        files.text.cache_clear()
        error = refused(sales, order)
        assert error.code == "swap.code-changed" and "migration" in str(error)
    finally:
        files.text.cache_clear()


def test_production_may_get_an_index_or_a_rule_while_the_question_waits(sales: Production) -> None:
    order = sales.prepare("r1", LOAD, SALES.swapped, merged=())
    with sales.admin() as admin:
        admin.execute(
            "create index on public.sales (amount); alter table public.sales add check (amount > 0); "
            "create rule kept as on delete to public.sales do instead nothing; comment on table public.sales is 'sold'"
        )
    entry = sales.swap(order)
    covered = entry.report["coverage"]
    assert {"content", "definition", "snapshot", "engine"} <= {item["kind"] for item in covered}
    assert [item["rows"] for item in covered if item["kind"] == "content"] == [20]


def test_what_the_swap_reads_is_found_in_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sql" / "some" / "swap"
    folder.mkdir(parents=True)
    (folder / "merge_a.sql").write_text(
        '-- input.not_this\ninsert into auth.users select * from input . accounts join "input"."Odd name" '
        "on 'raw.x' = ''"
        " join cutover.changelog on true join staging.orders on true join staging.helper on true",
        encoding="utf-8",
    )
    (folder / "inside_b.sql").write_text(
        "do $$ begin perform 1 from raw.rows; execute 'select from cutover.product'; end $$", encoding="utf-8"
    )
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    files.text.cache_clear()
    try:
        assert code.reads("some", ["orders"]) == [
            ("cutover", "product"), ("input", "Odd name"), ("input", "accounts"), ("raw", "rows"), ("raw", "x"),
            ("staging", "helper"),
        ]  # fmt: skip
    finally:
        files.text.cache_clear()
