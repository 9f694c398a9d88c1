"""The DAG files: exactly these, without errors, deterministic, and quick to parse."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import ParamValidationError

from cutover.database import statements
from cutover.migration import load
from cutover.operators import general

DAGS = {
    "announce",
    "clean_launch",
    "clean_launch_rollback",
    "drop_backups",
    "erase_person",
    "launch_watch",
    "mula_unification",
    "mula_unification_rollback",
    "outlook",
    "raw_sync",
    "restore_people",
}


def serialised(repository: Path) -> dict[str, str]:
    """Every DAG as Airflow stores it, as JSON."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(str(repository / "dags"))
    assert not bag.import_errors, bag.import_errors
    return {
        dag_id: json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)
        for dag_id, dag in bag.dags.items()
    }


def test_exactly_these_dags_load_and_are_the_same_when_built_twice(repository: Path) -> None:
    first, second = serialised(repository), serialised(repository)
    assert set(first) == DAGS
    assert first == second


def test_no_task_of_a_migration_repeats_the_parameters_of_its_dag(repository: Path) -> None:
    """Airflow takes each copy apart with each reading of a file: a second of a processor for the longest DAG."""
    for name, dag in serialised(repository).items():
        tasks = [json.loads(dag)["dag"]["tasks"]] if name in ("clean_launch", "mula_unification") else []
        carrying = {task["__var"]["task_id"] for listed in tasks for task in listed if task["__var"].get("params")}
        assert all(re.search("approve|asks?|people|trouble", task_id) for task_id in carrying), carrying


def test_only_a_person_begins_what_a_person_answers_for(repository: Path) -> None:
    """No backfill, no asset's *Materialize*, no other DAG: Airflow refuses each of them before a task has run."""
    by_hand = DAGS - {"raw_sync", "outlook", "launch_watch"}
    allowed = {name: json.loads(dag)["dag"].get("allowed_run_types") for name, dag in serialised(repository).items()}
    assert allowed == {name: ["manual"] if name in by_hand else None for name in DAGS}


def test_every_dag_file_is_one_dag_of_its_name(repository: Path) -> None:
    files = {path.stem for path in (repository / "dags").glob("*.py")}
    assert set(serialised(repository)) == files


