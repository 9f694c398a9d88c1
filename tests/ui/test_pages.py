"""The pages, asked for in Airflow's own API server, over a real database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from cutover import assess, window
from cutover.errors import CutoverError
from cutover.records import evidence, signing
from cutover.ui import outlook
from cutover.ui.app import app
from cutover.validate.validation import docs_root
from stack.postgres import EmbeddedPostgres
from tests.clean_launch_world import World

from .conftest import DAG, HERE, PROBED, REHEARSED, RUN, RUN_ID, Deployment, Pages, review, site

pytestmark = pytest.mark.timeout(240)

SCRIPT = "<script>alert(document.cookie)</script>"
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cache-control": "private, no-store",
}
WHY = f"/cutover/dags/{DAG}/why"
ROUTES = [
    "/cutover/",
    "/cutover/ledger",
    "/cutover/why",
    "/cutover/static/cutover.css",
    f"/cutover/dags/{DAG}/ledger/1",
    f"/cutover/dags/{DAG}/ledger/1/evidence",
    f"/cutover/dags/{DAG}/ledger/1/revert",
    f"/cutover/dags/{DAG}/revert.json",
    f"/cutover/dags/{DAG}/runs.json",
    f"{HERE}/review",
    f"{HERE}/review.json",
    f"{HERE}/comments",
    f"{HERE}/lineage",
    f"{HERE}/difference.csv?table=transactions",
    f"{HERE}/outlook.svg",
    f"{HERE}/approvals.svg",
    f"{HERE}/sign_ins.svg",
    f"{HERE}/docs",
    f"/cutover/dags/{DAG}/docs/{DAG}/{RUN}/1-staging/index.html",
    f"/cutover/dags/{DAG}/rollback",
    f"/cutover/dags/{DAG}/announcements",
    f"/cutover/dags/{DAG}/watch",
    f"/cutover/dags/{DAG}/assessment",
    WHY,
]
# Asked by POST alone.
POSTED = [f"{WHY}.json", f"{HERE}/comments.json"]
# Files of public packages, which a page without an origin could not load otherwise.
PUBLIC = [f"/cutover/dags/{DAG}/docs/assets/{'0' * 12}/jquery/dist/jquery.min.js"]


def of_migration(page: Any) -> str:
    """What the pages of launches and the ledger say of clean_launch: their section without tags."""
    section = page.text.partition(f"<h2>{DAG}")[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", section).split())


def test_the_list_of_routes_is_complete() -> None:
    """A new route must be added to ROUTES, and be asked for without a login and a right; or to PUBLIC, if it may be."""
    paths = {re.sub(r"\{[^}]*\}", "x", route.path) for route in app.routes if hasattr(route, "path")}
    assert len(paths) == len(ROUTES) + len(POSTED) + len(PUBLIC), sorted(paths)


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_sees_a_page_without_a_login(get: Pages, target: Deployment, route: str) -> None:
    answer = get(route, role=None)
    assert answer.status_code == 401
    assert "Sign in" in answer.text or route.endswith(".json")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("route", POSTED)
def test_nobody_is_answered_without_a_login_and_a_right(
    post: Pages, target: Deployment, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    assert post(route, role=None, table="transactions", value="1").status_code == 401
    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", lambda **_: False)
    assert post(route, table="transactions", value="1").status_code == 403


@pytest.mark.parametrize("route", [route for route in ROUTES if "/dags/" in route])
def test_nobody_sees_a_page_of_a_dag_that_is_not_theirs_to_read(
    get: Pages, target: Deployment, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    site(target)
    target.run(review())
    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", lambda **_: False)
    assert get(route).status_code == 403


def test_lists_leave_out_what_is_not_to_be_seen(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    key = target.run(review())
    target.entry(key)
    assert all(key in get(page).text for page in ("/cutover/", "/cutover/ledger"))

    def only_mula(*, details: Any, **_: Any) -> bool:
        return bool(details.id == "mula_unification")

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", only_mula)
    for page in ("/cutover/", "/cutover/ledger", "/cutover/why"):
        answer = get(page)
        assert answer.status_code == 200
        assert key not in answer.text and DAG not in answer.text and "mula_unification" in answer.text


def test_every_answer_carries_the_headers(get: Pages, target: Deployment) -> None:
    site(target)
    target.entry(target.run(review()))
    for route in [*ROUTES, "/cutover/nowhere"]:
        answer = get(route)
        # a page of Data Docs may be kept, and its reader's right to it is asked for anew with each visit
        cached = {"cache-control": "private, no-cache"} if "1-staging" in route else {}
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS | cached, route
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy
        if "1-staging" in route:
            assert "connect-src 'none'" in policy and "form-action 'none'" in policy
            assert policy.startswith("sandbox allow-scripts;")
        else:
            assert "script-src 'none'" in policy


def test_the_review_shows_what_the_approver_needs(get: Pages, target: Deployment) -> None:
    target.run(
        review(
            samples={"unified_profiles": {
                "added": [{"id": "a1", "email": "m•••@g•••"}], "removed": [],
                "changed": [{"key": {"id": "c1"}, "columns": {"tags": {"before": "[]", "after": '["PaidP2P"]'}}}],
            }},
            warnings=[{"name": "w", "title": "Paid for nothing", "total": 19, "columns": ["invoice", "amount"],
                       "rows": [["inv1", "350.00"]]}],
            figures=[{"name": "f", "title": "Revenue", "total": 2, "columns": ["product", "before", "after", "change"],
                      "rows": [["p2p", "1.50", "1000.00", "998.50"], ["canva", "0", "20.25", "20.25"]]}],
            dependents=[{"kind": "view", "name": "public.student_overview", "fate": "re-created over the new table"}],
            lock_times=[{"run": "r1", "action": "swap", "waited_ms": 47.0, "attempts": 1}],
        )
    )  # fmt: skip
    text = get(f"{HERE}/review").text
    for shown in (
        "3,636", "6,133", "+2,827", "−330", "m•••@g•••", "PaidP2P", "<b>19</b> Paid for nothing", "350.00",
        "1,020.25", "status EXPIRED <b>2,818</b>", "public.student_overview", "about 47 ms", "none so far", "f" * 64,
    ):  # fmt: skip
        assert shown in text, shown


def test_the_reconciliation_shows_how_each_source_was_read(get: Pages, target: Deployment) -> None:
    [line] = review()["reconciliation"]
    sync = {"finished_at": "2025-11-02T08:15:04+00:00", "first_id": "68f1", "last_id": "5f01", "not_given": []}
    full = {**sync, "sync_id": 3, "mode": "full", "pages": 91, "rows": 9025}
    hourly = {**sync, "sync_id": 17, "mode": "incremental", "pages": 1, "rows": 12, "not_given": ["a <name>", "more"]}
    target.run(review(reconciliation=[line | {"readings": [full, hourly]}]))
    text = " ".join(get(f"{HERE}/review").text.split())
    assert "read in full by sync 3, 2025-11-02 08:15:04" in text
    assert "91 pages with <b>9,025</b> rows, first 68f1, last 5f01 </td>" in text
    assert "brought up to date by sync 17" in text
    assert "1 page with <b>12</b> rows, first 68f1, last 5f01. Not given: a &lt;name&gt;; more" in text


def test_counts_are_shown_as_numbers_and_names_are_not(get: Pages, target: Deployment) -> None:
    rows = [["account", 13307, 43186, 2025, "1000.5"], ["new", 2826, None, 2024, None]]
    columns = ["found", "customers", "receipt_no", "fiscal_year", "amount"]
    target.run(review(figures=[{"name": "f", "title": "People", "total": 2, "columns": columns, "rows": rows}]))
    text = get(f"{HERE}/review").text
    for shown in ('number">13,307<', "<td>43186<", "<td>2025<", 'number">1,000.5<'):
        assert shown in text, shown


@pytest.mark.parametrize(
    ("numbers", "rows", "shown"),
    [
        ([], [["2020", "1000", "2000", "1000"], ["2021", "0917555", "1", "1"]], "<td>0917555<"),
        (
            ["before", "after", "change"],
            [["2020", "1000.50", "2000.00", "999.50"], ["2021", "1", "2", "1"]],
            'number">1,000.50<',
        ),
    ],
    ids=["text", "numbers"],
)
def test_text_that_looks_like_a_number_is_text(
    get: Pages, target: Deployment, numbers: list[str], rows: list[list[str]], shown: str
) -> None:
    columns = ["fiscal_year", "before", "after", "change"]
    figure = {"name": "f", "title": "f", "total": 2, "columns": columns, "numbers": numbers, "rows": rows}
    target.run(review(figures=[figure]))
    page = get(f"{HERE}/review").text
    assert shown in page and "<td>2020<" in page and "2,020" not in page
    assert ("Total" in page) == bool(numbers)


def test_a_run_stands_the_same_on_every_page(get: Pages, target: Deployment, airflow_runs: Any) -> None:
    """As Airflow and the target database together know it, whichever knows less."""
    target.run(review())
    for state, tasks, said in (
        ("failed", {"validate.suites": "failed"}, "failed in validate.suites"),
        ("running", {"approve": "awaiting_input"}, "waits for an answer"),
        ("running", {"extract.xendit_invoices": "running"}, "under way"),
        ("success", {"approve": "skipped"}, "ended without a launch"),
    ):
        airflow_runs(DAG, RUN_ID, state, tasks)
        page = get(f"{HERE}/review").text
        assert f">{said}<" in page, said
        assert f">{said}<" in get("/cutover/").text, said
        assert ("required_actions" in page) == (said == "waits for an answer")
    airflow_runs(DAG, RUN_ID, "failed", {"verify.suites": "failed"})
    target.entry(RUN)
    for page in (f"{HERE}/review", "/cutover/"):
        assert ">done, then failed in verify.suites<" in get(page).text


def test_a_run_that_left_nothing_in_the_target_is_listed_and_said(
    get: Pages, target: Deployment, airflow_runs: Any
) -> None:
    airflow_runs(DAG, "manual__early", "failed", {"preflight": "failed"})
    text = get("/cutover/").text
    assert "manual__early" in text and ">failed in preflight<" in text
    text = get(f"/cutover/dags/{DAG}/runs/manual__early/review").text
    assert "This run has failed in preflight" in text and "nothing was changed" in text


@pytest.mark.parametrize("page", ["review", "docs"])
def test_a_run_that_there_is_not_is_not_found(get: Pages, target: Deployment, page: str) -> None:
    answer = get(f"/cutover/dags/{DAG}/runs/nonsense/{page}")
    assert answer.status_code == 404 and f"There is no run nonsense of {DAG}" in answer.text


def test_a_rollback_of_what_never_ran_is_not_found(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, _, name = target.dsn.replace("postgresql://", "postgres://").rpartition("/")
    target.execute("drop schema cutover cascade")
    for uri in (f"{there}/{name}", f"{there}/{name}_to_be_made"):
        monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", uri)
        answer = get(f"/cutover/dags/{DAG}/rollback")
        assert answer.status_code == 404 and f"{DAG} has never been launched here" in answer.text
        assert get(f"{HERE}/review").status_code == 404


def test_a_runs_tab_leads_to_no_other_run(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review()))
    framed = {"Sec-Fetch-Dest": "iframe"}
    for page in (f"{HERE}/review", f"{HERE}/docs", f"/cutover/dags/{DAG}/ledger/1"):
        links = set(re.findall(r'href="([^"]+)"', get(page, **framed).text))
        own = ("#", f"{HERE}/", f"/cutover/dags/{DAG}/ledger/1", f"/cutover/dags/{DAG}/docs", "/cutover/static/")
        assert [link for link in links if not link.startswith(own)] == [], page
        assert "Launches" in get(page).text and ">Launches<" not in get(page, **framed).text


def test_the_checks_across_tables_are_told_apart_from_the_suites(get: Pages, target: Deployment) -> None:
    checks = [
        {"check": "orphans", "title": "No row refers to nothing", "success": True, "offending": 0},
        {"check": "revenue", "title": "Revenue is what was paid", "success": False, "offending": 1200},
    ]
    target.run(review(validation={**review()["validation"], "checks": checks}))
    text = get(f"{HERE}/review").text
    assert re.search(r"check across tables.*orphans.*yes.*revenue.*no.*1,200 rows break it", text, re.DOTALL)


def test_captured_writes_are_counted_when_the_page_is_asked_for(get: Pages, target: Deployment) -> None:
    from cutover.swap import capture

    with psycopg.connect(target.dsn) as connection:
        capture.install(connection, [("public", "unified_profiles")])
    target.run(review())
    assert "none so far" in get(f"{HERE}/review").text
    target.execute("insert into auth.users (id, email) values (%s, 'new@example.com')", "1" * 32)
    target.execute("insert into public.unified_profiles (id, email) values (%s, 'new@example.com')", "1" * 32)
    assert "1 × insert of public.unified_profiles" in get(f"{HERE}/review").text


def test_script_in_data_stays_text(get: Pages, post: Pages, target: Deployment) -> None:
    sample = {"id": SCRIPT, "first_name": SCRIPT, SCRIPT: SCRIPT}
    target.run(
        review(
            samples={"unified_profiles": {"added": [sample], "removed": [sample], "changed": [
                {"key": {"id": SCRIPT}, "columns": {SCRIPT: {"before": SCRIPT, "after": SCRIPT}}}]}},
            warnings=[{"name": SCRIPT, "title": SCRIPT, "total": 1, "columns": [SCRIPT], "rows": [[SCRIPT]]}],
            figures=[{"name": SCRIPT, "title": SCRIPT, "total": 1, "columns": [SCRIPT], "rows": [[SCRIPT]]}],
            dependents=[{"kind": SCRIPT, "name": SCRIPT, "fate": SCRIPT}],
        )
    )  # fmt: skip
    target.execute(
        "insert into cutover.notice (run, action, channel, recipient, error) values (%s, 'swap', 'email', %s, %s)",
        RUN, SCRIPT, SCRIPT,
    )  # fmt: skip
    target.entry(RUN, approved_by=SCRIPT)
    target.execute(
        "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
        "comment, decided_at, expires_at) values (%s, 'swap', 'approve', %s, 'approve', 1, %s, %s, now(), now())",
        RUN, SCRIPT, SCRIPT, SCRIPT,
    )  # fmt: skip
    pages = (f"{HERE}/review", "/cutover/", "/cutover/ledger", f"/cutover/dags/{DAG}/ledger/1",
             f"/cutover/dags/{SCRIPT}/rollback")  # fmt: skip
    texts = {page: get(page).text for page in pages}
    texts |= {
        f"why {table}": post(WHY, table=table, value=value).text
        for table, value in (("transactions", SCRIPT), (SCRIPT, "1"))
    }
    for page, text in texts.items():
        assert "<script" not in text, page
        assert "&lt;script&gt;" in text, page


def test_a_page_stays_small_whatever_the_data(get: Pages, target: Deployment) -> None:
    long = "x" * 5_000_000
    rows = [[long, long] for _ in range(2)]
    target.run(
        review(
            samples={"unified_profiles": {"added": [{"id": long, "email": long}] * 5, "removed": [], "changed": []}},
            warnings=[{"name": "w", "title": long, "total": 2, "columns": ["a", "b"], "rows": rows}],
            dependents=[{"kind": "view", "name": "v" * 63, "fate": "re-created"}] * 20_000,
        )
    )
    answer = get(f"{HERE}/review")
    assert answer.status_code == 200
    assert len(answer.content) <= 300_000


@pytest.mark.parametrize(
    "address",
    [
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        f"{DAG}/../../secret.html",
        f"{DAG}/..%2f..%2fsecret.html",
        f"{DAG}%2f..%2f..%2fsecret.html",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "secret.html",
        "another_migration/r1/1-staging/index.html",
        f"{DAG}/link/secret.html",
        f"{DAG}/{RUN}/.making-1/index.html",
        f"{DAG}/{RUN}/1-staging/program.py",
        f"{DAG}/{RUN}/1-staging",
        f"{DAG}/{RUN}/1-staging/index.html%00",
        "assets/../../secret.html",
        f"assets/{'0' * 12}/../../secret.html",
        f"assets/{'0' * 12}/secret.html",
        "assets/secret.js",
        "",
    ],
)
def test_only_files_of_data_docs_are_handed_out(get: Pages, target: Deployment, address: str) -> None:
    outside = target.docs.parent / "secret.html"
    outside.write_text("a secret of somebody else")
    folder = site(target)
    (folder / "program.py").write_text("a secret")
    (target.docs / "secret.html").write_text("a secret")
    shared = target.docs / "assets" / ("0" * 12)
    shared.mkdir(parents=True)
    for path in (shared / "secret.html", target.docs / "assets" / "secret.js"):
        path.write_text("a secret")
    other = target.docs / "another_migration" / "r1" / "1-staging"
    other.mkdir(parents=True)
    (other / "index.html").write_text("a secret")
    making = target.docs / DAG / RUN / ".making-1"
    making.mkdir()
    (making / "index.html").write_text("a secret")
    (target.docs / DAG / "link").symlink_to(outside.parent)
    answer = get(f"/cutover/dags/{DAG}/docs/{address}")
    assert answer.status_code in (404, 307)
    assert "a secret" not in answer.text and "root:" not in answer.text


def test_the_pages_of_data_docs_are_there(get: Pages, target: Deployment) -> None:
    folder = site(target)
    listing = get(f"{HERE}/docs").text
    assert "As it was written" in listing
    link = re.search(r'href="([^"]*unified_profiles\.html)"', listing)
    assert link
    page = get(link[1])
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    (folder / "index.html").write_text("<h1>better results</h1>")
    assert "Not as it was written: index.html" in get(f"{HERE}/docs").text


ODD = st.one_of(
    st.sampled_from([
        "", ".", "..", "%00", "%2f", "%252e%252e", "%ff%fe", "%f0%9f%92%a9", "%", "%zz", "+", "a%0d%0ab", "-1", "0",
        "1e9", "9" * 30, "infinity", "nan", "x" * 300, "%C3%A9" * 300, "x" * 3000, "null", "'", "%5C", ":", "assets",
        "0" * 12, DAG, f"{DAG}_rollback", "_rollback", RUN, RUN_ID.replace("+", "%2B"), "manual__",
        "2025-11-02T08:15:00%2B00:00",
        "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59",
    ]),
    st.text(max_size=40).map(lambda text: quote(text, safe="")),
    st.binary(max_size=20).map(lambda data: quote(data, safe="")),
)  # fmt: skip
TEMPLATES = sorted({str(getattr(route, "path", "/")) for route in app.routes})


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(data=st.data())
def test_no_address_and_no_query_is_a_bare_error(get: Pages, target: Deployment, data: st.DataObject) -> None:
    template = data.draw(st.sampled_from(TEMPLATES))
    # half the time the DAG is one, so that what comes behind it is looked at
    dag = data.draw(st.one_of(st.just(DAG), ODD))
    parts = {name: data.draw(ODD) for name in re.findall(r"\{(\w+)", template)} | {"dag_id": dag}
    if "docs/{address" in template and data.draw(st.booleans()):
        parts["address"] = f"{DAG}/{parts['address']}"
    path = re.sub(r"\{(\w+)(:path)?\}", lambda match: parts[match[1]], template)
    names = st.sampled_from(["before", "table", "value", "x"])
    query = "&".join(f"{name}={value}" for name, value in data.draw(st.lists(st.tuples(names, ODD), max_size=3)))
    answer = get(f"/cutover{path}?{query}")
    assert answer.status_code in (200, 307, 404, 405, 422), (path, query, answer.status_code)
    if "\n" in unquote(path):  # such an address is Airflow's own: its router takes a line's end for the end
        return
    assert {name: answer.headers[name] for name in HEADERS if name != "cache-control"}.items() <= HEADERS.items()
    said = f"<h1>{answer.json()['detail']}" if template.endswith(".json") and answer.status_code > 307 else answer.text
    assert answer.status_code in (200, 307) or "<h1>" in said, (path, query)


def test_a_fault_of_ours_is_told_in_words_and_with_the_headers(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cutover.ui import store

    def broken(*_: Any) -> None:
        raise KeyError("a-secret")

    monkeypatch.setattr(store, "entry_of_run", broken)
    target.run(review())
    answer = get(f"{HERE}/review")
    assert answer.status_code == 500
    assert "This page has a fault" in answer.text and "a-secret" not in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("length", [255, 256, 300, 3_000])
def test_a_name_that_no_file_system_takes_is_not_found(get: Pages, target: Deployment, length: int) -> None:
    site(target)
    for address in (f"{DAG}/{'x' * length}.html", f"{DAG}/{RUN}/{'x' * length}/index.html", "y" * length):
        answer = get(f"/cutover/dags/{DAG}/docs/{address}")
        assert answer.status_code == 404 and "There is no such page" in answer.text
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_site_whose_result_is_gone_is_shown_as_altered(get: Pages, target: Deployment) -> None:
    (site(target) / "result.json").unlink()
    (site(target, 2) / "manifest.json").write_text("{")
    text = get(f"{HERE}/docs").text
    assert text.count("Not as it was written") == 2


def test_an_address_that_is_no_page_is_named(get: Pages, target: Deployment) -> None:
    answer = get(f"/cutover/nowhere/{SCRIPT}")
    assert answer.status_code == 404
    assert "There is no page at /cutover/nowhere/&lt;script&gt;" in answer.text and "<script" not in answer.text
    assert len(get(f"/cutover/{'x' * 50_000}").text) < 2_000


def test_a_run_of_a_dag_that_is_no_launch_says_so(get: Pages, target: Deployment) -> None:
    answer = get("/cutover/dags/raw_sync/runs/manual__1/review")
    assert answer.status_code == 404
    assert "raw_sync is no launch" in answer.text


def test_a_run_that_nobody_knows_says_so(get: Pages, target: Deployment) -> None:
    answer = get(f"/cutover/dags/{DAG}/runs/manual__1/review")
    assert answer.status_code == 404
    assert f"There is no run manual__1 of {DAG}" in answer.text


def test_another_dags_run_is_not_reached_through_this_one(get: Pages, target: Deployment) -> None:
    """The rollback's run has its own DAG, and its own right."""
    target.run(review(), dag_id=f"{DAG}_rollback")
    assert get(f"{HERE}/review").status_code == 404


