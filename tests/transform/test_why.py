"""Every row of every table that a launch has put in place can be asked where it comes from."""

from __future__ import annotations

from typing import Any

from cutover.extract.why import install_lineage, why
from tests.clean_launch_world import World, at, fill_with_some_of_everything, launch

TABLES = ("unified_profiles", "transactions", "enrollments", "affiliates", "leads")


def nasty(world: World) -> dict[str, Any]:
    """People of every kind whose rows are hard to trace; returns the ids of what only production knows."""
    fill_with_some_of_everything(world)
    # the customer's address counts, as typed at the checkout
    for nothing in (None, "", "no address", " "):
        world.invoice(nothing, customer={"email": " Dina@Example.com "}, description="Canva")
    invoice = world.invoice("eli@example.com", amount=500)
    world.movement(payment_link_id=invoice, amount=500)
    world.movement(payment_link_id=invoice, amount=500, created=at("2024-06-04"))
    world.movement("REFUND", 500, payment_link_id=invoice)
    twin = world.invoice("eli@example.com", external_id="shared")
    world.invoice("eli@example.com", "EXPIRED", external_id="shared")
    world.movement(reference_id="shared", status="REVERSED")
    world.movement("CHARGEBACK", 1, reference_id="shared")
    # tagged, and never seen by Xendit
    world.contact("Fay@Example.com", ["Canva", "Affiliate"])
    world.contact("gus@example.com", ["PaidP2P"], registered_at=None)
    # an affiliate of before whom Systeme.io does not know
    account = world.account("hal@example.com")
    world.profile(account, "hal@example.com")
    world.current("affiliates", user_id=account, total_earned=3)
    world.invoice("hal@example.com", description="Coaching")
    # a contact with a new address, and an invoice under the old one
    account = world.account("old@example.com")
    world.profile(account, "old@example.com", systemeio_id="900")
    world.contact("new@example.com", [], id=900)
    world.invoice("old@example.com")
    booked = world.current(
        "transactions", user_id=account, transaction_type="manual", amount=9, status="paid", created_at=at("2024-01-01")
    )
    member = world.row("select id from public.unified_profiles where email = 'member@example.com'")["id"]
    webinar = world.row("select id from public.enrollments where product_type = 'webinar'")["id"]
    assert twin
    return {"unified_profiles": {member}, "enrollments": {webinar}, "transactions": {booked}, "users": {member}}


def test_every_row_of_every_table_of_a_nasty_world_says_where_it_comes_from(world: World) -> None:
    only_here = nasty(world)
    world.transform()
    launch(world)
    world.connection.execute("create table public.leads as select * from staging.leads")
    install_lineage(world.connection, "clean_launch")
    world.connection.commit()
    silent = {}
    for table in TABLES:
        rows = [row["id"] for row in world.rows(f"select id from public.{table}")]
        assert len(rows) > 2, table
        values = {row: why(world.connection, table, str(row)) for row in rows}
        silent[table] = {row for row, origins in values.items() if not origins}
        assert all(origin.api_response for origins in values.values() for origin in origins)
    assert {table: rows - only_here.get(table, set()) for table, rows in silent.items()} == {t: set() for t in TABLES}
    for row in world.rows("select id from staging.users"):
        assert why(world.connection, "users", str(row["id"])), row
    # all of a person's invoices, whichever address they bear
    moved = world.row("select id from public.unified_profiles where email = 'new@example.com'")["id"]
    assert {o.role for o in why(world.connection, "unified_profiles", str(moved))} == {"contact", "invoice"}
