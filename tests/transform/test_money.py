"""Money that comes and goes: whatever the history, what is kept adds up to the cent (business rules 1.5 and 1.8)."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from tests.clean_launch_world import RUN, World, at


def only(world: World) -> dict[str, Any]:
    """The one staged transaction, after a transform."""
    world.transform()
    world.reconcile()
    for check in ("revenue", "refunds", "paid_invoices", "reconciliation"):
        assert world.run_file(f"clean_launch/validate/checks/{check}.sql") == [], check
    return world.only("transactions")


def money(row: dict[str, Any]) -> tuple[str, Decimal, Decimal]:
    """Status, amount and what went back."""
    return row["status"], row["amount"], row["refunded_amount"]


def access(world: World) -> str:
    """The status of the one enrolment."""
    return str(world.only("enrollments")["status"])


def listed(world: World, warning: str) -> list[dict[str, Any]]:
    """The rows of a warning."""
    return world.run_file(f"clean_launch/review/warnings/{warning}.sql")


def test_paid_twice_and_one_refunded_is_paid_once(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, created=at("2024-06-02T03:05"))
    world.movement(payment_link_id=invoice, created=at("2024-06-02T03:09"))
    world.movement("REFUND", payment_link_id=invoice, created=at("2024-06-05"))
    assert money(only(world)) == ("paid", 1000, 0)
    assert access(world) == "active"
    [twice] = listed(world, "83_paid_more_than_once")
    assert (twice["payments"], twice["extra"], twice["kept"]) == (2, 1000, 1000)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([], ("paid", 2000, 0)),
        ([400], ("paid", 1600, 0)),
        ([1000, 300], ("partially_refunded", 1000, 300)),
        ([1000, 1000], ("refunded", 1000, 1000)),
    ],
)
def test_a_second_payment_is_kept_until_it_is_returned(
    world: World, returns: list[int], expected: tuple[str, int, int]
) -> None:
    invoice = world.invoice("ana@example.com")
    for hour in (3, 4):
        world.movement(payment_link_id=invoice, created=at(f"2024-06-02T0{hour}:00"))
    for amount in returns:
        world.movement("REFUND", amount, payment_link_id=invoice, created=at("2024-06-05"))
    assert money(only(world)) == expected


def test_two_halves_are_one_payment(world: World) -> None:
    invoice = world.invoice("ana@example.com", amount=1000, paid_amount=1000)
    for hour in (3, 4):
        world.movement(amount=500, payment_link_id=invoice, created=at(f"2024-06-02T0{hour}:00"), fee_amount=10)
    row = only(world)
    assert money(row) == ("paid", 1000, 0)
    assert (row["fee_amount"], row["net_amount"]) == (20, 980)


def test_a_chargeback_of_a_part_is_partial_and_leaves_access(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    world.movement("CHARGEBACK", 100, payment_link_id=invoice, created=at("2024-06-05"))
    assert money(only(world)) == ("partially_refunded", 1000, 100)
    assert access(world) == "active"


def test_a_dispute_that_was_won_brings_the_money_back(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    world.movement("CHARGEBACK", 1000, payment_link_id=invoice, created=at("2024-06-05"))
    world.movement("CHARGEBACK", 1000, payment_link_id=invoice, created=at("2024-07-05"), cashflow="MONEY_IN")
    assert money(only(world)) == ("paid", 1000, 0)
    assert access(world) == "active"


@pytest.mark.parametrize(
    ("kinds", "status"),
    [(["REFUND", "CHARGEBACK"], "charged_back"), (["CHARGEBACK", "REFUND"], "refunded")],
)
def test_who_kept_nothing_has_the_status_of_the_last_return(world: World, kinds: list[str], status: str) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    for day, kind in enumerate(kinds, 5):
        world.movement(kind, 500, payment_link_id=invoice, created=at(f"2024-06-0{day}"))
    assert money(only(world)) == (status, 1000, 1000)
    assert access(world) == "revoked"


@pytest.mark.parametrize("status", ["REVERSED", "VOIDED"])
def test_a_payment_that_was_reversed_is_a_return_though_the_invoice_says_paid(world: World, status: str) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, status=status)
    assert money(only(world)) == ("refunded", 1000, 1000)
    assert access(world) == "revoked"
    [message] = listed(world, "87_payments_that_went_back")
    assert message["invoice"] == invoice


def test_a_reversed_attempt_beside_a_good_one_changes_nothing(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, status="REVERSED", created=at("2024-06-01"))
    good = world.movement(payment_link_id=invoice, created=at("2024-06-02"))
    row = only(world)
    assert (money(row), row["xendit_transaction_id"]) == (("paid", 1000, 0), good)


@pytest.mark.parametrize("status", ["PENDING", "ON_HOLD", None])
def test_a_payment_of_a_status_that_says_nothing_counts_for_nothing_and_is_told(
    world: World, status: str | None
) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice, status=status, fee_amount=25)
    row = only(world)
    assert (money(row), row["xendit_transaction_id"], row["fee_amount"]) == (("paid", 1000, 0), None, None)
    [message] = listed(world, "85_payments_of_another_status")
    assert message["status"] == status


def test_an_early_settlement_was_settled_when_it_happened(world: World) -> None:
    invoice = world.invoice("ana@example.com", "SETTLED")
    world.movement(
        payment_link_id=invoice, settlement_status="EARLY_SETTLED", updated=at("2024-06-03T06:00"),
        estimated_settlement_time=at("2024-06-10"),
    )  # fmt: skip
    assert only(world)["settled_at"] == at("2024-06-03T06:00")


def test_a_fee_in_another_currency_is_kept_beside_and_not_as_if_it_were_in_the_invoices(world: World) -> None:
    invoice = world.invoice("ana@example.com", amount=20, currency="USD")
    world.movement(
        amount=20, currency="USD", payment_link_id=invoice, fee_amount=Decimal("34.50"), net_amount=Decimal("1120.50"),
        api_response={"net_amount_currency": "PHP"},
    )  # fmt: skip
    row = only(world)
    assert (row["amount"], row["currency"], row["fee_amount"], row["net_amount"]) == (20, "USD", None, None)
    assert row["metadata"]["settled_in"] == {"currency": "PHP", "fee_amount": "34.50", "net_amount": "1120.50"}
    assert listed(world, "89_settled_in_another_currency")[0]["settled_in"] == "PHP"


def test_a_payment_of_which_no_fee_is_known_is_not_listed_as_settled_in_another_currency(world: World) -> None:
    world.movement(payment_link_id=world.invoice("ana@example.com"), net_amount=975)
    row = only(world)
    assert (row["fee_amount"], row["net_amount"], "settled_in" in row["metadata"]) == (None, 975, False)
    assert listed(world, "89_settled_in_another_currency") == []


def test_currencies_are_written_in_capitals_and_a_rebate_is_a_fee(world: World) -> None:
    invoice = world.invoice("ana@example.com", currency=" php")
    world.movement(currency="php", payment_link_id=invoice, fee_amount=-5, net_amount=1005)
    row = only(world)
    assert (row["currency"], row["fee_amount"], row["net_amount"]) == ("PHP", -5, 1005)


@pytest.mark.parametrize(
    ("returned", "rounded"), [("333.333", "333.33"), ("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02")]
)
def test_an_amount_finer_than_its_currency_is_rounded_half_to_even_and_kept_exactly(
    world: World, returned: str, rounded: str
) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    world.movement("REFUND", Decimal(returned), payment_link_id=invoice)
    row = only(world)
    assert row["refunded_amount"] == Decimal(rounded)
    assert row["metadata"]["exact_refunded_amount"] == returned
    assert len(listed(world, "91_rounded_amounts")) == 1


def test_a_currency_without_a_smaller_unit_has_none(world: World) -> None:
    world.invoice("ana@example.com", amount=Decimal("1000.5"), currency="JPY")
    row = only(world)
    assert (row["amount"], row["metadata"]["exact_amount"]) == (1000, "1000.5")


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (None, "invalid_amount"),
        (0, "invalid_amount"),
        (Decimal("10000000000"), "invalid_amount"),
        (Decimal("NaN"), "invalid_amount"),
    ],
)
def test_a_return_of_no_amount_rejects_itself_and_nothing_else(world: World, amount: Any, reason: str) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    returned = world.movement("REFUND", amount, payment_link_id=invoice)
    assert money(only(world)) == ("paid", 1000, 0)
    [reject] = world.rows("select source_id, reason from cutover.rejects where run = %s", RUN)
    assert (reject["source_id"], reject["reason"]) == (returned, reason)


def test_a_refund_in_another_currency_is_rejected_by_name(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    world.movement("REFUND", 20, currency="USD", payment_link_id=invoice)
    assert money(only(world)) == ("paid", 1000, 0)
    assert world.row("select reason from cutover.rejects where run = %s", RUN)["reason"] == "other_currency"


@pytest.mark.parametrize("cashflow", [None, "", "SIDEWAYS", "money_in"])
@pytest.mark.parametrize("kind", ["REFUND", "CHARGEBACK"])
def test_a_return_that_does_not_say_which_way_the_money_went_is_rejected_by_name(
    world: World, kind: str, cashflow: str | None
) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(payment_link_id=invoice)
    returned = world.movement(kind, 400, payment_link_id=invoice, cashflow=cashflow)
    assert money(only(world)) == ("paid", 1000, 0)
    [reject] = world.rows("select source_id, reason, detail from cutover.rejects where run = %s", RUN)
    assert reject == {
        "source_id": returned, "reason": "unknown_cashflow", "detail": "cashflow is neither MONEY_OUT nor MONEY_IN",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "reason", "field"),
    [
        ({"amount": None}, "invalid_amount", "amount"),
        ({"amount": 0}, "invalid_amount", "amount"),
        ({"amount": Decimal("1e40")}, "invalid_amount", "amount"),
        ({"currency": "12"}, "invalid_currency", "currency"),
    ],
)
@pytest.mark.parametrize("link", ["payment_link_id", "reference_id"])
def test_a_payment_of_no_amount_or_currency_is_rejected_by_name_and_the_others_count(
    world: World, values: dict[str, Any], reason: str, field: str, link: str
) -> None:
    invoice = world.invoice("ana@example.com", external_id="order-1")
    names = {link: {"payment_link_id": invoice, "reference_id": "order-1"}[link]}
    odd = world.movement(**{"amount": 1000, "created": at("2024-06-01"), **names, **values})
    good = [world.movement(created=at(f"2024-06-02T0{hour}:00"), **names) for hour in (3, 4)]
    row = only(world)
    assert (money(row), row["xendit_transaction_id"]) == (("paid", 2000, 0), good[0])
    [reject] = world.rows("select source_id, reason, detail from cutover.rejects where run = %s", RUN)
    assert (reject["source_id"], reject["reason"], reject["detail"].split()[0]) == (odd, reason, field)


def test_a_reversed_payment_of_no_amount_is_a_return_all_the_same(world: World) -> None:
    invoice = world.invoice("ana@example.com")
    world.movement(amount=None, payment_link_id=invoice, status="REVERSED")
    assert money(only(world)) == ("refunded", 1000, 1000)


@pytest.mark.parametrize("paid_amount", [1000, None])
def test_a_payment_in_another_currency_is_listed_and_in_no_sum(world: World, paid_amount: int | None) -> None:
    invoice = world.invoice("ana@example.com", paid_amount=paid_amount)
    foreign = world.movement(amount=20, currency="USD", payment_link_id=invoice, created=at("2024-06-01"))
    assert money(only(world)) == ("paid", 1000, 0)
    [message] = listed(world, "81_payments_in_another_currency")
    assert (message["xendit_transaction_id"], message["invoice"], message["amount"]) == (foreign, invoice, 20)
    for hour in (3, 4):
        world.movement(payment_link_id=invoice, created=at(f"2024-06-02T0{hour}:00"))
    assert money(only(world)) == ("paid", 2000, 0)
    assert len(listed(world, "81_payments_in_another_currency")) == 1


# whose a payment is


def test_a_payment_of_several_equal_invoices_is_the_nearest_ones(world: World) -> None:
    for day in (2, 5):
        world.invoice(f"day{day}@example.com", external_id="order-1", paid_at=at(f"2024-06-0{day}"))
    payment = world.movement(reference_id="order-1", created=at("2024-06-05"))
    world.transform()
    values = {row["contact_email"]: row["xendit_transaction_id"] for row in world.staged("transactions")}
    assert values == {"day2@example.com": None, "day5@example.com": payment}


def test_a_second_payment_of_an_amount_is_not_another_invoices(world: World) -> None:
    world.invoice("ana@example.com", external_id="order-1", paid_at=at("2024-06-02"))
    world.invoice("ben@example.com", amount=500, external_id="order-1", paid_at=at("2024-06-09"))
    for hour in (3, 4):
        world.movement(reference_id="order-1", created=at(f"2024-06-08T0{hour}:00"))
    world.transform()
    values = {row["contact_email"]: money(row)[1] for row in world.staged("transactions")}
    assert values == {"ana@example.com": 2000, "ben@example.com": 500}


@pytest.mark.parametrize("when", ["1999-01-01", "2009-12-31T23:00", "2999-01-01"])
def test_a_time_of_payment_that_cannot_be_is_not_believed(world: World, when: str) -> None:
    world.invoice("ana@example.com", paid_at=at(when))
    row = only(world)
    assert (row["paid_at"], row["fiscal_year"], row["fiscal_quarter"]) == (None, None, None)
    assert len(listed(world, "92_times_not_believed")) == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"amount": Decimal("Infinity"), "paid_amount": Decimal("Infinity")}, "invalid_amount"),
        ({"currency": "PESO"}, "invalid_currency"),
        ({"currency": "12"}, "invalid_currency"),
        ({"expiry_date": "infinity"}, "invalid_time"),
        ({"created": "-infinity"}, "invalid_time"),
        ({"updated": "0044-03-15 BC"}, "invalid_time"),
        ({"status": "REFUNDED"}, "unknown_status"),
    ],
)
def test_an_odd_invoice_is_rejected_by_name_and_the_others_go_on(
    world: World, values: dict[str, Any], reason: str
) -> None:
    world.invoice("ana@example.com")
    odd = world.invoice("ben@example.com", **values)
    world.transform()
    world.reconcile()
    assert len(world.staged("transactions")) == 1
    [reject] = world.rows("select source_id, reason from cutover.rejects where run = %s", RUN)
    assert (reject["source_id"], reject["reason"]) == (odd, reason)
    for check in ("revenue", "refunds", "paid_invoices", "reconciliation"):
        assert world.run_file(f"clean_launch/validate/checks/{check}.sql") == [], check


def test_a_tagged_contact_without_a_time_of_registration_is_a_customer_like_another(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P"], registered_at=None)
    world.contact("ben@example.com", ["Canva"], registered_at="infinity")
    world.transform()
    assert [row["enrolled_at"] is not None for row in world.staged("enrollments")] == [True, True]
    assert world.only("transactions")["created_at"] is not None


def test_a_tag_without_a_name_is_left_out_and_stops_nobody(world: World) -> None:
    world.contact("ana@example.com", ["Canva"])
    world.insert(
        "raw.systemeio_tags", id=77, name=None, api_response={"id": 77}, content_hash=b"x", sync_id=1, page_no=1,
        api_synced_at=at("2025-01-01"),
    )  # fmt: skip
    world.connection.execute("update raw.systemeio_contacts set tags = array['Canva', null]")
    world.transform()
    balance = world.reconcile()["systemeio_tags"]
    assert (balance["read"], balance["left_out"]) == (1, 1)


# by hand


def test_what_staff_have_booked_stays_as_it_is(world: World) -> None:
    account = world.account("ana@example.com", email_confirmed_at=at("2024-01-01"))
    world.profile(account, "ana@example.com")
    booked = world.current(
        "transactions", user_id=account, product_type="p2p_course", transaction_type="manual", amount=650,
        status="paid", paid_at=at("2024-09-09"), receipt_no=77, created_at=at("2024-09-10"),
    )  # fmt: skip
    world.contact("ana@example.com", ["PaidP2P"])
    row = only(world)
    assert (row["id"], row["amount"], row["paid_at"], row["receipt_no"]) == (booked, 650, at("2024-09-09"), 77)
    assert (row["fiscal_year"], row["fiscal_quarter"]) == (2024, 3)
    [message] = listed(world, "30_paid_by_hand")
    assert message["booked_by_staff"] is True


def test_what_staff_have_booked_stays_beside_an_invoice(world: World) -> None:
    account = world.account("ana@example.com", email_confirmed_at=at("2024-01-01"))
    world.profile(account, "ana@example.com")
    world.current(
        "transactions", user_id=account, product_type="p2p_course", transaction_type="manual", amount=650, status="paid"
    )
    world.invoice("ana@example.com")
    world.transform()
    assert sorted(row["amount"] for row in world.staged("transactions")) == [650, 1000]


# what the sources changed


@pytest.mark.parametrize(
    "description",
    ["PAPERS TO PROFITS", "Papers\u00a0to\u00a0Profits", "papers  to\nprofits: the course", "Ｐａｐｅｒｓ to Profits"],
)
def test_a_description_is_recognised_whatever_its_blanks_and_case(world: World, description: str) -> None:
    world.invoice("ana@example.com", description=description)
    assert only(world)["product_type"] == "p2p_course"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["paidp2p"], "spelled otherwise: counts for nothing"),
        (["PaidP2P "], "spelled otherwise: counts for nothing"),
        (["PaidP2P", "PaidP2P"], "several tags are called so"),
        (["Customers P2P"], "no tag is called so"),
    ],
)
def test_a_products_tag_that_is_not_there_as_the_catalogue_writes_it_is_told(
    world: World, names: list[str], what: str
) -> None:
    world.tag("Canva")
    for name in names:
        world.tag(name)
    world.contact("ana@example.com", names[:1])
    world.transform()
    tags = listed(world, "12_product_tags")
    assert what in [row["what"] for row in tags]
    assert {row["product"] for row in tags} == {"p2p_course"}


# metadata


@pytest.mark.parametrize("metadata", ["null", "[1, 2]", '"text"', "7", '{"note": {"deep": [1]}}'])
def test_metadata_of_any_kind_is_kept_and_a_second_launch_changes_nothing(world: World, metadata: str) -> None:
    account = world.account("ana@example.com", email_confirmed_at=at("2024-01-01"))
    world.profile(account, "ana@example.com")
    invoice = world.invoice("ana@example.com")
    world.current("transactions", user_id=account, xendit_invoice_id=invoice, amount=1, status="paid")
    world.connection.execute("update public.transactions set metadata = %s::jsonb", (metadata,))
    first = only(world)["metadata"]
    if metadata not in ("null", '{"note": {"deep": [1]}}'):
        assert "before" in first
    world.connection.execute("update public.transactions set metadata = %s", (psycopg_json(first),))
    assert only(world)["metadata"] == first


def psycopg_json(value: Any) -> Any:
    """As psycopg takes JSON."""
    from psycopg.types.json import Jsonb

    return Jsonb(value)


# rows refused at extraction


def test_rows_refused_when_they_were_read_are_in_the_balance_until_they_are_mended(world: World) -> None:
    execute = world.connection.execute
    execute(
        "insert into cutover.sync (source, mode, state, because, api, account, declaration, until) "
        "select 'xendit_invoices', 'full', 'complete', 'first', 'a', 'b', 'c', now() from generate_series(1, 3)"
    )
    execute(
        "insert into cutover.sync_state "
        "(source, api, account, declaration, watermark, stored, last_sync, last_full_sync) "
        "values ('xendit_invoices', 'a', 'b', 'c', now(), 1, 3, 2)"
    )
    earlier = world.invoice("ana@example.com")
    for sync_id, source_id in ((2, "bad"), (3, "worse"), (1, "long ago"), (3, earlier), (2, None)):
        execute(
            "insert into cutover.rejects (sync_id, source, source_id, reason, detail, source_row) "
            "values (%s, 'xendit_invoices', %s, 'unstorable', 'paid_at: no time (22007)', '{\"a\": 1}')",
            (sync_id, source_id),
        )
    world.transform()
    balance = world.reconcile()["xendit_invoices"]
    assert (balance["read"], balance["staged"], balance["rejected"]) == (4, 1, 3)
    assert balance["reasons"]["rejected"] == {"unstorable": 3}
    assert [row["source_id"] for row in listed(world, "94_kept_in_an_earlier_form")] == [earlier]
    assert world.run_file("clean_launch/validate/checks/reconciliation.sql") == []
    execute("update raw.xendit_invoices set sync_id = 3")
    world.transform()
    assert listed(world, "94_kept_in_an_earlier_form") == []


# the arithmetic as a whole


@pytest.mark.parametrize("seed", range(6))
def test_kept_money_adds_up_to_the_cent_for_any_history(world: World, seed: int) -> None:
    drawn = random.Random(seed)
    stored: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for number in range(120):
        currency = drawn.choice(["PHP", "PHP", "USD", "JPY"])
        cents = Decimal(1) if currency == "JPY" else Decimal("0.01")
        due = Decimal(drawn.randint(1, 200_000)) * cents
        paid_at = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=drawn.randint(0, 9000))
        product, description = drawn.choice([("p2p_course", "Papers to Profits"), ("unattributed", "Coaching")])
        linked = drawn.random() < 0.7
        invoice = world.invoice(
            f"person{number}@example.com", drawn.choice(["PAID", "SETTLED"]), due, currency=currency,
            description=description, paid_at=paid_at, created=paid_at,
        )  # fmt: skip
        names = {"payment_link_id": invoice} if linked else {"reference_id": f"ext-{invoice}"}
        total = Decimal(0)
        statuses = drawn.choices(
            ["SUCCESS", "REVERSED", "VOIDED", "FAILED", "PENDING"], [9, 1, 1, 1, 1], k=drawn.randint(0, 3)
        )
        for status in statuses:
            world.movement(amount=due, currency=currency, status=status, created=paid_at, **names)
        successes = statuses.count("SUCCESS")
        gone_at_once = successes == 0 and ("REVERSED" in statuses or "VOIDED" in statuses)
        total += due * max(successes, 1)
        if gone_at_once:
            total -= due
        for _ in range(drawn.randint(0, 3)):
            amount = Decimal(drawn.randint(1, 100_000)) * cents
            kind, cashflow = drawn.choice(
                [("REFUND", "MONEY_OUT"), ("CHARGEBACK", "MONEY_OUT"), ("CHARGEBACK", "MONEY_IN")]
            )
            status = drawn.choice(["SUCCESS", "SUCCESS", "FAILED"])
            world.movement(
                kind, amount, currency=currency, cashflow=cashflow, status=status,
                created=paid_at + timedelta(days=1), **names,
            )  # fmt: skip
            if status == "SUCCESS":
                total += amount if cashflow == "MONEY_IN" else -amount
        month = (paid_at + timedelta(hours=8)).strftime("%Y-%m")
        stored[product, month, currency] += total.quantize(cents, ROUND_HALF_EVEN)
    world.transform()
    world.reconcile()
    staged = world.rows(
        "select product_type, to_char(paid_at at time zone 'Asia/Manila', 'YYYY-MM') as month, currency, "
        "sum(amount - refunded_amount) as kept from staging.transactions group by 1, 2, 3"
    )
    assert {(row["product_type"], row["month"], row["currency"]): row["kept"] for row in staged} == dict(stored)
    for check in ("revenue", "refunds", "paid_invoices", "reconciliation"):
        assert world.run_file(f"clean_launch/validate/checks/{check}.sql") == [], check


@dataclass(frozen=True)
class _Paid:
    """An invoice that no payment names."""

    id: str
    due: Decimal
    at: datetime
    currency: str
    product: str


@dataclass(frozen=True)
class _Came:
    """A payment that names no invoice."""

    id: str
    amount: Decimal
    at: datetime
    currency: str
    status: str


def _pairs(invoices: list[_Paid], payments: list[_Came]) -> dict[str, str]:
    """Of one reference: whose each payment is, one pair after another, always the nearest that is free."""
    whose: dict[str, str] = {}
    free = {invoice.id for invoice in invoices}
    for fits in (lambda one, came: one.due == came.amount, lambda one, came: True):
        for succeeded in (True, False):
            while True:
                near = [
                    (abs(one.at - came.at), one.id, came.id)
                    for one in invoices
                    for came in payments
                    if one.id in free and came.id not in whose and fits(one, came)
                    and (came.status == "SUCCESS") is succeeded
                ]  # fmt: skip
                if not near:
                    break
                _, invoice, payment = min(near)
                free.discard(invoice)
                whose[payment] = invoice
        for came in payments:
            fitting = [(abs(one.at - came.at), one.id) for one in invoices if fits(one, came)]
            if came.id not in whose and fitting:
                whose[came.id] = min(fitting)[1]
    return whose


@pytest.mark.parametrize("seed", range(8))
def test_kept_money_adds_up_where_invoices_share_references(world: World, seed: int) -> None:
    """Partial payments, payments in another currency, one reference for many invoices: as a person would sum it up."""
    drawn = random.Random(seed)
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    stored: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    expected: dict[str, str] = {}
    foreign = 0

    def moment(near: datetime | None = None) -> datetime:
        # to the second, so that two are hardly ever equally near
        return start + timedelta(seconds=drawn.randint(0, 28_000_000)) if near is None else near + timedelta(
            seconds=drawn.randint(-400_000, 400_000)
        )  # fmt: skip

    for number in range(40):
        reference = f"order-{number}"
        currency = drawn.choice(["PHP", "PHP", "USD"])
        dues = [Decimal(drawn.choice([500, 500, 750, 1200])) for _ in range(drawn.randint(1, 4))]
        invoices, payments = [], []
        for place, due in enumerate(dues):
            product, description = drawn.choice([("p2p_course", "Papers to Profits"), ("unattributed", "Coaching")])
            paid_at = moment()
            key = world.invoice(
                f"person{number}.{place}@example.com", amount=due, currency=currency, description=description,
                external_id=reference, paid_at=paid_at, created=paid_at,
            )  # fmt: skip
            invoices.append(_Paid(key, due, paid_at, currency, product))
            kinds = drawn.choices(
                ["whole", "parts", "foreign", "reversed", "none"], [8, 3, 2, 2, 3], k=drawn.randint(1, 2)
            )
            for kind in kinds:
                part = Decimal(drawn.randint(1, int(due) - 1))
                made = {
                    "whole": [(due, currency, "SUCCESS")],
                    "parts": [(part, currency, "SUCCESS"), (due - part, currency, "SUCCESS")],
                    "foreign": [(part, "EUR", "SUCCESS")],
                    "reversed": [(due, currency, drawn.choice(["REVERSED", "VOIDED"]))],
                    "none": [],
                }[kind]
                for amount, of, status in made:
                    at_ = moment(paid_at)
                    movement = world.movement(
                        amount=amount, currency=of, status=status, reference_id=reference, created=at_
                    )
                    payments.append(_Came(movement, amount, at_, of, status))
        whose = _pairs(invoices, payments)
        expected |= whose
        for one in invoices:
            its = [came for came in payments if whose.get(came.id) == one.id]
            good = [came for came in its if came.status == "SUCCESS"]
            own = [came.amount for came in good if came.currency == one.currency]
            foreign += len(good) - len(own)
            total = sum(own, Decimal(0)) if len(own) > 1 else one.due
            if its and not good:
                total = Decimal(0)
            stored[one.product, (one.at + timedelta(hours=8)).strftime("%Y-%m"), one.currency] += total
    world.transform()
    world.reconcile()
    paired = world.rows("select transaction_id, invoice_id from input.payment")
    assert {row["transaction_id"]: row["invoice_id"] for row in paired} == expected
    staged = world.rows(
        "select product_type, to_char(paid_at at time zone 'Asia/Manila', 'YYYY-MM') as month, currency, "
        "sum(amount - refunded_amount) as kept from staging.transactions group by 1, 2, 3"
    )
    assert {(row["product_type"], row["month"], row["currency"]): row["kept"] for row in staged} == dict(stored)
    assert len(listed(world, "81_payments_in_another_currency")) == foreign
    for check in ("revenue", "refunds", "paid_invoices", "reconciliation"):
        assert world.run_file(f"clean_launch/validate/checks/{check}.sql") == [], check
