"""Paging by a number, an offset or a link: what brings the next page is a place in the list, and not a row of it.

Rows that come or go in front of a place move others over it. What each way can prove:

* An **offset** is asked for one row too early, so that each page begins with the last row of the page before. One
  that does not is not taken: the crawl steps back until a page shows a row of the one before. So a row that keeps its
  place among the others is not passed over, whatever comes and goes.
* A page's **number**, and a **link** that may hold one, show only that rows have come in: then some appear twice. One
  that has gone leaves no trace. So a list is read to its end until a reading brings nothing that raw did not have, and
  a row that one reading did not show is gone only when a second does not show it either (see sync.py). A link that
  is declared ``steady`` is a cursor, and needs none of that.

And as with cursors: a page that shows no row which the one before had not is no next page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cutover.extract.client import Answer, RefusedError
from cutover.extract.page import Body
from cutover.extract.pagination import Ask, Crawl, Learned, Position, keys_of
from cutover.extract.windows import Window
from cutover.migration.source import Source

Find = tuple[Answer[Body], bool] | None
# A number and an offset that no list reaches: what is shown there tells whether the API looks at them at all.
_BEYOND = 100_000_000
# So many empty pages that link to a next one are passed over in a row.
_MOST_EMPTY = 100


@dataclass(frozen=True)
class Links:
    """How links are followed: ``own`` makes of one, and of the request that brought it, the request to send next."""

    own: Callable[[str, str], str]
    follow: Callable[[str], Answer[Body]]


def crawl_of(source: Source, window: Window, ask: Ask, learned: Learned, links: Links, **state: Any) -> Crawl:
    """The crawl of a window, as its source is paged. ``state`` is what Crawl takes by name."""
    if source.paging.by in ("next", "link"):
        return LinkCrawl(source, window, ask, learned, links=links, **state)
    kind = {"cursor": Crawl, "page": PageCrawl, "offset": OffsetCrawl}[source.paging.by]
    return kind(source, window, ask, learned, **state)


def _ended(answer: Answer[Body]) -> tuple[Answer[Body], bool]:
    """The end of a list, which ``answer`` has shown without a row that is not stored."""
    return replace(answer, content=Body([], False)), True


class _PlaceCrawl(Crawl):
    """What the three ways share."""

    def _beyond(self, answer: Answer[Body]) -> list[str]:
        """The ids that the page before had not."""
        last = set(self._trail.last)
        return [key for key in keys_of(answer.content) if key not in last]

    def _advances(self, answer: Answer[Body]) -> bool:
        """Whether a page shows a row that the page before had not, and does not end where another one did."""
        keys = keys_of(answer.content)
        return not keys or (keys[-1] not in self._trail.cursors and bool(self._beyond(answer)))

    def _at(self, place: int, size: int | None = None) -> Answer[Body]:
        """The page at a number or an offset. Raises RefusedError."""
        paging = self._source.paging
        asked = {paging.position: str(place)}
        if size is not None and paging.size_parameter:
            asked[paging.size_parameter] = str(size)
        return self._ask(asked)

    def _rows_at(self, place: int) -> Answer[Body] | None:
        """The page at a number or an offset; None where it has no row, or the API says that there is none (404).

        Raises CutoverError ``extract.refused``.
        """
        try:
            answer = self._at(place)
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise self._refused(refused) from refused
        return answer if answer.content.rows else None

    def _is_ignored(self) -> bool:
        """Whether the API shows rows at a place where no list has any."""
        try:
            return bool(self._at(_BEYOND).content.rows)
        except RefusedError:
            return False

    def _top(self, params: dict[str, str]) -> Find:
        """The window's first page."""
        answer = self._top_page(params)
        self._position = replace(self._position, size=self._learned.size)
        if not answer.content.rows and answer.content.more:
            return self._again("the first page of a window is empty although it says that there is more")
        if not answer.content.rows and answer.content.more is None:
            # An empty list alone is nobody's word: asked again, it must still be empty.
            answer = self._ask(params)
            if answer.content.rows:
                self._learned.note("the first page of a window was empty, and was not when it was asked for again")
        return answer, not answer.content.rows or answer.content.more is False


