"""A script that got into a page of Data Docs, in a browser: it reaches nothing, and the page looks as it should."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from starlette.testclient import TestClient

from cutover.storage import at
from cutover.validate import data_docs
from stack.postgres import free_port

from .conftest import DAG, HERE, RUN, Deployment, review, site

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here: apt-get install chromium"),
]

# What a script would try to act as the reader, each told by name whether it got anywhere.
ATTACK = """
<link rel="stylesheet" href="{assets}/@fortawesome/fontawesome-free/css/all.min.css">
<link rel="stylesheet" href="{assets}/bootstrap/dist/css/bootstrap.min.css">
<script src="{assets}/jquery/dist/jquery.min.js"></script>
<h1 class="text-danger">unified_profiles <i class="fas fa-check"></i></h1>
<a id="next" href="../../../../index.html">index</a>
<script>
const told = {{}};
const attempt = async (name, act) => {{
    try {{ told[name] = (await act()) ? "reached" : "nothing"; }} catch (error) {{ told[name] = "refused"; }}
}};
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const loads = (element, attribute) => new Promise((done) => {{
    element.onload = () => done(true); element.onerror = () => done(false);
    element[attribute] = "/api/v2/attack-element"; document.head.append(element); setTimeout(() => done(false), 1500);
}});
(async () => {{
    await attempt("fetch", () => fetch("/api/v2/attack-fetch", {{method: "PATCH", credentials: "include"}}));
    await attempt("parent.fetch", () => parent === window ? null : parent.fetch("/api/v2/attack-parent"));
    await attempt("parent.document", () => parent === window ? null : parent.document.body);
    await attempt("opener", () => window.opener && window.opener.document);
    await attempt("xhr", () => new Promise((done, failed) => {{
        const asked = new XMLHttpRequest(); asked.open("GET", "/api/v2/attack-xhr");
        asked.onload = () => done(true); asked.onerror = failed; asked.send();
    }}));
    await attempt("beacon", () => navigator.sendBeacon("/api/v2/attack-beacon", "x") && null);
    await attempt("socket", () => new Promise((done, failed) => {{
        const made = new WebSocket(location.href.replace("http", "ws")); made.onopen = done; made.onerror = failed;
    }}));
    await attempt("cookie", () => document.cookie);
    await attempt("storage", () => localStorage);
    await attempt("worker", () => new Worker("data:text/javascript,1") && null);
    await attempt("frame", async () => {{
        const frame = document.createElement("iframe"); frame.src = "/api/v2/attack-frame"; document.body.append(frame);
        await later(300); return frame.contentDocument && frame.contentDocument.body.innerHTML;
    }});
    await attempt("open", () => window.open("/api/v2/attack-open"));
    await attempt("form", async () => {{
        const form = document.createElement("form"); form.method = "post"; form.action = "/api/v2/attack-form";
        form.target = "_blank"; document.body.append(form); form.submit(); await later(300);
    }});
    if (parent !== window) await attempt("top", async () => {{
        top.location = "/api/v2/attack-top"; await later(300);
    }});
    await attempt("script", () => loads(document.createElement("script"), "src"));
    await attempt("import", () => import("/api/v2/attack-import"));
    document.title = "told";
    document.documentElement.dataset.told = JSON.stringify(told);
}})();
</script>
"""


# A page over the wire, compressed, with all that it loads: 17 requests and 610 kB before they were put into it.
INDEX_BYTES = 200_000
# An answer that says that the page is the same.
UNCHANGED_BYTES = 1_500


@dataclass
class Served:
    """Airflow's API server on a port, and every request that came."""

    url: str = ""
    token: str = ""
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    # path, status and bytes of each answer, as they went over the wire
    answers: list[tuple[str, int, int]] = field(default_factory=list)

    def browser_context(self, browser: Any, **options: Any) -> Any:
        """A browser signed in as a viewer, with the cookie that Airflow's login sets."""
        context = browser.new_context(viewport={"width": 1200, "height": 800}, **options)
        context.set_default_timeout(60_000)
        context.add_cookies([
            {"name": "_token", "value": self.token, "url": self.url, "sameSite": "Lax", "httpOnly": True}
        ])  # fmt: skip
        return context


