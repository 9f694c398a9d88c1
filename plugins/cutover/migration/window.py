"""The declaration of a maintenance window."""

from __future__ import annotations

from pydantic import Field

from cutover.migration.source import Declared, Name, Span


class Plan(Declared):
    """When each step of a window is planned, counted from its opening."""

    steps: dict[Name, Span] = Field(min_length=1)
