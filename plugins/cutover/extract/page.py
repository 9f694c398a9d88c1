"""From a response's bytes to rows, without building objects for them.

A row is the slice of the response that it came in: nothing is decoded but its key and two times, so amounts stay
as exact as they were sent, and PostgreSQL parses the JSON once.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cutover.migration.source import Source


class BodyError(ValueError):
    """A body that is not what the endpoint promises: cut short, an error page, another shape.

    ``whole``: it is complete JSON, only of another shape. Asked again, the API will say the same.
    """

    def __init__(self, why: str, *, whole: bool = False) -> None:
        self.whole = whole
        super().__init__(why)


@dataclass(slots=True)
class Row:
    """One row of a response.

    ``key`` is None when the row has none. ``modified`` is when the API says it was last changed, ``bound`` the
    value of the field that the paging by time goes by. ``response`` is what is stored, ``digest`` the SHA-256 of
    the bytes as received; where those had to be changed, ``change`` says what, and ``received`` holds them.
    ``refusal`` says why a row that is there cannot be read; it is rejected whole.
    """

    key: str | None
    modified: str | None
    bound: str | None
    response: bytes
    digest: bytes
    change: str | None = None
    received: bytes | None = None
    refusal: str | None = None


@dataclass(slots=True)
class Body:
    """The rows of one response and what it says about more: True, False, or None when it does not say."""

    rows: list[Row]
    more: bool | None


def reader(source: Source) -> Callable[[bytes | bytearray], Body]:
    """A function that reads the bodies of ``source``'s responses. It raises BodyError.

    What can be read is read: one row that cannot be is rejected whole and keeps nobody from the others.
    """
    read_envelope = msgspec.json.Decoder(_envelope(source))
    read_row = _row_reader(source)

    def read(body: bytes | bytearray) -> Body:
        if body.startswith(codecs.BOM_UTF8):
            body = body[len(codecs.BOM_UTF8) :]
        if body.strip() == b"null":  # a list without rows, as some APIs write it
            return Body([], None)
        readable: bytes | bytearray = body
        try:
            if not body.isascii():
                body.decode()
            if b"\\u0000" in body:
                readable = storable(body)
            decoded = read_envelope.decode(readable)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                readable, decoded = _decode_repaired(body, read_envelope)
            except BodyError as unreadable:
                return _salvage(body, source, read_envelope, read_row, unreadable)
        if isinstance(decoded, list):
            slices, more = decoded, None
        else:
            slices, more = decoded.rows or [], getattr(decoded, "more", None)
        rows = [read_row(piece) for piece in slices]
        if readable is not body:
            _note_changes(rows, body, readable)
        return Body(rows, more if isinstance(more, bool) else None)

    return read


def _envelope(source: Source) -> Any:
    """The type of a response: a list of untouched rows, in an object if the source says so."""
    if source.rows is None:
        return list[msgspec.Raw]
    members: list[Any] = [("rows", list[msgspec.Raw] | None)]
    names = {"rows": source.rows}
    if source.paging.more is not None:
        members.append(("more", Any, None))
        names["more"] = source.paging.more
    return msgspec.defstruct("Envelope", members, rename=names)


def _row_reader(source: Source) -> Callable[[msgspec.Raw], Row]:
    wanted = [source.key, source.modified, source.paging.fallback.field if source.paging.fallback else None]
    field_of = {member: f"member_{place}" for place, member in enumerate(wanted) if member is not None}
    head = msgspec.defstruct(
        "Head",
        [(field, Any, None) for field in field_of.values()],
        rename={field: member for member, field in field_of.items()},
    )
    decoder = msgspec.json.Decoder(head)
    key_field, modified_field, bound_field = (field_of.get(member or "", "") for member in wanted)

    def text(value: object) -> str | None:
        return value if isinstance(value, str) else None

    def read_row(piece: msgspec.Raw) -> Row:
        response = bytes(piece)
        try:
            decoded: Any = decoder.decode(piece)
        except msgspec.DecodeError:  # not an object, or a number beyond measure: a row without a key is rejected
            decoded = None
        key = getattr(decoded, key_field, None)
        return Row(
            key=str(key) if key != "" and isinstance(key, (str, int)) and not isinstance(key, bool) else None,
            modified=text(getattr(decoded, modified_field, None)),
            bound=text(getattr(decoded, bound_field, None)),
            response=response,
            digest=hashlib.sha256(response).digest(),
        )

    return read_row


def _decode_repaired(body: bytes | bytearray, envelope: msgspec.json.Decoder[Any]) -> tuple[bytes, Any]:
    """Decode ``body`` with as little replaced as makes it JSON. Raises BodyError where that is not enough."""
    repaired = storable(body)
    try:
        return repaired, envelope.decode(repaired)
    except (msgspec.DecodeError, RecursionError):
        # Raw control characters are legal between members and illegal inside strings; a blank is legal in both.
        repaired = repaired.translate(_CONTROL_TO_BLANK)
    try:
        return repaired, envelope.decode(repaired)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BodyError(str(error), whole=_is_json(repaired)) from error


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


# A string, or what structures JSON.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)


def _salvage(
    body: bytes | bytearray,
    source: Source,
    envelope: msgspec.json.Decoder[Any],
    read_row: Callable[[msgspec.Raw], Row],
    unreadable: BodyError,
) -> Body:
    """The rows of a body in which some are no JSON (NaN), or nested beyond what can be read: those are refused alone.

    Only brackets and strings are looked at, so each row keeps to itself. Raises ``unreadable`` where the list does
    not come to its end or the body around it cannot be read either.
    """
    repaired = storable(body).translate(_CONTROL_TO_BLANK)
    pieces, start, end = _slices(repaired, source.rows, unreadable)
    try:
        around = envelope.decode(repaired[:start] + repaired[end:])
    except (msgspec.DecodeError, RecursionError) as error:
        raise unreadable from error
    rows = []
    for piece_start, piece_end in pieces:
        piece, received = repaired[piece_start:piece_end], bytes(body[piece_start:piece_end])
        try:
            row = read_row(msgspec.Raw(msgspec.json.decode(piece, type=msgspec.Raw)))
            if received != piece:
                row.change, row.received = f"{_refused_in(received)} replaced", received
                row.digest = hashlib.sha256(received).digest()
        except (msgspec.DecodeError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON ({error})"
            key = _key_in(piece, source.key)
            row = Row(key, None, None, piece, hashlib.sha256(received).digest(), None, received, why)
        rows.append(row)
    more = getattr(around, "more", None)
    return Body(rows, more if isinstance(more, bool) else None)


def _key_in(piece: bytes, member: str) -> str | None:
    """The key of a row that cannot be decoded: a reject has a name, and its earlier version is not taken for gone."""
    at = 0
    for token in _TOKENS.finditer(piece):
        text = token.group()
        at += (text in b"[{") - (text in b"]}")
        if at == 1 and text == b'"' + member.encode() + b'"':
            value = re.compile(rb'\s*:\s*(?:"([^"\\]+)"|(-?[0-9]+)(?=[\s,}]))').match(piece, token.end())
            if value:
                return (value.group(1) or value.group(2)).decode()
    return None


def _slices(body: bytes, member: str | None, unreadable: BodyError) -> tuple[list[tuple[int, int]], int, int]:
    """Where each element of the list lies, and where the inside of the list begins and ends."""
    depth = 1 if member is None else 2  # of what is between the elements
    at, inside, start = 0, -1, 0
    named: bytes | None = None
    pieces: list[tuple[int, int]] = []
    for token in _TOKENS.finditer(body):
        text = token.group()
        if text in b"[{":
            at += 1
            if inside < 0 and at == depth and text == b"[" and (member is None or named == member.encode()):
                inside = start = token.end()
        elif text in b"]}":
            if inside >= 0 and at == depth:
                if body[start : token.start()].strip():
                    pieces.append((start, token.start()))
                return pieces, inside, token.start()
            at -= 1
        elif text == b"," and inside >= 0 and at == depth:
            pieces.append((start, token.start()))
            start = token.end()
        elif text not in b",:" and inside < 0 and at == 1:
            named = text[1:-1]
    raise unreadable


# A pair of surrogates (kept), any other escape by code point (looked at), any other escape (kept).
_ESCAPES = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u(....)|.)", re.DOTALL)
_REFUSED = re.compile(rb"0000|[dD][89a-fA-F]..")
_CONTROL_TO_BLANK = bytes(0x20 if code < 0x20 else code for code in range(256))


def storable(body: bytes | bytearray) -> bytes:
    """``body`` without what PostgreSQL's jsonb refuses in a string.

    Every replacement is as long as what it replaces, so that a row is found at the same place in both: ``\\u0000``
    and lone surrogates become ``\\ufffd``, a byte that is not UTF-8 becomes ``?``.
    """

    def replace(escape: re.Match[bytes]) -> bytes:
        code = escape.group(1)
        return rb"\ufffd" if code is not None and _REFUSED.fullmatch(code) else escape.group()

    return _ESCAPES.sub(replace, body.decode(errors="surrogateescape").encode(errors="replace"))


def _note_changes(rows: list[Row], body: bytes | bytearray, readable: bytes | bytearray) -> None:
    """Tell the rows in which something was replaced what it was, and give them back the bytes received."""
    place = 0
    for row in rows:
        start = readable.index(row.response, place)
        place = start + len(row.response)
        received = bytes(body[start:place])
        if received != row.response:
            row.change = f"{_refused_in(received)} replaced"
            row.received = received
            row.digest = hashlib.sha256(received).digest()


def _refused_in(received: bytes) -> str:
    found = []
    codes = [escape.group(1) for escape in _ESCAPES.finditer(received)]
    if b"0000" in codes:
        found.append("\\u0000")
    if any(code and code != b"0000" and _REFUSED.fullmatch(code) for code in codes):
        found.append("lone surrogate")
    if received.decode(errors="replace").encode() != received:
        found.append("byte that is not UTF-8")
    return " and ".join(found) or "control character"
