"""Which parts of a source one sync reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone

from dateutil.parser import isoparse  # type: ignore[import-untyped]

from cutover.migration.source import History, Source, Trailing

# Neighbouring windows share this much: whether a bound includes its own instant is not documented everywhere.
_SEAM = timedelta(seconds=1)
# Rows may be stamped by a clock that is ahead of ours.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """A part of a source: the query parameters that bound it. ``name`` is for people.

    ``cut`` is the id behind which a lane of an uncut list begins.
    """

    name: str
    params: dict[str, str] = field(default_factory=dict)
    cut: str | None = None


def timestamp(at: datetime) -> str:
    """A moment as the APIs take it: ISO 8601 in UTC with milliseconds."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def moment(text: str) -> datetime:
    """A time as the API writes it; one without an offset is UTC. Raises ValueError."""
    parsed: datetime = isoparse(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def full(source: Source, until: datetime) -> list[Window]:
    """The windows that together hold every row: by time of creation, doubling in length into the past."""
    history = source.history
    if history is None:
        return [Window("everything")]
    begin = datetime.combine(history.begin, time(), timezone.utc)
    windows = []
    end, length = until + _AHEAD, history.first
    while end > begin:
        start = max(begin, end - length)
        windows.append(_window("created", history.start, history.end, start - _SEAM, end))
        end, length = start, length * 2
    return windows


def lanes(cuts: Sequence[str]) -> list[Window]:
    """The lanes of a list: one from its top, and one behind each of ``cuts``, which are in the list's order."""
    return [Window(f"lane_{number}_of_{len(cuts) + 1}", cut=cut) for number, cut in enumerate([None, *cuts], 1)]


def incremental(
    source: Source, until: datetime, watermark: datetime, span: tuple[datetime, datetime] | None, sweep: int
) -> list[Window]:
    """The windows in which a change since ``watermark`` can show, and part ``sweep`` of the history.

    ``until`` is the frozen upper bound; ``span`` the times of the oldest and the newest row known, if any is.
    """
    newest = min(until, span[1]) if span else until
    windows = [_trailing(declared, until, watermark, newest) for declared in source.incremental]
    if source.history and source.history.sweep and span:
        windows.append(_swept(source.history, span, sweep))
    return windows


def _trailing(declared: Trailing, until: datetime, watermark: datetime, newest: datetime) -> Window:
    # `reach` counts from the newest row: where little is sold, the last month of sales may be a while ago.
    start = watermark - declared.overlap
    if declared.reach:
        start = min(start, newest - declared.reach)
    return _window(declared.name, declared.start, declared.end, start, until + declared.ahead)


def _swept(history: History, span: tuple[datetime, datetime], sweep: int) -> Window:
    oldest, newest = span
    part = (newest - oldest) / history.sweep
    start = oldest + part * (sweep % history.sweep)
    name = f"sweep_{sweep % history.sweep + 1}_of_{history.sweep}"
    return _window(name, history.start, history.end, start - _SEAM, start + part + _SEAM)


def _window(name: str, start_parameter: str, end_parameter: str, start: datetime, end: datetime) -> Window:
    return Window(name, {start_parameter: timestamp(start), end_parameter: timestamp(end)})
