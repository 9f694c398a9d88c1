"""Who becomes one person, whose values win, and how one person becomes two again."""

from __future__ import annotations

from datetime import datetime, timezone

import psycopg
import pytest

from cutover.connect import opened
from cutover.extract.why import why
from tests.mula.world import World


def test_the_same_address_in_any_spelling_is_one_person_who_keeps_both_histories(world: World) -> None:
    world.user("dasha", 5, "Ana@Example.com", username="ana_d", created_at="2025-11-12", last_login="2025-11-20")
    world.user("compatibility", 5, " ana@example.COM", username="ana_c", created_at="2025-11-09",
               last_login="2025-11-28", oauth_provider="google", oauth_id="g-1")  # fmt: skip
    world.user("compatibility", 6, "ben@example.com")
    world.chart("dasha", 1, 5)
    world.chart("compatibility", 1, 5)
    world.chart("compatibility", 2, 6)
    world.launch("first")
    ana = world.row("select * from users where email = 'ana@example.com'")
    assert ana["created_at"] == datetime(2025, 11, 9, tzinfo=timezone.utc)
    assert ana["last_login"] == datetime(2025, 11, 28, tzinfo=timezone.utc)
    assert (ana["username"], ana["oauth_provider"], ana["oauth_id"]) == ("ana_c", "google", "g-1")
    assert world.value("select count(*) from birth_charts where user_id = %s", ana["id"]) == 2
    identities = world.rows("select source, legacy_user_id, email from legacy_identities where user_id = %s order by 1",
                            ana["id"])  # fmt: skip
    assert [tuple(row.values()) for row in identities] == [
        ("compatibility", "5", " ana@example.COM"),
        ("dasha", "5", "Ana@Example.com"),
    ]
    merged = world.row("select * from cutover.merge")
    assert (merged["user_id"], merged["rule"]) == (ana["id"], "same e-mail address, spelled differently")
    assert [(a["source"], a["legacy_user_id"]) for a in merged["accounts"]] == [("compatibility", "5"), ("dasha", "5")]
    won = {name: (field["source"], field["value"]) for name, field in merged["fields"].items()}
    assert won["username"] == ("compatibility", "ana_c")
    assert won["oauth"] == ("compatibility", {"provider": "google", "id": "g-1"})
    assert won["created_at"][0] == "compatibility"
    log = world.rows("select metadata from activity_log where user_id = %s order by metadata ->> 'source'", ana["id"])
    assert [row["metadata"]["source"] for row in log] == ["compatibility", "dasha"]


def test_a_value_that_the_latest_account_lacks_comes_from_the_other(world: World) -> None:
    world.user("dasha", 1, "ana@example.com", username="ana_d", oauth_provider="apple", oauth_id="a-1")
    world.user("compatibility", 1, "ana@example.com", last_login="2025-11-28")
    world.chart("dasha", 1, 1)
    world.launch("first")
    ana = world.row("select * from users")
    assert (ana["username"], ana["oauth_provider"], ana["oauth_id"]) == ("ana_d", "apple", "a-1")
    fields = world.value("select fields from cutover.merge")
    assert (fields["username"]["source"], fields["last_login"]["source"]) == ("dasha", "compatibility")


def test_two_accounts_of_one_application_are_one_person_too(world: World) -> None:
    for number, email in ((1, "ana@example.com"), (2, "ANA@example.com")):
        world.user("dasha", number, email)
        world.chart("dasha", number, number, is_default=True, created_at=f"2025-11-1{number}")
    world.launch("first")
    assert world.value("select count(*) from users") == 1
    assert world.value("select count(*) from legacy_identities") == 2
    assert world.value("select array_agg(is_default order by created_at) from birth_charts") == [False, True]


