"""What to swap and under which conditions, and whether they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from cutover.database import statements as files
from cutover.database.patience import Patience
from cutover.errors import CutoverError
from cutover.migration.quorum import Quorum
from cutover.records import ledger
from cutover.swap import capture, outside, scope, timing
from cutover.swap.scope import Scope

Connect = Callable[[], psycopg.Connection]


@dataclass(frozen=True)
class Order:
    """What to swap, and under which conditions.

    ``tables`` are (schema, name) pairs in foreign-key order, parents first. ``since`` is the snapshot from which
    on production writes are to be carried; ``except_xid`` the transaction whose own writes are not.
    ``merge``, ``inside``, ``create`` and ``drop`` are files under ``include/sql``: statements that fill merged tables,
    that are run once clients wait (with ``settings``), that make the views and grants which come with a new table (the
    setting ``cutover.arriving`` is an array of those tables), and that take them away again. ``staged_xid`` is
    the transaction that finished the load of the incoming tables; None when they were filled long ago.
    """

    run: str
    migration: str
    action: str
    tables: Sequence[tuple[str, str]]
    incoming_schema: str
    backup_schema: str
    since: str
    staged_xid: str | None
    fingerprinted: Sequence[str]
    evidence: dict[str, Any]
    # (schema, name) of what ``merge``, ``inside`` and ``checks`` read beside the incoming tables
    reads: Sequence[tuple[str, str]] = ()
    merged: Sequence[tuple[str, str]] = ()
    # every table outside the set that ``merge`` and ``inside`` write to
    written: Sequence[tuple[str, str]] = ()
    merge: Sequence[str] = ()
    inside: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    leaving: outside.Policy = field(default_factory=lambda: outside.Policy({}))
    except_xid: str | None = None
    # in which file each table's rows were then, by its oid
    filenodes: dict[str, int] = field(default_factory=dict)
    undoes: str | None = None
    # of a rollback: the entry that put the tables in place that it finds; another than ``undoes`` if that one's tables
    # had been replaced since, and have come back
    placed: str | None = None
    on_drift: str = "carry"
    # None: however many there are. A launch can begin anew, with the writes frozen in; a rollback cannot.
    carry_limit: int | None = 100_000
    # None: as many as ``carry_limit`` allows
    drift_limit: int | None = None
    # when it may happen, and the reason for which it may in a freeze, as ``timing.given`` takes them; a rollback, and
    # what is tried and taken back, waits for nothing
    swap_at: str | None = None
    freeze_override: str | None = None
    freezes: Sequence[timing.Freeze] = ()
    # who has to approve it, where one approver is not enough
    quorum: Quorum | None = None
    # whether a write that cannot be carried goes into quarantine; else it ends the transaction
    quarantines: bool = True
    checks: Sequence[str] = ()
    create: Sequence[str] = ()
    drop: Sequence[str] = ()
    patience: Patience = field(default_factory=Patience)

    def decisions(self) -> dict[str, Any]:
        """Everything that decides what the swap does, ready for JSON.

        For how long it tries is not part of it, nor what is frozen: who declares a freeze makes no approval void.
        """
        fields = {name: value for name, value in vars(self).items() if name not in ("patience", "freezes")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @property
    def schedule(self) -> timing.Timing:
        """When it may happen. Raises ``swap.bad-time``."""
        return timing.given(self.swap_at, self.freezes, self.freeze_override)

    @property
    def past(self) -> str | None:
        """Of a rollback that takes back another entry than the newest: the newest."""
        return self.placed if self.placed != self.undoes else None

    @property
    def companions(self) -> list[tuple[str, str]]:
        """(schema, name) of the views that come and go with a new table: ``drop_<name>.sql`` names them."""
        schema = self.tables[0][0]
        return [(schema, Path(path).stem.removeprefix("drop_")) for path in self.drop]


def read_scope(connection: psycopg.Connection, order: Order) -> Scope:
    """The scope of an order at this moment."""
    return scope.read(
        connection,
        order.tables,
        incoming_schema=order.incoming_schema,
        backup_schema=order.backup_schema,
        merged=order.merged,
        written=order.written,
        companions=order.companions,
    )


@dataclass(frozen=True)
class Undoing:
    """Of a rollback: the entry that it takes back, and the one that put production's tables in place."""

    undone: ledger.Entry | None
    placed: ledger.Entry | None


def read_undoing(connection: psycopg.Connection, order: Order) -> Undoing:
    """The entries that an order is about."""
    undone = ledger.find(connection, order.undoes) if order.undoes else None
    return Undoing(undone, ledger.find(connection, order.placed) if undone is not None and order.placed else None)


def require_recorded(connection: psycopg.Connection, order: Order, scope: Scope) -> None:
    """Raise CutoverError unless every write that the order must carry is proved to be recorded. Cheap; locks nothing.

    ``swap.capture-gap``; of a rollback also ``rollback.overtaken-by``, ``rollback.table-remade`` and
    ``rollback.not-recorded``.
    """
    undoing = read_undoing(connection, order)
    undone, placed = undoing.undone, undoing.placed
    if undone is None:
        capture.require_gapless(connection, scope.replaced, order.since, order.except_xid, order.filenodes)
        return
    capture.require_in_place(connection, undone)
    if placed is None or placed.run == undone.run:
        capture.require_gapless(connection, scope.replaced, undone.snapshot, undone.xid, order.filenodes)
    else:
        capture.require_recorded_throughout(connection, undone)
        files_then = placed.report.get("filenodes", {})
        capture.require_gapless(connection, scope.replaced, placed.snapshot, placed.xid, files_then)


def require_drift_allowed(connection: psycopg.Connection, order: Order, scope: Scope) -> None:
    """Raise CutoverError ``swap.drift`` if more was written since the freeze, or the approval, than the run allows."""
    _require_little_since_approval(connection, order, scope)
    limit = 0 if order.on_drift == "refuse" else order.carry_limit
    if limit is None:
        return
    waiting = capture.pending(connection, scope.outgoing, order.since, order.except_xid)
    if waiting > limit:
        raise CutoverError(
            "swap.drift",
            ", ".join(table.qualified for table in scope.tables),
            f"{waiting} production writes were captured since the freeze, and at most {limit} may be carried "
            f"(on_drift={order.on_drift}, carry_limit={order.carry_limit}).",
            "start a new run, which freezes them in; or allow them with on_drift=carry and a higher carry_limit.",
        )


def written_since_approval(connection: psycopg.Connection, order: Order, scope: Scope) -> dict[str, int]:
    """Table → writes of the application to it since the run's swap was approved; none before."""
    parameters = {"tables": scope.outgoing, "since": order.since, "run": order.run}
    return dict(connection.execute(files.statement("swap/written_since_approval.sql"), parameters).fetchall())


def _require_little_since_approval(connection: psycopg.Connection, order: Order, scope: Scope) -> None:
    if order.drift_limit is None:
        return
    written = written_since_approval(connection, order, scope)
    if sum(written.values()) > order.drift_limit:
        raise CutoverError(
            "swap.drift",
            ", ".join(written),
            f"{sum(written.values()):,} writes were captured since the approval, and at most {order.drift_limit:,} may "
            "be (drift_limit): production is not what the approver has seen any more.",
            "trigger a new run, whose review shows production as it is by now.",
        )
