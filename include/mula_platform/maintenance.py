"""The maintenance window as people see it: a banner before it, and while it is open everything but changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request

from mula_platform.database import Database, Row, row, rows

LOG = logging.getLogger("mula_platform")
# Seconds between two looks: so late the first change is refused, and the first let through again.
_EVERY_S = 2.0
# A window is announced on the pages so long before it opens.
_ANNOUNCED_BEFORE = timedelta(hours=24)
# Seconds after which to come again, where the window should be over already and is not.
_OVERDUE_S = 60
_MEANWHILE = "Who is signed in can look at everything; changes, and signing in, wait until it is over."

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]


@dataclass(frozen=True)
class Window:
    """When it is, by the launch's own timeline."""

    opens_at: datetime
    ends_at: datetime
    is_open: bool

    def retry_after(self, now: datetime) -> int:
        """Seconds until it should be over."""
        return max(int((self.ends_at - now).total_seconds()), _OVERDUE_S)

    def sentence(self, now: datetime) -> str | None:
        """What every page says of it; None while it is far away."""
        if self.is_open and self.ends_at > now:
            until = f"{self.ends_at:%H:%M} UTC"
            return f"We are moving things, until about {until}. {_MEANWHILE}"
        if self.is_open:
            return f"We are moving things, and it takes a little longer. {_MEANWHILE}"
        if self.opens_at - now > _ANNOUNCED_BEFORE:
            return None
        when = f"on {self.opens_at:%d %B from %H:%M} to {self.ends_at:%H:%M} UTC"
        return f"Planned maintenance {when}. {_MEANWHILE}"


class Maintenance:
    """Knows whether the window is open, because it asks every two seconds beside the requests and none waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._over = threading.Event()
        # One look at a time: an answer from before a change must not replace one from after it.
        self._looking = threading.Lock()
        self.window: Window | None = None

    def begin(self) -> None:
        """Ask from now on, until ``end``."""
        threading.Thread(target=self._ask_on, name="maintenance", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._over.set()

    def look(self) -> None:
        """Ask once. A database that does not answer changes nothing of what is known."""
        with self._looking:
            try:
                with self._database.autocommit() as connection:
                    window = row(connection, "maintenance/window")
            except (psycopg.Error, PoolTimeout) as error:
                LOG.warning("the maintenance window is not known: %s", type(error).__name__)
            else:
                self.window = None if window is None else Window(**window)

    def steps(self) -> list[Row]:
        """What is planned in the newest window for when, and when it was."""
        with self._database.autocommit() as connection:
            return rows(connection, "maintenance/steps")

    def _ask_on(self) -> None:
        while not self._over.is_set():
            self.look()
            self._over.wait(_EVERY_S)


class Doorman:
    """Answers 503 to whatever would change something while the window is open."""

    def __init__(self, app: App, *, maintenance: Maintenance, refuse: Callable[[Request, str, int], Any]) -> None:
        self._app = app
        self._maintenance = maintenance
        self._refuse = refuse

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            window = self._maintenance.window
            if window is not None and window.is_open:
                now = datetime.now(timezone.utc)
                answer = self._refuse(Request(scope), window.sentence(now) or "", window.retry_after(now))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
