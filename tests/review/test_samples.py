"""What the review keeps of rows: what changes, and nothing about the person."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from cutover import review
from cutover.masking import HIDDEN, masked_text
from cutover.migration import load
from cutover.records.run import Run
from cutover.review import counts, samples, sections
from cutover.swap import scope
from cutover.transform import SCHEMA
from tests.clean_launch_world import RUN, World, at

MIGRATION = load("clean_launch")


@pytest.fixture
def world(connection: psycopg.Connection) -> World:
    """Maria is a customer whose phone is known, Juan a member, Ana new; the test account loses its profile."""
    world = World(connection).create()
    maria = world.profile(world.account("maria@example.com"), "maria@example.com", first_name="Mary", phone="0917 111")
    juan = world.profile(world.account("juan@example.com"), "juan@example.com", first_name="Juan")
    world.profile(world.account("qa.1@learn.example.com"), "qa.1@learn.example.com", first_name="Quentin")
    world.current("affiliates", user_id=juan, total_earned=500)
    world.current("affiliates", user_id=maria, total_earned=250)
    world.contact("maria@example.com", ["PaidP2P"], first_name="Maria", surname="Santos", phone_number="0917 222")
    world.contact("ana@example.com", [], first_name="Ana", surname="Reyes")
    world.invoice("maria@example.com", amount=1000, paid_at=at("2024-06-02"))
    world.invoice("ana@example.com", amount=499, description="a tip")
    return world.transform()


def _scope(world: World) -> scope.Scope:
    return scope.read(
        world.connection,
        MIGRATION.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema="backup_r1",
        merged=MIGRATION.merged_tables(),
    )


def test_samples_show_what_changes_and_mask_who(world: World) -> None:
    samples_of = samples.of_tables(world.connection, _scope(world), MIGRATION, samples.masks("clean_launch"))
    profiles = samples_of["unified_profiles"]
    changed, member = profiles["changed"]
    assert set(member["columns"]) == {"affiliate_id"}
    assert changed["columns"]["last_name"] == {"before": None, "after": "S•••"}
    assert changed["columns"]["acquisition_source"]["after"] == "systemeio"
    assert [row["email"] for row in profiles["added"]] == ["a•••@e•••"]
    assert [row["email"] for row in profiles["removed"]] == ["q•••@l•••"]
    assert {row["email"] for row in samples_of["leads"]["added"]} == {"m•••@e•••", "a•••@e•••"}
    assert [row["email"] for row in samples_of["auth.users"]["added"]] == ["a•••@e•••"]
    text = json.dumps(samples_of, default=str).lower()
    for personal in ("maria", "santos", "juan", "ana@", "reyes", "quentin", "0917", "example.com"):
        assert personal not in text, personal


def test_a_changed_row_is_counted_though_some_of_its_columns_are_null(world: World) -> None:
    (row,) = [
        one for one in counts.of_tables(world.connection, _scope(world), MIGRATION) if one["name"] == "unified_profiles"
    ]
    assert row == {"name": "unified_profiles", "before": 3, "after": 3, "added": 1, "removed": 1, "changed": 2}


def test_a_table_that_no_suite_knows_is_masked_whole() -> None:
    hide = samples.Masks({"known": ["email"]})
    assert hide.row("unknown", {"id": "7", "note": "Maria Santos", "age": 41}) == {
        "id": "7",
        "note": "M•••",
        "age": "•••",
    }


def test_values_are_cut_before_they_are_kept() -> None:
    assert len(str(samples.cut("x" * 10_000_000))) == samples.LONGEST + 1
    assert len(str(samples.cut({"a": "x" * 10_000_000}))) == samples.LONGEST + 1


def test_where_a_long_text_is_cut_no_half_of_an_address_is_left() -> None:
    for pad in range(samples.READ - 12, samples.READ + 2):
        said = f"{'x' * (pad - 1)} maria@example.com and more{'!' * samples.READ}"
        stored = samples.shortened(said)
        assert len(stored) <= samples.READ + len(HIDDEN) and "mari" not in masked_text(stored)
        # and what looks for the columns of a suite masks the rest
        assert "maria" not in str(samples.Masks({"t": []}).row("t", {"id": 1, "note": said}))
    assert samples.shortened("x" * 3 * samples.READ) == HIDDEN
    assert samples.shortened("maria " * 10) == "maria " * 10
    # a quotation that goes on behind the cut is looked for in the whole
    row = samples.Masks({}).query_row({"detail": f'invalid: "{"Maria Santos " * samples.READ}"'})
    assert row == {"detail": f'invalid: "{HIDDEN}"'}


def test_long_values_are_cut_by_the_database_and_their_changes_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for schema, end in (("public", "one"), (SCHEMA, "two")):
        world.connection.execute(
            f"update {schema}.unified_profiles set acquisition_source = repeat('word ', 200000) || '{end}', "
            f"""admin_metadata = jsonb_build_object('phone', repeat('0917 ', 200000), 'end', '{end}') """
            "where email ~ 'maria'".encode()
        )
    longest: list[int] = []
    shortened = samples.shortened

    def look(value: Any) -> Any:
        longest.append(len(str(value)))
        return shortened(value)

    monkeypatch.setattr(samples, "shortened", look)
    samples_of = samples.of_tables(world.connection, _scope(world), MIGRATION, samples.masks("clean_launch"))
    changed, _ = samples_of["unified_profiles"]["changed"]
    # they differ behind what is shown
    source = changed["columns"]["acquisition_source"]
    assert source["before"] == source["after"] == f"{('word ' * 100)[: samples.LONGEST]}…"
    # personal, and so masked: the first figure of its length
    assert changed["columns"]["admin_metadata"]["after"] == "1•••"
    assert max(longest) <= samples.READ_WHOLE
    assert "0917 0917" not in json.dumps(samples_of, default=str)


def test_no_row_is_looked_for_where_none_was_counted(world: World) -> None:
    counted = [{"name": "unified_profiles", "added": 1, "removed": 1, "changed": 0}]
    samples_of = samples.of_tables(world.connection, _scope(world), MIGRATION, samples.masks("clean_launch"), counted)
    assert {kind: len(rows) for kind, rows in samples_of["unified_profiles"].items()} == {
        "added": 1,
        "removed": 1,
        "changed": 0,
    }


def _sections(world: World, folder: str) -> dict[str, dict[str, Any]]:
    row = Run(**dict.fromkeys(Run.__dataclass_fields__) | {"run": RUN})  # type: ignore[arg-type]
    world.connection.execute("reset search_path")
    sections_of = sections.of_folder(world.connection, MIGRATION, row, folder, samples.masks("clean_launch"))
    return {section["name"]: section for section in sections_of}


def test_figures_and_warnings_say_what_the_approver_has_to_know(world: World) -> None:
    figures, warnings = _sections(world, "review"), _sections(world, "review/warnings")
    revenue = {row[0]: row[2:] for row in figures["10_revenue"]["rows"]}
    assert {product: str(after[1]) for product, after in revenue.items()} == {
        "p2p_course": "1000.00",
        "unattributed": "499.00",
    }
    assert [row[0] for row in figures["15_revenue_by_month"]["rows"]] == ["2024-06", "2024-06"]
    assert warnings["10_unattributed_payments"]["total"] == 1
    assert (warnings["40_members"]["total"], warnings["42_test_accounts"]["total"]) == (1, 1)
    assert [str(row[-1]) for row in warnings["60_money_carried"]["rows"]] == ["500.00", "250.00"]
    text = json.dumps([figures, warnings], default=str).lower()
    for personal in ("maria@", "juan@", "ana@", "santos", "reyes", "0917"):
        assert personal not in text, personal


def test_a_warning_keeps_a_page_of_rows_and_the_whole_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        world.invoice(f"tip{number}@example.com", amount=50, description="another tip")
    world.connection.commit()
    world.transform()
    monkeypatch.setattr(sections, "WARNING_ROWS", 2)
    warning = _sections(world, "review/warnings")["10_unattributed_payments"]
    assert (warning["total"], len(warning["rows"])) == (6, 2)


def test_the_form_shows_short_figures_and_takes_nothing_in_them_for_markdown() -> None:
    made = {
        "tables": [], "reconciliation": [], "warnings": [], "dependents": [], "captured": 0, "lock_times": [],
        "validation": None, "fingerprint": "f" * 64,
        "figures": [
            {"title": "Revenue", "total": 2, "columns": ["product", "before", "after", "change"],
             "rows": [["p2p", "2556765.00", "3992354.93", "1435589.93"], ["![x](h)|`<b>`\n", "0", "1.50", None]]},
            {"title": "By month", "total": 9, "columns": ["month", "before", "after"], "rows": [["2025-01", 1, 2]] * 9},
            {"title": "People", "total": 1, "columns": ["found", "customers"], "rows": [["account", 3307]]},
        ],
    }  # fmt: skip
    text = review.markdown(made)
    assert "| `p2p` | 2,556,765.00 | 3,992,354.93 | 1,435,589.93 |" in text
    assert "| `![x](h)\\| <b> ` | 0 | 1.50 | – |" in text
    assert "By month" not in text and "People" not in text
