"""The pages: one function per route, each with its dependency on who may see it.

Routes that are about a DAG carry its id in their path, and that id decides both the right to see the page and the
migration whose database is read: neither can be asked for without the other.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime, timezone
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import psycopg
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from markupsafe import Markup
from pydantic import Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from cutover import rehearsal
from cutover.database.words import said
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.operators.base import reading
from cutover.records.comments import LONGEST, of_run
from cutover.records.run import get as get_run
from cutover.records.run import has_begun
from cutover.records.run import key as run_key
from cutover.revert import Window, of_entry
from cutover.review.difference import KINDS
from cutover.ui import access, charts, comments, docs, figures, lookup, outlook, revert, shown, standing, store
from cutover.ui.access import reads_dag, signed_in
from cutover.ui.templating import STYLE, render, run_address
from cutover.watch import look

PREFIX = "/cutover"
# of a ledger entry: PostgreSQL's bigint
Number = Annotated[int, Field(ge=1, lt=2**63)]
Kind = Literal["added", "removed", "changed"]

app = FastAPI(title="Cutover", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(figures.router)
app.include_router(comments.router)
_log = logging.getLogger(__name__)


@app.middleware("http")
async def answered(request: Request, call_next: access.Next) -> Response:
    """The same headers on every answer, and words for every refusal and error, whatever was asked for."""
    if access.is_no_address(request):
        return access.headed(http_refused(request, StarletteHTTPException(404)))
    try:
        return access.headed(await call_next(request))
    except Exception:
        _log.exception("the page at %s failed", shown.cell(request.scope["path"]))
        message = "This page has a fault. The API server's log says which; nothing was changed."
        return access.headed(_message(request, 500, "Cannot be shown", message))


def _page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    here = request.scope.get("root_path", "")
    text = render(
        template,
        base=here,
        airflow=here.removesuffix(PREFIX),
        # Inside a tab of Airflow, a link to Airflow would open it within itself.
        embedded=request.headers.get("sec-fetch-dest") == "iframe",
        **values,
    )
    return HTMLResponse(text, status_code=status)


@app.get("/", dependencies=[signed_in])
def launches(request: Request, user: GetUserDep, before: datetime | None = None) -> HTMLResponse:
    """Runs by migration and date."""
    blocks: list[dict[str, Any]] = []
    for migration in _readable(user):
        rows, problem = _read(migration, lambda connection, of=migration: store.launches(connection, of, before))
        rows = store.with_standing(rows, migration, before)
        blocks.append({"migration": migration, "rows": rows[: store.PAGE], "problem": problem, "older": _older(rows)})
    return _page(request, "launches.html", migrations=blocks, before=before)


@app.get("/ledger", dependencies=[signed_in])
def ledger(request: Request, user: GetUserDep, before: Number | None = None) -> HTMLResponse:
    """Ledger entries by migration, newest first, and whether the chain is whole."""
    entries = []
    for migration in _readable(user):
        rows, problem = _read(migration, lambda connection, of=migration: store.ledger(connection, of, before))
        chains, unread = _read(
            migration, lambda connection, of=migration: [{"verdict": store.verdict_on(connection, of)}]
        )
        windows, _ = _read(migration, lambda connection, of=migration: [{"window": of_entry(connection, of.migration)}])
        entries.append(
            {
                "migration": migration,
                "rows": rows[: store.PAGE],
                "history": _history(rows[: store.PAGE]),
                "problem": problem,
                "older": rows[store.PAGE - 1]["entry"] if len(rows) > store.PAGE else None,
                "verdict": chains[0]["verdict"] if chains else None,
                # once, where the entries could not be read for the same reason
                "unread": unread if unread != problem else None,
                **_window(windows[0]["window"] if windows else None, only_open=True),
            }
        )
    return _page(request, "ledger.html", migrations=entries, before=before)


@app.get("/dags/{dag_id}/ledger/{number}", dependencies=[reads_dag])
def ledger_entry(request: Request, dag_id: str, number: Number) -> HTMLResponse:
    """One entry: who, when, how long, what, and the evidence."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        entry = store.entry(connection, migration, number)
        window = of_entry(connection, migration.migration, number)
    if entry is None:
        raise HTTPException(404, f"The ledger of {migration.migration} has no entry {number}.")
    sites = docs.sites(migration.migration, entry["run"])
    stands = lookup.standing_of(entry["dag_id"], entry["dag_run_id"]) if entry["dag_run_id"] else None
    state = standing.words("taken back" if entry["taken_back_entry"] else "done", stands)
    shown_with = {"sites": sites, "run_stands": stands is not None, "state": state, **_window(window)}
    return _page(request, "entry.html", migration=migration, entry=entry, **shown_with)


