"""A step that was left out, failed, or made of what was there before, is found by every step behind it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import pytest

from cutover import approve
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.database.words import explain
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.records import ledger, phase, run, workspace
from stack.postgres import EmbeddedPostgres

CLEAN_LAUNCH = load("clean_launch")
MULA = load("mula_unification")
_names = itertools.count(1)
WINDOW = {"maintenance_window": True}
Begin = Callable[..., str]


@pytest.fixture(scope="module")
def connect(server: EmbeddedPostgres) -> Connect:
    """Opens one database with the engine's tables: each test has runs of its own in it."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database phases")
    made = connector(server.dsn("phases"), "production", "test")
    with opened(made) as connection:
        ledger.install(connection)
    return made


@pytest.fixture(scope="module")
def begin(connect: Connect) -> Begin:
    """Begins a run that has the workspace; returns its name."""

    def call(migration: Any = CLEAN_LAUNCH, name: str | None = None, **parameters: Any) -> str:
        name = name or f"manual__{next(_names)}"
        this_run = ledger.run_key(migration.migration, name)
        with opened(connect) as connection:
            run.begin(
                connection, run=this_run, migration=migration.migration, dag_id=migration.migration, dag_run_id=name,
                triggered_by="operator", parameters=parameters,
            )  # fmt: skip
            connection.execute(files.statement("workspace/claim.sql"), {"run": this_run})
        return this_run

    return call


def record(connect: Connect, migration: Any, this_run: str, step: str, **values: Any) -> int:
    """Record a step in a transaction of its own."""
    with opened(connect) as connection:
        return phase.record(connection, migration, this_run, step, **values)


def refusals(connect: Connect, migration: Any, this_run: str, names: Iterable[str]) -> dict[str, CutoverError]:
    """Of these steps those that may not be done, and why."""
    values = {}
    with opened(connect) as connection:
        for name in names:
            try:
                phase.require(connection, migration, this_run, name)
            except CutoverError as error:
                values[name] = error
    return values


def refusal(connect: Connect, migration: Any, this_run: str, step: str) -> CutoverError | None:
    """Why a step may not be done; None if it may."""
    return refusals(connect, migration, this_run, [step]).get(step)


def behind(steps: dict[str, phase.Step], step: str) -> list[str]:
    """The steps that need this one, directly or not."""
    values = {step}
    for name, known in steps.items():
        if values.intersection(known.after):
            values.add(name)
    return sorted(values - {step})


def ask(connect: Connect, this_run: str, migration: Any = CLEAN_LAUNCH, hours: float = 1) -> None:
    """Ask the question about a run whose steps are on record."""
    with opened(connect) as connection:
        run.note(connection, this_run, review={"shown": 1}, fingerprint="f" * 64)
        approve.ask(connection, migration, this_run, "swap", fingerprint="f" * 64, hours=hours)


def everything(connect: Connect, this_run: str, migration: Any = CLEAN_LAUNCH) -> None:
    """Record every step up to the review."""
    with opened(connect) as connection:
        steps = list(phase.steps(migration, phase.SWAP, run.get(connection, this_run).parameters))
        for step in steps[: steps.index(phase.QUESTION)]:
            phase.record(connection, migration, this_run, step)


STEPS = [
    (migration, parameters, step)
    for migration, parameters in ((CLEAN_LAUNCH, {}), (MULA, WINDOW))
    for step in phase.steps(migration, phase.SWAP, parameters)
    if step not in (phase.WAIT, phase.SWAP, "verify")
]
CASES = pytest.mark.parametrize(
    ("migration", "parameters", "step"), STEPS, ids=[f"{case[0].migration} {case[2]}" for case in STEPS]
)
NOT_DONE_BEFORE = (phase.QUESTION, phase.WAIT, phase.SWAP, "verify")


@CASES
def test_a_step_that_was_marked_successful_is_missed_by_all_behind_it(
    connect: Connect, begin: Begin, migration: Any, parameters: dict[str, Any], step: str
) -> None:
    this_run = begin(migration, **parameters)
    steps = phase.steps(migration, phase.SWAP, parameters)
    late = behind(steps, step)
    with opened(connect) as connection:
        for name in steps:
            if name not in (step, *late, *NOT_DONE_BEFORE):
                phase.record(connection, migration, this_run, name)
    codes = refusals(connect, migration, this_run, [step, *late])
    assert list(codes) == late
    for name, error in codes.items():
        assert error.code == f"{steps[name].area}.{steps[step].missing}"
        assert f"clear the task {steps[step].task}," in error.remedy


