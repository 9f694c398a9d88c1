"""What a task tells OpenLineage: its datasets, their columns and where these come from, rows, and assertions.

Airflow's provider asks for it, in a process of its own, before the task works and when it has ended: never within the
swap's transaction. Nothing here raises, whatever cannot be part. docs/lineage.md says what events hold, and what never.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from cutover.database import statements as files
from cutover.lineage import graph, statement
from cutover.lineage.graph import Dataset, Field, Flow, Place
from cutover.lineage.statement import Kind
from cutover.operators.base import bounded, connect_to, opened
from cutover.operators.extract import address_of
from cutover.records import ledger, run
from cutover.validate import suites, validation

if TYPE_CHECKING:
    import psycopg
    from airflow.providers.openlineage.extractors import OperatorLineage

    from cutover.migration import Migration
    from cutover.operators.base import CutoverOperator

    Lineage = OperatorLineage[Any, Any]

_log = logging.getLogger(__name__)

# The transport that keeps out of events what Airflow's provider puts into them of people.
TRANSPORT = "cutover.lineage.transport.Detached"
_APPLICATION = "cutover lineage"
# Table → its columns, each with its type.
Types = dict[str, dict[str, str]]
_SEVERITY = {"critical": "error", "warning": "warn", "info": "warn"}


@dataclass
class Part:
    """What is told of one dataset. ``columns`` → type, or None where nobody knows; ``rows`` written or read."""

    dataset: Dataset
    columns: dict[str, str | None] = field(default_factory=dict)
    flow: Flow | None = None
    rows: int | None = None
    renamed_from: Dataset | None = None
    assertions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Moved:
    """What a task has read and written."""

    inputs: list[Part] = field(default_factory=list)
    outputs: list[Part] = field(default_factory=list)
    sql: str | None = None


def before(operator: CutoverOperator) -> Lineage | None:
    """What a task is about to write, by name alone: the task waits for this."""
    if not _is_discreet():
        operator.log.warning(
            "the lineage backend is told who triggered the run, its parameters, and errors in full: its transport is "
            "not %s (docs/lineage.md)",
            TRANSPORT,
        )
    return _never_raising(operator, lambda: _facets(_names(operator), operator.declaration))


def after(operator: CutoverOperator) -> Lineage | None:
    """What a task has read and written, when it has succeeded."""
    return _never_raising(operator, lambda: _facets(_moved(operator), operator.declaration))


def after_failure(operator: CutoverOperator) -> Lineage | None:
    """What a task that failed would have read and written, and which assertions do not hold."""
    return _never_raising(operator, lambda: _facets(_failed(operator), operator.declaration))


def _never_raising(operator: CutoverOperator, make: Callable[[], Lineage]) -> Lineage | None:
    try:
        return make()
    except Exception as error:  # the task is what it is, whatever is told of it; and its text may show a row
        operator.log.warning("no lineage of this task is told: %s", type(error).__name__)
        return None


def _is_discreet() -> bool:
    """Whether events go out by our own transport, wherever that is configured. Never raises."""
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter

    try:
        configured = OpenLineageAdapter().get_openlineage_config() or {}
        return bool(configured.get("transport", {}).get("type") == TRANSPORT)
    except Exception:  # of whatever a file or a connection may hold; the provider says so
        return False


def _names(operator: CutoverOperator) -> Moved:
    outputs = operator.lineage_outputs
    target = operator.declaration.target
    return Moved(outputs=[Part(Dataset(Place.DATABASE, target, name)) for name in outputs])


def _failed(operator: CutoverOperator) -> Moved:
    """No figures: what a task that failed has written may be gone."""
    moved = _names(operator)
    if operator.lineage_of is not None and operator.lineage_step == "validation":
        moved.inputs = _validated(operator, operator.lineage_of[1])
    return moved


def _moved(operator: CutoverOperator) -> Moved:
    """The flows of a task's step, with figures from its result and types from the target's catalogue."""
    assert operator.lineage_of is not None
    migration, step = operator.declaration, operator.lineage_step
    this_run, result = operator.lineage_of
    if step is None:
        return Moved()
    with opened(connect_to(migration.target, _APPLICATION)) as connection:
        bounded(connection)
        if step == "validation":
            moved, schemas = Moved(inputs=_validated(operator, result)), set[str]()
        elif step in (graph.SWAP, "rollback"):
            moved, schemas = _swapped(connection, migration, this_run, step)
        else:
            moved, schemas = Moved(), set()
        types = _types(connection, {*_schemas(migration), *schemas})
    if not moved.inputs:
        flows = graph.of_step(migration.migration, step, types)
        rows = operator.lineage_rows(result)
        moved = _of_flows(flows, rows.written)
        for part in moved.inputs:
            part.rows = rows.read.get(part.dataset.name)
    for flow in (part.flow for part in moved.outputs if part.flow is not None):
        if flow.unread:
            operator.log.warning("lineage of %s: its tables alone, since %s", flow.output.name, flow.unread)
    if step.startswith("load."):
        moved.sql = files.text(f"{migration.migration}/transform/{step.removeprefix('load.')}.sql")
    _add_columns(moved, migration, types)
    return moved


def _schemas(migration: Migration) -> set[str]:
    """Where the tables are that a migration's statements read and write."""
    others = (*migration.merged_tables(), *migration.inserted_tables())
    return {"raw", "input", "staging", "cutover", migration.target_schema, *(schema for schema, _ in others)}


