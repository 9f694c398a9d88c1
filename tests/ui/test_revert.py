"""The page on which a swap is taken back by its revert window, in Airflow's own API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from starlette.testclient import TestClient

from cutover import approve

from .conftest import DAG, Deployment, Pages, review

pytestmark = pytest.mark.timeout(240)

PAGE = f"/cutover/dags/{DAG}/ledger/1/revert"
BACK = f"{DAG}_rollback"
TABLES = [{"schema": "public", "name": "unified_profiles", "outgoing": 1, "incoming": 2},
          {"schema": "public", "name": "leads", "outgoing": None, "incoming": 3}]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _dags(api_server: TestClient) -> None:
    """The rollback's DAG as the DAG processor keeps it."""
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import text

    from stack.settings import ROOT

    with create_session() as session:
        if session.get(DagBundleModel, "tests") is None:
            session.add(DagBundleModel(name="tests"))
    path = ROOT / "dags" / f"{BACK}.py"
    sync_bag_to_db(BundleDagBag(path, bundle_path=ROOT / "dags", bundle_name="tests"), "tests", None)
    with create_session() as session:
        session.execute(text("update dag set is_paused = false, is_stale = false"))


def airflow_has() -> list[Any]:
    """The rollback's runs in Airflow's database."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagRun).where(DagRun.dag_id == BACK)))


@pytest.fixture(autouse=True)
def _no_runs() -> Iterator[None]:
    """No run is there before, nor after."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    def clean() -> None:
        with create_session() as session:
            session.execute(text("delete from task_instance"))
            session.execute(text("delete from dag_run"))

    clean()
    yield
    clean()


def launch(target: Deployment, minutes: int | None = 30) -> str:
    """A launch whose approval has a revert window; its key."""
    key = target.run(review())
    now = datetime.now(timezone.utc)
    with psycopg.connect(target.dsn) as connection:
        approve.record(
            connection,
            approve.Answer(
                run=key, action="swap", decision="approve", fingerprint="f" * 64, task_id="approve", try_number=1,
                person="reviewer", person_id="2", triggered_by="operator", comment=None, decided_at=now,
                valid_for=timedelta(hours=1), revert_minutes=minutes,
            ),
        )  # fmt: skip
    target.entry(key, approval_id=1, tables=Jsonb(TABLES))
    target.execute(f"create schema backup_{key}")
    return key


def late(target: Deployment) -> None:
    """The window is over."""
    target.execute(
        "set session_replication_role = replica; "
        "update cutover.ledger set recorded_at = recorded_at - interval '1 hour'"
    )


def test_the_pages_lead_to_it_while_it_is_open(get: Pages, target: Deployment) -> None:
    launch(target)
    for address in ("/cutover/ledger", f"/cutover/dags/{DAG}/ledger/1", f"/cutover/dags/{DAG}/rollback"):
        page = get(address).text
        assert f'href="{PAGE}"' in page and "without asking anybody" in page, address
        assert "animateTransform" in page, "a clock that runs down without a script"
    late(target)
    for address in ("/cutover/ledger", f"/cutover/dags/{DAG}/ledger/1", f"/cutover/dags/{DAG}/rollback"):
        assert f'href="{PAGE}"' not in get(address).text
    assert "could be taken back without asking anybody until" in get(f"/cutover/dags/{DAG}/ledger/1").text


def test_it_says_what_happens_before_the_click(get: Pages, target: Deployment) -> None:
    launch(target)
    page = get(PAGE, role="op").text
    assert "reviewer" in page and "approval no. 1" in page and "by the clock of the database" in page
    assert "3,636" in page and "6,133" in page and "had no predecessor" in page
    assert "Take it back now" in page and "It counts when the transaction begins" in page


def test_a_click_triggers_one_run_whoever_clicks_and_how_often(get: Pages, post: Pages, target: Deployment) -> None:
    launch(target)
    with ThreadPoolExecutor(2) as people:
        answers = list(people.map(lambda role: post(PAGE, role=role), ("op", "admin")))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert [answer.headers["location"] for answer in answers] == [PAGE, PAGE]
    assert post(PAGE, role="op").status_code == 303
    (run,) = airflow_has()
    assert run.run_id == "revert__1__1" and run.conf == {"revert": 1, "rehearse": False}
    assert run.triggering_user_name in ("op", "admin") and str(run.run_type) == "manual"
    page = get(PAGE).text
    assert f"<b>{run.triggering_user_name}</b> takes it back" in page
    assert 'http-equiv="refresh"' in page and "Take it back now" not in page


