"""Where the signing key is, what is believed, and where heads are noted."""

from __future__ import annotations

import base64
import json
import stat
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest

from cutover import preflight
from cutover.errors import CutoverError
from cutover.records import anchors, chain, signing
from cutover.storage import at
from stack.__main__ import main
from stack.settings import Settings

from .conftest import faults


def test_a_new_key_is_its_owners_alone_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made = signing.make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = signing.of_file(path)
    assert key.signer is not None
    assert (key.signer.public, key.trusted) == (made.public, (made.public,))
    assert made.pem not in repr(made)
    with pytest.raises(CutoverError) as raised:
        signing.make(path)
    assert raised.value.code == "chain.key-exists"
    # without the private key the public one is believed, as the pages do
    path.unlink()
    assert signing.of_file(path) == signing.Keys(None, (made.public,), str(path))


def test_a_key_is_pem_or_a_seed_and_nothing_else() -> None:
    seed = bytes(range(200, 232))
    plain = signing.Signer.read(base64.b64encode(seed).decode() + "\n", "here")
    assert signing.Signer.read(base64.urlsafe_b64encode(seed).decode(), "here").public == plain.public
    assert signing.Signer.read(plain.pem, "here").public == plain.public
    for text in ("", "x", "AAAA", plain.public[:-4], "-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----"):
        with pytest.raises(CutoverError) as raised:
            signing.Signer.read(text, "here")
        assert raised.value.code == "chain.bad-key"
        assert "make one" in raised.value.remedy


def test_no_run_starts_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    preflight.require_signing_key()
    monkeypatch.delenv(signing.VARIABLE)
    monkeypatch.setattr(signing, "look_up", lambda: None)
    with pytest.raises(CutoverError) as raised:
        preflight.require_signing_key()
    assert raised.value.code == "preflight.no-signing-key"
    assert "./run signing-key --make signing.key" in raised.value.remedy


def test_an_airflow_connection_holds_the_key_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from cutover.operators import base

    own, earlier = signing.Signer.new(), signing.Signer.new()
    monkeypatch.delenv(signing.VARIABLE)
    monkeypatch.setattr(signing, "look_up", base._signing_key)
    values = {"conn_type": "generic", "password": own.pem, "extra": {"public_keys": [earlier.public]}}

    monkeypatch.setenv("AIRFLOW_CONN_CUTOVER_SIGNING", json.dumps(values))
    keys = signing.keys()
    assert keys.signer is not None
    assert (keys.signer.public, keys.trusted) == (own.public, (earlier.public, own.public))
    # the command line reads it without Airflow
    settings = Settings.read({"AIRFLOW_CONN_CUTOVER_SIGNING": json.dumps(values)})
    assert settings.keys().trusted == keys.trusted


def test_a_key_is_replaced_with_the_word_of_the_one_before(
    opened: psycopg.Connection, evidence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    home = tmp_path / "home"
    monkeypatch.setenv("CUTOVER_HOME", str(home))
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", evidence)
    monkeypatch.setenv(anchors.VARIABLE, str(home / "anchors"))
    old = signing.signer()
    key = home / "signing.key"
    key.parent.mkdir()
    signing.write(key, old)
    signing.believe(key, old.public)
    monkeypatch.setenv(signing.VARIABLE, str(key))
    opened.rollback()
    assert main(["signing-key", "--rotate", "production"]) == 0
    new = signing.signer()
    assert new.public != old.public
    assert f"{old.key_id}  {old.public}  has signed" in capsys.readouterr().out
    assert signing.keys().trusted == (old.public, new.public)
    assert (home / f"signing.key.{old.key_id}").exists()
    chain.append(opened, "refusal", "r1")
    assert faults(opened) == []
    # whoever still has the old key alone believes the new one, for the old one says so
    monkeypatch.setattr(signing, "keys", lambda: signing.Keys(None, (old.public,), "kept"))
    assert faults(opened) == []
    opened.rollback()


def _link(head: str = "a" * 64) -> chain.Link:
    return chain.Link(7, "swap", "r1", "{}", "d", None, head, "key", "signature", datetime.now(timezone.utc))


def test_a_head_is_noted_once_in_each_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, said = at(str(tmp_path / "docs"), "CUTOVER_DATA_DOCS"), list[str]()
    monkeypatch.setenv(anchors.VARIABLE, str(tmp_path / "anchors"))
    link = _link()
    for _ in range(2):
        anchors.note("production", link, said.append, docs, "clean_launch/r1")
    assert sorted((a.link, a.head, a.where) for a in anchors.known("production", docs)) == [
        (7, "a" * 64, "Data Docs"), (7, "a" * 64, "anchors/production.jsonl"),
    ]  # fmt: skip
    assert anchors.known("unified", docs) == []
    assert said[0] == f"ledger link 7 (swap), head {'a' * 64}, signed by key key"
    # what was cut off by a full disk, or is no head at all, is none
    (tmp_path / "anchors" / "production.jsonl").open("a").write('{"database": "production", "li\nnull\n[]\n')
    assert len(anchors.known("production")) == 1


def test_heads_are_noted_in_an_object_store_each_as_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(anchors.VARIABLE, f"file://{tmp_path}/store")
    for head in ("a" * 64, "b" * 64, "a" * 64):
        anchors.note("production", _link(head), lambda _: None)
    assert len(list((tmp_path / "store" / "production").iterdir())) == 2
    assert {anchor.head for anchor in anchors.known("production")} == {"a" * 64, "b" * 64}


def test_a_place_that_takes_no_head_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(anchors.VARIABLE, str(tmp_path / "file" / "below" / "x.jsonl"))
    said: list[str] = []
    anchors.note("production", _link(), said.append)
    assert any("could not be noted" in line for line in said)
    assert anchors.known("production") == []
