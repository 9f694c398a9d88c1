"""Killed at any moment and started again: no page is lost, and none that was stored is asked for again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cutover.errors import CutoverError
from cutover.extract.lanes import MOST_PAGES
from tests.extract.conftest import Hurried, World


def run_and_kill(world: World, name: str, at_request: int) -> None:
    """Start a sync in another process and kill -9 it when its ``at_request``-th request arrives."""
    arrived = threading.Event()
    requests = [0]

    def act(_request: Any) -> None:
        requests[0] += 1
        if requests[0] == at_request:
            process.send_signal(signal.SIGKILL)
            arrived.set()

    url = world.simulator.xendit_url if name.startswith("xendit") else world.simulator.systemeio_url
    held = threading.Event()

    def gated(request: Any) -> None:
        held.wait(30)
        act(request)

    world.simulator.on_request(gated)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.extract.killable", world.dsn, url, name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.DEVNULL,
    )
    held.set()
    assert process.wait(60) == -signal.SIGKILL
    assert arrived.is_set()
    world.simulator.on_request(None)


def stored_pages(world: World) -> list[dict[str, Any]]:
    """The pages that are in the table."""
    return world.query("select page_no, request, ids from cutover.sync_page where rows > 0 order by page_no")


@pytest.mark.parametrize("at_request", [1, 2, 3, 15, 31, 38])
def test_a_killed_scan_goes_on_behind_the_last_page_that_was_stored(world: World, at_request: int) -> None:
    name = "systemeio_contacts"
    run_and_kill(world, name, at_request)
    stored = stored_pages(world)
    assert len(stored) >= at_request - 3 - 2 * MOST_PAGES  # one lot being stored, and one that waits
    assert {row_id for page in stored for row_id in page["ids"]} == set(world.content(name))
    world.simulator.forget_requests()
    report = world.sync(name)
    assert report.resumed == 1
    assert world.content(name) == world.truth(name)
    asked = [request.query for request in world.simulator.requests]
    if stored:
        assert dict(asked[0])["startingAfter"] == stored[-1]["ids"][-1]
    if len(stored) > 1:  # with one page, whether the cursor works at all is still to be seen
        assert len(asked) == report.pages - len(stored)
    assert report.pages == -(-len(world.truth(name)) // 10)
    [line] = world.query("select count(*) as syncs from cutover.sync")
    assert line["syncs"] == 1


def test_few_pages_are_under_way_at_any_moment(world: World) -> None:
    """Pages are stored while others are fetched, not when all are there: few are under way at any moment."""
    pages: list[int] = []

    def watch(_request: Any) -> None:
        pages.append(len(stored_pages(world)) if _tables_exist(world) else 0)

    world.simulator.on_request(watch)
    world.sync("systemeio_contacts")
    assert pages[-1] >= len(pages) - 3 - 2 * MOST_PAGES


def _tables_exist(world: World) -> bool:
    return bool(world.query("select to_regclass('cutover.sync_page') as found")[0]["found"])


@pytest.mark.parametrize("name", ["xendit_invoices", "xendit_transactions"])
def test_windows_that_are_crawled_at_once_are_each_taken_up_where_they_were(world: World, name: str) -> None:
    for at_request in (9, 4, 3):
        run_and_kill(world, name, at_request)
        stored = stored_pages(world)
        assert {row_id for page in stored for row_id in page["ids"]} == set(world.content(name))
    report = world.sync(name)
    assert report.resumed == 3
    assert world.content(name) == world.truth(name)
    assert report.new == len(world.truth(name))


def test_killed_after_the_last_page_nothing_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from cutover.extract.sync import _Sync

    def die(self: object, begun: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_Sync, "_finish", die)
        with pytest.raises(KeyboardInterrupt):
            world.sync("systemeio_contacts")
    world.simulator.forget_requests()
    report = world.sync("systemeio_contacts")
    assert world.simulator.count() == 0
    assert report.new == len(world.truth("systemeio_contacts"))


def test_the_frozen_bound_stays_frozen_over_a_kill(world: World) -> None:
    world.sync("xendit_transactions")
    world.simulator.fail("server_error", "/transactions", times=1000)
    with pytest.raises(CutoverError):
        world.sync("xendit_transactions", access=world.access("xendit", patience=1.0))
    [failed] = world.query("select until from cutover.sync where state = 'failed'")
    world.simulator._traffic.scripted.clear()
    world.sync("xendit_transactions")
    [state] = world.query("select watermark from cutover.sync_state")
    assert abs(state["watermark"] - failed["until"]) < timedelta(seconds=1)


def _fail_half_way(world: World, name: str, **arguments: Any) -> None:
    requests = [0]

    def act(_request: Any) -> None:
        requests[0] += 1
        if requests[0] == 10:
            world.simulator.fail("server_error", "/", times=1000)

    world.simulator.on_request(act)
    access = world.access("xendit" if name.startswith("xendit") else "systemeio", patience=1.0)
    with pytest.raises(CutoverError):
        world.sync(name, access=access, **arguments)
    world.simulator.on_request(None)
    world.simulator._traffic.scripted.clear()


def test_a_failed_sync_is_taken_up_and_says_so(world: World) -> None:
    _fail_half_way(world, "systemeio_contacts")
    report = world.sync("systemeio_contacts")
    assert report.resumed == 1
    assert any("taking up sync" in line for line in world.log)
    assert world.content("systemeio_contacts") == world.truth("systemeio_contacts")


@pytest.mark.parametrize("reason", ["key", "address", "declaration", "age", "full"])
def test_what_is_no_longer_good_is_not_taken_up(world: World, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    name = "xendit_transactions"
    world.sync(name)
    _fail_half_way_incremental(world)
    access, source, clock = None, world.source(name), None
    if reason == "key":
        monkeypatch.setattr("demo.simulators.xendit.XENDIT_API_KEY", "xnd_another_key")
        access = world.access("xendit", secret="xnd_another_key")
    elif reason == "address":
        access = world.access("xendit", base_url=world.simulator.xendit_url.replace("127.0.0.1", "localhost"))
    elif reason == "declaration":
        source = world.source(name, key="id", params={"currency": "PHP"})
    elif reason == "age":
        world.execute("update cutover.sync set started_at = started_at - interval '25 hours'")
        clock = Hurried()
    report = world.sync(source, access=access, clock=clock, full=reason == "full", accept_gone=True)
    assert report.resumed == 0
    states = world.query("select state from cutover.sync order by sync_id")
    assert [state["state"] for state in states] == ["complete", "abandoned", "complete"]


def _fail_half_way_incremental(world: World) -> None:
    world.simulator.fail("server_error", "/", times=1000)
    with pytest.raises(CutoverError):
        world.sync("xendit_transactions", access=world.access("xendit", patience=1.0))
    world.simulator._traffic.scripted.clear()


def test_an_incremental_wish_takes_up_a_full_read_that_was_cut_short(world: World) -> None:
    _fail_half_way(world, "xendit_invoices", full=True)
    report = world.sync("xendit_invoices")
    assert (report.mode, report.resumed) == ("full", 1)
    assert world.content("xendit_invoices") == world.truth("xendit_invoices")


def test_a_database_that_goes_away_ends_the_sync_with_a_message(simulate: Callable[..., World]) -> None:
    world = simulate()
    requests = [0]

    def act(_request: Any) -> None:
        requests[0] += 1
        if requests[0] == 10:
            world.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and application_name = 'test'"
            )

    world.simulator.on_request(act)
    with pytest.raises(CutoverError, match=r"\[extract.database\] raw.systemeio_contacts"):
        world.sync("systemeio_contacts")
    world.simulator.on_request(None)
    assert world.sync("systemeio_contacts").resumed == 1
    assert world.content("systemeio_contacts") == world.truth("systemeio_contacts")


@pytest.mark.parametrize("how", ["delete from cutover.sync_window", "update cutover.sync_window set state = 'waiting'"])
def test_a_sync_that_finds_nothing_to_ask_for_is_never_complete(world: World, how: str) -> None:
    """Whatever hides the windows of a sync (an encoding that made bytes of their states did): nothing was read."""
    _fail_half_way(world, "systemeio_contacts")
    world.execute("alter table cutover.sync_window drop constraint if exists sync_window_state_check")
    world.execute(how)
    with pytest.raises(CutoverError, match=r"\[extract\.unread\]"):
        world.sync("systemeio_contacts")
    assert world.query("select state from cutover.sync where state = 'complete'") == []
    assert world.query("select watermark from cutover.sync_state") == []
