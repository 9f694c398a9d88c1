"""Tokens of the two old applications: what they must be to be exchanged for one of ours.

The caller says of which application a token is; that application's key and HS256 are tried, and nothing else. Who it is
of says its ``user_id`` alone: an address may belong to somebody else by now.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timezone

import jwt

from mula_platform.tokens import LONGEST, TokenError

# RFC 8693's subject_token_type of each application.
TOKEN_TYPES = {"urn:mula:dasha": "dasha", "urn:mula:compatibility": "compatibility"}
_ALGORITHM = "HS256"
# How wrong the clocks of the old applications may have been.
SKEW_SECONDS = 60
_ACCOUNT = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class OldToken:
    """A token that was verified. ``digest`` is the same for every spelling of it that verifies."""

    source: str
    legacy_user_id: str
    expires_at: datetime
    digest: bytes


def read(token: str, source: str, secret: str) -> OldToken:
    """Verify a token of application ``source``. Raises TokenError for everything that is not one."""
    if len(token) > LONGEST:
        raise TokenError("too long")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != _ALGORITHM or "crit" in header:
            raise TokenError("another algorithm")
        # an audience is somebody else's: the old applications named none
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            leeway=SKEW_SECONDS,
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False},
        )
        expires_at = datetime.fromtimestamp(claims["exp"], timezone.utc)
    except (jwt.InvalidTokenError, ValueError, OverflowError, OSError, TypeError) as error:
        raise TokenError(type(error).__name__) from error
    account = claims.get("user_id")
    if isinstance(account, bool) or not isinstance(account, int | str) or not _ACCOUNT.fullmatch(str(account)):
        raise TokenError("no account")
    # header and claims are what the signature covers; the signature itself can be written in several ways
    signed = token.rpartition(".")[0]
    digest = hashlib.sha256(f"{source}\n{signed}".encode()).digest()
    return OldToken(source, str(account), expires_at, digest)
