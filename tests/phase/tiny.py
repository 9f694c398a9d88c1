"""The smallest migration there is, and its DAG's tasks one by one: run, left out, or run again, in any order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

from cutover.operators.approve import ApprovalSensor
from cutover.operators.outlook import OutlookOperator
from cutover.operators.phases import (
    CaptureOperator,
    CertificateOperator,
    FreezeOperator,
    KeysOperator,
    LoadOperator,
    PreflightOperator,
    PrepareOperator,
    PreviewOperator,
    ProbeOperator,
    RehearseOperator,
    ReviewOperator,
    RollbackOperator,
    SwapOperator,
)
from cutover.operators.timing import SwapTimeSensor
from cutover.operators.validate import ValidateOperator
from cutover.records import ledger

NAME = "tiny"
_FILES = {
    "migration.yaml": "migration: tiny\ntarget: production\n",
    "freeze/people.sql": "create table input.people as select id, name, amount from raw.people",
    "prepare/10_people.sql": "create table staging.person as select id, name, amount from input.people",
    "staging/people.sql": "create table staging.people (id integer primary key, name text, amount integer)",
    "staging/orders.sql": "create table staging.orders (id integer primary key, person integer, "
    "constraint orders_person foreign key (person) references staging.people (id))",
    "transform/people.sql": "insert into staging.people select id, name, amount from staging.person",
    "transform/orders.sql": "insert into staging.orders select id, id from staging.people",
    "validate/checks/amounts.sql": "-- Nobody owes less than nothing.\nselect id from staging.people where amount < 0",
    "probes/people.sql": "-- Who there is.\n-- assert: no fewer rows\nselect p.id, p.name from people as p",
}
TASKS: dict[str, Callable[[], Any]] = {
    "preflight.check": lambda: PreflightOperator(task_id="preflight.check", migration=NAME),
    "freeze.capture": lambda: CaptureOperator(task_id="freeze.capture", migration=NAME),
    "freeze.snapshot": lambda: FreezeOperator(task_id="freeze.snapshot", migration=NAME),
    "transform.prepare": lambda: PrepareOperator(task_id="transform.prepare", migration=NAME),
    "transform.people": lambda: _load("people"),
    "transform.orders": lambda: _load("orders"),
    "transform.keys": lambda: KeysOperator(task_id="transform.keys", migration=NAME),
    "validate.suites": lambda: ValidateOperator(task_id="validate.suites", migration=NAME),
    "review.rehearse": lambda: RehearseOperator(task_id="review.rehearse", migration=NAME),
    "review.probe": lambda: ProbeOperator(task_id="review.probe", migration=NAME),
    "review.build": lambda: ReviewOperator(task_id="review.build", migration=NAME),
    "approve": lambda: _Gate(task_id="approve", migration=NAME, action="swap"),
    "wait": lambda: SwapTimeSensor(task_id="wait", migration=NAME),
    "swap": lambda: SwapOperator(task_id="swap", migration=NAME),
    "verify.certificate": lambda: CertificateOperator(task_id="verify.certificate", migration=NAME),
}
ROLLBACK: dict[str, Callable[[], Any]] = {
    "preview": lambda: PreviewOperator(task_id="preview", migration=NAME),
    "approve": lambda: _Gate(task_id="approve", migration=NAME, action="rollback"),
    "rollback": lambda: RollbackOperator(task_id="rollback", migration=NAME),
}


def _load(step: str) -> LoadOperator:
    return LoadOperator(task_id=f"transform.{step}", migration=NAME, step=step, sql=_FILES[f"transform/{step}.sql"])


class _Gate(ApprovalSensor):
    """The gate; the form goes nowhere."""

    def _put_form(self, ti_id: Any, allowed: Any) -> None:
        """There is no Airflow to send it to."""


def lay_out(include: Path, real: Path) -> None:
    """A folder ``include`` that has everything of the real one, and this migration."""
    for folder in ("sql", "expectations"):
        (include / folder).mkdir(parents=True)
        for path in (real / folder).iterdir():
            (include / folder / path.name).symlink_to(path)
    for path in real.iterdir():
        if path.name not in ("sql", "expectations"):
            (include / path.name).symlink_to(path)
    for name, text in _FILES.items():
        path = include / "sql" / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (include / "expectations" / NAME).mkdir()
    for table in ("people", "orders"):
        suite = {"name": table, "meta": {"personal": [], "parameters": {}}, "expectations": []}
        (include / "expectations" / NAME / f"{table}.json").write_text(json.dumps(suite))


@dataclass
class Ti:
    """What a task asks of its task instance."""

    try_number: int
    id: str = "0"
    values: dict[str, Any] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()

    def xcom_push(self, key: str, value: Any) -> None:
        """Kept."""
        self.values[key] = value

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        """The state of another run, as Airflow's API tells it."""
        return "failed" if run_id in self.ended else "running"

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        """How many runs are in these states, as Airflow's API tells it."""
        return len(self.ended) if states == ["failed"] and dag_id == NAME else 0


