"""How commands show things."""

from __future__ import annotations

from pathlib import Path


def short(path: Path) -> str:
    """A path as a person would type it where they are."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
