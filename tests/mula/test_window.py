"""The fence: who is writing finishes, nobody begins, everybody is told why, and it is gone when something fails."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from cutover import window
from cutover.connect import opened
from cutover.errors import CutoverError
from tests.mula.world import MIGRATION, World

TABLES = MIGRATION.tables_of("dasha")
SOON = timedelta(seconds=20)


def fence(world: World, patience: timedelta = SOON) -> None:
    """Fence the Dasha Timer."""
    window.fence(world.connect("dasha_owner"), TABLES, "first", patience=patience, log=world.messages.append)


def test_every_kind_of_write_is_refused_with_the_reason_and_reads_go_on(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    # a session that was connected before
    with psycopg.connect(world.admin["dasha"], autocommit=True) as early:
        early.execute("select 1")
        fence(world)
        for statement in (
            "insert into users (email) values ('b@example.com')",
            "update users set username = 'x'",
            "delete from birth_charts",
            "truncate dasha_data",
            # nobody gets around it by choosing a mode
            "set session_replication_role = replica; update users set username = 'x'",
            "set default_transaction_read_only = off; update users set username = 'x'",
        ):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match=r"maintenance: .*fenced by run first"):
                early.execute(statement.encode())
        assert early.execute("select count(*) from users").fetchone() == (1,)
    world.copy()
    assert window.release(world.connect("dasha_owner"), "first", world.messages.append)
    world.execute("dasha", "update users set username = 'x'")
    assert not window.release(world.connect("dasha_owner"), "first", world.messages.append)


def test_only_the_run_that_fenced_a_source_releases_it(world: World) -> None:
    """A repeat that is rolled back leaves the first launch in use, and what that has fenced fenced."""
    fence(world)
    for other in ("second", "fir"):
        assert not window.release(world.connect("dasha_owner"), other, world.messages.append)
    assert "stays fenced by run first" in world.messages[-1]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        world.user("dasha", 1, "ana@example.com")


def test_the_fence_waits_for_who_is_writing_and_ends_nobody(world: World) -> None:
    with psycopg.connect(world.admin["dasha"]) as writing:
        writing.execute("insert into users (email) values ('under way')")
        fencing = threading.Thread(target=fence, args=(world,))
        fencing.start()
        time.sleep(2.5)
        assert fencing.is_alive()
        assert any("waiting for pid" in message for message in world.messages)
        writing.commit()
        fencing.join(timeout=15)
    assert not fencing.is_alive()
    assert world.value("select count(*) from users", database="dasha") == 1


def test_somebody_who_does_not_stop_writing_is_named_and_nothing_is_fenced(world: World) -> None:
    with psycopg.connect(world.admin["dasha"]) as writing:
        writing.execute("insert into users (email) values ('for ever')")
        with pytest.raises(CutoverError, match=r"window\.not-drained.*pid \d+ user postgres"):
            fence(world, timedelta(0))
        writing.rollback()
    world.user("dasha", 1, "still@open.com")


def test_what_would_stop_the_fence_is_found_in_preflight(world: World) -> None:
    with pytest.raises(CutoverError, match=r"(?s)window\.cannot-fence.*grant dasha_owner to mula_reader"):
        window.require_fenceable(world.connect("dasha"), TABLES, "first")
    window.require_fenceable(world.connect("dasha_owner"), TABLES, "first")
    fence(world)
    window.require_fenceable(world.connect("dasha_owner"), TABLES, "first")
    with pytest.raises(CutoverError, match=r"window\.fenced-by-another.*fenced by run first"):
        window.require_fenceable(world.connect("dasha_owner"), TABLES, "second")


def test_fencing_again_changes_nothing(world: World) -> None:
    fence(world)
    fence(world)
    with opened(world.connect("dasha_owner")) as connection:
        assert "run first" in str(window.fenced_by(connection))
    assert world.value("select count(*) from pg_trigger where tgname = 'cutover_fence'", database="dasha") == len(
        TABLES
    )


def test_later_source_writes_are_detected_and_reported(world: World) -> None:
    for application in ("dasha", "compatibility"):
        world.user(application, 1, f"{application}@example.com")
    world.chart("dasha", 1, 1)
    world.chart("dasha", 2, 1)
    world.prepare("first")
    # not one of these touches a time of modification
    world.execute("dasha", "update birth_charts set birth_location_name = 'late' where id = 1")
    world.execute("dasha", "delete from birth_charts where id = 2")
    world.user("dasha", 2, "late@example.com")
    found = window.late_writes(
        world.connect("dasha"), world.connect("unified"), TABLES, this_run="first", moment="review",
        log=world.messages.append,
    )  # fmt: skip
    assert {late.source: (late.written, late.removed) for late in found if late.written or late.removed} == {
        "dasha_users": (1, 0),
        "dasha_birth_charts": (1, 1),
    }
    review = world.review("first")
    (warning,) = [w for w in review["warnings"] if "have written" in w["title"]]
    assert warning["total"] == 2
    assert any("1 rows written and 1 removed since the copy" in message for message in world.messages)


def test_the_timeline_is_planned_beside_actual(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.begin("first")
    unified = world.connect("unified")
    opens = datetime.now(timezone.utc)
    assert MIGRATION.window is not None
    window.plan(unified, "first", opens, MIGRATION.window)
    fence(world)
    window.note(unified, "first", "fence", opens, "writers out")
    world.copy()
    window.note(unified, "first", "delta", opens, "2 rows")
    world.stage("first")
    world.check("first")
    world.review("first")
    world.approve("first")
    world.swap("first")
    steps = {step.step: step for step in window.timeline(unified, "first")}
    assert list(steps) == ["fence", "delta", "transform", "approve", "swap", "verify"]
    assert steps["swap"].planned_at == opens + timedelta(minutes=36)
    assert all(step.ended_at and step.planned_at and step.ended_at < step.planned_at for step in steps.values())
    assert "early" in steps["swap"].line() and "clients waited" in steps["swap"].line()
