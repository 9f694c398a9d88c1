"""Whose rows are to be as they were: a file of one column, and who is meant by each of its lines."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from cutover.errors import CutoverError
from cutover.masking import masked
from cutover.person import Person, Table, find_address, follow, named, require_declared, tables_of

if TYPE_CHECKING:
    from cutover.migration import Migration

# What the one column may be called, and whether its values are addresses.
_HEADERS = {"email": True, "e-mail": True, "id": False}
# Lines of a file. More people than this are no exception to a launch: then the launch itself is taken back.
MOST_PEOPLE = 1_000
_ID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_ODD_SHOWN = 20


@dataclass(frozen=True)
class People:
    """Who is meant. ``each`` has a person for each line of the file; ``together`` is all that leads to any of them."""

    each: list[Person]
    together: Person
    tables: list[Table]


def read(path: Path) -> list[str]:
    """The values of a file: UTF-8, a header ``email`` or ``id``, then one value a line.

    Raises CutoverError ``restore.no-file``, or ``restore.odd-lines``, which names lines by their number.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CutoverError(
            "restore.no-file", str(path), "there is no such file.", "name a file of one column."
        ) from None
    except UnicodeDecodeError:
        raise _odd(str(path), ["it is no UTF-8"]) from None
    lines = text.splitlines()
    header = lines[0].strip().strip('"').lower() if lines else ""
    if header not in _HEADERS:
        raise _odd(str(path), [f"line 1: the header is not {' or '.join(_HEADERS)}"])
    odd: list[str] = []
    values: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in next(csv.reader(io.StringIO(line)), [])]
        value = cells[0] if cells else ""
        why = _why_odd(cells, is_address=_HEADERS[header])
        if not why and value.lower() in values:
            why = f"the same as line {values[value.lower()]}"
        if why:
            odd.append(f"line {number}: {why}" + (f" ({masked(value)})" if value else ""))
        values.setdefault(value.lower(), number)
    if not odd and not values:
        odd = ["nobody is named"]
    if len(values) > MOST_PEOPLE:
        odd = [f"{len(values):,} people, and at most {MOST_PEOPLE:,} at once"]
    if odd:
        raise _odd(str(path), odd)
    return list(values)


def _why_odd(cells: list[str], *, is_address: bool) -> str:
    if len(cells) > 1:
        return "more than one column"
    if not cells or not cells[0]:
        return "it is empty"
    if is_address and not re.fullmatch(r"[^@\s\0]+@[^@\s\0]+", cells[0]):
        return "no e-mail address"
    if not is_address and not _ID.fullmatch(cells[0]):
        return "no id of an account"
    return ""


def _odd(file: str, lines: list[str]) -> CutoverError:
    more = [f"and {len(lines) - _ODD_SHOWN} more"] if len(lines) > _ODD_SHOWN else []
    return CutoverError(
        "restore.odd-lines",
        file,
        "\n    ".join(["not everything in it is a person:", *lines[:_ODD_SHOWN], *more]),
        "correct these lines; nothing was done.",
    )


def find(connection: psycopg.Connection, migration: Migration, values: list[str]) -> People:
    """Who is meant by the values, and all keys that lead to their rows. Raises ``restore.odd-lines``."""
    declared = require_declared(migration)
    tables = tables_of(connection, migration)
    persons = [named(connection, migration, value) for value in values]
    odd = [
        f"line {number}: nobody can be meant ({masked(value)})"
        for number, (value, person) in enumerate(zip(values, persons, strict=True), start=2)
        if person is None
    ]
    if odd:
        raise _odd("the list of people", odd)
    each = [person for person in persons if person is not None]
    # an account leads to its address; an address to no other
    by_id = [person for person in each if not person.known["address"]]
    if by_id:
        accounts = joined(by_id)
        find_address(connection, tables, accounts, declared.account)
        together = joined([accounts, *each])
    else:
        together = joined(each)
    follow(connection, migration, tables, together)
    return People(each, together, tables)


def joined(persons: list[Person]) -> Person:
    """Everything that leads to any of these people."""
    kinds = persons[0].known
    return Person({kind: set().union(*(person.known[kind] for person in persons)) for kind in kinds}, persons[0].names)