@pytest.fixture
def served(api_server: TestClient) -> Iterator[Served]:
    """The API server, for a browser."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    served = Served(token=get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="viewer", role="viewer")))

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ())
        served.asked.append((scope.get("method", ""), scope.get("path", ""), b"_token" in headers.get(b"cookie", b"")))
        if scope["path"] == "/around":  # stands for Airflow's page around the tab, with its sandbox
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            inner = scope["query_string"].decode()
            page = (
                "<script>window.mine = 'untouched'</script>"
                '<iframe sandbox="allow-scripts allow-same-origin allow-forms allow-downloads" '
                f'width="1000" height="700" src="{inner}"></iframe>'
            )
            await send({"type": "http.response.body", "body": page.encode()})
            return
        status = 0

        async def weighed(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                size = sum(len(name) + len(value) + 4 for name, value in message["headers"])
            else:
                size = len(message.get("body", b""))
            served.answers.append((scope.get("path", ""), status, size))
            await send(message)

        await api_server.app(scope, receive, weighed)

    port = free_port()
    served.url = f"http://127.0.0.1:{port}"
    server = uvicorn.Server(uvicorn.Config(counted, host="127.0.0.1", port=port, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield served
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def attacked(target: Deployment) -> str:
    """The address of a page of Data Docs with the script in it."""
    target.run(review())
    folder = site(target)
    shared = data_docs.share_assets(at(str(target.docs), "CUTOVER_DATA_DOCS"))
    (page,) = folder.rglob("unified_profiles.html")
    page.chmod(0o644)
    depth = len(page.relative_to(target.docs).parts) - 1
    page.write_text(f"<!doctype html><meta charset=utf-8>{ATTACK.format(assets='../' * depth + shared)}")
    index = folder / "index.html"
    index.write_text(f'<h1>index</h1><a id="back" href="{page.relative_to(folder)}">page</a>')
    return f"/cutover/dags/{DAG}/docs/{page.relative_to(target.docs)}"


def picture(page: Any, name: str) -> None:
    """Keep what is seen, where pictures are wanted."""
    folder = os.environ.get("CUTOVER_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize("framed", [True, False], ids=["in Airflow's tab", "as a whole page"])
def test_a_script_in_data_docs_reaches_neither_airflow_nor_the_page_around_it(
    served: Served, browser: Any, attacked: str, framed: bool
) -> None:
    context = served.browser_context(browser)
    page = context.new_page()
    page.goto(f"{served.url}/around?{attacked}" if framed else served.url + attacked)
    frame = page.frames[1] if framed else page.main_frame
    frame.locator("html[data-told]").wait_for(state="attached", timeout=60_000)
    document = json.loads(frame.evaluate("document.documentElement.dataset.told"))
    assert {name for name, result in document.items() if result == "reached"} == set(), document
    assert len(document) >= 14
    # an element may still ask, as anybody on the internet may: without a session
    assert [one for one in served.asked if "attack" in one[1] and one[2]] == []
    assert {one[1] for one in served.asked if "attack" in one[1]} <= {"/api/v2/attack-element", "/api/v2/attack-import"}
    assert len(context.pages) == 1
    if framed:
        assert page.url.endswith(attacked) and page.evaluate("window.mine") == "untouched"
    # and the page is what it was: its styles, scripts and fonts are there
    assert frame.evaluate("typeof jQuery") == "function"
    assert frame.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(220, 53, 69)"
    assert frame.evaluate("document.fonts.ready.then(() => document.fonts.check('900 16px \"Font Awesome 6 Free\"'))")
    assert frame.evaluate("[...document.fonts].some((font) => font.status === 'loaded')")
    picture(page, f"attacked-{'tab' if framed else 'whole'}")
    context.close()


@pytest.mark.parametrize("framed", [True, False], ids=["in Airflow's tab", "as a whole page"])
def test_pages_of_data_docs_lead_to_one_another(served: Served, browser: Any, attacked: str, framed: bool) -> None:
    context = served.browser_context(browser)
    page = context.new_page()
    page.goto(f"{served.url}/around?{HERE}/docs" if framed else f"{served.url}{HERE}/docs")
    frame = page.frames[1] if framed else page.main_frame
    frame.get_by_role("link", name="unified_profiles").click()
    frame.locator("html[data-told]").wait_for(state="attached", timeout=60_000)
    frame.locator("#next").click()
    frame.get_by_role("heading", name="index").wait_for()
    frame.locator("#back").click()
    frame.locator("html[data-told]").wait_for(state="attached", timeout=60_000)
    context.close()


def test_a_frame_whose_session_has_ended_asks_once_more_and_then_says_so(
    served: Served, browser: Any, attacked: str
) -> None:
    context = served.browser_context(browser)
    page = context.new_page()
    page.goto(f"{served.url}/around?{attacked}")
    frame = page.frames[1]
    frame.locator("html[data-told]").wait_for(state="attached", timeout=60_000)
    context.clear_cookies()
    served.asked.clear()
    frame.locator("#next").click()
    frame.get_by_role("heading", name="Please sign in").wait_for()
    assert len([one for one in served.asked if one[1].endswith("/index.html")]) == 2
    context.close()


# What a worker does on a machine of its own: the store and the database are all that it shares with the API server.
WORKER = """
import sys
from cutover import migration
from cutover.database.connect import connector
from cutover.validate import validation

