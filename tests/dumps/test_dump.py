"""Dumps of a source: of one moment, whole or not there, in nobody's way, and proved to hold what the source held."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from airflow.sdk import ObjectStoragePath
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cutover.database.connect import Connect, connector
from cutover.dumps import client, content, dump, place, proof
from cutover.errors import CutoverError
from stack.postgres import EmbeddedPostgres

# What could be taken for the beginning or the end of a table's rows, names that need quotes, and rows of every length.
ODD = """
create table plain (id bigint primary key, note text, share double precision, at timestamptz default now());
insert into plain
select n, case when n % 5 = 0 then null else repeat(E'x\\n\\\\.\\nCOPY public.plain (id) FROM stdin;\\n\\t', n % 4) end,
    random() from generate_series(1, 300) as n;
insert into plain values (301, repeat('long ', 700000), 'NaN', 'infinity');
create schema "A.b (";
create table "A.b ("."say ""when"" to" (id uuid default gen_random_uuid(), "from" text,
    doubled int generated always as (n * 2) stored, n int, gone int, raw bytea
    default '\\x00ff', price money default 1234.5);
alter table "A.b ("."say ""when"" to" drop column gone;
insert into "A.b ("."say ""when"" to" ("from", n) select chr(200 + n), n from generate_series(1, 50) as n;
create table empty_one (id int);
create table without_columns ();
insert into without_columns default values;
create table parted (id int, part int) partition by list (part);
create table parted_1 partition of parted for values in (1);
create table parted_rest partition of parted default;
insert into parted select n, n % 3 from generate_series(1, 30) as n;
create table parent (id int);
create table child () inherits (parent);
insert into child values (1);
create materialized view counted as select count(*) from plain;
"""


@pytest.fixture
def source(database: str) -> Connect:
    """A database with odd tables."""
    with psycopg.connect(database) as connection:
        connection.execute(ODD.encode())
    return connector(database, "source", "test")


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    """Where the dumps of a run go."""
    return ObjectStoragePath(tmp_path.as_uri()) / "migration" / "run"


def files_in(folder: ObjectStoragePath) -> list[str]:
    """The names of all files there."""
    return sorted(path.name for path in Path(folder.path).iterdir()) if folder.exists() else []


def prove(made: dump.Dump, folder: ObjectStoragePath, rehearsal: Connect | None = None) -> proof.Proof:
    """The proof of the dump ``source``."""
    return proof.prove(made, folder / "source.dump", rehearsal, "run", print)


def scratch_databases(server: EmbeddedPostgres) -> list[tuple[str]]:
    """Databases of rehearsals."""
    with psycopg.connect(server.dsn()) as admin:
        return admin.execute("select datname::text from pg_database where datname like 'cutover_rehearsal%'").fetchall()


def make(source: Connect, folder: ObjectStoragePath) -> dump.Dump:
    """A dump named ``source``."""
    return dump.make(source, "source", folder, print)


def as_role(dsn: str, role: str) -> str:
    """The same database for another role."""
    return make_conninfo(dsn, user=role, password="only-for-this-test")


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """A role that may sign in, and nothing else."""
    name = f"lesser_{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"create role {name} login password 'only-for-this-test'".encode())
        yield name
        admin.execute(f"reassign owned by {name} to current_user; drop owned by {name}; drop role {name}".encode())


@pytest.mark.parametrize("block", [content.BLOCK, 1_000])
def test_a_dump_is_what_is_on_record_of_it_and_holds_every_row(
    source: Connect, folder: ObjectStoragePath, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(content, "BLOCK", block)
    dump.require_able(source)
    made = make(source, folder)
    written = Path(folder.path, "source.dump").read_bytes()
    assert (made.sha256, made.bytes) == (hashlib.sha256(written).hexdigest(), len(written))
    assert dump.recorded(made.as_json()) == made
    assert {name: rows.rows for name, rows in made.tables.items()} == {
        'A.b (.say "when" to': 50, "public.child": 1, "public.empty_one": 0, "public.parent": 0, "public.parted_1": 10,
        "public.parted_rest": 20, "public.plain": 301, "public.without_columns": 1,
    }  # fmt: skip
    rehearsal = connector(server.dsn(), "rehearsal", "test")
    assert prove(made, folder).restored_on is None
    evidence = prove(made, folder, rehearsal)
    assert (evidence.rows, evidence.restored_on) == (made.rows, f"127.0.0.1:{server.port}")
    assert scratch_databases(server) == []


def test_dump_and_counts_are_of_one_moment_while_clients_write(
    source: Connect, database: str, folder: ObjectStoragePath
) -> None:
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as client_session:
            while not over.is_set():
                client_session.execute("insert into empty_one values (1)")
                client_session.execute("update plain set note = 'later' where id = 1 + random() * 300")
                client_session.execute("delete from parted where id = (select min(id) from parted)")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not written:
            time.sleep(0.01)
        made = make(source, folder)
    finally:
        over.set()
        writer.join()
    assert made.tables["public.empty_one"].rows < len(written)
    prove(made, folder)


def test_a_second_dump_takes_the_place_of_the_first(source: Connect, database: str, folder: ObjectStoragePath) -> None:
    first = make(source, folder)
    with psycopg.connect(database) as connection:
        connection.execute("delete from plain where id = 7")
    second = make(source, folder)
    assert files_in(folder) == ["source.dump"]
    assert first.location == second.location and first.rows == second.rows + 1
    prove(second, folder)
    with pytest.raises(CutoverError, match=r"dump\.damaged"):
        prove(first, folder)


def flip(file: Path) -> None:
    """One bit of one byte in the middle."""
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)


TAMPERED: dict[str, Callable[[Path], object]] = {
    "a bit": flip,
    "cut short": lambda file: os.truncate(file, file.stat().st_size - 1_000),
    "a byte more": lambda file: file.open("ab").write(b"\0"),
    "empty": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_file_that_is_not_the_one_that_was_written_is_found(
    source: Connect, folder: ObjectStoragePath, tamper: Callable[[Path], object]
) -> None:
    made = make(source, folder)
    tamper(Path(folder.path, "source.dump"))
    with pytest.raises(CutoverError, match=r"\[dump\.damaged\].*source\.dump"):
        prove(made, folder)


LACKS = {
    "delete from plain where id = 7": r"public\.plain has 300 rows and not 301",
    "update plain set note = 'x' where id = 7": r"public\.plain has other content",
    "drop table parted_rest": r"public\.parted_rest is missing",
}


@pytest.mark.parametrize("change", LACKS)
def test_a_dump_that_lacks_something_of_its_source_is_found(
    source: Connect, database: str, folder: ObjectStoragePath, server: EmbeddedPostgres, change: str
) -> None:
    """The file is as it was written: by a program that left something out, or by somebody with access to both."""
    whole = make(source, folder)
    with psycopg.connect(database) as connection:
        connection.execute(change.encode())
    lacking = replace(make(source, folder), tables=whole.tables)
    with pytest.raises(CutoverError, match=rf"dump\.differs.* the dump does not hold.*{LACKS[change]}"):
        prove(lacking, folder)
    # and by the restored database, which is looked at second
    rehearsal = connector(server.dsn(), "rehearsal", "test")
    with pytest.raises(CutoverError, match=rf"dump\.differs.*the database restored from it.*{LACKS[change]}"):
        proof._restore(client.find(), lacking, folder / "source.dump", rehearsal, "cutover_rehearsal_test")
    assert scratch_databases(server) == []


def test_a_dump_that_cannot_be_restored_is_found(
    source: Connect, database: str, folder: ObjectStoragePath, server: EmbeddedPostgres
) -> None:
    """The application's policy names a role that the other server does not have."""
    name = f"visitor_{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"create role {name}; create policy own on plain to {name} using (true)".encode())
        made = make(source, folder)
        admin.execute(f"drop policy own on plain; drop role {name}".encode())
    prove(made, folder)
    with pytest.raises(CutoverError, match=rf"dump\.not-restorable.*{name}.* does not exist"):
        prove(made, folder, connector(server.dsn(), "rehearsal", "test"))


