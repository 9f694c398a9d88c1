"""What cannot be used is rejected whole, with its reason, counted, and shown."""

from __future__ import annotations

import psycopg
import pytest

from tests.mula.world import World


@pytest.fixture
def ana(world: World) -> World:
    """One sound person with one sound chart in each application."""
    for application in ("dasha", "compatibility"):
        world.user(application, 1, "ana@example.com")
        world.chart(application, 1, 1)
    return world


def test_orphans_are_kept_whole_among_the_rejects(ana: World) -> None:
    ana.chart("dasha", 2, 404, birth_location_name="nowhere")
    ana.insert("dasha", "dasha_data", id=1, user_id=404, chart_id=1)
    ana.insert("dasha", "dasha_data", id=2, user_id=1, chart_id=404)
    ana.insert("dasha", "dasha_data", id=3, user_id=1, chart_id=2)
    ana.insert("compatibility", "compatibility_results", id=1, user_id=1, chart1_id=1, chart2_id=404)
    ana.insert("compatibility", "compatibility_results", id=2, user_id=1, chart1_id=1)
    ana.insert("compatibility", "fcm_tokens", id=1, user_id=None, token="t")
    review = ana.prepare("first")
    assert ana.rejects("first") == [
        ("compatibility_fcm_tokens", "1", "orphan_user"),
        ("compatibility_results", "1", "orphan_chart"),
        ("dasha_birth_charts", "2", "orphan_user"),
        ("dasha_dasha_data", "1", "orphan_user"),
        ("dasha_dasha_data", "2", "orphan_chart"),
        ("dasha_dasha_data", "3", "chart_rejected"),
    ]
    row = ana.value("select source_row from cutover.rejects where source = 'dasha_birth_charts'")
    assert (row["user_id"], row["birth_location_name"]) == (404, "nowhere")
    assert "content_hash" not in row and "sync_id" not in row
    (warning,) = [w for w in review["warnings"] if "rejected" in w["title"]]
    assert warning["total"] == 6
    balance = ana.balance("first")["dasha_dasha_data"]
    assert (balance["read"], balance["staged"], balance["rejected"]) == (3, 0, 3)


def test_users_without_a_usable_address_are_rejected_with_what_hangs_on_them(ana: World) -> None:
    unusable = (None, "", "nobody", "two@at@example.com", "inner space@example.com")
    for number, email in enumerate(unusable, start=2):
        ana.user("compatibility", number, email)
    ana.chart("compatibility", 2, 2)
    ana.insert("compatibility", "subscriptions", id=1, user_id=2, plan_name="basic", monthly_amount=5, status="active")
    ana.prepare("first")
    assert ana.rejects("first") == [
        ("compatibility_birth_charts", "2", "user_rejected"),
        ("compatibility_subscriptions", "1", "user_rejected"),
        *(("compatibility_users", str(number), "invalid_email") for number in range(2, 7)),
    ]


def test_charts_with_an_impossible_date_are_rejected(ana: World) -> None:
    impossible = (None, "9999-12-31", "infinity", "-infinity", "0044-03-15 BC", "1799-12-31", "2026-01-01")
    for number, born in enumerate(impossible, start=2):
        ana.chart("dasha", number, 1, birth_date=born)
    # made on the day of birth, on the other side of the date line
    ana.chart("dasha", 9, 1, birth_date="2025-11-11 20:00")
    ana.prepare("first")
    assert ana.rejects("first") == [("dasha_birth_charts", str(number), "impossible_date") for number in range(2, 9)]


def test_the_source_s_own_key_refuses_a_colliding_share_code(ana: World) -> None:
    ana.insert("compatibility", "compatibility_results", id=1, user_id=1, chart1_id=1, share_code="abc")
    with pytest.raises(psycopg.errors.UniqueViolation, match="share_code_key"):
        ana.insert("compatibility", "compatibility_results", id=2, user_id=1, chart1_id=1, share_code="abc")


