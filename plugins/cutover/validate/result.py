"""What a validation came to: small, plain, and the same for the same data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cutover.errors import CutoverError

NAMED = 8


@dataclass(frozen=True)
class Failure:
    """An expectation that does not hold: what was expected, and what was found instead."""

    expectation: str
    observed: str
    severity: str = "critical"


@dataclass(frozen=True)
class SuiteResult:
    """One suite over one table. ``source`` is the digest of the suite's file; ``warned`` does not stop a run."""

    suite: str
    source: str
    success: bool
    evaluated: int
    failed: tuple[Failure, ...] = ()
    warned: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """One check across tables. ``sample`` holds the first offending rows, by their ids."""

    check: str
    title: str
    success: bool
    offending: int
    sample: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class ValidationResult:
    """All suites and checks of one phase of one run.

    ``data_docs`` is the site's folder below the Data Docs root, ``manifest`` the SHA-256 of its manifest.
    ``digest`` covers what was validated and what came out, and neither time nor place.
    """

    run: str
    phase: str
    parameters: dict[str, Any]
    suites: tuple[SuiteResult, ...]
    checks: tuple[CheckResult, ...] = ()
    data_docs: str | None = None
    manifest: str | None = None

    @property
    def success(self) -> bool:
        """Whether every expectation that matters and every check holds."""
        return all(suite.success for suite in self.suites) and all(check.success for check in self.checks)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the place of the pages."""
        content = {
            "phase": self.phase,
            "parameters": self.parameters,
            "suites": [asdict(suite) for suite in self.suites],
            "checks": [asdict(check) for check in self.checks],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: XCom, the run's row, the file beside the pages."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"success": self.success, "digest": self.digest, **plain}

    def complaint(self) -> str | None:
        """What does not hold, in a sentence; None if all of it does."""
        named = [
            *(f"{suite.suite}: {failure.expectation} ({failure.observed})"
              for suite in self.suites for failure in suite.failed),
            *(f"{check.check}: {check.title} ({check.offending:,} rows)"
              for check in self.checks if not check.success),
        ]  # fmt: skip
        if not named:
            return None
        return f"{_counted(named)} not hold: {'; '.join(named[:NAMED])}{'; …' if len(named) > NAMED else '.'}"

    def require_success(self) -> None:
        """Raise CutoverError ``validate.failed`` that names what does not hold."""
        if self.success:
            return
        pages = f" {self.data_docs} has the samples." if self.data_docs else ""
        raise CutoverError(
            "validate.failed",
            f"run {self.run}, {self.phase}",
            str(self.complaint()),
            f"correct the source or the transformation, and start a new run.{pages}",
        )


def _counted(named: Sequence[str]) -> str:
    return "one expectation does" if len(named) == 1 else f"{len(named)} expectations do"