class PageCrawl(_PlaceCrawl):
    """By number: the position's ``cursor`` is the number of the next page."""

    def _find(self) -> Find:
        if self._position.cursor is None:
            return self._top({self._source.paging.position: str(self._source.paging.first)})
        number = int(self._position.cursor)
        answer = self._rows_at(number)
        if answer is None:
            return self._end(number)
        if answer.content.more is not False and not self._advances(answer):
            return self._repeated(number, answer)
        if len(self._beyond(answer)) < len(keys_of(answer.content)):
            self._learned.note("rows came in while the list was read by page: some were shown twice")
        return answer, answer.content.more is False

    def _behind_page(self, answer: Answer[Body], keys: list[str]) -> Position:  # noqa: ARG002
        number = int(self._position.cursor or self._source.paging.first)
        return replace(self._position, pages=self._position.pages + 1, cursor=str(number + 1))

    def _end(self, number: int) -> Find:
        """Whether an empty page is the end: asked again it must be empty, and the one before must have no new row."""
        again = self._rows_at(number)
        if again is not None:
            self._learned.note("an empty page was not the end: it was not empty when it was asked for again")
            return again, again.content.more is False
        before = self._rows_at(number - 1)
        if before is None or before.content.more:
            return self._again("a page is empty, and the one before it is too, or says that there is more")
        if self._beyond(before):
            self._learned.note("rows went while the list was read by page: its last ones moved to the page before")
            return before, True
        return _ended(before)

    def _repeated(self, number: int, repeated: Answer[Body]) -> Find:
        """A page that shows nothing new: a passing fault, a page's worth of new rows, the end, or no paging at all."""
        again = self._rows_at(number)
        if again is not None and self._advances(again):
            self._learned.note("a page showed the rows of the one before, and did not when it was asked for again")
            return again, again.content.more is False
        further = self._rows_at(number + 1)
        if further is None and self._position.pages > 1:
            return _ended(repeated)
        if further is not None and self._advances(further):
            self._learned.note("rows came in while the list was read by page: some were shown twice")
            self._position = replace(self._position, cursor=str(number + 1))
            return further, further.content.more is False
        if further is None or repeated.content.more or not self._is_ignored():
            return self._again(f"page {number} shows nothing that the page before had not")
        if self._position.pages == 1 and not self._halves_differ():
            raise self._cannot_page(
                f"{self._source.paging.position}={number} shows the first page again: the API ignores it, or has one "
                "page alone and repeats it"
            )
        self._learned.note("behind its end the list repeats its last page")
        return _ended(repeated)

    def _halves_differ(self) -> bool:
        """Whether page 2 of half the size has the other half of the rows: then numbers work, and one page was all."""
        shown = len(self._trail.first)
        if shown == 1:
            return True
        first, half = self._source.paging.first, shown // 2
        try:
            one, other = (set(keys_of(self._at(number, half).content)) for number in (first, first + 1))
        except RefusedError:
            return False
        return bool(one) and bool(other - one)


class OffsetCrawl(_PlaceCrawl):
    """By offset: the position's ``cursor`` is the offset of the last row that was shown."""

    # the offset of the page at hand
    _asked = 0

    def _find(self) -> Find:
        if self._position.cursor is None:
            self._asked = 0
            return self._top({self._source.paging.position: "0"})
        place = int(self._position.cursor)
        answer = self._touching(place)
        if answer is None:
            return self._again("none of the rows of the page before is in the list any more")
        keys = keys_of(answer.content)
        if self._asked != place or keys[:1] != self._trail.last[-1:]:
            self._learned.note("rows came or went while the list was read by offset: it was gone on from a known row")
        if self._beyond(answer) or answer.content.more is False:
            return answer, answer.content.more is False
        return self._nothing_beyond(answer)

    def _behind_page(self, answer: Answer[Body], keys: list[str]) -> Position:  # noqa: ARG002
        last = self._asked + len(answer.content.rows) - 1
        return replace(self._position, pages=self._position.pages + 1, cursor=str(last))

    def _touching(self, place: int) -> Answer[Body] | None:
        """The page at ``place``, or at the nearest one before it, that shows a row of the page before."""
        last = set(self._trail.last)
        step = max(1, len(last) - 1)
        while True:
            self._asked = place
            answer = self._rows_at(place)
            if answer is not None and not last.isdisjoint(keys_of(answer.content)):
                return answer
            if place == 0:
                return None
            place = max(0, place - step)

    def _nothing_beyond(self, answer: Answer[Body]) -> Find:
        """A page of known rows alone: the end, as many new rows as a page has, or no paging at all."""
        behind = self._asked + len(answer.content.rows)
        # an API that gives no more than one row at a time shows no second one either
        certain = len(answer.content.rows) == 1 < len(self._trail.first) and not answer.content.more
        following = None if certain else self._rows_at(behind)
        if following is None:
            if answer.content.more:
                return self._again("nothing is behind a page that says that there is more")
            return _ended(answer)
        if self._beyond(following):
            if len(answer.content.rows) == 1:
                self._asked = behind
                return following, following.content.more is False
            return answer, False  # which moves the position on, by a page of rows that came in
        if self._is_ignored():
            raise self._cannot_page(f"{self._source.paging.position} is ignored: each page begins like the first")
        return answer, False


