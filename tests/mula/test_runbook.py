"""docs/runbooks/mula.md, command by command."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mula_platform import setup
from stack.postgres import EmbeddedPostgres
from tests.dags.conftest import airflow_database, answer, load_dag, run  # noqa: F401
from tests.mula.conftest import PASSWORD
from tests.mula.world import World
from tests.runbooks import commands, triggered

ANA = "ana@example.com"


def in_shell(repository: Path, folder: Path, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the page, in a folder, with the environment of a deployment."""
    program, *arguments = shlex.split(line)
    assert program == "./run", line
    paths = os.pathsep.join([str(repository / "plugins"), str(repository / "include")])
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        env={**os.environ, "PYTHONPATH": paths, "CUTOVER_HOME": str(folder / "home"), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def deployed(
    airflow_database: None,  # noqa: F811
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Ana, who has an account in each application, and Ben."""
    for application in ("dasha", "compatibility"):
        world.user(application, 1, ANA, username=f"ana_{application}")
        world.user(application, 2, "ben@example.com")
        world.chart(application, 1, 1, birth_location_name="Pune")
        world.chart(application, 2, 2, birth_location_name="Goa")
    for name, dsn in world.dsn.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", dsn.replace("postgresql://", "postgres://"))
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", "reviewer")
    return world


def test_a_feature_is_off_and_people_get_back_what_they_had(
    deployed: World, server: EmbeddedPostgres, repository: Path, tmp_path: Path
) -> None:
    world = deployed
    world.launch("first")
    setup.prepare(world.admin["unified"], PASSWORD)
    platform = server.dsn(world.admin["unified"].rpartition("/")[2].partition("?")[0], setup.ROLE, PASSWORD)

    switch, listing = commands("mula", "Level 1")
    for line in (switch, listing):
        done = in_shell(repository, tmp_path, line, CUTOVER_PLATFORM_DSN=platform)
        assert done.returncode == 0, done.stderr
    assert world.value("select is_on from platform.feature_flag where name = 'compatibility'") is False

    (tmp_path / "people.csv").write_text(f"email\n{ANA}\n")
    (request,) = [line for line in commands("mula", "Level 2") if line.startswith("./run")]
    # before the first launch there was nothing
    done = in_shell(repository, tmp_path, request)
    assert done.returncode == 1 and "[restore.first-launch]" in done.stderr

    world.launch("second")
    person = world.value("select id from users where email = %s", ANA)
    state = {
        table: f"select * from {{}}.{table} order by id" for table in ("users", "birth_charts", "legacy_identities")
    }
    before = {table: world.rows(query.format("public")) for table, query in state.items()}
    world.execute("unified", "update users set username = 'broken' where id = %s", person)
    world.execute("unified", "delete from birth_charts where user_id = %s and birth_location_name = 'Pune'", person)
    world.execute("unified", "insert into birth_charts (user_id, birth_date) values (%s, '2000-01-01')", person)
    world.execute("unified", "update users set username = 'bens' where email = 'ben@example.com'")
    for row in before["users"]:
        row["username"] = "bens" if row["email"] == "ben@example.com" else row["username"]

    done = in_shell(repository, tmp_path, request)
    assert done.returncode == 0, done.stderr
    assert "This is request 1." in done.stdout and ANA not in done.stdout + done.stderr
    assert "public.users: 1 of them were written since the launch" in done.stdout
    ((dag, parameters),) = triggered("mula", "Level 2").items()
    shown = answer(dag, "Approve")
    outcome, tasks = run(dag, **parameters)
    assert (outcome, set(tasks.values())) == ("success", {"success"}), tasks
    assert "public.birth_charts: 0 change, 2 come, 1 go" in shown["body"] and ANA not in str(shown)
    assert {table: world.rows(query.format("public")) for table, query in state.items()} == before
    assert world.value("select approved_by from cutover.restoration") == "reviewer"


def test_what_the_page_triggers_is_what_the_dags_take(airflow_database: None, repository: Path) -> None:  # noqa: F811
    """Level 3 is run with these by test_dags and by the tests of announcements."""
    for heading in ("Level 2", "Level 3"):
        for dag, parameters in triggered("mula", heading).items():
            known = load_dag(dag).params
            assert parameters.keys() <= set(known), dag

            for name, value in parameters.items():
                known[name] = value  # raises for what its schema does not take


def test_the_shell_asks_airflow_as_the_page_says(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None, dict[str, Any]]] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, self.headers.get("authorization"), body))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b'{"access_token": "abc.def"}')

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        lines = [*commands("mula", "Before anything"), commands("mula", "Level 3")[0]]
        address = f"http://127.0.0.1:{listening.server_port}"
        subprocess.run(
            ["bash", "-ec", "\n".join(lines)],
            env={**os.environ, "AIRFLOW": address, "PASSWORD": "secret", "no_proxy": "127.0.0.1"},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        listening.shutdown()
    assert asked == [
        ("/auth/token", None, {"username": "operator", "password": "secret"}),
        (
            "/api/v2/dags/mula_unification_rollback/dagRuns",
            "Bearer abc.def",
            {"logical_date": None, "conf": {"take_back": "newest launch"}},
        ),
    ]