def test_a_database_that_is_down_is_told_and_hides_nothing_else(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", "postgres://cutover:a-secret@127.0.0.1:1/production")
    answer = get("/cutover/")
    assert answer.status_code == 200
    assert "[connect.unreachable]" in answer.text and "mula_unification" in answer.text
    answer = get(f"{HERE}/review")
    assert answer.status_code == 503
    assert "a-secret" not in answer.text


def test_a_database_that_is_still_to_be_made_is_no_problem_of_the_lists(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, _, name = target.dsn.replace("postgresql://", "postgres://").rpartition("/")
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", f"{there}/{name}_to_be_made")
    answer = get("/cutover/")
    assert answer.status_code == 200
    assert "Nothing has run yet" in answer.text and "[connect." not in answer.text
    assert get(f"/cutover/dags/{DAG}/rollback").status_code == 404


def test_a_database_that_no_launch_has_used_is_empty_and_no_error(get: Pages, target: Deployment) -> None:
    target.execute("drop schema cutover cascade")
    answer = get("/cutover/")
    assert answer.status_code == 200 and "Nothing has run yet" in answer.text
    assert get(f"{HERE}/review").status_code == 404


def test_a_review_of_an_earlier_version_is_shown_before_the_next_run_has_brought_its_tables(
    get: Pages, target: Deployment
) -> None:
    target.run(review())
    target.execute("drop table cutover.outlook")
    answer = get(f"{HERE}/review")
    assert answer.status_code == 200 and "What stood in the way" not in answer.text


def test_the_pages_cannot_write_and_cannot_take_long(target: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    from cutover.operators import base
    from cutover.ui import store

    (migration,) = [one for one in store.migrations() if one.migration == DAG]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), base.reading(migration) as connection:
        connection.execute("delete from cutover.run")
    monkeypatch.setattr(base, "STATEMENT_TIMEOUT_MS", 100)
    with pytest.raises(psycopg.errors.QueryCanceled), base.reading(migration) as connection:
        connection.execute("select pg_sleep(5)")


def test_a_rehearsal_is_on_the_review_and_beside_what_the_swap_took_on_the_ledger(
    get: Pages, target: Deployment
) -> None:
    run = target.run(review(rehearsal=REHEARSED))
    text = " ".join(get(f"{HERE}/review").text.split())
    assert "about 27 ms, as rehearsed" in text and "on production itself, and taken back: 97 statements" in text
    assert "the catalogue equal (1,204 facts by name)" in text and "3 clients waited, the longest 28 ms" in text
    assert "12 × update of orders (1 more could not be) carried" in text
    target.entry(run)
    assert "rehearsed 27 ms" in get("/cutover/ledger").text
    assert "27 ms when it was rehearsed" in get(f"/cutover/dags/{DAG}/ledger/1").text


def test_what_queries_answer_before_and_after_is_on_the_review(get: Pages, target: Deployment) -> None:
    target.run(review(probes=PROBED))
    text = " ".join(get(f"{HERE}/review").text.split())
    assert "Queries before and after" in text and "fails</span>: column" in text
    assert "2,883 → <b>2,880</b>; 3 only before, 0 only after" in text and "takes longer" in text
    assert "1.2 → <b>14.0 ms</b>, 11.7 times" in text and "transactions: index scan (by_user) → sequential scan" in text
    assert "revenue 1200.50 → <b>1,300</b>" in text or "revenue 1,200.50 → <b>1,300</b>" in text
    assert "called 42 times" in text and "asserted: no fewer rows" in text
    assert "grant pg_read_all_stats" in text and "<script" not in text


def test_why_no_query_was_compared_is_on_the_review(get: Pages, target: Deployment) -> None:
    target.run(review(probes=PROBED | {"reason": SCRIPT, "queries": []}))
    text = get(f"{HERE}/review").text
    assert "Not run: " in text and "<script" not in text


def test_why_a_swap_was_not_rehearsed_is_on_the_review(get: Pages, target: Deployment) -> None:
    target.run(review(rehearsal=REHEARSED | {"reason": SCRIPT, "hold_ms": None, "waited_ms": None}))
    text = get(f"{HERE}/review").text
    assert "Nothing was changed." in text and "not measured yet" in text and "<script" not in text


def test_an_entry_that_was_changed_later_is_shown_as_broken(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review()))
    assert "The chain is whole" in of_migration(get("/cutover/ledger"))
    assert "as written" in get(f"/cutover/dags/{DAG}/ledger/1").text
    target.execute("alter table cutover.ledger disable trigger chain_ledger")
    target.execute("update cutover.ledger set approved_by = 'somebody else'")
    assert "not as it was written: ledger 1 was changed after it was written" in of_migration(get("/cutover/ledger"))
    assert "Not as it was written: ledger 1 was changed" in get(f"/cutover/dags/{DAG}/ledger/1").text


def test_a_chain_that_cannot_be_read_is_not_passed_over(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review()))
    with psycopg.connect(target.dsn) as other:
        other.execute("lock table cutover.chain in access exclusive mode")
        said = of_migration(get("/cutover/ledger"))
    assert "Nobody knows whether the chain is whole: The database says: canceling statement due to" in said


