"""When a swap may happen: moments, weekly windows by a wall clock, and what freezes leave of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from cutover.errors import CutoverError
from cutover.swap import timing

FRIDAY = datetime(2026, 11, 27, 23, 0, tzinfo=timezone.utc)


def utc(text: str) -> datetime:
    """A moment of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def spans(text: str, since: datetime, days: int = 14) -> list[tuple[str, str]]:
    """When ``text`` says that it may happen, in UTC."""
    return [
        tuple(f"{moment.astimezone(timezone.utc):%m-%d %H:%M}" for moment in (span.opens_at, span.ends_at))  # type: ignore[misc]
        for span in timing.parse(text).spans(since, since + timedelta(days=days))
    ]


def frozen(*entries: dict[str, str]) -> list[timing.Freeze]:
    """A calendar."""
    return timing.parse_freezes(json.dumps(entries))


def refused(plan: timing.Timing, now: datetime) -> str:
    """The code with which it may not happen now; empty if it may."""
    try:
        plan.require_open(now)
    except CutoverError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sat 04:00-05:00 Asia/Manila", [("12-04 20:00", "12-04 21:00"), ("12-11 20:00", "12-11 21:00")]),
        ("saturday  23:00 - 01:00  Asia/Manila", [("11-28 15:00", "11-28 17:00"), ("12-05 15:00", "12-05 17:00")]),
        ("Fri 23:30-01:00 UTC", [("11-27 23:30", "11-28 01:00"), ("12-04 23:30", "12-05 01:00")]),
        # still open from the day before
        ("Thu 22:00-Sat 06:00 UTC", [("11-26 22:00", "11-28 06:00"), ("12-03 22:00", "12-05 06:00"),
                                     ("12-10 22:00", "12-12 06:00")]),
        ("Sun 12:00-24:00 UTC", [("11-29 12:00", "11-30 00:00"), ("12-06 12:00", "12-07 00:00")]),
        ("2026-12-05T04:00+08:00", [("12-04 20:00", "12-04 21:00")]),
        ("2026-12-05 04:00Z", [("12-05 04:00", "12-05 05:00")]),
    ],
)  # fmt: skip
def test_a_time_is_read_as_a_person_writes_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert spans(text, FRIDAY) == expected


@pytest.mark.parametrize(
    ("text", "since", "expected"),
    [
        # the clocks of New York go from 02:00 to 03:00 on 2026-03-08, and from 02:00 back to 01:00 on 2026-11-01
        ("Sun 04:00-05:00 America/New_York", "2026-03-01", [("03-01 09:00", "03-01 10:00"),
                                                           ("03-08 08:00", "03-08 09:00")]),
        ("Sun 01:30-03:30 America/New_York", "2026-03-08", [("03-08 06:30", "03-08 07:30")]),
        ("Sun 02:30-03:30 America/New_York", "2026-03-08", [("03-08 07:00", "03-08 07:30")]),
        ("Sun 01:00-02:30 America/New_York", "2026-03-08", [("03-08 06:00", "03-08 07:00")]),
        ("Sun 02:10-02:50 America/New_York", "2026-03-08", []),
        ("Sun 00:30-01:30 America/New_York", "2026-11-01", [("11-01 04:30", "11-01 05:30")]),
        ("Sun 01:30-03:00 America/New_York", "2026-11-01", [("11-01 05:30", "11-01 08:00")]),
        ("Sat 23:00-04:00 America/New_York", "2026-11-01", [("11-01 03:00", "11-01 09:00")]),
        # by half an hour, at 02:00, the other way round the year
        ("Sun 02:15-04:00 Australia/Lord_Howe", "2026-10-03", [("10-03 15:30", "10-03 17:00")]),
        # a Friday that Samoa has never had
        ("Fri 04:00-05:00 Pacific/Apia", "2011-12-26", [("01-05 14:00", "01-05 15:00")]),
    ],
)  # fmt: skip
def test_a_window_is_by_the_wall_clock_also_where_that_jumps(
    text: str, since: str, expected: list[tuple[str, str]]
) -> None:
    days = 12 if "Apia" in text else (1 if len(expected) < 2 else 8)
    assert spans(text, utc(since), days) == expected


