"""Whatever is done to evidence by somebody with all rights on the database shows."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path

import psycopg
import pytest

from cutover.records import audit, chain, signing
from cutover.records.signing import Keys, Signer

from .conftest import faults, launch, noted


def test_evidence_that_nobody_has_touched_is_whole(opened: psycopg.Connection) -> None:
    verdict = audit.look(opened, signing.keys(), noted(opened))
    assert (verdict.faults, verdict.entries) == ([], 3)
    assert verdict.links == 13  # the beginning, and four of each launch
    assert "compared with one head noted elsewhere (a file), the newest of link 13 at " in verdict.compared()


@pytest.mark.parametrize("table", ["ledger", "chain", "approvals", "certificate", "run"])
def test_nobody_takes_evidence_away_in_passing(opened: psycopg.Connection, table: str) -> None:
    opened.execute("set local session_replication_role = origin")
    for change in ("delete from cutover.{}", "truncate cutover.{} cascade"):
        refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"append-only|an answer stays")
        with refused, opened.transaction():
            opened.execute(change.format(table).encode())


@pytest.mark.parametrize("table", ["ledger", "chain"])
def test_nobody_changes_evidence_in_passing(opened: psycopg.Connection, table: str) -> None:
    opened.execute("set local session_replication_role = origin")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        opened.execute(f"update cutover.{table} set run = run".encode())


_REHASHED = """
do $$
declare entry cutover.ledger; last text;
begin
    for entry in select * from cutover.ledger order by entry loop
        entry.previous_hash := last;
        entry.hash := cutover.ledger_hash(entry);
        last := entry.hash;
        update cutover.ledger as l set previous_hash = entry.previous_hash, hash = entry.hash
        where l.entry = entry.entry;
    end loop;