def test_an_entry_lists_every_statement_and_outlives_airflows_own_record(get: Pages, target: Deployment) -> None:
    title = "No row " + "of a table that is long to name " * 12
    checks = [{"check": "orphans", "title": title, "success": True, "offending": 0, "sample": []}]
    site(target)
    run = target.run(review(validation={**review()["validation"], "checks": checks}))
    statement = "alter table public.unified_profiles set schema backup_" + "x" * 300
    target.entry(run, report=Jsonb({"statements": [["30_move_out", "unified_profiles", statement]]}))
    text = get(f"/cutover/dags/{DAG}/ledger/1").text
    assert statement in text and "1 statements of the move" in text
    assert "Airflow has cleaned this run away" in text and "/tasks/swap" not in text
    assert f'href="/cutover/dags/{DAG}/ledger/1/evidence"' in text
    assert f"{HERE}/review" in text and f"{HERE}/docs" in text
    assert title in get(f"{HERE}/review").text


def test_an_entrys_evidence_is_one_file(get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    target.entry(target.run(review()))
    address = f"/cutover/dags/{DAG}/ledger/1/evidence"
    answer = get(address)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="evidence-{RUN}.zip"'
    assert answer.content[:2] == b"PK"
    assert get(f"/cutover/dags/{DAG}/ledger/2/evidence").status_code == 404
    # pages that have no key hand out what the run's last task has kept
    monkeypatch.setattr(signing, "signer", None)
    public = signing.keys().trusted
    monkeypatch.setattr(signing, "keys", lambda: signing.Keys(None, public, "a file"))
    refused = get(address)
    assert refused.status_code == 404
    assert "./run evidence" in refused.text
    evidence.keep(answer.content, docs_root(), DAG, RUN)
    assert get(address).content == answer.content


def test_a_review_shows_what_is_fenced_and_what_may_still_be(get: Pages, target: Deployment) -> None:
    page = f"{HERE}/review"
    target.run(review())
    assert "Maintenance window" not in get(page).text
    step = "insert into cutover.timeline (run, step, position, planned_at, started_at, ended_at, note) values "
    target.execute(f"{step} (%s, 'fence', 1, '2025-11-02 20:00Z', '2025-11-02 20:00:03Z', null, null)", RUN)
    assert "are refused writes" not in get(page).text
    target.execute("update cutover.timeline set ended_at = '2025-11-02 20:00:04Z'")
    assert "The sources are fenced since 2025-11-02 20:00:04 UTC: their applications" in get(page).text
    target.execute(
        f"{step} (%s, 'release', 99, null, '2025-11-02 20:30Z', '2025-11-02 20:30:05Z', %s)", RUN,
        f"compatibility released; {window.STILL_FENCED} dasha: [connect.unreachable] connection dasha_owner",
    )  # fmt: skip
    text = get(page).text
    assert re.search(r'<p class="warning">compatibility released; may still be fenced: dasha: .*20:30:05 UTC', text)
    target.execute("update cutover.timeline set note = 'dasha released' where step = 'release'")
    text = get(page).text
    assert "may still be fenced" not in text and "dasha released (at 2025-11-02 20:30:05 UTC)" in text


def test_an_entry_shows_its_maintenance_window_and_what_came_too_late(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review()))
    page = f"/cutover/dags/{DAG}/ledger/1"
    text = get(page).text
    assert "Maintenance window" not in text and "after the copy" not in text
    target.execute(
        "insert into cutover.timeline (run, step, position, planned_at, started_at, ended_at, note) values "
        "(%s, 'fence', 1, '2025-11-02 20:00+00', '2025-11-02 20:00:03+00', '2025-11-02 20:00:04+00', '2 sources')", RUN,
    )  # fmt: skip
    target.execute(
        "insert into cutover.late_write (run, moment, source, written, removed) "
        "values (%s, 'verify', 'dasha_users', 1234, 5)", RUN,
    )  # fmt: skip
    text = get(page).text
    assert "2025-11-02 20:00:00 UTC" in text and "2025-11-02 20:00:04 UTC" in text and "2 sources" in text
    assert "dasha_users" in text and "1,234" in text and "after the swap" in text


