"""Launches that several people have to approve: what counts is in the database, and the swap counts for itself."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover import approve, migration, revert
from cutover.database import statements
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.records import approval, chain
from cutover.ui import store
from cutover.ui.templating import render
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.chain.archives import verifier

from .conftest import _lead_to, _make_quick, _settle
from .tiny import NAME, Run, World

DECLARED = """\
migration: tiny
target: production
approvers: {engineering: [alice, bob], support: [carol]}
delegations:
  - {of: carol, to: dora, until: 2100-01-01}
  - {of: carol, to: bob, until: 2100-01-01}
"""
ACCOUNTS = '["alice", "bob", "carol", "dora", "erin"]'
# after the delegations
LATE = datetime(2100, 1, 2, tzinfo=timezone.utc)
PAST = "set session_replication_role = replica"
MISSING = "1 of 2: engineering yes (alice), support missing"
# what the gate says of an answer that it does not count, as the chain keeps it
REFUSED = "select (payload::jsonb -> 'says' ->> 'code') from cutover.chain where kind = 'refusal' order by link desc"


def declare(folder: Path, text: str = DECLARED) -> None:
    """Write the declaration of the small migration."""
    (folder / "include/sql" / NAME / "migration.yaml").write_text(text)
    _forget()


def _forget() -> None:
    """As a new process does."""
    migration.load.cache_clear()
    statements.text.cache_clear()


@pytest.fixture
def settings(settings: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """With three people and two roles."""
    declare(tmp_path)
    settings.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", ACCOUNTS)
    yield settings
    _forget()


@pytest.fixture(scope="module")
def template(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[str]:
    """A run up to its review, made once: each test gets a copy."""
    name = f"quorum_{os.getpid()}"
    dsn, folder = databases.create(server, name), tmp_path_factory.mktemp("quorum")
    with pytest.MonkeyPatch.context() as patch:
        _make_quick(patch)
        _settle(patch, folder, repository)
        declare(folder)
        patch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", ACCOUNTS)
        _lead_to(patch, dsn)
        assert World(dsn).create().run("manual__1").until("review.build") is None
    yield name
    databases.drop(server, name)


@pytest.fixture
def run(reviewed: World) -> Run:
    """A launch whose question waits, in a world of its own."""
    run = reviewed.run("manual__1")
    assert run.do("approve") == "waiting"
    return run


def answers(world: World) -> Any:
    """Every answer on record: who, for whom, what, and what they come to."""
    return world.value(
        "select array_agg(array[approved_by, answers_for, decision, comes_to] order by approval_id) "
        "from cutover.approvals"
    )


def test_each_role_answers_and_nothing_before_that_opens_the_swap(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, before = run.world, run.world.rows("public")
    assert "**It needs 2 answers of different people, one of each role: " in run.gate.body
    assert "/runs/manual__1/approvals.svg)" in run.gate.body
    assert run.gate.options == ["Approve", "Reject", "Request changes"]
    shown = run.gate.subject, run.gate.body, dict(run.gate.params)
    assert run.answer(person="alice", revert=True, revert_minutes=30) == "waiting", "it goes on to ask"
    assert (run.gate.subject, run.gate.body) == shown[:2], "with the form that Airflow keeps"
    assert set(run.gate.params) == set(shown[2])
    assert run.gate.options == ["Approve", "Reject", "Request changes"]
    # the gate marked successful, the wait too
    assert "[swap.not-approved]" in str(run.do("wait")) and MISSING in str(run.do("wait"))
    assert MISSING in str(run.do("swap")) and "clear the task approve" in str(run.do("swap"))
    # cleared after one answer: that answer stays, and she cannot give another one in another try
    assert run.do("approve") == "waiting"
    assert run.answer(person="alice") == "waiting" and world.value(REFUSED) == "approve.counted-already"
    assert MISSING in str(run.do("swap"))
    # a second one of a role is none of the other
    assert run.answer(person="bob") == "waiting"
    assert f"{MISSING}, yes (bob)" in str(run.do("swap")) and world.rows("public") == before
    assert run.answer(person="carol", comment="go") is None
    assert answers(world) == [
        ["alice", None, "approve", MISSING],
        ["bob", None, "approve", f"{MISSING}, yes (bob)"],
        ["carol", None, "approve", "2 of 2: engineering yes (alice), support yes (carol), yes (bob)"],
    ]
    assert run.do("approve") is None, "cleared: nobody is asked again"
    assert run.do("wait") is None and run.do("swap") is None and run.do("verify.certificate") is None
    assert world.rows("public")["people"] == [(1, "Ana", 10), (2, "Ben", 20)]
    assert world.value("select approved_by from cutover.ledger") == "alice (engineering), carol (support), bob"
    used = "select count(*) from cutover.approvals where consumed_by like 'swap of %'"
    assert world.value(used) == 3
    assert world.value("select approval_id from cutover.ledger") == 1, "the one that has given a revert window"
    with psycopg.connect(world.dsn) as connection:
        assert revert.require_open(connection, load(NAME), 1).approved_by == "alice"
    covered = world.value("select subjects from cutover.chain where kind = 'swap'")
    assert {"approvals 1", "approvals 2", "approvals 3"} < set(covered), "all of them are in the signed link"
    assert run.do("approve") is None and run.do("swap") is None, "what was done is found done"
    with psycopg.connect(world.dsn) as connection:
        values = store.review(connection, load(NAME), run.key)[1]
        assert values["quorum"] is None and values["answered_by"] == "alice, bob, carol"
        unpacked = io.BytesIO(store.archive(connection, load(NAME), run.key))
    zipfile.ZipFile(unpacked).extractall(tmp_path)
    # these worlds have no pages of Data Docs, which it looks for last
    assert verifier(tmp_path / f"evidence-{run.key}").main() == 1
    said = capsys.readouterr().out
    assert "by alice (engineering), carol (support), bob" in said and "the Data Docs that were validated" in said


def refused(run: Run, *changes: str, **signed: Any) -> str:
    """Why the swap does not go by what is on record, once somebody has changed it: all of that is taken back."""
    needed = load(NAME).quorum
    with psycopg.connect(run.world.dsn) as connection:
        for change in (PAST, *changes):
            connection.execute(change.encode())
        if signed:
            _sign(connection, run, **signed)
        (fingerprint,) = connection.execute("select fingerprint from cutover.run").fetchone() or ("",)
        with pytest.raises(CutoverError, match=r"^\[swap.not-approved\]") as raised:
            approval.consume(connection, run.key, "swap", fingerprint, needed=needed)
        connection.rollback()
    return raised.value.why


def _sign(connection: psycopg.Connection, run: Run, **columns: Any) -> None:
    """An approval as somebody with the gate's key could record it."""
    connection.execute(
        "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
        "triggered_by, decided_at, expires_at, answers_for, answer_no, comes_to, completes) select r.run, 'swap', "
        "'approve', coalesce(%(fingerprint)s, r.fingerprint), 'approve', 98, %(person)s, r.triggered_by, "
        "coalesce(%(at)s, now()), now() + interval '1 hour', %(of)s, 2, '2 of 2', true from cutover.run as r "
        "where r.run = %(run)s",
        {"run": run.key, "fingerprint": None, "at": None, "of": None} | columns,
    )
    (number,) = connection.execute("select max(approval_id) from cutover.approvals").fetchone() or (None,)
    chain.cover(connection, "approval", run.key, ("approvals", number))


