"""Airflow's processes: the metadata database, the accounts, start, health and stop."""

from __future__ import annotations

import hashlib
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import requests
from psycopg import sql

from cutover.database.connect import session
from cutover.errors import CutoverError
from stack import accounts
from stack.processes import Processes
from stack.settings import AIRFLOW_DATABASE, ROOT, STATE, Settings, kept_secrets

# Arguments of `python -m`. Nothing needs to serve logs: all processes share one file system.
COMPONENTS = {
    "api-server": ("airflow", "api-server"),
    "scheduler": ("stack.scheduler",),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}
# Seconds in which a component that is not healthy yet has to use some processor time; one that does not, hangs.
_STUCK_AFTER_S = 120.0
_SOME_CPU_S = 0.5
_IN_HEALTH = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


def require_free_ports(ports: dict[str, int]) -> None:
    """Raise CutoverError ``stack.port-taken`` if anybody listens on one of these; variable name -> port."""
    for variable, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CutoverError(
                    "stack.port-taken",
                    f"127.0.0.1:{port}",
                    "another program listens there. Nothing was started.",
                    f"stop that program, or choose another port: {variable}=<port> ./run ...",
                ) from error


class Airflow:
    """The Airflow of one home. Starting what runs and stopping what does not are no errors."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes = Processes(settings.home, settings.logs)

    def passwords(self) -> dict[str, str]:
        """Account -> password, made at first use."""
        return kept_secrets(self.settings.passwords, {one.name: accounts.new_password for one in accounts.ACCOUNTS})

    def prepare(self) -> bool:
        """Make the metadata database and the accounts, or bring them up to date; returns whether there was work.

        PostgreSQL must run. A new database is prepared under another name and renamed when it is complete, so that
        one killed half-way is never taken for whole. What it was prepared for is kept as its comment.
        """
        settings = self.settings
        settings.airflow_home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.passwords()
        state = self._wanted_state()
        password = settings.secrets["airflow_database_password"]
        with session(settings.postgres.dsn(), "cutover stack", autocommit=True) as admin:
            _ensure_role(admin, AIRFLOW_DATABASE, password)
            row = admin.execute(
                "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [AIRFLOW_DATABASE]
            ).fetchone()
            if row == (state,):
                return False
            self.processes.stop(["migration"])  # of a killed run: it would hold the database
            if row:
                self._migrate(AIRFLOW_DATABASE)
            else:
                partial = f"{AIRFLOW_DATABASE}_incomplete"
                names = {"partial": sql.Identifier(partial), "final": sql.Identifier(AIRFLOW_DATABASE)}
                admin.execute(sql.SQL("drop database if exists {partial} with (force)").format(**names))
                admin.execute(sql.SQL("create database {partial} owner {final}").format(**names))
                self._migrate(partial)
                admin.execute(sql.SQL("alter database {partial} rename to {final}").format(**names))
            admin.execute(
                sql.SQL("comment on database {} is {}").format(sql.Identifier(AIRFLOW_DATABASE), sql.Literal(state))
            )
        return True

    def _wanted_state(self) -> str:
        sources = (ROOT / "requirements.txt", Path(accounts.__file__), self.settings.passwords)
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()

    def environment(self) -> dict[str, str]:
        """What the components get, with a digest of all that they would have to be restarted for."""
        variables = self.settings.airflow_environment()
        digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
        for path in sorted((ROOT / "plugins").rglob("*.py")):
            digest.update(path.read_bytes())
        for name in sorted(variables):
            if name.startswith(("AIRFLOW", "CUTOVER_")):
                digest.update(f"{name}={variables[name]}\n".encode())
        return {**variables, STATE: digest.hexdigest()}

    def has_changed(self) -> bool:
        """Whether a component runs with other settings, connections, plugins or packages than those of now."""
        wanted = self.environment()[STATE]
        leaders = [self.processes.leader(component) for component in COMPONENTS]
        return any(leader is not None and leader.environ().get(STATE) != wanted for leader in leaders)

    def _migrate(self, database: str) -> None:
        environment = self.settings.airflow_environment()
        whole, _, _ = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].rpartition("/")
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"{whole}/{database}"
        process = self.processes.start(
            "migration", [sys.executable, "-m", "stack.accounts", str(self.settings.passwords)], environment
        )
        code = process.wait()
        if code != 0:
            raise self._failure("migration", "preparing Airflow's database failed")

    def start(self) -> None:
        """Start the components that do not run, without waiting for them."""
        for component, arguments in COMPONENTS.items():
            self.processes.start(component, [sys.executable, "-m", *arguments], self.environment())

    def wait_until_healthy(self, timeout: float | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        """Return when every component is healthy; ``tell`` hears what is still waited for.

        Waits as long as there is progress: on a busy machine a start takes minutes. ``timeout`` (seconds; default is
        the setting CUTOVER_START_MINUTES) bounds it in all. Raises CutoverError ``stack.airflow-not-healthy`` with the
        end of the log of what ended or hangs.
        """
        began = moved = time.monotonic()
        bound = self.settings.start_seconds if timeout is None else timeout
        spent = -1.0
        warm = False
        while True:
            waiting = self.unhealthy()
            if "api-server" not in waiting and not warm:
                warm = self._is_warm()
                waiting += [] if warm else ["api-server"]
            if not waiting:
                return
            now = time.monotonic()
            tell(f"{', '.join(waiting)} ({now - began:.0f} s)")
            for component in COMPONENTS:
                if self.processes.leader(component) is None:
                    raise self._failure(component, "it ended while starting")
            used = self._processor_time(waiting)
            if not spent <= used < spent + _SOME_CPU_S:
                spent, moved = used, now
            if now - began > bound:
                raise self._failure(
                    waiting[0],
                    f"not healthy after {bound:.0f} s",
                    "or allow it more: CUTOVER_START_MINUTES=30 ./run ...",
                )
            if now - moved > _STUCK_AFTER_S:
                raise self._failure(waiting[0], f"it has done nothing for {_STUCK_AFTER_S:.0f} s")
            time.sleep(0.25)

    def _processor_time(self, components: list[str]) -> float:
        """Seconds of processor time that these components have used so far."""
        used = 0.0
        members = self.processes.members()
        for component in components:
            for process in members.get(component, []):
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                used += times.user + times.system
        return used

    def _ask(self, path: str, timeout: float) -> requests.Response:
        """GET of Airflow's, past any proxy."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{self.settings.url}{path}", timeout=timeout)

    def _is_warm(self) -> bool:
        """Whether the API that tasks talk to has answered.

        Its first call builds it, for seconds, on a busy machine for a minute and more: not in the first task's time.
        """
        try:
            self._ask("/execution/health/ping", timeout=60)
        except requests.RequestException:
            return False
        return True

    def unhealthy(self) -> list[str]:
        """The components that do not report as healthy, by Airflow's own health endpoint."""
        try:
            health = self._ask("/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return list(COMPONENTS)
        return [name for name, key in _IN_HEALTH.items() if (health.get(key) or {}).get("status") != "healthy"]

    def is_running(self) -> bool:
        """Whether all components have a process."""
        members = self.processes.members()
        return all(component in members for component in COMPONENTS)

    def stop(self) -> int:
        """Stop everything that this home's stack has started but PostgreSQL; returns how many processes."""
        return self.processes.stop()

    def _failure(self, component: str, why: str, besides: str = "") -> CutoverError:
        log = self.processes.log(component)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
        return CutoverError(
            "stack.airflow-not-healthy",
            component,
            f"{why}. The end of {log}:\n{tail}",
            "read the log above, and run the same command again: it goes on where it stopped"
            + (f"; {besides}" if besides else "."),
        )


def _ensure_role(admin: psycopg.Connection, name: str, password: str) -> None:
    exists = admin.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
    verb = sql.SQL("alter" if exists else "create")
    admin.execute(sql.SQL("{} role {} login password {}").format(verb, sql.Identifier(name), sql.Literal(password)))
