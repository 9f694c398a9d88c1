"""Rate limits: what the headers say, and when the next request may go out.

An endpoint's whole quota is spent, and no more: a burst while there is some, then as fast as it comes back.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from time import monotonic

MINUTE = 60.0
# A number this large is a point in time, in seconds or in milliseconds since 1970, and not a duration.
_EPOCH_SECONDS = 10_000_000
_EPOCH_MILLISECONDS = 100_000_000_000
# Seconds that a header may have rounded away.
_ROUNDING = 0.02


class Clock:
    """Time as the extractor sees it. Tests replace it."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return monotonic()

    def sleep(self, seconds: float, until: threading.Event) -> None:
        """Wait for ``seconds``, or until the event is set."""
        until.wait(seconds)


def seconds_until(value: str | None, now: datetime) -> float | None:
    """How long to wait, as a header says it: seconds (also decimal), seconds or milliseconds since 1970, an HTTP
    date or an ISO date. None for a value that is absent or none of these; a time that has passed is 0.
    """
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        moment = _date(value)
        return None if moment is None else max(0.0, (moment - now).total_seconds())
    if not 0 <= number < math.inf:
        return None
    if number >= _EPOCH_MILLISECONDS:
        number = number / 1000
    if number >= _EPOCH_SECONDS:
        return max(0.0, number - now.timestamp())
    return number


def _date(value: str) -> datetime | None:
    for parse in (parsedate_to_datetime, lambda text: datetime.fromisoformat(text.replace("Z", "+00:00"))):
        try:
            moment = parse(value.strip())
        except (ValueError, TypeError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return None


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """The time that the response's ``Date`` header gives; None without a readable one."""
    value = headers.get("Date")
    return _date(value) if value else None


def _number(headers: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        try:
            number = float(headers[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(number):
            return number
    return None


class Pacer:
    """Lets an endpoint's requests out as its rate limit allows. Shared by the threads that ask the endpoint.

    Where the period that the limit counts over is known, and the headers show that nobody else uses the quota, our
    own count decides: never more than the limit within ``window`` seconds from the moment a response arrived, which
    is never before its request was counted. Otherwise the headers decide: when what is left (less ``reserve``) is
    spent, wait until it is refilled, and then ask once to learn how much there is. The connection's ceiling holds
    in any case.
    """

    def __init__(self, clock: Clock, *, window: float | None, ceiling: int | None, reserve: int) -> None:
        self._clock = clock
        self._window_is_known = window is not None
        self._window = window or MINUTE
        # the ceiling is by the minute
        self._ceiling = None if ceiling is None else max(1, int(ceiling * self._window / MINUTE))
        self._reserve = reserve
        self._changed = threading.Condition()
        self._in_flight = 0
        # when each response of the last window arrived
        self._finished: deque[float] = deque()
        self._answered = False
        self._limit: int | None = None
        self._remaining: float | None = None
        self._refill_at = 0.0
        self._shared = False
        self._held_until = 0.0
        self._held_for = ""

    def acquire(self, wait: Callable[[float, str], None]) -> None:
        """Return when a request may go out. ``wait(seconds, reason)`` is called for every wait."""
        while True:
            with self._changed:
                seconds, reason = self._delay(self._clock.monotonic())
                if seconds is None:
                    # Only a response can tell. One that never comes times out, and then settles too.
                    self._changed.wait(1.0)
                    continue
                if seconds <= 0:
                    self._in_flight += 1
                    if self._remaining is not None:
                        self._remaining -= 1
                    return
            wait(seconds, reason)

    def settle(self, headers: Mapping[str, str], now: datetime) -> None:
        """A request that was let out is over; ``headers`` are its response's, or empty if there was none."""
        moment = self._clock.monotonic()
        limit = _number(headers, "Rate-Limit-Limit", "X-RateLimit-Limit")
        remaining = _number(headers, "Rate-Limit-Remaining", "X-RateLimit-Remaining")
        refill = seconds_until(headers.get("Rate-Limit-Reset") or headers.get("X-RateLimit-Refill"), now)
        with self._changed:
            self._in_flight -= 1
            self._answered = True
            self._finished.append(moment)
            self._forget(moment)
            if limit is not None and limit >= 1:
                self._limit = int(limit)
            if remaining is not None:
                # Requests under way may or may not be counted in it: assume that they are not.
                self._remaining = remaining - self._in_flight
                self._refill_at = moment + (1.0 if refill is None else refill + _ROUNDING)
                used = len(self._finished) + self._in_flight
                self._shared = self._limit is None or used + remaining < self._limit
            self._changed.notify_all()

    def hold(self, seconds: float, reason: str) -> None:
        """Let no request out for ``seconds``: the server has refused one."""
        with self._changed:
            until = self._clock.monotonic() + seconds
            if until > self._held_until:
                self._held_until, self._held_for = until, reason
            # What was left has changed by then.
            self._refill_at = min(self._refill_at, until)
            self._changed.notify_all()

    def _delay(self, now: float) -> tuple[float | None, str]:
        """Seconds to wait and why; None when a response under way has to be waited for."""
        if self._held_until > now:
            return self._held_until - now, self._held_for
        if not self._answered and self._in_flight:
            return None, ""  # what is allowed is unknown until the first response has come
        self._forget(now)
        counted = self._limit if self._window_is_known and not self._shared else None
        limit = min((known for known in (self._ceiling, counted) if known is not None), default=None)
        if limit is not None and self._in_flight + len(self._finished) >= limit:
            which = "ceiling of the connection" if limit == self._ceiling else "rate limit"
            until = self._finished[0] + self._window if self._finished else None
            return None if until is None else until - now, f"{which} ({limit} in {self._window:g} s)"
        if counted is None and self._remaining is not None and self._remaining <= self._reserve:
            if self._in_flight:
                return None, ""  # one request asks for all
            return self._refill_at - now, f"rate limit ({max(0, int(self._remaining))} requests left)"
        return 0.0, ""

    def _forget(self, now: float) -> None:
        while self._finished and self._finished[0] <= now - self._window:
            self._finished.popleft()
