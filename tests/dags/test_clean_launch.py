"""clean_launch as a whole, by ``dag.test()``: approved, rolled back and forward again.

What is not approved is in tests/phase/test_tasks.py, and before a running Airflow in tests/ui/test_running.py.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from cutover import migration
from cutover.database import statements as files
from demo import credentials
from demo.contamination import Contamination
from tests.lineage.collector import Collector, Told
from tests.lineage.schemas import faults

from .conftest import PASSWORD, POPULATION, SMALL, World, answer, load_dag, run

TABLES = ("unified_profiles", "transactions", "enrollments", "affiliates")
pytestmark = pytest.mark.timeout(240)


def counts(world: World) -> dict[str, int]:
    """Rows of the swapped tables."""
    return {table: world.value(f"select count(*) from public.{table}") for table in TABLES}


def checksum(world: World) -> dict[str, Any]:
    """A sum over every row of the swapped tables."""
    query = "select sum(hashtextextended(t::text, 0))::text from public.{} as t"
    return {table: world.value(query.format(table)) for table in TABLES}


def test_an_approved_launch_swaps_and_a_rollback_brings_everything_back(world: World, backend: Collector) -> None:
    expected = POPULATION.figures()
    before, accounts = checksum(world), world.value("select array_agg(id order by id)::text from auth.users")
    question = answer("clean_launch", "Approve")
    state, tasks = run("clean_launch", **SMALL)
    assert state == "success", tasks
    assert set(tasks.values()) == {"success"}
    assert "Fingerprint" in question["body"] and "xendit_invoices" in question["body"]
    known = Contamination()
    # who never bought keeps the profile; test accounts lose theirs
    members = known.leads + known.unknown_people
    assert world.value("select count(*) from public.unified_profiles") == expected.customers + members
    assert world.value("select count(*) from public.leads") == expected.contacts
    assert world.value("select approved_by from cutover.ledger") == "reviewer"
    assert world.value(
        "select count(*) from unnest(%s::uuid[]) as earlier (id) where not exists "
        "(select from auth.users as u where u.id = earlier.id)", accounts,
    ) == 0  # fmt: skip
    assert (
        world.value("select count(*) from cutover.reconciliation where read <> staged + merged + left_out + rejected")
        == 0
    )
    readings = world.value(
        "select jsonb_object_agg(line ->> 'source', line -> 'readings') "
        "from cutover.run as r, jsonb_array_elements(r.review -> 'reconciliation') as list (line)"
    )
    assert set(readings) == {"xendit_invoices", "xendit_transactions", "systemeio_contacts", "systemeio_tags"}
    assert all([sync["mode"] for sync in syncs] == ["full"] for syncs in readings.values())
    [contacts] = readings["systemeio_contacts"]
    assert contacts["rows"] == expected.contacts
    assert contacts["pages"] > 1 and contacts["first_id"] != contacts["last_id"]
    after = checksum(world)

    answer("clean_launch_rollback", "Approve")
    state, tasks = run("clean_launch_rollback")
    assert state == "success", tasks
    _require_lineage(world, backend, set(tasks))
    returned = checksum(world)
    assert {t: returned[t] for t in TABLES[1:]} == {t: before[t] for t in TABLES[1:]}
    assert world.value("select to_regclass('public.leads')") is None

    answer("clean_launch_rollback", "Approve")
    state, tasks = run("clean_launch_rollback")
    assert state == "success", tasks
    assert checksum(world) == after
    assert world.value("select string_agg(action, ' ' order by entry) from cutover.ledger") == "swap rollback rollback"


def _require_lineage(world: World, backend: Collector, tasks_of_rollback: set[str]) -> None:
    """What came over HTTP of a launch and its rollback: as OpenLineage's schemas say, whole, and about no person."""
    tasks = {f"clean_launch.{task}" for task in load_dag("clean_launch").task_ids}
    tasks |= {f"clean_launch_rollback.{task}" for task in tasks_of_rollback}
    events = backend.until(2 * len(tasks))
    assert {(event["job"]["name"], event["eventType"]) for event in events} >= {
        (task, kind) for task in tasks for kind in ("START", "COMPLETE")
    }
    assert [(event["job"]["name"], faults(event)) for event in events if faults(event)] == []

    told = Told(events)
    database = f"{world.dsn.rsplit('/', 1)[1]}."
    # every way from an endpoint to a table; the definitions of tags are for the review, and lead into none
    for table in (*(f"public.{name}" for name in (*TABLES, "leads")), "auth.users"):
        behind = told.datasets_behind(f"{database}{table}", "clean_launch.swap")
        assert behind >= {"/v2/invoices", "/transactions", "/api/contacts"}, table
    column = told.columns_behind(f"{database}public.transactions", "external_id", "clean_launch.swap")
    assert ("/v2/invoices", "external_id") in column
    assert ("/api/tags", "name") in told.columns_behind(f"{database}input.systemeio_tags", "name")

    launched = told.outputs("clean_launch.swap")
    expected = POPULATION.figures()
    assert launched[f"{database}public.leads"]["outputFacets"]["outputStatistics"]["rowCount"] == expected.contacts
    types = {one["name"]: one["type"] for one in launched[f"{database}public.leads"]["facets"]["schema"]["fields"]}
    assert types["registered_at"] == "timestamp with time zone"
    kept = told.outputs("clean_launch_rollback.rollback")
    assert told.datasets_behind(f"{database}public.transactions", "clean_launch_rollback.rollback") >= {
        name for name in launched if name.endswith(".transactions") and ".backup_" in name
    }
    assert all("lifecycleStateChange" in kept[name]["facets"] for name in kept if ".backup_" in name)
    asserted = told.inputs("clean_launch.validate.suites")[f"{database}staging.transactions"]["inputFacets"]
    held = asserted["dataQualityAssertions"]["assertions"]
    assert {"custom_sql", "expect_column_values_to_not_be_null"} <= {one["assertion"] for one in held}
    assert all(one["success"] for one in held)

    text = json.dumps(events)
    for secret in (credentials.XENDIT_API_KEY, credentials.SYSTEMEIO_API_KEY, PASSWORD, "minimum_profiles"):
        assert secret not in text, secret
    people = world.value("select array_agg(email) from auth.users")
    assert people and not [address for address in people if address in text]


def test_the_rights_that_are_documented_are_enough_for_a_launch_and_its_rollback(world: World) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as admin:
        admin.execute("drop owned by cutover")
        for setting in ("owner = 'app_owner'", "merged = 'auth.users'", "inserts = 'auth.identities'"):
            admin.execute(f"set cutover.{setting}".encode())
        deletes = ", ".join(migration.load("clean_launch").deletes)
        admin.execute("select set_config('cutover.deletes', %s, false)", (deletes,))
        admin.execute(files.text("roles.sql").encode())
    answer("clean_launch", "Approve")
    state, tasks = run("clean_launch", **SMALL)
    assert state == "success", tasks
    answer("clean_launch_rollback", "Approve")
    state, tasks = run("clean_launch_rollback")
    assert state == "success", tasks


def test_a_dry_run_stops_after_the_review(world: World) -> None:
    state, tasks = run("clean_launch", dry_run=True, **SMALL)
    assert state == "success"
    assert tasks["review.build"] == "success"
    assert tasks["approve"] == tasks["swap"] == "skipped"
    assert world.value("select count(*) from cutover.ledger") == 0
