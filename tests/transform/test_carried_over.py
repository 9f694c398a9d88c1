"""Profiles, enrolments, affiliates and leads, and what production alone knows of them (business rules 1.4)."""

from __future__ import annotations

import uuid
from decimal import Decimal

from tests.clean_launch_world import World, at, fill_with_some_of_everything, launch

TABLES = ("users", "unified_profiles", "transactions", "enrollments", "affiliates", "leads")
LEVEL = uuid.UUID(int=99)


def test_names_and_phone_come_from_the_contact_and_else_from_the_invoices_customer(world: World) -> None:
    world.contact("ana@example.com", first_name="Ana", surname=" ", phone_number=None)
    world.invoice("ana@example.com", customer={"given_names": "A.", "surname": "Cruz", "mobile_number": "+63 2"})
    world.transform()
    profile = world.only("unified_profiles")
    assert (profile["first_name"], profile["last_name"], profile["phone"]) == ("Ana", "Cruz", "+63 2")


def test_what_only_production_knows_of_a_profile_is_carried_over(world: World) -> None:
    world.insert("public.membership_levels", id=LEVEL, name="Gold")
    account = world.account("ana@example.com")
    world.profile(
        account, "ana@example.com", phone="+63 9", membership_level_id=LEVEL, admin_metadata={"note": "vip"},
        status="suspended", created_at=at("2023-05-05"), updated_at=at("2025-01-01"), tags=["old"],
    )  # fmt: skip
    world.contact("ana@example.com", ["Canva"], first_name="Ana")
    world.transform()
    profile = world.only("unified_profiles")
    assert (profile["phone"], profile["membership_level_id"], profile["admin_metadata"]) == (
        "+63 9", LEVEL, {"note": "vip"},
    )  # fmt: skip
    assert (profile["status"], profile["tags"]) == ("suspended", ["Canva"])
    assert (profile["created_at"], profile["updated_at"]) == (at("2023-05-05"), at("2025-01-01"))


def test_the_phone_that_the_apis_know_wins_over_productions(world: World) -> None:
    account = world.account("ana@example.com")
    world.profile(account, "ana@example.com", phone="old")
    world.contact("ana@example.com", ["Canva"], phone_number="new")
    world.transform()
    assert world.only("unified_profiles")["phone"] == "new"


def test_accounts_that_no_source_knows_get_no_profile(world: World) -> None:
    stranger = world.account("test@example.com")
    world.profile(stranger, "test@example.com")
    world.transform()
    assert world.staged("unified_profiles") == world.staged("users") == []


