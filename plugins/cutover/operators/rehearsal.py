"""Tasks that rehearse sign-ins between a swap and the end of its run, and ask when too many people would not get in.

Nothing here takes anything back: a person does, by the rollback's own DAG and its own approval.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseHook, BaseSensorOperator, TaskGroup
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.approvers import approvers, assigned
from cutover.operators.base import (
    CutoverOperator,
    application,
    connect_to,
    in_words,
    keep_evidence,
    opened,
    require_known,
    run_of,
    triggered_by,
)
from cutover.operators.links import answer_address, review_address, rollback_address, sign_ins_address

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from cutover.database.connect import Connect
    from cutover.migration import Migration
    from cutover.rehearsal import Person, Service

GO_ON = "Go live all the same"
TAKE_BACK = "Do not: I take the launch back"
# Hours that the run waits for the service to be set up after the swap, without a worker. The launch is live meanwhile.
_PATIENCE = timedelta(hours=4)


def _service(migration: Migration) -> Service:
    """The service that lets people in. Skips the task where Airflow has no connection to one, and says so."""
    from cutover.rehearsal import Service

    declared = migration.sign_ins
    if declared is None:
        raise AirflowSkipException("migration.yaml names no service that lets people in: nothing is rehearsed")
    try:
        settings = BaseHook.get_connection(declared.connection)
    except AirflowNotFoundException:
        raise AirflowSkipException(
            f"Airflow has no connection {declared.connection}: no service lets people in yet, and nothing is rehearsed"
        ) from None
    headers = {}
    if settings.login or settings.password:
        login = f"{settings.login or ''}:{settings.password or ''}"
        headers["authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return Service(_address(settings), declared, headers)


def _address(settings: Connection) -> str:
    """The address of an HTTP connection, as Airflow's own hook reads it."""
    host = str(settings.host or "")
    if "://" in host:
        return host
    scheme = settings.schema or ("https" if settings.conn_type == "https" else "http")
    return f"{scheme}://{host}{f':{settings.port}' if settings.port else ''}"


def _people(migration: Migration) -> list[Person]:
    """The test persons that the operator has named. Raises ``rehearsal.bad-people``."""
    from cutover import rehearsal

    name = migration.sign_ins.people if migration.sign_ins else None
    try:
        settings = BaseHook.get_connection(name) if name else None
    except AirflowNotFoundException:
        return []
    return rehearsal.people(settings.extra_dejson, f"connection {name}") if settings else []


class ServiceSensor(CutoverOperator, BaseSensorOperator):
    """Waits, without a worker, until the service lets people in and has been set up for this launch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=5, timeout=_PATIENCE.total_seconds(), **kwargs)

    def execute(self, context: Context) -> Any:
        """Poke until it is done, freeing the worker in between."""
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> bool:
        """Whether sign-ins can be rehearsed. Skips where none are to be."""
        from cutover import rehearsal

        if not context["params"]["rehearse_sign_ins"]:
            raise AirflowSkipException("no rehearsal of sign-ins was asked for")
        with in_words(self.log, self.about):
            require_known(context)
            service, connect, this_run = _service(self.declaration), self.connect(context), self.this_run(context)
            with opened(connect) as connection:
                rehearsal.record_due(connection, self.declaration, this_run)
            why = rehearsal.why_not_yet(connect, self.declaration, this_run)
            why = why or service.why_not_ready()
            service.close()
        if why is not None:
            self.report(f"waiting: {why}")
        return why is None


class RehearseOperator(CutoverOperator):
    """Asks the service, for every account and each of its ways in, whether its person gets in and sees its rows."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns what was found, without the accounts' numbers, and the trouble in words."""
        from cutover import rehearsal
        from cutover.records import ledger

        connect, this_run = self.connect(context), self.this_run(context)
        percent = float(context["params"]["sign_in_failures_percent"])
        with opened(connect) as connection:
            # the answers of a service that was set up for a rolled-back launch would be about something else
            entry = ledger.find(connection, this_run)
        if entry is None:
            raise CutoverError(
                "rehearsal.nothing-launched",
                f"run {this_run}",
                "it has swapped nothing, so nobody could get in.",
                "look at the task swap.",
            )
        service, sample = _service(self.declaration), _people(self.declaration)
        self.report(f"{len(sample)} test persons have a password; {service.base} is asked about every account")
        try:
            report = rehearsal.rehearse(connect, self.declaration, this_run, service, sample=sample, log=self.report)
        finally:
            service.close()
        with opened(connect) as connection:
            rehearsal.record(connection, self.declaration, this_run, report, percent)
        keep_evidence(connect, self.declaration, this_run, self.report)
        for name, way in report.ways.items():
            self.report(f"{name}: {way.tried:,} tried, {way.failed:,} failed ({way.percent:.2f} %)")
            for reason, count in way.reasons.most_common():
                self.report(
                    f"  {count:,} {reason}: {', '.join(way.named[reason])}{' …' * (count > len(way.named[reason]))}"
                )
        return {"trouble": report.trouble(percent), "seconds": round(report.seconds, 1)}