def test_a_notifier_that_is_dead_is_shown(get: Pages, target: Deployment) -> None:
    target.run(review())
    target.execute(
        "insert into cutover.notice (run, action, channel, recipient, error) values "
        "(%s, 'swap', 'email', 'ops@example.com', 'ConnectionRefusedError: refused')", RUN,
    )  # fmt: skip
    text = get(f"{HERE}/review").text
    assert "Nobody was told by email" in text and "refused" in text
    assert "ops@example.com" not in text


def test_why_walks_from_a_row_to_its_responses_and_shows_nobody(post: Pages, target: Deployment) -> None:
    with psycopg.connect(target.dsn) as connection:
        world = World(connection)
        invoice = world.invoice("maria.santos@example.com", customer={"given_names": "Maria", "surname": SCRIPT})
        world.current(
            "transactions", xendit_invoice_id=invoice, contact_email="maria.santos@example.com", amount=1000,
            status="paid",
        )  # fmt: skip
    text = post(WHY, table="transactions", value=invoice).text
    assert "1 response behind it" in text
    assert invoice in text and "PAID" in text and "m•••@e•••" in text
    assert "maria" not in text.lower() and "santos" not in text.lower()
    for value in ("no-such-row", "", "x" * 400):
        assert "has this id" in post(WHY, table="transactions", value=value).text
    for value in ("\0", "x" * 401):
        answer = post(WHY, table="transactions", value=value)
        assert answer.status_code == 422 and "no value of a column looks like this" in answer.text
    assert "Nothing is known about" in post(WHY, table="pg_authid", value="1").text


