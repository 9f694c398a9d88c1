"""Proof that a swap changed nothing but the rows: parity inside the transaction, a certificate after it."""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg.types.json import Jsonb

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import chain
from cutover.records.ledger import Entry
from cutover.swap.inventory import Difference, Inventory


class ParityError(CutoverError):
    """The catalogue after the swap is not, by name, what it was before. The transaction rolls back."""

    def __init__(self, differences: list[Difference]) -> None:
        self.differences = differences
        first = differences[0]
        super().__init__(
            "swap.parity",
            f"{first.kind} {first.object}",
            f"{len(differences)} catalogue facts would differ after the swap; nothing was changed. The first:\n"
            f"    before: {first.before}\n    after:  {first.after}",
            "report this object kind; until it is handled, drop it for the time of the swap.",
        )


def require_parity(before: Inventory, after: Inventory, later: Collection[str] = ()) -> None:
    """Raise ParityError unless both inventories hold the same facts by name.

    ``later`` names constraints (``table:constraint``) that are to be missing until ``finish`` adds them.
    """
    differences = [
        d for d in before.compare(after) if not (d.kind == "constraint" and d.object in later and d.after is None)
    ]
    if differences:
        raise ParityError(differences)


def left_behind(connection: psycopg.Connection, backup_schema: str) -> list[dict[str, str]]:
    """Objects outside the backup that still refer to a table in it."""
    return [dict(row) for row in catalog.prepared_rows(connection, "left_behind", backup_schema=backup_schema)]


def require_nothing_left_behind(connection: psycopg.Connection, backup_schema: str) -> None:
    """Raise CutoverError ``swap.left-behind``, inside the transaction, if something still points at yesterday."""
    objects = left_behind(connection, backup_schema)
    if objects:
        raise CutoverError(
            "swap.left-behind",
            objects[0]["object"],
            f"it would still refer to the old {objects[0]['refers_to']} ({len(objects)} such); nothing was changed.",
            "if it was made in this very moment, run the swap again: the next plan finds it; if it was there before, "
            "drop it for the time of the swap and make it again afterwards.",
        )


def certify(connection: psycopg.Connection, entry: Entry, inventory: Inventory, done: list[str]) -> dict[str, object]:
    """Store the certificate of a run: what still refers to the backup (nothing), what is not validated (nothing)."""
    behind = left_behind(connection, entry.backup_schema)
    validate, attach = entry.report["validate"], entry.report.get("attach", [])
    waiting = [row["object"] for row in catalog.rows(connection, "to_validate", constraints=validate)]
    waiting += [row["object"] for row in catalog.rows(connection, "to_attach", keys=Jsonb(attach))]
    with connection.transaction():
        connection.execute(
            files.statement("swap/certify.sql"),
            {
                "run": entry.run,
                "left_behind": Jsonb(behind),
                "not_validated": Jsonb(waiting),
                "inventory_hash": inventory.hash,
                "done": Jsonb(done),
            },
        )
        chain.cover(connection, "certificate", entry.run, ("certificate", entry.run))
    return {"left_behind": behind, "not_validated": waiting, "inventory": inventory.hash, "done": done}
