"""The declaration of a maintenance window."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from cutover.migration.source import Declared, Name, Span

# An opening may lie so far ahead: the task that waits for it gives up later than that.
FARTHEST = timedelta(days=7)


class Plan(Declared):
    """When each step of a window is planned, counted from its opening."""

    steps: dict[Name, Span] = Field(min_length=1)
