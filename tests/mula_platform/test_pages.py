"""The pages over HTTP: headers, forms of others, odd input, and what a shared link shows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mula_platform import pages
from mula_platform.gate import HEADERS

from .conftest import URL, Site

PUBLIC = ["/sign-in", "/sign-in/old", "/s/anashared", "/s/nothing", "/nothing", "/link?token=x", "/static/mula.css"]
OWN = ["/", "/settings", "/dasha", "/compatibility"]
FORMS = ["/sign-in", "/sign-in/old", "/sign-out", "/settings/notifications", "/settings/delete", "/link",
         "/settings/charts/11111111-1111-1111-1111-111111111111/default",
         "/settings/accounts/11111111-1111-1111-1111-111111111111/prove",
         "/settings/accounts/11111111-1111-1111-1111-111111111111/contest"]  # fmt: skip


def test_every_answer_has_our_headers_and_no_page_a_script_or_style_in_it(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ana@example.com", "ana at dasha")
    for path in [*PUBLIC, *OWN]:
        page = browser.get(path)
        assert page.status_code < 500, path
        assert {name: page.headers.get(name) for name in ("x-content-type-options", "referrer-policy")} == {
            "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
        }, path  # fmt: skip
        policy = page.headers["content-security-policy"]
        assert policy == HEADERS[b"content-security-policy"].decode() and "unsafe" not in policy
        assert page.headers["strict-transport-security"]
        assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", page.text), path


def test_cookies_are_out_of_reach(site: Site) -> None:
    browser = site.browser()
    browser.client.follow_redirects = False
    answer = browser.sign_in("ana@example.com", "ana at dasha")
    given = answer.headers["set-cookie"]
    assert given.startswith("__Host-mula=") and "Domain" not in given
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(given.split("; "))


def test_whoever_is_not_signed_in_is_led_to_the_sign_in(site: Site) -> None:
    client = site.browser().client
    client.follow_redirects = False
    for path in OWN:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_a_form_of_another_site_changes_nothing(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ana@example.com", "ana at dasha")
    for path in FORMS:
        for key in ("", "x", "é", "\0"):
            assert browser.post(path, key=key).status_code == 403, path
    # nothing in the form and no cookie are the same, and no proof of anything
    without = site.browser().client
    for path in FORMS:
        assert without.post(path, data={"form_key": ""}).status_code == 403, path
        assert without.post(path).status_code == 403, path
    key = browser.client.cookies["__Host-mula-form"]
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://elsewhere"},
                    {"origin": "null"}):  # fmt: skip
        answer = browser.client.post("/sign-out", data={"form_key": key}, headers=headers)
        assert answer.status_code == 403, headers
    assert "Welcome" in browser.get("/").text
    answer = browser.client.post("/sign-out", data={"form_key": key}, headers={"origin": URL})
    assert "Sign in" in answer.text


def test_the_list_of_forms_is_complete(site: Site) -> None:
    paths = {route.path for route in pages.ROUTER.routes if "POST" in route.methods}  # type: ignore[attr-defined]
    assert {re.sub(r"\{\w+\}", "11111111-1111-1111-1111-111111111111", path) for path in paths} == set(FORMS)


def test_odd_input_is_answered_in_words(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ana@example.com", "ana at dasha")
    odd = ["/s/%00", "/s/" + "a" * 500, "/s/../x", "/s/%ff", "/settings/charts/x/default", "/link?token=%00",
           "/s/' or 1", "/settings?done=<script>", "/?done=%00"]  # fmt: skip
    for path in odd:
        assert browser.get(path).status_code < 500, path
    for values in (
        {"daily_reminder_time": "25:00"}, {"daily_reminder_time": "09:00", "timezone": "Mars/Base"},
        {"daily_reminder_time": "09:00", "timezone": "UTC\0"},
    ):  # fmt: skip
        assert browser.post("/settings/notifications", **values).status_code in (409, 422)
    too_much = browser.client.post("/sign-in", content=b"x" * 70_000)
    assert too_much.status_code == 413

    def endless():  # type: ignore[no-untyped-def]
        for _ in range(100):
            yield b"x" * 1_000

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/sign-in", content=endless(), headers=form).status_code == 413


def test_what_people_are_called_is_text(site: Site) -> None:
    site.rows("update legacy_identities set username = '<script>alert(1)</script>' where legacy_user_id = '5'")
    browser = site.browser()
    page = browser.sign_in("ana@example.com", "ana at dasha").text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_a_shared_result_is_found_by_its_old_code_and_its_views_go_up(site: Site) -> None:
    values = [site.browser().get("/s/anashared") for _ in range(3)]
    assert [re.findall(r'id="views">(\d+)<', page.text) for page in values] == [["8"], ["9"], ["10"]]
    # scores, and nothing of whose they are
    assert "83%" in values[0].text
    for word in ("ana", "Ravi", "London", "Lima", "1990"):
        assert word not in values[0].text.replace("anashared", ""), word
    assert site.browser().get("/s/ANASHARED").status_code == 404
    site.rows("update platform.feature_flag set is_on = false where name = 'shared_results'")
    assert site.browser().get("/s/anashared").status_code == 404


def test_settings_keep_what_is_chosen(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ben@example.com", "ben everywhere")
    saved = browser.post(
        "/settings/notifications", email_enabled="1", daily_reminder_time="07:30", timezone="Asia/Manila"
    )
    assert "Your notifications are saved." in saved.text
    person = site.identity("dasha", 6)["user_id"]
    (row,) = site.rows("select * from user_preferences where user_id = %s", person)
    assert (row["notifications_enabled"], row["email_enabled"], str(row["daily_reminder_time"])) == (
        False, True, "07:30:00",
    )  # fmt: skip
    (other,) = site.rows("select id from birth_charts where user_id = %s and not is_default limit 1", person)
    assert "your default now" in browser.post(f"/settings/charts/{other['id']}/default").text
    assert site.value("select array_agg(id) from birth_charts where user_id = %s and is_default", person) == [
        other["id"]
    ]


def test_a_feature_that_is_off_is_not_shown(site: Site) -> None:
    browser = site.browser()
    page = browser.sign_in("ana@example.com", "ana at dasha").text
    assert all(card in page for card in ("Moon Phase Rituals", "Remedy of the Day", "AI Oracle Chat", "Saturn"))
    site.rows("update platform.feature_flag set is_on = false where name in ('dasha_timer', 'ai_oracle_chat_soon')")
    page = browser.get("/").text
    assert "AI Oracle Chat" not in page and "Saturn" not in page and browser.get("/dasha").status_code == 404


def test_health_readiness_and_figures(site: Site) -> None:
    site.browser().sign_in("ana@example.com", "ana at dasha")
    site.browser().sign_in("ana@example.com", "a guess")
    assert site.client.get("/healthz").status_code == 200
    assert site.client.get("/readyz").text == "ready\n"
    figures = site.client.get("/metrics").text
    assert 'mula_sign_ins_total{result="ok",way="password"} 1.0' in figures
    assert 'mula_sign_ins_total{result="refused",way="password"} 1.0' in figures
    assert 'mula_request_seconds_count{route="/sign-in"}' in figures
    for number in range(3):
        site.client.request(f"ODD{number}", f"/odd/{number}")
    assert "odd" not in site.client.get("/metrics").text.lower()
    site.rows("delete from platform.launch")
    ready = site.client.get("/readyz")
    assert (ready.status_code, "./run platform setup" in ready.text) == (503, True)


def test_a_database_that_is_away_is_a_page_that_says_so(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(dsn="postgresql://mula_platform:x@127.0.0.1:1/nowhere")
    site.platform.database.pool.timeout = 0.2
    ready = site.client.get("/readyz")
    assert ready.status_code == 503 and "does not answer" in ready.text
    page = site.client.get("/s/anashared")
    assert page.status_code == 503 and page.headers["retry-after"] == "60" and "One moment" in page.text
    assert site.client.get("/healthz").status_code == 200


def test_sessions_that_the_server_has_ended_cost_nobody_an_error(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ana@example.com", "ana at dasha")
    for _ in range(2):
        ended = site.rows(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where datname = current_database() and application_name = 'mula platform'"
        )
        assert ended
        assert [browser.get(path).status_code for path in ("/", "/settings", "/s/anashared")] == [200, 200, 200]
