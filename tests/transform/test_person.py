"""Who is a customer, and which account a customer has (business rules 1.2 and 1.4, users)."""

from __future__ import annotations

import uuid

import pytest

from tests.clean_launch_world import NAMESPACE, RUN, World, at


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("ana@example.com", "ana@example.com"),
        ("  Ana@Example.COM ", "ana@example.com"),
        ("x" * 308 + "@example.com", "x" * 308 + "@example.com"),
        (None, None),
        ("", None),
        ("   ", None),
        ("no-at-sign.example.com", None),
        ("two@@ats.example.com", None),
        ("two@ats@example.com", None),
        ("inner space@example.com", None),
        ("tab\t@example.com", None),
        ("no-break\u00a0space@example.com", None),
        ("x" * 309 + "@example.com", None),
        # composed and decomposed letters are one address
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("@", None),
        ("c8@", None),
        ("@c8.ph", None),
        ("c8@localhost", None),
        ("c8@.ph", None),
        ("c8@ph.", None),
    ],
)
def test_an_email_key_is_lower_case_without_outer_blanks_or_nothing(
    world: World, address: str | None, key: str | None
) -> None:
    assert world.row("select cutover.email_key(%s) as key", address) == {"key": key}


def test_an_address_that_an_account_cannot_have_is_rejected_wherever_it_comes_from(world: World) -> None:
    world.connection.execute("alter table auth.users alter email type varchar(40)")
    fits, long = "x" * 28 + "@example.com", "x" * 29 + "@example.com"
    for address in (fits, long):
        world.invoice(address)
        world.invoice(None, customer={"email": "y" + address[1:]})
        world.contact("z" + address[1:], ["Canva"])
    world.transform()
    assert {row["email"] for row in world.staged("users")} == {start + fits[1:] for start in "xyz"}
    assert world.row("select count(*) as rejected from cutover.rejects where reason = 'invalid_email'")["rejected"] == 3


def test_the_payer_of_a_paid_or_settled_invoice_of_any_product_is_a_customer(world: World) -> None:
    world.invoice("paid@example.com", "PAID")
    world.invoice("settled@example.com", "SETTLED", description="Something else")
    world.invoice("expired@example.com", "EXPIRED")
    world.invoice("pending@example.com", "PENDING")
    world.transform()
    assert [row["email"] for row in world.staged("users", "email")] == ["paid@example.com", "settled@example.com"]


def test_a_contact_with_a_products_tag_is_a_customer_and_one_without_is_not(world: World) -> None:
    world.contact("p2p@example.com", ["PaidP2P", "Newsletter"])
    world.contact("canva@example.com", ["Canva"])
    world.contact("other@example.com", ["Newsletter", "paidp2p", "CanvaWebinar"])
    world.transform()
    assert [row["email"] for row in world.staged("users", "email")] == ["canva@example.com", "p2p@example.com"]


def test_a_new_customers_id_is_the_uuid5_of_the_email_key(world: World) -> None:
    world.invoice(" Ana@Example.com")
    world.transform()
    user = world.only("users")
    assert user["id"] == uuid.uuid5(NAMESPACE, "ana@example.com")
    assert user["is_new"]
    assert world.only("unified_profiles")["id"] == user["id"]


def test_an_existing_account_with_the_same_key_in_another_spelling_keeps_its_id(world: World) -> None:
    account = world.account("Ana@Example.com ")
    world.invoice("ana@example.com")
    world.transform()
    assert (world.only("users")["id"], world.only("users")["is_new"]) == (account, False)


def test_of_several_accounts_with_one_key_the_one_with_a_profile_is_taken_even_if_younger(world: World) -> None:
    world.account("ana@example.com", created_at=at("2020-01-01"))
    younger = world.account("Ana@example.com", created_at=at("2024-01-01"))
    world.profile(younger, "ana@example.com")
    world.invoice("ana@example.com")
    world.transform()
    assert world.only("users")["id"] == younger


def test_of_several_accounts_without_a_profile_the_oldest_is_taken(world: World) -> None:
    world.account("ANA@example.com", created_at=at("2023-01-01"))
    oldest = world.account("ana@example.com", created_at=at("2020-01-01"))
    world.account("Ana@example.com", created_at=at("2022-01-01"))
    world.invoice("ana@example.com")
    world.transform()
    assert world.only("users")["id"] == oldest


def test_a_deleted_account_and_one_of_single_sign_on_come_last(world: World) -> None:
    world.account("ana@example.com", created_at=at("2020-01-01"), deleted_at=at("2021-01-01"))
    world.account("Ana@example.com", created_at=at("2019-01-01"), is_sso_user=True)
    living = world.account("ANA@example.com", created_at=at("2022-01-01"))
    world.invoice("ana@example.com")
    world.transform()
    assert world.only("users")["id"] == living


def test_an_account_made_by_an_earlier_launch_stays_with_the_person_who_changed_address_since(world: World) -> None:
    derived = uuid.uuid5(NAMESPACE, "old@example.com")
    world.account("new@example.com", id=derived)
    world.invoice("old@example.com")
    world.transform()
    assert (world.only("users")["id"], world.only("users")["is_new"]) == (derived, False)


def test_a_profile_with_the_key_leads_to_the_account_of_a_person_who_changed_address(world: World) -> None:
    account = world.account("new@example.com")
    world.profile(account, "Old@example.com")
    invoice = world.invoice("old@example.com")
    world.current("transactions", user_id=account, amount=1000, status="paid", xendit_invoice_id=invoice)
    world.transform()
    assert (world.only("users")["id"], world.only("users")["is_new"]) == (account, False)


