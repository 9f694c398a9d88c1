"""Old backups are dropped after approval, never the newest, and never what is in use."""

from __future__ import annotations

import psycopg
import pytest

from cutover import retention, rollback
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import chain, run
from cutover.swap.transaction import swap

from .conftest import Production

MIGRATION = Migration(migration="test", merge={"users": "auth.users"})


@pytest.fixture
def launched(production: Production) -> Production:
    """A swap, its rollback, and another swap: three backups, of which the last is the newest."""
    production.swap(production.prepare("r1"))
    with psycopg.connect(production.app_dsn) as app:
        app.execute("update public.profiles set name = 'Renamed' where email = 'person5@example.com'")
    with production.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
    rollback.preview(production.connect, order)
    production.approve(order)
    swap(production.connect, order, production.log)
    production.swap(production.prepare("r2"))
    return production


def reviewed(production: Production, this_run: str, days: int = 0) -> list[str]:
    """Begin a run and list what it would drop."""
    with production.connect() as connection:
        run.begin(
            connection,
            run=this_run,
            migration="test",
            dag_id="drop_backups",
            dag_run_id=this_run,
            triggered_by="maker",
            parameters={},
        )
    return retention.review(production.connect, MIGRATION, this_run, days, production.log)


def approve(production: Production, this_run: str) -> None:
    """Record the approval of exactly what is listed."""
    with production.connect() as connection:
        fingerprint = retention.fingerprint_of(connection, MIGRATION, run.get(connection, this_run))
        written = connection.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) values (%s, 'drop_backups', 'approve', %s, 'approve', 1, 'reviewer', now(), "
            "now() + interval '1 hour') returning approval_id",
            (this_run, fingerprint),
        ).fetchone()
        assert written is not None
        chain.cover(connection, "approval", this_run, ("approvals", written[0]))


def drop(production: Production, this_run: str) -> list[str]:
    """Drop what was approved."""
    return retention.drop(production.connect, MIGRATION, this_run, production.log)


def left(production: Production) -> list[str]:
    """The backup schemas that are there."""
    return production.value(
        "select array_agg(nspname::text order by nspname) from pg_namespace where nspname like 'backup%'"
    )


def test_approved_backups_go_and_the_newest_stays(launched: Production) -> None:
    before = launched.inventory()
    assert reviewed(launched, "d1") == ["backup_r1", "backup_b1"]
    assert any("backup_r2" in message and "newest" in message for message in launched.messages)
    approve(launched, "d1")
    assert drop(launched, "d1") == ["backup_r1", "backup_b1"]
    assert left(launched) == ["backup_r2"]
    assert before.compare(launched.inventory()) == []
    # the newest can still be rolled back, with what was written since
    with psycopg.connect(launched.app_dsn) as app:
        app.execute("update public.profiles set name = 'Kept' where email = 'person7@example.com'")
    with launched.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b2")
    launched.approve(order)
    swap(launched.connect, order, launched.log)
    assert launched.value("select name from public.profiles where email = 'person7@example.com'") == "Kept"


def test_captured_writes_go_with_the_table_that_they_were_made_to(launched: Production) -> None:
    assert launched.value("select count(*) from cutover.changelog") > 0
    reviewed(launched, "d1")
    approve(launched, "d1")
    drop(launched, "d1")
    assert launched.value(
        "select count(*) from cutover.changelog as l where not exists (select from pg_class as c where c.oid = l.relid)"
    ) == 0  # fmt: skip
    assert any("purged" in message for message in launched.messages)


def test_young_backups_stay(launched: Production) -> None:
    assert reviewed(launched, "d1", days=30) == []


def test_nothing_is_dropped_without_an_approval_or_with_another_one(launched: Production) -> None:
    reviewed(launched, "d1")
    with pytest.raises(CutoverError, match="nobody has approved it") as raised:
        drop(launched, "d1")
    assert raised.value.code == "swap.not-approved"
    approve(launched, "d1")
    with launched.admin() as admin:
        admin.execute("create table backup_r1.added_later (id integer)")
    with pytest.raises(CutoverError, match="changed after the approval"):
        drop(launched, "d1")
    assert left(launched) == ["backup_b1", "backup_r1", "backup_r2"]


def test_what_is_in_use_is_not_dropped_and_named(launched: Production) -> None:
    with launched.admin() as admin:
        admin.execute(
            "do $$ begin execute (select format('create view public.nostalgia as select 1 from %s', c.oid::regclass) "
            "from pg_class as c where c.relkind = 'r' and c.relnamespace = 'backup_b1'::regnamespace limit 1); end $$"
        )
    reviewed(launched, "d1")
    approve(launched, "d1")
    with pytest.raises(CutoverError, match="nostalgia") as raised:
        drop(launched, "d1")
    assert raised.value.code == "retention.in-use"
    assert left(launched) == ["backup_b1", "backup_r1", "backup_r2"]


def test_dropping_again_finds_it_done(launched: Production) -> None:
    reviewed(launched, "d1")
    approve(launched, "d1")
    assert drop(launched, "d1") == drop(launched, "d1")
    assert any("dropped already" in message for message in launched.messages)


def test_nothing_is_dropped_while_a_swap_runs(launched: Production) -> None:
    reviewed(launched, "d1")
    approve(launched, "d1")
    with launched.admin() as admin, admin.transaction():
        admin.execute("select from cutover.turn where name = 'swap' for update")
        with pytest.raises(CutoverError) as raised:
            drop(launched, "d1")
    assert raised.value.code == "swap.another-run"
