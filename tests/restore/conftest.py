"""A world of clean_launch that was launched once, and a copy of it for each test."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.clean_launch_launched import Launched

TABLES = ("unified_profiles", "transactions", "enrollments", "affiliates")
_names = itertools.count(1)


def fill(world: Launched) -> None:
    """People whom the launch changes, gives something, takes something from, and makes."""
    ana = world.account("Ana@example.com")
    world.profile(ana, "ana@example.com", first_name="Ann", phone="1", tags=["old"])
    affiliate = world.current("affiliates", user_id=ana, total_earned=5)
    world.current("enrollments", user_id=ana, product_type="canva_ebook", metadata={"page": 3})
    for name in ("PaidP2P", "Canva", "Affiliate"):
        world.tag(name)
    world.contact("ana@example.com", ["PaidP2P", "Canva", "Affiliate"], first_name="Ana", phone_number="0917")
    invoice = world.invoice("ana@example.com", "SETTLED")
    world.movement(payment_link_id=invoice, fee_amount=25)
    world.current(
        "transactions", user_id=ana, xendit_invoice_id=invoice, amount=1, status="x", metadata={"note": "kept"}
    )
    ben = world.account("ben@example.com")
    world.profile(ben, "ben@example.com", affiliate_id=affiliate)
    world.contact("ben@example.com", ["PaidP2P"], first_name="Ben")
    world.invoice("ben@example.com", description="Canva")
    # one address, two accounts
    for spelled in ("duo@example.com", "Duo@Example.com"):
        account = world.account(spelled)
        world.profile(account, spelled, first_name="Duo", phone="2")
        world.current("enrollments", user_id=account, product_type="webinar")
    world.contact("duo@example.com", ["PaidP2P"], first_name="Dua")
    member = world.account("member@example.com")
    world.profile(member, "member@example.com", phone="1", acquisition_source="signup")
    world.current("enrollments", user_id=member, product_type="webinar", status="paused")
    # the launch leaves test accounts out
    tester = world.account("qa.1@learn.example.com")
    world.profile(tester, "qa.1@learn.example.com", first_name="Tess")
    # nobody before the launch
    world.contact("cleo@example.com", ["PaidP2P"], first_name="Cleo")
    world.invoice("cleo@example.com")
    world.connection.execute(
        "create table public.badges (id integer primary key, profile uuid references public.unified_profiles "
        "on delete cascade, enrolment uuid references public.enrollments on delete set null)"
    )


@pytest.fixture(scope="session")
def launched(server: EmbeddedPostgres) -> Iterator[str]:
    """The name of the database that is copied."""
    name = f"restore_{os.getpid()}"
    databases.create(server, name)
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        world = Launched(connection)
        world.dsn, world.said = server.dsn(name), []
        world.create()
        fill(world)
        world.launch("r1")
    yield name
    databases.drop(server, name)


@pytest.fixture
def world(server: EmbeddedPostgres, launched: str) -> Iterator[Launched]:
    """The launched world, of this test's own."""
    name = f"restore_{os.getpid()}_{next(_names)}"
    databases.create(server, name, launched)
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        world = Launched(connection)
        world.dsn, world.said = server.dsn(name), []
        yield world
    databases.drop(server, name)


def account_of(world: Launched, address: str) -> uuid.UUID:
    """The id of an account, as its address is spelled."""
    row: uuid.UUID = world.value("select id from auth.users where email = %s", address)
    return row


def rows_of(world: Launched, schema: str, accounts: list[uuid.UUID], addresses: list[str]) -> dict[str, list[Any]]:
    """Table → the rows of these people, told by who they are and not by the engine; and of all others in ``other``."""
    values: dict[str, list[Any]] = {}
    for table in TABLES:
        owner = "t.id" if table == "unified_profiles" else "t.user_id"
        named = {
            "unified_profiles": "or lower(t.email) = any(%s)",
            "transactions": "or lower(t.contact_email) = any(%s)",
        }
        condition = f"({owner} = any(%s) {named.get(table, 'or %s::text[] is null')})"
        for who, is_true in ((table, ""), (f"{table} of others", "not coalesce")):
            text = f"{is_true}({condition}{', false' if is_true else ''})"
            values[who] = [
                row["image"]
                for row in world.rows(
                    f"select t::text as image from {schema}.{table} as t where {text} order by t.id",
                    accounts,
                    addresses,
                )
            ]
    return values
