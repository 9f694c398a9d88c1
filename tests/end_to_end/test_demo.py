"""The main job as a person runs it: `./run demo --approve`, twice, on a home of its own."""

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

from stack.postgres import free_port
from stack.settings import PORTS

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
