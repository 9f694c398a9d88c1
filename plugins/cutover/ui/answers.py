"""One answer to one question: whoever comes second is told whose answer stands.

Airflow 3.3 looks whether a question has been answered at a row that it has read before it locks it. Of answers that
arrive at one moment it accepts several, each with a 200: the task gets the first, the page shows the last, and the
others believe that theirs counts. Here they wait for one another, in this process and, where Airflow's database is
PostgreSQL, in all of them; Airflow then refuses all but the first, and its refusal says whose answer it was.

If anything here fails, the request goes to Airflow as it came.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cutover.migration import declared, load

log = logging.getLogger(__name__)

_QUESTION = re.compile(
    r"/api/v2/dags/(?P<dag_id>[^/]+)/dagRuns/(?P<run_id>[^/]+)/taskInstances/(?P<task_id>[^/]+)/(?P<map_index>-?\d+)"
    r"/hitlDetails/?$"
)
# An answer takes milliseconds; who waits for longer than this goes on as if there were nobody else.
_PATIENCE = "10s"


@dataclass
class _Turn:
    """Who answers one question in this process, and how many are there."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0


_turns: dict[str, _Turn] = {}


def one_answer(app: Any) -> Callable[..., Any]:
    """The middleware of the whole API server; everything but an answer passes by."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        match = None
        if scope["type"] == "http" and scope["method"] == "PATCH":
            match = _QUESTION.search((scope.get("raw_path") or scope["path"].encode()).decode("latin-1"))
        if match is None:
            await app(scope, receive, send)
            return
        question = {name: unquote(value) for name, value in match.groupdict().items()}
        async with _turn(json.dumps(question, sort_keys=True)):
            await app(scope, receive, _told(send, question))

    return call


@asynccontextmanager
async def _turn(question: str) -> AsyncIterator[None]:
    turn = _turns.setdefault(question, _Turn())
    turn.present += 1
    try:
        # within a process first, so that all that wait together take one connection of the pool
        async with turn.lock:
            held = None
            try:
                held = await asyncio.to_thread(_hold, question)
            except Exception:
                log.warning("answers of other API servers are not waited for", exc_info=True)
            try:
                yield
            finally:
                if held is not None:
                    with suppress(Exception):
                        await asyncio.to_thread(held.close)
    finally:
        turn.present -= 1
        if not turn.present:
            _turns.pop(question, None)


def _hold(question: str) -> Any:
    """A connection to Airflow's database that holds the question until it is closed; None if it has no such locks."""
    from airflow import settings
    from sqlalchemy import text

    engine = settings.engine
    if engine is None or engine.dialect.name != "postgresql":
        return None
    connection = engine.connect()
    try:
        connection.execute(text("select set_config('lock_timeout', :patience, true)"), {"patience": _PATIENCE})
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:question, 0))"), {"question": f"cutover {question}"}
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _told(send: Any, question: dict[str, str]) -> Callable[[Any], Any]:
    """Sends what Airflow sends; of a refusal because of an earlier answer, whose that was."""
    held_back: list[Any] = []

    async def call(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == 409:
            held_back.append(message)
            return
        if not held_back or message["type"] != "http.response.body":
            await send(message)
            return
        if message.get("more_body"):
            return
        start = held_back.pop()
        try:
            said = await asyncio.to_thread(_standing, question)
        except Exception:
            log.warning("whose answer stands is not known", exc_info=True)
            said = "This question has been answered already, and that answer stands; yours was not taken."
        body = json.dumps({"detail": said}).encode()
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in (b"content-length",)]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return call


def _standing(question: dict[str, str]) -> str:
    """Who has answered, what and when."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        answer = session.execute(
            select(HITLDetail.responded_by, HITLDetail.chosen_options, HITLDetail.responded_at)
            .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
            .where(
                TaskInstance.dag_id == question["dag_id"],
                TaskInstance.run_id == question["run_id"],
                TaskInstance.task_id == question["task_id"],
                TaskInstance.map_index == int(question["map_index"]),
            )
        ).one()
    by, chosen, at = answer
    name = by.get("name") if isinstance(by, dict) else getattr(by, "name", None)
    return (
        f"{name or 'Somebody'} answered {' and '.join(chosen or [])} at {at:%Y-%m-%d %H:%M:%S %Z}. "
        f"That answer stands; yours was not taken.{_and_then(question)}"
    )


def _and_then(question: dict[str, str]) -> str:
    """What whoever was second can do where one answer is not enough."""
    name = question["dag_id"]
    if question["task_id"] != "approve" or name not in declared() or load(name).quorum is None:
        return ""
    return " If others have to answer, the form is open again in some seconds: then press it once more."
