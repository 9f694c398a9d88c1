"""What every request passes on its way in and every answer on its way out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from mula_platform.metrics import Metrics

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

# Bytes of a request's body: the largest form is a token and a few words.
_LARGEST = 65_536
# Of an event of Stripe, which holds a whole object: a few kilobytes, and more for an invoice of many lines.
_LARGEST_OF = {"/webhooks/stripe": 262_144}
# Labels of the figures: a method that a client invents makes no new series.
_METHODS = frozenset(("GET", "HEAD", "POST"))
# Asked for by other programs, with a token or nothing in hand: no cookie counts there.
FOR_PROGRAMS = ("/auth/", "/api/", "/webhooks/")
HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"private, no-store",
}


class Gate:
    """Headers, a limit on bodies, a look at where a form came from, and the figures of each request."""

    def __init__(self, app: App, *, metrics: Metrics, url: str) -> None:
        self._app = app
        self._metrics = metrics
        self._origin = url
        self._is_https = urlsplit(url).scheme == "https"

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_ours(list(message.get("headers", [])))
            await send(message)

        try:
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"0")
            largest = _LARGEST_OF.get(scope["path"], _LARGEST)
            if not length.isdigit() or int(length) > largest:
                await _refuse(answer, 413, "too large")
            elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and self._is_foreign(scope["path"], headers):
                await _refuse(answer, 403, "sent by another site")
            else:
                await self._app(scope, _bounded(receive, largest), answer)
        finally:
            route = getattr(scope.get("route"), "path", None) or "none"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _is_foreign(self, path: str, headers: dict[bytes, bytes]) -> bool:
        """Whether a browser says that another site's page has sent this."""
        if path.startswith(FOR_PROGRAMS):
            return False
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in (b"same-origin", b"none"):
            return True
        origin = headers.get(b"origin")
        return origin is not None and origin.decode("latin-1") not in (self._origin, _host(headers, self._is_https))

    def _with_ours(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in HEADERS.items() if name not in given]
        if self._is_https:
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        return headers


def _host(headers: dict[bytes, bytes], is_https: bool) -> str:
    return f"{'https' if is_https else 'http'}://{headers.get(b'host', b'').decode('latin-1')}"


def _bounded(receive: Any, largest: int) -> Any:
    """``receive`` that ends a body which says no length and does not stop."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message: Message = await receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            raise HTTPException(413, "Nothing that we take is that long.")
        return message

    return bounded


async def _refuse(send: Any, status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})