# what somebody with the gate's key signs once bob has answered, and who has triggered the run
SIGNED = {
    "another fingerprint": ({"person": "carol", "fingerprint": "f" * 64}, "operator"),
    "twice": ({"person": "bob"}, "operator"),
    "for two": ({"person": "bob", "of": "carol"}, "operator"),
    "for herself": ({"person": "dora"}, "operator"),
    "no delegate": ({"person": "erin", "of": "carol"}, "operator"),
    "late": ({"person": "dora", "of": "carol", "at": "2100-01-02"}, "operator"),
    "triggered it": ({"person": "carol"}, "carol"),
    "for whoever has": ({"person": "dora", "of": "carol"}, "carol"),
    "has, for somebody": ({"person": "dora", "of": "carol"}, "dora"),
}


def test_the_swap_counts_for_itself_whatever_the_gate_has_signed(run: Run) -> None:
    assert run.answer(person="bob") == "waiting"
    for name, (signed, triggered_by) in SIGNED.items():
        why = refused(run, f"update cutover.run set triggered_by = '{triggered_by}'", **signed)
        assert why.startswith("1 of 2: engineering yes (bob), support missing"), (name, why)
        assert ("carol approved ffffffffffff…, but what is staged now is" in why) is ("fingerprint" in signed)
    assert run.answer(person="carol") is None and run.do("swap") is None


