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
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cutover.database.connect import parameters, uri
from cutover.dumps import client, place
from cutover.errors import CutoverError
from cutover.records import anchors, signing
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from stack.postgres import EmbeddedPostgres, bin_dir

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
    "CUTOVER_PLATFORM_PORT": 8110,
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
# Every connection to a database that a migration reads or writes.
DATABASE_CONNECTIONS = (PRODUCTION_DATABASE, *MULA_CONNECTIONS)
# Of AIRFLOW*, what the demonstration takes from the environment beside the connections of its APIs.
_DEMONSTRATION_OPTIONS = ("AIRFLOW__CORE__PARALLELISM", "AIRFLOW__LOGGING__LOGGING_LEVEL")
# Of CUTOVER_*, the same: where its own state and ports are. CUTOVER_DATA_DOCS and the like would lead out of its home.
_DEMONSTRATION_SETTINGS = ("CUTOVER_HOME", "CUTOVER_PG", "CUTOVER_START_MINUTES", *PORTS)
# What decides which DAGs are run, and with which Airflow, is this checkout's: left over from another Airflow, each of
# these makes a healthy stack that runs something else, or nothing.
_OWN_AIRFLOW = (
    "AIRFLOW_CONFIG",
    "AIRFLOW__CORE__LOAD_EXAMPLES",
    "AIRFLOW__CORE__MULTI_TEAM",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET",
)


def _port(name: str, variables: Mapping[str, str]) -> int:
    text = variables.get(name) or str(PORTS[name])
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise CutoverError(
            "stack.bad-port", f"{name}={text}", "it is not a port number.", "set it to a number from 1 to 65535."
        )
    return int(text)


