"""The whole DAGs: a maintenance window that holds, one that is given up, and one that is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowException
from airflow.utils.session import create_session
from sqlalchemy import select

from cutover.errors import CutoverError
from cutover.operators import notify
from cutover.operators.base import fail
from cutover.operators.window import FenceSensor, OutcomeOperator, ReleaseOperator
from demo import mula
from stack.postgres import EmbeddedPostgres
from tests.dags.conftest import airflow_database, answer, load_dag, run  # noqa: F401
from tests.mula.world import World
from tests.runbooks import triggered

pytestmark = pytest.mark.timeout(240)

# A tenth of the seed's size: the shape of everything, in seconds.
SMALL = mula.Size(
    dasha_users=112,
    compatibility_users=328,
    shared=28,
    spelled_otherwise=4,
    twice=2,
    dasha_charts=70,
    compatibility_charts=115,
    results=108,
)

# a server that is not there
NOBODY = "postgres://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def deployed(
    airflow_database: None,  # noqa: F811
    server: EmbeddedPostgres,
    make_world: Callable[[mula.Size], World],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Small applications, known to Airflow by the DAG's connections."""
    world = make_world(SMALL)
    for name, dsn in world.dsn.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", dsn.replace("postgresql://", "postgres://"))
    monkeypatch.setenv("AIRFLOW_CONN_REHEARSAL", server.dsn().replace("postgresql://", "postgres://"))
    monkeypatch.delenv("AIRFLOW_CONN_MULA_PLATFORM", raising=False)
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", "reviewer")
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(Path(server.home) / "docs-mula"))
    return world


def require_dumps_on_record(world: World) -> None:
    """Both sources were dumped and restored before the fence; it stands on the review, and is signed."""
    review = world.value("select review from cutover.run")
    (figure,) = [one for one in review["figures"] if one["name"] == "dumps"]
    assert not [one for one in review["warnings"] if one["name"] == "undumped"]
    dumps = [dict(zip(figure["columns"], row, strict=True)) for row in figure["rows"]]
    assert [one["source"] for one in dumps] == ["dasha", "compatibility"]
    links = world.rows("select payload from cutover.chain where kind = 'dump'")
    signed = [json.loads(row["payload"])["says"] for row in links]
    for one in dumps:
        held = Path(ObjectStoragePath(one["location"]).path).read_bytes()
        assert one["sha256"] == hashlib.sha256(held).hexdigest() in {each["sha256"] for each in signed}
        assert "restored on 127.0.0.1" in one["proof"]
    (of_dasha,) = [one["rows"] for one in dumps if one["source"] == "dasha"]
    assert of_dasha >= SMALL.dasha_users + SMALL.dasha_charts
    steps = [row["step"] for row in world.rows("select step from cutover.phase order by record_id")]
    assert max(steps.index("proof.dasha"), steps.index("proof.compatibility")) < steps.index("fence")
    assert world.value("select count(*) from cutover.chain where kind = 'proof'") == 2


@pytest.mark.timeout(600)
def test_a_maintenance_window_holds_through_the_swap_and_the_rollback_ends_it(deployed: World) -> None:
    world = deployed
    answer("mula_unification", "Approve")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    # no platform is known here, which skips its own tasks and none behind them
    rehearsed = {tasks.pop(f"rehearse.{name}") for name in ("service", "sign_ins", "ask")}
    assert (state, set(tasks.values()), rehearsed) == ("success", {"success"}, {"skipped"}), tasks
    accounts = world.value("select count(*) from public.legacy_identities")
    assert accounts == SMALL.dasha_users + SMALL.compatibility_users - SMALL.without_email
    # the fence says so itself, to whoever cannot ask the unified database
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match=r"maintenance.*its swap has begun"):
        world.execute("dasha", "update public.users set username = 'late' where id = 1")
    steps = world.rows("select * from cutover.timeline order by position")
    assert [row["step"] for row in steps] == ["fence", "delta", "transform", "approve", "swap", "verify"]
    assert all(row["planned_at"] and row["ended_at"] for row in steps), steps
    assert world.value("select sum(written + removed) from cutover.late_write where moment = 'verify'") == 0
    require_dumps_on_record(world)

    answer("mula_unification_rollback", "Approve")
    state, tasks = run("mula_unification_rollback", **triggered("mula", "Level 3")["mula_unification_rollback"])
    assert state == "success", tasks
    assert world.value("select to_regclass('public.users')") is None
    world.execute("dasha", "update public.users set username = 'open again' where id = 1")

    # its own rollback puts the launch in force again, and so the fence; and so on
    answer("mula_unification_rollback", "Approve")
    state, tasks = run("mula_unification_rollback")
    assert state == "success", tasks
    assert world.value("select count(*) from public.legacy_identities") == accounts
    for application in ("dasha", "compatibility"):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="maintenance"):
            world.execute(application, "update public.users set username = 'late' where id = 1")
    answer("mula_unification_rollback", "Approve")
    state, tasks = run("mula_unification_rollback", take_back="newest launch")
    assert state == "success", tasks
    assert world.value("select to_regclass('public.users')") is None
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")


