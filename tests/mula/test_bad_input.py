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
    kept = ana.value("select source_row from cutover.rejects where source = 'dasha_birth_charts'")
    assert (kept["user_id"], kept["birth_location_name"]) == (404, "nowhere")
    assert "content_hash" not in kept and "sync_id" not in kept
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


def test_blank_tokens_and_data_that_is_no_object_are_rejected(ana: World) -> None:
    ana.insert("dasha", "fcm_tokens", id=1, user_id=1, token="  ")
    ana.insert("dasha", "user_preferences", id=1, user_id=1, data=[1, 2])
    ana.prepare("first")
    assert ana.rejects("first") == [
        ("dasha_fcm_tokens", "1", "no_token"),
        ("dasha_user_preferences", "1", "data_not_an_object"),
    ]


def test_a_new_try_of_the_same_run_rejects_the_same_once(ana: World) -> None:
    ana.chart("dasha", 2, 404)
    ana.prepare("first")
    ana.stage("first")
    assert ana.check("first") == {}
    assert len(ana.rejects("first")) == 1
