"""The human gate: shows what is staged now, takes one answer from a second person, and writes it down.

It builds on Airflow's own approval operator, so that the question appears under Required Actions and can be
answered by the REST API. What it adds, because of how that operator behaves in 3.3:

* After a clear, Airflow shows the form of the first try. The form that is stored is compared with the one that
  was meant; a stale one fails the task instead of being answered.
* Marking the task successful, or writing its XCom by hand, lets downstream tasks run. The swap therefore does
  not look at either, but at the row that this gate records in ``cutover.approvals``.
* An answer nobody gave (a default after a time-out) is no answer here.
* Airflow's notifiers swallow their errors. Ours are written down, and shown on the review.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from cutover.connect import opened
from cutover.errors import CutoverError
from cutover.ledger import run_key
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.approvers import Approver, approvers, assigned
from cutover.operators.base import connect_to, in_words, triggered_by
from cutover.operators.links import ReviewLink, answer_address, review_address

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApprovalSensor(ApprovalOperator):
    """Waits for a person to approve the run's ``action``, and records who did.

    An action is ``swap``, ``rollback`` or ``drop_backups``.

    The DAG parameter ``approval_hours`` bounds both the wait and the life of the approval. Never retried: a
    retry would ask again behind the back of whoever answered.
    """

    template_fields = (*ApprovalOperator.template_fields, "migration")
    operator_extra_links = (ReviewLink(),)

    def __init__(self, *, migration: str, action: str, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        super().__init__(subject=f"{migration}: approve the {action}?", fail_on_reject=True, **kwargs)
        self.migration = migration
        self.action = action

    def execute(self, context: Context) -> None:
        """Ask. Raises unless what is staged is what was reviewed and what the form shows."""
        if context["params"].get("dry_run"):
            raise AirflowSkipException("dry run: the review is made, nobody is asked and nothing is swapped")
        with in_words(self.log, f"task {self.task_id}"):
            self._ask(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take the answer, check it, record it."""
        with in_words(self.log, f"task {self.task_id}"):
            self._answer(context, event)
        return super().execute_complete(context, event)

    def _ask(self, context: Context) -> None:
        from cutover import approval

        allowed = self._allowed(context)
        shown = self._evidence(context)
        self.subject, self.body = shown["subject"], shown["body"]
        self.params = ParamsDict(
            {
                "comment": Param(None, type=["null", "string"], title="Comment", source="task"),
                "fingerprint": Param(
                    shown["fingerprint"],
                    type="string",
                    enum=[shown["fingerprint"]],
                    title="Fingerprint of what you approve",
                    source="task",
                ),
            }
        )
        ti = context["ti"]
        with opened(self._connect(context)) as connection:
            approval.void_earlier(connection, self._run(context), self.action, f"asked again, try {ti.try_number}")
        self._put_form(ti.id, allowed)
        hours = context["params"]["approval_hours"]
        # Airflow keeps a link when the task has ended; this one is needed while it waits.
        ti.xcom_push(key=ReviewLink().xcom_key, value=self._review_address(context))
        self._tell(context, shown["fingerprint"])
        self.log.info("waiting up to %s h for %s", hours, " or ".join(approver.name for approver in allowed))
        raise TaskAwaitingInput(method_name="execute_complete", timeout=timedelta(hours=hours))

    def _tell(self, context: Context, fingerprint: str) -> None:
        from cutover import run

        with opened(self._connect(context)) as connection:
            review = run.get(connection, self._run(context)).review or {}
        dag_run = context["dag_run"]
        links = (self._review_address(context), answer_address(dag_run.dag_id, dag_run.run_id, self.task_id))
        told = notify.tell(
            notify.message_for(self.subject, review, fingerprint, links, triggered_by(context)), self.log.info
        )
        with opened(self._connect(context)) as connection:
            notify.keep(connection, self._run(context), self.action, told)

    def _put_form(self, ti_id: Any, allowed: list[Approver]) -> None:
        """Send the form. Airflow keeps that of an earlier try: what is on record must be what was just sent."""
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        stored = SUPERVISOR_COMMS.send(
            msg=CreateHITLDetailPayload(
                ti_id=ti_id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                defaults=None,
                multiple=False,
                params=self.serialized_params,
                assigned_users=assigned(allowed),  # type: ignore[arg-type]  # the payload makes objects of them
            )
        )
        kept = (stored.params or {}).get("fingerprint", {}).get("value")  # type: ignore[union-attr]
        if (stored.subject, stored.body, kept) != (self.subject, self.body, self.params["fingerprint"]):  # type: ignore[union-attr]
            raise CutoverError(
                "approve.stale-form",
                self.task_id,
                "Airflow still holds the form of an earlier try, which shows other data.",
                "trigger a new run: a form cannot be replaced within one.",
            )

    def _answer(self, context: Context, event: dict[str, Any]) -> None:
        from cutover import approval

        if "error" in event:
            timed_out = event.get("error_type") == "timeout"
            raise CutoverError(
                "approve.expired" if timed_out else "approve.failed",
                self.task_id,
                "nobody answered in time." if timed_out else str(event["error"]),
                "trigger a new run; production was not touched.",
            )
        person = event.get("responded_by_user")
        if not person:
            raise CutoverError(
                "approve.nobody",
                self.task_id,
                "the answer does not name the person who gave it.",
                "trigger a new run, and answer it signed in.",
            )
        values = event.get("params_input") or {}
        ti = context["ti"]
        answer = approval.Answer(
            run=self._run(context),
            action=self.action,
            decision="approve" if event["chosen_options"] == [self.APPROVE] else "reject",
            fingerprint=str(values.get("fingerprint")),
            task_id=self.task_id,
            try_number=ti.try_number,
            person=person["name"],
            person_id=str(person["id"]),
            triggered_by=triggered_by(context),
            comment=values.get("comment"),
            decided_at=event["responded_at"],
            valid_for=timedelta(hours=context["params"]["approval_hours"]),
        )
        connect = self._connect(context)
        if answer.decision == "approve":
            approval.require_second_person(answer, [approver.name for approver in self._allowed(context)])
            current = self._evidence(context)["fingerprint"]
            if answer.fingerprint != current:
                raise CutoverError(
                    "approve.changed",
                    self.task_id,
                    f"{answer.person} approved {answer.fingerprint[:12]}…, but {current[:12]}… is staged now.",
                    "find out who changed the staged data; then trigger a new run.",
                )
        with opened(connect) as connection:
            approval.record(connection, answer)
        self.log.info("%s: %s by %s, fingerprint %s", self.action, answer.decision, answer.person, answer.fingerprint)
        if answer.decision == "reject":
            raise CutoverError(
                "approve.rejected",
                self.task_id,
                f"{answer.person} rejected the {self.action}" + (f": {answer.comment}" if answer.comment else "."),
                "nothing was changed; correct what was found and trigger a new run.",
            )

    def _evidence(self, context: Context) -> dict[str, str]:
        """Subject, body and fingerprint of what is staged at this moment, read from the database and not from XCom."""
        from cutover import retention, review, rollback, run

        migration = load(self.migration)
        with opened(self._connect(context)) as connection:
            row = run.get(connection, self._run(context))
            if row.review is None:
                raise CutoverError(
                    "approve.no-review",
                    f"run {row.run}",
                    "nobody could know what to approve: its review has not been made.",
                    "clear the run from the task review on.",
                )
            if self.action == "rollback":
                current = rollback.fingerprint_of(connection, migration, row)
                body = rollback.markdown(row.review)
            elif self.action == retention.ACTION:
                current = retention.fingerprint_of(connection, migration, row)
                body = retention.markdown(row.review)
            else:
                current = review.fingerprint_of(connection, migration, row)
                body = review.markdown(row.review)
        if current != row.fingerprint:
            raise CutoverError(
                "approve.changed",
                f"run {row.run}",
                "what is staged is not what the review was made from.",
                "find out who changed the staged data; then trigger a new run.",
            )
        if self.action != retention.ACTION:
            body += f"\n\n[The whole review]({self._review_address(context)})"
        return {
            "subject": f"{self.migration}: approve the {self.action} of run {row.run}?",
            "body": body,
            "fingerprint": current,
        }

    def _review_address(self, context: Context) -> str:
        """Where to read all of it: of a list of backups that is the form itself."""
        from cutover import retention

        of = context["dag_run"]
        if self.action == retention.ACTION:
            return answer_address(of.dag_id, of.run_id, self.task_id)
        return review_address(of.dag_id, of.run_id)

    def _run(self, context: Context) -> str:
        return run_key(context["dag_run"].dag_id, context["dag_run"].run_id)

    def _allowed(self, context: Context) -> list[Approver]:
        return approvers(load(self.migration), triggered_by(context))

    def _connect(self, context: Context) -> Any:
        return connect_to(load(self.migration).target, f"cutover {self._run(context)} {self.task_id}"[:63])
