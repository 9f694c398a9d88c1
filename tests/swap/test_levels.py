"""Rollbacks level by level: the state before any of the last launches, with every write made since."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from cutover import rollback
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import NEWEST_ENTRY, NEWEST_LAUNCH, ledger
from cutover.swap.order import Order

from .conftest import COPY, Production

MIGRATION = Migration(migration="test", merge={"users": "auth.users"})


def planned(production: Production, run: str, take_back: str) -> Order:
    """The order of a rollback, as a run with this parameter makes it."""
    with production.connect() as connection:
        return rollback.order_for(connection, MIGRATION, run, {"take_back": take_back})


def roll_back(production: Production, run: str, take_back: str) -> ledger.Entry:
    """Preview, approve and run a rollback."""
    order = planned(production, run, take_back)
    rollback.preview(production.connect, order)
    production.approve(order)
    return rollback.roll_back(production.connect, order, production.log)


def launch(production: Production, run: str) -> ledger.Entry:
    """A launch of what production has, in which everybody's name begins with the run's."""
    load = COPY | {
        "profiles": COPY["profiles"],
        "names": f"update staging.profiles set name = '{run} ' || name where name not like '%kept%'",
    }
    return production.swap(production.prepare(run, load))


def write(production: Production, note: str) -> None:
    """What an application does in between: a new person, another's settings, a third who goes."""
    with psycopg.connect(production.app_dsn) as app:
        app.execute("insert into auth.users (id, email) values (md5(%s)::uuid, %s || '@example.com')", (note, note))
        app.execute(
            "insert into public.profiles (id, email, name) values (md5(%s)::uuid, %s || '@example.com', %s) "
            "on conflict (id) do update set name = excluded.name",
            (note, note, f"kept {note}"),
        )
        app.execute(
            "update public.profiles set settings = jsonb_build_object('said', %s::text) where email like 'person3@%%'",
            (note,),
        )
    with production.admin() as admin:
        admin.execute("delete from public.orders where id = (select min(id::text)::uuid from public.orders)")


def state(production: Production) -> dict[str, Any]:
    """What people see of it."""
    with production.admin() as admin:
        return {
            "names": admin.execute("select email, name, settings from public.profiles order by email").fetchall(),
            "orders": admin.execute("select id, profile_id from public.orders order by id").fetchall(),
        }


def test_the_first_launch_can_be_taken_back_past_the_second(production: Production) -> None:
    facts, before = production.inventory(), state(production)
    launch(production, "r1")
    write(production, "one")
    launch(production, "r2")
    write(production, "two")
    with production.connect() as connection:
        assert ledger.in_force(connection, "test") == ["r1", "r2"]
    back = roll_back(production, "b1", NEWEST_LAUNCH)
    assert back.undoes == "r2"
    write(production, "three")
    with production.connect() as connection:
        assert ledger.in_force(connection, "test") == ["r1"]
    further = roll_back(production, "b2", NEWEST_LAUNCH)
    assert further.undoes == "r1"

    after = state(production)
    names = {email: (name, settings) for email, name, settings in after["names"]}
    # nobody has a name of either launch, and everybody who came in between is there, whatever state they came in
    assert {name for _, (name, _) in names.items() if name.startswith(("r1", "r2"))} == set()
    for note in ("one", "two", "three"):
        assert names[f"{note}@example.com"][0] == f"kept {note}"
    assert names["person3@example.com"][1] == {"said": "three"}
    values = {email: name for email, name, _ in before["names"]}
    assert {email: name for email, (name, _) in names.items() if email in values} == values
    assert len(after["orders"]) == len(before["orders"]) - 3
    assert facts.compare(production.inventory()) == []
    with production.connect() as connection:
        assert ledger.in_force(connection, "test") == []
        with pytest.raises(CutoverError, match=r"rollback.nothing-to-undo.*every launch has been taken back"):
            rollback.undoable(connection, "test", NEWEST_LAUNCH)


def test_what_was_taken_back_level_by_level_comes_again_level_by_level(production: Production) -> None:
    launch(production, "r1")
    first = state(production)
    launch(production, "r2")
    second = state(production)
    roll_back(production, "b1", NEWEST_LAUNCH)
    assert state(production) == first
    roll_back(production, "b2", NEWEST_ENTRY)
    assert state(production) == second, "a rollback's rollback"
    with production.connect() as connection:
        assert ledger.in_force(connection, "test") == ["r1", "b2"], "an entry of its own, with a backup of its own"
    write(production, "late")
    roll_back(production, "b3", NEWEST_LAUNCH)
    third = state(production)
    roll_back(production, "b4", NEWEST_LAUNCH)
    roll_back(production, "b5", NEWEST_ENTRY)
    assert state(production) == third
    with production.connect() as connection:
        assert ledger.in_force(connection, "test") == ["b5"]


# L: a launch; F: further back, the newest launch that holds; A: the newest entry taken back, so again what was there
WALK = "LLFFALLFALFFFA"


