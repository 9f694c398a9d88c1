"""A StatsD server of the tests' own: what Airflow's own client sends to it by UDP, and what comes of that."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field

_LINE = re.compile(r"(?P<name>[^:,]+)(?P<tags>(?:,[^:,=]+=[^:,]*)*):(?P<value>-?[\d.e+-]+)\|g")


@dataclass
class Listener:
    """A UDP socket on loopback; ``gauges`` reads what has come: name → labels → value."""

    socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def __post_init__(self) -> None:
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    def lines(self) -> list[str]:
        """What has come since the last call. A datagram on loopback is here when its sender goes on."""
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(65_535).decode().splitlines()
            except BlockingIOError:
                return lines

    def gauges(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """The newest value of each of our gauges, by name and labels."""
        gauges: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for line in self.lines():
            if line.startswith("airflow.cutover."):
                match = _LINE.fullmatch(line)
                assert match is not None, line
                labels = tuple(sorted(tuple(tag.split("=", 1)) for tag in match["tags"].split(",")[1:]))
                gauges.setdefault(match["name"], {})[labels] = float(match["value"])  # type: ignore[index]
        return gauges


def by_label(values: dict[tuple[tuple[str, str], ...], float], label: str) -> dict[str, float]:
    """Values by one of their labels."""
    return {dict(labels)[label]: value for labels, value in values.items()}
