"""One odd row never stops the others: any value in any field of any source ends as staged, or rejected by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover import migration, review, storage
from cutover.database.connect import connector
from cutover.extract.client import Access
from cutover.extract.sync import sync
from cutover.migration import RejectsLimit
from cutover.validate import validation
from demo.simulators.server import Request, Response
from tests.clean_launch_world import RAW_TABLES, RUN, World
from tests.extract.conftest import Hurried
from tests.extract.scripted import Scripted

from .conftest import SMALL

MIGRATION = migration.load("clean_launch")
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 10**12, 10**40, -(10**12), 0.005, 333.333, 1e-9, 1e308,
    "", " ", "0", "-5", "1,000.00", "NaN", "Infinity", "-Infinity", "1e5", "null", "x" * 300, "y" * 70_000,
    "@", "a@", "@b.ph", "a@b@c.ph", "a b@c.ph", "UPPER@Case.PH", "é@ñ.ph", "z" * 260 + "@long.ph", "tab\tnew\nline\r",
    "\u0001\u001f\u007f", "\u00a0", "\u200b", "\U0001f600", "'; drop table x; --", "${x}", "%(run)s", "{name}", "\\",
    "2024-01-01", "2024-13-45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "infinity", "-infinity", "today",
    "2024-01-01T00:00:00+25:00", "294276-12-31T00:00:00Z", "4713-01-01 BC", 1704067200,
    [], {}, [1], ["a"], {"a": 1}, [[]], {"name": None}, [{"name": 7}], {"email": "inner@object.ph"}, [None],
]  # fmt: skip

INVOICE = {
    "id": "", "external_id": "", "status": "PAID", "amount": 1000, "paid_amount": 1000, "currency": "PHP",
    "description": "Papers to Profits", "payer_email": "",
    "customer": {
        "given_names": "Ana", "surname": "Cruz", "email": "c@odd.ph", "mobile_number": "+639170000001",
        "phone_number": "+639170000002",
    },
    "payment_method": "EWALLET", "payment_channel": "GCASH", "created": "2025-01-10T03:00:00Z",
    "updated": "2025-01-10T04:00:00Z", "paid_at": "2025-01-10T03:05:00Z", "expiry_date": "2025-01-11T03:00:00Z",
}  # fmt: skip
PAYMENT = {
    "id": "", "type": "PAYMENT", "status": "SUCCESS", "channel_category": "EWALLET", "channel_code": "PH_GCASH",
    "reference_id": "", "product_id": "", "currency": "PHP", "amount": 1000, "net_amount": 970, "cashflow": "MONEY_IN",
    "net_amount_currency": "PHP", "settlement_status": "SETTLED", "estimated_settlement_time": "2025-01-12T03:05:00Z",
    "created": "2025-01-10T03:05:00Z", "updated": "2025-01-10T03:05:00Z",
    "fee": {"xendit_fee": 30, "value_added_tax": 0}, "product_data": {"payment_link_id": ""},
}  # fmt: skip
REFUND = {**PAYMENT, "type": "REFUND", "amount": 100, "cashflow": "MONEY_OUT"}
CHARGEBACK = {**REFUND, "type": "CHARGEBACK"}
CONTACT = {
    "id": 0, "email": "", "registeredAt": "2024-05-01T00:00:00Z", "locale": "en", "sourceURL": "https://x.ph",
    "unsubscribed": False, "bounced": False, "needsConfirmation": False,
    "fields": [
        {"slug": "first_name", "value": "Ana"}, {"slug": "surname", "value": "Cruz"},
        {"slug": "phone_number", "value": "+639170000003"},
    ],
    "tags": [{"id": 1, "name": "PaidP2P"}],
}  # fmt: skip
TAG = {"id": 0, "name": "", "createdAt": "2024-01-01T00:00:00Z"}

# What is inside a member, and read by the transform.
INSIDE = {
    "customer": [("given_names",), ("surname",), ("email",), ("mobile_number",), ("phone_number",)],
    "fee": [("xendit_fee",), ("value_added_tax",), ("xendit_withholding_tax",), ("third_party_withholding_tax",)],
    "product_data": [("payment_link_id",)],
    "fields": [(0, "slug"), (0, "value"), (1, "value"), (2, "value")],
    "tags": [(0, "name")],
}

# Of staged rows, what is not as its source has it, read from the response itself. Times that cannot be are not
# believed, amounts are rounded to their currency, and both are listed.
EXACT = """
    select 'xendit_invoices' as source, i.id as source_id, difference
    from staging.transactions as t
    inner join raw.xendit_invoices as i on t.xendit_invoice_id = i.id
    left join raw.xendit_transactions as p on t.xendit_transaction_id = p.id
    cross join lateral (
        values
            ('external_id', t.external_id is not distinct from i.api_response ->> 'external_id'),
            ('payment_method', t.payment_method is not distinct from i.api_response ->> 'payment_method'),
            (
                'payment_channel',
                t.metadata ->> 'payment_channel' is not distinct from i.api_response ->> 'payment_channel'
            ),
            ('description', t.metadata ->> 'description' is not distinct from i.api_response ->> 'description'),
            ('currency', t.currency = upper(btrim(coalesce(i.api_response ->> 'currency', 'PHP')))),
            ('status', lower(i.api_response ->> 'status') = t.status or t.refunded_amount > 0),
            ('created', t.created_at = coalesce((i.api_response ->> 'created')::timestamptz, t.paid_at)),
            ('expiry_date', t.expires_at is not distinct from (i.api_response ->> 'expiry_date')::timestamptz),
            (
                'paid_at',
                t.paid_at = coalesce(
                    (i.api_response ->> 'paid_at')::timestamptz,
                    (p.api_response ->> 'created')::timestamptz,
                    (i.api_response ->> 'updated')::timestamptz,
                    (i.api_response ->> 'created')::timestamptz
                )
                or (t.paid_at is null and (i.paid_at is null or i.paid_at < '2010-01-01' or i.paid_at > now()))
            ),
            (
                'paid_amount',
                coalesce(t.metadata ->> 'exact_amount', t.amount::text)::numeric = coalesce(
                    (i.api_response ->> 'paid_amount')::numeric,
                    case when p.currency is null or upper(btrim(p.currency)) = t.currency then p.amount end,
                    (i.api_response ->> 'amount')::numeric
                )
            ),
            (
                'fee',
                p.id is null
                or t.metadata ? 'settled_in'
                or t.fee_amount is not distinct from cutover.rounded(p.fee_amount, t.currency)
            ),
            (
                'net_amount',
                p.id is null
                or t.metadata ? 'settled_in'
                or t.net_amount is not distinct from cutover.rounded(
                    coalesce((p.api_response ->> 'net_amount')::numeric, p.amount - p.fee_amount), t.currency
                )
            )
    ) as compared (difference, holds)
    where holds is not true
    union all
    select 'xendit_transactions', r.id, difference
    from raw.xendit_transactions as r
    inner join input.refund as f on r.id = f.transaction_id
    inner join staging.transactions as t on f.invoice_id = t.xendit_invoice_id
    cross join lateral (
        values
            ('cashflow', r.api_response ->> 'cashflow' in ('MONEY_IN', 'MONEY_OUT')),
            (
                'amount',
                coalesce(t.metadata ->> 'exact_refunded_amount', t.refunded_amount::text)::numeric
                = abs((r.api_response ->> 'amount')::numeric)
            ),
            ('currency', coalesce(upper(btrim(r.api_response ->> 'currency')), t.currency) = t.currency)
    ) as compared (difference, holds)
    where holds is not true
    union all
    select 'systemeio_contacts', c.id::text, difference
    from staging.leads as l
    inner join raw.systemeio_contacts as c on l.systemeio_id = c.id::text
    cross join lateral (
        values
            ('email', l.email = lower(btrim(normalize(c.api_response ->> 'email', nfc)))),
            ('locale', l.locale is not distinct from c.api_response ->> 'locale'),
            ('sourceURL', l.source_url is not distinct from c.api_response ->> 'sourceURL'),
            (
                'registeredAt',
                l.registered_at is not distinct from (c.api_response ->> 'registeredAt')::timestamptz
                or l.registered_at is null and not cutover.believable(c.registered_at)
            ),
            ('unsubscribed', l.unsubscribed = coalesce((c.api_response ->> 'unsubscribed')::boolean, false)),
            ('bounced', l.bounced = coalesce((c.api_response ->> 'bounced')::boolean, false)),
            (
                'fields',
                l.first_name is not distinct from nullif(btrim(c.first_name), '')
                and l.last_name is not distinct from nullif(btrim(c.surname), '')
                and l.phone is not distinct from nullif(btrim(c.phone_number), '')
            ),
            ('tags', l.tags @> coalesce(array_remove(c.tags, null), '{}') or c.tags is null)
    ) as compared (difference, holds)
    where holds is not true