def _history(rows: list[dict[str, Any]]) -> Markup | None:
    """How long clients waited at each entry, oldest first; None where there is nothing to compare."""
    waits = [(float(row["waited_ms"]), row["action"] == "rollback") for row in reversed(rows)]
    return charts.columns(*zip(*waits, strict=True)) if len(waits) > 1 else None


def _window(window: Window | None, *, only_open: bool = False) -> dict[str, Any]:
    """A revert window as pages show it: with what is left of it as a clock."""
    if window is None or (only_open and not window.is_open):
        return {"window": None, "countdown": None}
    return {"window": window, "countdown": charts.countdown(window.seconds_left)}


# While somebody takes it back, the page is asked for again so often: seconds.
_AGAIN_AFTER_S = 1


@app.get("/dags/{dag_id}/ledger/{number}/revert", dependencies=[reads_dag])
def revert_form(request: Request, user: GetUserDep, dag_id: str, number: Number) -> HTMLResponse:
    """What taking a swap back by its window would do, with the button that does it; then how far it is."""
    migration = lookup.migration(dag_id)
    return _revert_page(request, migration, _offer(migration, number, user))


@app.post(
    "/dags/{dag_id}/ledger/{number}/revert",
    dependencies=[reads_dag, Depends(access.requires_rollback), Depends(access.require_own_page)],
)
def take_back(request: Request, user: GetUserDep, dag_id: str, number: Number) -> Response:
    """Trigger the run that takes a swap back by its window; 409 with the page that says why not."""
    migration = lookup.migration(dag_id)
    offer = _offer(migration, number, user)
    if offer.entry["taken_back_entry"] is None and not offer.is_under_way:
        if offer.obstacle is not None:
            return _revert_page(request, migration, offer, 409)
        revert.trigger(migration, offer, user)
    return RedirectResponse(request.url.path, status_code=303)


@app.get("/dags/{dag_id}/revert.json", dependencies=[reads_dag])
def revert_figures(user: GetUserDep, dag_id: str, entry: Number | None = None) -> JSONResponse:
    """The same for a terminal, by default of the newest entry, with what to trigger the rollback's DAG with."""
    migration = lookup.migration(dag_id)
    if entry is None:
        try:
            with reading(migration) as connection:
                newest = next(iter(store.ledger(connection, migration, None)), None)
        except lookup.NEVER_USED:
            newest = None
        if newest is None:
            raise HTTPException(404, f"{migration.migration} has never been launched here: nothing can be taken back.")
        entry = newest["entry"]
    return JSONResponse(jsonable_encoder(revert.figures(migration, _offer(migration, entry, user))))


def _offer(migration: Migration, number: int, user: Any) -> revert.Offer:
    with reading(migration) as connection:
        offer = revert.offer(connection, migration, number, user)
    if offer is None:
        raise HTTPException(404, f"The ledger of {migration.migration} has no entry {number}.")
    return offer


def _revert_page(request: Request, migration: Migration, offer: revert.Offer, status: int = 200) -> HTMLResponse:
    again = _AGAIN_AFTER_S if offer.is_under_way and offer.entry["taken_back_entry"] is None else None
    return _page(
        request, "revert.html", status, migration=migration, again_after=again, **vars(offer) | _window(offer.window)
    )


