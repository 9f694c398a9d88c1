"""What stands between a swap and the first sign-in: the role, its tables, and the passwords of both applications."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database.connect import session
from cutover.database.statements import files, text
from cutover.errors import CutoverError
from mula_platform import passwords, payments
from mula_platform.database import Database

ROLE = "mula_platform"
_APPLICATION = "mula platform setup"
# Accounts whose hashes are on their way at a time.
_BATCH = 1_000


def prepare(administrator: str, password: str | None = None) -> None:
    """Make the role, the schema ``platform`` and the rights in the unified database, and note whose each row is.

    ``administrator`` is the DSN of a role that may make roles and grant the engine's tables. Safe to repeat, and to be
    repeated after every launch. ``password`` is set for the role; without one it stays as it is.
    Raises CutoverError ``platform.nothing-launched``.
    """
    with session(administrator, _APPLICATION) as connection:
        row = connection.execute("select to_regclass('public.legacy_identities') is not null").fetchone()
        if row != (True,):
            raise CutoverError(
                "platform.nothing-launched",
                f"database {connection.info.dbname}",
                "it has no people: mula_unification has not been launched, or was rolled back.",
                "launch it, then do this again.",
            )
        connection.execute("select pg_advisory_xact_lock(hashtext('mula platform setup'))")
        for path in files("mula_platform/setup"):
            connection.execute(text(path).encode())
        if password is not None:
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(ROLE), sql.Literal(password)))


def carry(source: str, reader: str, platform: str) -> dict[str, int]:
    """Bring the password hashes of application ``source`` into the platform's own table; returns accounts by scheme.

    ``reader`` is the DSN of a role that may read the application's users, ``platform`` that of the platform's role. The
    hashes pass through this process and lie nowhere else. Safe to repeat: what was renewed here since stays.
    """
    schemes: dict[str, int] = {}
    with session(reader, _APPLICATION) as old, session(platform, _APPLICATION) as new:
        add = text("mula_platform/account/carry.sql").encode()
        with old.cursor(name="hashes", row_factory=dict_row) as accounts:
            accounts.itersize = _BATCH
            accounts.execute(text("mula_platform/carry/hashes.sql").encode())
            while batch := accounts.fetchmany(_BATCH):
                usable = [{"source": source, **account} for account in batch]
                for account in usable:
                    scheme = passwords.scheme(account["hash"]) or "unknown"
                    schemes[scheme] = schemes.get(scheme, 0) + 1
                with new.cursor() as cursor:
                    cursor.executemany(add, usable)
    return schemes


def catch_up(platform: str) -> int:
    """Make the subscriptions that a launch has brought what Stripe has said since; returns how many that changed.

    ``platform`` is the DSN of the platform's role. Safe to repeat.
    """
    database = Database(platform, 1)
    database.open()
    try:
        return payments.catch_up(database)
    finally:
        database.close()


def carry_all(readers: dict[str, str], platform: str, say: Callable[[str], None]) -> None:
    """``carry`` for each application of ``readers``, told in a line each."""
    for source, reader in readers.items():
        try:
            schemes = carry(source, reader, platform)
        except psycopg.Error as error:
            raise CutoverError(
                "platform.passwords-not-carried",
                f"application {source}",
                f"its users cannot be read, or the platform's table not written: {str(error).splitlines()[0]}.",
                "let the role of that connection read public.users, run ./run platform setup, and try again.",
            ) from error
        say(f"{source}: " + (", ".join(f"{count:,} {name}" for name, count in sorted(schemes.items())) or "none"))
