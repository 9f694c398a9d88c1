"""What the routes work with, and who has sent a request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mula_platform import people
from mula_platform.database import Database, rows
from mula_platform.maintenance import Maintenance
from mula_platform.metrics import Metrics
from mula_platform.settings import Settings
from mula_platform.signin import SignIn
from mula_platform.tokens import SESSION, KeyRing, TokenError


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
            return ("UTC", *(found["name"] for found in rows(connection, "page/time_zones")))


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
