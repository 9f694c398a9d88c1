"""The incoming tables made equal to production's in all but their rows, before any production lock is taken.

Everything here can be run again: what is there and right is left alone, what differs is dropped and made anew.
A table fresh from its load gets everything; a table that comes back from a backup only what changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cutover.database import answer, catalog, patience
from cutover.database import statements as files
from cutover.database.connect import Log
from cutover.swap import capture, owner
from cutover.swap.pace import UNPACED, Pace
from cutover.swap.scope import Scope, SwappedTable


def create_shell(connection: psycopg.Connection, schema: str, table: str, incoming_schema: str) -> None:
    """Create ``incoming_schema``.``table`` empty, in the shape of production's ``schema``.``table``.

    Columns, defaults, generated expressions, storage; no keys, no indexes: those come after the load. An
    earlier one is dropped. The session's search_path is empty afterwards.
    """
    connection.execute("set search_path = ''")
    connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(incoming_schema, table)))
    name = sql.Identifier(schema, table).as_string()
    oid = connection.execute("select to_regclass(%s)::oid", (name,)).fetchone()
    assert oid is not None
    for row in catalog.rows(connection, "shell", production=oid[0], incoming_schema=incoming_schema):
        connection.execute(row["statement"])


# What names other objects of the application, which it could then not drop or change: comes last, at the swap.
_LAST = ("70_policies", "80_triggers")
# What may name another table of the set, or the table itself as a constant.
_REBINDS = ("20_constraints", "30_indexes", "45_defaults", "70_policies", "80_triggers")
# What builds an index, of a table or a materialized view.
_BUILDS = ("20_constraints", "30_indexes")
# What a materialized view has of all this.
_OF_VIEWS = ("30_indexes", "50_properties", "60_statistics", "90_grants")
# A schema that never exists outside a transaction which is taken back.
_HIDING = "cutover_hiding"


def dress(
    connection: psycopg.Connection,
    scope: Scope,
    log: Log = lambda _: None,
    *,
    complete: bool = True,
    pace: Pace = UNPACED,
) -> int:
    """Give every incoming table production's keys, indexes, policies, triggers, grants, and the rest.

    Unless ``complete``, without what is bound to further objects of the application: that is for the swap to do.
    ``pace`` waits for replicas before each build.

    ``connection`` must be in autocommit: each statement is its own transaction, so that no lock on a live table
    is held while an index is built; only the grants of a table, which lock none, go together. Triggers stay switched
    off until the swap. Foreign keys come last, when every table of the set has its keys. Returns the number of
    statements run.
    """
    ran = 0
    pairs = [table for table in scope.tables if table.outgoing is not None and table.incoming is not None]
    for path in files.files("catalog/dress"):
        aspect = path.removeprefix("catalog/").removesuffix(".sql")
        if not complete and aspect.endswith(_LAST):
            continue
        for table in pairs:
            ran += _run(connection, scope, aspect, table, log, pace=pace)
    capture.prepare(connection, [(scope.incoming_schema, t.name) for t in scope.tables if t.incoming is not None])
    for table in pairs:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(scope.incoming_schema, table.name)))
    return ran


def clear(connection: psycopg.Connection, scope: Scope, log: Log = lambda _: None) -> None:
    """Take off the incoming tables what production's have otherwise, and drop the materialized views that read them."""
    for table in scope.tables:
        if table.outgoing is not None and table.incoming is not None:
            _run(connection, scope, "dress/10_differences", table, log)
    for row in catalog.rows(connection, "earlier_materialized_views", incoming_schema=scope.incoming_schema):
        _execute(connection, row, log)


def _run(
    connection: psycopg.Connection,
    scope: Scope,
    aspect: str,
    table: SwappedTable,
    log: Log,
    *,
    pace: Pace = UNPACED,
) -> int:
    # An expression may name another table of the set. Rendered with the production schemas in the search_path,
    # that name is bare; executed with the incoming schema in front, it means the incoming table.
    rebinds = aspect.endswith(_REBINDS)
    assert table.outgoing is not None
    assert table.incoming is not None
    schemas = _bare_schemas(connection, scope) if rebinds else []
    statements = _statements(connection, scope, aspect, (table.outgoing, table.incoming), schemas)
    checked = _checks_with_foreign_code(connection, table) if aspect.endswith("constraints") else {}
    searched = [scope.incoming_schema, *schemas] if rebinds else []
    with _search_path(connection, searched):
        for statement in statements:
            if statement["object"] in checked:
                # as the owner, by the same names
                names = ", ".join(sql.Identifier(name).as_string() for name in [*searched, "pg_temp"])
                _execute(connection, statement, log, (checked[statement["object"]], names))
        others = [statement for statement in statements if statement["object"] not in checked]
        _execute_all(connection, aspect, others, log, pace)
    return len(statements)


