"""Background processes are found by the mark that they carry, whatever became of the command that started them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stack.processes import Processes

# A parent with one child; both last until they are ended.
_PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    home = tmp_path / "home"
    home.mkdir()
    made = Processes(home, home / "logs")
    yield made
    made.stop(patience=0)


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _start(processes: Processes, component: str, code: str) -> psutil.Process:
    started = processes.start(component, [sys.executable, "-c", code], dict(os.environ))
    _wait_for(lambda: "ready" in processes.log(component).read_text())
    return started


def test_what_runs_is_not_started_again(processes: Processes) -> None:
    first = _start(processes, "parent", _PARENT)
    assert processes.start("parent", ["/nowhere"], {}).pid == first.pid


def test_another_command_finds_and_stops_all_of_it(processes: Processes) -> None:
    _start(processes, "parent", _PARENT)
    _wait_for(lambda: len(processes.members().get("parent", [])) == 2)
    another = Processes(processes.home, processes.logs)
    assert another.stop() == 2
    assert another.members() == {}


def test_orphans_of_a_killed_parent_are_no_leader_and_are_stopped(processes: Processes) -> None:
    parent = _start(processes, "parent", _PARENT)
    _wait_for(lambda: len(processes.members().get("parent", [])) == 2)
    os.kill(parent.pid, signal.SIGKILL)
    _wait_for(lambda: len(processes.members().get("parent", [])) == 1)
    (orphan,) = processes.members()["parent"]
    assert processes.leader("parent") is None
    again = _start(processes, "parent", _PARENT)
    assert again.pid != parent.pid
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_one_that_does_not_listen_is_killed(processes: Processes) -> None:
    _start(processes, "stubborn", _STUBBORN)
    started = time.monotonic()
    assert processes.stop(patience=0.5) == 1
    assert time.monotonic() - started > 0.5
    assert processes.members() == {}


def test_another_homes_processes_are_left_alone(processes: Processes, tmp_path: Path) -> None:
    _start(processes, "parent", _PARENT)
    (tmp_path / "other").mkdir()
    other = Processes(tmp_path / "other", tmp_path / "other" / "logs")
    assert other.members() == {}
    assert other.stop() == 0
    assert processes.leader("parent") is not None


def test_a_log_is_for_its_owner_and_does_not_grow_for_ever(processes: Processes) -> None:
    processes.logs.mkdir()
    processes.log("parent").write_bytes(b"x" * (21 * 1024 * 1024))
    _start(processes, "parent", _PARENT)
    assert processes.log("parent").stat().st_size < 1000
    assert processes.log("parent").stat().st_mode & 0o077 == 0
