"""Profiles, enrolments, affiliates and leads, and what production alone knows of them (business rules 1.4)."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

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


def test_names_and_phone_are_productions_then_the_contacts_then_a_paid_invoices(world: World) -> None:
    account = world.account("ana@example.com")
    world.profile(account, "ana@example.com", phone="production's", first_name=" ")
    world.contact("ana@example.com", ["Canva"], phone_number="contact's", first_name="Contact's")
    customer = {"mobile_number": "invoice's", "given_names": "Invoice's", "surname": "Invoice's"}
    world.invoice("ana@example.com", customer=customer)
    world.transform()
    profile = world.only("unified_profiles")
    assert (profile["phone"], profile["first_name"], profile["last_name"]) == (
        "production's", "Contact's", "Invoice's",
    )  # fmt: skip


@pytest.mark.parametrize("status", ["EXPIRED", "PENDING"])
def test_a_checkout_that_was_never_paid_says_nothing_about_anybody(world: World, status: str) -> None:
    account = world.account("known@example.com")
    world.profile(account, "known@example.com", phone="1", updated_at=at("2024-01-01"))
    for email in ("known@example.com", "new@example.com"):
        world.invoice(email, created=at("2024-06-01"), updated=at("2024-06-03"))
        stranger = {"given_names": "Mallory", "surname": "M", "mobile_number": "+63666"}
        world.invoice(
            email, status, customer=stranger, created=at("2023-01-01"), updated=at("2025-12-31"),
        )  # fmt: skip
    world.transform()
    for profile in world.staged("unified_profiles"):
        assert (profile["first_name"], profile["last_name"]) == (None, None)
        assert profile["phone"] == ("1" if profile["email"] == "known@example.com" else None)
        assert profile["updated_at"] == at("2024-06-03")
        assert profile["created_at"] in (at("2024-01-01"), at("2024-06-01"))


def test_a_member_keeps_the_profile_and_all_that_hangs_on_it_in_every_column(world: World) -> None:
    member = world.account("Free.Member@example.com")
    world.profile(member, "Free.Member@example.com", phone="1", tags=["b", "a"], acquisition_source=None, status="odd")
    affiliate = world.current("affiliates", user_id=member, total_earned=5)
    world.connection.execute("update public.unified_profiles set affiliate_id = %s", (affiliate,))
    world.current("enrollments", user_id=member, product_type="p2p_course", status="paused", metadata={"page": 3})
    before = {table: world.rows(f"select * from public.{table}") for table in TABLES[1:5]}
    world.transform()
    assert {table: world.staged(table) for table in TABLES[1:5]} == before
    assert world.staged("users") == []


def test_a_test_account_loses_its_profile_unless_there_is_money(world: World) -> None:
    for number in range(4):
        account = world.account(f"qa.{number}@learn.example.com")
        world.profile(account, f"qa.{number}@learn.example.com")
        if number == 1:
            world.current("affiliates", user_id=account, total_earned=5)
        if number == 2:
            world.current("transactions", user_id=account, transaction_type="manual", amount=1, status="paid")
        if number == 3:
            world.current("transactions", user_id=account, transaction_type="test", amount=1, status="paid")
    flagged = world.account("flagged@example.com")
    world.profile(flagged, "flagged@example.com", admin_metadata={"test_account": True, "note": "staff"})
    world.transform()
    values = [row["email"] for row in world.staged("unified_profiles", "email")]
    assert values == ["qa.1@learn.example.com", "qa.2@learn.example.com"]


def test_who_is_a_test_account_is_what_the_table_says(world: World) -> None:
    account = world.account("robot@shop.example")
    world.profile(account, "robot@shop.example")
    world.transform()
    assert len(world.staged("unified_profiles")) == 1
    world.insert("cutover.test_account", name="robots", address_pattern="ROBOT@%")
    world.transform()
    assert world.staged("unified_profiles") == []


def test_an_enrolment_outside_the_catalogue_stays_as_it_is(world: World) -> None:
    account = world.account("ana@example.com")
    second = world.account("Ana@example.com", created_at=at("2025-01-01"))
    world.profile(account, "ana@example.com")
    world.profile(second, "Ana@example.com")
    stored = world.current("enrollments", user_id=account, product_type="webinar", metadata={"page": 3})
    other = world.current("enrollments", user_id=second, product_type="club")
    world.current("enrollments", user_id=second, product_type="webinar")
    world.invoice("ana@example.com")
    world.transform()
    values = {row["id"]: row for row in world.staged("enrollments") if row["product_type"] != "p2p_course"}
    assert set(values) == {stored, other}
    assert {row["user_id"] for row in values.values()} == {account}
    assert values[stored]["metadata"] == {"page": 3}
    listed = world.run_file("clean_launch/review/warnings/78_enrolments_kept.sql")
    assert [(row["enrollment_id"], row["product"]) for row in listed] == [(other, "club"), (stored, "webinar")]


@pytest.mark.parametrize("kind", ["null", "[]", "[1, {}]", '"text"', "0", "true", "{}", '{"a": {"b": [null]}}'])
def test_metadata_of_any_kind_is_the_same_launch_after_launch_in_every_column(world: World, kind: str) -> None:
    fill_with_some_of_everything(world)
    execute = world.connection.execute
    for table, column in (
        ("public.unified_profiles", "admin_metadata"),
        ("public.enrollments", "metadata"),
        ("public.transactions", "metadata"),
        ("auth.users", "raw_user_meta_data"),
    ):
        execute(f"update {table} set {column} = %s::jsonb", (kind,))
    accounts = world.rows("select id, raw_user_meta_data::text from auth.users order by id")
    world.transform()
    for table, column in (("unified_profiles", "admin_metadata"), ("enrollments", "metadata")):
        # of every person whom production knows, as it is
        known = world.rows(
            f"select s.{column}::text as staged from staging.{table} as s inner join public.{table} as p on s.id = p.id"
        )
        assert known and {row["staged"] for row in known} == {kind}, table
    first = {table: world.staged(table) for table in TABLES}
    launch(world)
    assert accounts == world.rows(
        "select id, raw_user_meta_data::text from auth.users where id = any(%s) order by id",
        [account["id"] for account in accounts],
    )
    world.transform()
    second = {table: world.staged(table) for table in TABLES}
    for table in TABLES[1:]:
        assert first[table] == second[table], table


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
    rows = world.rows(
        "select p.email, e.status from staging.enrollments as e join staging.unified_profiles as p on p.id = e.user_id"
    )
    assert {row["email"]: row["status"] for row in rows} == {
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
    tester = world.account("qa.5@learn.example.com")
    world.profile(tester, "qa.5@learn.example.com")
    world.current("affiliates", user_id=tester)
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