def test_there_is_one_enrolment_per_customer_and_product_from_the_earliest_transaction(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P"])
    world.invoice("ana@example.com", paid_at=at("2024-07-02"))
    earliest = world.invoice("ana@example.com", paid_at=at("2024-06-02"))
    world.invoice("ana@example.com", description="Coaching call")
    world.transform()
    enrolment = world.only("enrollments")
    paid = {row["xendit_invoice_id"]: row["id"] for row in world.staged("transactions")}
    assert enrolment["transaction_id"] == paid[earliest]
    assert (enrolment["status"], enrolment["enrolled_at"]) == ("active", at("2024-06-02"))
    assert enrolment["course_id"] == uuid.UUID("c0000000-0000-4000-8000-000000000001")


def test_a_tag_alone_enrols_where_the_product_has_no_manual_price(world: World) -> None:
    world.contact("ana@example.com", ["Canva"], registered_at=at("2024-01-15"))
    world.transform()
    enrolment = world.only("enrollments")
    assert (enrolment["product_type"], enrolment["transaction_id"]) == ("canva_ebook", None)
    assert (enrolment["status"], enrolment["enrolled_at"]) == ("active", at("2024-01-15"))
    assert world.staged("transactions") == []


def test_a_manual_payment_enrols(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P"])
    world.transform()
    assert world.only("enrollments")["transaction_id"] == world.only("transactions")["id"]


def test_an_enrolment_is_revoked_only_when_every_transaction_of_it_was_returned(world: World) -> None:
    twice = [world.invoice("twice@example.com") for _ in range(2)]
    world.movement("REFUND", 1000, payment_link_id=twice[0])
    world.movement("REFUND", 1000, payment_link_id=world.invoice("once@example.com"))
    world.movement("CHARGEBACK", 1000, payment_link_id=world.invoice("bank@example.com"))
    world.movement("REFUND", 999, payment_link_id=world.invoice("part@example.com"))
    world.transform()
    found = world.rows(
        "select p.email, e.status from staging.enrollments as e join staging.unified_profiles as p on p.id = e.user_id"
    )
    assert {row["email"]: row["status"] for row in found} == {
        "twice@example.com": "active",
        "once@example.com": "revoked",
        "bank@example.com": "revoked",
        "part@example.com": "active",
    }


def test_course_progress_is_carried_over_with_id_and_number_even_from_another_account_of_the_person(
    world: World,
) -> None:
    chosen, other = world.account("ana@example.com"), world.account("ANA@example.com", created_at=at("2024-02-02"))
    world.profile(chosen, "ana@example.com")
    world.profile(other, "ANA@example.com")
    current = world.current(
        "enrollments", user_id=other, product_type="p2p_course", enrollment_no=41,
        last_accessed_at=at("2025-01-01"), metadata={"lesson": 7}, status="paused",
    )  # fmt: skip
    world.invoice("ana@example.com")
    world.transform()
    enrolment = world.only("enrollments")
    assert (enrolment["id"], enrolment["enrollment_no"], enrolment["user_id"]) == (current, 41, chosen)
    assert (enrolment["last_accessed_at"], enrolment["metadata"]) == (at("2025-01-01"), {"lesson": 7})
    assert enrolment["status"] == "active"


def test_new_enrolment_numbers_are_not_used_again_by_a_sale_during_the_run(world: World) -> None:
    world.invoice("ana@example.com")
    world.transform()
    staged = world.only("enrollments")["enrollment_no"]
    world.transform()
    assert world.only("enrollments")["enrollment_no"] == staged
    during = world.row("select nextval(pg_get_serial_sequence('public.enrollments', 'enrollment_no')) as number")
    assert during["number"] == staged + 1


def test_a_customer_with_the_tag_is_an_affiliate_and_the_profile_points_at_the_row(world: World) -> None:
    world.contact("ana@example.com", ["Affiliate", "Canva"], registered_at=at("2024-01-15"))
    world.contact("lead@example.com", ["Affiliate"])
    world.transform()
    affiliate, profile = world.only("affiliates"), world.only("unified_profiles")
    assert (affiliate["user_id"], profile["affiliate_id"]) == (profile["id"], affiliate["id"])
    assert (affiliate["status"], affiliate["commission_rate"], affiliate["total_earned"]) == (
        "pending", Decimal("0.3"), 0,
    )  # fmt: skip
    assert affiliate["created_at"] == at("2024-01-15")


def test_a_current_affiliate_who_is_a_customer_keeps_row_rate_and_money_without_the_tag(world: World) -> None:
    account = world.account("ana@example.com")
    world.profile(account, "ana@example.com")
    row = world.current(
        "affiliates", user_id=account, status="approved", commission_rate=Decimal("0.45"),
        total_earned=Decimal("1234.56"),
    )  # fmt: skip
    stranger = world.account("stranger@example.com")
    world.profile(stranger, "stranger@example.com")
    world.current("affiliates", user_id=stranger)
    world.invoice("ana@example.com")
    world.transform()
    affiliate = world.only("affiliates")
    assert (affiliate["id"], affiliate["status"]) == (row, "approved")
    assert (affiliate["commission_rate"], affiliate["total_earned"]) == (Decimal("0.45"), Decimal("1234.56"))


def test_money_owed_to_two_accounts_of_one_person_is_added_up(world: World) -> None:
    for position, (email, earned) in enumerate([("ana@example.com", "100.50"), ("Ana@example.com", "20.25")]):
        account = world.account(email, created_at=at(f"2024-01-0{position + 1}"))
        world.profile(account, email)
        world.current("affiliates", user_id=account, total_earned=Decimal(earned))
    world.invoice("ana@example.com")
    world.transform()
    assert world.only("affiliates")["total_earned"] == Decimal("120.75")


def test_every_contact_is_a_lead_and_a_customer_when_converted(world: World) -> None:
    world.contact("lead@example.com", ["Newsletter"], source_url="https://example.com/a", bounced=True)
    world.contact("buyer@example.com", unsubscribed=True)
    world.invoice("buyer@example.com", paid_at=at("2024-06-05"))
    world.invoice("buyer@example.com", paid_at=at("2024-06-04"))
    world.invoice("elsewhere@example.com")
    world.transform()
    lead, buyer = sorted(world.staged("leads"), key=lambda row: row["email"], reverse=True)
    assert (lead["stage"], lead["user_id"], lead["first_paid_at"]) == ("lead", None, None)
    assert (lead["source_url"], lead["bounced"], lead["unsubscribed"]) == ("https://example.com/a", True, False)
    assert (buyer["stage"], buyer["first_paid_at"], buyer["unsubscribed"]) == ("customer", at("2024-06-04"), True)
    assert buyer["user_id"] in [row["id"] for row in world.staged("users")]


def test_who_has_unsubscribed_with_one_contact_has_unsubscribed(world: World) -> None:
    world.contact("ana@example.com", bounced=True)
    world.contact("ANA@example.com", unsubscribed=True, registered_at=at("2024-08-01"))
    world.transform()
    assert (world.only("leads")["unsubscribed"], world.only("leads")["bounced"]) == (True, True)


def test_a_second_run_over_the_same_sources_changes_no_row(world: World) -> None:
    fill_with_some_of_everything(world)
    world.transform()
    first = {table: world.staged(table) for table in TABLES}
    world.transform()
    assert {table: world.staged(table) for table in TABLES} == first


def test_a_launch_over_its_own_result_changes_no_row(world: World) -> None:
    fill_with_some_of_everything(world)
    world.transform()
    first = {table: world.staged(table) for table in TABLES}
    launch(world)
    world.transform()
    again = {table: world.staged(table) for table in TABLES}
    for user in [*first["users"], *again["users"]]:
        del user["is_new"]
    assert again == first