WRITTEN = (
    "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, decided_at, "
    "expires_at, answer_no, completes) select run, action, decision, fingerprint, task_id, try_number, 'carol', "
    "decided_at, expires_at, 9, true from cutover.approvals where approved_by = 'alice'"
)
GONE = "(approvals 2) is not there any more"
# what whoever may do anything in the database makes of alice's and carol's answers, and what is said of that
PAST_THE_GATE = {
    WRITTEN: "somebody else than the gate has written it",
    "delete from cutover.approvals where approval_id = 2": GONE,
    "update cutover.approvals set run = 'x' where approval_id = 2": GONE,
    "delete from cutover.approvals where approval_id = 2; update cutover.chain set subjects = '{}'": GONE,
    "update cutover.approvals set approved_by = 'bob' where approval_id = 1": "its approved_by was changed",
    "update cutover.approvals set answers_for = 'bob' where approval_id = 1": "its answers_for was changed",
    "update cutover.approvals set expires_at = now() where approval_id = 2": "its expires_at was changed",
    "update cutover.approvals set fingerprint = repeat('0', 64)": "its fingerprint was changed",
    "update cutover.approvals set consumed_at = now(), consumed_by = 'x' where approval_id = 2": (
        f"{MISSING}. The approval of carol was used"
    ),
    "update cutover.chain set signature = signature || 'x'": "was not signed by this deployment",
    "delete from cutover.chain where kind = 'question'": "of the chain does not follow link",
    "delete from cutover.chain where kind in ('review', 'question')": "of the chain is not there any more",
}


def test_what_is_written_past_the_gate_does_not_count(run: Run) -> None:
    world, before = run.world, run.world.rows("public")
    assert run.answer(person="alice") == "waiting" and run.answer(person="carol") is None
    for change, said in PAST_THE_GATE.items():
        assert said in refused(run, change), change
    world.execute("update staging.people set amount = amount + 1")
    said = str(run.do("swap"))
    assert "[swap.not-approved]" in said and "it was changed after the approval (content of" in said
    world.execute("update staging.people set amount = amount - 1", PAST, WRITTEN)
    assert "somebody else than the gate has written it" in str(run.do("swap")) and world.rows("public") == before


@pytest.mark.parametrize(
    ("option", "code"), [("Reject", "approve.rejected"), ("Request changes", "approve.changes-requested")]
)
def test_one_other_answer_ends_it_and_is_not_taken_back(run: Run, option: str, code: str) -> None:
    world, before = run.world, run.world.rows("public")
    world.tells = True
    # hours ago: that is over by now, if it were an approval
    early = datetime.now(timezone.utc) - timedelta(hours=2)
    assert run.answer(person="alice") == "waiting"
    if option == "Request changes":
        assert run.answer(option, person="carol", comment=" ") == "waiting", "which ones?"
        assert world.value(REFUSED) == "approve.no-comment"
    said = str(run.answer(option, person="carol", comment="the sums are of June", at=early))
    assert f"[{code}]" in said and "carol" in said and "the sums are of June" in said
    assert f"[{code}]" in str(run.do("approve")), "cleared: it stays one"
    what = "rejected it" if option == "Reject" else "asked for changes to it"
    assert f"carol {what}" in str(run.do("swap")) and what in str(run.do("wait"))
    with psycopg.connect(world.dsn) as connection:
        values = store.review(connection, load(NAME), run.key)[1]
        assert values["state"] == ("rejected" if option == "Reject" else "changes requested")
        assert values["approvals"][-1]["comment"] == "the sums are of June" and values["quorum"] is None
        page = render("review.html", base="", airflow="", embedded=True, verdict=None, **values)
    assert "the sums are of June" in page
    assert ("request changes before swap" in page) is (option == "Request changes")
    kinds = world.value("select array_agg(kind order by event_id) from cutover.event where kind <> 'failed'")
    assert kinds == ["asked", "answered", "rejected" if option == "Reject" else "changes_requested"]
    lines = world.value("select array_agg(e.line) from (select unnest(lines) as line from cutover.event) as e")
    assert f"{MISSING}." in lines and "June" not in str(lines), "figures and names, no comment"
    # whoever may write in the database makes it void: that changes nothing
    world.execute("update cutover.approvals set consumed_at = now(), consumed_by = 'x' where decision <> 'approve'")
    assert f"[{code}]" in str(run.do("approve")) and f"carol {what}" in str(run.do("swap"))
    # or takes it away, and another try adds carol's yes
    world.execute(PAST, "delete from cutover.approvals where decision <> 'approve'")
    assert run.do("approve") == "waiting" and run.answer(person="dora", answers_for="carol") is None
    assert "is not there any more" in str(run.do("swap"))
    # with the link that was signed with it
    world.execute(
        PAST, "delete from cutover.chain where kind = 'approval' and payload not like '%decision_:_approve_%'"
    )
    assert "of the chain does not follow link" in str(run.do("swap"))
    assert world.rows("public") == before


