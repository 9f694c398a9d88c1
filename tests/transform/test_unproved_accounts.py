"""An address that was never proved is not a person (business rules 1.7)."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from tests.clean_launch_world import World, at

SIGN_IN = """
create table auth.sessions (id uuid primary key, user_id uuid not null references auth.users on delete cascade);
create table auth.refresh_tokens (id bigint primary key, user_id varchar(255), token text);
create table auth.one_time_tokens (id bigint primary key, user_id uuid not null, token_hash text);
create table auth.mfa_factors (id bigint primary key, user_id uuid not null, secret text);
alter table auth.users add phone text unique, add phone_confirmed_at timestamptz, add phone_change_token text;
"""
STORES = ("sessions", "refresh_tokens", "one_time_tokens", "mfa_factors")


def sign_in(world: World, account: uuid.UUID) -> None:
    """A row of everything by which the account can be entered."""
    number = next(world.numbers)
    world.insert("auth.sessions", id=uuid.uuid4(), user_id=account)
    world.insert("auth.refresh_tokens", id=number, user_id=str(account), token="t")
    world.insert("auth.one_time_tokens", id=number, user_id=account, token_hash="t")
    world.insert("auth.mfa_factors", id=number, user_id=account, secret="s")
    world.connection.execute(
        "update auth.users set phone = %s, phone_confirmed_at = now(), phone_change_token = 't', "
        "confirmation_token = 't', recovery_token = 't' where id = %s",
        (str(number), account),
    )


def identity(world: World, account: uuid.UUID, provider: str, email: str | None, verified: bool) -> None:
    """An identity of the account at one provider."""
    data = {"sub": str(account), "email": email, "email_verified": verified}
    world.insert(
        "auth.identities", id=uuid.uuid4(), provider_id=f"{provider}-{account}", user_id=account, provider=provider,
        identity_data=data,
    )  # fmt: skip


def void(world: World, **settings: Any) -> int:
    """What the swap does while clients wait; returns how many accounts it made void."""
    (row,) = world.run_file("clean_launch/swap/inside_void_unproved.sql", **settings)
    return int(row["accounts_made_void"])


def entered_by(world: World, account: uuid.UUID) -> dict[str, int]:
    """Rows of the account by table, where there are any."""
    counts = {
        table: world.row(f"select count(*) as n from auth.{table} where user_id::text = %s", str(account))["n"]
        for table in STORES
    }
    return {table: count for table, count in counts.items() if count}


def test_every_way_into_an_unproved_account_is_gone_and_no_other_account_changes(world: World) -> None:
    world.connection.execute(SIGN_IN)
    stranger = world.account("Ana@example.com", email_confirmed_at=None, raw_app_meta_data={"role": "kept"})
    others = [world.account("ben@example.com"), world.account("member@example.com", email_confirmed_at=None)]
    for account in (stranger, *others):
        sign_in(world, account)
        identity(world, account, "email", "ana@example.com", False)
        identity(world, account, "google", "mallory@example.com", True)
        identity(world, account, "azure", "ana@example.com", False)
        identity(world, account, "apple", "ana@example.com", True)
        identity(world, account, "phone", None, False)
    world.invoice("ana@example.com")
    world.invoice("ben@example.com")
    world.transform()
    assert world.row("select id from staging.users where email = 'ana@example.com'") == {"id": stranger}
    untouched = "select * from auth.users where id <> %s order by id"
    before = world.rows(untouched, stranger)

    assert void(world) == 1

    assert world.rows(untouched, stranger) == before
    account = world.row("select * from auth.users where id = %s", stranger)
    assert {account[name] for name in ("encrypted_password", "confirmation_token", "recovery_token")} == {""}
    assert (account["phone"], account["phone_confirmed_at"], account["phone_change_token"]) == (None, None, "")
    assert account["email_confirmed_at"] is not None, "a second sign-up with the address must be refused"
    assert account["raw_app_meta_data"] == {"role": "kept", "provider": "email", "providers": ["email"]}
    assert entered_by(world, stranger) == {}
    stored = world.rows("select provider from auth.identities where user_id = %s order by 1", stranger)
    assert [row["provider"] for row in stored] == ["apple", "email"]
    for other in others:
        assert entered_by(world, other) == dict.fromkeys(STORES, 1)
        assert world.row("select count(*) as n from auth.identities where user_id = %s", other) == {"n": 5}
    assert world.rows("select account_id from cutover.void_account") == [{"account_id": stranger}]
    assert void(world) == 0


def test_a_sign_in_service_that_keeps_less_is_no_obstacle(world: World) -> None:
    stranger = world.account("ana@example.com", email_confirmed_at=None)
    world.invoice("ana@example.com")
    world.transform()
    assert void(world) == 1
    (row,) = world.rows("select provider, identity_data ->> 'email' as email from auth.identities")
    assert row == {"provider": "email", "email": "ana@example.com"}
    assert world.row("select encrypted_password from auth.users where id = %s", stranger) == {"encrypted_password": ""}


def test_a_sign_up_after_the_freeze_is_made_void_too_and_one_that_was_confirmed_since_is_not(world: World) -> None:
    world.invoice("ana@example.com")
    world.invoice("ben@example.com")
    early = world.account("ben@example.com", email_confirmed_at=None)
    world.transform()
    late = world.account("Ana@example.com", email_confirmed_at=None)
    world.connection.execute("update auth.users set email_confirmed_at = now() where id = %s", (early,))
    for path in ("merge_appeared_users", "merge_users"):
        world.run_file(f"clean_launch/swap/{path}.sql")
    assert void(world) == 1
    assert world.rows("select id from auth.users where encrypted_password = 'secret'") == [{"id": early}]
    assert world.row("select id from staging.users where email = 'ana@example.com'") == {"id": late}


@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_the_other_policies_change_nothing(world: World, policy: str) -> None:
    world.account("ana@example.com", email_confirmed_at=None)
    world.invoice("ana@example.com")
    world.transform()
    before = world.rows("select * from auth.users")
    if policy == "refuse":
        with pytest.raises(psycopg.errors.RaiseException, match="never confirmed"), world.connection.transaction():
            void(world, unconfirmed=policy)
    else:
        assert void(world, unconfirmed=policy) == 0
    assert world.rows("select * from auth.users") == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"deleted_at": None}, {"deleted_at": at("2025-01-01")}),
        ({}, {"email_confirmed_at": None}),
        # the live one, although its address was not proved: what was deleted was deleted
        ({"email_confirmed_at": None}, {"deleted_at": at("2025-01-01")}),
    ],
)
def test_of_several_accounts_a_live_and_proved_one_comes_before_one_with_a_profile(
    world: World, first: dict[str, Any], second: dict[str, Any]
) -> None:
    other = world.account("ana@example.com", created_at=at("2023-01-01"), **second)
    world.profile(other, "ana@example.com")
    chosen = world.account("Ana@example.com", **first)
    world.invoice("ana@example.com")
    world.transform()
    assert world.only("users")["id"] == chosen


def test_what_a_stranger_typed_in_never_stands_before_what_the_customer_said(world: World) -> None:
    stranger = world.account("ana@example.com", email_confirmed_at=None)
    world.profile(stranger, "ana@example.com", first_name="Mallory", last_name="M", phone="+63666")
    world.contact("ana@example.com", ["Canva"], first_name="Ana", phone_number="+63111")
    world.transform()
    profile = world.only("unified_profiles")
    # a name that nobody else knows is better than none, and is on the list of what to look at
    assert (profile["first_name"], profile["last_name"], profile["phone"]) == ("Ana", "M", "+63111")
