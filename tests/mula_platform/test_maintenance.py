"""A maintenance window as people of the platform meet it, from the timeline that a launch keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mula_platform import maintenance

from .conftest import Site, old_token

RUN = "r_window"


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """The platform, beside a launch that has asked for a window in two hours."""
    made = make_site()
    opens = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat()
    made.rows(
        "insert into cutover.run (run, migration, dag_id, dag_run_id, parameters) values (%s, 'mula_unification', "
        "'mula_unification', 'w', jsonb_build_object('maintenance_window', true, 'window_opens', %s::text, "
        "'window_minutes', 45))",
        RUN,
        opens,
    )
    made.platform.maintenance.look()
    return made


def fence(site: Site, *, ends_in: timedelta = timedelta(minutes=30)) -> None:
    """As the launch's tasks do it."""
    site.rows(
        "insert into cutover.timeline (run, step, position, planned_at, started_at, ended_at) "
        "values (%s, 'fence', 0, now(), now(), now()), (%s, 'swap', 1, now() + interval '10 minutes', null, null)",
        RUN,
        RUN,
    )
    ends = (datetime.now(timezone.utc) + ends_in).isoformat()
    site.rows(
        "insert into cutover.phase (run, step, result) values (%s, 'fence', jsonb_build_object('ends_at', %s::text))",
        RUN,
        ends,
    )
    site.platform.maintenance.look()


def release(site: Site) -> None:
    """As the launch's task does it."""
    site.rows(
        "insert into cutover.timeline (run, step, position, started_at, ended_at) "
        "values (%s, 'release', 9, now(), now())",
        RUN,
    )
    site.platform.maintenance.look()


def test_a_window_is_announced_before_it_opens_and_stops_nobody_yet(site: Site) -> None:
    browser = site.browser()
    assert "Planned maintenance" in browser.get("/sign-in").text
    assert "Your Personal Astrology Hub" in browser.sign_in("ana@example.com", "ana at dasha").text
    assert "Planned maintenance" in browser.get("/").text
    site.rows('update cutover.run set parameters = parameters || \'{"window_opens": "2099-01-01T00:00:00Z"}\'')
    site.platform.maintenance.look()
    assert "maintenance" not in browser.get("/sign-in").text.lower(), "it is too far away to tell anybody"


def test_while_it_is_open_everything_is_there_and_no_change_gets_through(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("ana@example.com", "ana at dasha")
    fence(site)
    for path in ("/", "/dasha", "/settings", "/status", "/healthz", "/readyz"):
        assert browser.get(path).status_code == 200, path
    page = browser.get("/status").text
    before = site.rows("select * from user_preferences order by user_id")
    answer = browser.post("/settings/notifications", notifications_enabled="on")
    assert answer.status_code == 503 and 1700 < int(answer.headers["retry-after"]) <= 1800
    assert "changes, and signing in, wait" in answer.text
    exchanged = site.exchange(old_token("dasha", 6))
    assert exchanged.status_code == 503 and exchanged.json()["error"] == "temporarily_unavailable"
    assert int(exchanged.headers["retry-after"]) > 1700
    assert site.rows("select * from user_preferences order by user_id") == before
    assert site.value("select count(*) from platform.used_token") == 0, "the token is good afterwards"
    release(site)
    assert answer.text.count("We are moving things") == 1 and page.count("We are moving things") == 1
    assert site.exchange(old_token("dasha", 6)).status_code == 200
    assert "maintenance" not in browser.get("/").text.lower()


def test_once_the_launch_is_live_the_platform_is_open_although_the_sources_stay_shut(site: Site) -> None:
    fence(site)
    site.rows(
        "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, snapshot, xid, started_at, "
        "locked_at, attempts, tables, carried) select %s, migration, action, 'b', fingerprint, snapshot, xid, "
        "started_at, locked_at, attempts, tables, carried from cutover.ledger limit 1",
        RUN,
    )
    site.platform.maintenance.look()
    assert site.platform.maintenance.window is None
    assert "Your Personal Astrology Hub" in site.browser().sign_in("ana@example.com", "ana at dasha").text


def test_a_window_that_is_late_says_so_and_asks_to_come_again_soon(site: Site) -> None:
    fence(site, ends_in=timedelta(minutes=-5))
    answer = site.browser().sign_in("ana@example.com", "ana at dasha")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
    assert "it takes a little longer" in answer.text


def test_the_status_page_shows_the_launch_s_own_timeline(site: Site) -> None:
    assert "Planned maintenance" in site.browser().get("/status").text
    fence(site)
    page = site.browser().get("/status").text
    assert "Changes wait in both apps" in page and "The new one takes over" in page
    release(site)
    assert "Everything works." in site.browser().get("/status").text


def test_neither_a_rehearsal_nor_a_launch_without_a_window_shuts_anybody_out(site: Site) -> None:
    fence(site)
    for parameters in ('{"dry_run": true}', '{"maintenance_window": false}'):
        site.rows(f"update cutover.run set parameters = parameters || '{parameters}' where run = '{RUN}'")
        site.platform.maintenance.look()
        assert site.platform.maintenance.window is None


def test_a_database_that_does_not_answer_changes_nothing_of_what_is_known(site: Site) -> None:
    fence(site)
    site.rows("alter function platform.maintenance() rename to gone")
    site.platform.maintenance.look()
    assert site.platform.maintenance.window is not None and site.platform.maintenance.window.is_open


def test_a_slow_look_from_before_a_change_does_not_replace_what_a_later_one_knows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_return = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> None:
        asked.set()
        may_return.wait(30)

    with monkeypatch.context() as patch:
        patch.setattr(maintenance, "row", slow)  # its answer, "no window", is on its way for long
        earlier = threading.Thread(target=site.platform.maintenance.look)
        earlier.start()
        assert asked.wait(30)
    later = threading.Thread(target=site.platform.maintenance.look)
    later.start()
    later.join(1)
    may_return.set()
    earlier.join(30)
    later.join(30)
    assert site.platform.maintenance.window is not None
