"""The simulated application writes, remembers what was acknowledged, and notices what is gone."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cutover.errors import CutoverError
from demo.production import further_members, load
from demo.traffic import Traffic
from stack.demonstration import Demonstration
from stack.progress import Console
from tests.demo.client import SMALL, SMALL_CONTAMINATION


def _demonstration(dsn: str, migration: str = "clean_launch") -> Demonstration:
    """On this production, without any Airflow."""
    deployment: Any = SimpleNamespace(
        console=Console(),
        airflow=SimpleNamespace(passwords=lambda: {"operator": "o", "reviewer": "r"}),
        settings=SimpleNamespace(url="http://127.0.0.1:1"),
        target_admin_dsn=lambda _connection: dsn,
        further_members=lambda: further_members(dsn),
        application_dsn=lambda: make_conninfo(dsn, user="app", password="serves"),
    )
    return Demonstration(deployment, migration)


@pytest.fixture
def traffic(production: str) -> Traffic:
    return Traffic(make_conninfo(production, user="app", password="serves"), clients=3, rate=400)


def test_it_does_everything_an_application_does_without_an_error(production: str, traffic: Traffic) -> None:
    with traffic:
        deadline = time.monotonic() + 15
        while len(traffic.done) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert set(traffic.done) == {"read", "edit", "progress", "visit", "payment", "sign_up"}
    assert not traffic.errors
    assert traffic.longest_wait > 0
    assert traffic.lost(production) == []


def test_it_notices_every_kind_of_lost_write(production: str, traffic: Traffic) -> None:
    with traffic:
        deadline = time.monotonic() + 15
        while len(traffic.done) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
    (outcome, *_) = [outcome for outcome in traffic.outcomes if outcome.accounts]
    with psycopg.connect(production) as db:
        db.execute(
            "update unified_profiles set phone = 'other' where phone = %s", (next(iter(outcome.phones.values())),)
        )
        db.execute(
            "delete from lesson_progress where (enrollment_id, lesson_id) = (%s, %s)", next(iter(outcome.watched))
        )
        db.execute("delete from unified_profiles where id = %s", (next(iter(outcome.accounts)),))
        payment, (_, at) = next(iter(next(other.payments for other in traffic.outcomes if other.payments).items()))
        db.execute("delete from transactions where external_id = %s", (payment,))
    lost = traffic.lost(production)
    assert len(lost) == 4
    for words in ("phone of profile", "progress of enrolment", "account or its profile", "payment"):
        assert any(line.startswith(words) for line in lost)
    # a checkout that was only begun when a launch froze is none to it; whatever began at that moment or later is
    assert len(traffic.lost(production, frozen_at=at)) == 4
    assert len(traffic.lost(production, frozen_at=at + timedelta(microseconds=1))) == 3
    assert traffic.begun(at + timedelta(days=1)) == sum(len(outcome.payments) for outcome in traffic.outcomes)


def test_errors_are_counted_and_survived(production: str, traffic: Traffic) -> None:
    with traffic:
        while not traffic.done["edit"]:
            time.sleep(0.02)
        with psycopg.connect(production, autocommit=True) as db:
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where usename = 'app' and datname = current_database()"
            )
        before = traffic.done.total()
        deadline = time.monotonic() + 15
        while traffic.done.total() < before + 30 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert set(traffic.errors) <= {"57P01", "connection"} and traffic.errors
    assert traffic.done.total() >= before + 30
    assert traffic.lost(production) == []


@pytest.mark.parametrize("fails", [False, True])
def test_members_use_production_while_it_is_shown_and_go_home_however_that_ends(
    database: str, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    contamination = replace(SMALL_CONTAMINATION, members=120)
    load(database, 1, "migrates", app_password="serves", population=SMALL, contamination=contamination)
    shown = _demonstration(database)
    lines: list[Traffic] = []

    def show(*_: Any, **__: Any) -> int:
        assert shown._people is not None
        lines.append(shown._people)
        deadline = time.monotonic() + 30
        while not {"visit", "sign_up"} <= set(lines[0].done) and time.monotonic() < deadline:
            time.sleep(0.05)
        if fails:
            raise CutoverError("stack.no-dag", "dag", "it is not there.", "make it.")
        return 0

    for name, instead in (("_ask_airflow_where", lambda: None), ("_require_own_database", lambda _: None)):
        monkeypatch.setattr(shown, name, instead)
    monkeypatch.setattr("stack.demonstration.Api", lambda *_: None)
    monkeypatch.setattr(shown, "_wait_for_dag", lambda: None)
    monkeypatch.setattr(shown, "_show", show)
    if fails:
        with pytest.raises(CutoverError, match=r"stack\.no-dag"):
            shown.run(approve=False)
    else:
        assert shown.run(approve=False) == 0
    (people,) = lines
    assert {"visit", "sign_up"} <= set(people.done)
    assert not people.errors and people.lost(database) == []
    assert shown._people is None
    done = people.done.total()
    time.sleep(0.3)
    assert people.done.total() == done


def test_nobody_is_sent_where_there_are_no_further_members_or_another_migration_is_shown(production: str) -> None:
    for migration in ("clean_launch", "mula_unification"):
        shown = _demonstration(production, migration)
        shown._send_people()
        assert shown._people is None
