"""A migration as one graph: which step makes which dataset, and each of its columns of which others.

It is made of files alone: the declaration, and the SQL that the steps run. A dataset is ``schema.table`` in a database,
or a path of an API, in the place that an Airflow connection leads to; or files in a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from cutover.database import statements as files
from cutover.freeze import KEYS_SUFFIX
from cutover.lineage import statement
from cutover.lineage.statement import GIVEN, Columns, Kind, Source, Written
from cutover.migration import Migration, load, load_order
from cutover.migration.files import PROVENANCE

SNAPSHOT, PREPARE, SWAP = "snapshot", "prepare", "swap"
# Parameters of a statement that stores rows of an API: the key of each row, and the row itself.
_KEYS, _ROWS = "ids", "responses"


class Place(Enum):
    """What a dataset is in."""

    API = "api"
    FILES = "files"
    DATABASE = "database"


class Dataset(NamedTuple):
    """Something with columns. ``connection``: of Airflow; of files, the name of their declaration."""

    place: Place
    connection: str
    name: str


class Field(NamedTuple):
    """One column of a dataset; of an API, one member of its rows."""

    dataset: Dataset
    column: str


class Origin(NamedTuple):
    """A column that another is made of, and how."""

    field: Field
    kind: Kind


@dataclass(frozen=True)
class Flow:
    """What one step makes of one dataset. ``columns`` that have no origin are constants, or the engine's own notes.

    ``unread``: why nothing is known of its columns.
    """

    step: str
    output: Dataset
    inputs: tuple[Dataset, ...]
    columns: Mapping[str, frozenset[Origin]]
    unread: str | None = None


@dataclass(frozen=True)
class Graph:
    """All flows of a migration, in the order of its steps. ``target``: the connection of what is launched into."""

    target: str
    flows: tuple[Flow, ...]

    def of_step(self, step: str) -> list[Flow]:
        """The flows of one step, as ``cutover.records.phase`` calls it; none where it moves no rows."""
        return [flow for flow in self.flows if flow.step == step]

    @cached_property
    def _by_output(self) -> dict[Dataset, list[Flow]]:
        flows: dict[Dataset, list[Flow]] = {}
        for flow in self.flows:
            flows.setdefault(flow.output, []).append(flow)
        return flows

    def made_by(self, dataset: Dataset) -> list[Flow]:
        """The flows into a dataset."""
        return self._by_output.get(dataset, [])

    def roots(self, dataset: Dataset) -> set[Dataset]:
        """What a dataset is made of in the end: APIs, files, other databases, and tables that were there before.

        A table that the swap puts in place, and that is read as it was before, is one of those.
        """
        visited: set[Dataset] = set()
        roots: set[Dataset] = set()
        ahead = [source for flow in self.made_by(dataset) for source in flow.inputs]
        while ahead:
            one = ahead.pop()
            if one in visited:
                continue
            visited.add(one)
            before = [flow for flow in self.made_by(one) if flow.step != SWAP]
            if not before:
                roots.add(one)
            ahead += [source for flow in before for source in flow.inputs]
        return roots

    def root_columns(self, field: Field) -> set[Origin]:
        """The columns that a column is made of in the end, as ``roots`` are, and how; none for a constant.

        One that leads there in several ways is told by the way that makes most of it.
        """
        kinds: dict[Field, Kind] = {}
        visited: set[Origin] = set()
        ahead = _made_of(self.made_by(field.dataset), Origin(field, Kind.IDENTITY))
        while ahead:
            one = ahead.pop()
            if one in visited:
                continue
            visited.add(one)
            before = [flow for flow in self.made_by(one.field.dataset) if flow.step != SWAP]
            if not before:
                kinds[one.field] = max(one.kind, kinds.get(one.field, Kind.IDENTITY))
            ahead += _made_of(before, one)
        return {Origin(root, kind) for root, kind in kinds.items()}


def _made_of(flows: Iterable[Flow], made: Origin) -> list[Origin]:
    """What a column is made of at first hand, as something that is made of it in turn sees it."""
    return [
        Origin(origin.field, max(origin.kind, made.kind))
        for flow in flows
        for origin in flow.columns.get(made.field.column, ())
    ]


@lru_cache(maxsize=8)
def of_migration(name: str) -> Graph:
    """The graph of migration ``name``, by its files. Raises as ``cutover.migration.load``; not for their SQL."""
    migration = load(name)
    maker = _Maker(migration, _declared(migration))
    sources = [*migration.synced(), *migration.databases]
    steps = [f"extract.{source}" for source in sources], [f"load.{step}" for step in load_order.steps(migration)]
    flows = [flow for step in (*steps[0], SNAPSHOT, PREPARE, *steps[1], SWAP) for flow in maker.flows(step)]
    return Graph(migration.target, tuple(flows))


def of_step(name: str, step: str, columns: Columns) -> list[Flow]:
    """The flows of one step alone, where the ``columns`` of the tables before it are known, as a database has them.

    None for a step that moves no rows.
    """
    return list(_Maker(load(name), columns).flows(step))


def _declared(migration: Migration) -> dict[str, list[str]]:
    """The columns of the tables that there are before a run: staged ones and their successors, and the migration's own.

    What others have made is not known by files.
    """
    columns: dict[str, list[str]] = {}
    for path in files.files(f"{migration.migration}/install"):
        columns |= statement.read(files.text(path), columns).made
    for path in files.files(f"{migration.migration}/staging"):
        table, own = Path(path).stem, list(load_order.columns(files.text(path)))
        columns |= {f"staging.{table}": own, f"{migration.target_schema}.{table}": own}
    return columns


class _Maker:
    def __init__(self, migration: Migration, columns: Columns) -> None:
        self.migration = migration
        # of each table as far as it is known by now
        self.columns = {table: list(names) for table, names in columns.items()}

    def flows(self, step: str) -> Iterator[Flow]:
        """What a step makes. What it makes is known to the steps after it."""
        folder = self.migration.migration
        if step.startswith("extract."):
            yield from self._extracted(step.removeprefix("extract."), step)
        elif step == SNAPSHOT:
            frozen = files.files(f"{folder}/freeze")
            keys = [path for path in frozen if Path(path).stem.endswith(KEYS_SUFFIX)]
            yield from self._run(step, [path for path in frozen if path not in keys])
            for path in keys:
                yield from self._derived(path)
        elif step == PREPARE:
            yield from self._run(step, files.files(f"{folder}/prepare"))
        elif step.startswith("load."):
            yield from self._run(step, [f"{folder}/transform/{step.removeprefix('load.')}.sql"])
        elif step == SWAP:
            yield from self._swapped()

    def _table(self, name: str) -> Dataset:
        return Dataset(Place.DATABASE, self.migration.target, name)

    def _extracted(self, name: str, step: str) -> Iterator[Flow]:
        """The raw tables of a source: an API's, a folder's or another database's."""
        migration = self.migration
        if name in migration.sources:
            source = migration.sources[name]
            endpoint = Dataset(Place.API, source.connection, source.path)
            yield from self._stored(step, name, source.key, endpoint)
        elif name in migration.files:
            drop = migration.files[name]
            folder = Dataset(Place.FILES, name, drop.pattern)
            yield self._copied(step, name, folder, {column: drop.written(column) for column in drop.columns})
        else:
            for table in migration.tables_of(name):
                outside = Dataset(Place.DATABASE, name, table.table)
                yield self._copied(step, table.name, outside, {column: column for column in table.columns})

    def _copied(self, step: str, name: str, outside: Dataset, columns: Mapping[str, str]) -> Flow:
        made = {column: frozenset({Origin(Field(outside, there), Kind.IDENTITY)}) for column, there in columns.items()}
        own = dict.fromkeys((one for one in PROVENANCE if one not in made), frozenset[Origin]())
        self.columns[f"raw.{name}"] = [*made, *own]
        return Flow(step, self._table(f"raw.{name}"), (outside,), {**made, **own})

    def _stored(self, step: str, name: str, key: str, endpoint: Dataset) -> Iterator[Flow]:
        """A raw table of an API, by the statement that stores its rows."""
        folder = f"{self.migration.migration}/extract/{name}"
        self.columns |= statement.read(files.text(f"{folder}.create.sql"), self.columns).made
        reading = statement.read(files.text(f"{folder}.store.sql"), self.columns)
        for written in reading.written:
            given = [source for sources in written.columns.values() for source in sources]
            members = {source.member for source in given if source.column == _ROWS and source.member} | {key}

            def origins(source: Source, members: set[str] = members) -> set[str]:
                if source.column == _KEYS:
                    return {key}
                if source.column == _ROWS:
                    # a row as a whole is all that is known of it
                    return {source.member} if source.member else members
                return set()

            columns = {
                column: frozenset(
                    Origin(Field(endpoint, member), source.kind)
                    for source in sources
                    if source.table == f"{GIVEN}.{GIVEN}"
                    for member in origins(source)
                )
                for column, sources in written.columns.items()
            }
            # what only the table's definition has, such as since when a row is gone
            rest = [one for one in self.columns.get(written.table, ()) if one not in columns]
            columns |= dict.fromkeys(rest, frozenset())
            yield Flow(step, self._table(written.table), (endpoint,), columns, written.unread)

    def _run(self, step: str, paths: Iterable[str]) -> Iterator[Flow]:
        """What the files of a step write, together: tables that it drops again are looked through."""
        by_table: dict[str, list[Written]] = {}
        dropped: set[str] = set()
        for path in paths:
            reading = statement.read(files.text(path), self.columns)
            self.columns |= reading.made
            for written in reading.written:
                by_table.setdefault(written.table, []).append(written)
            dropped = (dropped - set(reading.made)) | set(reading.dropped)
        flows = {table: self._flow(step, statement.merged(parts)) for table, parts in by_table.items()}
        passing = {self._table(table): flow for table, flow in flows.items() if table in dropped}
        for table, flow in flows.items():
            if table not in dropped:
                yield _without(flow, passing)

    def _flow(self, step: str, written: Written) -> Flow:
        columns = {
            column: frozenset(
                Origin(Field(self._table(source.table), source.column), source.kind)
                for source in sources
                if (source.table, source.column) != (written.table, column)
            )
            for column, sources in written.columns.items()
        }
        inputs = tuple(self._table(name) for name in sorted(written.reads))
        return Flow(step, self._table(written.table), inputs, columns, written.unread)

    def _derived(self, path: str) -> Iterator[Flow]:
        """A table of keys, and of the id that is derived from each."""
        table = f"input.{Path(path).stem.removesuffix(KEYS_SUFFIX)}"
        reading = statement.read(files.text(path), self.columns, into=table)
        self.columns[table] = ["email_key", "id"]
        for written in reading.written:
            flow = self._flow(SNAPSHOT, written)
            key = next(iter(flow.columns.values()), frozenset())
            derived = frozenset(Origin(one.field, max(one.kind, Kind.TRANSFORMATION)) for one in key)
            columns = {"email_key": key, "id": derived} if flow.columns else {}
            yield Flow(SNAPSHOT, flow.output, flow.inputs, columns, flow.unread)

    def _swapped(self) -> Iterator[Flow]:
        """Each staged table as production's, and what the migration's own statements add to tables that stay."""
        migration = self.migration
        for schema, table in migration.swapped_tables():
            if table in migration.retire:
                continue
            staged = self._table(f"staging.{table}")
            columns = {
                column: frozenset({Origin(Field(staged, column), Kind.IDENTITY)})
                for column in self.columns.get(f"staging.{table}", ())
            }
            yield Flow(SWAP, self._table(f"{schema}.{table}"), (staged,), columns)
        merging = files.files(f"{migration.migration}/swap", "merge_*.sql")
        added_to = {f"{schema}.{table}" for schema, table in (*migration.merged_tables(), *migration.inserted_tables())}
        for flow in self._run(SWAP, merging):
            if flow.output.name in added_to:
                yield flow


def _without(flow: Flow, passing: Mapping[Dataset, Flow]) -> Flow:
    """A flow in which the datasets of ``passing``, which are gone by its end, are what they were made of."""

    def origins(origin: Origin, on_the_way: frozenset[Field] = frozenset()) -> set[Origin]:
        made = passing.get(origin.field.dataset)
        if made is None:
            return {origin}
        if origin.field in on_the_way:
            return set()
        further = made.columns.get(origin.field.column, ())
        return {
            Origin(one.field, max(one.kind, origin.kind))
            for each in further
            for one in origins(each, on_the_way | {origin.field})
        }

    columns = {
        name: frozenset(one for origin in listed for one in origins(origin)) for name, listed in flow.columns.items()
    }
    inputs = {
        one for source in flow.inputs for one in ((source,) if source not in passing else passing[source].inputs)
    } - set(passing)
    return Flow(flow.step, flow.output, tuple(sorted(inputs, key=lambda one: one.name)), columns, flow.unread)