def test_what_a_killed_rehearsal_has_left_is_in_nobodys_way(
    source: Connect, folder: ObjectStoragePath, server: EmbeddedPostgres
) -> None:
    left = proof._scratch("run", "source")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {left}".encode())
    prove(make(source, folder), folder, connector(server.dsn(), "rehearsal", "test"))
    assert scratch_databases(server) == []


def test_a_role_that_cannot_read_everything_is_told_before(
    source: Connect, database: str, role: str, server: EmbeddedPostgres
) -> None:
    lesser = connector(as_role(database, role), "source", "test")
    with pytest.raises(CutoverError, match=r'dump\.not-readable.*cannot read "A\.b \("') as caught:
        dump.require_able(lesser)
    assert caught.value.remedy == f"grant pg_read_all_data to {role};"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(caught.value.remedy.encode())
        dump.require_able(lesser)
        admin.execute("alter table plain enable row level security")
        with pytest.raises(CutoverError, match=rf"dump\.not-readable.*public\.plain(?s:.*)alter role {role} bypassrls"):
            dump.require_able(lesser)
    elsewhere = connector(as_role(server.dsn(), role), "rehearsal", "test")
    with pytest.raises(CutoverError, match=rf"dump\.no-rehearsal(?s:.*)alter role \"{role}\" createdb;"):
        proof.require_able(elsewhere, [source])
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"alter role {role} createdb".encode())
    proof.require_able(elsewhere, [source])


