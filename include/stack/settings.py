"""The one place that decides where everything is and what environment every process gets."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from cutover.errors import CutoverError
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from stack.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]

# Marks a process as belonging to the stack in one home; the value is "<component>@<home>".
MARKER = "CUTOVER_COMPONENT"
# In the environment of Airflow's processes: a digest of what they would have to be restarted for.
STATE = "CUTOVER_STATE"
PORTS = {
    "CUTOVER_AIRFLOW_PORT": 8080,
    "CUTOVER_PG_PORT": 5439,
    "CUTOVER_XENDIT_PORT": 8101,
    "CUTOVER_SYSTEMEIO_PORT": 8102,
}
AIRFLOW_DATABASE = "airflow"
PRODUCTION_DATABASE = "production"
PRODUCTION_ROLE = "cutover"
# Connections of mula_unification → database and role of the demonstration.
MULA_CONNECTIONS = {
    "dasha": ("dasha", "mula_reader"),
    "compatibility": ("compatibility", "mula_reader"),
    "dasha_owner": ("dasha", "dasha_owner"),
    "compatibility_owner": ("compatibility", "compatibility_owner"),
    "unified": ("unified", PRODUCTION_ROLE),
}
_LIBPQ_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options", "connect_timeout", "application_name")


def _port(name: str, variables: Mapping[str, str]) -> int:
    text = variables.get(name) or str(PORTS[name])
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise CutoverError(
            "stack.bad-port", f"{name}={text}", "it is not a port number.", "set it to a number from 1 to 65535."
        )
    return int(text)


@dataclass(frozen=True)
class Settings:
    """Where a stack lives and what it listens on; ``variables`` is the caller's environment.

    ``CUTOVER_HOME`` moves the state, ``CUTOVER_*_PORT`` the ports; a connection that the caller sets as
    ``AIRFLOW_CONN_<NAME>`` replaces the demonstration's.
    """

    home: Path
    dags: Path
    variables: Mapping[str, str] = field(repr=False)
    airflow_port: int
    postgres_port: int
    xendit_port: int
    systemeio_port: int

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None, dags: Path | None = None) -> Settings:
        """Settings from ``variables`` (default: this process's environment). Raises ``stack.bad-port``."""
        given = dict(os.environ if variables is None else variables)
        return cls(
            home=Path(given.get("CUTOVER_HOME") or ROOT / ".local").resolve(),
            dags=dags or ROOT / "dags",
            variables=given,
            airflow_port=_port("CUTOVER_AIRFLOW_PORT", given),
            postgres_port=_port("CUTOVER_PG_PORT", given),
            xendit_port=_port("CUTOVER_XENDIT_PORT", given),
            systemeio_port=_port("CUTOVER_SYSTEMEIO_PORT", given),
        )

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder: its generated configuration and the task logs."""
        return self.home / "airflow"

    @property
    def logs(self) -> Path:
        """One log per process of the stack."""
        return self.home / "logs"

    @property
    def passwords(self) -> Path:
        """The accounts' passwords, as JSON, for the owner's eyes only."""
        return self.home / "passwords.json"

    @property
    def url(self) -> str:
        """Where a browser finds Airflow."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @cached_property
    def postgres(self) -> EmbeddedPostgres:
        """The embedded server of this home, started or not."""
        return EmbeddedPostgres(self.home / "postgres", port=self.postgres_port)

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Keys and passwords that the processes share, made at first use."""
        return kept_secrets(
            self.home / "secrets.json",
            {
                "fernet_key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "api_secret_key": lambda: secrets.token_urlsafe(48),
                "jwt_secret": lambda: secrets.token_urlsafe(64),
                "airflow_database_password": lambda: secrets.token_urlsafe(24),
                "production_password": lambda: secrets.token_urlsafe(24),
                "mula_reader_password": lambda: secrets.token_urlsafe(24),
                "dasha_owner_password": lambda: secrets.token_urlsafe(24),
                "compatibility_owner_password": lambda: secrets.token_urlsafe(24),
            },
        )

    def is_given(self, connection: str) -> bool:
        """Whether the caller's environment sets this connection, so that it is not the demonstration's."""
        return bool(self.variables.get(f"AIRFLOW_CONN_{connection.upper()}"))

    def connections(self) -> dict[str, str]:
        """Each connection's URI: the caller's where one is set, else the demonstration's."""
        demonstration = {
            "xendit": f"http://:{quote(XENDIT_API_KEY)}@127.0.0.1:{self.xendit_port}",
            "systemeio": f"http://:{quote(SYSTEMEIO_API_KEY)}@127.0.0.1:{self.systemeio_port}",
            "production": self.postgres.dsn(PRODUCTION_DATABASE, PRODUCTION_ROLE, self.secrets["production_password"]),
            **{
                name: self.postgres.dsn(database, role, self.role_passwords[role])
                for name, (database, role) in MULA_CONNECTIONS.items()
            },
        }
        return {name: self.variables.get(f"AIRFLOW_CONN_{name.upper()}") or uri for name, uri in demonstration.items()}

    @property
    def role_passwords(self) -> dict[str, str]:
        """The passwords of the demonstration's roles in mula_unification."""
        own = {role: self.secrets[f"{role}_password"] for role in ("mula_reader", "dasha_owner", "compatibility_owner")}
        return {PRODUCTION_ROLE: self.secrets["production_password"], **own}

    def dsn(self, connection: str) -> str:
        """A PostgreSQL connection as a URI that any client takes; ``airflow`` is Airflow's own database.

        Raises CutoverError ``stack.no-such-connection`` for a name that is none, or is not PostgreSQL.
        """
        if connection == "airflow":
            return self.postgres.dsn(AIRFLOW_DATABASE, AIRFLOW_DATABASE, self.secrets["airflow_database_password"])
        known = {name: plain_dsn(uri) for name, uri in self.connections().items()}
        found = known.get(connection)
        if found is None:
            names = ", ".join(sorted(["airflow", *(name for name, dsn in known.items() if dsn)]))
            raise CutoverError(
                "stack.no-such-connection",
                connection,
                "it is not a PostgreSQL connection that this deployment knows.",
                f"name one of: {names}.",
            )
        return found

    def python_environment(self) -> dict[str, str]:
        """The caller's environment for a Python process of ours: byte code is kept, our packages are found."""
        withheld = ("PYTHONDONTWRITEBYTECODE", "AIRFLOW_CONFIG", MARKER, STATE)
        inherited = {name: value for name, value in self.variables.items() if name not in withheld}
        return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT / "include")])}

    def airflow_environment(self) -> dict[str, str]:
        """The environment of every Airflow process.

        The caller's variables go through, so that any Airflow option can be set; what is below cannot be, because
        the processes would not find each other.
        """
        dsn = self.dsn("airflow")
        defaults = {
            "AIRFLOW__CORE__PARALLELISM": "4",  # each is a process, and the default is 32
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",  # default 1: a chain of tasks waits for it
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            # it reports each of 200 functions that its documentation will not list
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING",
            "CUTOVER_DATA_DOCS": str(self.home / "data_docs"),
            "GX_ANALYTICS_ENABLED": "false",
            "PYTHONWARNINGS": "ignore::DeprecationWarning",  # Airflow's own, in every task log
        }
        required = {
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__CORE__FERNET_KEY": self.secrets["fernet_key"],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": self.secrets["api_secret_key"],
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secrets["jwt_secret"],
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn.replace("postgresql://", "postgresql+psycopg2://"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.airflow_home / "logs"),
            "CUTOVER_HOME": str(self.home),
            "CUTOVER_INCLUDE": str(ROOT / "include"),
            # Without it Airflow's process titles overwrite the environment that `marker` is looked up in.
            "SPT_NOENV": "1",
            # A proxy for the outside world must not get what goes over loopback.
            "NO_PROXY": ",".join(filter(None, [self.variables.get("NO_PROXY"), "127.0.0.1", "localhost"])),
        }
        connections = {f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in self.connections().items()}
        return {**defaults, **self.python_environment(), **connections, **required}