def test_every_write_arrives_at_every_level_once(production: Production) -> None:
    """Counters that are only ever counted up, through a walk of launches and rollbacks."""
    drawn = random.Random(20261126)
    production.install()
    with production.admin() as admin:
        admin.execute("update public.profiles set settings = '{\"n\": 0}'")
    counted = dict.fromkeys((f"person{n}@example.com" for n in range(1, 9)), 0)
    for step, kind in enumerate(WALK):
        with psycopg.connect(production.app_dsn) as app:
            for email in counted:
                if drawn.random() < 0.5:
                    app.execute(
                        "update public.profiles set settings = "
                        "jsonb_build_object('n', (settings ->> 'n')::integer + 1) where email = %s",
                        (email,),
                    )
                    counted[email] += 1
        if kind == "L":
            launch(production, f"r{step}")
        else:
            roll_back(production, f"b{step}", NEWEST_LAUNCH if kind == "F" else NEWEST_ENTRY)
        with production.admin() as admin:
            rows = dict(admin.execute("select email, (settings ->> 'n')::integer from public.profiles").fetchall())
        assert {email: rows[email] for email in counted} == counted, (step, kind)


@pytest.mark.parametrize(
    "lost",
    [
        # the swap of the second launch was done by a version that did not look
        "update cutover.ledger set report = report - 'proved_since' where run = 'r2'",
        # its rollback by one that did not record what it carried
        "update cutover.ledger set report = report - 'carried_recorded' where run = 'b1'",
    ],
)
def test_what_is_not_proved_to_be_recorded_is_not_rolled_back_past(production: Production, lost: str) -> None:
    launch(production, "r1")
    launch(production, "r2")
    write(production, "two")
    roll_back(production, "b1", NEWEST_LAUNCH)
    with production.admin() as admin:
        admin.execute("alter table cutover.ledger disable trigger user")
        admin.execute(lost.encode())
    before = state(production)
    with pytest.raises(CutoverError, match=r"\[rollback.not-recorded\] swap r1") as raised:
        rollback.preview(production.connect, planned(production, "b2", NEWEST_LAUNCH))
    assert ("r2" if "r2" in lost else "b1") in str(raised.value)
    assert state(production) == before


def test_a_capture_that_was_off_between_two_launches_is_found_when_both_are_taken_back(production: Production) -> None:
    launch(production, "r1")
    with production.admin() as admin:
        admin.execute("alter table public.profiles disable trigger cutover_capture")
        admin.execute("update public.profiles set name = 'unseen' where email = 'person5@example.com'")
        admin.execute("alter table public.profiles enable always trigger cutover_capture")
    # the second launch freezes what is there, and needs no more than what is written from its freeze on
    launch(production, "r2")
    roll_back(production, "b1", NEWEST_LAUNCH)
    with pytest.raises(CutoverError, match=r"\[rollback.not-recorded\].*r2, which replaced them"):
        rollback.preview(production.connect, planned(production, "b2", NEWEST_LAUNCH))


def test_a_backup_that_was_dropped_is_no_way_back(production: Production) -> None:
    launch(production, "r1")
    launch(production, "r2")
    roll_back(production, "b1", NEWEST_LAUNCH)
    with production.admin() as admin:
        admin.execute("drop schema backup_r1 cascade")
    with pytest.raises(CutoverError, match=r"\[rollback.backup-dropped\] backup_r1"):
        planned(production, "b2", NEWEST_LAUNCH)
    # the other way is there still
    assert roll_back(production, "b2", NEWEST_ENTRY).undoes == "b1"


def test_a_rollback_that_was_reviewed_before_another_one_is_not_run(production: Production) -> None:
    launch(production, "r1")
    launch(production, "r2")
    order = planned(production, "b1", NEWEST_LAUNCH)
    rollback.preview(production.connect, order)
    production.approve(order)
    roll_back(production, "b2", NEWEST_LAUNCH)
    with pytest.raises(CutoverError, match=r"rollback.(overtaken-by|table-remade)|swap.not-approved"):
        rollback.roll_back(production.connect, order, production.log)


def test_a_preview_says_how_long_carrying_takes(production: Production) -> None:
    launch(production, "r1")
    order = planned(production, "b1", NEWEST_ENTRY)
    assert rollback.carrying(rollback.preview(production.connect, order).as_dict()) == ""
    with production.admin() as admin:
        admin.execute("update public.profiles set name = 'since'")
        admin.execute("delete from public.orders where id = (select min(id::text)::uuid from public.orders)")
    foreseen = rollback.preview(production.connect, order).as_dict()
    assert foreseen["carrying"]["writes"] == production.value("select count(*) from public.profiles") + 1
    assert foreseen["carrying"]["seconds"] >= 0
    sentence = rollback.carrying({"carrying": {"writes": 150_000, "seconds": 12.5}})
    assert sentence.startswith("Carrying 150,000 writes took 12 s, 12,000 a second, in this preview.")
    assert rollback.carrying(foreseen) in rollback.markdown(foreseen) and rollback.carrying(foreseen)
