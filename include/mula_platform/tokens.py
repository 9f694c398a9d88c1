"""Tokens of the platform's own: signed with ES256 by a key that is named, and believed by nobody's header.

Private keys are files of the service (``<kid>.pem``, for its own eyes), public ones rows of platform.signing_key, which
all its processes and the JWKS show. A token says what it is by ``typ`` and ``aud``: one for a session is no link, and
the reverse.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode
from psycopg.types.json import Jsonb

from cutover.errors import CutoverError
from mula_platform.database import Database, do, rows

ALGORITHM = "ES256"
# How long a sign-in lasts: the seed's 30 days.
SESSION_LIFETIME = timedelta(days=30)
# How long a link in a mail works.
LINK_LIFETIME = timedelta(hours=1)
SESSION = ("at+jwt", "mula")
LINK = ("link+jwt", "mula/link")
# Of a rehearsal: no program that verifies our tokens by the public keys takes one for a session's.
REHEARSAL = ("rehearsal+jwt", "mula/rehearsal")
# Bytes: a token that is longer was not made by anybody's application, and is not parsed.
LONGEST = 8_192
# Seconds for which the keys are taken from memory: so late does one process hear of another's rotation.
_KEYS_S = 10.0
# Seconds between two looks for a key that nobody knows: a stream of invented ids does not become one of queries.
_LOOK_AGAIN_S = 1.0


class TokenError(Exception):
    """A token that is not believed; ``reason`` is for logs and metrics, never for who sent it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass
class KeyRing:
    """The keys of one deployment: ``folder`` holds the private ones."""

    database: Database
    folder: Path
    _believed: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    _signing: tuple[str, ec.EllipticCurvePrivateKey] | None = None
    _jwks: list[dict[str, Any]] = field(default_factory=list)
    _read_at: float = -1e9
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, kind: tuple[str, str], issuer: str, claims: dict[str, Any], lifetime: timedelta) -> str:
        """A signed token with ``iss``, ``aud``, ``iat``, ``exp`` and a header that names the key.

        By the keys as ``refresh`` has read them: it asks the database nothing, and may be called in a transaction.
        Raises CutoverError ``platform.no-key``.
        """
        if self._signing is None:
            raise CutoverError(
                "platform.no-key",
                str(self.folder),
                "there is no private key that signs.",
                "./run platform rotate-keys",
            )
        kid, key = self._signing
        typ, audience = kind
        now = datetime.now(timezone.utc)
        body = {"iss": issuer, "aud": audience, "iat": now, "exp": now + lifetime, **claims}
        return jwt.encode(body, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": typ})

    def read(self, token: str, kind: tuple[str, str], issuer: str) -> dict[str, Any]:
        """The claims of a token of ours. Raises TokenError for every other."""
        typ, audience = kind
        if len(token) > LONGEST:
            raise TokenError("too long")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM or header.get("typ") != typ or "crit" in header:
                raise TokenError("another kind of token")
            key = self._public(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=issuer,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenError(type(error).__name__) from error
        return claims

    def refresh(self) -> None:
        """Read the keys, unless that was done a moment ago. Not in a transaction: it takes a connection of its own."""
        self._refresh(_KEYS_S)

    def jwks(self) -> dict[str, Any]:
        """The public keys as RFC 7517 has them, the newest first."""
        self.refresh()
        return {"keys": self._jwks}

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id. Keys whose last token has expired are removed."""
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        thumbprint = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
        digest = hashlib.sha256(json.dumps(thumbprint, separators=(",", ":"), sort_keys=True).encode()).digest()
        kid = base64url_encode(digest).decode()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self.folder / f"{kid}.partial"
        partial.touch(mode=0o600)
        partial.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        partial.replace(self._path(kid))
        with self.database.transaction() as connection:
            do(connection, "key/add", kid=kid, jwk=Jsonb(thumbprint))
            # a day more than a session lasts: no clock is so wrong
            gone = rows(connection, "key/prune", lifetime=SESSION_LIFETIME + timedelta(days=1))
        for row in gone:
            self._path(row["kid"]).unlink(missing_ok=True)
        self._read_at = -1e9
        return kid

    def revoke(self, kid: str) -> bool:
        """Believe a key no more, and so none of its tokens; returns whether it was known."""
        with self.database.transaction() as connection:
            known = bool(rows(connection, "key/revoke", kid=kid))
        if known:
            self._path(kid).unlink(missing_ok=True)
        self._read_at = -1e9
        return known

    def _path(self, kid: str) -> Path:
        return self.folder / f"{kid}.pem"

    def _public(self, kid: object) -> ec.EllipticCurvePublicKey:
        """The key of that id: one of ours by its exact name, or none. A header's ``jwk`` or ``jku`` is never read."""
        if not isinstance(kid, str):
            raise TokenError("no key named")
        self.refresh()
        if kid not in self._believed:
            self._refresh(_LOOK_AGAIN_S)
        if kid not in self._believed:
            raise TokenError("unknown key")
        return self._believed[kid]

    def _refresh(self, after: float) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < after:
                return
            with self.database.autocommit() as connection:
                keys = rows(connection, "key/list")
            believed = {}
            signing = None
            for row in keys:
                public = ECAlgorithm.from_jwk(row["jwk"])
                assert isinstance(public, ec.EllipticCurvePublicKey)
                believed[row["kid"]] = public
                path = self._path(row["kid"])
                if signing is None and row["retired_at"] is None and path.exists():
                    private = load_pem_private_key(path.read_bytes(), password=None)
                    assert isinstance(private, ec.EllipticCurvePrivateKey)
                    signing = (row["kid"], private)
            self._believed, self._signing = believed, signing
            self._jwks = [{**row["jwk"], "kid": row["kid"], "alg": ALGORITHM, "use": "sig"} for row in keys]
            self._read_at = time.monotonic()
