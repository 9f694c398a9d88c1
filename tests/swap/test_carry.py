"""Captured writes applied to the incoming tables: many to one row at once, keys in their order, and none forgotten."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from bench.production import COPY, Production
from cutover.swap import move
from cutover.swap.move import Observer


def person(number: int) -> str:
    return f"md5('u{number}')::uuid"


def swapped(production: Production, *writes: str) -> list[dict[str, Any]]:
    """What a swap carried, when these were written, each in its own transaction, after the freeze."""
    order = production.prepare("r1")
    with production.admin() as admin:
        for write in writes:
            admin.execute(write.encode())
    return production.swap(order).carried


def test_many_updates_of_one_row_are_one_statement_and_all_counted(production: Production) -> None:
    add = f"update public.profiles set settings = jsonb_set(settings, '{{n}}', %s) where id = {person(3)}"
    carried = swapped(
        production,
        *(add % f"'{n}'" for n in range(1, 301)),
        f"update public.profiles set name = 'Renamed' where id = {person(3)}",
        f"update public.profiles set settings = settings - 'n' || '{{\"kept\": 1}}' where id = {person(4)}",
        f"update public.profiles set settings = settings - 'kept' where id = {person(4)}",
    )
    assert [(c["table_name"], c["operation"], c["carried"]) for c in carried] == [("profiles", "update", 303)]
    found = f"select name || ' ' || (settings ->> 'n') from public.profiles where id = {person(3)}"
    assert production.value(found) == "Renamed 300"
    # a column that changed and changed back is as it was
    assert production.value(f"select settings ? 'kept' from public.profiles where id = {person(4)}") is False
    # one new version of the row, not three hundred
    assert production.value("select n_tup_upd from pg_stat_all_tables where relid = 'public.profiles'::regclass") < 10


def test_keys_that_change_hands_are_carried_in_their_order(production: Production) -> None:
    address = "update public.profiles set email = '{}' where id = {}"
    carried = swapped(
        production,
        address.format("elsewhere@example.com", person(5)),
        address.format("person5@example.com", person(6)),
        f"update public.profiles set name = 'Six' where id = {person(6)}",
        address.format("person6@example.com", person(5)),
        f"update public.profiles set name = 'Five' where id = {person(5)}",
    )
    assert [(c["carried"], c["quarantined"]) for c in carried] == [(5, 0)]
    emails = "select array_agg(email || ' ' || name order by name) from public.profiles where name in ('Five', 'Six')"
    assert production.value(emails) == ["person6@example.com Five", "person5@example.com Six"]


def test_a_row_that_went_and_came_again_is_the_new_one(production: Production) -> None:
    order = "md5('o8')::uuid"
    carried = swapped(
        production,
        f"update public.orders set status = 'refunded' where id = {order}",
        f"update public.orders set status = 'paid' where id = {order}",
        f"delete from public.refunds where order_id = {order}; delete from public.orders where id = {order}",
        f"insert into public.orders (id, user_id, profile_id, course_id, amount) "
        f"values ({order}, {person(1)}, {person(1)}, 1, 77)",
        f"update public.orders set status = 'refunded' where id = {order}",
        f"update public.orders set amount = 78 where id = {order}",
    )
    assert {c["operation"]: c["carried"] for c in carried} == {"insert": 1, "update": 4, "delete": 1}
    assert production.value(f"select status || ' ' || amount from public.orders where id = {order}") == "refunded 78.00"


def test_updates_that_cannot_be_carried_are_quarantined_one_by_one(production: Production) -> None:
    staged = {**COPY, "gone": "delete from staging.orders where id = md5('o207')::uuid"}
    order = production.prepare("r1", staged)
    with production.admin() as admin:
        for amount in (1, 2, 3):
            admin.execute("update public.orders set amount = %s where id = md5('o207')::uuid", (amount,))
    entry = production.swap(order)
    assert [(c["carried"], c["quarantined"]) for c in entry.carried] == [(0, 3)]
    amounts = "select array_agg((new_row ->> 'amount')::numeric::integer order by change_id) from cutover.quarantine"
    assert production.value(amounts) == [1, 2, 3]


def test_it_does_not_lock_while_clients_write_faster_than_it_carries(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "_CAUGHT_UP_S", 0.0)
    monkeypatch.setattr(move, "_CAUGHT_UP_CHANGES", -1)
    order = production.prepare("r1", patience=move.Patience(attempts=2, first_pause_s=0.01))
    with pytest.raises(Exception, match=r"swap\.locked-out.*faster than their writes can be carried"):
        production.swap(order)
    assert production.value("select count(*) from cutover.ledger") == 0


def test_a_statement_that_takes_long_inside_the_lock_is_broken_off(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutover.swap.locks.HELD_STATEMENT_MS", 300)
    order = production.prepare("r1")

    class Slow(Observer):
        """The first attempt has a statement inside the lock that would take for ever."""

        slept = False

        def before_statement(self, connection: psycopg.Connection, statement: move.Statement) -> None:
            if not self.slept:
                self.slept = True
                connection.execute("select pg_sleep(60)")

    assert production.swap(order, Slow()).attempts == 2
    assert any("statement timeout; nothing was changed" in message for message in production.messages)
