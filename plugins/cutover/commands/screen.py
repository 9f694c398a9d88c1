"""Text on a terminal: headings, tables and Markdown by ``rich``, plain where the output is no terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

# Columns of the output where it is no terminal: a table of the review is not to be folded into a file.
_WIDTH = 160


class Screen:
    """Where a command prints. What it is given is text, never markup: a value may hold anything."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        width = None if is_terminal or "COLUMNS" in os.environ else _WIDTH
        self._console = Console(width=width, highlight=False, markup=False, emoji=False)
        self._lines = 0

    def line(self, text: str) -> None:
        """One line, or a few; folded at the terminal's width."""
        self._console.print(Text(text))

    def heading(self, text: str) -> None:
        """A line that stands out."""
        self._console.print(Text(text, style="bold"))

    def markdown(self, text: str) -> None:
        """Markdown, as a form of Airflow's shows it."""
        self._console.print(Markdown(text))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table without a frame."""
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def show(self, lines: Sequence[str]) -> None:
        """These lines in place of those that were shown before, on a terminal; below them elsewhere."""
        if self._console.is_terminal and self._lines:
            print(f"\033[{self._lines}F\033[J", end="")
        text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
        self._console.print(text)
        self._lines = len(lines)

    def status(self, text: str) -> None:
        """A line on stderr that the next one replaces; on a terminal alone."""
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
