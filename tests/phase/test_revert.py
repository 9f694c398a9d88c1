"""The revert window: one person takes exactly one swap back, without a second one, while it is open."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from cutover.errors import CutoverError
from cutover.records import audit, chain, signing
from cutover.revert import minutes_given, of_entry

from .tiny import NAME, Run, World

# Whoever may do anything in the database.
PAST = "set session_replication_role = replica"


def launch(world: World, run_id: str = "manual__1", /, **form: Any) -> Run:
    """A launch whose approver has filled in the form so, from its review on."""
    run = world.run(run_id)
    if run_id != "manual__1":
        assert run.until("review.build") is None
    assert run.do("approve") == "waiting" and run.answer(**form) is None
    assert run.do("swap") is None and run.do("verify.certificate") is None
    return run


def revert(world: World, entry: int = 1, run_id: str = "revert__1", **conf: Any) -> Run:
    """A run that takes an entry back by its window, triggered by the operator."""
    return world.rollback(run_id, revert=entry, **conf)


def through(run: Run) -> str | None:
    """The whole run. Returns why it has failed; None if it has not."""
    for task_id in ("preview", "approve", "rollback"):
        said = run.do(task_id)
        if said is not None:
            return f"{task_id}: {said}"
    return None


def wait(world: World, interval: str) -> None:
    """Put the swap's moment into the past, with its link in the chain signed anew: time goes by for the database."""
    world.execute(
        PAST,
        f"update cutover.ledger set recorded_at = recorded_at - interval '{interval}'",
        "update cutover.ledger as l set hash = cutover.ledger_hash(l)",
    )
    with psycopg.connect(world.dsn) as connection:
        run = world.value("select run from cutover.ledger order by entry limit 1")
        chain.cover(connection, "swap", run, ("ledger", 1))


