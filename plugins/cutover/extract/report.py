"""What a sync says: while it runs, to the person who watches, and at its end, to whoever reads it later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cutover.extract.rates import Clock

# Seconds between two lines about progress.
INTERVAL = 5.0
# Waits shorter than this are counted and not announced.
WORTH_SAYING = 2.0


@dataclass(frozen=True)
class Report:
    """One complete sync, of whatever kind of source. ``docs/extract.md`` explains every field."""

    source: str
    sync_id: int
    mode: str
    because: str
    seconds: float
    rows: int
    repeated: int
    new: int
    changed: int
    returned: int
    unchanged: int
    gone: int
    rejected: int
    received_bytes: int
    not_given: list[str]
    total: int

    @property
    def written(self) -> int:
        """Rows of the raw table that this sync wrote."""
        return self.new + self.changed + self.returned + self.gone

    @property
    def kinds(self) -> dict[str, int]:
        """What became of rows that were not left as they are: how many of each kind."""
        return {
            "new": self.new,
            "with another content": self.changed,
            "back": self.returned,
            "gone": self.gone,
            "rejected": self.rejected,
        }

    def summary(self) -> str:
        """One line: what changed, of how many."""
        detail = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.items() if count)
        return f"{self.source}: {self.written:,} changed of {self.total:,}" + (f" ({detail})" if detail else "")


@dataclass(frozen=True)
class SyncReport(Report):
    """One complete sync of one endpoint."""

    resumed: int
    pages: int
    adjusted: int
    requests: int
    retries: int
    waited: dict[str, float]
    first_id: str | None
    last_id: str | None

    @property
    def kinds(self) -> dict[str, int]:
        """Those of any sync, and rows of which a value was adjusted."""
        return {**super().kinds, "adjusted": self.adjusted}

    def lines(self) -> list[str]:
        """The whole report as text."""
        waits = ", ".join(f"{seconds:.1f} s for {reason}" for reason, seconds in self.waited.items() if seconds >= 0.1)
        return [
            self.summary(),
            f"  sync {self.sync_id}, {self.mode} because {self.because}"
            + (f", taken up again {self.resumed} times" if self.resumed else ""),
            f"  {self.pages:,} pages with {self.rows:,} rows ({self.unchanged:,} unchanged, {self.repeated:,} of all "
            f"shown twice), {self.received_bytes / 1e6:,.1f} MB, first {self.first_id}, last {self.last_id}",
            f"  {self.requests:,} requests, {self.retries:,} of them repeated, in {self.seconds:.1f} s; "
            f"waited {waits or 'for nothing'}",
            *(f"  not given: {note}" for note in self.not_given),
        ]

    def to_xcom(self) -> dict[str, Any]:
        """What other tasks need: small, and without anything secret or personal."""
        fields = asdict(self)
        for name in ("waited", "first_id", "last_id", "because"):
            del fields[name]
        return fields


class Progress:
    """Says how far a sync is: every few seconds, and before every wait that a person would notice."""

    def __init__(self, source: str, expected: int | None, log: Callable[[str], None], clock: Clock) -> None:
        self._source = source
        # pages that this sync is likely to have in all
        self._expected = expected
        self._log = log
        self._clock = clock
        self._began = self._said = clock.monotonic()
        self.pages = 0
        self.rows = 0
        self.written = 0
        self._pages_before = 0

    def start(self, pages_before: int) -> None:
        """Begin, with the pages that an earlier try of this sync has stored."""
        self._pages_before = pages_before
        self._began = self._said = self._clock.monotonic()

    def stored(self, pages: int, rows: int, written: int) -> None:
        """Count what was stored, and say so if it is time."""
        self.pages += pages
        self.rows += rows
        self.written += written
        now = self._clock.monotonic()
        if now - self._said >= INTERVAL:
            self._said = now
            self._log(self._line(now))

    def wait(self, seconds: float, reason: str) -> None:
        """Say why nothing will happen for a while."""
        if seconds >= WORTH_SAYING:
            self._log(f"{self._source}: waiting {seconds:.1f} s: {reason}")

    def _line(self, now: float) -> str:
        elapsed = max(now - self._began, 0.001)
        rate = self.pages / elapsed
        page = self._pages_before + self.pages
        line = f"{self._source}: page {page:,}"
        if self._expected and self._expected > page:
            line += f" of about {self._expected:,}"
        line += f", {self.rows:,} rows, {self.written:,} written"
        line += f"; {rate:.1f} pages and {self.rows / elapsed:,.0f} rows a second"
        if self._expected and self._expected > page and rate:
            line += f"; about {(self._expected - page) / rate:,.0f} s left"
        return line
