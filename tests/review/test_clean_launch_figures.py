"""What the approver of clean_launch is told: every figure and every warning, each in a world made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover.database import statements as files
from tests.clean_launch_world import World, at

FIGURES = "clean_launch/review"
WARNINGS = "clean_launch/review/warnings"


@pytest.fixture
def world(connection: psycopg.Connection) -> World:
    """Sources and production without a row."""
    return World(connection).create()


def warning(world: World, name: str) -> list[dict[str, Any]]:
    """The rows of a warning, named without its number."""
    (path,) = files.files(WARNINGS, f"[0-9][0-9]_{name}.sql")
    return world.run_file(path)


def test_every_file_runs_in_an_empty_world_and_its_first_line_is_its_title(world: World) -> None:
    world.transform()
    for path in [*files.files(FIGURES), *files.files(WARNINGS)]:
        missing_tags = 2 if path.endswith("12_product_tags.sql") else 0  # an empty world has not even tags
        assert len(world.run_file(path)) == missing_tags, path
        first = files.text(path).splitlines()[0]
        assert first.startswith("-- "), path
        assert 20 < len(first) < 120, path


def test_a_clean_world_without_production_warns_of_nothing(world: World) -> None:
    for product in ("PaidP2P", "Canva"):
        world.tag(product)
    world.contact("ana@example.com", ["PaidP2P"])
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    world.transform()
    assert {path: world.run_file(path) for path in files.files(WARNINGS) if world.run_file(path)} == {}


def test_revenue_is_shown_before_and_after_by_product_and_by_month(world: World) -> None:
    invoice = world.invoice("ana@example.com", amount=1000, paid_at=at("2024-05-31T16:30"))
    world.movement("REFUND", 250, payment_link_id=invoice)
    world.current(
        "transactions", product_type="p2p_course", amount=5, status="paid", paid_at=at("2024-05-31"),
        transaction_type="payment",
    )  # fmt: skip
    world.transform()
    (product,) = world.run_file(f"{FIGURES}/10_revenue.sql")
    assert (product["before"], product["after"], product["change"]) == (5, 750, 745)
    months = world.run_file(f"{FIGURES}/15_revenue_by_month.sql")
    assert [(row["month"], row["before"], row["after"]) for row in months] == [("2024-05", 5, 0), ("2024-06", 0, 750)]


def test_changed_columns_are_counted(world: World) -> None:
    account = world.account("ana@example.com")
    world.profile(account, "ana@example.com", status="old", tags=["Other"], systemeio_tags=["Canva"])
    world.contact("ana@example.com", ["Canva"], first_name="Ana", phone_number="1")
    world.transform()
    values = {row["column_name"]: row for row in world.run_file(f"{FIGURES}/40_changed_columns.sql")}
    assert (values["tags"]["changed"], values["tags"]["was_empty"]) == (1, 0)
    assert (values["phone"]["changed"], values["phone"]["was_empty"]) == (1, 1)
    assert "systemeio_tags" not in values


def test_unattributed_payments_are_listed(world: World) -> None:
    invoice = world.invoice("ana@example.com", description="Coaching call")
    world.transform()
    (row,) = warning(world, "unattributed_payments")
    assert (row["invoice"], row["amount"]) == (invoice, 1000)


def test_tagged_without_payment_and_paid_by_hand_are_two_things(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P", "Canva"])
    world.transform()
    assert [row["product"] for row in warning(world, "tagged_unpaid")] == ["canva_ebook"]
    assert [row["amount"] for row in warning(world, "paid_by_hand")] == [800]


def test_members_and_test_accounts_are_listed_with_what_they_have(world: World) -> None:
    tester = world.account("qa.7@learn.example.com")
    world.profile(tester, "qa.7@learn.example.com")
    stranger = world.account("test@example.com")
    world.profile(stranger, "test@example.com")
    world.current("enrollments", user_id=stranger, product_type="canva_ebook")
    known = world.account("ana@example.com")
    world.invoice("ana@example.com")
    world.transform()
    (row,) = warning(world, "members")
    assert (row["account_id"], row["has_profile"], row["enrolments"]) == (stranger, True, 1)
    (row,) = warning(world, "test_accounts")
    assert (row["account_id"], row["test_account"], row["has_profile"]) == (tester, "quality assurance", True)
    assert known != stranger


def test_duplicate_accounts_are_listed_beside_the_chosen_one(world: World) -> None:
    other = world.account("Ana@example.com", created_at=at("2025-01-01"))
    chosen = world.account("ana@example.com")
    world.invoice("ana@example.com")
    world.transform()
    (row,) = warning(world, "duplicate_accounts")
    assert (row["account"], row["goes_to"]) == (other, chosen)


def test_accounts_found_by_profile_and_deleted_ones_are_listed(world: World) -> None:
    moved = world.account("new@example.com")
    world.profile(moved, "old@example.com")
    booked = world.invoice("old@example.com")
    world.current("transactions", user_id=moved, amount=1, status="paid", xendit_invoice_id=booked)
    deleted = world.account("gone@example.com", deleted_at=at("2025-01-01"))
    world.invoice("gone@example.com")
    world.transform()
    assert [row["account_id"] for row in warning(world, "accounts_found_otherwise")] == [moved]
    assert [row["account_id"] for row in warning(world, "deleted_accounts")] == [deleted]


def test_accounts_whose_address_was_never_proved_are_listed_with_what_becomes_of_them(world: World) -> None:
    unproved = world.account("Ana@example.com", email_confirmed_at=None)
    world.account("ben@example.com")
    world.account("member@example.com", email_confirmed_at=None)
    world.invoice("ana@example.com")
    world.invoice("ben@example.com")
    world.transform()
    (row,) = warning(world, "unproved_accounts")
    assert (row["account_id"], row["what"][:9]) == (unproved, "made void")
    hindrance = "clean_launch/review/hindrances/unproved_accounts.sql"
    assert world.run_file(hindrance) == []
    assert world.run_file(hindrance, unconfirmed="refuse") == [{"id": unproved}]


def test_banned_accounts_of_customers_are_listed_while_they_are_banned(world: World) -> None:
    banned = world.account("ana@example.com", banned_until=at("2100-01-01"))
    world.account("ben@example.com", banned_until=at("2020-01-01"))
    world.invoice("ana@example.com")
    world.invoice("ben@example.com")
    world.transform()
    assert [row["account_id"] for row in warning(world, "banned_accounts")] == [banned]


def test_customers_who_signed_up_since_the_freeze_are_listed(world: World) -> None:
    world.invoice("ana@example.com")
    world.transform()
    assert warning(world, "users_appeared") == []
    account = world.account("Ana@example.com")
    assert [row["actual_id"] for row in warning(world, "users_appeared")] == [account]


def test_money_owed_is_listed_and_nobodys_is_left_behind(world: World) -> None:
    for email, earned in (("ana@example.com", 5), ("stranger@example.com", 7), ("poor@example.com", 0)):
        account = world.account(email)
        world.profile(account, email)
        world.current("affiliates", user_id=account, total_earned=earned)
    world.invoice("ana@example.com")
    world.transform()
    assert [row["total_earned"] for row in warning(world, "money_carried")] == [7, 5]


def test_rows_of_production_that_no_source_confirms_are_listed_customers_first(world: World) -> None:
    customer, tester = world.account("ana@example.com"), world.account("qa.1@learn.example.com")
    for account, email in ((customer, "ana@example.com"), (tester, "qa.1@learn.example.com")):
        world.profile(account, email)
        world.current("transactions", user_id=account, amount=1, status="paid")
        world.current("enrollments", user_id=account, product_type="canva_ebook")
    world.invoice("ana@example.com")
    world.transform()
    assert [row["by_a_customer"] for row in warning(world, "transactions_without_source")] == [True, False]
    assert [row["of_a_customer"] for row in warning(world, "enrolments_without_source")] == [True, False]


def test_money_that_is_in_no_transaction_is_listed_with_the_reason(world: World) -> None:
    paid, expired = world.invoice("ana@example.com"), world.invoice("ana@example.com", "EXPIRED")
    world.movement(payment_link_id=paid)
    world.movement(amount=3, payment_link_id=paid, created=at("2024-07-01"))
    world.movement(amount=2, payment_link_id=expired)
    world.movement(amount=1, reference_id="nowhere")
    world.movement(amount=9, reference_id="nowhere", status="FAILED")
    world.transform()
    assert [row["reason"] for row in warning(world, "payments_left_out")] == [
        "payment of an unpaid invoice",
        "payment without an invoice",
    ]
    [twice] = warning(world, "paid_more_than_once")
    assert (twice["payments"], twice["received"], twice["extra"], twice["kept"]) == (2, 1003, 3, 1003)


def test_odd_money_is_listed(world: World) -> None:
    dollars = world.invoice("ana@example.com", currency="USD", amount=20)
    world.movement(amount=20, currency="USD", payment_link_id=dollars)
    world.movement("REFUND", 21, currency="USD", payment_link_id=dollars)
    alone = world.invoice("ben@example.com")
    world.invoice("nobody")
    world.transform()
    assert [row["currency"] for row in warning(world, "other_currencies")] == ["USD"]
    assert [row["refunded_amount"] for row in warning(world, "returned_more_than_paid")] == [21]
    assert [row["xendit_invoice_id"] for row in warning(world, "invoices_without_payment")] == [alone]
    assert [row["reason"] for row in warning(world, "rejected_rows")] == ["invalid_email"]


def test_every_warning_has_a_test() -> None:
    tests = Path(__file__).parents[1]
    others = [tests / "transform" / f"{name}.py" for name in ("test_money", "test_carried_over")]
    tested = "".join(path.read_text() for path in (Path(__file__), *others))
    names = {path: Path(path).stem for path in files.files(WARNINGS)}
    untested = [
        path for path, name in names.items() if not any(f'"{asked}"' in tested for asked in (name, name[3:], path))
    ]
    assert untested == []
