"""How long a start is waited for: as long as there is progress, and never beyond the bound."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from cutover.errors import CutoverError
from stack import airflow
from stack.airflow import Airflow
from stack.settings import Settings


class Start:
    """A start of Airflow on a clock that moves only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, **variables: str) -> None:
        self.now = 0.0
        self.waits: set[str] = set()
        self.airflow = Airflow(Settings.read({"CUTOVER_HOME": str(home), **variables}))
        # processor seconds by the clock: 0 for a start that hangs
        self.pace = 0.1
        self.healthy_at = float("inf")
        clock: Any = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(airflow, "time", clock)
        self.warm_at = 0.0
        monkeypatch.setattr(self.airflow, "_ask", self.ask)
        monkeypatch.setattr(self.airflow, "unhealthy", lambda: [] if self.now >= self.healthy_at else ["scheduler"])
        monkeypatch.setattr(self.airflow, "_processor_time", lambda _: self.now * self.pace)
        monkeypatch.setattr(
            self.airflow, "processes", SimpleNamespace(leader=lambda _: object(), log=lambda _: home / "log")
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self, path: str, timeout: float) -> None:
        if self.now < self.warm_at:
            self.now += timeout
            raise requests.ReadTimeout(path)

    def wait(self) -> None:
        self.airflow.wait_until_healthy(tell=self.waits.add)


def test_a_slow_start_is_waited_for_while_there_is_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = Start(monkeypatch, tmp_path)
    start.healthy_at = 700.0
    start.wait()
    assert start.now == 700.0
    assert {"scheduler (0 s)", "scheduler (350 s)"} <= start.waits


def test_an_api_that_tasks_talk_to_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = Start(monkeypatch, tmp_path)
    start.healthy_at, start.warm_at = 0.0, 130.0
    start.wait()
    assert 130 <= start.now < 200
    assert start.waits and all(said.startswith("api-server (") for said in start.waits)


@pytest.mark.parametrize(("variables", "seconds"), [({}, 900), ({"CUTOVER_START_MINUTES": "4"}, 240)])
def test_progress_without_an_end_is_given_up_at_the_bound(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], seconds: int
) -> None:
    start = Start(monkeypatch, tmp_path, **variables)
    with pytest.raises(
        CutoverError, match=rf"stack.airflow-not-healthy\] scheduler: not healthy after {seconds} s"
    ) as raised:
        start.wait()
    assert "CUTOVER_START_MINUTES=" in raised.value.remedy
    assert seconds < start.now <= seconds + 1


def test_a_start_that_does_nothing_is_given_up_early(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = Start(monkeypatch, tmp_path)
    start.pace = 0.0
    with pytest.raises(CutoverError, match="it has done nothing for 120 s"):
        start.wait()
    assert 120 < start.now <= 121
