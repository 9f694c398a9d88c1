"""The declaration of a source database: what ``migration.yaml`` says about its tables, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from cutover.errors import meant
from cutover.migration.source import Declared, Name, Share

if TYPE_CHECKING:
    from psycopg import sql

# A column's type as PostgreSQL writes it: it becomes part of a statement, so nothing else is let through.
ColumnType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_ .]*(\(\d+(,\d+)?\))?( with(out)? time zone)?(\[\])?$")]


class Database(Declared):
    """A PostgreSQL database that is a source. Its name is the Airflow connection's, of a role that only reads."""

    # The connection that may fence it off from writers for a maintenance window; None: it cannot be fenced.
    fence: Name | None = None
    # The connection of a role that may read all of it, for a dump before anything could change; None: it is not dumped.
    dump: Name | None = None


class Table(Declared):
    """One table of a source database, and the raw table of the same declaration that it is copied to."""

    name: Name
    migration: Name
    database: Name
    # schema.table in the source
    table: str = Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")
    key: Name = "id"
    # When a row was last modified; None where the table does not say.
    updated: Name | None = None
    # Every column with its type: this version of the source's schema and no other.
    columns: dict[Name, ColumnType]
    # Columns that the source has and that are left where they are.
    ignore: tuple[Name, ...] = ()
    # A copy that misses more than this share of the rows known is not believed.
    gone_share: Share = 0.1

    @model_validator(mode="after")
    def _named_columns_exist(self) -> Table:
        for name in filter(None, (self.key, self.updated)):
            if name not in self.columns:
                raise ValueError(f"`{name}` is not among the columns.{meant(name, self.columns)}")
        return self

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in the source, quoted."""
        # slow to import, and every DAG file reads declarations
        from psycopg import sql

        return sql.Identifier(*self.table.split("."))
