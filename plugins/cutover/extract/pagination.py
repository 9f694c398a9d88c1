"""From the top of a window to its end, page by page, believing nothing that can be checked.

A list that pages by "the last id I had" fails in silence: a cursor that the server ignores shows page 1 for ever, a
cursor whose row has vanished shows nothing, a short page may be the last or merely short. Each guard here names
what it has seen (`notes`), tries the next best way, and raises before it would lose a row.

Two rules cover it all:

* A page that shows rows of the window's first page, or of the page before, is no next page.
* A window ends by the API's own word on a page with rows, or by an empty page that a second question confirms:
  asked from an earlier row, the API must show what we have after it, and nothing more.

A lane is a window that begins behind a cut, an id known from an earlier scan, and may also end where it meets a lane
further down (see lanes.Meeting). One that does not find its cut does not begin; one that loses its way begins again
at the top of the list like any window. So what follows the first page of a lane is read whatever happens to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from cutover.errors import CutoverError
from cutover.extract.client import Answer, RefusedError
from cutover.extract.page import Body, Row
from cutover.extract.windows import Window, moment, timestamp
from cutover.migration.source import Source

Ask = Callable[[dict[str, str]], Answer[Body]]

# How often a window is crawled from its top before the sync gives up on it.
ATTEMPTS = 4
# Before the first row that any API can have.
_EPOCH = "2000-01-01T00:00:00.000Z"
# Fewer rows than this on a page are no sign that the page was full.
_FULL = 10


@dataclass
class Position:
    """Where the crawl of a window stands. Stored with each page; what it does not hold is in the pages stored."""

    # 1, and one more for each time that the crawl had to begin again at the window's top
    attempt: int = 1
    # pages with rows, in this attempt
    pages: int = 0
    cursor: str | None = None
    # the name of the cursor's parameter, once it was seen to work
    parameter: str | None = None
    # Once every cursor was found to be ignored: the time that the crawl has come down to, "" for the window's top.
    bound: str | None = None
    # Of a lane, as long as it has not begun again at the top of the list: the id behind which it began.
    cut: str | None = None
    # By page: how many rows each page of this attempt is asked for, since numbers mean nothing without it.
    size: int | None = None
    # How often the window was read to its end before: see shifts.
    readings: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Position:
        """As it was stored, perhaps by another release."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})


@dataclass
class Trail:
    """What a crawl has seen in its present attempt: the ids of its first and its last page, and every cursor."""

    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    # a dict for its order: the cursor before the last one brought the last page
    cursors: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Page:
    """A page as the store takes it: ``position`` is where to go on when this page is stored."""

    rows: list[Row]
    request: str
    fetched_at: datetime
    size: int
    position: Position
    last: bool


