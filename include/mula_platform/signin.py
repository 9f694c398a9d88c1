"""Ways in: e-mail and password of either application, and an old token of either."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from uuid import UUID

import psycopg

from mula_platform import limits, oldtokens, passwords, people, rehearsal
from mula_platform.database import Database, Row, do, row, rows
from mula_platform.settings import Settings
from mula_platform.tokens import KeyRing, TokenError

# Hashes tried for one address: nobody has more accounts, and each takes as long as it is meant to.
_MOST_HASHES = 8
# Why an account has no way in of its own: whoever has its mailbox has said that it is theirs.
TAKEN_OVER = "taken over by a link"


class WrongError(Exception):
    """Not who they say they are. ``reason`` is for logs and metrics; to the person it is one sentence for all."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RehearsedError(WrongError):
    """What would refuse somebody, found out by a rehearsal that has proved to be one: it may be told the reason."""


@dataclass(frozen=True)
class SignIn:
    """The ways in of one deployment."""

    database: Database
    ring: KeyRing
    settings: Settings

    def by_password(self, address: str, password: str, client: str | None) -> str:
        """Sign in; returns a session's token.

        Every hash of the address's accounts is tried, each in its own scheme: those that fit prove their accounts, and
        become Argon2id. Raises WrongError, limits.TooManyError.
        """
        key = address_key(address)
        buckets = limits.sign_in(key, limits.client_key(client))
        limits.claim(self.database, buckets)
        token = self._by_password(address, password)
        limits.release(self.database, buckets)
        return token

    def _by_password(self, address: str, password: str) -> str:
        fitting = self._fitting(address, password)
        renewed = _renewed(fitting, password)
        self.ring.refresh()
        with self.database.transaction() as connection:
            return self._enter(connection, fitting, renewed)

    def _fitting(self, address: str, password: str) -> list[Row]:
        """The credentials of one person that a password fits, at least one. Raises WrongError."""
        if not _can_be_typed(address) or not _can_be_typed(password) or len(password) > passwords.LONGEST:
            raise WrongError("unusable")
        with self.database.autocommit() as connection:
            known = rows(connection, "account/credentials", address=address, most=_MOST_HASHES)
        # no connection is held while hashes are computed
        fitting = [credential for credential in known if passwords.fits(credential["hash"], password)]
        if not known:
            passwords.fits(passwords.NOBODY, password)
        if not fitting:
            raise WrongError("wrong password" if known else "unknown address")
        # of two people whom the address may mean, whose it is now comes first
        user_id = fitting[0]["user_id"]
        return [credential for credential in fitting if credential["user_id"] == user_id]

    def _enter(self, connection: psycopg.Connection[Row], fitting: list[Row], renewed: dict[UUID, str]) -> str:
        """Let in who knows the password of these accounts of a person; returns a session's token."""
        user_id = fitting[0]["user_id"]
        for credential in fitting:
            self._use(connection, credential, renewed.get(credential["identity_id"]))
        account = people.account_of(connection, user_id, fitting[0]["identity_id"])
        if account is None:
            raise WrongError("gone meanwhile")
        # who knows the passwords of two accounts is one person
        for other in fitting[1:]:
            identity = other["identity_id"]
            people.join(connection, user_id=user_id, holder=account["holder"], identity_id=identity, by="password")
        return people.begin(
            connection, self.ring, self.settings.url,
            user_id=user_id, account=account, way="password", action="signed_in",
        )  # fmt: skip

    def prove_by_password(self, session: people.Session, identity: UUID, password: str, client: str | None) -> None:
        """Prove another account of the person by its own password. Raises WrongError, limits.TooManyError."""
        buckets = limits.sign_in(str(identity), limits.client_key(client))
        limits.claim(self.database, buckets)
        with self.database.autocommit() as connection:
            stored = row(connection, "account/credential", identity_id=identity, user_id=session.user_id)
        usable = _can_be_typed(password) and len(password) <= passwords.LONGEST
        if not usable or not passwords.fits(stored["hash"] if stored else passwords.NOBODY, password) or stored is None:
            raise WrongError("wrong password")
        renewed = None if passwords.is_ours(stored["hash"]) else passwords.make(password)
        credential = {"identity_id": identity, "hash": stored["hash"], "user_id": session.user_id}
        with self.database.transaction() as connection:
            self._use(connection, credential, renewed)
            now = people.find(connection, str(session.jti))
            if now is None:
                raise WrongError("signed out meanwhile")
            people.join(connection, user_id=now.user_id, holder=now.holder, identity_id=identity, by="password")
        limits.release(self.database, buckets)

    def _use(self, connection: psycopg.Connection[Row], credential: Row, renewed: str | None) -> None:
        """Believe a password that fitted, if the account is still as it was when that was found out."""
        identity = credential["identity_id"]
        locked = row(connection, "account/lock_credential", identity_id=identity, hash=credential["hash"])
        if locked is None:
            # the same password a moment ago, in another request: the hash is ours by now
            known = row(connection, "account/credential", identity_id=identity, user_id=credential["user_id"])
            if known is None or not passwords.is_ours(known["hash"]):
                raise WrongError("changed meanwhile")
        elif locked["user_id"] != credential["user_id"]:
            raise WrongError("changed meanwhile")
        elif renewed is not None:
            do(connection, "account/renew_credential", identity_id=identity, hash=renewed)
        people.prove(connection, identity, "password")

    def by_old_token(self, token: str, source: str, client: str | None, within: people.Session | None = None) -> str:
        """Exchange an old token of application ``source`` for a session's token; it works once.

        ``within`` a session of the same person, the account is joined with that session's instead, whose token stays as
        it is: returns the empty string. Raises WrongError, limits.TooManyError.
        """
        buckets = limits.exchange(limits.client_key(client))
        # counted only when it failed: many people who move at once from behind one address are no attack
        limits.require_room(self.database, buckets)
        try:
            return self._by_old_token(token, source, within)
        except WrongError:
            with suppress(limits.TooManyError):
                limits.claim(self.database, buckets)
            raise

    def _by_old_token(self, token: str, source: str, within: people.Session | None) -> str:
        old = _read(token, source, self._secret(source))
        self.ring.refresh()
        with self.database.transaction() as connection:
            return self._exchange(connection, old, within)

    def _secret(self, source: str) -> str:
        """What an old application signed its tokens with. Raises WrongError."""
        secret = self.settings.old_secrets.get(source)
        if secret is None:
            raise WrongError("no key of that application")
        return secret

    def _exchange(
        self, connection: psycopg.Connection[Row], old: oldtokens.OldToken, within: people.Session | None = None
    ) -> str:
        """Use a verified token up and let its person in; as ``by_old_token`` for what is returned."""
        until = exchange_until(connection, self.settings)
        if until is None or datetime.now(timezone.utc) >= until:
            raise WrongError("after the end date")
        # in this transaction: of two at once the other waits here, and finds it used
        if row(connection, "token/use", digest=old.digest, expires_at=old.expires_at) is None:
            raise WrongError("used before")
        legacy = row(connection, "account/of_legacy", source=old.source, legacy_user_id=old.legacy_user_id)
        if legacy is None:
            raise WrongError("no such account")
        if legacy["is_void"]:
            raise WrongError(TAKEN_OVER)
        identity, user_id = legacy["identity_id"], legacy["user_id"]
        if within is not None and within.user_id == user_id and within.identity_id != identity:
            people.join(connection, user_id=user_id, holder=within.holder, identity_id=identity, by="token")
            return ""
        people.prove(connection, identity, "token")
        account = people.account_of(connection, user_id, identity)
        if account is None:
            raise WrongError("no such account")
        return people.begin(
            connection, self.ring, self.settings.url,
            user_id=user_id, account=account, way="token", action="legacy_login_migrated",
        )  # fmt: skip

    def rehearse_token(self, token: str, source: str, client: str | None) -> str:
        """Everything that ``by_old_token`` does with a token of a rehearsal, and nothing of it stays.

        Returns the token of a session that shows what /api/me says and ends with the rehearsal. Raises WrongError and
        counts it for whoever has no rehearsal's key, RehearsedError, limits.TooManyError.
        """
        self.ring.refresh()
        # thousands are asked for in a row: one transaction each
        with self._rehearsing(client) as buckets, self.database.transaction() as connection:
            running, old = _proved(connection, buckets, token, source)
            with _told():
                self._secret(source)  # without it the real tokens would be refused
                if not is_on(connection, "token_exchange"):
                    raise WrongError("token exchange is switched off")
                with rehearsal.undone(connection):
                    self._exchange(connection, old)
                account = row(connection, "account/of_legacy", source=source, legacy_user_id=old.legacy_user_id)
                if account is None:
                    raise WrongError("no such account")
                return people.begin_rehearsed(
                    connection, self.ring, self.settings.url, running,
                    user_id=account["user_id"], identity_id=account["identity_id"], way="token",
                )  # fmt: skip

    def rehearse_password(self, address: str, password: str, *, token: str, source: str, client: str | None) -> str:
        """Everything that ``by_password`` does, for a rehearsal that ``token`` proves; nothing of it stays.

        As ``rehearse_token`` for what is returned and raised.
        """
        with self._rehearsing(client) as buckets, self.database.transaction() as connection:
            running, _ = _proved(connection, buckets, token, source)
        # a wrong password counts as anybody's: whoever has a rehearsal's key must not be able to guess one
        buckets = limits.sign_in(address_key(address), limits.client_key(client))
        limits.claim(self.database, buckets)
        with _told():
            fitting = self._fitting(address, password)
            limits.release(self.database, buckets)
            renewed = _renewed(fitting, password)
            self.ring.refresh()
            with self.database.transaction() as connection:
                with rehearsal.undone(connection):
                    self._enter(connection, fitting, renewed)
                return people.begin_rehearsed(
                    connection, self.ring, self.settings.url, running,
                    user_id=fitting[0]["user_id"], identity_id=fitting[0]["identity_id"], way="password",
                )  # fmt: skip

    @contextmanager
    def _rehearsing(self, client: str | None) -> Iterator[Sequence[limits.Bucket]]:
        """What a client is counted in who says that this is a rehearsal, and has no key of one."""
        buckets = limits.exchange(limits.client_key(client))
        try:
            yield buckets
        except RehearsedError:
            raise
        except WrongError:
            with suppress(limits.TooManyError):
                limits.claim(self.database, buckets)
            raise


