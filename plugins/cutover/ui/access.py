"""Who may see which page, and the headers that every answer carries.

Airflow mounts a plugin's routes without any check of its own: whatever is not asked for here is public.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_authenticated
from airflow.models.dag import DagModel
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

# A login, and the right to read the DAG named by the route's ``dag_id``. 401 and 403 else.
reads_dag = Depends(requires_access_dag(method="GET"))
# A login only: for what is about no DAG, and for lists that leave out what the user may not see.
signed_in = Depends(requires_authenticated())

# Our own pages run no script, and load nothing but their style sheet.
PAGES_POLICY = (
    "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# Great Expectations' pages bring scripts of their own, inline. They get no way to talk to anybody: no request, no
# form, no frame. A value that slipped through as script could read its own page, and nothing else.
DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-src 'none'; worker-src 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Middleware: the same headers on every answer, refusals and errors included."""
    answer = await call_next(request)
    answer.headers.update(_HEADERS)
    answer.headers.setdefault("Content-Security-Policy", PAGES_POLICY)
    return answer


def may_read(user: BaseUser, dag_id: str) -> bool:
    """Whether ``user`` may read the DAG: what ``reads_dag`` demands, for lists."""
    manager: Any = get_auth_manager()
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(manager.is_authorized_dag(method="GET", details=details, user=user))


def login_address(address: str) -> str:
    """Where to sign in, to come back to ``address``."""
    manager: Any = get_auth_manager()
    return str(manager.get_url_login(next_url=address))
