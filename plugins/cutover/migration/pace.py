"""How fast a launch may build beside production: how far replicas may be behind, and what an index build may take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field

from cutover.migration.source import Declared, Span, Whole


class PaceLimit(Declared):
    """Above which bounds a launch waits before it writes on, for how long; and memory and workers of index builds.

    ``longest_wait`` is of one wait: a launch fails when it is over, and does not go on.
    """

    # of WAL that a replica has not replayed, in units of 1,000,000 bytes; None: not looked at. As much as a server
    # keeps between two checkpoints by default.
    lag_megabytes: Whole | None = Field(default=1_024, ge=1)
    # by time; None: not looked at. A replica that nothing is sent to tells none.
    lag: Span | None = None
    longest_wait: Span = timedelta(minutes=30)
    # `application_name` of replicas that may lag, such as one that replays an hour later on purpose
    ignored: tuple[str, ...] = ()
    # None: by the server's own settings, as `cutover.swap.pace` derives them
    index_megabytes: Whole | None = Field(default=None, ge=1)
    index_workers: Whole | None = Field(default=None, ge=0)

    def given(self, parameters: Mapping[str, Any]) -> PaceLimit:
        """The bounds of a run: ``lag_megabytes`` of its parameters, where it has it."""
        if "lag_megabytes" not in parameters:
            return self
        return self.model_copy(update={"lag_megabytes": parameters["lag_megabytes"]})
