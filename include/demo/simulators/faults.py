"""What goes wrong on the way: drawn from a seed, so that a failing test fails again."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from demo.simulators.server import Response

KINDS = (
    "too_many_requests",
    "too_many_requests_retry_after",
    "server_error",
    "unavailable",
    "truncated",
    "cut",
    "reset",
    "slow",
)
_HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><hr>nginx</body></html>"


@dataclass
class Faults:
    """Which share of requests fails, and how.

    A request (its target) fails by chance at most ``in_a_row`` times before it is let through, so that a client
    that tries again gets on. The draw depends on the seed, the target and how often it was asked for: not on the
    order in which concurrent clients arrive.
    """

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    in_a_row: int = 2
    slow_seconds: float = 0.3
    retry_after_seconds: int = 1
    _asked: Counter[str] = field(default_factory=Counter)
    _failed: Counter[str] = field(default_factory=Counter)

    def draw(self, target: str) -> str | None:
        """The kind of fault that meets this request; None for none."""
        if self.rate <= 0:
            return None
        self._asked[target] += 1
        digest = hashlib.sha256(f"{self.seed} {self._asked[target]} {target}".encode()).digest()
        rng = random.Random(digest)
        if self._failed[target] >= self.in_a_row or rng.random() >= self.rate:
            self._failed[target] = 0
            return None
        self._failed[target] += 1
        return rng.choice(self.kinds)

    def apply(self, kind: str, answer: Response, too_many: Response) -> Response:
        """What the client gets instead of ``answer``; ``too_many`` is this API's own 429 without Retry-After."""
        retry_after = {"Retry-After": str(self.retry_after_seconds)}
        spoiled = {
            "too_many_requests": too_many,
            "too_many_requests_retry_after": replace(too_many, headers={**too_many.headers, **retry_after}),
            "server_error": Response(500, b'{"error_code":"SERVER_ERROR","message":"An unexpected error occurred"}'),
            "unavailable": Response(503, _HTML, content_type="text/html"),
            "truncated": replace(answer, body=answer.body[: len(answer.body) // 2]),
            "cut": replace(answer, broken="cut"),
            "reset": replace(answer, broken="reset"),
            "slow": replace(answer, delay=answer.delay + self.slow_seconds),
        }
        return spoiled[kind]
