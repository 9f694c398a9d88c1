"""A demonstration from trigger to end, watched through the REST API as a person would through the browser."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from cutover.commands.api import Api, run_path
from cutover.database.connect import session
from cutover.dumps.proof import CONNECTION as REHEARSAL
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.records.ledger import run_key
from cutover.records.run import get as get_run
from demo import checks, mula_checks
from demo.traffic import Traffic
from stack.accounts import ACCOUNTS, APPROVER
from stack.deployment import Deployment
from stack.progress import Console
from stack.settings import DATABASE_CONNECTIONS, ROOT, short
from stack.whereabouts import without_password

APPROVAL = "approve"
# The task after which everything is in place that the platform is set up over.
_PLATFORM_AFTER = "verify.certificate"
# Airflow fails a task that is answered before the scheduler has heard that its first part has ended. That shows
# nowhere but in the scheduler's log; where it does not come up there, an answer is given after so long all the same.
SECONDS_FOR_SCHEDULER = 60.0
_MARKS = {"success": ("✓", "green"), "failed": ("✗", "red"), "upstream_failed": ("·", "dim"), "skipped": ("·", "dim")}


def until_parked(deployment: Deployment, dag_id: str, run_id: str, task_id: str, try_number: int) -> None:
    """Wait until the scheduler has heard that this try of a task has ended its first part, and waits for an answer."""
    deadline = time.monotonic() + SECONDS_FOR_SCHEDULER
    finished = f"TaskInstance Finished: dag_id={dag_id}, task_id={task_id}, run_id={run_id},"
    while time.monotonic() < deadline:
        log = deployment.processes.log("scheduler").read_text(errors="replace")
        if any(
            finished in line and "state=awaiting_input" in line and f"try_number={try_number}," in line
            for line in log.splitlines()
        ):
            return
        time.sleep(0.3)


@dataclass
class Demonstration:
    """One migration shown on a running deployment."""

    deployment: Deployment
    migration: str
    scale: int = 1
    _operator: Api = field(init=False)
    # where the unified platform is, once this command has started it over what the run has launched
    _platform: str | None = field(init=False, default=None)
    # people who use the application while the launch is under way
    _people: Traffic | None = field(init=False, default=None)

    @property
    def _checks(self) -> ModuleType:
        """What must be so in the end: a module with ``measure``, ``balances`` and ``check``."""
        return mula_checks if self.migration.startswith("mula_unification") else checks

    @property
    def _target(self) -> str:
        """The connection of the database that the migration changes."""
        return load(self.migration.removesuffix("_rollback")).target

    @property
    def console(self) -> Console:
        """Where to print."""
        return self.deployment.console

    def run(self, *, approve: bool) -> int:
        """Trigger the migration, or go on with a run that is not finished; returns the exit status.

        Stops at the approval, or with ``approve`` answers it as the reviewer, waits for the end and checks
        production.
        """
        passwords = self.deployment.airflow.passwords()
        self._operator = Api(self.deployment.settings.url, "operator", passwords["operator"])
        asked = self._ask_airflow_where()
        self._wait_for_dag()
        with session(self.deployment.target_admin_dsn(self._target), "cutover demonstration") as production:
            before = self._checks.measure(production)
        self._require_own_database(asked)
        self._send_people()
        try:
            return self._show(before, passwords[APPROVER], approve=approve)
        finally:
            self._send_people_home()

    def _send_people(self) -> None:
        """Where production has members beside those of the real account, they use it meanwhile."""
        if self.migration.startswith("clean_launch") and self.deployment.further_members():
            self._people = Traffic(self.deployment.application_dsn(), clients=2, rate=20).start()

    def _send_people_home(self) -> Traffic | None:
        """Let everybody finish what they do; returns what they have to tell."""
        people, self._people = self._people, None
        if people is not None:
            people.stop()
        return people

    def _show(self, before: checks.Measured, password: str, *, approve: bool) -> int:
        run_id = self._unfinished_run() or self._trigger()
        watch = _Watch(self._operator, self.console, self.migration, run_id, self._task_ended)
        self.console.line(f"{self.migration}   {run_id}")
        self.console.line(self.console.styled(f"{self._run_url(run_id)}", "dim"))
        self.console.line()
        state = watch.until_waiting_or_finished()
        if state == "waiting" and not approve:
            self._say_how_to_approve(run_id, watch)
            return 0
        if state == "waiting":
            self._answer(run_id, watch, password)
            state = watch.until_finished()
        if state != "success":
            watch.explain_failure(self._run_url(run_id))
            return 1
        return self._conclude(run_id, before, watch)

    def _task_ended(self, task_id: str, state: str) -> None:
        """What its operator does during a launch: set up the platform that the run is about to ask whom it lets in."""
        if (self.migration, task_id, state) == ("mula_unification", _PLATFORM_AFTER, "success"):
            self._platform = self.deployment.start_platform()

    def _run_url(self, run_id: str) -> str:
        return f"{self.deployment.settings.url}/{run_path(self.migration, run_id).replace('/dagRuns/', '/runs/')}"

    def _wait_for_dag(self, timeout: float = 90) -> None:
        """Until Airflow has read the DAG's file as it is now. Raises ``stack.no-dag`` with the import errors."""
        processor = self.deployment.processes.leader("dag-processor")
        started = processor.create_time() if processor else 0.0
        deadline = time.monotonic() + timeout
        self.console.status(f"waiting for Airflow to read the DAG {self.migration}")
        while time.monotonic() < deadline:
            path = f"dags/{self.migration}"
            if self._operator.exists(path):
                dag = self._operator.get(path)
                if datetime.fromisoformat(dag["last_parsed_time"].replace("Z", "+00:00")).timestamp() >= started:
                    if dag["is_paused"]:
                        self._operator.patch(path, {"is_paused": False})
                    return
            faults = self._operator.get("importErrors")["import_errors"]
            errors = [error for error in faults if str(error["filename"]).endswith(f"{self.migration}.py")]
            if errors:
                trace = "\n".join(errors[0]["stack_trace"].strip().splitlines()[-6:])
                raise CutoverError(
                    "stack.no-dag",
                    str(errors[0]["filename"]),
                    f"Airflow cannot import it:\n{trace}",
                    "mend the file; Airflow reads it again within 30 s.",
                )
            time.sleep(0.3)
        raise CutoverError(
            "stack.no-dag",
            self.migration,
            f"Airflow has not found this DAG in {timeout:.0f} s.",
            f"see whether {ROOT / 'dags'} has its file, and read .local/logs/dag-processor.log.",
        )

    def _ask_airflow_where(self) -> subprocess.Popen[str]:
        """Ask Airflow which databases its tasks would get, in their environment. It takes seconds, so it goes ahead."""
        return subprocess.Popen(
            [sys.executable, "-m", "stack.whereabouts", *DATABASE_CONNECTIONS, REHEARSAL],
            env={**self.deployment.airflow.environment(), "_AIRFLOW_PROCESS_CONTEXT": "client"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _require_own_database(self, asked: subprocess.Popen[str]) -> None:
        """Raise ``demo.another-database`` unless the tasks will find the embedded server's databases, and no other.

        The demonstration approves itself. Whatever leads its tasks elsewhere (a secrets backend, a configuration file,
        a connection kept in Airflow) must stop it before anything is triggered: on any connection of any migration,
        and on the server where dumps are restored, of which the demonstration has none.
        """
        answer, errors = asked.communicate(timeout=120)
        try:
            there: dict[str, Any] = json.loads(answer.splitlines()[-1])
        except (IndexError, ValueError):
            there = {self._target: (errors.strip().splitlines() or ["no answer"])[-1]}
        names = (self._target, *DATABASE_CONNECTIONS, REHEARSAL)
        own = self.deployment.settings.own_databases()
        ours: dict[str, Any] = {name: without_password(conninfo_to_dict(dsn)) for name, dsn in own.items()}
        for name in names:
            if (actual := there.get(name)) != ours.get(name):
                raise CutoverError(
                    "demo.another-database",
                    f"connection {name}",
                    f"Airflow's tasks would work on {actual}, and the demonstration's own is {ours.get(name)}. Nothing "
                    "was triggered.",
                    "unset what leads them elsewhere (a secrets backend, an airflow.cfg in .local/airflow, a "
                    "connection kept in Airflow), and try again.",
                )

    def _unfinished_run(self) -> str | None:
        """The newest run that has not ended: a second one would only wait behind it."""
        for state in ("running", "queued"):
            runs = self._operator.get(f"dags/{self.migration}/dagRuns", state=state, limit=1, order_by="-run_after")
            for run in runs["dag_runs"]:
                self.console.line("Going on with the run that has not finished yet.")
                return str(run["dag_run_id"])
        return None

    def _trigger(self) -> str:
        body: dict[str, object] = {"logical_date": None, "conf": {}}
        return str(self._operator.post(f"dags/{self.migration}/dagRuns", body)["dag_run_id"])

    def _say_how_to_approve(self, run_id: str, watch: _Watch) -> None:
        say, bold = self.console.line, self.console.bold
        command = "./run demo --approve" + (f" {self.migration}" if self.migration != "clean_launch" else "")
        say()
        say(bold(f"Nothing has changed in production yet: {self.migration} waits for a person's approval."))
        say()
        say(f"  open       {self._run_url(run_id)}/tasks/{watch.approval}/required_actions")
        say(f"  sign in    as {APPROVER}; the one who triggered a run cannot approve it")
        say("  click      read what will change, then Approve (or Reject: production stays as it is)")
        say(f"  or run     {bold(command)}")
        if self.migration == "mula_unification":
            say(f"  then       {bold('./run demo mula')} starts the platform, whose sign-ins the run rehearses")
        say()
        say_where(self.deployment, self._target)

    def _answer(self, run_id: str, watch: _Watch, password: str) -> None:
        self.console.status(f"approving as {APPROVER}")
        waiting = self._operator.get(f"{run_path(self.migration, run_id)}/taskInstances/{watch.approval}")
        until_parked(self.deployment, self.migration, run_id, watch.approval, waiting["try_number"])
        reviewer = Api(self.deployment.settings.url, APPROVER, password)
        path = f"{run_path(self.migration, run_id)}/taskInstances/{watch.approval}/-1/hitlDetails"
        form = reviewer.get(path)
        answer = {
            "chosen_options": ["Approve"],
            "params_input": {name: field["value"] for name, field in form["params"].items()},
        }
        reviewer.patch(path, answer)
        self.console.line(f"  {'':<11}{self.console.styled(f'approved by {APPROVER}', 'yellow')}")

    def _conclude(self, run_id: str, before: checks.Measured, watch: _Watch) -> int:
        say, bold = self.console.line, self.console.bold
        run = run_key(self.migration, run_id)
        people = self._send_people_home()
        with session(self.deployment.target_admin_dsn(self._target), "cutover demonstration") as production:
            after = self._checks.measure(production)
            balances = self._checks.balances(production, run)
            results = self._checks.check(production, run, before, self.scale)
            record = get_run(production, run)
        if people is not None:
            done, failed, frozen_at = people.done, people.errors, record.frozen_at
            lost = people.lost(self.deployment.target_admin_dsn(self._target), frozen_at=frozen_at)
            begun = people.begun(frozen_at) if frozen_at else 0
            say()
            say(
                f"Meanwhile people did {done.total():,} things, {done['visit']:,} visits of members and "
                f"{done['sign_up']:,} sign-ups among them; the longest took {people.longest_wait * 1000:,.0f} ms."
            )
            if begun:
                say(f"Left out by rule: {begun:,} checkouts begun before the freeze and not paid. The backup has them.")
            results += [
                checks.Check("of what people did, failed", "0", f"{failed.total():,}", not failed),
                checks.Check("of what people did, lost", "0", f"{len(lost):,}", not lost),
            ]
        say()
        say(bold("Every source row is accounted for"))
        self.console.table(
            ("source", "read", "staged", "merged", "left out", "rejected", "remainder"),
            [(b.source, b.read, b.staged, b.merged, b.left_out, b.rejected, b.remainder) for b in balances],
        )
        say()
        say(bold("Production" + (": no row was added, removed or changed" if _changed_nothing(record.review) else "")))
        self.console.table(
            ("table", "before", "after", "change"), [_change(before, after, name) for name in after.counts]
        )
        say()
        say(bold("Checks"))
        width = max(len(result.name) for result in results)
        for result in results:
            mark = self.console.styled("✓", "green") if result.holds else self.console.styled("✗", "red")
            expected = "" if result.holds else f"   expected {result.expected}"
            say(f"  {mark} {result.name:<{width}}  {result.actual:>7}{expected}")
        say()
        broken = sum(not result.holds for result in results)
        if broken:
            say(bold(f"Production is not what it should be: {broken} of {len(results)} checks fail."))
            return 1
        say(bold(f"Production is what it should be: {len(results)} checks hold ({watch.seconds():.0f} s)."))
        say()
        if self.migration == "mula_unification":
            self._show_platform()
        say_where(self.deployment, self._target)
        return 0

    def _show_platform(self) -> None:
        """Say where to sign in to what was launched, and as whom; start the platform, unless that was done."""
        url = self._platform or self.deployment.start_platform()
        say = self.console.line
        say()
        say(self.console.bold("Both applications are one: sign in as any of their people."))
        say()
        say(f"  open       {url}")
        for line in mula_checks.ways_in(self.deployment.target_admin_dsn("unified")):
            say(f"  {line}")
        say()


def say_where(deployment: Deployment, database: str = "production") -> None:
    """Print where Airflow is, who can sign in, where the passwords are, how to look into ``database``, how to stop."""
    say, settings = deployment.console.line, deployment.settings
    say(f"  Airflow    {settings.url}")
    for number, account in enumerate(ACCOUNTS):
        say(f"  {'accounts' if number == 0 else '':<11}{account.name:<10}{account.purpose}")
    say(f"  passwords  {short(settings.passwords)}")
    say(f"  look       {f'./run dsn {database}':<28}stop       ./run down")


def _changed_nothing(review: dict[str, Any] | None) -> bool:
    """Whether the launch that was reviewed so puts in place, row by row, what was there."""
    tables = (review or {}).get("tables", [])
    return bool(tables) and all(table.get(kind) == 0 for table in tables for kind in ("added", "removed", "changed"))


def _change(before: checks.Measured, after: checks.Measured, name: str) -> tuple[str, str | int, str | int, str]:
    old, new = before.counts[name], after.counts[name]
    return (
        name,
        "-" if old is None else old,
        "-" if new is None else new,
        "" if new is None else f"{new - (old or 0):+,}",
    )


class _Watch:
    """Prints each task of a run as it ends."""

    def __init__(self, api: Api, console: Console, dag_id: str, run_id: str, ended: Callable[[str, str], None]) -> None:
        self._api = api
        self._console = console
        self._path = run_path(dag_id, run_id)
        # told of each task that has ended, and how
        self._ended = ended
        self._printed: set[tuple[str, int]] = set()
        self._phase = ""
        self._started = time.monotonic()
        self._said_at = time.monotonic()
        self.approval = APPROVAL

    def seconds(self) -> float:
        """Since watching began."""
        return time.monotonic() - self._started

    def until_waiting_or_finished(self) -> str:
        """``waiting`` when the approval waits, else the run's final state."""
        return self._until(stop_at_approval=True)

    def until_finished(self) -> str:
        """The run's final state, success or failed."""
        return self._until(stop_at_approval=False)

    def _until(self, *, stop_at_approval: bool) -> str:
        while True:
            # the run's state first: when it is final, so are the tasks that are asked for afterwards
            state = str(self._api.get(self._path)["state"])
            tasks = self._api.get(f"{self._path}/taskInstances", limit=1000)["task_instances"]
            self._print_ended(tasks)
            waiting = [task for task in tasks if task["state"] == "awaiting_input"]
            if stop_at_approval and waiting:
                self.approval = waiting[0]["task_id"]
                self._console.status("")
                return "waiting"
            if state in ("success", "failed"):
                self._console.status("")
                return state
            self._say_what_runs(tasks)
            time.sleep(0.5)

    def _print_ended(self, tasks: Sequence[dict[str, Any]]) -> None:
        ended = [task for task in tasks if task["state"] in _MARKS and _key(task) not in self._printed]
        for task in sorted(ended, key=lambda task: (task["end_date"] or "", task["task_id"])):
            self._printed.add(_key(task))
            mark, style = _MARKS[task["state"]]
            phase, _, name = task["task_id"].rpartition(".")
            # a task outside any group is a phase of its own
            phase, name = (phase, name) if phase else (name, name)
            if task["map_index"] >= 0:
                name += f" [{task.get('rendered_map_index') or task['map_index']}]"
            shown = "" if phase == self._phase else phase
            self._phase = phase
            took = f"{task['duration']:7.1f} s" if task["duration"] is not None and task["start_date"] else ""
            state = "" if task["state"] == "success" else f"   {task['state'].replace('_', ' ')}"
            self._console.line(f"  {shown:<11}{self._console.styled(mark, style)} {name:<44}{took}{state}")
            self._ended(task["task_id"], task["state"])

    def _say_what_runs(self, tasks: Sequence[dict[str, Any]]) -> None:
        running = sorted(
            (task for task in tasks if task["state"] == "running"), key=lambda task: task["start_date"] or ""
        )
        if not running or time.monotonic() - self._said_at < 1:
            return
        self._said_at = time.monotonic()
        oldest = min(running, key=lambda task: task["start_date"] or "")
        others = f" and {len(running) - 1} more" if len(running) > 1 else ""
        lines = _own_lines(self._log(oldest))
        self._console.status(f"  {'':<11}… {oldest['task_id']}{others}   {lines[-1] if lines else ''}".splitlines()[0])

    def _log(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"{self._path}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}"
        try:
            content = self._api.get(path, map_index=task["map_index"])["content"]
        except CutoverError:
            return []  # nothing written yet
        return [entry for entry in content if isinstance(entry, dict) and entry.get("event")]

    def explain_failure(self, url: str) -> None:
        """Print what failed and why, in the words of its log."""
        tasks = self._api.get(f"{self._path}/taskInstances", limit=1000)["task_instances"]
        say = self._console.line
        for task in [task for task in tasks if task["state"] == "failed"]:
            say()
            say(self._console.styled(f"{task['task_id']} failed", "red") + f" (try {task['try_number']}):")
            for line in _reason(self._log(task)):
                say(f"  {line}")
        say()
        # one that failed may have committed before: it finds that out itself when it is cleared
        tried = any(task["task_id"] == "swap" and task["state"] in ("success", "failed") for task in tasks)
        say("The run failed." if tried else "The run failed before the swap: production is as it was.")
        say(f"Its tasks and logs: {url}")


def _key(task: dict[str, Any]) -> tuple[str, int]:
    return str(task["task_id"]), int(task["map_index"])


def _own_lines(log: Sequence[dict[str, Any]]) -> list[str]:
    """What the task itself has said: Airflow puts what it says before and after into groups."""
    lines: list[str] = []
    inside = False
    for entry in log:
        event = str(entry["event"])
        if event.startswith(("::group::", "::endgroup::")):
            inside = event.startswith("::group::")
        elif not inside and event != "Pushing xcom":
            lines.append(event)
    return lines


def _reason(log: Sequence[dict[str, Any]]) -> list[str]:
    """The message of the exception that ended the task, else the last lines of its log."""
    for entry in reversed(log):
        details = entry.get("error_detail")
        if details:
            last = details[-1]
            value = str(last.get("exc_value", "")).strip()
            # our own errors say all that there is to say; of others the class tells something
            return (value if value.startswith("[") else f"{last.get('exc_type', '')}: {value}").splitlines()
    return [str(entry["event"]) for entry in log][-8:]