def test_what_is_written_without_a_time_between_copy_and_fence_goes_live(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployed
    fence = FenceSensor._fence

    def late(operator: FenceSensor, context: Any, opens: Any) -> Any:
        for application in ("dasha", "compatibility"):
            world.execute(application, "update public.birth_charts set birth_location_name = 'unstamped' where id <= 5")
        return fence(operator, context, opens)

    monkeypatch.setattr(FenceSensor, "_fence", late)
    answer("mula_unification", "Approve")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5, dump_sources=False)
    assert state == "success", tasks
    written = sum(
        world.value("select count(*) from public.birth_charts where id <= 5", database=name)
        for name in ("dasha", "compatibility")
    )
    assert written == 10
    assert world.value("select count(*) from public.birth_charts where birth_location_name = 'unstamped'") == written
    assert world.value("select sum(written + removed) from cutover.late_write") == 0


def test_a_rejected_launch_opens_the_sources_again(deployed: World) -> None:
    world = deployed
    answer("mula_unification", "Reject")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert (state, tasks["approve"], tasks["release"]) == ("failed", "failed", "success"), tasks
    assert tasks["outcome"] == "failed"
    assert world.value("select to_regclass('public.users')") is None
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")
    assert world.value("select note from cutover.timeline where step = 'release'") == "dasha, compatibility released"


