"""One collection of an API in listing order, encoded once, kept in a file: a page is a few slices of it.

Memory holds an index of some tens of bytes per row, whatever the rows' size, so a world thirty times the real one
can be served from a small machine. Rows can be inserted, changed and deleted while clients page through them.
"""

from __future__ import annotations

import json
import mmap
import tempfile
from array import array
from bisect import bisect_left
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

RowId = str | int
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode


def encode(value: object) -> bytes:
    """Compact JSON; half of a surrogate pair, which UTF-8 cannot hold, stays an escape."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        return _encode_ascii(value).encode()


@dataclass(frozen=True)
class Page:
    """Slots of one page in listing order, and whether the list goes on after it."""

    slots: list[int]
    has_more: bool


class CursorNotFoundError(Exception):
    """The row that a cursor names is not in the list."""


class Rows:
    """Rows listed by their first column, greatest first; of equal ones, the one added later comes first.

    ``columns_of`` takes a row (the JSON object) and returns what can be listed and filtered by as integers: the
    listing order first.
    """

    def __init__(self, columns_of: Callable[[Mapping[str, Any]], Mapping[str, int]]) -> None:
        self._columns_of = columns_of
        self._file = tempfile.TemporaryFile(prefix="cutover-simulator-")  # noqa: SIM115 - lives as long as the rows
        self._stored: mmap.mmap | None = None
        self._offsets = array("Q", [0])
        self._changed: dict[int, bytes] = {}
        self._slots: MutableMapping[RowId, int] = {}
        self._alive = bytearray()
        self.columns: dict[str, array[int]] = {}
        self._order = array("I")
        self._positions: array[int] | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store rows of the world as it begins, oldest first being the natural order. ``seal`` ends this."""
        for row in rows:
            payload = encode(row)
            self._file.write(payload)
            self._offsets.append(self._offsets[-1] + len(payload))
            self._register(row)

    def seal(self) -> Rows:
        """Order what was appended; from here on rows can be listed and changed."""
        self._file.flush()
        if self._offsets[-1]:
            self._stored = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        keys = self._keys
        self._order = array("I", sorted(range(len(self._alive)), key=lambda slot: (-keys[slot], -slot)))
        return self

    def fork(self) -> Rows:
        """An independent copy: changing it leaves this one as it is. The stored rows are shared."""
        copy = Rows.__new__(Rows)
        copy._columns_of = self._columns_of
        copy._file, copy._stored, copy._offsets = self._file, self._stored, self._offsets
        copy._changed = dict(self._changed)
        copy._slots = ChainMap({}, self._slots)
        copy._alive = bytearray(self._alive)
        copy.columns = {name: array("q", values) for name, values in self.columns.items()}
        copy._order = array("I", self._order)
        copy._positions = None
        return copy

    def __len__(self) -> int:
        return sum(self._alive)

    def __contains__(self, row_id: RowId) -> bool:
        slot = self._slots.get(row_id)
        return slot is not None and bool(self._alive[slot])

    @property
    def _keys(self) -> array[int]:
        return next(iter(self.columns.values()), array("q"))

    def _register(self, row: Mapping[str, Any]) -> int:
        slot = len(self._alive)
        self._slots[row["id"]] = slot
        self._alive.append(1)
        for name, value in self._columns_of(row).items():
            self.columns.setdefault(name, array("q")).append(value)
        return slot

    def payload(self, slot: int) -> bytes:
        """A row's JSON text."""
        if slot in self._changed:
            return self._changed[slot]
        assert self._stored is not None
        return self._stored[self._offsets[slot] : self._offsets[slot + 1]]

    def row(self, slot: int) -> dict[str, Any]:
        """A row as an object."""
        decoded: dict[str, Any] = json.loads(self.payload(slot))
        return decoded

    def slot(self, row_id: RowId) -> int:
        """Where a row is kept. Raises CursorNotFoundError for one that is not there or was deleted."""
        if row_id not in self:
            raise CursorNotFoundError(row_id)
        return self._slots[row_id]

    def get(self, row_id: RowId) -> dict[str, Any]:
        """A row as an object, by its id. Raises CursorNotFoundError."""
        return self.row(self.slot(row_id))

    def ids(self) -> list[RowId]:
        """The ids of all rows in listing order."""
        by_slot = {slot: row_id for row_id, slot in self._slots.items()}
        return [by_slot[slot] for slot in self._order if self._alive[slot]]

    def insert(self, row: Mapping[str, Any]) -> None:
        """Add a row where its listing column puts it."""
        slot = self._register(row)
        self._changed[slot] = encode(row)
        keys = self._keys
        place = bisect_left(self._order, -keys[slot], key=lambda other: -keys[other])
        self._order.insert(place, slot)
        self._positions = None

    def update(self, row_id: RowId, **changes: Any) -> None:
        """Change members of a row; its place in the list stays. Raises CursorNotFoundError."""
        slot = self.slot(row_id)
        row = self.row(slot) | changes
        self._changed[slot] = encode(row)
        for name, value in self._columns_of(row).items():
            self.columns[name][slot] = value

    def delete(self, row_id: RowId) -> None:
        """Remove a row. Raises CursorNotFoundError."""
        self._alive[self.slot(row_id)] = 0

    def _position(self, slot: int) -> int:
        if self._positions is None:
            self._positions = array("I", bytes(4 * len(self._order)))
            for position, listed in enumerate(self._order):
                self._positions[listed] = position
        return self._positions[slot]

    def page(
        self,
        limit: int,
        after: RowId | None = None,
        *,
        matches: Callable[[int], bool] | None = None,
        backwards: bool = False,
        lost_cursor: str = "continue",
    ) -> Page:
        """The next ``limit`` rows after a cursor (all in listing order, or against it if ``backwards``).

        ``lost_cursor`` says what happens when the cursor's row was deleted or no longer ``matches``: ``continue``
        from where it was, an ``error`` (CursorNotFoundError), or an ``empty`` page. An id that never was is always an
        error.
        """
        start = len(self._order) - 1 if backwards else 0
        if after is not None:
            slot = self._slots.get(after)
            if slot is None:
                raise CursorNotFoundError(after)
            if lost_cursor != "continue" and not (self._alive[slot] and (matches is None or matches(slot))):
                if lost_cursor == "error":
                    raise CursorNotFoundError(after)
                return Page([], False)
            start = self._position(slot) + (-1 if backwards else 1)
        alive, order = self._alive, self._order
        positions: list[int] = []
        for position in range(start, -1, -1) if backwards else range(start, len(order)):
            slot = order[position]
            if alive[slot] and (matches is None or matches(slot)):
                if len(positions) == limit:
                    return Page(positions, True)
                positions.append(slot)
        return Page(positions, False)