def program(folder: Path, name: str, text: str) -> None:
    """A program of a shell's few lines."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_programs_that_are_missing_or_too_old_are_told_before(
    source: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(client.VARIABLE, str(tmp_path))
    with pytest.raises(CutoverError, match=r"dump\.no-client\] pg_dump and pg_restore: not found in folder"):
        dump.require_able(source)
    program(tmp_path, "pg_restore", "exit 0")
    with pytest.raises(CutoverError, match=r"dump\.no-client\] pg_dump: not found"):
        dump.require_able(source)
    program(tmp_path, "pg_dump", "echo something else")
    with pytest.raises(CutoverError, match=r"dump\.no-client.*does not say its version: something else"):
        dump.require_able(source)
    program(tmp_path, "pg_dump", "echo 'pg_dump (PostgreSQL) 13.22 (Debian 13.22-1.pgdg12+1)'")
    with pytest.raises(CutoverError, match=r"dump\.old-client.*it is of PostgreSQL 13, and database"):
        dump.require_able(source)
    monkeypatch.delenv(client.VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(CutoverError, match=r"dump\.no-client.*not found in the PATH of the worker"):
        dump.require_able(source)


def test_a_place_that_takes_no_files_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CutoverError, match=r"dump\.not-written.*Not a directory"):
        place.require_writable(ObjectStoragePath((tmp_path / "taken").as_uri()) / "migration")
    for named in ("nowhere://bucket", "gs://bucket"):  # of no kind, and of one whose package is not installed here
        monkeypatch.setenv(place.VARIABLE, named)
        with pytest.raises(CutoverError, match=r"dump\.not-written.*(nowhere|gs)"):
            place.require_writable(place.root() / "migration")
    place.require_writable(ObjectStoragePath((tmp_path / "new").as_uri()) / "migration")
    assert list((tmp_path / "new" / "migration").iterdir()) == []
    assert (tmp_path / "new" / "migration").stat().st_mode & 0o077 == 0


def test_dumps_are_kept_beside_data_docs_unless_said_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path / "data_docs"))
    monkeypatch.delenv(place.VARIABLE, raising=False)
    assert str(place.root()) == (tmp_path / "dumps").as_uri()
    for named, meant in ((str(tmp_path), tmp_path.as_uri()), ("s3://store@bucket/dumps", "s3://store@bucket/dumps")):
        monkeypatch.setenv(place.VARIABLE, named)
        assert str(place.root()) == meant


def test_a_table_that_somebody_changes_is_not_waited_for(
    source: Connect, database: str, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "LOCK_TIMEOUT", "200ms")
    with psycopg.connect(database) as other:
        other.execute("alter table plain add column later int")
        with pytest.raises(CutoverError, match=r"dump\.locked-out"):
            make(source, folder)
    assert files_in(folder) == []


def grow(database: str) -> None:
    """Some seconds of work for pg_dump."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "create table large as select n, md5(n::text) || md5((-n)::text) || md5((n * 7)::text) as told "
            "from generate_series(1, 120000) as n"
        )


def test_a_session_that_is_ended_leaves_nothing(source: Connect, database: str, folder: ObjectStoragePath) -> None:
    grow(database)
    ended: list[int] = []

    def end() -> None:
        with psycopg.connect(database, autocommit=True) as admin:
            while not ended:
                rows = admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and query like 'COPY public.large%'"
                )
                ended.extend(rows.rowcount for _ in rows)
                time.sleep(0.01)

    hitman = threading.Thread(target=end)
    hitman.start()
    with pytest.raises(CutoverError, match=r"dump\.failed.*pg_dump ended with 1"):
        make(source, folder)
    hitman.join()
    assert files_in(folder) == []
    prove(make(source, folder), folder)


def test_a_killed_task_leaves_no_program_and_no_dump(
    source: Connect, database: str, folder: ObjectStoragePath, repository: Path
) -> None:
    grow(database)
    environment = {**os.environ, "PYTHONPATH": f"{repository}/plugins:{repository}/include:{repository}"}
    task = subprocess.Popen([sys.executable, "-m", "tests.dumps.killable", database, str(folder)], env=environment)
    partial = Path(folder.path, "source.dump.partial")
    while not partial.exists() or not partial.stat().st_size:
        assert task.poll() is None, "it has ended before it was killed"
        time.sleep(0.01)
    (child,) = [one for one in psutil.Process(task.pid).children() if "pg_dump" in one.name()]
    commands = [*child.cmdline(), *psutil.Process(task.pid).cmdline()[:3]]
    secret = str(conninfo_to_dict(database)["password"])
    assert not [part for part in commands if secret in part]
    task.kill()
    task.wait()
    child.wait(timeout=60)
    assert files_in(folder) == ["source.dump.partial"]
    prove(make(source, folder), folder)
    assert files_in(folder) == ["source.dump"]


def test_what_a_program_is_told_is_for_it_alone_and_gone_afterwards(source: Connect) -> None:
    with source() as connection:
        options = client.parameters(connection)
    with client.environment(options) as variables:
        service = Path(variables["PGSERVICEFILE"])
        assert service.stat().st_mode & 0o777 == 0o600
        assert options["password"] not in service.read_text()
        assert not [name for name in variables if name.startswith(("AIRFLOW", "CUTOVER"))]
    assert not service.exists()
