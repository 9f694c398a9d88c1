"""The simulators can fail in every way that a network and a service do, again and again the same."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests

from demo.simulators import Faults
from demo.simulators.faults import KINDS
from tests.demo.client import Client

Simulate = Callable[..., Client]


def outcome(client: Client, path: str) -> str:
    """In a word, what a request met with."""
    try:
        answer = client.get(path)
    except requests.ConnectionError as error:
        return "incomplete" if "IncompleteRead" in str(error) else "reset"
    except requests.exceptions.ChunkedEncodingError:
        return "incomplete"
    if answer.status_code != 200:
        return f"{answer.status_code}{' retry-after' if 'Retry-After' in answer.headers else ''}"
    try:
        answer.json()
    except requests.JSONDecodeError:
        return "not json"
    return "ok"


@pytest.mark.parametrize("path", ["/transactions", "/v2/invoices", "/api/contacts"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("too_many_requests", "429"),
        ("too_many_requests_retry_after", "429 retry-after"),
        ("server_error", "500"),
        ("unavailable", "503"),
        ("truncated", "not json"),
        ("cut", "incomplete"),
        ("reset", "reset"),
        ("slow", "ok"),
    ],
)
def test_every_kind_of_fault_looks_as_it_should(simulate: Simulate, path: str, kind: str, expected: str) -> None:
    client = simulate(faults=Faults(slow_seconds=0.1))
    client.simulator.fail(kind, path)
    started = time.monotonic()
    assert outcome(client, path) == expected
    assert (time.monotonic() - started >= 0.1) == (kind == "slow")
    assert outcome(client, path) == "ok", "only the next request was to fail"
    assert [request.fault for request in client.simulator.requests] == [kind, None]


def test_unavailable_answers_html_and_truncated_tells_the_length_it_sends(simulate: Simulate) -> None:
    client = simulate()
    client.simulator.fail("unavailable")
    assert client.get("/transactions").headers["Content-Type"] == "text/html"
    client.simulator.fail("truncated")
    answer = client.get("/transactions")
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_faults_come_at_their_rate_and_end(simulate: Simulate) -> None:
    kinds = tuple(kind for kind in KINDS if kind != "slow")
    client = simulate(faults=Faults(rate=0.3, kinds=kinds, in_a_row=2))
    outcomes = [outcome(client, f"/transactions?limit={limit % 40 + 1}") for limit in range(300)]
    assert 0.15 < sum(word != "ok" for word in outcomes) / len(outcomes) < 0.4
    assert {"ok", "429", "429 retry-after", "500", "503", "not json", "incomplete", "reset"} == set(outcomes)


def test_a_request_fails_at_most_so_often_in_a_row(simulate: Simulate) -> None:
    client = simulate(faults=Faults(rate=1.0, kinds=("server_error",), in_a_row=2))
    assert [outcome(client, "/transactions") for _ in range(6)] == ["500", "500", "ok"] * 2


def test_the_same_seed_fails_the_same_requests(simulate: Simulate) -> None:
    def run(seed: int) -> list[str]:
        client = simulate(faults=Faults(rate=0.5, kinds=("server_error", "unavailable"), seed=seed))
        return [outcome(client, f"/transactions?limit={limit}") for limit in range(1, 40)]

    assert run(1) == run(1) != run(2)