@CASES
def test_a_step_that_is_done_again_makes_all_behind_it_stale(
    connect: Connect, begin: Begin, migration: Any, parameters: dict[str, Any], step: str
) -> None:
    this_run = begin(migration, **parameters)
    everything(connect, this_run, migration)
    if step == phase.QUESTION:
        return
    record(connect, migration, this_run, step)
    steps = phase.steps(migration, phase.SWAP, parameters)
    late = behind(steps, step)
    codes = refusals(connect, migration, this_run, late)
    assert list(codes) == [name for name in late if set(steps[name].after).intersection(late)]
    for error in codes.values():
        assert "anew at" in error.why or error.code == "swap.not-approved"
    with opened(connect) as connection:
        for name in steps:
            if name in late and name not in NOT_DONE_BEFORE:
                phase.record(connection, migration, this_run, name)
    assert refusal(connect, migration, this_run, phase.QUESTION) is None


def test_a_failed_validation_reaches_no_question_and_says_what_failed(connect: Connect, begin: Begin) -> None:
    this_run = begin()
    steps = list(phase.steps(CLEAN_LAUNCH, phase.SWAP, {}))
    for name in steps[: steps.index("validation")]:
        record(connect, CLEAN_LAUNCH, this_run, name)
    record(connect, CLEAN_LAUNCH, this_run, "validation", holds=False, why="one expectation does not hold: x of y")
    for name in ("review", phase.QUESTION, phase.SWAP):
        error = refusal(connect, CLEAN_LAUNCH, this_run, name)
        assert error is not None and error.code.endswith(".not-validated")
        assert "does not hold: x of y" in error.why
    record(connect, CLEAN_LAUNCH, this_run, "validation")
    assert refusal(connect, CLEAN_LAUNCH, this_run, "review") is None


@pytest.mark.parametrize(
    "step", ["preflight", "extract.xendit_invoices", "capture", "snapshot", "keys", "validation", "review"]
)
def test_nothing_before_the_question_is_done_again_after_it(connect: Connect, begin: Begin, step: str) -> None:
    this_run = begin()
    everything(connect, this_run)
    ask(connect, this_run)
    error = refusal(connect, CLEAN_LAUNCH, this_run, step)
    assert error is not None and error.code == "run.asked" and "trigger a new run" in error.remedy
    with opened(connect) as connection, pytest.raises(CutoverError, match=r"\[run.asked\]"):
        begun = run.get(connection, this_run)
        run.begin(
            connection, run=this_run, migration=begun.migration, dag_id=begun.dag_id, dag_run_id=begun.dag_run_id,
            triggered_by="operator", parameters={"dry_run": True},
        )  # fmt: skip
    assert refusal(connect, CLEAN_LAUNCH, this_run, phase.SWAP) is None


EVIDENCE = [
    "update cutover.run set review = '{}'",
    "update cutover.run set fingerprint = 'f'",
    "update cutover.run set validation = '{}'",
    "update cutover.run set parameters = '{\"dry_run\": true}'",
    "update cutover.run set snapshot = pg_current_snapshot(), finished_at = now()",
    "update cutover.run set asked_at = null",
    "update cutover.run set dag_run_id = 'another'",
    "delete from cutover.run",
    "truncate cutover.run cascade",
    "update cutover.reconciliation set read = 2",
    "delete from cutover.reconciliation",
    "truncate cutover.reconciliation",
    "insert into cutover.reconciliation (run, source, read, staged, merged, left_out, rejected) "
    "select run, 'more', 0, 0, 0, 0, 0 from cutover.run",
    "update cutover.rejects set reason = 'other' where run is not null",
    "update cutover.rejects set source_row = null where run is not null",
    "update cutover.rejects set source_row = null, source_bytes = null, detail = null, reason = 'x', erased_at = now()",
    "update cutover.rejects set run = null where run is not null",
    "update cutover.rejects set run = (select max(run) from cutover.run where asked_at is not null) where run is null",
    "delete from cutover.rejects where run is not null",
    "insert into cutover.rejects (run, source, reason) select run, 's', 'r' from cutover.run",
    "truncate cutover.rejects",
    "update cutover.reading set sync_id = 2",
    "delete from cutover.late_write where moment = 'review'",
    "update cutover.late_write set moment = 'verify'",
    "insert into cutover.phase (run, step, made_from) select run, 'validation', '{}' from cutover.run",
    "update cutover.phase set holds = true",
    "delete from cutover.phase",
    "truncate cutover.phase",
    "update cutover.approvals set decision = 'approve'",
    "update cutover.approvals set expires_at = expires_at + interval '1 day'",
    "delete from cutover.approvals",
    "truncate cutover.approvals",
]  # fmt: skip


