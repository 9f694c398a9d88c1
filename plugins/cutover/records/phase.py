"""What each step of a run has done, recorded in the target database, and which step needs which.

A step looks here and never at the states of tasks: a task that was marked successful has done nothing. A record is
written in the transaction of its effect, with the records that it was made from. It counts as long as it is the newest
of its step, holds, and was made from the newest records of the steps before it; so whatever is done again makes
everything behind it stale, in whichever order tasks are cleared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration import has_window, load_order
from cutover.records import run, workspace

if TYPE_CHECKING:
    from cutover.migration import Migration

SWAP, ROLLBACK = "swap", "rollback"
CHECKED, QUESTION, WAIT = "preflight", "question", "wait"
# of the swap itself; sign-ins are rehearsed after it
REHEARSAL = "rehearsal"
PROBES = "probes"


@dataclass(frozen=True)
class Step:
    """One step of a run: its task, the area of its refusals, what it is called where it is missing, what it needs."""

    name: str
    task: str
    area: str
    missing: str
    noun: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What a step has done."""

    step: str
    record_id: int
    holds: bool
    made_from: list[int]
    result: dict[str, Any]
    recorded_at: datetime


# the steps that work in the schemas `input` and `staging` after the freeze has made them
_IN_WORKSPACE = (
    "prepare", "load", "keys", "validation", "late_writes", REHEARSAL, PROBES, "review", QUESTION, WAIT, SWAP,
)  # fmt: skip

# action → the task that makes what a person is shown, the area of refusals, the task that does it
_SHORT = {
    ROLLBACK: ("preview", "rollback", "rollback"),
    "drop_backups": ("list", "retention", "drop"),
    "erase_person": ("preview", "erase", "erase"),
    "restore_people": ("preview", "restore", "restore"),
    "announce": ("preview", "announce", "send"),
}

_task: ContextVar[tuple[str, int] | None] = ContextVar("task", default=None)


@contextmanager
def working(task_id: str, try_number: int) -> Iterator[None]:
    """Records made within say that this task made them."""
    before = _task.set((task_id, try_number))
    try:
        yield
    finally:
        _task.reset(before)


def task() -> str | None:
    """The task within which this runs; None outside of any."""
    current = _task.get()
    return current[0] if current else None


def steps(migration: Migration, action: str, parameters: Mapping[str, Any]) -> dict[str, Step]:
    """Every step of a run by its name, each behind those that it needs."""
    if action == SWAP:
        return _launch(migration, parameters)
    shown, area, last = _SHORT[action]
    return _by_name(
        Step("review", shown, area, f"no-{shown}", f"the {shown}"),
        Step(QUESTION, "approve", "approve", "not-approved", "the question to a person", ("review",)),
        Step(last, last, area, "not-done", f"the {last}", (QUESTION,)),
    )


def _launch(migration: Migration, parameters: Mapping[str, Any]) -> dict[str, Step]:
    sources = [
        Step(f"extract.{name}", f"extract.{name}", "extract", "not-extracted", f"the extraction of {name}", (CHECKED,))
        for name in [*migration.synced(), *migration.databases]
    ]
    dumped = migration.dumped(parameters)
    dumps = [
        Step(f"dump.{name}", f"dump.{name}", "dump", "not-dumped", f"the dump of {name}", (CHECKED,)) for name in dumped
    ]
    proofs = [
        Step(
            f"proof.{name}",
            f"dump.prove_{name}",
            "dump",
            "not-proved",
            f"the proof of the dump of {name}",
            (f"dump.{name}",),
        )
        for name in dumped
    ]
    ready = [step.name for step in (*sources, *proofs)]
    window: list[Step] = []
    if migration.databases and has_window(parameters):
        window.append(Step("fence", "window.fence", "window", "not-fenced", "the fence", tuple(ready)))
        window += [
            Step(f"delta.{name}", f"window.delta_{name}", "window", "not-extracted", f"the copy of {name}", ("fence",))
            for name in migration.databases
        ]
        ready += [step.name for step in window]
    waits_for = load_order.load_dependencies(migration)
    loads = [
        Step(
            f"load.{step}",
            f"transform.{step.replace('.', '_')}",
            "transform",
            "not-loaded",
            f"the load of {step}",
            ("prepare", *(f"load.{before}" for before in sorted(waits_for[step]))),
        )
        for step in load_order.flat_order(waits_for)
    ]
    compared = (
        [Step("late_writes", "validate.sources", "validate", "not-compared", "the look at the sources", ("snapshot",))]
        if migration.databases
        else []
    )
    rehearsed = (
        [Step(REHEARSAL, "review.rehearse", "review", "not-rehearsed", "the rehearsal of the swap", ("validation",))]
        if parameters.get("rehearse")
        else []
    )
    # behind the rehearsal: what would fail the swap says so itself
    before_probes = tuple(step.name for step in rehearsed) or ("validation",)
    probed = (
        [Step(PROBES, "review.probe", "review", "not-probed", "the look at queries before and after", before_probes)]
        if parameters.get("probe")
        else []
    )
    return _by_name(
        Step(CHECKED, "preflight.check", "preflight", "not-checked", "preflight"),
        *sources,
        *dumps,
        *proofs,
        *window,
        Step("capture", "freeze.capture", "freeze", "not-captured", "write capture", (CHECKED,)),
        Step("snapshot", "freeze.snapshot", "freeze", "not-frozen", "the snapshot", ("capture", *ready)),
        Step("prepare", "transform.prepare", "transform", "not-prepared", "the preparation", ("snapshot",)),
        *loads,
        Step("keys", "transform.keys", "transform", "no-keys", "the keys", tuple(load.name for load in loads)),
        Step("validation", "validate.suites", "validate", "not-validated", "the validation", ("keys",)),
        *compared,
        *rehearsed,
        *probed,
        Step(
            "review",
            "review.build",
            "review",
            "not-reviewed",
            "the review",
            ("validation", *(step.name for step in (*compared, *rehearsed, *probed))),
        ),
        Step(QUESTION, "approve", "approve", "not-approved", "the question to a person", ("review",)),
        # what it waits for, the swap itself asks the clock
        Step(WAIT, "wait", "swap", "not-waited", "the wait for its time", (QUESTION,)),
        Step(SWAP, "swap", "swap", "not-swapped", "the swap", (QUESTION,)),
        Step("verify", "verify.certificate", "verify", "not-verified", "the certificate"),
    )


