"""Connections to PostgreSQL, the same for tasks, pages, commands, tests and benches.

A session of ours leans on nothing that a role, a database, a connection's ``options`` or the environment may have
set: ``SETTINGS`` says what it is, and every way to open one goes through this module.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg import pq, sql
from psycopg.abc import Params, Query
from psycopg.conninfo import conninfo_to_dict

from cutover.errors import CutoverError

if TYPE_CHECKING:
    from typing_extensions import Self

Connect = Callable[[], psycopg.Connection]
Log = Callable[[str], None]

# The catalogue first and alone: no other schema's function, operator or table is ever meant by a bare name. A session's
# temporary tables come last, and only those that it made itself.
SEARCH_PATH = "pg_catalog, pg_temp"

# What a session of ours is, whatever the role, the database or the connection's options say.
SETTINGS: Mapping[str, str] = {
    # first, since it changes how the others are kept
    "quote_all_identifiers": "off",
    "search_path": SEARCH_PATH,
    "client_encoding": "UTF8",
    # how values are written and read as text
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "timezone_abbreviations": "Default",
    # how SQL is read, and how definitions are written
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # what a statement sees, and for how long it may run; what needs a bound sets its own
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "gin_fuzzy_search_limit": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # where tables come to lie: in the database's own tablespace, like the ones that they replace by default
    "default_tablespace": "",
    # compiling a query over the catalogue takes longer than running it, and that would be inside the lock
    "jit": "off",
    "plan_cache_mode": "auto",
}
_SINCE = {"transaction_timeout": 170_000}

# libpq sends these to the server by itself, or needs a file for them: no connection option takes their place.
_ONLY_ENVIRONMENT = ("PGSERVICE", "PGSERVICEFILE", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO")
_environment = threading.RLock()
_POOLER_TRIES = 5
# The variables that libpq takes options and settings from.
LIBPQ_VARIABLES: tuple[str, ...] = tuple(
    sorted({*_ONLY_ENVIRONMENT, *(option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar)})
)


def option_names() -> frozenset[str]:
    """The connection options of libpq that a connection may carry."""
    return frozenset(option.keyword.decode() for option in _defaults()) - {"replication"}


@cache
def _defaults() -> tuple[pq.ConninfoOption, ...]:
    return tuple(pq.Conninfo.get_defaults())


def parameters(
    *,
    host: str | None = None,
    port: int | str | None = None,
    user: str | None = None,
    password: str | None = None,
    dbname: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> dict[str, str]:
    """What an Airflow connection says, as libpq's connection options.

    All of libpq's are taken from ``extra``, where they go before the fields; what else stands there is not libpq's.
    """
    fields = {"host": host, "port": port, "user": user, "password": password, "dbname": dbname}
    options = {**fields, **{name: value for name, value in (extra or {}).items() if name in option_names()}}
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if value is not None and value != ""
    }


def uri(options: Mapping[str, str]) -> str:
    """The connection options of ``parameters`` as a URI that any client of libpq takes."""
    rest = dict(options)
    credentials = ":".join(quote(rest.pop(name), safe="") for name in ("user", "password") if rest.get(name))
    address = ""
    # several hosts, each with its port, are easier to read as options
    if "," not in rest.get("host", "") + rest.get("port", ""):
        host, port = rest.pop("host", ""), rest.pop("port", "")
        address = (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")
    database = quote(rest.pop("dbname", ""), safe="")
    query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in rest.items())
    return f"postgresql://{credentials}{'@' if credentials else ''}{address}/{database}{'?' if query else ''}{query}"


def whole(dsn: str) -> dict[str, str]:
    """Every connection option that libpq would otherwise look up in the environment, with ``dsn``'s where it says one.

    A service file is read only if ``dsn`` names a service: then what it leaves out is left to that file.
    """
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    if "service" in given:
        return given
    # libpq takes nothing empty here, and has no default that it would show
    own = {
        "sslcertmode": "allow",
        "require_auth": "none,password,md5,gss,sspi,scram-sha-256",
        "min_protocol_version": "3.0",
        "max_protocol_version": "3.0",
        "user": _account(),
        "connect_timeout": "10",
    }
    neutral = {
        (name := option.keyword.decode()): own.get(name) or (option.compiled or b"").decode()
        for option in _defaults()
        if option.envvar and option.keyword not in (b"service", b"replication")
    }
    # a network that went silent must not keep a task, and its locks, for ever
    return {"keepalives_idle": "30", "tcp_user_timeout": "60000", **neutral, **given}


def _account() -> str:
    """The operating system's user, as libpq takes it where a connection names none."""
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return ""


