"""What every task of a migration has in common: its run, its connection, and errors that read like sentences."""

from __future__ import annotations

import difflib
import json
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowRuntimeError,
)

from cutover.database import statements as files
from cutover.database.words import PASSING, explain
from cutover.errors import CutoverError
from cutover.migration import Migration, has_window, load
from cutover.operators import metrics
from cutover.records import signing

if TYPE_CHECKING:
    import psycopg
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Connection, Context

    from cutover.database.connect import Connect, Log
    from cutover.records import chain
    from cutover.swap.pace import Pace


# A look that takes longer than this is of no use to whoever waits for it, and production has better things to do.
STATEMENT_TIMEOUT_MS = 5_000


# psycopg is slow to import, and so is what imports it: DAG files are read without, every few seconds.
def opened(connect: Connect) -> AbstractContextManager[psycopg.Connection]:
    """A session, closed in the end, as ``cutover.database.connect.opened`` makes it."""
    from cutover.database import connect as sessions

    return sessions.opened(connect)


def connect_to(connection_id: str, application: str) -> Connect:
    """A function that opens the Airflow connection ``connection_id`` as Airflow's PostgresHook would.

    That is with all of libpq's options in its extra, and with a token of AWS or Entra in the password's place where
    the extra has ``iam``: a new one for each session, since they last for minutes. Raises AirflowNotFoundException;
    the function raises ``connect.*`` CutoverErrors.
    """
    from psycopg.conninfo import make_conninfo

    from cutover.database.connect import connector, parameters

    settings = BaseHook.get_connection(connection_id)

    def dsn() -> str:
        login, password, port = settings.login, settings.password, settings.port
        if settings.extra_dejson.get("iam"):
            login, password, port = _token(settings, connection_id)
        options = parameters(
            host=settings.host,
            port=port,
            user=login,
            password=password,
            dbname=settings.schema,
            extra=settings.extra_dejson,
        )
        return make_conninfo("", **options)

    return connector(dsn if settings.extra_dejson.get("iam") else dsn(), connection_id, application)