def test_a_source_that_is_down_is_tried_again_and_the_other_is_open_meanwhile(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Dasha Timer's server is gone from the rejection on, until people have been told and have looked."""
    world = deployed
    address = os.environ["AIRFLOW_CONN_DASHA_OWNER"]
    lines: list[notify.Message] = []

    def cut(given: dict[str, Any]) -> dict[str, Any]:
        monkeypatch.setenv("AIRFLOW_CONN_DASHA_OWNER", NOBODY)
        monkeypatch.setattr(notify, "tell", tell)
        return given

    def tell(message: notify.Message, log: Any) -> list[notify.Notice]:
        lines.append(message)
        if len(lines) == 1:
            world.execute("compatibility", "update public.users set username = 'open again' where id = 1")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                world.execute("dasha", "update public.users set username = 'late' where id = 1")
            threading.Timer(12, monkeypatch.setenv, ("AIRFLOW_CONN_DASHA_OWNER", address)).start()
        return []

    answer("mula_unification", "Reject", values=cut)
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert (state, tasks["release"], tasks["outcome"]) == ("failed", "success", "failed"), tasks
    assert [message.subject for message in lines] == [
        "mula_unification: dasha may still refuse writes",
        "mula_unification: the sources take writes again",
    ]
    assert "connect.unreachable" in lines[0].lines[0]
    assert world.value("select note from cutover.timeline where step = 'release'") == "dasha released"
    world.execute("dasha", "update public.users set username = 'open again' where id = 1")


def test_what_may_still_be_fenced_is_worth_another_try_and_is_named_at_the_end(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployed
    shut = CutoverError("window.still-fenced", "dasha", "it is down.", "wait.")
    assert type(fail(shut)) is AirflowException

    def give_up(_: Any, context: Any, of_run: str, **given: Any) -> tuple[list[str], list[tuple[str, str]]]:
        raise CutoverError("window.cannot-fence", "dasha", "somebody has ended the task.", "nothing.")

    monkeypatch.setattr(ReleaseOperator, "_release_all", give_up)
    said: list[str] = []
    monkeypatch.setattr(OutcomeOperator, "execute", _saying(OutcomeOperator.execute, said))
    answer("mula_unification", "Reject")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert (state, tasks["release"], tasks["outcome"]) == ("failed", "failed", "failed"), tasks
    assert re.search(r"nothing-swapped.*dasha is fenced by run .* and compatibility is fenced by run", said[0]), said
    assert "the sources are open" not in said[0] and "clear its task release" in said[0]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        world.execute("dasha", "update public.users set username = 'late' where id = 1")


def _saying(execute: Any, said: list[str]) -> Any:
    def keep(operator: Any, context: Any) -> Any:
        try:
            return execute(operator, context)
        except AirflowException as error:
            said.append(str(error))
            raise

    return keep


def test_a_source_that_cannot_be_drained_leaves_both_open(deployed: World) -> None:
    """The Dasha Timer is fenced by the time that Compatibility's writer turns out not to stop."""
    world = deployed
    with psycopg.connect(world.admin["compatibility"]) as writing:
        writing.execute("update public.users set username = 'for ever' where id = 1")
        state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5, drain_minutes=0)
    assert (state, tasks["window.fence"], tasks["release"]) == ("failed", "failed", "success"), tasks
    assert world.value("select note from cutover.timeline where step = 'release'") == "dasha released"
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")


def test_nothing_is_swapped_when_the_fence_was_gone_for_a_moment(deployed: World) -> None:
    """Somebody opens a source while the approver reads, writes an account, and puts up a fence that looks the same."""
    world = deployed
    refused: list[str] = []

    def meddle(given: dict[str, Any]) -> dict[str, Any]:
        world.execute("dasha", "alter table public.users disable trigger cutover_fence")
        world.execute("dasha", "insert into public.users (email) values ('late@example.com')")
        world.execute("dasha", "alter table public.users enable always trigger cutover_fence")
        refused.append("late@example.com")
        return given

    answer("mula_unification", "Approve", values=meddle)
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert refused
    assert (state, tasks["approve"], tasks["swap"], tasks["release"]) == ("failed", "success", "failed", "success"), (
        tasks
    )
    assert world.value("select to_regclass('public.users')") is None
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")


def test_a_dry_run_fences_nothing(deployed: World) -> None:
    world = deployed
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5, dry_run=True)
    assert (state, tasks["review.build"], tasks["approve"]) == ("success", "success", "skipped"), tasks
    assert world.value("select count(*) from cutover.phase where step = 'fence' or step like 'dump%'") == 0
    (row,) = [one for one in world.value("select review from cutover.run")["warnings"] if one["name"] == "undumped"]
    assert row["rows"] == [[name, "no dump was asked for"] for name in ("dasha", "compatibility")]
    for application in ("dasha", "compatibility"):
        assert world.value("select to_regnamespace('cutover_fence')", database=application) is None


def test_an_approval_that_may_outlast_the_window_is_refused_before_anything_is_copied(deployed: World) -> None:
    state, tasks = run("mula_unification", maintenance_window=True)
    assert (state, tasks["preflight.window"]) == ("failed", "failed"), tasks
    assert deployed.value("select to_regclass('raw.dasha_users')") is None


def test_a_run_that_somebody_marks_failed_opens_the_sources_and_counts_as_failed(deployed: World) -> None:
    """The button *Mark run as failed*, while the question waits inside the window: Airflow skips what is left."""
    world = deployed
    marked: list[str] = []

    def mark() -> None:
        deadline = time.monotonic() + 200
        while not marked and time.monotonic() < deadline:
            time.sleep(0.5)
            with create_session() as session:
                waiting = session.scalar(
                    select(TaskInstance).where(
                        TaskInstance.dag_id == "mula_unification", TaskInstance.state == "awaiting_input"
                    )
                )
                if waiting is not None:
                    time.sleep(1)  # dag.test() writes the state once more after the task has parked
                    set_dag_run_state_to_failed(
                        dag=load_dag("mula_unification"), run_id=waiting.run_id, commit=True, session=session
                    )
                    marked.append(waiting.run_id)

    clicking = threading.Thread(target=mark, daemon=True)
    clicking.start()
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    clicking.join()
    assert marked
    assert (tasks["approve"], tasks["swap"], tasks["release"]) == ("failed", "skipped", "success"), tasks
    assert (state, tasks["outcome"]) == ("failed", "failed"), tasks
    assert world.value("select to_regclass('public.users')") is None
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")
