"""What is done to an archive of evidence, and what its own script says to it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cutover.records import signing


def verifier(folder: Path) -> ModuleType:
    """The archive's own script, read from there."""
    spec = importlib.util.spec_from_file_location("verify", folder / "verify.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def signed_anew(folder: Path, signer: signing.Signer) -> None:
    """The manifest as somebody with a key would write it over what is there now."""
    verify = verifier(folder)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    names = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("MANIFEST")]
    manifest["files"] = {path.relative_to(folder).as_posix(): verify.sha256(path.read_bytes()) for path in names}
    manifest["public_key"] = signer.public
    text = json.dumps(manifest)
    (folder / "MANIFEST.json").write_text(text)
    (folder / "MANIFEST.sig").write_text(signer.sign("cutover evidence " + verify.sha256(text.encode())))


def every_byte_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A byte turned over anywhere, a file added or taken away: each is found."""
    verify: Any = verifier(folder)
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(names) > 15
    for path in names:
        before = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(before[:-2] + bytes([before[-2] ^ 1]) + before[-1:] if len(before) > 1 else b"x")
        assert verify.main() == 1, path
        path.write_bytes(before)
    (folder / "added.txt").write_text("more")
    assert verify.main() == 1
    (folder / "added.txt").unlink()
    review = (folder / "review.html").read_bytes()
    (folder / "review.html").unlink()
    assert verify.main() == 1
    (folder / "review.html").write_bytes(review)
    capsys.readouterr()
    assert verify.main() == 0


def what_a_key_alone_cannot_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever signs the manifest anew, with the deployment's key even, cannot change what the chain covers."""
    verify: Any = verifier(folder)
    own = signing.signer()
    changes = {
        "rows.json": ('"approved_by": "reviewer"', '"approved_by": "somebody"'),
        "review.json": ('"captured": ', '"captured": 1'),
        "chain.jsonl": ('"kind": "approval"', '"kind": "refusal"'),
    }
    for name, (old, new) in changes.items():
        path = folder / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))
        signed_anew(folder, own)
        assert verify.main() == 1, name
        path.write_text(before)
    signed_anew(folder, own)
    capsys.readouterr()
    assert verify.main() == 0
    signed_anew(folder, signing.Signer.new())
    assert verify.main() == 1
    assert "the key that signed the archive is not among those of the chain" in capsys.readouterr().out