def test_why_reads_no_credentials_and_masks_what_nobody_declared(post: Pages, target: Deployment) -> None:
    with psycopg.connect(target.dsn) as connection:
        connection.execute("alter table auth.users add column phone text, add column reauthentication_token text")
        account = World(connection).account(
            "maria@example.com", encrypted_password="$2a$10$hashed", recovery_token="let-me-in", phone="0917555",
            confirmation_token="let-me-in-too", reauthentication_token="and-me", email_change="new@example.com",
            raw_user_meta_data={"first_name": "Maria"}, raw_app_meta_data={"provider": "email"},
        )  # fmt: skip
    text = post(WHY, table="users", value=str(account)).text
    assert str(account) in text and "m•••@e•••" in text and "2024-01-01" in text
    for clear in ("Maria", "0917555", "let-me-in", "and-me", "hashed", "maria@", "new@example.com"):
        assert clear not in text, clear
    for column in ("encrypted_password", "recovery_token", "confirmation_token", "reauthentication_token"):
        assert column not in text, column


def test_a_search_is_in_no_log(
    post: Pages, target: Deployment, capfd: pytest.CaptureFixture[str], server: EmbeddedPostgres
) -> None:
    for table in ("unified_profiles", "transactions", "users", "affiliates", "nowhere"):
        assert post(WHY, table=table, value="maria.secret@example.com").status_code == 200
    assert post(WHY, table="users", value="maria.secret" + "x" * 400).status_code == 422
    said = capfd.readouterr()
    assert "maria.secret" not in said.out + said.err
    with suppress(psycopg.DataError), psycopg.connect(target.dsn) as connection:
        connection.execute("select 'what-is-logged'::uuid")
    log = (server.home / "postgres.log").read_text(errors="replace")
    assert "what-is-logged" in log and "maria.secret" not in log


