"""The whole stack of one home, up and down: PostgreSQL, the demonstration's world where it is needed, Airflow."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from cutover.database.connect import session
from cutover.errors import CutoverError
from stack.airflow import COMPONENTS, Airflow, require_free_ports
from stack.processes import Processes
from stack.progress import Console
from stack.settings import PRODUCTION_DATABASE, Settings

SIMULATORS = "simulators"
PLATFORM = "platform"
# Seconds until the unified platform answers: it is a small process.
_PLATFORM_S = 60.0


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

    def up(
        self, scale: int = 1, *, demonstration: bool = False, mula: bool = False, members: int | None = None
    ) -> None:
        """Start what does not run, on the connections of the environment; returns when all of it is healthy.

        The simulators and the production of the demonstration stand in for the connections that are not given.
        With ``demonstration``, all databases are its own. With ``mula``, the two applications of mula_unification are
        made as well. ``members`` who never bought are in production beside those of the real account; None leaves as
        many as there are.
        Raises CutoverError ``stack.port-taken`` and ``demo.given-database`` before anything is started.
        """
        settings = self.settings
        if demonstration:
            settings.require_own_databases()
        with self.locked():
            settings.home.mkdir(parents=True, exist_ok=True)
            embedded = settings.postgres
            was_up = embedded.is_running()  # learns the port that it listens on
            settings.make_signing_key()
            self._stop_what_changed(scale)
            self._require_ports(postgres_runs=was_up, mula=mula)
            with self.console.timed("PostgreSQL") as lines:
                embedded.start()
                lines.append(f"127.0.0.1:{embedded.port}")
            # The world is made while Airflow starts; the demonstration's needs no Airflow, nor the reverse.
            world = _Background(lambda: self._make_world(scale, mula, members))
            with self.console.timed("Airflow") as lines:
                self.console.status("preparing Airflow's database and accounts")

                def tell(names: str) -> None:
                    world.raise_error()
                    self.console.status(f"waiting for {names}")

                self.airflow.prepare()
                self.airflow.start()
                self.airflow.wait_until_healthy(tell=tell)
                lines.append(settings.url)
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

    def _require_ports(self, *, postgres_runs: bool, mula: bool) -> None:
        members = self.processes.members()
        needed = {}
        if "api-server" not in members:
            needed["CUTOVER_AIRFLOW_PORT"] = self.settings.airflow_port
        if not postgres_runs:
            needed["CUTOVER_PG_PORT"] = self.settings.postgres_port
        if SIMULATORS not in members and self._needs_simulators():
            needed["CUTOVER_XENDIT_PORT"] = self.settings.xendit_port
            needed["CUTOVER_SYSTEMEIO_PORT"] = self.settings.systemeio_port
        if mula and PLATFORM not in members:
            needed["CUTOVER_PLATFORM_PORT"] = self.settings.platform_port
        require_free_ports(needed)

    def target_admin_dsn(self, connection: str) -> str:
        """The demonstration's own target of a migration, as the embedded server's superuser."""
        return self.settings.postgres.dsn(connection)

    def _make_world(self, scale: int, mula: bool, members: int | None) -> None:
        if self._needs_simulators():
            self._start_simulators(scale)
        if not self.settings.is_given("production"):
            self._load_production(scale, members)
        if mula:
            self._load_mula(scale)

    def _load_mula(self, scale: int) -> None:
        from demo import mula

        with self.console.timed("Mula") as lines:
            superuser = {name: self.settings.postgres.dsn(name) for name in mula.DATABASES}
            for name in mula.DATABASES:
                _ensure_database(self.settings.postgres.dsn(), name)
            loaded = mula.load(superuser, self.settings.role_passwords, mula.Size().times(scale))
            lines.append("demonstration loaded" if loaded else "as the last run left them")

    def start_platform(self) -> str:
        """Set up the unified platform over what mula_unification has launched, and start it; returns its address.

        Raises CutoverError ``stack.platform-does-not-start``, with what the setup or the service has said.
        """
        environment = self.settings.platform_environment()
        with self.locked(), self.console.timed("Platform") as lines:
            self._platform_command(["setup"], environment)
            self._write_test_people()
            if not any((self.settings.home / "platform" / "keys").glob("*.pem")):
                self._platform_command(["rotate-keys"], environment)
            # what runs may be of before this launch, or of other code
            self.processes.stop([PLATFORM])
            self.processes.start(PLATFORM, [sys.executable, "-m", "mula_platform", "serve"], environment)
            url = f"http://127.0.0.1:{self.settings.platform_port}"
            deadline = time.monotonic() + _PLATFORM_S
            while (said := _ready(url)) != "ready":
                if time.monotonic() > deadline or self.processes.leader(PLATFORM) is None:
                    log = self.processes.log(PLATFORM)
                    raise CutoverError(
                        "stack.platform-does-not-start",
                        str(log),
                        f"the unified platform is not ready: {said}.",
                        "read the log above, and run the same command again.",
                    )
                time.sleep(0.1)
            lines.append(url)
        return url

    def _write_test_people(self) -> None:
        """Some people of both applications, with the passwords that they type, for the rehearsal of sign-ins."""
        from demo import mula

        path = self.settings.test_people
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(mula.test_people({name: self.settings.dsn(name) for name in mula.SOURCES})))

    def _platform_command(self, arguments: list[str], environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "mula_platform", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CutoverError(
                "stack.platform-does-not-start",
                f"./run platform {arguments[0]}",
                f"it ended with {done.returncode}: {done.stderr.strip()[-500:]}",
                "clear what it says, and run the same command again.",
            )

    def _start_simulators(self, scale: int) -> None:
        if self.processes.leader(SIMULATORS):
            return
        with self.console.timed("Simulators") as lines:
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
            lines += [f"Xendit 127.0.0.1:{self.settings.xendit_port}", f"Systeme.io :{self.settings.systemeio_port}"]

    def further_members(self) -> int:
        """How many members production has been loaded with beside those of the real account."""
        from demo import production

        return production.further_members(self.target_admin_dsn(PRODUCTION_DATABASE))

    def application_dsn(self) -> str:
        """Production as the simulated application."""
        return self.settings.postgres.dsn(PRODUCTION_DATABASE, "app", self.settings.secrets["application_password"])

    def _load_production(self, scale: int, members: int | None) -> None:
        from demo import production
        from demo.contamination import Contamination

        with self.console.timed("Production") as lines:
            _ensure_database(self.settings.postgres.dsn(), PRODUCTION_DATABASE)
            try:
                if members is None:
                    members = self.further_members()
                loaded = production.load(
                    self.target_admin_dsn(PRODUCTION_DATABASE),
                    scale,
                    self.settings.secrets["production_password"],
                    app_password=self.settings.secrets["application_password"],
                    contamination=Contamination(members=members),
                )
            except psycopg.Error as error:
                raise CutoverError(
                    "stack.production-not-loaded",
                    "connection production",
                    f"the demonstration cannot be loaded: {str(error).strip().splitlines()[0]}",
                    f"read {self.settings.home / 'postgres' / 'postgres.log'}, and run the same command again.",
                ) from error
            lines.append("demonstration loaded" if loaded else "as the last run left it")


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


def _ready(url: str) -> str:
    """What the unified platform says of itself: ``ready``, or what is missing."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/readyz", timeout=5) as answer:
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        return str(error.read().decode(errors="replace").strip())
    except OSError as error:
        return str(error)


def _ensure_database(superuser_dsn: str, name: str) -> None:
    with session(superuser_dsn, "cutover stack", autocommit=True) as admin:
        if not admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
