"""Captured writes applied to the incoming tables: many to one row at once, keys in their order, and none forgotten."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from bench.production import COPY, TABLES, Production
from cutover.database.patience import Patience
from cutover.swap import preparation
from cutover.swap.carry import Carried, carry, prepared
from cutover.swap.execution import Observer
from cutover.swap.order import Order, read_scope
from cutover.swap.plan import Statement
from cutover.swap.scope import Scope


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
    query = f"select name || ' ' || (settings ->> 'n') from public.profiles where id = {person(3)}"
    assert production.value(query) == "Renamed 300"
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


def ready_to_carry(production: Production, order: Order) -> Scope:
    """The scope of an order whose incoming tables have keys and everything else that production's have."""
    with production.connect() as connection:
        connection.autocommit = True
        connection.execute(f"create schema {order.backup_schema}".encode())
        scope = read_scope(connection, order)
        preparation.dress(connection, scope)
        return scope


def carried_since(
    production: Production, order: Order, scope: Scope, since: str, known: Jsonb | None = None
) -> tuple[list[Carried], str]:
    """What was carried, and up to which snapshot; committed."""
    with production.connect() as connection:
        return carry(connection, order.run, scope, since, None, known=known)


def differences(production: Production) -> dict[str, int]:
    """Rows of each table that production and the incoming tables do not have in common."""
    return {
        name: production.value(
            f"select count(*) from ((table public.{name} except table staging.{name}) "
            f"union all (table staging.{name} except table public.{name})) as d"
        )
        for _, name in TABLES
    }


WATCH = """
create table public.statements (n bigint, bytes bigint);
grant insert on public.statements to app_owner, cutover;
create function public.count_statement() returns trigger language plpgsql as $$
begin
    insert into public.statements select count(*), sum(octet_length(w.new_row)) from written as w;
    return null;
end $$;
create trigger watched after insert on staging.orders referencing new table as written
for each statement execute function public.count_statement();
"""


def test_one_statement_writes_so_many_rows_and_bytes_at_most_and_none_is_left_out(production: Production) -> None:
    with production.admin() as admin:
        # a name that statements of the engine use themselves
        admin.execute("alter table public.orders add column new_row text")
    order = production.prepare("r1")
    scope = ready_to_carry(production, order)
    with production.admin() as admin:
        admin.execute(WATCH)
        admin.execute(
            "insert into public.orders (profile_id, amount, new_row) "
            "select md5('u' || 1 + n % 200)::uuid, n, 'short' from generate_series(1, 2345) as n"
        )
        admin.execute("update public.orders set status = 'refunded' where user_id is not null")
        admin.execute(
            "insert into public.orders (profile_id, amount, new_row) select md5('u1')::uuid, n, "
            "(select string_agg(md5(random()::text || n || m), '') from generate_series(1, 32768) as m) "
            "from generate_series(1, 50) as n"
        )
    counts, _ = carried_since(production, order, scope, order.since)
    assert [(c.operation, c.carried, c.quarantined) for c in counts] == [("insert", 2395, 0), ("update", 400, 0)]
    assert differences(production) == {"profiles": 0, "affiliates": 0, "orders": 0}
    with production.admin() as admin:
        written = admin.execute("select n, bytes from public.statements").fetchall()
    assert sum(rows for rows, _ in written) == 2395
    assert max(rows for rows, _ in written) <= 1000 and len(written) < 20
    assert max(size for _, size in written) < 40 * 1024 * 1024


def test_one_row_that_cannot_be_carried_takes_none_of_its_neighbours_along(production: Production) -> None:
    """Neighbours are one statement, and that fails: they are written one by one then."""
    taken = "insert into staging.profiles (id, email, name) values (gen_random_uuid(), 'new5@example.com', 'Staged')"
    gone = "delete from staging.orders where id = md5('o207')::uuid"
    order = production.prepare("r1", {**COPY, "taken": taken, "gone": gone})
    scope = ready_to_carry(production, order)
    with production.admin() as admin:
        admin.execute("insert into auth.users (id) select md5('new' || n)::uuid from generate_series(1, 10) as n")
        for n in range(1, 11):
            admin.execute(
                "insert into public.profiles (id, email) values (md5(%s)::uuid, %s)", (f"new{n}", f"new{n}@example.com")
            )
            admin.execute("update public.orders set amount = %s where id = md5('o' || %s)::uuid", (n, 200 + n))
    counts, _ = carried_since(production, order, scope, order.since)
    assert {(c.table_name, c.operation): (c.carried, c.quarantined) for c in counts} == {
        ("profiles", "insert"): (9, 1),
        ("orders", "update"): (9, 1),
    }
    with production.admin() as admin:
        rows = admin.execute(
            "select sqlstate, coalesce(new_row ->> 'email', new_row ->> 'amount') from cutover.quarantine order by 1"
        ).fetchall()
    assert rows == [("02000", "7.00"), ("23505", "new5@example.com")]


