"""When the approved swap happens: waited for, refused before its time and in a freeze, whatever a task's state says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import TaskDeferred

from cutover import review, wait
from cutover.database import clock
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.records.run import get
from cutover.swap import timing
from cutover.swap.execution import Observer
from cutover.swap.transaction import swap

from .test_revert import revert, through
from .tiny import TASKS, Run, World

LATER = timedelta(days=3)


def moment(ahead: timedelta) -> str:
    """A moment so far from now, as somebody in Manila writes it."""
    manila = timezone(timedelta(hours=8))
    return (datetime.now(timezone.utc) + ahead).astimezone(manila).isoformat(timespec="minutes")


def window(opens: timedelta, ends: timedelta) -> str:
    """A weekly window that opens and ends so far from now."""
    now = datetime.now(timezone.utc)
    return f"{now + opens:%a %H:%M}-{now + ends:%a %H:%M} UTC"


def freeze(settings: pytest.MonkeyPatch, name: str = "Christmas sale", **entry: str) -> None:
    """Declare a freeze; without bounds, one that is on."""
    bounds = {"from": "2020-01-01T00:00+00:00", "to": "2100-01-04T00:00+00:00"}
    settings.setenv("AIRFLOW_VAR_CUTOVER_FREEZES", json.dumps([{"name": name, **(entry or bounds)}]))


def thaw(settings: pytest.MonkeyPatch) -> None:
    """Take the calendar away."""
    settings.delenv("AIRFLOW_VAR_CUTOVER_FREEZES")


def approved(world: World, run_id: str = "manual__1", **conf: Any) -> Run:
    """A run that a person has approved."""
    run = world.run(run_id, **conf)
    assert run.until("approve") is None and run.answer() is None
    return run


def looked(world: World) -> Any:
    """What the newest look has recorded."""
    return world.value("select result from cutover.phase where step = 'wait' order by record_id desc limit 1")


def test_a_moment_is_waited_for_and_the_swap_refuses_before_it(world: World, settings: pytest.MonkeyPatch) -> None:
    before = world.rows("public")
    run = approved(world, swap_at=moment(LATER))
    assert run.do("wait") == "deferred" and run.pause is not None
    assert run.pause.method_name == "go_on"
    left = run.pause.trigger.moment - datetime.now(timezone.utc)
    assert timedelta(minutes=59) < left < timedelta(minutes=61), "it looks again every hour"
    assert looked(world)["writes"] == {} and "+08:00" in looked(world)["label"]
    with pytest.raises(TaskDeferred):
        # as Airflow does when the trigger has fired, in another process
        TASKS["wait"]().resume_execution(run.pause.method_name, {"event": run.pause.trigger.moment}, run.context())
    # marked as successful
    said = str(run.do("swap"))
    assert "[swap.too-early]" in said and "in 2 d 23 h" in said and "clear the task wait" in said
    assert world.rows("public") == before
    assert world.value(f"select to_regnamespace('backup_{run.key}') is null"), "refused before any work"
    assert run.do("wait") == "deferred", "and may be run again"
    later = datetime.now(timezone.utc) + LATER + timedelta(hours=2)
    settings.setattr(clock, "now", lambda _: later)
    assert "[swap.missed]" in str(run.do("wait"))


def test_the_question_tells_when_and_what_was_said_of_a_freeze(world: World, settings: pytest.MonkeyPatch) -> None:
    freeze(settings, "Sale | `of` the year")
    run = world.run("manual__1", swap_at=moment(LATER), freeze_override="legal\n**wants** `it`", drift_limit=7)
    assert run.until("approve") is None
    assert "**When.** Once approved, it swaps at " in run.gate.body and "+08:00 (20" in run.gate.body
    assert "during `Sale | of the year` (until 2100-01-04T00:00:00+00:00)" in run.gate.body
    assert "because: `legal **wants** it`." in run.gate.body
    assert "lapses with more than 7 writes after it." in run.gate.body


def test_an_open_window_is_gone_through_at_once_and_stands_in_the_ledger(world: World) -> None:
    text = window(-timedelta(hours=1), timedelta(hours=2))
    run = approved(world, swap_at=text)
    assert run.do("wait") is None and run.do("swap") is None and run.do("verify.certificate") is None
    assert world.value("select report -> 'timing' from cutover.ledger") == {
        "swap_at": text, "freeze_override": None, "frozen": None,
    }  # fmt: skip
    assert run.do("wait") is None, "what has happened is not waited for"
    with psycopg.connect(world.dsn) as connection:
        assert wait.of_run(connection, run.key) is None


def test_nothing_said_is_at_once_and_leaves_nothing_behind(reviewed: World) -> None:
    run = reviewed.run("manual__1")
    assert run.do("approve") == "waiting" and "**When.**" not in run.gate.body and run.answer() is None
    assert run.do("wait") is None and looked(reviewed) is None
    assert run.do("swap") is None
    assert reviewed.value("select report -> 'timing' from cutover.ledger") is None


def test_a_window_that_was_missed_is_followed_by_the_next_for_which_the_approval_is_good(world: World) -> None:
    run = approved(world, swap_at=window(-timedelta(hours=3), -timedelta(hours=1)))
    assert run.do("wait") == "deferred"
    ahead = datetime.fromisoformat(looked(world)["opens_at"]) - datetime.now(timezone.utc)
    assert timedelta(days=6, hours=20) < ahead < timedelta(days=7)
    assert "[swap.too-early]" in str(run.do("swap"))
    good = world.value("select expires_at - decided_at from cutover.approvals")
    assert timedelta(days=13) < good < timedelta(days=14), "of which one may be missed"
    with psycopg.connect(world.dsn) as connection:
        shown = wait.of_run(connection, run.key)
    assert shown is not None and 0 < shown["left_s"] < 7 * 86_400


def test_without_an_answer_on_record_nothing_is_waited_for(world: World) -> None:
    run = world.run("manual__1", swap_at=moment(LATER))
    assert "[run.unknown]" in str(run.do("wait")), "nor is anything installed"
    assert run.until("review.build") is None
    assert "[swap.not-approved]" in str(run.do("wait")), "approve was marked as successful"
    assert run.do("approve") == "waiting"
    assert "[swap.not-approved]" in str(run.do("wait"))
    assert "[approve.rejected]" in str(run.answer("Reject"))
    assert "[swap.not-approved]" in str(run.do("wait")) and "rejected" in str(run.do("wait"))


def test_a_freeze_between_approval_and_swap_refuses_until_it_is_over(
    reviewed: World, settings: pytest.MonkeyPatch
) -> None:
    world, run = reviewed, reviewed.run("manual__1")
    assert run.do("approve") == "waiting" and run.answer() is None
    assert run.do("wait") is None
    freeze(settings)
    for task in ("swap", "wait"):
        said = str(run.do(task))
        assert "[swap.frozen]" in said and "Christmas sale, until Mon 2100-01-04 00:00 UTC" in said, task
    assert world.rows("public")["people"] == [(1, "Ana", 1)]
    assert world.value("select consumed_at is null from cutover.approvals"), "the answer stays good"
    settings.setenv("AIRFLOW_VAR_CUTOVER_FREEZES", "[{")
    for task in ("swap", "wait"):
        assert "[swap.bad-freezes]" in str(run.do(task)), "what cannot be read is no calendar without a freeze"
    thaw(settings)
    assert run.do("wait") is None and run.do("swap") is None
    freeze(settings)
    assert run.do("swap") is None, "what has happened is only finished"


@pytest.mark.parametrize(("begins", "ends"), [("planned", "planned"), ("locking", "locked")])
def test_a_freeze_that_begins_while_the_swap_is_prepared_or_looks_for_its_lock_ends_it(
    reviewed: World, begins: str, ends: str
) -> None:
    world, run = reviewed, reviewed.run("manual__1")
    assert run.do("approve") == "waiting" and run.answer() is None
    moments: list[str] = []

    class Meanwhile:
        words = "declared meanwhile"

        def spans(self, since: datetime, until: datetime) -> Iterator[timing.Span]:
            if begins in moments:
                yield timing.Span(since, until + LATER)

    class Watch(Observer):
        def at(self, moment: str) -> None:
            moments.append(moment)

    def connect() -> psycopg.Connection:
        return psycopg.connect(world.dsn)

    with connect() as connection:
        row = get(connection, run.key)
    order = review.order(load("tiny"), row, freezes=[timing.Freeze("late", Meanwhile())])
    with pytest.raises(CutoverError, match=r"during late"):
        swap(connect, order, print, Watch())
    assert moments[-1] == ends, "where it is known before, no client waits for a lock"
    assert world.rows("public")["people"] == [(1, "Ana", 1)]
    assert world.value("select consumed_at is null from cutover.approvals")
    assert run.do("swap") is None


def test_in_a_freeze_nobody_is_asked_but_with_a_reason_that_the_ledger_keeps(
    world: World, settings: pytest.MonkeyPatch
) -> None:
    freeze(settings)
    assert "[swap.frozen]" in str(world.run("manual__1").do("preflight.check"))
    assert "[swap.frozen]" in str(world.run("manual__1", swap_at=moment(LATER)).do("preflight.check"))
    assert "[swap.frozen]" in str(world.run("manual__1", freeze_override=" ").do("preflight.check"))
    assert world.run("manual__2", dry_run=True).until("review.build") is None, "what swaps nothing is not frozen"

    run = approved(world, "manual__3", freeze_override="an outage: the old tables are unusable")
    assert run.do("wait") is None and run.do("swap") is None
    assert world.value("select report -> 'timing' from cutover.ledger") == {
        "swap_at": None,
        "freeze_override": "an outage: the old tables are unusable",
        "frozen": {"name": "Christmas sale", "ends_at": "2100-01-04T00:00:00+00:00"},
    }


@pytest.mark.parametrize("last", ["validate.suites", "review.build"])
def test_a_freeze_declared_while_it_is_prepared_is_told_before_anybody_is_asked(
    world: World, settings: pytest.MonkeyPatch, last: str
) -> None:
    run = world.run("manual__1", swap_at=moment(LATER))
    assert run.until(last) is None
    freeze(settings)
    assert "[swap.frozen]" in str(run.do("review.build" if last == "validate.suites" else "approve"))
    assert run.gate is None and world.value("select asked_at is null from cutover.run")
    thaw(settings)
    assert (last == "review.build" or run.do("review.build") is None) and run.do("approve") == "waiting"


def test_a_freeze_of_another_database_is_none_and_one_of_no_database_is_a_mistake(
    world: World, settings: pytest.MonkeyPatch
) -> None:
    bounds = {"from": "2020-01-01T00:00+00:00", "to": "2100-01-04T00:00+00:00"}
    freeze(settings, connection="unified", **bounds)
    assert world.run("manual__1").do("preflight.check") is None
    freeze(settings, connection="prodution", **bounds)
    said = str(world.run("manual__2").do("preflight.check"))
    assert "[swap.bad-freezes]" in said and "Did you mean `production`?" in said


def test_rollbacks_and_reverts_are_never_frozen(launched: World, settings: pytest.MonkeyPatch) -> None:
    freeze(settings)
    assert through(revert(launched)) is None
    back = launched.rollback("manual__2")
    assert back.do("preview") is None and back.do("approve") == "waiting" and back.answer() is None
    assert back.do("rollback") is None


@pytest.mark.parametrize(
    ("conf", "code"),
    [
        ({"swap_at": "asap"}, "swap.bad-time"),
        ({"swap_at": "Sat 04:00-05:00 asia/manila"}, "swap.bad-time"),
        ({"swap_at": "2020-12-05T04:00+08:00"}, "swap.bad-time"),
        ({"swap_at": "2999-12-05T04:00+08:00"}, "swap.bad-time"),
        ({"swap_at": "Sat 04:00-05:00 UTC", "maintenance_window": True}, "swap.two-times"),
    ],
)
def test_what_cannot_be_is_refused_by_the_first_task(world: World, conf: dict[str, Any], code: str) -> None:
    assert f"[{code}]" in str(world.run("manual__1", **conf).do("preflight.check"))
    assert world.value("select to_regclass('cutover.run')") is None, "and nothing was installed yet"


def test_writes_since_the_approval_are_counted_and_above_the_bound_it_lapses(world: World) -> None:
    world.execute("insert into raw.people values (7, 'Gil', 7)")
    run = world.run("manual__1", swap_at=window(-timedelta(hours=1), timedelta(hours=2)), drift_limit=2)
    assert run.until("approve") is None
    world.execute("update public.people set amount = 2 where id = 1")
    assert run.answer() is None
    world.execute("insert into public.people values (3, 'Cem', 3)", "insert into public.orders values (1, 1)")
    assert run.do("wait") is None
    assert looked(world)["writes"] == {"public.people": 1, "public.orders": 1}, "not what was written before"
    world.execute("update public.people set amount = 4 where id = 3")
    # marked as successful
    said = str(run.do("swap"))
    assert "[swap.drift]" in said and "3 writes were captured since the approval, and at most 2" in said
    said = str(run.do("wait"))
    assert "[swap.lapsed]" in said and "reviewer has lapsed" in said and "trigger a new run" in said
    assert "[swap.not-approved]" in str(run.do("swap")) and "[swap.not-approved]" in str(run.do("wait"))
    assert world.value("select consumed_by from cutover.approvals").startswith("lapsed: 3 writes")
    assert approved(world, "manual__2").do("swap") is None, "a new run has the schemas"


def test_the_limit_of_all_writes_ends_the_wait_as_it_would_the_swap(world: World) -> None:
    run = approved(world, swap_at=moment(LATER), on_drift="refuse")
    assert run.do("wait") == "deferred"
    world.execute("update public.people set amount = 2 where id = 1")
    said = str(run.do("wait"))
    assert "[swap.lapsed]" in said and "on_drift=refuse" in said


def test_a_run_that_waits_for_its_time_keeps_the_schemas_until_it_is_called_off(world: World) -> None:
    first, second = approved(world, swap_at=moment(LATER)), world.run("manual__2")
    assert first.do("wait") == "deferred"
    assert second.until("freeze.capture") is None
    assert second.do("freeze.snapshot") == "AirflowRescheduleException"
    world.ended.add("manual__1")
    assert second.do("freeze.snapshot") is None
    assert world.value("select consumed_by from cutover.approvals") == "called off: its run has ended"
    for task in ("wait", "swap"):
        assert "[run.overtaken]" in str(first.do(task)), task
