"""What both simulated APIs share: the request log, faults, latency and the quota."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from demo.simulators.faults import Faults
from demo.simulators.server import Request, Response


class Quota:
    """So many requests in a sliding window; ``limit`` None for no end of them."""

    def __init__(self, limit: int | None, window_seconds: float) -> None:
        self.limit = limit
        self._window = window_seconds
        self._taken: dict[str, deque[float]] = {}

    def take(self, bucket: str) -> tuple[bool, int, float]:
        """Whether a request is allowed, how many remain, and the seconds until the oldest one leaves the window."""
        if self.limit is None:
            return True, 600, 0.0
        now = time.monotonic()
        taken = self._taken.setdefault(bucket, deque())
        while taken and taken[0] <= now - self._window:
            taken.popleft()
        allowed = len(taken) < self.limit
        if allowed:
            taken.append(now)
        wait = taken[0] + self._window - now if taken else 0.0
        return allowed, self.limit - len(taken), wait


@dataclass(frozen=True)
class Logged:
    """A request that was answered: ``at`` is the monotonic clock in seconds, ``fault`` what was done to the answer."""

    at: float
    api: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    status: int
    fault: str | None


@dataclass
class Scripted:
    """Faults that a test asked for: the next ``times`` requests whose path starts with ``path`` meet ``kind``."""

    kind: str
    path: str
    times: int


@dataclass
class Traffic:
    """Shared by both APIs of one simulator. ``lock`` is held while a request is answered and rows are changed."""

    faults: Faults
    latency: float
    lock: threading.RLock = field(default_factory=threading.RLock)
    log: deque[Logged] = field(default_factory=lambda: deque(maxlen=200_000))
    scripted: list[Scripted] = field(default_factory=list)
    # called before a request is answered, under the lock: a test can change the world between two pages here
    on_request: Callable[[Request], None] | None = None


class Api:
    """One simulated API: subclasses answer, this class logs, delays and spoils the answers."""

    name = ""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic

    def answer(self, request: Request) -> Response:
        """The API's answer to a request."""
        raise NotImplementedError

    def too_many_requests(self, wait: float) -> Response:
        """The API's 429 with as many hints as it is configured to give; ``wait`` in seconds."""
        raise NotImplementedError

    def handle(self, request: Request) -> Response:
        """Answer, spoil and log a request."""
        traffic = self.traffic
        with traffic.lock:
            if traffic.on_request:
                traffic.on_request(request)
            response = self.answer(request)
            response.delay += traffic.latency
            fault = self._fault(request)
            if fault:
                bare = self.too_many_requests(1.0)
                bare.headers.pop("Retry-After", None)
                response = traffic.faults.apply(fault, response, bare)
            traffic.log.append(
                Logged(time.monotonic(), self.name, request.method, request.path, request.query, response.status, fault)
            )
            return response

    def _fault(self, request: Request) -> str | None:
        for scripted in self.traffic.scripted:
            if scripted.times > 0 and request.path.startswith(scripted.path):
                scripted.times -= 1
                return scripted.kind
        return self.traffic.faults.draw(f"{self.name} {request.target}")
