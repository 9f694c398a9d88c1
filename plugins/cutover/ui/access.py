"""Who may see which page, and the headers that every answer carries.

Airflow mounts a plugin's routes without any check of its own: whatever is not asked for here is public.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_authenticated
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cutover.records.comments import LONGEST

# A login, and the right to read the DAG named by the route's ``dag_id``. 401 and 403 else.
reads_dag = Depends(requires_access_dag(method="GET"))
# A login only: for what is about no DAG, and for lists that leave out what the user may not see.
signed_in = Depends(requires_authenticated())


def requires_rollback(request: Request, user: GetUserDep) -> None:
    """Refuse (403) who may not trigger the rollback of the migration that the address names, in Airflow's own terms."""
    if not may_roll_back(user, request.path_params["dag_id"]):
        raise HTTPException(403, f"You may not trigger {rollback_of(request.path_params['dag_id'])}.")


def rollback_of(migration: str) -> str:
    """The DAG that takes a migration's launches back."""
    return f"{migration}_rollback"


def may_roll_back(user: BaseUser, migration: str) -> bool:
    """Whether ``user`` may trigger the rollback of a migration: what Airflow demands of its own button."""
    manager: Any = get_auth_manager()
    dag_id = rollback_of(migration)
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user))


def requires_comment(request: Request, user: GetUserDep) -> None:
    """Refuse (403) who may not comment on a run of the DAG that the address names."""
    if not may_comment(user, request.path_params["dag_id"]):
        raise HTTPException(403, "Who may trigger a run or answer its question may comment on it, and you may neither.")


def may_comment(user: BaseUser, dag_id: str) -> bool:
    """Whether ``user`` has a say in a run: may trigger one of the DAG, or answer its question."""
    manager: Any = get_auth_manager()
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    says: list[tuple[Any, DagAccessEntity]] = [("POST", DagAccessEntity.RUN), ("PUT", DagAccessEntity.HITL_DETAIL)]
    return any(
        manager.is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
        for method, entity in says
    )


# Our own pages run no script, and load nothing but their style sheet.
PAGES_POLICY = (
    "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# Great Expectations' pages bring scripts of their own, inline. They get an origin of their own (`sandbox` without
# `allow-same-origin`), so that neither the reader's session nor the page around them is within reach, and no way to
# talk to anybody: no request, no form, no window, no frame. A value that slipped through as script could read its own
# page, and nothing else.
DOCS_POLICY = (
    "sandbox allow-scripts; default-src 'self'; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-src 'none'; worker-src 'none'; frame-ancestors 'self'"
)
# A browser keeps such a page for its reader alone, and asks with each visit whether it is the same and still theirs.
DOCS_HEADERS = {"Content-Security-Policy": DOCS_POLICY, "Cache-Control": "private, no-cache"}
# What those pages load. A page without an origin is a stranger even here: it has no session to show, and may take
# only what is for everybody. The address holds a digest of the content, so a copy of it stays good.
ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


# No address of ours is longer; and no value of a column, name or id holds a NUL, which no database takes.
LONGEST_ADDRESS = 4_000
# Bytes of a form with a comment: each of its characters may take four, written as three each.
_LONGEST_FORM = 12 * LONGEST + 100

Next = Callable[[Request], Awaitable[Response]]


def headed(answer: Response) -> Response:
    """The headers that every answer carries, unless it says otherwise itself."""
    for name, value in {**_HEADERS, "Content-Security-Policy": PAGES_POLICY}.items():
        answer.headers.setdefault(name, value)
    return answer


def is_no_address(request: Request) -> bool:
    """Whether no page can be at this address, before anybody looks: too long, or with a NUL in it."""
    path, query = request.scope["path"], request.scope.get("query_string", b"")
    return "\0" in path or b"%00" in query or len(path) + len(query) > LONGEST_ADDRESS


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that was sent, of a size that a form of ours has. 413 for more."""
    return await _fields(request, LONGEST_ADDRESS)


async def long_form(request: Request) -> dict[str, str]:
    """The same of a form in which people write sentences."""
    return await _fields(request, _LONGEST_FORM)


async def _fields(request: Request, longest: int) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > longest:
            raise HTTPException(413, "This is more than the form holds.")
    try:
        return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True, max_num_fields=10))
    except ValueError:
        return {}


def require_own_page(request: Request) -> None:
    """Refuse (403) what a page of somebody else has sent. Browsers say where a request comes from; others do not."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "This form was sent by another page.")


def is_led_by_a_stranger(request: Request) -> bool:
    """Whether a page of Data Docs leads to another within a frame: it has no origin, so no session comes with it."""
    headers = request.headers
    return headers.get("sec-fetch-dest") == "iframe" and headers.get("sec-fetch-site") == "cross-site"


def may_read(user: BaseUser, dag_id: str) -> bool:
    """Whether ``user`` may read the DAG: what ``reads_dag`` demands, for lists."""
    manager: Any = get_auth_manager()
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(manager.is_authorized_dag(method="GET", details=details, user=user))


def login_address(address: str) -> str:
    """Where to sign in, to come back to ``address``."""
    manager: Any = get_auth_manager()
    return str(manager.get_url_login(next_url=address))
