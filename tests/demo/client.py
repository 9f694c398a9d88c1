"""A small world, and a plain client of the simulated APIs."""

from __future__ import annotations

from collections.abc import Iterator

import requests

from demo.contamination import Contamination
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from demo.population import Population, Profile
from demo.simulators import Simulator

SMALL = Population(profile=Profile().shrunk(40))
SMALL_CONTAMINATION = Contamination().shrunk(40)


class Client:
    """A plain client of both APIs, with the right keys."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.auth = (XENDIT_API_KEY, "")
        self.session.headers["X-API-Key"] = SYSTEMEIO_API_KEY

    def get(self, path: str, **options: object) -> requests.Response:
        """GET from the API that has this path."""
        base = self.simulator.systemeio_url if path.startswith("/api/") else self.simulator.xendit_url
        return self.session.get(base + path, timeout=10, **options)  # type: ignore[arg-type]

    def pages(self, path: str, cursor: str, member: str | None, **query: object) -> Iterator[list[dict[str, object]]]:
        """Pages of a list, followed by the last id of each."""
        parameters: dict[str, object] = dict(query)
        while True:
            body = self.get(path, params=parameters).json()
            rows = body if member is None else body[member]
            if not rows:
                return
            yield rows
            parameters[cursor] = rows[-1]["id"]

    def ids(self, path: str, cursor: str, member: str | None, **query: object) -> list[object]:
        """The ids of all rows of a list, as paging finds them."""
        return [row["id"] for page in self.pages(path, cursor, member, **query) for row in page]
