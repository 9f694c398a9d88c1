"""A StatsD client of somebody's own that does not work."""

from __future__ import annotations

from typing import Any

from statsd import StatsClient


class Broken(StatsClient):  # type: ignore[misc]
    """Raises whatever it is asked."""

    def gauge(self, *_: Any, **__: Any) -> None:
        """Raises RuntimeError."""
        raise RuntimeError("full")