@pytest.fixture(scope="module")
def asked(connect: Connect, begin: Begin) -> str:
    """A run with some of every evidence, that a person was asked about and rejected."""
    this_run = begin()
    everything(connect, this_run)
    with opened(connect) as connection:
        for statement in (
            "insert into cutover.reconciliation (run, source, read, staged, merged, left_out, rejected) "
            "values (%(run)s, 's', 1, 1, 0, 0, 0)",
            """insert into cutover.rejects (run, source, reason, detail, source_row) values
            (%(run)s, 's', 'r', 'd', '{"email": "ana@example.com"}'), (null, 's', 'r', 'd', '{}')""",
            "with made as (insert into cutover.sync (source, mode, because, api, account, declaration, until) "
            "values ('s', 'full', '', '', '', '', now()) returning sync_id) "
            "insert into cutover.reading (run, source, full_sync_id, sync_id) "
            "select %(run)s, 's', sync_id, sync_id from made",
            "insert into cutover.late_write (run, moment, source, written, removed) "
            "values (%(run)s, 'review', 's', 1, 1)",
        ):
            connection.execute(statement.encode(), {"run": this_run})
    ask(connect, this_run)
    with opened(connect) as connection:
        connection.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) values (%s, 'swap', 'reject', 'f', 'approve', 1, 'reviewer', now(), now())",
            (this_run,),
        )
    return this_run


@pytest.mark.parametrize("statement", EVIDENCE)
def test_evidence_is_final_for_every_statement(connect: Connect, asked: str, statement: str) -> None:
    with opened(connect) as connection, pytest.raises(psycopg.Error) as raised, connection.transaction():
        connection.execute(statement.encode())
    assert raised.value.sqlstate in ("CU001", "42501"), raised.value
    if raised.value.sqlstate == "CU001":
        assert explain(raised.value, "task x").code == "run.asked"


def test_what_comes_after_the_question_goes_on(connect: Connect, asked: str) -> None:
    with opened(connect) as connection:
        for statement in (
            "update cutover.run set finished_at = now()",
            "update cutover.approvals set consumed_at = now(), consumed_by = 'asked again'",
            "insert into cutover.late_write (run, moment, source, written, removed) "
            "select run, 'verify', 's', 1, 1 from cutover.run",
            "update cutover.late_write set written = 2 where moment = 'verify'",
            "insert into cutover.notice (run, action, channel, recipient) "
            "select run, 'swap', 'email', 'x' from cutover.run",
            "insert into cutover.phase (run, step) select run, 'verify' from cutover.run",
            "delete from cutover.rejects where run is null",
            "insert into cutover.rejects (sync_id, source, reason) values (1, 's', 'r')",
        ):
            connection.execute(statement.encode())


def test_a_rejected_row_can_be_erased_all_the_same(connect: Connect, asked: str) -> None:
    with opened(connect) as connection:
        connection.execute(
            "update cutover.rejects set source_row = null, source_bytes = null, detail = null, erased_at = now()"
        )
    with opened(connect) as connection:
        rows = connection.execute("select reason, source_row from cutover.rejects where run = %s", (asked,)).fetchall()
    assert rows == [("r", None)]


def test_another_run_may_be_written_while_one_is_final(connect: Connect, asked: str, begin: Begin) -> None:
    other = begin()
    everything(connect, other)
    with opened(connect) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="records of others"):
        connection.execute(
            "insert into cutover.phase (run, step, made_from) "
            "select %s, 'validation', array_agg(record_id) from cutover.phase where run = %s",
            (other, asked),
        )


def test_whoever_writes_evidence_when_the_question_is_asked_is_waited_for(connect: Connect, begin: Begin) -> None:
    """A load that commits in the very moment of the question makes the review stale: nobody is asked."""
    this_run = begin()
    everything(connect, this_run)
    with opened(connect) as connection:
        run.note(connection, this_run, review={}, fingerprint="f" * 64)
    refused: list[CutoverError] = []
    asking = threading.Event()

    def question() -> None:
        asking.set()
        try:
            ask(connect, this_run)
        except CutoverError as error:
            refused.append(error)

    with opened(connect) as late:
        phase.record(late, CLEAN_LAUNCH, this_run, "load.leads")
        thread = threading.Thread(target=question)
        thread.start()
        asking.wait()
        _until_somebody_waits(connect)
    thread.join()
    assert [error.code for error in refused] == ["approve.no-keys"]
    with opened(connect) as connection:
        assert run.get(connection, this_run).asked_at is None