@app.get("/dags/{dag_id}/ledger/{number}/evidence", dependencies=[reads_dag])
def evidence_of_entry(dag_id: str, number: Number) -> Response:
    """All evidence of one entry as one signed file, to be verified without us."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        row = store.entry_of_number(connection, migration, number)
        if row is None:
            raise HTTPException(404, f"The ledger of {migration.migration} has no entry {number}.")
        made = store.evidence_file(connection, migration, row)
    named = {"Content-Disposition": f'attachment; filename="evidence-{row}.zip"'}
    return Response(made, media_type="application/zip", headers=named)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/review", dependencies=[reads_dag])
def review(request: Request, user: GetUserDep, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """Everything that the approver of a run should have seen, as it was when the question was asked."""
    migration = lookup.migration(dag_id)
    stands = lookup.standing_of(dag_id, dag_run_id)
    try:
        template, values, ahead = lookup.review(migration, dag_id, dag_run_id, stands)
    except lookup.NoRecordError:
        return _without_a_record(request, dag_id, dag_run_id, stands)
    may_comment = access.may_comment(user, dag_id)
    again = outlook.EVERY_S if ahead else None
    return _page(request, template, ahead=ahead, again_after=again, may_comment=may_comment, **values)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/comments", dependencies=[reads_dag])
def comments_on_run(request: Request, user: GetUserDep, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """What was said about a run, and where to say more."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        run = run_key(connection, dag_id, dag_run_id)
        if not has_begun(connection, run):
            raise HTTPException(404, "The target database holds nothing of this run: it has not got that far.")
        lines = of_run(connection, run)
    return _page(
        request,
        "comments.html",
        migration=migration,
        run=run,
        dag_id=dag_id,
        dag_run_id=dag_run_id,
        comments=lines,
        may_comment=access.may_comment(user, dag_id),
        longest=LONGEST,
    )


@app.post(
    "/dags/{dag_id}/runs/{dag_run_id}/comments",
    dependencies=[reads_dag, Depends(access.requires_comment), Depends(access.require_own_page)],
)
def comment_on_run(
    request: Request,
    user: GetUserDep,
    dag_id: str,
    dag_run_id: str,
    given: Annotated[dict[str, str], Depends(access.long_form)],
) -> Response:
    """Write a comment down, and show it among the others."""
    comments.add(user, lookup.migration(dag_id), dag_id, dag_run_id, given)
    here = f"{request.scope.get('root_path', '')}{run_address(dag_id, dag_run_id)}"
    return RedirectResponse(f"{here}/comments", status_code=303)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/lineage", dependencies=[reads_dag])
