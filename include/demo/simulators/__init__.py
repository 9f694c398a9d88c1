"""Xendit and Systeme.io on loopback, serving one population.

In a test::

    with Simulator(Population(profile=Profile().shrunk(50))) as simulator:
        crawl(simulator.xendit_url, simulator.systemeio_url)
        assert simulator.count("/v2/invoices") == 4

By hand: ``python -m demo.simulators --xendit-port 8101 --systemeio-port 8102``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType

from demo.population import Population
from demo.simulators.api import Logged, Scripted, Traffic
from demo.simulators.faults import Faults
from demo.simulators.rows import Rows
from demo.simulators.server import Connection, Handler, Request
from demo.simulators.systemeio import SystemeioApi, SystemeioOptions, SystemeioWorld
from demo.simulators.xendit import XenditApi, XenditOptions, XenditWorld

__all__ = ["Faults", "Population", "Simulator", "SystemeioOptions", "XenditOptions"]


@lru_cache(maxsize=4)
def _worlds(population: Population) -> tuple[XenditWorld, SystemeioWorld]:
    """The rows of a population, encoded once per process."""
    xendit, systemeio = XenditWorld.empty(), SystemeioWorld.empty()
    for block in population.blocks():
        xendit.append(block)
        systemeio.append(block)
    xendit.seal()
    systemeio.seal()
    return xendit, systemeio


class Simulator:
    """Both APIs in a thread of their own. Usable as a context manager, or by ``start`` and ``stop``.

    ``latency`` is in seconds and delays every answer. Port 0 takes a free one. ``transactions``, ``invoices``,
    ``refunds``, ``contacts`` and ``tags`` are this simulator's own rows: a test may insert, update and delete in
    them, best from ``on_request``, which is called before each answer.
    """

    def __init__(
        self,
        population: Population | None = None,
        *,
        xendit: XenditOptions | None = None,
        systemeio: SystemeioOptions | None = None,
        faults: Faults | None = None,
        latency: float = 0.0,
        xendit_port: int = 0,
        systemeio_port: int = 0,
    ) -> None:
        self.population = population or Population()
        xendit_world, systemeio_world = _worlds(self.population)
        self._traffic = Traffic(faults or Faults(), latency)
        self._xendit = XenditApi(xendit_world.fork(), xendit or XenditOptions(), self._traffic)
        self._systemeio = SystemeioApi(systemeio_world.fork(), systemeio or SystemeioOptions(), self._traffic)
        self._ports = [xendit_port, systemeio_port]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # the addresses and the rows

    @property
    def xendit_url(self) -> str:
        """The base address that stands for https://api.xendit.co."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def systemeio_url(self) -> str:
        """The base address that stands for https://api.systeme.io; the endpoints are below /api."""
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def transactions(self) -> Rows:
        """The rows behind GET /transactions."""
        return self._xendit.world.transactions

    @property
    def invoices(self) -> Rows:
        """The rows behind GET /v2/invoices."""
        return self._xendit.world.invoices

    @property
    def refunds(self) -> Rows:
        """The rows behind GET /refunds."""
        return self._xendit.world.refunds

    @property
    def contacts(self) -> Rows:
        """The rows behind GET /api/contacts."""
        return self._systemeio.world.contacts

    @property
    def tags(self) -> Rows:
        """The rows behind GET /api/tags."""
        return self._systemeio.world.tags

    # what tests ask for and look at

    @property
    def lock(self) -> threading.RLock:
        """Held while a request is answered; hold it to change rows from another thread."""
        return self._traffic.lock

    def on_request(self, call: Callable[[Request], None] | None) -> None:
        """Call this before each answer (in the simulator's thread); None for nothing."""
        self._traffic.on_request = call

    def fail(self, kind: str, path: str = "/", times: int = 1) -> None:
        """Let the next ``times`` requests whose path starts with ``path`` meet a fault of ``faults.KINDS``."""
        self._traffic.scripted.append(Scripted(kind, path, times))

    @property
    def requests(self) -> list[Logged]:
        """The requests answered so far, oldest first."""
        with self._traffic.lock:
            return list(self._traffic.log)

    def count(self, path: str = "/", status: int | None = None) -> int:
        """How many requests went to paths that start with ``path`` (and were answered with ``status``)."""
        return sum(
            request.path.startswith(path) and (status is None or request.status == status) for request in self.requests
        )

    def forget_requests(self) -> None:
        """Empty the log."""
        with self._traffic.lock:
            self._traffic.log.clear()

    # running

    def start(self) -> Simulator:
        """Serve. Raises OSError if a port is taken."""
        ready: list[OSError | None] = []
        started = threading.Event()

        def serve() -> None:
            loop = asyncio.new_event_loop()
            self._loop = loop
            servers: list[asyncio.Server] = []
            connections: set[Connection] = set()
            try:
                for position, api in enumerate((self._xendit, self._systemeio)):
                    server = loop.run_until_complete(_listen(loop, api.handle, self._ports[position], connections))
                    servers.append(server)
                    self._ports[position] = server.sockets[0].getsockname()[1]
            except OSError as error:
                ready.append(error)
            else:
                ready.append(None)
                started.set()
                loop.run_forever()
            for server in servers:
                server.close()
            for connection in connections:
                connection.abort()
            loop.run_until_complete(asyncio.sleep(0))  # lets the sockets close
            loop.close()
            started.set()

        self._thread = threading.Thread(target=serve, name="simulators", daemon=True)
        self._thread.start()
        started.wait()
        if ready[0] is not None:
            raise ready[0]
        return self

    def stop(self) -> None:
        """Stop serving; open connections are dropped."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = self._thread = None

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


async def _listen(
    loop: asyncio.AbstractEventLoop, handler: Handler, port: int, connections: set[Connection]
) -> asyncio.Server:
    return await loop.create_server(lambda: Connection(handler, connections), "127.0.0.1", port)