def test_preferences_of_the_latest_win_and_their_data_is_united(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 9, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.insert("dasha", "user_preferences", id=1, user_id=1, timezone="Asia/Kolkata", daily_reminder_time="07:15",
                 marketing_emails=True, data={"theme": "dark", "ayanamsa": "lahiri"},
                 updated_at="2025-11-20")  # fmt: skip
    world.insert("compatibility", "user_preferences", id=1, user_id=9, timezone="Europe/London",
                 data={"theme": "light"}, updated_at="2025-11-25")  # fmt: skip
    world.launch("first")
    row = world.row("select * from user_preferences")
    assert (row["timezone"], row["marketing_emails"]) == ("Europe/London", False)
    assert row["data"] == {"theme": "light", "ayanamsa": "lahiri"}
    # what the winner's application does not know comes from the other
    assert str(row["daily_reminder_time"]) == "07:15:00"


def test_tokens_are_united_per_person_and_ring_for_one_person_only(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("dasha", 2, "ben@example.com")
    world.user("compatibility", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.insert("dasha", "fcm_tokens", id=1, user_id=1, token="phone", is_active=False, created_at="2025-11-10")
    world.insert("compatibility", "fcm_tokens", id=1, user_id=1, token="phone", created_at="2025-11-11")
    world.insert("dasha", "fcm_tokens", id=2, user_id=1, token="tablet", created_at="2025-11-10")
    world.insert("dasha", "fcm_tokens", id=3, user_id=2, token="tablet", created_at="2025-11-12")
    world.launch("first")
    found = world.rows(
        "select u.email, t.token, t.is_active, t.created_at::date::text as since from fcm_tokens as t "
        "join users as u on u.id = t.user_id order by 1, 2"
    )
    assert [tuple(row.values()) for row in found] == [
        ("ana@example.com", "phone", True, "2025-11-10"),
        ("ben@example.com", "tablet", True, "2025-11-12"),
    ]
    assert world.rejects("first") == [("dasha_fcm_tokens", "2", "token_taken")]


def test_two_active_subscriptions_are_kept_and_listed_and_revenue_is_unchanged(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    for application, plan, amount in (("dasha", "basic", "4.99"), ("compatibility", "premium", "9.99")):
        world.insert(application, "subscriptions", id=1, user_id=1, stripe_subscription_id=f"sub_{application}",
                     plan_name=plan, monthly_amount=amount, status="active")  # fmt: skip
    review = world.prepare("first")
    (warning,) = [w for w in review["warnings"] if "billed twice" in w["title"]]
    assert warning["total"] == 1
    (revenue,) = [s for s in review["figures"] if "revenue" in s["title"]]
    assert revenue["rows"] == [["basic", "4.99", "4.99"], ["premium", "9.99", "9.99"]]
    world.approve("first")
    world.swap("first")
    assert world.value("select count(*) from subscriptions where status = 'active'") == 2


def test_lost_revenue_is_found_before_anybody_is_asked(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.insert("dasha", "subscriptions", id=1, user_id=1, plan_name="basic", monthly_amount="4.99", status="active")
    world.begin("first")
    world.copy()
    world.stage("first")
    world.execute("unified", "update staging.subscriptions set monthly_amount = 4.90")
    assert "revenue" in world.check("first")


def test_why_leads_to_the_rows_of_both_sources(world: World) -> None:
    world.user("dasha", 5, "ana@example.com", username="ana_d")
    world.user("compatibility", 7, "ANA@example.com", username="ana_c")
    world.chart("compatibility", 3, 7, birth_location_name="Pune")
    world.launch("first")
    with opened(world.connect("unified")) as connection:
        people = why(connection, "users", str(world.value("select id from users")))
        charts = why(connection, "birth_charts", str(world.value("select id from birth_charts")))
    assert sorted((o.raw_table, o.raw_id, o.api_response["username"]) for o in people) == [
        ("compatibility_users", "7", "ana_c"),
        ("dasha_users", "5", "ana_d"),
    ]
    (chart,) = charts
    assert (chart.raw_table, chart.raw_id, chart.api_response["birth_location_name"]) == (
        "compatibility_birth_charts", "3", "Pune",
    )  # fmt: skip
    assert "content_hash" not in chart.api_response
    assert chart.request is not None and chart.request.endswith("_compatibility")


def separated(world: World) -> World:
    """One person of two accounts with everything on both; launched."""
    world.user("dasha", 1, "ana@example.com", username="ana", last_login="2025-11-20")
    world.user("compatibility", 7, "ana@example.com", username="aunt", last_login="2025-11-25")
    for application, user in (("dasha", 1), ("compatibility", 7)):
        world.chart(application, 1, user, is_default=True, birth_location_name=application)
        world.insert(application, "subscriptions", id=1, user_id=user, plan_name="basic", monthly_amount="4.99",
                     status="active", stripe_subscription_id=f"sub_{application}")  # fmt: skip
        world.insert(application, "fcm_tokens", id=1, user_id=user, token=f"phone of {application}")
        world.insert(application, "user_preferences", id=1, user_id=user, data={application: True})
    world.insert("dasha", "dasha_data", id=1, user_id=1, chart_id=1, current_dasha="Venus")
    world.insert("compatibility", "compatibility_results", id=1, user_id=7, chart1_id=1, share_code="abc")
    world.launch("first")
    return world


def owners(world: World, table: str, column: str) -> set[tuple[str, str]]:
    """(address of the owner, value) of every row."""
    rows = world.rows(f"select u.email, t.{column} as value from {table} as t join users as u on u.id = t.user_id")
    return {(row["email"], row["value"]) for row in rows}


def test_one_account_is_taken_out_of_a_person_with_everything_that_came_from_it(world: World) -> None:
    separated(world)
    moved = world.rows("select * from cutover.unmerge('compatibility', '7', 'Aunt@example.com')")
    assert {row["table_name"]: row["moved"] for row in moved} == {
        "birth_charts": 1, "dasha_data": 0, "compatibility_results": 1, "subscriptions": 1, "fcm_tokens": 1,
        "user_preferences": 1, "activity_log": 1,
    }  # fmt: skip
    ana, aunt = "ana@example.com", "aunt@example.com"
    assert owners(world, "birth_charts", "birth_location_name") == {(ana, "dasha"), (aunt, "compatibility")}
    assert owners(world, "subscriptions", "stripe_subscription_id") == {(ana, "sub_dasha"), (aunt, "sub_compatibility")}
    assert owners(world, "fcm_tokens", "token") == {(ana, "phone of dasha"), (aunt, "phone of compatibility")}
    assert owners(world, "compatibility_results", "share_code") == {(aunt, "abc")}
    assert owners(world, "legacy_identities", "source") == {(ana, "dasha"), (aunt, "compatibility")}
    assert world.value("select count(*) from birth_charts where is_default") == 2
    users = {row["email"]: row["username"] for row in world.rows("select email, username from users")}
    assert users == {ana: "ana", aunt: "aunt"}
    assert world.value("select undone -> 0 ->> 'legacy_user_id' from cutover.merge where undone_at is not null") == "7"
    # and a repeat does not bring them together again
    world.launch("second")
    assert owners(world, "legacy_identities", "source") == {(ana, "dasha"), (aunt, "compatibility")}
    assert owners(world, "birth_charts", "birth_location_name") == {(ana, "dasha"), (aunt, "compatibility")}


def test_after_a_repeat_an_account_takes_its_name_and_its_sign_in_along_as_well(world: World) -> None:
    """By then the unified database's own row says the same as the account that is taken out."""
    world.user("dasha", 1, "ana@example.com", username="ana", last_login="2025-11-20")
    world.user("compatibility", 7, "ana@example.com", username="aunt", last_login="2025-11-25",
               oauth_provider="google", oauth_id="g-aunt")  # fmt: skip
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.launch("second")
    world.rows("select * from cutover.unmerge('compatibility', '7', 'aunt@example.com')")
    users = world.rows("select email, username, oauth_id, last_login::date::text as last from users order by email")
    assert [tuple(row.values()) for row in users] == [
        ("ana@example.com", "ana", None, "2025-11-20"),
        ("aunt@example.com", "aunt", "g-aunt", "2025-11-25"),
    ]


def test_three_accounts_are_taken_apart_one_by_one_and_the_last_one_stays(world: World) -> None:
    world.user("dasha", 1, "ana@example.com", username="ana")
    world.user("dasha", 2, "ANA@example.com", username="ben")
    world.user("compatibility", 7, "ana@example.com", username="cleo")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.launch("second")
    for source, account, address in (("dasha", "2", "ben@example.com"), ("compatibility", "7", "cleo@example.com")):
        world.rows("select * from cutover.unmerge(%s, %s, %s)", source, account, address)
    users = {row["email"]: row["username"] for row in world.rows("select email, username from users")}
    assert users == {"ana@example.com": "ana", "ben@example.com": "ben", "cleo@example.com": "cleo"}
    undone = world.row("select undone, undone_at from cutover.merge where run = 'second'")
    assert [account["legacy_user_id"] for account in undone["undone"]] == ["2", "7"]
    for source, account in (("dasha", "1"), ("dasha", "2")):
        with pytest.raises(psycopg.errors.RaiseException, match=f"account {account} of {source} is not merged"):
            world.rows("select * from cutover.unmerge(%s, %s, 'dora@example.com')", source, account)


def test_taking_out_is_refused_where_it_makes_no_sense(world: World) -> None:
    separated(world)
    for arguments, said in (
        ("'compatibility', '8', 'x@example.com'", "no account 8"),
        ("'compatibility', '7', 'ANA@example.com'", "cannot be this person"),
        ("'compatibility', '7', 'nobody'", "cannot be this person"),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match=said):
            world.execute("unified", f"select * from cutover.unmerge({arguments})")
