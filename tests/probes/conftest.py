"""A small production with staged tables, and queries that are asked of both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.production import Production
from cutover import migration, probes
from cutover.database import statements as files
from cutover.masking import masked_row
from cutover.probes.comparison import Comparison
from cutover.probes.file import read
from cutover.swap.order import Order
from stack.postgres import EmbeddedPostgres
from tests.phase.tiny import lay_out
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


def hide(row: dict[str, Any]) -> dict[str, Any]:
    """E-mail addresses are personal here."""
    masked: dict[str, Any] = masked_row(row, ("email", "phone"))
    return masked


FEWER = (
    "insert into staging.orders (id, customer_id, amount, status) overriding system value "
    "select id, customer_id, amount, 'old' from public.orders where id <= 150"
)
APPLICATION = (
    "create view public.big_orders as select * from public.orders where amount > 100",
    "create view public.counted as select count(*) as how_many from public.big_orders",
    "create materialized view public.by_customer as select customer_id, sum(amount) as amount from public.orders "
    "group by 1",
    "create function public.how_many() returns bigint language sql stable as 'select count(*) from public.orders'",
    "create function public.more() returns bigint language sql stable as 'select public.how_many() + 1'",
    "create view public.how as select public.more() as n from public.customers",
    "create function public.bound() returns bigint language sql stable begin atomic "
    "select count(*) from public.orders; end",
    "create function public.spy(text) returns text language sql immutable as 'select $1'",
    "create function public.write() returns integer language plpgsql as "
    "'begin insert into public.log values (1); return 1; end'",
    "grant select on all tables in schema public to app",
)
Stage = Callable[..., Launch]


@pytest.fixture
def stage(server: EmbeddedPostgres) -> Iterator[Stage]:
    """Stage a launch: with statements of production's owner, and of what is loaded otherwise than copied."""
    with ExitStack() as opened:

        def make(*statements: str, **load: str) -> Launch:
            production = opened.enter_context(small(server, *statements))
            return Launch(production, production.prepare("r1", copies(production, SET) | load, SET, merged=()))

        yield make


@pytest.fixture(scope="module")
def launch(server: EmbeddedPostgres) -> Iterator[Launch]:
    """A launch that leaves out orders, of an application with views and functions; tests change nothing of it."""
    with small(server, *APPLICATION) as production:
        with production.admin() as admin:
            admin.execute("grant create on schema public to anon; alter function public.spy(text) owner to anon")
        order = production.prepare("r1", copies(production, SET) | {"orders": FEWER}, SET, merged=())
        yield Launch(production, order)


@pytest.fixture
def own(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder ``include`` with the smallest migration in it."""
    lay_out(tmp_path / "include", repository / "include")
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path / "include"))
    for cached in (files.text, migration.load):
        cached.cache_clear()
    yield tmp_path / "include"
    for cached in (files.text, migration.load):
        cached.cache_clear()
