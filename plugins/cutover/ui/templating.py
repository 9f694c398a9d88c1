"""The templates of our pages, and what they can call: needs no Airflow, so that a page can go into an archive."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cutover.errors import PROGRAM
from cutover.review import rejects_limit
from cutover.ui import charts, figure_pictures, shown

_HERE = Path(__file__).parent
STYLE = _HERE / "static" / "cutover.css"

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    number=shown.number,
    signed=shown.signed,
    moment=shown.moment,
    instant=shown.instant,
    ms=shown.milliseconds,
    cell=shown.cell,
    whole=shown.whole,
)
_templates.globals.update(
    program=PROGRAM,
    totals=shown.totals,
    filled=shown.filled,
    numbers=shown.numbers,
    bars=lambda before, after: charts.bars(Decimal(before), Decimal(after)),
    pairs=figure_pictures.pairs,
    course=figure_pictures.course,
    rejects_limit=rejects_limit,
)


def render(template: str, **values: Any) -> str:
    """A page as HTML."""
    return _templates.get_template(template).render(run_address=run_address, **values)


def run_address(dag_id: str, dag_run_id: str) -> str:
    """The address of a run, in Airflow and here."""
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(dag_run_id, safe='')}"