def _of_flows(flows: Iterable[Flow], written: Mapping[str, int]) -> Moved:
    flows = list(flows)
    outputs = [Part(flow.output, flow=flow, rows=written.get(flow.output.name)) for flow in flows]
    made = {flow.output for flow in flows}
    read = dict.fromkeys(source for flow in flows for source in flow.inputs if source not in made)
    return Moved([Part(source) for source in read], outputs)


def _validated(operator: CutoverOperator, result: Mapping[str, Any]) -> list[Part]:
    """The tables of a validation, each with what was asserted of it; what was observed is not part."""
    migration, phase = operator.declaration, result["phase"]
    place = validation.place(migration, phase)
    target = migration.target
    parts = {table: Part(Dataset(Place.DATABASE, target, ".".join(name))) for table, name in place.tables.items()}
    broken = {
        one["suite"]: {each["expectation"] for each in (*one["failed"], *one["warned"])} for one in result["suites"]
    }
    for suite in suites.load(migration.migration):
        for expectation in suite.for_phase(phase) if suite.table in broken else ():
            kwargs = expectation.get("kwargs", {})
            column = kwargs.get("column")
            subject = column or ", ".join(kwargs.get("column_list", ()))
            described = expectation.get("description")
            name = described or f"{expectation['type']}{f' of {subject}' if subject else ''}"
            parts[suite.table].assertions.append(
                {
                    "assertion": expectation["type"],
                    "success": name not in broken[suite.table],
                    "column": column,
                    "severity": _SEVERITY.get(expectation.get("severity", "critical"), "error"),
                    "description": described,
                }
            )
    for check in result["checks"]:
        for table in _checked(migration, check["check"], parts):
            parts[table].assertions.append(
                {
                    "assertion": "custom_sql",
                    "success": check["success"],
                    "name": check["check"],
                    "severity": "error",
                    "description": check["title"],
                }
            )
    return list(parts.values())


def _checked(migration: Migration, check: str, tables: Iterable[str]) -> list[str]:
    """The staged tables that a check across tables reads."""
    path = f"{migration.migration}/validate/checks/{check}.sql"
    if path not in files.files(f"{migration.migration}/validate/checks"):
        return []
    written = statement.read(files.text(path), {}, into=check).written
    read = {name for one in written for name in one.reads}
    return [table for table in tables if f"staging.{table}" in read]


def _swapped(connection: psycopg.Connection, migration: Migration, this_run: str, step: str) -> tuple[Moved, set[str]]:
    """What a swap or rollback has moved, and the backups that it was moved between.

    Into production what was staged, or kept; into a backup what was in its place.
    """
    entry = ledger.find(connection, this_run)
    assert entry is not None
    undone = ledger.find(connection, entry.undoes) if entry.undoes else None
    rows: dict[str, int] = {}
    if undone is None:
        rows = _rows_of(migration, run.get(connection, this_run).review or {})
        columns = _types(connection, _schemas(migration))
        flows = graph.of_step(migration.migration, graph.SWAP, columns | _as_staged(migration, columns))
    else:
        flows = [_moving(migration, step, undone.backup_schema, one) for one in entry.tables if one["incoming"]]
    moved = _of_flows(flows, rows)
    known = {part.dataset for part in moved.outputs}
    for one in entry.tables:
        live = Dataset(Place.DATABASE, migration.target, f"{one['schema']}.{one['name']}")
        if one["outgoing"]:
            backup = live._replace(name=f"{entry.backup_schema}.{one['name']}")
            moved.outputs.append(Part(backup, flow=Flow(step, backup, (live,), {}), renamed_from=live))
            moved.inputs += [Part(live)] if live in known else []
    return moved, {entry.backup_schema, *([undone.backup_schema] if undone else [])}


def _as_staged(migration: Migration, columns: Types) -> Types:
    """The staged tables, which are production's by now, with their columns."""
    tables = ((f"{schema}.{name}", f"staging.{name}") for schema, name in migration.swapped_tables())
    return {staged: columns[live] for live, staged in tables if live in columns}


def _moving(migration: Migration, step: str, schema: str, table: Mapping[str, Any]) -> Flow:
    backup = Dataset(Place.DATABASE, migration.target, f"{schema}.{table['name']}")
    live = backup._replace(name=f"{table['schema']}.{table['name']}")
    return Flow(step, live, (backup,), {})


def _rows_of(migration: Migration, review: Mapping[str, Any]) -> dict[str, int]:
    """Rows that a launch has put in place, as they were reviewed; of a table that stays, those that were added."""
    rows = {}
    for table in review.get("tables", ()):
        if table["name"] in migration.merge.values():
            rows[table["name"]] = table["added"]
        else:
            rows[f"{migration.target_schema}.{table['name']}"] = table["after"]
    return rows


