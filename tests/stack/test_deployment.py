"""The whole stack for real, in a home of its own: accounts and their rights, the watched run, a kill, and the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from cutover.commands.api import Api, run_path
from cutover.errors import CutoverError
from stack.airflow import COMPONENTS
from stack.demonstration import Demonstration
from stack.deployment import Deployment
from stack.postgres import free_port
from stack.progress import Console
from stack.settings import PORTS, Settings

ACCOUNTS = ("operator", "reviewer", "auditor", "admin")


def _settings(folder: Path, **variables: str) -> Settings:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CUTOVER"))}
    names = tuple(PORTS)
    ports = {name: str(free_port()) for name in names}
    dags = folder / "dags"
    dags.mkdir(exist_ok=True)
    return Settings.read({**inherited, **ports, "CUTOVER_HOME": str(folder / "home"), **variables}, dags)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("stack")
    settings = _settings(folder)
    shutil.copy(Path(__file__).with_name("tiny.py"), settings.dags / "tiny.py")
    deployment = Deployment(settings, Console())
    try:
        settings.postgres.start()
        _leave_a_killed_migration(settings)
        deployment.up()
        yield deployment
    finally:
        deployment.down()
        settings.postgres.remove()


def _leave_a_killed_migration(settings: Settings) -> None:
    with psycopg.connect(settings.postgres.dsn(), autocommit=True) as admin:
        admin.execute("create database airflow_incomplete")
    with psycopg.connect(settings.postgres.dsn("airflow_incomplete")) as half:
        half.execute("create table alembic_version (version_num text)")


def _status(api: Api, method: str, path: str, body: object = None) -> int:
    return api._session.request(method, f"{api.url}/api/v2/{path}", json=body, timeout=30).status_code


def _api(stack: Deployment, account: str) -> Api:
    return Api(stack.settings.url, account, stack.airflow.passwords()[account])


def _pids(stack: Deployment) -> dict[str, int]:
    leaders = {component: stack.processes.leader(component) for component in COMPONENTS}
    return {component: leader.pid for component, leader in leaders.items() if leader}


def test_everything_is_healthy_and_for_its_owner_alone(stack: Deployment) -> None:
    assert stack.airflow.unhealthy() == []
    assert stack.settings.passwords.name == "passwords.json"
    for path in (stack.settings.passwords, stack.settings.home / "secrets.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.settings.airflow_home.stat().st_mode) == 0o700


def test_nothing_listens_but_on_loopback(stack: Deployment) -> None:
    ours = {process.pid for processes in stack.processes.members().values() for process in processes}
    listening = [one for one in psutil.net_connections("inet") if one.status == "LISTEN" and one.pid in ours]
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


# what each may do, as (method, path, body) -> the accounts that are let in
_RIGHTS = [
    ("GET", "dags/tiny", None, ACCOUNTS),
    ("GET", "eventLogs", None, ACCOUNTS),
    ("GET", "plugins", None, ACCOUNTS),
    ("GET", "dags/~/dagRuns/~/hitlDetails", None, ACCOUNTS),
    ("GET", "dagSources/tiny", None, ACCOUNTS),
    ("GET", "connections", None, ("admin",)),
    ("GET", "variables", None, ("admin",)),
    # A run that is not there: who may do it gets as far as being told so.
    ("POST", "dags/nope/dagRuns", {"logical_date": None}, ("operator", "admin")),
    ("POST", "dags/nope/clearTaskInstances", {"dag_run_id": "x"}, ("operator", "admin")),
    ("PATCH", "dags/nope/dagRuns/x/taskInstances/approve/-1", {"new_state": "success"}, ("operator", "admin")),
    (
        "PATCH",
        "dags/nope/dagRuns/x/taskInstances/approve/-1/hitlDetails",
        {"chosen_options": ["Approve"], "params_input": {}},
        ("reviewer", "admin"),
    ),
    ("POST", "dags/nope/dagRuns/x/taskInstances/approve/xcomEntries", {"key": "k", "value": 1}, ("admin",)),
    ("DELETE", "dags/nope/dagRuns/x", None, ("admin",)),
    ("DELETE", "dags/nope", None, ("admin",)),
    ("POST", "connections", {"connection_id": "", "conn_type": "http"}, ("admin",)),
]


@pytest.mark.parametrize(("method", "path", "body", "allowed"), _RIGHTS, ids=[f"{one[0]} {one[1]}" for one in _RIGHTS])
def test_an_account_may_do_what_it_is_for_and_no_more(
    stack: Deployment, method: str, path: str, body: object, allowed: tuple[str, ...]
) -> None:
    answers = {account: _status(_api(stack, account), method, path, body) for account in ACCOUNTS}
    assert tuple(account for account, status in answers.items() if status != 403) == allowed, answers
    assert all(status < 500 for status in answers.values()), answers


def test_a_wrong_password_is_refused(stack: Deployment) -> None:
    with pytest.raises(CutoverError, match=r"\[api.not-signed-in\] account operator"):
        Api(stack.settings.url, "operator", "wrong")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, stack: Deployment) -> Demonstration:
    """The tiny DAG as a migration of production; it has no declaration that would say so."""
    monkeypatch.setattr(Demonstration, "_target", "production")
    return Demonstration(stack, "tiny")


def test_a_run_is_watched_up_to_the_approval_and_beyond(
    stack: Deployment, tiny: Demonstration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny.run(approve=False) == 0
    printed = capsys.readouterr().out
    assert "extract    ✓ invoices" in printed
    assert "tiny waits for a person's approval" in printed
    assert "./run demo --approve tiny" in printed
    assert "home/passwords.json" in printed
    assert not any(password in printed for password in stack.airflow.passwords().values())
    assert "\033" not in printed  # no terminal, so plain

    concluded: list[str] = []
    monkeypatch.setattr(Demonstration, "_conclude", lambda self, run, *_: concluded.append(run) or 0)
    assert tiny.run(approve=True) == 0
    printed = capsys.readouterr().out
    assert "Going on with the run that has not finished yet." in printed
    assert "approved by reviewer" in printed
    assert "swap       ✓ swap" in printed
    path = f"{run_path('tiny', concluded[0])}/taskInstances/approve/-1/hitlDetails"
    answer = _api(stack, "auditor").get(path)
    assert answer["responded_by_user"]["name"] == "reviewer"
    assert answer["params_input"] == {"comment": None, "fingerprint": "abc"}


def test_a_failed_run_is_explained_in_the_words_of_its_log(
    tiny: Demonstration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trigger(self: Demonstration) -> str:
        body = {"logical_date": None, "conf": {"fail": True}}
        return str(self._operator.post("dags/tiny/dagRuns", body)["dag_run_id"])

    monkeypatch.setattr(Demonstration, "_trigger", trigger)
    assert tiny.run(approve=True) == 1
    printed = capsys.readouterr().out
    assert "extract.invoices failed (try 1):" in printed
    assert "RuntimeError: the source is on fire" in printed
    assert "The run failed before the swap: production is as it was." in printed


def test_a_second_start_leaves_everything_as_it_is(stack: Deployment) -> None:
    before = _pids(stack)
    stack.up()
    assert _pids(stack) == before


def test_a_killed_component_is_started_again_without_its_orphans(stack: Deployment) -> None:
    before = _pids(stack)
    os.kill(before["scheduler"], signal.SIGKILL)
    while stack.processes.leader("scheduler"):
        time.sleep(0.05)
    orphans = {process.pid for process in stack.processes.members().get("scheduler", [])}
    assert orphans  # its workers do not notice
    stack.up()
    after = _pids(stack)
    assert after.pop("scheduler") != before.pop("scheduler")
    assert after == before
    living = {process.pid for process in stack.processes.members()["scheduler"]}
    assert not living & orphans


def test_a_changed_connection_restarts_airflow_on_it(stack: Deployment) -> None:
    given = {**stack.settings.variables, "AIRFLOW_CONN_XENDIT": "http://:other@127.0.0.1:1"}
    changed = Deployment(Settings.read(given, stack.settings.dags), Console())
    assert changed.airflow.has_changed()
    assert not stack.airflow.has_changed()


def test_a_half_made_metadata_database_was_not_taken_for_whole(stack: Deployment) -> None:
    with psycopg.connect(stack.settings.postgres.dsn()) as admin:
        names = {name for (name,) in admin.execute("select datname from pg_database").fetchall()}
    assert "airflow" in names
    assert "airflow_incomplete" not in names


def test_the_end_leaves_no_process_and_the_next_start_knows_everything(stack: Deployment) -> None:
    assert stack.down()
    assert stack.processes.members() == {}
    assert not stack.settings.postgres.is_running()
    for port in (stack.settings.airflow_port, stack.settings.postgres_port, stack.settings.xendit_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not stack.down()
    stack.settings.postgres.start()
    assert not stack.airflow.prepare()
    with psycopg.connect(stack.settings.dsn("airflow")) as metadata:
        assert metadata.execute("select count(*) from dag_run").fetchone() == (2,)


@pytest.mark.parametrize("variable", ["CUTOVER_AIRFLOW_PORT", "CUTOVER_PG_PORT", "CUTOVER_XENDIT_PORT"])
def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path, variable: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        settings = _settings(tmp_path, **{variable: str(port)})
        deployment = Deployment(settings, Console())
        with pytest.raises(CutoverError) as raised:
            deployment.up()
    assert str(raised.value).startswith(f"[stack.port-taken] 127.0.0.1:{port}")
    assert f"{variable}=" in raised.value.remedy
    assert deployment.processes.members() == {}
    assert not settings.postgres.is_running()


def test_health_is_asked_of_airflow_itself(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert Deployment(settings, Console()).airflow.unhealthy() == list(COMPONENTS)
    with pytest.raises(requests.ConnectionError):
        requests.get(settings.url, timeout=1)