@contextmanager
def own_environment(given: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Hides from libpq, for the time of a block, the variables that no connection option of ``given`` overrides."""
    names = set(_ONLY_ENVIRONMENT)
    if "service" in given:
        names |= {option.envvar.decode() for option in _defaults() if option.envvar} - set(given)
        names -= {"PGSERVICEFILE"}
    if not names & os.environ.keys():
        yield
        return
    with _environment:
        hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(hidden)


class Cursor(psycopg.Cursor[Any]):
    """A cursor whose errors know the statement that they are about: ``statement``, without its parameters."""

    def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        try:
            return super().execute(query, params, prepare=prepare, binary=binary)  # type: ignore[arg-type, misc]
        except psycopg.Error as error:
            error.statement = _text(query)  # type: ignore[attr-defined]
            raise


def _text(query: Query) -> str:
    if isinstance(query, bytes):
        return query.decode()
    return query.as_string() if isinstance(query, sql.Composable) else str(query)


def session(dsn: str, application: str, *, autocommit: bool = False, pinned: bool = True) -> psycopg.Connection:
    """A session on ``dsn`` with our settings; without them (``pinned``), as an application would have it.

    Raises psycopg's errors, and CutoverError ``connect.replica-role``.
    """
    given = {**whole(dsn), "client_encoding": "UTF8"}
    # a name that the connection has of its own says whose deployment it is; the task's goes before it
    own = given.get("application_name")
    given["application_name"] = f"{application} {own}" if own else application
    with own_environment(given):
        connection = psycopg.connect("", autocommit=True, cursor_factory=Cursor, **given)  # type: ignore[arg-type]
    try:
        _require_own_backend(connection, given)
        if pinned:
            pin(connection)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _require_own_backend(connection: psycopg.Connection, given: Mapping[str, str]) -> None:
    """Refuse a pooler that gives this session's statements to one server session, then another.

    What a session is told to be would then hold for other programs' statements, and not for its own. A pooler shows
    itself by the process that it names at the beginning, which is not the server's; one in session mode is no matter.
    """

    def backend(of: psycopg.Connection) -> int:
        # what is prepared in one session is not there in the next
        row = of.execute("select pg_catalog.pg_backend_pid()", prepare=False).fetchone()
        assert row is not None
        return int(row[0])

    if backend(connection) == connection.info.backend_pid:
        return
    mine, others = set(), set()
    with own_environment(given), psycopg.connect("", autocommit=True, **given) as other:  # type: ignore[arg-type]
        for _ in range(_POOLER_TRIES):
            mine.add(backend(connection))
            with other.transaction():
                others.add(backend(other))
    if len(mine) > 1 or len(others) > 1 or mine & others:
        raise CutoverError(
            "connect.pooler",
            f"{given.get('host', '')}:{given.get('port', '')}",
            "a connection pooler in transaction mode is in between: it would mix our sessions with the application's.",
            "use a direct connection to the server, or the pooler's session mode (another port, mostly 5432).",
        )


def pin(connection: psycopg.Connection, **changes: str) -> None:
    """Give a session our settings, with ``changes``; what a role's or database's own say is overridden.

    One message of plain SET statements: nothing in it is looked up by name.
    """
    wanted = {**SETTINGS, **changes}
    connection.execute(
        sql.SQL("; ").join(
            _set(name, value) for name, value in wanted.items() if _SINCE.get(name, 0) <= connection.info.server_version
        )
    )
    row = connection.execute("select pg_catalog.current_setting('session_replication_role')").fetchone()
    if row != ("origin",):
        raise CutoverError(
            "connect.replica-role",
            f"role {connection.info.user}",
            "its sessions begin with session_replication_role = " + f"{row[0] if row else ''}: foreign keys and "
            "triggers do not hold for what it writes.",
            f"alter role {sql.Identifier(connection.info.user).as_string()} reset session_replication_role; the same "
            "for the database, or in the connection's options.",
        )


def pin_search_path(connection: psycopg.Connection) -> None:
    """Back to our search_path, after a look at definitions through another."""
    connection.execute(_set("search_path", SEARCH_PATH))


def moment(connection: psycopg.Connection) -> str:
    """The name of the snapshot of this transaction, which is REPEATABLE READ; it is good as long as that lasts."""
    row = connection.execute("select pg_catalog.pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def same_moment(connection: psycopg.Connection, snapshot: str) -> None:
    """Begin a transaction that reads from a snapshot that another session has exported, and still holds."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))


def options(**changes: str) -> str:
    """Our settings, with ``changes``, as libpq's ``options``: for sessions that others open."""
    wanted = {name: value for name, value in {**SETTINGS, **changes}.items() if name not in _SINCE}
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in wanted.items())


def _escaped(value: str) -> str:
    return re.sub(r"([\\ ])", r"\\\1", value)


def _set(name: str, value: str) -> sql.Composed:
    # a list of names is not one name; it is written in this module
    literal = sql.SQL(SEARCH_PATH) if value == SEARCH_PATH else sql.Literal(value)
    return sql.SQL("set {} to {}").format(sql.Identifier(name.lower()), literal)


def connector(dsn: str | Callable[[], str], name: str, application: str) -> Connect:
    """A function that opens sessions on ``dsn``, each with our settings; a function is asked for it each time.

    ``name`` is the Airflow connection's, for messages; ``application`` shows in pg_stat_activity. The function
    raises CutoverError ``connect.unreachable``, ``connect.refused`` or ``connect.no-database``, without the DSN and
    so without its secret.
    """

    def connect() -> psycopg.Connection:
        try:
            return session(dsn if isinstance(dsn, str) else dsn(), application)
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            # libpq tells no SQLSTATE of a connection that was not made
            if re.search(r'database "[^"]*" does not exist', reason):
                raise CutoverError(
                    "connect.no-database",
                    f"connection {name}",
                    f"the server has no such database: {reason}.",
                    f"create the database, or correct its name in the Airflow connection {name} (field Schema).",
                ) from None
            if "authentication" in reason or "password" in reason or "role" in reason:
                by_token = "" if isinstance(dsn, str) else ", which comes with a token"
                raise CutoverError(
                    "connect.refused",
                    f"connection {name}",
                    f"the database does not accept its user{by_token or ' or password'}: {reason}.",
                    f"see whether this user of the database may come with tokens of that identity (`aws_conn_id` or "
                    f"`azure_conn_id` in the extra of the Airflow connection {name})."
                    if by_token
                    else f"correct login and password of the Airflow connection {name}.",
                ) from None
            raise CutoverError(
                "connect.unreachable",
                f"connection {name}",
                f"the database does not answer: {reason}.",
                f"start the server, or correct host and port of the Airflow connection {name}.",
            ) from None

    return connect


@contextmanager
def opened(connect: Connect, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """A connection for the time of a block; committed at its end, rolled back on an error, always closed."""
    connection = connect()
    connection.autocommit = autocommit
    with connection:
        yield connection