def is_on(connection: psycopg.Connection[Row], flag: str) -> bool:
    """Whether a feature is switched on."""
    return any(each["is_on"] for each in rows(connection, "page/flags") if each["name"] == flag)


@contextmanager
def _told() -> Iterator[None]:
    """Whoever has proved to be the rehearsal is told why a sign-in fails."""
    try:
        yield
    except WrongError as error:
        raise RehearsedError(error.reason) from error


def _proved(
    connection: psycopg.Connection[Row], buckets: Sequence[limits.Bucket], token: str, source: str
) -> tuple[rehearsal.Rehearsal, oldtokens.OldToken]:
    """The open rehearsal, whose key has signed this token. Raises WrongError, limits.TooManyError."""
    limits.require_room_in(connection, buckets)
    running = rehearsal.current(connection)
    if running is None or source not in running.keys:
        raise WrongError("no rehearsal is open")
    return running, _read(token, source, running.keys[source])


def _read(token: str, source: str, secret: str) -> oldtokens.OldToken:
    try:
        return oldtokens.read(token, source, secret)
    except TokenError as error:
        raise WrongError(error.reason) from error


def _renewed(fitting: list[Row], password: str) -> dict[UUID, str]:
    """New hashes, by account, for those of the sources that a password has fitted."""
    return {
        credential["identity_id"]: passwords.make(password)
        for credential in fitting
        if not passwords.is_ours(credential["hash"])
    }


def exchange_until(connection: psycopg.Connection[Row], settings: Settings) -> datetime | None:
    """When old tokens end; None where nothing was launched."""
    launched = row(connection, "launched")
    return launched["swapped_at"] + timedelta(days=settings.exchange_days) if launched else None


def address_key(address: str) -> str:
    """What failures with an address are counted under, in any spelling; the database compares addresses itself."""
    return unicodedata.normalize("NFC", address).strip(" ").lower()


def _can_be_typed(text: str) -> bool:
    """Whether PostgreSQL and the hashes can take it: no NUL, and nothing that is no Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return bool(text) and "\0" not in text