def _dags(variables: Mapping[str, str]) -> Path:
    """The DAGs beside the folder ``CUTOVER_INCLUDE`` of a team's own migrations; without it, this checkout's."""
    include = variables.get("CUTOVER_INCLUDE")
    return Path(include).resolve().parent / "dags" if include else ROOT / "dags"


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
    platform_port: int

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None, dags: Path | None = None) -> Settings:
        """Settings from ``variables`` (default: this process's environment). Raises ``stack.bad-port``."""
        given = dict(os.environ if variables is None else variables)
        return cls(
            home=Path(given.get("CUTOVER_HOME") or ROOT / ".local").resolve(),
            dags=dags or _dags(given),
            variables=given,
            airflow_port=_port("CUTOVER_AIRFLOW_PORT", given),
            postgres_port=_port("CUTOVER_PG_PORT", given),
            xendit_port=_port("CUTOVER_XENDIT_PORT", given),
            systemeio_port=_port("CUTOVER_SYSTEMEIO_PORT", given),
            platform_port=_port("CUTOVER_PLATFORM_PORT", given),
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
    def data_docs(self) -> str:
        """Where Data Docs are kept: a folder, or the address of an object store."""
        return self.variables.get("CUTOVER_DATA_DOCS") or str(self.home / "data_docs")

    @property
    def signing_key(self) -> Path:
        """The file of the key that evidence is signed with; the public keys are beside it."""
        return Path(self.variables.get(signing.VARIABLE) or self.home / "signing.key")

    @property
    def anchors(self) -> str:
        """Where the chain's heads are noted."""
        return self.variables.get(anchors.VARIABLE) or str(self.home / "anchors")

    def share_evidence(self) -> None:
        """Let this process, and those that it becomes, know keys, anchors and Data Docs as the tasks do."""
        os.environ[anchors.VARIABLE] = self.anchors
        os.environ["CUTOVER_DATA_DOCS"] = self.data_docs
        if not self.is_given(signing.CONNECTION):
            os.environ[signing.VARIABLE] = str(self.signing_key)
        # whatever imports Airflow has it write its configuration there
        os.environ.setdefault("AIRFLOW_HOME", str(self.airflow_home))

    def make_signing_key(self) -> None:
        """Make the key that evidence is signed with, unless there is one."""
        if not self.is_given(signing.CONNECTION) and not self.signing_key.exists():
            signing.make(self.signing_key)

    def keys(self) -> signing.Keys:
        """What this deployment signs with, and whose signatures it believes: of the file, or the given connection."""
        given = self.variables.get(f"AIRFLOW_CONN_{signing.CONNECTION.upper()}")
        if not given:
            return signing.of_file(self.signing_key)
        password, extra = password_and_extra(given)
        return signing.of_text(password, extra.get("public_keys", []), where=f"connection {signing.CONNECTION}")

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
                "application_password": lambda: secrets.token_urlsafe(24),
                "mula_reader_password": lambda: secrets.token_urlsafe(24),
                "dasha_owner_password": lambda: secrets.token_urlsafe(24),
                "compatibility_owner_password": lambda: secrets.token_urlsafe(24),
                "mula_platform_password": lambda: secrets.token_urlsafe(24),
                # what the simulated old applications sign their tokens with
                "dasha_token_secret": lambda: secrets.token_urlsafe(48),
                "compatibility_token_secret": lambda: secrets.token_urlsafe(48),
            },
        )

    @property
    def start_seconds(self) -> float:
        """``CUTOVER_START_MINUTES``: how long the start may take in all, as long as it makes progress; default 15.

        Raises CutoverError ``stack.bad-minutes``.
        """
        text = self.variables.get("CUTOVER_START_MINUTES") or "15"
        if not text.isdecimal() or int(text) == 0:
            raise CutoverError(
                "stack.bad-minutes",
                f"CUTOVER_START_MINUTES={text}",
                "it is not a number of minutes.",
                "set it to a whole number from 1 on, or unset it.",
            )
        return int(text) * 60.0

    def is_given(self, connection: str) -> bool:
        """Whether the caller's environment sets this connection, so that it is not the demonstration's."""
        return bool(self.variables.get(f"AIRFLOW_CONN_{connection.upper()}"))

    def own_databases(self) -> dict[str, str]:
        """Each connection to a database as the demonstration has it: on the embedded server, whatever is given."""
        return {
            PRODUCTION_DATABASE: self.postgres.dsn(
                PRODUCTION_DATABASE, PRODUCTION_ROLE, self.secrets["production_password"]
            ),
            **{
                name: self.postgres.dsn(database, role, self.role_passwords[role])
                for name, (database, role) in MULA_CONNECTIONS.items()
            },
        }

    def require_own_databases(self) -> None:
        """Raise CutoverError ``demo.given-database`` where the environment names a database for a migration.

        The demonstration answers its own approval. On a database of somebody's that would be a launch that nobody
        has approved, and to fill one it has to change roles that the whole server shares.
        """
        given = [f"AIRFLOW_CONN_{name.upper()}" for name in DATABASE_CONNECTIONS if self.is_given(name)]
        if given:
            raise CutoverError(
                "demo.given-database",
                ", ".join(given),
                "the demonstration approves itself, and works on databases of its own alone. Nothing was started.",
                f"env {' '.join(f'-u {name}' for name in given)} ./run demo (with a CUTOVER_HOME of its own where this "
                "checkout's deployment is in use)",
            )

    def connections(self) -> dict[str, str]:
        """Each connection's URI: the caller's where one is set, else the demonstration's."""
        demonstration = {
            "xendit": f"http://:{quote(XENDIT_API_KEY)}@127.0.0.1:{self.xendit_port}",
            "systemeio": f"http://:{quote(SYSTEMEIO_API_KEY)}@127.0.0.1:{self.systemeio_port}",
            "mula_platform": f"http://127.0.0.1:{self.platform_port}",
            "mula_test_people": json.dumps({"conn_type": "generic", "extra": {"file": str(self.test_people)}}),
            **self.own_databases(),
        }
        return {name: self.variables.get(f"AIRFLOW_CONN_{name.upper()}") or uri for name, uri in demonstration.items()}

    @property
    def test_people(self) -> Path:
        """The file of the demonstration's people of mula_unification whose passwords are typed after its swap."""
        return self.home / "platform" / "test_people.json"

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
        if self.is_given(connection):
            known[connection] = plain_dsn(self.variables[f"AIRFLOW_CONN_{connection.upper()}"])
        address = known.get(connection)
        if address is None:
            names = ", ".join(sorted(["airflow", *(name for name, dsn in known.items() if dsn)]))
            raise CutoverError(
                "stack.no-such-connection",
                connection,
                "it is not a PostgreSQL connection that this deployment knows.",
                f"name one of: {names}; or set AIRFLOW_CONN_{connection.upper()}.",
            )
        return address

    def python_environment(self) -> dict[str, str]:
        """The caller's environment for a Python process of ours: byte code is kept, our packages are found."""
        withheld = ("PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", MARKER, STATE, *_OWN_AIRFLOW)
        inherited = {
            name: value for name, value in self.variables.items() if name not in withheld and not is_libpq(name)
        }
        return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT / "include")])}

    def platform_environment(self) -> dict[str, str]:
        """The environment of the unified platform and its commands; the caller's CUTOVER_PLATFORM_* go first."""
        unified, role = MULA_CONNECTIONS["unified"][0], "mula_platform"
        demonstration = {
            "DSN": self.postgres.dsn(unified, role, self.secrets["mula_platform_password"]),
            "KEYS": str(self.home / "platform" / "keys"),
            "MAIL": f"file:{self.home / 'platform' / 'mails'}",
            **{f"{name.upper()}_DSN": self.dsn(name) for name in ("dasha", "compatibility")},
            **{f"{name.upper()}_SECRET": self.secrets[f"{name}_token_secret"] for name in ("dasha", "compatibility")},
        }
        if not self.is_given("unified"):
            demonstration |= {
                "ADMIN_DSN": self.postgres.dsn(unified),
                "PASSWORD": self.secrets["mula_platform_password"],
            }
        return {
            **{f"CUTOVER_PLATFORM_{name}": value for name, value in demonstration.items()},
            **self.python_environment(),
            "CUTOVER_PLATFORM_PORT": str(self.platform_port),
        }

    def airflow_environment(self) -> dict[str, str]:
        """The environment of every Airflow process.

        The caller's variables go through, so that any Airflow option can be set; what is below cannot be, because
        the processes would not find each other.
        """
        dsn = self.dsn("airflow")
        defaults = {
            "AIRFLOW__CORE__PARALLELISM": "4",  # each is a process, and the default is 32
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",  # default 1: a chain of tasks waits for it
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            # it reports each of 200 functions that its documentation will not list
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING",
            "CUTOVER_DATA_DOCS": str(self.home / "data_docs"),
            "CUTOVER_INCLUDE": str(ROOT / "include"),
            place.VARIABLE: str(self.home / "dumps"),
            client.VARIABLE: str(bin_dir()),
            anchors.VARIABLE: self.anchors,
            "GX_ANALYTICS_ENABLED": "false",
            "PYTHONWARNINGS": "ignore::DeprecationWarning",  # Airflow's own, in every task log
        }
        required = {
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
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
            # Without it Airflow's process titles overwrite the environment that `marker` is looked up in.
            "SPT_NOENV": "1",
            **past_proxies(self.variables),
        }
        connections = {f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in self.connections().items()}
        if not self.is_given(signing.CONNECTION):
            required[signing.VARIABLE] = str(self.signing_key)
        return {**defaults, **self.python_environment(), **connections, **required}