class SignInGate(HITLOperator):
    """Stops the go-live and asks an approver when too many sign-ins have failed; skipped when they have not."""

    def __init__(self, *, migration: str, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        super().__init__(subject=f"{migration}: too many people would not get in", options=[GO_ON, TAKE_BACK], **kwargs)
        self.migration = migration

    def execute(self, context: Context) -> Any:
        """Ask about the newest rehearsal on record, unless it is good or somebody has answered; and tell people."""
        from cutover import rehearsal

        with in_words(self.log, f"task {self.task_id}"):
            with opened(self._connect(context)) as connection:
                record = rehearsal.of_run(connection, self._run(context))
            if record is None:
                raise CutoverError(
                    "rehearsal.not-rehearsed",
                    f"run {self._run(context)}",
                    "no rehearsal of sign-ins is on record.",
                    "clear the task rehearse.sign_ins, with the tasks behind it.",
                )
            if not record["trouble"]:
                raise AirflowSkipException("sign-ins work: nobody is asked")
            if record["answer"] is not None:
                return self._followed(record["answer"]["person"], goes_on=record["answer"]["goes_on"])
            allowed = approvers(load(self.migration), triggered_by(context))
            self.assigned_users = assigned(allowed)  # type: ignore[assignment]  # dictionaries are what it takes
        self.response_timeout = timedelta(hours=float(context["params"]["approval_hours"]))
        of = context["dag_run"]
        review = review_address(of.dag_id, of.run_id)
        # Airflow shows the form of the first try after a clear, when sign-ins were rehearsed anew: the figures are a
        # picture, which is of the moment in which it is opened
        self.body = "\n".join(
            [
                f"Run {self._run(context)} is live, and too many sign-ins have failed in its rehearsal:",
                "",
                f"![What the newest rehearsal has found]({sign_ins_address(of.dag_id, of.run_id)})",
                "",
                f"[Figures, reasons and some accounts of each]({review})",
                "",
                f"**Nothing is taken back by itself.** [What would a rollback do?]({rollback_address(self.migration)})",
                f"To take the launch back, trigger `{self.migration}_rollback`; it asks a second person.",
            ]
        )
        lines = tuple(record["trouble"])
        answer = answer_address(of.dag_id, of.run_id, self.task_id)
        notify.tell(notify.Message(self.subject, lines, review, answer, "watch"), self.log.info)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take an approver's answer, and write it down.

        Raises ``rehearsal.not-answered``, ``rehearsal.rehearsed-since``, ``rehearsal.refused``.
        """
        from cutover import rehearsal

        with in_words(self.log, f"task {self.task_id}"):
            person = (event.get("responded_by_user") or {}).get("name")
            allowed = [approver.name for approver in approvers(load(self.migration), triggered_by(context))]
            if "error" in event or person not in allowed:
                raise CutoverError(
                    "rehearsal.not-answered",
                    f"run {self._run(context)}",
                    "nobody has answered in time." if "error" in event else f"{person or 'nobody'} may not answer it.",
                    "clear rehearse.sign_ins with the tasks behind it: it is looked at, and asked, anew.",
                )
            goes_on = event["chosen_options"] == [GO_ON]
            with opened(self._connect(context)) as connection:
                newest = rehearsal.of_run(connection, self._run(context))
                if newest is None or newest["recorded_at"] >= event["responded_at"]:
                    raise CutoverError(
                        "rehearsal.rehearsed-since",
                        f"run {self._run(context)}",
                        f"{person} has answered before the newest rehearsal, which has found something else perhaps.",
                        "clear rehearse.ask: it asks about the newest.",
                    )
                rehearsal.record_answer(
                    connection, load(self.migration), self._run(context), str(person), goes_on=goes_on
                )
            self._followed(str(person), goes_on=goes_on)
        return super().execute_complete(context, event)

    def _followed(self, person: str, *, goes_on: bool) -> None:
        """What an answer means. Raises ``rehearsal.refused``."""
        if not goes_on:
            raise CutoverError(
                "rehearsal.refused",
                self.task_id,
                f"{person} has decided that this launch does not go live like this.",
                f"trigger {self.migration}_rollback; or mend the ways in, and clear rehearse.sign_ins with the tasks "
                "behind it.",
            )
        self.log.info("%s has decided to go live all the same", person)

    def _run(self, context: Context) -> str:
        return run_of(context, load(self.migration).target)

    def _connect(self, context: Context) -> Connect:
        return connect_to(load(self.migration).target, application(self._run(context), self.task_id))


def rehearsal_group(migration: str) -> TaskGroup:
    """``rehearse``: wait for the service, ask it about every account, and ask a person if it is not good enough."""
    with TaskGroup("rehearse", tooltip="Whether everybody would get in, asked of the service itself") as group:
        ready = ServiceSensor(task_id="service", migration=migration)
        sign_ins = RehearseOperator(task_id="sign_ins", migration=migration)
        ready >> sign_ins >> SignInGate(task_id="ask", migration=migration)
    return group
