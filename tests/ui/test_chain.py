"""The ledger's hash chain: what shows, and the command that looks."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from stack.__main__ import main
from tests.ui.conftest import DAG, Deployment, review

WHOLE, BROKEN = 0, 1


@pytest.fixture
def three(target: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A ledger of three entries, as the database of connection production."""
    monkeypatch.setenv("CUTOVER_HOME", str(tmp_path / "home"))
    for number in range(3):
        target.entry(target.run(review(), run_id=f"manual__{number}", dag_id=DAG))
    return target


def verify() -> int:
    """``./run verify-ledger``."""
    return main(["verify-ledger"])


def test_a_whole_chain_is_told_with_its_newest_hash(three: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify() == WHOLE
    with psycopg.connect(three.dsn) as connection:
        row = connection.execute("select hash from cutover.ledger order by entry desc limit 1").fetchone()
    assert row is not None and row[0] in capsys.readouterr().out


@pytest.mark.parametrize("change", ["update cutover.ledger set attempts = 2", "delete from cutover.ledger"])
def test_nobody_changes_an_entry_in_passing(three: Deployment, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        three.execute(change)
    assert verify() == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        "update cutover.ledger set approved_by = 'somebody else' where entry = 2",
        "update cutover.ledger set recorded_at = recorded_at - interval '1 day' where entry = 2",
        "update cutover.ledger set carried = '[{}]' where entry = 2",
        "update cutover.ledger set hash = repeat('0', 64) where entry = 2",
        "delete from cutover.ledger where entry = 2",
    ],
)
def test_whoever_gets_around_the_trigger_breaks_the_chain(
    three: Deployment, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    three.execute("alter table cutover.ledger disable trigger all")
    three.execute(change)
    three.execute("alter table cutover.ledger enable trigger all")
    assert verify() == BROKEN
    said = capsys.readouterr()
    first = "entry 3" if change.startswith("delete") else "entry 2"
    assert f"[ledger.broken] {first}" in said.out + said.err