def test_whoever_writes_evidence_after_the_question_finds_it_asked(connect: Connect, begin: Begin) -> None:
    this_run = begin()
    everything(connect, this_run)
    with opened(connect) as connection:
        made_from = phase.require(connection, CLEAN_LAUNCH, this_run, "load.leads")
    ask(connect, this_run)
    with opened(connect) as connection, pytest.raises(psycopg.Error) as raised:
        phase.record(connection, CLEAN_LAUNCH, this_run, "load.leads", made_from)
    assert raised.value.sqlstate == "CU001"


def test_a_long_transaction_from_before_the_question_changes_nothing_after_it(connect: Connect, begin: Begin) -> None:
    """Its snapshot does not know of the question; the run's row does."""
    this_run = begin()
    everything(connect, this_run)
    with connect() as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        made_from = phase.require(old, CLEAN_LAUNCH, this_run, "review")
        ask(connect, this_run)
        with pytest.raises(psycopg.errors.SerializationFailure):
            phase.record(old, CLEAN_LAUNCH, this_run, "review", made_from)
        old.rollback()


def _until_somebody_waits(connect: Connect) -> None:
    with opened(connect, autocommit=True) as connection:
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        while connection.execute(waiting).fetchone() == (0,):
            pass


# Names of runs


def test_a_run_s_name_fits_into_identifiers_and_holds_128_bits() -> None:
    name = ledger.run_key("clean_launch", "manual__2025-11-02T08:15:00+00:00")
    assert name == "r20251102_081500_e86eefbf245dc8be641911ead5170942"
    for prefix in ("backup_", "staging_", "changes_"):
        assert len(f"{prefix}{name}".encode()) <= 63
    assert ledger.run_key("clean_launch", "x" * 250) == ledger.run_key("clean_launch", "x" * 250)
    assert len(ledger.run_key("clean_launch", "ünïcode " * 20)) <= 49


def test_a_run_whose_name_is_another_s_is_refused_and_changes_nothing(connect: Connect, begin: Begin) -> None:
    """As if two digests were the same."""
    this_run = begin()
    values = {
        "run": this_run, "migration": "clean_launch", "dag_id": "clean_launch", "dag_run_id": "manual__another",
        "triggered_by": "operator", "parameters": {"dry_run": True},
    }  # fmt: skip
    with opened(connect) as connection, pytest.raises(CutoverError, match=r"\[run.key-taken\].*manual__"):
        run.begin(connection, **values)
    with opened(connect) as connection:
        assert run.get(connection, this_run).parameters == {}


def test_two_runs_of_one_name_that_begin_at_once_are_not_both_first(connect: Connect) -> None:
    values = {
        "run": "r_same",
        "migration": "clean_launch",
        "dag_id": "clean_launch",
        "triggered_by": None,
        "parameters": {},
    }
    refused: list[CutoverError] = []

    def second() -> None:
        try:
            with opened(connect) as connection:
                run.begin(connection, dag_run_id="2", **values)
        except CutoverError as error:
            refused.append(error)

    with opened(connect) as connection:
        run.begin(connection, dag_run_id="1", **values)
        thread = threading.Thread(target=second)
        thread.start()
        _until_somebody_waits(connect)
    thread.join()
    assert [error.code for error in refused] == ["run.key-taken"]


def test_a_run_keeps_the_name_that_it_began_with(connect: Connect) -> None:
    """Runs from before names were longer are found under their old ones."""
    values = {"migration": "clean_launch", "dag_id": "clean_launch", "triggered_by": None, "parameters": {}}
    with opened(connect) as connection:
        run.begin(connection, run="r20251102_081500_1f0c9a", dag_run_id="manual__old", **values)
        assert run.key(connection, "clean_launch", "manual__old") == "r20251102_081500_1f0c9a"
        assert run.key(connection, "clean_launch", "manual__2") == ledger.run_key("clean_launch", "manual__2")


