"""The heart of the swap on every PostgreSQL that is at hand, whichever the rest of the suite runs on.

The foreign key of a partitioned table is where versions differ: before 18 it cannot be added unvalidated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from bench.production import Production, lay
from cutover.errors import CutoverError
from cutover.records import ledger
from cutover.swap.execution import Observer
from cutover.swap.finish import finish
from cutover.swap.plan import Statement
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

from .conftest import back
from .dump import dump

VERSIONS = ["PG_BINDIR"] if os.environ.get("PG_BINDIR") else ["16", "18"]
KEY = "events_profile_id_fkey"
PARTITIONS = ["public.events_2025", "public.events_2026_all"]


@pytest.fixture(scope="module", params=VERSIONS)
def each_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of each version."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "PG_BINDIR":
            patch.setenv("CUTOVER_PG", request.param)
        server = EmbeddedPostgres(tmp_path_factory.mktemp(f"postgres-{request.param}"), durable=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def production(each_server: EmbeddedPostgres, request: pytest.FixtureRequest) -> Production:
    """A production of 50 people, with a partition in a partition."""
    name = f"v{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(each_server.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    made = lay(each_server, name)
    made.fill(50)
    with made.admin() as admin:
        admin.execute("set role app_owner")
        admin.execute(
            "create table public.events_2026 partition of public.events "
            "for values from ('2026-01-01') to ('2027-01-01') partition by range (id)"
        )
        admin.execute("create table public.events_2026_all partition of public.events_2026 default")
        admin.execute(f"comment on constraint {KEY} on public.events is 'whose event'")
    return made


def production_version(production: Production) -> int:
    """The server's major version."""
    return int(production.value("show server_version_num")) // 10_000


def keys(production: Production) -> list[tuple[str, bool, bool, str]]:
    """Where the key is, whether it is the parent's, whether it is valid, and what it says."""
    with production.admin() as admin:
        return admin.execute(
            "select conrelid::regclass::text, conparentid <> 0, convalidated, obj_description(oid, 'pg_constraint') "
            "from pg_constraint where conname = %s and contype = 'f' order by 1",
            (KEY,),
        ).fetchall()


def test_the_inventory_is_the_same_after_a_swap_a_rollback_and_its_rollback(production: Production) -> None:
    before, dumped = production.inventory(), dump(production)
    production.swap(production.prepare("r1"))
    assert before.compare(production.inventory()) == []
    assert dumped ^ dump(production) == set()
    swap(production.connect, back(production, "b1"), production.log)
    assert before.compare(production.inventory()) == []
    assert dumped ^ dump(production) == set()
    swap(production.connect, back(production, "b2"), production.log)
    assert before.compare(production.inventory()) == []
    assert dumped ^ dump(production) == set()


def test_no_row_of_a_partitioned_table_is_read_inside_the_lock(production: Production) -> None:
    """Every key that is added inside the lock is added unvalidated."""
    before = keys(production)
    added: list[str] = []

    class Reads(Observer):
        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            if "add constraint" in statement.text and "public.events" in statement.object:
                assert statement.text.count("add constraint") == statement.text.count("NOT VALID")
                added.append(statement.object)

    production.swap(production.prepare("r1"), Reads())
    assert sorted(added) == (["public.events"] if production_version(production) >= 18 else PARTITIONS)
    assert keys(production) == before


def test_a_swap_killed_before_its_partitions_are_joined_again_is_finished_by_the_next(production: Production) -> None:
    before, facts = keys(production), production.inventory()

    class Dies(Observer):
        def at(self, moment: str) -> None:
            if moment == "committed":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        production.swap(production.prepare("r1"), Dies())
    assert not all(valid for _, _, valid, _ in keys(production))
    # what the partitions hold is guarded all the same
    with pytest.raises(psycopg.errors.ForeignKeyViolation), psycopg.connect(production.app_dsn) as app:
        app.execute("insert into public.events values (9999, md5('nobody')::uuid, date '2026-05-01')")
    swap(production.connect, back(production, "b1"), production.log)
    assert any("finishing it first" in message for message in production.messages)
    assert keys(production) == before
    assert facts.compare(production.inventory()) == []


def test_a_row_that_lost_what_it_refers_to_in_the_meantime_is_named(production: Production) -> None:
    class Writes(Observer):
        def at(self, moment: str) -> None:
            if moment == "committed":
                with production.admin() as admin:
                    admin.execute("set session_replication_role = replica")
                    admin.execute("insert into public.events values (9999, md5('nobody')::uuid, date '2026-05-01')")

    with pytest.raises(CutoverError, match="refers to nothing now") as raised:
        production.swap(production.prepare("r1"), Writes())
    assert raised.value.code == "verify.orphans"
    with production.admin() as admin:
        admin.execute("delete from public.events where id = 9999")
    with production.connect() as connection:
        connection.autocommit = True
        entry = ledger.find(connection, "r1")
        assert entry is not None
        finish(connection, entry, production.log)
    assert all(valid for _, _, valid, _ in keys(production))
