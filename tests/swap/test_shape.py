"""Applications are deployed between a launch and its rollback: old rows come back in the tables' columns of today."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from bench.production import Production
from cutover import rollback
from cutover.errors import CutoverError
from cutover.swap import preparation, refusals
from stack.postgres import EmbeddedPostgres

from .dump import dump
from .small import MIGRATION, rolled_back, small, swapped

# As the owner, after the launch: what each does to a column.
DEPLOY = """
alter table public.orders add column note text, add column rank integer not null default 7, add column tags text[]
    default '{a,"b, c"}', add column "Of %s {0}" varchar(9) collate "C";
alter table public.orders alter column rank set default 8, alter column tags drop default;
alter table public.orders rename column status to state;
alter table public.customers alter column email type varchar, alter column name set not null;
alter table public.orders alter column amount set not null;
alter table public.customers rename column name to full_name;
alter table public.orders add column brief text; alter table public.orders drop column brief;
"""
WRITES = """
update public.orders set note = 'called', rank = 1 where id = 3;
update public.orders set state = 'sent' where id = 4;
insert into public.orders (customer_id, course_id, amount, note) values (1, 1, 5, 'new');
delete from public.orders where id = 150;
"""


def deploy(production: Production, statements: str, role: str = "app_owner") -> None:
    """Run statements as a role."""
    with production.admin() as admin:
        admin.execute(f"set role {role}".encode())
        admin.execute(statements.encode())


def rows(production: Production, ids: str) -> list[tuple[object, ...]]:
    """Some orders."""
    with production.admin() as admin:
        return admin.execute(
            f"select id, state, note, rank, tags from public.orders where id in ({ids}) order by id".encode()
        ).fetchall()


def test_old_rows_come_back_in_the_columns_of_today_and_go_again(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        swapped(production, "r1")
        deploy(production, "update public.orders set status = 'launched' where id = 2")
        deploy(production, DEPLOY)
        deploy(production, WRITES, "app")
        inventory, dumped = production.inventory(), dump(production)
        added = production.value("select max(id) from public.orders")
        for run in ("b1", "b2", "b3"):
            rolled_back(production, run)
            assert inventory.compare(production.inventory()) == [], run
            assert dumped ^ dump(production) == set(), run
            assert rows(production, f"2, 3, 4, 150, {added}") == [
                (2, "launched", None, 7, ["a", "b, c"]),
                (3, "new", "called", 1, ["a", "b, c"]),
                (4, "sent", None, 7, ["a", "b, c"]),
                (added, "new", "new", 8, None),
            ], run
            assert production.value("select count(*) from public.customers where full_name like 'n%'") == 50
        swapped(production, "r2")


def test_the_preview_says_what_will_be_other_in_the_rows_that_come_back(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        swapped(production, "r1")
        deploy(production, DEPLOY)
        with production.connect() as connection:
            order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
        for _ in range(2):
            foreseen = rollback.preview(production.connect, order).as_dict()
            said = {one["object"]: one["change"] for one in foreseen["columns"]}
            assert said["public.orders.note"] == "added since (text)"
            assert said["public.orders.rank"] == "added since (integer), '7' in the rows of before"
            assert said["public.orders.state"] == "called status when it was put in place"
            assert "public.orders.brief" not in said
        assert "* `public.orders.note`: added since (text)" in rollback.markdown(foreseen)


@pytest.mark.parametrize(
    ("statement", "code", "why"),
    [
        ("alter table public.orders drop column id cascade", "swap.columns-changed", "orders.id"),
        (
            "update public.orders set meta = '{}'; alter table public.orders alter column meta set not null",
            "rollback.column-refused",
            "rows of backup_r1.orders do not fit",
        ),
        ("create domain public.d as text; alter table public.orders add column extra public.d", "swap.columns-changed",
         "orders.extra"),
    ],
    ids=["key", "not null", "domain"],
)  # fmt: skip
def test_what_would_lose_or_bend_a_value_is_refused_and_the_backup_is_as_it_was(
    server: EmbeddedPostgres, statement: str, code: str, why: str
) -> None:
    with small(server) as production:
        swapped(production, "r1")
        before = production.value("select sum(hashtext(t::text))::bigint from backup_r1.orders as t")
        deploy(production, statement)
        with pytest.raises(CutoverError) as refused:
            rolled_back(production, "b1")
        assert refused.value.code == code and why in str(refused.value), str(refused.value)
        if code.startswith("swap"):
            assert isinstance(refused.value, refusals.SwapRefusedError)
            if "extra" not in statement:
                assert production.value("select sum(hashtext(t::text))::bigint from backup_r1.orders as t") == before
        assert production.value("select to_regclass('backup_r1.orders')") is not None


def test_what_a_dropped_column_held_is_kept_whole_beside_the_rows_that_come_back(server: EmbeddedPostgres) -> None:
    """Dropped and made anew under the same name is another column."""
    with small(server, "update public.orders set meta = jsonb_build_object('n', id)") as production:
        swapped(production, "r1")
        # a preview in between, of a column that is gone again by the next one
        deploy(production, "alter table public.orders add column brief text default 'x', drop column created_at")
        with production.connect() as connection:
            order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b0")
        rollback.preview(production.connect, order)
        deploy(
            production,
            "alter table public.orders drop column brief, drop column meta; "
            "alter table public.orders add column meta text; "
            "update public.orders set meta = 'written since' where id = 3",
        )
        inventory = production.inventory()
        said = {
            one["object"]: one["change"] for one in rollback.preview(production.connect, order).as_dict()["columns"]
        }
        assert said["public.orders.created_at"].endswith("is kept in backup_r1.whole_orders")
        assert "public.orders.brief" not in said
        for run in ("b1", "b2"):
            rolled_back(production, run)
            assert inventory.compare(production.inventory()) == [], run
            values = "select array_agg(meta order by id) from public.orders where id in (3, 4)"
            assert production.value(values) == ["written since", None], run
        assert production.value("select sum((meta ->> 'n')::integer) from backup_r1.whole_orders") == 20100
        assert production.value("select count(created_at) from backup_r1.whole_orders") == 200


def test_columns_that_have_exchanged_their_names_are_not_mixed_up(server: EmbeddedPostgres) -> None:
    exchange = """
    alter table public.orders add column third text;
    alter table public.orders rename column status to first; alter table public.orders rename column meta to status;
    alter table public.orders rename column first to meta;
    alter table public.customers rename column email to was; alter table public.customers rename column name to email;
    """
    # the tables of before have had a column less, so that numbers are others there
    gap = (
        "alter table public.customers drop column name; alter table public.customers add column name text; "
        "update public.customers set name = 'n' || id"
    )
    with small(server, gap) as production:
        swapped(production, "r1")
        customer = "select (c.*)::text from public.customers as c where id = 7"
        before = production.value(customer)
        deploy(production, exchange)
        inventory = production.inventory()
        # a preview that was killed half-way
        deploy(production, "alter table backup_r1.customers rename column email to cutover_2")
        for run in ("b1", "b2"):
            rolled_back(production, run)
            assert inventory.compare(production.inventory()) == []
            assert production.value(customer) == before
            assert production.value("select meta from public.orders where id = 9") == "new"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "alter table public.orders add constraint once unique (customer_id, status)",
            "Of the rows that come back 200 share 50 values of it.",
        ),
        ("create unique index once on public.orders (status) where customer_id = 7", "could not create unique index"),
        ("alter table public.orders add constraint once check (status <> 'new')", "is violated by some row"),
    ],
    ids=["key", "index", "check"],
)
def test_a_key_or_a_check_that_old_rows_break_is_refused_in_the_preview(
    server: EmbeddedPostgres, statement: str, why: str
) -> None:
    with small(server) as production:
        swapped(production, "r1")
        deploy(production, f"update public.orders set status = 's' || id; {statement}")
        with production.connect() as connection:
            order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
        (refused,) = rollback.preview(production.connect, order).refusals
        assert (refused["code"], "once" in refused["object"]) == ("cannot-prepare", True)
        assert why in refused["why"], refused
        deploy(production, "alter table public.orders drop constraint if exists once; drop index if exists public.once")
        assert rollback.preview(production.connect, order).refusals == []
        rolled_back(production, "b1")
        assert production.value("select status from public.orders where id = 9") == "s9", "it was written since"


def test_trying_keys_on_old_rows_locks_nothing_that_the_application_uses(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[str, str]] = []
    ran: list[int] = []
    genuine = preparation.dress

    def dress(connection: psycopg.Connection, *arguments: Any, **options: Any) -> int:
        ran.append(genuine(connection, *arguments, **options))
        held.extend(
            connection.execute(
                "select l.relation::regclass::text, l.mode from pg_locks as l join pg_class as c on c.oid = l.relation "
                "join pg_namespace as n on n.oid = c.relnamespace where l.pid = pg_backend_pid() and l.granted "
                "and n.nspname = 'public' and l.mode <> 'AccessShareLock'"
            ).fetchall()
        )
        return ran[-1]

    with small(server) as production:
        swapped(production, "r1")
        deploy(
            production, "alter table public.orders add constraint few check (amount < 1000), add unique (id, amount)"
        )
        with production.connect() as connection:
            order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, "b1")
        with monkeypatch.context() as patch:
            patch.setattr(preparation, "dress", dress)
            assert rollback.preview(production.connect, order).refusals == []
        assert held == [] and len(ran) == 1 and ran[0] >= 2


def test_an_entry_of_an_earlier_version_and_one_further_back_are_refused_as_before(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        swapped(production, "r1")
        with production.admin() as admin:
            admin.execute("alter table cutover.ledger disable trigger chain_ledger")
            admin.execute("update cutover.ledger set report = report - 'columns'")
        deploy(production, "alter table public.orders add column note text")
        with pytest.raises(refusals.SwapRefusedError, match="production has this column"):
            rolled_back(production, "b1")
