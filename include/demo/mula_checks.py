"""Whether the unified database is what the unification should have made of both applications: the business rules, 2."""

from __future__ import annotations

import psycopg
from psycopg import sql

from demo.checks import Balance, Check, Measured, balances
from demo.mula import Size, password

__all__ = ["balances", "check", "measure", "ways_in"]

TABLES = (
    "users",
    "legacy_identities",
    "birth_charts",
    "dasha_data",
    "compatibility_results",
    "subscriptions",
    "fcm_tokens",
    "user_preferences",
    "activity_log",
)
# The seed's success criteria, written out: they must not follow from the code that makes the data.
AT_LEAST = {"people": 4_000, "birth charts": 1_500, "compatibility results": 1_000}
REVENUE = (400, 700)
SOURCES = 12


def measure(connection: psycopg.Connection) -> Measured:
    """Rows per table of the unified database (None: no such table), and everybody's id with the address."""
    counts: dict[str, int | None] = {}
    for table in TABLES:
        there = _one(connection, sql.SQL("select to_regclass({})").format(sql.Literal(f"public.{table}")))
        count = sql.SQL("select count(*) from {}").format(sql.Identifier("public", table))
        counts[f"public.{table}"] = int(str(_one(connection, count))) if there else None
    people = connection.execute("select id::text, email from public.users").fetchall() if counts["public.users"] else []
    return Measured(counts, frozenset((str(person), str(email)) for person, email in people))


def check(connection: psycopg.Connection, run: str, before: Measured, scale: int = 1) -> list[Check]:
    """Compare the unified database with the copies of both sources; ``before`` is from before the swap."""
    after = measure(connection)
    size = Size().times(scale)
    figures = {
        "people": after.counts["public.users"],
        "birth charts": after.counts["public.birth_charts"],
        "compatibility results": after.counts["public.compatibility_results"],
    }
    results = [_at_least(name, scale * AT_LEAST[name], actual) for name, actual in figures.items()]
    accounts = size.dasha_users + size.compatibility_users - size.without_email
    results.append(_equal("accounts with a person", accounts, after.counts["public.legacy_identities"] or 0))
    results.append(_none(connection, "charts of known people that are missing", _LOST_CHARTS))
    results.append(_none(connection, "share codes that do not resolve", _LOST_LINKS))
    results.append(_none(connection, "people with more than one default chart", _TWO_DEFAULTS))
    results.append(_none(connection, "plans whose monthly revenue has changed", _CHANGED_REVENUE))
    revenue = _one(
        connection,
        sql.SQL("select coalesce(sum(monthly_amount), 0) from public.subscriptions where status = 'active'"),
    )
    low, high = (scale * bound for bound in REVENUE)
    results.append(Check("monthly revenue", f"{low:,} to {high:,}", str(revenue), low <= float(str(revenue)) <= high))
    people = {person for person, _ in before.accounts} & {person for person, _ in after.accounts}
    results.append(_equal("earlier people that keep their id", len(before.accounts), len(people)))
    if (rehearsed := _one(connection, sql.SQL(_REHEARSED).format(run=sql.Literal(run)))) is not None:
        # who has no address has no person, and was rejected before the approval
        results.append(_equal("accounts that get in and see their rows", accounts, int(str(rehearsed))))
    results.append(_balanced(balances(connection, run)))
    return results


def ways_in(dsn: str) -> list[str]:
    """Somebody with a password and something to see in both applications, as lines that say how they sign in."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_IN_BOTH).fetchone()
    if row is None:
        return []
    address, dasha, compatibility = row
    return [
        f"e-mail     {address}",
        f"password   {password('dasha', dasha)} (of the Dasha Timer) or {password('compatibility', compatibility)} (of "
        "Compatibility)",
        "           what belongs to the other account is shown once it is proved in the settings",
    ]


_IN_BOTH = """
select u.email, d.legacy_user_id::integer, c.legacy_user_id::integer
from public.users as u
inner join public.legacy_identities as d on u.id = d.user_id and d.source = 'dasha' and d.proved_at is null
inner join public.legacy_identities as c on u.id = c.user_id and c.source = 'compatibility' and c.proved_at is null
inner join raw.dasha_dasha_data as period on d.legacy_user_id = period.user_id::text
inner join raw.compatibility_results as result on c.legacy_user_id = result.user_id::text
where u.email ~ '^[a-z0-9.@]+$'
order by d.legacy_user_id::integer
limit 1
"""
# null: a run that asked for none
_REHEARSED = """
select (
    select (p.result #>> '{{ways,a token of the old application,tried}}')::integer
        - (p.result #>> '{{ways,a token of the old application,failed}}')::integer
    from cutover.phase as p
    where p.run = {run} and p.step = 'sign_ins'
    order by p.record_id desc
    limit 1
)
"""
_LOST_CHARTS = """
select c.id
from raw.dasha_birth_charts as c
inner join raw.dasha_users as u on c.user_id = u.id
where
    c.birth_date < c.created_at + interval '1 day'
    and not exists (
        select from public.birth_charts as b where b.id = md5('mula_unification/birth_charts/dasha/' || c.id)::uuid
    )
union all
select c.id
from raw.compatibility_birth_charts as c
inner join raw.compatibility_users as u on c.user_id = u.id
where
    u.email is not null
    and c.birth_date < c.created_at + interval '1 day'
    and not exists (
        select
        from public.birth_charts as b
        where b.id = md5('mula_unification/birth_charts/compatibility/' || c.id)::uuid
    )
"""
_LOST_LINKS = """
select r.id
from raw.compatibility_results as r
where
    r.share_code is not null
    and not exists (select from public.compatibility_results as c where c.share_code = r.share_code)
    and not exists (
        select from cutover.rejects as j where j.source = 'compatibility_results' and j.source_id = r.id::text
    )
"""
_TWO_DEFAULTS = "select user_id from public.birth_charts where is_default group by user_id having count(*) > 1"
_CHANGED_REVENUE = """
select plan_name
from (
    select plan_name, monthly_amount from raw.dasha_subscriptions where status = 'active'
    union all
    select plan_name, monthly_amount from raw.compatibility_subscriptions where status = 'active'
    union all
    select plan_name, -monthly_amount from public.subscriptions where status = 'active'
) as both_sides
group by plan_name
having sum(monthly_amount) <> 0
"""


def _balanced(balances: list[Balance]) -> Check:
    unbalanced = [balance.source for balance in balances if balance.remainder]
    holds = len(balances) >= SOURCES and not unbalanced
    return Check(
        "sources that balance to zero", f"{SOURCES} or more", ", ".join(unbalanced) or str(len(balances)), holds
    )


def _none(connection: psycopg.Connection, name: str, query: str) -> Check:
    number = len(connection.execute(query.encode()).fetchall())
    return Check(name, "0", f"{number:,}", number == 0)


def _equal(name: str, expected: int, actual: int) -> Check:
    return Check(name, f"{expected:,}", f"{actual:,}", expected == actual)


def _at_least(name: str, minimum: int, actual: int | None) -> Check:
    return Check(name, f"at least {minimum:,}", f"{actual or 0:,}", (actual or 0) >= minimum)


def _one(connection: psycopg.Connection, statement: sql.Composable) -> object:
    row = connection.execute(statement.as_bytes()).fetchone()
    assert row is not None
    return row[0]
