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


def _run(repository: Path, home: Path, *arguments: str, within: str = ":") -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(repository / "plugins"), str(repository / "include")])
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN")}
    return subprocess.run(
        ["bash", "-c", f'{within} && exec "$@"', "run", sys.executable, "-m", "stack", *arguments],
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


def test_a_reader_that_goes_gets_no_traceback(repository: Path, tmp_path: Path) -> None:
    # bash's own: the status is that of the command, and not of its reader
    within = '"$@" | true; exit "${PIPESTATUS[0]}"'
    done = _run(repository, tmp_path, "help", within=within)
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")


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


@pytest.mark.parametrize("hard", [256, 1023])
def test_too_few_open_files_are_named_before_anything_is_started(repository: Path, tmp_path: Path, hard: int) -> None:
    done = _run(repository, tmp_path / "home", "down", within=f"ulimit -n {hard}")
    assert done.returncode == 1 and f"[stack.too-few-files] ulimit -n {hard}: " in done.stderr
    assert "To clear it: allow this user 1024 or more" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "home").exists()


def test_a_low_limit_of_open_files_that_may_be_raised_is_raised(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path / "home", "down", within="ulimit -Sn 256")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_a_demonstration_that_does_not_exist_starts_nothing(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "demo", "moon_launch")
    assert done.returncode == 1
    assert done.stderr.startswith("[stack.no-dag] moon_launch")
    assert not (tmp_path / "postgres").exists()


def test_a_bench_that_does_not_exist_is_named(repository: Path, tmp_path: Path) -> None:
    done = _run(repository, tmp_path, "bench", "luck")
    assert done.stderr.startswith("[stack.no-bench] luck")
