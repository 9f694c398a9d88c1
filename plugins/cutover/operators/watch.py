"""Tasks that watch a launch: the baseline before it, looks for some hours after it, and the question when it is bad.

Nothing here takes anything back: a person does, by the rollback's own DAG and its own approval, or within the revert
window on its page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSkipException

from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.base import (
    CutoverOperator,
    connect_to,
    in_words,
    opened,
)
from cutover.operators.links import answer_address, revert_address, rollback_address

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cutover.records.ledger import Entry
    from cutover.revert import Window

# A watch is never longer than its parameter allows; the sensor gives up a little later. Hours.
LONGEST_HOURS = 72
# A service that takes longer to say how it is does not say it.
ANSWER_WITHIN_S = 5
# A watch that has missed so many looks is taken for gone, and another may go on with its launch.
_MISSED_LOOKS = 3
LEAVE = "Leave it as it is"
TAKE_BACK = "I have triggered the rollback"


def fetch(connection: str, path: str, parameters: Mapping[str, str]) -> str:
    """The text behind an HTTP connection of Airflow. Raises ``watch.no-connection`` and ``watch.no-answer``."""
    from airflow.providers.http.hooks.http import HttpHook
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
    from requests import RequestException

    # a retry would come too late for this look, and the next one is soon
    once = {"timeout": ANSWER_WITHIN_S, "max_redirects": 2}
    try:
        return str(HttpHook("GET", connection).run(path, data=dict(parameters), extra_options=once).text)
    except AirflowNotFoundException:
        raise CutoverError(
            "watch.no-connection",
            f"connection {connection}",
            "Airflow does not have it.",
            f"make an HTTP connection {connection} in Admin > Connections; docs/watch.md",
        ) from None
    except RequestException as error:
        raise _no_answer(connection, f"GET {path}: {type(error).__name__}.") from None
    except AirflowException as error:  # what the hook makes of a status that is none of success
        raise _no_answer(connection, f"GET {path}: {masked_text(str(error))}.") from None


def _no_answer(connection: str, why: str) -> CutoverError:
    return CutoverError(
        "watch.no-answer",
        f"connection {connection}",
        why,
        "look whether the service runs, and whether the connection names it; docs/watch.md",
    )


class BaselineOperator(CutoverOperator):
    """Measures, before a swap, what the looks after it are compared with. Never keeps a launch from going on."""

    def run_phase(self, context: Context) -> list[str]:
        """Returns what was found, in words."""
        from cutover.watch import look

        looks = look.sample(self.connect(context), self.declaration, self.this_run(context), fetch, self.report)
        return [f"{one.name}: {one.verdict}" for one in looks]


class WatchSensor(BaseSensorOperator):
    """Looks every few minutes at the newest launch of ``migration``, until its time is over or something is wrong.

    It ends with the trouble in words, and is skipped when there was none: then nobody is asked. Between two looks it
    has no worker. It is also skipped when the newest launch is not that recent, or its database is not there.
    """

    def __init__(self, *, migration: str, **kwargs: Any) -> None:
        patience = timedelta(hours=LONGEST_HOURS + 1).total_seconds()
        super().__init__(mode="reschedule", timeout=patience, **kwargs)
        self.migration = migration

    def poke(self, context: Context) -> Any:
        """Whether it is over, with the trouble as the task's result."""
        from airflow.sdk.bases.sensor import PokeReturnValue

        from cutover.watch import check, look

        migration = load(self.migration)
        with in_words(self.log, f"the watch of {self.migration}"):
            entry = self._launch()
            until = entry.recorded_at + timedelta(hours=context["params"]["hours"])
            now = datetime.now(timezone.utc)
            if now >= until:
                raise AirflowSkipException(f"run {entry.run} was watched until {until:%Y-%m-%d %H:%M %Z}")
            connect = connect_to(migration.target, f"cutover watch {self.migration}")
            gone_after_s = _MISSED_LOOKS * self.poke_interval
            with opened(connect) as connection:
                watches = look.claim(connection, entry.run, context["run_id"], gone_after_s=gone_after_s)
            if not watches:
                raise AirflowSkipException(f"run {entry.run} is watched already")
            look.look(connect, migration, entry.run, fetch, self.log.info)
            with opened(connect) as connection:
                trouble = look.trouble(check.checks(self.migration), look.history(connection, entry.run))
        return PokeReturnValue(is_done=bool(trouble), xcom_value={"run": entry.run, "trouble": trouble})

    def _launch(self) -> Entry:
        """The newest entry, if it is a swap."""
        from airflow.sdk.exceptions import AirflowNotFoundException

        from cutover.records import ledger

        try:
            connect = connect_to(load(self.migration).target, f"cutover watch {self.migration}")
            with opened(connect) as connection:
                there = connection.execute("select to_regclass('cutover.watch') is not null").fetchone()
                entry = ledger.latest(connection, self.migration) if there == (True,) else None
        except AirflowNotFoundException:
            raise AirflowSkipException(f"{self.migration} has no database here") from None
        except CutoverError as error:
            if not error.code.startswith("connect."):
                raise
            raise AirflowSkipException(str(error)) from None
        if entry is None or entry.action != "swap":
            raise AirflowSkipException(f"no launch of {self.migration} is the newest thing that happened")
        return entry


