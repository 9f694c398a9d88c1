"""Tasks of the DAG ``announce``: what would go out to whom, the moment for it, and sending it.

The ways out are two Airflow connections of their own, beside those that tell the team (docs/announcements.md):

* ``announce_smtp``, of type SMTP; its extra says ``from_email`` and ``unsubscribe``.
* ``announce_fcm``; its password is the JSON key of a Firebase service account.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseSensorOperator

from cutover.errors import CutoverError
from cutover.migration.window import FARTHEST
from cutover.operators.approvers import approvers
from cutover.operators.base import (
    CutoverOperator,
    in_words,
    keep_evidence,
    opened,
    triggered_by,
)
from cutover.operators.window import opening

if TYPE_CHECKING:
    import smtplib
    from collections.abc import Callable, Iterable

    from airflow.sdk import Connection, Context

    from cutover.announce.channels import Open
    from cutover.announce.mail import Mail
    from cutover.announce.push import Push

SMTP = "announce_smtp"
FCM = "announce_fcm"


def ways(channels: Iterable[str]) -> dict[str, Open]:
    """How each channel is opened. Raises CutoverError ``announce.no-connection``, ``announce.bad-connection``."""
    makers: dict[str, Callable[[], Mail | Push]] = {"email": _mail, "push": _push}
    return {name: makers[name]().open for name in channels}


def _mail() -> Mail:
    from cutover.announce.mail import Mail

    login = _connection(SMTP)
    extra = login.extra_dejson

    def connect() -> smtplib.SMTP:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        class Found(SmtpHook):
            """Looked up already: the threads that send must not ask Airflow themselves."""

            @classmethod
            def get_connection(cls, conn_id: str) -> Connection:  # noqa: ARG003
                return login

        hook = Found(SMTP)
        # Its own way to send tries again after whatever has gone wrong, and so may deliver twice.
        return hook.get_conn()._smtp_client  # type: ignore[return-value]

    mail = Mail(connect, str(extra.get("from_email") or ""), str(extra.get("unsubscribe") or ""))
    mail.require_usable(SMTP)
    return mail


def _push() -> Push:
    from cutover.announce.push import Push

    login = _connection(FCM)
    return Push.from_key(login.password or "", str(login.host or ""), FCM)


def _connection(connection_id: str) -> Connection:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        raise CutoverError(
            "announce.no-connection",
            f"connection {connection_id}",
            "Airflow has no connection of this name, and the campaign goes out by it.",
            "add it; docs/announcements.md says what belongs in it.",
        ) from None


class PreviewAnnouncementOperator(CutoverOperator):
    """Freezes whom a campaign is for, and makes what the approver reads of it."""

    def run_phase(self, context: Context) -> list[str]:
        """Returns the counts in words. Raises ``announce.*`` for whatever would keep it from being sent."""
        from cutover import freeze, preflight
        from cutover.announce import audience, message

        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        preflight.require_signing_key()
        given = context["params"]
        ways(message.read(self.migration, given["campaign"]).channels)  # raises if it could not go out in the end
        connect = self.connect(context)
        freeze.install(connect, self.declaration)
        this_run = self.this_run(context)
        self.begin_run(context, connect)
        opens = opening(context)
        window = message.Window(opens, timedelta(minutes=given["window_minutes"])) if opens else None
        rates = {"email": given["emails_per_second"], "push": given["pushes_per_second"]}
        valid_for = timedelta(hours=given["approval_hours"])
        wish = audience.Wish(given["campaign"], window, rates, given["unknown"], valid_for)
        return audience.lines(audience.review(connect, self.declaration, this_run, wish, self.report)["counts"])


class DueSensor(CutoverOperator, BaseSensorOperator):
    """Waits, without a worker, for the moment at which the campaign is to go out."""

    def __init__(self, **kwargs: Any) -> None:
        patience = (FARTHEST + timedelta(days=1)).total_seconds()
        super().__init__(mode="reschedule", poke_interval=10, timeout=patience, **kwargs)

    def execute(self, context: Context) -> Any:
        """Poke until it is time, freeing the worker in between."""
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> bool:
        """Whether it is time."""
        from cutover.records import run

        with in_words(self.log, self.about), opened(self.connect(context)) as connection:
            review = run.get(connection, self.this_run(context)).review or {}
        due = review.get("due_at")
        if due is None or datetime.fromisoformat(due) <= datetime.now(timezone.utc):
            return True
        self.report(f"{review['campaign']} goes out at {due}")
        return False


class SendOperator(CutoverOperator):
    """Sends the approved campaign: each person once per channel, whatever is killed."""

    gated = True

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the report: people by channel, state and reason."""
        from cutover.announce import ACTION, sending
        from cutover.records import run

        self.require(context, "send", ACTION)
        connect, this_run = self.connect(context), self.this_run(context)
        with opened(connect) as connection:
            review = run.get(connection, this_run).review or {}
        report = sending.send(connect, self.declaration, this_run, ways(review["channels"]), self.report)
        keep_evidence(connect, self.declaration, this_run, self.report)
        return report