NOT_COUNTED: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("alice", {}, "alice", "approve.same-person"),
    ("dora", {}, "carol", "approve.same-person"),
    ("mallory", {}, "operator", "approve.not-an-approver"),
    ("erin", {}, "operator", "approve.not-an-approver"),
    ("alice", {"answers_for": "carol"}, "operator", "approve.not-delegated"),
    ("dora", {"answers_for": "alice"}, "operator", "approve.not-delegated"),
    ("bob", {"answers_for": "carol", "at": LATE}, "operator", "approve.not-delegated"),
    ("dora", {"at": LATE}, "operator", "approve.not-an-approver"),
)


def test_an_answer_that_does_not_count_ends_nothing(run: Run) -> None:
    for person, form, triggered_by, code in NOT_COUNTED:
        run.person = triggered_by
        assert run.answer(person=person, **form) == "waiting"
        assert run.world.value(REFUSED) == code and answers(run.world) is None, (person, form)
    assert run.world.value(f"select count(*) from ({REFUSED}) as r") == len(NOT_COUNTED), "each of them is on record"
    run.person = "operator"
    assert run.answer(person="bob") == "waiting", "the question is open still"
    assert answers(run.world) == [["bob", None, "approve", "1 of 2: engineering yes (bob), support missing"]]


def test_somebody_answers_for_somebody_else_and_that_is_on_record(run: Run) -> None:
    world = run.world
    assert run.answer(person="bob", answers_for="carol") == "waiting"
    assert run.answer(person="bob") == "waiting" and world.value(REFUSED) == "approve.counted-already"
    assert run.answer(person="carol") == "waiting", "it is her answer that counts already"
    assert run.answer(person="alice") is None
    assert answers(world) == [
        ["bob", "carol", "approve", "1 of 2: engineering missing, support yes (bob for carol)"],
        ["alice", None, "approve", "2 of 2: engineering yes (alice), support yes (bob for carol)"],
    ]
    with psycopg.connect(world.dsn) as connection:
        values = store.review(connection, load(NAME), run.key)[1]
        assert values["quorum"]["is_complete"] and values["answered_by"] == "bob for carol, alice"
        page = render("review.html", base="", airflow="", embedded=True, verdict=None, **values)
    assert "<b>bob</b> for carol" in page
    assert run.do("swap") is None
    assert world.value("select approved_by from cutover.ledger") == "alice (engineering), bob for carol (support)"


def test_each_answer_is_good_for_its_own_time(run: Run) -> None:
    world = run.world
    early = datetime.now(timezone.utc) - timedelta(hours=2)
    assert run.answer(person="alice", at=early) == "waiting"
    assert run.answer(person="carol") == "waiting", "alice's is over by now"
    said = str(run.do("swap"))
    assert "1 of 2: engineering missing, support yes (carol). The approval of alice expired at" in said
    assert run.do("approve") == "waiting" and run.answer(person="alice") is None
    assert run.do("swap") is None
    void = "select consumed_by like 'asked again%' from cutover.approvals where approval_id = 1"
    assert world.value(void), "what was over was made void"


def test_the_question_ends_when_it_said_whoever_has_answered(run: Run) -> None:
    run.world.execute(
        PAST, "update cutover.phase set recorded_at = recorded_at - interval '2 hours' where step = 'question'"
    )
    said = str(run.answer(person="alice"))
    assert "[approve.expired]" in said and "not everybody who has to" in said
    assert answers(run.world) == [["alice", None, "approve", MISSING]]
    assert "[swap.not-approved]" in str(run.do("swap"))
    assert run.world.value("select withdrawn_for from cutover.question") == "approve.expired"


def test_two_answers_at_the_same_moment_see_each_other(run: Run) -> None:
    world, needed = run.world, load(NAME).quorum
    assert needed is not None
    taken: list[approve.Answer] = []

    def answer(connection: psycopg.Connection, person: str, try_number: int) -> approve.Answer:
        """As two tries of the gate would, one of which was cleared while it worked."""
        fingerprint = connection.execute("select fingerprint from cutover.run").fetchone() or ("",)
        given = approve.Answer(
            run=run.key, action="swap", decision="approve", fingerprint=fingerprint[0], task_id="approve",
            try_number=try_number, person=person, person_id=None, triggered_by="operator", comment=None,
            decided_at=datetime.now(timezone.utc), valid_for=timedelta(hours=1),
        )  # fmt: skip
        given = approve.counted(connection, given, needed, ["alice", "carol"])
        approve.record(connection, given)
        return given

    def second() -> None:
        with psycopg.connect(world.dsn, application_name="second") as connection:
            taken.append(answer(connection, "carol", 2))

    other = threading.Thread(target=second)
    with psycopg.connect(world.dsn) as first:
        assert answer(first, "alice", 1).completes is False
        other.start()
        waits = "select count(*) from pg_stat_activity where application_name = 'second' and wait_event_type = 'Lock'"
        deadline = time.monotonic() + 60
        while not world.value(waits):
            assert other.is_alive() and time.monotonic() < deadline
            time.sleep(0.02)
    other.join(60)
    assert [one.completes for one in taken] == [True]
    assert run.do("approve") is None and run.do("swap") is None


