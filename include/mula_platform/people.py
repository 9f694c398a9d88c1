"""Who somebody is, which of their accounts they have proved, and what follows: sessions, joining, parting, deletion.

A person of the unified database may be made of accounts of two strangers, who both typed one address. So a proof is
worth what it proves: a session sees the account that opened it, and the others that were proved from sessions of the
same *holder*. Two strangers who have each proved their own account are one row of public.users until somebody contests,
and still neither sees anything of the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from mula_platform.database import Row, do, row, rows
from mula_platform.rehearsal import Rehearsal
from mula_platform.tokens import REHEARSAL, SESSION, SESSION_LIFETIME, KeyRing

# Addresses that cutover.unmerge gave: nothing can be sent there.
NO_MAIL = ".invalid"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in. ``hidden`` are the accounts of the person that they have not proved."""

    jti: UUID
    user_id: UUID
    identity_id: UUID
    holder: UUID
    hidden: tuple[UUID, ...]
    source: str
    legacy_user_id: str
    email: str
    person_name: str | None
    account_name: str | None
    member_since: datetime | None

    @property
    def name(self) -> str:
        """What to call them: the name of the person, if all of the person is theirs, else that of their account."""
        own = None if self.hidden else self.person_name
        return own or self.account_name or self.address or "there"

    @property
    def address(self) -> str | None:
        """The person's address, unless it is one that no mail reaches."""
        return None if self.email.endswith(NO_MAIL) else self.email

    @property
    def scope(self) -> dict[str, Any]:
        """What the queries of the pages need to know of whom they show rows to."""
        return {"user_id": self.user_id, "hidden": list(self.hidden)}


class RefusedError(Exception):
    """Something that cannot be done as things are; ``why`` is a sentence for the person."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def find(connection: psycopg.Connection[Row], jti: str, rehearsal: str | None = None) -> Session | None:
    """The session of that id, if it is good at this moment; one of a rehearsal for whoever names that."""
    try:
        of = None if rehearsal is None else UUID(rehearsal)
        session = row(connection, "session/find", jti=UUID(jti), rehearsal=of)
    except ValueError:
        return None
    if session is None:
        return None
    names = ("jti", "user_id", "identity_id", "holder", "source", "legacy_user_id", "email", "person_name",
             "account_name", "member_since")  # fmt: skip
    return Session(hidden=tuple(session["hidden"]), **{name: session[name] for name in names})


def begin(
    connection: psycopg.Connection[Row],
    ring: KeyRing,
    issuer: str,
    *,
    user_id: UUID,
    account: Row,
    way: str,
    action: str,
) -> str:
    """Open a session by the proof of ``account``; returns its token. The proof itself is for the caller to record."""
    jti = uuid4()
    do(
        connection,
        "session/open",
        jti=jti,
        user_id=user_id,
        identity_id=account["identity_id"],
        way=way,
        lifetime=SESSION_LIFETIME,
    )
    do(connection, "account/signed_in", user_id=user_id)
    do(connection, "session/prune")
    source, legacy_user_id = account["source"], account["legacy_user_id"]
    log(connection, user_id, action, source, legacy_user_id)
    claims = {
        "sub": str(user_id), "jti": str(jti), "client_id": "mula", "legacy_source": source,
        "legacy_user_id": legacy_user_id,
    }  # fmt: skip
    return ring.issue(SESSION, issuer, claims, SESSION_LIFETIME)


def begin_rehearsed(
    connection: psycopg.Connection[Row],
    ring: KeyRing,
    issuer: str,
    rehearsal: Rehearsal,
    *,
    user_id: UUID,
    identity_id: UUID,
    way: str,
) -> str:
    """Open a session of a rehearsal, and nothing else; returns its token, which is no session's of a person."""
    jti = uuid4()
    do(
        connection,
        "session/open_rehearsed",
        jti=jti,
        user_id=user_id,
        identity_id=identity_id,
        way=way,
        expires_at=rehearsal.ends_at,
        rehearsal=rehearsal.rehearsal_id,
    )
    claims = {"sub": str(user_id), "jti": str(jti), "rehearsal": str(rehearsal.rehearsal_id)}
    return ring.issue(REHEARSAL, issuer, claims, rehearsal.ends_at - datetime.now(timezone.utc))


def log(connection: psycopg.Connection[Row], user_id: UUID, action: str, source: str, legacy_user_id: str) -> None:
    """Write what somebody did into the activity log, under the account that they did it with."""
    metadata = Jsonb({"source": source, "legacy_user_id": legacy_user_id})
    do(connection, "account/log", user_id=user_id, action=action, metadata=metadata)


def account_of(connection: psycopg.Connection[Row], user_id: UUID, identity_id: UUID) -> Row | None:
    """One account of a person, as platform.accounts_of has it."""
    return row(connection, "account/of_person", user_id=user_id, identity_id=identity_id)


def prove(connection: psycopg.Connection[Row], identity_id: UUID, by: str) -> None:
    """Record that an account is proved, and by what: ``password``, ``token`` or ``link``."""
    do(connection, "account/prove", identity_id=identity_id, proved_by=by)


def join(
    connection: psycopg.Connection[Row], *, user_id: UUID, holder: UUID, identity_id: UUID, by: str
) -> Sequence[UUID]:
    """Put an account that was proved from a session of ``holder`` into their hands; returns what came into them.

    A link proves that somebody has the mailbox, not that they registered the account. So who did may be a stranger who
    knows its password or has a token of it: what comes by a link loses both, and its sessions end.
    """
    prove(connection, identity_id, by)
    came = [
        identity["identity_id"]
        for identity in rows(
            connection, "account/join", user_id=user_id, holder=holder, identity_id=identity_id, joined_by=by
        )
    ]
    if by == "link":
        for identity in came:
            do(connection, "account/forget_credential", identity_id=identity)
            do(connection, "session/revoke_account", identity_id=identity, why="taken over by a link to the address")
    return came


def part(connection: psycopg.Connection[Row], *, user_id: UUID, identity_id: UUID) -> UUID:
    """Take an account out of a person, and end its sessions; returns the person that it is now.

    Raises RefusedError.
    """
    try:
        with connection.transaction():
            account = row(connection, "account/unmerge", user_id=user_id, identity_id=identity_id)
    except psycopg.errors.RaiseException as error:
        raise RefusedError("This account was not joined with another one, so it cannot be taken out.") from error
    if account is None or account["parted"] is None:
        raise RefusedError("This account is not yours any more.")
    do(connection, "account/leave", identity_id=identity_id)
    do(connection, "session/revoke_account", identity_id=identity_id, why="contested")
    return UUID(str(account["parted"]))


def delete(connection: psycopg.Connection[Row], session: Session) -> None:
    """Delete a person with everything that is theirs alone. Raises RefusedError.

    Only whoever holds all of a person's accounts may: the others are perhaps somebody else's.
    """
    if row(connection, "person/lock", user_id=session.user_id) is None:
        raise RefusedError("This account is deleted already.")
    now = find(connection, str(session.jti))
    if now is None or now.hidden:
        raise RefusedError("First prove or contest the other accounts that were joined with yours.")
    running = row(connection, "person/running_subscriptions", user_id=session.user_id)
    if running and running["running"]:
        raise RefusedError("First end your subscription: it would go on being billed.")
    do(connection, "person/delete_own", user_id=session.user_id)
    do(connection, "person/delete_subscriptions", user_id=session.user_id)
    do(connection, "person/delete", user_id=session.user_id)
