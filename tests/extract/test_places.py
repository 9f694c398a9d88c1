"""Lists paged by number, by offset, by a link in the body and by the header Link: whole, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover.database.connect import connector
from cutover.errors import CutoverError
from cutover.extract.client import Access
from cutover.extract.report import SyncReport
from cutover.extract.sync import _Sync, sync
from cutover.migration.source import Paging, Service, Source
from demo.simulators.server import Request, Response
from tests.extract.conftest import Hurried
from tests.extract.scripted import Scripted

KEY = "key-of-the-list-that-nobody-may-see"
NAME = "systemeio_tags"
PAGINGS = {
    "page": Paging(by="page", size=10, size_parameter="per_page"),
    "offset": Paging(by="offset", size=10),
    "next": Paging(by="next", size=10, next="links.next"),
    "link": Paging(by="link", size=10, size_parameter="per_page"),
}
WAYS = list(PAGINGS)


@dataclass
class Shop:
    """A list of ids in its order, served in each of the four ways; ``before`` may change it at any request."""

    ids: list[int] = field(default_factory=lambda: list(range(55, 0, -1)))
    before: Callable[[Shop, Request], Response | None] | None = None
    # Shows the last page behind the end, as some do.
    clamps: bool = False
    host: str = ""

    def answer(self, request: Request) -> Response:
        """The page that a request asks for."""
        if request.headers.get("x-api-key") != KEY:
            return Response(401, b"{}")
        if self.before is not None and (given := self.before(self, request)) is not None:
            return given
        size = int(request.value("per_page") or request.value("limit") or 10)
        number, offset = request.value("page"), request.value("offset")
        start = (int(number) - 1) * size if number else int(offset or 0)
        if self.clamps:
            start = min(start, max(0, (len(self.ids) - 1) // size * size))
        shown = self.ids[start : start + size]
        headers: dict[str, str] = {}
        link = None
        if start + size < len(self.ids):
            link = f"{self.host}{request.path}?page={start // size + 2}&limit={size}"
            headers["Link"] = f'<{link}>; rel="next", <{self.host}{request.path}?page=1>; rel="first"'
        rows = [{"id": row_id, "name": f"tag {row_id}"} for row_id in shown]
        body = {"items": rows, "links": {"next": link}} if link else {"items": rows, "links": []}
        return Response(200, json.dumps(body).encode(), headers)


class Listed:
    """A list, a server and a database; ``sync`` reads the one into the other."""

    def __init__(self, dsn: str, shop: Shop, server: Scripted) -> None:
        self.dsn, self.shop, self.server = dsn, shop, server
        self.log: list[str] = []

    def sync(self, paging: Paging | str, *, accept_gone: bool = False) -> SyncReport:
        """One sync."""
        declared = PAGINGS[paging] if isinstance(paging, str) else paging
        source = Source(
            name=NAME,
            migration="clean_launch",
            connection="api",
            path="/tags",
            rows="items",
            key_type="bigint",
            paging=declared,
        )
        access = Access("api", self.server.url, KEY, timeout=5.0, patience=20.0)
        service = Service(auth="header", header="X-API-Key")
        connect = connector(self.dsn, "production", "test")
        clock = Hurried()
        return sync(source, service, access, connect, accept_gone=accept_gone, log=self.log.append, clock=clock)

    def ids(self) -> set[int]:
        """What raw has and the list is said to show."""
        with psycopg.connect(self.dsn) as connection:
            table = sql.Identifier("raw", NAME)
            rows = connection.execute(sql.SQL("select id from {} where gone_at is null").format(table)).fetchall()
            return {row[0] for row in rows}

    def versions(self) -> list[Any]:
        """What PostgreSQL changes whenever a row is written."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("select xmin::text, ctid::text from raw.systemeio_tags order by id").fetchall()


@pytest.fixture
def listed(database: str) -> Any:
    """An ordinary list, not read yet."""
    shop = Shop()
    with Scripted(shop.answer) as server:
        yield Listed(database, shop, server)


def at(number: int, act: Callable[[Shop], None]) -> Callable[[Shop, Request], None]:
    """Does something to the list when its request of that number comes in, the first being 1."""
    came = [0]

    def before(shop: Shop, _request: Request) -> None:
        came[0] += 1
        if came[0] == number:
            act(shop)

    return before


@pytest.mark.parametrize("way", WAYS)
def test_a_list_is_read_to_its_end_and_not_written_again(listed: Listed, way: str) -> None:
    report = listed.sync(way)
    assert (report.new, report.total) == (55, 55)
    versions = listed.versions()
    listed.server.requests.clear()
    again = listed.sync(way)
    assert (again.written, again.rows - again.repeated, again.total) == (0, 55, 55)
    assert listed.versions() == versions
    # six pages; by number, an empty one twice and the last one again
    assert len(listed.server.requests) <= 9


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [0, 1, 10, 11, 20])
def test_a_list_of_any_length_is_whole(listed: Listed, way: str, rows: int) -> None:
    del listed.shop.ids[rows:]
    assert listed.sync(way).total == rows


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_come_and_go_meanwhile_hide_no_other_row(listed: Listed, way: str) -> None:
    """Offsets and numbers shift: those that come show rows twice, those that go move rows over a boundary unseen."""
    listed.sync(way)
    listed.shop.ids[:0] = [57, 56]
    listed.shop.before = at(3, lambda shop: shop.ids.__delitem__(slice(3, 16)))
    stays = set(listed.shop.ids) - set(listed.shop.ids[3:16])
    listed.sync(way, accept_gone=True)
    assert listed.ids() >= stays
    listed.shop.before = at(3, lambda shop: shop.ids.__setitem__(slice(0, 0), range(100, 70, -1)))
    listed.sync(way)
    listed.shop.before = None
    listed.sync(way)
    assert listed.ids() == set(listed.shop.ids)


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_go_during_a_first_reading_hide_no_other_row(listed: Listed, way: str) -> None:
    listed.shop.before = at(3, lambda shop: shop.ids.__delitem__(slice(0, 7)))
    listed.sync(way)
    assert listed.ids() >= set(listed.shop.ids)