def marker(component: str, home: Path) -> str:
    """What the variable MARKER holds in every process that the stack of ``home`` starts."""
    return f"{component}@{home}"


def short(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def kept_secrets(path: Path, makers: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    """The secrets kept in the JSON file ``path``, the missing ones made by ``makers`` and added; mode 600.

    The file is replaced, never edited, so that a kill leaves the old one or the new one.
    """
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {name: make() for name, make in makers.items() if name not in kept}
    if missing:
        kept |= missing
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(kept, indent=2) + "\n")
        partial.replace(path)
    return kept


def plain_dsn(connection: str) -> str | None:
    """An Airflow connection (URI or JSON) to PostgreSQL as a libpq URI; None if it is to something else.

    Airflow takes ``postgres://`` as well, and options of its own in the query, which libpq would refuse.
    """
    if connection.lstrip().startswith("{"):
        parts = json.loads(connection)
        if parts.get("conn_type") not in ("postgres", "postgresql"):
            return None
        credentials = ":".join(quote(parts[key], safe="") for key in ("login", "password") if parts.get(key))
        address = f"{parts.get('host') or '127.0.0.1'}:{parts.get('port') or 5432}"
        extra = parts.get("extra") or {}
        options = json.loads(extra) if isinstance(extra, str) else extra
        return _libpq_uri(f"{credentials}@{address}", f"/{quote(parts.get('schema') or '')}", options)
    split = urlsplit(connection)
    if split.scheme not in ("postgres", "postgresql"):
        return None
    options = dict(parse_qsl(split.query))
    return _libpq_uri(split.netloc, split.path, json.loads(options.pop("__extra__", "{}")) | options)


def _libpq_uri(authority: str, path: str, options: Mapping[str, object]) -> str:
    known = {name: str(value) for name, value in options.items() if name in _LIBPQ_OPTIONS}
    return f"postgresql://{authority}{path}" + (f"?{urlencode(known)}" if known else "")
