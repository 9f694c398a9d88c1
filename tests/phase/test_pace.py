"""The pace of what is built beside production: replicas are waited for, and builds tell how far they are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import pq

from cutover.commands.launches import _status_lines
from cutover.database import statements as files
from cutover.database.connect import Connect, connector
from cutover.errors import CutoverError
from cutover.migration import Migration, load
from cutover.migration.pace import PaceLimit
from cutover.operators.launch import launch
from cutover.records import ledger, progress
from cutover.swap import pace as engine
from cutover.swap.pace import Pace
from cutover.ui import standing, store
from stack.postgres import EmbeddedPostgres

from .tiny import NAME, TASKS, Run, World

RUN, TASK = "r1", "transform.keys"
AT_ONCE = timedelta(0)
LONG = timedelta(hours=1)
# Of the tests' own waits for what happens by itself.
_DEADLINE_S = 60.0


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives, once that is something."""
    deadline = time.monotonic() + _DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.02)
    return value


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Do ``work`` beside the block; what it gave or raised is there when the block has ended."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except CutoverError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield outcome
    thread.join(_DEADLINE_S)
    assert not thread.is_alive()


def told(dsn: str, run: str = RUN) -> str:
    """What the tasks of a run say at this moment."""
    with psycopg.connect(dsn) as connection:
        return "; ".join(progress.of_runs(connection, [run]).get(run, []))


def paced(connect: Connect, limit: PaceLimit, log: list[str], migration: str = "none") -> Pace:
    """The pace of a task, which looks often."""
    return Pace(connect, Migration(migration=migration), limit, RUN, log.append, pause_s=0.02, task=TASK)


def code_of(work: Callable[[], Any]) -> str | None:
    """The code that ``work`` ends with; None if it does well."""
    try:
        work()
    except CutoverError as error:
        return error.code
    return None


# a real standby


