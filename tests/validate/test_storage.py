"""Where Data Docs are kept: a folder, and a bucket of an S3-compatible server, by real HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from cutover import assess, storage
from cutover.errors import CutoverError
from cutover.records import anchors, evidence
from cutover.storage import Bucket, Folder, Storage
from cutover.ui import docs as shown
from cutover.validate import data_docs, validation
from tests.chain.test_signing import _link as link_with
from tests.object_store import connect_to

BUCKET = "docs"
VARIABLE = validation.VARIABLE
PAGE = (
    '<!doctype html><head></head><link rel="stylesheet" href="../../../{shared}/bootstrap/dist/css/bootstrap.min.css">'
)


@pytest.fixture(params=["a folder", "file://", "s3://"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root of this test's own, as CUTOVER_DATA_DOCS says it."""
    if request.param == "s3://":
        request.getfixturevalue("s3")
        named = f"s3://docs_store@{BUCKET}/{tmp_path.name}/data_docs"
    else:
        named = str(tmp_path / "docs") if request.param == "a folder" else (tmp_path / "docs").as_uri()
    monkeypatch.setenv(VARIABLE, named)
    return named


@pytest.fixture
def root(address: str) -> Storage:
    """The same, as the engine has it."""
    return storage.at(address, VARIABLE)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[], Path]:
    """Makes the files of a site, anew each time: placing may take them."""

    def make(**files: str) -> Path:
        folder = tmp_path / f"made-{len(list(tmp_path.iterdir()))}"
        (folder / "results").mkdir(parents=True)
        (folder / "index.html").write_text(files.get("index", "<p>index"))
        (folder / "results" / "leads.json").write_text("{}")
        (folder / "result.json").write_text(json.dumps({"suites": [], "checks": [], "digest": "d"}))
        data_docs._write_manifest(folder)
        return folder

    return make


def other_process(address: str) -> Storage:
    """The root as a process has it that has never used it."""
    storage._known.clear()
    shown._complete.clear()
    return storage.at(address, VARIABLE)


def test_what_one_process_writes_another_reads(root: Storage, address: str) -> None:
    assert root.read("a/b.txt") is None and root.look("a/b.txt") is None and root.names("a") == {}
    root.write("a/b.txt", b"one")
    root.write("a/c/d.txt", b"two")
    there = other_process(address)
    assert type(there) is (Bucket if "s3" in address else Folder)
    assert {name: found.size for name, found in there.names("a").items()} == {"a/b.txt": 3, "a/c/d.txt": 3}
    assert there.read_all(["a/b.txt", "a/c/d.txt", "a/none"]) == {"a/b.txt": b"one", "a/c/d.txt": b"two"}
    first = there.look("a/b.txt")
    root.write("a/b.txt", b"ten")
    second = there.look("a/b.txt")
    assert first and second and first.version != second.version
    assert b"".join(there.blocks("a/b.txt", 3)) == b"ten"
    there.delete(["a/b.txt", "a/c/d.txt", "a/none"])
    assert root.names("a") == {}
    root.require_writable()
    assert not isinstance(root, Folder) or [path for path in root.path.rglob("*") if path.is_file()] == []


