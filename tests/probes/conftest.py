"""A small production with staged tables, and queries that are asked of both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bench.production import Production
from cutover import probes
from cutover.masking import masked_row
from cutover.probes.comparison import Comparison
from cutover.probes.file import read
from cutover.swap.order import Order
from stack.postgres import EmbeddedPostgres
from tests.swap.small import SET, copies, small


@dataclass
class Launch:
    """A launch that is staged, of customers and orders."""

    production: Production
    order: Order

    def ask(self, *texts: str) -> probes.Report:
        """Probe files of these texts, asked before and after."""
        return self.of([read(f"test/probes/{place}.sql", text) for place, text in enumerate(texts)])

    def of(self, asked: list[probes.Probe]) -> probes.Report:
        """The same of probes."""
        return probes.of_order(self.production.connect, self.order, asked, hide, self.production.log, schema="public")

    def one(self, text: str) -> Comparison:
        """The same of one, which is compared or told why not."""
        report = self.ask(text)
        assert report.reason is None
        return report.queries[0]


def hide(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """E-mail addresses are personal here."""
    masked: Mapping[str, Any] = masked_row(row, ("email", "phone"))
    return masked


Stage = Callable[..., Launch]


@pytest.fixture
def stage(server: EmbeddedPostgres) -> Iterator[Stage]:
    """Stage a launch: with statements of production's owner, and of what is loaded otherwise than copied."""
    opened: list[Any] = []

    def make(*statements: str, **load: str) -> Launch:
        context = small(server, *statements)
        production = context.__enter__()
        opened.append(context)
        order = production.prepare("r1", copies(production, SET) | load, SET, merged=())
        return Launch(production, order)

    yield make
    for context in opened:
        context.__exit__(None, None, None)