def test_who_has_to_approve_does_not_change_between_question_and_swap(run: Run, tmp_path: Path) -> None:
    assert run.answer(person="alice") == "waiting"
    fewer = DECLARED.replace("support: [carol]", "support: [carol, bob]")
    for text in (fewer, "migration: tiny\ntarget: production\n", f"{DECLARED}approvals_needed: 2\n"):
        declare(tmp_path, text)
        assert "[swap.code-changed]" in str(run.do("swap"))
        assert "[swap.code-changed]" in str(run.do("approve"))
    declare(tmp_path)
    # a process that has read the new declaration, and finds the old file: the order itself is covered, too
    asked = load(NAME)
    loosened = asked.model_copy(update={"approvers": {"engineering": ("alice",)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cutover.operators.base.load", lambda _: loosened)
        assert "[swap.not-approved]" in str(run.do("swap"))
    assert run.do("approve") == "waiting" and run.answer(person="carol") is None and run.do("swap") is None


def test_a_question_of_several_is_open_for_all_that_look_at_it_until_the_last_answer(run: Run) -> None:
    world = run.world
    holder = "select is_asking from ({}) as h"
    held = statements.text("workspace/holder.sql").rstrip().rstrip(";")
    assert run.answer(person="alice") == "waiting"
    assert world.value(holder.format(held)) is True, "the schemas are kept for a question, not for a swap"
    assert world.value("select is_answered from cutover.question") is False
    with psycopg.connect(world.dsn) as connection:
        waiting = connection.execute(statements.statement("status/questions.sql"), {"migration": NAME}).fetchall()
        assert len(waiting) == 1
        (launch,) = store.launches(connection, load(NAME), None)
        assert launch["state"] == "reviewed" and launch["answers"] == MISSING
        row = store.quorum(connection, load(NAME), run.key)
        assert row is not None and row["words"] == MISSING and row["missing"] == ["support"]
        assert "support missing" in store.approvals_picture(row, datetime.now(timezone.utc))
        values = store.review(connection, load(NAME), run.key)[1]
    page = render("review.html", base="", airflow="", embedded=True, verdict=None, **values)
    assert "Nothing has changed in production. It needs 2 answers" in page
    asked = "select number from cutover.question"
    assert world.value(asked) == 1 and run.do("approve") == "waiting"
    assert world.value(asked) == 1, "cleared while it waits it is the same question, and nobody is told again"
    assert run.answer(person="carol") is None
    assert world.value("select is_answered from cutover.question") is True
    assert world.value(holder.format(held)) is False


def test_a_launch_that_could_never_be_approved_ends_in_its_first_task(
    world: World, settings: pytest.MonkeyPatch
) -> None:
    run = world.run("manual__1")
    for accounts, run.person, said in (
        ('["alice", "bob"]', "carol", "without carol, who has triggered this run"),
        ('["alice", "dora"]', "carol", "cannot give all of that; not among them: bob."),
        ('["bob", "erin"]', "operator", "not among them: alice, carol."),
    ):
        settings.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", accounts)
        told = str(run.do("preflight.check"))
        assert "[approve.too-few]" in told and said in told
    settings.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", '["alice", "dora"]')
    assert run.do("preflight.check") is None


def test_a_delegation_that_is_over_ends_a_launch_in_its_first_task_and_breaks_no_file(
    world: World, tmp_path: Path
) -> None:
    declare(tmp_path, DECLARED.replace("to: bob, until: 2100-01-01", "to: bob, until: 2026-01-01"))
    assert load(NAME).quorum is not None
    said = str(world.run("manual__1").do("preflight.check"))
    assert "[migration.invalid] include/sql/tiny/migration.yaml, line 6, delegations.1.until" in said
    assert "the delegation of carol to bob ended at 2026-01-02 00:00 UTC" in said
