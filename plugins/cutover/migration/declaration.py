"""A migration's declaration: ``include/sql/<migration>/migration.yaml``, read into types.

The loader refuses what it does not understand and names the key: a typing error must not become a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID

import yaml
from pydantic import Field, ValidationError, model_validator

from cutover.database import statements
from cutover.errors import CutoverError
from cutover.migration import load_order
from cutover.migration.sign_ins import SignIns
from cutover.migration.source import Declared, Name, Service, Source
from cutover.migration.tables import Database, Table
from cutover.migration.window import Plan


class Leads(Declared):
    """Which columns lead to a person: ``column`` in any table, or ``table.column`` in the tables of that name."""

    # those that hold an e-mail address or its key
    address: tuple[str, ...]
    # kind of key → columns; rows that share such a key are one person's
    leads: dict[Name, tuple[str, ...]]
    # the kind that is an account's id
    account: Name
    # kinds of which several people may have one: followed only where no other address stands beside it
    shared: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Leads:
        unknown = {self.account, *self.shared} - self.leads.keys()
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such kind of key under leads")
        return self


class RejectsLimit(Declared):
    """How many rows of one source may be rejected in a run: above both bounds the run stops before anybody is asked."""

    # of the rows read
    share: float = Field(default=0.05, ge=0, le=1)
    rows: int = Field(default=100, ge=0)

    def given(self, parameters: Mapping[str, Any]) -> RejectsLimit:
        """The bounds of a run: ``rejects_share`` and ``rejects_rows`` of its parameters, where it has them."""
        return RejectsLimit(
            share=parameters.get("rejects_share", self.share), rows=parameters.get("rejects_rows", self.rows)
        )


class Migration(Declared):
    """What one migration declares about itself."""

    migration: Name
    connections: dict[Name, Service] = Field(default_factory=dict)
    sources: dict[Name, Source] = Field(default_factory=dict)
    # other PostgreSQL databases, and the tables that are copied from them
    databases: dict[Name, Database] = Field(default_factory=dict)
    tables: dict[Name, Table] = Field(default_factory=dict)
    # the Airflow connection of the database that is launched into, and the schema of its tables there
    target: Name = "production"
    target_schema: Name = "public"
    # staging table → live table, for tables that receive rows and are never replaced
    merge: dict[Name, str] = Field(default_factory=dict)
    # further live tables (schema.table) that the merge adds rows to, for preflight to look for the right to do so
    inserts: tuple[str, ...] = ()
    # tables of the account store that rows are taken from, such as exist: of an account whose way in is made void, and
    # accounts that a rollback takes back
    deletes: tuple[str, ...] = ()
    # what becomes of a customer's account whose address was never proved: its way in is made void, it is only listed,
    # or the launch is refused
    unconfirmed: Literal["void", "warn", "refuse"] = "void"
    # by key of a table outside the set (schema.table:constraint): what becomes of rows that lose what they refer to,
    # where the key's own ON DELETE is not meant
    leaving: dict[str, Literal["cascade", "set null", "set default", "refuse"]] = Field(default_factory=dict)
    # tables of the target schema that this migration takes out of production without a successor
    retire: tuple[Name, ...] = ()
    # the steps of a maintenance window, for those migrations whose sources can be fenced
    window: Plan | None = None
    # the service that lets people in, where sign-ins are rehearsed after the swap
    sign_ins: SignIns | None = None
    rejects_limit: RejectsLimit = RejectsLimit()
    # staging tables that may have no row; an empty one stops the run otherwise
    may_be_empty: tuple[Name, ...] = ()
    # publications FOR ALL TABLES whose consumers pass over tables that they do not know
    tolerated_publications: tuple[str, ...] = ()
    # which columns lead to a person, for erasing one
    person: Leads | None = None
    # of the ids that are derived from e-mail keys (uuid5)
    namespace: UUID = NAMESPACE_URL

    def staging_tables(self) -> list[str]:
        """Every table of the staging schema, by name: one file each in the folder ``staging``."""
        return [Path(path).stem for path in statements.files(f"{self.migration}/staging")]

    def swapped_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every table that is replaced, new or retired; parents first."""
        order = [step for step in load_order.steps(self) if "." not in step and step not in self.merge]
        return [(self.target_schema, name) for name in [*order, *self.retire]]

    def merged_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every table that receives rows."""
        return [_split(live) for live in self.merge.values()]

    def inserted_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every further table that the merge adds rows to."""
        return [_split(live) for live in self.inserts]

    def deleted_tables(self) -> list[tuple[str, str]]:
        """(schema, name) of every table that rows of a void account are taken from, if it exists."""
        return [_split(live) for live in self.deletes]

    def written_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every table outside the set that the migration's statements write to."""
        return list(dict.fromkeys([*self.merged_tables(), *self.inserted_tables(), *self.deleted_tables()]))

    def source(self, name: str) -> Source:
        """The source that fills ``raw.<name>``. Raises ``migration.no-such-source``."""
        if name not in self.sources:
            raise CutoverError(
                "migration.no-such-source",
                f"{self.migration}, source {name}",
                f"migration.yaml declares {', '.join(self.sources) or 'none'}.",
                "use one of those names, or declare the source.",
            )
        return self.sources[name]

    def tables_of(self, database: str) -> list[Table]:
        """The tables that are copied from one source database, in the order of the declaration."""
        return [table for table in self.tables.values() if table.database == database]

    def dumped(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """The source databases that a run with these parameters dumps, each with the connection to dump it by.

        A dry run dumps nothing: a dump is all of the customers' data once more.
        """
        if not parameters.get("dump_sources") or parameters.get("dry_run"):
            return {}
        return {name: database.dump for name, database in self.databases.items() if database.dump is not None}

    def service(self, source: Source) -> Service:
        """How the connection of ``source`` proves who it is, and what it may ask."""
        return self.connections[source.connection]


def has_window(parameters: Mapping[str, Any]) -> bool:
    """Whether a run with these parameters has a maintenance window. A dry run fences nothing."""
    return bool(parameters.get("maintenance_window")) and not parameters.get("dry_run")


def declared() -> list[str]:
    """The names of all migrations: the folders of ``include/sql`` that hold a ``migration.yaml``."""
    return statements.migrations()


@lru_cache(maxsize=16)
def load(name: str) -> Migration:
    """Read ``include/sql/<name>/migration.yaml``.

    Raises:
        CutoverError: ``migration.missing``; ``migration.name-taken``; ``migration.invalid``, which names the key that
            is wrong.
    """
    if statements.is_taken(name):
        raise CutoverError(
            "migration.name-taken",
            f"migration {name}",
            "a folder of the engine's own statements, or of another package of include, has that name.",
            f"rename include/sql/{name}, and what `migration` says in its migration.yaml.",
        )
    path = f"{name}/migration.yaml"
    try:
        return parse(statements.text(path), name)
    except FileNotFoundError as error:
        raise CutoverError(
            "migration.missing",
            f"migration {name}",
            f"there is no file {statements.team_root() / path}.",
            "check the migration's name, add the file, or name the folder that sql/<migration> is in: CUTOVER_INCLUDE.",
        ) from error


def parse(text: str, name: str) -> Migration:
    """The declaration that ``text`` (YAML) makes for migration ``name``. Raises ``migration.invalid``."""
    try:
        declared = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _invalid(name, "the file", f"it is not YAML: {error}") from error
    if not isinstance(declared, dict):
        raise _invalid(name, "the file", "it has no keys at its top level.")
    if declared.get("migration") != name:
        raise _invalid(name, "migration", f"it says {declared.get('migration')!r}, its folder says {name!r}.")
    _name_the_sources(declared, name)
    try:
        migration = Migration.model_validate(declared)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        others = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        value = first["input"]
        # a whole section says nothing that its key does not
        told = "" if isinstance(value, (dict, list, tuple)) or first["type"] == "missing" else f"it is {value!r}: "
        why = first["msg"].removeprefix("Value error, ")
        raise _invalid(name, key, f"{told}{why}{others}.") from error
    for table in migration.tables.values():
        if table.database not in migration.databases:
            raise _invalid(name, f"tables.{table.name}.database", f"{table.database} is not among `databases`.")
    for source in migration.sources.values():
        if source.connection not in migration.connections:
            raise _invalid(
                name, f"sources.{source.name}.connection", f"{source.connection} is not among `connections`."
            )
    return migration


def _split(live: str) -> tuple[str, str]:
    schema, _, name = live.partition(".")
    return schema, name


def _name_the_sources(declared: dict[str, Any], name: str) -> None:
    """Give every source the name it is filed under, which the file need not repeat."""
    for kind in ("sources", "tables"):
        sources = declared.get(kind)
        if isinstance(sources, dict):
            for key, source in sources.items():
                if isinstance(source, dict):
                    source.update(name=key, migration=name)


def _invalid(name: str, key: str, why: str) -> CutoverError:
    return CutoverError(
        "migration.invalid",
        f"include/sql/{name}/migration.yaml, {key}",
        why,
        "correct this key; docs/extract.md lists those of a source.",
    )