def test_after_a_refusal_somebody_may_try_again(get: Pages, post: Pages, target: Deployment) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    launch(target)
    post(PAGE, role="op")
    with create_session() as session:
        session.execute(text("update dag_run set state = 'failed'"))
    target.execute(
        "insert into cutover.failure (migration, run, dag_id, dag_run_id, task_id, is_scheduled, code, remedy) "
        f"values ('{DAG}', 'r', '{BACK}', 'revert__1__1', 'preview', false, 'revert.cannot-carry', 'trigger it.')"
    )
    page = get(PAGE, role="op").text
    assert "op has tried it" in page and "[revert.cannot-carry]. To clear it: trigger it." in page
    assert "Take it back now" in page
    post(PAGE, role="op")
    assert [run.run_id for run in airflow_has()] == ["revert__1__1", "revert__1__2"]


@pytest.mark.parametrize(
    "case",
    [
        ("has approved beforehand", "op", 409),  # nobody has
        ("ended at", "op", 409),
        ("came after it", "op", 409),
        ("may not trigger", "viewer", 403),
        ("takes another person", "reviewer", 409),
    ],
)
def test_who_may_not_or_comes_too_late_is_told(
    get: Pages, post: Pages, target: Deployment, case: tuple[str, str, int]
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    why, role, status = case

    launch(target, None if why == "has approved beforehand" else 30)
    if why == "ended at":
        late(target)
    if why == "came after it":
        target.entry(target.run(review(), run_id="manual__2"), approval_id=None)
    with pytest.MonkeyPatch.context() as patch:
        if role == "reviewer":
            patch.setattr(get_auth_manager(), "is_authorized_dag", lambda **_: True)
        assert why in get(PAGE, role=role).text and "Take it back now" not in get(PAGE, role=role).text
        answer = post(PAGE, role=role)
    assert answer.status_code == status and why in answer.text
    assert airflow_has() == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_cannot_click(post: Pages, target: Deployment, site: str) -> None:
    launch(target)
    assert post(PAGE, role="op", headers={"sec-fetch-site": site}).status_code == 403
    assert post(PAGE, role=None).status_code == 401
    assert airflow_has() == []


def test_nothing_is_triggered_behind_another_rollback_or_while_its_dag_is_paused(
    get: Pages, post: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    launch(target)
    airflow_runs(BACK, "manual__other", "running", {"approve": "awaiting_input"})
    answer = post(PAGE, role="op")
    assert answer.status_code == 409 and "manual__other" in answer.text and "waits for an answer" in answer.text
    with create_session() as session:
        session.execute(text("delete from task_instance"))
        session.execute(text("delete from dag_run"))
        session.execute(text("update dag set is_paused = true"))
    assert "is paused" in post(PAGE, role="op").text and airflow_has() == []
    with create_session() as session:
        session.execute(text("update dag set is_paused = false"))


def test_a_terminal_gets_the_same_figures(get: Pages, target: Deployment) -> None:
    assert get(f"/cutover/dags/{DAG}/revert.json").status_code == 404
    launch(target)
    told = get(f"/cutover/dags/{DAG}/revert.json", role="op").json()
    assert told["entry"] == 1 and told["obstacle"] is None and told["window"]["approved_by"] == "reviewer"
    assert 1790 < told["window"]["seconds_left"] <= 1800
    assert told["tables"][0] == {
        "name": "public.unified_profiles", "comes_back": True, "before": 3636, "after": 6133
    }  # fmt: skip
    assert (told["dag_id"], told["run_id"], told["conf"]) == (BACK, "revert__1__1", {"revert": 1, "rehearse": False})
    assert "may not trigger" in get(f"/cutover/dags/{DAG}/revert.json?entry=1").json()["obstacle"]


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "x", "2"])
def test_an_address_that_names_no_entry_is_none(get: Pages, post: Pages, target: Deployment, number: str) -> None:
    launch(target)
    address = f"/cutover/dags/{DAG}/ledger/{number}/revert"
    assert get(address, role="op").status_code == 404 and post(address, role="op").status_code == 404
