"""The DAGs that serve all migrations of a deployment, each made by a call: ``dag = outlook()``.

Ids of DAGs and tasks are relied upon from outside. Where there is nothing to serve there is no DAG, and the function
returns None. A migration whose declaration cannot be read says so in its own DAG, and keeps no other from being served.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, AssetAny, Param, TaskGroup

from cutover.announce.message import declared as campaigns
from cutover.errors import PROGRAM, CutoverError
from cutover.migration import Migration, declared, load
from cutover.operators import parameters
from cutover.operators.announce import DueSensor, PreviewAnnouncementOperator, SendOperator
from cutover.operators.approve import ApprovalSensor
from cutover.operators.base import CutoverOperator
from cutover.operators.extract import SyncSummaryOperator, sync_group
from cutover.operators.outlook import OutlookOperator
from cutover.operators.phases import (
    DropBackupsOperator,
    EraseOperator,
    ListBackupsOperator,
    PreviewErasureOperator,
    PreviewRestorationOperator,
    RestoreOperator,
    production_assets,
)
from cutover.operators.watch import LONGEST_HOURS, TroubleOperator, WatchSensor

# Airflow wants one; it is also from when a schedule counts, and no hour before today is made up for.
_BEGIN = datetime(2025, 1, 1, tzinfo=timezone.utc)
# Of DAGs that a person triggers for one migration: which, is a parameter.
_MIGRATION = "{{ params.migration }}"

# What people read of each DAG in Airflow.
_DOCS = Path(__file__).with_name("general_docs")

_log = logging.getLogger(__name__)


def announce() -> DAG | None:
    """People told about a launch, each once, after an approval of the exact texts."""
    messages = campaigns()
    if not messages:
        return None
    given = {
        "migration": _choice(
            list(messages), "About which migration", "Its target is where it is written down who has been told."
        ),
        "campaign": _choice(
            sorted({name for names in messages.values() for name in names}),
            "Campaign",
            "The file in include/announcements/<migration>: the text, whom it is for, and when.",
        ),
        "window_opens": parameters.window_opens(
            "When the maintenance window opens",
            "What the text speaks of. Empty: the window of the newest launch that has one.",
        ),
        "window_minutes": parameters.window_minutes(
            "Length of that window, in minutes", "Counts only together with the time above."
        ),
        "emails_per_second": parameters.rate(10, "E-mails a second, at most", "What your mail server's contract says."),
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
    }
    # Several campaigns may wait for their moments; a way out that is down for a minute is tried again.
    retries = {"retries": 3, "retry_delay": timedelta(seconds=30)}
    with _asked("announce", given, default_args=retries) as dag:
        preview = PreviewAnnouncementOperator(task_id="preview", migration=_MIGRATION)
        approve = ApprovalSensor(task_id="approve", migration=_MIGRATION, action="announce")
        wait = DueSensor(task_id="wait", migration=_MIGRATION)
        preview >> approve >> wait >> SendOperator(task_id="send", migration=_MIGRATION)
    return dag


def drop_backups() -> DAG | None:
    """Old backups dropped, after an approval of exactly these."""
    if not declared():
        return None
    given = {
        "migration": _choice(declared(), "Whose backups", "The migration whose old tables are to go."),
        "days": Param(
            30,
            type="integer",
            minimum=1,
            title="Older than so many days",
            description="The newest backup always stays.",
        ),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and no backup is dropped."),
    }
    # What is approved is the list; a backup that has become the newest since then is not dropped.
    return _approved("drop_backups", given, list=ListBackupsOperator, drop=DropBackupsOperator)


def erase_person() -> DAG | None:
    """One person taken out of everything that the engine keeps, after an approval."""
    if not declared():
        return None
    given = {
        "migration": _choice(declared(), "Of which migration", "The one that the request was made for."),
        "request": _request(f"As {PROGRAM} erase --ask printed it."),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and nobody is erased."),
    }
    return _approved("erase_person", given, preview=PreviewErasureOperator, erase=EraseOperator)


def launch_watch() -> DAG | None:
    """Each launch watched for some hours after its swap, and a question where it does not do what it should."""
    # one table of each migration stands for its swap: all of a swap's events come at once
    assets = {one.migration: assets_of[0] for one in _sound() if (assets_of := _production_assets(one))}
    if not assets:
        return None
    given = {
        "hours": Param(
            6,
            type="number",
            exclusiveMinimum=0,
            maximum=LONGEST_HOURS,
            title="Hours to watch a launch",
            description="Counted from its swap.",
        ),
    }
    with _dag("launch_watch", AssetAny(*assets.values()), given) as dag:
        for migration in assets:
            with TaskGroup(migration):
                look = WatchSensor(task_id="look", migration=migration, poke_interval=timedelta(minutes=5))
                look >> TroubleOperator(task_id="ask", migration=migration, look_task=look.task_id)
    return dag


def outlook() -> DAG | None:
    """Every five minutes: whether anything has come into the way of a launch that a person is asked about."""
    if not declared():
        return None
    # A look that takes longer than the next one waits for is of no use.
    with _dag("outlook", timedelta(minutes=5), max_active_runs=1, dagrun_timeout=timedelta(minutes=5)) as dag:
        for migration in declared():
            OutlookOperator(task_id=migration, migration=migration)
    return dag


def raw_sync() -> DAG | None:
    """Every hour: raw tables brought up to what the APIs show. Databases are copied by launches alone."""
    served = [migration for migration in _sound() if migration.synced()]
    if not served:
        return None
    given = {"full": parameters.full(has_databases=False), "accept_gone": parameters.accept_gone()}
    # Two syncs of a source would wait for each other.
    with _dag("raw_sync", timedelta(hours=1), given, max_active_runs=1, dagrun_timeout=timedelta(hours=12)) as dag:
        # The summary needs every endpoint: if one fails, so does the run, and the others have stored what they had.
        sync_group(served) >> SyncSummaryOperator(task_id="summary")
    return dag


def restore_people() -> DAG | None:
    """The rows of some people as they were before the newest launch, after an approval of exactly these."""
    if not declared():
        return None
    given = {
        "migration": _choice(declared(), "Of which migration", "The one that the request was made for."),
        "request": _request(f"As {PROGRAM} restore --ask printed it."),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and nothing is changed."),
    }
    return _approved("restore_people", given, preview=PreviewRestorationOperator, restore=RestoreOperator)


def _dag(dag_id: str, schedule: Any, params: dict[str, Param] | None = None, **kwargs: Any) -> DAG:
    return DAG(
        dag_id=dag_id,
        doc_md=(_DOCS / f"{dag_id}.md").read_text(encoding="utf-8").replace("./run ", f"{PROGRAM} "),
        schedule=schedule,
        start_date=_BEGIN,
        catchup=False,
        tags=["cutover"],
        params=params,
        **kwargs,
    )


def _asked(dag_id: str, params: dict[str, Param], **kwargs: Any) -> DAG:
    """One that a person triggers, and another one approves."""
    retries = {"retries": 1, "retry_delay": timedelta(seconds=10)}
    return _dag(dag_id, None, params, **{"default_args": retries, "allowed_run_types": parameters.BY_HAND, **kwargs})


def _approved(dag_id: str, params: dict[str, Param], **steps: type[CutoverOperator]) -> DAG:
    """One that says what would be done, asks about exactly that, and does it; ``steps`` are the first and the last."""
    with _asked(dag_id, params, max_active_runs=1) as dag:
        first, last = (kind(task_id=name, migration=_MIGRATION) for name, kind in steps.items())
        first >> ApprovalSensor(task_id="approve", migration=_MIGRATION, action=dag_id) >> last
    return dag


def _sound() -> list[Migration]:
    """The migrations whose declaration can be read."""
    sound = []
    for name in declared():
        try:
            sound.append(load(name))
        except CutoverError as error:
            _log.warning("not served: %s", error)
    return sound


def _production_assets(migration: Migration) -> list[Any]:
    """What its swap puts in place; nothing, where its DDL cannot be read."""
    try:
        return production_assets(migration)
    except CutoverError as error:
        _log.warning("not watched: %s", error)
        return []


def _choice(names: list[str], title: str, description: str) -> Param:
    """One of these names. Where there are several it has to be said: nothing is done to one that nobody has named."""
    default: dict[str, Any] = {"default": names[0]} if len(names) == 1 else {}
    return Param(**default, type="string", enum=names, title=title, description=description)


def _request(description: str) -> Param:
    """``request``: the number of what somebody who may read the target has asked for."""
    return Param(1, type="integer", minimum=1, title="Number of the request", description=description)
