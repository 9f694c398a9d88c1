"""Small pictures of numbers over time, made on the server: pages run no script."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from markupsafe import Markup

_WIDTH, _HEIGHT, _MARGIN = 320, 80, 8


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