def test_one_person_takes_a_swap_back_and_nobody_is_asked(launched: World) -> None:
    world = launched
    world.execute("update public.people set name = 'Anna' where id = 1", "delete from public.orders")
    run = revert(world)
    assert through(run) is None
    assert run.gate is None, "nobody was asked"
    assert world.rows("public")["people"] == [(1, "Anna", 1)], "with the writes made since"
    assert world.value("select undoes from cutover.ledger where entry = 2") == world.run("manual__1").key
    given = "select {} from cutover.approvals where run = '" + run.key + "'"
    assert world.value(given.format("approved_by")) == "reviewer"
    assert world.value(given.format("triggered_by")) == "operator"
    assert world.value(given.format("pre_approval_id")) == world.value(
        f"select approval_id from cutover.approvals where run = '{world.run('manual__1').key}' and revert_minutes = 30"
    )
    ends = "select recorded_at + interval '30 minutes' from cutover.ledger where entry = 1"
    assert world.value(given.format("expires_at")) == world.value(ends), "by the database's clock, from the swap on"
    with psycopg.connect(world.dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert audit.look(connection, signing.keys()).faults == []


def test_each_of_its_tasks_may_be_cleared_and_nothing_happens_twice(launched: World) -> None:
    world = launched
    run = revert(world)
    assert through(run) is None
    assert "[run.asked]" in str(run.do("preview"))
    assert run.do("approve") is None and run.do("rollback") is None
    assert world.value("select count(*) from cutover.ledger") == 2
    assert world.value("select count(*) from cutover.approvals where action = 'rollback'") == 1


@pytest.mark.parametrize("form", [{"revert": False, "revert_minutes": 30}, {"comment": "a form of before"}])
def test_an_approval_without_a_window_is_none(reviewed: World, form: dict[str, Any]) -> None:
    world = reviewed
    launch(world, **form)
    run = revert(world)
    assert "[revert.no-window]" in str(run.do("preview"))
    assert "[approve.no-preview]" in str(run.do("approve")), "marked as successful, the preview is missed"
    assert "[rollback.not-approved]" in str(run.do("rollback")) or "[rollback.no-preview]" in str(run.do("rollback"))
    assert world.value("select count(*) from cutover.ledger") == 1


def test_a_run_that_names_no_entry_asks_as_ever_while_the_window_is_open(launched: World) -> None:
    world = launched
    run = world.rollback("manual__2")
    assert run.do("preview") is None and run.do("approve") == "waiting"
    assert "[swap.not-approved]" in str(run.do("rollback")) and "nobody has approved it" in str(run.do("rollback"))


@pytest.mark.parametrize("entry", [2, 99])
def test_no_other_entry_than_the_swap_itself_can_be_named(launched: World, entry: int) -> None:
    world = launched
    usual = world.rollback("manual__2")
    assert usual.do("preview") is None and usual.do("approve") == "waiting" and usual.answer() is None
    assert usual.do("rollback") is None
    assert "[revert.no-window]" in str(revert(world, entry).do("preview")), "nor a rollback"


def test_a_window_is_used_once(launched: World) -> None:
    world = launched
    assert through(revert(world)) is None
    again = revert(world, run_id="revert__2")
    said = str(again.do("preview"))
    assert "[revert.taken-back]" in said and revert(world).key in said
    again_back = world.rollback("manual__3")
    assert again_back.do("preview") is None and again_back.do("approve") == "waiting"
    assert again_back.answer() is None and again_back.do("rollback") is None
    assert world.rows("public")["people"] == [(1, "Ana", 10), (2, "Ben", 20)], "the launch's tables are in place again"
    assert "[revert.taken-back]" in str(revert(world, run_id="revert__3").do("preview"))
    assert "[revert.no-window]" in str(revert(world, 3, "revert__4").do("preview"))


def test_of_two_who_ask_at_once_one_takes_it_back(launched: World) -> None:
    world = launched
    first, second = revert(world), revert(world, run_id="revert__2")
    assert first.do("preview") is None and second.do("preview") is None
    assert first.do("approve") is None and second.do("approve") is None
    assert first.do("rollback") is None
    said = str(second.do("rollback"))
    assert "[revert.taken-back]" in said and first.key in said
    assert world.value("select count(*) from cutover.ledger") == 2


def test_a_later_swap_ends_it(launched: World) -> None:
    world = launched
    launch(world, "manual__2", revert=False)
    assert "[revert.overtaken]" in str(revert(world).do("preview"))
    assert "[revert.no-window]" in str(revert(world, 2).do("preview"))


def test_a_window_of_another_swap_of_the_same_migration_is_not_its_own(launched: World) -> None:
    world = launched
    run = revert(world)
    assert run.do("preview") is None
    launch(world, "manual__2", revert=True)
    assert "[revert.overtaken]" in str(run.do("approve"))
    assert "[revert.overtaken]" in str(run.do("rollback")) or "[rollback.not-approved]" in str(run.do("rollback"))
    assert world.value("select count(*) from cutover.ledger") == 2


def test_it_ends_by_the_database_s_clock(launched: World) -> None:
    world = launched
    wait(world, "20 minutes")
    assert revert(world, run_id="revert__1").do("preview") is None
    wait(world, "10 minutes")
    said = str(revert(world, run_id="revert__2").do("preview"))
    assert "[revert.over]" in said and "window of 30 minutes ended" in said and f"trigger {NAME}_rollback" in said


def test_what_counts_is_when_the_approval_is_used_and_not_when_it_was_asked_for(launched: World) -> None:
    """The run waits for its turn, its lock or its worker, and the window ends meanwhile."""
    world = launched
    run = revert(world)
    assert run.do("preview") is None and run.do("approve") is None
    wait(world, "31 minutes")
    assert "[revert.over]" in str(run.do("rollback"))
    assert "[revert.over]" in str(revert(world, run_id="revert__2").do("preview"))
    assert world.value("select count(*) from cutover.ledger") == 1


def test_it_ends_within_the_transaction_too(launched: World) -> None:
    """Between the last look and the lock: the approval that the gate has recorded ends with the window."""
    world = launched
    run = revert(world)
    assert run.do("preview") is None and run.do("approve") is None
    world.execute(
        PAST, "update cutover.approvals set expires_at = now() - interval '1 second' where action = 'rollback'"
    )
    said = str(run.do("rollback"))
    assert "[swap.not-approved]" in said and "its approval expired" in said
    assert world.value("select count(*) from cutover.ledger") == 1


@pytest.mark.parametrize(
    "forged",
    [
        "update cutover.approvals set revert_minutes = 1440 where run = '{run}'",
        "update cutover.ledger set recorded_at = recorded_at + interval '1 hour'",
        "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
        "decided_at, expires_at, revert_minutes) select run, action, decision, fingerprint, task_id, 99, 'somebody', "
        "decided_at, expires_at, 30 from cutover.approvals; update cutover.ledger set approval_id = "
        "(select max(approval_id) from cutover.approvals)",
    ],
)
def test_a_window_that_nobody_has_signed_is_none(launched: World, forged: str) -> None:
    launched.execute(PAST, *forged.format(run=launched.run("manual__1").key).split("; "))
    assert "[revert.not-signed]" in str(revert(launched).do("preview"))


def test_a_window_that_was_put_on_an_approval_of_before_there_were_any_is_not_signed(reviewed: World) -> None:
    """Its link covers the columns of then, and says nothing of this one."""
    world = reviewed
    run = launch(world, revert=False)
    signed = chain.as_covered
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            chain,
            "as_covered",
            lambda table, row: {n: v for n, v in signed(table, row).items() if n not in ("revert_minutes",)},
        )
        with psycopg.connect(world.dsn) as connection:
            number = world.value("select max(approval_id) from cutover.approvals")
            chain.cover(connection, "approval", run.key, ("approvals", number))
    world.execute(PAST, "update cutover.approvals set revert_minutes = 30")
    said = str(revert(world).do("preview"))
    assert "[revert.not-signed]" in said and "revert_minutes" in said


