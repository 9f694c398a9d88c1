"""Limits on failures: per account and per client address, counted in the database for all processes."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import timedelta

import psycopg

from mula_platform.database import Database, Row, do, row

WINDOW = timedelta(minutes=15)
# Failures of one client with one account in a window: beyond it is no mistyping.
PAIR = 5
# Failures of one client with any account: above what a family or an office behind one address mistypes.
CLIENT = 50
# Failures with one account from anywhere. High, for whoever wants to keep somebody out can reach it.
ACCOUNT = 100
# Mails to one account.
MAILS = 3

Bucket = tuple[str, int]


class TooManyError(Exception):
    """A limit is reached; ``seconds`` until the window is over."""

    def __init__(self, seconds: int) -> None:
        self.seconds = max(1, seconds)
        super().__init__(f"{self.seconds} s")


def client_key(address: str | None) -> str:
    """What is counted of a client's address: IPv6 by its network, since one client has all of it. A digest."""
    try:
        parsed = ipaddress.ip_address(address or "")
        if parsed.version == 6:
            parsed = ipaddress.ip_network((parsed, 64), strict=False).network_address
        return _digest(str(parsed))
    except ValueError:
        return _digest("unknown")


def sign_in(account: str, client: str) -> list[Bucket]:
    """What a sign-in with address ``account`` counts in; the client first, which bounds how many rows it can make."""
    who = _digest(account)
    return [(f"client {client}", CLIENT), (f"pair {client} {who}", PAIR), (f"account {who}", ACCOUNT)]


def exchange(client: str) -> list[Bucket]:
    """What a refused token counts in."""
    return [(f"exchange {client}", CLIENT)]


def mail(identity: object) -> list[Bucket]:
    """What a mail to an account's address counts in."""
    return [(f"mail {identity}", MAILS)]


def claim(database: Database, buckets: Sequence[Bucket]) -> None:
    """Count an attempt before it is made. Raises TooManyError when one bucket is full."""
    with database.transaction() as connection:
        do(connection, "limit/prune", kept=2 * WINDOW)
        for bucket, most in buckets:
            claimed = row(connection, "limit/claim", bucket=bucket, span=WINDOW)
            assert claimed is not None
            if claimed["attempts"] > most:
                connection.commit()
                raise TooManyError(claimed["seconds_left"])


def require_room(database: Database, buckets: Sequence[Bucket]) -> None:
    """Raise TooManyError when one bucket is full, and count nothing."""
    with database.autocommit() as connection:
        require_room_in(connection, buckets)


def require_room_in(connection: psycopg.Connection[Row], buckets: Sequence[Bucket]) -> None:
    """``require_room``, in the caller's transaction."""
    for bucket, most in buckets:
        bucket_row = row(connection, "limit/counted", bucket=bucket, span=WINDOW)
        if bucket_row is not None and bucket_row["attempts"] >= most:
            raise TooManyError(bucket_row["seconds_left"])


def release(database: Database, buckets: Sequence[Bucket]) -> None:
    """Take back what ``claim`` counted: the attempt succeeded."""
    with database.transaction() as connection:
        for bucket, _ in buckets:
            do(connection, "limit/release", bucket=bucket, span=WINDOW)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
