"""Dumps in an S3 bucket, by an Airflow connection as a deployment has it: as whole and as proved as in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from airflow.sdk import ObjectStoragePath

from cutover.database.connect import Connect, connector
from cutover.dumps import dump, place, proof
from cutover.errors import CutoverError
from stack.postgres import EmbeddedPostgres, free_port
from tests.object_store import CONNECTION, connect_to

BUCKET = "dumps"


@dataclass
class Store:
    """An S3-compatible server, by a client of it that is not the product's."""

    s3: Any

    def names(self, folder: ObjectStoragePath) -> list[str]:
        """The keys of all objects there."""
        listing = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=key_of(folder, ""))
        return sorted(one["Key"] for one in listing.get("Contents", []))

    def bytes(self, key: str) -> bytes:
        """What an object holds."""
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def store(s3: Any) -> Store:
    """A server with a bucket, and an Airflow connection that leads there."""
    s3.create_bucket(Bucket=BUCKET)
    return Store(s3)


@pytest.fixture
def folder(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectStoragePath:
    """Where the dumps of a run go: a place of this test's own, by CUTOVER_DUMPS."""
    monkeypatch.setenv(place.VARIABLE, f"s3://{CONNECTION}@{BUCKET}/{request.node.name}")
    return place.root() / "migration" / "run"


def key_of(folder: ObjectStoragePath, name: str = "source.dump") -> str:
    """The key of an object there, as the store knows it."""
    return str(folder / name).partition(f"{BUCKET}/")[2]


@pytest.fixture
def source(database: str) -> Connect:
    """A database of some megabytes."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "create table payment as select n as id, md5(n::text) || md5(random()::text) as reference, "
            "case when n % 7 = 0 then null else 'x' end as note from generate_series(1, 60000) as n"
        )
    return connector(database, "source", "test")


def test_a_dump_in_a_bucket_is_whole_proved_and_restored(
    store: Store, folder: ObjectStoragePath, source: Connect, server: EmbeddedPostgres
) -> None:
    place.require_writable(folder)
    assert store.names(folder) == [], "the probe is gone"
    made = dump.make(source, "source", folder, print)
    assert store.names(folder) == [key_of(folder)]
    assert made.bytes == len(store.bytes(key_of(folder))) > 1_000_000
    evidence = proof.prove(made, folder / "source.dump", connector(server.dsn(), "rehearsal", "test"), "run", print)
    assert (evidence.rows, evidence.sha256) == (60_000, made.sha256)
    assert evidence.restored_on == f"127.0.0.1:{server.port}"


def test_an_object_that_somebody_has_changed_is_found(store: Store, folder: ObjectStoragePath, source: Connect) -> None:
    made = dump.make(source, "source", folder, print)
    held = bytearray(store.bytes(key_of(folder)))
    held[len(held) // 2] ^= 1
    for body in (bytes(held), bytes(held[:-1_000]), b""):
        store.s3.put_object(Bucket=BUCKET, Key=key_of(folder), Body=body)
        with pytest.raises(CutoverError, match=r"\[dump\.damaged\].*source\.dump"):
            proof.prove(made, folder / "source.dump", None, "run", print)
    store.s3.delete_object(Bucket=BUCKET, Key=key_of(folder))
    with pytest.raises(CutoverError, match=r"\[dump\.damaged\].*source\.dump"):
        proof.prove(made, folder / "source.dump", None, "run", print)


def test_a_bucket_that_is_not_there_and_a_server_that_does_not_answer_are_told_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = connect_to(monkeypatch, f"http://127.0.0.1:{free_port()}")
    for named, why in ((f"{CONNECTION}@of-nobody", "bucket"), (f"{nobody}@{BUCKET}", "connect")):
        monkeypatch.setenv(place.VARIABLE, f"s3://{named}/launches")
        with pytest.raises(CutoverError, match=rf"dump\.not-written.*{why}"):
            place.require_writable(place.root() / "migration")
    names = [one["Name"] for one in store.s3.list_buckets()["Buckets"]]
    assert BUCKET in names and "of-nobody" not in names, "none is made of a mistyped name"


def test_a_dump_that_is_broken_off_leaves_no_object(store: Store, folder: ObjectStoragePath) -> None:
    with pytest.raises(psycopg.OperationalError), place.storing(folder, "source.dump") as file:
        file.write(b"the first part of a dump")
        raise psycopg.OperationalError("the source is gone")
    assert store.names(folder) == []