@pytest.mark.parametrize("way", ["page", "next", "link"])
def test_a_row_is_not_taken_for_gone_because_it_moved_over_a_boundary(listed: Listed, way: str) -> None:
    listed.sync(way)
    listed.shop.before = at(4, lambda shop: shop.ids.__delitem__(slice(2, 5)))
    assert listed.sync(way).gone == 0  # those that went were shown before
    assert listed.ids() >= set(listed.shop.ids)
    assert listed.sync(way).gone == 3
    assert listed.ids() == set(listed.shop.ids)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["500", "no json", "repeat", "empty"])
def test_a_fault_in_the_middle_passes(listed: Listed, way: str, fault: str) -> None:
    answers: list[Response] = []
    faulty = [False]

    def before(shop: Shop, request: Request) -> Response | None:
        if len(listed.server.requests) == 4 and not faulty[0]:
            faulty[0] = True
            empty = b'{"items":[],"links":[]}' if way != "link" else b'{"items":[]}'
            given = {"500": Response(500, b""), "no json": Response(200, b"<html>"), "empty": Response(200, empty)}
            if fault in given:
                return given[fault]
            return answers[-1]
        shop.before = None
        answers.append(shop.answer(request))
        shop.before = before
        return answers[-1]

    listed.shop.before = before
    listed.sync(way)
    assert listed.ids() == set(listed.shop.ids)


@pytest.mark.parametrize("way", WAYS)
def test_killed_between_a_page_and_the_next_it_goes_on_behind_it(
    listed: Listed, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = _Sync._save, [0]

    def die(self: Any, sync_id: int, placed: Any) -> None:
        save(self, sync_id, placed[:1])
        saved[0] += 1
        if saved[0] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_Sync, "_save", die)
        patched.setattr("cutover.extract.lanes.MOST_PAGES", 1)
        with pytest.raises(KeyboardInterrupt):
            listed.sync(way)
    assert len(listed.ids()) == 20 if way != "offset" else 19
    listed.server.requests.clear()
    report = listed.sync(way)
    assert (report.resumed, report.total) == (1, 55)
    first = listed.server.requests[0]
    assert first.value("page") == "3" or first.value("offset") == "18"


@pytest.mark.parametrize("way", ["page", "offset"])
def test_a_place_that_the_api_ignores_is_noticed(listed: Listed, way: str) -> None:
    listed.shop.before = lambda shop, _request: Response(
        200, json.dumps({"items": [{"id": row_id} for row_id in shop.ids[:10]]}).encode()
    )
    with pytest.raises(CutoverError, match=r"\[extract.cannot-page\]"):
        listed.sync(way)


@pytest.mark.parametrize("rows", [1, 7, 10, 55])
def test_a_last_page_that_is_repeated_behind_the_end_ends_the_list(listed: Listed, rows: int) -> None:
    del listed.shop.ids[rows:]
    listed.shop.clamps = True
    assert listed.sync("page").total == rows


@pytest.mark.parametrize("way", ["next", "link"])
@pytest.mark.parametrize(
    "host", ["https://elsewhere.example", "//elsewhere.example", "http://127.0.0.1:1", "https://api@elsewhere.example"]
)
def test_the_key_does_not_follow_a_link_to_another_host(listed: Listed, way: str, host: str) -> None:
    listed.shop.host = host
    with pytest.raises(CutoverError, match=r"\[extract.foreign-link\]") as raised:
        listed.sync(way)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("way", ["next", "link"])
def test_a_link_that_holds_the_key_is_not_stored(listed: Listed, way: str) -> None:
    listed.shop.host = f"/tags?key={KEY}&x="
    with pytest.raises(CutoverError, match=r"\[extract.key-in-link\]") as raised:
        listed.sync(way)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("way", ["next", "link"])
def test_links_that_lead_in_a_circle_are_noticed(listed: Listed, way: str) -> None:
    def circle(shop: Shop, request: Request) -> Response | None:
        page = int(request.value("page") or 1)
        link = f"/tags?page={page % 3 + 1}&limit=10"
        rows = [{"id": row_id} for row_id in shop.ids[(page - 1) * 10 : page * 10]]
        body = {"items": rows, "links": {"next": link}}
        return Response(200, json.dumps(body).encode(), {"Link": f'<{link}>; rel="next"'})

    listed.shop.before = circle
    with pytest.raises(CutoverError, match=r"(?s)\[extract.cannot-page\].*(circle|back to a row|had not)"):
        listed.sync(way)


def test_a_link_that_is_declared_where_there_is_none_is_noticed(listed: Listed) -> None:
    """Else the first page would be taken for the whole list."""
    with pytest.raises(CutoverError, match=r"(?s)\[extract.cannot-page\].*`paging.next` \(paging.next\)"):
        listed.sync(Paging(by="next", size=10, next="paging.next"))


def test_a_steady_link_is_read_once(listed: Listed) -> None:
    listed.sync(Paging(by="next", size=10, next="links.next", steady=True))
    assert len(listed.server.requests) == 6
