"""A paged list in memory that can misbehave in every way that an API is known or suspected to, and a naive client."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from cutover.extract.client import Answer, RefusedError
from cutover.extract.page import Body, reader
from cutover.extract.pagination import Crawl, Learned, Page
from cutover.extract.source import Bounds, Paging, Source
from cutover.extract.windows import Window

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
            if int(cursor) in self.vanished and self.lost != "continue":
                if self.lost == "refuse":
                    raise RefusedError(404, "no such row")
                if self.lost == "empty":
                    return self._page([], False)
                if self.lost == "empty and more":
                    return self._page([], True)
                start = 0  # "restart": as if there were no cursor
            else:
                start = self.ids.index(int(cursor)) + (0 if self.inclusive else 1)
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
    found: list[int] = []
    params = {"limit": str(limit)}
    for _ in range(most):
        try:
            answer = listed.answer(dict(params))
        except RefusedError:
            break
        rows = answer["rows"] if listed.more else answer
        found += [row["id"] for row in rows]
        if not rows or (not answer["more"] if listed.more else len(rows) < limit):
            break
        params[cursor] = str(rows[-1]["id"])
    return found
