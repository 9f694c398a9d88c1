"""Who becomes one person, whose values win, and how one person becomes two again."""

from __future__ import annotations

from datetime import datetime, timezone

import psycopg
import pytest

from cutover.database.connect import opened
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


STRANGERS = {
    "no proof at all": {},
    "a provider that does not vouch for addresses": {"oauth_provider": "facebook", "oauth_id": "f-9"},
    "a provider without an id": {"oauth_provider": "google", "oauth_id": " "},
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_who_registered_somebody_s_address_elsewhere_gives_that_person_nothing(world: World, stranger: str) -> None:
    world.user("dasha", 1, "ana@example.com", username="ana", last_login="2025-11-20", oauth_provider="Google",
               oauth_id="g-1")  # fmt: skip
    world.user("compatibility", 7, "Ana@example.com", username="mallory", last_login="2025-11-28",
               **STRANGERS[stranger])  # fmt: skip
    world.user("compatibility", 8, "ben@example.com", username="ben")
    world.user("dasha", 8, "ben@example.com", username="other", last_login="2025-11-28", **STRANGERS[stranger])
    world.user("dasha", 9, "cleo@example.com", username="cleo", **STRANGERS[stranger])
    world.chart("dasha", 1, 1)
    expected = {
        "ana@example.com": ("ana", "Google", "g-1"),
        # neither of the two is proved: the one that is will give its name
        "ben@example.com": (None, None, None),
    }
    for run in ("first", "second"):
        world.launch(run)
        users = {row["email"]: row for row in world.rows("select * from users")}
        for email, values in expected.items():
            user = users[email]
            assert (user["username"], user["oauth_provider"], user["oauth_id"]) == values, (run, email)
        assert users["cleo@example.com"]["username"] == "cleo", "nobody else is concerned"
        proofs = world.rows("select source, proved_at::date::text as proved_at, proved_by from legacy_identities "
                            "where proved_by is not null")  # fmt: skip
        assert proofs == [{"source": "dasha", "proved_at": "2025-11-20", "proved_by": "oauth: google"}]
        warned = world.value("select review from cutover.run where run = %s", run)["warnings"]
        (value,) = [w for w in warned if w["title"].startswith("Accounts that gave their person neither")]
        assert value["total"] == 3
    # once the unified application has found out whose an account is, that stays, and the account counts
    world.execute("unified", "update legacy_identities set proved_at = '2025-12-01', proved_by = 'password' "
                             "where source = 'compatibility' and legacy_user_id = '8'")  # fmt: skip
    world.launch("third")
    assert world.value("select username from users where email = 'ben@example.com'") == "ben"
    assert world.value("select proved_by from legacy_identities where legacy_user_id = '8' and source <> 'dasha'") == (
        "password"
    )


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("\u212aim@example.com", "kim@example.com"),
        ("M\u00c9L@example.com", "m\u00e9l@example.com"),
        ("ANA@EXAMPLE.COM", "ana@example.com"),
    ],
    ids=["the Kelvin sign", "a capital beyond ASCII", "ASCII alone"],
)
def test_a_provider_s_word_for_one_spelling_proves_no_other_that_unicode_alone_joins(
    world: World, spelled: str, key: str
) -> None:
    google = {"oauth_provider": "google"}
    world.user("dasha", 1, key, oauth_id="g-1", username="one", last_login="2025-11-20", **google)
    world.user("compatibility", 7, spelled, oauth_id="g-7", username="other", last_login="2025-11-28", **google)
    # alone under its key, it is what its provider says
    world.user("compatibility", 8, "\u00c9va@example.com", oauth_id="g-8", **google)
    world.chart("dasha", 1, 1)
    world.launch("first")
    proved = {row["legacy_user_id"] for row in world.rows("select * from legacy_identities where proved_by ~ 'oauth'")}
    joined = world.value("select count(*) from users where lower(email) = %s", key)
    assert joined == 1 and world.value("select count(distinct user_id) from legacy_identities") == 2
    assert proved == ({"1", "7", "8"} if spelled.isascii() else {"1", "8"})
    username = world.value("select username from users where lower(email) = %s", key)
    assert username == ("other" if spelled.isascii() else "one")


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