class TroubleOperator(HITLOperator):
    """Asks what to do about a launch that does not do what it should, and tells people once that it is asked."""

    def __init__(self, *, migration: str, look_task: str, **kwargs: Any) -> None:
        super().__init__(
            subject=f"{migration}: the launch does not do what it should", options=[LEAVE, TAKE_BACK], **kwargs
        )
        self.migration = migration
        self.look_task = look_task

    def execute(self, context: Context) -> Any:
        """Show what is wrong, and what a rollback would take with it at this moment; then wait."""
        trouble = context["ti"].xcom_pull(task_ids=self.look_task)
        with in_words(self.log, f"the watch of {self.migration}"):
            self.body = self.shown(trouble)
        of = context["dag_run"]
        answer = answer_address(of.dag_id, of.run_id, self.task_id)
        notify.tell(self.message(trouble, answer), self.log.info)
        return super().execute(context)

    def message(self, trouble: dict[str, Any], answer: str) -> notify.Message:
        """What people are told: the trouble, and for how long it can be taken back without asking."""
        lines = [f"Out of bounds: {line}" for line in trouble["trouble"]]
        window = self._window(trouble["run"])
        if window is not None:
            lines.append(f"{_offer(window)} {revert_address(self.migration, window.entry)}")
        return notify.Message(self.subject, tuple(lines), rollback_address(self.migration), answer, "watch")

    def shown(self, trouble: dict[str, Any]) -> str:
        """The form's text: the trouble, and the rollback's preview."""
        from cutover.watch import look

        connect = connect_to(load(self.migration).target, f"cutover watch {self.migration}")
        with opened(connect) as connection:
            written = look.written_since(connection, trouble["run"])
        parts = [f"Run {trouble['run']} is live, and:", "", *(f"* {line}" for line in trouble["trouble"]), ""]
        parts += ["**Nothing is taken back by itself.** A rollback now would have to carry:", ""]
        parts += [f"* {', '.join(f'{name} {value}' for name, value in one.items())}" for one in written] or [
            "* nothing: no write has been made since"
        ]
        parts += ["", f"[What would a rollback do?]({rollback_address(self.migration)})", ""]
        parts += [f"To take it back, trigger `{self.migration}_rollback`; it asks a second person."]
        window = self._window(trouble["run"])
        if window is not None:
            # the form is final: the page says how long it is by then
            parts += ["", f"**{_offer(window)}** [Take it back]({revert_address(self.migration, window.entry)})"]
        return "\n".join(parts)

    def _window(self, run: str) -> Window | None:
        """The revert window of the launch that is watched, if it is open now."""
        from cutover import revert

        connect = connect_to(load(self.migration).target, f"cutover watch {self.migration}")
        with opened(connect) as connection:
            window = revert.of_entry(connection, self.migration)
        return window if window is not None and window.run == run and window.is_open else None


def _offer(window: Window) -> str:
    minutes = window.minutes_left
    left = "less than a minute" if minutes < 1 else f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    return (
        f"For {left} more, until {window.ends_at:%H:%M:%S %Z}, it can be taken back without asking a second person, by "
        "whoever may trigger the rollback and opens"
    )
