"""The whole stack of one home, up and down: PostgreSQL, the demonstration's world where it is needed, Airflow."""

from __future__ import annotations

import fcntl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from cutover.errors import CutoverError
from stack.airflow import COMPONENTS, Airflow, require_free_ports
from stack.processes import Processes
from stack.progress import Console
from stack.settings import MULA_CONNECTIONS, PRODUCTION_DATABASE, Settings

SIMULATORS = "simulators"


class Deployment:
    """What ``./run up``, ``down`` and ``demo`` act on."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings = settings
        self.console = console
        self.airflow = Airflow(settings)
        self.processes: Processes = self.airflow.processes

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while the stack is started or stopped, so that two commands do not do it at once."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with (self.settings.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.console.line("Another ./run is starting or stopping the stack; waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def up(self, scale: int = 1, *, demonstration: bool = False, mula: bool = False) -> None:
        """Start what does not run, on the connections of the environment; returns when all of it is healthy.

        The simulators and the production of the demonstration stand in for the connections that are not given.
        With ``demonstration``, a production database that *is* given is filled too, if it is empty. With ``mula``,
        the two applications of mula_unification are made as well.
        Raises CutoverError ``stack.port-taken`` before anything is started.
        """
        settings = self.settings
        with self.locked():
            settings.home.mkdir(parents=True, exist_ok=True)
            embedded = settings.postgres
            was_up = embedded.is_running()  # learns the port that it listens on
            self._stop_what_changed(scale)
            self._require_ports(postgres_runs=was_up)
            with self.console.timed("PostgreSQL") as told:
                embedded.start()
                told.append(f"127.0.0.1:{embedded.port}")
            # The world is made while Airflow starts; the demonstration's needs no Airflow, nor the reverse.
            world = _Background(lambda: self._make_world(scale, demonstration, mula))
            with self.console.timed("Airflow") as told:
                self.console.status("preparing Airflow's database and accounts")

                def tell(names: str) -> None:
                    world.raise_error()
                    self.console.status(f"waiting for {names}")

                self.airflow.prepare()
                self.airflow.start()
                self.airflow.wait_until_healthy(tell=tell)
                told.append(settings.url)
            self.console.status("loading the production database")
            world.join()

    def down(self) -> bool:
        """Stop everything; returns whether anything ran. The state stays in ``home``."""
        if not self.settings.home.exists():
            return False
        with self.locked():
            self.console.status("stopping Airflow")
            processes = self.airflow.stop()
            self.console.status("stopping PostgreSQL")
            postgres = self.settings.postgres.is_running()
            self.settings.postgres.stop()
            self.console.status("")
            return processes > 0 or postgres

    def production_admin_dsn(self) -> str:
        """Production as a role that sees all of it: the superuser, or whoever the given connection names."""
        if self.settings.is_given("production"):
            return self.settings.dsn("production")
        return self.settings.postgres.dsn(PRODUCTION_DATABASE)

    def _needs_simulators(self) -> bool:
        return not (self.settings.is_given("xendit") and self.settings.is_given("systemeio"))

    def _simulators(self, scale: int) -> list[str]:
        ports = ("--xendit-port", str(self.settings.xendit_port), "--systemeio-port", str(self.settings.systemeio_port))
        return [sys.executable, "-m", "demo.simulators", *ports, "--scale", str(scale)]

    def _stop_what_changed(self, scale: int) -> None:
        """Stop processes that run on other settings, connections, code or scale than those of now."""
        simulators = self.processes.leader(SIMULATORS)
        if simulators and simulators.cmdline()[1:] != self._simulators(scale)[1:]:
            self.processes.stop([SIMULATORS])
        if self.airflow.has_changed():
            self.console.line("Settings, connections or plugins have changed: restarting Airflow.")
            self.processes.stop(COMPONENTS)

    def _require_ports(self, *, postgres_runs: bool) -> None:
        members = self.processes.members()
        needed = {}
        if "api-server" not in members:
            needed["CUTOVER_AIRFLOW_PORT"] = self.settings.airflow_port
        if not postgres_runs:
            needed["CUTOVER_PG_PORT"] = self.settings.postgres_port
        if SIMULATORS not in members and self._needs_simulators():
            needed["CUTOVER_XENDIT_PORT"] = self.settings.xendit_port
            needed["CUTOVER_SYSTEMEIO_PORT"] = self.settings.systemeio_port
        require_free_ports(needed)

    def target_admin_dsn(self, connection: str) -> str:
        """A migration's target as a role that sees all of it: the superuser, or whoever the given connection names."""
        if connection == "production":
            return self.production_admin_dsn()
        given = self.settings.is_given(connection)
        return self.settings.dsn(connection) if given else self.settings.postgres.dsn(connection)

    def _make_world(self, scale: int, demonstration: bool, mula: bool) -> None:
        if self._needs_simulators():
            self._start_simulators(scale)
        if demonstration or not self.settings.is_given("production"):
            self._load_production(scale)
        if mula:
            self._load_mula(scale)

    def _load_mula(self, scale: int) -> None:
        from demo import mula

        with self.console.timed("Mula") as told:
            if any(self.settings.is_given(name) for name in MULA_CONNECTIONS):
                told.append("given, left as they are")
                return
            superuser = {name: self.settings.postgres.dsn(name) for name in mula.DATABASES}
            for name in mula.DATABASES:
                _ensure_database(self.settings.postgres.dsn(), name)
            loaded = mula.load(superuser, self.settings.role_passwords, mula.Size().times(scale))
            told.append("demonstration loaded" if loaded else "as the last run left them")

    def _start_simulators(self, scale: int) -> None:
        if self.processes.leader(SIMULATORS):
            return
        with self.console.timed("Simulators") as told:
            log = self.processes.log(SIMULATORS)
            offset = log.stat().st_size if log.exists() else 0
            self.processes.start(SIMULATORS, self._simulators(scale), self.settings.python_environment())
            while True:
                text = log.read_text(errors="replace")[offset:] if log.stat().st_size >= offset else log.read_text()
                if "ready" in text.splitlines():
                    break
                if self.processes.leader(SIMULATORS) is None:
                    raise CutoverError(
                        "stack.simulators-do-not-start", str(log), f"they ended: {text[-500:]}", "read the log above."
                    )
                time.sleep(0.1)
            told += [f"Xendit 127.0.0.1:{self.settings.xendit_port}", f"Systeme.io :{self.settings.systemeio_port}"]

    def _load_production(self, scale: int) -> None:
        from demo import production

        with self.console.timed("Production") as told:
            if not self.settings.is_given("production"):
                _ensure_database(self.settings.postgres.dsn(), PRODUCTION_DATABASE)
            try:
                loaded = production.load(
                    self.production_admin_dsn(), scale, self.settings.secrets["production_password"]
                )
            except psycopg.Error as error:
                raise CutoverError(
                    "stack.production-not-loaded",
                    "connection production",
                    f"the demonstration cannot be loaded: {str(error).strip().splitlines()[0]}",
                    "AIRFLOW_CONN_PRODUCTION must name a superuser and an empty database of a running server; "
                    "unset it for the embedded one.",
                ) from error
            told.append("demonstration loaded" if loaded else "as the last run left it")


class _Background:
    """A function in a thread; what it raises is raised by ``join``."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        try:
            self._function()
        except BaseException as error:
            self._error = error

    def join(self) -> None:
        self._thread.join()
        self.raise_error()

    def raise_error(self) -> None:
        """Raise what the function has raised so far."""
        if self._error:
            raise self._error


def _ensure_database(superuser_dsn: str, name: str) -> None:
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        if not admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
