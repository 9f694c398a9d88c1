"""Checks across tables, each broken once; and the balance of every source (the law over all business rules)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.validate import checks
from cutover.validate.result import CheckResult
from tests.clean_launch_world import RUN, World, at

BREAKS = {
    "customers": "delete from staging.unified_profiles where email = 'cleo@example.com'",
    "enrolments": "delete from staging.enrollments where product_type = 'canva_ebook'",
    "kept_ids": "update staging.transactions set id = gen_random_uuid() where metadata ->> 'note' = 'kept'",
    "leads": "update staging.leads set stage = 'customer' where email = 'lead@example.com'",
    "members": "update staging.unified_profiles set phone = '2' where email = 'member@example.com'",
    "money_owed": "update staging.affiliates set total_earned = 4.99 where total_earned = 5",
    "new_accounts": "update staging.users set email = 'ana@example.com' where is_new and email like 'b%'",
    "orphans": "update staging.enrollments set user_id = gen_random_uuid() where product_type = 'canva_ebook'",
    "paid_invoices": "delete from staging.transactions where product_type = 'unattributed'",
    "reconciliation": "delete from staging.leads where email = 'lead@example.com'",
    "refunds": "update staging.transactions set refunded_amount = 0",
    "revenue": "update staging.transactions set amount = amount + 0.01 where product_type = 'canva_ebook'",
}


def run(world: World) -> dict[str, CheckResult]:
    """All checks, by name."""
    return {check.check: check for check in checks.run(world.connection, "clean_launch", RUN)}


def test_every_check_holds_in_a_clean_world_and_says_what_it_is_about(world: World) -> None:
    result = run(world)
    assert all(check.success for check in result.values()), [check for check in result.values() if not check.success]
    assert all(len(check.title) > 20 for check in result.values())


def test_there_is_a_test_that_breaks_each_check() -> None:
    assert sorted(BREAKS) == [Path(path).stem for path in files.files("clean_launch/validate/checks")]


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_broken_rule_is_found_with_the_rows_at_fault(world: World, name: str) -> None:
    world.unprotected()
    assert world.connection.execute(BREAKS[name].encode()).rowcount > 0
    result = run(world)[name]
    assert not result.success
    assert result.offending >= len(result.sample) > 0


def test_a_check_that_cannot_run_is_an_error_and_not_a_pass(world: World) -> None:
    world.connection.execute("drop table input.affiliates")
    with pytest.raises(CutoverError, match=r"validate\.check-broken\] clean_launch/validate/checks/kept_ids.sql"):
        run(world)


def test_a_sample_is_short_and_counts_are_whole(world: World) -> None:
    for number in range(30):
        world.invoice(f"person{number}@example.com")
    world.transform()
    world.unprotected()
    world.connection.execute("delete from staging.enrollments")
    result = run(world)["enrolments"]
    assert (result.offending, len(result.sample)) == (34, checks.SAMPLE)


def test_every_row_of_every_source_is_accounted_for_by_name(world: World) -> None:
    world.invoice("x@example.com", "EXPIRED")
    world.invoice("nobody", "EXPIRED")
    world.invoice("x@example.com", "PENDING")
    refused = world.invoice("nobody")
    world.movement(payment_link_id=refused)
    world.contact("nobody")
    paid = world.invoice("dora@example.com")
    world.movement(payment_link_id=paid)
    world.movement(payment_link_id=paid, created=at("2024-06-08"))
    world.movement(payment_link_id=paid, status="VOIDED")
    world.movement(reference_id="nowhere")
    world.movement("REFUND", 5, status="PENDING", payment_link_id=paid)
    world.movement("REFUND", 5, reference_id="nowhere")
    world.movement("CHARGEBACK", 5, cashflow="MONEY_IN", payment_link_id=paid)
    world.movement("DISBURSEMENT", 5)
    for tag in ("VIP", "Nobody has this"):
        world.tag(tag)
    world.transform()
    result = world.reconcile()
    for row in result.values():
        assert row["read"] == row["staged"] + row["merged"] + row["left_out"] + row["rejected"]
    assert result["xendit_invoices"]["reasons"] == {
        "staged": {"transaction": 4},
        "left_out": {"status EXPIRED": 2, "status PENDING": 1},
        "rejected": {"invalid_email": 1},
    }
    assert result["xendit_transactions"]["reasons"] == {
        "merged": {
            "payment of an invoice": 2,
            "second payment of an invoice": 1,
            "payment that went back": 1,
            "refund of a transaction": 1,
            "chargeback that brought money in": 1,
        },
        "left_out": {
            "payment of a rejected invoice": 1,
            "payment without an invoice": 1,
            "refund PENDING": 1,
            "type DISBURSEMENT": 1,
        },
        "rejected": {"refund_without_payment": 1},
    }
    assert result["systemeio_contacts"]["reasons"] == {
        "staged": {"lead": 3},
        "merged": {"contact of a person who has an earlier one": 1},
        "rejected": {"invalid_email": 1},
    }
    assert result["systemeio_tags"]["reasons"] == {
        "merged": {"tag that leads carry": 1},
        "left_out": {"tag that no lead carries": 1},
    }


def test_reconciling_twice_leaves_one_balance(world: World) -> None:
    assert world.reconcile().keys() == world.reconcile().keys()
    assert world.row("select count(*) as balances from cutover.reconciliation") == {"balances": 4}
