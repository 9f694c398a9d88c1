"""A small HTTP/1.1 server on asyncio that can also misbehave: cut bodies, reset connections, answer late.

Frameworks refuse to send a wrong Content-Length; a client that must survive one needs a server that does.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

_LARGEST_HEAD = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request as a handler sees it: header names in lower case, query in the order it was sent."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    target: str

    def value(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def values(self, name: str) -> list[str]:
        """All values of a repeated query parameter."""
        return [value for key, value in self.query if key == name]


@dataclass
class Response:
    """What to answer. ``delay`` is in seconds; ``broken`` is ``reset`` or ``cut`` (half the body, then the end)."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0
    broken: str | None = None

    def head(self, keep_alive: bool) -> bytes:
        """The status line and headers."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


Handler = Callable[[Request], Response]


class Connection(asyncio.Protocol):
    """One client's connection, kept alive, one request at a time. It is in ``open_ones`` while it is open."""

    def __init__(self, handler: Handler, open_ones: set[Connection]) -> None:
        self._handler = handler
        self._open_ones = open_ones
        self._buffer = b""
        self._busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_ones.add(self)
        # Without this, small answers wait for the client's delayed acknowledgement: 40 ms each.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self._transport = None
        self._open_ones.discard(self)

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        while self._transport and not self._busy:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                if len(self._buffer) > _LARGEST_HEAD:
                    self._transport.abort()
                return
            request, body_length, keep_alive = _parse(head)
            if len(rest) < body_length:
                return
            self._buffer = rest[body_length:]
            if request is None:
                self._send(Response(400, b'{"message":"Bad Request"}'), keep_alive=False)
                return
            try:
                response = self._handler(request)
            except Exception:  # a test's own callback, most likely: show it, and fail the request rather than hang
                traceback.print_exc()
                response = Response(500, b'{"message":"the simulator failed, see its standard error"}')
            if response.delay:
                self._busy = True
                asyncio.get_running_loop().call_later(response.delay, self._send_late, response, keep_alive)
            else:
                self._send(response, keep_alive)

    def _send_late(self, response: Response, keep_alive: bool) -> None:
        self._busy = False
        self._send(response, keep_alive)
        self._advance()

    def _send(self, response: Response, keep_alive: bool) -> None:
        if self._transport is None:
            return
        if response.broken == "reset":
            linger_off = struct.pack("ii", 1, 0)  # close with RST, not FIN
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_off)
            self._transport.abort()
            return
        if response.broken == "cut":
            self._transport.write(response.head(keep_alive) + response.body[: len(response.body) // 2])
            self._transport.close()
            return
        self._transport.write(response.head(keep_alive) + response.body)
        if not keep_alive:
            self._transport.close()


def _parse(head: bytes) -> tuple[Request | None, int, bool]:
    """A request without its body, the length of that, and whether the connection stays open."""
    line, *rest = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (entry.partition(":") for entry in rest)}
    length = headers.get("content-length", "0")
    if len(words) != 3 or not length.isdigit() or "transfer-encoding" in headers:
        return None, 0, False
    method, target, version = words
    path, _, query = target.partition("?")
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    return Request(method, unquote(path).rstrip("/") or "/", pairs, headers, target), int(length), keep_alive