def test_who_has_approved_it_beforehand_is_not_who_takes_it_back(launched: World) -> None:
    world = launched
    run = revert(world)
    run.person = "reviewer"
    assert "[revert.same-person]" in str(run.do("preview"))
    assert world.value("select count(*) from cutover.ledger") == 1


def test_writes_that_cannot_be_carried_are_for_a_second_person(launched: World) -> None:
    """Seen in the preview, or made while the transaction is under way: nothing has gone into quarantine unseen."""
    world = launched
    world.execute(*LEFT_OVER)
    run = revert(world)
    said = str(run.do("preview"))
    assert "[revert.cannot-carry] 1 write" in said and f"trigger {NAME}_rollback" in said
    usual = world.rollback("manual__2")
    assert usual.do("preview") is None and usual.do("approve") == "waiting", "the usual way remains"


def test_a_write_that_comes_after_the_preview_ends_the_transaction(launched: World) -> None:
    world = launched
    run = revert(world)
    assert run.do("preview") is None and run.do("approve") is None
    world.execute(*LEFT_OVER)
    assert "[revert.cannot-carry] 1 write" in str(run.do("rollback"))
    assert world.value("select count(*) from cutover.ledger") == 1
    assert world.value("select count(*) from cutover.quarantine") == 0


# It names no rows, so nobody can carry it.
LEFT_OVER = ("truncate public.orders",)


@pytest.mark.parametrize("minutes", [0, -1, 1441, 10**9, 30.5, "30", None, True])
def test_a_window_has_bounds_whoever_sends_the_form(minutes: Any) -> None:
    with pytest.raises(CutoverError, match=r"revert\.bad-minutes"):
        minutes_given({"revert": True, "revert_minutes": minutes})
    assert minutes_given({"revert": False, "revert_minutes": minutes}) is None


def test_a_form_with_a_bad_window_is_not_taken(reviewed: World) -> None:
    world, run = reviewed, reviewed.run("manual__1")
    assert run.do("approve") == "waiting"
    assert "[revert.bad-minutes]" in str(run.answer(revert=True, revert_minutes=5_000))
    assert world.value("select count(*) from cutover.approvals") == 0
    assert "[swap.not-approved]" in str(run.do("swap"))


def test_a_rejection_gives_no_window(reviewed: World) -> None:
    world, run = reviewed, reviewed.run("manual__1")
    assert run.do("approve") == "waiting"
    assert "[approve.rejected]" in str(run.answer("Reject", revert=True))
    assert world.value("select revert_minutes from cutover.approvals") is None


def test_a_rehearsal_opens_no_window(world: World) -> None:
    run = world.run("manual__1", rehearse=True)
    assert run.until("approve") is None and run.answer(revert=True) is None
    assert "[revert.no-window]" in str(revert(world).do("preview"))
    with psycopg.connect(world.dsn) as connection:
        assert of_entry(connection, NAME) is None


def test_only_a_swap_offers_it(launched: World) -> None:
    world = launched
    run = world.rollback("manual__2")
    assert run.do("preview") is None and run.do("approve") == "waiting"
    assert "revert" not in run.gate.params
    assert run.answer(revert=True) is None
    assert world.value("select revert_minutes from cutover.approvals where action = 'rollback'") is None