"""
# Members by which another row is found: an odd one is a row's that belongs to nothing, left out by that name.
_LINKS = ("reference_id", "product_id", "product_data")


class Rows:
    """A sound row for each source, and one for every odd value in every field of it."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in RAW_TABLES}
        self._number = 0
        # source and key of each odd row → the field that is odd
        self.odd: dict[tuple[str, str], str] = {}
        for base, name in ((INVOICE, "xendit_invoices"), (CONTACT, "systemeio_contacts"), (TAG, "systemeio_tags")):
            for path, value in self._mutations(base):
                self.add(name, base, path, value)
        for base in (PAYMENT, REFUND, CHARGEBACK):
            for path, value in self._mutations(base):
                invoice = self.add("xendit_invoices", INVOICE)
                self.add("xendit_transactions", base, path, value, invoice)
        for _ in range(3):
            self.add("xendit_invoices", INVOICE)
            self.add("systemeio_contacts", CONTACT)

    @staticmethod
    def _mutations(base: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for field in base:
            if field != "id":  # the key itself is the extraction's tests' business
                for path in ((field,), *((field, *inside) for inside in INSIDE.get(field, ()))):
                    yield from ((path, value) for value in ODD)

    def add(
        self, name: str, base: dict[str, Any], path: tuple[Any, ...] = (), value: Any = None, invoice: str = ""
    ) -> str:
        """A row with a key of its own, and this value in this field; returns its key."""
        self._number += 1
        row = copy.deepcopy(base)
        key: Any = self._number if name.startswith("systemeio") else f"{name}-{self._number:06}"
        row["id"] = key
        for address in ("payer_email", "email"):
            if address in row:
                row[address] = f"person{self._number}@odd.ph"
        if "external_id" in row:
            row["external_id"] = f"ref-{self._number}"
        if name == "systemeio_tags":
            row["name"] = f"tag {self._number}"
        if invoice:
            row["product_data"] = {"payment_link_id": invoice}
            row["reference_id"] = f"none-{self._number}"
            row["product_id"] = f"py-{self._number}"
        if path:
            inside: Any = row
            for step in path[:-1]:
                inside = inside[step]
            inside[path[-1]] = value
            self.odd[name, str(key)] = path[0]
        self.rows[name].append(row)
        return str(key)

    def bring(self, name: str, dsn: str) -> None:
        """Have extraction read them all."""
        source = MIGRATION.source(name).model_copy(update={"history": None, "incremental": (), "rejected_share": 1.0})
        listed = self.rows[name]

        def handler(request: Request) -> Response:
            cursor = next((request.value(each) for each in source.paging.cursor if request.value(each)), None)
            keys = [str(row["id"]) for row in listed]
            start = 0 if cursor is None else keys.index(cursor) + 1
            body: Any = listed[start : start + 60]
            if source.rows is not None:
                body = {source.rows: body, source.paging.more or "more": start + 60 < len(listed)}
            return Response(200, json.dumps(body).encode())

        with Scripted(handler) as server:
            access = Access(source.connection, server.url, "the-key-of-the-api", patience=2.0)
            service = MIGRATION.service(source)
            sync(source, service, access, connector(dsn, "production", "test"), clock=Hurried(), log=lambda _: None)


@pytest.mark.timeout(900)
def test_any_value_in_any_field_ends_staged_or_rejected_by_name_and_the_launch_goes_on(
    connection: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    world = World(connection).create()
    rows = Rows()
    for name in RAW_TABLES:
        rows.bring(name, database)
    world.transform()
    world.connection.commit()
    result = validation.validate(
        connector(database, "production", "test"),
        MIGRATION.model_copy(update={"rejects_limit": RejectsLimit(share=1.0)}),
        RUN,
        phase="staging",
        given=SMALL,
        log=lambda _line: None,
        root=storage.at(str(tmp_path), "CUTOVER_DATA_DOCS"),
    )
    broken = {
        f"{suite.suite}: {failure.expectation}: {failure.observed}"
        for suite in result.suites
        for failure in suite.failed
    }
    assert broken == set()
    assert [(check.check, check.sample[:2]) for check in result.checks if not check.success] == []
    balance = {row["source"]: row for row in world.rows("select * from cutover.reconciliation where run = %s", RUN)}
    assert {name: balance[name]["read"] for name in RAW_TABLES} == {name: len(rows.rows[name]) for name in RAW_TABLES}
    rejects = world.rows("select source, source_id, reason, detail from cutover.rejects where run = %s", RUN)
    assert len(rejects) > 200
    # who is rejected is odd, and the field is named
    unnamed = {
        (reject["source"], rows.odd.get((reject["source"], reject["source_id"])), reject["reason"], reject["detail"])
        for reject in rejects
        if rows.odd.get((reject["source"], reject["source_id"]), "no field") not in (reject["detail"] or "")
    }
    assert unnamed == set()
    # who is staged is as it came
    different = {
        (row["source"], rows.odd.get((row["source"], row["source_id"])), row["difference"]) for row in world.rows(EXACT)
    }
    assert different == set()
    # who is neither is left out by a rule whose name says which field it looked at
    moved = world.rows("select id, reason from input.movement where fate = 'left_out'")
    for row in moved:
        field = rows.odd["xendit_transactions", row["id"]]
        says = {"type": "type ", "status": ("payment ", "refund ", "chargeback ")} | dict.fromkeys(
            _LINKS, "payment without an invoice"
        )
        assert field in says and row["reason"].startswith(says[field]), (field, row["reason"])
    # sound rows are not among them
    sound = {str(row["id"]) for row in rows.rows["systemeio_contacts"][-3:] + rows.rows["xendit_invoices"][-3:]}
    assert not sound & {reject["source_id"] for reject in rejects}


@pytest.mark.parametrize(("given", "holds"), [({}, False), ({"rejects_rows": 3}, True), ({"rejects_share": 0.5}, True)])
def test_a_run_may_say_how_many_rejected_rows_it_accepts(
    connection: psycopg.Connection, database: str, tmp_path: Path, given: dict[str, Any], holds: bool
) -> None:
    world = World(connection).create()
    for number in range(6):
        world.invoice(f"person{number}@example.com" if number > 2 else "nobody")
    world.transform()
    migrating = MIGRATION.model_copy(update={"rejects_limit": RejectsLimit(share=0.1, rows=2)})
    connect = connector(database, "production", "test")
    root = storage.at(str(tmp_path), "CUTOVER_DATA_DOCS")
    bounds = {"phase": "staging", "given": {**SMALL, **given}, "log": lambda _line: None, "root": root}
    result = validation.validate(connect, migrating, RUN, **bounds)  # type: ignore[arg-type]
    (check,) = [check for check in result.checks if check.check == "rejects_over_limit"]
    assert check.success is holds
    judged = {"rejects_rows": given.get("rejects_rows", 2), "rejects_share": given.get("rejects_share", 0.1)}
    assert {name: result.parameters[name] for name in judged} == judged
    shown = review.rejects_limit({"validation": result.as_dict()})
    assert shown == f"{judged['rejects_rows']} rows, or {judged['rejects_share'] * 100:g} % of those read"
