"""The archive of a run's evidence, and the script in it that verifies it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest

from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import evidence, signing
from cutover.ui import store

from .archives import every_byte_counts, verifier, what_a_key_alone_cannot_do
from .conftest import launch

MIGRATION = Migration(migration="test")
REVIEW = {
    "migration": "test", "run": "r9", "triggered_by": "maker", "frozen_at": datetime.now(timezone.utc).isoformat(),
    "tables": [{"name": "profiles", "before": 1, "after": 2, "added": 1, "removed": 0, "changed": 0}], "samples": {},
    "figures": [{"name": "revenue", "title": "Revenue", "total": 1, "columns": ["before"], "rows": [["12.50"]]}],
    "warnings": [], "dependents": [], "captured": 0, "lock_times": [], "fingerprint": "f" * 64, "reconciliation": [],
    "rate": 0.10000000000000000001, "validation": None,
}  # fmt: skip


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data Docs of one validation of run r9, in an otherwise empty folder."""
    root = tmp_path / "docs"
    site = root / "test" / "r9" / "1-staging"
    (site / "validations" / "profiles").mkdir(parents=True)
    (root / "assets" / "d").mkdir(parents=True)
    (root / "assets" / "d" / "style.css").write_text("p { color: black }")
    (site / "validations" / "profiles" / "profiles.html").write_text("<p>profiles</p>")
    (site / "result.json").write_text(json.dumps({"suites": [], "checks": [], "success": True, "digest": "d" * 64}))
    names = ("result.json", "validations/profiles/profiles.html")
    values = {name: hashlib.sha256((site / name).read_bytes()).hexdigest() for name in names}
    (site / "manifest.json").write_text(json.dumps({"files": values}))
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(root))
    return root


@pytest.fixture
def folder(opened: psycopg.Connection, docs: Path, tmp_path: Path) -> Path:
    """The archive of a launch, unpacked."""
    opened.execute("set local session_replication_role = origin")
    manifest = hashlib.sha256((docs / "test" / "r9" / "1-staging" / "manifest.json").read_bytes()).hexdigest()
    suite = {"suite": "profiles", "source": "", "success": True, "evaluated": 3, "failed": [], "warned": []}
    validation = {"success": True, "suites": [suite], "checks": [], "manifest": manifest}
    launch(opened, "r9", {**REVIEW, "validation": validation})
    made = store.archive(opened, MIGRATION, "r9")
    assert store.archive(opened, MIGRATION, "r9") == made
    with zipfile.ZipFile(io.BytesIO(made)) as zipped:
        zipped.extractall(tmp_path)
    return tmp_path / "evidence-r9"


def test_an_archive_verifies_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier(folder).main() == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    for each in ("The evidence is as it was written.", "approvals ", "certificate r9, by link", "1-staging",
                 "whole when the archive was made, compared with no head", signing.signer().public):  # fmt: skip
        assert each in said
    page = (folder / "review.html").read_text()
    assert 'href="data_docs/test/r9/1-staging/validations/profiles/profiles.html"' in page
    assert "<style>" in page and 'href="/' not in page and "12.50" in page


def test_every_byte_of_an_archive_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every_byte_counts(folder, capsys)


def test_whoever_signs_an_archive_anew_cannot_change_what_the_chain_covers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what_a_key_alone_cannot_do(folder, capsys)


def test_an_archive_of_one_run_tells_nothing_of_another(folder: Path) -> None:
    links = [json.loads(line) for line in (folder / "chain.jsonl").read_text().splitlines()]
    assert [link["run"] for link in links if "payload" in link] == [None, "r9", "r9", "r9", "r9"]
    assert not [path for path in folder.rglob("*") if path.is_file() and b"backup_r1" in path.read_bytes()]


def test_an_archive_of_evidence_that_was_tampered_with_says_so(
    opened: psycopg.Connection, docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(opened, "r9", REVIEW)
    opened.execute("update cutover.approvals set approved_by = 'somebody else' where run = 'r9'")
    with zipfile.ZipFile(io.BytesIO(store.archive(opened, MIGRATION, "r9"))) as zipped:
        zipped.extractall(tmp_path)
    assert verifier(tmp_path / "evidence-r9").main() == 1
    said = capsys.readouterr().out
    assert "NOT WHOLE: approvals" in said
    assert "its approved_by is not as link" in said


def test_a_run_is_found_by_whatever_names_it(opened: psycopg.Connection) -> None:
    assert evidence.run_named(opened, "r2") == "r2"
    assert evidence.run_named(opened, "2") == "r2"
    with pytest.raises(CutoverError) as raised:
        evidence.run_named(opened, "r7")
    assert raised.value.code == "evidence.unknown-run"
