"""When a launch is swapped: the task that waits for it, and the calendar of freezes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cutover.errors import CutoverError, meant
from cutover.migration import declared, load
from cutover.operators.base import CutoverOperator, asked_for

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import Context

    from cutover.swap.timing import Freeze

# A database that cannot be reached for a night ends no wait of days: it is tried again, at least every ten minutes.
_RETRIES, _DELAY, _DELAY_AT_MOST = 100, timedelta(seconds=30), timedelta(minutes=10)
# By how much the clocks of Airflow and of the target may differ without a look in vain.
_SKEW = timedelta(seconds=1)


def freezes(connection_id: str) -> list[Freeze]:
    """In which periods nothing is swapped into the database behind ``connection_id``.

    Raises CutoverError ``swap.bad-freezes``: what cannot be read must not be taken for a calendar without a freeze.
    """
    from airflow.sdk import Variable

    from cutover.swap import timing

    calendar = timing.parse_freezes(Variable.get(timing.VARIABLE, default=None))
    for freeze in calendar:
        if freeze.connection not in (None, connection_id, *_targets()):
            raise CutoverError(
                "swap.bad-freezes",
                f"the Airflow variable {timing.VARIABLE}",
                f"no migration is launched into {freeze.connection}, which {freeze.name} names."
                f"{meant(freeze.connection, [connection_id, *_targets()])}",
                "name the connection that is the `target` of a migration; or take it out, and the freeze is for all.",
            )
    return [freeze for freeze in calendar if freeze.connection in (None, connection_id)]


def _targets() -> set[str]:
    """The targets of all migrations whose declarations can be read."""
    targets = set()
    for name in declared():
        try:
            targets.add(load(name).target)
        except CutoverError:
            continue
    return targets


def require_plan(connection: psycopg.Connection, context: Context, connection_id: str) -> None:
    """Refuse in its first task a run whose swap could not happen when it is to.

    Raises CutoverError ``swap.bad-time``, ``swap.two-times``, ``swap.frozen``, ``swap.bad-freezes``. A dry run swaps
    nothing, so that only what cannot be read is refused.
    """
    from cutover.database import clock
    from cutover.swap import timing

    given = context["params"]
    plan = timing.given(given.get("swap_at"), freezes(connection_id), given.get("freeze_override"))
    if not plan.is_at_once and asked_for(context):
        raise CutoverError(
            "swap.two-times",
            f"swap_at {given['swap_at']}",
            "with a maintenance window the swap happens within that: its sources refuse writes only so long.",
            "trigger a new run with swap_at empty, and say in window_opens when the window is to open.",
        )
    now = clock.now(connection)
    plan.require_planned(now)
    if not given.get("dry_run"):
        plan.require_ahead(now)


class SwapTimeSensor(CutoverOperator):
    """Waits for the time at which the approved swap may happen, in the triggerer and without a worker.

    At least every hour it looks again: at the freezes, at whether the run still has its schemas, and at what was
    written since the approval, which the pages show.
    """

    def __init__(self, **kwargs: Any) -> None:
        given: dict[str, Any] = {
            "retries": _RETRIES,
            "retry_delay": _DELAY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": _DELAY_AT_MOST,
        } | kwargs
        super().__init__(**given)

    def run_phase(self, context: Context) -> None:
        """Returns when it is time. Raises ``swap.missed``, ``swap.frozen``, ``swap.lapsed``, ``swap.not-approved``."""
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        from cutover import wait

        connect, calendar = self.connect(context), freezes(self.declaration.target)
        outcome = wait.look(connect, self.declaration, self.this_run(context), calendar, self.report)
        if outcome.left:
            pause = min(outcome.left + _SKEW, wait.EVERY)
            self.defer(trigger=TimeDeltaTrigger(pause), method_name="go_on")

    def go_on(self, context: Context, event: Any = None) -> Any:  # noqa: ARG002
        """Look again when the pause is over."""
        return self.work(context)
