"""The fence: who is writing finishes, nobody begins, everybody is told why, and it is gone when something fails."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from cutover import window
from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.operators import notify
from cutover.operators.approve import ApprovalSensor
from cutover.operators.outlook import OutlookOperator
from cutover.operators.phases import SwapOperator
from cutover.operators.window import hold_fences
from cutover.records.ledger import run_key
from tests.mula.world import MIGRATION, World
from tests.phase.tiny import Ti

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


@pytest.mark.parametrize(
    ("colleague", "what_is_said"),
    [
        (
            False,
            r"\(imports\) holds RowExclusiveLock on public.dasha_data; .* grant pg_read_all_stats to dasha_owner\.",
        ),
        (True, r"\(imports, idle in transaction, .*\) holds .* on public.dasha_data: update dasha_data .* 'for long'"),
    ],
    ids=["of another role", "of the same role"],
)
def test_writers_of_other_tables_go_on_while_one_that_stays_is_waited_for(
    world: World, colleague: bool, what_is_said: str
) -> None:
    """Every one of them would give up rather than wait."""
    world.user("dasha", 1, "ana@example.com")
    over = threading.Event()
    written: list[int] = []
    refused: list[str] = []

    def write() -> None:
        with psycopg.connect(world.admin["dasha"], autocommit=True) as client:
            client.execute("set lock_timeout = '150ms'")
            while not over.is_set():
                try:
                    client.execute("insert into birth_charts (user_id) values (1)")
                    written.append(1)
                except psycopg.errors.LockNotAvailable as error:
                    refused.append(str(error))

    writer = threading.Thread(target=write)
    dsn = world.dsn["dasha_owner"] if colleague else world.admin["dasha"]
    with psycopg.connect(dsn, application_name="imports") as staying:
        staying.execute("update dasha_data set current_dasha = 'for long'")
        writer.start()
        try:
            with pytest.raises(CutoverError, match=rf"window\.not-drained.* user .*{what_is_said}"):
                fence(world, timedelta(seconds=3))
        finally:
            over.set()
            writer.join()
    assert written and not refused
    fence(world)


def test_fencing_again_changes_nothing(world: World) -> None:
    fence(world)
    fence(world)
    with opened(world.connect("dasha_owner")) as connection:
        assert "run first" in str(window.fenced_by(connection))
    assert world.value("select count(*) from pg_trigger where tgname = 'cutover_fence'", database="dasha") == len(
        TABLES
    )


@pytest.mark.parametrize(
    "reader", ["select * from users", "declare slow cursor for select * from birth_charts", "lock users in share mode"]
)
def test_a_reader_of_a_source_keeps_nobody_shut_out(world: World, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_TIDY_TRIES", 1)
    world.user("dasha", 1, "ana@example.com")
    fence(world)
    with psycopg.connect(world.admin["dasha"]) as dump:
        dump.execute(reader.encode())
        if "share mode" in reader:  # a dump of another kind: it waits for writers, and they for it
            dump.execute("set lock_timeout = 0")
        assert window.release(world.connect("dasha_owner"), "first", world.messages.append)
        assert "refuse nothing" in world.messages[-1]
        if "share mode" not in reader:
            world.execute("dasha", "update users set username = 'in again'")
        # a release that is tried again finds nothing to open
        assert not window.release(world.connect("dasha_owner"), "first", world.messages.append)
        with opened(world.connect("dasha_owner")) as connection:
            assert window.fenced_by(connection) is None
    window.release(world.connect("dasha_owner"), "first", world.messages.append)
    assert world.value("select to_regnamespace('cutover_fence')", database="dasha") is None


def test_a_fence_that_was_opened_and_not_taken_away_is_put_up_again(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    fence(world)
    with psycopg.connect(world.admin["dasha"]) as dump:
        dump.execute("select * from users")
        window.release(world.connect("dasha_owner"), "first", world.messages.append)
    window.fence(world.connect("dasha_owner"), TABLES, "second", patience=SOON, log=world.messages.append)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="fenced by run second"):
        world.execute("dasha", "update users set username = 'late'")


@pytest.mark.parametrize("parent", ["users", "birth_charts"])
def test_what_inherits_from_a_source_table_is_fenced_with_it(world: World, parent: str) -> None:
    world.execute("dasha", f"create table public.archived () inherits (public.{parent})")
    world.execute("dasha", "create table public.archived_long_ago () inherits (public.archived)")
    world.execute("dasha", "alter table public.archived owner to dasha_owner")
    with pytest.raises(CutoverError, match=r"window\.cannot-fence.*archived_long_ago"):
        window.require_fenceable(world.connect("dasha_owner"), TABLES, "first")
    world.execute("dasha", "alter table public.archived_long_ago owner to dasha_owner")
    fence(world)
    for table in ("archived", "archived_long_ago"):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="maintenance"):
            world.execute("dasha", f"truncate public.{table}")


BREAKS = {
    "dropped": "drop schema cutover_fence cascade",
    "dropped on one table": "drop trigger cutover_fence on birth_charts",
    "disabled on one table": "alter table birth_charts disable trigger cutover_fence",
    "for some sessions only": "alter table birth_charts enable trigger cutover_fence",
    "off and on again": "alter table users disable trigger cutover_fence; "
    "alter table users enable always trigger cutover_fence",
    "a function that does nothing": "create or replace function cutover_fence.refuse() returns trigger "
    "language plpgsql as 'begin /* raise exception */ return null; end'",
    "another trigger of this name": "drop trigger cutover_fence on users; create function public.nothing() returns "
    "trigger language plpgsql as 'begin return null; end'; create trigger cutover_fence before insert on users "
    "for each statement execute function public.nothing(); alter table users enable always trigger cutover_fence",
    "a table that came later": "create table later () inherits (users)",
    "a table that is another by now": "alter table birth_charts rename to charts_of_before; "
    "create table birth_charts (like charts_of_before)",
    "a table that has gone": "drop table dasha_data",
    "opened": "comment on schema cutover_fence is 'opened by run first at noon'",
    "another run's": "comment on schema cutover_fence is 'fenced by run second at noon'",
}


@pytest.mark.parametrize("change", BREAKS.values(), ids=BREAKS)
def test_a_fence_that_has_not_stood_all_the_time_is_noticed(world: World, change: str) -> None:
    owner = world.connect("dasha_owner")
    mark = window.fence(owner, TABLES, "first", patience=SOON, log=world.messages.append)
    assert window.fence(owner, TABLES, "first", patience=SOON, log=world.messages.append) == mark
    with window.standing({"dasha": (owner, TABLES, mark)}, "first") as require:
        require()
        with psycopg.connect(world.admin["dasha"]) as meddler:
            meddler.execute("set lock_timeout = '200ms'")
            try:
                meddler.execute(change.encode())
                meddler.commit()
            except psycopg.errors.LockNotAvailable:
                meddler.rollback()
                require()
                is_done = False
            else:
                is_done = True
                with pytest.raises(CutoverError, match=r"window\.fence-broken"):
                    require()
    if not is_done:
        world.execute("dasha", change)
    with (
        pytest.raises(CutoverError, match=r"window\.fence-broken"),
        window.standing({"dasha": (owner, TABLES, mark)}, "first"),
    ):
        pass


def test_a_window_has_bounds(world: World) -> None:
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)

    def refused(
        opens_at: datetime | None = None,
        length: timedelta = hour,
        approval: timedelta = hour / 2,
        drain: timedelta = hour / 6,
    ) -> str:
        try:
            window.require_bounds(opens_at, length, approval, MIGRATION.window, now, drain=drain)
        except CutoverError as error:
            return error.code
        return ""

    assert [refused(), refused(now), refused(now + 6 * 24 * hour)] == ["", "", ""]
    assert {refused(now - hour), refused(now - 5 * 24 * hour), refused(now + 8 * 24 * hour)} == {"window.bad-opening"}
    assert refused(approval=2 * hour) == "window.approval-too-long"
    assert refused(drain=hour) == "window.drain-too-long"
    assert refused(length=hour / 2, approval=hour / 4) == "window.plan-too-long"
    window.require_open_for(now, now)
    with pytest.raises(CutoverError, match=r"window\.over"):
        window.require_open_for(now, now + timedelta(seconds=1))


def test_nothing_waits_counts_or_is_swapped_beyond_the_window_s_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", world.dsn["unified"].replace("postgresql://", "postgres://"))
    run_id = "manual__2026-11-26T08:00:00+00:00"
    this_run, now = run_key("mula_unification", run_id), datetime.now(timezone.utc)
    world.begin(this_run)
    context: Any = {
        "dag_run": SimpleNamespace(dag_id="mula_unification", run_id=run_id, conf={}),
        "params": {"maintenance_window": True, "approval_hours": 4},
    }
    approval = ApprovalSensor(task_id="approve", migration="mula_unification", action="swap")
    assert approval._patience(context, now) == timedelta(hours=4)

    def end(ends_at: datetime) -> None:
        world.record(this_run, "fence", made_from=[], marks={}, ends_at=ends_at.isoformat())

    end(now + timedelta(minutes=7))
    assert approval._patience(context, now) == timedelta(minutes=7)
    assert approval._patience(context, now + timedelta(minutes=5)) == timedelta(minutes=2)
    context["params"]["maintenance_window"] = False
    assert approval._patience(context, now) == timedelta(hours=4)
    context["params"]["maintenance_window"] = True
    swap = SwapOperator(task_id="swap", migration="mula_unification")
    with hold_fences(swap, context) as require:
        require()
        end(now - timedelta(seconds=1))
    with pytest.raises(CutoverError, match=r"window\.over"):
        approval._patience(context, now)
    with pytest.raises(CutoverError, match=r"window\.over"), hold_fences(swap, context):
        pass


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
    writes = window.late_writes(
        world.connect("dasha"), world.connect("unified"), TABLES, this_run="first", moment="review",
        log=world.messages.append,
    )  # fmt: skip
    assert {late.source: (late.written, late.removed) for late in writes if late.written or late.removed} == {
        "dasha_users": (1, 0),
        "dasha_birth_charts": (1, 1),
    }
    review = world.review("first")
    (warning,) = [w for w in review["warnings"] if "have written" in w["title"]]
    assert warning["total"] == 2
    assert any("1 rows written and 1 removed since the copy" in message for message in world.messages)


@pytest.mark.parametrize("how", ["late writes were found", "the sources were released"])
def test_what_was_written_without_a_time_while_sources_were_open_comes_with_the_next_copy(
    world: World, how: str
) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1, birth_location_name="then")
    world.begin("first")
    world.copy()
    world.execute("dasha", "update birth_charts set birth_location_name = 'now'")

    def copied() -> str:
        world.copy()
        return str(world.value("select birth_location_name from raw.dasha_birth_charts"))

    assert copied() == "then"
    if how == "the sources were released":
        window.note(world.connect("unified"), "first", "release", datetime.now(timezone.utc), "dasha released")
    else:
        world.execute(
            "unified", "insert into cutover.late_write values ('first', 'verify', 'dasha_birth_charts', 1, 0, now())"
        )
    assert copied() == "now"
    # once: then their times are gone by again
    world.copy()
    newest = "select because from cutover.sync where source = 'dasha_birth_charts' order by sync_id"
    said = [row["because"] for row in world.rows(newest)]
    assert said[1::2] == ["rows compared by updated_at"] * 2
    assert said[2].startswith("rows compared by content, for sources were written to")


def test_a_step_that_is_late_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fenced in time, copied too late, and later still; then the sources are released and nobody is woken any more."""
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", world.dsn["unified"].replace("postgresql://", "postgres://"))
    lines: list[notify.Message] = []
    monkeypatch.setattr(notify, "tell", lambda message, log: lines.append(message) or [])
    unified, opened_at = world.connect("unified"), datetime.now(timezone.utc) - timedelta(minutes=11)

    def look() -> list[str]:
        lines.clear()
        # nobody is asked about a launch
        with suppress(AirflowSkipException):
            OutlookOperator(task_id="outlook", migration="mula_unification").execute({"ti": Ti(1)})
        return [message.subject for message in lines]

    assert look() == []
    world.begin("first")
    assert MIGRATION.window is not None
    window.plan(unified, "first", opened_at, MIGRATION.window)
    window.note(unified, "first", "fence", opened_at)
    assert look() == ["mula_unification: delta of the maintenance window of run first is late"]
    assert re.fullmatch(r"delta was planned to have ended by \d\d:\d\d:\d\d UTC", lines[0].lines[0])
    assert look() == []
    window.plan(unified, "first", opened_at - timedelta(minutes=30), MIGRATION.window)
    assert look() == ["mula_unification: transform, approve, swap of the maintenance window of run first are late"]
    window.plan(unified, "first", opened_at - timedelta(minutes=60), MIGRATION.window)
    window.note(unified, "first", "release", opened_at, "dasha, compatibility released")
    assert look() == []


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
