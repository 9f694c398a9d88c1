"""The deployment's signing key, which the database does not have: what it has signed, the database cannot make up.

Ed25519. The private key is in a file that ``CUTOVER_SIGNING_KEY`` names, or the password of the Airflow connection
``cutover_signing``. Beside it are the public keys that are believed, oldest first: in the file of the same name with
``.pub`` added, a key a line, or in the connection's extra (``{"public_keys": ["..."]}``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cutover.errors import PROGRAM, CutoverError

VARIABLE = "CUTOVER_SIGNING_KEY"
CONNECTION = "cutover_signing"
HOW_TO_MAKE = f"{PROGRAM} signing-key --make signing.key"

_SEED_BYTES = 32


@dataclass(frozen=True)
class Signer:
    """A private key, and what of it may be known."""

    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.key_id})"

    @classmethod
    def new(cls) -> Signer:
        """A key that nobody has had before."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str, where: str) -> Signer:
        """The key in ``text``: PEM, or the 32 bytes of its seed in base64. Raises ``chain.bad-key``."""
        try:
            if text.lstrip().startswith("-----BEGIN"):
                key = load_pem_private_key(text.strip().encode(), password=None)
                if isinstance(key, Ed25519PrivateKey):
                    return cls(key)
            else:
                seed = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
                if len(seed) == _SEED_BYTES:
                    return cls(Ed25519PrivateKey.from_private_bytes(seed))
        except (ValueError, TypeError, binascii.Error):
            pass
        raise CutoverError(
            "chain.bad-key",
            where,
            "what it holds is no Ed25519 private key, neither in PEM nor as 32 bytes in base64.",
            f"put back the key that was there, or make one: {HOW_TO_MAKE}",
        )

    @property
    def public(self) -> str:
        """The public key: 32 bytes in base64."""
        return base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    @property
    def key_id(self) -> str:
        """A short name of the key."""
        return key_id(self.public)

    @property
    def pem(self) -> str:
        """The private key as a file holds it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, message: str) -> str:
        """The signature of a text, in base64."""
        return base64.b64encode(self.key.sign(message.encode())).decode()


@dataclass(frozen=True)
class Keys:
    """What this deployment signs with, if it may, and whose signatures it believes, oldest key first."""

    signer: Signer | None
    trusted: tuple[str, ...]
    where: str


def key_id(public: str) -> str:
    """A short name of a public key: the first half of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def is_signed(message: str, signature: str, public: str) -> bool:
    """Whether ``signature`` is that of ``message`` by the owner of the public key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), message.encode())
    except (InvalidSignature, ValueError, TypeError, binascii.Error):
        return False
    return True


# Password and public keys of the Airflow connection, if there is one. Set where Airflow is known (operators.base):
# the engine runs without it.
look_up: Callable[[], tuple[str, list[str]] | None] = lambda: None  # noqa: E731


def keys() -> Keys:
    """The keys of this deployment, from the file if one is named, else from the connection."""
    named = os.environ.get(VARIABLE)
    if named:
        return of_file(Path(named))
    ring = look_up()
    if ring is None:
        return Keys(None, (), f"neither {VARIABLE} nor a connection {CONNECTION}")
    return of_text(*ring, where=f"connection {CONNECTION}")


def signer() -> Signer:
    """The key to sign with. Raises CutoverError ``chain.no-signing-key``."""
    ring = keys()
    if ring.signer is None:
        raise CutoverError(
            "chain.no-signing-key",
            ring.where,
            "this deployment has no key to sign its evidence with.",
            f"make one ({HOW_TO_MAKE}) and name it in {VARIABLE}, or as password of the Airflow connection "
            f"{CONNECTION}.",
        )
    return ring.signer


def of_file(path: Path) -> Keys:
    """The keys of a file and of the one beside it. Without the private key, the public ones can still be believed."""
    beside = public_file(path)
    listed = [line.split()[0] for line in _lines(beside) if line.strip() and not line.startswith("#")]
    try:
        private = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Keys(None, tuple(listed), str(path))
    except OSError as error:
        raise CutoverError(
            "chain.bad-key",
            str(path),
            f"it cannot be read: {error.strerror or error}.",
            f"let the user that runs this read it, or name another file in {VARIABLE}.",
        ) from error
    return of_text(private, listed, where=str(path))


def of_text(private: str, listed: list[str], *, where: str) -> Keys:
    """The keys of a private one and the list beside it. Raises ``chain.bad-key``."""
    own = Signer.read(private, where)
    return Keys(own, tuple(listed) if own.public in listed else (*listed, own.public), where)


def public_file(path: Path) -> Path:
    """Where the public keys of a key file are."""
    return path.with_name(path.name + ".pub")


def make(path: Path) -> Signer:
    """Make a key file, and enter its public key in the one beside it. Raises ``chain.key-exists``."""
    made = Signer.new()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(path, made)
    except FileExistsError:
        raise CutoverError(
            "chain.key-exists",
            str(path),
            "there is a file of this name, and what it has signed would not be believed without it.",
            f"name another file; to replace a key: {PROGRAM} signing-key --rotate",
        ) from None
    believe(path, made.public)
    return made


def write(path: Path, signer: Signer) -> None:
    """Write a private key into a new file that nobody else can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(signer.pem)


def believe(path: Path, public: str) -> None:
    """Enter a public key, as the newest, in the file beside the key file ``path``."""
    beside = public_file(path)
    if public not in [line.split()[0] for line in _lines(beside) if line.strip()]:
        with beside.open("a", encoding="utf-8") as file:
            file.write(f"{public}  {key_id(public)}\n")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
