"""clean_launch as a whole, by ``dag.test()``: approved, rolled back and forward again.

What is not approved is in tests/phase/test_tasks.py, and before a running Airflow in tests/ui/test_running.py.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from cutover import migration
from cutover.database import statements as files
from demo.contamination import Contamination

from .conftest import POPULATION, SMALL, World, answer, run

TABLES = ("unified_profiles", "transactions", "enrollments", "affiliates")
pytestmark = pytest.mark.timeout(240)


def counts(world: World) -> dict[str, int]:
    """Rows of the swapped tables."""
    return {table: world.value(f"select count(*) from public.{table}") for table in TABLES}


def checksum(world: World) -> dict[str, Any]:
    """A sum over every row of the swapped tables."""
    query = "select sum(hashtextextended(t::text, 0))::text from public.{} as t"
    return {table: world.value(query.format(table)) for table in TABLES}


def test_an_approved_launch_swaps_and_a_rollback_brings_everything_back(world: World) -> None:
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
    returned = checksum(world)
    assert {t: returned[t] for t in TABLES[1:]} == {t: before[t] for t in TABLES[1:]}
    assert world.value("select to_regclass('public.leads')") is None

    answer("clean_launch_rollback", "Approve")
    state, tasks = run("clean_launch_rollback")
    assert state == "success", tasks
    assert checksum(world) == after
    assert world.value("select string_agg(action, ' ' order by entry) from cutover.ledger") == "swap rollback rollback"


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