class Learned:
    """What one window finds out about the endpoint, so that the others need not. Thread-safe.

    ``names`` are those of the cursor parameter, the likeliest first; ``proven`` is the one that was seen to work.
    ``size`` is the page size that the API accepts. ``notes`` say what the API would not give.
    """

    def __init__(self, source: Source, cursor: str | None = None) -> None:
        self._lock = threading.Lock()
        self.names = source.paging.cursor
        self.proven: str | None = None
        self.size = source.paging.size
        self.notes: list[str] = []
        if cursor in self.names:
            self._put_first(cursor)

    def _put_first(self, name: str) -> None:
        self.names = (name, *(other for other in self.names if other != name))

    def prove(self, name: str) -> None:
        """``name`` was seen to bring the next page."""
        with self._lock:
            self.proven = name
            self._put_first(name)

    def shrink(self, refused: int, smallest: int) -> bool:
        """Ask for smaller pages than the ``refused`` size; False when that is the smallest already."""
        with self._lock:
            if self.size >= refused:  # else another window was refused before this one
                self.size = max(smallest, refused // 2)
            return self.size < refused

    def note(self, text: str) -> None:
        """Remember, once, what the API would not give."""
        with self._lock:
            if text not in self.notes:
                self.notes.append(text)


class Crawl:
    """The pages of one window, each asked for when it is wanted.

    ``meets`` says of a page's ids whether another lane reads on from there.
    """

    def __init__(
        self,
        source: Source,
        window: Window,
        ask: Ask,
        learned: Learned,
        *,
        position: Position | None = None,
        trail: Trail | None = None,
        meets: Callable[[list[str]], bool] = lambda _ids: False,
    ) -> None:
        self._source = source
        self._window = window
        self._ask_api = ask
        self._learned = learned
        self._position = position or Position()
        self._trail = trail or Trail()
        self._meets = meets
        self._ended = False
        if self._position.parameter is not None:
            learned.prove(self._position.parameter)

    def next_page(self) -> Page | None:
        """The next page of the window; None behind its end. The one with ``last`` ends it, and may be empty.

        Raises CutoverError ``extract.cannot-page`` and ``extract.refused``, and what the client raises.
        """
        while not self._ended:
            following = self._find()
            if following is not None:  # else the window begins again, or goes on by time, or did not begin
                page = self._step(*following)
                self._ended = page.last
                return page
        return None

    def _find(self) -> tuple[Answer[Body], bool] | None:
        """The next page and whether it is the last; None when the position has changed instead."""
        if self._position.bound is not None:
            return self._next_by_time(self._position.bound)
        if self._position.cursor is None:
            return self._first() if self._position.cut is None else self._behind(self._position.cut)
        return self._next(self._position.cursor)

    def _step(self, answer: Answer[Body], last: bool) -> Page:
        """Move the position behind ``answer``."""
        rows = answer.content.rows
        keys = keys_of(answer.content)
        if keys:
            trail = self._trail
            self._position = self._behind_page(answer, keys)
            last = last or self._meets(keys)
            trail.first = trail.first or keys
            trail.last = keys
            trail.cursors[keys[-1]] = None
        elif rows and not last:
            raise self._cannot_page("no row of a page has an id, so there is nothing to go on from")
        return Page(rows, answer.request, answer.fetched_at, answer.size, self._position, last)

    def _behind_page(self, answer: Answer[Body], keys: list[str]) -> Position:
        """Where to go on behind ``answer``, whose rows have ``keys``."""
        position = self._position
        bound = position.bound if position.bound is None else self._oldest(answer.content, position.bound)
        return replace(position, pages=position.pages + 1, cursor=keys[-1], parameter=self._learned.proven, bound=bound)

    # By cursor ------------------------------------------------------------------------------------------------

    def _first(self) -> tuple[Answer[Body], bool] | None:
        """The window's first page."""
        answer = self._top_page({})
        if not answer.content.rows and answer.content.more:
            return self._again("the first page of a window is empty although it says that there is more")
        if not answer.content.rows and answer.content.more is None:
            # An empty list alone is nobody's word: asked again, it must still be empty.
            answer = self._ask({})
            if answer.content.rows:
                self._learned.note("the first page of a window was empty, and was not when it was asked for again")
        return answer, not answer.content.rows or answer.content.more is False

    def _top_page(self, params: dict[str, str]) -> Answer[Body]:
        """The answer to ``params`` with the largest pages that the API gives."""
        while True:
            size = self._learned.size
            try:
                return self._ask(params)
            except RefusedError as refused:
                if not self._learned.shrink(size, self._source.paging.smallest):
                    raise self._refused(refused) from refused
                self._learned.note(f"pages of {size} rows are refused ({refused})")

    def _behind(self, cut: str) -> tuple[Answer[Body], bool] | None:
        """A lane's first page. Where that is in doubt, the lane does not begin, and the one above reads its rows."""
        name = self._learned.names[0]
        try:
            answer = self._ask({name: cut})
        except RefusedError as refused:
            why = f"{name} is refused ({refused})"
        else:
            keys = keys_of(answer.content)
            # The cursor is ignored or lost, or the list runs upwards. Decimal numbers, compared without being read.
            from_before = any((len(key), key) > (len(cut), cut) for key in keys)
            if keys and not from_before:
                return answer, answer.content.more is False
            why = "rows from before it are shown" if keys else "no row is shown"
        self._learned.note(f"no lane began behind {cut}: {why}")
        self._ended = True
        return None

    def _next(self, cursor: str) -> tuple[Answer[Body], bool] | None:
        """The page after the cursor."""
        name = self._learned.names[0]
        worked = self._learned.proven == name
        try:
            answer = self._ask({name: cursor})
        except RefusedError as refused:
            why = f"{name} is refused ({refused})"
            return self._from_earlier(f"{why}: its row has vanished") if worked else self._other_ways(name, why)
        if not answer.content.rows:
            if answer.content.more:
                return self._from_earlier("a page is empty although it says that there is more: the cursor is lost")
            return self._confirm_end(answer, name)
        if self._begins_again(answer.content):
            if worked and self._position.pages > 1:
                return self._from_earlier(f"the list begins again in its middle: the row of {name} has vanished")
            return self._other_ways(name, f"{name} is ignored: the second page begins like the first")
        return self._accept(answer, name)

    def _accept(self, answer: Answer[Body], name: str) -> tuple[Answer[Body], bool] | None:
        """A page with other rows than the ones before it: the next one, or the top of a list that has grown."""
        if self._learned.proven != name:
            if self._is_top(answer.content):
                return self._other_ways(name, f"{name} is ignored: the second page is the top of the list")
            self._learned.prove(name)
        if not self._fresh(answer.content):
            if answer.content.more:
                return self._again("a page has no row that the one before had not, and says that there is more")
            return answer, True
        if keys_of(answer.content)[-1] in self._trail.cursors:
            return self._again("the crawl has come back to a row where it was before")
        return answer, answer.content.more is False

    def _begins_again(self, body: Body) -> bool:
        """Whether the page shows rows of the first page or of the one before.

        A server that reads the cursor as "from here" and not "after here" repeats that one row: no harm.
        """
        keys = keys_of(body)
        if keys and keys[0] == self._position.cursor and len(self._trail.first) > 1:
            keys = keys[1:]
        return any(key in self._shown for key in keys)

    def _is_top(self, body: Body) -> bool:
        """Whether the page, which has no row of the first one, is still the top of a list that has grown.

        Asked once for a name of the cursor, before it is trusted: seen again, the top must begin with other rows.
        """
        keys = set(keys_of(body))
        top = keys_of(self._ask({}).content)
        above = list(takewhile(lambda key: key not in keys, top))
        return len(above) < len(top) and not any(key in self._shown for key in above)

    def _fresh(self, body: Body) -> list[str]:
        """The ids that are on neither the first page nor the one before."""
        shown = self._shown
        return [key for key in keys_of(body) if key not in shown]

    @property
    def _shown(self) -> set[str]:
        return {*self._trail.first, *self._trail.last}

    def _confirm_end(self, empty: Answer[Body], name: str) -> tuple[Answer[Body], bool] | None:
        """Whether an empty page after the cursor is the end, or the server has lost the cursor's row."""
        anchors = self._anchors()
        if not anchors:  # one row in all, and no earlier one to ask from: the top must still be that row alone
            if keys_of(self._ask({}).content) == self._trail.first:
                return empty, True
            return self._again("an empty page after the only row is not confirmed as the end: the row has vanished")
        page = self._ask_from(anchors, name)
        if page is None:
            return self._again("an empty page is not confirmed as the end: the rows before it have vanished too")
        self._learned.prove(name)
        if self._fresh(page.content):
            self._learned.note("an empty page was not the end: the row of the cursor had vanished")
            return page, page.content.more is False
        return empty, True

    def _from_earlier(self, why: str) -> tuple[Answer[Body], bool] | None:
        """Go on from a row before the cursor's, which has vanished from the list."""
        self._learned.note(why)
        page = self._ask_from(self._anchors(), self._learned.names[0])
        if page is None or (page.content.more and not self._fresh(page.content)):
            return self._again(why)
        return page, page.content.more is False or not self._fresh(page.content)

    def _anchors(self) -> list[str]:
        """Rows before the cursor's to ask from: the nearest, the first of its page, and the last of the page before."""
        earlier = [key for key in self._trail.last if key != self._position.cursor]
        previous = list(self._trail.cursors)[-2:-1]
        return list(dict.fromkeys([*earlier[:-3:-1], *earlier[:1], *previous]))

    def _ask_from(self, anchors: list[str], name: str) -> Answer[Body] | None:
        """The first page with rows that does follow one of ``anchors``; None when none does."""
        for anchor in anchors:
            try:
                answer = self._ask({name: anchor})
            except RefusedError:
                continue
            last = self._trail.last
            not_after = {anchor, *(last[: last.index(anchor)] if anchor in last else ())}
            if self._position.pages > 1:
                not_after |= set(self._trail.first)
            keys = keys_of(answer.content)
            if keys and not any(key in not_after for key in keys):
                return answer
        return None

    def _other_ways(self, tried: str, why: str) -> tuple[Answer[Body], bool] | None:
        """The cursor does not work: try its other names, then earlier rows, then go on by time."""
        cursor = self._position.cursor
        assert cursor is not None
        for name in self._learned.names:
            if name == tried:
                continue
            try:
                answer = self._ask({name: cursor})
            except RefusedError:
                continue
            if not answer.content.rows and not answer.content.more:
                self._learned.note(f"{why}; {name} works")
                return self._confirm_end(answer, name)
            if answer.content.rows and not self._begins_again(answer.content) and not self._is_top(answer.content):
                self._learned.note(f"{why}; {name} works")
                self._learned.prove(name)
                return self._accept(answer, name)
        page = self._ask_from(self._anchors(), self._learned.names[0])
        if page is not None and self._fresh(page.content):
            self._learned.note(f"{why}; an earlier row as cursor works")
            return page, page.content.more is False
        if self._source.paging.fallback is None:
            raise self._cannot_page(f"{why}, and no other way to page it is declared")
        self._learned.note(f"{why}; no cursor works: paged by {self._source.paging.fallback.field}")
        self._position = Position(self._position.attempt, bound="", readings=self._position.readings)
        return None

    def _again(self, why: str) -> tuple[Answer[Body], bool] | None:
        """Crawl the window again from its top: what is stored stays, and what comes twice is stored once."""
        self._learned.note(why)
        before = self._position
        if before.attempt - before.readings >= ATTEMPTS:
            raise self._cannot_page(f"in {ATTEMPTS} attempts, the last time because {why}")
        self._position = Position(before.attempt + 1, readings=before.readings)
        self._trail = Trail()
        return None

    # By time ----------------------------------------------------------------------------------------------------

    def _next_by_time(self, bound: str) -> tuple[Answer[Body], bool] | None:
        """The page of rows that are not newer than the oldest one seen. Nothing is known to be the last page but
        one that brings neither a new row nor an older time."""
        fallback = self._source.paging.fallback
        assert fallback is not None
        params = dict(self._window.params)
        if bound:
            # A second more: whether a bound includes its own instant is uncertain, and what comes twice is no harm.
            # And never without the other bound: some APIs then ignore both.
            params.setdefault(fallback.start, _EPOCH)
            params[fallback.end] = timestamp(moment(bound) + timedelta(seconds=1))
        try:
            answer = self._ask(params)
        except RefusedError as refused:
            raise self._refused(refused) from refused
        body = answer.content
        try:
            times = [moment(row.bound or "") for row in body.rows]
        except ValueError as error:
            raise self._cannot_page(f"no cursor works, and a row has no {fallback.field} to go on by") from error
        if times and times[0] < times[-1]:
            raise self._cannot_page("no cursor works, and the list begins with its oldest rows")
        if not body.rows or body.more is False:
            return answer, True
        if self._fresh(body) or self._oldest(body, bound) != bound:
            return answer, False
        if body.more or len(body.rows) >= min(self._learned.size, max(_FULL, len(self._trail.first))):
            raise self._cannot_page(f"no cursor works, and the rows at {bound} fill a page or its bounds are ignored")
        return answer, True

    def _oldest(self, body: Body, bound: str) -> str:
        """The oldest time on the page or before it."""
        times = [moment(row.bound) for row in body.rows if row.bound]
        if bound:
            times.append(moment(bound))
        return timestamp(min(times))

    # What both share -------------------------------------------------------------------------------------------

    def _ask(self, params: dict[str, str]) -> Answer[Body]:
        parameter = self._source.paging.size_parameter
        asked = {**self._source.params, **self._window.params, **params}
        if parameter is not None and parameter not in params:
            asked[parameter] = str(self._position.size or self._learned.size)
        return self._ask_api(asked)

    def _refused(self, refused: RefusedError) -> CutoverError:
        return CutoverError(
            "extract.refused",
            f"GET {self._source.path} (connection {self._source.connection}), window {self._window.name}",
            f"the API answered {refused.status} {refused.why} to the window's parameters: {self._window.params}.",
            "compare the declaration of the source in migration.yaml with the API's documentation.",
        )

    def _cannot_page(self, why: str) -> CutoverError:
        return CutoverError(
            "extract.cannot-page",
            f"GET {self._source.path} (connection {self._source.connection}), window {self._window.name}",
            f"the list could not be read to its end: {why}. What was read is stored; nothing was marked as gone.",
            "clear the task to try again; if it comes back, the API pages in a way that the declaration of the "
            "source in migration.yaml does not describe.",
        )


def keys_of(body: Body) -> list[str]:
    """The keys of a page's rows, of those that have one."""
    return [row.key for row in body.rows if row.key is not None]