PEOPLE = st.integers(1, 3)
ORDERS = st.integers(1, 4)
# Transactions of a history: as few as are carried one by one, and many.
LENGTHS = ((1, 2), (10, 40))
WRITES = st.one_of(
    st.builds(
        "update public.profiles set settings = '{{\"n\": {1}}}' where id = md5('u{0}')::uuid".format, PEOPLE, ORDERS
    ),
    st.builds("update public.profiles set name = 'Name {1}' where id = md5('u{0}')::uuid".format, PEOPLE, ORDERS),
    st.builds("update public.profiles set email = '{1}@x.example' where id = md5('u{0}')::uuid".format, PEOPLE, ORDERS),
    st.builds(
        "insert into public.profiles (id, email) values (md5('u{0}')::uuid, '{1}@x.example')".format, PEOPLE, ORDERS
    ),
    st.builds("delete from public.profiles where id = md5('u{0}')::uuid".format, PEOPLE),
    st.builds(
        "update public.affiliates set earned = earned + {1} where user_id = md5('u{0}')::uuid".format, PEOPLE, ORDERS
    ),
    st.builds("insert into public.affiliates (user_id) values (md5('u{0}')::uuid)".format, PEOPLE),
    st.builds(
        "update public.profiles set affiliate_id = (select a.id from public.affiliates as a "
        "where a.user_id = md5('u{1}')::uuid) where id = md5('u{0}')::uuid".format,
        PEOPLE,
        PEOPLE,
    ),
    st.builds("delete from public.affiliates where user_id = md5('u{0}')::uuid".format, PEOPLE),
    st.builds(
        "insert into public.orders (id, profile_id, amount) values (md5('o{1}')::uuid, md5('u{0}')::uuid, {1})".format,
        PEOPLE,
        ORDERS,
    ),
    st.builds("update public.orders set amount = amount + 1 where id <= md5('o{0}')::uuid".format, ORDERS),
    st.builds(
        "update public.orders set profile_id = md5('u{0}')::uuid where id = md5('o{1}')::uuid".format, PEOPLE, ORDERS
    ),
    st.builds("update public.orders set number = {0} where id = md5('o{1}')::uuid".format, PEOPLE, ORDERS),
    st.builds("update public.orders set number = -number where id <= md5('o{0}')::uuid".format, ORDERS),
    st.builds("update public.orders set id = md5('o{1}')::uuid where id = md5('o{0}')::uuid".format, ORDERS, ORDERS),
    st.builds("delete from public.orders where id = md5('o{0}')::uuid".format, ORDERS),
)


def test_whatever_clients_write_the_incoming_tables_become_the_same(empty_production: Production) -> None:
    """Hundreds of random histories on few rows: keys change hands, rows go and come again, cascades run.

    Short ones are carried write by write and long ones together; what is known of the tables is of before or of now.
    """
    production = empty_production
    production.fill(4)
    order = production.prepare("r1")
    scope = ready_to_carry(production, order)
    since, carried = order.since, 0
    with production.connect() as connection:
        known = prepared(connection, scope, order.since, None)

    # a failure is not made shorter: the rows of one history are what the next begins with
    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(
        st.one_of(*(st.lists(st.lists(WRITES, min_size=1, max_size=3), min_size=a, max_size=b) for a, b in LENGTHS)),
        st.sampled_from([known, None]),
    )
    def histories(transactions: list[list[str]], known: Jsonb | None) -> None:
        nonlocal since, carried
        with production.admin() as admin:
            for writes in transactions:
                # what production itself refuses, it does not have either
                with contextlib.suppress(psycopg.errors.IntegrityError), admin.transaction():
                    for write in writes:
                        admin.execute(write.encode())
        counts, since = carried_since(production, order, scope, since, known)
        assert sum(c.quarantined for c in counts) == 0
        assert differences(production) == {"profiles": 0, "affiliates": 0, "orders": 0}
        carried += sum(c.carried for c in counts)

    histories()
    assert carried > 1000


def test_a_round_reads_what_came_since_the_one_before_and_not_what_came_since_the_swap_began(
    production: Production,
) -> None:
    """Else each round takes longer than the one before, and clients who write much keep the swap away for ever."""
    order = production.prepare("r1")
    scope = ready_to_carry(production, order)
    read = (
        "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0) from pg_stat_xact_all_tables "
        "where relid = 'cutover.changelog'::regclass"
    )

    def written(count: int) -> None:
        with production.admin() as admin:
            admin.execute(
                "update public.orders set amount = amount + 1 where id in (select id from public.orders limit %s)",
                (count,),
            )

    with production.connect() as connection:
        # as the swap does when it uses up the approval: from here on this is the oldest transaction that runs
        connection.execute("select pg_current_xact_id()")
        since, rounds = order.since, []
        for count in (400, 400, 400, 3):
            written(count)
            before = connection.execute(read).fetchone()
            counts, since = carry(connection, order.run, scope, since, None)
            after = connection.execute(read).fetchone()
            assert before and after and sum(c.carried for c in counts) == count
            rounds.append(int(after[0] - before[0]))
        assert rounds[2] <= rounds[0] and rounds[3] < 100, rounds
    assert differences(production)["orders"] == 0


def test_it_does_not_lock_while_clients_write_faster_than_it_carries(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutover.swap.approach.CAUGHT_UP_S", 0.0)
    monkeypatch.setattr("cutover.swap.approach.CAUGHT_UP_CHANGES", -1)
    order = production.prepare("r1", patience=Patience(attempts=2, first_pause_s=0.01))
    with pytest.raises(Exception, match=r"swap\.locked-out.*faster than their writes can be carried"):
        production.swap(order)
    assert production.value("select count(*) from cutover.ledger") == 0
    # every so often it accepts to carry a moment's writes inside the lock, or it would stay away for ever
    production.messages.clear()
    assert production.swap(replace(order, patience=Patience(first_pause_s=0.01, insist=3))).attempts == 3


def test_a_statement_that_takes_long_inside_the_lock_is_broken_off(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutover.swap.locks.HELD_STATEMENT_MS", 300)
    order = production.prepare("r1")

    class Slow(Observer):
        """The first attempt has a statement inside the lock that would take for ever."""

        slept = False

        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            if not self.slept:
                self.slept = True
                connection.execute("select pg_sleep(60)")

    assert production.swap(order, Slow()).attempts == 2
    assert any("statement timeout; nothing was changed" in message for message in production.messages)