def _statements(
    connection: psycopg.Connection, scope: Scope, aspect: str, pair: tuple[int, int], schemas: list[str]
) -> list[catalog.Row]:
    """The statements of an aspect, for a relation of production and its successor."""
    texts = _texts(connection, scope, pair[0], schemas) if aspect.endswith(_REBINDS) else {}
    return catalog.rows(
        connection,
        aspect if "/" in aspect else f"dress/{aspect}",
        production=pair[0],
        incoming=pair[1],
        tables=scope.outgoing,
        incoming_schema=scope.incoming_schema,
        rendered=Jsonb(texts.get("policy", {})),
        texts=Jsonb(texts),
    )


def _texts(
    connection: psycopg.Connection, scope: Scope, relation: int, schemas: list[str]
) -> dict[str, dict[str, list[str | None]]]:
    """Definitions of what is on a relation, by kind and oid, with the names of the given schemas bare."""
    with _rendering(connection, scope, schemas):
        # nothing else may be asked with this search_path: the application could have put its own in between
        rows = connection.execute(files.statement("catalog/definitions.sql"), {"relation": relation}).fetchall()
    texts: dict[str, dict[str, list[str | None]]] = {}
    for kind, oid, first, second in rows:
        texts.setdefault(kind, {})[str(oid)] = [first, second]
    return texts


@contextmanager
def _rendering(connection: psycopg.Connection, scope: Scope, schemas: list[str]) -> Iterator[None]:
    """A search_path of the given schemas, for a block that only looks.

    The incoming schema may hold further tables. If one has the name of a table that stays, that one's bare name would
    mean the other: hidden behind an empty table of the same name, it is written in full.
    """
    hidden = _names_in_both(connection, scope, schemas)
    if not hidden:
        with _search_path(connection, schemas):
            yield
        return
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(_HIDING)))
        for name in hidden:
            connection.execute(sql.SQL("create table {} ()").format(sql.Identifier(_HIDING, name)))
        with _search_path(connection, [_HIDING, *schemas]):
            yield


def view_definitions(connection: psycopg.Connection, scope: Scope, views: Sequence[int]) -> tuple[list[str], list[str]]:
    """The texts of views as they mean the incoming relations when these are first in the search_path.

    Returns the texts, in the order of ``views``, and the schemas that come behind.
    """
    lie_in = connection.execute(files.statement("catalog/schemas.sql"), {"relations": list(views)}).fetchall()
    schemas = list(dict.fromkeys([*_bare_schemas(connection, scope), *(row[0] for row in lie_in)]))
    texts = []
    for view in views:
        with _rendering(connection, scope, schemas):
            # nothing else may be asked with this search_path: the application could have put its own in between
            definition = connection.execute("select pg_catalog.pg_get_viewdef(%s::pg_catalog.oid)", (view,)).fetchone()
        assert definition is not None
        texts.append(str(definition[0]))
    return texts, schemas


def _names_in_both(connection: psycopg.Connection, scope: Scope, schemas: list[str]) -> list[str]:
    if not schemas:
        return []
    rows = catalog.rows(
        connection,
        "names_in_both",
        schemas=schemas,
        incoming_schema=scope.incoming_schema,
        relations=[*scope.outgoing, *scope.rebuilt],
    )
    return [row["name"] for row in rows]


def _execute_all(
    connection: psycopg.Connection, aspect: str, statements: list[catalog.Row], log: Log, pace: Pace
) -> None:
    if not aspect.endswith("grants"):
        for statement in statements:
            builds = aspect.endswith(_BUILDS)
            if builds:
                pace.wait(connection)
            with pace.building(connection, str(statement["object"])) if builds else nullcontext():
                _execute(connection, statement, log)
        return
    # Revoked and granted at once: a kill in between would leave a table on which its owner may do nothing, and
    # with the owner whoever dresses it next. It is only the incoming table that this locks.
    with connection.transaction():
        for statement in statements:
            _execute(connection, statement)


def _execute(
    connection: psycopg.Connection,
    step: catalog.Row,
    log: Log | None = None,
    as_owner: tuple[str, str] | None = None,
) -> None:
    """One statement on an incoming table, patiently if there is a log: others may be reading it.

    ``as_owner`` is a role to run it as, and the search_path for that.
    """
    try:
        if as_owner is not None:
            owner.run(connection, as_owner[0], step["statement"], search_path=as_owner[1])
        elif log is None:
            connection.execute(step["statement"].encode())
        else:
            patience.patiently(connection, step["statement"], log)
    except psycopg.Error as error:
        if answer.lost(error):
            raise
        raise answer.refused("swap.cannot-prepare", str(step["object"]), step["statement"], error) from error


