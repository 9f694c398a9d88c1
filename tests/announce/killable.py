"""Senders in processes of their own, to be killed: a line on standard input forks one, whose id and end are told.

``python -m tests.announce.killable DSN RUN MAIL_PORT FCM_URL KEY_FILE``: this process has imported everything, so that
each sender begins at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jwt  # noqa: F401
import markdown_it  # noqa: F401
import requests  # noqa: F401

from cutover.announce import sending
from cutover.database.connect import connector

from .world import MIGRATION, ways


def main(dsn: str, key: str, mail_port: str, fcm_url: str, key_file: str) -> None:
    """Fork a sender for each line; say its process id, and then how it has ended."""
    by = ways(int(mail_port), fcm_url, Path(key_file).read_text())
    for _ in sys.stdin:
        sender = os.fork()
        if sender == 0:
            sending.send(connector(dsn, "unified", "announce killable"), MIGRATION, key, by, lambda _: None)
            os._exit(0)
        _tell(sender)
        _tell(os.waitstatus_to_exitcode(os.waitpid(sender, 0)[1]))


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
