"""A paged list in memory that can misbehave in every way that an API is known or suspected to, and a naive client."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from cutover.extract.client import Answer, RefusedError
from cutover.extract.lanes import Meeting
from cutover.extract.page import Body, reader
from cutover.extract.pagination import Crawl, Learned, Page, Position, Trail
from cutover.extract.windows import Window
from cutover.migration.source import Bounds, Paging, Source

NEWEST = datetime(2025, 9, 1, tzinfo=timezone.utc)


def source(*, more: bool, cursors: tuple[str, ...] = ("after",), size: int = 10, fallback: bool = False) -> Source:
    """A declaration of the list: with or without a member that says whether there is more."""
    return Source(
        name="things",
        migration="test",
        connection="test",
        path="/things",
        rows="rows" if more else None,
        paging=Paging(
            size=size,
            smallest=2,
            cursor=cursors,
            more="more" if more else None,
            fallback=Bounds(field="created", start="from", end="to") if fallback else None,
        ),
    )


@dataclass
class List:
    """Rows newest first. What each option means is said where the list acts on it."""

    count: int
    more: bool = True
    honoured: str | None = "after"
    cap: int = 1000
    refused_above: int | None = None
    lost: str = "continue"
    inclusive: bool = False
    # which rows the bounds let through: those at a bound's own instant too, or not, or all
    bounds: str | None = "inclusive"
    seconds_apart: float = 60
    rows_per_instant: int = 1
    hiccups: int = 0
    ids: list[int] = field(default_factory=list)
    vanished: set[int] = field(default_factory=set)
    asked: list[dict[str, str]] = field(default_factory=list)
    before_answer: Callable[[List, dict[str, str]], None] | None = None

    def __post_init__(self) -> None:
        self.ids = list(range(self.count, 0, -1))

    def created(self, row_id: int) -> str:
        """When a row was created, as it is shown."""
        moment = NEWEST - timedelta(seconds=self.seconds_apart * ((self.count - row_id) // self.rows_per_instant))
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def alive(self) -> list[int]:
        """What the list shows."""
        return [row_id for row_id in self.ids if row_id not in self.vanished]

    def answer(self, params: dict[str, str]) -> Any:
        """The response to a request, as an object. Raises RefusedError."""
        self.asked.append(params)
        if self.before_answer:
            self.before_answer(self, params)
        limit = int(params["limit"])
        if self.refused_above is not None and limit > self.refused_above:
            raise RefusedError(400, "limit is too large")
        start, cursor = 0, params.get(self.honoured) if self.honoured else None
        if cursor is not None:
            known = int(cursor) in self.ids
            if (int(cursor) in self.vanished or not known) and self.lost != "continue":
                if self.lost == "refuse":
                    raise RefusedError(404, "no such row")
                if self.lost == "empty":
                    return self._page([], False)
                if self.lost == "empty and more":
                    return self._page([], True)
                start = 0  # "restart": as if there were no cursor
            elif known:
                start = self.ids.index(int(cursor)) + (0 if self.inclusive else 1)
            else:
                start = sum(row_id > int(cursor) for row_id in self.ids)
        if self.hiccups and cursor is not None:
            self.hiccups -= 1
            return self._page([], True)
        shown = [row_id for row_id in self.ids[start:] if row_id not in self.vanished]
        if self.bounds and "from" in params and "to" in params:
            shown = [row_id for row_id in shown if self._is_between(row_id, params["from"], params["to"])]
        page = shown[: min(limit, self.cap)]
        return self._page(page, len(shown) > len(page))

    def _is_between(self, row_id: int, start: str, end: str) -> bool:
        created = self.created(row_id)
        return start < created < end or (self.bounds == "inclusive" and created in (start, end))

    def _page(self, ids: list[int], more: bool) -> Any:
        rows = [{"id": row_id, "created": self.created(row_id)} for row_id in ids]
        return {"rows": rows, "more": more} if self.more else rows


def crawl(listed: List, declared: Source, window: Window | None = None) -> tuple[list[int], Learned, list[Page]]:
    """Crawl the list as the product does: the ids found, what was learned, the pages."""
    read = reader(declared)
    learned = Learned(declared)

    def ask(params: dict[str, str]) -> Answer[Body]:
        body = json.dumps(listed.answer(params)).encode()
        return Answer(read(body), str(params), datetime.now(timezone.utc), len(body))

    crawled = Crawl(declared, window or Window("everything"), ask, learned)
    pages = list(iter(crawled.next_page, None))
    return [int(row.key) for page in pages for row in page.rows if row.key], learned, pages


def naive(listed: List, cursor: str = "after", limit: int = 10, most: int = 200) -> list[int]:
    """Crawl the list as one would at first: until a short page, or until it says that there is no more."""
    ids: list[int] = []
    params = {"limit": str(limit)}
    for _ in range(most):
        try:
            answer = listed.answer(dict(params))
        except RefusedError:
            break
        rows = answer["rows"] if listed.more else answer
        ids += [row["id"] for row in rows]
        if not rows or (not answer["more"] if listed.more else len(rows) < limit):
            break
        params[cursor] = str(rows[-1]["id"])
    return ids


@dataclass
class Lane:
    """What is stored of one lane: where it stands, the pages of its present attempt, and whether it has ended."""

    position: Position
    pages: list[list[str]] = field(default_factory=list)
    complete: bool = False

    def store(self, page: Page) -> None:
        """Take a page as the database does."""
        if page.position.attempt != self.position.attempt:
            self.pages.clear()
        ids = [row.key for row in page.rows if row.key]
        if ids:
            self.pages.append(ids)
        self.position, self.complete = page.position, page.last


def crawl_lanes(
    listed: List,
    declared: Source,
    cuts: Sequence[int],
    *,
    rng: random.Random | None = None,
    kills: float = 0.0,
    on_page: Callable[[int, int], None] | None = None,
) -> tuple[list[int], list[str]]:
    """Crawl the list in lanes, as a sync does: the ids stored, and the notes.

    The lanes take turns, or come as ``rng`` says; then pages also wait before they are stored, and with a chance of
    ``kills`` at each page all that is not stored is lost. ``on_page`` is called with the lane and its number of pages.
    """
    lanes = [Lane(Position(cut=None if cut is None else str(cut))) for cut in (None, *cuts)]
    read = reader(declared)
    collected: list[int] = []
    notes: list[str] = []

    def ask(params: dict[str, str]) -> Answer[Body]:
        body = json.dumps(listed.answer(params)).encode()
        return Answer(read(body), str(params), datetime.now(timezone.utc), len(body))

    def run() -> bool:
        """Until the end (True) or a kill (False)."""
        learned, meeting = Learned(declared), Meeting()
        crawls = {}
        for number, lane in enumerate(lanes):
            first, last = (lane.pages[0], lane.pages[-1]) if lane.pages else ([], [])
            meeting.begin(number, first)
            if not lane.complete:
                crawls[number] = Crawl(
                    declared,
                    Window("everything"),
                    ask,
                    learned,
                    position=lane.position,
                    trail=Trail(first, last, {ids[-1]: None for ids in lane.pages}),
                    meets=lambda ids, number=number: meeting.met(number, ids),
                )
        waiting: list[tuple[int, Page]] = []
        turn = 0
        while crawls or waiting:
            if crawls:
                number = rng.choice(list(crawls)) if rng else sorted(crawls)[turn % len(crawls)]
                turn += 1
                page = crawls[number].next_page()
                if page is None:
                    del crawls[number]
                else:
                    waiting.append((number, page))
            if rng and rng.random() < kills:
                notes.extend(learned.notes)
                return False
            if not rng or not crawls or rng.random() < 0.5:
                for number, page in waiting:
                    lanes[number].store(page)
                    collected.extend(int(row.key) for row in page.rows if row.key)
                    if page.position.pages == 1 and page.rows:
                        meeting.begin(number, [row.key for row in page.rows if row.key])
                    if on_page:
                        on_page(number, page.position.pages)
                waiting.clear()
        notes.extend(learned.notes)
        return True

    while not run():
        pass
    return collected, notes


def naive_lanes(listed: List, cuts: Sequence[int], limit: int = 10, most: int = 60) -> list[int]:
    """Crawl the list in lanes as one would at first: each from its cut until its ids are past the next cut."""
    collected: list[int] = []
    starts: list[int | None] = [None, *cuts]
    ends = [*cuts, None]
    for start, end in zip(starts, ends, strict=True):
        cursor = start
        for _ in range(most):
            try:
                answer = listed.answer({"limit": str(limit), **({} if cursor is None else {"after": str(cursor)})})
            except RefusedError:
                break
            ids = [row["id"] for row in answer["rows"]]
            collected += ids
            if not ids or not answer["more"] or (end is not None and ids[-1] <= end):
                break
            cursor = ids[-1]
    return collected
