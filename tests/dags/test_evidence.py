"""The evidence of a real launch as one file: whole, and every byte of it covered."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest

from cutover.records import chain, signing
from stack.__main__ import main
from tests.chain.archives import every_byte_counts, what_a_key_alone_cannot_do

from .conftest import SMALL, World, answer, run

pytestmark = pytest.mark.timeout(300)


def unpacked(world: World, to: Path, run_key: str) -> Path:
    """``./run evidence`` of a run, unpacked."""
    file = to / "evidence.zip"
    assert main(["evidence", run_key, "--to", str(file)]) == 0
    with zipfile.ZipFile(file) as zipped:
        zipped.extractall(to)
    return to / f"evidence-{world.value('select run from cutover.ledger where entry = 1')}"


def test_the_evidence_of_a_launch_is_one_file_that_verifies_itself_offline(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUTOVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUTOVER_ANCHORS", str(tmp_path / "anchors"))
    answer("clean_launch", "Approve")
    assert run("clean_launch", **SMALL)[0] == "success"
    assert main(["verify-ledger"]) == 0
    said = capsys.readouterr().out
    assert "heads noted elsewhere" in said and "Data Docs" in said and "anchors/production.jsonl" in said

    key = world.value("select run from cutover.ledger")
    folder = unpacked(world, tmp_path, key)
    again = tmp_path / "again.zip"
    assert main(["evidence", "1", "--to", str(again)]) == 0
    assert again.read_bytes() == (tmp_path / "evidence.zip").read_bytes()

    alone = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "verify.py", signing.signer().public],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stdout + alone.stderr
    for each in ("The evidence is as it was written.", "approved   by reviewer", "1-staging", "unbroken and signed",
                 "whole when the archive was made", f"covered    certificate {key}"):  # fmt: skip
        assert each in alone.stdout

    # of people it has what the pages show
    whole = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    with psycopg.connect(world.dsn) as connection:
        addresses = connection.execute("select email from auth.users where email like '%%@%%' limit 500").fetchall()
    assert addresses
    assert not [address for (address,) in addresses if address.encode() in whole]
    assert (folder / "statements.sql").read_text().count(";\n") > 20
    page = (folder / "review.html").read_text()
    assert "<style>" in page and 'href="data_docs/' in page and 'href="/' not in page

    every_byte_counts(folder, capsys)
    what_a_key_alone_cannot_do(folder, capsys)


def test_a_refused_swap_leaves_a_link(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("clean_launch", "Reject")
    assert run("clean_launch", **SMALL)[0] == "failed"
    with psycopg.connect(world.dsn) as connection:
        newest = chain.newest(connection)
    assert newest is not None
    assert (newest.kind, newest.says["code"], newest.says["task"]) == ("refusal", "approve.rejected", "approve")
