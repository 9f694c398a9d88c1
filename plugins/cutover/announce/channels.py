"""What every way of telling somebody has in common: what is delivered, and what may have become of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Letter:
    """One message to one recipient. ``letter`` names it to the outside, the same at each attempt."""

    campaign: str
    letter: str
    recipient: str
    subject: str
    text: str
    html: str
    push: str


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    ``sent``: the other side has taken it. ``failed``: it never will; with ``dead`` the recipient is gone for good.
    ``deferred``: refused for now, so certainly not delivered; ``wait_s`` are the seconds that the other side asks for,
    and ``personal`` says that it is about this recipient alone. ``unknown``: nobody knows.
    """

    state: str
    reason: str | None = None
    dead: bool = False
    wait_s: float | None = None
    personal: bool = False


SENT = Outcome("sent")


def failed(reason: str, *, dead: bool = False) -> Outcome:
    """It will never be taken."""
    return Outcome("failed", reason, dead=dead)


def deferred(reason: str, wait_s: float | None = None, *, personal: bool = False) -> Outcome:
    """It has not been taken, and may be later."""
    return Outcome("deferred", reason, wait_s=wait_s, personal=personal)


def unknown(reason: str) -> Outcome:
    """It may have been taken."""
    return Outcome("unknown", reason)


class Way(Protocol):
    """An open way to the other side, for one thread."""

    def deliver(self, letter: Letter) -> Outcome:
        """Deliver one letter, once. Raises CutoverError if it is not the letter that is wrong, but the way."""


# Opens a way, and closes it after the block.
Open = Callable[[], AbstractContextManager[Way]]