def test_windows_come_once_a_week_whatever_the_moment_asked_from() -> None:
    """Every hour of a year with both changes: the next window is the one that a list of all of them names."""
    for text in ("Sun 02:30-03:30 Europe/Berlin", "Sat 22:00-Mon 02:30 America/New_York"):
        listed = list(timing.parse(text).spans(utc("2026-01-01"), utc("2027-02-01")))
        now = utc("2026-01-01T00:30")
        while now < utc("2027-01-01"):
            expected = next(span for span in listed if span.ends_at > now)
            assert timing.given(text).next(now) == expected, now
            now += timedelta(hours=5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("asap", "neither a moment nor"),
        ("2026-12-05T04:00", "no offset"),
        ("2026-12-05", "no offset"),
        ("Sat 04:00-05:00", "neither a moment nor"),
        ("Sat 04:00-05:00 asia/manila", "Did you mean `Asia/Manila`?"),
        ("Sat 04:00-05:00 Asia/Manilla", "Did you mean `Asia/Manila`?"),
        ("Sat 04:00-05:00 Asia", "no time zone"),
        ("Sat 04:00-05:00 ../UTC", "no time zone"),
        ("Sam 04:00-05:00 UTC", "Sam is no day"),
        ("Satur 04:00-05:00 UTC", "Satur is no day"),
        ("Sat 04:00-04:00 UTC", "does not end after"),
        ("Sat 05:00-Sat 04:00 UTC", "does not end after"),
        ("Sat 24:00-05:00 UTC", "24:00 is no time of day"),
        ("Sat 04:00-04:60 UTC", "04:60 is no time of day"),
        ("9999-12-31T23:59+00:00", "no calendar"),
        ("0001-01-01T00:00+08:00", "no calendar"),
    ],
)
def test_what_is_no_time_is_refused_with_the_reason_and_examples(text: str, why: str) -> None:
    with pytest.raises(CutoverError) as caught:
        timing.parse(text)
    assert caught.value.code == "swap.bad-time" and why in str(caught.value)
    assert "2026-12-05T04:00+08:00" in caught.value.remedy and "Sat 04:00-05:00 Asia/Manila" in caught.value.remedy


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_is_as_soon_as_approved(text: str | None) -> None:
    plan = timing.given(text)
    assert plan.is_at_once and refused(plan, FRIDAY) == "" and plan.good_until(FRIDAY) is None


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ("2026-12-04T19:59:59", "swap.too-early"),
        ("2026-12-04T20:00", ""),
        ("2026-12-04T20:59:59", ""),
        ("2026-12-04T21:00", "swap.missed"),
        ("2027-12-04T21:00", "swap.missed"),
    ],
)
def test_a_moment_is_open_for_an_hour_and_then_missed(now: str, code: str) -> None:
    plan = timing.given("2026-12-05T04:00+08:00")
    assert refused(plan, utc(now)) == code
    assert plan.good_until(FRIDAY) == utc("2026-12-04T21:00")


@pytest.mark.parametrize(
    ("now", "code"),
    [("2026-12-04T19:59", "swap.too-early"), ("2026-12-04T20:30", ""), ("2026-12-04T21:00", "swap.too-early")],
)
def test_a_missed_window_is_followed_by_another_for_which_the_approval_is_good(now: str, code: str) -> None:
    plan = timing.given("Sat 04:00-05:00 Asia/Manila")
    assert refused(plan, utc(now)) == code
    assert plan.good_until(FRIDAY) == utc("2026-12-11T21:00"), "one may be missed"


@pytest.mark.parametrize(
    ("moment", "why"), [("2026-11-27T22:00+00:00", "passed 1 h 0 min ago"), ("2026-12-12T00:00Z", "14 days at most")]
)
def test_a_run_is_not_begun_for_a_moment_that_has_passed_or_is_far_ahead(moment: str, why: str) -> None:
    with pytest.raises(CutoverError, match=why):
        timing.given(moment).require_planned(FRIDAY)


SALE = {"name": "Christmas sale", "from": "2026-12-04T20:30+00:00", "to": "2026-12-11T20:15+00:00"}
ALL = {"name": "everything", "from": "2026-01-01T00:00+00:00", "to": "9999-12-31T23:59+00:00"}
NIGHTS = {"name": "no nights", "weekly": "Sat 00:00-08:00 Asia/Manila"}


