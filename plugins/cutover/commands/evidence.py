"""What is written down of launches: looked up, packed into a file, and signed with a new key."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import psycopg

from cutover.commands.deployment import Deployment
from cutover.commands.shown import short
from cutover.database.connect import connector, opened
from cutover.errors import PROGRAM, CutoverError
from cutover.migration import load
from cutover.records import anchors, audit, chain, run, signing
from cutover.records import evidence as archives
from cutover.records.signing import Signer
from cutover.ui import store
from cutover.validate.validation import docs_root


def verify_ledger(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Look whether all evidence of a database is as it was written. Raises as ``audit.require_whole`` does."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} verify-ledger")
    parser.add_argument("connection", nargs="?", default="production")
    name = parser.parse_args(arguments).connection
    deployment.share_evidence()
    with opened(connector(deployment.dsn(name), name, "cutover verify-ledger")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        noted = anchors.known(name, docs_root())
        if connection.execute("select to_regclass('cutover.chain') is null").fetchone() == (True,) and not noted:
            print(f"Nothing has been launched into {name} yet: there is no ledger.")
            return 0
        verdict = audit.look(connection, deployment.keys(), noted)
    for fault in verdict.faults:
        print(f"  {fault}")
    audit.require_whole(verdict, name)
    entries = "one ledger entry" if verdict.entries == 1 else f"{verdict.entries} ledger entries"
    links = "one link" if verdict.links == 1 else f"{verdict.links} links"
    print(f"The evidence in {name} is as it was written: {links}, {entries}.")
    if verdict.newest:
        print(f"  newest   link {verdict.newest.link} of {verdict.newest.signed_at:%Y-%m-%d %H:%M:%S %Z}")
        print(f"  head     {verdict.newest.head}")
        print(f"  signed   by key {', '.join(verdict.keys)}")
    print(f"  {verdict.compared()}")
    return 0


def evidence(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Write all evidence of a run into one signed file."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} evidence")
    parser.add_argument("run", help="the run's key, Airflow's run id, or the number of its ledger entry")
    parser.add_argument("connection", nargs="?", default="production")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to write it (default: evidence-<run>.zip here)")
    chosen = parser.parse_args(arguments)
    deployment.share_evidence()
    with opened(connector(deployment.dsn(chosen.connection), chosen.connection, "cutover evidence")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        key = archives.run_named(connection, chosen.run)
        made = store.archive(connection, load(run.get(connection, key).migration), key)
    path = chosen.to or Path(f"evidence-{key}.zip")
    path.write_bytes(made)
    public = signing.signer().public
    print(f"{path}: {len(made) / 1e6:,.1f} MB, signed by key {signing.key_id(public)}.")
    print(f"  unpack it, and verify it there:  python3 verify.py {public}")
    return 0


def signing_key(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Print the public keys that are believed, make a key, or sign with a new one."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} signing-key")
    parser.add_argument(
        "--make", type=Path, metavar="FILE", help="make a key in a new file, for a deployment elsewhere"
    )
    parser.add_argument(
        "--rotate", nargs="*", metavar="CONNECTION", help="sign with a new key from now on, in these databases"
    )
    chosen = parser.parse_args(arguments)
    if chosen.make:
        made = signing.make(chosen.make)
        print(f"{short(chosen.make)}: the private key {made.key_id}; its public key is beside it.")
        return 0
    path = deployment.key_file()
    if path is not None and not path.exists():
        signing.make(path)
    if chosen.rotate is not None:
        old, new = rotate(deployment, chosen.rotate or ["production"])
        print(f"Key {new.key_id} signs from now on; key {old.key_id} has vouched for it in the chain.")
        print(deployment.restart)
    keys = deployment.keys()
    if not keys.trusted:
        signing.signer()  # says that there is none, and how to make one
    for public in keys.trusted:
        mark = "signs" if keys.signer and public == keys.signer.public else "has signed"
        print(f"  {signing.key_id(public)}  {public}  {mark}")
    print(f"  from {short(path) if path is not None else keys.where}")
    return 0


def rotate(deployment: Deployment, connections: Sequence[str]) -> tuple[Signer, Signer]:
    """Make a new key and have the old one name it in the chain of each database. Returns the old and the new one.

    Killed in between, the old key goes on signing, and another try makes another key. Raises ``chain.key-elsewhere``
    when the key is not in a file of this deployment's.
    """
    path = deployment.key_file()
    if path is None:
        raise CutoverError(
            "chain.key-elsewhere",
            f"connection {signing.CONNECTION}",
            "the key is in a connection, which is not this command's to change.",
            f"put the key into a file, rotate it there (CUTOVER_SIGNING_KEY=FILE {PROGRAM} signing-key --rotate, "
            f"without AIRFLOW_CONN_{signing.CONNECTION.upper()}), then set password and public_keys of the connection "
            "anew.",
        )
    deployment.share_evidence()
    old, new = signing.signer(), Signer.new()
    waiting = path.with_name(f"{path.name}.new")
    waiting.unlink(missing_ok=True)
    signing.write(waiting, new)
    for name in connections:
        with opened(connector(deployment.dsn(name), name, "cutover signing-key")) as connection:
            chain.append(connection, "key", None, says={"public_key": new.public})
    signing.believe(path, new.public)
    path.replace(path.with_name(f"{path.name}.{old.key_id}"))
    waiting.replace(path)
    return old, new
