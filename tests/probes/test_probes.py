"""Queries on today's tables and on the rehearsed ones: what would answer otherwise, fail, or take longer."""

from __future__ import annotations

from .conftest import Stage


def test_queries_are_compared_by_their_rows(stage: Stage) -> None:
    launch = stage(orders="insert into staging.orders (id, customer_id, amount, status) overriding system value "
                   "select id, customer_id, amount, 'old' from public.orders where id <= 150")  # fmt: skip
    same, fewer, other, bare = launch.ask(
        "-- Customers.\nselect * from public.customers",
        "-- Orders.\nselect id from public.orders",
        "-- Amounts and how many.\nselect sum(amount) as amount, min(status) as status, 7 as phone from orders",
        "-- A join.\nselect c.id, c.email, count(*) from customers c join orders o on o.customer_id = c.id group by c.id",
    ).queries
    assert (same.verdict, same.rows_before, same.rows_after, same.why) == ("same answer", 50, 50, None)
    assert (fewer.verdict, fewer.only_before, fewer.only_after) == ("answers differently", 50, 0)
    assert other.values_before == {"amount": 20100, "status": "n•••", "phone": "•••"}
    assert other.values_after == {"amount": 11325, "status": "o•••", "phone": "•••"}
    assert bare.verdict == "answers differently" and bare.rows_before == 50, bare
    assert same.ms_before and same.ms_after and same.runs == 3