def _by_name(*listed: Step) -> dict[str, Step]:
    """In an order in which each comes after those that it needs."""
    given = {step.name: step for step in listed}
    return {name: given[name] for name in TopologicalSorter({s.name: s.after for s in listed}).static_order()}


def newest(connection: psycopg.Connection, this_run: str) -> dict[str, Record]:
    """The newest record of each step of a run."""
    with connection.cursor(row_factory=class_row(Record)) as cursor:
        rows = cursor.execute(files.statement("phase/newest.sql"), {"run": this_run}).fetchall()
    return {record.step: record for record in rows}


def require(
    connection: psycopg.Connection, migration: Migration, this_run: str, step: str, action: str = SWAP
) -> list[int]:
    """Raise CutoverError unless everything that ``step`` needs is on record and current. Returns those records' ids.

    Must be the first statement of a transaction, which then keeps the schemas ``input`` and ``staging`` from being
    taken by another run until it ends. The error names the first step that is missing, failed or stale, such as
    ``review.not-validated``; ``run.asked`` when a person was asked about what the step would make anew, and
    ``run.overtaken`` when the schemas are another run's by now.
    """
    try:
        if action == SWAP and step.split(".", maxsplit=1)[0] in _IN_WORKSPACE:
            workspace.hold(connection, this_run)
        row = run.get(connection, this_run)
    except psycopg.errors.UndefinedTable:
        # nor has any other: the first task makes the tables
        raise run.unknown(this_run) from None
    known = steps(migration, action, row.parameters)
    needed = _needed(known, step)
    if row.asked_at is not None and QUESTION not in (step, *needed) and step != "verify":
        raise run.asked(row)
    records = newest(connection, this_run)
    for name in known:
        if name in needed:
            _require_current(known, records, name, known[step], this_run)
    return [records[name].record_id for name in known[step].after]


def record(
    connection: psycopg.Connection,
    migration: Migration,
    this_run: str,
    step: str,
    made_from: Sequence[int] | None = None,
    *,
    action: str = SWAP,
    holds: bool = True,
    **result: Any,
) -> int:
    """Record, in the caller's transaction, what ``step`` has done, made from what ``require`` has returned.

    Without ``made_from`` it is required here. Returns the record's id.
    """
    if made_from is None:
        made_from = require(connection, migration, this_run, step, action)
    task = _task.get()
    row = connection.execute(
        files.statement("phase/record.sql"),
        {
            "run": this_run,
            "step": step,
            "holds": holds,
            "made_from": list(made_from),
            "result": Jsonb(result),
            "task_id": task[0] if task else None,
            "try_number": task[1] if task else None,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def digest(value: Any) -> str:
    """SHA-256 over a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _needed(known: Mapping[str, Step], step: str) -> set[str]:
    """All steps before ``step``, those before them included."""
    names: set[str] = set()
    ahead = list(known[step].after)
    while ahead:
        name = ahead.pop()
        if name not in names:
            names.add(name)
            ahead.extend(known[name].after)
    return names


def _require_current(
    known: Mapping[str, Step], records: Mapping[str, Record], name: str, asking: Step, this_run: str
) -> None:
    """Raise unless step ``name``, whose own needs are current, is."""
    step, done = known[name], records.get(name)
    remedy = f"clear the task {step.task}, with the tasks behind it."
    if done is None:
        why = f"{step.noun} has not been made: its task {step.task} has not ended well, whatever its state says."
    elif not done.holds:
        why = f"{step.noun} of {done.recorded_at:%Y-%m-%d %H:%M:%S %Z} does not hold{_because(done)}."
        if not done.result.get("unfinished"):
            remedy = "correct what it names, and trigger a new run."
    else:
        before = {other: records[other] for other in step.after}
        later = [other for other in before.values() if other.record_id not in done.made_from]
        if not later:
            return
        first = later[0]
        why = (
            f"{step.noun} was made at {done.recorded_at:%H:%M:%S}, and {known[first.step].noun} anew at "
            f"{first.recorded_at:%H:%M:%S %Z}: it is about what was there before."
        )
    raise CutoverError(f"{asking.area}.{step.missing}", f"run {this_run}", why, remedy)


def _because(done: Record) -> str:
    said = done.result.get("why")
    return f": {said}" if said else ""
