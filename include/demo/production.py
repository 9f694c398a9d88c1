"""Makes a PostgreSQL database the production of the demonstration: 109 tables, contaminated as the seed says.

The tables counted are ordinary and partitioned tables of the schemas public and auth, each partition as one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from cutover.database.connect import session
from cutover.database.statements import files, text
from cutover.errors import CutoverError
from demo import contamination as contamination_module
from demo import population as population_module
from demo.contamination import COLUMNS, Contamination, production_block
from demo.population import Population

TABLES = 109
_FOLDER = "demo/production"
_MARK = "Cutover demonstration"
_ROLES = f"{_FOLDER}/00_roles.sql"
_MEMBERS = "demo/members/activity.sql"
# After these files the rows come, then the rest: triggers must not see them.
_BEFORE_ROWS = ("05", "10", "20", "30", "31", "32", "33", "34", "40", "50")


def load(
    superuser_dsn: str,
    scale: int,
    cutover_password: str,
    *,
    app_password: str | None = None,
    orphans: bool = False,
    population: Population | None = None,
    contamination: Contamination | None = None,
) -> bool:
    """Fill the database with the production of ``population`` (by default the real account's, ``scale`` times).

    Everything happens in one transaction, so a load that was killed leaves nothing. A database that was loaded from
    the same world and the same files is left as it is, whatever was done in it since; one loaded from another world
    is made anew, and with it goes whatever Cutover kept there. Returns whether rows were loaded.

    The roles are the cluster's: they are made once. ``cutover`` (the role that migrates) and ``app`` (the simulated
    application) get their passwords each time; without ``app_password``, ``app`` cannot log in.

    Raises CutoverError ``demo.not-a-demonstration`` for a database that holds anything of somebody else.
    """
    population = population or Population(scale=scale)
    contamination = contamination or Contamination()
    mark = _mark(population, contamination, orphans)
    with session(superuser_dsn, "cutover demonstration") as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('cutover demonstration'))")
        earlier = _mark_of(connection)
        loaded = earlier != mark
        if loaded:
            if earlier is not None and earlier.startswith(_MARK):
                _empty(connection)
            else:
                _require_unused(connection)
        connection.execute(text(_ROLES).encode())
        if loaded:
            _run_files(connection, before_rows=True)
            for block in population.blocks():
                # further members are so many in all
                of_block = contamination if block.number == 0 else replace(contamination, members=0)
                rows = production_block(population, block, of_block, orphans=orphans and block.number == 0).rows
                for table, columns in COLUMNS.items():
                    _copy(connection, table, columns, rows[table])
            if contamination.members:
                connection.execute(text(_MEMBERS).encode())
            # The circular key is checked here, or tables with rows yet unchecked could not be altered.
            connection.execute("set constraints all immediate")
            _run_files(connection, before_rows=False)
            _write_mark(connection, mark)
        _set_password(connection, "cutover", cutover_password)
        _set_password(connection, "app", app_password)
    if loaded:
        with session(superuser_dsn, "cutover demonstration", autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
    return loaded


def _mark(population: Population, contamination: Contamination, orphans: bool) -> str:
    """What the comment on schema public says when the database was loaded from this world by these files."""
    digest = hashlib.sha256()
    for path in (*files(_FOLDER), _MEMBERS):
        digest.update(text(path).encode())
    for module in (population_module, contamination_module):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(repr((population, contamination, orphans)).encode())
    members = f", {contamination.members} further members" if contamination.members else ""
    return f"{_MARK}, scale {population.scale}{members}, {digest.hexdigest()[:16]}"


def further_members(superuser_dsn: str) -> int:
    """How many further members the database was loaded with; 0 if it was not loaded."""
    with session(superuser_dsn, "cutover demonstration") as connection:
        match = re.search(r", (\d+) further members,", _mark_of(connection) or "")
    return int(match[1]) if match else 0


def _mark_of(connection: psycopg.Connection) -> str | None:
    row = connection.execute("select obj_description(to_regnamespace('public'), 'pg_namespace')").fetchone()
    return row[0] if row else None


def _write_mark(connection: psycopg.Connection, mark: str) -> None:
    # On the schema and not on the database, whose comment a copy by `create database ... template` would lack.
    connection.execute(sql.SQL("comment on schema public is {}").format(sql.Literal(mark)))


def _require_unused(connection: psycopg.Connection) -> None:
    row = connection.execute(text("demo/first_foreign_object.sql").encode()).fetchone()
    if row:
        raise CutoverError(
            "demo.not-a-demonstration",
            f"database {connection.info.dbname}",
            f"it holds what the demonstration did not make: {row[0]}, for one.",
            "give the demonstration a database of its own.",
        )


def _empty(connection: psycopg.Connection) -> None:
    """Drop every schema and publication: the database is the demonstration's own."""
    for (name,) in connection.execute("select pubname from pg_publication").fetchall():
        connection.execute(sql.SQL("drop publication {}").format(sql.Identifier(name)))
    schemas = connection.execute(
        r"select nspname from pg_namespace where nspname not like 'pg\_%' and nspname <> 'information_schema'"
    ).fetchall()
    for (name,) in schemas:
        connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))


def _run_files(connection: psycopg.Connection, *, before_rows: bool) -> None:
    for path in files(_FOLDER):
        if path != _ROLES and Path(path).name.startswith(_BEFORE_ROWS) == before_rows:
            connection.execute(text(path).encode())


def _copy(
    connection: psycopg.Connection, table: str, columns: tuple[str, ...], rows: list[contamination_module.Row]
) -> None:
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _set_password(connection: psycopg.Connection, role: str, password: str | None) -> None:
    connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password)))