def test_a_site_is_shown_when_it_is_complete_and_not_before(
    root: Storage, made: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = "clean_launch/r1"
    # as one leaves it that was killed before the last file
    for name in ("index.html", "result.json"):
        root.write(f"{run}/1-staging/{name}", b"half")
    assert shown.sites("clean_launch", "r1") == []
    assert shown.find("clean_launch", f"{run}/1-staging/index.html") is None
    placed = [data_docs._put_in_place(root, made(), run, "staging") for _ in range(2)]
    assert placed == [f"{run}/2-staging", f"{run}/3-staging"]
    assert [(site.number, site.altered) for site in shown.sites("clean_launch", "r1")] == [(2, []), (3, [])]
    assert shown.find("clean_launch", f"{run}/2-staging/index.html") is not None
    assert [name for name in root.names(run) if "claim" in name] == []
    assert evidence._data_docs(root, "clean_launch", "r1").keys() == {
        f"data_docs/{site}/{name}" for site in placed
        for name in ("index.html", "result.json", "manifest.json", "results/leads.json")
    }  # fmt: skip


def test_of_two_writers_at_once_each_gets_a_site_of_its_own(
    root: Storage, address: str, made: Callable[[], Path]
) -> None:
    at_once = threading.Barrier(2)
    placed: list[str] = []

    def write(folder: Path) -> None:
        at_once.wait()
        placed.append(data_docs._put_in_place(root, folder, "clean_launch/r2", "staging"))

    threads = [threading.Thread(target=write, args=(made(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(placed)) == 2
    assert {site.address: site.altered for site in shown.sites("clean_launch", "r2")} == {name: [] for name in placed}


def test_a_name_that_somebody_claims_is_taken(s3: Any, tmp_path: Path, made: Callable[[], Path]) -> None:
    root = storage.at(f"s3://docs_store@{BUCKET}/{tmp_path.name}", VARIABLE)
    root.write("m/r/1-staging/.claim-of-another", b"")
    assert not root.place(made(), "m/r/1-staging", last=data_docs.MANIFEST)
    assert list(root.names("m/r")) == ["m/r/1-staging/.claim-of-another"], "nothing is left of the attempt"
    assert data_docs._put_in_place(root, made(), "m/r", "staging") == "m/r/2-staging"


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("claimed", [True, False])
def test_assets_that_a_killed_task_has_left_half_written_are_completed(tmp_path: Path, claimed: bool) -> None:
    root = storage.at(f"s3://docs_store@{BUCKET}/{tmp_path.name}", VARIABLE)
    other = storage.at(f"s3://docs_store@{BUCKET}/{tmp_path.name}/other", VARIABLE)
    shared = data_docs.share_assets(other)
    whole = set(other.names(shared))
    first = min(whole)
    root.write(first, other.read(first) or b"")
    if claimed:
        root.write(f"{shared}/.claim-of-a-killed-one", b"")
    assert data_docs.share_assets(root) == shared
    assert {name for name in root.names(shared) if "claim" not in name} == whole
    assert all(root.read(name) == other.read(name) for name in whole)


def test_what_was_altered_in_the_store_shows_and_what_was_compared_is_not_read_again(
    root: Storage, made: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = data_docs._put_in_place(root, made(), "clean_launch/r3", "staging")
    assert data_docs.differences(root, site) == []
    read: list[str] = []
    whole = type(root).read_all

    def counted(self: Storage, names: Iterable[str]) -> dict[str, bytes]:
        read.extend(wanted := list(names))
        return whole(self, wanted)

    monkeypatch.setattr(type(root), "read_all", counted)
    assert data_docs.differences(root, site) == []
    assert (read == []) is isinstance(root, Bucket)
    root.write(f"{site}/index.html", b"<p>INDEX")
    root.write(f"{site}/added.html", b"")
    assert data_docs.differences(root, site) == ["added.html", "index.html"]
    root.delete([f"{site}/manifest.json"])
    assert shown.sites("clean_launch", "r3") == []


def test_a_page_is_one_file_with_what_it_uses_and_nothing_else(root: Storage, made: Any) -> None:
    shared = data_docs.share_assets(root)
    names = {
        "style": "bootstrap/dist/css/bootstrap.min.css", "icons": "@fortawesome/fontawesome-free/css/all.min.css",
        "script": "jquery/dist/jquery.min.js", "vega": "vega/build/vega.min.js",
        "table": "bootstrap-table/dist/bootstrap-table.min.js",
    }  # fmt: skip
    head = "".join(
        f'<link rel="stylesheet" href="../../../{shared}/{name}">' if name.endswith("css")
        else f'<script src="../../../{shared}/{name}"></script>' for name in names.values()
    )  # fmt: skip
    page = f'<html><head>{head}</head><i class="fas fa-times"></i><script>$("#t").bootstrapTable({{}})</script></html>'
    site = data_docs._put_in_place(root, made(index=page), "clean_launch/r4", "staging")
    found = shown.find("clean_launch", f"{site}/index.html")
    assert found is not None and found.is_page
    text = (found.content() or b"").decode()
    assert "../assets/" not in text and text.count("<style>") == 2 and ".fa-times::before" in text
    assert "jQuery v3.7.1" in text and "bootstrap-table - " in text and "vega" not in text.lower()
    # an icon that has no shape here, and a graph: the page loads what has them
    other = page.replace("fa-times", "fa-ghost").replace("$(", "vegaEmbed('#g'); $(")
    text = shown.composed(root, other)
    assert f"../../../{shared}/{names['icons']}" in text and f"{names['vega']}" not in text and len(text) > 700_000


def test_heads_evidence_and_assessments_lie_there_too(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(anchors.VARIABLE, raising=False)
    said: list[str] = []
    first, second = link_with("a" * 64), link_with("b" * 64)
    for link in (first, second, first):
        anchors.note("production", link, said.append, root, "clean_launch/r5")
    assert len(said) == 3, said
    assert sorted(one.head for one in anchors.known("production", root)) == ["a" * 64, "b" * 64]
    assert anchors.known("unified", root) == []
    assert evidence.keep(b"zip", root, "clean_launch", "r5").startswith(root.address)
    assert root.read(evidence.path_of("clean_launch", "r5")) == b"zip"
    assess.keep(assess.Assessment("clean_launch", "now", [], [], []), root)
    assert (assess.load(root, "clean_launch") or {})["made_at"] == "now"


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("ftp://host/x", "storage.bad-address", "no object store of scheme ftp"),
        ("s3:///x", "storage.bad-address", "no bucket"),
        ("s3://docs_store@docs/a/../b", "storage.bad-address", r"`\.\.`"),
        ("s3://nobody@docs/x", "storage.bad-address", "no connection nobody"),
        ("s3://KEY:hidden@docs/x", "storage.bad-address", "no connection's name"),
        ("s3://docs_store@of-nobody/x", "storage.no-bucket", "no such bucket"),
        ("file://host/x", "storage.bad-address", "file:///PATH"),
        ("file:///proc/none/x", "storage.unavailable", "No such file"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_a_place_that_takes_nothing_is_named_before_anything_is_made(name: str, code: str, says: str) -> None:
    with pytest.raises(CutoverError, match=says) as caught:
        storage.at(name, VARIABLE).require_writable()
    assert caught.value.code == code and VARIABLE in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_no_empty_one(s3: Any) -> None:
    root = storage.at("s3://docs_store@of-nobody/x", VARIABLE)
    for ask in (lambda: root.names("m/r"), lambda: root.look("m/r/x"), lambda: root.read("m/r/x")):
        with pytest.raises(CutoverError, match=r"\[storage\.no-bucket\]"):
            ask()
    assert "of-nobody" not in [one["Name"] for one in s3.list_buckets()["Buckets"]], "none is made of a mistyped name"


REFUSALS = {
    "ExpiredToken": "storage.expired",
    "AccessDenied": "storage.no-rights",
    "SignatureDoesNotMatch": "storage.no-rights",
    "InvalidAccessKeyId": "storage.no-rights",
}


@pytest.fixture
def refusing() -> Iterator[SimpleNamespace]:
    """A server that answers as S3 does when it refuses, with the ``code`` that it is told."""
    told = SimpleNamespace(code="", asked=0)

    class Refuses(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            told.asked += 1
            body = f"<Error><Code>{told.code}</Code><Message>{told.code} it is.</Message></Error>".encode()
            self.send_response(400 if told.code == "ExpiredToken" else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *given: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("code", REFUSALS)
def test_a_store_that_refuses_is_told_and_asked_with_the_new_credentials_next_time(
    refusing: SimpleNamespace, s3: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    refusing.code, expected = code, REFUSALS[code]
    name = connect_to(monkeypatch, refusing.url)
    root = storage.at(f"s3://{name}@{BUCKET}/refused", VARIABLE)
    with pytest.raises(CutoverError) as caught:
        root.require_writable()
    assert caught.value.code == expected
    with pytest.raises(CutoverError) as caught:
        root.names("m/r")
    assert caught.value.code == expected
    # somebody gives the connection what it needs, while this process lives
    connect_to(monkeypatch, s3.meta.endpoint_url, name)
    root.require_writable()


def test_a_store_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(storage, "TIMEOUT_S", 1)
    monkeypatch.setattr(storage, "TIMEOUT_MANY_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = connect_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        root = storage.at(f"s3://{name}@{BUCKET}/x", VARIABLE)
        with pytest.raises(CutoverError, match=r"\[storage\.unavailable\].*no answer within"):
            root.require_writable()


@pytest.mark.parametrize(
    ("named", "dumps"),
    [
        ("/srv/state/data_docs", "/srv/state/dumps"),
        ("file:///srv/state/data_docs", "/srv/state/dumps"),
        ("s3://c@b/state/data_docs/", "s3://c@b/state/dumps"),
        ("s3://c@b", "s3://c@b/dumps"),
    ],
)
def test_dumps_go_beside_data_docs_where_nothing_else_is_said(named: str, dumps: str) -> None:
    assert storage.at(named, VARIABLE).beside("dumps") == dumps
    assert urlsplit(dumps).password is None
