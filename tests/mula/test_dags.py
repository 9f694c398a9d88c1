"""The whole DAGs: a maintenance window that holds, one that is given up, and one that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo import mula
from stack.postgres import EmbeddedPostgres
from tests.dags.conftest import airflow_database, answer, run  # noqa: F401
from tests.mula.conftest import PASSWORD, ROLES
from tests.mula.world import World

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


@pytest.fixture
def deployed(
    airflow_database: None,  # noqa: F811
    server: EmbeddedPostgres,
    databases: Any,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Small applications, known to Airflow by the DAG's connections."""
    for name in ("dasha", "compatibility"):
        world.execute(name, "comment on schema public is 'Cutover demonstration of mula'")
    mula.load(world.admin, dict.fromkeys(ROLES, PASSWORD), SMALL)
    for name, dsn in world.dsn.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", dsn.replace("postgresql://", "postgres://"))
    monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", "reviewer")
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(Path(server.home) / "docs-mula"))
    return world


def test_a_maintenance_window_holds_through_the_swap_and_the_rollback_ends_it(deployed: World) -> None:
    world = deployed
    answer("mula_unification", "Approve")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert (state, set(tasks.values())) == ("success", {"success"}), tasks
    accounts = world.value("select count(*) from public.legacy_identities")
    assert accounts == SMALL.dasha_users + SMALL.compatibility_users - SMALL.without_email
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="maintenance"):
        world.execute("dasha", "update public.users set username = 'late' where id = 1")
    steps = world.rows("select * from cutover.timeline order by position")
    assert [row["step"] for row in steps] == ["fence", "delta", "transform", "approve", "swap", "verify"]
    assert all(row["planned_at"] and row["ended_at"] for row in steps), steps
    assert world.value("select sum(written + removed) from cutover.late_write where moment = 'verify'") == 0

    answer("mula_unification_rollback", "Approve")
    state, tasks = run("mula_unification_rollback")
    assert state == "success", tasks
    assert world.value("select to_regclass('public.users')") is None
    world.execute("dasha", "update public.users set username = 'open again' where id = 1")


def test_a_rejected_launch_opens_the_sources_again(deployed: World) -> None:
    world = deployed
    answer("mula_unification", "Reject")
    state, tasks = run("mula_unification", maintenance_window=True, approval_hours=0.5)
    assert (state, tasks["approve"], tasks["release"]) == ("failed", "failed", "success"), tasks
    assert world.value("select to_regclass('public.users')") is None
    for application in ("dasha", "compatibility"):
        world.execute(application, "update public.users set username = 'open again' where id = 1")
    assert world.value("select note from cutover.timeline where step = 'release'") == "dasha, compatibility released"


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


def test_an_approval_that_may_outlast_the_window_is_refused_before_anything_is_copied(deployed: World) -> None:
    state, tasks = run("mula_unification", maintenance_window=True)
    assert (state, tasks["preflight.window"]) == ("failed", "failed"), tasks
    assert deployed.value("select to_regclass('raw.dasha_users')") is None
