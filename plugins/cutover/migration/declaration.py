"""A migration's declaration: ``include/sql/<migration>/migration.yaml``, read into types.

The loader refuses what it does not understand and names the key: a typing error must not become a default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, UUID

from pydantic import Field, ValidationError, model_validator

from cutover.database import statements
from cutover.errors import CutoverError, meant
from cutover.migration import faults, lines, load_order, quorum
from cutover.migration.files import FileDrop
from cutover.migration.pace import PaceLimit
from cutover.migration.quorum import Account, Delegation, Quorum
from cutover.migration.sign_ins import SignIns
from cutover.migration.source import Declared, Name, Service, Share, Source, Whole
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
            first = min(unknown)
            raise ValueError(f"`{first}` is no kind of key under `leads`.{meant(first, self.leads)}")
        return self


class RejectsLimit(Declared):
    """How many rows of one source may be rejected in a run: above both bounds the run stops before anybody is asked."""

    # of the rows read
    share: Share = 0.05
    rows: Whole = Field(default=100, ge=0)

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
    # folders of files, of one shape each
    files: dict[Name, FileDrop] = Field(default_factory=dict)
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
    # how fast it builds beside production
    pace: PaceLimit = PaceLimit()
    # staging tables that may have no row; an empty one stops the run otherwise
    may_be_empty: tuple[Name, ...] = ()
    # publications FOR ALL TABLES whose consumers pass over tables that they do not know
    tolerated_publications: tuple[str, ...] = ()
    # which columns lead to a person, for erasing one
    person: Leads | None = None
    # how many people have to approve a launch, for example 2; None: one of each role, and without roles one
    approvals_needed: Whole | None = Field(default=None, ge=1)
    # role → the accounts that have it, of which one has to approve
    approvers: dict[Name, Annotated[tuple[Account, ...], Field(min_length=1)]] = Field(default_factory=dict)
    # who may answer for whom, and until when
    delegations: tuple[Delegation, ...] = ()
    # of the ids that are derived from e-mail keys (uuid5)
    namespace: UUID = NAMESPACE_URL

    @property
    def quorum(self) -> Quorum | None:
        """Who has to approve a launch; None if one approver of the deployment is enough."""
        return quorum.of_keys(self.approvals_needed, self.approvers, self.delegations)

    def staging_tables(self) -> list[str]:
        """Every table of the staging schema, by name: one file each in the folder ``staging``."""
        return _staged(self.migration)

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
                f"migration.yaml declares {', '.join(self.sources) or 'none'}.{meant(name, self.sources)}",
                "use one of those names, or declare the source.",
            )
        return self.sources[name]

    def raw_tables(self) -> list[str]:
        """The names of all tables of schema ``raw`` that the sources fill."""
        return [*self.sources, *self.tables, *self.files]

    def synced(self) -> list[str]:
        """The names of the sources that are read by syncs, each for itself: endpoints and file drops."""
        return [*self.sources, *self.files]

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
        CutoverError: ``migration.missing``; ``migration.name-taken``; ``migration.invalid``, with the line, the key
            that is wrong, and an example.
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
        text = statements.text(path)
    except UnicodeDecodeError as error:
        raise faults.of_text(name, _no_utf8(error)) from None
    except FileNotFoundError as error:
        raise CutoverError(
            "migration.missing",
            f"migration {name}",
            f"there is no file {statements.team_root() / path}.{meant(name, declared())}",
            "check the migration's name, add the file, or name the folder that sql/<migration> is in: CUTOVER_INCLUDE.",
        ) from error
    return parse(text, name, _staged(name))


def parse(text: str, name: str, staged: Collection[str] | None = None) -> Migration:
    """The declaration that ``text`` (YAML) makes for migration ``name``. Raises ``migration.invalid``.

    ``staged``: the names of the files in its folder ``staging``, which names in it must be among; None where there is
    no folder to look into.
    """
    try:
        read = lines.read(text)
    except lines.TextError as fault:
        raise faults.of_text(name, fault) from None
    declared = read.values
    if not isinstance(declared, dict):
        raise faults.of_value(name, Migration, read, (), "it has no keys at its top level.")
    if "migration" in declared and declared["migration"] != name:
        why = f"it says {lines.shown(declared['migration'])}, and its folder is called {name!r}."
        raise faults.of_value(name, Migration, read, ("migration",), why)
    for kind in ("sources", "tables", "files"):
        _require_no_other_name(read, name, kind)
    try:
        migration = Migration.model_validate(_with_names(declared, name))
    except ValidationError as error:
        raise faults.of_schema(name, Migration, read, error) from None
    for kind in ("tables", "files"):
        for other in getattr(migration, kind):
            if migration.raw_tables().count(other) > 1:
                why = f"another source is called {other!r}, too, and both would fill the same raw table."
                raise faults.of_value(name, Migration, read, (kind, other), why)
    for table in migration.tables.values():
        path: lines.Path = ("tables", table.name, "database")
        _require(read, name, path, section="databases", known=migration.databases)
    for source in migration.sources.values():
        path = ("sources", source.name, "connection")
        _require(read, name, path, section="connections", known=migration.connections)
    if impossible := quorum.fault(migration.approvals_needed, migration.approvers, migration.delegations):
        path, why = impossible
        raise faults.of_value(name, Migration, read, path, why)
    if staged is not None:
        _require_staged(read, migration, staged)
    return migration


def require_current(migration: Migration, now: datetime) -> None:
    """Raise ``migration.invalid`` for a delegation that is over: before a launch, and not wherever its file is read."""
    for at, one in enumerate(migration.delegations):
        if one.until <= now:
            read = lines.read(statements.text(f"{migration.migration}/migration.yaml"))
            ended = f"{one.until:%Y-%m-%d %H:%M %Z}"
            why = f"the delegation of {one.of} to {one.to} ended at {ended}: take it out, or renew it."
            raise faults.of_value(migration.migration, Migration, read, ("delegations", at, "until"), why)


def _staged(name: str) -> list[str]:
    """Every table of the staging schema of migration ``name``: one file each in the folder ``staging``."""
    return [Path(path).stem for path in statements.files(f"{name}/staging")]


def _require_staged(read: lines.Text, migration: Migration, staged: Collection[str]) -> None:
    """Raise ``migration.invalid`` for a name of a staging table that no file makes, and for a retired table that one
    does."""
    listed: list[tuple[lines.Path, lines.Path, str]] = [
        *((("merge",), ("merge", table), table) for table in migration.merge),
        *((("may_be_empty",), ("may_be_empty", at), table) for at, table in enumerate(migration.may_be_empty)),
    ]
    unknown = [one for one in listed if one[2] not in staged]
    if unknown:
        (like, path, table), *others = sorted(unknown, key=lambda one: read.line(one[1]))
        why = (
            f"{lines.shown(table)} is no staging table: there is no staging/{table}.sql beside migration.yaml."
            f"{meant(table, staged)}"
        )
        at_fault = [other for _, other, _ in others]
        raise faults.of_value(migration.migration, Migration, read, path, why, like=like, others=at_fault)
    for at, table in enumerate(migration.retire):
        if table in staged:
            why = (
                f"{lines.shown(table)} has a successor, which staging/{table}.sql makes: it is replaced, and not "
                "retired. Take it out here, or the file away."
            )
            raise faults.of_value(migration.migration, Migration, read, ("retire", at), why, like=("retire",))


def _require(read: lines.Text, name: str, path: lines.Path, *, section: str, known: Collection[str]) -> None:
    """Raise ``migration.invalid`` unless what stands at ``path`` is ``known``: declared in ``section``."""
    value = read.values[path[0]][path[1]][path[2]]
    if value in known:
        return
    there = f": there {'are' if len(known) > 1 else 'is'} {', '.join(known)}" if known else ", which has none"
    why = f"{value} is not among `{section}`{there}.{meant(value, known)}"
    raise faults.of_value(name, Migration, read, path, why)


def _require_no_other_name(read: lines.Text, name: str, kind: str) -> None:
    """Raise ``migration.invalid`` for a source or table that says it is called otherwise than it is filed."""
    section = read.values.get(kind)
    for key, one in section.items() if isinstance(section, dict) else ():
        for own, right in (("name", key), ("migration", name)):
            if isinstance(one, dict) and one.get(own, right) != right:
                why = f"it is called {right}, by where it stands: take `{own}` out."
                raise faults.of_value(name, Migration, read, (kind, key, own), why)


def _no_utf8(error: UnicodeDecodeError) -> lines.TextError:
    line = error.object.count(b"\n", 0, error.start) + 1
    return lines.TextError(line, "it is not text in UTF-8.", "save the file as UTF-8.")


def _split(live: str) -> tuple[str, str]:
    schema, _, name = live.partition(".")
    return schema, name


def _with_names(declared: dict[str, Any], name: str) -> dict[str, Any]:
    """What is declared, with the name of each source, table and file drop in it, which the file need not repeat."""
    named = dict(declared)
    for kind in ("sources", "tables", "files"):
        if isinstance(declared.get(kind), dict):
            named[kind] = {
                key: {**one, "name": key, "migration": name} if isinstance(one, dict) else one
                for key, one in declared[kind].items()
            }
    return named