def test_a_search_is_for_those_who_may_and_sent_by_our_own_form(post: Pages, target: Deployment) -> None:
    assert post(WHY, role=None, table="transactions", value="1").status_code == 401
    assert post(WHY, headers={"Sec-Fetch-Site": "cross-site"}, table="transactions", value="1").status_code == 403
    assert post(WHY, headers={"Sec-Fetch-Site": "same-origin"}, table="transactions", value="1").status_code == 200
    assert post(WHY, table="transactions", value="1" * 5_000).status_code == 413
    assert post(WHY).status_code == 200
    assert post("/cutover/dags/raw_sync/why", table="transactions", value="1").status_code == 404


def test_inside_a_tab_no_link_opens_airflow_within_itself(get: Pages, target: Deployment) -> None:
    target.run(review())
    assert "Tasks and logs" in get(f"{HERE}/review").text
    assert "Tasks and logs" not in get(f"{HERE}/review", **{"Sec-Fetch-Dest": "iframe"}).text


def test_a_rollbacks_review_says_what_cannot_be_carried_back(get: Pages, target: Deployment) -> None:
    preview = {
        "undoes": "r1", "action": "rollback", "backup_schema": "backup_r1", "fingerprint": "a" * 64,
        "tables": [
            {"schema": "public", "name": "leads", "comes_back": False, "before": None, "now": 17, "after": None},
            {"schema": "public", "name": "transactions", "comes_back": True, "before": 1204, "now": 3358,
             "after": 1207},
        ],
        "accounts": {"accounts_made": 2826, "accounts_unused": 2801}, "waiting": 31,
        "leaving": [{"key_name": "public.events:events_profile_id_fkey", "operation": "delete", "rows": 57}],
        "carried": [{"table_name": "transactions", "operation": "insert", "carried": 3, "already_gone": 0,
                     "quarantined": 1}],
        "carrying": {"writes": 120_000, "seconds": 6.0},
        "quarantined": [{"table_name": "transactions", "operation": "insert", "sqlstate": "23503", "reason": SCRIPT,
                         "writes": 1}],
        "orphans": [], "refusals": [], "rehearsal": REHEARSED,
    }  # fmt: skip
    run = target.run(preview, dag_id=f"{DAG}_rollback")
    text = get(HERE.replace(DAG, f"{DAG}_rollback") + "/review").text
    assert "It takes back run r1" in text and "23503" in text and "had no predecessor" in text
    assert "on production itself, and taken back" in text
    assert "Carrying 120,000 writes took 6 s, 20,000 a second" in text
    for count in ("1,204", "3,358", "1,207", "2,826", "2,801", "57", "31"):
        assert count in text, count
    assert "<script" not in text
    target.entry(run, action="rollback", undoes=None)
    entry = get(f"/cutover/dags/{DAG}/ledger/1").text
    for count in ("1,204", "3,358", "1,207"):
        assert count in entry, count


