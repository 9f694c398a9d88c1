"""A launch that two people have to approve, in an Airflow that runs: one gate, which asks until both have answered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from cutover.commands import launches
from cutover.errors import CutoverError
from stack.engine import Stack
from stack.postgres import EmbeddedPostgres

from .running import Run, Running, deployment

DECLARED = "approvers: {engineering: [reviewer], support: [admin]}\n"
MISSING = "1 of 2: engineering yes (reviewer), support missing"


@pytest.fixture(scope="module")
def running(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with deployment(server, tmp_path_factory.mktemp("several"), "several", DECLARED) as started:
        yield started


def until_asked(launch: Run, times: int) -> None:
    """Wait until the gate has begun to wait for so many times, and the scheduler has heard of it."""
    parked = re.compile(
        rf"TaskInstance Finished: .*task_id=approve, run_id={re.escape(launch.run_id)},.*awaiting_input"
    )
    deadline = time.monotonic() + 120
    log = launch.running.deployment.processes.log("scheduler")
    while len(parked.findall(log.read_text(errors="replace"))) < times:
        assert time.monotonic() < deadline, f"{launch.task('approve')['state']}: {launch.log('approve')[-3000:]}"
        time.sleep(0.3)
    launch.until("approve", "awaiting_input")


def test_two_people_approve_one_after_the_other(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack(running.deployment.settings)
    running.name_approvers(running.account("reviewer"), running.account("admin"))
    launch = running.trigger("clean_launch", **running.conf)
    launch.until_asked()
    form = launch.form()
    assert form["options"] == ["Approve", "Reject", "Request changes"]
    assert "It needs 2 answers of different people, one of each role" in form["body"]
    picture = f"{launch.page}/approvals.svg"
    assert f"({running.url}{picture})" in form["body"]
    assert launch.answer("operator").status_code == 403
    assert launch.answer("reviewer", comment="read it").ok
    # until the gate has taken that one, it takes no other
    late = launch.answer("admin")
    assert late.status_code == 409 and "the form is open again in some seconds" in late.json()["detail"]
    until_asked(launch, 2)
    form = launch.form()
    assert not form["response_received"] and form["chosen_options"] is None
    assert "support missing" in running.ask("auditor", "GET", picture).text
    assert MISSING in running.ask("auditor", "GET", f"{launch.page}/review").text
    assert launches.status(stack, ["clean_launch"]) == 0 and MISSING in capsys.readouterr().out
    assert launches.review(stack, [launch.run_id]) == 0 and MISSING in capsys.readouterr().out
    # the same person once more, in the same form
    assert launch.answer("reviewer").ok
    until_asked(launch, 3)
    assert "[approve.counted-already]" in launch.log("approve")
    as_admin = [launch.run_id, "--yes", "--as", "admin"]
    with pytest.raises(CutoverError, match=r"\[approve.no-comment\]"):
        launches.approve(stack, [*as_admin, "--request-changes"])
    with pytest.raises(CutoverError, match=r"\[approve.not-offered\] .*has no delegations"):
        launches.approve(stack, [*as_admin, "--for", "reviewer"])
    assert launches.approve(stack, as_admin) == 0
    assert f"Before this answer it was {MISSING}." in capsys.readouterr().out
    launch.until("verify.certificate", "success")
    assert running.value("select approved_by from cutover.ledger") == "reviewer (engineering), admin (support)"
    assert running.value("select count(*) from cutover.approvals where consumed_by like 'swap of %%'") == 2
    kinds = [message["kind"] for message in running.messages]
    assert [kind for kind in kinds if kind in ("asked", "answered", "approved", "swapped")] == [
        "asked", "answered", "approved", "swapped",
    ]  # fmt: skip
    (told,) = [message for message in running.messages if message["kind"] == "answered"]
    assert MISSING in told["text"] and told["answer"]
