"""Small pictures of numbers over time, made on the server: pages run no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _MARGIN = 320, 80, 8
# Of one digit of a clock, in pixels of its type.
_DIGIT_WIDTH, _DIGIT_HEIGHT = 15, 26
# Its places from the left: how many seconds a digit stands, and how many digits there are. None: a colon.
_CLOCK = ((36_000, 10), (3_600, 10), None, (600, 6), (60, 10), None, (10, 6), (1, 10))


def line(values: Sequence[Decimal | None], limits: Sequence[Decimal] = ()) -> Markup:
    """A line through the values in their order, with gaps where there is none, and a dashed one at each limit.

    Its colours are the page's. It says nothing to a screen reader: the numbers stand in a table beside it.
    """
    known = [float(value) for value in [*values, *limits] if value is not None]
    if not known:
        return Markup("")
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(values) - 1)

    def height(value: float) -> float:
        return _HEIGHT - _MARGIN - (value - low) / span * (_HEIGHT - 2 * _MARGIN)

    parts = [
        f'<line x1="0" x2="{_WIDTH}" y1="{height(float(limit)):.1f}" y2="{height(float(limit)):.1f}" class="limit"/>'
        for limit in limits
    ]
    stretch: list[str] = []
    for place, value in enumerate([*values, None]):
        if value is not None:
            stretch.append(f"{_MARGIN + place * step:.1f},{height(float(value)):.1f}")
        elif stretch:
            parts.append(f'<polyline points="{" ".join(stretch)}"/>')
            x, y = stretch[-1].split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="2.5"/>')
            stretch = []
    return Markup(  # numbers of ours alone
        f'<svg class="chart" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


# Of the two bars of a line in a table, in pixels; the fewest that show a value which is not nothing.
_BAR_WIDTH, _BAR_HEIGHT, _LEAST = 120, 6, 2
# Of a picture of many values, in pixels; it shrinks with the page.
_WIDE, _TALL = 720, 140


def bars(before: Decimal, after: Decimal) -> Markup:
    """What was as an outline, what will be filled, one above the other, the greater one as long as there is room.

    Values below nothing have no length. It says nothing to a screen reader: the numbers stand in the same line.
    """
    most = max(before, after)

    def length(value: Decimal) -> float:
        return max(float(value / most) * _BAR_WIDTH, _LEAST) if value > 0 else 0.0

    parts = [
        f'<rect class="{name}" x=".5" y="{top + 0.5}" width="{length(value):.1f}" height="{_BAR_HEIGHT}"/>'
        for name, value, top in (("was", before, 0), ("will", after, _BAR_HEIGHT + 2))
        if value > 0
    ]
    width, height = _BAR_WIDTH + 1, 2 * _BAR_HEIGHT + 3
    return Markup(  # numbers of ours alone
        f'<svg class="bars" width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def course(before: Sequence[Decimal], after: Sequence[Decimal]) -> Markup:
    """What was over time as a dashed line, what will be as a solid one. The numbers stand beside it."""
    low, high = min(*before, *after, Decimal(0)), max(*before, *after, Decimal(0))
    span = float(high - low) or 1.0
    step = (_WIDE - 2 * _MARGIN) / max(1, len(after) - 1)

    def points(values: Sequence[Decimal]) -> str:
        heights = (_TALL - _MARGIN - float(value - low) / span * (_TALL - 2 * _MARGIN) for value in values)
        return " ".join(f"{_MARGIN + place * step:.1f},{height:.1f}" for place, height in enumerate(heights))

    zero = _TALL - _MARGIN + float(low) / span * (_TALL - 2 * _MARGIN)
    return _wide(
        f'<line class="zero" x1="0" x2="{_WIDE}" y1="{zero:.1f}" y2="{zero:.1f}"/>'
        f'<polyline class="was" points="{points(before)}"/><polyline class="will" points="{points(after)}"/>'
    )


def columns(values: Sequence[float], outlined: Sequence[bool]) -> Markup:
    """A column for each value, from left to right; some filled, and some outlined. The numbers stand in a table."""
    most = max([*values, 0.0]) or 1.0
    step = min(_WIDE / max(1, len(values)), 48.0)
    parts = []
    for place, (value, is_outlined) in enumerate(zip(values, outlined, strict=True)):
        height = max(value / most * (_TALL - 2 * _MARGIN), _LEAST)
        parts.append(
            f'<rect class="{"was" if is_outlined else "will"}" x="{place * step + 1:.1f}" '
            f'y="{_TALL - _MARGIN - height:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}"/>'
        )
    line = _TALL - _MARGIN
    return _wide(f'<line class="zero" x1="0" x2="{_WIDE}" y1="{line}" y2="{line}"/>{"".join(parts)}')


def _wide(parts: str) -> Markup:
    return Markup(  # numbers of ours alone
        f'<svg class="wide-chart" viewBox="0 0 {_WIDE} {_TALL}" aria-hidden="true">{parts}</svg>'
    )


def countdown(seconds: float) -> Markup:
    """A clock that runs down from so many ``seconds`` (less than 100 hours) to nothing, and stays there.

    Each place is a column of its digits that is moved on when its time is over: pages run no script. It says nothing to
    a screen reader; the moment at which it ends stands beside it.
    """
    left = max(0, int(seconds))
    places = _CLOCK if left >= 3_600 else _CLOCK[3:]
    parts, x = [], 0
    for place in places:
        if place is None:
            parts.append(f'<text x="{x}" y="20">:</text>')
        else:
            parts.append(f'<svg x="{x}" width="{_DIGIT_WIDTH}" height="{_DIGIT_HEIGHT}">{_column(left, *place)}</svg>')
        x += _DIGIT_WIDTH
    return Markup(  # numbers of ours alone
        f'<svg width="{x}" height="{_DIGIT_HEIGHT}" viewBox="0 0 {x} {_DIGIT_HEIGHT}" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def _column(left: int, unit: int, digits: int) -> str:
    now = left // unit % digits
    texts = "".join(f'<text y="{20 + _DIGIT_HEIGHT * digit}">{digit}</text>' for digit in range(digits))
    if not left:
        return f"<g>{texts}</g>"
    period = unit * digits
    values = ";".join(f"0 {-_DIGIT_HEIGHT * digit}" for digit in reversed(range(digits)))
    return (
        f'<g transform="translate(0 {-_DIGIT_HEIGHT * now})">{texts}<animateTransform attributeName="transform" '
        f'type="translate" calcMode="discrete" values="{values}" dur="{period}s" begin="{left % period - period}s" '
        f'end="{left}s" repeatCount="indefinite" fill="freeze"/></g>'
    )


# Of a box with two lines of type, and of the room between two columns of boxes, in pixels; it shrinks with the page.
_BOX_WIDTH, _BOX_HEIGHT, _BOX_STEP, _BETWEEN = 146, 34, 42, 68
# Characters that such a box has room for, in its first line and in its second.
_TITLE, _NOTE = 21, 26


class Box(NamedTuple):
    """What a box says: what it is, and in smaller type what is to be known of it."""

    title: str
    note: str


def flows(left: Sequence[Box], right: Sequence[Box], lines: Iterable[tuple[int, int]]) -> Markup:
    """Boxes in two columns, and a curve for each (place on the left, place on the right).

    It says nothing to a screen reader: a table stands below it.
    """
    width, height = 2 * _BOX_WIDTH + _BETWEEN, _BOX_STEP * max(len(left), len(right), 1)
    begin, end = _BOX_WIDTH, _BOX_WIDTH + _BETWEEN

    def top(boxes: Sequence[Box], place: int) -> float:
        # the shorter column is spread over the height of the longer one
        return (place + 0.5) * height / len(boxes) - _BOX_HEIGHT / 2

    parts = []
    for one, other in lines:
        y, z = top(left, one) + _BOX_HEIGHT / 2, top(right, other) + _BOX_HEIGHT / 2
        middle = (begin + end) / 2
        parts.append(f'<path d="M{begin} {y:.1f}C{middle} {y:.1f} {middle} {z:.1f} {end} {z:.1f}"/>')
    for boxes, x in ((left, 0), (right, end)):
        for place, box in enumerate(boxes):
            y = top(boxes, place)
            parts.append(
                f'<rect x="{x + 0.5}" y="{y + 0.5:.1f}" width="{_BOX_WIDTH - 1}" height="{_BOX_HEIGHT - 1}" rx="4"/>'
                f'<text x="{x + 7}" y="{y + 14:.1f}">{escape(_cut(box.title, _TITLE))}</text>'
                f'<text class="note" x="{x + 7}" y="{y + 27:.1f}">{escape(_cut(box.note, _NOTE))}</text>'
            )
    return Markup(  # names are escaped, the rest are numbers of ours
        f'<svg class="flows" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