def _token(settings: Connection, connection_id: str) -> tuple[str, str, int]:
    """Login, password and port that AWS or Entra give for a connection. Raises ``connect.no-token``."""
    # the hook brings SQLAlchemy and more, which only such a connection needs
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    provider, option = (
        ("microsoft-azure", "azure_conn_id")
        if settings.extra_dejson.get("azure_conn_id")
        else ("amazon", "aws_conn_id")
    )
    try:
        return PostgresHook(postgres_conn_id=connection_id).get_iam_token(settings)
    except Exception as error:  # each identity provider has its own
        why = f"no token came in the password's place: {type(error).__name__}: {' '.join(str(error).split())[:300]}."
        remedy = (
            f"see whether the connection named by `{option}` in its extra may get tokens for this database user; or "
            "take `iam` out of the extra, and set a password."
        )
        if not _is_installed(f"apache-airflow-providers-{provider}"):
            remedy = f"install apache-airflow-providers-{provider} beside Airflow, which asks for the tokens."
        raise CutoverError("connect.no-token", f"connection {connection_id}", why, remedy) from None


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _signing_key() -> tuple[str, list[str]] | None:
    """The private key and the public ones of the Airflow connection, if there is one."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        settings = BaseHook.get_connection(signing.CONNECTION)
    except AirflowNotFoundException:
        return None
    return settings.password or "", list(settings.extra_dejson.get("public_keys", []))


signing.look_up = _signing_key


@contextmanager
def reading(migration: Migration) -> Iterator[psycopg.Connection]:
    """A read-only look at the target of ``migration`` at one moment. Raises ``connect.*`` CutoverErrors."""
    import psycopg
    from airflow.sdk.exceptions import AirflowNotFoundException
    from psycopg.types.json import set_json_loads

    try:
        connect = connect_to(migration.target, "cutover looks")
    except AirflowNotFoundException:
        raise CutoverError(
            "connect.unknown",
            f"connection {migration.target}",
            "Airflow has no connection of this name.",
            f"add it, if {migration.migration} is to be run here.",
        ) from None
    with opened(connect) as connection:
        connection.read_only = True
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        bounded(connection)
        yield connection


def bounded(connection: psycopg.Connection) -> None:
    """Bound a transaction that has begun, as ``reading`` bounds its first."""
    connection.execute(files.statement("ui/bound.sql"), {"timeout": f"{STATEMENT_TIMEOUT_MS}ms"})


def run_of(context: Context, target: str) -> str:
    """The name of this run in the database behind connection ``target``, looked up once in a task."""
    from cutover.records import run

    known: dict[str, str] = context.setdefault("cutover_runs", {})  # type: ignore[typeddict-item]
    if target not in known:
        dag_run = context["dag_run"]
        with opened(connect_to(target, "cutover")) as connection:
            known[target] = run.key(connection, dag_run.dag_id, dag_run.run_id)
    return known[target]


def application(this_run: str, task_id: str) -> str:
    """What a task is called in pg_stat_activity, which has room for 63 characters."""
    return f"cutover {task_id} {this_run}"[:63]


def require_known(context: Context) -> None:
    """Raise CutoverError ``run.unknown-parameter`` when the run was given one that its DAG does not have."""
    given = getattr(context["dag_run"], "conf", None) or {}
    dag = context.get("dag")
    known = sorted(dag.params) if dag is not None else sorted(context["params"])
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise CutoverError(
                "run.unknown-parameter",
                f"parameter {name}",
                f"the DAG has no parameter of this name, and would go on as if it had not been given"
                f"{f'; did you mean {near[0]}?' if near else '.'}",
                f"trigger a new run. The DAG takes {', '.join(known) or 'none'}.",
            )


# Worth another try without anybody doing anything; an extraction goes on behind the last page that was stored, and a
# source that could not be opened keeps an application shut out until it is.
_LOOK_AGAIN = timedelta(seconds=30)
_PASSING = (
    *PASSING,
    "extract.gave-up",
    "extract.busy",
    "extract.database",
    "window.still-fenced",
    "rehearsal.busy",
    "rehearsal.no-answer",
    "rehearsal.broken-off",
)


def fail(error: CutoverError) -> AirflowException:
    """The exception that ends a task for this error. Only what may pass by itself is worth another try."""
    from cutover.records.workspace import TAKEN

    if error.code == TAKEN:
        # gives the worker back meanwhile; tries are not counted
        return AirflowRescheduleException(datetime.now(timezone.utc) + _LOOK_AGAIN)  # type: ignore[no-untyped-call]
    kind = AirflowException if error.code in _PASSING else AirflowFailException
    # the heading of a code on the page of all of them
    ended = kind(f"{error}\n  About it: docs/errors.md#{error.code.replace('.', '')}")
    # for whoever tells people of it
    ended.refusal = error  # type: ignore[attr-defined]
    return ended


@contextmanager
def in_words(log: Any, obj: str) -> Iterator[None]:
    """Ends the task, when something goes wrong that a person can clear, with its message; ``obj`` is what met it."""
    import psycopg

    try:
        yield
    except CutoverError as error:
        explained = error
    except psycopg.Error as error:
        # where it was, and not the error itself: that may show a row
        log.error("%s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        explained = explain(error, obj)
    else:
        return
    log.error("%s", explained)
    raise fail(explained) from None


def has_ended(ti: Any, dag_id: str, dag_run_id: str) -> bool:
    """Whether Airflow says that the run has ended. One that it does not know may be another deployment's."""
    try:
        state = ti.get_dagrun_state(dag_id, dag_run_id)
    except AirflowRuntimeError:
        return False
    return state in ("failed", "success")


def triggered_by(context: Context) -> str | None:
    """The account that triggered the run; None if a schedule did."""
    return getattr(context["dag_run"], "triggering_user_name", None)


