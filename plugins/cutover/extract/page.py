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

from cutover.migration.source import Source, way


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
    """The rows of one response and what it says about more: True, False, or None when it does not say.

    ``next`` is the link to the next page; ``says_next`` whether the response has the member for it at all.
    """

    rows: list[Row]
    more: bool | None
    next: str | None = None
    says_next: bool = False


def reader(source: Source) -> Callable[[bytes | bytearray], Body]:
    """A function that reads the bodies of ``source``'s responses. It raises BodyError.

    What can be read is read: one row that cannot be is rejected whole and keeps nobody from the others.
    """
    envelope = _Envelope(source)
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
            decoded = envelope.decode(readable)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                readable, decoded = _decode_repaired(body, envelope)
            except BodyError as unreadable:
                return _salvage(body, source, envelope, read_row, unreadable)
        rows = [read_row(piece) for piece in envelope.rows(decoded)]
        if readable is not body:
            _note_changes(rows, body, readable)
        return envelope.body(rows, decoded)

    return read


class _Envelope:
    """What is around the rows of a response: a list of untouched rows, in an object if the source says so.

    An object on the way to the rows is read member by member; another one, such as that of links, as it comes, since
    some APIs write an empty one as a list.
    """

    def __init__(self, source: Source) -> None:
        rows = () if source.rows is None else way(source.rows)
        self._depth = len(rows)
        self._more, self._next = (
            way(member) if rows and member is not None else None for member in (source.paging.more, source.paging.next)
        )
        kind: Any = list[msgspec.Raw]
        if rows:
            kind = _type_of(rows, [path for path in (self._more, self._next) if path is not None])
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def decode(self, body: bytes | bytearray) -> Any:
        """The response. Raises msgspec.DecodeError and RecursionError."""
        return self._decoder.decode(body)

    def rows(self, decoded: Any) -> list[msgspec.Raw]:
        """The rows of a response, each as the bytes that it came in."""
        for _ in range(self._depth):
            decoded = decoded.below
        return decoded or []

    def body(self, rows: list[Row], decoded: Any) -> Body:
        """``rows`` with what the response says about more."""
        more, link = _other(decoded, self._more), _other(decoded, self._next)
        return Body(
            rows,
            more if isinstance(more, bool) else None,
            link if isinstance(link, str) and link.strip() else None,
            link is not msgspec.UNSET,
        )


def _type_of(rows: tuple[str, ...], others: list[tuple[str, ...]]) -> Any:
    """The type of an object: ``below`` is the member on the way to the rows, those in ``others`` are as they come."""
    below: Any = list[msgspec.Raw] | None
    if len(rows) > 1:
        below = _type_of(rows[1:], [path[1:] for path in others if path[0] == rows[0]])
    beside = {_field(path[0]): path[0] for path in others if path[0] != rows[0]}
    fields: list[Any] = [("below", below), *((name, Any, msgspec.UNSET) for name in beside)]
    return msgspec.defstruct("Envelope", fields, rename={"below": rows[0], **beside})


def _field(member: str) -> str:
    """A name that Python takes for a member of any name, such as ``@odata.nextLink``."""
    return f"beside_{member.encode().hex()}"


def _other(decoded: Any, path: tuple[str, ...] | None) -> Any:
    """The member at the end of ``path``; UNSET where the response does not have it."""
    for member in path or ():
        if isinstance(decoded, dict):
            decoded = decoded.get(member, msgspec.UNSET)
        else:
            decoded = getattr(decoded, _field(member), getattr(decoded, "below", msgspec.UNSET))
    return decoded if path else msgspec.UNSET


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


def _decode_repaired(body: bytes | bytearray, envelope: _Envelope) -> tuple[bytes, Any]:
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
    envelope: _Envelope,
    read_row: Callable[[msgspec.Raw], Row],
    unreadable: BodyError,
) -> Body:
    """The rows of a body in which some are no JSON (NaN), or nested beyond what can be read: those are refused alone.

    Only brackets and strings are looked at, so each row keeps to itself. Raises ``unreadable`` where the list does
    not come to its end or the body around it cannot be read either.
    """
    repaired = storable(body).translate(_CONTROL_TO_BLANK)
    pieces, start, end = _slices(repaired, () if source.rows is None else way(source.rows), unreadable)
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
    return envelope.body(rows, around)


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


def _slices(body: bytes, path: tuple[str, ...], unreadable: BodyError) -> tuple[list[tuple[int, int]], int, int]:
    """Where each element of the list lies, and where the inside of the list begins and ends."""
    way = [member.encode() for member in path]
    depth = len(way) + 1  # of what is between the elements
    at, inside, start = 0, -1, 0
    # the members that are open, one for each object around the token
    names = [b""] * len(way)
    pieces: list[tuple[int, int]] = []
    for token in _TOKENS.finditer(body):
        text = token.group()
        if text in b"[{":
            at += 1
            if inside < 0 and at == depth and text == b"[" and names == way:
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
        elif text not in b",:" and inside < 0 and 1 <= at < depth:
            names[at - 1] = text[1:-1]
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
    names = []
    codes = [escape.group(1) for escape in _ESCAPES.finditer(received)]
    if b"0000" in codes:
        names.append("\\u0000")
    if any(code and code != b"0000" and _REFUSED.fullmatch(code) for code in codes):
        names.append("lone surrogate")
    if received.decode(errors="replace").encode() != received:
        names.append("byte that is not UTF-8")
    return " and ".join(names) or "control character"
