"""The evidence of one run as one file for an auditor: signed, self-contained, verified offline.

The same state of the database gives the same bytes. Of people it holds what the pages show: masked samples, and who
triggered, approved and commented.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from datetime import timezone
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import PROGRAM, CutoverError
from cutover.migration import Migration
from cutover.records import anchors, audit, chain, comments, signing
from cutover.storage import Storage

# The program that verifies an archive, which goes into it.
_VERIFIER = Path(__file__).with_name("verify_archive.py")
# Slashes in the name of a file that lies beside a run's sites: <migration>/<run>/<file>.
_BESIDE = 2
# Nothing in the archive tells when it was made: the chain's head does.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_README = """\
The evidence of run {run} of {migration}, up to link {link} of the chain.

Verify it with `python3 verify.py PUBLIC_KEY` in the unpacked folder: Python 3.9 or later, nothing else, no network.
PUBLIC_KEY is what the people who launched have told you. Without it, the key is printed for you to compare.

review.html          what the approver read             review.json        the same, as it was stored
rows.json            the rows of the evidence: run (parameters, validation, review), approvals, ledger entry,
                     certificate, as the database has them
statements.sql       what the swap executed             reconciliation.json  what became of every source row
covered.json         what the fingerprint covers, where the review says it
comments.json        what people said about the run, which no link of the chain covers
data_docs/           the validations, page by page: open index.html of a folder
chain.jsonl          every link of the chain; what it says only where it is about this run
keys.txt             the public keys, oldest first      anchors.json       heads that were noted outside the database
verdict.json         what {program} verify-ledger said when the archive was made
MANIFEST.json        the SHA-256 of every file          MANIFEST.sig       its signature
"""


def run_named(connection: psycopg.Connection, name: str) -> str:
    """The key of the run that is named by its key, by Airflow's run id or by the number of its ledger entry.

    Raises CutoverError ``evidence.unknown-run``.
    """
    rows = connection.execute(files.statement("evidence/run_named.sql"), {"name": name}).fetchall()
    if len(rows) == 1:
        return str(rows[0][0])
    raise CutoverError(
        "evidence.unknown-run",
        name,
        "no run of this database has this key, run id or ledger entry."
        if not rows
        else f"{len(rows)} runs have this id: {', '.join(row[0] for row in rows)}.",
        "name a run as the pages Launches and Ledger show it.",
    )


def archive(
    connection: psycopg.Connection, migration: Migration, run: str, *, docs_root: Storage, review_page: str
) -> bytes:
    """The archive of a run, as a zip file. ``connection`` sees one moment; ``review_page`` is the page as HTML.

    Raises CutoverError ``chain.no-signing-key``.
    """
    signer = signing.signer()
    connection.execute("select set_config('timezone', 'UTC', true)")
    parts = _parts(connection, migration, run, docs_root)
    parts["review.html"] = review_page.encode()
    files_of = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(parts.items())}
    manifest = _json({"run": run, "migration": migration.migration, "public_key": signer.public, "files": files_of})
    parts["MANIFEST.json"] = manifest
    parts["MANIFEST.sig"] = f"{signer.sign(signed_text(manifest))}\n".encode()
    return _zipped(f"evidence-{run}", parts)


def keep(made: bytes, docs_root: Storage, migration: str, run: str) -> str:
    """Keep an archive beside the run's Data Docs, for pages that have no key to sign one with; returns where."""
    name = path_of(migration, run)
    docs_root.write(name, made)
    return f"{docs_root}/{name}"


def path_of(migration: str, run: str) -> str:
    """Where the archive of a run is kept, below the root of Data Docs."""
    return f"{migration}/{run}/evidence.zip"


def signed_text(manifest: bytes) -> str:
    """What is signed of an archive."""
    return f"cutover evidence {hashlib.sha256(manifest).hexdigest()}"


