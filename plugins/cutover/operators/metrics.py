"""Every metric, by Airflow's own ``stats``: to StatsD or OpenTelemetry, as Airflow's section ``[metrics]`` says.

All are gauges, which keep the newest value: a launch is rare, and a task is a process of its own, so that whatever adds
up would begin at nothing in each. docs/monitoring.md says what to do about which.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.observability.stats import Stats
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

if TYPE_CHECKING:
    from datetime import datetime

    from cutover.extract.report import SyncReport
    from cutover.status import Entry
    from cutover.status import Status as MigrationStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """One metric. ``labels`` come after ``migration``, which all have; ``unit`` is the plural of what is counted."""

    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus, with Airflow's own prefix: by statsd_exporter and by the OpenTelemetry Collector."""
        return f"airflow_{self.name.replace('.', '_')}"


TASK_SECONDS = Metric("cutover.task.seconds", "seconds", "how long the task's last success took", ("task",))
TASK_ROWS = Metric("cutover.task.rows", "rows", "rows that it read, froze or staged", ("task",))
TASK_WAL = Metric(
    "cutover.task.wal_bytes", "bytes", "WAL that the target's server wrote meanwhile, whoever for", ("task",)
)

EXTRACT_PAGES = Metric("cutover.extract.pages", "pages", "pages of the last sync", ("endpoint",))
EXTRACT_REQUESTS = Metric("cutover.extract.requests", "requests", "its requests, repeated ones included", ("endpoint",))
EXTRACT_RETRIES = Metric("cutover.extract.retries", "requests", "those of them that were repeated", ("endpoint",))
EXTRACT_WAIT_SECONDS = Metric(
    "cutover.extract.wait_seconds", "seconds", "waited in it for rate limits and after errors", ("endpoint",)
)
EXTRACT_REJECTED = Metric("cutover.extract.rejected_rows", "rows", "rows of it that could not be typed", ("endpoint",))
EXTRACT_AGE_SECONDS = Metric(
    "cutover.extract.age_seconds", "seconds", "since the endpoint was last read to its end", ("endpoint",)
)

SWAP_LOCK_SECONDS = Metric(
    "cutover.swap.lock_seconds", "seconds", "how long clients waited in the newest swap or rollback"
)
SWAP_FORECAST_SECONDS = Metric(
    "cutover.swap.forecast_seconds", "seconds", "the middle of up to 20 before it; absent after the first"
)
SWAP_ATTEMPTS = Metric("cutover.swap.attempts", "attempts", "how often it asked for its locks")
SWAP_CARRIED = Metric("cutover.swap.carried_writes", "writes", "writes of the application that it carried")
SWAP_QUARANTINED = Metric("cutover.swap.quarantined_writes", "writes", "writes that it could not carry")
SWAP_AGE_SECONDS = Metric("cutover.swap.age_seconds", "seconds", "since it happened")

CAPTURE_PENDING = Metric(
    "cutover.capture.pending_writes", "writes", "captured since the freeze, for the next swap to carry"
)
CAPTURE_AGE_SECONDS = Metric("cutover.capture.age_seconds", "seconds", "since the oldest of them")

APPROVAL_WAITING = Metric("cutover.approval.waiting", "questions", "questions to a person that wait")
APPROVAL_AGE_SECONDS = Metric("cutover.approval.age_seconds", "seconds", "since the oldest was asked; 0 without one")
APPROVAL_LEFT_SECONDS = Metric(
    "cutover.approval.left_seconds", "seconds", "until the first of them expires; 0 without one"
)

BACKUP_COUNT = Metric("cutover.backup.count", "schemas", "backups that are there")
BACKUP_BYTES = Metric("cutover.backup.bytes", "bytes", "their size, indexes included")

RUN_FAILED = Metric("cutover.run.failed", "runs", "failed runs of the DAG on Airflow's record", ("dag",))
LOOK_AT = Metric("cutover.look.at", "seconds since 1970", "when `outlook` last looked")

BY_TASK = (TASK_SECONDS, TASK_ROWS, TASK_WAL)
BY_SYNC = (EXTRACT_PAGES, EXTRACT_REQUESTS, EXTRACT_RETRIES, EXTRACT_WAIT_SECONDS, EXTRACT_REJECTED)
BY_SWAP = (
    SWAP_LOCK_SECONDS,
    SWAP_FORECAST_SECONDS,
    SWAP_ATTEMPTS,
    SWAP_CARRIED,
    SWAP_QUARANTINED,
    SWAP_AGE_SECONDS,
)
BY_LOOK = (
    EXTRACT_AGE_SECONDS,
    CAPTURE_PENDING,
    CAPTURE_AGE_SECONDS,
    APPROVAL_WAITING,
    APPROVAL_AGE_SECONDS,
    APPROVAL_LEFT_SECONDS,
    BACKUP_COUNT,
    BACKUP_BYTES,
    RUN_FAILED,
    LOOK_AT,
)
METRICS = (*BY_TASK, *BY_SYNC, *BY_SWAP, *BY_LOOK)


