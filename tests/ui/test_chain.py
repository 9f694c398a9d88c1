"""The chain over all evidence: what shows, and the command that looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from cutover.approve import Answer, record
from cutover.records import anchors, chain
from stack.__main__ import main
from tests.ui.conftest import DAG, Deployment, review

WHOLE, BROKEN = 0, 1
Verify = Callable[[], tuple[int, str]]


@pytest.fixture
def three(target: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Three launches with review, approval, entry and certificate, as the database of connection production."""
    monkeypatch.setenv("CUTOVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(anchors.VARIABLE, str(tmp_path / "anchors"))
    for number in range(3):
        launch(target, f"manual__{number}")
    note(target)
    return target


def launch(target: Deployment, run_id: str) -> str:
    """A launch, from its review to its certificate."""
    run = target.run(review(), run_id=run_id, dag_id=DAG)
    answer = Answer(
        run=run, action="swap", decision="approve", fingerprint="f" * 64, task_id="approve", try_number=1,
        person="reviewer", person_id="3", triggered_by="operator", comment="seen",
        decided_at=datetime.now(timezone.utc), valid_for=timedelta(hours=1),
    )  # fmt: skip
    with psycopg.connect(target.dsn) as connection:
        record(connection, answer)
    target.entry(run)
    target.execute(
        "insert into cutover.certificate (run, left_behind, not_validated, inventory_hash, done) "
        "values (%s, '[]', '[]', 'h', '[]')",
        run,
    )
    target.cover("certificate", run, "certificate", run)
    return run


def note(target: Deployment) -> None:
    """Note the newest head elsewhere, as a task does when it ends."""
    with psycopg.connect(target.dsn) as connection:
        newest = chain.newest(connection)
    assert newest is not None
    anchors.note("production", newest, lambda _: None)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """``./run verify-ledger``: its exit status, and what it says."""

    def run() -> tuple[int, str]:
        code = main(["verify-ledger"])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def tamper(target: Deployment, *changes: str) -> None:
    """Statements of somebody with all rights on the database, triggers or not."""
    with psycopg.connect(target.dsn) as connection:
        connection.execute("set session_replication_role = replica")
        for change in changes:
            connection.execute(change.encode())


def test_a_whole_chain_is_told_with_what_it_was_compared_with(three: Deployment, verify: Verify) -> None:
    code, said = verify()
    with psycopg.connect(three.dsn) as connection:
        newest = chain.newest(connection)
    assert newest is not None
    assert (code, newest.link) == (WHOLE, 13)  # the beginning, and four of each launch
    assert newest.head in said
    assert "3 ledger entries" in said
    assert "compared with one head noted elsewhere" in said
    assert "the newest of link 13 at " in said
    launch(three, "manual__3")
    assert "; 4 links newer than that" in verify()[1]


def test_the_first_thing_that_was_changed_is_named(three: Deployment, verify: Verify) -> None:
    tamper(three, "update cutover.approvals set approved_by = 'somebody else' where approval_id = 2")
    code, said = verify()
    assert code == BROKEN
    assert "[ledger.broken] approvals 2 of production: it was changed after it was written: its approved_by" in said
