"""The simulated APIs answer as the documentation, the SDKs and the known clients say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest
import requests

from demo import credentials
from demo.population import Nasty, Population, Profile
from demo.simulators import SystemeioOptions, XenditOptions
from tests.demo.client import SMALL, Client

Simulate = Callable[..., Client]

TRANSACTIONS = ("/transactions", "after_id", "data")
INVOICES = ("/v2/invoices", "last_invoice", None)
CONTACTS = ("/api/contacts", "startingAfter", "items")


# Xendit: authentication and errors


@pytest.mark.parametrize(
    ("user", "password", "status", "code"),
    [
        ("", "", 401, "INVALID_API_KEY"),
        ("xnd_production_of_somebody_else", "", 401, "INVALID_API_KEY"),
        (credentials.XENDIT_API_KEY, "a password", 401, "INVALID_API_KEY"),
        (credentials.XENDIT_API_KEY_WITHOUT_PERMISSION, "", 403, "REQUEST_FORBIDDEN_ERROR"),
    ],
)
def test_xendit_refuses_wrong_keys(simulate: Simulate, user: str, password: str, status: int, code: str) -> None:
    answer = requests.get(simulate().simulator.xendit_url + "/v2/invoices", auth=(user, password), timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nothing", 404, "NOT_FOUND"),
        ("/transactions/txn_unknown", 404, "DATA_NOT_FOUND"),
        ("/transactions?after_id=txn_unknown", 404, "DATA_NOT_FOUND"),
        ("/transactions?limit=0", 400, "API_VALIDATION_ERROR"),
        ("/transactions?limit=ten", 400, "API_VALIDATION_ERROR"),
        ("/transactions?created[gte]=yesterday", 400, "API_VALIDATION_ERROR"),
        ("/v2/invoices?limit=1.5", 400, "API_VALIDATION_ERROR"),
    ],
)
def test_xendit_names_what_is_wrong(simulate: Simulate, path: str, status: int, code: str) -> None:
    answer = simulate().get(path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


# Xendit: transactions


def test_transactions_are_paged_newest_first_without_loss_or_repetition(simulate: Simulate) -> None:
    client = simulate()
    rows = [row for page in client.pages(*TRANSACTIONS, limit=50) for row in page]
    assert [row["id"] for row in rows] == client.simulator.transactions.ids()
    assert len({row["id"] for row in rows}) == len(rows) == len(SMALL.block(0).transactions)
    assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)


def test_a_page_of_transactions_says_whether_and_how_it_goes_on(simulate: Simulate) -> None:
    client = simulate()
    first = client.get("/transactions?types=PAYMENT&types=REFUND&limit=50.0").json()
    assert first["has_more"] is True and len(first["data"]) == 50
    (link,) = first["links"]
    assert link["rel"] == "next" and link["href"].startswith("/transactions?types=PAYMENT&types=REFUND")
    second = client.get(link["href"]).json()
    assert not {row["id"] for row in first["data"]} & {row["id"] for row in second["data"]}
    back = client.get(f"/transactions?types=PAYMENT&types=REFUND&limit=50&before_id={second['data'][0]['id']}").json()
    assert back["data"] == first["data"]
    last = client.get("/transactions?types=CHARGEBACK").json()
    assert last["has_more"] is False and last["links"] == []


def test_transactions_default_to_ten_and_are_capped_at_fifty(simulate: Simulate) -> None:
    client = simulate()
    assert len(client.get("/transactions").json()["data"]) == 10
    assert len(client.get("/transactions?limit=100").json()["data"]) == 50
    strict = simulate(xendit=XenditOptions(above_cap="refuse", no_links_as_null=True))
    assert strict.get("/transactions?limit=51").status_code == 400
    assert strict.get("/transactions?types=CHARGEBACK").json()["links"] is None


def test_transaction_time_bounds_are_inclusive(simulate: Simulate) -> None:
    client = simulate()
    rows = [row for page in client.pages(*TRANSACTIONS, limit=50) for row in page]
    for member in ("created", "updated"):
        low, high = sorted(str(row[member]) for row in rows)[10], sorted(str(row[member]) for row in rows)[30]
        ids = client.ids(*TRANSACTIONS, **{f"{member}[gte]": low, f"{member}[lte]": high, "limit": 7})
        assert set(ids) == {row["id"] for row in rows if low <= str(row[member]) <= high}


def test_transactions_are_filtered_exactly(simulate: Simulate) -> None:
    client = simulate()
    row = client.get("/transactions?types=PAYMENT&limit=1").json()["data"][0]
    for member in ("reference_id", "product_id", "currency", "amount"):
        ids = client.get("/transactions", params={member: row[member], "limit": 50}).json()["data"]
        assert row["id"] in {entry["id"] for entry in ids} and {entry[member] for entry in ids} == {row[member]}
    assert client.get("/transactions", params={"reference_id": row["reference_id"].upper()}).json()["data"] == []
    statuses = client.get("/transactions?statuses=VOIDED&statuses=FAILED&limit=50").json()["data"]
    assert {entry["status"] for entry in statuses} == {"VOIDED", "FAILED"}
    assert client.get(f"/transactions/{row['id']}").json() == row


def test_old_transactions_lack_fee_and_product_data(simulate: Simulate) -> None:
    rows = [row for page in simulate().pages(*TRANSACTIONS, limit=50) for row in page]
    assert any("fee" not in row and "product_data" not in row and "settlement_status" not in row for row in rows)
    assert any(row.get("product_data", {}) is not None and "fee" in row for row in rows)


# Xendit: invoices


@pytest.mark.parametrize("cursor", ["last_invoice", "last_invoice_id"])
def test_invoices_are_a_bare_array_paged_by_the_configured_cursor(simulate: Simulate, cursor: str) -> None:
    client = simulate(xendit=XenditOptions(invoice_cursor=cursor))
    assert client.ids("/v2/invoices", cursor, None, limit=100) == client.simulator.invoices.ids()
    first = client.get("/v2/invoices?limit=3").json()
    assert isinstance(first, list)
    other = {"last_invoice": "last_invoice_id", "last_invoice_id": "last_invoice"}[cursor]
    ignored = client.get("/v2/invoices", params={"limit": 3, other: first[-1]["id"]}).json()
    assert ignored == first, "a cursor under the other name is ignored"


def test_invoice_bounds_are_exclusive_and_need_each_other(simulate: Simulate) -> None:
    client = simulate()
    everything = [row for page in client.pages(*INVOICES, limit=100) for row in page]
    for prefix, member in (("created", "created"), ("paid", "paid_at"), ("expired", "expiry_date")):
        times = sorted(str(row[member]) for row in everything if row.get(member))
        low, high = times[5], times[20]
        bounds = {f"{prefix}_after": low, f"{prefix}_before": high}
        ids = client.ids(*INVOICES, limit=10, **bounds)
        assert set(ids) == {row["id"] for row in everything if row.get(member) and low < str(row[member]) < high}
        lone = client.get("/v2/invoices", params={f"{prefix}_after": times[-1], "limit": 100}).json()
        assert len(lone) == 100, "a bound without the other has no effect"


@pytest.mark.parametrize("query", ["statuses=PAID&statuses=SETTLED", 'statuses=["PAID","SETTLED"]'])
def test_invoice_statuses_are_understood_in_both_encodings(simulate: Simulate, query: str) -> None:
    rows = simulate().get(f"/v2/invoices?limit=100&{query}").json()
    assert {row["status"] for row in rows} == {"PAID", "SETTLED"}
    other = "json" if "[" not in query else "repeated"
    rows = simulate(xendit=XenditOptions(statuses_encoding=other)).get(f"/v2/invoices?limit=100&{query}").json()
    assert len({row["status"] for row in rows}) > 2, "the other encoding is ignored"


def test_an_external_id_can_belong_to_several_invoices(simulate: Simulate) -> None:
    client = simulate()
    ids = [row["external_id"] for page in client.pages(*INVOICES, limit=100) for row in page]
    repeated = next(external_id for external_id in ids if ids.count(external_id) > 1)
    answer = client.get("/v2/invoices", params={"external_id": repeated}).json()
    assert {row["status"] for row in answer} > {"EXPIRED"}


def test_refunds_lead_to_their_invoice(simulate: Simulate) -> None:
    client = simulate()
    movement = client.get("/transactions?types=REFUND&statuses=SUCCESS&limit=1").json()["data"][0]
    refund = client.get(f"/refunds/{movement['product_id']}").json()
    invoice = client.get(f"/v2/invoices/{refund['invoice_id']}").json()
    assert refund["amount"] == movement["amount"] <= invoice["paid_amount"]
    listed = client.get(f"/refunds?invoice_id={invoice['id']}").json()
    assert refund in listed["data"] and listed["has_more"] is False
    assert sorted(client.ids("/refunds", "after_id", "data", limit=3)) == sorted(client.simulator.refunds.ids())


def test_xendit_counts_requests_per_endpoint_in_a_sliding_window(simulate: Simulate) -> None:
    client = simulate(xendit=XenditOptions(rate_limit=3, window_seconds=0.5))
    answers = [client.get("/transactions") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["Rate-Limit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error_code"] == "RATE_LIMIT_EXCEEDED" and "Retry-After" not in refused.headers
    assert client.get("/v2/invoices").status_code == 200, "each endpoint has its own quota"
    time.sleep(float(refused.headers["Rate-Limit-Reset"]) + 0.02)
    assert client.get("/transactions").status_code == 200


def test_xendit_can_say_when_to_come_back(simulate: Simulate) -> None:
    for form in ("seconds", "date"):
        client = simulate(xendit=XenditOptions(rate_limit=0, retry_after=form, error_member="errorCode"))
        refused = client.get("/transactions")
        assert refused.json()["errorCode"] == "RATE_LIMIT_EXCEEDED"
        value = refused.headers["Retry-After"]
        assert value.isdigit() if form == "seconds" else parsedate_to_datetime(value)


# Systeme.io


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 401), ("another account's", 401), (credentials.SYSTEMEIO_API_KEY_WITHOUT_PERMISSION, 403)],
)
def test_systemeio_refuses_wrong_keys(simulate: Simulate, key: str, status: int) -> None:
    answer = requests.get(simulate().simulator.systemeio_url + "/api/tags", headers={"X-API-Key": key}, timeout=5)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["title"] == "An error occurred"


def test_contacts_are_paged_newest_first_without_loss_or_repetition(simulate: Simulate) -> None:
    client = simulate()
    ids = client.ids(*CONTACTS, limit=100)
    assert ids == sorted(ids, reverse=True) == client.simulator.contacts.ids()
    assert len(ids) == len(SMALL.block(0).contacts)
    assert len(client.get("/api/contacts").json()["items"]) == 10
    assert client.get("/api/contacts?limit=10&order=asc").json()["items"][0]["id"] == ids[0], "order is ignored"
    assert client.get(f"/api/contacts?limit=10&startingAfter={ids[-3]}").json()["hasMore"] is False
    honest = simulate(systemeio=SystemeioOptions(order_honoured=True, default_limit=25))
    assert honest.ids(*CONTACTS, limit=100, order="asc") == sorted(ids)
    assert len(honest.get("/api/contacts").json()["items"]) == 25


@pytest.mark.parametrize(("locale", "word"), [("en", "between"), ("es", "incorrecto"), ("fr", "Mauvaise")])
def test_systemeio_refuses_limits_in_the_users_language(simulate: Simulate, locale: str, word: str) -> None:
    client = simulate(systemeio=SystemeioOptions(locale=locale))
    for limit in ("9", "101", "many"):
        refused = client.get(f"/api/contacts?limit={limit}")
        assert refused.status_code == 422
        (violation,) = refused.json()["violations"]
        assert violation["propertyPath"] == "pagination.limit" and word in violation["message"]


def test_contacts_are_filtered(simulate: Simulate) -> None:
    client = simulate()
    rows = [row for page in client.pages(*CONTACTS, limit=100) for row in page]
    tag = {entry["name"]: entry["id"] for entry in client.get("/api/tags?limit=100").json()["items"]}

    def ids_of(**query: object) -> set[object]:
        return set(client.ids(*CONTACTS, limit=100, **query))

    both = {row["id"] for row in rows if {"PaidP2P", "Canva"} <= {entry["name"] for entry in row["tags"]}}
    assert ids_of(tags=f"{tag['PaidP2P']},{tag['Canva']}") == both != set()
    assert ids_of(unsubscribed="true") == {row["id"] for row in rows if row["unsubscribed"]} != set()
    assert ids_of(bounced="false") == {row["id"] for row in rows if not row["bounced"]}
    assert ids_of(email=str(rows[0]["email"]).swapcase()) == {rows[0]["id"]}
    moment = sorted(str(row["registeredAt"]) for row in rows)[9]
    assert ids_of(registeredAfter=moment) == {row["id"] for row in rows if str(row["registeredAt"]) > moment}
    assert ids_of(registeredBefore=moment) == {row["id"] for row in rows if str(row["registeredAt"]) < moment}
    assert client.get("/api/contacts?registeredAfter=never").status_code == 422


def test_contacts_look_as_clients_describe_them(simulate: Simulate) -> None:
    client = simulate()
    contact = client.get("/api/contacts").json()["items"][0]
    assert isinstance(contact["id"], int) and contact["registeredAt"].endswith("+00:00")
    slugs = [field["slug"] for field in contact["fields"]]
    assert slugs[:3] == ["first_name", "surname", "phone_number"]
    assert client.get(f"/api/contacts/{contact['id']}").json() == contact
    assert client.get("/api/contacts/1").status_code == client.get("/api/nothing").status_code == 404
    old = simulate(systemeio=SystemeioOptions(source_url=False))
    assert "sourceURL" in contact and "sourceURL" not in old.get("/api/contacts").json()["items"][0]


def test_tags_and_fields(simulate: Simulate) -> None:
    client = simulate()
    tags = client.get("/api/tags?limit=10").json()
    assert {"PaidP2P", "Canva", "Affiliate", "FBInviteSent"} <= {tag["name"] for tag in tags["items"]}
    assert [tag["id"] for tag in tags["items"]] == sorted((tag["id"] for tag in tags["items"]), reverse=True)
    assert {"id", "name", "createdAt"} == set(tags["items"][0])
    assert {tag["name"] for tag in client.get("/api/tags?query=CANVA").json()["items"]} == {"Canva"}
    assert "id" not in client.get("/api/contact_fields").json()["items"][0]


@pytest.mark.parametrize("refill", ["seconds", "epoch", "iso", "date", None])
def test_systemeio_shares_one_quota_and_tells_the_refill_in_any_form(simulate: Simulate, refill: str | None) -> None:
    client = simulate(systemeio=SystemeioOptions(rate_limit=2, refill=refill, retry_after=None))
    assert [client.get(path).status_code for path in ("/api/contacts", "/api/tags", "/api/tags")] == [200, 200, 429]
    refused = client.get("/api/contacts")
    assert refused.headers["X-RateLimit-Limit"] == "2" and refused.headers["X-RateLimit-Remaining"] == "0"
    assert ("X-RateLimit-Refill" in refused.headers) == (refill is not None)
    assert "Retry-After" not in refused.headers
    for form in ("seconds", "date"):
        answer = simulate(systemeio=SystemeioOptions(rate_limit=0, retry_after=form)).get("/api/tags")
        assert answer.status_code == 429 and answer.headers["Retry-After"]


# rows that change while a client pages through them


def test_rows_that_arrive_while_paging_neither_shift_nor_repeat_a_page(simulate: Simulate) -> None:
    client = simulate()
    before = client.simulator.transactions.ids()

    def insert(request: object) -> None:
        newest = client.simulator.transactions.get(before[0])
        newest |= {"id": f"txn_new{len(client.simulator.transactions)}", "created": "2025-09-30T00:00:01.000Z"}
        client.simulator.transactions.insert(newest)

    client.simulator.on_request(insert)
    ids = client.ids(*TRANSACTIONS, limit=50)
    client.simulator.on_request(None)
    assert [row_id for row_id in ids if not str(row_id).startswith("txn_new")] == before
    assert len(ids) == len(before) + 1, "only the row that came before the first page is on it"
    assert client.get("/transactions?limit=1").json()["data"][0]["id"].startswith("txn_new")


def test_an_updated_row_leaves_the_window_that_is_being_read(simulate: Simulate) -> None:
    client = simulate()
    last = client.simulator.transactions.ids()[-1]
    window = {"updated[lte]": "2025-09-29T00:00:00Z", "limit": 50}
    assert last in client.ids(*TRANSACTIONS, **window)
    client.simulator.transactions.update(last, updated="2025-09-30T08:00:00.000Z", settlement_status="SETTLED")
    assert last not in client.ids(*TRANSACTIONS, **window)
    assert client.ids(*TRANSACTIONS, **{"updated[gte]": "2025-09-30T08:00:00Z"}) == [last]


@pytest.mark.parametrize("policy", ["continue", "error", "empty"])
def test_a_deleted_cursor_row_is_met_as_configured(simulate: Simulate, policy: str) -> None:
    client = simulate(xendit=XenditOptions(lost_cursor=policy), systemeio=SystemeioOptions(lost_cursor=policy))
    for rows, path, cursor, member in (
        (client.simulator.contacts, *CONTACTS),
        (client.simulator.transactions, *TRANSACTIONS),
        (client.simulator.invoices, *INVOICES),
    ):
        ids = rows.ids()
        rows.delete(ids[9])
        answer = client.get(path, params={"limit": 10, cursor: ids[9]})
        if policy == "error":
            assert answer.status_code == 404
        else:
            page = answer.json() if member is None else answer.json()[member]
            assert [row["id"] for row in page] == (ids[10:20] if policy == "continue" else [])
        assert ids[9] not in rows.ids() and len(rows) == len(ids) - 1


def test_each_simulator_has_rows_of_its_own(simulate: Simulate) -> None:
    one, other = simulate(), simulate()
    victim = one.simulator.contacts.ids()[0]
    one.simulator.contacts.delete(victim)
    one.simulator.contacts.update(one.simulator.contacts.ids()[0], bounced=True)
    assert victim in other.simulator.contacts
    assert len(other.ids(*CONTACTS, limit=100)) == len(one.ids(*CONTACTS, limit=100)) + 1


# the transport


def test_nasty_content_is_served_as_valid_json(simulate: Simulate) -> None:
    client = simulate(Population(profile=Profile().shrunk(40), nasty=Nasty.everything(9)))
    contacts = [row for page in client.pages(*CONTACTS, limit=100) for row in page]
    names = json.dumps([row["fields"] for row in contacts])
    assert "\\u0000" in names and "\\ud83d" in names
    assert {row["status"] for page in client.pages(*INVOICES, limit=100) for row in page} > {"ACTIVE"}
    assert client.get("/transactions?types=TIME_TRAVEL").json()["data"]


def test_requests_on_one_connection_are_counted(simulate: Simulate) -> None:
    client = simulate()
    for _ in range(200):
        client.get("/v2/invoices?limit=100")
    assert client.simulator.count("/v2/invoices") == client.simulator.count(status=200) == 200
    assert client.simulator.requests[0].query == (("limit", "100"),)
    client.simulator.forget_requests()
    assert client.simulator.count() == 0


def test_latency_delays_answers(simulate: Simulate) -> None:
    client = simulate(latency=0.15)
    started = time.monotonic()
    client.get("/v2/invoices")
    assert time.monotonic() - started >= 0.15


def test_a_stopped_simulator_drops_its_clients_and_frees_its_port(simulate: Simulate) -> None:
    client = simulate()
    client.get("/v2/invoices")
    port = int(client.simulator.xendit_url.rpartition(":")[2])
    client.simulator.stop()
    with pytest.raises(requests.ConnectionError):
        client.get("/v2/invoices")
    assert simulate(xendit_port=port).get("/v2/invoices").status_code == 200
    with pytest.raises(OSError, match="in use"):
        simulate(xendit_port=port)