@contextmanager
def witnessed(connect: Connect, migration: Migration, run: str, log: Log, *, task: str | None = None) -> Iterator[None]:
    """Notes the chain's head elsewhere, if a block has appended to it; a refusal of a gated ``task`` is appended."""
    import psycopg

    from cutover.records import anchors, chain
    from cutover.validate.validation import docs_root

    before = _newest(connect)
    try:
        yield
    except (CutoverError, psycopg.Error) as error:
        refusal = error if isinstance(error, CutoverError) else explain(error, f"task {task}")
        if task is not None and refusal.code not in _PASSING:
            # what it met is told after its own transaction; that this may fail changes nothing about it
            try:
                with opened(connect) as connection:
                    chain.refuse(connection, run, task, refusal)
            except (CutoverError, psycopg.Error) as problem:
                log(f"the refusal could not be recorded: {' '.join(str(problem).split())}")
        raise
    finally:
        newest = _newest(connect)
        if newest is not None and (before is None or before.head != newest.head):
            anchors.note(migration.target, newest, log, docs_root(), f"{migration.migration}/{run}")


def keep_evidence(connect: Connect, migration: Migration, run: str, log: Log) -> None:
    """Keep the run's evidence, signed, where the pages find it. Never raises: it can be made again at any time."""
    import psycopg

    from cutover.records import evidence
    from cutover.ui import store
    from cutover.validate.validation import docs_root

    try:
        with opened(connect) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            made = store.archive(connection, migration, run)
        path = evidence.keep(made, docs_root(), migration.migration, run)
    except Exception as error:  # the launch has happened, whatever a page or a disk may lack
        log(f"the evidence could not be kept: {type(error).__name__}: {' '.join(str(error).split())}")
    else:
        log(f"evidence of the run: {path}, {len(made) / 1e6:,.1f} MB")


def _newest(connect: Connect) -> chain.Link | None:
    """The newest link; None if there is none, or nobody to ask."""
    import psycopg

    from cutover.records import chain

    try:
        with opened(connect) as connection:
            return chain.newest(connection)
    except (CutoverError, psycopg.Error):
        return None


def asked_for(context: Context) -> bool:
    """Whether this run has a maintenance window."""
    return has_window(context["params"])


def told_of(given: dict[str, Any], *, success: bool) -> dict[str, Any]:
    """An operator's arguments, with the callbacks that tell people how its task has ended beside those ``given``."""

    def beside(name: str, callback: Callable[[Context], None]) -> list[Any]:
        others = given.get(name) or (given.get("default_args") or {}).get(name) or []
        return [*(others if isinstance(others, list | tuple) else [others]), callback]

    callbacks = {"on_failure_callback": beside("on_failure_callback", _tell_failure)}
    if success:
        callbacks["on_success_callback"] = beside("on_success_callback", _tell_success)
    return given | callbacks


def _tell_failure(context: Context) -> None:
    from cutover.operators.events import tell_failure

    tell_failure(context)


def _tell_success(context: Context) -> None:
    from cutover.operators.events import tell_success

    tell_success(context)


class Rows(NamedTuple):
    """How many rows a task has written into which table of the target, and read of what, by the dataset's name."""

    written: dict[str, int]
    read: dict[str, int]