def test_what_would_stop_the_swap_is_on_the_review_and_in_the_forms_picture_while_the_question_waits(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = target.run(review())
    outlook.forget(run)  # a run of this name in another test's database
    target.execute("update cutover.run set staged_xid = '1' where run = %s", run)
    airflow_runs(DAG, RUN_ID, "running", {"approve": "awaiting_input"})
    values = [CutoverError("swap.orphans", "a:b", "3 rows of ana@example.com <b>.", "delete them.")]
    monkeypatch.setattr("cutover.review.in_the_way", lambda *_: list(values))
    page, picture = get(f"{HERE}/review").text, get(f"{HERE}/outlook.svg")
    assert "1 thing would stop the swap now." in page and "[swap.orphans] a:b" in page
    assert 'http-equiv="refresh" content="120"' in page and "ana@example.com" not in page
    assert picture.headers["content-type"] == "image/svg+xml" and picture.headers["cache-control"].endswith("no-store")
    # the codes alone: the form shows a picture no wider than 300 pixels, and no sentence is to be read in that
    assert 'width="300"' in picture.text and ">swap.orphans<" in picture.text and "ana@" not in picture.text
    values.clear()
    # one look is for everybody who asks within two minutes
    assert "1 thing would stop" in get(f"{HERE}/review").text
    outlook.forget(run)
    assert "Nothing stands in the way of the swap." in get(f"{HERE}/review").text
    assert "Nothing stands in the way of the swap." in get(f"{HERE}/outlook.svg").text
    outlook.forget(run)
    target.entry(run)
    assert "What would stop the swap" not in get(f"{HERE}/review").text
    assert get(f"{HERE}/outlook.svg").status_code == 404


def test_what_people_have_been_told_is_shown_by_campaign_and_a_dead_senders_message_as_unknown(
    get: Pages, target: Deployment
) -> None:
    page = f"/cutover/dags/{DAG}/announcements"
    assert "Nobody has been told anything yet." in get(page).text
    values = {"campaign": "welcome", "subject": SCRIPT, "push": "We're back!", "text": "Hi {name},", "due_at": None}
    key = target.run(values, dag_id="announce")
    columns = "migration, campaign, channel, person, run, state, sender_pid, sender_started"
    for person, state in (("a", "sent"), ("b", "claimed")):
        target.execute(
            f"insert into cutover.announcement ({columns}) values (%s, 'welcome', 'email', %s, %s, %s, 0, now())",
            DAG, person, key, state,
        )  # fmt: skip
    shown = get(page).text
    assert "unknown" in shown and "claimed" not in shown and "never sent again by themselves" in shown
    assert "We&#39;re back!" in shown and SCRIPT not in shown
    assert key not in get("/cutover/").text, "it is no launch"
    target.execute("drop table cutover.announcement")
    assert "Nobody has been told anything yet." in get(page).text, "an earlier version has no such table"


def test_a_watched_launch_shows_each_check_over_time(get: Pages, target: Deployment) -> None:
    page = f"/cutover/dags/{DAG}/watch"
    assert "No launch has been watched here yet." in get(page).text
    key = target.run(review())
    target.entry(key)
    for moment, value in (("baseline", 10), ("watch", 12), ("watch", None), ("watch", 9)):
        target.execute(
            "insert into cutover.watch (run, name, moment, value, verdict, detail) values (%s, 'accounts', %s, %s, "
            "'bad', %s)",
            key, moment, value, SCRIPT,
        )  # fmt: skip
    shown = get(page).text
    assert shown.count("<polyline") == 2 and 'class="limit"' in shown, "a gap where there was nothing to measure"
    assert "4 looks" in shown and "before the swap" in shown and SCRIPT not in shown
    target.execute("drop table cutover.watch")
    assert "No launch has been watched here yet." in get(page).text


def test_a_review_shows_what_would_keep_people_out_and_who_decided_what(get: Pages, target: Deployment) -> None:
    target.run(review())
    assert get(f"{HERE}/sign_ins.svg").status_code == 404
    way = {"tried": 50, "failed": 2, "percent": 4.0, "reasons": {SCRIPT: 2}, "named": {SCRIPT: ["dasha 9", SCRIPT]}}
    values = {"ways": {"a token": way}, "closed": 1, "seconds": 12.5, "limit_percent": 2, "trouble": ["too many"]}
    target.execute(
        "insert into cutover.phase (run, step, result) values (%s, 'sign_ins', %s::jsonb)", RUN, json.dumps(values)
    )
    shown = get(f"{HERE}/review").text
    assert "Sign-ins rehearsed" in shown and "Nobody has decided yet" in shown and "dasha 9" in shown
    assert SCRIPT not in shown
    # for the form, whose text Airflow keeps: of the newest at the moment of looking
    picture = get(f"{HERE}/sign_ins.svg")
    assert picture.headers["content-type"] == "image/svg+xml" and picture.headers["cache-control"].endswith("no-store")
    assert ">2 of 50 failed<" in picture.text and "#b3261e" in picture.text and "dasha 9" not in picture.text
    good = json.dumps(values | {"trouble": [], "ways": {SCRIPT: way | {"failed": 0}}})
    target.execute("insert into cutover.phase (run, step, result) values (%s, 'sign_ins', %s::jsonb)", RUN, good)
    picture = get(f"{HERE}/sign_ins.svg")
    assert ">0 of 50 failed<" in picture.text and "#b3261e" not in picture.text and SCRIPT not in picture.text
    answer = json.dumps({"person": "reviewer", "goes_on": False})
    target.execute(
        "insert into cutover.phase (run, step, result) values (%s, 'sign_ins_answer', %s::jsonb)", RUN, answer
    )
    assert "reviewer has decided" in get(f"{HERE}/review").text


def test_the_assessment_shows_sources_side_by_side(get: Pages, target: Deployment) -> None:
    page = f"/cutover/dags/{DAG}/assessment"
    assert "Nobody has looked yet" in get(page).text
    users = {"name": "public.users", "rows": 7, "is_exact": True, "bytes": 1, "columns": {}, "differs": [SCRIPT]}
    sources = [
        assess.Source("one", "18.1", "UTF8", 5_000_000, [users], [], [], [{"title": "twice", "found": 3}], []),
        assess.Source("other", "16.4", "UTF8", 1, [], [], [], [], ["public.users (QueryCanceled)"]),
    ]
    compared = [{"title": "in both", "shared": 5, "different": 1, "of": ["one", "other"]}]
    assess.keep(assess.Assessment(DAG, "2026-01-01T00:00:00+00:00", sources, [], compared), docs_root())
    shown = get(page).text
    assert "18.1" in shown and "twice" in shown and "in both" in shown and "public.users (QueryCanceled)" in shown
    assert SCRIPT not in shown


def test_the_figures_of_a_review_are_those_of_its_page(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review(rehearsal=REHEARSED)))
    document = get(f"{HERE}/review.json").json()
    assert document["review"]["tables"] == review()["tables"] and document["entry"]["entry"] == 1
    assert document["review"]["rehearsal"] == REHEARSED | {"clients_waited_ms": 28.4, "differences": 0}
    assert "| unified_profiles | 3,636 | 6,133 | 2,827 | 330 | 5 |" in document["question"]
    (run,) = get(f"/cutover/dags/{DAG}/runs.json").json()
    assert (run["run"], run["state"], run["entry"]) == (document["run"], document["state"], 1)


