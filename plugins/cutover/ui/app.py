"""The pages: one function per route, each with its dependency on who may see it.

Routes that are about a DAG carry its id in their path, and that id decides both the right to see the page and the
migration whose database is read: neither can be asked for without the other.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from cutover.errors import CutoverError
from cutover.ledger import run_key
from cutover.migration import Migration
from cutover.run import get as get_run
from cutover.ui import access, docs, shown, store
from cutover.ui.access import reads_dag, signed_in

PREFIX = "/cutover"
_HERE = Path(__file__).parent
_STYLE = _HERE / "static" / "cutover.css"

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    number=shown.number,
    signed=shown.signed,
    moment=shown.moment,
    instant=shown.instant,
    ms=shown.milliseconds,
    cell=shown.cell,
)
_templates.globals.update(totals=shown.totals, filled=shown.filled, numbers=shown.numbers)

app = FastAPI(title="Cutover", docs_url=None, redoc_url=None, openapi_url=None)
app.middleware("http")(access.add_headers)


def _page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    here = request.scope.get("root_path", "")
    text = _templates.get_template(template).render(
        base=here,
        airflow=here.removesuffix(PREFIX),
        # Inside a tab of Airflow, a link to Airflow would open it within itself.
        embedded=request.headers.get("sec-fetch-dest") == "iframe",
        run_address=_run_address,
        **values,
    )
    return HTMLResponse(text, status_code=status)


def _run_address(dag_id: str, dag_run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(dag_run_id, safe='')}"


def _migration(dag_id: str) -> Migration:
    found = store.of_dag(dag_id)
    if found is None:
        raise HTTPException(404, f"{dag_id} is no launch: it has no review, no Data Docs and no entry in the ledger.")
    return found


@app.get("/", dependencies=[signed_in])
def launches(request: Request, user: GetUserDep, before: datetime | None = None) -> HTMLResponse:
    """Runs by migration and date."""
    found = []
    for migration in _readable(user):
        rows, problem = _read(migration, lambda connection, of=migration: store.launches(connection, of, before))
        found.append({"migration": migration, "rows": rows[: store.PAGE], "problem": problem, "older": _older(rows)})
    return _page(request, "launches.html", found=found, before=before)


@app.get("/ledger", dependencies=[signed_in])
def ledger(request: Request, user: GetUserDep, before: int | None = None) -> HTMLResponse:
    """Ledger entries by migration, newest first, and whether the chain is whole."""
    found = []
    for migration in _readable(user):
        rows, problem = _read(migration, lambda connection, of=migration: store.ledger(connection, of, before))
        chains, _ = _read(migration, lambda connection: [store.chain_state(connection)])
        found.append(
            {
                "migration": migration,
                "rows": rows[: store.PAGE],
                "problem": problem,
                "older": rows[store.PAGE - 1]["entry"] if len(rows) > store.PAGE else None,
                "chain": chains[0] if chains else None,
            }
        )
    return _page(request, "ledger.html", found=found, before=before)


@app.get("/dags/{dag_id}/ledger/{number}", dependencies=[reads_dag])
def ledger_entry(request: Request, dag_id: str, number: int) -> HTMLResponse:
    """One entry: who, when, how long, what, and the evidence."""
    migration = _migration(dag_id)
    with store.reading(migration) as connection:
        found = store.entry(connection, migration, number)
    if found is None:
        raise HTTPException(404, f"The ledger of {migration.migration} has no entry {number}.")
    sites = docs.sites(migration.migration, found["run"])
    return _page(request, "entry.html", migration=migration, entry=found, sites=sites)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/review", dependencies=[reads_dag])
def review(request: Request, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """Everything that the approver of a run should have seen, as it was when the question was asked."""
    migration = _migration(dag_id)
    key = run_key(dag_id, dag_run_id)
    with store.reading(migration) as connection:
        row = get_run(connection, key)
        entry = store.entry_of_run(connection, key)
        rolls_back = "undoes" in (row.review or {})
        waiting = row.review is not None and row.snapshot is not None and entry is None and not rolls_back
        values: dict[str, Any] = {
            "run": row,
            "review": row.review,
            "entry": entry,
            "approvals": store.approvals(connection, key),
            "notices": store.notices(connection, key),
            "captured": store.captured(connection, migration, row.snapshot or "") if waiting else None,
        }
    template = "rollback_review.html" if rolls_back else "review.html"
    sites = docs.sites(migration.migration, key)
    return _page(request, template, migration=migration, sites=sites, **values)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/docs", dependencies=[reads_dag])
def data_docs_of_run(request: Request, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """The validations of a run, suite by suite, with links to their pages."""
    migration = _migration(dag_id)
    key = run_key(dag_id, dag_run_id)
    sites = docs.sites(migration.migration, key)
    return _page(request, "docs.html", migration=migration, key=key, dag_id=dag_id, dag_run_id=dag_run_id, sites=sites)


@app.get("/dags/{dag_id}/docs/{address:path}", dependencies=[reads_dag])
def data_docs_file(dag_id: str, address: str) -> FileResponse:
    """One file of Data Docs."""
    found = docs.find(_migration(dag_id).migration, address)
    if found is None:
        raise HTTPException(404, "There is no such page in these Data Docs.")
    path, kind = found
    return FileResponse(path, media_type=kind, headers={"Content-Security-Policy": access.DOCS_POLICY})


@app.get("/dags/{dag_id}/rollback", dependencies=[reads_dag])
def rollback(request: Request, dag_id: str) -> HTMLResponse:
    """What a rollback would take back now, before anything is triggered."""
    migration = _migration(dag_id)
    with store.reading(migration) as connection:
        newest = next(iter(store.ledger(connection, migration, None)), None)
        entry = store.entry(connection, migration, newest["entry"]) if newest else None
        written = store.written_since(connection, entry["run"]) if entry else []
    return _page(request, "rollback.html", migration=migration, entry=entry, written=written)


@app.get("/why", dependencies=[signed_in])
def why_where(request: Request, user: GetUserDep) -> HTMLResponse:
    """The search for the origin of a row, for every migration."""
    found = []
    for migration in _readable(user):
        tables, problem = _read(
            migration, lambda connection, of=migration: [{"name": t} for t in store.traceable(connection, of)]
        )
        found.append({"migration": migration, "tables": [table["name"] for table in tables], "problem": problem})
    return _page(request, "why.html", found=found, asked=None, row=None, origins=[], problem=None)


@app.get("/dags/{dag_id}/why", dependencies=[reads_dag])
def why(
    request: Request, dag_id: str, table: str = Query(max_length=63), value: str = Query(max_length=400)
) -> HTMLResponse:
    """From a production row back to the API responses that it was made of."""
    migration = _migration(dag_id)
    with store.reading(migration) as connection:
        tables = store.traceable(connection, migration)
        problem, row, origins = None, None, []
        if table not in tables:
            problem = f"Nothing is known about the origin of table {table}."
        else:
            found = store.production_row(connection, migration, table, store.require_text(value.strip(), table))
            if found is None:
                problem = f"No row of {table} has this id, number or address."
            else:
                row = store.masked_production_row(migration, table, found)
                origins = store.origins(connection, migration, table, found)
    asked = {"table": table, "value": value}
    where = [{"migration": migration, "tables": tables, "problem": None}]
    return _page(request, "why.html", found=where, asked=asked, row=row, origins=origins, problem=problem)


@app.get("/static/cutover.css", dependencies=[signed_in])
def style() -> FileResponse:
    """The one style sheet."""
    return FileResponse(_STYLE, media_type="text/css")


def _readable(user: Any) -> list[Migration]:
    return [migration for migration in store.migrations() if access.may_read(user, migration.migration)]


def _read(migration: Migration, look: Any) -> tuple[list[dict[str, Any]], str | None]:
    """Rows, or in words why there are none: one database that is down must not hide the others."""
    try:
        with store.reading(migration) as connection:
            return look(connection), None
    except CutoverError as error:
        # a migration that this deployment does not use (yet) is no problem of anybody's
        return [], None if error.code in ("connect.unknown", "connect.no-database") else str(error)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
        return [], None
    except psycopg.Error as error:
        return [], _said(error)


def _older(rows: list[dict[str, Any]]) -> str | None:
    """The query that asks for the page after a full one."""
    return urlencode({"before": rows[store.PAGE - 1]["started_at"].isoformat()}) if len(rows) > store.PAGE else None


def _said(error: psycopg.Error) -> str:
    return f"The database says: {error.diag.message_primary or type(error).__name__}."


@app.exception_handler(StarletteHTTPException)
def http_refused(request: Request, error: StarletteHTTPException) -> Response:
    """Refusals as a page; without a login with the way to one."""
    login = access.login_address(str(request.url)) if error.status_code == 401 else None
    title = {401: "Please sign in", 403: "Not yours to see", 404: "Not here"}.get(error.status_code, "Refused")
    message = str(error.detail)
    if error.status_code == 404 and message == HTTPStatus.NOT_FOUND.phrase:  # the router's own, which names nothing
        message = f"There is no page at {shown.cell(request.scope['path'])}."
    return _page(request, "message.html", error.status_code, title=title, message=message, login=login)


@app.exception_handler(RequestValidationError)
def not_understood(request: Request, error: RequestValidationError) -> Response:
    """A query that is not what the page takes."""
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    return _page(request, "message.html", 422, title="Not understood", message=said, login=None)


@app.exception_handler(CutoverError)
def cannot_be_shown(request: Request, error: CutoverError) -> Response:
    """An error that a person can clear, in its own words."""
    status = {"run.unknown": 404, "why.not-an-id": 422}.get(error.code, 503)
    return _page(request, "message.html", status, title="Cannot be shown", message=str(error), login=None)


@app.exception_handler(psycopg.Error)
def database_refused(request: Request, error: psycopg.Error) -> Response:
    """The database would not answer: a time-out, a missing right, or tables that no run has made yet."""
    message = _said(error)
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        message += " The first task of the next run brings the engine's tables up to date."
    return _page(request, "message.html", 503, title="Cannot be shown", message=message, login=None)
