"""
# announce

Tells people about a launch, after a second person has approved exactly these texts to exactly these people.

1. `preview` fills in the campaign's text (`include/announcements/<migration>/<campaign>.md`), and freezes whom it is
   for.
2. `approve` waits for a person who did not trigger the run: the form shows each text as it goes out, the counts, and a
   few people, masked. What has been sent cannot be taken back.
3. `wait` waits for the moment that the campaign names, such as 15 minutes before the maintenance window opens.
4. `send` sends, at a bounded rate. Each person is told once per campaign and channel, whatever is killed. A message
   whose sender died in the middle is `unknown`, and is never sent again by itself: see the parameter *Messages of which
   nobody knows*.

**`send` has failed?** Clear the cause, then the task: it goes on where it has stopped. A new run of the same campaign
tells only those who have not been told.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from cutover.announce.message import declared
from cutover.operators import parameters
from cutover.operators.announce import DueSensor, PreviewAnnouncementOperator, SendOperator
from cutover.operators.approve import ApprovalSensor

CAMPAIGNS = declared()
MIGRATION = "{{ params.migration }}"

# a deployment whose migrations announce nothing has no such DAG
if CAMPAIGNS:
    with DAG(
        dag_id="announce",
        doc_md=__doc__,
        schedule=None,
        start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
        tags=["cutover"],
        params={
            "migration": Param(
                next(iter(CAMPAIGNS)),
                type="string",
                enum=list(CAMPAIGNS),
                title="About which migration",
                description="Its target is where it is written down who has been told.",
            ),
            "campaign": Param(
                next(iter(CAMPAIGNS.values()))[0],
                type="string",
                enum=sorted({name for names in CAMPAIGNS.values() for name in names}),
                title="Campaign",
                description="The file in include/announcements/<migration>: the text, whom it is for, and when.",
            ),
            "window_opens": parameters.window_opens(
                "When the maintenance window opens",
                "What the text speaks of. Empty: the window of the newest launch that has one.",
            ),
            "window_minutes": parameters.window_minutes(
                "Length of that window, in minutes", "Counts only together with the time above."
            ),
            "emails_per_second": parameters.rate(
                10, "E-mails a second, at most", "What your mail server's contract says."
            ),
            "pushes_per_second": parameters.rate(50, "Pushes a second, at most", "Google's quota is 600,000 a minute."),
            "unknown": Param(
                "leave",
                type="string",
                enum=["leave", "resend", "sent"],
                title="Messages of which nobody knows whether they were delivered",
                description="Of earlier runs of this campaign. leave: as they are. resend: they are sent again. "
                "sent: they count as sent.",
            ),
            "approval_hours": parameters.approval_hours(24, "After this the run fails, and nobody is told."),
        },
    ) as dag:
        preview = PreviewAnnouncementOperator(task_id="preview", migration=MIGRATION)
        approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="announce")
        wait = DueSensor(task_id="wait", migration=MIGRATION)
        send = SendOperator(task_id="send", migration=MIGRATION)

        preview >> approve >> wait >> send
