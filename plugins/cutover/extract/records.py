"""From the bytes of a file to its records: CSV or JSON lines, one at a time, whatever the file's size.

A record that cannot be read is handed on with its text and keeps nobody from the others. What makes the file as a
whole unreadable is an error: rows behind it would be lost without anybody knowing how many.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NoReturn

import msgspec

from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration.files import FileDrop

# Characters of one record, and so of one line. More is no row of a table, but a quote without its end.
LONGEST = 4 * 1024 * 1024
_BUFFER = 256 * 1024
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_SCALE = re.compile(r"numeric\(\d+,(\d+)\)|numeric\(\d+\)")
_AS_JSON = ("json", "jsonb")


@dataclass(slots=True)
class Record:
    """A row: the number of its first line, its key as written, a value for each column, and all of it as JSON.

    A value is the text that PostgreSQL is to read as the column's type, None, or a list of such.
    """

    line: int
    key: str
    values: list[Any]
    response: str


@dataclass(slots=True)
class Reject:
    """A record that has no place: why, and all there is of it.

    ``response`` is its columns as JSON, where they can be told; else ``received`` is its text.
    """

    line: int
    reason: str
    detail: str
    key: str | None = None
    response: str | None = None
    received: str | None = None


def records(stream: IO[bytes], drop: FileDrop, name: str, shown: str) -> Iterator[Record | Reject]:
    """The records of the file ``name``; ``shown`` is what messages call it.

    Raises:
        CutoverError: ``extract.empty-file``; ``extract.no-header``; ``extract.wrong-columns``;
            ``extract.wrong-encoding``; ``extract.open-quote``; ``extract.long-record``; ``extract.cut-off``;
            ``extract.no-gzip``.
    """
    try:
        unpacked: Any = gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream
        text = io.TextIOWrapper(
            io.BufferedReader(unpacked, _BUFFER),
            # a mark of the byte order is no part of the first name
            "utf-8-sig" if drop.encoding == "utf-8" else drop.encoding,
            errors="surrogateescape",
            # lines as they are: a line end within quotes belongs to the value
            newline="" if drop.format == "csv" else "\n",
        )
        lines = _Lines(text, shown)
        yield from (_csv if drop.format == "csv" else _json_lines)(lines, drop, shown)
    except EOFError:
        raise CutoverError(
            "extract.cut-off",
            shown,
            "it is packed, and ends before its end: it was not written or not transferred to its last byte.",
            "have it written again; then clear the task.",
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise CutoverError(
            "extract.no-gzip",
            shown,
            "its name ends in .gz, and it is not packed so, or damaged.",
            "have it written again, or give it the name that it should have; then clear the task.",
        ) from None
    except UnicodeError:
        _not_encoded(shown, drop)


class _Lines:
    """The lines of a text with their numbers. ``pending`` are those that were taken since it was last emptied."""

    def __init__(self, text: io.TextIOWrapper, shown: str) -> None:
        self._text = text
        self._shown = shown
        self._size = 0
        self.pending: list[str] = []
        self.number = 0
        self.is_at_end = False

    def begin(self) -> int:
        """Begin a record; returns the number of its first line."""
        self.pending.clear()
        self._size = 0
        return self.number + 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST)
        if not line:
            self.is_at_end = True
            raise StopIteration
        self.number += 1
        self._size += len(line)
        if self._size >= LONGEST:
            begin = self.number - len(self.pending)
            if self.pending:
                raise open_quote(self._shown, begin)
            raise CutoverError(
                "extract.long-record",
                f"{self._shown}, line {begin}",
                f"the line has more than {LONGEST:,} characters.",
                "look whether it is a text file of the declared `format` and `encoding`, with an end to each line.",
            )
        self.pending.append(line)
        return line


def open_quote(shown: str, line: int) -> CutoverError:
    """``extract.open-quote``: nobody can tell where the record ends."""
    return CutoverError(
        "extract.open-quote",
        f"{shown}, line {line}",
        "a quote is opened in the record that begins there, and not closed to the end of the file or for millions of "
        "characters: it was cut off, or a quote within a value is not doubled.",
        "have it written again with each quote within a value doubled; or declare its own `quote`.",
    )


# CSV


def _csv(lines: _Lines, drop: FileDrop, shown: str) -> Iterator[Record | Reject]:
    # of the process, and the same for whoever reads a drop in it; lines are bounded before
    csv.field_size_limit(LONGEST)
    reader = csv.reader(lines, delimiter=drop.delimiter, quotechar=drop.quote, strict=True)
    header = _header(lines, reader, drop, shown)
    places = [header.index(drop.written(column)) for column in drop.columns]
    make = _maker(drop)
    while True:
        line = lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if lines.is_at_end:
                raise open_quote(shown, line) from None
            yield Reject(line, "unreadable", f"it is no CSV: {error}", received=_utf8(lines))
            continue
        if not fields:  # an empty line
            continue
        if wrong := _unusable(lines, drop):
            yield Reject(line, "unreadable", wrong, received=_utf8(lines))
        elif len(fields) != len(header):
            detail = f"it has {len(fields)} fields, and the header {len(header)}"
            yield Reject(line, "ragged", detail, received=_utf8(lines))
        else:
            texts = [fields[place] for place in places]
            values = [None if text == drop.no_value else text for text in texts]
            response = msgspec.json.encode(dict(zip(drop.columns, values, strict=True))).decode()
            yield make(line, values, response)


def _header(lines: _Lines, reader: Any, drop: FileDrop, shown: str) -> list[str]:
    """The names of the fields, from the first line. No message repeats a line that may be one of data."""
    names: list[str] = []
    try:
        while not names:
            line = lines.begin()
            names = [name.strip() for name in next(reader)]
    except StopIteration:
        raise empty(shown, "it has no line, not even the header.") from None
    except csv.Error:
        if lines.is_at_end:
            raise open_quote(shown, line) from None
        names = []
    if _unusable(lines, drop):
        _not_encoded(shown, drop)
    wanted = [drop.written(column) for column in drop.columns]
    if not set(names) & set(wanted):
        raise CutoverError(
            "extract.no-header",
            shown,
            f"its first line has none of the names {', '.join(wanted)}.",
            "have it written with a header; or correct `delimiter`, or what the columns are called there, in `names`.",
        )
    differing = [
        *(f"{name} is missing" for name in wanted if name not in names),
        *(f"{name[:60]!r} is not known" for name in names if name not in wanted and name not in drop.ignore),
        *(f"{name[:60]} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1),
    ]
    if differing:
        raise CutoverError(
            "extract.wrong-columns",
            shown,
            f"its columns are not those that this migration is for: {masked_text('; '.join(differing))}.",
            f"bring files.{drop.name}.columns in migration.yaml, and the SQL that uses it, up to the files; a column "
            "that may stay behind goes under `ignore`.",
        )
    return names


# JSON lines


def _json_lines(lines: _Lines, drop: FileDrop, shown: str) -> Iterator[Record | Reject]:
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    columns = {drop.written(column): column for column in drop.columns}
    ignored = frozenset(drop.ignore)
    is_as_written = not drop.names
    make = _maker(drop)
    while True:
        line = lines.begin()
        text = next(lines, None)
        if text is None:
            break
        if not text.strip():
            continue
        if wrong := _unusable(lines, drop):
            yield Reject(line, "unreadable", wrong, received=_utf8(lines))
            continue
        try:
            members = decoder.decode(text)
            row = {columns[name]: value for name, value in members.items() if name in columns}
            values = [_value(row.get(column), kind) for column, kind in drop.columns.items()]
        except (msgspec.DecodeError, RecursionError):
            # msgspec's words may quote the value
            yield Reject(line, "unreadable", "it is no JSON object on a line of its own", received=_utf8(lines))
            continue
        unknown = [name for name in members if name not in columns and name not in ignored]
        response = text.strip()
        if not is_as_written or len(row) != len(members):
            response = msgspec.json.encode(row).decode()
        if unknown:
            names = masked_text(", ".join(name[:60] for name in unknown[:5]))
            detail = f"it has members that are neither under `columns` nor under `ignore`: {names}"
            yield Reject(line, "unknown_member", detail, received=_utf8(lines))
            continue
        yield make(line, values, response)
    if lines.number == 0:
        raise empty(shown, "it has no line.")


def _value(member: msgspec.Raw | None, kind: str) -> Any:
    """A member as the text that PostgreSQL is to read: of a string its content, of anything else how it is written."""
    written = bytes(member).strip() if member is not None else b"null"
    if written == b"null":
        return None
    if kind not in _AS_JSON:
        if written.startswith(b'"'):
            return msgspec.json.decode(written, type=str)
        if written.startswith(b"[") and kind.endswith("[]"):
            return [_value(item, kind[:-2]) for item in msgspec.json.decode(written, type=list[msgspec.Raw])]
    return written.decode()


# both


def _maker(drop: FileDrop) -> Callable[[int, list[Any], str], Record | Reject]:
    """Makes a record of its values, or says what PostgreSQL would not: no key, digits that it would round away."""
    key = list(drop.columns).index(drop.key)
    scales = [
        (place, name, int(match.group(1) or 0))
        for place, (name, kind) in enumerate(drop.columns.items())
        if (match := _SCALE.fullmatch(kind.replace(" ", "")))
    ]

    def make(line: int, values: list[Any], response: str) -> Record | Reject:
        its_key = values[key]
        if not isinstance(its_key, str) or not its_key:
            return Reject(line, "no_id", f"it has no usable {drop.key}", response=response)
        for place, name, scale in scales:
            value = values[place]
            if isinstance(value, str) and not value.isdigit() and _digits_behind(value) > scale:
                detail = f"{name}: more than {scale} digits behind the point, which would be rounded"
                return Reject(line, "unstorable", detail, its_key, response)
        return Record(line, its_key, values, response)

    return make


def _digits_behind(value: str) -> int:
    """Digits behind the point of a number, without zeros at its end; 0 of what is none."""
    try:
        exponent = Decimal(value.strip()).normalize().as_tuple().exponent
    except InvalidOperation:
        return 0
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _unusable(lines: _Lines, drop: FileDrop) -> str | None:
    """Why the text of the record at hand is none that PostgreSQL can hold; None if it is."""
    for text in lines.pending:
        match = None if text.isascii() else _SURROGATES.search(text)
        if match:
            code = ord(match.group())
            byte = f" (byte 0x{code - 0xDC00:02x})" if 0xDC80 <= code <= 0xDCFF else ""
            return f"it is not {drop.encoding}{byte}"
        if "\0" in text:
            return "it holds a NUL"
    return None


def _utf8(lines: _Lines) -> str:
    return "".join(lines.pending)


def empty(shown: str, why: str) -> CutoverError:
    """``extract.empty-file``."""
    return CutoverError(
        "extract.empty-file",
        shown,
        why,
        "have it written again, or take it out of the folder; a delivery without rows is a header alone.",
    )


def _not_encoded(shown: str, drop: FileDrop) -> NoReturn:
    raise CutoverError(
        "extract.wrong-encoding",
        shown,
        f"it is not {drop.encoding}.",
        f"say what it is under `encoding` of files.{drop.name}, such as cp1252 or utf-16; or have it written in "
        f"{drop.encoding}.",
    ) from None
