"""The task groups that every launch is made of, named like the phases of the engine."""

from __future__ import annotations

from airflow.sdk import TaskGroup

from cutover.migration import load, load_order
from cutover.operators.phases import CaptureOperator, FreezeOperator, KeysOperator, LoadOperator, PrepareOperator


def freeze_group(migration: str) -> TaskGroup:
    """``freeze``: capture first, then the snapshot. The other way round, a write between them would be lost."""
    with TaskGroup("freeze", tooltip="One consistent copy of sources and production") as group:
        capture = CaptureOperator(task_id="capture", migration=migration)
        snapshot = FreezeOperator(task_id="snapshot", migration=migration)
        capture >> snapshot
    return group


def transform_group(migration: str) -> TaskGroup:
    """``transform``: one task per staging table, in the order of the foreign keys in the staging DDL.

    ``<table>.<column>`` is the step that closes a circle of foreign keys; ``keys`` comes last, because a table
    loads faster without them.
    """
    declared = load(migration)
    with TaskGroup("transform", tooltip="The new tables, built beside production") as group:
        prepare = PrepareOperator(task_id="prepare", migration=migration)
        keys = KeysOperator(task_id="keys", migration=migration)
        waits_for = load_order.load_dependencies(declared)
        steps = {
            step: LoadOperator(
                task_id=step.replace(".", "_"), migration=migration, step=step, sql=f"{migration}/transform/{step}.sql"
            )
            for step in waits_for
        }
        for step, task in steps.items():
            prepare >> task >> keys
            for before in sorted(waits_for[step]):
                steps[before] >> task
    return group