small = {"minimum_profiles": 1, "minimum_transactions": 1, "minimum_enrollments": 1}
result = validation.validate(
    connector(sys.argv[1], "production", "test"), migration.load("clean_launch"), sys.argv[2], phase="staging",
    given=small, log=lambda line: None,
)
print(result.data_docs)
"""


def by_a_worker(target: Deployment, home: Path, repository: Path) -> str:
    """Validate in another process with a file system root of its own; returns the site."""
    home.mkdir()
    own = {"HOME": str(home), "TMPDIR": str(home), "AIRFLOW_HOME": str(home / "airflow")}
    paths = os.pathsep.join(str(repository / name) for name in ("plugins", "include"))
    command = [sys.executable, "-c", WORKER, target.dsn, RUN]
    environment = {**os.environ, **own, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def transferred(served: Served) -> tuple[list[str], set[int], int]:
    """Since it was asked last: what was loaded of Data Docs and whatever else, with which statuses, in bytes."""
    # the picture in the browser's tab is asked for once, at a time of the browser's choice
    answers = [one for one in served.answers if one[0] not in ("/around", "/favicon.ico")]
    served.answers.clear()
    statuses = {status for _, status, _ in answers}
    return sorted({path for path, _, _ in answers}), statuses, sum(size for _, _, size in answers)


@pytest.fixture
def written(target: Deployment, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: Any) -> str:
    """A site in a bucket, by a worker that shares nothing else."""
    from tests.clean_launch_world import World, fill_with_some_of_everything

    assert s3 is not None
    monkeypatch.setenv("CUTOVER_DATA_DOCS", f"s3://docs_store@docs/{tmp_path.name}")
    with psycopg.connect(target.dsn) as connection:
        world = World(connection)
        fill_with_some_of_everything(world)
        world.transform()
    target.run(review())
    return by_a_worker(target, tmp_path / "worker", repository)


def test_the_real_pages_come_from_a_store_and_are_one_request_each(
    served: Served, browser: Any, written: str, record_property: Any
) -> None:
    assert written == f"{DAG}/{RUN}/1-staging"
    context = served.browser_context(browser)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    index = f"/cutover/dags/{DAG}/docs/{written}/index.html"
    page.goto(served.url + index)
    page.get_by_role("link", name="unified_profiles").first.wait_for()
    page.wait_for_load_state("networkidle")
    picture(page, "data-docs-index")
    loaded, statuses, size = transferred(served)
    assert (loaded, statuses) == ([index], {200}) and size < INDEX_BYTES
    record_property("index", size)
    page.goto(served.url + index)
    page.get_by_role("link", name="unified_profiles").first.wait_for()
    loaded, statuses, size = transferred(served)
    assert (loaded, statuses) == ([index], {304}) and size < UNCHANGED_BYTES
    record_property("unchanged", size)
    # a table that the page's own script makes, styled
    assert page.locator(".bootstrap-table").count() >= 1
    page.goto(f"{served.url}{HERE}/docs")
    transferred(served)
    page.get_by_role("link", name="unified_profiles").first.click()
    page.get_by_text("Expectation", exact=False).first.wait_for()
    page.wait_for_load_state("networkidle")
    picture(page, "data-docs-suite")
    loaded, statuses, size = transferred(served)
    assert len(loaded) == 1 and loaded[0].endswith("unified_profiles.html") and statuses == {200}
    assert size < INDEX_BYTES
    record_property("suite", size)
    assert page.evaluate("getComputedStyle(document.querySelector('.fa-check-circle'), '::before').maskImage") != "none"
    assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("-apple-system")
    assert not complaints, complaints
    context.close()
