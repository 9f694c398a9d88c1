"""Personal data out of what is kept: samples show the shape of a value and not the value."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

HIDDEN = "•••"
# Words, and not addresses: a pattern that looks for an @ behind letters looks at every letter of a long word again.
_WORD = re.compile(r"[^\s'\"<>(),;=]+")


def masked(value: object) -> object:
    """The shape of a personal value: its first letter, and for an e-mail the first letter of both sides."""
    if value is None:
        return None
    if not isinstance(value, str):
        return HIDDEN
    local, at, domain = value.strip().partition("@")
    return f"{local[:1]}{HIDDEN}{at}{domain[:1]}{HIDDEN if at else ''}"


def masked_text(text: str) -> str:
    """A message with every e-mail address in it masked. Takes time in proportion to its length, whatever is in it."""
    return _WORD.sub(_masked_word, text)


def _masked_word(word: re.Match[str]) -> str:
    said = word.group()
    # %40 is how an address stands in a URL
    address = said.replace("%40", "@").strip("@") if "@" in said or "%40" in said else ""
    return str(masked(address)) if "@" in address else said


def masked_quotes(text: str) -> str:
    """A message with everything that it quotes masked."""
    return re.sub(r'"[^"]*"|\'[^\']*\'', f'"{HIDDEN}"', text)


def masked_row(value: Any, personal: Collection[str]) -> Any:
    """Nested lists and dicts with the values of all ``personal`` keys masked, and addresses wherever they are."""
    if isinstance(value, dict):
        return {
            name: masked_all(item) if name in personal else masked_row(item, personal) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked_row(item, personal) for item in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_all(value: Any) -> Any:
    """Nested lists and dicts with every value masked."""
    if isinstance(value, dict):
        return {name: masked_all(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_all(item) for item in value]
    return masked(value)
