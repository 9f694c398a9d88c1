"""The pages, asked for in Airflow's own API server, over a real database."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from cutover.ui.app import app
from tests.clean_launch_world import World

from .conftest import DAG, HERE, RUN, Deployment, Pages, review, site

pytestmark = pytest.mark.timeout(240)

SCRIPT = "<script>alert(document.cookie)</script>"
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cache-control": "private, no-store",
}
ROUTES = [
    "/cutover/",
    "/cutover/ledger",
    "/cutover/why",
    "/cutover/static/cutover.css",
    f"/cutover/dags/{DAG}/ledger/1",
    f"{HERE}/review",
    f"{HERE}/docs",
    f"/cutover/dags/{DAG}/docs/{DAG}/{RUN}/1-staging/index.html",
    f"/cutover/dags/{DAG}/rollback",
    f"/cutover/dags/{DAG}/why?table=transactions&value=1",
]


def test_the_list_of_routes_is_complete() -> None:
    """A new route must be added to ROUTES, and so be asked for without a login and without a right."""
    paths = {re.sub(r"\{[^}]*\}", "x", route.path) for route in app.routes if hasattr(route, "path")}
    assert len(paths) == len(ROUTES), sorted(paths)


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_sees_a_page_without_a_login(get: Pages, target: Deployment, route: str) -> None:
    answer = get(route, role=None)
    assert answer.status_code == 401
    assert "Sign in" in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


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
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, route
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy
        if "1-staging" in route:
            assert "connect-src 'none'" in policy and "form-action 'none'" in policy
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


def test_script_in_data_stays_text(get: Pages, target: Deployment) -> None:
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
             f"/cutover/dags/{DAG}/why?table=transactions&value={SCRIPT}",
             f"/cutover/dags/{DAG}/why?table={SCRIPT}&value=1", f"/cutover/dags/{SCRIPT}/rollback")  # fmt: skip
    for page in pages:
        text = get(page).text
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
        "",
    ],
)
def test_only_files_of_data_docs_are_handed_out(get: Pages, target: Deployment, address: str) -> None:
    outside = target.docs.parent / "secret.html"
    outside.write_text("a secret of somebody else")
    folder = site(target)
    (folder / "program.py").write_text("a secret")
    (target.docs / "secret.html").write_text("a secret")
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
    assert "[run.unknown]" in answer.text


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
    assert "[connect.no-database]" in get(f"/cutover/dags/{DAG}/rollback").text


def test_a_database_that_no_launch_has_used_is_empty_and_no_error(get: Pages, target: Deployment) -> None:
    target.execute("drop schema cutover cascade")
    answer = get("/cutover/")
    assert answer.status_code == 200 and "Nothing has run yet" in answer.text
    assert get(f"{HERE}/review").status_code == 503


def test_the_pages_cannot_write_and_cannot_take_long(target: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    from cutover.ui import store

    (migration,) = [one for one in store.migrations() if one.migration == DAG]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), store.reading(migration) as connection:
        connection.execute("delete from cutover.run")
    monkeypatch.setattr(store, "STATEMENT_TIMEOUT_MS", 100)
    with pytest.raises(psycopg.errors.QueryCanceled), store.reading(migration) as connection:
        connection.execute("select pg_sleep(5)")


def test_an_entry_that_was_changed_later_is_shown_as_broken(get: Pages, target: Deployment) -> None:
    target.entry(target.run(review()))
    assert "The hash chain is whole" in get("/cutover/ledger").text
    assert "as written" in get(f"/cutover/dags/{DAG}/ledger/1").text
    target.execute("alter table cutover.ledger disable trigger chain_ledger")
    target.execute("update cutover.ledger set approved_by = 'somebody else'")
    assert "The hash chain is broken: entry 1" in get("/cutover/ledger").text
    assert "This entry was changed after it was written" in get(f"/cutover/dags/{DAG}/ledger/1").text


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


def test_why_walks_from_a_row_to_its_responses_and_shows_nobody(get: Pages, target: Deployment) -> None:
    with psycopg.connect(target.dsn) as connection:
        world = World(connection)
        invoice = world.invoice("maria.santos@example.com", customer={"given_names": "Maria", "surname": SCRIPT})
        world.current(
            "transactions", xendit_invoice_id=invoice, contact_email="maria.santos@example.com", amount=1000,
            status="paid",
        )  # fmt: skip
    text = get(f"/cutover/dags/{DAG}/why?table=transactions&value={invoice}").text
    assert "1 response behind it" in text
    assert invoice in text and "PAID" in text and "m•••@e•••" in text
    assert "maria" not in text.lower() and "santos" not in text.lower()
    for value in ("no-such-row", "", "%00", "x" * 400):
        assert "has this id" in get(f"/cutover/dags/{DAG}/why?table=transactions&value={value}").text or value == "%00"
    assert get(f"/cutover/dags/{DAG}/why?table=transactions&value=%00").status_code == 422
    assert get(f"/cutover/dags/{DAG}/why?table=transactions&value={'x' * 401}").status_code == 422
    assert "Nothing is known about" in get(f"/cutover/dags/{DAG}/why?table=pg_authid&value=1").text


def test_inside_a_tab_no_link_opens_airflow_within_itself(get: Pages, target: Deployment) -> None:
    target.run(review())
    assert "Tasks and logs" in get(f"{HERE}/review").text
    assert "Tasks and logs" not in get(f"{HERE}/review", **{"Sec-Fetch-Dest": "iframe"}).text


def test_a_rollbacks_review_says_what_cannot_be_carried_back(get: Pages, target: Deployment) -> None:
    preview = {
        "undoes": "r1", "action": "rollback", "backup_schema": "backup_r1", "fingerprint": "a" * 64,
        "tables": [{"schema": "public", "name": "leads", "comes_back": False}],
        "carried": [{"table_name": "transactions", "operation": "insert", "carried": 3, "already_gone": 0,
                     "quarantined": 1}],
        "quarantined": [{"table_name": "transactions", "operation": "insert", "sqlstate": "23503", "reason": SCRIPT,
                         "writes": 1}],
        "orphans": [], "refusals": [],
    }  # fmt: skip
    target.run(preview, dag_id=f"{DAG}_rollback")
    text = get(HERE.replace(DAG, f"{DAG}_rollback") + "/review").text
    assert "It takes back run r1" in text and "23503" in text and "had no predecessor" in text
    assert "<script" not in text