@pytest.mark.parametrize("booked", ["nothing", "under another address", "on an account that was never confirmed"])
def test_an_address_that_somebody_wrote_into_a_profile_makes_no_account_a_customer_s(world: World, booked: str) -> None:
    unproved = {"email_confirmed_at": None} if "never" in booked else {}
    stranger = world.account("mallory@example.com", **unproved)
    world.profile(stranger, "Ana@example.com", phone="+63666")
    invoice = world.invoice("ana@example.com")
    if booked != "nothing":
        other = world.invoice("somebody@example.com") if "another" in booked else invoice
        world.current("transactions", user_id=stranger, amount=1000, status="paid", xendit_invoice_id=other)
    world.transform()
    users = {row["email"]: row for row in world.staged("users")}
    assert users["ana@example.com"]["id"] == uuid.uuid5(NAMESPACE, "ana@example.com")
    assert {row["user_id"] for row in world.staged("enrollments")}.isdisjoint({stranger})
    profiles = {row["id"]: row for row in world.rows("select id, email, phone from staging.unified_profiles")}
    assert profiles[users["ana@example.com"]["id"]]["phone"] != "+63666"
    # and it is told before anybody is asked: the sign-up trigger could not make the customer's profile
    (result,) = world.run_file("clean_launch/validate/checks/new_accounts.sql")
    assert result["held_by"] == stranger


@pytest.mark.parametrize("has_account", [False, True])
def test_a_profile_that_holds_a_customer_s_address_stops_the_launch_by_name(world: World, has_account: bool) -> None:
    """Spelled as the customer's: not a row more could be loaded. A customer who has an account, too, or has none."""
    stranger = world.account("mallory@example.com")
    world.profile(stranger, "ana@example.com")
    if has_account:
        world.account("ana@example.com")
    world.invoice("ana@example.com")
    world.transform()
    (result,) = world.run_file("clean_launch/validate/checks/new_accounts.sql")
    assert result["held_by"] == stranger


def test_a_profile_does_not_lead_to_the_account_of_another_customer(world: World) -> None:
    account = world.account("new@example.com")
    world.profile(account, "old@example.com")
    world.invoice("old@example.com")
    world.invoice("new@example.com")
    world.transform()
    users = {row["email"]: row for row in world.staged("users")}
    assert (users["new@example.com"]["id"], users["old@example.com"]["is_new"]) == (account, True)
    (result,) = world.run_file("clean_launch/validate/checks/new_accounts.sql")
    assert (result["staged_id"], result["held_by"]) == (users["old@example.com"]["id"], account)


def test_a_derived_id_that_now_belongs_to_another_customer_is_not_shared(world: World) -> None:
    derived = uuid.uuid5(NAMESPACE, "old@example.com")
    world.account("new@example.com", id=derived)
    world.invoice("old@example.com")
    world.invoice("new@example.com")
    world.transform()
    users = {row["email"]: row for row in world.staged("users")}
    assert users["new@example.com"]["id"] == derived
    assert users["old@example.com"]["id"] != derived
    assert users["old@example.com"]["is_new"]


def test_two_contacts_with_one_key_are_one_person_named_by_the_one_registered_first(world: World) -> None:
    later = world.contact(
        "ANA@example.com", ["Canva", "VIP"], first_name="Anna", surname="B", registered_at=at("2024-02-02")
    )
    first = world.contact(
        "ana@example.com", ["Newsletter", "VIP"], first_name="Ana", phone_number="1", registered_at=at("2024-02-01")
    )
    world.transform()
    profile = world.only("unified_profiles")
    assert (profile["first_name"], profile["last_name"], profile["phone"]) == ("Ana", "B", "1")
    assert profile["tags"] == profile["systemeio_tags"] == ["Canva", "Newsletter", "VIP"]
    assert profile["systemeio_id"] == str(first)
    lead = world.only("leads")
    assert (lead["systemeio_id"], lead["merged_systemeio_ids"]) == (str(first), [str(later)])


def test_an_unusable_address_rejects_the_row_whole_and_a_second_try_rejects_it_once(world: World) -> None:
    contact = world.contact("nobody", ["Canva"])
    invoice = world.invoice(None)
    world.transform()
    world.transform()
    rejected = world.rows("select source, source_id, reason, source_row from cutover.rejects where run = %s", RUN)
    assert rejected == [
        {
            "source": "systemeio_contacts",
            "source_id": str(contact),
            "reason": "invalid_email",
            "source_row": {"id": contact, "email": "nobody"},
        },
        {
            "source": "xendit_invoices",
            "source_id": invoice,
            "reason": "invalid_email",
            "source_row": {"id": invoice, "payer_email": None, "status": "PAID"},
        },
    ]
    assert world.staged("users") == []


def test_the_customers_address_serves_where_the_invoice_has_no_payer_email(world: World) -> None:
    world.invoice(None, customer={"email": "Ana@example.com", "given_names": "Ana", "surname": "Cruz"})
    world.transform()
    profile = world.only("unified_profiles")
    assert (profile["email"], profile["full_name"]) == ("ana@example.com", "Ana Cruz")
    assert profile["acquisition_source"] == "xendit"


def test_rows_that_left_the_source_are_not_read(world: World) -> None:
    world.contact("ana@example.com", ["Canva"], gone_at=at("2024-07-01"))
    world.invoice("ben@example.com", gone_at=at("2024-07-01"))
    world.transform()
    assert world.staged("users") == world.staged("leads") == []
