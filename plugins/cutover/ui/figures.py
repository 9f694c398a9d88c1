"""What pages show, as JSON for a terminal or a program: the same values, from the same questions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse

from cutover import rollback
from cutover.errors import CutoverError
from cutover.operators.base import reading
from cutover.outlook import Outlook
from cutover.review import forecast, form
from cutover.ui import access, lookup, shown, store
from cutover.ui.access import reads_dag
from cutover.ui.store import Row

router = APIRouter()

# Of a page's values those that are not for a program: objects, and what only the page's look needs.
_OF_THE_PAGE = (
    "migration", "sites", "run", "names_accounts", "review", "carrying", "no_difference", "verdict", "lineage",
)  # fmt: skip


@router.get("/dags/{dag_id}/runs.json", dependencies=[reads_dag])
def runs(dag_id: str, before: datetime | None = None) -> JSONResponse:
    """The runs of a migration, newest first, each with how it stands."""
    migration = lookup.migration(dag_id)
    try:
        with reading(migration) as connection:
            rows = store.launches(connection, migration, before)
    except (CutoverError, *lookup.NEVER_USED) as error:
        if isinstance(error, CutoverError) and error.code not in lookup.ABSENT:
            raise
        rows = []
    return _answer(store.with_standing(rows, migration, before)[: store.PAGE])


@router.get("/dags/{dag_id}/runs/{dag_run_id}/review.json", dependencies=[reads_dag])
def review(dag_id: str, dag_run_id: str) -> JSONResponse:
    """The review of a run with everything that its page shows."""
    migration = lookup.migration(dag_id)
    stands = lookup.standing_of(dag_id, dag_run_id)
    try:
        _, values, ahead = lookup.review(migration, dag_id, dag_run_id, stands)
    except lookup.NoRecordError:
        lookup.require_run(stands, dag_id, dag_run_id)
        raise HTTPException(
            404, "The target database holds nothing of this run, and nothing was changed there."
        ) from None
    return _answer(_of_review(values, ahead))


# By POST, as the page asks: what is searched for may be an address, and an address of a page is in logs.
@router.post("/dags/{dag_id}/why.json", dependencies=[reads_dag, Depends(access.require_own_page)])
def why(dag_id: str, asked: Annotated[dict[str, str], Depends(access.form)]) -> JSONResponse:
    """From a production row back to the API responses that it was made of; what is personal is masked."""
    migration = lookup.migration(dag_id)
    table, value = asked.get("table", ""), store.require_text(asked.get("value", "").strip())
    with reading(migration) as connection:
        tables = store.traceable(connection, migration)
        if table not in tables:
            known = ", ".join(tables) or "none yet"
            raise HTTPException(404, f"Nothing is known about the origin of table {shown.cell(table)}; of: {known}.")
        row = store.production_row(connection, migration, table, value)
        if row is None:
            raise HTTPException(404, f"No row of {table} has this id, number or address.")
        masked = store.masked_production_row(migration, table, row)
        return _answer({"table": table, "row": masked, "origins": store.origins(connection, migration, table, row)})


def _answer(document: Any) -> JSONResponse:
    return JSONResponse(jsonable_encoder(document, custom_encoder={Decimal: _exact}))


def _exact(number: Decimal) -> float | str:
    """An exact number as one of JSON's where that is written the same, else as text: 1200.00 is not 1200.0."""
    nearest = float(number)
    return nearest if repr(nearest) == str(number) else str(number)


def _of_review(values: Mapping[str, Any], ahead: Outlook | None) -> Row:
    run, content = values["run"], values["review"]
    is_launch = content is not None and "undoes" not in content
    return {
        "migration": values["migration"].migration,
        "run": run.run,
        "dag_id": run.dag_id,
        "dag_run_id": run.dag_run_id,
        "triggered_by": run.triggered_by,
        "started_at": run.started_at,
        "frozen_at": run.frozen_at,
        "in_the_way": None if ahead is None or ahead.unknown else list(ahead.reasons),
        "verdict": values["verdict"] and values["verdict"].as_dict(),
        "expected": forecast.expected(content) if is_launch else None,
        "rejects_limit": form.rejects_limit(content) if is_launch else None,
        **{name: value for name, value in values.items() if name not in _OF_THE_PAGE},
        # as the form that asks shows it
        "question": None if content is None else (form if is_launch else rollback).markdown(content),
        "review": None if content is None else {**content, "rehearsal": _of_rehearsal(content.get("rehearsal"))},
    }


def _of_rehearsal(rehearsal: Row | None) -> Row | None:
    """A rehearsal with how long the longest client waited, and how many facts of the catalogue were not as before.

    Facts that differ end a rehearsal before there is a review. One that was given up has compared none: None.
    """
    if not rehearsal:
        return None
    went_through = rehearsal["reason"] is None
    return {
        **rehearsal,
        "clients_waited_ms": rehearsal["longest_ms"] if went_through else None,
        "differences": 0 if went_through else None,
    }