class CutoverOperator(BaseOperator):
    """Base of the tasks of a migration. Subclasses write ``run_phase``."""

    template_fields: Collection[str] = ("migration",)
    # Whether a refusal of this task is evidence.
    gated = False

    # Whether it is told that a task has succeeded, too.
    is_news = False

    # Which step of ``cutover.lineage.graph`` it does; None where no rows move.
    lineage_step: str | None = None
    # The run's key, and what ``run_phase`` has returned.
    lineage_of: tuple[str, Any] | None = None

    def __init__(self, *, migration: str, **kwargs: Any) -> None:
        super().__init__(**told_of(kwargs, success=self.is_news))
        # Airflow copies the DAG's into every task, and takes each copy apart whenever it reads the file: most of what
        # that costs. A task finds them in its context all the same.
        self.params = ParamsDict()
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
        return run_of(context, self.declaration.target)

    def connect(self, context: Context) -> Connect:
        """Opens the migration's target database, as seen in pg_stat_activity under this task's name."""
        return self.open(context, self.declaration.target)

    def open(self, context: Context, connection_id: str) -> Connect:
        """Opens any database, seen there under this task's name."""
        return connect_to(connection_id, application(self.this_run(context), self.task_id))

    def record(self, context: Context, step: str, made_from: Sequence[int] | None = None, **result: Any) -> None:
        """Record what this task has done, in a transaction of its own."""
        from cutover.records import phase

        with opened(self.connect(context)) as connection:
            phase.record(connection, self.declaration, self.this_run(context), step, made_from, **result)

    def require(self, context: Context, step: str, action: str = "swap") -> list[int]:
        """Raise unless all that ``step`` needs is on record; the ids of those records."""
        from cutover.records import phase

        with opened(self.connect(context)) as connection:
            return phase.require(connection, self.declaration, self.this_run(context), step, action)

    def has_begun(self, context: Context) -> bool:
        """Whether this run is a launch on record: tasks of extraction belong to other DAGs, too."""
        from cutover.records import run

        with opened(self.connect(context)) as connection:
            return run.has_begun(connection, self.this_run(context))

    def pace(self, context: Context) -> Pace:
        """At what pace this task builds beside production: by the declaration, and the parameters of this run."""
        from cutover.swap.pace import Pace

        limit = self.declaration.pace.given(context["params"])
        return Pace(self.connect(context), self.declaration, limit, self.this_run(context), self.report)

    def begin_run(self, context: Context, connect: Connect) -> None:
        """Record this run in the ledger's tables; done again, it only brings its parameters up to date."""
        from cutover.records import run

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
        return self.work(context)

    def work(self, context: Context) -> Any:
        """What ``execute`` does, for a task that goes on after it has waited without a worker."""
        from cutover.records import phase

        ti = context.get("ti")
        working = phase.working(self.task_id, getattr(ti, "try_number", 0))
        with in_words(self.log, self.about), working, self.witnessed(context):
            require_known(context)
            began, (position, _) = time.monotonic(), self._wal(context)
            with metrics.span(self.task_id, migration=self.migration, run=self.this_run(context)):
                result = self.run_phase(context)
            self.lineage_of = (self.this_run(context), result)
            seconds, (_, wal_bytes) = time.monotonic() - began, self._wal(context, position)
            metrics.task(self.migration, self.task_id, seconds, self.rows(result), wal_bytes)
            return result

    def _wal(self, context: Context, since: str | None = None) -> tuple[str | None, int | None]:
        """Where the target's WAL ends now, and what was written since; None where nobody tells. Never raises for it."""
        import psycopg

        from cutover.database import wal

        try:
            with opened(self.connect(context)) as connection:
                return wal.position(connection), wal.written(connection, since)
        except (CutoverError, psycopg.Error):
            return None, None

    def witnessed(self, context: Context) -> AbstractContextManager[None]:
        """What has to be known of this task elsewhere, whether it succeeds or not."""
        return witnessed(
            self.connect(context),
            self.declaration,
            self.this_run(context),
            self.report,
            task=self.task_id if self.gated else None,
        )

    def run_phase(self, context: Context) -> Any:
        """Do the work of this task."""
        raise NotImplementedError

    def rows(self, result: Any) -> int | None:  # noqa: ARG002
        """The rows that ``run_phase`` has read, frozen or staged, by its result; None if it is not about rows."""
        return None

    @property
    def lineage_outputs(self) -> list[str]:
        """The tables of the target that it writes, as far as that is known before it works."""
        return []

    def lineage_rows(self, result: Any) -> Rows:  # noqa: ARG002
        """The rows of each dataset, by the result of ``run_phase``."""
        return Rows({}, {})

    # These three are asked for by Airflow's provider for OpenLineage, where it is installed and has a transport.
    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """What it is about to write. Never raises."""
        from cutover.operators import lineage

        return lineage.before(self)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ARG002
        """What it has read and written, column by column. Never raises."""
        from cutover.operators import lineage

        return lineage.after(self)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ARG002
        """What it would have written, and what does not hold. Never raises."""
        from cutover.operators import lineage

        return lineage.after_failure(self)