def _add_columns(moved: Moved, migration: Migration, types: Types) -> None:
    """The columns of every dataset: those of the target's tables with their types, by its catalogue."""
    read_of: dict[Dataset, dict[str, None]] = {}
    for flow in (part.flow for part in moved.outputs if part.flow is not None):
        for origin in (one for listed in flow.columns.values() for one in listed):
            read_of.setdefault(origin.field.dataset, {})[origin.field.column] = None
    declared = {(table.database, table.table): dict(table.columns) for table in migration.tables.values()}
    staged = _as_staged(migration, types)
    for part in (*moved.inputs, *moved.outputs):
        name = part.dataset
        if _is_of_target(name, migration):
            part.columns = dict(types.get(name.name) or staged.get(name.name, {}))
        else:
            part.columns = dict(declared.get((name.connection, name.name)) or sorted(read_of.get(name, {}).items()))
    for part in moved.outputs:
        # a table that was moved as it is
        if part.flow is not None and not part.flow.columns and not part.flow.unread and part.flow.inputs:
            (source,) = part.flow.inputs
            same = {name: frozenset({graph.Origin(Field(source, name), Kind.IDENTITY)}) for name in part.columns}
            part.flow = Flow(part.flow.step, part.flow.output, part.flow.inputs, same)


def _is_of_target(dataset: Dataset, migration: Migration) -> bool:
    return dataset.place is Place.DATABASE and dataset.connection == migration.target


def _types(connection: psycopg.Connection, schemas: Iterable[str]) -> Types:
    types: Types = {}
    rows = connection.execute(files.statement("lineage/columns.sql"), {"schemas": sorted(schemas)})
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    return types


def _facets(moved: Moved, migration: Migration) -> Lineage:
    """The same in OpenLineage's terms."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        input_statistics_input_dataset,
        output_statistics_output_dataset,
        sql_job,
    )

    names = Names(migration)
    inputs, outputs = [], []
    for part in moved.inputs:
        namespace, name = names.of(part.dataset)
        facets: dict[str, Any] = {}
        if part.rows is not None:
            facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(part.rows)
        if part.assertions:
            facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                [data_quality_assertions_dataset.Assertion(**one) for one in part.assertions]
            )
        inputs.append(InputDataset(namespace, name, facets=_dataset_facets(part, names), inputFacets=facets))
    for part in moved.outputs:
        namespace, name = names.of(part.dataset)
        facets = {}
        if part.rows is not None:
            facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(part.rows)
        outputs.append(OutputDataset(namespace, name, facets=_dataset_facets(part, names), outputFacets=facets))
    job = {"sql": sql_job.SQLJobFacet(query=moved.sql, dialect="postgres")} if moved.sql else {}
    return OperatorLineage(inputs=inputs, outputs=outputs, job_facets=job)


def _dataset_facets(part: Part, names: Names) -> dict[str, Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset, lifecycle_state_change_dataset, schema_dataset

    facets: dict[str, Any] = {}
    if part.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in part.columns.items()]
        )
    if part.flow is not None and any(part.flow.columns.values()):
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                column: column_lineage_dataset.Fields(
                    inputFields=[
                        column_lineage_dataset.InputField(
                            *names.of(origin.field.dataset),
                            origin.field.column,
                            [column_lineage_dataset.Transformation("DIRECT", origin.kind.name)],
                        )
                        for origin in sorted(origins, key=lambda one: (one.field.dataset.name, one.field.column))
                    ]
                )
                for column, origins in part.flow.columns.items()
                if origins
            }
        )
    if part.renamed_from is not None:
        namespace, name = names.of(part.renamed_from)
        facets["lifecycleStateChange"] = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(
            lifecycle_state_change_dataset.LifecycleStateChange.RENAME,
            lifecycle_state_change_dataset.PreviousIdentifier(name=name, namespace=namespace),
        )
    return facets


class Names:
    """Datasets as OpenLineage names them, by the addresses of their Airflow connections."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.known: dict[str, Any] = {}

    def of(self, dataset: Dataset) -> tuple[str, str]:
        """Namespace and name."""
        if dataset.place is Place.FILES:
            split = urlsplit(self.migration.files[dataset.connection].path)
            authority = f"{split.scheme}://{split.hostname}" if split.hostname else split.scheme
            return authority, f"{split.path.rstrip('/')}/{dataset.name}".lstrip("/" if split.hostname else "")
        if dataset.connection not in self.known:
            self.known[dataset.connection] = BaseHook.get_connection(dataset.connection)
        settings = self.known[dataset.connection]
        if dataset.place is Place.API:
            split = urlsplit(address_of(settings, dataset.connection))
            return f"{split.scheme}://{split.netloc}", f"{split.path}{dataset.name}"
        host = settings.host or "localhost"
        address = f"[{host}]" if ":" in host else host
        return f"postgres://{address}:{settings.port or 5432}", f"{settings.schema or settings.login}.{dataset.name}"
