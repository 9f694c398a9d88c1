"""The deployment that ``./run`` starts, as the engine's own commands see it (``cutover.commands``)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cutover.commands.deployment import ask_password
from cutover.dumps import client
from cutover.errors import CutoverError
from cutover.records import signing
from stack.accounts import APPROVER, OPERATOR
from stack.postgres import bin_dir
from stack.settings import Settings


@dataclass(frozen=True)
class Stack:
    """A ``cutover.commands.deployment.Deployment``."""

    settings: Settings
    restart: str = "Restart what runs: ./run down, ./run up."

    @property
    def url(self) -> str:
        """Where a browser finds Airflow."""
        return self.settings.url

    @property
    def programs(self) -> str | None:
        """Those of the embedded server, unless the environment names others."""
        return os.environ.get(client.VARIABLE) or str(bin_dir())

    def dsn(self, connection: str) -> str:
        """A PostgreSQL connection as a URI. Raises ``stack.no-such-connection``, ``stack.not-running``."""
        uri = self.settings.dsn(connection)
        if not self.settings.is_given(connection) and not self.settings.postgres.is_running():
            raise CutoverError(
                "stack.not-running", f"connection {connection}", "its server is not running.", "./run up"
            )
        return uri

    def login(self, account: str | None, *, answers: bool = False) -> tuple[str, str]:
        """One of the accounts that ``./run`` has made, by default the operator, or the reviewer, who ``answers``.

        Asks for another one's password.
        """
        name = account or (APPROVER if answers else OPERATOR)
        known = json.loads(self.settings.passwords.read_text()) if self.settings.passwords.exists() else {}
        return name, known.get(name) or ask_password(name)

    def share_evidence(self) -> None:
        """Let this process know keys, anchors and Data Docs as the tasks do."""
        self.settings.share_evidence()

    def keys(self) -> signing.Keys:
        """What the deployment signs with, and whose signatures it believes."""
        return self.settings.keys()

    def key_file(self) -> Path | None:
        """The file of the key that evidence is signed with; None where it is in a connection."""
        return None if self.settings.is_given(signing.CONNECTION) else self.settings.signing_key
