"""A lineage backend over HTTP: keeps what comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Collector:
    """Where it listens, and the events that have come. It takes none before ``takes`` is set, as it is at first."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    takes: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.takes.set()

    @property
    def transport(self) -> str:
        """Airflow's option ``[openlineage] transport`` that leads here."""
        sending = {"type": "http", "url": self.url}
        return json.dumps({"type": "cutover.lineage.transport.Detached", "transport": sending})

    def until(self, number: int, seconds: float = 20) -> list[dict[str, Any]]:
        """The events, when so many are there: their senders are nobody's to wait for."""
        deadline = time.monotonic() + seconds
        while len(self.events) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return list(self.events)


class Told:
    """What events come to, as a backend puts them together."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.completed = [event for event in events if event["eventType"] == "COMPLETE"]

    def inputs(self, job: str) -> dict[str, dict[str, Any]]:
        """The inputs of a job that has ended well, by their names."""
        return {one["name"]: one for event in self.completed if event["job"]["name"] == job for one in event["inputs"]}

    def outputs(self, job: str) -> dict[str, dict[str, Any]]:
        """Its outputs."""
        return {one["name"]: one for event in self.completed if event["job"]["name"] == job for one in event["outputs"]}

    def datasets_behind(self, name: str, job: str | None = None) -> set[str]:
        """All datasets that lead to one through jobs; into the first by ``job`` alone, and by no swap further back."""
        found: set[str] = set()
        ahead = self._read_for(name, job)
        while ahead:
            one = ahead.pop()
            if one not in found:
                found.add(one)
                ahead += self._read_for(one, None)
        return found

    def _read_for(self, name: str, job: str | None) -> list[str]:
        jobs = [
            event
            for event in self.completed
            if (event["job"]["name"] == job if job else not event["job"]["name"].endswith((".swap", ".rollback")))
        ]
        return [
            source["name"]
            for event in jobs
            if name in {output["name"] for output in event["outputs"]}
            for source in event["inputs"]
        ]

    def columns_behind(self, name: str, column: str, job: str | None = None) -> set[tuple[str, str]]:
        """All columns that lead to a column, each with its dataset."""
        found: set[tuple[str, str]] = set()
        ahead = self._made_of(name, column, job)
        while ahead:
            one = ahead.pop()
            if one not in found:
                found.add(one)
                ahead += self._made_of(*one, None)
        return found

    def _made_of(self, name: str, column: str, job: str | None) -> list[tuple[str, str]]:
        return [
            (source["name"], source["field"])
            for event in self.completed
            if (event["job"]["name"] == job if job else not event["job"]["name"].endswith((".swap", ".rollback")))
            for output in event["outputs"]
            if output["name"] == name
            for made, sources in output["facets"].get("columnLineage", {}).get("fields", {}).items()
            if made == column
            for source in sources["inputFields"]
        ]


@contextmanager
def listening() -> Iterator[Collector]:
    """A backend, while the block lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.takes.wait(60)
            collector.events.append(json.loads(body))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the tests' standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
