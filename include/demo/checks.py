"""Whether production is what the clean launch should have made of it: the figures of the business rules, 1.5."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from demo.population import P2P, Profile

TABLES = (
    ("auth", "users"),
    ("public", "unified_profiles"),
    ("public", "transactions"),
    ("public", "enrollments"),
    ("public", "affiliates"),
    ("public", "leads"),
)
# The seed's figures, written out: they must not follow from the code that makes the data.
API_TRANSACTIONS = {"p2p_course": 3_334, "canva_ebook": 2_783, "unattributed": 19}
LEADS = 15_270
AT_LEAST = 6_000
MANUAL_AMOUNT = 800
# The addresses of those in the demonstration who never bought and whom no API knows.
MEMBERS = "old.student%@example.ph"
SOURCES = ("systemeio_contacts", "systemeio_tags", "xendit_invoices", "xendit_transactions")


@dataclass(frozen=True)
class Measured:
    """Production at one moment: rows per table (None: no such table), and every account's id with its e-mail.

    ``members`` are rows of other tables that refer to people who never bought, ``booked`` payments that staff have
    booked for them.
    """

    counts: dict[str, int | None]
    accounts: frozenset[tuple[str, str]]
    members: int = 0
    booked: int = 0


@dataclass(frozen=True)
class Check:
    """One thing that must be so: what was expected, what was found."""

    name: str
    expected: str
    actual: str
    holds: bool


@dataclass(frozen=True)
class Balance:
    """What became of one source's rows."""

    source: str
    read: int
    staged: int
    merged: int
    left_out: int
    rejected: int

    @property
    def remainder(self) -> int:
        """Rows that are not accounted for; must be 0."""
        return self.read - self.staged - self.merged - self.left_out - self.rejected


def measure(connection: psycopg.Connection) -> Measured:
    """Count production's tables and take down its accounts; needs a role that row security does not stop."""
    counts: dict[str, int | None] = {}
    for schema, table in TABLES:
        name = sql.Identifier(schema, table)
        exists = _one(connection, "select to_regclass(%s)", [f"{schema}.{table}"])
        counts[f"{schema}.{table}"] = (
            int(str(_one(connection, sql.SQL("select count(*) from {}").format(name)))) if exists else None
        )
    rows = connection.execute("select id::text, coalesce(email, '') from auth.users").fetchall()
    accounts = frozenset((str(account), str(email)) for account, email in rows)
    return Measured(counts, accounts, _rows_of_members(connection), _booked_for_members(connection))


def _rows_of_members(connection: psycopg.Connection) -> int:
    """Rows of every table outside the launch that refer to profiles of people who never bought."""
    keys = connection.execute(
        """
        select n.nspname, c.relname, a.attname
        from pg_constraint as k
        join pg_class as c on c.oid = k.conrelid
        join pg_namespace as n on n.oid = c.relnamespace
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
        where k.contype = 'f' and k.conparentid = 0 and k.confrelid = to_regclass('public.unified_profiles')
            and n.nspname = 'public' and c.relname not in ('enrollments', 'affiliates', 'leads')
        """
    ).fetchall()
    counted = [
        _one(
            connection,
            sql.SQL(
                "select count(*) from {} as o join public.unified_profiles as p on o.{} = p.id where p.email like {}"
            ).format(sql.Identifier(schema, table), sql.Identifier(column), sql.Literal(MEMBERS)),
        )
        for schema, table, column in keys
    ]
    return sum(int(str(count)) for count in counted)


def _booked_for_members(connection: psycopg.Connection) -> int:
    booked = _one(
        connection,
        "select count(*) from public.transactions as t join auth.users as u on t.user_id = u.id "
        "where t.transaction_type = 'manual' and u.email like %s",
        [MEMBERS],
    )
    return int(str(booked))


def balances(connection: psycopg.Connection, run: str) -> list[Balance]:
    """The reconciliation of one run, a row per source."""
    rows = connection.execute(
        "select source, read, staged, merged, left_out, rejected from cutover.reconciliation where run = %s "
        "order by source",
        [run],
    ).fetchall()
    return [Balance(*row) for row in rows]


def check(connection: psycopg.Connection, run: str, before: Measured, scale: int = 1) -> list[Check]:
    """Compare production with what it must be after ``run``; ``before`` is from before the swap."""
    after = measure(connection)
    transactions = _transactions(connection)
    api = {product: count for (kind, product, _), count in transactions.items() if kind == "api"}
    manual = {amount: count for (kind, _, amount), count in transactions.items() if kind == "manual"}
    expected_manual = scale * sum(
        cohort.count for cohort in Profile().cohorts if P2P in cohort.tagged and P2P not in cohort.pays
    )
    results = [
        _equal("transactions from the API", scale * sum(API_TRANSACTIONS.values()), sum(api.values())),
        *(_equal(f"  of {product}", scale * count, api.get(product, 0)) for product, count in API_TRANSACTIONS.items()),
        _equal(f"manual transactions at PHP {MANUAL_AMOUNT}", expected_manual, manual.get(str(MANUAL_AMOUNT), 0)),
        _equal("manual transactions in all", expected_manual + before.booked, sum(manual.values())),
        _at_least("rows of other tables that members keep", before.members, after.members),
        _at_least("profiles", scale * AT_LEAST, after.counts["public.unified_profiles"]),
        _at_least("enrolments", scale * AT_LEAST, after.counts["public.enrollments"]),
        _equal("leads", scale * LEADS, after.counts["public.leads"] or 0),
        _equal("earlier accounts that keep id and e-mail", len(before.accounts), len(before.accounts & after.accounts)),
    ]
    found_balances = balances(connection, run)
    missing = sorted(set(SOURCES) - {balance.source for balance in found_balances})
    unbalanced = [balance.source for balance in found_balances if balance.remainder]
    results.append(
        Check(
            "sources that balance to zero",
            f"at least the {len(SOURCES)} of the APIs",
            ", ".join([*(f"{name} is missing" for name in missing), *(f"{name} does not" for name in unbalanced)])
            or f"{len(found_balances)}",
            not missing and not unbalanced,
        )
    )
    return results


def _transactions(connection: psycopg.Connection) -> dict[tuple[str, str, str], int]:
    """(api or manual, product, amount of a manual one) -> rows."""
    rows = connection.execute(
        """
        select
            case when xendit_invoice_id is not null then 'api' else 'manual' end as kind,
            product_type,
            case when xendit_invoice_id is null then trunc(amount)::text else '' end as amount,
            count(*)
        from public.transactions
        where xendit_invoice_id is not null or transaction_type = 'manual'
        group by 1, 2, 3
        """
    ).fetchall()
    return {(str(kind), str(product), str(amount)): int(count) for kind, product, amount, count in rows}


def _equal(name: str, expected: int, actual: int) -> Check:
    return Check(name, f"{expected:,}", f"{actual:,}", expected == actual)


def _at_least(name: str, minimum: int, actual: int | None) -> Check:
    return Check(name, f"at least {minimum:,}", f"{actual or 0:,}", (actual or 0) >= minimum)


def _one(connection: psycopg.Connection, statement: str | sql.Composed, values: list[object] | None = None) -> object:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row[0]