def test_without_that_key_the_first_keeps_the_code_and_the_others_are_rejected(ana: World) -> None:
    drop = "alter table compatibility_results drop constraint compatibility_results_share_code_key"
    ana.execute("compatibility", drop)
    for number, day in ((1, 12), (2, 11), (3, 13)):
        ana.insert("compatibility", "compatibility_results", id=number, user_id=1, chart1_id=1, share_code="abc",
                   calculated_at=f"2025-11-{day}")  # fmt: skip
    ana.insert("compatibility", "compatibility_results", id=4, user_id=1, chart1_id=1)
    ana.insert("compatibility", "compatibility_results", id=5, user_id=1, chart1_id=1)
    ana.prepare("first")
    assert ana.rejects("first") == [
        ("compatibility_results", "1", "share_code_taken"),
        ("compatibility_results", "3", "share_code_taken"),
    ]
    assert ana.value("select count(*) from staging.compatibility_results") == 3


def test_one_stripe_subscription_is_one_row_and_never_two_people_s(ana: World) -> None:
    ana.user("compatibility", 2, "ben@example.com")
    for application, number, user, stripe in (
        ("dasha", 1, 1, "sub_1"), ("compatibility", 1, 1, "sub_1"),
        ("dasha", 2, 1, "sub_2"), ("compatibility", 2, 2, "sub_2"),
    ):  # fmt: skip
        ana.insert(application, "subscriptions", id=number, user_id=user, stripe_subscription_id=stripe,
                   plan_name="basic", monthly_amount="4.99", status="active",
                   started_at="2025-11-10" if application == "dasha" else "2025-11-12")  # fmt: skip
    ana.prepare("first")
    assert ana.rejects("first") == [("compatibility_subscriptions", "2", "subscription_taken")]
    reasons = ana.balance("first")["compatibility_subscriptions"]["reasons"]
    assert reasons["merged"] == {"the same Stripe subscription": 1}
    assert ana.value("select count(*) from staging.subscriptions") == 2


def test_blank_tokens_are_rejected(ana: World) -> None:
    ana.insert("dasha", "fcm_tokens", id=1, user_id=1, token="  ")
    ana.prepare("first")
    assert ana.rejects("first") == [("dasha_fcm_tokens", "1", "no_token")]


def test_an_opt_out_is_kept_whatever_is_beside_it(ana: World) -> None:
    odd = ([], [1, 2], '"theme"', "7", "true")
    for number, data in enumerate(odd, start=2):
        ana.user("dasha", number, f"user{number}@example.com")
        ana.insert("dasha", "user_preferences", id=number, user_id=number, data=data, notifications_enabled=False,
                   email_enabled=False, marketing_emails=False)  # fmt: skip
    review = ana.prepare("first")
    assert ana.rejects("first") == []
    for row in ana.rows("select * from staging.user_preferences"):
        assert (row["notifications_enabled"], row["email_enabled"], row["marketing_emails"]) == (False, False, False)
        assert row["data"] == {}
    (warning,) = [w for w in review["warnings"] if "no JSON object" in w["title"]]
    assert warning["total"] == ana.value("select count(*) from staging.user_preferences") == len(odd)


def test_an_account_that_lacks_something_stops_nobody(ana: World) -> None:
    lacking: tuple[dict[str, str | None], ...] = (
        {"created_at": None},
        {"created_at": None, "last_login": "2025-11-01"},
        {"created_at": "2025-12-01", "last_login": "2025-11-01"},
        {"oauth_id": "123"},
        {"oauth_provider": "google", "oauth_id": " "},
        {"oauth_provider": "google"},
    )
    for application in ("dasha", "compatibility"):
        for number, values in enumerate(lacking, start=2):
            ana.user(application, number, f"{application}{number}@example.com", **values)
    ana.prepare("first")
    assert ana.rejects("first") == []
    rows = ana.rows("select * from staging.users where email <> 'ana@example.com'")
    assert len(rows) == 2 * len(lacking)
    for row in rows:
        assert row["created_at"] is not None
        assert row["oauth_id"] is None and row["oauth_provider"] is None


