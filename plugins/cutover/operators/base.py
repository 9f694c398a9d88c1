"""What every task of a migration has in common: its run, its connection, and errors that read like sentences."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cutover.connect import Connect, Log, connector, opened
from cutover.database import PASSING, explain
from cutover.errors import CutoverError
from cutover.ledger import run_key
from cutover.migration import Migration, load

if TYPE_CHECKING:
    from airflow.sdk import Context

# What a PostgreSQL connection may carry in its extra for libpq; anything else there is not ours to pass on.
_LIBPQ_EXTRA = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options")


def connect_to(connection_id: str, application: str) -> Connect:
    """A function that opens the Airflow connection ``connection_id``. Raises ``connect.*`` errors when called."""
    from psycopg.conninfo import make_conninfo

    found = BaseHook.get_connection(connection_id)
    extra = {name: value for name, value in found.extra_dejson.items() if name in _LIBPQ_EXTRA}
    dsn = make_conninfo(
        host=found.host,
        port=found.port or 5432,
        user=found.login,
        password=found.password,
        dbname=found.schema,
        **extra,
    )
    return connector(dsn, connection_id, application)


# Worth another try without anybody doing anything; an extraction goes on behind the last page that was stored.
_PASSING = (*PASSING, "extract.gave-up", "extract.busy", "extract.database")


def fail(error: CutoverError) -> AirflowException:
    """The exception that ends a task for this error. Only what may pass by itself is worth another try."""
    kind = AirflowException if error.code in _PASSING else AirflowFailException
    return kind(str(error))


@contextmanager
def in_words(log: Any, obj: str) -> Iterator[None]:
    """Ends the task, when something goes wrong that a person can clear, with its message; ``obj`` is what met it."""
    try:
        yield
    except CutoverError as error:
        told = error
    except psycopg.Error as error:
        # where it was, and not the error itself: that may show a row
        log.error("%s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        told = explain(error, obj)
    else:
        return
    log.error("%s", told)
    raise fail(told) from None


def triggered_by(context: Context) -> str | None:
    """The account that triggered the run; None if a schedule did."""
    return getattr(context["dag_run"], "triggering_user_name", None)


class CutoverOperator(BaseOperator):
    """Base of the tasks of a migration. Subclasses write ``run_phase``."""

    template_fields: Collection[str] = ("migration",)

    def __init__(self, *, migration: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.migration = migration

    @property
    def declaration(self) -> Migration:
        """The migration's declaration."""
        return load(self.migration)

    @property
    def about(self) -> str:
        """What an error of the database is said to concern."""
        return f"task {self.task_id}"

    @property
    def report(self) -> Log:
        """Where progress goes: the task's log."""
        return self.log.info

    def this_run(self, context: Context) -> str:
        """The key of this run."""
        dag_run = context["dag_run"]
        return run_key(dag_run.dag_id, dag_run.run_id)

    def connect(self, context: Context) -> Connect:
        """Opens the migration's target database, as seen in pg_stat_activity under this task's name."""
        return connect_to(self.declaration.target, f"cutover {self.this_run(context)} {self.task_id}"[:63])

    def begin_run(self, context: Context, connect: Connect) -> None:
        """Record this run in the ledger's tables; done again, it only brings its parameters up to date."""
        from cutover import run

        dag_run = context["dag_run"]
        with opened(connect) as connection:
            run.begin(
                connection,
                run=self.this_run(context),
                migration=self.migration,
                dag_id=dag_run.dag_id,
                dag_run_id=dag_run.run_id,
                triggered_by=triggered_by(context),
                parameters=dict(context["params"]),
            )

    def execute(self, context: Context) -> Any:
        """Run the phase; an error that a person can clear ends the task with its message."""
        with in_words(self.log, self.about):
            return self.run_phase(context)

    def run_phase(self, context: Context) -> Any:
        """Do the work of this task."""
        raise NotImplementedError
