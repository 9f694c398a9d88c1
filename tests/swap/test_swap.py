"""The swap keeps every dependent, carries every write, and is all or nothing."""

from __future__ import annotations

from .conftest import Production


def test_the_inventory_is_the_same_before_and_after(production: Production) -> None:
    before = production.inventory()
    order = production.prepare("r1")
    entry = production.swap(order)
    assert production.inventory().compare(before) == []
    assert entry.approved_by == "reviewer"
    print("\n".join(production.messages))
