"""A contact with a new address is who it was: one person, one account, and money that was booked by hand once."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.clean_launch_world import RUN, World, at, launch


def known(world: World, email: str, contact: int | None, **values: Any) -> uuid.UUID:
    """An account with a profile, of a contact that production knows."""
    account = world.account(email)
    return world.profile(account, email, systemeio_id=None if contact is None else str(contact), **values)


def booked(world: World, account: uuid.UUID, **values: Any) -> uuid.UUID:
    """A payment that staff have booked by hand for an account."""
    row = {"product_type": "p2p_course", "amount": 650, "status": "paid", "created_at": at("2024-09-10")} | values
    return world.current("transactions", user_id=account, transaction_type="manual", **row)


def money(world: World) -> list[tuple[str, Any, str]]:
    """Each staged transaction: whose, how much, for what."""
    return [
        (row["contact_email"], row["amount"], row["product_type"])
        for row in world.staged("transactions", "contact_email, amount")
    ]


def checked(world: World) -> World:
    """Staged, and every check across tables that has to do with people and money holds."""
    world.transform()
    world.reconcile()
    for check in ("customers", "members", "orphans", "enrolments", "revenue", "kept_ids", "money_owed", "leads"):
        assert world.run_file(f"clean_launch/validate/checks/{check}.sql") == [], check
    return world


def test_a_contact_with_a_new_address_keeps_account_and_money(world: World) -> None:
    account = known(world, "old@example.com", 500, phone="+63 9")
    payment = booked(world, account)
    enrolment = world.current("enrollments", user_id=account, product_type="p2p_course", metadata={"page": 3})
    world.contact("new@example.com", ["PaidP2P"], id=500)
    checked(world)
    assert money(world) == [("new@example.com", 650, "p2p_course")]
    assert world.only("transactions")["id"] == payment
    assert (world.only("users")["id"], world.only("users")["is_new"]) == (account, False)
    profile = world.only("unified_profiles")
    assert (profile["id"], profile["email"], profile["phone"]) == (account, "new@example.com", "+63 9")
    assert world.only("enrollments")["id"] == enrolment
    [message] = world.run_file("clean_launch/review/warnings/45_accounts_found_otherwise.sql")
    assert message == {"account_id": account, "found": "contact"}


def test_invoices_under_the_earlier_address_are_the_same_persons(world: World) -> None:
    account = known(world, "old@example.com", 500)
    booked(world, account)
    world.invoice("OLD@example.com", description="Canva", amount=300)
    world.invoice("new@example.com", amount=1000)
    world.contact("new@example.com", ["PaidP2P"], id=500)
    checked(world)
    assert money(world) == [
        ("new@example.com", 300, "canva_ebook"),
        ("new@example.com", 650, "p2p_course"),
        ("new@example.com", 1000, "p2p_course"),
    ]
    assert world.only("unified_profiles")["id"] == account
    assert len(world.staged("enrollments")) == 2


def test_an_address_that_changes_twice_is_followed_from_launch_to_launch(world: World) -> None:
    account = known(world, "first@example.com", 500)
    payment = booked(world, account)
    world.contact("second@example.com", ["PaidP2P"], id=500)
    launch(checked(world))
    world.connection.execute("update raw.systemeio_contacts set email = 'third@example.com'")
    world.invoice("second@example.com", description="Canva", amount=300)
    checked(world)
    assert money(world) == [("third@example.com", 300, "canva_ebook"), ("third@example.com", 650, "p2p_course")]
    assert payment in {row["id"] for row in world.staged("transactions")}
    assert (world.only("users")["id"], world.only("unified_profiles")["id"]) == (account, account)
    launch(world)
    before = {table: world.staged(table) for table in ("unified_profiles", "transactions", "enrollments", "leads")}
    checked(world)
    for table, rows in before.items():
        assert world.staged(table) == rows, table


def test_a_payment_that_a_launch_has_booked_goes_on_under_its_receipt_number(world: World) -> None:
    world.contact("old@example.com", ["PaidP2P"], id=500)
    launch(checked(world))
    first = world.row("select id, receipt_no, user_id from public.transactions")
    world.connection.execute("update raw.systemeio_contacts set email = 'new@example.com'")
    # somebody has signed up with the new address in between
    account = known(world, "new@example.com", None)
    checked(world)
    only = world.only("transactions")
    assert (only["id"], only["receipt_no"]) == (first["id"], first["receipt_no"])
    assert (only["user_id"], only["amount"]) == (account, 800)
    # what the earlier account had goes on as the person's
    assert {(row["old_key"], row["new_key"]) for row in world.rows(
        "select old_key, new_key from cutover.moved_row where run = %s and table_name = 'unified_profiles'", RUN
    )} == {(str(first["user_id"]), str(account))}  # fmt: skip


def test_two_contacts_who_exchange_addresses_stay_who_they_are_and_money_is_there_once(world: World) -> None:
    one, two = known(world, "a@example.com", 501), known(world, "b@example.com", 502)
    payment = booked(world, one)
    world.contact("b@example.com", ["PaidP2P"], id=501)
    world.contact("a@example.com", ["Canva"], id=502)
    checked(world)
    # accounts go by the address that opens them, what was paid by hand by the contact
    assert money(world) == [("b@example.com", 650, "p2p_course")]
    assert world.only("transactions")["id"] == payment
    assert {row["id"]: row["email"] for row in world.staged("users")} == {one: "a@example.com", two: "b@example.com"}
    launch(world)
    checked(world)
    assert money(world) == [("b@example.com", 650, "p2p_course")]


@pytest.mark.parametrize("tags", [[], ["Canva"]])
def test_an_address_that_was_given_up_and_taken_by_another_contact_is_that_ones(world: World, tags: list[str]) -> None:
    account = known(world, "a@example.com", 501)
    booked(world, account)
    world.contact("b@example.com", ["PaidP2P"], id=501)
    world.contact("a@example.com", tags, id=502)
    checked(world)
    assert money(world) == [("b@example.com", 650, "p2p_course")]
    # the account stays with the address, bought or not
    assert {row["email"]: row["id"] == account for row in world.staged("unified_profiles")} == {
        "a@example.com": True,
        "b@example.com": False,
    }


def test_without_its_tag_the_person_stays_as_a_member_with_what_was_booked(world: World) -> None:
    account = known(world, "old@example.com", 500)
    payment = booked(world, account)
    enrolment = world.current("enrollments", user_id=account, product_type="p2p_course", transaction_id=payment)
    world.contact("new@example.com", [], id=500)
    checked(world)
    assert money(world) == [("old@example.com", 650, "p2p_course")]
    assert world.staged("users") == []
    row = world.only("enrollments")
    assert (row["id"], row["transaction_id"]) == (enrolment, payment)


# members' own money


@pytest.mark.parametrize("product", ["p2p_course", "webinar", None])
def test_what_staff_have_booked_for_a_member_stays(world: World, product: str | None) -> None:
    account = known(world, "member@example.com", None)
    payment = booked(world, account, product_type=product, receipt_no=77, paid_at=at("2024-09-09"))
    world.invoice("ana@example.com")
    checked(world)
    (row,) = [row for row in world.staged("transactions") if row["transaction_type"] == "manual"]
    assert (row["id"], row["receipt_no"], row["amount"], row["user_id"]) == (payment, 77, 650, account)
    assert row["product_type"] == (product or "unattributed")
    # paying by hand makes nobody a customer, and enrols nobody
    assert [e["user_id"] for e in world.staged("enrollments")] != [] and account not in {
        e["user_id"] for e in world.staged("enrollments")
    }


def test_what_is_booked_for_a_product_outside_the_catalogue_stays_with_its_enrolment(world: World) -> None:
    account = known(world, "ana@example.com", None)
    payment = booked(world, account, product_type="coaching")
    enrolment = world.current("enrollments", user_id=account, product_type="coaching", transaction_id=payment)
    world.invoice("ana@example.com")
    checked(world)
    (value,) = [row for row in world.staged("enrollments") if row["product_type"] == "coaching"]
    assert (value["id"], value["transaction_id"]) == (enrolment, payment)


def test_what_cannot_stay_of_a_members_money_is_listed(world: World) -> None:
    account = known(world, "member@example.com", None)
    lost = booked(world, account, status="waiting")
    checked(world)
    listed = world.run_file("clean_launch/review/warnings/75_transactions_without_source.sql")
    assert [row["transaction_id"] for row in listed] == [lost]
