"""What the routes work with, and who has sent a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi.responses import JSONResponse

from mula_platform import limits, passwords, people
from mula_platform.database import Database, row, rows
from mula_platform.maintenance import Maintenance
from mula_platform.metrics import Metrics
from mula_platform.settings import Settings
from mula_platform.signin import RehearsedError, SignIn, WrongError
from mula_platform.tokens import REHEARSAL, SESSION, KeyRing, TokenError


@dataclass(frozen=True)
class Platform:
    """What the routes work with: ``request.app.state.platform``."""

    settings: Settings
    database: Database
    ring: KeyRing
    sign_in: SignIn
    metrics: Metrics
    maintenance: Maintenance

    @cached_property
    def time_zones(self) -> tuple[str, ...]:
        """The names of places that the database knows, UTC first. It reads hundreds of files to tell them: once."""
        with self.database.autocommit() as connection:
            return ("UTC", *(zone["name"] for zone in rows(connection, "page/time_zones")))


def session_of(platform: Platform, token: str) -> people.Session | None:
    """Whose token this is, if it is one of ours, for a session, and the session is good at this moment."""
    try:
        claims = platform.ring.read(token, SESSION, platform.settings.url)
    except TokenError:
        return None
    with platform.database.autocommit() as connection:
        session = people.find(connection, str(claims["jti"]))
    # the token says who it is of as well: a row that says otherwise is not believed
    return session if session is not None and str(session.user_id) == claims["sub"] else None


def seen_in_rehearsal(platform: Platform, token: str) -> dict[str, Any] | None:
    """What a rehearsal is told with a token that it was given, while it is open: nothing that names a person.

    Whose account it is, how its password is kept, and how many rows it is shown.
    """
    try:
        claims = platform.ring.read(token, REHEARSAL, platform.settings.url)
    except TokenError:
        return None
    with platform.database.autocommit() as connection:
        session = people.find(connection, str(claims["jti"]), str(claims.get("rehearsal")))
        if session is None or str(session.user_id) != claims["sub"]:
            return None
        shown = row(connection, "page/shown", **session.scope)
        credential = row(connection, "account/credential", identity_id=session.identity_id, user_id=session.user_id)
    return {
        "user_id": str(session.user_id),
        "source": session.source,
        "legacy_user_id": session.legacy_user_id,
        "password": (passwords.scheme(credential["hash"]) or "unknown") if credential else None,
        "shown": shown,
    }


def rehearsed_answer(sign_in: Callable[[], str]) -> JSONResponse:
    """What a rehearsal is answered to a sign-in: a token, or the reason for which a person would be refused.

    Whoever has not proved to be the rehearsal is told no more than anybody else. It is no sign-in to the figures.
    """
    headers = {"cache-control": "no-store"}
    try:
        return JSONResponse({"access_token": sign_in(), "token_type": "Bearer"}, headers=headers)
    except RehearsedError as error:
        answer, status = {"error": "invalid_request", "reason": error.reason}, 400
    except WrongError:
        answer, status = {"error": "invalid_request", "error_description": "the subject_token is not accepted"}, 400
    except limits.TooManyError as error:
        answer, status = {"error": "slow_down"}, 429
        headers["retry-after"] = str(error.seconds)
    return JSONResponse(answer, status_code=status, headers=headers)
