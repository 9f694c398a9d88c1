"""Money: one transaction per PAID or SETTLED invoice, and the ones paid by hand (business rules 1.3 and 1.4)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.clean_launch_world import RUN, World, at


def test_a_paid_invoice_becomes_a_transaction_with_the_money_of_its_payment(world: World) -> None:
    invoice = world.invoice("ana@example.com", "SETTLED", amount=1000, paid_amount=Decimal("949.50"))
    payment = world.movement(
        payment_link_id=invoice, fee_amount=Decimal("25.76"), net_amount=Decimal("923.74"),
        settlement_status="SETTLED", estimated_settlement_time=at("2024-06-04T10:00"),
    )  # fmt: skip
    world.transform()
    row = world.only("transactions")
    assert (row["xendit_invoice_id"], row["xendit_transaction_id"]) == (invoice, payment)
    assert (row["amount"], row["fee_amount"], row["net_amount"]) == (
        Decimal("949.50"), Decimal("25.76"), Decimal("923.74"),
    )  # fmt: skip
    assert (row["status"], row["currency"], row["payment_method"]) == ("settled", "PHP", "EWALLET")
    assert (row["paid_at"], row["settled_at"]) == (at("2024-06-02"), at("2024-06-04T10:00"))
    assert (row["product_type"], row["transaction_type"]) == ("p2p_course", "payment")
    assert row["user_id"] == world.only("users")["id"]


@pytest.mark.parametrize("status", ["EXPIRED", "PENDING"])
def test_an_unpaid_invoice_stays_in_raw(world: World, status: str) -> None:
    world.contact("ana@example.com", ["Canva"])
    world.invoice("ana@example.com", status)
    world.transform()
    assert world.staged("transactions") == []


def test_a_payment_without_a_link_is_found_by_the_merchants_reference(world: World) -> None:
    world.invoice("ana@example.com", external_id="order-1")
    world.invoice("ana@example.com", "EXPIRED", external_id="order-1")
    payment = world.movement(reference_id="order-1")
    world.transform()
    assert world.only("transactions")["xendit_transaction_id"] == payment


def test_a_payment_that_names_another_invoice_is_not_taken_by_its_reference(world: World) -> None:
    named = world.invoice("ana@example.com", external_id="order-1")
    world.invoice("ben@example.com", external_id="order-1")
    payment = world.movement(payment_link_id=named, reference_id="order-1")
    world.transform()
    values = {row["contact_email"]: row["xendit_transaction_id"] for row in world.staged("transactions")}
    assert values == {"ana@example.com": payment, "ben@example.com": None}


def test_invoices_that_share_a_reference_are_paired_with_payments_in_the_order_of_time(world: World) -> None:
    world.invoice("late@example.com", external_id="order-1", paid_at=at("2024-06-05"))
    world.invoice("soon@example.com", external_id="order-1", paid_at=at("2024-06-02"))
    second = world.movement(reference_id="order-1", created=at("2024-06-05"))
    first = world.movement(reference_id="order-1", created=at("2024-06-02"))
    world.transform()
    values = {row["contact_email"]: row["xendit_transaction_id"] for row in world.staged("transactions")}
    assert values == {"soon@example.com": first, "late@example.com": second}


def test_a_voided_attempt_is_not_the_payment_and_a_second_payment_gives_no_second_transaction(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, status="VOIDED", created=at("2024-06-01"))
    first = world.movement(payment_link_id=invoice, created=at("2024-06-02"))
    world.movement(payment_link_id=invoice, created=at("2024-06-03"))
    world.transform()
    assert world.only("transactions")["xendit_transaction_id"] == first


def test_a_voided_or_failed_attempt_alone_is_no_payment(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, status="VOIDED")
    world.movement(payment_link_id=invoice, status="FAILED")
    world.transform()
    assert world.only("transactions")["xendit_transaction_id"] is None


def test_an_invoice_without_a_payment_is_kept_without_fee_and_net_amount(world: World) -> None:
    world.invoice("ana@example.com")
    world.transform()
    row = world.only("transactions")
    assert (row["xendit_transaction_id"], row["fee_amount"], row["net_amount"]) == (None, None, None)
    assert row["amount"] == 1000


@pytest.mark.parametrize(
    ("description", "product"),
    [
        ("PAPERS TO PROFITS - batch 3", "p2p_course"),
        ("My Canva bundle", "canva_ebook"),
        ("Papers to Profits with Canva", "p2p_course"),
        ("Coaching call", "unattributed"),
        (None, "unattributed"),
    ],
)
def test_the_first_product_by_priority_whose_pattern_matches_wins(
    world: World, description: str | None, product: str
) -> None:
    world.invoice("ana@example.com", description=description)
    world.transform()
    assert world.only("transactions")["product_type"] == product


def test_a_new_product_is_a_new_row_of_the_catalogue(world: World) -> None:
    world.product("coaching", priority=30, description_pattern="%coaching%", tag="Coached", manual_price=500)
    world.invoice("ana@example.com", description="Coaching call")
    world.contact("ben@example.com", ["Coached"])
    world.transform()
    assert sorted((row["product_type"], row["amount"]) for row in world.staged("transactions")) == [
        ("coaching", 500), ("coaching", 1000),
    ]  # fmt: skip
    assert [row["product_type"] for row in world.staged("enrollments")] == ["coaching", "coaching"]


def test_installing_again_keeps_what_an_operator_changed(world: World) -> None:
    world.connection.execute("update cutover.product set manual_price = 900 where product_type = 'p2p_course'")
    world.install()
    assert world.row("select manual_price from cutover.product where tag = 'PaidP2P'") == {"manual_price": 900}


@pytest.mark.parametrize(
    ("paid_at", "year", "quarter"),
    [
        ("2024-03-31T15:59:59", 2024, 1),
        ("2024-03-31T16:00:00", 2024, 2),
        ("2024-12-31T16:00:00", 2025, 1),
    ],
)
def test_the_fiscal_quarter_is_the_calendar_quarter_in_manila(
    world: World, paid_at: str, year: int, quarter: int
) -> None:
    world.invoice("ana@example.com", paid_at=at(paid_at))
    world.transform()
    assert (world.only("transactions")["fiscal_year"], world.only("transactions")["fiscal_quarter"]) == (year, quarter)


def test_a_tagged_customer_without_a_paid_invoice_for_a_priced_product_paid_by_hand(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P", "Canva"], registered_at=at("2024-01-15"))
    world.invoice("ana@example.com", description="Canva ebook")
    world.invoice("ana@example.com", "EXPIRED")
    world.transform()
    (manual,) = [row for row in world.staged("transactions") if row["transaction_type"] == "manual"]
    assert (manual["product_type"], manual["amount"], manual["paid_at"]) == ("p2p_course", 800, None)
    assert manual["created_at"] == at("2024-01-15")
    assert (manual["fiscal_year"], manual["fiscal_quarter"]) == (None, None)
    assert (manual["xendit_invoice_id"], manual["xendit_transaction_id"]) == (None, None)


def test_a_paid_or_settled_invoice_for_the_product_means_that_nothing_was_paid_by_hand(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P"])
    world.invoice("ANA@example.com", "SETTLED")
    world.transform()
    assert world.only("transactions")["transaction_type"] == "payment"


@pytest.mark.parametrize(
    ("returned", "status", "amount"),
    [
        ([("REFUND", 400)], "partially_refunded", 400),
        ([("REFUND", 400), ("REFUND", 600)], "refunded", 1000),
        ([("REFUND", -1000)], "refunded", 1000),
        ([("CHARGEBACK", 1000)], "charged_back", 1000),
        ([("REFUND", 100), ("CHARGEBACK", 900)], "charged_back", 1000),
    ],
)
def test_money_that_went_back_changes_the_status(
    world: World, returned: list[tuple[str, int]], status: str, amount: int
) -> None:
    invoice = world.invoice("ana@example.com")
    for kind, value in returned:
        world.movement(kind, value, payment_link_id=invoice)
    world.transform()
    assert (world.only("transactions")["status"], world.only("transactions")["refunded_amount"]) == (status, amount)


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_a_refund_that_did_not_succeed_changes_nothing(world: World, status: str) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement("REFUND", 1000, payment_link_id=invoice, status=status)
    world.movement("CHARGEBACK", 1000, payment_link_id=invoice, cashflow="MONEY_IN")
    world.transform()
    assert (world.only("transactions")["status"], world.only("transactions")["refunded_amount"]) == ("paid", 0)


def test_a_refund_finds_its_payment_by_product_id_or_by_reference(world: World) -> None:
    by_product = world.invoice("ana@example.com")
    world.movement(payment_link_id=by_product, product_id="py-1")
    world.movement("REFUND", 1000, product_id="py-1")
    world.invoice("ben@example.com", external_id="order-2")
    world.movement("REFUND", 500, reference_id="order-2")
    world.transform()
    values = {row["contact_email"]: row["status"] for row in world.staged("transactions")}
    assert values == {"ana@example.com": "refunded", "ben@example.com": "partially_refunded"}


def test_a_refund_of_nothing_known_is_rejected_whole(world: World) -> None:
    refund = world.movement("REFUND", 1000, reference_id="nowhere")
    world.transform()
    rejected = world.row("select source, source_id, reason, source_row from cutover.rejects where run = %s", RUN)
    assert rejected == {
        "source": "xendit_transactions",
        "source_id": refund,
        "reason": "refund_without_payment",
        "source_row": {"id": refund},
    }


@pytest.mark.parametrize("amount", [None, -1, 10**10])
def test_an_amount_that_cannot_be_kept_is_rejected(world: World, amount: object) -> None:
    world.invoice("ana@example.com", amount=amount)
    world.transform()
    assert world.staged("transactions") == []
    assert world.row("select reason from cutover.rejects where run = %s", RUN) == {"reason": "invalid_amount"}


def test_a_status_that_nobody_knows_is_rejected(world: World) -> None:
    world.invoice("ana@example.com", "ACTIVE")
    world.transform()
    assert world.row("select reason from cutover.rejects where run = %s", RUN) == {"reason": "unknown_status"}


def test_a_current_row_with_the_same_invoice_keeps_its_id_receipt_number_and_notes(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    current = world.current(
        "transactions", receipt_no=77, xendit_invoice_id=invoice, amount=1, status="x", metadata={"note": "vip"}
    )
    world.transform()
    row = world.only("transactions")
    assert (row["id"], row["receipt_no"], row["metadata"]["note"]) == (current, 77, "vip")
    assert (row["amount"], row["status"]) == (1000, "paid")


def test_a_current_row_with_the_same_payment_continues_unless_another_has_the_invoice(world: World) -> None:
    first, second = world.invoice("ana@example.com"), world.invoice("ben@example.com")
    payments = [world.movement(payment_link_id=invoice) for invoice in (first, second)]
    by_invoice = world.current("transactions", xendit_invoice_id=first, amount=1, status="x")
    world.current("transactions", xendit_transaction_id=payments[0], amount=1, status="x")
    by_payment = world.current("transactions", xendit_transaction_id=payments[1], amount=1, status="x")
    world.transform()
    assert {row["contact_email"]: row["id"] for row in world.staged("transactions")} == {
        "ana@example.com": by_invoice, "ben@example.com": by_payment,
    }  # fmt: skip


def test_a_current_row_that_fits_two_continues_the_one_whose_invoice_it_has(world: World) -> None:
    first, second = world.invoice("ana@example.com"), world.invoice("ben@example.com")
    payment = world.movement(payment_link_id=second)
    current = world.current(
        "transactions", xendit_invoice_id=first, xendit_transaction_id=payment, amount=1, status="x"
    )
    world.transform()
    values = {row["contact_email"]: row["id"] for row in world.staged("transactions")}
    assert values["ana@example.com"] == current != values["ben@example.com"]


def test_a_manual_transaction_of_the_same_person_and_product_continues(world: World) -> None:
    account = world.account("Ana@example.com")
    current = world.current(
        "transactions", receipt_no=5, user_id=account, product_type="p2p_course", transaction_type="manual",
        amount=800, status="paid",
    )  # fmt: skip
    world.contact("ana@example.com", ["PaidP2P"])
    world.transform()
    assert (world.only("transactions")["id"], world.only("transactions")["receipt_no"]) == (current, 5)


def test_new_receipt_numbers_come_from_productions_own_sequence_and_stay_with_their_rows(world: World) -> None:
    taken = world.row("insert into public.transactions (amount, status) values (1, 'x') returning receipt_no")
    for day in (3, 2):
        world.invoice(f"day{day}@example.com", paid_at=at(f"2024-06-0{day}"), created=at(f"2024-06-0{day}"))
    world.transform()
    numbers = {row["contact_email"]: row["receipt_no"] for row in world.staged("transactions")}
    expected = taken["receipt_no"] + 1
    assert numbers == {"day2@example.com": expected, "day3@example.com": expected + 1}
    during = world.row("insert into public.transactions (amount, status) values (1, 'x') returning receipt_no")
    assert during["receipt_no"] == expected + 2
    world.transform()
    assert {row["contact_email"]: row["receipt_no"] for row in world.staged("transactions")} == numbers