@dataclass
class Run:
    """One DAG run, triggered by ``person``.

    ``foreseen`` is what its last form was about: the fingerprint, and the rows staged at that moment. ``pause`` is what
    its task waits for in the triggerer.
    """

    world: World
    run_id: str
    conf: dict[str, Any] = field(default_factory=dict)
    dag_id: str = NAME
    tries: Any = field(default_factory=lambda: itertools.count(1))
    gate: Any = None
    person: str = "operator"
    foreseen: tuple[str, dict[str, list[Any]]] | None = None
    pause: TaskDeferred | None = None

    @property
    def key(self) -> str:
        """Its name in the target."""
        return ledger.run_key(self.dag_id, self.run_id)

    def context(self) -> dict[str, Any]:
        """What Airflow gives a task of this run."""
        dag_run = SimpleNamespace(
            dag_id=self.dag_id, run_id=self.run_id, conf=self.conf, triggering_user_name=self.person
        )
        params = {
            "dry_run": False, "rehearse": False, "probe": False, "approval_hours": 1, "on_drift": "carry",
            "carry_limit": 100, "revert": None, "swap_at": None, "freeze_override": None, "drift_limit": None,
            "maintenance_window": False,
        }  # fmt: skip
        dag = DAG(dag_id=self.dag_id, schedule=None, params=params)
        ti = Ti(next(self.tries), ended=frozenset(self.world.ended))
        return {"dag_run": dag_run, "params": params | self.conf, "ti": ti, "dag": dag}

    def do(self, task_id: str) -> str | None:
        """Run a task. Returns None, or in words why it has failed; ``waiting`` of a gate that has asked.

        ``deferred`` of one that waits for its time.
        """
        task = (TASKS if self.dag_id == NAME else ROLLBACK)[task_id]()
        if task_id == "approve":
            task.notifiers = self.world.passed
        context = self.context() | {"task": task}
        try:
            task.execute(context)
        except TaskAwaitingInput:
            self.gate = task
            if self.dag_id == NAME:
                self.foreseen = (task.params["fingerprint"], self.world.rows("staging"))
            return "waiting"
        except TaskDeferred as pause:
            self.pause = pause
            return "deferred"
        except AirflowException as error:
            self._end(task, context, error)
            return str(error) or type(error).__name__
        self._end(task, context)
        return None

    def _end(self, task: Any, context: dict[str, Any], error: AirflowException | None = None) -> None:
        """Call what Airflow calls when a task has ended."""
        if not self.world.tells or isinstance(error, AirflowRescheduleException | AirflowSkipException):
            return
        for callback in task.on_failure_callback if error else task.on_success_callback:
            callback(context | {"exception": error})

    def until(self, last: str, *left_out: str) -> str | None:
        """Run the tasks up to ``last`` in their order, until one fails; those left out are marked successful."""
        for task_id in TASKS:
            if task_id not in left_out:
                said = self.do(task_id)
                if said not in (None, "waiting"):
                    return f"{task_id}: {said}"
            if task_id == last:
                return None
        raise AssertionError(last)

    def answer(
        self, option: str = "Approve", person: str | None = "reviewer", at: datetime | None = None, **form: Any
    ) -> str | None:
        """Answer the form that was asked last. Returns why that was not taken; None if it was.

        ``waiting`` if it goes on to ask.
        """
        gate, self.gate = self.gate, None
        event = {
            "chosen_options": [option],
            "params_input": {"fingerprint": gate.params["fingerprint"], "comment": None} | form,
            "responded_at": at or datetime.now(timezone.utc),
            "responded_by_user": {"id": "2", "name": person} if person else None,
        }  # fmt: skip
        return self.resume(gate, event)

    def resume(self, gate: Any, event: dict[str, Any]) -> str | None:
        """Go on with a gate that has waited. Returns why it has failed; None if it has not.

        Airflow does so in another process, whose task knows nothing of the form.
        """
        gate = (TASKS if self.dag_id == NAME else ROLLBACK)["approve"]()
        gate.notifiers = self.world.passed
        context = self.context() | {"task": gate}
        try:
            gate.execute_complete(context, event)
        except TaskAwaitingInput:
            self.gate = gate
            return "waiting"
        except AirflowException as error:
            self._end(gate, context, error)
            return str(error)
        self._end(gate, context)
        return None


@dataclass
class World:
    """A production of two tables, and what the sources hold. ``ended``: runs that Airflow says have failed.

    ``tells``: whether the callbacks of tasks are called. ``passed``: the notifiers that the gate's DAG passes to it.
    """

    dsn: str
    ended: set[str] = field(default_factory=set)
    tells: bool = False
    passed: list[BaseNotifier] = field(default_factory=list)

    def create(self) -> World:
        """Production and raw, with a person each."""
        self.execute(
            "create schema raw",
            "create table raw.people (id integer primary key, name text, amount integer)",
            "create table public.people (id integer primary key, name text, amount integer)",
            "create table public.orders (id integer primary key, person integer references public.people)",
            "insert into raw.people values (1, 'Ana', 10), (2, 'Ben', 20)",
            "insert into public.people values (1, 'Ana', 1)",
        )
        return self

    def execute(self, *statements: str) -> None:
        """Statements, as superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def value(self, query: str) -> Any:
        """The first value of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
            return row and row[0]

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """A client whose transaction has done a statement, and goes on."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement.encode())
            yield

    def rows(self, schema: str) -> dict[str, list[Any]]:
        """All rows of the two tables in a schema."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return {
                table: connection.execute(f"select * from {schema}.{table} order by id".encode()).fetchall()
                for table in ("people", "orders")
            }

    def look(self) -> str:
        """What the DAG `outlook` finds: its sentence, or why it was skipped."""
        try:
            return OutlookOperator(task_id=NAME, migration=NAME).execute({"ti": Ti(1, ended=frozenset(self.ended))})  # type: ignore[typeddict-item]
        except AirflowSkipException as error:
            return str(error)

    def run(self, run_id: str, **conf: Any) -> Run:
        """A new DAG run."""
        return Run(self, run_id, conf)

    def rollback(self, run_id: str, **conf: Any) -> Run:
        """A new run of the rollback's DAG."""
        return Run(self, run_id, conf, f"{NAME}_rollback")
