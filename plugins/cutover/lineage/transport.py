"""The way of an event to a lineage backend: without what it says of people, and without anybody waiting for it.

It is configured as OpenLineage's transport and wraps the one that sends. Airflow's provider waits for a transport, for
10 s at most before and after each task; this one hands the event to a process of its own, and goes on.
"""

from __future__ import annotations

import logging
import os
import re
import select
import signal
from typing import Any

import attrs
from openlineage.client.event_v2 import RunEvent
from openlineage.client.transport import get_default_factory
from openlineage.client.transport.transport import Config, Transport

_log = logging.getLogger(__name__)

# What stays of a DAG run, of all that Airflow knows of it: not who triggered it, nor with which parameters.
_OF_A_RUN = (
    "clear_number",
    "dag_id",
    "data_interval_end",
    "data_interval_start",
    "end_date",
    "logical_date",
    "run_after",
    "run_id",
    "run_type",
    "start_date",
)
# Files that a task may have open; a machine may allow a billion, which takes minutes to close one by one.
_MOST_FILES = 65_536
_CODE = re.compile(r"\[[a-z_]+\.[a-z-]+\]")


@attrs.define
class DetachedConfig(Config):
    """``transport`` is the configuration of the one that sends.

    ``wait`` is for how long an event is waited for, seconds, so that most have arrived when their task is over, and
    one that cannot be sent is in the task's log. ``limit``: after this a sender ends, whatever it is at.
    """

    transport: dict[str, Any]
    wait: float = 0.2
    limit: int = 60

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> DetachedConfig:
        """Raises KeyError without ``transport``."""
        wait, limit = float(params.get("wait", 0.2)), int(params.get("limit", 60))
        return cls(transport=params["transport"], wait=wait, limit=limit)


class Detached(Transport):
    """Sends each event in a process of its own, which nothing waits for longer than for ``wait`` seconds."""

    kind = "detached"
    config_class = DetachedConfig

    def __init__(self, config: DetachedConfig) -> None:
        self.config = config

    def emit(self, event: Any) -> None:
        """Begin to send an event. Raises ConnectionError where it is known by then that it cannot be sent."""
        discreet(event)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._detach(event, writing)
        os.close(writing)
        os.waitpid(child, 0)
        try:
            ready, _, _ = select.select([reading], [], [], self.config.wait)
            if ready and os.read(reading, 1) != b"1":
                raise ConnectionError("the lineage backend did not take it")
            if not ready:
                _log.info("the lineage backend has not answered within %s s: nothing waits for it", self.config.wait)
        finally:
            os.close(reading)

    def _detach(self, event: Any, writing: int) -> None:
        """Fork once more, so that the sender is nobody's child, and end. Does not return."""
        try:
            os.setsid()
            if os.fork() == 0:
                self._send(event, writing)
        finally:
            os._exit(0)

    def _send(self, event: Any, writing: int) -> None:
        """Send the event by the transport that does it, with nothing of the task's open, and end."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(self.config.limit)
        logging.disable(logging.CRITICAL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        # what waits for the task's end waits until nobody has these open
        os.closerange(3, writing)
        os.closerange(writing + 1, min(os.sysconf("SC_OPEN_MAX"), _MOST_FILES))
        get_default_factory().create(dict(self.config.transport)).emit(event)
        os.write(writing, b"1")


def discreet(event: Any) -> None:
    """Take out of an event of Airflow's provider who triggered the run, its parameters, and an error's text.

    An error of ours keeps its code; docs/errors.md says what it means.
    """
    if not isinstance(event, RunEvent):
        return
    facets: dict[str, Any] = event.run.facets or {}
    for name in ("airflow", "airflowDagRun"):
        facet = facets.get(name)
        if facet is not None:
            facet.dagRun = {key: value for key, value in dict(facet.dagRun).items() if key in _OF_A_RUN}
    failed = facets.get("errorMessage")
    if failed is not None:
        code = _CODE.match(failed.message)
        failed.message = code[0] if code else "the task's log says it"
        failed.stackTrace = None
