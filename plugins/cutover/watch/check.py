"""What is looked at after a launch: checks with bounds, as files of the migration.

``include/sql/<migration>/watch/<name>.sql`` is one query that gives one number, or null when there is nothing to
measure; the comment above it says its title and its bounds. ``watch/<name>.yaml`` asks a service instead: Prometheus by
a query, or the service's own figures in Prometheus' format. A query beside it, ``watch/baseline/<name>.sql``, measures
before the swap where the tables are still staged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration.source import Declared

_HEADER = re.compile(r"^-- ?(.*)$")
_BOUND = re.compile(r"^(\d+(?:\.\d+)?)( of baseline)?$")


@dataclass(frozen=True)
class Bound:
    """A number, or a multiple of what was measured before the swap."""

    number: Decimal
    of_baseline: bool

    def against(self, baseline: Decimal | None) -> Decimal | None:
        """The bound as a number; None where it needs a baseline and there is none."""
        if not self.of_baseline:
            return self.number
        return None if baseline is None else self.number * baseline


class Series(Declared):
    """Some of a service's figures: a name, and for each label that counts, the pattern of its whole value."""

    metric: str
    labels: dict[str, str] = Field(default_factory=dict)


class Service(Declared):
    """What a service is asked. Exactly one of ``prometheus``, ``share``, ``quantile`` and ``gauge`` says it.

    ``prometheus`` is a query to a Prometheus behind the connection. The others read ``path`` of the service itself:
    what was counted since the look before (a share in percent, a quantile of a histogram in milliseconds), or what a
    gauge shows.
    """

    # an HTTP connection of Airflow
    connection: str
    path: str = "/metrics"
    prometheus: str | None = None
    share: Series | None = None
    # what ``share`` is a share of
    of: Series | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1)
    histogram: Series | None = None
    gauge: Series | None = None
    # Fewer than so many say nothing: one failure of three is no rate.
    at_least_counted: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _one_question(self) -> Service:
        asked = [self.prometheus, self.share, self.quantile, self.gauge]
        if sum(one is not None for one in asked) != 1:
            raise ValueError("say one of prometheus, share, quantile and gauge")
        if (self.share is None) != (self.of is None) or (self.quantile is None) != (self.histogram is None):
            raise ValueError("share goes with of, and quantile with histogram")
        return self

    @property
    def kind(self) -> Literal["prometheus", "share", "quantile", "gauge"]:
        """Which question is asked."""
        if self.prometheus is not None:
            return "prometheus"
        return "share" if self.share is not None else "quantile" if self.quantile is not None else "gauge"


class Header(Declared):
    """What a check says beside its title and its question."""

    unit: str = ""
    at_least: str | None = Field(default=None, pattern=_BOUND.pattern)
    at_most: str | None = Field(default=None, pattern=_BOUND.pattern)
    # so many looks in a row out of bounds are trouble, and not a moment
    failure_limit: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _some_bound(self) -> Header:
        if self.at_least is None and self.at_most is None:
            raise ValueError("say at_least or at_most, such as at_least: 0.9 of baseline")
        return self


@dataclass(frozen=True)
class Check:
    """One check, and the file that says it. ``service`` is None where the file is a query of the target."""

    name: str
    title: str
    path: str
    unit: str
    at_least: Bound | None
    at_most: Bound | None
    failure_limit: int
    service: Service | None = None
    # the query that measures before the swap, where it is another one
    baseline: str | None = None


def checks(migration: str) -> list[Check]:
    """The checks of a migration, in the order of their names. Raises ``watch.bad-check``."""
    folder = f"{migration}/watch"
    baselines = {Path(path).stem: path for path in files.files(f"{folder}/baseline")}
    known = [parse(files.text(path), path, baselines.get(Path(path).stem)) for path in files.files(folder)]
    known += [parse_service(files.text(path), path) for path in files.files(folder, "*.yaml")]
    for name in baselines.keys() - {check.name for check in known if check.service is None}:
        raise _bad(baselines[name], f"there is no query {folder}/{name}.sql that it is the baseline of.")
    return sorted(known, key=lambda check: check.name)


def parse(text: str, path: str, baseline: str | None = None) -> Check:
    """The check that a query's file says. Raises ``watch.bad-check``, which names what is wrong."""
    head = []
    for line in text.splitlines():
        match = _HEADER.match(line)
        if match is None:
            break
        head.append(match.group(1).strip())
    title, keys = (head[0], head[1:]) if head else ("", [])
    header = _header(path, dict(line.partition(": ")[::2] for line in keys))
    return _check(path, title, header, baseline=baseline)


def parse_service(text: str, path: str) -> Check:
    """The check that a YAML file says of a service. Raises ``watch.bad-check``, which names what is wrong."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _bad(path, f"it is no YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("service"), dict):
        raise _bad(path, "it has no key service.")
    title = str(document.pop("title", ""))
    asked = document.pop("service")
    try:
        service = Service.model_validate(asked)
    except ValidationError as error:
        raise _bad(path, _first(error)) from None
    return _check(path, title, _header(path, document), service=service)


def _header(path: str, document: Mapping[str, Any]) -> Header:
    given = {key: str(value) if key.startswith("at_") else value for key, value in document.items()}
    try:
        return Header.model_validate(given)
    except ValidationError as error:
        raise _bad(path, _first(error)) from None


def _check(path: str, title: str, header: Header, **more: Any) -> Check:
    if not title:
        raise _bad(path, "it says no title.")
    return Check(
        name=Path(path).stem,
        title=title,
        path=path,
        unit=header.unit,
        at_least=_bound(header.at_least),
        at_most=_bound(header.at_most),
        failure_limit=header.failure_limit,
        **more,
    )


def _bound(text: str | None) -> Bound | None:
    match = _BOUND.match(text or "")
    return Bound(Decimal(match.group(1)), bool(match.group(2))) if match else None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}.".removeprefix(": ")


def _bad(path: str, why: str) -> CutoverError:
    return CutoverError("watch.bad-check", f"include/sql/{path}", why, "correct the file; docs/watch.md has examples.")
