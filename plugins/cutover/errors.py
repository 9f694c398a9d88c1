"""Errors that a person reads: what is wrong, with which object, why, and the one thing that clears it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def _program() -> str:
    """The command line as it is called here."""
    plugins = Path(__file__).resolve().parents[1]
    if plugins.name != "plugins":
        return "cutover"
    # sources without a checkout: the image
    return "./run" if (plugins.parent / "run").is_file() else "python -m cutover.commands"


# What a person types before a command's name, for remedies.
PROGRAM = _program()


class CutoverError(Exception):
    """An error that a user can cause and can clear.

    ``code`` is ``<phase>.<words-with-dashes>`` and never changes once released: runbooks and tests look for it.
    ``obj`` names the object (a table, a connection, an endpoint), ``why`` is one sentence, ``remedy`` the one
    action that clears it.
    """

    def __init__(self, code: str, obj: str, why: str, remedy: str) -> None:
        self.code = code
        self.obj = obj
        self.why = why
        self.remedy = remedy
        super().__init__(code, obj, why, remedy)

    def __str__(self) -> str:
        return f"[{self.code}] {self.obj}: {self.why}\n  To clear it: {self.remedy}"


def meant(word: Any, known: Iterable[str]) -> str:
    """`` Did you mean `x`?``, for the one of ``known`` that ``word`` is most like; nothing, if it is like none."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1) if isinstance(word, str) else []
    return f" Did you mean `{close[0]}`?" if close else ""