def test_what_was_switched_off_in_one_application_and_on_later_in_the_other_is_listed(world: World) -> None:
    """The latest stands, by the business rules; whoever approves has to know whom that concerns."""
    off = {"notifications_enabled": False, "email_enabled": False, "marketing_emails": False}
    on = dict.fromkeys(off, True)
    for application, number in (("dasha", 1), ("compatibility", 9)):
        world.user(application, number, "ana@example.com")
        world.user(application, number + 1, "ben@example.com")
    world.chart("dasha", 1, 1)
    world.insert("dasha", "user_preferences", id=1, user_id=1, updated_at="2025-11-20", **off)
    world.insert("compatibility", "user_preferences", id=1, user_id=9, updated_at="2025-11-25",
                 **on | {"marketing_emails": False})  # fmt: skip
    # the other way round nothing is lost
    world.insert("dasha", "user_preferences", id=2, user_id=2, updated_at="2025-11-20", **on)
    world.insert("compatibility", "user_preferences", id=2, user_id=10, updated_at="2025-11-25", **off)
    review = world.prepare("first")
    (value,) = [one for one in review["warnings"] if one["name"] == "27_opt_out_overridden"]
    assert [row[1:3] + row[4:5] for row in value["rows"]] == [
        ["email_enabled", "dasha", "compatibility"],
        ["notifications_enabled", "dasha", "compatibility"],
    ]
    world.approve("first")
    world.swap("first")
    # switched on by the person, in the unified application, is nothing to list
    world.execute("unified", "update user_preferences set notifications_enabled = true, email_enabled = true, "
                             "marketing_emails = true, updated_at = now()")  # fmt: skip
    review = world.prepare("second")
    (value,) = [one for one in review["warnings"] if one["name"] == "27_opt_out_overridden"]
    assert value["total"] == 0


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
    rows = world.rows(
        "select u.email, t.token, t.is_active, t.created_at::date::text as since from fcm_tokens as t "
        "join users as u on u.id = t.user_id order by 1, 2"
    )
    assert [tuple(row.values()) for row in rows] == [
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


@pytest.mark.parametrize("later", ["dasha", "compatibility"])
def test_a_subscription_that_both_know_is_what_was_said_of_it_last(world: World, later: str) -> None:
    for application in ("dasha", "compatibility"):
        world.user(application, 1, "ana@example.com")
        stale = application != later
        world.insert(application, "subscriptions", id=1, user_id=1, stripe_subscription_id="sub_1",
                     plan_name="basic" if stale else "premium", monthly_amount="4.99" if stale else "9.99",
                     status="canceled" if stale else "active",
                     started_at="2025-11-10" if application == "dasha" else "2025-11-15",
                     updated_at="2025-11-16" if stale else "2025-12-01")  # fmt: skip
    world.chart("dasha", 1, 1)
    world.launch("first")
    row = world.row("select status, plan_name, monthly_amount, started_at::date::text as since from subscriptions")
    assert tuple(map(str, row.values())) == ("active", "premium", "9.99", "2025-11-10")
    # and in a repeat, when it is canceled at one of them
    world.execute("compatibility", "update subscriptions set status = 'canceled', updated_at = '2025-12-24'")
    world.launch("second")
    assert world.value("select array_agg(status::text) from subscriptions") == ["canceled"]


def test_revenue_of_an_account_that_cannot_come_is_named(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 2, None, oauth_provider="google", oauth_id="7")
    world.chart("dasha", 1, 1)
    world.insert("compatibility", "subscriptions", id=5, user_id=2, plan_name="premium", monthly_amount="9.99",
                 status="active", stripe_subscription_id="sub_5")  # fmt: skip
    review = world.prepare("first")
    (lost,) = [w for w in review["warnings"] if "nobody would collect" in w["title"]]
    assert lost["rows"][0][:5] == ["compatibility_subscriptions", "5", "user_rejected", "premium", "9.99"]
    (revenue,) = [s for s in review["figures"] if "revenue" in s["title"]]
    assert revenue["rows"] == [["premium", "9.99", "0"]]


def test_revenue_of_what_was_deleted_in_the_unified_database_is_named(world: World) -> None:
    for number, email in ((1, "ana@example.com"), (2, "ben@example.com"), (3, "cleo@example.com")):
        world.user("dasha", number, email)
        world.insert("dasha", "subscriptions", id=number, user_id=number, plan_name="basic", monthly_amount="4.99",
                     status="active", stripe_subscription_id=f"sub_{number}")  # fmt: skip
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.execute("unified", "delete from subscriptions where stripe_subscription_id in ('sub_1', 'sub_2')")
    # this one has come in again by the application itself
    world.execute("unified", "insert into subscriptions (user_id, stripe_subscription_id, plan_name, monthly_amount, "
                             "status, started_at) select id, 'sub_2', 'basic', 4.99, 'active', now() from users "
                             "where email ~ 'ben'")  # fmt: skip
    review = world.prepare("second")
    (lost,) = [w for w in review["warnings"] if "nobody would collect" in w["title"]]
    assert [row[:5] for row in lost["rows"]] == [
        ["dasha_subscriptions", "1", "deleted in the unified database", "basic", "4.99"]
    ]


def test_what_both_applications_modified_at_one_moment_is_counted_as_it_is_staged(world: World) -> None:
    """Of two states of one time the same one is what was billed and what goes live."""
    for application in ("dasha", "compatibility"):
        world.user(application, 1, "ana@example.com")
        for number in range(1, 9):
            active = (application == "dasha") == (number % 2 == 0)
            started = "2025-11-12" if application == "dasha" and number > 4 else "2025-11-10"
            world.insert(application, "subscriptions", id=number, user_id=1, stripe_subscription_id=f"sub_{number}",
                         plan_name="basic", monthly_amount=f"{number}.00", status="active" if active else "canceled",
                         started_at=started, updated_at="2025-11-20")  # fmt: skip
    world.chart("dasha", 1, 1)
    review = world.prepare("first")
    (revenue,) = [s for s in review["figures"] if "revenue" in s["title"]]
    ((_, before, after),) = revenue["rows"]
    assert before == after != "0"


@pytest.mark.parametrize(
    "change",
    [
        "update input.subscription set status = 'canceled'",
        "update input.subscription set plan_name = 'free'",
        "update input.subscription set fate = 'merged', reason = 'x'",
        "delete from input.subscription",
    ],
)
def test_revenue_is_counted_from_the_sources_and_not_from_what_was_made_of_them(world: World, change: str) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.insert("dasha", "subscriptions", id=1, user_id=1, plan_name="basic", monthly_amount="4.99", status="active")
    world.begin("first")
    world.copy()
    world.stage("first")
    assert "revenue" not in world.check("first")
    world.execute("unified", change)
    world.execute(
        "unified",
        "delete from staging.subscriptions as s where not exists (select from input.subscription as i "
        "where i.id = s.id and i.fate = 'staged' and i.status = 'active' and i.plan_name = 'basic')",
    )
    assert "revenue" in world.check("first")


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


@pytest.mark.parametrize("agreed", ["dasha", "compatibility", "both", "since, in the unified application"])
def test_who_stays_keeps_no_consent_that_only_the_other_had_given(world: World, agreed: str) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 7, "ana@example.com")
    world.chart("dasha", 1, 1)
    for application, user, day in (("dasha", 1, "20"), ("compatibility", 7, "25")):
        # who has not agreed has not said anything: the later word would stand
        values = {"marketing_emails": True} if agreed in (application, "both") else {"marketing_emails": None}
        world.insert(application, "user_preferences", id=1, user_id=user, updated_at=f"2025-11-{day}", **values)
    world.launch("first")
    if agreed.startswith("since"):
        world.execute("unified", "update user_preferences set marketing_emails = true, updated_at = now()")
    assert world.value("select marketing_emails from user_preferences")
    world.execute("unified", "select * from cutover.unmerge('compatibility', '7', 'aunt@example.com')")
    rows = world.rows(
        "select u.email, p.marketing_emails from user_preferences as p join users as u on u.id = p.user_id"
    )
    assert {row["email"]: bool(row["marketing_emails"]) for row in rows} == {
        "ana@example.com": agreed != "compatibility",
        "aunt@example.com": agreed in ("compatibility", "both"),
    }


def test_a_rollback_and_a_new_launch_leave_apart_what_was_taken_apart(world: World) -> None:
    """The new launch finds no unified database that would say whose account it is."""
    separated(world)
    world.rows("select * from cutover.unmerge('compatibility', '7', 'Aunt@example.com')")
    world.roll_back("back")
    world.launch("again")
    ana, aunt = "ana@example.com", "aunt@example.com"
    assert owners(world, "legacy_identities", "source") == {(ana, "dasha"), (aunt, "compatibility")}
    assert owners(world, "birth_charts", "birth_location_name") == {(ana, "dasha"), (aunt, "compatibility")}
    assert owners(world, "fcm_tokens", "token") == {(ana, "phone of dasha"), (aunt, "phone of compatibility")}
    assert owners(world, "compatibility_results", "share_code") == {(aunt, "abc")}
    users = {row["email"]: row["username"] for row in world.rows("select email, username from users")}
    assert users == {ana: "ana", aunt: "aunt"}


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
