"""Dumps of the sources as Airflow tasks. In a dry run, or without the parameter, they say so and do nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, TaskGroup
from airflow.sdk.exceptions import AirflowNotFoundException

from cutover.migration import load
from cutover.operators.base import (
    CutoverOperator,
    opened,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from cutover.database.connect import Connect

# After so long a task of a dump is ended: a server or a store that does not answer must not keep a snapshot of the
# source, which keeps dead rows there, for ever.
_AT_MOST = timedelta(hours=12)


class DumpTask(CutoverOperator):
    """Base of the tasks that are about dumps."""

    def dumped(self, context: Context) -> dict[str, str]:
        """The sources that this run dumps, each with its connection; says why, where there is none."""
        declared = self.declaration.dumped(dict(context["params"]))
        if not declared:
            self.report("no dump was asked for, or it is a dry run, or migration.yaml names no connection to dump by")
        return declared

    def folder(self, context: Context) -> ObjectStoragePath:
        """Where this run's dumps are kept."""
        from cutover.dumps import place

        return place.root() / self.migration / self.this_run(context)

    def rehearsal(self, context: Context) -> Connect | None:
        """The server that dumps are restored on, if Airflow has a connection of that name."""
        from cutover.dumps import proof

        try:
            BaseHook.get_connection(proof.CONNECTION)
        except AirflowNotFoundException:
            return None
        return self.open(context, proof.CONNECTION)


class DumpCheckOperator(DumpTask):
    """Finds before anything else what would keep the sources from being dumped, or the dumps from being restored."""

    def run_phase(self, context: Context) -> None:
        """Raises ``dump.*``: no or old programs, no rights, no room, no server to restore on."""
        from cutover.dumps import dump, place, proof

        dumped = {name: self.open(context, connection) for name, connection in self.dumped(context).items()}
        if not dumped:
            return
        for name, source in dumped.items():
            dump.require_able(source)
            self.report(f"{name} can be dumped")
        place.require_writable(self.folder(context))
        rehearsal = self.rehearsal(context)
        if rehearsal is not None:
            proof.require_able(rehearsal, list(dumped.values()))
            self.report("the dumps can be restored")


class DumpOperator(DumpTask):
    """Dumps one source as it is at one moment. Run again, it replaces the run's dump of it."""

    def __init__(self, *, database: str, **kwargs: Any) -> None:
        given: dict[str, Any] = {"retries": 2, "execution_timeout": _AT_MOST} | kwargs
        super().__init__(**given)
        self.database = database

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns what is on record of it, and signed."""
        from cutover.dumps import dump
        from cutover.records import chain, phase

        connection_id = self.dumped(context).get(self.database)
        if connection_id is None:
            return {}
        step, this_run = f"dump.{self.database}", self.this_run(context)
        made_from = self.require(context, step)
        made = dump.make(self.open(context, connection_id), self.database, self.folder(context), self.report)
        with opened(self.connect(context)) as connection:
            phase.record(connection, self.declaration, this_run, step, made_from, **made.as_json())
            chain.append(connection, "dump", this_run, says=made.as_evidence())
        return made.as_evidence()


class ProofOperator(DumpTask):
    """Proves the dump of one source: its file, its rows, and on the server ``rehearsal`` that it can be restored."""

    def __init__(self, *, database: str, **kwargs: Any) -> None:
        given: dict[str, Any] = {"retries": 1, "execution_timeout": _AT_MOST} | kwargs
        super().__init__(**given)
        self.database = database

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns what is on record of it, and signed."""
        from cutover.dumps import dump, proof
        from cutover.records import chain, phase

        if self.database not in self.dumped(context):
            return {}
        step, this_run = f"proof.{self.database}", self.this_run(context)
        made_from = self.require(context, step)
        with opened(self.connect(context)) as connection:
            made = dump.recorded(phase.newest(connection, this_run)[f"dump.{self.database}"].result)
        file = self.folder(context) / f"{self.database}.dump"
        evidence = vars(proof.prove(made, file, self.rehearsal(context), this_run, self.report))
        with opened(self.connect(context)) as connection:
            phase.record(connection, self.declaration, this_run, step, made_from, **evidence)
            chain.append(connection, "proof", this_run, says=evidence)
        return evidence


def dump_group(migration: str) -> TaskGroup:
    """``dump``: for each source database that ``migration`` declares, a task that dumps it and one that proves that."""
    with TaskGroup("dump", tooltip="Dump the sources before anything could change") as group:
        for database in load(migration).databases:
            made = DumpOperator(task_id=database, migration=migration, database=database)
            made >> ProofOperator(task_id=f"prove_{database}", migration=migration, database=database)
    return group
