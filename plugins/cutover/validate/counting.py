"""An expectation that asks a query only for the number of its rows. Import it inside functions: see suites.

Great Expectations' own runs every such query twice, for a sample and for the count; on tables of a million rows
that is a third of the whole validation. Samples are asked for afterwards, and only where the count is not zero.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation


class UnexpectedRowsCounted(UnexpectedRowsExpectation):
    """UnexpectedRowsExpectation without the sample."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

    def _validate(self, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return super()._validate({**metrics, "unexpected_rows_query.table": []}, *args, **kwargs)