def test_the_phases_are_named_and_ordered(repository: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(str(repository / "dags")).dags
    dag = dags["clean_launch"]
    # beside the question: what the launch is compared with once it is live
    groups = {task.task_id.split(".")[0] for task in dag.tasks} - {"baseline"}
    assert dag.get_task("baseline").upstream_task_ids == {"review.build"}
    assert not dag.get_task("baseline").downstream_task_ids
    # what is reviewed has been rehearsed; a rollback's preview does both
    assert dag.get_task("review.build").upstream_task_ids == {"review.probe"}
    assert dag.get_task("review.probe").upstream_task_ids == {"review.rehearse"}
    assert dags["clean_launch_rollback"].params["rehearse"] is True
    assert groups == {
        "preflight", "extract", "freeze", "transform", "validate", "review", "approve", "wait", "swap", "verify",
    }  # fmt: skip
    order = [task.task_id.split(".")[0] for task in dag.topological_sort()]
    first = {group: order.index(group) for group in groups}
    assert sorted(groups, key=first.__getitem__) == [
        "preflight", "extract", "freeze", "transform", "validate", "review", "approve", "wait", "swap", "verify",
    ]  # fmt: skip
    assert dag.get_task("approve").retries == 0
    # an answer is for a time: nothing comes to the swap past the task that waits for it
    assert dag.get_task("swap").upstream_task_ids == {"wait"} and dag.get_task("wait").upstream_task_ids == {"approve"}
    assert "wait" not in dags["clean_launch_rollback"].task_ids, "a rollback is never kept waiting"
    assert dag.get_task("approve").defaults is None


def test_a_dag_of_a_migration_is_a_call_and_what_is_special_about_it(repository: Path) -> None:
    for path in (repository / "dags").glob("*.py"):
        tree = ast.parse(path.read_text())
        if path.stem.removesuffix("_rollback") in ("clean_launch", "mula_unification"):
            code = [node for node in tree.body[1:] if not isinstance(node, ast.ImportFrom)]
            (call,) = code
            assert isinstance(call, ast.Assign) and isinstance(call.value, ast.Call)
            assert (call.end_lineno or 0) - call.lineno < 10
            # what Airflow's own search for DAG files goes by
            assert "airflow" in path.read_text().lower()


def test_a_dag_of_all_migrations_is_a_call(repository: Path) -> None:
    for name in DAGS - {"clean_launch", "clean_launch_rollback", "mula_unification", "mula_unification_rollback"}:
        text = (repository / "dags" / f"{name}.py").read_text()
        assert f"dag = {name}()" in text and len(text.splitlines()) < 12
        assert "airflow" in text.lower()


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Writes migrations into a folder of their own, each of one table and of what else is said; returns the folder."""

    def write(**declared: str) -> Path:
        for name, text in declared.items():
            folder = tmp_path / "sql" / name
            for path in ("staging/people.sql", "transform/people.sql"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "migration.yaml").write_text(f"migration: {name}\n{text}")
            (folder / "staging/people.sql").write_text("create table staging.people (id integer primary key)")
            (folder / "transform/people.sql").write_text("insert into staging.people select id from input.people")
        return tmp_path

    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path))
    load.cache_clear()
    statements.text.cache_clear()
    yield write
    load.cache_clear()
    statements.text.cache_clear()


API = """\
connections:
  api: {auth: basic}
sources:
  people: {connection: api, path: /people, paging: {by: page}}
"""
ALL = [getattr(general, name) for name in ("announce", "drop_backups", "erase_person", "launch_watch", "outlook")] + [
    general.raw_sync,
    general.restore_people,
]


def test_where_there_is_no_migration_there_is_nothing_to_serve(team: Callable[..., Path]) -> None:
    team()
    assert [make() for make in ALL] == [None] * len(ALL)


def test_a_migration_whose_declaration_is_wrong_keeps_no_other_from_being_served(team: Callable[..., Path]) -> None:
    team(shop=API, broken="sources: 7\n", muddled=API)
    (team() / "sql/muddled/staging/people.sql").write_text("create tabel")
    watch, sync = general.launch_watch(), general.raw_sync()
    assert watch is not None and set(watch.task_ids) == {"shop.look", "shop.ask"}
    assert sync is not None and "extract.people" in sync.task_ids
    outlook = general.outlook()
    assert outlook is not None and set(outlook.task_ids) == {"broken", "muddled", "shop"}


def test_sources_of_several_migrations_are_tasks_of_one_sync(team: Callable[..., Path]) -> None:
    team(shop=API, depot=API.replace("people:", "parcels:") + "databases: {old: {}}\n", shop_abroad=API)
    dag = general.raw_sync()
    assert dag is not None
    tasks = {"extract.parcels", "extract.people", "extract.shop_abroad_people"}
    assert set(dag.task_ids) == {*tasks, "summary"}
    assert dag.get_task("summary").upstream_task_ids == tasks
    assert dag.get_task("extract.people").migration == "shop"
    assert dag.get_task("extract.shop_abroad_people").migration == "shop_abroad"


def test_a_migration_is_named_by_whoever_triggers_unless_there_is_only_one(team: Callable[..., Path]) -> None:
    team(shop="")
    for make in (general.drop_backups, general.erase_person, general.restore_people):
        dag = make()
        assert dag is not None and dag.params["migration"] == "shop"
    team(depot="")
    for make in (general.drop_backups, general.erase_person, general.restore_people):
        dag = make()
        assert dag is not None
        with pytest.raises(ParamValidationError, match="No value passed"):
            dag.params.validate()
        dag.params["migration"] = "depot"
        dag.params.validate()
        with pytest.raises(ParamValidationError, match="depo"):
            dag.params["migration"] = "depo"


def test_every_parameter_has_a_title_help_and_limits(repository: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    for dag in DagBag(str(repository / "dags")).dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            schema = param.schema
            assert schema.get("title") and param.description, f"{dag.dag_id}.{name}"
            numeric = schema["type"] in ("integer", "number")
            assert not numeric or {"minimum", "exclusiveMinimum"} & schema.keys(), f"{dag.dag_id}.{name}"


def test_raw_and_production_tables_are_assets_that_other_dags_can_follow(repository: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(str(repository / "dags")).dags
    names = {
        (dag_id, task.task_id): {asset.name for asset in task.outlets}
        for dag_id in ("raw_sync", "clean_launch", "clean_launch_rollback")
        for task in dags[dag_id].tasks
        if task.outlets
    }
    production = {
        f"production.public.{table}"
        for table in ("unified_profiles", "transactions", "enrollments", "affiliates", "leads")
    }
    assert names[("clean_launch", "swap")] == names[("clean_launch_rollback", "rollback")] == production
    for source in ("xendit_invoices", "xendit_transactions", "systemeio_contacts", "systemeio_tags"):
        for dag_id in ("raw_sync", "clean_launch"):
            assert names[(dag_id, f"extract.{source}")] == {f"raw.{source}"}


def test_the_sync_is_hourly_and_never_overlaps_itself(repository: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(str(repository / "dags")).dags["raw_sync"]
    assert dag.schedule == timedelta(hours=1)
    assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_the_dag_files_import_nothing_heavy(repository: Path) -> None:
    """Parse time is that of Airflow's own imports; what would make it ours is checked by name, not by the clock."""
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag; "
        f"DagBag({str(repository / 'dags')!r}); "
        "heavy = ('great_expectations', 'pandas', 'numpy', 'scipy', 'psycopg', 'boto3', 'demo', 'stack'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1] == "[]", f"{done.stdout} after {time.monotonic() - began:.1f} s"