def lineage_of_run(request: Request, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """What each column of a launch is made of."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        run = run_key(connection, dag_id, dag_run_id)
        if not has_begun(connection, run):
            raise HTTPException(404, "The target database holds nothing of this run: it has not got that far.")
        made = store.lineage_of(connection, migration, run)
    return _page(
        request, "lineage.html", migration=migration, run=run, dag_id=dag_id, dag_run_id=dag_run_id, lineage=made
    )


@app.get("/dags/{dag_id}/runs/{dag_run_id}/difference.csv", dependencies=[reads_dag])
def difference(dag_id: str, dag_run_id: str, table: str, kind: Kind | None = None) -> StreamingResponse:
    """Every row of a table that a launch would add, take away or change, with what is personal masked."""
    migration = lookup.migration(dag_id)
    pieces = store.difference(migration, dag_id, dag_run_id, table, [kind] if kind else KINDS)
    # what is refused is refused before an answer has begun; what fails later breaks it off, which a reader notices
    first = next(pieces)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", "-".join(["difference", dag_run_id, table, *([kind] if kind else [])]))
    named = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(chain([first], pieces), media_type="text/csv; charset=utf-8", headers=named)


@app.get("/dags/{dag_id}/runs/{dag_run_id}/outlook.svg", dependencies=[reads_dag])
def outlook_picture(dag_id: str, dag_run_id: str) -> Response:
    """What would stop the swap, as a picture for the form in which the question is asked."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        row = get_run(connection, run_key(connection, dag_id, dag_run_id))
        swapped = store.entry_of_run(connection, row.run)
    if swapped is not None or row.snapshot is None or row.staged_xid is None:
        raise HTTPException(404, "This run does not wait for a swap.")
    return Response(outlook.picture(outlook.of_run(migration, row)), media_type="image/svg+xml")


@app.get("/dags/{dag_id}/runs/{dag_run_id}/approvals.svg", dependencies=[reads_dag])
def approvals_picture(dag_id: str, dag_run_id: str) -> Response:
    """How many of the answers that a launch needs are there, as a picture for the form in which they are given."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        come_to = store.quorum(connection, migration, run_key(connection, dag_id, dag_run_id))
    if come_to is None:
        raise HTTPException(404, "One answer is enough for this run.")
    return Response(store.approvals_picture(come_to, datetime.now(timezone.utc)), media_type="image/svg+xml")


@app.get("/dags/{dag_id}/runs/{dag_run_id}/sign_ins.svg", dependencies=[reads_dag])
def sign_ins_picture(dag_id: str, dag_run_id: str) -> Response:
    """What the newest rehearsal of sign-ins has found, as a picture for the form in which somebody decides about it."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        record = rehearsal.of_run(connection, run_key(connection, dag_id, dag_run_id))
    if record is None:
        raise HTTPException(404, "No sign-ins were rehearsed in this run.")
    return Response(store.sign_ins_picture(record), media_type="image/svg+xml")


@app.get("/dags/{dag_id}/runs/{dag_run_id}/docs", dependencies=[reads_dag])
def data_docs_of_run(request: Request, dag_id: str, dag_run_id: str) -> HTMLResponse:
    """The validations of a run, suite by suite, with links to their pages."""
    migration = lookup.migration(dag_id)
    stands = lookup.standing_of(dag_id, dag_run_id)
    with reading(migration) as connection:
        key = run_key(connection, dag_id, dag_run_id)
        became = store.state_of(connection, migration, dag_id, dag_run_id) if stands else None
    sites = docs.sites(migration.migration, key)
    if not sites:
        lookup.require_run(stands, dag_id, dag_run_id)
    state = became and standing.words(became["state"], stands, became["wait"])
    stood: dict[str, Any] = {"state": state, "now": standing.now(stands)}
    return _page(
        request, "docs.html", migration=migration, key=key, dag_id=dag_id, dag_run_id=dag_run_id, sites=sites, **stood
    )


@app.get("/dags/{dag_id}/docs/assets/{digest}/{address:path}")
def data_docs_asset(request: Request, dag_id: str, digest: str, address: str) -> Response:  # noqa: ARG001
    """A script, style or font of Data Docs: files of public packages, the same for every DAG, for anybody."""
    file = docs.find_asset(digest, address)
    if file is None:
        raise HTTPException(404)
    return _file(request, file, access.ASSET_HEADERS)


@app.get("/dags/{dag_id}/docs/{address:path}", dependencies=[reads_dag])
def data_docs_file(request: Request, dag_id: str, address: str) -> Response:
    """One file of Data Docs; a page with all that it loads in it."""
    migration = lookup.migration(dag_id).migration
    file = docs.find(migration, address)
    if file is None:
        when = docs.erased(migration, address)
        if when is not None:
            raise HTTPException(410, f"This page named a person who was erased; it was taken out at {when}.")
        raise HTTPException(404, "There is no such page in these Data Docs.")
    return _file(request, file, access.DOCS_HEADERS)


def _file(request: Request, file: docs.File, headers: dict[str, str]) -> Response:
    headers = {**headers, "ETag": f'"{file.tag}"'}
    # a proxy that compresses makes a weak tag of it
    known = {tag.strip().removeprefix("W/").strip('"') for tag in request.headers.get("if-none-match", "").split(",")}
    if file.tag in known:
        return Response(status_code=304, headers=headers)
    if not file.is_page:
        headers["Content-Length"] = str(file.size)
        return StreamingResponse(file.blocks(), media_type=file.kind, headers=headers)
    content = file.content()
    if content is None:
        raise HTTPException(404, "This page was taken away at this moment.")
    return Response(content, media_type=file.kind, headers=headers)


@app.get("/dags/{dag_id}/rollback", dependencies=[reads_dag])
def rollback(request: Request, dag_id: str) -> HTMLResponse:
    """What a rollback would take back now, before anything is triggered."""
    migration = lookup.migration(dag_id)
    try:
        with reading(migration) as connection:
            newest = next(iter(store.ledger(connection, migration, None)), None)
            entry = store.entry(connection, migration, newest["entry"]) if newest else None
            written = look.written_since(connection, entry["run"]) if entry else []
            window = of_entry(connection, migration.migration)
    except (CutoverError, *lookup.NEVER_USED) as error:
        if isinstance(error, CutoverError) and error.code not in lookup.ABSENT:
            raise
        raise HTTPException(
            404, f"{migration.migration} has never been launched here: nothing can be taken back."
        ) from error
    by_window = _window(window, only_open=True)
    return _page(request, "rollback.html", migration=migration, entry=entry, written=written, **by_window)


@app.get("/dags/{dag_id}/announcements", dependencies=[reads_dag])
def announcements(request: Request, dag_id: str) -> HTMLResponse:
    """What people have been told of a migration's launches, and what has become of each message."""
    migration = lookup.migration(dag_id)
    try:
        with reading(migration) as connection:
            announced, runs = store.announcements(connection, migration)
    except (CutoverError, *lookup.NEVER_USED) as error:
        if isinstance(error, CutoverError) and error.code not in lookup.ABSENT:
            raise
        announced, runs = [], []
    return _page(request, "announcements.html", migration=migration, announced=announced, runs=runs)


@app.get("/dags/{dag_id}/watch", dependencies=[reads_dag])
def watch(request: Request, dag_id: str) -> HTMLResponse:
    """What the looks after the newest launch have shown, check by check over time."""
    migration = lookup.migration(dag_id)
    try:
        with reading(migration) as connection:
            entry, watched = store.watched(connection, migration)
    except (CutoverError, *lookup.NEVER_USED) as error:
        if isinstance(error, CutoverError) and error.code not in lookup.ABSENT:
            raise
        entry, watched = None, []
    return _page(request, "watch.html", migration=migration, entry=entry, watched=watched)


@app.get("/dags/{dag_id}/assessment", dependencies=[reads_dag])
def assessment(request: Request, dag_id: str) -> HTMLResponse:
    """The sources of a migration side by side, as they were looked at last."""
    return _page(request, "assessment.html", **store.assessment(lookup.migration(dag_id)))


@app.get("/why", dependencies=[signed_in])
def why_where(request: Request, user: GetUserDep) -> HTMLResponse:
    """The search for the origin of a row, for every migration."""
    places = []
    for migration in _readable(user):
        tables, problem = _read(
            migration, lambda connection, of=migration: [{"name": t} for t in store.traceable(connection, of)]
        )
        places.append({"migration": migration, "tables": [table["name"] for table in tables], "problem": problem})
    return _page(request, "why.html", migrations=places, asked=None, row=None, origins=[], problem=None)


@app.get("/dags/{dag_id}/why", dependencies=[reads_dag])
def why_form(request: Request, dag_id: str, table: str = Query("", max_length=63)) -> HTMLResponse:
    """The search, for one migration."""
    migration = lookup.migration(dag_id)
    with reading(migration) as connection:
        tables = store.traceable(connection, migration)
    where = [{"migration": migration, "tables": tables, "problem": None}]
    asked = {"table": table, "value": ""} if table in tables else None
    return _page(request, "why.html", migrations=where, asked=asked, row=None, origins=[], problem=None)


# By POST, although it changes nothing: what is searched for may be an address, and an address of a page is in logs.
# Nobody else's page can make a browser ask: with its request no session comes (SameSite), and it is told apart besides.
@app.post("/dags/{dag_id}/why", dependencies=[reads_dag, Depends(access.require_own_page)])
def why(request: Request, dag_id: str, asked: Annotated[dict[str, str], Depends(access.form)]) -> HTMLResponse:
    """From a production row back to the API responses that it was made of."""
    migration = lookup.migration(dag_id)
    table, value = asked.get("table", ""), store.require_text(asked.get("value", "").strip())
    with reading(migration) as connection:
        tables = store.traceable(connection, migration)
        problem, row, origins = None, None, []
        if table not in tables:
            problem = f"Nothing is known about the origin of table {shown.cell(table)}."
        else:
            record = store.production_row(connection, migration, table, value)
            if record is None:
                problem = f"No row of {table} has this id, number or address."
            else:
                row = store.masked_production_row(migration, table, record)
                origins = store.origins(connection, migration, table, record)
    where = [{"migration": migration, "tables": tables, "problem": None}]
    values = {"table": table, "value": value}
    return _page(request, "why.html", migrations=where, asked=values, row=row, origins=origins, problem=problem)


@app.get("/static/cutover.css", dependencies=[signed_in])
def style() -> FileResponse:
    """The one style sheet."""
    return FileResponse(STYLE, media_type="text/css")


def _without_a_record(request: Request, dag_id: str, dag_run_id: str, stands: standing.Standing | None) -> HTMLResponse:
    """A run that the target database knows nothing of: it has not got that far, or it is none."""
    stands = lookup.require_run(stands, dag_id, dag_run_id)
    words = {"under way": "is under way", "waits for an answer": "waits for an answer"}
    state = standing.words("begun", stands)
    doing = standing.now(stands)
    message = (
        f"This run {words.get(state, f'has {state}')}{f': {doing}' if doing else ''}. "
        "The target database holds nothing of it, and nothing was changed there."
    )
    return _page(request, "message.html", 200, title="No review yet", message=message, login=None)


def _readable(user: Any) -> list[Migration]:
    return [migration for migration in store.migrations() if access.may_read(user, migration.migration)]


def _read(migration: Migration, look: Any) -> tuple[list[dict[str, Any]], str | None]:
    """Rows, or in words why there are none: one database that is down must not hide the others."""
    try:
        with reading(migration) as connection:
            return look(connection), None
    except CutoverError as error:
        # a migration that this deployment does not use (yet) is no problem of anybody's
        return [], None if error.code in lookup.ABSENT else str(error)
    except lookup.NEVER_USED:
        return [], None
    except psycopg.Error as error:
        return [], _said(error)


def _older(rows: list[dict[str, Any]]) -> str | None:
    """The query that asks for the page after a full one."""
    return urlencode({"before": rows[store.PAGE - 1]["started_at"].isoformat()}) if len(rows) > store.PAGE else None


def _said(error: psycopg.Error) -> str:
    return f"The database says: {said(error) or type(error).__name__}."


def _message(
    request: Request,
    status: int,
    title: str,
    message: str,
    *,
    login: str | None = None,
    error: CutoverError | None = None,
) -> Response:
    """A refusal or an error: a page, or to a program as Airflow's own interface says it."""
    if request.scope["path"].endswith(".json") or "application/json" in request.headers.get("accept", ""):
        parts = {"code": error.code, "object": error.obj, "why": error.why, "remedy": error.remedy} if error else None
        return JSONResponse({"detail": message} | ({"error": parts} if parts else {}), status_code=status)
    return _page(request, "message.html", status, title=title, message=message, login=login)


@app.exception_handler(StarletteHTTPException)
def http_refused(request: Request, error: StarletteHTTPException) -> Response:
    """Refusals as a page; without a login with the way to one."""
    if access.is_led_by_a_stranger(request) and error.status_code == 401:
        return _page(request, "again.html", 401)
    login = access.login_address(str(request.url)) if error.status_code == 401 else None
    title = {401: "Please sign in", 403: "Not yours to see", 404: "Not here", 410: "Erased"}.get(
        error.status_code, "Refused"
    )
    message = str(error.detail)
    if error.status_code == 404 and message == HTTPStatus.NOT_FOUND.phrase:  # the router's own, which names nothing
        message = f"There is no page at {shown.cell(request.scope['path'])}."
    return _message(request, error.status_code, title, message, login=login)


@app.exception_handler(RequestValidationError)
def not_understood(request: Request, error: RequestValidationError) -> Response:
    """A query that is not what the page takes, or an address that names nothing."""
    if any(one["loc"][0] == "path" for one in error.errors()):
        return http_refused(request, StarletteHTTPException(404))
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    return _message(request, 422, "Not understood", said)


# Of errors whose object is not there, or that ask for something else; of any other, the service cannot answer now.
_STATUS = {
    "run.unknown": 404,
    "evidence.not-kept": 404,
    "diff.unknown-table": 404,
    "diff.not-a-launch": 404,
    "diff.no-review": 409,
    "diff.changed": 409,
    # was there once, and does not come back
    "diff.launched": 410,
    "diff.overtaken": 410,
    "why.not-an-id": 422,
    "comment.empty": 422,
    "comment.too-long": 422,
}


@app.exception_handler(CutoverError)
def cannot_be_shown(request: Request, error: CutoverError) -> Response:
    """An error that a person can clear, in its own words."""
    status = _STATUS.get(error.code, 503)
    return _message(request, status, "Cannot be shown", str(error), error=error)


@app.exception_handler(psycopg.Error)
def database_refused(request: Request, error: psycopg.Error) -> Response:
    """The database would not answer: a time-out, a missing right, or tables that no run has made yet."""
    message = _said(error)
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        message += " The first task of the next run brings the engine's tables up to date."
    return _message(request, 503, "Cannot be shown", message)
