"""The tasks of a launch, each left out, run again, or beside those of another run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cutover import outlook
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.base import reading
from cutover.records.run import get
from cutover.review import samples

from .tiny import TASKS, World

# the wait does nothing that could be missed: test_wait.py
BEFORE_THE_SWAP = list(TASKS)[:-3]
MISSED_AS = {
    "preflight.check": "[run.unknown]",
    "freeze.capture": "[freeze.not-captured]",
    "freeze.snapshot": "[run.overtaken]",
    "transform.prepare": "[transform.not-prepared]",
    "transform.people": "[transform.not-loaded]",
    "transform.orders": "[transform.not-loaded]",
    "transform.keys": "[validate.no-keys]",
    "validate.suites": "[review.not-validated]",
    "review.rehearse": "[review.not-rehearsed]",
    "review.probe": "[review.not-probed]",
    "review.build": "[approve.not-reviewed]",
    "approve": "[swap.not-approved]",
}


def test_a_launch_goes_through_and_each_of_its_tasks_may_be_run_again_or_says_why_not(world: World) -> None:
    run = world.run("manual__1", rehearse=True, probe=True)
    assert run.until("approve") is None
    assert run.answer() is None
    assert run.do("swap") is None and run.do("verify.certificate") is None
    assert world.rows("public")["people"] == [(1, "Ana", 10), (2, "Ben", 20)]
    stored = "select to_jsonb(r)::text from cutover.run as r"
    before = world.value(stored)
    for task_id in BEFORE_THE_SWAP[:-1]:
        assert "[run.asked]" in str(run.do(task_id)), task_id
    assert run.do("approve") is None, "the answer is found, and nobody is asked again"
    assert run.do("swap") is None and run.do("verify.certificate") is None
    assert world.value(stored) == before
    assert world.value("select count(*) from cutover.ledger") == 1


@pytest.mark.parametrize("task_id", BEFORE_THE_SWAP)
def test_a_task_that_was_marked_successful_is_missed(world: World, task_id: str) -> None:
    before = world.rows("public")
    run = world.run("manual__1", rehearse=task_id == "review.rehearse", probe=task_id == "review.probe")
    assert MISSED_AS[task_id] in str(run.until("swap", task_id))
    if task_id != "approve":
        assert run.gate is None, "nobody was asked"
    assert world.rows("public") == before


def test_a_failed_validation_that_was_marked_successful_reaches_no_question(world: World) -> None:
    world.execute("update raw.people set amount = -1 where id = 2")
    run = world.run("manual__1")
    assert "[validate.failed]" in str(run.until("validate.suites"))
    said = str(run.do("review.build"))
    assert "[review.not-validated]" in said and "Nobody owes less than nothing" in said
    assert "[approve.not-validated]" in str(run.do("approve"))
    assert "[swap.not-validated]" in str(run.do("swap"))
    assert world.rows("public")["people"] == [(1, "Ana", 1)]


MEDDLED = {
    "switched off and on": "alter table public.people disable trigger all; "
    "alter table public.people enable trigger all",
    "dropped": "drop trigger cutover_capture on public.people",
    "made anew": "alter table public.people rename to old; create table public.people (like public.old including all)",
}


@pytest.mark.parametrize(("last", "meddled"), zip(["validate.suites", "review.build", "approve"], MEDDLED, strict=True))
def test_a_gap_of_the_capture_is_told_as_soon_as_somebody_looks(world: World, last: str, meddled: str) -> None:
    """At the review, at the question, at the answer: not only at the swap."""
    run = world.run("manual__1")
    assert run.until(last) is None
    world.execute(*MEDDLED[meddled].split("; "))
    said = str(
        run.answer() if last == "approve" else run.do("review.build" if last == "validate.suites" else "approve")
    )
    assert "[swap.capture-gap] public.people" in said
    assert "after the freeze" in said
    assert meddled != "switched off and on" or "UTC, after the freeze" in said, "from when"
    assert world.value("select count(*) from cutover.approvals where decision = 'approve'") == 0


def test_rows_that_were_changed_after_their_validation_are_not_reviewed(world: World) -> None:
    run = world.run("manual__1")
    assert run.until("validate.suites") is None
    world.execute("update staging.people set amount = -5 where id = 2")
    assert "[review.not-validated]" in str(run.do("review.build"))
    world.execute("update staging.people set amount = 20 where id = 2")
    assert run.do("review.build") is None
    world.execute("update cutover.run set validation = jsonb_set(validation, '{success}', '1')")
    assert "[review.not-validated]" in str(run.do("review.build"))


def test_nobody_changes_what_is_staged_while_it_is_validated(world: World, settings: pytest.MonkeyPatch) -> None:
    from cutover.validate import validation

    refused: list[str] = []

    def meanwhile(*_: object) -> tuple[str, str]:
        try:
            world.execute("set lock_timeout = '50ms'", "update staging.people set amount = -5")
        except Exception as error:
            refused.append(str(error))
        return "docs", "0" * 64

    settings.setattr(validation.data_docs, "write", meanwhile)
    run = world.run("manual__1")
    assert run.until("review.build") is None
    assert len(refused) == 1 and "lock timeout" in refused[0]


def test_a_load_that_is_done_again_alone_makes_the_review_stale(world: World) -> None:
    run = world.run("manual__1")
    assert run.until("review.build") is None
    assert run.do("transform.orders") is None
    said = str(run.do("approve"))
    assert "[approve.no-keys]" in said and "the load of orders anew" in said
    assert "clear the task transform.keys" in said
    assert run.do("transform.keys") is None and run.do("validate.suites") is None
    assert run.do("review.build") is None and run.do("approve") == "waiting"


def test_a_second_run_waits_for_the_first_one_s_answer_and_is_told_so(world: World) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("approve") is None
    assert second.until("freeze.capture") is None
    tables = "select array_agg(oid::text || relname) from pg_class where relnamespace = to_regnamespace('input')"
    copied = world.value(tables)
    assert copied
    assert second.do("freeze.snapshot") == "AirflowRescheduleException"
    # not even somebody who clears a phase of the first one takes from it what it was asked about
    assert "[run.asked]" in str(first.do("freeze.snapshot"))
    assert world.value(tables) == copied
    assert first.answer() is None
    assert second.do("freeze.snapshot") == "AirflowRescheduleException"
    assert first.do("swap") is None
    assert second.until("approve") is None
    assert second.answer() is None and second.do("swap") is None
    assert world.value("select count(*) from cutover.ledger") == 2


def test_the_outlook_is_looked_at_while_the_question_waits_and_told_when_it_changes(
    world: World, settings: pytest.MonkeyPatch
) -> None:
    lines: list[notify.Message] = []
    settings.setattr(notify, "tell", lambda message, _log: lines.append(message) or [])
    assert "nobody is asked" in world.look(), "nothing has been installed yet"
    run = world.run("manual__1")
    assert run.until("review.build") is None
    assert "nobody is asked" in world.look()
    assert run.do("approve") == "waiting"
    lines.clear()  # that the question is asked
    assert world.look() == "Nothing stands in the way of the swap." and lines == []
    world.execute("create table public.keepsakes (person public.people)")
    assert [world.look(), world.look()] == ["1 thing would stop the swap now."] * 2
    (message,) = lines
    assert message.lines == ("1 thing would stop the swap now.", "swap.row-type-column")
    world.execute("drop table public.keepsakes")
    assert world.look() == "Nothing stands in the way of the swap."
    assert [one.lines[0] for one in lines] == [
        "1 thing would stop the swap now.",
        "Nothing stands in the way of the swap.",
    ]
    assert run.answer() is None
    assert "nobody is asked" in world.look()
    settings.setenv("AIRFLOW_CONN_PRODUCTION", "postgres://nobody@127.0.0.1:1/nowhere")
    assert "[connect.unreachable]" in world.look()


def test_rows_that_name_a_table_by_its_identity_are_told_to_the_approver_with_their_number(world: World) -> None:
    world.execute(
        "create table public.subscribed (id integer primary key, entity regclass, other regclass)",
        "insert into public.subscribed values (1, 'people', 'subscribed'), (2, 'people', null), (3, 'orders', null)",
        "insert into public.subscribed values (4, 'subscribed', null)",
    )
    run = world.run("manual__1")
    assert run.until("approve") is None
    stored = "select r.review from cutover.run as r"
    (row,) = [one for one in world.value(stored)["warnings"] if one["name"] == "regclass_values"]
    assert (row["total"], row["rows"]) == (3, [["public.subscribed.entity", 3]])
    assert "will name the old one: set them anew after the launch" in row["title"]
    assert f"* {row['title']}: **3**" in run.gate.body
    assert run.answer() is None and run.do("swap") is None
    named = "select array_agg(entity::regclass::text order by id) from public.subscribed"
    assert set(world.value(named)[:3]) == {f"backup_{run.key}.people", f"backup_{run.key}.orders"}


CHANGED = {
    "a column more": ("add column extra text", "drop column extra", "extra", "has this column (text), the incoming"),
    # one that writes no row anew: those that do are a gap of the capture
    "another type": ("alter name type varchar", "alter name type text", "name", "it is character varying, in"),
    "null allowed no longer": ("alter name set not null", "alter name drop not null", "name", "it is text not null"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_column_is_named_to_whoever_is_to_be_asked_and_to_whoever_thinks(world: World, change: str) -> None:
    altered, back, column, why = CHANGED[change]

    def named(said: str) -> bool:
        return f"[swap.columns-changed] people.{column}" in said.replace("public.", "") and why in said

    run = world.run("manual__1")
    assert run.until("validate.suites") is None
    world.execute(f"alter table public.people {altered}")
    assert named(str(run.do("review.build"))), "nobody is asked about what could not be swapped"
    world.execute(f"alter table public.people {back}")
    assert run.do("review.build") is None and run.do("approve") == "waiting"
    assert world.look() == "Nothing stands in the way of the swap."
    world.execute(f"alter table public.people {altered}")
    with reading(load("tiny")) as connection:
        (reason,) = outlook.look(connection, load("tiny"), get(connection, run.key)).reasons
    assert named(reason)
    world.execute(f"alter table public.people {back}")
    assert run.answer() is None and run.do("swap") is None and run.do("verify.certificate") is None
    world.execute(f"alter table public.people {altered}")
    # the rows that come back follow it
    undo = world.rollback("manual__2")
    assert undo.do("preview") is None and undo.do("approve") == "waiting"
    assert f"people.{column}`: " in undo.gate.body
    assert undo.answer() is None and undo.do("rollback") is None


def test_a_run_that_was_marked_failed_while_it_waited_is_waited_for_no_more(world: World) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("approve") is None
    assert second.until("freeze.capture") is None
    assert second.do("freeze.snapshot") == "AirflowRescheduleException"
    world.ended.add("manual__1")
    assert second.do("freeze.snapshot") is None
    assert "[run.overtaken]" in str(first.answer()), "whoever clears it and answers late is told"
    assert second.until("approve") is None and second.answer() is None and second.do("swap") is None


def test_an_approval_outlives_the_run_that_was_marked_failed(world: World) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("approve") is None and first.answer() is None
    world.ended.add("manual__1")
    assert second.until("freeze.capture") is None
    assert second.do("freeze.snapshot") == "AirflowRescheduleException"
    assert first.do("swap") is None, "its task was cleared"
    assert second.do("freeze.snapshot") is None


def test_a_second_run_takes_over_from_one_that_was_not_asked_and_that_one_is_told_so(world: World) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("transform.people") is None
    assert second.until("freeze.snapshot") is None
    for task_id in ("transform.prepare", "transform.orders", "transform.keys", "validate.suites", "review.build"):
        assert "[run.overtaken]" in str(first.do(task_id)), task_id
    assert second.until("approve") is None


@pytest.mark.parametrize("end", ["rejected", "not an approver"])
def test_a_run_whose_question_is_over_frees_the_workspace(world: World, end: str) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("approve") is None
    said = first.answer("Reject") if end == "rejected" else first.answer(person="somebody")
    assert said is not None
    assert second.until("freeze.snapshot") is None
    assert "[run.overtaken]" in str(first.do("approve")) or end == "rejected"


def test_an_answer_that_was_recorded_is_found_when_the_gate_has_failed(world: World) -> None:
    run = world.run("manual__1")
    assert run.until("approve") is None and run.answer() is None
    # Airflow: "the task has finished with state success, but its state is queued"
    assert run.do("approve") is None and run.gate is None
    assert run.do("swap") is None

    rejected = world.run("manual__2")
    assert rejected.until("approve") is None
    # hours ago, and good for one if it were an approval
    assert "[approve.rejected]" in str(rejected.answer("Reject", at=datetime.now(timezone.utc) - timedelta(hours=2)))
    assert "[approve.rejected] approve: reviewer rejected the swap" in str(rejected.do("approve"))
    assert rejected.gate is None


def test_an_answer_that_was_not_taken_is_asked_for_again(world: World) -> None:
    run = world.run("manual__1")
    assert run.until("approve") is None
    assert "[approve.not-an-approver]" in str(run.answer(person="somebody"))
    assert "[swap.not-approved]" in str(run.do("swap"))
    assert run.do("approve") == "waiting"
    assert run.answer() is None and run.do("swap") is None


@pytest.mark.parametrize(
    ("given", "code"), [({"person": None}, "approve.nobody"), ({"fingerprint": "0" * 64}, "approve.changed")]
)
def test_an_answer_of_nobody_or_to_another_form_is_not_taken(world: World, given: dict[str, Any], code: str) -> None:
    run = world.run("manual__1")
    assert run.until("approve") is None
    assert f"[{code}]" in str(run.answer(**given))
    assert "[swap.not-approved]" in str(run.do("swap"))


@pytest.mark.parametrize("task_id", ["preflight.check", "approve"])
def test_a_parameter_that_the_dag_does_not_have_is_refused_with_the_nearest_name(world: World, task_id: str) -> None:
    said = str(world.run("manual__1", dryrun=True).do(task_id))
    assert "[run.unknown-parameter] parameter dryrun" in said and "did you mean dry_run?" in said
    assert "did you mean" not in str(world.run("manual__2", quux=1).do(task_id))


def test_preflight_says_for_whom_the_run_will_wait_and_touches_nothing_of_theirs(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = world.run("manual__1"), world.run("manual__2")
    assert first.until("approve") is None
    with caplog.at_level("WARNING"):
        assert second.do("preflight.check") is None
    assert world.rows("staging") == first.foreseen[1]  # type: ignore[index]
    assert first.answer() is None and first.do("swap") is None


def test_a_rollback_s_tasks_are_looked_up_as_a_launch_s_are(world: World) -> None:
    launch, back = world.run("manual__1"), world.rollback("manual__2")
    before = world.rows("public")
    assert launch.until("approve") is None and launch.answer() is None and launch.do("swap") is None
    assert "[run.unknown]" in str(back.do("approve")) and "[run.unknown]" in str(back.do("rollback"))
    assert back.do("preview") is None
    assert "[rollback.not-approved]" in str(back.do("rollback"))
    assert back.do("approve") == "waiting"
    assert "[run.asked]" in str(back.do("preview"))
    assert "[swap.not-approved]" in str(back.do("rollback"))
    assert back.answer() is None and back.do("approve") is None
    assert back.do("rollback") is None and back.do("rollback") is None
    assert world.rows("public") == before


def test_a_review_is_of_one_moment_whatever_is_changed_while_it_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the form would bind an answer to is what the figures before it were taken from."""
    original = samples.of_tables

    def meanwhile(*given: Any) -> Any:
        world.execute("update staging.people set amount = amount + 1")
        return original(*given)

    run = world.run("manual__1")
    assert run.until("validate.suites") is None
    monkeypatch.setattr(samples, "of_tables", meanwhile)
    assert run.do("review.build") is None
    assert "[approve.changed]" in str(run.do("approve"))
    world.execute("update staging.people set amount = amount - 1")
    assert run.do("approve") == "waiting", "what was reviewed is what is staged again"


