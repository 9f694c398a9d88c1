"""The way to a lineage backend: nothing about people on it, and nobody waits at its end."""

from __future__ import annotations

import socket
from datetime import datetime, timezone
from typing import Any

import pytest
from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run

from .collector import listening

AIRFLOW = {"dagRun": {"run_id": "manual__1", "triggering_user_name": "ann", "conf": {"request": 7}, "note": "for Ann"}}


def client(url: str, **options: Any) -> OpenLineageClient:
    """A client as Airflow's provider makes it of its option ``transport``. It tries once."""
    sending = {"type": "http", "url": url, "retry": {"total": 0}}
    detached = {"type": "cutover.lineage.transport.Detached", "transport": sending, **options}
    return OpenLineageClient(config={"transport": detached})


def event(message: str) -> RunEvent:
    """A task that failed, as the provider tells it."""
    from airflow.providers.openlineage.plugins.facets import AirflowRunFacet

    whole = AirflowRunFacet(dag={}, dagRun=AIRFLOW["dagRun"], taskInstance={}, task={}, taskUuid="1")
    error = error_message_run.ErrorMessageRunFacet(message, "python", f"Traceback: {message}")
    return RunEvent(
        eventTime=datetime.now(timezone.utc).isoformat(),
        producer="https://example.com",
        run=Run("01941c8f-0000-7000-8000-000000000000", facets={"airflow": whole, "errorMessage": error}),
        job=Job("tests", "clean_launch.swap"),
        eventType=RunState.FAIL,
    )


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("[validate.failed] run r1: ann@example.com is twice there.", "[validate.failed]"),
        ("(1, 'ann@example.com') is no row", "the task's log says it"),
    ],
)
def test_an_event_names_no_person_and_shows_no_row(message: str, told: str) -> None:
    with listening() as backend:
        client(backend.url, wait=10).emit(event(message))
        [arrived] = backend.until(1)
    facets = arrived["run"]["facets"]
    assert facets["airflow"]["dagRun"] == {"run_id": "manual__1"}
    assert facets["errorMessage"]["message"] == told and not facets["errorMessage"].get("stackTrace")
    assert "ann" not in str(arrived).lower().replace("language", "")


def test_a_slow_backend_keeps_nobody_waiting_and_is_told_all_the_same() -> None:
    with listening() as backend:
        backend.takes.clear()
        # comes back while the backend has not answered, or never
        client(backend.url, wait=0.1).emit(event("x"))
        assert backend.events == []
        backend.takes.set()
        assert len(backend.until(1)) == 1


def test_a_backend_that_is_not_there_is_told_of() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionError):
            client(f"http://127.0.0.1:{nobody.getsockname()[1]}", wait=60).emit(event("x"))