def gauge(metric: Metric, value: float, migration: str, *labels: str) -> None:
    """Report a value. Never raises: whatever becomes of it, the task goes on."""
    try:
        named = dict(zip(("migration", *metric.labels), (migration, *labels), strict=True))
        # one below nothing would be taken for a difference by StatsD
        Stats.gauge(_plain(metric, named) if _has_no_tags() else metric.name, max(value, 0), tags=named)
    except Exception as error:  # a client of somebody's own may raise anything
        log.warning("%s could not be reported: %s", metric.name, type(error).__name__)


def _has_no_tags() -> bool:
    """Whether values go to a StatsD that has no tags: there, labels are part of the name or are lost."""
    return (
        conf.getboolean("metrics", "statsd_on", fallback=False)
        and not conf.getboolean("metrics", "statsd_influxdb_enabled", fallback=False)
        and not conf.getboolean("metrics", "statsd_datadog_enabled", fallback=False)
    )


def _plain(metric: Metric, labels: dict[str, str]) -> str:
    """``cutover.task.rows.clean_launch.transform__users``: as Airflow writes task ids where dots have a meaning."""
    return ".".join((metric.name, *(value.replace(".", "__") for value in labels.values())))


def task(migration: str, task_id: str, seconds: float, rows: int | None, wal_bytes: int | None = None) -> None:
    """What a task that succeeded took."""
    if wal_bytes is not None:
        gauge(TASK_WAL, wal_bytes, migration, task_id)
    gauge(TASK_SECONDS, seconds, migration, task_id)
    if rows is not None:
        gauge(TASK_ROWS, rows, migration, task_id)


def sync(migration: str, report: SyncReport) -> None:
    """What a sync of one endpoint took."""
    values = (report.pages, report.requests, report.retries, sum(report.waited.values()), report.rejected)
    for metric, value in zip(BY_SYNC, values, strict=True):
        gauge(metric, value, migration, report.source)


def entry(migration: str, newest: Entry) -> None:
    """The newest swap or rollback."""
    values = (newest.lock_s, newest.forecast_s, newest.attempts, newest.carried, newest.quarantined, newest.age_s)
    for metric, value in zip(BY_SWAP, values, strict=True):
        if value is not None:
            gauge(metric, value, migration)


def status(migration: str, standing: MigrationStatus, failed: dict[str, int]) -> None:
    """How a migration stands; ``failed``: failed runs by DAG. What could not be told is left out."""
    if standing.entry is not None:
        entry(migration, standing.entry)
    for endpoint, age_s in (standing.extracted or {}).items():
        gauge(EXTRACT_AGE_SECONDS, age_s, migration, endpoint)
    if standing.backlog is not None:
        gauge(CAPTURE_PENDING, standing.backlog.writes, migration)
        gauge(CAPTURE_AGE_SECONDS, standing.backlog.age_s, migration)
    if standing.questions is not None:
        gauge(APPROVAL_WAITING, len(standing.questions), migration)
        gauge(APPROVAL_AGE_SECONDS, max((one.age_s for one in standing.questions), default=0), migration)
        gauge(APPROVAL_LEFT_SECONDS, min((one.left_s for one in standing.questions), default=0), migration)
    if standing.backups is not None:
        gauge(BACKUP_COUNT, standing.backups.count, migration)
        gauge(BACKUP_BYTES, standing.backups.bytes, migration)
    for dag_id, runs in failed.items():
        gauge(RUN_FAILED, runs, migration, dag_id)
    gauge(LOOK_AT, time.time(), migration)


@contextmanager
def span(task_id: str, **attributes: Any) -> Iterator[Span]:
    """A span of what a task does, within Airflow's own of the task; nothing where Airflow's ``[traces]`` are off.

    An error is named by its code or class alone: its text may show a row.
    """
    with trace.get_tracer("cutover").start_as_current_span(
        f"cutover.{task_id}",
        attributes={f"cutover.{name}": value for name, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_status(Status(StatusCode.ERROR, str(getattr(error, "code", type(error).__name__))))
            raise


def lock_span(newest: Entry) -> None:
    """The time that clients waited, by the server's clock, as a span within the task's."""

    def nanoseconds(moment: datetime) -> int:
        return int(moment.timestamp() * 1e9)

    lock = trace.get_tracer("cutover").start_span("cutover.lock", start_time=nanoseconds(newest.locked_at))
    lock.end(end_time=nanoseconds(newest.recorded_at))
