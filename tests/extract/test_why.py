"""From a production row back to the responses that it was made of."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from cutover.errors import CutoverError
from cutover.extract.why import why
from tests.extract.conftest import SOURCES, World

# The columns of production that lineage goes by; the whole tables are the demonstration's.
PRODUCTION = """
create table public.unified_profiles (id uuid primary key, email text, systemeio_id text);
create table public.transactions (
    id uuid primary key, user_id uuid, xendit_invoice_id text, xendit_transaction_id text, transaction_type text
);
create table public.enrollments (id uuid primary key, user_id uuid, transaction_id uuid);
create table public.affiliates (id uuid primary key, user_id uuid);
create table public.leads (
    id uuid primary key, email text, stage text, systemeio_id text, merged_systemeio_ids text[]
);
"""


@pytest.fixture
def launched(world: World) -> World:
    """Everything synced, and production tables with one person in them."""
    for name in SOURCES:
        world.sync(name)
    world.execute(PRODUCTION)
    return world


def ask(world: World, table: str, row_id: object) -> list[tuple[str, str, str]]:
    """(role, table, id) of each response behind a row."""
    with psycopg.connect(world.dsn) as connection:
        return [(origin.role, origin.raw_table, origin.raw_id) for origin in why(connection, table, str(row_id))]


def refunded_invoice(world: World) -> tuple[str, str, str]:
    """An invoice with a payment and one refund: their ids."""
    [row] = world.query(
        "select i.id as invoice, p.id as payment, min(r.id) as refund from raw.xendit_invoices i "
        "join raw.xendit_transactions p on p.payment_link_id = i.id and p.type = 'PAYMENT' "
        "join raw.xendit_transactions r on r.payment_link_id = i.id and r.type = 'REFUND' "
        "group by 1, 2 having count(*) = 1 limit 1"
    )
    return row["invoice"], row["payment"], row["refund"]


def test_a_transaction_comes_from_its_invoice_its_payment_and_its_refund(launched: World) -> None:
    invoice, payment, refund = refunded_invoice(launched)
    row_id = uuid.uuid4()
    launched.execute("insert into public.transactions values (%s, null, %s, %s, 'payment')", row_id, invoice, payment)
    assert set(ask(launched, "transactions", row_id)) == {
        ("invoice", "xendit_invoices", invoice),
        ("payment", "xendit_transactions", payment),
        ("refund", "xendit_transactions", refund),
    }
    assert ask(launched, "public.transactions", row_id) == ask(launched, "transactions", row_id)


def test_each_response_is_told_with_its_request_and_time(launched: World) -> None:
    invoice, payment, _ = refunded_invoice(launched)
    row_id = uuid.uuid4()
    launched.execute("insert into public.transactions values (%s, null, %s, %s, 'x')", row_id, invoice, payment)
    with psycopg.connect(launched.dsn) as connection:
        origins = why(connection, "transactions", str(row_id))
    source = next(origin for origin in origins if origin.role == "invoice")
    assert source.api_response == launched.truth("xendit_invoices")[invoice]
    assert source.request is not None
    assert source.request.startswith("/v2/invoices?")
    [page] = launched.query(
        "select * from cutover.sync_page where sync_id = %s and page_no = %s", source.sync_id, source.page_no
    )
    assert (page["request"], page["fetched_at"]) == (source.request, source.fetched_at)


def test_a_transaction_paid_by_hand_comes_from_the_contact_with_the_tag(launched: World) -> None:
    contact = str(launched.rows("systemeio_contacts").ids()[0])
    person, row_id = uuid.uuid4(), uuid.uuid4()
    launched.execute("insert into public.unified_profiles values (%s, 'x@example.com', %s)", person, contact)
    launched.execute("insert into public.transactions values (%s, %s, null, null, 'manual')", row_id, person)
    assert ask(launched, "transactions", row_id) == [("contact with the tag", "systemeio_contacts", contact)]


def test_a_person_comes_from_contacts_and_invoices_however_the_address_is_spelt(launched: World) -> None:
    [row] = launched.query(
        "select c.id::text as contact, lower(btrim(c.email)) as key, array_agg(i.id) as invoices "
        "from raw.systemeio_contacts c "
        "join raw.xendit_invoices i on lower(btrim(i.payer_email)) = lower(btrim(c.email)) group by 1, 2 limit 1"
    )
    person, lead, enrolment, affiliate = (uuid.uuid4() for _ in range(4))
    launched.execute("insert into public.unified_profiles values (%s, %s, %s)", person, row["key"], row["contact"])
    launched.execute("insert into public.leads values (%s, %s, 'customer', %s, '{}')", lead, row["key"], row["contact"])
    launched.execute("insert into public.enrollments values (%s, %s, null)", enrolment, person)
    launched.execute("insert into public.affiliates values (%s, %s)", affiliate, person)
    contact = ("contact", "systemeio_contacts", row["contact"])
    profile = ask(launched, "unified_profiles", person)
    assert profile[0] == contact
    assert {row_id for role, _, row_id in profile if role == "invoice"} == set(row["invoices"])
    assert ask(launched, "auth.users", person) == profile
    assert contact in ask(launched, "leads", lead)
    assert ask(launched, "enrollments", enrolment) == [contact]
    assert ask(launched, "affiliates", affiliate) == [contact]


def test_a_row_that_only_production_knows_has_no_origin(launched: World) -> None:
    assert ask(launched, "transactions", uuid.uuid4()) == []


def test_a_table_without_lineage_and_an_id_that_is_none_are_told_so(launched: World) -> None:
    with pytest.raises(CutoverError, match=r"\[why.unknown-table\] table courses"):
        ask(launched, "courses", uuid.uuid4())
    with pytest.raises(CutoverError, match=r"\[why.not-an-id\].*invalid input syntax"):
        ask(launched, "transactions", "seventeen")
