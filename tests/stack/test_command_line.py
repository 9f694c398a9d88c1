"""What `./run` answers to a person."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.demonstration import say_where
from stack.deployment import Deployment
from stack.progress import Console
from stack.settings import Settings


def _run(repository: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(repository / "plugins"), str(repository / "include")])
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN")}
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        env={**variables, "PYTHONPATH": paths, "CUTOVER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help(repository: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = _run(repository, tmp_path, *arguments)
    assert done.returncode == 0
    for command in ("demo", "up", "down", "dsn", "test", "lint", "lock", "bench"):
        assert f"\n  {command} " in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 120


def test_an_unknown_command_gets_the_help_and_status_2(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "launch")
    assert done.returncode == 2
    assert done.stderr.startswith("./run launch: there is no such command.")


def test_nothing_to_stop_is_no_error(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_the_end_of_a_demonstration_names_the_database_it_was_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = Deployment(Settings.read({"CUTOVER_HOME": str(tmp_path)}), Console())
    say_where(deployment, "unified")
    assert capsys.readouterr().out.splitlines()[-1] == "  look       ./run dsn unified           stop       ./run down"


def test_a_dsn_needs_its_server(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "dsn", "production")
    assert done.returncode == 1
    assert done.stderr.startswith("[stack.not-running] connection production")


def test_a_demonstration_that_does_not_exist_starts_nothing(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "demo", "moon_launch")
    assert done.returncode == 1
    assert done.stderr.startswith("[stack.no-dag] moon_launch")
    assert not (tmp_path / "postgres").exists()


def test_a_bench_that_does_not_exist_is_named(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "bench", "luck")
    assert done.stderr.startswith("[stack.no-bench] luck")
