"""Write capture: what the application writes to the tables of a set, from before the freeze on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import ledger


def install(connection: psycopg.Connection, tables: Iterable[tuple[str, str]]) -> None:
    """Record every write to the given (schema, table) names from the commit of this transaction on.

    Where that is so already, it touches nothing. Takes a SHARE ROW EXCLUSIVE lock on each other table: it waits for
    the writers of the moment, and writers wait for it, as long as the caller's lock_timeout allows.
    """
    wanted = list(tables)
    for schema, table in wanted:
        # what the images of its rows are taken apart into: made here, so that no swap waits for another to make it
        connection.execute(
            files.statement("swap/make_fields.sql"), {"table": sql.Identifier(schema, table).as_string()}
        )
    _put(connection, wanted, "enable always")


def prepare(connection: psycopg.Connection, tables: Iterable[tuple[str, str]]) -> None:
    """Give tables that are still to come the triggers of the capture, switched off until the swap."""
    _put(connection, tables, "disable")


def _put(connection: psycopg.Connection, tables: Iterable[tuple[str, str]], enabled: str) -> None:
    names = [sql.Identifier(schema, table).as_string() for schema, table in tables]
    connection.execute(files.statement("swap/make_captures.sql"), {"names": names})
    for row in catalog.rows(connection, "capture", names=names, enabled=enabled):
        connection.execute(row["statement"])


def pending(connection: psycopg.Connection, tables: list[int], since: str, except_xid: str | None = None) -> int:
    """How many captured writes of the tables (oids) the snapshot ``since`` does not see."""
    row = connection.execute(
        files.statement("swap/pending.sql"), {"tables": tables, "since": since, "except_xid": except_xid}
    ).fetchone()
    return int(row[0]) if row else 0


def filenodes(connection: psycopg.Connection, tables: Iterable[int | None]) -> dict[str, int]:
    """In which file of PostgreSQL's the rows of each table (oid, as text) are: another one once they are rewritten."""
    rows = connection.execute(files.statement("swap/filenodes.sql"), {"tables": list(tables)})
    return {str(oid): int(file) for oid, file in rows.fetchall()}


def gaps(
    connection: psycopg.Connection,
    tables: Iterable[int],
    since: str,
    except_xid: str | None = None,
    filenodes: Mapping[str, int] | None = None,
) -> list[catalog.Row]:
    """Why writes to the tables (oids) may have been made past the capture after the snapshot ``since``; none is proof.

    ``except_xid`` is the transaction that put the tables in place, for a rollback: what it did to them came before
    any client's write. ``filenodes`` is in which files the rows were at that moment, where that is known.
    """
    return catalog.prepared_rows(
        connection,
        "capture_gaps",
        tables=list(tables),
        since=since,
        except_xid=except_xid or None,
        filenodes=Jsonb(dict(filenodes or {})),
    )


def require_gapless(
    connection: psycopg.Connection,
    tables: Iterable[int],
    since: str,
    except_xid: str | None = None,
    filenodes: Mapping[str, int] | None = None,
) -> None:
    """Raise CutoverError ``swap.capture-gap`` unless every write to the tables since then is proved to be recorded.

    Cheap, and locks nothing: to be asked before a person is, at the gate, and inside the lock, where it is final.
    """
    broken = gaps(connection, tables, since, except_xid, filenodes)
    if not broken:
        return
    after = "the swap" if except_xid else "the freeze"
    lines = []
    for gap in broken:
        known = gap["touched_at"] or gap["not_before"]
        when = f"after {after}"
        if known:
            when = f"{'at' if gap['touched_at'] else 'after'} {known:%Y-%m-%d %H:%M:%S %Z}, {when}"
        by = f", by {gap['entry']}" if gap["entry"] else ""
        lines.append(f"{gap['table_name']}: {gap['difference']} ({when}{by})")
    remedy = (
        "what was written past it is in the live tables alone: keep them, and launch corrected data with a new run."
        if except_xid
        else "start a new run, which records from its own freeze on; until its swap, let nobody switch triggers off."
    )
    raise CutoverError(
        "swap.capture-gap",
        ", ".join(dict.fromkeys(gap["table_name"] for gap in broken)),
        "writes may have been made that were not recorded, and would be lost; nothing was changed.\n    "
        + "\n    ".join(lines),
        remedy,
    )


def require_recorded_throughout(connection: psycopg.Connection, undone: ledger.Entry) -> None:
    """Raise CutoverError ``rollback.not-recorded`` unless every write since this entry is recorded for its tables.

    They were replaced since and have come back, perhaps more than once: whoever took them out has proved that they were
    recorded since they had come, and whoever put them in has recorded what it carried to them.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        moves = cursor.execute(files.statement("swap/moves_since.sql"), {"run": undone.run}).fetchall()
    placed = undone.run
    for move in moves:
        lost = ""
        if move["takes_out"] and move["action"] == "swap" and move["proved_since"] != placed:
            lost = f"{move['run']}, which replaced them, has not proved that every write since {placed} was recorded"
        elif move["puts_in"] and not move["is_recorded"]:
            lost = f"{move['run']}, which put them back, has not recorded what it carried to them"
        if lost:
            raise CutoverError(
                "rollback.not-recorded",
                f"{undone.action} {undone.run}",
                f"its tables were replaced since and have come back, and {lost}: that would be lost.",
                "launch corrected data with a new run instead; what is there now stays.",
            )
        if move["puts_in"]:
            placed = move["run"]


def require_in_place(connection: psycopg.Connection, undone: ledger.Entry) -> None:
    """Raise CutoverError unless production's tables are the ones that this entry put there.

    ``rollback.overtaken-by`` names a later entry of another migration that moved one of them; ``rollback.table-remade``
    says that somebody made the table anew by hand.
    """
    for table in catalog.prepared_rows(connection, "in_place", run=undone.run):
        if table["oid"] == table["incoming"]:
            continue
        if table["later"] is not None:
            raise CutoverError(
                "rollback.overtaken-by",
                table["name"],
                f"{table['later']} moved it after {undone.action} {undone.run}: rolled back now, what was written in "
                "between would be lost, and the later launch undone with it. Nothing was changed.",
                f"roll back {table['later']} first; or launch corrected data with a new run.",
            )
        raise CutoverError(
            "rollback.table-remade",
            table["name"],
            f"it is not the table that {undone.action} {undone.run} put in place "
            f"({'there is none of that name' if table['oid'] is None else 'somebody made it anew'}), and what was "
            "written to it was not recorded. Nothing was changed.",
            "give the swap's table its name back; or keep what is there, and launch corrected data with a new run.",
        )
