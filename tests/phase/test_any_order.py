"""Two runs whose tasks are run, marked successful, cleared and answered in any order: production only ever becomes what
somebody was shown, and approved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from stack.postgres import EmbeddedPostgres
from tests import databases

from .tiny import TASKS, World

RUNS = st.integers(0, 1)
_names = itertools.count(1)


@pytest.fixture
def new_world(settings: pytest.MonkeyPatch, server: EmbeddedPostgres) -> Iterator[Callable[[], World]]:
    """Makes a production that nothing was done to yet; all are dropped in the end."""
    made: list[str] = []

    def make() -> World:
        made.append(f"any_order_{next(_names)}")
        databases.create(server, made[-1])
        dsn = server.dsn(made[-1])
        settings.setenv("AIRFLOW_CONN_PRODUCTION", dsn.replace("postgresql://", "postgres://"))
        return World(dsn).create()

    yield make
    databases.drop(server, *made)


def test_production_only_ever_becomes_what_was_shown(new_world: Callable[[], World]) -> None:
    class AnyOrder(RuleBasedStateMachine):
        """A task that is marked successful is one that is not run: leaving out needs no rule."""

        def __init__(self) -> None:
            super().__init__()
            self.world = new_world()
            self.runs = [self.world.run("manual__1"), self.world.run("manual__2")]
            self.may_be = [self.world.rows("public")]
            self.approved: list[object] = [None, None]

        @rule(number=RUNS, task_id=st.sampled_from(list(TASKS)))
        def run_a_task(self, number: int, task_id: str) -> None:
            """Clear one alone, or run one whose predecessors were marked successful."""
            before = self.world.rows("public")
            said = self.runs[number].do(task_id)
            if task_id == "swap" and said is None and self.world.rows("public") != before:
                assert self.world.rows("public") == self.approved[number]
                self.may_be.append(self.approved[number])  # type: ignore[arg-type]

        @rule(number=RUNS, last=st.sampled_from(["validate.suites", "review.build", "approve"]))
        def go_on(self, number: int, last: str) -> None:
            """Run the tasks in their order, as far as they go."""
            self.runs[number].until(last)

        @precondition(lambda self: any(run.gate for run in self.runs))
        @rule(approve=st.booleans())
        def answer(self, approve: bool) -> None:
            """A second person answers whoever asks."""
            number = next(number for number, run in enumerate(self.runs) if run.gate)
            run = self.runs[number]
            if run.answer("Approve" if approve else "Reject") is None:
                assert run.foreseen is not None
                self.approved[number] = run.foreseen[1]

        @rule(amount=st.sampled_from([-1, 5, 7]))
        def change_a_source(self, amount: int) -> None:
            """Also to what no validation lets through."""
            self.world.execute(f"update raw.people set amount = {amount} where id = 2")

        @precondition(lambda self: self.world.value("select to_regclass('staging.people') is not null"))
        @rule(amount=st.sampled_from([-9, 9]))
        def change_what_is_staged(self, amount: int) -> None:
            """Somebody who may."""
            self.world.execute(f"update staging.people set amount = {amount} where id = 1")

        @invariant()
        def production_is_what_it_was_or_what_was_shown(self) -> None:
            """And nobody in it owes less than nothing."""
            rows = self.world.rows("public")
            assert rows == self.may_be[-1]
            assert all(amount >= 0 for _, _, amount in rows["people"])

    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=4, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