def test_odd_values_reject_their_row_and_nobody_else(ana: World) -> None:
    for number, values in enumerate(
        ({"monthly_amount": "NaN"}, {"monthly_amount": "-1"}, {"plan_name": "gold"}, {"plan_name": ""}), start=1
    ):
        ana.insert("dasha", "subscriptions", id=number, user_id=1, status="active",
                   **{"plan_name": "basic", "monthly_amount": "4.99"} | values)  # fmt: skip
    for number, score in ((1, -1), (2, 101), (3, 100)):
        ana.insert("compatibility", "compatibility_results", id=number, user_id=1, chart1_id=1, overall_score=score)
    ana.insert("dasha", "dasha_data", id=1, user_id=1, chart_id=1, current_dasha_start="2025-01-02",
               current_dasha_end="2025-01-01")  # fmt: skip
    review = ana.prepare("first")
    assert ana.rejects("first") == [
        ("compatibility_results", "1", "impossible_score"),
        ("compatibility_results", "2", "impossible_score"),
        ("dasha_dasha_data", "1", "impossible_period"),
        ("dasha_subscriptions", "1", "impossible_amount"),
        ("dasha_subscriptions", "2", "impossible_amount"),
        ("dasha_subscriptions", "3", "unknown_plan"),
        ("dasha_subscriptions", "4", "unknown_plan"),
    ]
    (lost,) = [w for w in review["warnings"] if "nobody would collect" in w["title"]]
    assert lost["total"] == 4
    (card,) = [figure for figure in review["figures"] if figure["title"].startswith("Scorecard")]
    verdicts = {row[0]: row[3] for row in card["rows"]}
    assert verdicts["source rows without a trace"] == "reached"
    assert {verdicts[name] for name in ("people", "monthly revenue kept", "source rows rejected, by name")} == {
        "not reached"
    }
    # the running platform's: with their targets, and without a figure that nobody has measured
    later = {row[0].removesuffix(", once in use"): row[1] for row in card["rows"] if row[3] == "not measured yet"}
    assert later == {
        "failed sign-ins": "less than 2 %",
        "response time at 500 users at once, 95th percentile": "less than 500 ms",
        "people that the platform can hold": "10,000 or more",
        "requests that end in an error": "less than 1 %",
        "unplanned downtime": "none",
    }
    ana.approve("first")
    ana.swap("first")


def test_a_repeat_judges_only_what_it_brings(ana: World) -> None:
    ana.insert("dasha", "fcm_tokens", id=1, user_id=1, token="phone")
    ana.insert("dasha", "user_preferences", id=1, user_id=1)
    ana.insert("dasha", "subscriptions", id=1, user_id=1, plan_name="basic", monthly_amount="4.99", status="active")
    ana.launch("first")
    ana.execute("unified", "insert into users (id, email) values (gen_random_uuid(), 'ben@example.com')")
    # a phone that changes hands, an address made nobody's, and whatever a feature makes of the rest
    ana.execute("unified", "insert into fcm_tokens (user_id, token) select id, 'phone' from users where email ~ 'ben'")
    ana.execute("unified", "update users set email = 'deleted-7', oauth_id = 'half' where email ~ 'ana'")
    ana.execute("unified", "update user_preferences set data = '[]'")
    ana.execute("unified", "update subscriptions set monthly_amount = 'NaN'")
    ana.user("dasha", 2, "new@example.com")
    ana.launch("second")
    assert ana.value("select array_agg(email::text order by email) from users") == [
        "ben@example.com", "deleted-7", "new@example.com"
    ]  # fmt: skip


def test_a_new_try_of_the_same_run_rejects_the_same_once(ana: World) -> None:
    ana.chart("dasha", 2, 404)
    ana.prepare("first")
    ana.stage("first")
    assert ana.check("first") == {}
    assert len(ana.rejects("first")) == 1