def test_a_run_from_before_has_been_asked_if_it_was_answered(connect: Connect, begin: Begin) -> None:
    this_run, other = begin(), begin()
    with opened(connect) as connection:
        connection.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) values (%s, 'swap', 'approve', 'f', 'approve', 1, 'reviewer', now(), now())",
            (this_run,),
        )
        connection.execute("comment on schema cutover is 'Cutover ledger, earlier'")
        ledger.install(connection)
        assert run.get(connection, this_run).asked_at is not None
        assert run.get(connection, other).asked_at is None


# The workspace


def hold(connect: Connect, this_run: str) -> CutoverError | None:
    """Why the workspace is not this run's."""
    try:
        with opened(connect) as connection:
            workspace.hold(connection, this_run)
    except CutoverError as error:
        return error
    return None


def test_a_run_that_waits_for_its_answer_keeps_the_workspace(connect: Connect, begin: Begin) -> None:
    first = begin()
    everything(connect, first)
    ask(connect, first)
    second = _begin_only(connect)
    with pytest.raises(CutoverError, match=r"\[freeze.workspace-taken\].*waits for an answer, until") as raised:
        workspace.claim(connect, second)
    assert first in str(raised.value) and "(manual__" in str(raised.value)
    assert hold(connect, first) is None


def _begin_only(connect: Connect) -> str:
    name = f"manual__{next(_names)}"
    this_run = ledger.run_key("clean_launch", name)
    with opened(connect) as connection:
        run.begin(
            connection, run=this_run, migration="clean_launch", dag_id="clean_launch", dag_run_id=name,
            triggered_by=None, parameters={},
        )  # fmt: skip
    return this_run


@pytest.mark.parametrize("end", ["expired", "withdrawn", "rejected", "approval expired", "swapped", "not asked"])
def test_a_run_that_has_ended_loses_the_workspace_and_is_told_so(connect: Connect, begin: Begin, end: str) -> None:
    first = begin()
    everything(connect, first)
    if end != "not asked":
        ask(connect, first, hours=-1 if end == "expired" else 1)
    with opened(connect) as connection:
        if end == "withdrawn":
            approve.withdraw(connection, CLEAN_LAUNCH, first, "swap", "approve.expired")
        if end in ("rejected", "approval expired", "swapped"):
            connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) values (%s, 'swap', %s, 'f', 'approve', 1, 'reviewer', now(), "
                "now() + %s::interval)",
                (first, "reject" if end == "rejected" else "approve", "1 h" if end == "swapped" else "-1 s"),
            )
        if end == "swapped":
            connection.execute(
                "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, snapshot, xid, "
                "started_at, locked_at, attempts, tables, carried) values (%s, 'clean_launch', 'swap', 'b', 'f', "
                "pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')",
                (first,),
            )
    second = _begin_only(connect)
    workspace.claim(connect, second)
    assert hold(connect, second) is None
    error = hold(connect, first)
    assert error is not None and error.code == "run.overtaken" and second in error.why


def test_an_approved_run_keeps_the_workspace_until_its_approval_expires(connect: Connect, begin: Begin) -> None:
    first = begin()
    everything(connect, first)
    ask(connect, first)
    with opened(connect) as connection:
        connection.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) values (%s, 'swap', 'approve', 'f', 'approve', 1, 'r', now(), now() + '1 h')",
            (first,),
        )
    with pytest.raises(CutoverError, match="was approved and is to swap"):
        workspace.claim(connect, _begin_only(connect))


def test_nobody_takes_the_workspace_under_a_task_that_works_in_it(
    connect: Connect, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin()
    second = _begin_only(connect)
    monkeypatch.setattr(workspace.time, "sleep", lambda _: None)
    with opened(connect) as working:
        workspace.hold(working, first)
        with pytest.raises(CutoverError, match="works in them at this moment"):
            workspace.claim(connect, second)
    workspace.claim(connect, second)


def test_dropping_what_somebody_reads_waits_without_anybody_waiting_behind_it(connect: Connect) -> None:
    """The keys of staged tables to live ones take a lock on those when they go: each attempt gives it up early."""
    said: list[str] = []
    with opened(connect) as connection:
        for statement in (
            "create schema staging", "create table public.courses (id integer primary key)",
            "create table staging.seats (course integer references public.courses)",
        ):  # fmt: skip
            connection.execute(statement.encode())
    report = connect()
    report.execute("select count(*) from public.courses")

    def let_go(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            report.close()

    workspace.empty(connect, ("staging",), let_go)
    assert len(said) == 2 and "trying again" in said[0]
    with opened(connect) as connection:
        assert connection.execute("select to_regnamespace('staging') is null").fetchone() == (True,)
