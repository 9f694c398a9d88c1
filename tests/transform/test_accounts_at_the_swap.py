"""What the swap does to auth.users: adds the accounts that are missing, and touches none that is there."""

from __future__ import annotations

from cutover.database import statements as files
from tests.clean_launch_world import World, at

MERGE = ("clean_launch/swap/merge_appeared_users.sql", "clean_launch/swap/merge_users.sql")


def merge(world: World) -> None:
    """Run the merge as the swap does, by name order."""
    assert tuple(files.files("clean_launch/swap", "merge_*.sql")) == MERGE
    for path in MERGE:
        world.run_file(path)


def test_a_new_account_has_what_the_sign_in_service_needs(world: World) -> None:
    world.contact("Ana@example.com", ["Canva"], first_name="Ana", registered_at=at("2024-01-15"))
    world.transform()
    merge(world)
    account = world.row("select * from auth.users")
    assert account["id"] == world.only("users")["id"]
    assert (account["email"], account["aud"], account["role"]) == ("ana@example.com", "authenticated", "authenticated")
    assert account["instance_id"].int == 0
    assert account["confirmation_token"] == account["recovery_token"] == account["encrypted_password"] == ""
    assert account["confirmed_at"] is not None
    assert (account["raw_user_meta_data"], account["created_at"]) == ({"first_name": "Ana"}, at("2024-01-15"))
    identity = world.row("select * from auth.identities")
    assert (identity["user_id"], identity["provider"]) == (account["id"], "email")
    assert identity["identity_data"]["email"] == "ana@example.com"


def test_no_existing_account_changes_in_any_column(world: World) -> None:
    world.account("Ana@example.com ", raw_user_meta_data={"theme": "dark"}, last_sign_in_at=at("2025-01-01"))
    world.account("test@example.com")
    before = world.rows("select * from auth.users order by id")
    world.invoice("ana@example.com", customer={"given_names": "Ana"})
    world.transform()
    merge(world)
    assert world.rows("select * from auth.users order by id") == before


def test_merging_twice_adds_nothing(world: World) -> None:
    world.invoice("ana@example.com")
    world.transform()
    merge(world)
    merge(world)
    assert world.row("select count(*) as accounts from auth.users") == {"accounts": 1}


def test_a_customer_who_signed_up_since_the_freeze_keeps_that_account(world: World) -> None:
    world.contact("ana@example.com", ["PaidP2P", "Affiliate"])
    world.invoice("ben@example.com")
    world.transform()
    derived = world.row("select id from staging.users where email = 'ana@example.com'")["id"]
    account = world.account("Ana@Example.com")
    assert world.run_file("clean_launch/review/warnings/58_users_appeared.sql") == [
        {"staged_id": derived, "actual_id": account}
    ]
    merge(world)
    assert world.row("select count(*) as accounts from auth.users") == {"accounts": 2}
    assert world.run_file("clean_launch/swap/check_accounts.sql") == []
    for table, column in [
        ("users", "id"), ("unified_profiles", "id"), ("transactions", "user_id"), ("enrollments", "user_id"),
        ("affiliates", "user_id"), ("leads", "user_id"),
    ]:  # fmt: skip
        ids = {row[column] for row in world.staged(table)}
        assert account in ids
        assert derived not in ids


def test_the_check_inside_the_swap_finds_a_customer_without_an_account(world: World) -> None:
    world.invoice("ana@example.com")
    world.transform()
    assert world.run_file("clean_launch/swap/check_accounts.sql") == [{"id": world.only("users")["id"]}]


def test_the_funnel_counts_stages_by_month_and_tag(world: World) -> None:
    world.contact("ana@example.com", ["Canva", "Webinar"], registered_at=at("2024-01-31T17:00"))
    world.contact("ben@example.com", ["Webinar"], registered_at=at("2024-02-10"))
    world.contact("cleo@example.com", registered_at=at("2024-02-10"))
    world.transform()
    world.connection.execute("create table public.leads (like staging.leads)")
    world.connection.execute("insert into public.leads select * from staging.leads")
    for _ in range(2):
        world.run_file("clean_launch/swap/create_marketing_funnel.sql")
    rows = world.rows("select month::text, tag, contacts, leads, customers from public.marketing_funnel order by tag")
    assert [tuple(row.values()) for row in rows] == [
        ("2024-02-01", "Canva", 1, 0, 1),
        ("2024-02-01", "Webinar", 2, 1, 1),
        ("2024-02-01", None, 1, 1, 0),
    ]
