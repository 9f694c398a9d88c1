"""Every row that a launch would change, from its page and from a terminal, in Airflow's own API server."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from cutover.commands.api import Api
from cutover.errors import CutoverError
from cutover.review import difference
from tests.clean_launch_reviewed import reviewed
from tests.clean_launch_world import World

from .conftest import DAG, HERE, RUN, RUN_ID, Deployment, Pages, review

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def staged(target: Deployment) -> World:
    """A run that waits: Maria changes, Ana is new, the test account goes."""
    with psycopg.connect(target.dsn) as connection:
        world = World(connection)
        world.profile(world.account("maria@example.com"), "maria@example.com", first_name="Mary")
        world.profile(world.account("qa.1@learn.example.com"), "qa.1@learn.example.com", first_name="Quentin")
        world.contact("maria@example.com", ["PaidP2P"], first_name="Maria", surname="Santos")
        world.contact("ana@example.com", [], first_name="Ana", surname="=Reyes")
        world.invoice("maria@example.com")
        world.invoice("ana@example.com", amount=499, description="a tip")
        world.transform()
        reviewed(connection, RUN, RUN_ID, review())
        return world


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_the_page_leads_to_every_row_of_each_table_that_differs(get: Pages, target: Deployment, staged: World) -> None:
    page = get(f"{HERE}/review").text
    address = f"{HERE}/difference.csv?table=unified_profiles"
    assert f'href="{address}"' in page and f"diff {RUN} TABLE --csv" in page
    answer = get(address)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="difference-manual__2025-11-02T08_15')
    assert answer.text.startswith("\ufeffkind,id,columns that differ,")
    assert sorted(row["kind"] for row in rows(answer.text)) == ["added", "changed", "removed"]
    (new,) = rows(get(f"{address}&kind=added").text)
    assert (new["kind"], new["email after"]) == ("added", "a•••@e•••")
    for personal in ("maria", "ana@", "reyes", "santos", "quentin"):
        assert personal not in answer.text.lower()


def test_what_cannot_be_had_is_refused_with_a_code(get: Pages, target: Deployment, staged: World) -> None:
    address = f"{HERE}/difference.csv"
    for asked, status, code in (
        ("?table=profiles", 404, "diff.unknown-table"),
        ("?table=auth.users%27", 404, "diff.unknown-table"),
    ):
        answer = get(address + asked, accept="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert get(f"{address}?table=transactions&kind=gone").status_code == get(address).status_code == 422
    page = get(f"{address}?table=profiles")
    assert page.status_code == 404 and "<h1>" in page.text and "[diff.unknown-table]" in page.text
    unknown = get(f"/cutover/dags/{DAG}/runs/none/difference.csv?table=transactions", accept="application/json")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "run.unknown")
    target.entry(RUN)
    gone = get(f"{address}?table=transactions", accept="application/json")
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "diff.launched")
    page = get(f"{HERE}/review").text
    assert "difference.csv" not in page and "Every row cannot be had any more: it has been launched" in page


def test_an_answer_that_breaks_off_is_no_whole_file(
    get: Pages, target: Deployment, staged: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a table would pass for all of it."""
    found = iter([difference.Difference("added", {}, {"id": "1"}, ())])

    def ends(*_: Any) -> Iterator[difference.Difference]:
        yield from found
        raise CutoverError("diff.overtaken", "run", "it was overtaken.", "again.")

    monkeypatch.setattr(difference, "rows", ends)
    monkeypatch.setattr("cutover.ui.sheet._PIECE", 1)
    with pytest.raises(RuntimeError, match="response already started"):
        get(f"{HERE}/difference.csv?table=transactions")


class _BreaksOff(BaseHTTPRequestHandler):
    """Signs in whoever asks, and ends each file after its first line."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """A token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"access_token": "t"}'
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """A piece, and no end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"6\r\nkind\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_a_terminal_does_not_take_half_a_file_for_a_whole_one() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pieces = Api(f"http://127.0.0.1:{server.server_port}", "operator", "x").pieces("difference.csv", table="t")
        with pytest.raises(CutoverError, match=r"\[api.broken-off\].*what came of it is not all"):
            b"".join(pieces)
        server.shutdown()
