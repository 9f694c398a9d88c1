#!/usr/bin/env python3
"""Verifies the evidence of a launch, offline: unpack the archive, and run `python3 verify.py [PUBLIC_KEY]` in it.

Needs Python 3.9 or later and nothing else. Whose signature it is, no archive can prove by itself: give the public key
that you have been told by the people who launched, or compare the one that is printed with theirs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# --- Ed25519 (RFC 8032, section 5.1), verification only ---------------------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]  # extended coordinates: x = X/Z, y = Y/Z, xy = T/Z


def add(a: Point, b: Point) -> Point:
    """The sum of two points of the curve."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, z, t, y = f - e, h - g, h + g, f + e
    return x * z % P, t * y % P, z * t % P, x * y % P


def times(number: int, point: Point) -> Point:
    """A multiple of a point."""
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def decoded(text: bytes) -> Point | None:
    """The point that 32 bytes stand for."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(message: str, signature: str, public: str) -> bool:
    """Whether `signature` is that of `message` by the owner of the public key; both in base64."""
    try:
        key, signed = base64.b64decode(public, validate=True), base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    if len(key) != 32 or len(signed) != 64:
        return False
    owner, commitment = decoded(key), decoded(signed[:32])
    response = int.from_bytes(signed[32:], "little")
    if owner is None or commitment is None or BASE is None or response >= Q:
        return False
    challenge = int.from_bytes(hashlib.sha512(signed[:32] + key + message.encode()).digest(), "little") % Q
    left, right = times(response, BASE), add(commitment, times(challenge, owner))
    return not ((left[0] * right[2] - right[0] * left[2]) % P or (left[1] * right[2] - right[1] * left[2]) % P)


# --- What is in the archive -------------------------------------------------------------------------------------------


class WrongError(Exception):
    """Something is not as it was written."""


def require(holds: bool, what: str) -> None:
    """Stop unless it holds."""
    if not holds:
        raise WrongError(what)


def say(what: str, text: str) -> None:
    """A line of the report."""
    print(f"{what:<10} {text}".strip())


def canonical(value: Any) -> str:
    """JSON in its one form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(content: bytes) -> str:
    """The digest, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read(name: str) -> Any:
    """A JSON file, with no digit of a number lost."""
    return json.loads((HERE / name).read_text(encoding="utf-8"), parse_float=lambda number: {"number": number})


def key_id(public: str) -> str:
    """A short name of a public key."""
    return sha256(public.encode())[:16]


def check_files(expected: str | None) -> str:
    """Every file by its digest in the manifest, and the manifest by its signature."""
    manifest = (HERE / "MANIFEST.json").read_text(encoding="utf-8")
    files = json.loads(manifest)
    signature = (HERE / "MANIFEST.sig").read_text(encoding="utf-8").strip()
    require(is_signed("cutover evidence " + sha256(manifest.encode()), signature, files["public_key"]),
            "MANIFEST.json is not what was signed")  # fmt: skip
    require(expected in (None, files["public_key"], key_id(files["public_key"])),
            "the archive is signed by another key than the one given: " + files["public_key"])  # fmt: skip
    there = {str(path.relative_to(HERE).as_posix()) for path in HERE.rglob("*") if path.is_file()}
    there -= {"MANIFEST.json", "MANIFEST.sig"}
    there = {name for name in there if "__pycache__" not in name}
    for name in sorted(there | set(files["files"])):
        require(name in there, f"{name} is missing")
        require(name in files["files"], name + " is not in the manifest: it was added")
        require(sha256((HERE / name).read_bytes()) == files["files"][name], name + " is not as it was signed")
    public = str(files["public_key"])
    say("files", f"{len(there)}, each as the signed manifest says")
    say("signed by", f"key {key_id(public)}, public key {public}{'' if expected else ' (compare it)'}")
    return public


def check_chain(signed_by: str) -> list[dict[str, Any]]:
    """Every link: its number, its hash, the link before it, its signature; payloads where they are in the archive."""
    links = [json.loads(line) for line in (HERE / "chain.jsonl").read_text(encoding="utf-8").splitlines()]
    keys = (HERE / "keys.txt").read_text(encoding="utf-8").split()
    require(signed_by in keys, "the key that signed the archive is not among those of the chain")
    head, newest = None, 0
    for number, link in enumerate(links, 1):
        name = f"link {number}"
        content = [link["link"], link["kind"], link["run"], link["digest"], link["previous"], link["key_id"],
                link["signed_at"]]  # fmt: skip
        require(link["link"] == number, name + " is missing")
        require(sha256(canonical(content).encode()) == link["head"], name + " was changed")
        require(link["previous"] == head, name + " does not follow the one before it")
        payload = link.get("payload")
        require(payload is None or sha256(payload.encode()) == link["digest"], name + "'s payload was changed")
        by = [place for place, public in enumerate(keys) if key_id(public) == link["key_id"]]
        require(bool(by) and by[0] >= newest, name + " is signed by a key that was replaced, or is none of keys.txt")
        newest = by[0]
        require(is_signed("cutover chain " + link["head"], link["signature"], keys[newest]), name + " is not signed")
        head = link["head"]
    shown = sum("payload" in link for link in links)
    say("chain", f"{len(links)} links, unbroken and signed; {shown} of them are told")
    say("head", f"link {len(links)}, {head}")
    verdict = read("verdict.json")
    state = "whole" if verdict["whole"] else "NOT WHOLE: " + "; ".join(verdict["faults"][:5])
    say("database", f"{state} when the archive was made, {verdict['compared']}")
    for anchor in read("anchors.json"):
        noted = links[anchor["link"] - 1]["head"] if anchor["link"] <= len(links) else None
        require(
            noted in (None, anchor["head"]), f"link {anchor['link']} is not the one that was noted ({anchor['where']})"
        )
    return links


def check_rows(links: list[dict[str, Any]]) -> dict[str, Any]:
    """Every row of the evidence, against the newest link that covers it."""
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    begun: dict[str, Any] = {}
    for link in links:
        if "payload" in link:
            payload = json.loads(link["payload"])
            begun = payload["says"].get("taken_in", begun)
            for subject, columns in payload["rows"].items():
                newest[subject] = (link["link"], columns)
    rows: dict[str, Any] = read("rows.json")
    for subject, row in rows.items():
        table, _, key = subject.partition(" ")
        taken = begun.get(table, {"columns": [], "rows": {}})
        if subject in newest:
            number, columns = newest[subject]
            for name, value in columns.items():
                digest = {"sha256": sha256(canonical(row.get(name)).encode())}
                require(value in (row.get(name), digest), f"{subject}: its {name} is not as link {number} says")
        else:
            digest = {name: row.get(name) for name in taken["columns"]}
            require(sha256(canonical(digest).encode()) == taken["rows"].get(key), subject + " is covered by no link")
        say("covered", f"{subject}, by link {newest[subject][0] if subject in newest else 1}")
    return rows


def check_approvals(rows: dict[str, Any], run: dict[str, Any], entry: dict[str, Any], named: dict[str, Any]) -> None:
    """Of what the entry has used up: the approval that it names, and, where several were needed, the others."""
    together = named.get("answer_no") is not None
    answers = [row for subject, row in rows.items() if subject.startswith("approvals ")]
    used = [row for row in answers if row["consumed_by"] == named["consumed_by"]] if together else [named]
    names: list[str] = []
    for approval in used:
        person, of = approval["approved_by"], approval.get("answers_for")
        names += {person, of or person}
        by = f"{person} for {of}" if of else person
        is_named = by in entry["approved_by"] if together else by == entry["approved_by"]
        require(approval["decision"] == "approve", "the approval that was used is none")
        require(is_named, "the entry names another approver")
        require(approval["fingerprint"] == entry["fingerprint"], "what was approved is not what went live")
        require(approval["fingerprint"] == run["fingerprint"], "what was approved is not what was reviewed")
        has_triggered = run["triggered_by"] is not None and run["triggered_by"] in (person, of)
        require(not has_triggered, "who approved it has triggered it")
    require(len(names) == len(set(names)), "somebody has approved it twice")
    say("approved", f"by {entry['approved_by']}, {named['decided_at']}; triggered by {run['triggered_by']}")


def check_sense(rows: dict[str, Any]) -> None:
    """What the parts say of each other."""
    run = next(row for subject, row in rows.items() if subject.startswith("run "))
    require(read("review.json") == run["review"], "review.json is not the review of rows.json")
    entry = next((row for subject, row in rows.items() if subject.startswith("ledger ")), None)
    if entry:
        approval = rows.get(f"approvals {entry['approval_id']}")
        if approval:
            check_approvals(rows, run, entry, approval)
        say("went live", f"{entry['recorded_at']}, entry {entry['entry']}, fingerprint {entry['fingerprint'][:16]}…")
    else:
        say("went live", "no: the ledger has no entry of this run")
    noted = (run["validation"] or {}).get("manifest")
    sites = {}
    for manifest in sorted(HERE.glob("data_docs/*/*/*/manifest.json")):
        site = manifest.parent
        tombstone = site / "erased.json"
        erased = json.loads(tombstone.read_text(encoding="utf-8"))["files"] if tombstone.exists() else {}
        for name, digest in json.loads(manifest.read_text(encoding="utf-8"))["files"].items():
            if name in erased and not (site / name).exists():
                say("erased", f"{site.name}/{name}, {erased[name]}: a person's rows were named in it")
                continue
            require(sha256((site / name).read_bytes()) == digest, f"Data Docs {site.name}: {name} is not as written")
        sites[sha256(manifest.read_bytes())] = site.name
    if noted:
        require(noted in sites, "the Data Docs that were validated are not in the archive")
        say("Data Docs", f"{', '.join(sites.values())}; the run was validated by {sites[noted]}")


def main(expected: str | None = None) -> int:
    """Verify everything, if told so as signed by this key; 1 if something is not as it was written."""
    try:
        links = check_chain(check_files(expected))
        check_sense(check_rows(links))
    except WrongError as wrong:
        say("WRONG", f"{wrong}\nThe evidence is NOT as it was written.")
        return 1
    except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        say("WRONG", f"{type(error).__name__}: {error}\nThe evidence is NOT as it was written.")
        return 1
    say("", "\nThe evidence is as it was written.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
