"""The service: what it is made of, and the routes for other programs. The pages are in pages.py."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from cutover.errors import CutoverError
from mula_platform import limits, oldtokens, pages, rehearsal, webhooks
from mula_platform.database import Database, row, rows
from mula_platform.gate import Gate
from mula_platform.maintenance import Doorman, Maintenance
from mula_platform.metrics import Metrics
from mula_platform.service import Platform, rehearsed_answer, seen_in_rehearsal, session_of
from mula_platform.settings import Settings
from mula_platform.signin import SignIn, WrongError, is_on
from mula_platform.tokens import SESSION, SESSION_LIFETIME, KeyRing

LOG = logging.getLogger("mula_platform")
_HERE = Path(__file__).parent
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
# Seconds for which a client may keep the public keys; a rotation is seen by then.
_JWKS_S = 300


def make_app(settings: Settings) -> FastAPI:
    """The whole service, not connected yet."""
    database = Database(settings.dsn, settings.pool)
    ring = KeyRing(database, settings.keys)
    sign_in = SignIn(database, ring, settings)
    platform = Platform(settings, database, ring, sign_in, Metrics(), Maintenance(database))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        database.open()
        platform.maintenance.begin()
        yield
        platform.maintenance.end()
        database.close()

    app = FastAPI(title="Mula", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    _add_routes(app, platform)
    app.include_router(pages.ROUTER)
    app.include_router(webhooks.ROUTER)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_middleware(Doorman, maintenance=platform.maintenance, refuse=_closed)
    app.add_middleware(Gate, metrics=platform.metrics, url=settings.url)
    _add_errors(app)
    return app


class Exchange(BaseModel):
    """What RFC 8693 lets a client ask for; what it does not know is passed over, as that says."""

    grant_type: str = ""
    subject_token: str = ""
    subject_token_type: str = ""
    requested_token_type: str = ""
    actor_token: str = ""
    audience: str = ""
    resource: str = ""
    scope: str = ""

    def complaint(self, url: str) -> tuple[str, str] | None:
        """Why this cannot be asked, as the standard's error code and a sentence; None if it can."""
        if self.grant_type != _GRANT:
            return "unsupported_grant_type", f"grant_type must be {_GRANT}"
        if self.subject_token_type not in (*oldtokens.TOKEN_TYPES, *rehearsal.TOKEN_TYPES):
            return "invalid_request", f"subject_token_type must be {' or '.join(oldtokens.TOKEN_TYPES)}"
        if self.requested_token_type not in ("", _ACCESS_TOKEN, _JWT) or self.actor_token:
            return "invalid_request", "nothing but an access token for the subject itself is issued"
        if self.audience not in ("", SESSION[1]) or self.resource not in ("", url):
            return "invalid_target", f"the audience of our tokens is {SESSION[1]}"
        return ("invalid_scope", "our tokens have no scopes") if self.scope else None