@pytest.fixture
def standby(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A standby of the tests' server, called ``far``."""
    # another test may have made a tablespace in the server's own folder
    allowing = {"allow_in_place_tablespaces": "on"}
    standby = EmbeddedPostgres(tmp_path / "standby", durable=False, settings=allowing)
    standby._make_home()
    primary = f"{server.dsn()}?application_name=far"
    standby._run("pg_basebackup", "-D", str(standby.data), "-d", primary, "-R", "-X", "stream", "-c", "fast", "-N")
    standby.data.chmod(0o700)
    (standby.home / "password").write_text(server.password)
    standby.start()
    yield standby
    standby.remove()


def test_a_replica_that_is_behind_is_waited_for(
    server: EmbeddedPostgres, standby: EmbeddedPostgres, database: str
) -> None:
    log: list[str] = []
    connect = connector(database, "production", "test")
    limit = PaceLimit(lag_megabytes=1, longest_wait=AT_ONCE)
    far = "far at 127.0.0.1"

    def execute(dsn: str, statement: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute(statement.encode())

    with psycopg.connect(database) as connection:
        ledger.install(connection)
    with psycopg.connect(database, autocommit=True) as session:
        until(lambda: [lag for lag in engine.look(connect, Migration(migration="none"), limit) if lag.bytes == 0])
        # nobody is behind
        paced(connect, limit, log).wait(session)
        execute(standby.dsn(), "select pg_wal_replay_pause()")
        execute(database, "select pg_logical_emit_message(false, 'test', repeat('x', 3000000))")

        with pytest.raises(CutoverError) as refusal:
            paced(connect, limit, log).wait(session)
        assert refusal.value.code == "pace.behind" and refusal.value.obj == f"replica {far}"
        assert "3 MB behind, bound 1 MB" in refusal.value.why
        # off, above its lag, or one that may lag
        for other in ({"lag_megabytes": None}, {"lag_megabytes": 100}, {"ignored": ("far",)}):
            paced(connect, limit.model_copy(update=other), log).wait(session)
        # never where locks may be held
        with session.transaction():
            session.execute("lock table cutover.run in share mode")
            paced(connect, limit, log).wait(session)

        # a role that may not see how far it is
        execute(database, "create role blind login password 'blind'")
        blind = connector(server.dsn(database.rsplit("/", 1)[1], "blind", "blind"), "production", "test")
        assert code_of(lambda: paced(blind, limit, log).wait(session)) == "pace.hidden"
        execute(database, "grant pg_monitor to blind; grant usage on schema cutover to blind")
        execute(database, "grant select, insert, update, delete on cutover.progress to blind")
        assert code_of(lambda: paced(blind, limit, log).wait(session)) == "pace.behind"
        execute(database, "drop owned by blind; drop role blind")

        # two launches wait for it, and go on when it has caught up
        waiting = [paced(connect, PaceLimit(lag_megabytes=1, longest_wait=LONG), log) for _ in range(2)]
        waiting[1].run = "r2"
        with psycopg.connect(database, autocommit=True) as other:
            with (
                meanwhile(lambda: waiting[0].wait(session)) as first,
                meanwhile(lambda: waiting[1].wait(other)) as second,
            ):
                for run in (RUN, "r2"):
                    said = until(lambda run=run: told(database, run))
                    assert said.startswith(f"{TASK} waits for replica {far}: 3 MB behind, bound 1 MB, since ")
                assert session.info.transaction_status == pq.TransactionStatus.IDLE
                execute(standby.dsn(), "select pg_wal_replay_resume()")
            assert first == second == [None]
        assert told(database) == told(database, "r2") == ""
        assert log[-1].startswith("replicas are within their bounds after ")

        # and one that disappears meanwhile is not within its bounds
        execute(standby.dsn(), "select pg_wal_replay_pause()")
        execute(database, "select pg_logical_emit_message(false, 'test', repeat('x', 3000000))")
        task = paced(connect, PaceLimit(lag_megabytes=1, longest_wait=LONG), log)
        with meanwhile(lambda: task.wait(session)) as outcome:
            until(lambda: told(database))
            standby.stop()
            until(lambda: "disappeared" in told(database))
            task.limit = task.limit.model_copy(update={"longest_wait": AT_ONCE})
        assert outcome[0].code == "pace.replica-gone"
        # whoever tries again looks at those that are there
        paced(connect, limit, log).wait(session)


def test_a_replica_that_tells_no_position_is_waited_for(database: str) -> None:
    connect, limit = connector(database, "production", "test"), PaceLimit(longest_wait=AT_ONCE)
    mute = f"{database}?replication=true&application_name=mute"
    with psycopg.connect(database, autocommit=True) as session, closing(psycopg.connect(mute)) as replica:
        ledger.install(session)
        # it is connected, and no replica yet
        paced(connect, limit, []).wait(session)
        (position,) = session.execute("select pg_current_wal_flush_lsn()").fetchone() or ("",)
        replica.pgconn.send_query(f"START_REPLICATION PHYSICAL {position}".encode())
        with pytest.raises(CutoverError) as refusal:
            until(lambda: paced(connect, limit, []).wait(session))
        assert refusal.value.code == "pace.not-told" and refusal.value.obj == "replica mute at 127.0.0.1"
        replica.close()
        # the server's other tests have no replica
        until(lambda: not engine.look(connect, Migration(migration="none"), limit))


# a query of the operator's


def ask(include: Path, name: str, query: str, file: str = "lag") -> None:
    """Lay a query down for a migration."""
    path = include / "sql" / name / "pace" / f"{file}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(query)


_QUERIES = {
    "a whole number": ("select 60", None),
    "an exact one": ("select 1.5", None),
    "nothing behind": ("-- Of Aurora.\nselect 0;\n", None),
    "too far": ("select 61", "pace.behind"),
    "null": ("select null::integer", "pace.not-told"),
    "hangs": ("select 1 from pg_sleep(600)", "pace.not-told"),
    "text": ("select 'none'", "pace.query"),
    "a truth": ("select true", "pace.query"),
    "a span": ("select interval '1 minute'", "pace.query"),
    "negative": ("select -1", "pace.query"),
    "no number": ("select 'NaN'::float8", "pace.query"),
    "without end": ("select 'infinity'::float8", "pace.query"),
    "two columns": ("select 1, 2", "pace.query"),
    "two rows": ("select 1 union all select 2", "pace.query"),
    "no row": ("select 1 where false", "pace.query"),
    "no result": ("set work_mem to '1MB'", "pace.query"),
    "writes": ("delete from public.kept returning 1", "pace.query"),
    "ends its bounds first": ("commit; delete from public.kept returning 1", "pace.query"),
    "unknown table": ("select seconds from nowhere", "pace.query"),
    "no SQL": ("how far is it?", "pace.query"),
}


@pytest.mark.parametrize("case", _QUERIES)
def test_a_query_of_the_operators_answers_a_number_or_nothing_goes_on(
    case: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, code = _QUERIES[case]
    # texts of files are read once, so each case has a name of its own
    name = f"m{list(_QUERIES).index(case)}"
    ask(tmp_path, name, query)
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    if case == "hangs":
        monkeypatch.setattr(engine, "LOOK_MS", 50)
    log: list[str] = []
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("create table kept as select 1 as one")
        paces = paced(connector(database, "production", "test"), PaceLimit(longest_wait=AT_ONCE), log, name)
        assert code_of(lambda: paces.wait(session)) == code
        assert session.execute("select count(*) from kept").fetchone() == (1,)


def test_a_launch_waits_without_a_lock_and_says_so_where_it_is_watched(
    changing: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = changing
    ask(tmp_path / "include", NAME, "select seconds from public.lagging")
    world.execute("create table public.lagging as select 0 as seconds")
    monkeypatch.setattr(engine, "PAUSE_S", 0.02)
    run = world.run("manual__1")
    assert run.until("transform.people") is None
    world.execute("update public.lagging set seconds = 600")
    with meanwhile(lambda: run.do("transform.orders")) as load_outcome:
        assert "transform.orders waits for replica by tiny/pace/lag.sql: 600 s behind" in until(
            lambda: told(world.dsn, run.key)
        )
        shown(world, run)
        _require_no_lock(world)
        world.execute("update public.lagging set seconds = 0")
    assert load_outcome == [None]
    assert world.value("select count(*) from staging.orders") == 2

    # killed while it waits: nothing stays of it, and the next try does all
    world.execute("update public.lagging set seconds = 600")
    command = [sys.executable, "-m", "tests.phase.killable", world.dsn, run.key]
    killed = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    until(lambda: "waits for replica" in told(world.dsn, run.key))
    killed.kill()
    killed.wait()
    until(lambda: not world.value("select count(*) from pg_stat_activity where application_name = 'killable'"))
    assert world.value("select count(*) from cutover.phase where step = 'keys'") == 0
    world.execute("delete from cutover.progress")

    # the bound is changed between two tries: what fails by one goes through by the next
    declare(tmp_path, "{lag: 5m, longest_wait: 0s}")
    assert "[pace.behind]" in (run.do("transform.keys") or "")
    assert world.value("select count(*) from cutover.progress") == 0
    declare(tmp_path, "{lag: 1h}")
    assert run.do("transform.keys") is None

    # the swap's own preparation waits, too, and not its transaction
    declare(tmp_path, "{lag: 5m, longest_wait: 0s}")
    assert run.do("validate.suites") is None
    world.execute("create index more on public.people (name)")
    assert run.do("review.build") is None and run.do("approve") == "waiting" and run.answer() is None
    assert "[pace.behind]" in (run.do("swap") or "")
    assert world.value("select count(*) from cutover.ledger") == 0
    world.execute("update public.lagging set seconds = 0")
    assert run.do("swap") is None
    # on the way back nobody waits
    world.execute("update public.lagging set seconds = 600")
    back = world.rollback("manual__2")
    assert back.do("preview") is None and back.do("approve") == "waiting" and back.answer() is None
    assert back.do("rollback") is None


def declare(tmp_path: Path, pace: str) -> None:
    """What the migration declares about its pace, as the next task reads it."""
    path = tmp_path / "include" / "sql" / NAME / "migration.yaml"
    path.write_text(f"migration: tiny\ntarget: production\npace: {pace}\n")
    _forget()


def _forget() -> None:
    """Files are read once in a process, and a task is one."""
    files.text.cache_clear()
    load.cache_clear()


@pytest.fixture
def changing(world: World) -> Iterator[World]:
    """A world whose declaration is changed: what others read is not that."""
    yield world
    _forget()


def shown(world: World, run: Run) -> None:
    """What is said is on the page of launches, on the review's, and in the terminal; what a kill has left is not."""
    migration = load(NAME)
    # how far it is Airflow alone would tell
    begun = standing.Standing(NAME, run.run_id, "queued", store.datetime.now(), "operator", now="orders is at work")
    with psycopg.connect(world.dsn) as connection:
        (row,) = store.launches(connection, migration, None)
        _, page = store.review(connection, migration, run.key, begun)
    (line,) = row["doing"]
    assert page["now"] == line and "waits for replica" in line
    api = {"dag_run_id": run.run_id, "state": "under way", "started_at": "2026-11-28T00:00:00+00:00"}
    seen_by = {"migration": NAME, "problem": None, "active": run.run_id, "tasks": [{"state": "running"} | _TASK]}
    lines = _status_lines(
        [seen_by | {"runs": [row | api | {"triggered_by": "operator", "waits_for": None, "progress": None}]}], ""
    )
    assert f"    {line}" in lines
    world.execute(
        "insert into cutover.progress (run, task_id, said, noted_at) "
        f"values ('{run.key}', 'killed', 'builds', now() - interval '1 minute')"
    )
    assert "killed" not in told(world.dsn, run.key)
    world.execute("delete from cutover.progress where task_id = 'killed'")


_TASK = {"task_id": "transform.orders", "start_date": None, "end_date": None, "try_number": 1}


def _require_no_lock(world: World) -> None:
    held = world.value(
        "select array_agg(distinct c.relname) from pg_locks as l join pg_class as c on c.oid = l.relation "
        "join pg_namespace as n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'staging') and l.pid <> pg_backend_pid() and c.relname <> 'lagging'"
    )
    assert held is None


def test_the_bound_of_a_run_is_its_own(world: World) -> None:
    run = world.run("manual__1", lag_megabytes=5)
    assert TASKS[TASK]().pace(run.context()).limit == PaceLimit(lag_megabytes=5)
    other = world.run("manual__2", lag_megabytes=None)
    assert TASKS[TASK]().pace(other.context()).limit == PaceLimit(lag_megabytes=None)
    # off: nobody is asked
    with psycopg.connect(world.dsn, autocommit=True) as session:
        paced(_unreachable, PaceLimit(lag_megabytes=None), []).wait(session)
    assert launch(NAME).params["lag_megabytes"] == 1_024


def _unreachable() -> psycopg.Connection:
    raise AssertionError("it has opened a session")


# how far, how much room, what an index build may take


def test_what_is_built_tells_how_far_it_is_while_it_is_built(database: str) -> None:
    log: list[str] = []
    task = paced(connector(database, "production", "test"), PaceLimit(), log)
    with psycopg.connect(database) as connection:
        ledger.install(connection)
    with psycopg.connect(database, autocommit=True) as session, psycopg.connect(database, autocommit=True) as holder:
        session.execute("create table many as select n from generate_series(1, 200000) as n")
        session.execute(
            "create function slow(n integer) returns integer language plpgsql immutable as $$ begin "
            "if n = 150000 then perform pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1); end if; "
            "return n; end $$"
        )
        holder.execute("select pg_advisory_lock(1)")

        def build() -> None:
            with task.building(session, "many_slow"):
                session.execute("create index many_slow on many (slow(n))")

        with meanwhile(build):
            line = f"{TASK} builds many_slow, building index: scanning table: 5 of 7 MB"
            until(lambda: told(database).startswith(line))
            holder.execute("select pg_advisory_unlock(1)")
        assert told(database) == "" and log[0].startswith("builds many_slow, building index: scanning table")

        # rows that are not committed yet
        session.execute("create table few (n integer)")
        with task.loading("few", "public.few", "public.many"), session.transaction():
            session.execute("insert into few select n from generate_series(1, 100000) as n")
            until(lambda: told(database).startswith(f"{TASK} loads few: 4 of 7 MB"))
        # what another session keeps from being looked at stops nothing
        with task.loading("gone", "public.gone", "public.many"):
            session.execute("drop table few")
    assert told(database) == ""


def test_a_rate_and_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((100.0, 102.0, 104.0))
    monkeypatch.setattr(engine.time, "monotonic", lambda: next(now))
    watch = engine._Load("people", {})
    lines = [watch._share("load", done * 10**6, 100 * 10**6, "MB", 1e6) for done in (10, 30, 120)]
    assert lines == ["10 of 100 MB", "30 of 100 MB, 10 MB a second, about 7 s left", "120 MB, 28 MB a second"]


@pytest.mark.parametrize(
    ("limit", "memory", "workers"),
    [
        ({}, 65_536, 2),
        ({"index_megabytes": 100, "index_workers": 0}, 102_400, 0),
        ({"index_megabytes": 10**9, "index_workers": 10**6}, 2_147_483_647, 8),
    ],
    ids=["by the server's own", "as declared", "no more than the server allows"],
)
def test_what_an_index_build_may_take(limit: dict[str, int], memory: int, workers: int, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as session:
        paced(connector(database, "production", "test"), PaceLimit(**limit), []).tune(session)
        rows = session.execute(
            "select setting::bigint from pg_settings "
            "where name in ('maintenance_work_mem', 'max_parallel_maintenance_workers') order by name"
        ).fetchall()
    assert rows == [(memory,), (workers,)]


def test_room_is_estimated_before_anything_is_made_and_shown_on_the_review(launched: World, tmp_path: Path) -> None:
    world = launched
    earlier = world.value("select run from cutover.ledger")
    ask(tmp_path / "include", NAME, "select bytes from public.free_room", "free")
    world.execute("create table public.free_room as select 1::bigint as bytes")
    run = world.run("manual__2")
    said = run.do("preflight.check") or ""
    assert "[preflight.no-room]" in said and f"by the figures of run {earlier}" in said and "0.0 MB are free" in said
    world.execute("update public.free_room set bytes = -1")
    assert "[pace.query]" in (run.do("preflight.check") or "")
    world.execute("update public.free_room set bytes = 5000000000")
    assert run.until("review.build") is None

    with psycopg.connect(world.dsn) as connection:
        review: Any = connection.execute("select review from cutover.run where run = %s", (run.key,)).fetchone()
        written: Any = connection.execute(
            "select step, (result ->> 'wal_bytes')::bigint from cutover.phase where run = %s and result ? 'wal_bytes'",
            (run.key,),
        ).fetchall()
    (figure,) = [one for one in review[0]["figures"] if one["name"] == "room"]
    assert figure["title"] == f"Room on the disk of the target, by the figures of run {earlier}"
    megabytes = {what: value for what, value, _ in figure["rows"]}
    assert megabytes["free on the disk"] == "5000.0"
    steps = {"snapshot", "prepare", "load.people", "load.orders", "keys"}
    assert {step for step, _ in written} == steps and all(size > 0 for _, size in written)
    measured = sum(size for _, size in written)
    assert float(megabytes["WAL so far, of everybody who wrote meanwhile"]) == pytest.approx(measured / 1e6, abs=0.06)