end $$"""
_FORGED_ENTRY = (
    "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, approved_by, attempts, tables, "
    "carried, snapshot, xid, started_at, locked_at) select 'forged', migration, action, 'backup_forged', fingerprint, "
    "approved_by, attempts, tables, carried, snapshot, xid, started_at, locked_at from cutover.ledger where entry = 3"
)
_FORGED_APPROVAL = (
    "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, decided_at, "
    "expires_at) select run, action, 'approve', fingerprint, task_id, 2, 'somebody', now(), now() "
    "from cutover.approvals limit 1"
)
_LYING = (
    "create or replace function cutover.ledger_hash(entry cutover.ledger) returns text language sql as "
    "'select entry.hash'"
)


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        (["update cutover.ledger set approved_by = 'somebody else' where entry = 2"], "ledger 2"),
        (["update cutover.ledger set recorded_at = recorded_at - interval '1 day' where entry = 2"], "ledger 2"),
        (["update cutover.ledger set carried = '[{}]' where entry = 2"], "ledger 2"),
        (["update cutover.ledger set fingerprint = repeat('0', 64) where entry = 2", _REHASHED], "ledger 2"),
        (["update cutover.ledger set hash = repeat('0', 64) where entry = 2"], "ledger 2"),
        (["update cutover.ledger set approved_by = 'somebody else' where entry = 2", _LYING], "ledger 2"),
        (["delete from cutover.ledger where entry = 2"], "ledger 2"),
        (["delete from cutover.ledger where entry = 3"], "ledger 3"),
        ([_FORGED_ENTRY], "ledger "),
        ([_FORGED_ENTRY, _REHASHED], "ledger "),
        ([_FORGED_APPROVAL], "approvals "),
        (["truncate cutover.ledger cascade"], "ledger 1 is gone"),
        (["truncate cutover.approvals"], "approvals 1 is gone"),
        (["truncate cutover.certificate"], "certificate r1 is gone"),
        (["truncate cutover.run cascade"], "run r1 is gone"),
        (["truncate cutover.chain"], "link 13 is missing"),
        (["delete from cutover.chain where link = 13"], "link 13 is missing"),
        (["delete from cutover.chain where link = 7"], "link 7"),
        (["delete from cutover.chain where link = 1"], "link 1"),
        (["update cutover.approvals set approved_by = 'somebody else' where approval_id = 2"], "approvals 2"),
        (["update cutover.approvals set comment = 'never seen' where approval_id = 2"], "approvals 2"),
        (["update cutover.approvals set fingerprint = repeat('0', 64) where approval_id = 2"], "approvals 2"),
        (["update cutover.approvals set consumed_at = now() where approval_id = 2"], "approvals 2"),
        (["update cutover.run set review = jsonb_set(review, '{captured}', '7') where run = 'r2'"], "run "),
        (["update cutover.run set triggered_by = 'reviewer' where run = 'r2'"], "run "),
        (["update cutover.certificate set left_behind = '[1]' where run = 'r3'"],
         "certificate "),
        (["update cutover.certificate set issued_at = now() where run = 'r3'"],
         "certificate "),
        (["update cutover.chain set kind = 'refusal' where link = 5"], "link 5"),
        (["update cutover.chain set payload = replace(payload, 'reviewer', 'somebody') where link = 4"], "link 4"),
        (["update cutover.chain set signature = (select signature from cutover.chain where link = 6) where link = 5"],
         "link 5"),
        (["update cutover.chain set link = -link where link in (5, 6)",
          "update cutover.chain set link = 11 + link where link in (-5, -6)"], "link 5"),
    ],
)  # fmt: skip
def test_whoever_gets_around_the_triggers_shows(opened: psycopg.Connection, changes: list[str], first: str) -> None:
    heads = noted(opened)
    for change in changes:
        opened.execute(change.encode())
    assert faults(opened, heads)[0].startswith(first)


def forge(connection: psycopg.Connection, signer: Signer, monkeypatch: pytest.MonkeyPatch, launches: int = 0) -> None:
    """Everything written anew, by somebody with all rights on the database and this key."""
    connection.execute("truncate cutover.chain")
    connection.execute("update cutover.approvals set approved_by = 'somebody else'")
    with monkeypatch.context() as context:
        context.setattr(signing, "keys", lambda: Keys(signer, (signer.public,), "his"))
        chain.append(connection, "refusal", "r1")
        for number in range(launches):
            launch(connection, f"forged{number}")


def test_a_chain_written_anew_with_another_key_shows(
    opened: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge(opened, Signer.new(), monkeypatch)
    first = faults(opened)[0]
    assert first.startswith("link 1 is signed by key ")
    assert first.endswith("which this deployment does not believe")


def test_a_chain_written_anew_with_the_same_key_shows_against_the_heads_noted_elsewhere(
    opened: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = noted(opened)
    forge(opened, signing.signer(), monkeypatch)
    assert faults(opened, heads)[0].startswith("link 13 is missing, which was noted with head ")


def test_a_longer_chain_written_anew_with_the_same_key_shows_too(
    opened: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = noted(opened)
    opened.execute("set local session_replication_role = origin")
    with opened.transaction():
        for table in ("chain", "approvals"):
            opened.execute(f"alter table cutover.{table} disable trigger all".encode())
        forge(opened, signing.signer(), monkeypatch, launches=4)
    assert faults(opened, heads)[0].startswith("link 13 is not the one that was noted with head ")


def test_links_taken_off_the_end_with_their_rows_show_against_the_heads(opened: psycopg.Connection) -> None:
    heads = noted(opened)
    for table in ("certificate", "run", "approvals", "ledger"):
        opened.execute(f"delete from cutover.{table} where run = 'r3'".encode())
    opened.execute("delete from cutover.chain where link > 9")
    assert faults(opened) == []
    (only,) = faults(opened, heads)
    assert only.startswith("link 13 is missing, which was noted")


def test_a_key_that_was_replaced_signs_nothing_more(
    opened: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = signing.signer(), Signer.new()
    chain.append(opened, "key", None, says={"public_key": new.public})
    # what is believed outside is the old key alone: the link that it signed names the new one
    monkeypatch.setattr(signing, "keys", lambda: Keys(new, (old.public,), "a file"))
    opened.execute("set local session_replication_role = origin")
    launch(opened, "r4")
    assert faults(opened) == []
    monkeypatch.setattr(signing, "keys", lambda: Keys(old, (old.public,), "a file"))
    chain.append(opened, "refusal", "r4")
    assert faults(opened) == [f"link 19 is signed by key {old.key_id}, which had been replaced by then"]


def test_without_a_key_to_verify_with_nothing_is_called_whole(opened: psycopg.Connection) -> None:
    verdict = audit.look(opened, Keys(None, (), "no file"))
    assert not verdict.is_whole
    assert "there is no public key to verify it with (no file)" in str(verdict.faults[0])


def test_a_column_that_comes_with_an_upgrade_changes_nothing(opened: psycopg.Connection) -> None:
    opened.execute("set local session_replication_role = origin")
    for table in ("ledger", "approvals", "run", "certificate"):
        opened.execute(f"alter table cutover.{table} add column came_later text default 'x'".encode())
    assert faults(opened) == []
    launch(opened, "r4")
    assert faults(opened) == []
    opened.execute("set local session_replication_role = replica")
    opened.execute("update cutover.ledger set came_later = 'y' where run = 'r4'")
    assert "its came_later" in faults(opened)[0]


def test_what_was_there_before_the_chain_is_taken_into_it(opened: psycopg.Connection) -> None:
    opened.execute("truncate cutover.chain")
    assert "has no link: it was not written by this deployment" in faults(opened)[0]
    opened.execute("set local session_replication_role = origin")
    launch(opened, "r4")
    assert faults(opened) == []
    opened.execute("alter table cutover.approvals add column came_later text default 'x'")
    assert faults(opened) == []
    opened.execute("set local session_replication_role = replica")
    opened.execute("update cutover.approvals set approved_by = 'somebody else' where approval_id = 2")
    assert faults(opened) == ["approvals 2 was changed after it was taken into the chain (link 1)"]


def test_no_link_holds_text_that_may_have_to_be_erased(opened: psycopg.Connection) -> None:
    payloads = [json.loads(payload) for (payload,) in opened.execute("select payload from cutover.chain").fetchall()]
    rows = [row for payload in payloads for row in payload["rows"].values()]
    values = [row[name] for row in rows for name in ("comment", "review", "validation", "parameters") if row.get(name)]
    assert values
    assert all(set(value) == {"sha256"} for value in values)


def test_the_archives_own_verification_of_signatures_agrees_with_the_library(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("verify", repository / "plugins/cutover/records/verify_archive.py")
    assert spec is not None and spec.loader is not None
    verify = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verify)
    for number in range(12):
        signer = Signer.new()
        message = f"message {number}"
        signature = signer.sign(message)
        assert verify.is_signed(message, signature, signer.public)
        assert verify.key_id(signer.public) == signer.key_id
        raw = bytearray(base64.b64decode(signature))
        raw[number * 5] ^= 1 << number % 8
        broken = base64.b64encode(raw).decode()
        for each in ((f"{message}!", signature, signer.public), (message, broken, signer.public),
                     (message, signature, Signer.new().public), (message, "", signer.public),
                     (message, signature, "AAAA")):  # fmt: skip
            assert not verify.is_signed(*each)
            assert not signing.is_signed(*each)


def test_a_link_of_another_chain_with_the_same_key_does_not_follow(opened: psycopg.Connection) -> None:
    opened.execute("set local session_replication_role = origin")
    chain.append(opened, "refusal", "r1", tail=chain.Tail(signing.signer(), 13, "0" * 64))
    assert faults(opened) == ["link 14 does not follow the link before it"]
