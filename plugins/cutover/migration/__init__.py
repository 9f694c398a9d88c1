"""Everything that ``migration.yaml`` may say, typed, and the order in which its tables are loaded."""

from cutover.migration.declaration import (
    Migration,
    RejectsLimit,
    declared,
    has_window,
    load,
    parse,
    require_current,
)

__all__ = ["Migration", "RejectsLimit", "declared", "has_window", "load", "parse", "require_current"]