def of_the_demonstration(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What the demonstration takes of an environment, and the names of what is withheld from it.

    It answers its own approval, so it must not be able to reach a database, an API or a person that is not its own:
    another Airflow's secrets backend, DAG bundles, variables, mail server and libpq's variables stay outside, and so
    does whatever Airflow may learn to read one day. What stays: the APIs' connections, which are only read, and those
    of databases, which `Settings.require_own_databases` refuses by name.
    """
    connections = {f"AIRFLOW_CONN_{name.upper()}" for name in ("xendit", "systemeio", *DATABASE_CONNECTIONS)}
    names = {*connections, *_DEMONSTRATION_OPTIONS, *_DEMONSTRATION_SETTINGS}
    withheld = sorted(
        name
        for name in variables
        if (name.startswith(("AIRFLOW", "_AIRFLOW", "CUTOVER_")) and name not in names) or is_libpq(name)
    )
    return {name: value for name, value in variables.items() if name not in withheld}, withheld


def is_libpq(name: str) -> bool:
    """Whether libpq reads this variable: it would redirect or break connections that say everything themselves."""
    return name.startswith("PG") and not name.startswith("PG_")


def past_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY in both spellings, so that what goes over loopback goes to no proxy.

    Some programs read the one, some the other, and some the lower case first.
    """
    given = [variables.get("NO_PROXY"), variables.get("no_proxy"), "127.0.0.1", "localhost", "::1"]
    hosts = ",".join(dict.fromkeys(host for part in given if part for host in part.split(",") if host))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


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
    secrets: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {name: make() for name, make in makers.items() if name not in secrets}
    if missing:
        secrets |= missing
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(secrets, indent=2) + "\n")
        partial.replace(path)
    return secrets


def password_and_extra(connection: str) -> tuple[str, dict[str, Any]]:
    """Of an Airflow connection (URI or JSON): its password, and its extra."""
    if connection.lstrip().startswith("{"):
        parts = json.loads(connection)
        extra = parts.get("extra") or {}
        return parts.get("password") or "", json.loads(extra) if isinstance(extra, str) else extra
    split = urlsplit(connection)
    options = dict(parse_qsl(split.query))
    return unquote(split.password or ""), json.loads(options.pop("__extra__", "{}"))


def plain_dsn(connection: str) -> str | None:
    """An Airflow connection (URI or JSON) to PostgreSQL as a libpq URI; None if it is to something else.

    Read as Airflow reads it, and with the same options as its tasks use. Airflow takes ``postgres://`` as well, and
    options of its own in the query, which libpq would refuse.
    """
    if connection.lstrip().startswith("{"):
        parts = json.loads(connection)
        if parts.get("conn_type") not in ("postgres", "postgresql"):
            return None
        extra = parts.get("extra") or {}
        fields = {name: parts.get(key) for name, key in _FIELDS.items()}
        return uri(parameters(**fields, extra=json.loads(extra) if isinstance(extra, str) else extra))
    split = urlsplit(connection)
    if split.scheme not in ("postgres", "postgresql"):
        return None
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    return uri(
        parameters(
            host=unquote(split.hostname or ""),
            port=split.port,
            user=unquote(split.username or ""),
            password=unquote(split.password or ""),
            dbname=unquote(split.path.removeprefix("/")),
            extra=json.loads(query["__extra__"]) if query.get("__extra__") else query,
        )
    )


# A connection's fields in libpq's words, and in Airflow's.
_FIELDS = {"host": "host", "port": "port", "user": "login", "password": "password", "dbname": "schema"}
