"""Xendit's own Python SDK, pointed at the simulator, lists what the simulator holds.

The SDK cannot read every row (it refuses types that its enumeration lacks, and rows without a fee), so the typed
lists are of what it can; the whole lists go through its transport, undecoded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
import xendit
from xendit.apis import InvoiceApi, RefundApi, TransactionApi
from xendit.exceptions import XenditSdkException

from demo import credentials
from demo.simulators import Simulator
from tests.demo.client import Client

Simulate = Callable[..., Client]


@pytest.fixture
def simulator(simulate: Simulate) -> Simulator:
    return simulate().simulator


@pytest.fixture
def sdk(simulator: Simulator) -> Iterator[Any]:
    configuration = xendit.Configuration(host=simulator.xendit_url)
    configuration.api_key = credentials.XENDIT_API_KEY
    configuration.retries = urllib3.Retry(total=0)
    with xendit.ApiClient(configuration) as client:
        yield client


def test_the_sdk_lists_all_invoices(sdk: Any, simulator: Simulator) -> None:
    lines: list[str] = []
    while True:
        page = InvoiceApi(sdk).get_invoices(limit=100, **({"last_invoice": lines[-1]} if lines else {}))
        if not page:
            break
        lines += [invoice.id for invoice in page]
    assert lines == simulator.invoices.ids()
    (status_query,) = {request.query[0] for request in simulator.requests}
    assert status_query == ("limit", "100.0"), "the SDK sends numbers as floats"


def test_the_sdk_filters_invoices_and_keeps_what_is_paid(sdk: Any) -> None:
    (invoice, *_) = InvoiceApi(sdk).get_invoices(limit=5, statuses=["SETTLED"])
    assert str(invoice.status) == "SETTLED" and invoice["paid_at"] and invoice["paid_amount"] > 0
    assert InvoiceApi(sdk).get_invoice_by_id(invoice.id).external_id == invoice.external_id


def test_the_sdk_lists_recent_payments(sdk: Any, simulator: Simulator) -> None:
    page = TransactionApi(sdk).get_all_transactions(limit=50, types=["PAYMENT"], statuses=["SUCCESS"])
    rows = map(simulator.transactions.get, simulator.transactions.ids())
    payments = [row for row in rows if row["type"] == "PAYMENT" and row["status"] == "SUCCESS"]
    assert [str(movement.id) for movement in page.data] == [row["id"] for row in payments[:50]]
    assert [movement.amount for movement in page.data] == [row["amount"] for row in payments[:50]]
    assert page.has_more and page.links[0].rel == "next"
    following = TransactionApi(sdk).get_all_transactions(
        limit=5, types=["PAYMENT"], statuses=["SUCCESS"], after_id=str(page.data[4].id)
    )
    assert [str(movement.id) for movement in following.data] == [row["id"] for row in payments[5:10]]
    assert str(TransactionApi(sdk).get_transaction_by_id(str(page.data[0].id)).id) == payments[0]["id"]


def test_the_sdk_transports_all_transactions(sdk: Any, simulator: Simulator) -> None:
    lines: list[str] = []
    more = True
    while more:
        cursor = {"after_id": lines[-1]} if lines else {}
        answer = TransactionApi(sdk).get_all_transactions(limit=50, _preload_content=False, **cursor)
        body = json.loads(answer.data)
        lines += [row["id"] for row in body["data"]]
        more = body["has_more"]
    assert lines == simulator.transactions.ids()


def test_the_sdk_lists_refunds(sdk: Any, simulator: Simulator) -> None:
    answer = RefundApi(sdk).get_all_refunds(limit=100, _preload_content=False)
    assert {row["id"] for row in json.loads(answer.data)["data"]} == set(simulator.refunds.ids())


def test_the_sdk_understands_the_errors(sdk: Any, simulator: Simulator) -> None:
    with pytest.raises(XenditSdkException) as missing:
        InvoiceApi(sdk).get_invoice_by_id("0" * 24)
    assert (str(missing.value.status), missing.value.errorCode) == ("404", "DATA_NOT_FOUND")
    simulator.fail("too_many_requests")
    with pytest.raises(XenditSdkException) as limited:
        InvoiceApi(sdk).get_invoices(limit=1)
    assert (str(limited.value.status), limited.value.errorCode) == ("429", "RATE_LIMIT_EXCEEDED")
    sdk.configuration.api_key = "xnd_development_of_somebody_else"
    with pytest.raises(XenditSdkException) as unauthorized:
        TransactionApi(sdk).get_all_transactions(limit=1)
    assert unauthorized.value.errorCode == "INVALID_API_KEY"
