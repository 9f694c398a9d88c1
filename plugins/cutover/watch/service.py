"""What a service says of itself: an answer of Prometheus, or its own figures in Prometheus' text format.

A counter says how often something has happened since the service began. What counts here is what has happened since
the look before, so what was counted is kept with each look.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from cutover.errors import CutoverError
from cutover.watch.check import Series, Service

# Connection, path and parameters of a GET → the answer's text. Raises CutoverError where there is none.
Fetch = Callable[[str, str, Mapping[str, str]], str]
# What was counted at a look, by a name of this module; of a histogram, by upper bound.
Counted = Mapping[str, float]


def measure(service: Service, fetch: Fetch, before: Counted | None) -> tuple[Decimal | None, Counted]:
    """The value of a check, and what was counted now.

    The value is None where there is nothing to say: no look before this one, too little counted since, or no answer to
    a query. Raises CutoverError ``watch.no-answer``, and what ``fetch`` raises.
    """
    if service.kind == "prometheus":
        query = {"query": service.prometheus or ""}
        return _of_prometheus(fetch(service.connection, "/api/v1/query", query)), {}
    text = fetch(service.connection, service.path, {})
    if service.kind == "gauge" and service.gauge is not None:
        values = _values(text, service.gauge, service)
        return (Decimal(repr(sum(values.values()))) if values else None), {}
    if service.kind == "share" and service.share is not None and service.of is not None:
        counted = {
            "share": sum(_values(text, service.share, service).values()),
            "of": sum(_values(text, service.of, service).values()),
        }
    else:
        assert service.histogram is not None  # the declaration says so
        counted = _buckets(text, service.histogram, service)
    since = None if before is None else _since(counted, before)
    if since is None:
        return None, counted
    if service.kind == "share":
        enough = since["of"] >= service.at_least_counted
        return (Decimal(f"{100 * since['share'] / since['of']:.3f}") if enough else None), counted
    return _quantile(service, since), counted


def _since(now: Counted, before: Counted) -> Counted:
    """What was counted in between. A service that has begun anew counts from nothing."""
    if any(now.get(key, 0.0) < value for key, value in before.items()):
        return now
    return {key: value - before.get(key, 0.0) for key, value in now.items()}


def _quantile(service: Service, since: Counted) -> Decimal | None:
    """The quantile in milliseconds, as Prometheus estimates it: evenly within the bucket where it falls."""
    bounds = sorted((math.inf if key == "+Inf" else float(key), count) for key, count in since.items())
    total = bounds[-1][1] if bounds else 0.0
    if total < service.at_least_counted or service.quantile is None:
        return None
    rank, below, lower = service.quantile * total, 0.0, 0.0
    for upper, count in bounds:
        if count >= rank:
            # beyond the last bound nothing is known but that
            value = lower if math.isinf(upper) else lower + (upper - lower) * (rank - below) / max(count - below, 1.0)
            return Decimal(f"{value * 1000:.1f}")
        below, lower = count, upper
    return None


def _buckets(text: str, series: Series, service: Service) -> dict[str, float]:
    counted: dict[str, float] = {}
    for labels, value in _samples(text, series.metric + "_bucket", series.labels, service):
        bound = labels["le"]
        counted[bound] = counted.get(bound, 0.0) + value
    return counted


def _values(text: str, series: Series, service: Service) -> dict[str, float]:
    samples = _samples(text, series.metric, series.labels, service)
    return {json.dumps(labels, sort_keys=True): value for labels, value in samples}


def _samples(
    text: str, name: str, wanted: Mapping[str, str], service: Service
) -> list[tuple[Mapping[str, str], float]]:
    try:
        return [
            (sample.labels, float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
            and all(re.fullmatch(pattern, sample.labels.get(label, "")) for label, pattern in wanted.items())
        ]
    except ValueError:
        raise _no_answer(service, "is not in Prometheus' text format") from None


def _of_prometheus(text: str) -> Decimal | None:
    """The number of an answer to a query; None if it has none, or several series."""
    try:
        result = json.loads(text)["data"]
        samples = result["result"] if result["resultType"] == "vector" else [{"value": result["result"]}]
        values = [float(one["value"][1]) for one in samples]
    except (ValueError, KeyError, TypeError, IndexError):
        raise CutoverError(
            "watch.no-answer",
            "/api/v1/query",
            "the answer is not one of Prometheus.",
            "have the connection name a Prometheus; docs/watch.md",
        ) from None
    return Decimal(repr(values[0])) if len(values) == 1 and math.isfinite(values[0]) else None


def _no_answer(service: Service, what: str) -> CutoverError:
    return CutoverError(
        "watch.no-answer",
        f"connection {service.connection}",
        f"the answer of {service.path} {what}.",
        "have path name the service's figures; docs/watch.md",
    )
