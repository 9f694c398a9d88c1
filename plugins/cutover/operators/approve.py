"""The human gate: shows what is staged now, takes one answer from a second person, and writes it down.

It builds on Airflow's own approval operator, so that the question appears under Required Actions and can be
answered by the REST API. What it adds, because of how that operator behaves in 3.3:

* After a clear, Airflow shows the form of the first try. The form that is stored is compared with the one that
  was meant; a stale one fails the task instead of being answered.
* Marking the task successful, or writing its XCom by hand, lets downstream tasks run. The swap therefore does
  not look at either, but at the row that this gate records in ``cutover.approvals``.
* An answer nobody gave (a default after a time-out) is no answer here.
* It takes one answer for each task. Where a launch needs several (``cutover.migration.quorum``), the gate records each
  as it comes and then waits again, with the same form and for as long as is left: one question, in one place, that one
  rejection ends. Between two answers the form is closed for some seconds, and a second answer is refused meanwhile.
* Airflow's gate calls its notifiers one after the other, and fails or hangs with them. Here how it went is written
  down, and shown on the review.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.approvers import Approver, approvers, assigned
from cutover.operators.base import (
    application,
    asked_for,
    connect_to,
    in_words,
    opened,
    require_known,
    run_of,
    told_of,
    triggered_by,
    witnessed,
)
from cutover.operators.links import (
    ReviewLink,
    answer_address,
    approvals_address,
    outlook_address,
    review_address,
)
from cutover.operators.timing import freezes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from cutover import approve
    from cutover.migration.quorum import Quorum
    from cutover.swap.timing import Timing


# The third answer, where several are needed: it ends the run as a rejection does, and says what is wanted instead.
CHANGES = "Request changes"
# The form takes no more. An answer that came past the form is not lost for its comment: it is cut.
LONGEST_COMMENT = 2_000


def _comment(given: Any) -> str | None:
    """A comment as it is kept: no longer than the form lets it be, and without what PostgreSQL does not take."""
    if given is None:
        return None
    text = str(given).replace("\0", "")
    return text if len(text) <= LONGEST_COMMENT else f"{text[:LONGEST_COMMENT]}… ({len(text):,} characters in all)"


def _revert_window() -> dict[str, Param]:
    """The fields by which whoever approves a swap may approve beforehand that it is taken back."""
    from cutover import revert

    return {
        "revert": Param(
            False,
            type="boolean",
            title="Approve beforehand that exactly this swap is taken back",
            description="Whoever may trigger the rollback takes it back without asking a second person, while the "
            "minutes below last; with every write made since. Nobody does so by themselves.",
            source="task",
        ),
        "revert_minutes": Param(
            revert.USUAL_MINUTES,
            type="integer",
            minimum=1,
            maximum=revert.MOST_MINUTES,
            title="For so many minutes after the swap",
            description="Counts only with the switch above. Afterwards a rollback needs its own approval.",
            source="task",
        ),
    }


def _for_others(needed: Quorum) -> dict[str, Param]:
    """The field by which somebody says for whom they answer, where that was declared."""
    of = list(dict.fromkeys(one.of for one in needed.delegations))
    if not of:
        return {}
    return {
        "answers_for": Param(
            None,
            type=["null", "string"],
            enum=[None, *of],
            title="For whom you answer, if not for yourself",
            description="Only whom migration.yaml lets you answer for, and only until then.",
            source="task",
        )
    }


def _named(given: Any) -> str | None:
    """The person that a form names; None for none."""
    return str(given) if given else None


class ApprovalSensor(ApprovalOperator):
    """Waits for a person to approve the run's ``action``, and records who did.

    An action is ``swap``, ``rollback``, ``drop_backups``, ``erase_person``, ``restore_people`` or ``announce``.

    The DAG parameter ``approval_hours`` bounds both the wait and the life of the approval; so does the end of a
    maintenance window. Never retried: a
    retry would ask again behind the back of whoever answered.

    ``notifiers``, any of Airflow's, are told of the question, before it ends, and of its answer, beside those that are
    configured for every message (docs/notices.md). They see the question's context, and the message as ``notice``.
    """

    template_fields = (*ApprovalOperator.template_fields, "migration")
    operator_extra_links = (ReviewLink(),)

    def __init__(self, *, migration: str, action: str, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        kwargs = told_of(kwargs, success=True)
        super().__init__(subject=f"{migration}: approve the {action}?", fail_on_reject=True, **kwargs)
        self.migration = migration
        self.action = action

    def execute(self, context: Context) -> Any:
        """Ask, unless the answer is on record. Raises unless what is staged is what was reviewed and the form shows."""
        if context["params"].get("dry_run"):
            raise AirflowSkipException("dry run: the review is made, nobody is asked and nothing is swapped")
        with self._speaking(context):
            require_known(context)
            if self._needed is not None:
                self.options = [*self.options, CHANGES]
            given = self._given(context)
            if given is None and self._by_window(context) is not None:
                return self._pass(context)
            if given is None:
                self._ask(context)
            else:
                self._require_good(context, given)
                self.log.info("not asked again: %s answered at %s", given.person, given.decided_at)
                return {"chosen_options": [self.APPROVE], "responded_by_user": {"name": given.person}}
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take the answer, check it, record it."""
        with self._speaking(context):
            try:
                self._take(context, event)
            except CutoverError as error:
                self._withdraw(context, error)
                raise
        return super().execute_complete(context, event)

    def _fill(self, shown: dict[str, str]) -> None:
        """Make the form of what is shown."""
        from cutover.records import phase

        self.subject, self.body = shown["subject"], shown["body"]
        self.params = ParamsDict(
            {
                **(_revert_window() if self.action == phase.SWAP else {}),
                **(_for_others(self._needed) if self._needed else {}),
                "comment": Param(
                    None, type=["null", "string"], maxLength=LONGEST_COMMENT, title="Comment", source="task"
                ),
                "fingerprint": Param(
                    shown["fingerprint"],
                    type="string",
                    enum=[shown["fingerprint"]],
                    title="Fingerprint of what you approve",
                    source="task",
                ),
            }
        )

    def _ask(self, context: Context) -> None:
        import psycopg

        from cutover import approve

        allowed = self._allowed(context)
        shown = self._evidence(context)
        self._fill(shown)
        ti = context["ti"]
        this_run = self._run(context)
        self._require_ahead(context)
        patience = self._patience(context, datetime.now(timezone.utc))
        with opened(self._connect(context)) as connection:
            approve.ask(
                connection,
                load(self.migration),
                this_run,
                self.action,
                fingerprint=shown["fingerprint"],
                hours=patience / timedelta(hours=1),
                dag_file=self._dag_file(context),
            )
            approve.void_earlier(
                connection,
                this_run,
                self.action,
                f"asked again, try {ti.try_number}",
                # whoever has answered already is not asked again
                only_over=self._needed is not None,
            )
        try:
            self._put_form(ti.id, allowed)
        except CutoverError as error:
            self._withdraw(context, error)
            raise
        # Airflow keeps a link when the task has ended; this one is needed while it waits.
        ti.xcom_push(key=ReviewLink().xcom_key, value=self._review_address(context))
        try:
            self._tell(context, shown["fingerprint"], patience)
        except (CutoverError, psycopg.Error) as error:
            # the form is there: who opens Airflow sees it, and the next look of `outlook` tells
            self.log.warning("nobody is told now: %s", masked_text(" ".join(str(error).split())))
        self.log.info("waiting up to %s for %s", patience, " or ".join(approver.name for approver in allowed))
        raise TaskAwaitingInput(method_name="execute_complete", timeout=patience)

    def _ask_on(self, context: Context) -> None:
        """Wait with the same form for whoever is still to answer, as long as the question lasts.

        Raises CutoverError ``approve.expired`` if it is over.
        """
        from cutover import approve
        from cutover.operators import events

        self.options = [*self.options, CHANGES]
        self._fill(self._evidence(context))
        with opened(self._connect(context)) as connection:
            still = approve.left(connection, self._run(context))
        if not still:
            raise self._expired()
        allowed = self._allowed(context)
        # Airflow takes the answer out of the form that it has kept, and the form is open again
        self._put_form(context["ti"].id, allowed)
        # of the answer that was just given; what cannot be told now, the next look of `outlook` tells
        events.tell_success(context)
        self.log.info("waiting on up to %s for %s", still, " or ".join(approver.name for approver in allowed))
        raise TaskAwaitingInput(method_name="execute_complete", timeout=still)

    def _by_window(self, context: Context) -> int | None:
        """The ledger entry that a rollback takes back by its revert window; None for one that asks."""
        from cutover import revert
        from cutover.records import phase

        return context["params"].get(revert.PARAMETER) if self.action == phase.ROLLBACK else None

    def _pass(self, context: Context) -> dict[str, Any]:
        """Record the approval that was given with that of the swap. Raises unless it holds for this run, and now.

        What counts is in the target database: the parameter only names the entry.
        """
        from cutover import revert

        shown, migration, this_run = self._evidence(context), load(self.migration), self._run(context)
        with opened(self._connect(context)) as connection:
            window = revert.require_open(connection, migration, int(self._by_window(context) or 0))
        with opened(self._connect(context)) as connection:
            revert.pass_gate(
                connection,
                migration,
                this_run,
                window,
                fingerprint=shown["fingerprint"],
                triggered_by=triggered_by(context),
                task_id=self.task_id,
                try_number=context["ti"].try_number,
            )
        self.log.info(
            "not asked: %s has approved it beforehand with the swap (approval no. %s), until %s",
            window.approved_by,
            window.approval_id,
            f"{window.ends_at:%Y-%m-%d %H:%M:%S %Z}",
        )
        return {"chosen_options": [self.APPROVE], "responded_by_user": {"name": window.approved_by}}

    def _dag_file(self, context: Context) -> str | None:
        """Where the notifiers that were passed to this question are found; None if there are none."""
        return getattr(context.get("dag"), "fileloc", None) if self.notifiers else None

    def _patience(self, context: Context, since: datetime) -> timedelta:
        """How long a question of ``since`` may wait, or an answer counts: not beyond the end of a maintenance window.

        Nor beyond the time of the swap, if that is a moment. Raises ``window.over``: nothing is swapped after it.
        """
        from cutover import window

        patience = timedelta(hours=context["params"]["approval_hours"])
        if self.action != "swap":
            return patience
        ends = self._timing(context).good_until(since)
        if ends is not None:
            # whoever is asked about a moment cannot answer after it; of a window there is another
            return min(patience, max(ends - since, timedelta()))
        if not asked_for(context):
            return patience
        with opened(self._connect(context)) as connection:
            ends_at = window.end_of(connection, self._run(context))
        if ends_at is None:
            return patience
        window.require_open_for(ends_at, since)
        return min(patience, ends_at - since)

    def _good_for(self, context: Context, decided_at: datetime) -> timedelta:
        """How long an approval of ``decided_at`` counts: as long as anybody may be asked, or for its time."""
        ends = self._timing(context).good_until(decided_at) if self.action == "swap" else None
        return self._patience(context, decided_at) if ends is None else max(ends - decided_at, timedelta())

    def _require_ahead(self, context: Context) -> None:
        """Raise ``swap.missed``, ``swap.frozen`` before anybody is asked about a swap that could not happen."""
        from cutover.database import clock

        if self.action == "swap":
            with opened(self._connect(context)) as connection:
                now = clock.now(connection)
            self._timing(context).require_ahead(now)

    def _timing(self, context: Context) -> Timing:
        """When the swap may happen, by what the run was triggered with: its row, and not this task's parameters."""
        from cutover.records import run
        from cutover.swap import timing

        with opened(self._connect(context)) as connection:
            given = run.get(connection, self._run(context)).parameters
        calendar = freezes(load(self.migration).target)
        return timing.given(given.get("swap_at"), calendar, given.get("freeze_override"))

    @contextmanager
    def _speaking(self, context: Context) -> Iterator[None]:
        """Errors as sentences, and records as this task's."""
        from cutover.records import phase

        working = phase.working(self.task_id, context["ti"].try_number)
        with in_words(self.log, f"task {self.task_id}"), working, self._witnessed(context):
            yield

    def _given(self, context: Context) -> approve.Given | None:
        """The answer on record that still counts. An answer is final, whatever became of the task that took it."""
        from cutover import approve

        with opened(self._connect(context)) as connection:
            given = approve.given(connection, self._run(context), self.action, self._needed)
        return given if given is not None and given.stands else None

    def _require_good(self, context: Context, given: approve.Given) -> None:
        """Raise unless the answer on record is an approval of what is staged now."""
        if given.decision != "approve":
            raise self._refused(given.decision, given.person, given.comment)
        from cutover.records import ledger

        with opened(self._connect(context)) as connection:
            if ledger.find(connection, self._run(context)) is not None:
                return
        self._require_unchanged(given.person, given.fingerprint, self._evidence(context)["fingerprint"])

    def _withdraw(self, context: Context, error: CutoverError) -> None:
        """Say that the question is not open any more, unless an answer to it is on record."""
        from cutover import approve

        if self._given(context) is None:
            with opened(self._connect(context)) as connection:
                approve.withdraw(connection, load(self.migration), self._run(context), self.action, error.code)

    def _tell(self, context: Context, fingerprint: str, patience: timedelta) -> None:
        from cutover import notices
        from cutover.records import anchors, chain, run

        with opened(self._connect(context)) as connection:
            review = run.get(connection, self._run(context)).review or {}
            newest = chain.newest(connection)
        dag_run = context["dag_run"]
        links = (self._review_address(context), answer_address(dag_run.dag_id, dag_run.run_id, self.task_id))
        message = notify.message_for(self.subject, review, fingerprint, links, triggered_by(context))
        lines = message.lines
        if self._needed is not None:
            lines = (*lines, f"It needs {self._needed.words}")
        if newest is not None:
            # a mailbox is one more place outside the database where the chain's head is noted
            lines = (*lines, anchors.describe(newest))
        connect, migration, this_run = self._connect(context), load(self.migration), self._run(context)
        with opened(connect) as connection:
            event = notices.Event(
                migration.migration,
                "asked",
                notices.question(connection, this_run),
                dag_run.dag_id,
                message.subject,
                lines,
                this_run,
                dag_run.run_id,
                self.task_id,
                self._dag_file(context),
                lasts=patience,
            )
            if not notices.add(connection, event):
                self.log.info("people were told of this question before")
        if not notify.ways("asked", notify.configured(), self.notifiers):
            self.log.info("nobody is told: no way is configured (docs/notices.md)")
        here = notify.Around(self.notifiers, context)
        notify.deliver(
            connect, migration, self.log.info, run=this_run, patience=notify.PATIENCE_S, around=lambda _: here
        )

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
        fingerprint = (stored.params or {}).get("fingerprint", {}).get("value")  # type: ignore[union-attr]
        if (stored.subject, stored.body, fingerprint) != (self.subject, self.body, self.params["fingerprint"]):  # type: ignore[union-attr]
            raise CutoverError(
                "approve.stale-form",
                self.task_id,
                "Airflow still holds the form of an earlier try, which shows other data.",
                "trigger a new run: a form cannot be replaced within one.",
            )

    def _take(self, context: Context, event: dict[str, Any]) -> None:
        """Take an answer. One that does not count, where several are needed, ends nothing: the others are asked on."""
        from cutover import approve
        from cutover.records import chain

        try:
            self._answer(context, event)
        except approve.NotCountedError as error:
            self.log.error("not counted: %s", error)
            with opened(self._connect(context)) as connection:
                chain.refuse(connection, self._run(context), self.task_id, error)
            self._ask_on(context)

    def _answer(self, context: Context, event: dict[str, Any]) -> None:
        from cutover import approve, revert
        from cutover.records import phase

        if "error" in event:
            if event.get("error_type") == "timeout":
                raise self._expired()
            raise CutoverError(
                "approve.failed", self.task_id, str(event["error"]), "trigger a new run; production was not touched."
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
        connect, needed = self._connect(context), self._needed
        decisions = {self.APPROVE: "approve"} | ({CHANGES: "changes"} if needed else {})
        decision = decisions.get("".join(event["chosen_options"]), "reject")
        is_approved = decision == "approve"
        hours = timedelta(hours=context["params"]["approval_hours"])
        answer = approve.Answer(
            run=self._run(context),
            action=self.action,
            decision=decision,
            fingerprint=str(values.get("fingerprint")),
            task_id=self.task_id,
            try_number=ti.try_number,
            person=person["name"],
            person_id=str(person["id"]),
            triggered_by=triggered_by(context),
            comment=_comment(values.get("comment")),
            decided_at=event["responded_at"],
            valid_for=self._good_for(context, event["responded_at"]) if is_approved else hours,
            revert_minutes=revert.minutes_given(values) if is_approved and self.action == phase.SWAP else None,
            answers_for=_named(values.get("answers_for")) if is_approved and needed else None,
        )
        if is_approved:
            if needed is None:
                approve.require_second_person(answer, [approver.name for approver in self._allowed(context)])
            current = self._evidence(context)["fingerprint"]
            self._require_unchanged(answer.person, answer.fingerprint, current)
        with opened(connect) as connection:
            if needed is not None:
                named = [approver.name for approver in approvers(load(self.migration), answer.triggered_by)]
                answer = approve.counted(connection, answer, needed, named)
            approve.record(connection, answer)
        self.log.info("%s: %s by %s, fingerprint %s", self.action, answer.decision, answer.person, answer.fingerprint)
        if not is_approved:
            raise self._refused(answer.decision, answer.person, answer.comment)
        if answer.completes is False:
            self.log.info("%s", answer.comes_to)
            self._ask_on(context)

    def _require_unchanged(self, person: str, approved: str, current: str) -> None:
        if approved != current:
            raise CutoverError(
                "approve.changed",
                self.task_id,
                f"{person} approved {approved[:12]}…, but {current[:12]}… is staged now.",
                "find out who changed the staged data; then trigger a new run.",
            )

    def _refused(self, decision: str, person: str, comment: str | None) -> CutoverError:
        if decision == "changes":
            return CutoverError(
                "approve.changes-requested",
                self.task_id,
                f"{person} asks for changes before the {self.action}: {comment}",
                "nothing was changed; make those changes and trigger a new run.",
            )
        return CutoverError(
            "approve.rejected",
            self.task_id,
            f"{person} rejected the {self.action}" + (f": {comment}" if comment else "."),
            "nothing was changed; correct what was found and trigger a new run.",
        )

    def _expired(self) -> CutoverError:
        return CutoverError(
            "approve.expired",
            self.task_id,
            "nobody answered in time." if self._needed is None else "not everybody who has to has answered in time.",
            "trigger a new run; production was not touched.",
        )

    @property
    def _needed(self) -> Quorum | None:
        """Who has to approve a launch; None if one answer is enough, as it is for every other action."""
        from cutover.records import phase

        return load(self.migration).quorum if self.action == phase.SWAP else None

    def _evidence(self, context: Context) -> dict[str, str]:
        """Subject, body and fingerprint of what is staged at this moment, read from the database and not from XCom."""
        from cutover import announce, erase, restore, retention, review, rollback
        from cutover.announce import audience
        from cutover.records import phase, run
        from cutover.swap import coverage
        from cutover.swap.order import read_scope, require_recorded

        migration = load(self.migration)
        with opened(self._connect(context)) as connection:
            phase.require(connection, migration, self._run(context), phase.QUESTION, self.action)
            row = run.get(connection, self._run(context))
            assert row.review is not None
            what = ""
            if self.action == retention.ACTION:
                current = retention.fingerprint_of(connection, migration, row)
                body = retention.markdown(row.review)
            elif self.action == erase.ACTION:
                current = erase.fingerprint_of(row)
                body = erase.markdown(row.review)
            elif self.action == restore.ACTION:
                current = restore.fingerprint_of(connection, migration, row)
                body = restore.markdown(row.review)
            elif self.action == announce.ACTION:
                current = audience.fingerprint_of(connection, row)
                body = audience.markdown(row.review)
            else:
                back = self.action == "rollback"
                order = rollback.reviewed(connection, migration, row) if back else review.order(migration, row)
                require_recorded(connection, order, read_scope(connection, order))
                present, changed = coverage.again(connection, order)
                coverage.require_same_code(changed, f"run {row.run}")
                current, what = present.fingerprint, coverage.in_words(changed, present)
                body = (rollback if back else review).markdown(row.review)
        if current != row.fingerprint:
            raise CutoverError(
                "approve.changed",
                f"run {row.run}",
                "what is staged is not what the review was made from" + (f": {what}." if what else "."),
                "find out who changed the staged data; then trigger a new run.",
            )
        if self.action == "swap":
            of = context["dag_run"]
            # the form is final, the picture in it is of the moment in which it is opened
            body = f"![What would stop the swap now]({outlook_address(of.dag_id, of.run_id)})\n\n{body}"
        if self._needed is not None:
            of = context["dag_run"]
            address = approvals_address(of.dag_id, of.run_id)
            body = f"**It needs {self._needed.words}**\n\n![How many answers there are]({address})\n\n{body}"
        if self.action in (phase.SWAP, phase.ROLLBACK):
            body += f"\n\n[The whole review]({self._review_address(context)})"
        return {
            "subject": f"{self.migration}: approve the {self.action} of run {row.run}?",
            "body": body,
            "fingerprint": current,
        }

    def _review_address(self, context: Context) -> str:
        """Where to read all of it: of anything but a launch or a rollback, that is the form itself."""
        from cutover.records import phase

        of = context["dag_run"]
        if self.action not in (phase.SWAP, phase.ROLLBACK):
            return answer_address(of.dag_id, of.run_id, self.task_id)
        return review_address(of.dag_id, of.run_id)

    def _run(self, context: Context) -> str:
        return run_of(context, load(self.migration).target)

    def _allowed(self, context: Context) -> list[Approver]:
        named = approvers(load(self.migration), triggered_by(context))
        now, needed = datetime.now(timezone.utc), self._needed
        return [one for one in named if needed is None or needed.may_answer(one.name, now)]

    def _witnessed(self, context: Context) -> AbstractContextManager[None]:
        return witnessed(
            self._connect(context), load(self.migration), self._run(context), self.log.info, task=self.task_id
        )

    def _connect(self, context: Context) -> Any:
        return connect_to(load(self.migration).target, application(self._run(context), self.task_id))
