"""Xendit as its documentation and SDKs describe it: /transactions, /v2/invoices, /refunds.

What is not known about the live service is an option, so that a client can be tried against every possibility.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from demo.credentials import XENDIT_API_KEY, XENDIT_API_KEY_WITHOUT_PERMISSION
from demo.population import Block, Invoice, Refund, Transaction
from demo.simulators.api import Api, Quota, Traffic
from demo.simulators.rows import CursorNotFoundError, Page, Rows, encode
from demo.simulators.server import Request, Response

_BUSINESS_ID = "5f21361959ef2b788a4dbf97"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NEVER = -1
_Filter = Callable[[int], bool]
_ENDPOINT = re.compile(r"/(transactions|v2/invoices|refunds)(?:/([^/]+))?")


@dataclass(frozen=True)
class XenditOptions:
    """Behaviour that the documentation leaves open, each with its likeliest value."""

    # /transactions documents no greatest limit; its SDK refuses more than 50
    transactions_limit_cap: int = 50
    above_cap: str = "clamp"  # or "refuse"
    invoices_limit_cap: int = 100
    # the old documentation and SDKs say last_invoice_id, the new SDKs last_invoice; the other one is ignored
    invoice_cursor: str = "last_invoice"
    lone_bound_ignored: bool = True
    statuses_encoding: str = "both"  # or "repeated", "json": the other encoding is ignored
    # the cursor's row was deleted, or left the filter: "continue" (compared by key), "error" or "empty"
    lost_cursor: str = "continue"
    no_links_as_null: bool = False
    error_member: str = "error_code"  # or "error", "errorCode"
    # requests per window, endpoint and account: 60 in test mode, 600 live, None for no limit
    rate_limit: int | None = None
    window_seconds: float = 60.0
    retry_after: str | None = None  # or "seconds", "date"
    rate_limit_headers: bool = True


def iso(milliseconds: int) -> str:
    """A time as Xendit writes it: UTC, milliseconds, Z."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def parse_time(text: str) -> int:
    """An ISO time as milliseconds since 1970; without an offset it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace(" ", "+"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def money(centavos: int) -> int | float:
    """Centavos as the number that JSON shows: 1000, 1049.99."""
    return centavos // 100 if centavos % 100 == 0 else centavos / 100


def transaction_row(movement: Transaction) -> dict[str, Any]:
    """A transaction as `GET /transactions` shows it."""
    row: dict[str, Any] = {
        "id": movement.id,
        "product_id": movement.product_id,
        "type": movement.type,
        "status": movement.status,
        "channel_category": movement.channel_category,
        "channel_code": movement.channel_code,
        "reference_id": movement.reference_id,
        "account_identifier": movement.account_identifier,
        "currency": movement.currency,
        "amount": money(movement.amount),
        "cashflow": movement.cashflow,
        "business_id": _BUSINESS_ID,
        "created": iso(movement.created),
        "updated": iso(movement.updated),
    }
    if movement.legacy:
        return row
    sign = 1 if movement.cashflow == "MONEY_IN" else -1
    row |= {
        "net_amount": money(movement.amount - sign * (movement.fee + movement.vat)),
        "net_amount_currency": movement.currency,
        "settlement_status": movement.settlement_status,
        "estimated_settlement_time": iso(movement.settlement) if movement.settlement is not None else None,
        "fee": {
            "xendit_fee": money(movement.fee),
            "value_added_tax": money(movement.vat),
            "xendit_withholding_tax": 0,
            "third_party_withholding_tax": 0,
            "status": "COMPLETED" if movement.settlement_status in ("SETTLED", "EARLY_SETTLED") else "PENDING",
        },
        "product_data": None
        if movement.payment_request_id is None
        else {
            "capture_id": None,
            "payment_request_id": movement.payment_request_id,
            "reusable_payment_link_id": None,
            "payment_link_id": movement.payment_link_id,
        },
    }
    return row


def invoice_row(invoice: Invoice) -> dict[str, Any]:
    """An invoice as `GET /v2/invoices` shows it."""
    row: dict[str, Any] = {
        "id": invoice.id,
        "external_id": invoice.external_id,
        "user_id": _BUSINESS_ID,
        "status": invoice.status,
        "merchant_name": "Learn Example Inc.",
        "merchant_profile_picture_url": "https://xnd-merchant-logos.example.com/learn.png",
        "amount": money(invoice.amount),
        "expiry_date": iso(invoice.expiry),
        "invoice_url": f"https://checkout.example.com/web/{invoice.id}",
        "available_banks": [],
        "available_retail_outlets": [{"retail_outlet_name": "7ELEVEN"}],
        "available_ewallets": [{"ewallet_type": "GCASH"}, {"ewallet_type": "PAYMAYA"}],
        "available_qr_codes": [{"qr_code_type": "QRPH"}],
        "available_direct_debits": [{"direct_debit_type": "DD_BPI"}],
        "available_paylaters": [],
        "should_exclude_credit_card": False,
        "should_send_email": True,
        "created": iso(invoice.created),
        "updated": iso(invoice.updated),
        "currency": invoice.currency,
        "locale": "en",
        "metadata": None,
    }
    for name, value in (
        ("description", invoice.description),
        ("payer_email", invoice.payer_email),
        ("customer", invoice.customer),
    ):
        if value is not None:
            row[name] = value
    if invoice.paid is not None and invoice.paid_amount is not None:
        row |= {
            "paid_at": iso(invoice.paid),
            "paid_amount": money(invoice.paid_amount),
            "adjusted_received_amount": money(invoice.paid_amount),
            "payment_method": invoice.method,
            "payment_channel": invoice.channel,
            "payment_destination": "N/A",
            "payment_id": invoice.payment_id,
        }
    return row


def refund_row(refund: Refund) -> dict[str, Any]:
    """A refund as `GET /refunds` shows it."""
    return {
        "id": refund.id,
        "payment_request_id": refund.payment_request_id or None,
        "invoice_id": refund.invoice_id,
        "payment_method_type": "EWALLET",
        "amount": money(refund.amount),
        "channel_code": refund.channel_code,
        "currency": "PHP",
        "country": "PH",
        "reference_id": refund.reference_id,
        "status": refund.status,
        "reason": refund.reason,
        "failure_code": "INSUFFICIENT_BALANCE" if refund.status == "FAILED" else None,
        "refund_fee_amount": None,
        "created": iso(refund.created),
        "updated": iso(refund.updated),
        "metadata": None,
    }


_codes: dict[str | None, int] = {}


def _code(text: str | None) -> int:
    """A small integer for a status, type or channel, given out as they appear."""
    return _codes.setdefault(text, len(_codes))


def _time(row: Mapping[str, Any], member: str) -> int:
    value = row.get(member)
    return parse_time(value) if value else _NEVER


def _transaction_columns(row: Mapping[str, Any]) -> dict[str, int]:
    return {
        "created": _time(row, "created"),
        "updated": _time(row, "updated"),
        "types": _code(row["type"]),
        "statuses": _code(row["status"]),
        "channel_categories": _code(row["channel_category"]),
    }


def _invoice_columns(row: Mapping[str, Any]) -> dict[str, int]:
    return {
        "created": _time(row, "created"),
        "paid": _time(row, "paid_at"),
        "expired": _time(row, "expiry_date"),
        "statuses": _code(row["status"]),
        "payment_channels": _code(row.get("payment_channel")),
    }


def _refund_columns(row: Mapping[str, Any]) -> dict[str, int]:
    return {"created": _time(row, "created")}


@dataclass
class XenditWorld:
    """The rows of the account, ready to be paged."""

    transactions: Rows
    invoices: Rows
    refunds: Rows

    @classmethod
    def empty(cls) -> XenditWorld:
        """A world to append to."""
        return cls(Rows(_transaction_columns), Rows(_invoice_columns), Rows(_refund_columns))

    def append(self, block: Block) -> None:
        """Add a block's rows."""
        self.transactions.append(map(transaction_row, block.transactions))
        self.invoices.append(map(invoice_row, block.invoices))
        self.refunds.append(map(refund_row, block.refunds))

    def seal(self) -> None:
        """End of appending."""
        for rows in (self.transactions, self.invoices, self.refunds):
            rows.seal()

    def fork(self) -> XenditWorld:
        """A copy that can be changed on its own."""
        return XenditWorld(self.transactions.fork(), self.invoices.fork(), self.refunds.fork())


