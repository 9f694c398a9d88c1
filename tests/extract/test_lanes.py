"""A list that is cut into lanes: whole however the lanes come, and that without the meeting rows are lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutover.errors import CutoverError
from cutover.extract.lanes import Meeting
from demo.simulators import SystemeioOptions
from tests.extract.conftest import World
from tests.extract.lists import List, crawl_lanes, naive_lanes, source
from tests.extract.test_resume import run_and_kill, stored_pages

CUTS = (300, 200, 100)
LOST = ("continue", "refuse", "empty", "empty and more", "restart")
NAME = "systemeio_contacts"


class Turns(random.Random):
    """Each of ``first`` has one turn, then the lanes come one after another; pages are stored at once."""

    def __init__(self, first: Sequence[int]) -> None:
        super().__init__()
        self._first = list(first)

    def choice(self, seq: Any) -> Any:
        return self._first.pop(0) if self._first else min(seq)

    def random(self) -> float:
        return 0.0


def assert_whole(listed: List, ids: Sequence[int]) -> None:
    """Every row that the list still shows was found."""
    assert set(listed.alive()) - set(ids) == set()


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
def test_each_lane_ends_where_it_meets_the_next(more: bool, inclusive: bool) -> None:
    listed = List(400, more=more, inclusive=inclusive)
    ids, notes = crawl_lanes(listed, source(more=more), CUTS)
    assert_whole(listed, ids)
    assert notes == []
    # the pages of one crawl, the page on which each lane meets the next, and what proves the cursor and the end
    assert len(listed.asked) <= 40 + 3 + 6 + (4 if inclusive else 0)


@pytest.mark.parametrize("lost", LOST)
def test_a_cut_that_has_vanished(lost: str) -> None:
    def without_a_cut() -> List:
        return List(400, lost=lost, vanished={200})

    listed = without_a_cut()
    if lost in ("refuse", "empty", "empty and more"):
        assert len(set(naive_lanes(without_a_cut(), CUTS))) < len(listed.alive()) - 50
    ids, notes = crawl_lanes(listed, source(more=True), CUTS)
    assert_whole(listed, ids)
    assert any("no lane began behind 200" in note for note in notes) == (lost != "continue")
    assert len(listed.asked) <= 40 + 3 + 7


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("vanishing", [range(200, 201), range(199, 200), range(192, 202), range(190, 200)])
def test_rows_at_a_cut_vanish_while_the_lanes_run(lost: str, vanishing: range) -> None:
    """The cut, the first row behind it, a part of the first page: the lanes still meet, and nothing is read twice.
    All rows of the first page: then there is nothing left to meet, and the lane above reads over it."""
    listed = List(400, lost=lost)

    def act(lane: int, pages: int) -> None:
        if (lane, pages) == (2, 3):
            listed.vanished.update(vanishing)

    ids, _ = crawl_lanes(listed, source(more=True), CUTS, on_page=act)
    assert_whole(listed, ids)
    read_over = vanishing == range(190, 200)
    assert len(listed.asked) <= 40 + 3 + 6 + (10 if read_over else 0)


def test_rows_that_come_in_at_a_cut_while_the_lanes_run() -> None:
    """A contact that is restored comes back in the middle. The lane above shows it: no gap, and the lanes meet."""
    listed = List(400)
    listed.ids = [row_id for row_id in listed.ids if row_id not in (199, 198, 201)]

    def act(lane: int, pages: int) -> None:
        if (lane, pages) == (2, 2):
            listed.ids = sorted({*listed.ids, 199, 198, 201}, reverse=True)

    ids, _ = crawl_lanes(listed, source(more=True), CUTS, on_page=act)
    assert_whole(listed, ids)
    assert len(listed.asked) <= 40 + 3 + 6


def test_a_list_that_runs_upwards() -> None:
    def upwards() -> List:
        listed = List(400)
        listed.ids.reverse()
        return listed

    listed = upwards()
    assert len(set(naive_lanes(upwards(), CUTS))) < 400
    ids, notes = crawl_lanes(listed, source(more=True), CUTS)
    assert_whole(listed, ids)
    assert sum("rows from before it are shown" in note for note in notes) == 3
    assert len(listed.asked) <= 40 + 3 + 2


@pytest.mark.parametrize("seed", range(10))
def test_ids_that_are_in_no_order(seed: int) -> None:
    def shuffled() -> List:
        listed = List(400)
        random.Random(seed).shuffle(listed.ids)
        return listed

    assert len(set(naive_lanes(shuffled(), CUTS))) < 400
    listed = shuffled()
    ids, _ = crawl_lanes(listed, source(more=True), CUTS)
    assert_whole(listed, ids)


@pytest.mark.parametrize(("row_id", "place"), [(350, 205), (350, 230), (50, 19), (150, 120), (50, 59)])
def test_ids_that_are_nearly_in_order(row_id: int, place: int) -> None:
    """A row with a great id far down, or with a small one far up at the end of a page, where the ids seem to be past
    the cut. Ids choose the cuts; that lanes have met is told by the rows themselves."""

    def disordered() -> List:
        listed = List(400)
        listed.ids.remove(row_id)
        listed.ids.insert(place, row_id)
        return listed

    listed = disordered()
    if row_id < 200:
        assert len(set(naive_lanes(disordered(), CUTS))) < 400
    ids, _ = crawl_lanes(listed, source(more=True), CUTS)
    assert_whole(listed, ids)
    assert len(listed.asked) <= 40 + 3 + 7


def test_a_cursor_that_is_ignored() -> None:
    listed = List(400, honoured=None)
    assert len(set(naive_lanes(List(400, honoured=None), CUTS))) == 10
    ids, notes = crawl_lanes(listed, source(more=True, fallback=True), CUTS)
    assert_whole(listed, ids)
    assert sum("no lane began" in note for note in notes) == 3
    with pytest.raises(CutoverError, match=r"\[extract.cannot-page\]"):
        crawl_lanes(List(400, honoured=None), source(more=True), CUTS)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("wide", [1, 25])
def test_a_lane_that_was_met_loses_its_way(lost: str, wide: int) -> None:
    """Its cut vanishes, and its cursor's row, alone or with all that it could ask from: then it begins again at the
    top of the list, for nobody else will read what is behind it."""
    cursor, cut = 270, 330
    listed = List(400, lost=lost)

    def act(lane: int, pages: int) -> None:
        if (lane, pages) == (1, 6) and not listed.vanished:
            listed.vanished.update(range(cursor, cursor + wide), [cut])

    ids, _ = crawl_lanes(listed, source(more=True), (cut, 200, 100), on_page=act, rng=Turns([1, 2, 3]))
    assert_whole(listed, ids)
    if wide == 1 and lost != "restart":
        assert len(listed.asked) <= 40 + 3 + 8


def test_cuts_close_together_or_outside_of_the_list() -> None:
    for cuts in ((400, 399, 398), (9000, 8000, 200), (3, 2, 1), (395, 393, 2), (200, -5, -6)):
        listed = List(400)
        ids, _ = crawl_lanes(listed, source(more=True), cuts)
        assert_whole(listed, ids)


@pytest.mark.parametrize("lost", LOST)
def test_the_end_of_a_lanes_only_page_is_not_taken_for_granted(lost: str) -> None:
    """Its only row is met, and vanishes: the page after it is empty, and there is no earlier row to ask from."""
    listed = List(60, lost=lost, cap=1)

    def act(lane: int, pages: int) -> None:
        if (lane, pages) == (0, 31):
            listed.vanished.add(30)

    ids, _ = crawl_lanes(listed, source(more=True), (31,), on_page=act, rng=Turns([1]))
    assert_whole(listed, ids)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_happens_while_the_lanes_run(seed: int) -> None:
    """Rows vanish (mostly cursors and cuts) and come in, empty pages say that there is more, the cursor comes to be
    ignored, the sync is killed: none is missed that was there from beginning to end."""
    rng = random.Random(seed)
    listed = List(
        rng.randrange(1, 300),
        more=True,
        lost=rng.choice(LOST),
        inclusive=rng.random() < 0.2,
        cap=rng.choice([1000, 7, 1]),
        hiccups=rng.choice([0, 0, 2]),
    )
    at_first = set(listed.ids)
    cuts = sorted(rng.sample(range(1, listed.count + 20), min(3, listed.count)), reverse=True)
    listed.vanished.update(cut for cut in cuts if rng.random() < 0.2)
    chance = rng.choice([0.0, 0.05, 0.3])
    ignored_from = rng.choice([1.0, 1.0, 1.0, 0.9, 0.99])

    def act(_listed: List, params: dict[str, str]) -> None:
        draw = rng.random()
        if draw < chance:
            near = [int(params["after"])] if "after" in params else []
            near += [cut + rng.randrange(-12, 2) for cut in cuts]
            listed.vanished.update(row_id for row_id in near if rng.random() < 0.5)
        elif draw < chance * 1.5:
            listed.ids.insert(0, listed.ids[0] + 1)
        elif draw > ignored_from:
            listed.honoured = None

    listed.before_answer = act
    try:
        ids, _ = crawl_lanes(listed, source(more=True, fallback=True), cuts, rng=rng, kills=rng.choice([0.0, 0.05]))
    except CutoverError:  # so much vanished that it gave up: loud, and nothing is marked as gone
        return
    assert at_first - listed.vanished - set(ids) == set()


# With the API and a database


def test_the_second_sync_goes_in_lanes_and_the_first_cannot(simulate: Callable[..., World]) -> None:
    world = simulate(latency=0.02)
    first = world.sync(NAME)
    world.simulator.forget_requests()
    second = world.sync(NAME)
    cursors = [dict(request.query).get("startingAfter") for request in world.simulator.requests]
    ids = [str(row_id) for row_id in world.rows(NAME).ids()]
    cuts = [ids[-(-len(ids) * number // 4) - 1] for number in (1, 2, 3)]
    assert set(cuts) <= set(cursors[:12])
    assert (second.rows - second.repeated, second.written, second.not_given) == (len(ids), 0, [])
    assert first.repeated == 0
    assert second.requests <= first.requests + 3 + 4
    assert (second.first_id, second.last_id) == (ids[0], ids[-1])


def test_a_list_too_short_to_be_cut_is_read_by_one_crawl(world: World) -> None:
    rows = world.rows(NAME)
    for row_id in rows.ids()[75:]:
        rows.delete(row_id)
    assert world.sync(NAME).pages == 8
    assert world.sync(NAME).pages == 8


@pytest.mark.parametrize("lost_cursor", ["continue", "error", "empty"])
def test_only_what_is_gone_is_marked_when_the_cuts_have_vanished(
    simulate: Callable[..., World], lost_cursor: str
) -> None:
    world = simulate(systemeio=SystemeioOptions(lost_cursor=lost_cursor))
    world.sync(NAME)
    rows = world.rows(NAME)
    ids = rows.ids()
    gone = [ids[-(-len(ids) * number // 4) - 1] for number in (1, 2, 3)]
    for row_id in gone:
        rows.delete(row_id)
    report = world.sync(NAME)
    assert world.content(NAME) == world.truth(NAME)
    assert (report.gone, report.total) == (3, len(ids) - 3)
    assert len(report.not_given) == (0 if lost_cursor == "continue" else 3)
    assert all("no lane began behind" in line for line in report.not_given)


@pytest.mark.parametrize("lost_cursor", ["continue", "error", "empty"])
@pytest.mark.parametrize("seed", range(6))
def test_the_list_changes_while_the_lanes_run(simulate: Callable[..., World], lost_cursor: str, seed: int) -> None:
    """A row that is there from beginning to end and yet marked as gone would be one that was lost."""
    world = simulate(systemeio=SystemeioOptions(lost_cursor=lost_cursor))
    world.sync(NAME)
    rows = world.rows(NAME)
    at_first = rows.ids()
    rng = random.Random(f"{lost_cursor} {seed}")

    def act(request: Any) -> None:
        draw = rng.random()
        cursor = request.value("startingAfter")
        if draw < 0.15:
            rows.insert(rows.get(rows.ids()[0]) | {"id": rows.ids()[0] + 1})
        elif draw < 0.25 and cursor is not None and int(cursor) in rows:
            place = at_first.index(int(cursor)) if int(cursor) in at_first else 0
            for row_id in at_first[place : place + rng.choice([1, 2, 11])]:
                if row_id in rows:
                    rows.delete(row_id)

    world.simulator.on_request(act)
    world.sync(NAME, accept_gone=True)
    world.simulator.on_request(None)
    assert {str(row_id) for row_id in at_first if row_id in rows} <= set(world.content(NAME))
    world.sync(NAME, accept_gone=True)
    assert world.content(NAME) == world.truth(NAME)


@pytest.mark.parametrize("at_request", [1, 2, 4, 6, 15, 31, 40])
def test_killed_lanes_go_on_where_each_was(world: World, at_request: int) -> None:
    once = world.source(NAME, paging=world.source(NAME).paging.model_copy(update={"lanes": 1}))
    requests = world.sync(once).requests
    before = world.versions(NAME)
    run_and_kill(world, NAME, at_request)
    stored = {tuple(page["ids"]) for page in stored_pages(world) if page["ids"]}
    report = world.sync(NAME)
    assert report.resumed == 1
    assert world.versions(NAME) == before
    assert report.rows - report.repeated == len(before)
    # what had been stored was not asked for again, but for the four first pages' proof that the cursor works
    assert report.requests <= requests - len(stored) + 3 + 3 + 4


@pytest.mark.parametrize("lost_cursor", ["continue", "error", "empty"])
@pytest.mark.parametrize("at_request", [4, 7, 15, 31, 38])
def test_cuts_and_cursors_vanish_between_a_kill_and_the_next_try(
    simulate: Callable[..., World], lost_cursor: str, at_request: int
) -> None:
    world = simulate(systemeio=SystemeioOptions(lost_cursor=lost_cursor))
    world.sync(NAME)
    run_and_kill(world, NAME, at_request)
    positions = [line["position"] for line in world.query("select position from cutover.sync_window")]
    rows = world.rows(NAME)
    for row_id in {int(position[name]) for position in positions for name in ("cut", "cursor") if position.get(name)}:
        rows.delete(row_id)
    report = world.sync(NAME)
    assert report.resumed == 1
    # those that had been shown before the kill are marked by the next sync
    assert set(world.truth(NAME)) <= set(world.content(NAME))
    world.sync(NAME)
    assert world.content(NAME) == world.truth(NAME)


def test_a_lane_is_met_only_when_its_first_page_is_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a kill could come between: the lane above has ended, and the one it met finds its cut no more."""
    begin = Meeting.begin
    begun = []

    def watched(self: Meeting, lane: int, ids: Any) -> None:
        ids = list(ids)
        if ids:
            begun.append(lane)
            assert ids in [page["ids"] for page in stored_pages(world)]
        begin(self, lane, ids)

    monkeypatch.setattr(Meeting, "begin", watched)
    world.sync(NAME)
    world.sync(NAME)
    assert sorted(begun) == [0, 0, 1, 2, 3]


def test_lanes_that_were_cut_off_mark_nothing_and_are_taken_up(world: World) -> None:
    world.sync(NAME)
    left = [20]

    def count(_request: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            world.simulator.fail("server_error", "/", times=1000)

    world.rows(NAME).delete(world.rows(NAME).ids()[5])
    world.simulator.on_request(count)
    with pytest.raises(CutoverError):
        world.sync(NAME, access=world.access("systemeio", patience=2.0))
    assert world.query("select 1 from raw.systemeio_contacts where gone_at is not null") == []
    world.simulator.on_request(None)
    world.simulator._traffic.scripted.clear()
    report = world.sync(NAME)
    assert (report.resumed, report.gone) == (1, 1)
    assert world.content(NAME) == world.truth(NAME)