def test_a_rehearsal_is_on_the_review_and_done_again_makes_it_stale(world: World) -> None:
    run = world.run("manual__1", rehearse=True)
    assert run.until("validate.suites") is None
    assert "[review.not-rehearsed]" in str(run.do("review.build"))
    before = world.rows("public")
    assert run.do("review.rehearse") is None and run.do("review.build") is None
    assert world.rows("public") == before
    assert world.value("select count(*) from cutover.ledger") == 0
    assert run.do("review.rehearse") is None
    assert "[approve.not-reviewed]" in str(run.do("approve")) and run.gate is None
    assert run.do("review.build") is None and run.do("approve") == "waiting"
    row = world.value("select review -> 'rehearsal' from cutover.run")
    assert row["reason"] is None and row["statements"] > 0
    assert f"clients will wait {row['hold_ms']:,.0f} ms, as rehearsed" in run.gate.body
    assert "**Rehearsed** at " in run.gate.body and "catalogue equal" in run.gate.body
    assert "[run.asked]" in str(run.do("review.rehearse"))
    assert run.answer() is None and run.do("swap") is None

    undo = world.rollback("manual__2")
    undo.conf["rehearse"] = True
    assert undo.do("preview") is None and undo.do("approve") == "waiting"
    assert "**Rehearsed** at " in undo.gate.body
    assert undo.answer() is None and undo.do("rollback") is None
    assert world.rows("public") == before


