"""What a deployment says to the platform, all of it by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cutover.errors import CutoverError

# What the applications are called, by their name in legacy_identities.
APPLICATIONS = {"dasha": "Dasha Timer", "compatibility": "Compatibility"}
_PREFIX = "CUTOVER_PLATFORM_"


@dataclass(frozen=True)
class Settings:
    """Where the platform is, what it listens on, and its secrets.

    ``old_secrets`` maps an application to the key that it signed its tokens with; without one, tokens of that
    application are refused; so are events of a Stripe account without one in ``stripe_secrets``. ``exchange_days``
    counts from the swap. Raises CutoverError ``platform.equal-secrets``, ``platform.equal-webhook-secrets``.
    """

    dsn: str = field(repr=False)
    keys: Path
    url: str = "http://127.0.0.1:8110"
    port: int = 8110
    # file:<folder> or smtp://user:password@host:port
    mail: str = field(default="", repr=False)
    old_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    # an application, and the secrets that its Stripe account signs events with: several while one takes over
    stripe_secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    exchange_days: int = 90
    # connections to the database at most: one for each request that is using it at a moment
    pool: int = 10
    # addresses of the proxies whose X-Forwarded-For is believed; nobody's by default
    proxies: str = ""

    def __post_init__(self) -> None:
        secrets = [secret for secret in self.old_secrets.values() if secret]
        if len(secrets) != len(set(secrets)):
            raise CutoverError(
                "platform.equal-secrets",
                "the old applications' secrets",
                "they are equal, so that a token does not tell which application it is of, and number 17 of the one "
                "would get in as number 17 of the other.",
                f"unset {_PREFIX}DASHA_SECRET or {_PREFIX}COMPATIBILITY_SECRET: the people of that application "
                "sign in by password.",
            )
        signing = [secret for own in self.stripe_secrets.values() for secret in set(own)]
        if len(signing) != len(set(signing)):
            raise CutoverError(
                "platform.equal-webhook-secrets",
                "the secrets of the Stripe endpoints",
                "one is named for both applications, so that an event does not tell whose subscriptions it may change.",
                "make an endpoint for each in Stripe, of the same address: each has a secret of its own.",
            )

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Settings:
        """Settings from ``variables`` (default: this process's environment).

        Raises CutoverError ``platform.bad-setting``, ``platform.equal-secrets``, ``platform.equal-webhook-secrets``.
        """
        given = os.environ if variables is None else variables

        def text(name: str, default: str = "") -> str:
            return given.get(_PREFIX + name) or default

        def number(name: str, default: int) -> int:
            value = text(name, str(default))
            if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= 65_535:
                raise CutoverError(
                    "platform.bad-setting",
                    f"{_PREFIX}{name}={value}",
                    "it is not a number from 1 to 65535.",
                    "set it to one, or unset it.",
                )
            return int(value)

        for name in ("DSN", "KEYS"):
            if not text(name):
                raise CutoverError(
                    "platform.bad-setting", _PREFIX + name, "it is not set.", "set it as docs/platform.md says."
                )
        port = number("PORT", 8110)
        return cls(
            dsn=text("DSN"),
            keys=Path(text("KEYS")),
            url=text("URL", f"http://127.0.0.1:{port}").rstrip("/"),
            port=port,
            mail=text("MAIL"),
            old_secrets={
                source: text(f"{source.upper()}_SECRET") for source in APPLICATIONS if text(f"{source.upper()}_SECRET")
            },
            stripe_secrets={
                source: tuple(text(f"{source.upper()}_STRIPE_SECRETS").split())
                for source in APPLICATIONS
                if text(f"{source.upper()}_STRIPE_SECRETS").split()
            },
            exchange_days=number("EXCHANGE_DAYS", 90),
            pool=number("POOL", 10),
            proxies=text("PROXIES"),
        )
