"""Comments on a run: to read in its review, to write on a page of their own, which loads itself anew for nobody."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse

from cutover.database.connect import opened
from cutover.migration import Migration
from cutover.operators.base import bounded, connect_to
from cutover.records import comments
from cutover.records import run as runs
from cutover.ui import access, lookup
from cutover.ui.access import reads_dag

router = APIRouter()

_Form = Annotated[dict[str, str], Depends(access.long_form)]


# By a page of ours, or a program: see access.require_own_page.
@router.post(
    "/dags/{dag_id}/runs/{dag_run_id}/comments.json",
    dependencies=[reads_dag, Depends(access.requires_comment), Depends(access.require_own_page)],
)
def comment(user: GetUserDep, dag_id: str, dag_run_id: str, given: _Form) -> JSONResponse:
    """Write a comment down; answers with all comments on the run."""
    return JSONResponse(jsonable_encoder(add(user, lookup.migration(dag_id), dag_id, dag_run_id, given)))


def add(user: Any, migration: Migration, dag_id: str, dag_run_id: str, given: dict[str, str]) -> list[dict[str, Any]]:
    """Write down what ``user`` says about a run, and return all that was said. Raises as ``comments.add``, and 404."""
    with opened(connect_to(migration.target, "cutover comment")) as connection:
        bounded(connection)
        run = runs.key(connection, dag_id, dag_run_id)
        if not runs.has_begun(connection, run):
            raise HTTPException(404, "The target database holds nothing of this run: it has not got that far.")
        comments.add(connection, run, str(user.get_name()), given.get("words", ""))
        return comments.of_run(connection, run)