def test_queries_before_and_after_are_on_the_review_and_make_it_stale(world: World) -> None:
    run = world.run("manual__1", probe=True)
    assert run.until("validate.suites") is None
    assert "[review.not-probed]" in str(run.do("review.build"))
    before = world.rows("public")
    assert run.do("review.probe") is None and run.do("review.build") is None
    assert world.rows("public") == before
    (found,) = world.value("select review -> 'probes' -> 'queries' from cutover.run")
    assert (found["title"], found["rows_before"], found["rows_after"]) == ("Who there is", 1, 2)
    assert (found["verdict"], found["broken"], found["asserted"]) == ("answers differently", [], ["no fewer rows"])
    assert run.do("review.probe") is None
    assert "[approve.not-reviewed]" in str(run.do("approve")) and run.gate is None
    assert run.do("review.build") is None and run.do("approve") == "waiting"
    assert "**Queries before and after**: 1 compared, 1 answer differently, 0 fail" in run.gate.body
    assert "[run.asked]" in str(run.do("review.probe"))
    assert run.answer() is None and run.do("swap") is None


def test_a_probe_whose_assertion_does_not_hold_stops_before_anybody_is_asked(world: World) -> None:
    run = world.run("manual__1", probe=True)
    world.execute("insert into public.people values (7, 'Gus', 1), (8, 'Hal', 1), (9, 'Ida', 1)")
    assert run.until("validate.suites") is None
    said = str(run.do("review.probe"))
    assert "[probes.assertion] include/sql/tiny/probes/people.sql, line 2" in said and "4 rows before, 2 after" in said
    assert "[review.not-probed]" in str(run.do("review.build"))
    assert "[approve." in str(run.do("approve")) and run.gate is None


