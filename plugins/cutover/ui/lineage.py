"""The lineage of a run's tables, as its page shows it: a picture, and each column with what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cutover.lineage import graph
from cutover.lineage.graph import Dataset, Field, Flow, Graph, Place
from cutover.lineage.statement import Kind
from cutover.migration import Migration
from cutover.records.phase import Record
from cutover.ui import charts, shown

_KINDS = {
    Kind.IDENTITY: "as it is",
    Kind.TRANSFORMATION: "computed",
    Kind.AGGREGATION: "aggregated",
}


def of_run(migration: Migration, records: Mapping[str, Record]) -> dict[str, Any]:
    """The picture, what stands beside it in words, and the tables with their columns.

    ``records`` are the newest of the run's steps, with what they have counted.
    """
    of = graph.of_migration(migration.migration)
    launched = of.of_step(graph.SWAP)
    values = {flow.output: _values(of, flow) for flow in launched}
    reached = set().union(*values.values())
    # a source that is declared is shown, whether a value comes from it or not
    read = [root for root in _in_order(of) if root in reached or _is_source(root, of)]
    counted = _counted(records)
    lines = [
        (read.index(root), place)
        for place, flow in enumerate(launched)
        for root in sorted(values[flow.output] & set(read), key=read.index)
    ]
    return {
        "picture": charts.flows(
            [charts.Box(*_source(root, of, counted)) for root in read],
            [charts.Box(*_table(flow.output, migration, counted)) for flow in launched],
            lines,
        ),
        "tables": [_described(of, flow, values[flow.output], read, counted) for flow in launched],
        "unread": [f"{flow.output.name}: {flow.unread}" for flow in of.flows if flow.unread],
    }


def _values(of: Graph, flow: Flow) -> set[Dataset]:
    """What the values of a table come from."""
    origins = [of.root_columns(Field(flow.output, column)) for column in flow.columns]
    return {origin.field.dataset for listed in origins for origin in listed}


def _in_order(of: Graph) -> list[Dataset]:
    """Everything that a migration reads from elsewhere: its sources as they are declared, then the target's tables."""
    sources = [one for flow in of.flows if flow.step.startswith("extract.") for one in flow.inputs]
    made = {flow.output for flow in of.flows if flow.step != graph.SWAP}
    others = sorted({one for flow in of.flows for one in flow.inputs} - made - set(sources), key=lambda one: one.name)
    return list(dict.fromkeys([*sources, *others]))


def _is_source(root: Dataset, of: Graph) -> bool:
    return (root.place, root.connection) != (Place.DATABASE, of.target)


def _counted(records: Mapping[str, Record]) -> dict[str, int]:
    """Rows by the name of a raw or staged table: read from its source, and staged."""
    rows: dict[str, int] = {}
    for step, record in records.items():
        kind, _, name = step.partition(".")
        if kind == "extract":
            reports = record.result.get("tables") or [record.result]
            rows |= {f"raw.{one['source']}": one["total"] for one in reports if "source" in one and "total" in one}
        elif kind == "load" and "." not in name and "rows" in record.result:
            rows[f"staging.{name}"] = record.result["rows"]
    return rows


def _source(root: Dataset, of: Graph, counted: Mapping[str, int]) -> tuple[str, str]:
    if not _is_source(root, of):
        schema, _, name = root.name.partition(".")
        return name, f"{schema}, as it was"
    raw = [flow.output.name for flow in of.flows if root in flow.inputs and flow.step.startswith("extract.")]
    rows = [f"{shown.number(counted[name])} rows" for name in raw if name in counted]
    title = root.name.partition(".")[2] if root.place is Place.DATABASE else root.name
    return title, ", ".join([root.connection, *rows])


def _table(launched: Dataset, migration: Migration, counted: Mapping[str, int]) -> tuple[str, str]:
    schema, _, name = launched.name.partition(".")
    staged = next((one for one, live in migration.merge.items() if live == launched.name), name)
    rows = counted.get(f"staging.{staged}")
    return name, schema if rows is None else f"{schema}, {shown.number(rows)} staged"


def _described(
    of: Graph, flow: Flow, values: set[Dataset], read: list[Dataset], counted: Mapping[str, int]
) -> dict[str, Any]:
    rows_by = [one for one in of.roots(flow.output) if one in read and one not in values]
    return {
        "name": flow.output.name,
        "values": [_named(root) for root in read if root in values],
        "rows": [_named(root) for root in read if root in rows_by],
        "staged": counted.get(f"staging.{flow.output.name.partition('.')[2]}"),
        "columns": [_column(of, flow, column) for column in flow.columns],
    }


def _column(of: Graph, flow: Flow, column: str) -> dict[str, Any]:
    """A column: the columns that its staged one is made of, and those in the end."""
    here = Field(flow.output, column)
    ends = sorted(of.root_columns(here), key=lambda one: (_named(one.field.dataset), one.field.column))
    at_hand = {f"{one.field.dataset.name}.{one.field.column}" for made in _before(of, here) for one in made}
    return {
        "name": column,
        "how": _KINDS[max(one.kind for one in ends)] if ends else "constant",
        "at_hand": sorted(at_hand),
        "ends": [f"{_named(one.field.dataset)}: {one.field.column}" for one in ends],
    }


def _before(of: Graph, field: Field) -> list[frozenset[graph.Origin]]:
    """The origins of what a launched column is moved from: of the staged column."""
    return [
        flow.columns.get(origin.field.column, frozenset())
        for swap in of.of_step(graph.SWAP)
        if swap.output == field.dataset
        for origin in swap.columns.get(field.column, ())
        for flow in of.made_by(origin.field.dataset)
        if flow.step != graph.SWAP
    ]


def _named(dataset: Dataset) -> str:
    """A dataset with where it is, such as ``xendit /v2/invoices``."""
    return f"{dataset.connection} {dataset.name}"
