"""The declaration of an endpoint: what ``migration.yaml`` says about one source, typed.

The engine knows nothing of Xendit or Systeme.io. What differs between endpoints (names of parameters, of the
rows, of the cursor) is declared; what is the same (guards, pacing, storing, windows) is code.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# At most 2,700 years in days: longer ones are none that Python can add to a date.
_SPAN = re.compile(r"^[0-9]{1,6}[smhd]$")


def _span(value: object) -> object:
    """``90d``, ``12h``, ``60m`` and ``30s`` as a timedelta. A number alone has no unit, and is refused."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and _SPAN.match(value):
        return timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    raise ValueError("a span is a number with its unit, such as 90d, 12h, 60m or 30s")


Span = Annotated[timedelta, BeforeValidator(_span)]
# The way to a member of a response: names joined by dots, or a list of names where one has a dot in it.
Member = Annotated[str, Field(min_length=1)] | Annotated[tuple[str, ...], Field(min_length=1)]
# Of numbers: not from text, nor from `yes`, which YAML reads as true and Python as 1.
Strict = Field(strict=True)
Whole = Annotated[int, Strict]
Share = Annotated[float, Strict, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


def way(member: Member) -> tuple[str, ...]:
    """The names on the way to a member of a response, the outermost first."""
    return tuple(member.split(".")) if isinstance(member, str) else member


class Declared(BaseModel):
    """Base of all declarations: immutable, and a key that nobody reads is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(Declared):
    """What all endpoints behind one Airflow connection share: proof of identity and rate limit."""

    # basic: login and password, of which either may be empty. header: the key is the value of `header`. bearer: the key
    # behind the word Bearer. none: whatever headers the connection's extra holds.
    auth: Literal["basic", "header", "bearer", "none"]
    header: str = "Authorization"
    # Seconds over which the limit that the response headers report is counted; None when nobody says.
    limit_window: Annotated[float, Strict] | None = Field(default=None, gt=0)
    # Requests left to others when the quota is shared with them.
    reserve: Whole = Field(default=0, ge=0)


class Bounds(Declared):
    """Two query parameters that keep the rows whose ``field`` lies between them."""

    field: str
    start: str
    end: str


class Paging(Declared):
    """How the endpoint is paged: what brings the page after the one at hand.

    ``cursor``: the last id of the page, the newest rows first. ``page``: the next number. ``offset``: how many rows to
    pass over. ``next``: a link in the body. ``link``: the link called ``next`` of the header Link.
    """

    by: Literal["cursor", "page", "offset", "next", "link"] = "cursor"
    # None: the API takes no size, and its own is unknown.
    size_parameter: str | None = "limit"
    size: Whole = Field(default=100, ge=1)
    # Tried when the API refuses `size`.
    smallest: Whole = Field(default=10, ge=1)
    # By cursor: names of its parameter, the likeliest first: documents and SDKs may disagree, the response decides.
    cursor: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    # The member that says whether there is more; None where only an empty page ends the list.
    more: Member | None = None
    # By cursor: how to go on by time when every cursor is ignored.
    fallback: Bounds | None = None
    # By cursor: parts that a list is cut into and that are crawled at once, where raw has its ids from an earlier scan.
    lanes: Whole = Field(default=1, ge=1, le=8)
    # By page: its parameter, and the first page's number. By offset: its parameter.
    parameter: str | None = None
    first: Whole = Field(default=1, ge=0)
    # By next: the member that holds the link, an address or a path.
    next: Member | None = None
    # By next and by link: that the link is a cursor, so that rows which come and go before it move nothing.
    steady: bool = False

    @model_validator(mode="before")
    @classmethod
    def _keys_belong_together(cls, declared: Any) -> Any:
        if not isinstance(declared, dict):
            return declared
        by = declared.get("by", "cursor")
        own = _OWN_KEYS.get(by) if isinstance(by, str) else None
        if own is None:  # refused with the choices there are
            return declared
        for key in sorted(declared.keys() & (set().union(*_OWN_KEYS.values()) - own)):
            kinds = " and ".join(kind for kind, keys in _OWN_KEYS.items() if key in keys)
            raise ValueError(f"`{key}` is for paging by {kinds}, and this is by {by}")
        return declared

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Paging:
        if self.by == "next" and self.next is None:
            raise ValueError("paging by next needs `next`, the member that holds the link")
        if self.by == "offset" and self.size_parameter is None:
            raise ValueError("paging by offset needs `size_parameter`")
        if self.by == "cursor" and not self.cursor:
            raise ValueError("paging by cursor needs `cursor`, the names of its parameter")
        return self

    @property
    def position(self) -> str:
        """The parameter of a page's number or of an offset."""
        return self.parameter or self.by

    @property
    def shifts(self) -> bool:
        """Whether rows that come or go in front of the position move others over the boundary between two pages."""
        return self.by == "page" or (self.by in ("next", "link") and not self.steady)


_OWN_KEYS: dict[str, set[str]] = {
    "cursor": {"cursor", "fallback", "lanes"},
    "page": {"parameter", "first"},
    "offset": {"parameter"},
    "next": {"next", "steady"},
    "link": {"steady"},
}


class Trailing(Declared):
    """One window of an incremental sync, from the watermark (less ``overlap``) to the frozen upper bound."""

    name: Name
    start: str
    end: str
    # Read again what is near the watermark: an API may show a change later than the time it puts on it.
    overlap: Span = timedelta(hours=1)
    # Reach back at least this far from the newest row, whatever the watermark.
    reach: Span = timedelta(0)
    # How far beyond the frozen upper bound the window goes.
    ahead: Span = timedelta(0)


class History(Declared):
    """How a full read is cut into windows: by ``column``'s parameters, doubling in length into the past."""

    # Of the raw table, and the parameters that filter on it.
    column: Name
    start: str
    end: str
    first: Span = timedelta(days=30)
    # The oldest window reaches back to here, which must lie before the first row that the API can have.
    begin: date = date(2000, 1, 1)
    # Each incremental sync also reads one of this many parts of the history again: a change that no other window
    # shows is seen after so many syncs at the latest. 0: none.
    sweep: Whole = Field(default=0, ge=0)
    # Windows that are crawled at once, where the rate limit allows it.
    lanes: Whole = Field(default=1, ge=1, le=8)


class Source(Declared):
    """One endpoint and the raw table that it fills. ``name`` is both the table and the task."""

    name: Name
    migration: Name
    connection: Name
    path: str = Field(pattern=r"^/")
    # What the API key must be allowed, for the error that says so.
    permission: str | None = None
    # Where the rows are in the response; None when the response itself is the list.
    rows: Member | None = None
    key: str = "id"
    key_type: Literal["text", "bigint"] = "text"
    # When the row was last modified, if the API says so: an older version never replaces a newer one.
    modified: str | None = None
    params: dict[str, str] = Field(default_factory=dict)
    paging: Paging
    # None: a full read is one crawl over everything.
    history: History | None = None
    # Empty: every sync is a full read.
    incremental: tuple[Trailing, ...] = ()
    # A full read that misses more than this share of the rows known is not believed.
    gone_share: Share = 0.1
    # A sync of whose rows more than this share cannot be stored is not believed: the API has changed, not the rows.
    rejected_share: Share = 0.1
    # Columns that hold personal data, masked in samples.
    personal: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _windows_need_history(self) -> Source:
        if self.incremental and self.history is None:
            raise ValueError("`incremental` needs `history`: the first read has to be complete")
        return self

    @model_validator(mode="after")
    def _members_have_a_place(self) -> Source:
        if self.rows is None and self.paging.next is not None:
            raise ValueError("`rows` is null, so the response itself is the list, and has no member for `paging.next`")
        for name, member in (("more", self.paging.more), ("next", self.paging.next)):
            if self.rows is None or member is None:
                continue
            rows, other = way(self.rows), way(member)
            if other[: len(rows)] == rows[: len(other)]:
                raise ValueError(f"`paging.{name}` is a member beside `rows`, not on the way to them or within")
        return self

    @model_validator(mode="after")
    def _cuts_are_numbers(self) -> Source:
        if self.paging.lanes > 1 and (self.history is not None or self.key_type != "bigint"):
            raise ValueError("`paging.lanes` needs a `key_type` of bigint and no `history`, which has lanes of its own")
        return self

    @property
    def fingerprint(self) -> str:
        """Changes when what is read, or how, is declared otherwise: then a watermark means nothing any more.

        How many lanes a list is cut into changes how fast it is read, and nothing else.
        """
        irrelevant = dict.fromkeys(("personal", "gone_share", "rejected_share", "permission", "migration"), True)
        # what there was before there were other ways to page stays as it was, and is not read again
        others = {"by", "parameter", "first", "next", "steady"} if self.paging.by == "cursor" else set()
        relevant = self.model_dump_json(exclude={**irrelevant, "paging": {"lanes", *others}})
        return hashlib.sha256(relevant.encode()).hexdigest()[:16]
