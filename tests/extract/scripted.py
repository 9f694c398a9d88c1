"""A server that answers what a test tells it to, byte by byte: for what no simulator would say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from demo.simulators.server import Connection, Request, Response

Handler = Callable[[Request], Response]


class Scripted:
    """Serves ``handler`` on a free port, as a context manager. ``requests`` are those received."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.requests: list[Request] = []
        self.url = ""

    def _serve(self) -> None:
        async def listen() -> asyncio.Server:
            return await self._loop.create_server(lambda: Connection(self._answer, set()), "127.0.0.1", 0)

        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(listen())
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.close()

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self._handler(request)

    def __enter__(self) -> Scripted:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
