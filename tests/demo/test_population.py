"""The world has exactly the profile of the business rules, and is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from demo.population import (
    CANVA,
    FIRST_DAY,
    OTHER,
    P2P,
    TODAY,
    Block,
    Nasty,
    Population,
    Profile,
)


@pytest.fixture(scope="module")
def block() -> Block:
    return Population().block(0)


def test_invoices_have_the_profile_of_the_business_rules() -> None:
    assert Population().figures().invoices_by_status_and_product == {
        ("PAID", P2P): 3002,
        ("PAID", CANVA): 1484,
        ("PAID", OTHER): 10,
        ("SETTLED", P2P): 332,
        ("SETTLED", CANVA): 1299,
        ("SETTLED", OTHER): 9,
        ("EXPIRED", P2P): 973,
        ("EXPIRED", CANVA): 1839,
        ("EXPIRED", OTHER): 6,
        ("PENDING", P2P): 36,
        ("PENDING", CANVA): 31,
        ("PENDING", OTHER): 4,
    }


def test_descriptions_say_which_product_an_invoice_is_for(block: Block) -> None:
    def product(description: str | None) -> str:
        words = (description or "").lower()
        return P2P if "papers to profits" in words else CANVA if "canva" in words else OTHER

    assert all(product(invoice.description) == invoice.product for invoice in block.invoices)
    assert any(
        "canva" in (invoice.description or "").lower() for invoice in block.invoices if invoice.product == P2P
    ), "some descriptions name both products, so that priority matters"


def test_contacts_have_the_profile_of_the_business_rules(block: Block) -> None:
    tagged = Counter(("PaidP2P" in contact.tags, "Canva" in contact.tags) for contact in block.contacts)
    assert len(block.contacts) == 15_270
    assert tagged[True, True] + tagged[True, False] == 3_664
    assert tagged[True, True] + tagged[False, True] == 4_916
    assert tagged[True, True] == 2_893
    assert tagged[False, False] == 9_583


def test_a_run_over_it_can_reach_the_minimum_counts() -> None:
    figures = Population().figures()
    assert figures.customers >= 6_000
    assert sum(figures.enrollments_by_product.values()) >= 6_000
    assert figures.paid_by_product == {P2P: 3_334, CANVA: 2_783, OTHER: 19}
    assert figures.manual == figures.tagged_without_payment[P2P] > 0
    assert figures.tagged_without_payment[CANVA] > 0
    assert set(figures.refunded_statuses) == {"refunded", "partially_refunded", "charged_back"}
    assert 0 < figures.revoked_enrollments < sum(figures.refunded_statuses.values())
    assert figures.customers_without_contact > 0
    assert figures.affiliates_tagged > 0
    # the revenue that the seed expects, in centavos
    assert figures.revenue_by_product[P2P] >= 3_334_000_00
    assert figures.revenue_by_product[CANVA] >= 2_783_000_00


def test_every_paid_invoice_has_a_usable_email_and_one_payment(block: Block) -> None:
    by_link = Counter(
        movement.payment_link_id
        for movement in block.transactions
        if movement.type == "PAYMENT" and movement.status == "SUCCESS" and movement.payment_link_id
    )
    by_reference = Counter(
        movement.reference_id
        for movement in block.transactions
        if movement.type == "PAYMENT" and movement.status == "SUCCESS" and not movement.payment_link_id
    )
    people = {person.number: person for person in block.people}
    paid = [invoice for invoice in block.invoices if invoice.status in ("PAID", "SETTLED")]
    assert len(paid) == 6_136
    for invoice in paid:
        assert by_link[invoice.id] + by_reference[invoice.external_id] == 1
        email = invoice.payer_email or (invoice.customer or {})["email"]
        assert email.strip().lower() == people[invoice.person].email_key
    assert sum(by_reference.values()) > 100, "older payments are only found by their reference"


def test_the_world_has_what_makes_the_rules_necessary(block: Block) -> None:
    emails = {contact.person: contact.email for contact in block.contacts}
    respelled = [
        invoice
        for invoice in block.invoices
        if invoice.person in emails and invoice.payer_email and invoice.payer_email != emails[invoice.person]
    ]
    assert len(respelled) > 100
    assert any(invoice.payer_email is None for invoice in block.invoices)
    assert any(email and email != email.strip() for email in emails.values())
    assert block.people[0].first_name == "<script>alert(1)</script>" and block.people[0].is_customer
    assert any(not person.first_name.isascii() for person in block.people)
    assert any(not person.email_key.isascii() for person in block.people)
    twice = Counter((invoice.person, invoice.product) for person in block.people for invoice in person.paid)
    assert sum(count > 1 for count in twice.values()) == 120 + 60
    kinds = Counter(movement.type for movement in block.transactions)
    assert {"PAYMENT", "REFUND", "CHARGEBACK", "DISBURSEMENT", "WITHDRAWAL"} <= set(kinds)
    assert len({movement.created for movement in block.transactions}) < len(block.transactions)


def test_everything_happens_before_the_last_day_and_in_order(block: Block) -> None:
    for rows in (block.invoices, block.transactions):
        assert all(FIRST_DAY <= row.created <= row.updated < TODAY for row in rows)
        assert [row.created for row in rows] == sorted(row.created for row in rows)
    assert [contact.id for contact in block.contacts] == sorted(contact.id for contact in block.contacts)


def test_a_larger_world_is_so_many_times_the_profile() -> None:
    one, three = Population().figures(), Population(scale=3).figures()
    assert three.contacts == 3 * one.contacts
    assert three.customers == 3 * one.customers
    assert three.paid_by_product == {product: 3 * count for product, count in one.paid_by_product.items()}
    people, ids = Counter[str](), Counter[object]()
    for block in Population(scale=3).blocks():
        people.update(person.email_key for person in block.people)
        for rows in (block.contacts, block.invoices, block.transactions, block.refunds):
            ids.update(row.id for row in rows)
    assert max(people.values()) == max(ids.values()) == 1


def test_the_world_is_the_same_in_every_process() -> None:
    program = (
        "import hashlib; from demo.population import *;"
        "world = Population(profile=Profile().shrunk(30), nasty=Nasty.everything(2));"
        "print(hashlib.sha256(repr(world.block(0)).encode('utf-8', 'surrogatepass')).hexdigest())"
    )
    include = Path(sys.modules["demo"].__file__ or "").parents[1]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(include), "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Manila"))
    }
    assert len(digests) == 1


def test_another_seed_makes_another_world_of_the_same_shape() -> None:
    small = Profile().shrunk(30)
    one, other = Population(profile=small), Population(profile=small, seed=1)
    assert one.block(0).invoices != other.block(0).invoices
    assert one.figures().paid_by_product == other.figures().paid_by_product


def test_nasty_content_comes_on_top_and_leaves_the_rest_as_it_was() -> None:
    clean, nasty = Population().block(0), Population(nasty=Nasty.everything(9)).block(0)
    assert {invoice.id for invoice in clean.invoices} < {invoice.id for invoice in nasty.invoices}
    assert {movement.id for movement in clean.transactions} < {movement.id for movement in nasty.transactions}
    assert {contact.email for contact in clean.contacts} < {contact.email for contact in nasty.contacts}
    assert len(nasty.contacts) == len(clean.contacts) + 4 * 9
    assert len(nasty.invoices) == len(clean.invoices) + 5 * 9


def test_a_shrunk_profile_still_has_everything() -> None:
    block = Population(profile=Profile().shrunk(1000)).block(0)
    figures = Population(profile=Profile().shrunk(1000)).figures()
    assert len(block.people) < 50
    assert {invoice.status for invoice in block.invoices} == {"PAID", "SETTLED", "EXPIRED", "PENDING"}
    assert figures.manual and figures.customers_without_contact and figures.revoked_enrollments
