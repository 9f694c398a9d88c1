"""The whole DAG ``announce``, through Airflow's own connections and its SMTP hook; and who is told before a launch."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cutover.errors import CutoverError
from cutover.operators.announce import ways
from demo.simulators.messages import Fcm, MailServer
from tests.dags.conftest import airflow_database, answer, run  # noqa: F401
from tests.mula.conftest import make_world, templates, world  # noqa: F401
from tests.mula.world import World

pytestmark = pytest.mark.timeout(300)
SOON = "2999-12-06T04:00:00+00:00"


@pytest.fixture
def outside(airflow_database: None, mail: MailServer, fcm: Fcm) -> tuple[MailServer, Fcm]:  # noqa: F811
    """Both ways out of an Airflow."""
    return mail, fcm


@pytest.fixture
def deployed(
    world: World,  # noqa: F811
    outside: tuple[MailServer, Fcm],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Both sources, and the connections of the DAG."""
    mail, fcm = outside
    extra = {"from_email": "hello@mula.app", "unsubscribe": "https://mula.app/u/{letter}"}
    plain = {"disable_ssl": "true", "disable_tls": "true"}
    monkeypatch.setenv("AIRFLOW_CONN_ANNOUNCE_SMTP", f"smtp://127.0.0.1:{mail.port}?{urlencode(extra | plain)}")
    key = {"conn_type": "http", "host": fcm.url, "password": fcm.service_account}
    monkeypatch.setenv("AIRFLOW_CONN_ANNOUNCE_FCM", json.dumps(key))
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", world.dsn["unified"].replace("postgresql://", "postgres://"))
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", "reviewer")
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path))
    return world


def fill(world: World) -> None:  # noqa: F811
    """People in one application, in both, and in neither way reachable."""
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 7, " Ana@Example.com")
    world.user("compatibility", 8, "ben@example.com")
    world.user("compatibility", 9, None)
    preferences: dict[str, Any] = {"email_enabled": True, "notifications_enabled": True, "marketing_emails": False}
    world.insert("compatibility", "user_preferences", id=1, user_id=8, **(preferences | {"email_enabled": False}))
    world.insert("dasha", "fcm_tokens", id=1, user_id=1, token="old", created_at="2025-11-10")
    world.insert("compatibility", "fcm_tokens", id=1, user_id=7, token="new", created_at="2025-11-12")
    # a phone that has changed hands since
    world.insert("dasha", "fcm_tokens", id=2, user_id=1, token="bens", created_at="2025-11-10")
    world.insert("compatibility", "fcm_tokens", id=2, user_id=8, token="bens", created_at="2025-11-20")
    world.begin("copy")
    world.copy()


def test_before_the_launch_each_person_of_both_applications_is_told_once(
    deployed: World, mail: MailServer, fcm: Fcm
) -> None:
    fill(deployed)
    shown = answer("announce", "Approve")
    state, tasks = run("announce", campaign="upgrade", window_opens=SOON, window_minutes=45)
    assert (state, set(tasks.values())) == ("success", {"success"}), tasks
    assert mail.taken == {"ana@example.com": 1}
    assert fcm.taken == {"new": 1, "bens": 1}
    assert "Mula Platform Upgrade - Friday, 6 December 2999 at 04:00 UTC" in shown["body"]
    assert "04:00-04:45 UTC" in shown["body"] and "email: 1 skipped: opted out" in shown["body"]
    assert "ana@example.com" not in str(shown)
    assert "Hi there," in mail.messages[0], "an account that nobody has proved gives no name"
    rows = deployed.rows("select channel, state, reason from cutover.announcement order by 1, 2, 3")
    assert [tuple(row.values()) for row in rows] == [
        ("email", "sent", None),
        ("email", "skipped", "no usable address"),
        ("email", "skipped", "opted out"),
        ("push", "sent", None),
        ("push", "sent", None),
        ("push", "skipped", "no usable address"),
    ]
    assert deployed.value("select count(*) from cutover.audience") == 0


def test_a_way_out_that_is_not_set_up_is_told_before_anybody_is_asked(
    deployed: World, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ANNOUNCE_SMTP", f"smtp://127.0.0.1:{mail.port}")
    with pytest.raises(CutoverError, match=r"announce\.bad-connection.*from_email"):
        ways(["email"])
    monkeypatch.setenv("AIRFLOW_CONN_ANNOUNCE_FCM", json.dumps({"conn_type": "http", "password": "no key"}))
    with pytest.raises(CutoverError, match=r"announce\.bad-connection.*project_id"):
        ways(["push"])
    monkeypatch.delenv("AIRFLOW_CONN_ANNOUNCE_FCM")
    with pytest.raises(CutoverError, match=r"announce\.no-connection"):
        ways(["push"])


def test_a_deployment_that_announces_nothing_has_no_such_dag(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(repository / "dags" / "announce.py")
    assert runpy.run_path(file)["dag"] is not None
    (tmp_path / "announcements" / "shop").mkdir(parents=True)
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    assert runpy.run_path(file)["dag"] is None