def test_a_rehearsal_that_was_given_up_has_compared_nothing(get: Pages, target: Deployment) -> None:
    target.run(review(rehearsal=REHEARSED | {"reason": "no locks", "hold_ms": None, "waited_ms": None}))
    rehearsal = get(f"{HERE}/review.json").json()["review"]["rehearsal"]
    assert (rehearsal["clients_waited_ms"], rehearsal["differences"]) == (None, None)


def test_figures_of_what_is_not_there_say_so(get: Pages, target: Deployment) -> None:
    for path in (f"/cutover/dags/{DAG}/runs/no-such-run/review.json", "/cutover/dags/raw_sync/runs.json"):
        answer = get(path)
        assert answer.status_code == 404 and answer.json()["detail"].rstrip(".").endswith(
            ("of clean_launch", "in the ledger")
        )
    assert get(f"/cutover/dags/{DAG}/runs.json").json() == []


def test_why_masks_a_persons_values_for_a_terminal_too(post: Pages, target: Deployment) -> None:
    with psycopg.connect(target.dsn) as connection:
        world = World(connection)
        invoice = world.invoice("maria.santos@example.com", customer={"given_names": "Maria", "surname": "Santos"})
        world.current(
            "transactions", xendit_invoice_id=invoice, contact_email="maria.santos@example.com", amount=1000,
            status="paid",
        )  # fmt: skip
    document = post(f"{WHY}.json", table="transactions", value=invoice).json()
    assert document["row"]["amount"] == "1000.00"
    assert document["row"]["xendit_invoice_id"] == invoice and document["origins"][0]["raw_table"] == "xendit_invoices"
    assert "maria" not in str(document).lower() and "santos" not in str(document).lower()
    for table, value in (("transactions", "no-such-row"), ("pg_authid", "1")):
        assert post(f"{WHY}.json", table=table, value=value).status_code == 404


def test_for_what_an_approved_run_waits_is_on_its_page_and_among_the_launches(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    timing = {"swap_at": f"in a window {SCRIPT}", "next": SCRIPT, "freeze_override": SCRIPT, "drift_limit": 9}
    target.run(review(timing=timing | {"frozen": {"name": SCRIPT, "ends_at": "2100-01-04"}}))
    target.execute(
        "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
        "decided_at, expires_at) values (%s, 'swap', 'approve', 'f', 'approve', 1, 'reviewer', now(), "
        "now() + interval '1 day')",
        RUN,
    )
    airflow_runs(DAG, RUN_ID, "running", {"wait": "deferred"})
    assert ">approved</span>" in get("/cutover/").text, "the task has not looked yet"
    look = (
        "insert into cutover.phase (run, step, result) values (%s, 'wait', jsonb_build_object('label', %s::text, "
        "'opens_at', now() + %s::interval, 'writes', jsonb_build_object(%s::text, 12), 'looked_at', now()))"
    )
    label = "Sat 2026-12-05 04:00-05:00 Asia/Manila"
    target.execute(look, RUN, label, "5 hours 12 min 30 s", f"public.{SCRIPT}")
    page, launches = get(f"{HERE}/review").text, get("/cutover/").text
    assert "waits for its time" in page and f"It swaps {label} (in 5 h 12 min)." in page
    assert "<dd>12 to public." in page and "lapses with more than 9 writes after it" in page
    assert ">waits for its time</span>" in launches and f"{label} (in 5 h 12 min)" in launches
    assert SCRIPT not in page
    (run,) = get(f"/cutover/dags/{DAG}/runs.json").json()
    assert (run["state"], run["waits_for"]) == ("waits for its time", f"{label} (in 5 h 12 min)")
    assert get(f"{HERE}/review.json").json()["waits_for"] == run["waits_for"]
    target.execute(look, RUN, label, "-1 s", "public.people")
    assert ">approved</span>" in get("/cutover/").text, "its time has come"
    airflow_runs(DAG, RUN_ID, "failed", {"wait": "failed"})
    assert "failed in wait" in get("/cutover/").text


def test_why_a_swap_happened_in_a_freeze_is_on_its_entry(get: Pages, target: Deployment) -> None:
    frozen = {"name": "Christmas sale", "ends_at": "2100-01-04T00:00:00+00:00"}
    timing = {"swap_at": "Sat 04:00-05:00 Asia/Manila", "freeze_override": f"an outage {SCRIPT}", "frozen": frozen}
    target.entry(target.run(review()), report=Jsonb({"timing": timing}))
    page = get(f"/cutover/dags/{DAG}/ledger/1").text
    assert "to be swapped at Sat 04:00-05:00 Asia/Manila; during Christmas sale, for this reason: an outage" in page
    assert SCRIPT not in page
