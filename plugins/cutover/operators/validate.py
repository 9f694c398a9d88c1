"""The task that validates: its result goes to XCom first, and then the task fails if something does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cutover.operators.base import CutoverOperator, keep_evidence

if TYPE_CHECKING:
    from airflow.sdk import Context


class ValidateOperator(CutoverOperator):
    """Runs all suites of the migration, and before the swap the checks across tables.

    ``phase`` is ``staging`` or ``production``. The run's parameters replace those of the suites by name.
    """

    lineage_step = "validation"

    def __init__(self, *, phase: str = "staging", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.phase = phase

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the result without samples of columns. Raises CutoverError ``validate.failed``."""
        from cutover.validate import validation

        connect, this_run = self.connect(context), self.this_run(context)
        given = context["params"]
        if self.phase == validation.STAGING:
            result = validation.validate_staged(connect, self.declaration, this_run, given=given, log=self.report)
        else:
            result = validation.validate(
                connect, self.declaration, this_run, phase=self.phase, given=given, log=self.report
            )
        record = result.as_dict()
        context["ti"].xcom_push(key="return_value", value=record)
        # told as well where it does not hold
        self.lineage_of = (this_run, record)
        if self.phase != validation.STAGING:
            keep_evidence(connect, self.declaration, this_run, self.report)
        result.require_success()
        return record
