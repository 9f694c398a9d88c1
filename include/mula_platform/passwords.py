"""Password hashes of both applications, each in its own scheme, and ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from contextlib import suppress

import bcrypt
from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError, VerificationError

# OWASP's first choice for Argon2id: 19 MiB, two passes, one lane; some 30 ms of one core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
# Characters: what nobody types is refused before a hash of it is computed.
LONGEST = 1_024
# bcrypt looks at so many bytes of a password; the old applications cut it there, and so must we.
_BCRYPT_BYTES = 72
# A hash that asks for more work than this is nobody's password but somebody's attack on the service.
_MOST_ROUNDS = 5_000_000
_MOST_BCRYPT_COST = 16
# Hashes that are computed at once: each takes a core and 19 MiB, and more of them only wait for each other.
_AT_ONCE = threading.BoundedSemaphore(4)
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_PBKDF2 = re.compile(r"pbkdf2_(sha256|sha1)\$(\d{1,9})\$([^$]{1,128})\$([A-Za-z0-9+/=]{1,128})")
# Django writes its own name for the scheme before what Argon2 itself writes: argon2$argon2id$v=19$…
_DJANGO_ARGON2 = "argon2"


def make(password: str) -> str:
    """An Argon2id hash of ``password``."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def scheme(stored: str) -> str | None:
    """``bcrypt``, ``pbkdf2`` or ``argon2``; None for a hash that nobody here knows how to verify."""
    if _BCRYPT.fullmatch(stored):
        return "bcrypt"
    if _PBKDF2.fullmatch(stored):
        return "pbkdf2"
    return "argon2" if stored.removeprefix(_DJANGO_ARGON2).startswith("$argon2") else None


def fits(stored: str, password: str) -> bool:
    """Whether ``password`` is what ``stored`` was made from; False, too, for a hash that cannot be read."""
    with _AT_ONCE:
        match scheme(stored):
            case "bcrypt":
                return _fits_bcrypt(stored, password)
            case "pbkdf2":
                return _fits_pbkdf2(stored, password)
            case "argon2":
                with suppress(Argon2Error, InvalidHashError, VerificationError):
                    return _HASHER.verify(stored.removeprefix(_DJANGO_ARGON2), password)
    return False


def is_ours(stored: str) -> bool:
    """Whether a hash is Argon2id with the parameters of today."""
    with suppress(InvalidHashError):
        return not _HASHER.check_needs_rehash(stored)
    return False


def _fits_bcrypt(stored: str, password: str) -> bool:
    raw = password.encode()
    if b"\0" in raw or int(stored[4:6]) > _MOST_BCRYPT_COST:
        return False
    with suppress(ValueError):
        return bcrypt.checkpw(raw[:_BCRYPT_BYTES], stored.encode())
    return False


def _fits_pbkdf2(stored: str, password: str) -> bool:
    match = _PBKDF2.fullmatch(stored)
    if match is None or not 1 <= int(match[2]) <= _MOST_ROUNDS:
        return False
    digest, rounds, salt, expected = match.groups()
    digested = base64.b64encode(hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), int(rounds))).decode()
    return hmac.compare_digest(digested, expected)


# Verified where there is no account, so that an address that nobody has takes as long as one that somebody has.
NOBODY = make("nobody's password")
