"""A few lines as an image: the form that Airflow keeps of a question cannot change, and a picture in it can."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

# Airflow shows a picture in a form at most so wide: what is wider shrinks until nobody can read it.
_WIDTH_PX = 300
_LINE_PX = 20
_GOOD, _BAD, _QUIET = "#11794a", "#b3261e", "#667085"


def note(title: str, lines: Sequence[str], when: str, is_good: bool) -> str:
    """An SVG of lines, each short enough for a form, and below them of which moment they are."""
    colour = _GOOD if is_good else _BAD
    shown = [*((colour, line) for line in lines), (_QUIET, when)]
    height = _LINE_PX * len(shown) + 10
    texts = "".join(
        f'<text x="8" y="{_LINE_PX * number}" fill="{fill}">{escape(line)}</text>'
        for number, (fill, line) in enumerate(shown, start=1)
    )
    size = f'width="{_WIDTH_PX}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH_PX} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
        f'<title>{escape(title)}</title><rect {size} rx="6" fill="#fff" stroke="{colour}"/>{texts}</svg>'
    )