class _RefusalError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str, errors: list[object] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors


class XenditApi(Api):
    """The endpoints."""

    name = "xendit"

    def __init__(self, world: XenditWorld, options: XenditOptions, traffic: Traffic) -> None:
        super().__init__(traffic)
        self.world = world
        self.options = options
        self._quota = Quota(options.rate_limit, options.window_seconds)

    def answer(self, request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            _authorise(request)
            if request.method != "GET":
                raise _RefusalError(405, "METHOD_NOT_ALLOWED", f"{request.method} is not simulated")
            endpoint = _ENDPOINT.fullmatch(request.path)
            if endpoint is None:
                raise _RefusalError(404, "NOT_FOUND", "The requested resource was not found")
            collection, identifier = endpoint.groups()
            allowed, remaining, wait = self._quota.take(collection)
            if not allowed:
                return self.too_many_requests(wait)
            headers = self._rate_limit_headers(remaining, wait)
            body = self._body(request, collection, identifier)
        except CursorNotFoundError as lost:
            return self._refusal(
                _RefusalError(404, "DATA_NOT_FOUND", f"There is no data with id {lost.args[0]}"), headers
            )
        except _RefusalError as refusal:
            return self._refusal(refusal, headers)
        return Response(200, body, headers)

    def too_many_requests(self, wait: float) -> Response:
        headers = self._rate_limit_headers(0, wait)
        if self.options.retry_after == "seconds":
            headers["Retry-After"] = str(int(wait) + 1)
        elif self.options.retry_after == "date":
            later = datetime.now(timezone.utc) + timedelta(seconds=int(wait) + 1)
            headers["Retry-After"] = format_datetime(later, usegmt=True)
        return self._refusal(
            _RefusalError(429, "RATE_LIMIT_EXCEEDED", "API rate limit exceeded, try again later"), headers
        )

    def _rate_limit_headers(self, remaining: int, wait: float) -> dict[str, str]:
        if not self.options.rate_limit_headers:
            return {}
        return {
            "Rate-Limit-Limit": str(self._quota.limit or 600),
            "Rate-Limit-Remaining": str(remaining),
            "Rate-Limit-Reset": f"{wait:.2f}",
        }

    def _refusal(self, refusal: _RefusalError, headers: dict[str, str]) -> Response:
        body: dict[str, object] = {self.options.error_member: refusal.code, "message": refusal.message}
        if refusal.errors:
            body["errors"] = refusal.errors
        return Response(refusal.status, encode(body), headers)

    def _body(self, request: Request, collection: str, identifier: str | None) -> bytes:
        world = self.world
        rows = {"transactions": world.transactions, "v2/invoices": world.invoices, "refunds": world.refunds}[collection]
        if identifier:
            return rows.payload(rows.slot(identifier))
        if rows is world.transactions:
            return self._list_transactions(request)
        return self._list_invoices(request) if rows is world.invoices else self._list_refunds(request)

    # GET /transactions

    def _list_transactions(self, request: Request) -> bytes:
        rows = self.world.transactions
        limit = self._limit(request, self.options.transactions_limit_cap)
        bounds = [
            (name, operator, _bound(request, f"{name}[{operator}]"))
            for name in ("created", "updated")
            for operator in ("gte", "lte")
        ]
        tests: list[_Filter] = [
            _at_least(rows, name, bound) if operator == "gte" else _at_most(rows, name, bound)
            for name, operator, bound in bounds
            if bound is not None
        ]
        tests += [
            _one_of(rows, name, request.values(name))
            for name in ("types", "statuses", "channel_categories")
            if request.values(name)
        ]
        tests += [
            _equal(rows, name, value)
            for name in ("reference_id", "product_id", "account_identifier", "currency", "amount")
            if (value := request.value(name)) is not None
        ]
        page = self._page(rows, request, limit, tests)
        links: list[dict[str, str]] | None = None if self.options.no_links_as_null else []
        if page.has_more:
            cursor = str(rows.row(page.slots[-1])["id"])
            others = [(name, value) for name, value in request.query if name not in ("after_id", "before_id", "limit")]
            query = "&".join(
                f"{quote(name)}={quote(value)}"
                for name, value in [*others, ("limit", str(limit)), ("after_id", cursor)]
            )
            links = [{"href": f"/transactions?{query}", "rel": "next", "method": "GET"}]
        return _envelope(rows, page, links=links)

    def _page(self, rows: Rows, request: Request, limit: int, tests: list[_Filter]) -> Page:
        """A page by after_id or before_id."""
        before = request.value("before_id")
        page = rows.page(
            limit,
            before if before is not None else request.value("after_id"),
            matches=_all(tests),
            backwards=before is not None,
            lost_cursor=self.options.lost_cursor,
        )
        return Page(page.slots[::-1], page.has_more) if before is not None else page

    def _limit(self, request: Request, cap: int) -> int:
        text = request.value("limit") or "10"
        try:
            number = float(text)  # the Python SDK sends 50.0
        except ValueError:
            number = 0.0
        if number < 1 or number != int(number) or (number > cap and self.options.above_cap == "refuse"):
            raise _invalid("limit", f"must be an integer from 1 to {cap}")
        return min(int(number), cap)

    # GET /v2/invoices

    def _list_invoices(self, request: Request) -> bytes:
        rows = self.world.invoices
        limit = self._limit(request, self.options.invoices_limit_cap)
        tests: list[_Filter] = []
        for name in ("created", "paid", "expired"):
            after, before = _bound(request, f"{name}_after"), _bound(request, f"{name}_before")
            if self.options.lone_bound_ignored and (after is None or before is None):
                continue
            if after is not None:
                tests.append(_at_least(rows, name, after + 1))
            if before is not None:
                tests.append(_at_most(rows, name, before - 1))
        for name in ("statuses", "payment_channels"):
            values = self._listed_values(request, name)
            if values:
                tests.append(_one_of(rows, name, values))
        external_id = request.value("external_id")
        if external_id is not None:
            tests.append(_equal(rows, "external_id", external_id))
        page = rows.page(
            limit,
            request.value(self.options.invoice_cursor),
            matches=_all(tests),
            lost_cursor=self.options.lost_cursor,
        )
        return b"[" + b",".join(map(rows.payload, page.slots)) + b"]"

    def _listed_values(self, request: Request, name: str) -> list[str]:
        """`statuses=PAID&statuses=SETTLED` as the SDK sends it, `statuses=["PAID"]` as the old documentation has it."""
        values: list[str] = []
        for value in request.values(name):
            as_json = value.startswith("[")
            if as_json and self.options.statuses_encoding in ("both", "json"):
                try:
                    values += json.loads(value)
                except ValueError:
                    raise _invalid(name, "must be a list") from None
            elif not as_json and self.options.statuses_encoding in ("both", "repeated"):
                values.append(value)
        return values

    # GET /refunds

    def _list_refunds(self, request: Request) -> bytes:
        rows = self.world.refunds
        tests = [
            _equal(rows, name, value)
            for name in ("payment_request_id", "invoice_id", "payment_method_type", "channel_code")
            if (value := request.value(name)) is not None
        ]
        return _envelope(rows, self._page(rows, request, self._limit(request, 100), tests))


def _authorise(request: Request) -> None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        key, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        key, password = "", ""
    if scheme.lower() == "basic" and key == XENDIT_API_KEY_WITHOUT_PERMISSION:
        # The documentation gives no code for a key without permission; this one is seen in public code.
        raise _RefusalError(403, "REQUEST_FORBIDDEN_ERROR", "The API key is forbidden to perform this request")
    if scheme.lower() != "basic" or key != XENDIT_API_KEY or password:
        raise _RefusalError(401, "INVALID_API_KEY", "The API key provided is invalid")


def _invalid(member: str, message: str) -> _RefusalError:
    return _RefusalError(
        400,
        "API_VALIDATION_ERROR",
        "Inputs are failing validation",
        [{"path": member, "message": f"{member} {message}"}],
    )


def _bound(request: Request, name: str) -> int | None:
    text = request.value(name)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise _invalid(name, "must be an ISO 8601 date") from None


def _envelope(rows: Rows, page: Page, **members: object) -> bytes:
    tail = b"".join(b"," + encode(name) + b":" + encode(value) for name, value in members.items())
    data = b",".join(map(rows.payload, page.slots))
    return b'{"has_more":' + (b"true" if page.has_more else b"false") + b',"data":[' + data + b"]" + tail + b"}"


def _all(tests: list[_Filter]) -> _Filter | None:
    if len(tests) <= 1:
        return tests[0] if tests else None
    return lambda slot: all(test(slot) for test in tests)


def _at_least(rows: Rows, column: str, bound: int) -> _Filter:
    values = rows.columns[column]
    return lambda slot: values[slot] >= bound


def _at_most(rows: Rows, column: str, bound: int) -> _Filter:
    values = rows.columns[column]
    return lambda slot: _NEVER < values[slot] <= bound


def _one_of(rows: Rows, column: str, texts: list[str]) -> _Filter:
    values, wanted = rows.columns[column], {_codes.get(text) for text in texts}
    return lambda slot: values[slot] in wanted


def _equal(rows: Rows, member: str, text: str) -> _Filter:
    """Exact and case-sensitive; numbers by value."""

    def test(slot: int) -> bool:
        value = rows.row(slot).get(member)
        if isinstance(value, int | float):
            try:
                return float(text) == value
            except ValueError:
                return False
        return bool(value == text)

    return test