def test_queries_that_were_not_run_are_a_warning_with_the_reason(world: World) -> None:
    run = world.run("manual__1", probe=False)
    assert run.until("review.build") is None
    (warning,) = [one for one in world.value("select review from cutover.run")["warnings"] if one["name"] == "unprobed"]
    assert warning["rows"] == [["the parameter `probe` is off"]]


def test_what_would_fail_the_swap_fails_before_anybody_is_asked(world: World) -> None:
    """Something that only the move itself meets: a rule of the database about what is done in it."""
    run = world.run("manual__1", rehearse=True)
    assert run.until("validate.suites") is None
    world.execute(
        "create function public.guard() returns event_trigger language plpgsql as $$begin if exists (select from "
        "pg_event_trigger_ddl_commands() where object_identity like 'backup_%') and tg_tag = 'ALTER TABLE' "
        "then raise 'no table is moved'; end if; end$$",
        "create event trigger guard on ddl_command_end execute function public.guard()",
    )
    said = str(run.do("review.rehearse"))
    assert "[swap.cannot-move]" in said and "no table is moved" in said
    assert "[review.not-rehearsed]" in str(run.do("review.build")) and run.gate is None
    world.execute("drop event trigger guard")
    assert run.do("review.rehearse") is None and run.do("review.build") is None


@pytest.mark.parametrize("given", [{"rehearse": False}, {"rehearse": True}])
def test_a_swap_that_was_not_rehearsed_is_a_warning_with_the_reason(world: World, given: dict[str, bool]) -> None:
    run = world.run("manual__1", **given)
    assert run.until("validate.suites") is None
    with world.holding("select from public.people"):
        assert run.do("review.rehearse") is None
    assert run.do("review.build") is None
    (warning,) = [
        one for one in world.value("select review from cutover.run")["warnings"] if one["name"] == "unrehearsed"
    ]
    why = "a long transaction is in the way" if given["rehearse"] else "the parameter `rehearse` is off"
    assert why in warning["rows"][0][0]
    assert run.do("approve") == "waiting" and f"* {warning['title']}: **1**" in run.gate.body
