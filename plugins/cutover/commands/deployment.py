"""What a command has to know of the deployment that it is called for: connections, keys, where evidence is kept."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Protocol

from cutover.database.connect import parameters, uri
from cutover.dumps import client
from cutover.errors import CutoverError
from cutover.records import signing


class Deployment(Protocol):
    """A deployment, as a command sees it: an Airflow's (below), or the one that ``./run`` starts (``stack.engine``)."""

    @property
    def restart(self) -> str:
        """What a person does so that running processes notice a new key."""

    @property
    def url(self) -> str:
        """Where a browser finds Airflow."""

    @property
    def programs(self) -> str | None:
        """The folder of PostgreSQL's client programs; None: they are on the PATH."""

    def dsn(self, connection: str) -> str:
        """A PostgreSQL connection as a URI that any client takes. Raises CutoverError where there is none."""

    def login(self, account: str | None, *, answers: bool = False) -> tuple[str, str]:
        """Name and password of who calls a command, in Airflow; by default whoever the deployment takes for that.

        ``answers``: a command that answers a question, which whoever has triggered a run may not.
        """

    def share_evidence(self) -> None:
        """Let this process know keys, anchors and Data Docs as the tasks do."""

    def keys(self) -> signing.Keys:
        """What the deployment signs with, and whose signatures it believes."""

    def key_file(self) -> Path | None:
        """The file of the key that evidence is signed with; None where it is in a connection."""


class AirflowDeployment:
    """The Airflow that the engine is installed beside: its connections, and this process's environment."""

    restart = "Restart Airflow's workers and API servers."

    @property
    def url(self) -> str:
        """Airflow's own ``[api] base_url``."""
        from airflow.configuration import conf

        return str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")

    @property
    def programs(self) -> str | None:
        """The folder that ``CUTOVER_PG_CLIENT`` names, if it does."""
        return os.environ.get(client.VARIABLE) or None

    def dsn(self, connection: str) -> str:
        """A PostgreSQL connection of Airflow's, from wherever it keeps them, as a URI.

        Raises CutoverError ``connect.unknown`` for a name that is none, or is not PostgreSQL.
        """
        known = _connection(connection)
        if known is None or known.conn_type not in ("postgres", "postgresql"):
            raise CutoverError(
                "connect.unknown",
                f"connection {connection}",
                "Airflow has no connection of this name." if known is None else "it is not one to PostgreSQL.",
                "name one of those that `airflow connections list` or the environment has, or add it.",
            )
        return uri(
            parameters(
                host=known.host,
                port=known.port,
                user=known.login,
                password=known.get_password(),
                dbname=known.schema,
                extra=known.extra_dejson,
            )
        )

    def login(self, account: str | None, *, answers: bool = False) -> tuple[str, str]:  # noqa: ARG002
        """From ``CUTOVER_ACCOUNT`` and ``CUTOVER_PASSWORD``; asks for what is not there."""
        name = account or os.environ.get("CUTOVER_ACCOUNT") or input("Account in Airflow: ").strip()
        return name, os.environ.get("CUTOVER_PASSWORD") or ask_password(name)

    def share_evidence(self) -> None:
        """Let evidence be signed with the key of Airflow's connection, where no file is named."""
        signing.look_up = _signing_key

    def keys(self) -> signing.Keys:
        """What the deployment signs with, and whose signatures it believes."""
        self.share_evidence()
        return signing.keys()

    def key_file(self) -> Path | None:
        """The file that ``CUTOVER_SIGNING_KEY`` names, if it does."""
        named = os.environ.get(signing.VARIABLE)
        return Path(named) if named else None


def ask_password(account: str) -> str:
    """An account's password, typed without being shown: on a command line it would stand in the list of processes."""
    return getpass.getpass(f"Password of {account} in Airflow: ")


def _connection(name: str):  # type: ignore[no-untyped-def] # Airflow's, imported only where it is needed
    """A connection as a scheduler would find it; a task's way to it needs a running task. None if there is none."""
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        return None


def _signing_key() -> tuple[str, list[str]] | None:
    """The private key and the public ones of the connection that holds them, if there is one."""
    known = _connection(signing.CONNECTION)
    if known is None:
        return None
    return known.get_password() or "", list(known.extra_dejson.get("public_keys", []))