def test_a_freeze_takes_its_part_out_of_windows() -> None:
    plan = timing.given("Sat 04:00-05:00 Asia/Manila", frozen(SALE))
    assert [span.label for span in plan.open_spans(FRIDAY)] == [
        "Sat 2026-12-05 04:00-04:30 Asia/Manila",
        "Sat 2026-12-12 04:15-05:00 Asia/Manila",
    ]
    assert refused(plan, utc("2026-12-04T20:29")) == "" and refused(plan, utc("2026-12-11T20:15")) == ""
    assert refused(plan, utc("2026-12-04T20:30")) == refused(plan, utc("2026-12-11T20:14")) == "swap.frozen"
    assert refused(plan, utc("2026-12-06T00:00")) == "swap.too-early"


def test_where_no_window_is_left_that_is_told_with_the_name_and_the_end() -> None:
    for freeze, ends in ((ALL, "9999"), (NIGHTS, "Sat 2026-12-05 08:00 Asia/Manila")):
        plan = timing.given("Sat 04:00-05:00 Asia/Manila", frozen(freeze))
        with pytest.raises(CutoverError) as caught:
            plan.require_ahead(FRIDAY)
        assert caught.value.code == "swap.frozen" and freeze["name"] in caught.value.why and ends in caught.value.why
        assert plan.good_until(FRIDAY) == utc("2026-12-11T21:00"), "who lifts the freeze needs no other answer"
    assert timing.given("Sat 04:00-05:00 Asia/Manila", frozen(ALL), "the court says so").next(FRIDAY) is not None


def test_a_moment_in_a_freeze_is_not_moved_to_its_end() -> None:
    ends_within = {"name": "maintenance", "from": "2026-12-04T00:00+00:00", "to": "2026-12-04T20:10+00:00"}
    plan = timing.given("2026-12-05T04:00+08:00", frozen(ends_within))
    with pytest.raises(CutoverError, match="maintenance"):
        plan.require_ahead(FRIDAY)
    later = timing.given("2026-12-05T04:00+08:00", frozen(SALE))
    assert [span.label for span in later.open_spans(FRIDAY)] == ["Sat 2026-12-05 04:00-04:30 +08:00"]


def test_at_once_is_not_in_a_freeze_unless_for_a_reason() -> None:
    assert refused(timing.given("", frozen(ALL)), FRIDAY) == "swap.frozen"
    assert refused(timing.given("", frozen(ALL), "  "), FRIDAY) == "swap.frozen", "blanks are no reason"
    assert refused(timing.given("", frozen(ALL), "an outage"), FRIDAY) == ""
    both = timing.given("", frozen(ALL, {**SALE, "from": "2026-11-01T00:00Z"})).frozen_at(FRIDAY)
    assert both is not None and both.name == "everything", "of several the one that ends last"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("[{", "no JSON"),
        ("{}", "valid list"),
        ("7", "valid list"),
        ('[{"name": "x"}]', "entry 1: it has `from` and `to`, or `weekly`"),
        ('[{"name": "x", "from": "2026-12-01T00:00Z"}]', "entry 1: it has"),
        ('[{"name": "", "weekly": "Fri 12:00-24:00 UTC"}]', "entry 1, name"),
        ('[{"name": "x", "from": "2026-12-01T00:00", "to": "2026-12-02T00:00Z"}]', "entry 1, from"),
        ('[{"name": "x", "from": "2026-12-02T00:00Z", "to": "2026-12-01T00:00Z"}]', "`to` comes after `from`"),
        ('[{"name": "x", "weekly": "Fri 12:00-24:00 UTC", "conection": "production"}]', "entry 1, conection"),
        ('[{"name": "x", "weekly": "2026-12-05T04:00+08:00"}]', "no weekly window"),
        ('[{"name": "x", "weekly": "Fri 12:00-24:00 Nowhere"}]', "no time zone"),
    ],
)
def test_a_calendar_that_cannot_be_read_is_not_taken_for_an_empty_one(value: str, why: str) -> None:
    with pytest.raises(CutoverError) as caught:
        timing.parse_freezes(value)
    assert caught.value.code == "swap.bad-freezes" and why in caught.value.why


@pytest.mark.parametrize("value", [None, "", " ", "[]"])
def test_no_calendar_freezes_nothing(value: str | None) -> None:
    assert timing.parse_freezes(value) == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (18_720, "5 h 12 min"), (540_000, "6 d 6 h")]
)
def test_how_long_is_in_words_that_a_person_plans_by(seconds: int, words: str) -> None:
    assert timing.lasting(timedelta(seconds=seconds)) == words
