"""The main job as a person runs it: `./run demo --approve`, twice, on a home of its own; then what its operators do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from stack.postgres import bin_dir, free_port
from stack.settings import PORTS, PRODUCTION_DATABASE, Settings

pytestmark = pytest.mark.timeout(900)


@dataclass
class Home:
    """A deployment that only this test uses."""

    folder: Path
    repository: Path

    def __post_init__(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CUTOVER"))}
        names = tuple(PORTS)
        self.environment = {
            **inherited,
            **{name: str(free_port()) for name in names},
            "CUTOVER_HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join([str(self.repository / "plugins"), str(self.repository / "include")]),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stack", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("demo") / "home", Path(__file__).resolve().parents[2])
    try:
        yield made
    finally:
        made.run("down")


def test_from_nothing_to_a_checked_production(home: Home) -> None:
    done = home.run("demo", "--approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    phases = re.findall(r"^  ([a-z]+) +✓", done.stdout, re.MULTILINE)
    phases.remove("baseline")  # beside the question, for the watch
    assert phases == [
        "preflight", "extract", "freeze", "transform", "validate", "review", "approve", "wait", "swap", "verify",
    ]  # fmt: skip
    assert "Production is what it should be" in done.stdout
    assert re.search(r"public\.leads +- +15,270", done.stdout)


def test_the_stack_stays_up_to_look_around(home: Home) -> None:
    dsn = home.run("dsn", "production").stdout.strip()
    with psycopg.connect(dsn) as production:
        row = production.execute("select count(*) from public.transactions where xendit_invoice_id is not null")
        assert row.fetchone() == (6136,)


def test_a_second_run_changes_no_row_and_says_so_and_stops_at_the_approval_if_told(home: Home) -> None:
    waiting = home.run("demo")
    assert waiting.returncode == 0, waiting.stdout + waiting.stderr
    assert "waits for a person's approval" in waiting.stdout
    done = home.run("demo", "--approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Going on with the run that has not finished yet." in done.stdout
    assert "Production: no row was added, removed or changed" in done.stdout


@pytest.fixture(scope="module")
def operated(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that docs/operations.md asks for, of the deployment that has launched."""
    settings = Settings.read(home.environment)
    backup = tmp_path_factory.mktemp("backup")
    server = settings.postgres
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in ("restored", "restored_evidence"):
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    programs = os.pathsep.join([str(Path(sys.executable).parent), str(bin_dir()), os.environ.get("PATH", "")])
    return settings.airflow_environment() | home.environment | {
        "PATH": programs, "BACKUP": str(backup), "RESTORED": server.dsn("restored"),
        "RESTORED_EVIDENCE": server.dsn("restored_evidence"), "ADMIN": server.dsn(PRODUCTION_DATABASE),
    }  # fmt: skip


def test_what_the_page_on_operations_says_can_be_done(home: Home, operated: dict[str, str]) -> None:
    """All of its blocks, in one shell, as they stand: what one sets counts for those after it."""
    page = (home.repository / "docs" / "operations.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    script = "\n".join(f"echo '== {number}'\n{block}" for number, block in enumerate(blocks))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=home.repository, env=operated, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    answers = dict(enumerate(re.split(r"== \d+\n", done.stdout)[1:]))
    by_command = {command: answers[number] for number, block in enumerate(blocks) for command in block.splitlines()}
    # what was encrypted is read again, from the restored database and with the new key
    assert by_command["airflow variables get cutover_approvers"].count("reviewer") == 1
    for command in (
        'AIRFLOW_CONN_RESTORED="$RESTORED_EVIDENCE" ./run verify-ledger restored',
        "./run verify-ledger production",
    ):
        assert "is as it was written" in by_command[command]
    production = home.run("dsn", "production").stdout.strip()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(production)
