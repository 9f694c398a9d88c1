"""A migration's declaration: ``include/sql/<migration>/migration.yaml``, read into types.

The loader refuses what it does not understand and names the key: a typing error must not become a default.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID

import yaml
from pydantic import Field, ValidationError

from cutover import sql
from cutover.errors import CutoverError
from cutover.extract.source import Declared, Name, Service, Source
from cutover.extract.tables import Database, Table
from cutover.window import Plan


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
    # tables of the target schema that this migration takes out of production without a successor
    retire: tuple[Name, ...] = ()
    # the steps of a maintenance window, for those migrations whose sources can be fenced
    window: Plan | None = None
    # staging tables that may have no row; an empty one stops the run otherwise
    may_be_empty: tuple[Name, ...] = ()
    # of the ids that are derived from e-mail keys (uuid5)
    namespace: UUID = NAMESPACE_URL

    def staging_tables(self) -> list[str]:
        """Every table of the staging schema, by name: one file each in the folder ``staging``."""
        return [Path(path).stem for path in sql.files(f"{self.migration}/staging")]

    def swapped_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every table that is replaced, new or retired; parents first."""
        from cutover import transform

        order = [step for step in transform.load_order(self) if "." not in step and step not in self.merge]
        return [(self.target_schema, name) for name in [*order, *self.retire]]

    def merged_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every table that receives rows."""
        return [_split(live) for live in self.merge.values()]

    def inserted_tables(self) -> list[tuple[str, str]]:
        """(schema, name) in production of every further table that the merge adds rows to."""
        return [_split(live) for live in self.inserts]

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

    def service(self, source: Source) -> Service:
        """How the connection of ``source`` proves who it is, and what it may ask."""
        return self.connections[source.connection]


def declared() -> list[str]:
    """The names of all migrations: the folders of ``include/sql`` that hold a ``migration.yaml``."""
    return [Path(path).parent.name for path in sql.files(".", "*/migration.yaml")]


@lru_cache(maxsize=16)
def load(name: str) -> Migration:
    """Read ``include/sql/<name>/migration.yaml``.

    Raises CutoverError ``migration.missing`` or ``migration.invalid``, which names the key that is wrong.
    """
    path = f"{name}/migration.yaml"
    try:
        return parse(sql.text(path), name)
    except FileNotFoundError as error:
        raise CutoverError(
            "migration.missing",
            f"migration {name}",
            f"there is no file include/sql/{path}.",
            "check the migration's name, or add the file.",
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
        raise _invalid(name, key, f"{first['msg']}{others}.") from error
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
