"""What the operators report, as it leaves Airflow: to StatsD with and without tags, and to OpenTelemetry."""

from __future__ import annotations

import http.server
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import metrics as otel_metrics
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cutover.operators import metrics
from tests.phase.tiny import NAME, TASKS, World

from .conftest import Start
from .statsd import Listener, by_label


def test_a_launch_reports_what_is_documented_and_nothing_else(world: World, start: Start, listener: Listener) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port, statsd_influxdb_enabled=True)
    world.ended.add("manual__0")
    run = world.run("manual__1")
    assert run.until("approve") is None
    world.execute("insert into public.people values (3, 'Cid', 3)")
    world.look()
    asked = listener.gauges()
    assert run.answer() is None
    assert run.do("swap") is None and run.do("verify.certificate") is None
    swapped = listener.gauges()
    back = world.rollback("manual__2")
    assert back.do("preview") is None and back.do("approve") == "waiting"
    assert back.answer() is None and back.do("rollback") is None
    world.look()
    ended = listener.gauges()

    of_extraction = {metric.name for metric in (*metrics.BY_SYNC, metrics.EXTRACT_AGE_SECONDS)}
    everything = {f"airflow.{metric.name}": metric for metric in metrics.METRICS if metric.name not in of_extraction}
    reported = {**asked, **swapped, **ended}
    assert reported.keys() == everything.keys()
    for name, values in reported.items():
        for labels in values:
            assert [label for label, _ in labels] == sorted(("migration", *everything[name].labels)), name
            assert dict(labels)["migration"] == NAME

    def value(gauges: Any, metric: metrics.Metric) -> float:
        [result] = gauges[f"airflow.{metric.name}"].values()
        return float(result)

    rows = by_label(asked["airflow.cutover.task.rows"], "task")
    assert rows == {"freeze.snapshot": 2, "transform.people": 2, "transform.orders": 2}
    seconds = by_label(asked["airflow.cutover.task.seconds"], "task")
    assert seconds.keys() == TASKS.keys() - {"approve", "wait", "swap", "verify.certificate"}
    assert all(0 < taken < 60 for taken in seconds.values())
    assert (value(asked, metrics.APPROVAL_WAITING), value(ended, metrics.APPROVAL_WAITING)) == (1, 0)
    assert 0 < value(asked, metrics.APPROVAL_AGE_SECONDS) < 60
    assert 3500 < value(asked, metrics.APPROVAL_LEFT_SECONDS) <= 3600
    assert value(ended, metrics.APPROVAL_LEFT_SECONDS) == value(ended, metrics.APPROVAL_AGE_SECONDS) == 0
    assert (value(asked, metrics.CAPTURE_PENDING), value(ended, metrics.CAPTURE_PENDING)) == (1, 0)
    assert 0 < value(asked, metrics.CAPTURE_AGE_SECONDS) < 60
    assert value(swapped, metrics.SWAP_CARRIED) == 1
    assert value(swapped, metrics.SWAP_ATTEMPTS) == 1
    held = world.value("select extract(epoch from recorded_at - locked_at) from cutover.ledger where action = 'swap'")
    assert value(swapped, metrics.SWAP_LOCK_SECONDS) == pytest.approx(float(held))
    assert "airflow.cutover.swap.forecast_seconds" not in swapped, "nothing came before the first"
    assert value(ended, metrics.SWAP_FORECAST_SECONDS) == pytest.approx(float(held))
    assert (value(asked, metrics.BACKUP_COUNT), value(ended, metrics.BACKUP_COUNT)) == (0, 2)
    assert value(ended, metrics.BACKUP_BYTES) > 0
    assert by_label(ended["airflow.cutover.run.failed"], "dag") == {NAME: 1, f"{NAME}_rollback": 0}


def test_a_write_that_cannot_be_carried_is_counted(world: World, start: Start, listener: Listener) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port, statsd_influxdb_enabled=True)
    run = world.run("manual__1")
    assert run.until("approve") is None
    assert run.answer() is None
    world.execute("insert into public.orders values (9, 1)", "truncate public.orders")
    listener.gauges()
    assert run.do("swap") is None
    [quarantined] = listener.gauges()["airflow.cutover.swap.quarantined_writes"].values()
    assert quarantined == world.value("select count(*) from cutover.quarantine") > 0


def test_a_question_whose_run_was_marked_as_failed_waits_no_more(
    world: World, start: Start, listener: Listener
) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port, statsd_influxdb_enabled=True)
    assert world.run("manual__1").until("approve") is None
    world.ended.add("manual__1")
    world.look()
    assert list(listener.gauges()["airflow.cutover.approval.waiting"].values()) == [0]


