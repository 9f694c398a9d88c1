"""How far a run is, and about how long until somebody is asked or it ends: by the one before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cutover.ui.progress import Progress, Task, by

from .conftest import DAG, HERE, RUN_ID, Deployment, Pages, review

BEGAN = datetime(2025, 11, 1, 8, tzinfo=timezone.utc)
# An earlier launch: task → state, minutes after its beginning in which it began and ended.
EARLIER = {
    "preflight.check": ("success", 0, 1),
    "extract.a": ("success", 1, 3),
    "extract.b": ("success", 1, 6),
    "review.build": ("success", 6, 10),
    "approve": ("success", 10, 100),
    "wait": ("success", 100, 400),
    "swap": ("success", 400, 401),
    "verify.suites": ("success", 401, 405),
    "verify.certificate": ("skipped", 402, 402),
}


def tasks(began: datetime, **further: Any) -> dict[tuple[str, int], Task]:
    """Those of the earlier launch with others in their places, as of a run that began then; None: it has not begun."""
    placed = {}
    for name, (state, start, end) in (EARLIER | further).items():
        moments = [None if one is None else began + timedelta(minutes=one) for one in (start, end)]
        placed[(name, -1)] = Task(state, *moments)
    return placed


def names(*begun: str) -> dict[str, Any]:
    """All tasks of a launch but these as not begun."""
    return {name: (None, None, None) for name in EARLIER if name not in begun}


def at(began: datetime, minutes: float, current: dict[str, Any], **earlier: Any) -> Progress | None:
    """How far a run is so long after it began, by the earlier launch."""
    return by(tasks(began, **current), began, tasks(BEGAN, **earlier), began + timedelta(minutes=minutes))


NOW = BEGAN + timedelta(days=1)


def test_the_question_is_as_far_as_it_was_from_the_same_task() -> None:
    assert at(NOW, 0, names()) == Progress(0, 4, False, 600)
    # twice as slow so far: what is ahead takes as long as it took
    slow = names("preflight.check", "extract.a") | {
        "preflight.check": ("success", 0, 2),
        "extract.a": ("success", 2, 6),
    }
    assert at(NOW, 6, slow) == Progress(2, 4, False, 420)
    assert at(NOW, 8, slow) == Progress(2, 4, False, 300), "time goes on while a task is at work"
    late = at(NOW, 20, slow)
    assert late is not None and late.left_s == -420
    assert late.words() == "2 of 4 tasks, longer to the question than in the run before"


def test_what_a_person_takes_to_answer_and_the_time_of_the_swap_are_in_no_estimate() -> None:
    answered = names("preflight.check", "extract.a", "extract.b", "review.build", "approve", "wait")
    answered |= {"approve": ("success", 10, 12), "wait": ("success", 12, 12)}
    assert at(NOW, 12, answered) == Progress(0, 3, True, 300)
    swapped = answered | {"swap": ("success", 12, 13)}
    assert at(NOW, 14, swapped) == Progress(1, 3, True, 180)


def test_a_run_that_did_not_get_so_far_says_nothing() -> None:
    assert at(NOW, 1, names(), approve=(None, None, None)) is None
    answered = names("preflight.check", "extract.a", "extract.b", "review.build", "approve")
    assert at(NOW, 200, answered, approve=("failed", 10, 100)) is None, "it was rejected"
    assert at(NOW, 200, answered, swap=("failed", 400, 401)) is None


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (None, "3 of 9 tasks"),
        (40.4, "3 of 9 tasks, about 40 s to the end"),
        (150, "3 of 9 tasks, about 2 min to the end"),
    ],
)
def test_it_is_said_in_words(left: float | None, words: str) -> None:
    assert Progress(3, 9, True, left).words() == words


def test_pages_and_figures_say_it_by_the_newest_earlier_run_that_got_as_far(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    target.run(review())
    now = datetime.now(timezone.utc)
    began = now - timedelta(minutes=2)
    for number, (state, answer) in enumerate([("success", "success"), ("failed", None), ("success", "success")]):
        ago = began - timedelta(days=3 - number)
        took = 3 - number
        done = {
            "preflight.check": ("success", ago, ago + timedelta(minutes=took)),
            "extract.a": ("success", ago + timedelta(minutes=took), ago + timedelta(minutes=2 * took)),
            "approve": (answer, answer and ago + timedelta(minutes=2 * took), answer and ago + timedelta(hours=1)),
        }
        airflow_runs(DAG if number < 2 else f"{DAG}_rollback", f"earlier{number}", state, done, ago, beside=number > 0)
    current = {"preflight.check": ("success", began, now), "extract.a": ("running", now, None), "approve": (None,) * 3}
    airflow_runs(DAG, RUN_ID, "running", current, began, beside=True)
    for page in (f"{HERE}/review", f"{HERE}/docs", "/cutover/"):
        text = get(page).text
        assert "extract.a is at work; 1 of 2 tasks, about 2 min to the question" in text, page
    run = next(one for one in get(f"/cutover/dags/{DAG}/runs.json").json() if one["dag_run_id"] == RUN_ID)
    assert (run["progress"]["done"], run["progress"]["total"], run["progress"]["is_answered"]) == (1, 2, False)
    assert 100 < run["progress"]["left_s"] <= 180
    assert [one["progress"] for one in get(f"/cutover/dags/{DAG}/runs.json").json() if one is not run][1:] == [None] * 3
