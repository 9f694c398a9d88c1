"""The suites of clean_launch hold for a clean world, and each says what is wrong with one that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cutover import migration
from cutover.errors import CutoverError
from cutover.validate import suites
from cutover.validate.result import ValidationResult
from tests.clean_launch_world import World, launch

Validate = Callable[..., ValidationResult]

# One change of the staged rows, and the expectations that must notice it.
MISTAKES = [
    (
        "insert into staging.users select * from staging.users where email = 'ben@example.com'",
        ["users: expect_column_values_to_be_unique of id", "users: expect_column_values_to_be_unique of email"],
    ),
    (
        "update staging.leads set email = 'Lead@example.com', bounced = null where email = 'lead@example.com'",
        [
            "leads: expect_column_values_to_not_match_regex of email",
            "leads: expect_column_values_to_not_be_null of bounced",
        ],
    ),
    (
        "update staging.unified_profiles set tags = '{b,a}' where email = 'ana@example.com'",
        ["unified_profiles: Tags are sorted, each once, and the same as Systeme.io's."],
    ),
    (
        "update staging.unified_profiles set acquisition_source = 'facebook' where email = 'cleo@example.com'",
        [
            "unified_profiles: A customer comes from Systeme.io or Xendit.",
            "unified_profiles: Whoever comes from Systeme.io has a contact's id, and nobody else.",
        ],
    ),
    (
        "update staging.unified_profiles set membership_level_id = gen_random_uuid() where email = 'ben@example.com'",
        ["unified_profiles: A membership level exists."],
    ),
    (
        "update staging.transactions set status = 'refunded' where status = 'partially_refunded'",
        ["transactions: The status says what went back: nothing, a part, or all of it."],
    ),
    (
        "update staging.transactions set fiscal_quarter = fiscal_quarter + 1 where product_type = 'canva_ebook'",
        ["transactions: Year and quarter are the calendar's in Manila when it was paid."],
    ),
    (
        "update staging.transactions set amount = 801, currency = 'php' where transaction_type = 'manual'",
        [
            "transactions: A payment made by hand is the catalogue's price, unless staff have booked another.",
            "transactions: expect_column_values_to_match_regex of currency",
        ],
    ),
    (
        "update staging.transactions set product_type = 'ebook', xendit_invoice_id = null "
        "where product_type = 'unattributed'",
        [
            "transactions: The product is one of the catalogue, or unattributed.",
            "transactions: A payment has an invoice; one by hand has none, nor fee or time but as booked by staff.",
        ],
    ),
    (
        "update staging.enrollments set status = 'revoked' where product_type = 'canva_ebook'",
        ["enrollments: It is revoked exactly when every transaction of it was fully returned."],
    ),
    (
        "update staging.enrollments set course_id = gen_random_uuid() "
        "where user_id in (select id from staging.users where email = 'cleo@example.com')",
        ["enrollments: Product and course are the catalogue's.", "enrollments: The course exists."],
    ),
    (
        "update staging.enrollments set transaction_id = gen_random_uuid() "
        "where user_id in (select id from staging.users where email = 'ben@example.com')",
        ["enrollments: The transaction is the same customer's, for the same product."],
    ),
    (
        "update staging.affiliates set commission_rate = 1.5, user_id = gen_random_uuid() where total_earned = 5",
        [
            "affiliates: expect_column_values_to_be_between of commission_rate",
            "affiliates: Every affiliate has a profile.",
            "unified_profiles: An affiliate id is the person's own affiliate row.",
        ],
    ),
]


def failed(result: ValidationResult) -> set[str]:
    """``suite: expectation`` of everything that does not hold."""
    return {f"{suite.suite}: {failure.expectation}" for suite in result.suites for failure in suite.failed}


def test_a_clean_world_passes_every_suite_and_check(validate: Validate) -> None:
    result = validate()
    assert failed(result) == set()
    assert [check for check in result.checks if not check.success] == []
    assert result.success
    assert [suite.suite for suite in result.suites] == migration.load("clean_launch").staging_tables()
    assert sum(suite.evaluated for suite in result.suites) > 100


def test_each_mistake_is_found_by_the_expectation_that_is_about_it_and_by_no_other(
    world: World, validate: Validate
) -> None:
    world.unprotected()
    for statement, _ in MISTAKES:
        assert world.connection.execute(statement).rowcount > 0, statement
    expected = {expectation for _, expectations in MISTAKES for expectation in expectations}
    assert failed(validate()) == expected


def test_too_few_rows_fail_by_the_parameters_that_a_run_gives(validate: Validate) -> None:
    result = validate(minimum_transactions=6000, minimum_leads=4)
    assert failed(result) == {
        "transactions: expect_table_row_count_to_be_between",
        "leads: expect_table_row_count_to_be_between",
    }
    assert [f.observed for suite in result.suites for f in suite.failed] == ["found 3", "found 4"]


def test_the_minimum_counts_of_the_business_rules_are_the_defaults() -> None:
    parameters = suites.parameters(suites.load("clean_launch"), {"unknown": 1})
    assert parameters == {
        "minimum_enrollments": 6000,
        "minimum_leads": 1,
        "minimum_profiles": 6000,
        "minimum_transactions": 6000,
    }


def test_a_failed_validation_names_what_does_not_hold_and_where_to_look(world: World, validate: Validate) -> None:
    world.connection.execute("update staging.transactions set status = 'lost' where transaction_type = 'manual'")
    result = validate()
    with pytest.raises(CutoverError) as raised:
        result.require_success()
    assert raised.value.code == "validate.failed"
    assert "transactions: expect_column_values_to_be_in_set of status (1 of 4 rows)" in str(raised.value)
    assert str(result.data_docs) in str(raised.value)


def test_what_is_only_a_warning_is_shown_and_stops_nothing(world: World, validate: Validate) -> None:
    world.connection.execute("update staging.affiliates set total_earned = -1 where total_earned = 0")
    result = validate()
    (affiliates,) = [suite for suite in result.suites if suite.suite == "affiliates"]
    assert (affiliates.success, len(affiliates.warned)) == (True, 1)


def test_the_same_rows_give_the_same_digest_and_one_changed_outcome_another(world: World, validate: Validate) -> None:
    first, again = validate(), validate()
    assert first.digest == again.digest
    assert first.data_docs != again.data_docs
    world.connection.execute("update staging.affiliates set total_earned = -1 where total_earned = 0")
    assert validate().digest != first.digest


def test_the_result_is_small_and_plain(validate: Validate) -> None:
    record = validate().as_dict()
    assert json.loads(json.dumps(record)) == record
    assert len(json.dumps(record)) < 8_000


def test_after_the_swap_the_suites_run_over_production(world: World, validate: Validate) -> None:
    launch(world)
    world.run_file("clean_launch/swap/merge_users.sql")
    world.connection.execute("create table public.leads (like staging.leads)")
    world.connection.execute("insert into public.leads select * from staging.leads")
    # somebody has signed up in the meantime: no source knows this person, and nothing is wrong with that
    account = world.account("New@example.com")
    world.profile(account, "New@example.com", acquisition_source="signup")
    world.connection.execute("drop schema staging cascade")
    result = validate("production")
    assert failed(result) == set()
    assert "users" not in [suite.suite for suite in result.suites]
    world.connection.execute("alter table public.enrollments drop constraint enrollments_user_id_fkey")
    world.connection.execute("update public.enrollments set user_id = gen_random_uuid()")
    assert failed(validate("production")) == {"enrollments: Every enrolment has its customer's profile."}


def test_a_query_that_cannot_run_fails_its_expectation_and_says_why(world: World, validate: Validate) -> None:
    world.connection.execute("alter table cutover.product rename column manual_price to price")
    (suite,) = [suite for suite in validate().suites if suite.failed]
    (failure,) = suite.failed
    assert failure.observed.startswith("could not be evaluated: (psycopg.errors.UndefinedColumn)")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("users.json", "{", "validate.bad-suite"),
        ("users.json", '{"name": "users", "expectations": []}', "validate.bad-suite"),
        ("users.json", '{"name": "people", "expectations": [], "meta": {"personal": [], "parameters": {}}}',
         "validate.bad-suite"),
        ("readme.txt", "", "validate.no-suites"),
    ],
)  # fmt: skip
def test_a_suite_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, code: str
) -> None:
    folder = tmp_path / "expectations" / "clean_launch"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    with pytest.raises(CutoverError) as raised:
        suites.load("clean_launch")
    assert raised.value.code == code


def test_a_table_without_a_suite_and_a_suite_without_a_table_are_refused() -> None:
    loaded = suites.load("clean_launch")
    for tables in ([*[suite.table for suite in loaded], "invoices"], [suite.table for suite in loaded][1:]):
        with pytest.raises(CutoverError, match=r"validate\.no-suites"):
            suites.require_one_each(loaded, tables, "clean_launch")


def test_an_unknown_expectation_is_refused_with_the_suites_name(
    validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = suites.load("clean_launch")
    unknown: dict[str, Any] = {"type": "expect_the_best", "kwargs": {}}
    broken = [replace(first, expectations=(unknown,)), *others]
    monkeypatch.setattr(suites, "load", lambda name: broken)
    with pytest.raises(CutoverError, match=r"validate\.bad-suite\] suite affiliates.json"):
        validate()