def test_nothing_is_measured_before_the_first_launch(world: World, start: Start, listener: Listener) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port)
    assert "nobody is asked" in world.look()
    assert listener.gauges() == {}


def test_without_tags_labels_are_part_of_the_name(world: World, start: Start, listener: Listener) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port)
    assert world.run("manual__1").until("transform.people") is None
    gauges = listener.gauges()
    assert gauges["airflow.cutover.task.rows.tiny.transform__people"] == {(): 2}
    assert all(values.keys() == {()} for values in gauges.values())


@dataclass
class Collector:
    """An OTLP receiver over HTTP: the bodies that came to each path."""

    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        bodies = self.bodies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """An OTLP receiver, named by OpenTelemetry's own variables, which Airflow reads."""
    started = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", started.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    yield started
    started.server.shutdown()
    started.server.server_close()


def test_opentelemetry_gets_the_same_metrics_with_attributes(world: World, start: Start, collector: Collector) -> None:
    start(otel_on=True)
    assert world.run("manual__1").until("approve") is None
    world.look()
    otel_metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]
    otel_metrics.get_meter_provider().shutdown()  # type: ignore[attr-defined]
    gauges: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for body in collector.bodies["/v1/metrics"]:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.gauge.data_points:
                        labels = tuple(sorted((a.key, a.value.string_value) for a in point.attributes))
                        value = point.as_double if point.HasField("as_double") else point.as_int
                        gauges.setdefault(metric.name, {})[labels] = value
    known = {f"airflow.{metric.name}" for metric in metrics.METRICS}
    assert {name for name in gauges if "cutover" in name} <= known
    rows = by_label(gauges["airflow.cutover.task.rows"], "task")
    assert rows == {"freeze.snapshot": 2, "transform.people": 2, "transform.orders": 2}
    assert gauges["airflow.cutover.approval.waiting"] == {(("migration", NAME),): 1}


def test_phases_and_the_lock_are_spans(world: World, collector: Collector) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    processor = SimpleSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(processor)
    try:
        run = world.run("manual__1")
        assert "[freeze.not-captured]" in str(run.until("freeze.snapshot", "freeze.capture"))
        assert run.until("approve") is None and run.answer() is None
        assert run.do("wait") is None and run.do("swap") is None
    finally:
        processor.shutdown()
    spans = [
        span
        for body in collector.bodies["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    named = {span.name: span for span in spans if span.status.code == 0}
    assert named.keys() == {
        f"cutover.{task_id}" for task_id in TASKS if task_id not in ("approve", "verify.certificate")
    } | {"cutover.lock"}
    swap, lock = named["cutover.swap"], named["cutover.lock"]
    assert {a.key: a.value.string_value for a in swap.attributes} == {"cutover.migration": NAME, "cutover.run": run.key}
    assert lock.end_time_unix_nano > lock.start_time_unix_nano
    [failed] = [span for span in spans if span.status.code == 2]
    assert (failed.name, failed.status.message, len(failed.events)) == (
        "cutover.freeze.snapshot",
        "freeze.not-captured",
        0,
    )


def test_a_backend_that_is_not_there_fails_no_task(world: World, start: Start) -> None:
    start(statsd_on=True, statsd_host="no-such-host.invalid")
    assert world.run("manual__1").until("approve") is None


def test_a_client_that_raises_fails_no_task(world: World, start: Start) -> None:
    start(statsd_on=True, statsd_custom_client_path="tests.monitoring.broken.Broken")
    assert world.run("manual__1").until("approve") is None


def test_a_collector_that_never_answers_is_not_asked_while_a_task_works(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        start(otel_on=True)
        assert world.run("manual__1").until("approve") is None
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
        otel_metrics.get_meter_provider().shutdown(timeout_millis=1)  # type: ignore[attr-defined]


def test_a_value_that_cannot_be_told_is_left_out(start: Start, listener: Listener) -> None:
    from cutover.status import Status

    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port)
    metrics.status(NAME, Status(None, None, None, None, None, None), {})
    assert listener.gauges().keys() == {"airflow.cutover.look.at.tiny"}


def test_labels_are_what_the_metric_says(caplog: pytest.LogCaptureFixture, start: Start, listener: Listener) -> None:
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port)
    metrics.gauge(metrics.TASK_ROWS, 1, NAME)
    metrics.gauge(metrics.TASK_ROWS, -1, NAME, "a.b")
    assert listener.lines() == ["airflow.cutover.task.rows.tiny.a__b:0|g"]
    assert "cutover.task.rows could not be reported" in caplog.text
