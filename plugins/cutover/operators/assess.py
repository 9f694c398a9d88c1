"""The task that looks at the source databases side by side, before anything is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cutover.operators.base import CutoverOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AssessOperator(CutoverOperator):
    """Counts what the sources hold, for the page of the assessment. Judges nothing: preflight does."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns tables, rows and problems by source."""
        from cutover import assess
        from cutover.validate.validation import docs_root

        made = assess.assess(self.declaration, lambda name: self.open(context, name), self.report)
        self.report(f"kept as {assess.keep(made, docs_root())}")
        return {
            source.name: {"tables": len(source.tables), "bytes": source.bytes, "problems": source.problems}
            for source in made.sources
        }