def _parts(connection: psycopg.Connection, migration: Migration, run: str, docs_root: Storage) -> dict[str, bytes]:
    links = audit.all_links(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("evidence/rows.sql"), {"run": run}).fetchall()
        texts = cursor.execute(files.statement("evidence/parts.sql"), {"run": run}).fetchone()
    assert texts is not None
    parts = {
        "README.txt": _README.format(program=PROGRAM, run=run, migration=migration.migration, link=len(links)).encode(),
        "verify.py": _VERIFIER.read_bytes(),
        # as PostgreSQL writes them, with every digit of every number
        "rows.json": _joined({row["subject"]: row["row_text"] for row in rows}),
        "review.json": f"{texts['review']}\n".encode(),
        "reconciliation.json": f"{texts['reconciliation']}\n".encode(),
        "covered.json": f"{texts['covered']}\n".encode(),
        "comments.json": _json(
            [one | {"written_at": one["written_at"].isoformat()} for one in comments.of_run(connection, run)]
        ),
        "statements.sql": statements(texts["statements"] or []).encode(),
        "verdict.json": _json(_verdict(connection, migration, docs_root)),
        "keys.txt": "".join(f"{public}\n" for public in _keys(links)).encode(),
        "chain.jsonl": "".join(_link(link, run, {row["subject"] for row in rows}) for link in links).encode(),
        "anchors.json": _json(
            [
                {"link": a.link, "head": a.head, "where": a.where, "noted_at": a.noted_at.isoformat()}
                for a in anchors.known(migration.target, docs_root)
                if a.link <= len(links)
            ]
        ),
    }
    return parts | _data_docs(docs_root, migration.migration, run)


def _verdict(connection: psycopg.Connection, migration: Migration, docs_root: Storage) -> dict[str, Any]:
    """What a look at all evidence of the database says: what is wrong with a chain shows nowhere else as well."""
    verdict = audit.look(connection, signing.keys(), anchors.known(migration.target, docs_root))
    return {
        "whole": verdict.is_whole,
        "faults": [str(fault) for fault in verdict.faults],
        "links": verdict.links,
        "entries": verdict.entries,
        "compared": verdict.compared(),
    }


def statements(statements: list[list[str]]) -> str:
    """The statements of a move, each under the step and the object that it is for."""
    return "".join(f"-- {step}: {name}\n{text.strip().removesuffix(';')};\n\n" for step, name, text in statements)


def _keys(links: list[chain.Link]) -> list[str]:
    """The public keys that have signed the chain, in the order in which they came."""
    known = [*signing.keys().trusted, *(str(link.says.get("public_key")) for link in links if link.kind == "key")]
    used = {link.key_id for link in links} | {signing.signer().key_id}
    return list(dict.fromkeys(public for public in known if signing.key_id(public) in used))


def _link(link: chain.Link, run: str, subjects: set[str]) -> str:
    """A link as a line; what it says is left out when it is about another run."""
    content: dict[str, Any] = {
        "link": link.link,
        "kind": link.kind,
        "run": link.run,
        "digest": link.digest,
        "previous": link.previous,
        "head": link.head,
        "key_id": link.key_id,
        "signature": link.signature,
        "signed_at": link.signed_at.astimezone(timezone.utc).isoformat(timespec="microseconds"),
    }
    if link.run == run or link.kind in ("begin", "key") or not subjects.isdisjoint(link.covers):
        content["payload"] = link.payload
    return json.dumps(content, ensure_ascii=False) + "\n"


def _data_docs(root: Storage, migration: str, run: str) -> dict[str, bytes]:
    """The complete sites of a run, and the assets that their pages load, in the same places to each other."""
    names = set(root.names(f"{migration}/{run}")) - {path_of(migration, run)}
    complete = {name.rpartition("/")[0] for name in names if name.endswith("/manifest.json")}
    # beside the sites lie the heads that were noted; a site without its manifest is being written, or was broken off
    names = {name for name in names if name.count("/") == _BESIDE or "/".join(name.split("/")[:3]) in complete}
    if names:
        names |= root.names("assets").keys()
    wanted = sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))
    return {f"data_docs/{name}": content for name, content in root.read_all(wanted).items()}


def page_alone(page: str, style: str, migration: str) -> str:
    """A page of ours as it can be read from a file: with its style, its links those to the archive's Data Docs."""
    page = re.sub(r"<header>.*?</header>", "", page, flags=re.DOTALL)
    page = re.sub(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{style}</style>", page)
    docs = re.escape(f"/dags/{migration}/docs/")

    def of_archive(match: re.Match[str]) -> str:
        inside = re.search(f'href="{docs}([^"]*)"', match[1])
        if inside is None:
            return f"<span>{match[2]}</span>"
        return f'<a href="data_docs/{inside[1]}">{match[2]}</a>'

    return re.sub(r"<a\b([^>]*)>(.*?)</a>", of_archive, page, flags=re.DOTALL)


def _joined(rows: Mapping[str, str]) -> bytes:
    return ("{\n" + ",\n".join(f"{json.dumps(name)}: {text}" for name, text in rows.items()) + "\n}\n").encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _zipped(folder: str, parts: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as zipped:
        for name, content in sorted(parts.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            zipped.writestr(entry, content)
    return made.getvalue()