def _checks_with_foreign_code(connection: psycopg.Connection, table: SwappedTable) -> dict[str, str]:
    """Constraints of a table whose expression calls what a lesser role can change, with the table's owner."""
    assert table.outgoing is not None
    return {
        code.name: code.table_owner for code in owner.foreign_code(connection, [table.outgoing]) if code.kind == "check"
    }


def build_materialized_views(
    connection: psycopg.Connection, scope: Scope, log: Log = lambda _: None, *, pace: Pace = UNPACED
) -> list[int]:
    """Build every materialized view that reads a swapped table over the incoming ones.

    Returns the oids of the live views, in the order built. ``connection`` must be in autocommit. ``pace`` waits for
    replicas before each.
    """
    views = scope.rebuilt
    schemas = _bare_schemas(connection, scope)
    for oid in views:
        with _rendering(connection, scope, schemas):
            # nothing else may be asked with this search_path: the application could have put its own in between
            definition = connection.execute("select pg_catalog.pg_get_viewdef(%s::pg_catalog.oid)", (oid,)).fetchone()
        assert definition is not None
        statements = catalog.rows(
            connection,
            "materialized_view",
            view=oid,
            incoming_schema=scope.incoming_schema,
            definition=definition[0],
        )
        pace.wait(connection)
        with _search_path(connection, [scope.incoming_schema, *schemas]):
            for statement in statements:
                _execute(connection, statement, log)
        name = connection.execute(files.statement("catalog/relation_name.sql"), {"relation": oid}).fetchone()
        assert name is not None
        built = sql.Identifier(scope.incoming_schema, name[0])
        incoming = connection.execute("select to_regclass(%s)::oid", (built.as_string(),)).fetchone()
        assert incoming is not None
        for aspect in _OF_VIEWS:
            statements = _statements(connection, scope, aspect, (oid, incoming[0]), [])
            _execute_all(connection, aspect, statements, log, pace)
        connection.execute(sql.SQL("analyze {}").format(built))
    _bind_policies(connection, scope, schemas)
    return views


def _bind_policies(connection: psycopg.Connection, scope: Scope, schemas: list[str]) -> None:
    """Make the policies again that read a materialized view which has only now been built over the incoming tables."""
    for table in scope.tables:
        if table.outgoing is None or table.incoming is None:
            continue
        policies = catalog.rows(connection, "policies_reading", table=table.outgoing, views=scope.rebuilt)
        if not policies:
            continue
        names = {row["name"] for row in policies}
        rows = _statements(connection, scope, "70_policies", (table.outgoing, table.incoming), schemas)
        on = sql.Identifier(scope.incoming_schema, table.name).as_string()
        with connection.transaction(), _search_path(connection, [scope.incoming_schema, *schemas]):
            for name in sorted(names):
                _execute(connection, {"object": name, "statement": f"drop policy {name} on {on}"})
            for row in rows:
                if row["object"] in names:
                    _execute(connection, row)


def _bare_schemas(connection: psycopg.Connection, scope: Scope) -> list[str]:
    """The schemas whose names are left out of what is to mean the incoming relations: the tables', and those in which
    materialized views lie that are made anew, which may be others."""
    lie_in = connection.execute(files.statement("catalog/schemas.sql"), {"relations": scope.rebuilt}).fetchall()
    return list(dict.fromkeys([*(table.schema for table in scope.tables), *(row[0] for row in lie_in)]))


@contextmanager
def _search_path(connection: psycopg.Connection, schemas: list[str]) -> Iterator[None]:
    # a SET looks up no name, so nothing of the application's can be in its place
    path = sql.SQL(", ").join(map(sql.Identifier, schemas)) if schemas else sql.SQL("''")
    connection.execute(sql.SQL("set search_path to {}").format(path))
    try:
        yield
    finally:
        connection.execute("set search_path to ''")


def strip_triggers(connection: psycopg.Connection, scope: Scope) -> None:
    """Switch off the triggers of tables that lie in a backup, so that carried writes do not fire them again."""
    for table in scope.tables:
        if table.outgoing is not None and table.incoming is not None:
            connection.execute(
                sql.SQL("alter table {} disable trigger user").format(sql.Identifier(scope.incoming_schema, table.name))
            )
