"""What a person sees while waiting: finished lines stay, one line at the bottom says what is going on now.

Without a terminal the finished lines are printed, plain, and what is going on as a line of its own now and then: a log
in which nothing happens for minutes looks like a program that hangs.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Without a terminal, seconds of silence after which a line says what is going on.
_SILENCE_S = 10.0
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


class Console:
    """Standard output; usable from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._spoken_at = time.monotonic()
        self._coloured = self.live and not os.environ.get("NO_COLOR")

    def styled(self, text: str, style: str) -> str:
        """The text in one of bold, dim, red, green, yellow, where the terminal can."""
        return f"\033[{_CODES[style]}m{text}\033[0m" if self._coloured else text

    def bold(self, text: str) -> str:
        """The text in bold, where the terminal can."""
        return self.styled(text, "bold")

    def line(self, text: str = "") -> None:
        """Print a line that stays."""
        with self._lock:
            self._spoken_at = time.monotonic()
            print(("\r\033[K" if self.live else "") + text, flush=True)

    def status(self, text: str) -> None:
        """Replace the bottom line; without a terminal print it, if nothing was printed for a while."""
        if not self.live:
            if text.strip() and time.monotonic() - self._spoken_at > _SILENCE_S:
                self.line(f"  {text.strip()}" if text.strip().startswith("…") else f"  … {text.strip()}")
        else:
            width = shutil.get_terminal_size().columns - 1
            with self._lock:
                print("\r\033[K" + self.styled(text[:width], "dim"), end="", flush=True)

    def step(self, name: str, what: str, seconds: float) -> None:
        """Print one finished step of the bring-up."""
        self.line(f"{name:<12}{what:<58}{seconds:6.1f} s")

    @contextmanager
    def timed(self, name: str) -> Iterator[list[str]]:
        """Time a step; what is appended to the list that it gives is printed as its result."""
        started = time.monotonic()
        result: list[str] = []
        yield result
        self.step(name, ", ".join(result), time.monotonic() - started)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
        """Print a table: the first column to the left, the others, which are numbers, to the right."""
        cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
        widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
        for number, line in enumerate([header, *cells]):
            text = "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            self.line("  " + (self.styled(text, "dim") if number == 0 else text).rstrip())
