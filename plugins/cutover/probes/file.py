"""The form of a probe file: one query, what it is for, and what has to hold of its answer.

::

    -- What the course list shows of a customer. It is asked at each sign-in.
    -- assert: no fewer rows, not slower than 3x
    select e.product_type from enrollments as e where e.status = 'active'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cutover.database import statements as files
from cutover.errors import CutoverError, meant
from cutover.validate.checks import title_of

# What may be asserted; x is a number.
SAME, NO_FEWER, NO_MORE, SOME, NOT_SLOWER = (
    "same rows",
    "no fewer rows",
    "no more rows",
    "some rows",
    "not slower than 2x",
)
KINDS = (SAME, NO_FEWER, NO_MORE, SOME, NOT_SLOWER)

_HEAD = re.compile(r"^--\s*assert(?:ion)?s?\b\s*(:?)\s*(.*)$", re.IGNORECASE)
_NOT_SLOWER = re.compile(r"not slower than (\d+(?:\.\d+)?)\s*x")
_EXAMPLE = "-- assert: no fewer rows, not slower than 3x"


@dataclass(frozen=True)
class Assertion:
    """What has to hold of a probe: one of ``KINDS``; ``factor`` of a time, else None. ``line`` of its file."""

    text: str
    kind: str
    line: int
    factor: float | None = None


@dataclass(frozen=True)
class Probe:
    """A query that is run against today's tables and the rehearsed ones."""

    path: str
    title: str
    query: str
    assertions: tuple[Assertion, ...] = ()

    @property
    def shown(self) -> str:
        """Its file as people look for it."""
        return f"include/sql/{self.path}"


def load(migration: str) -> list[Probe]:
    """The probes of a migration, in name order.

    Raises:
        CutoverError: ``probes.wrong-file``, with file and line.
    """
    return [read(path, files.text(path)) for path in files.files(f"{migration}/probes")]


def read(path: str, text: str) -> Probe:
    """A probe from the text of its file. Raises as ``load`` does."""
    lines = text.splitlines()
    head = next((place for place, line in enumerate(lines) if not line.startswith("--")), len(lines))
    assertions: list[Assertion] = []
    title: list[str] = []
    for place, line in enumerate(lines[:head], start=1):
        head_line = _HEAD.match(line)
        if head_line is None:
            title.append(line)
            continue
        if not head_line[1]:
            raise _wrong(path, place, f"after `assert` comes a colon, as in `{_EXAMPLE}`.")
        assertions += _assertions(path, place, head_line[2])
    query = _query(path, "\n".join(lines[head:]), head + 1)
    return Probe(path, title_of("\n".join(title), path), query, tuple(assertions))


def _assertions(path: str, line: int, listed: str) -> Iterator[Assertion]:
    for part in listed.rstrip(". ").split(","):
        text = " ".join(part.split()).lower()
        factor = _NOT_SLOWER.fullmatch(text)
        if factor and float(factor[1]) >= 1:
            yield Assertion(text, NOT_SLOWER, line, float(factor[1]))
        elif text in KINDS:
            yield Assertion(text, text, line)
        else:
            problem = f"`{text}` cannot be asserted." if text else "nothing is asserted."
            known = ", ".join(f"`{kind}`" for kind in KINDS)
            raise _wrong(path, line, f"{problem}{meant(text, KINDS)} There are {known} (with any number from 1).")


def _query(path: str, text: str, first: int) -> str:
    """The one query of a file, without what ends it."""
    import sqlglot
    from sqlglot import TokenType, exp

    try:
        tokens = sqlglot.tokenize(text, read="postgres")
        ends = [place for place, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
        if not tokens or ends[:1] == [0]:
            raise _wrong(path, first, "it has no query.")
        if ends and ends[0] < len(tokens) - 1:
            after = tokens[ends[0] + 1]
            raise _wrong(path, first + after.line - 1, "here a second statement begins, and a probe is one query.")
        query = text[: tokens[ends[0]].start] if ends else text
        parsed = sqlglot.parse_one(query, read="postgres")
    except sqlglot.errors.SqlglotError:
        # PostgreSQL itself is asked in preflight
        return text.strip().rstrip("; \n")
    written = parsed.find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock, exp.Command)
    if not isinstance(parsed, exp.Query) or written is not None:
        raise _wrong(path, first + tokens[0].line - 1, "it is no query that only reads.")
    return query.strip("\n")


def _wrong(path: str, line: int, why: str) -> CutoverError:
    return CutoverError(
        "probes.wrong-file",
        f"include/sql/{path}, line {line}",
        why,
        "a probe is one SELECT, behind a comment that says what it is for, and, if it must not change, a line such as: "
        f"{_EXAMPLE}",
    )
