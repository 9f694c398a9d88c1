"""Rows put back over the live tables: all of them or none, and what stands in the way by name.

A row that there is stays the same row: it is updated, so that nothing outside loses what it refers to. The
application's triggers sleep meanwhile, the write capture does not: a launch that waits, or a rollback that comes,
carries these writes as it carries anybody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.asleep import asleep
from cutover.database.patience import LOCK_TIMEOUT_MS
from cutover.masking import masked_text
from cutover.restore.plan import CHANGE, COME, GO, Key, Plan, Refusal, Restored, Row, as_json, shown
from cutover.swap import owner

# One of these says that a row is in the way of another, which may go first.
_IN_THE_WAY = (psycopg.errors.IntegrityError, psycopg.errors.DataError)
_HELD_BY = "a row of somebody else ({row} of {table}) refers to it ({key}), and would lose it."
_LET_GO = "correct or delete that row through the application, or name its owner in the list, too."


def lock(connection: psycopg.Connection, tables: Sequence[Restored]) -> None:
    """Keep writers out of the tables until this transaction ends. Waits for a moment alone: raises of ``GAVE_UP``."""
    connection.execute("select set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MS}ms",))
    names = sql.SQL(", ").join(table.live for table in tables)
    connection.execute(files.statement("restore/lock.sql", tables=names))


def keep(connection: psycopg.Connection, plan: Plan, number: int) -> None:
    """Keep the rows that change or go as they are now, and which ones come, under the number of the request."""
    for table in plan.tables:
        record = {"number": number, "schema": table.schema, "table": table.name, "written": as_json(table.written)}
        key = table.listed(table.key)
        for operation in (CHANGE, GO):
            query = files.statement(
                "restore/keep.sql",
                copy=table.live,
                key=key,
                names=sql.SQL(", ").join(map(sql.Literal, table.all_columns)),
                texts=table.listed(table.all_columns, as_text=True),
            )
            places = [row.place for row in table.rows[operation]]
            if places:
                connection.execute(query, {**record, "operation": operation, "places": places})
        sources = [row.source for row in table.rows[COME]]
        if sources:
            query = files.statement("restore/keep_keys.sql", copy=table.copy, key=key)
            connection.execute(query, {**record, "places": sources})


def write(connection: psycopg.Connection, plan: Plan, writers: Sequence[Writer]) -> list[Refusal]:
    """Do what the plan says, in the caller's transaction, which has the locks. Returns what could not be done.

    ``writers`` are the plan's, of ``writers_of``. If anything is returned, the transaction is to be taken back.
    """
    with ExitStack() as stack:
        stack.enter_context(asleep(connection, [table.live for table in plan.tables], captures=False))
        for writer in writers:
            stack.enter_context(_open(writer))
        connection.execute("set constraints all deferred")
        refusals = _write(writers)
        if not refusals:
            refusals = _settle(connection)
        if refusals:
            # the transaction is taken back, and may not be able to go on: what was put to sleep wakes with that
            stack.pop_all()
        return refusals


def writers_of(connection: psycopg.Connection, plan: Plan) -> list[Writer]:
    """What writes to each table of a plan; it is found out before anybody has to wait."""
    return [Writer(connection, table) for table in plan.tables]


def has_moved(connection: psycopg.Connection, plan: Plan) -> bool:
    """Whether a row that the plan is about lies somewhere else by now: somebody has written to it since."""
    for table in plan.tables:
        places = [row.place for rows in table.rows.values() for row in rows if row.place is not None]
        query = files.statement("restore/still_there.sql", live=table.live)
        moved = connection.execute(query, {"places": places}).fetchone() if places else None
        if moved is not None and moved[0] != len(places):
            return True
    return False


class Writer:
    """What is written to one table, as whoever may evaluate its expressions."""

    def __init__(self, connection: psycopg.Connection, table: Restored) -> None:
        self.connection = connection
        self.table = table
        self.left = [(operation, table.rows[operation]) for operation in (GO, CHANGE, COME)]
        codes = owner.foreign_code(connection, [table.oid])
        # triggers are asleep
        self.as_owner = any(code.runs_on_write and code.kind != "trigger" for code in codes)
        with connection.cursor(row_factory=dict_row) as cursor:
            self.keys = cursor.execute(files.statement("restore/keys_to.sql"), {"relid": table.oid}).fetchall()

    def attempt(self, operation: str, rows: list[Row]) -> None:
        """Write rows, all of them or none. Raises what PostgreSQL says against it."""
        table = self.table
        places = sql.Literal([row.place for row in rows])
        sources = sql.Literal([row.source for row in rows])
        if operation == GO:
            statement = files.statement("restore/delete.sql", live=table.live, places=places)
        elif operation == COME:
            statement = files.statement(
                "restore/insert.sql",
                live=table.live,
                copy=table.copy,
                columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
                values=table.listed(table.columns, "b"),
                sources=sources,
            )
        else:
            names = [name for name in table.columns if name not in table.key]
            statement = files.statement(
                "restore/update.sql",
                live=table.live,
                copy=table.copy,
                assignments=sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("b", name)) for name in names
                ),
                places=places,
                sources=sources,
            )
        with self.connection.transaction():
            if self.as_owner:
                reads = [(table.backup_schema, table.name)]
                written = owner.run(self.connection, table.owner, statement, reads=reads)
            else:
                written = self.connection.execute(statement).rowcount
            if written != len(rows):
                raise psycopg.errors.DataError(f"{written} rows were written, and not {len(rows)}")

    def held(self, rows: list[Row]) -> dict[Key, str]:
        """Of rows that are to go, those that others refer to: key → by what."""
        places = {row.place: row.key for row in rows}
        if not places:
            return {}
        parameters = {"places": list(places)}
        self.connection.execute(files.statement("restore/hold.sql", live=self.table.live), parameters)
        reasons: dict[Key, str] = {}
        for key in self.keys:
            query = files.statement(
                "restore/referred.sql",
                live=self.table.live,
                # pieces of statements that the catalogue makes, quoted as they are to be
                referring=sql.SQL(key["referring"]),
                referring_key=sql.SQL(key["referring_key"]),
                matches=sql.SQL(key["matches"]),
            )
            for place, referring_key in self.connection.execute(query, parameters).fetchall():
                reasons.setdefault(
                    places[place],
                    _HELD_BY.format(row=masked_text(referring_key), table=key["referring"], key=key["name"]),
                )
        return reasons


@contextmanager
def _open(writer: Writer) -> Iterator[None]:
    """Its table takes rows: an identity that is always generated takes values meanwhile."""
    table = writer.table
    always = table.always if table.rows[CHANGE] else []
    for way in ("by default", "always"):
        for name in always:
            writer.connection.execute(
                sql.SQL("alter table {} alter column {} set generated {}").format(
                    table.live, sql.Identifier(name), sql.SQL(way)
                )
            )
        if way == "by default":
            yield


def _write(writers: Sequence[Writer]) -> list[Refusal]:
    """Write what can be written, again and again until nothing more can: one row may wait for another to go."""
    errors: dict[tuple[str, str, Key], str] = {}
    while True:
        progress = False
        for writer in writers:
            left = []
            for operation, rows in writer.left:
                if not rows:
                    continue
                held = writer.held(rows) if operation == GO else {}
                free = [row for row in rows if row.key not in held]
                failed = _attempt(writer, operation, free) if free else {}
                progress = progress or len(failed) < len(free)
                errors |= {(writer.table.full, operation, key): why for key, why in {**held, **failed}.items()}
                waiting = [row for row in rows if row.key in held or row.key in failed]
                left.append((operation, waiting))
            writer.left = left
        if not progress:
            break
    refusals = []
    for writer in writers:
        for operation, rows in writer.left:
            for row in rows:
                why = errors[writer.table.full, operation, row.key]
                remedy = _LET_GO if operation == GO else "find out what has its place, and change that first."
                refusals.append(Refusal(writer.table.full, shown(row.key), why, remedy))
    return refusals


def _attempt(writer: Writer, operation: str, rows: list[Row]) -> dict[Key, str]:
    """Write rows together, or else one by one. Returns those that could not be: key → why."""
    try:
        writer.attempt(operation, rows)
    except _IN_THE_WAY as error:
        if len(rows) == 1:
            return {rows[0].key: _said(error)}
        return {key: why for row in rows for key, why in _attempt(writer, operation, [row]).items()}
    return {}


def _settle(connection: psycopg.Connection) -> list[Refusal]:
    """Have PostgreSQL look at what it puts off until the end."""
    try:
        with connection.transaction():
            connection.execute("set constraints all immediate")
    except psycopg.errors.IntegrityError as error:
        diagnostics = error.diag
        name = f"{diagnostics.schema_name}.{diagnostics.table_name}"
        return [
            Refusal(name, diagnostics.constraint_name or "", _said(error), "name everybody whose rows belong together.")
        ]
    return []


def _said(error: psycopg.Error) -> str:
    """What PostgreSQL says against a row: the constraint, and no value but keys of rows."""
    diagnostics = error.diag
    if diagnostics.constraint_name is None:
        return f"{type(error).__name__}."
    where = f"{diagnostics.schema_name}.{diagnostics.table_name}"
    if isinstance(error, psycopg.errors.UniqueViolation):
        return f"another row of {where} has its place by now ({diagnostics.constraint_name})."
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return f"what it refers to is not there any more ({diagnostics.constraint_name})."
    return f"{where} does not take it any more ({diagnostics.constraint_name})."
