"""Airflow's own configuration of metrics, at listeners of the tests."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator

import pytest
from airflow.sdk._shared.observability.metrics import otel_logger
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from tests.phase.conftest import quick, settings, world  # noqa: F401

from .statsd import Listener

Start = Callable[..., None]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Begin to report, by these settings of Airflow's section ``[metrics]``, as its task runner does."""

    def begin(**options: object) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)

    yield begin
    # what is left to report when this process ends is nobody's
    atexit.unregister(otel_logger.flush_otel_metrics)
    monkeypatch.undo()
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A StatsD server."""
    with (started := Listener()).socket:
        yield started