def _add_routes(app: FastAPI, platform: Platform) -> None:
    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        """Whether the process answers; says nothing about the database."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    def readyz() -> PlainTextResponse:
        """Whether people can be served: 503 with what is missing."""
        missing = _missing(platform)
        return PlainTextResponse("\n".join(missing or ["ready"]) + "\n", status_code=503 if missing else 200)

    @app.get("/metrics")
    def metrics() -> Response:
        """Figures for Prometheus."""
        figures = platform.database.pool.get_stats()
        for state, name in (("open", "pool_size"), ("free", "pool_available"), ("waited_for", "requests_waiting")):
            platform.metrics.connections.labels(state).set(figures.get(name, 0))
        return Response(generate_latest(platform.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/.well-known/jwks.json")
    def jwks() -> JSONResponse:
        """The public keys that our tokens are signed with."""
        return JSONResponse(platform.ring.jwks(), headers={"cache-control": f"public, max-age={_JWKS_S}"})

    @app.post("/auth/exchange")
    def exchange(request: Request, asked: Annotated[Exchange, Form()]) -> JSONResponse:
        """RFC 8693: an old token of either application for one of ours, once."""
        complaint = asked.complaint(platform.settings.url)
        if complaint is not None:
            return _refused(*complaint)
        rehearsed = rehearsal.TOKEN_TYPES.get(asked.subject_token_type)
        source = rehearsed or oldtokens.TOKEN_TYPES[asked.subject_token_type]
        if rehearsed is not None:
            caller = pages.client(request)
            return rehearsed_answer(lambda: platform.sign_in.rehearse_token(asked.subject_token, source, caller))
        if not _is_on(platform, "token_exchange"):
            return _refused("temporarily_unavailable", "old tokens are not exchanged at the moment", 503)
        try:
            token = platform.sign_in.by_old_token(asked.subject_token, source, pages.client(request))
        except WrongError as error:
            platform.metrics.sign_ins.labels(source, "refused").inc()
            LOG.info("token of %s refused: %s", source, error.reason)
            return _refused("invalid_request", "the subject_token is not accepted")
        except limits.TooManyError as error:
            platform.metrics.sign_ins.labels(source, "limited").inc()
            headers = {"retry-after": str(error.seconds)}
            return _refused("slow_down", "too many tokens of yours were refused", 429, headers)
        platform.metrics.sign_ins.labels(source, "ok").inc()
        return JSONResponse(
            {
                "access_token": token,
                "issued_token_type": _ACCESS_TOKEN,
                "token_type": "Bearer",
                "expires_in": int(SESSION_LIFETIME.total_seconds()),
            },
            headers={"cache-control": "no-store"},
        )

    @app.get("/api/me")
    def me(request: Request) -> JSONResponse:
        """Whom a token is of, and how much of theirs it shows: for the old front ends, and to rehearse sign-ins."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_bearer = scheme.lower() == "bearer"
        session = session_of(platform, token) if is_bearer else None
        if session is None and is_bearer and (rehearsed := seen_in_rehearsal(platform, token)) is not None:
            return JSONResponse(rehearsed, headers={"cache-control": "no-store"})
        if session is None:
            headers = {"www-authenticate": 'Bearer realm="mula", error="invalid_token"'}
            return _refused("invalid_token", "sign in again", 401, headers)
        with platform.database.autocommit() as connection:
            shown = row(connection, "page/shown", **session.scope)
            accounts = rows(
                connection, "account/list", user_id=session.user_id, identity_id=session.identity_id,
                holder=session.holder,
            )  # fmt: skip
        held = [account for account in accounts if account["is_held"]]
        return JSONResponse(
            {
                "user_id": str(session.user_id),
                "email": session.address,
                "accounts": [{"source": a["source"], "legacy_user_id": a["legacy_user_id"]} for a in held],
                "not_proved": len(accounts) - len(held),
                "shown": shown,
            }
        )


def _is_on(platform: Platform, flag: str) -> bool:
    with platform.database.autocommit() as connection:
        return is_on(connection, flag)


def _missing(platform: Platform) -> list[str]:
    """What people cannot be served without, in words for whoever operates it."""
    try:
        with platform.database.autocommit() as connection:
            state = row(connection, "ready")
    except (psycopg.Error, PoolTimeout) as error:
        return [f"the unified database does not answer ({type(error).__name__})"]
    assert state is not None
    wanted = {
        "has_people": "the unified database has no people yet: mula_unification has not been launched",
        "may_prove": "the role has no right to public.legacy_identities: ./run platform setup",
        "may_follow": "the role cannot follow subscriptions: ./run platform setup",
        "is_launched": "it is not known when the launch was: ./run platform setup",
        "has_key": "there is no key to sign with: ./run platform rotate-keys",
    }
    return [why for name, why in wanted.items() if not state[name]]


def _closed(request: Request, why: str, seconds: int) -> Response:
    """What a change is answered while the maintenance window is open."""
    headers = {"retry-after": str(seconds)}
    if request.url.path == "/auth/exchange":
        return _refused("temporarily_unavailable", why, 503, headers)
    return pages.message(request, "One moment", why, 503, headers)


def _refused(error: str, why: str, status: int = 400, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        {"error": error, "error_description": why},
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
    )


def _add_errors(app: FastAPI) -> None:
    async def http(request: Request, error: Any) -> Response:
        titles = {404: "There is nothing here", 405: "That cannot be done here", 413: "That is too much"}
        title = titles.get(error.status_code, "That did not work")
        return pages.message(request, title, str(error.detail), error.status_code, error.headers)

    async def unavailable(request: Request, error: Any) -> Response:
        LOG.warning("not available: %s", type(error).__name__)
        return pages.message(
            request, "One moment", "We cannot reach your data right now. Please try again in a minute.", 503,
            {"retry-after": "60"},
        )  # fmt: skip

    async def fault(request: Request, error: Any) -> Response:
        LOG.error("%s", error if isinstance(error, CutoverError) else type(error).__name__, exc_info=error)
        return pages.message(request, "That did not work", "The fault is ours. Please try again.", 500)

    async def invalid(request: Request, _: Any) -> Response:
        return pages.message(request, "There is nothing here", "This address is not complete.", 404)

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind in (
        psycopg.OperationalError,
        psycopg.errors.LockNotAvailable,
        # between a launch, or an upgrade, and the setup after it
        psycopg.errors.UndefinedTable,
        psycopg.errors.InsufficientPrivilege,
        PoolTimeout,
    ):
        app.add_exception_handler(kind, unavailable)
    app.add_exception_handler(Exception, fault)
