"""The simulated application writes, remembers what was acknowledged, and notices what is gone."""

from __future__ import annotations

import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from demo.traffic import Traffic


@pytest.fixture
def traffic(production: str) -> Traffic:
    return Traffic(make_conninfo(production, user="app", password="serves"), clients=3, rate=400)


def test_it_does_everything_an_application_does_without_an_error(production: str, traffic: Traffic) -> None:
    with traffic:
        deadline = time.monotonic() + 15
        while len(traffic.done) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert set(traffic.done) == {"read", "edit", "progress", "payment", "sign_up"}
    assert not traffic.errors
    assert traffic.longest_wait > 0
    assert traffic.lost(production) == []


def test_it_notices_every_kind_of_lost_write(production: str, traffic: Traffic) -> None:
    with traffic:
        deadline = time.monotonic() + 15
        while len(traffic.done) < 5 and time.monotonic() < deadline:
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
        payment = next(iter(next(other.payments for other in traffic.outcomes if other.payments)))
        db.execute("delete from transactions where external_id = %s", (payment,))
    lost = traffic.lost(production)
    assert len(lost) == 4
    for words in ("phone of profile", "progress of enrolment", "account or its profile", "payment"):
        assert any(line.startswith(words) for line in lost)


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
