"""When a swap may happen: at a moment, in a weekly window, or as soon as it is approved; and never in a freeze.

Times of a window are those of a wall clock in an IANA zone. Where a change to or from summer time skips one, it stands
for the moment of the change; where one comes twice, for the first. A window that is skipped whole does not happen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Annotated, Any, Protocol
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from cutover.errors import CutoverError, meant

# How long after its moment a swap may still begin: what kept it (a scheduler that was down, a lock) costs no new run,
# and nobody finds a swap in the middle of a day for which four in the morning was chosen.
TOLERANCE = timedelta(hours=1)
# How far ahead a swap may be planned. As long its run keeps the schemas `input` and `staging`, and writes are captured
# for it. Of a weekly window it is long enough to miss one.
FARTHEST = timedelta(days=14)
# The Airflow variable of the calendar.
VARIABLE = "cutover_freezes"
_FOR_GOOD = datetime(9999, 1, 1, tzinfo=timezone.utc)

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(
    r"(?P<day>[A-Za-z]+)\s+(?P<start>\d\d?:\d\d)\s*-\s*(?:(?P<end_day>[A-Za-z]+)\s+)?(?P<end>\d\d?:\d\d)\s+(?P<zone>\S+)"
)
_EXAMPLES = "a moment with its offset, 2026-12-05T04:00+08:00, or a weekly window, Sat 04:00-05:00 Asia/Manila"


@dataclass(frozen=True)
class Span:
    """From ``opens_at`` until just before ``ends_at``, as shown in ``zone``."""

    opens_at: datetime
    ends_at: datetime
    zone: tzinfo = timezone.utc

    def __contains__(self, moment: datetime) -> bool:
        return self.opens_at <= moment < self.ends_at

    @property
    def label(self) -> str:
        """When it opens and ends, by the clock of its zone."""
        opens, ends = self.opens_at.astimezone(self.zone), self.ends_at.astimezone(self.zone)
        until = f"{ends:%H:%M}" if opens.date() == ends.date() else f"{ends:%a %Y-%m-%d %H:%M}"
        return f"{opens:%a %Y-%m-%d %H:%M}-{until} {_called(self.zone, opens)}"


class Spans(Protocol):
    """What comes to pass once, or again and again."""

    @property
    def words(self) -> str:
        """In half a sentence."""

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """In order, those that have not ended at ``since`` and open before ``until``."""


@dataclass(frozen=True)
class Always:
    """As soon as it is approved."""

    words = "as soon as it is approved"

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """One without an end in sight."""
        yield Span(since, until + FARTHEST)


@dataclass(frozen=True)
class Period:
    """One span, for which there are ``words``."""

    span: Span
    words: str

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """That one, if it lies between."""
        if self.span.ends_at > since and self.span.opens_at < until:
            yield self.span


@dataclass(frozen=True)
class Weekly:
    """Each week from ``start`` on the weekday ``day`` (0: Monday) until ``end``, ``days`` later, by a wall clock."""

    day: int
    start: time
    end: time
    days: int
    zone: ZoneInfo
    text: str

    @property
    def words(self) -> str:
        """As it was written."""
        return f"in a window {self.text}"

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Those that have not ended at ``since`` and open before ``until``."""
        first = since.astimezone(self.zone).date() - timedelta(days=self.days + 1)
        last = until.astimezone(self.zone).date() + timedelta(days=1)
        for offset in range((last - first).days + 1):
            on = first + timedelta(days=offset)
            if on.weekday() != self.day:
                continue
            span = Span(self._at(on, self.start), self._at(on + timedelta(days=self.days), self.end), self.zone)
            if span.opens_at < span.ends_at and span.ends_at > since and span.opens_at < until:
                yield span

    def _at(self, on: date, at: time) -> datetime:
        """The moment at which a wall clock shows this, in UTC."""
        shown = datetime.combine(on, at, self.zone)
        moment = shown.astimezone(timezone.utc)
        if moment.astimezone(self.zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
            return moment
        # skipped: the change lies between what the clock's two offsets make of it
        before, after = shown.replace(fold=1).astimezone(timezone.utc), moment
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
            is_after = middle.astimezone(self.zone).utcoffset() == after.astimezone(self.zone).utcoffset()
            before, after = (before, middle) if is_after else (middle, after)
        return after


@dataclass(frozen=True)
class Freeze:
    """A period in which nothing is swapped into the database behind ``connection`` (None: into any)."""

    name: str
    when: Spans
    connection: str | None = None


@dataclass(frozen=True)
class Frozen:
    """The freeze that a moment is in, and when that ends."""

    name: str
    ends_at: datetime


@dataclass(frozen=True)
class Timing:
    """When a run's swap may happen. With ``override``, the reason for it, in a freeze as well."""

    when: Spans
    freezes: tuple[Freeze, ...] = ()
    override: str | None = None

    @property
    def is_at_once(self) -> bool:
        """Whether nothing is waited for."""
        return isinstance(self.when, Always)

    @property
    def repeats(self) -> bool:
        """Whether another time comes when one was missed."""
        return isinstance(self.when, Weekly)

    def frozen_at(self, moment: datetime) -> Frozen | None:
        """The freeze that a moment is in, overridden or not: of several the one that ends last. None if in none."""
        current = [
            Frozen(freeze.name, span.ends_at)
            for freeze in self.freezes
            for span in freeze.when.spans(moment, moment + timedelta(microseconds=1))
        ]
        return max(current, key=lambda one: one.ends_at, default=None)

    def open_spans(self, since: datetime) -> list[Span]:
        """In order, when it may happen within ``FARTHEST`` of ``since``: windows, without what of them is frozen."""
        until = since + FARTHEST
        spans = list(self.when.spans(since, until))
        if self.override is not None or not spans:
            return spans
        # a moment that was named is not moved to the end of a freeze
        if isinstance(self.when, Period) and self.frozen_at(max(since, spans[0].opens_at)):
            return []
        for freeze in self.freezes:
            for frozen in freeze.when.spans(since, max(span.ends_at for span in spans) if spans else until):
                spans = [rest for span in spans for rest in _without(span, frozen)]
        return [span for span in spans if span.ends_at > since]

    def next(self, now: datetime) -> Span | None:
        """When it may happen next, or may now; None if not within ``FARTHEST``."""
        return next(iter(self.open_spans(now)), None)

    def good_until(self, decided_at: datetime) -> datetime | None:
        """Until when an approval of this moment is needed; None if nothing is waited for."""
        if self.is_at_once:
            return None
        # frozen or not: whoever lifts a freeze needs nobody to answer again
        spans = list(self.when.spans(decided_at, decided_at + FARTHEST))
        return spans[-1].ends_at if spans else decided_at

    def require_ahead(self, now: datetime) -> None:
        """Raise CutoverError ``swap.missed`` or ``swap.frozen`` if it could not happen, however soon it is approved."""
        if self.is_at_once:
            self.require_open(now)
        if self.next(now) is not None:
            return
        spans = list(self.when.spans(now, now + FARTHEST))
        if not spans:
            raise self._missed(now)
        frozen = self.frozen_at(max(now, spans[0].opens_at))
        assert frozen is not None
        raise self._frozen(frozen, spans[0])

    def require_planned(self, now: datetime) -> None:
        """Raise CutoverError ``swap.bad-time`` for a moment that has passed or is too far ahead to begin a run for."""
        if not isinstance(self.when, Period):
            return
        opens_at = self.when.span.opens_at
        if opens_at < now or opens_at > now + FARTHEST:
            why = (
                f"it passed {lasting(now - opens_at)} ago."
                if opens_at < now
                else f"it is {lasting(opens_at - now)} ahead, and a run is kept for {FARTHEST.days} days at most."
            )
            raise _bad_time(self.when.words, why)

    def require_open(self, now: datetime) -> None:
        """Raise CutoverError unless it may happen now: ``swap.too-early``, ``swap.missed``, ``swap.frozen``."""
        spans = list(self.when.spans(now, now + FARTHEST))
        if not spans:
            raise self._missed(now)
        if now in spans[0]:
            frozen = self.frozen_at(now)
            if frozen is not None and self.override is None:
                raise self._frozen(frozen, None if self.is_at_once else spans[0])
            return
        ahead = self.next(now) or spans[0]
        raise CutoverError(
            "swap.too-early",
            "the swap",
            f"it was approved to happen {self.when.words}: {ahead.label}, in {lasting(ahead.opens_at - now)}. Nothing "
            "was changed.",
            "clear the task wait, with the tasks behind it: it waits for that moment.",
        )

    def _missed(self, now: datetime) -> CutoverError:
        passed = self.when.span.opens_at if isinstance(self.when, Period) else now
        return CutoverError(
            "swap.missed",
            "the swap",
            f"it was to happen {self.when.words}, which was {lasting(now - passed)} ago. Nothing was changed.",
            "trigger a new run with another swap_at: what was approved was approved for that moment.",
        )

    def _frozen(self, frozen: Frozen, span: Span | None = None) -> CutoverError:
        zone = span.zone if span is not None else timezone.utc
        ends = frozen.ends_at.astimezone(zone)
        when = f"{self.when.words} ({span.label})" if span is not None else self.when.words
        return CutoverError(
            "swap.frozen",
            "the swap",
            f"it is to happen {when}, and nothing is swapped during {frozen.name}, until {ends:%a %Y-%m-%d %H:%M} "
            f"{_called(zone, ends)}. Nothing was changed.",
            f"trigger a new run with a swap_at after that, or with the reason for doing it all the same in "
            f"freeze_override; or, if the period is over, change the Airflow variable {VARIABLE} and clear the task.",
        )


def given(text: str | None, freezes: Sequence[Freeze] = (), override: str | None = None) -> Timing:
    """The timing that the parameters ``swap_at`` and ``freeze_override`` ask for. Raises ``swap.bad-time``."""
    return Timing(parse(text), tuple(freezes), (override or "").strip() or None)


def parse(text: str | None) -> Spans:
    """When ``swap_at`` says that the swap may happen: empty is at once. Raises CutoverError ``swap.bad-time``."""
    said = " ".join((text or "").split())
    if not said:
        return Always()
    window = _WINDOW.fullmatch(said)
    if window is not None:
        return _weekly(said, window)
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", said))
    except ValueError:
        raise _bad_time(said, "it is neither a moment nor a weekly window.") from None
    if moment.tzinfo is None:
        raise _bad_time(said, "it has no offset: it would be another moment in each place.")
    try:
        # both fail for what lies before the first or after the last year
        span = Span(moment, moment + TOLERANCE, moment.tzinfo)
        in_utc = f" ({moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC)" if moment.utcoffset() else ""
        words = f"at {moment:%a %Y-%m-%d %H:%M} {_called(moment.tzinfo, moment)}{in_utc}"
    except OverflowError:
        raise _bad_time(said, "no calendar has it.") from None
    return Period(span, words)


def _weekly(said: str, window: re.Match[str]) -> Weekly:
    day = _day(said, window["day"])
    try:
        zone = ZoneInfo(window["zone"])
    except (KeyError, ValueError, OSError):
        zones = {name.lower(): name for name in available_timezones()}
        same = zones.get(window["zone"].lower())
        near = f" Did you mean `{same}`?" if same else meant(window["zone"], zones.values())
        raise _bad_time(said, f"{window['zone']} is no time zone of the IANA database.{near}") from None
    at_midnight = window["end"] == "24:00"
    start, end = _clock(said, window["start"]), _clock(said, "00:00" if at_midnight else window["end"])
    days = int(at_midnight)
    if window["end_day"] is not None:
        days += (_day(said, window["end_day"]) - day) % 7
    elif end < start and not at_midnight:
        days = 1
    if (days, end) <= (0, start):
        raise _bad_time(said, "it does not end after it begins.")
    return Weekly(day, start, end, days, zone, said)


def _day(said: str, name: str) -> int:
    short = name[:3].capitalize()
    full = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    if short not in _DAYS or name.capitalize() not in (short, full[_DAYS.index(short)]):
        raise _bad_time(said, f"{name} is no day of the week: {', '.join(_DAYS)}.")
    return _DAYS.index(short)


def _clock(said: str, text: str) -> time:
    hour, minute = map(int, text.split(":"))
    if hour > 23 or minute > 59:
        raise _bad_time(said, f"{text} is no time of day: 00:00 to 23:59, or 24:00 at the end.")
    return time(hour, minute)


def _bad_time(said: str, why: str) -> CutoverError:
    return CutoverError(
        "swap.bad-time", f"swap_at {said}", why, f"trigger a new run with {_EXAMPLES}; or leave it empty."
    )


class _Entry(BaseModel):
    """A freeze as the variable has it: from a moment to another, or weekly."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    begins: Annotated[AwareDatetime | None, Field(alias="from")] = None
    ends: Annotated[AwareDatetime | None, Field(alias="to")] = None
    weekly: str | None = None
    connection: str | None = None

    @model_validator(mode="after")
    def _is_a_period(self) -> _Entry:
        if (self.weekly is None) == (self.begins is None) or (self.begins is None) != (self.ends is None):
            raise ValueError("it has `from` and `to`, or `weekly`")
        if self.begins is not None and self.ends is not None and self.begins >= self.ends:
            raise ValueError("`to` comes after `from`")
        return self

    def freeze(self) -> Freeze:
        """What the engine asks. Raises ``swap.bad-time``."""
        if self.begins is not None and self.ends is not None:
            # who writes the last year of all means for good; no clock east of it could show that
            span = Span(self.begins, min(self.ends, _FOR_GOOD))
            return Freeze(self.name, Period(span, self.name), self.connection)
        when = parse(self.weekly)
        if not isinstance(when, Weekly):
            raise _bad_time(str(self.weekly), "it is no weekly window.")
        return Freeze(self.name, when, self.connection)


def parse_freezes(value: Any) -> list[Freeze]:
    """The calendar that the Airflow variable ``cutover_freezes`` holds. Raises CutoverError ``swap.bad-freezes``."""
    try:
        read = json.loads(value.strip() or "[]") if isinstance(value, str) else value or []
        return [entry.freeze() for entry in TypeAdapter(list[_Entry]).validate_python(read)]
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        at, *key = first["loc"] or ("",)
        place = f"entry {int(at) + 1}{''.join(f', {part}' for part in key)}: " if first["loc"] else ""
        why = f"{place}{first['msg'].removeprefix('Value error, ')}."
    except ValueError as error:
        why = f"it is no JSON: {error}."
    except CutoverError as error:
        why = f"{error.obj.removeprefix('swap_at ')}: {error.why}"
    raise CutoverError(
        "swap.bad-freezes",
        f"the Airflow variable {VARIABLE}",
        f"{why} Nothing is swapped while it is not known what is frozen.",
        'write a list such as [{"name": "Christmas sale", "from": "2026-12-18T00:00+08:00", '
        '"to": "2027-01-04T00:00+08:00"}, {"name": "payday", "weekly": "Fri 12:00-24:00 Asia/Manila"}]; an empty one '
        "for none.",
    )


def lasting(span: timedelta) -> str:
    """A time in words that a person plans by: ``6 d 3 h``, ``5 h 12 min``, ``40 s``."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _without(span: Span, frozen: Span) -> Iterator[Span]:
    """What a freeze leaves of a span."""
    if frozen.ends_at <= span.opens_at or frozen.opens_at >= span.ends_at:
        yield span
        return
    if span.opens_at < frozen.opens_at:
        yield Span(span.opens_at, frozen.opens_at, span.zone)
    if frozen.ends_at < span.ends_at:
        yield Span(frozen.ends_at, span.ends_at, span.zone)


def _called(zone: tzinfo, moment: datetime) -> str:
    """A zone by its name, an offset as it is written."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    return "UTC" if not moment.utcoffset() else f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:5]
