"""The graph of both migrations: every column of every load has its sources named, or is among the constants here."""

from __future__ import annotations

import pytest

from cutover.lineage import graph
from cutover.lineage.graph import Dataset, Field, Graph, Place
from cutover.lineage.statement import Kind
from cutover.migration import load

# Columns of staged tables that no source gives; generated ones are not written at all.
CONSTANTS: dict[str, set[str]] = {"clean_launch": set(), "mula_unification": set()}


def table(of: Graph, name: str) -> Dataset:
    """A table of the target."""
    return Dataset(Place.DATABASE, of.target, name)


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_every_staged_column_has_its_sources(name: str) -> None:
    of = graph.of_migration(name)
    migration = load(name)
    loads = [flow for flow in of.flows if flow.step.startswith("load.") and flow.output.name.startswith("staging.")]
    assert {flow.output.name for flow in loads} == {f"staging.{one}" for one in migration.staging_tables()}
    assert {flow.unread for flow in of.flows} == {None}
    without = {
        f"{flow.output.name}.{column}" for flow in loads for column, origins in flow.columns.items() if not origins
    }
    assert without == CONSTANTS[name]
    assert sum(len(flow.columns) for flow in loads) > 70


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_every_source_leads_to_production_and_every_table_of_it_to_a_source(name: str) -> None:
    of = graph.of_migration(name)
    sources = {flow.inputs[0] for flow in of.flows if flow.step.startswith("extract.")}
    swapped = [flow.output for flow in of.of_step(graph.SWAP)]
    assert {".".join(one) for one in load(name).swapped_tables()} <= {dataset.name for dataset in swapped}
    reached = {root for dataset in swapped for root in of.roots(dataset)}
    # the definitions of tags name no person: the review alone reads them
    assert sources - reached == ({Dataset(Place.API, "systemeio", "/api/tags")} if name == "clean_launch" else set())
    for dataset in swapped:
        assert of.roots(dataset) & sources or dataset.name == "auth.identities", dataset


def test_a_few_columns_come_from_where_the_documentation_says() -> None:
    of = graph.of_migration("clean_launch")
    invoices, contacts = Dataset(Place.API, "xendit", "/v2/invoices"), Dataset(Place.API, "systemeio", "/api/contacts")
    # a new payment's, or what staff have entered before
    assert ends(of, "public.transactions", "external_id") == {
        Field(invoices, "external_id"),
        Field(table(of, "public.transactions"), "external_id"),
    }
    assert ends(of, "public.leads", "locale") == {Field(contacts, "locale")}
    [locale] = of.root_columns(Field(table(of, "public.leads"), "locale"))
    assert locale.kind == Kind.TRANSFORMATION, "a member of what the API sent is taken"
    [flow] = of.of_step("extract.xendit_invoices")
    assert {origin.field.column for origin in flow.columns["customer"]} == {"customer"}
    assert not flow.columns["sync_id"], "the engine's own note"
    of = graph.of_migration("mula_unification")
    amounts = ends(of, "public.subscriptions", "monthly_amount")
    assert {root.dataset.connection for root in amounts} == {"dasha", "compatibility", "unified"}


def ends(of: Graph, name: str, column: str) -> set[Field]:
    """What a column of the target is made of in the end."""
    return {origin.field for origin in of.root_columns(Field(table(of, name), column))}


def test_what_a_step_drops_again_is_looked_through() -> None:
    of = graph.of_migration("clean_launch")
    names = {flow.output.name for flow in of.flows}
    assert "input.payment" in names and not names & {"input.pair", "input.payable", "input.unplaced"}
    [payment] = [flow for flow in of.flows if flow.output.name == "input.payment"]
    assert {origin.field.dataset.name for origin in payment.columns["invoice_id"]} == {"input.xendit_invoices"}


def test_ids_that_python_derives_come_from_their_keys() -> None:
    for name in CONSTANTS:
        of = graph.of_migration(name)
        [identity] = [flow for flow in of.of_step(graph.SNAPSHOT) if flow.output.name == "input.identity"]
        assert identity.columns["id"] and identity.columns.keys() == {"email_key", "id"}
        assert {one.field for one in identity.columns["id"]} == {one.field for one in identity.columns["email_key"]}
        assert {one.kind for one in identity.columns["id"]} == {Kind.TRANSFORMATION}


def test_a_step_alone_comes_to_the_same_as_within_the_whole() -> None:
    of = graph.of_migration("clean_launch")
    columns = {flow.output.name: list(flow.columns) for flow in of.flows}
    for step in ("extract.xendit_invoices", "load.users", "load.affiliates"):
        assert graph.of_step("clean_launch", step, columns) == of.of_step(step)
