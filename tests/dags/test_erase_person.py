"""The whole DAG ``erase_person``: nobody is taken out without a second person, and Airflow never knows who it is."""

from __future__ import annotations

import os

import psycopg
import pytest

from cutover import erase, freeze
from cutover.database.connect import connector, opened
from cutover.migration import load
from cutover.records import audit, signing
from tests.dags.conftest import World, answer, run

MIGRATION = load("clean_launch")
THEIRS = "select count(*) from raw.systemeio_contacts where cutover.email_key(email) = cutover.email_key(%s)"


@pytest.fixture
def request_of(world: World) -> tuple[str, int]:
    """Somebody of whom raw has a row, and the number of the request to erase them."""
    state, tasks = run("raw_sync")
    assert state == "success", tasks
    connect = connector(
        os.environ["AIRFLOW_CONN_PRODUCTION"].replace("postgres://", "postgresql://"), "production", "test"
    )
    freeze.install(connect, MIGRATION)
    address = world.value("select email from raw.systemeio_contacts where email is not null order by id limit 1")
    with opened(connect) as connection:
        return address, erase.ask(connection, MIGRATION, address, "operator")


def test_who_is_erased_is_gone_from_raw_after_an_approval_and_airflow_never_had_the_name(
    world: World, request_of: tuple[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    address, number = request_of
    assert world.value(THEIRS, address) > 0
    shown = answer("erase_person", "Approve")
    state, tasks = run("erase_person", migration="clean_launch", request=number)
    assert (state, tasks) == ("success", {"preview": "success", "approve": "success", "erase": "success"})
    assert "This cannot be undone" in shown["body"] and "raw.systemeio_contacts: 1 deleted" in shown["body"]
    assert address.lower() not in str(shown).lower()
    assert world.value(THEIRS, address) == 0
    row = world.value("select concat_ws(' ', subject, approved_by, erasure_id) from cutover.erasure")
    assert row == f"reviewer {number}"
    with psycopg.connect(world.dsn) as connection:
        audit.require_whole(audit.look(connection, signing.keys()), "production")
    output = capfd.readouterr()
    assert address.lower() not in (output.out + output.err).lower()


def test_nobody_is_erased_when_the_second_person_says_no_or_the_number_is_nobodys(
    world: World, request_of: tuple[str, int]
) -> None:
    address, number = request_of
    answer("erase_person", "Reject")
    state, tasks = run("erase_person", migration="clean_launch", request=number)
    assert (state, tasks["approve"], tasks["erase"]) == ("failed", "failed", "upstream_failed")
    state, tasks = run("erase_person", migration="clean_launch", request=number + 1)
    assert (state, tasks["preview"]) == ("failed", "failed")
    assert world.value(THEIRS, address) > 0
    with psycopg.connect(world.dsn) as connection:
        row = connection.execute("select erased_at from cutover.erasure").fetchone()
    assert row == (None,)
