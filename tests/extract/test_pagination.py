"""Each guard of the pagination, and that without it rows are lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutover.errors import CutoverError
from cutover.extract.windows import Window
from tests.extract.lists import List, crawl, naive, source


def assert_complete(listed: List, ids: list[int]) -> None:
    """Every row that the list still shows was found."""
    assert set(listed.alive()) - set(ids) == set()


def with_cursor(listed: List) -> int:
    """How many of the requests so far had a cursor."""
    return sum("after" in params for params in listed.asked)


def vanish(request_no: int) -> Any:
    """Let the row that this request with a cursor asks from vanish just before it is answered."""

    def act(listed: List, params: dict[str, str]) -> None:
        if with_cursor(listed) == request_no and "after" in params:
            listed.vanished.add(int(params["after"]))

    return act


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 95])
def test_a_list_that_behaves_is_read_once(more: bool, count: int) -> None:
    listed = List(count, more=more)
    ids, learned, pages = crawl(listed, source(more=more))
    assert ids == listed.ids
    assert learned.notes == []
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("more", [True, False])
def test_a_server_that_caps_the_page_below_what_was_asked(more: bool) -> None:
    listed = List(95, more=more, cap=7)
    if not more:  # a short page looks like the last one
        assert set(naive(List(95, more=more, cap=7))) < set(listed.ids)
    ids, _, _ = crawl(listed, source(more=more))
    assert ids == listed.ids


def test_a_page_size_that_is_refused_is_made_smaller() -> None:
    listed = List(95, refused_above=4)
    assert naive(List(95, refused_above=4)) == []
    ids, learned, _ = crawl(listed, source(more=True, size=50))
    assert ids == listed.ids
    assert learned.size <= 4
    assert any("refused" in note for note in learned.notes)


def test_a_request_that_is_refused_at_any_size_is_an_error() -> None:
    with pytest.raises(CutoverError, match=r"\[extract.refused\].*window everything.*400 limit is too large"):
        crawl(List(95, refused_above=0), source(more=True))


@pytest.mark.parametrize("honoured", ["last_invoice_id", "last_invoice"])
@pytest.mark.parametrize("count", [1, 3, 10, 95])
def test_whichever_name_of_the_cursor_is_honoured(honoured: str, count: int) -> None:
    names = ("last_invoice_id", "last_invoice")
    listed = List(count, more=False, honoured=honoured)
    other = next(name for name in names if name != honoured)
    if count > 10:  # page 1 for ever: as many pages as one likes, and no row but the first ten
        assert set(naive(List(count, more=False, honoured=honoured), cursor=other)) == set(listed.ids[:10])
    ids, learned, _ = crawl(listed, source(more=False, cursors=names))
    assert sorted(set(ids)) == sorted(listed.ids)
    if count >= 3:
        assert learned.proven == honoured
        assert bool(learned.notes) == (honoured == "last_invoice")


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("count", [1, 3, 10, 11, 95])
def test_when_every_cursor_is_ignored_the_list_is_paged_by_time(more: bool, count: int) -> None:
    listed = List(count, more=more, honoured=None)
    if count > 10:
        assert set(naive(List(count, more=more, honoured=None))) == set(listed.ids[:10])
    window = Window("created", {"from": listed.created(1), "to": listed.created(count)})
    ids, learned, _ = crawl(listed, source(more=more, cursors=("a", "b"), fallback=True), window)
    assert_complete(listed, ids)
    if count > 10:
        assert any("paged by created" in note for note in learned.notes)


@pytest.mark.parametrize("bounds", ["inclusive", "exclusive"])
@pytest.mark.parametrize("rows_per_instant", [1, 3, 7])
def test_paging_by_time_loses_no_row_at_the_seams(bounds: str, rows_per_instant: int) -> None:
    listed = List(95, more=False, honoured=None, bounds=bounds, rows_per_instant=rows_per_instant)
    ids, _, _ = crawl(listed, source(more=False, fallback=True))
    assert_complete(listed, ids)


def test_ignored_cursors_and_a_capped_page_by_time() -> None:
    listed = List(95, more=False, honoured=None, cap=7)
    ids, _, _ = crawl(listed, source(more=False, fallback=True, size=20))
    assert_complete(listed, ids)


@pytest.mark.parametrize(
    "listed",
    [
        List(95, more=False, honoured=None, bounds=None),
        # more rows than a page at one instant
        List(95, more=False, honoured=None, seconds_apart=0),
    ],
)
def test_what_can_not_be_paged_at_all_is_an_error_and_not_a_short_result(listed: List) -> None:
    with pytest.raises(CutoverError, match=r"\[extract.cannot-page\].*could not be read to its end"):
        crawl(listed, source(more=False, fallback=True))


def test_an_oldest_first_list_with_ignored_cursors_is_an_error() -> None:
    listed = List(95, more=False, honoured=None, seconds_apart=-60)
    with pytest.raises(CutoverError, match="begins with its oldest rows"):
        crawl(listed, source(more=False, fallback=True))


def test_without_another_way_an_ignored_cursor_is_an_error() -> None:
    with pytest.raises(CutoverError, match="no other way to page it is declared"):
        crawl(List(95, honoured=None), source(more=True))


@pytest.mark.parametrize("lost", ["refuse", "empty", "empty and more", "restart", "continue"])
@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("request_no", [1, 2, 5, 9])
def test_a_cursor_row_that_vanished(lost: str, more: bool, request_no: int) -> None:
    behaviour = {"count": 95, "more": more, "lost": lost, "before_answer": vanish(request_no)}
    if lost not in ("continue", "restart"):  # after a restart the naive way reads everything twice, but loses nothing
        simple = List(**behaviour)
        assert set(simple.alive()) - set(naive(simple)), "this list would not lose anything"
    listed = List(**behaviour)
    ids, learned, _ = crawl(listed, source(more=more))
    assert_complete(listed, ids)
    assert bool(learned.notes) == (lost != "continue")


@pytest.mark.parametrize("lost", ["refuse", "empty", "empty and more", "restart"])
def test_a_page_of_one_row_whose_row_vanished(lost: str) -> None:
    def act(listed: List, params: dict[str, str]) -> None:
        listed.cap = 1 if with_cursor(listed) == 5 else 10
        if with_cursor(listed) == 6 and "after" in params:
            listed.vanished.add(int(params["after"]))

    listed = List(95, more=False, lost=lost, before_answer=act)
    ids, _, _ = crawl(listed, source(more=False))
    assert_complete(listed, ids)


def test_a_page_full_of_new_rows_does_not_hide_an_ignored_cursor() -> None:
    """Page 2 has no row of page 1, and yet it is the top of the list: ten rows have come in between."""

    def act(listed: List, _params: dict[str, str]) -> None:
        if len(listed.asked) == 2:
            listed.ids = [*range(listed.ids[0] + 10, listed.ids[0], -1), *listed.ids]

    listed = List(95, more=False, honoured="other", before_answer=act)
    ids, learned, _ = crawl(listed, source(more=False, cursors=("after", "other")))
    assert set(range(1, 96)) <= set(ids)
    assert learned.proven == "other"


def test_nor_does_it_make_another_ignored_cursor_look_good() -> None:
    def act(listed: List, params: dict[str, str]) -> None:
        if "other" in params and len(listed.ids) == 95:
            listed.ids = [*range(listed.ids[0] + 10, listed.ids[0], -1), *listed.ids]

    listed = List(95, more=False, honoured=None, before_answer=act)
    declared = source(more=False, cursors=("after", "other"), fallback=True)
    window = Window("all", {"from": listed.created(1), "to": "2030-01-01T00:00:00.000Z"})
    ids, learned, _ = crawl(listed, declared, window)
    assert set(range(1, 96)) <= set(ids)
    assert learned.proven is None


@pytest.mark.parametrize("lost", ["refuse", "empty", "empty and more", "restart"])
def test_the_whole_last_page_vanished(lost: str) -> None:
    def act(listed: List, params: dict[str, str]) -> None:
        if with_cursor(listed) == 4 and "after" in params:
            cursor = int(params["after"])
            listed.vanished |= set(range(cursor, cursor + 10))

    listed = List(95, more=False, lost=lost, before_answer=act)
    ids, _, _ = crawl(listed, source(more=False))
    assert_complete(listed, ids)


def test_a_page_that_is_empty_although_there_is_more() -> None:
    assert len(naive(List(95, hiccups=1))) < 95
    listed = List(95, hiccups=1)
    ids, learned, _ = crawl(listed, source(more=True))
    assert_complete(listed, ids)
    assert any("says that there is more" in note for note in learned.notes)


def test_an_empty_first_page_that_says_nothing_is_asked_for_again() -> None:
    """A list without a member for "more" that is empty by mistake would leave the whole window out."""

    def hiccup() -> List:
        listed = List(95, more=False)
        answer = listed.answer

        def first_empty(params: dict[str, str]) -> Any:
            page = answer(params)
            return page if len(listed.asked) > 1 else []

        listed.answer = first_empty  # type: ignore[method-assign]
        return listed

    assert naive(hiccup()) == []
    ids, learned, _ = crawl(hiccup(), source(more=False))
    assert ids == list(range(95, 0, -1))
    assert learned.notes == ["the first page of a window was empty, and was not when it was asked for again"]


def test_a_first_page_that_is_always_empty_and_promises_more_is_an_error() -> None:
    listed = List(5)
    listed.answer = lambda _params: {"rows": [], "more": True}  # type: ignore[method-assign]
    with pytest.raises(CutoverError, match=r"\[extract.cannot-page\]"):
        crawl(listed, source(more=True))


def test_a_list_that_goes_round_is_an_error() -> None:
    def answer(params: dict[str, str]) -> Any:
        after = int(params.get("after", 101))
        start = after - 1 if after > 50 else 85
        return {"rows": [{"id": row_id} for row_id in range(start, start - 10, -1)], "more": True}

    listed = List(5)
    listed.answer = answer  # type: ignore[method-assign]
    with pytest.raises(CutoverError, match="come back to a row where it was before"):
        crawl(listed, source(more=True))


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("count", [1, 2, 10, 11, 20, 95])
def test_a_cursor_that_means_from_here_and_not_after_here(more: bool, count: int) -> None:
    listed = List(count, more=more, inclusive=True)
    ids, learned, _ = crawl(listed, source(more=more, fallback=True))
    assert_complete(listed, ids)
    assert count == 1 or learned.notes == []


def test_rows_inserted_at_the_top_of_an_ignored_cursor_do_not_hide_it() -> None:
    """Page 2 is page 1 again, moved down by the rows that came in between."""

    def act(listed: List, _params: dict[str, str]) -> None:
        listed.ids.insert(0, listed.ids[0] + 1)

    listed = List(95, more=False, honoured="other", before_answer=act)
    ids, learned, _ = crawl(listed, source(more=False, cursors=("after", "other")))
    assert set(range(1, 96)) <= set(ids)
    assert learned.proven == "other"


def test_a_page_without_any_id_is_an_error() -> None:
    listed = List(5)
    listed.answer = lambda _params: {"rows": [{"name": "x"}], "more": True}  # type: ignore[method-assign]
    with pytest.raises(CutoverError, match="no row of a page has an id"):
        crawl(listed, source(more=True))


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 120),
    more=st.booleans(),
    cap=st.integers(3, 15),
    honoured=st.sampled_from(["after", "other", None]),
    lost=st.sampled_from(["refuse", "empty", "empty and more", "restart", "continue"]),
    events=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["insert", "vanish cursor", "vanish"])), max_size=4),
    data=st.data(),
)
def test_no_row_that_is_there_all_the_time_is_lost(  # noqa: PLR0917 - hypothesis gives them by name
    count: int,
    more: bool,
    cap: int,
    honoured: str | None,
    lost: str,
    events: list[tuple[int, str]],
    data: st.DataObject,
) -> None:
    """Any mix of what a list can do, and of what happens to it meanwhile: complete, or an error that says so."""

    def act(listed: List, params: dict[str, str]) -> None:
        for request_no, event in events:
            if request_no != len(listed.asked):
                continue
            if event == "insert":
                listed.ids.insert(0, max(listed.ids, default=0) + 1)
            elif event == "vanish cursor" and (params.get("after") or params.get("other")):
                listed.vanished.add(int(params.get("after") or params["other"]))
            elif event == "vanish" and listed.alive():
                listed.vanished.add(data.draw(st.sampled_from(listed.alive())))

    listed = List(count, more=more, cap=cap, honoured=honoured, lost=lost, before_answer=act)
    try:
        ids, _, _ = crawl(listed, source(more=more, cursors=("after", "other"), fallback=True))
    except CutoverError as error:
        assert error.code == "extract.cannot-page"
        return
    assert set(range(1, count + 1)) - listed.vanished - set(ids) == set()


@pytest.mark.parametrize("more", [True, False])
def test_the_only_row_of_the_first_page_vanishes(more: bool) -> None:
    """A server that shows one row at a time: the empty page behind a row that has vanished is not the end."""

    def fleeting() -> List:
        return List(30, more=more, cap=1, lost="empty", before_answer=vanish(1))

    assert naive(fleeting(), limit=1) == [30]
    listed = fleeting()
    ids, learned, _ = crawl(listed, source(more=more))
    assert_complete(listed, ids)
    assert any("the only row" in note for note in learned.notes)