class LinkCrawl(_PlaceCrawl):
    """By link: the position's ``cursor`` is the request that the last page linked to."""

    def __init__(self, *arguments: Any, links: Links, **state: Any) -> None:
        super().__init__(*arguments, **state)
        self._links = links
        # of this attempt, and of this process
        self._followed: set[str] = set()

    def _find(self) -> Find:
        request = self._position.cursor
        if request is None:
            self._followed.clear()
            link = self._top({})
            if link is None:
                return None
            answer = link[0]
            if answer.content.rows and not self._link(answer):
                self._require_a_link(answer)
        else:
            if request in self._followed:
                return self._again("the links to the next page lead in a circle")
            self._followed.add(request)
            try:
                answer = self._links.follow(request)
                if not self._advances(answer) and self._link(answer):
                    answer = self._links.follow(request)
            except RefusedError as refused:
                return self._again(f"the link to the next page is refused ({refused})")
            if not self._advances(answer) and self._link(answer):
                return self._again("a page shows nothing that the page before had not, and links to a next one")
        return self._with_rows(answer)

    def _with_rows(self, answer: Answer[Body]) -> Find:
        """The page, or the first one with rows behind it: an API that filters after it pages has empty ones."""
        for _ in range(_MOST_EMPTY):
            link = self._link(answer)
            if answer.content.more and not link:
                return self._again("a page says that there is more, and does not link to it")
            if answer.content.rows or not link or answer.content.more is False:
                return answer, not link or answer.content.more is False
            request = self._links.own(link, answer.request)
            if request in self._followed:
                return self._again("the links to the next page lead in a circle")
            self._followed.add(request)
            try:
                answer = self._links.follow(request)
            except RefusedError as refused:
                return self._again(f"the link to the next page is refused ({refused})")
        raise self._cannot_page(f"{_MOST_EMPTY} empty pages in a row link to a next one")

    def _behind_page(self, answer: Answer[Body], keys: list[str]) -> Position:  # noqa: ARG002
        link = self._link(answer)
        request = self._links.own(link, answer.request) if link else None
        return replace(self._position, pages=self._position.pages + 1, cursor=request)

    def _link(self, answer: Answer[Body]) -> str | None:
        return answer.content.next if self._source.paging.by == "next" else answer.next

    def _require_a_link(self, answer: Answer[Body]) -> None:
        """A first page without a link is the whole list, or the link is elsewhere: half of it must have one.

        Raises CutoverError ``extract.cannot-page``.
        """
        paging, shown = self._source.paging, len(answer.content.rows)
        if answer.content.says_next or answer.content.more is False or shown < 2 or not paging.size_parameter:
            return
        half = self._ask({paging.size_parameter: str(shown // 2)})
        if self._link(half):
            return
        if len(half.content.rows) < shown:
            place = "the header Link" if paging.by == "link" else f"`paging.next` ({paging.next})"
            raise self._cannot_page(f"of {shown} rows half were asked for, and {place} has no link to the others")
        self._learned.note("the list is on one page: whether it would link to a next one could not be seen")
