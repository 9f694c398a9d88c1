"""The order of the loads follows from the foreign keys, or the migration is refused with the circle's name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cutover import migration
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration import load_order

TWO = {
    "a": "create table staging.a (id int not null, b_id int references staging.b (id), primary key (id))",
    "b": "create table staging.b (id int primary key, a_id int not null references staging.a (id))",
}


def test_parents_come_first_and_the_circle_is_closed_last() -> None:
    order = load_order.steps(migration.load("clean_launch"))
    assert order == [
        "users",
        "transactions",
        "unified_profiles",
        "affiliates",
        "enrollments",
        "leads",
        "unified_profiles.affiliate_id",
    ]


def test_a_live_table_counts_as_the_staging_table_that_is_merged_into_it() -> None:
    waits_for = load_order.load_dependencies(migration.load("clean_launch"))
    assert waits_for["unified_profiles"] == waits_for["transactions"] == {"users"}
    assert waits_for["unified_profiles.affiliate_id"] == {"unified_profiles", "affiliates"}


def test_a_circle_that_nothing_closes_is_refused_by_name_with_the_file_that_would_close_it() -> None:
    with pytest.raises(CutoverError) as raised:
        load_order.dependencies(TWO, ["a", "b"], {})
    assert raised.value.code == "transform.cycle"
    assert set(raised.value.obj.split(" → ")) == {"a", "b"}
    assert "transform/a.b_id.sql" in raised.value.remedy
    assert "transform/b.a_id.sql" not in raised.value.remedy


def test_a_closing_file_breaks_the_circle_at_its_column() -> None:
    assert load_order.flat_order(load_order.dependencies(TWO, ["a", "b", "a.b_id"], {})) == ["a", "b", "a.b_id"]


@pytest.mark.parametrize(
    ("loads", "code"),
    [
        (["a"], "transform.no-load"),
        (["a", "b", "c"], "transform.no-ddl"),
        (["a", "b", "a.typo"], "transform.no-key"),
        (["a", "b", "b.a_id"], "transform.no-key"),
    ],
)
def test_a_table_without_a_load_and_a_load_without_a_table_or_nullable_key_are_refused(
    loads: list[str], code: str
) -> None:
    with pytest.raises(CutoverError) as raised:
        load_order.dependencies(TWO, loads, {})
    assert raised.value.code == code


@pytest.mark.parametrize("ddl", ["", "create table staging.a (", "drop table x", "create table staging.b (id int)"])
def test_ddl_that_does_not_create_its_table_is_refused(ddl: str) -> None:
    with pytest.raises(CutoverError) as raised:
        load_order.dependencies({"a": ddl}, ["a"], {})
    assert raised.value.code == "transform.unreadable-ddl"


def test_a_foreign_key_to_the_table_itself_is_no_circle() -> None:
    ddl = {"a": "create table staging.a (id int primary key, parent int references staging.a (id))"}
    assert load_order.dependencies(ddl, ["a"], {}) == {"a": set()}


def test_the_order_is_the_same_in_every_process() -> None:
    program = (
        "from cutover import migration; from cutover.migration import load_order;"
        "print(load_order.steps(migration.load('clean_launch')),"
        "      [sorted(s) for s in load_order.load_dependencies(migration.load('clean_launch')).values()])"
    )
    values = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(values) == 1


def test_the_foreign_keys_of_a_new_table_can_be_added_after_its_load() -> None:
    now, later = load_order.split_foreign_keys(files.text("clean_launch/staging/leads.sql"))
    assert now[0].startswith("CREATE TABLE staging.leads")
    assert "REFERENCES" not in now[0]
    assert len(now) == 3
    assert [statement.split(" FOREIGN")[0] for statement in later] == [
        "alter table staging.leads add CONSTRAINT leads_user_id_fkey"
    ]
