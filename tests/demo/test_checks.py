"""The demonstration's verdict: it must not find a production right that is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from cutover.records import ledger
from demo import checks, production
from demo.population import Population, Profile
from stack.demonstration import Demonstration, _changed_nothing
from stack.progress import Console

PASSWORD = "only-for-this-test-server"
TABLE = {"name": "transactions", "added": 0, "removed": 0, "changed": 0}


@pytest.fixture
def contaminated(database: str) -> str:
    """Production as it is before a launch, with a run in the ledger's tables."""
    production.load(database, 1, PASSWORD, population=Population(profile=Profile().shrunk(40)))
    with psycopg.connect(database) as connection:
        ledger.install(connection)
        connection.execute(
            "insert into cutover.run (run, migration, dag_id, dag_run_id, triggered_by) "
            "values (%s, 'clean_launch', 'clean_launch', 'manual__1', 'operator')",
            [ledger.run_key("clean_launch", "manual__1")],
        )
    return database


def test_a_production_that_was_not_launched_fails_by_name(contaminated: str) -> None:
    with psycopg.connect(contaminated) as connection:
        results = checks.check(connection, "r1", checks.measure(connection))
    failed = {result.name.strip() for result in results if not result.holds}
    assert {"transactions from the API", "of unattributed", "profiles", "enrolments", "leads"} <= failed
    assert "sources that balance to zero" in failed
    assert "earlier accounts that keep id and e-mail" not in failed


def test_an_account_that_lost_its_address_is_missed(contaminated: str) -> None:
    with psycopg.connect(contaminated) as connection:
        before = checks.measure(connection)
        connection.execute(
            "update auth.users set email = 'x' || email where id = (select id from auth.users "
            "where email is not null order by id limit 1)"
        )
        (row,) = [r for r in checks.check(connection, "r1", before) if r.name.startswith("earlier accounts")]
    assert not row.holds
    assert int(row.expected.replace(",", "")) - int(row.actual.replace(",", "")) == 1


def test_the_demonstration_fails_when_a_check_does(contaminated: str, capsys: pytest.CaptureFixture[str]) -> None:
    deployment: Any = SimpleNamespace(
        console=Console(), target_admin_dsn=lambda connection: contaminated, settings=SimpleNamespace()
    )
    with psycopg.connect(contaminated) as connection:
        before = checks.measure(connection)
    watch: Any = SimpleNamespace(seconds=lambda: 1.0)
    assert Demonstration(deployment, "clean_launch")._conclude("manual__1", before, watch) == 1
    output = capsys.readouterr().out
    assert "Production is not what it should be: " in output
    assert "✗ leads" in output and "expected 15,270" in output


@pytest.mark.parametrize(
    ("review", "unchanged"),
    [
        (None, False),
        ({"tables": []}, False),
        ({"tables": [TABLE, TABLE]}, True),
        ({"tables": [TABLE, {**TABLE, "changed": 1}]}, False),
        ({"undoes": "r1", "tables": [{"schema": "public", "name": "leads", "comes_back": False}]}, False),
    ],
)
def test_no_row_changed_is_said_only_when_none_was(review: dict[str, Any] | None, unchanged: bool) -> None:
    assert _changed_nothing(review) is unchanged
