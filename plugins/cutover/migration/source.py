"""The declaration of an endpoint: what ``migration.yaml`` says about one source, typed.

The engine knows nothing of Xendit or Systeme.io. What differs between endpoints (names of parameters, of the
rows, of the cursor) is declared; what is the same (guards, pacing, storing, windows) is code.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _span(value: object) -> object:
    """``90d``, ``12h``, ``60m`` and ``30s`` as a timedelta; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and value[:-1].isdigit() and value[-1:] in _UNITS:
        return timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    return value


Span = Annotated[timedelta, BeforeValidator(_span)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


class Declared(BaseModel):
    """Base of all declarations: immutable, and a key that nobody reads is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(Declared):
    """What all endpoints behind one Airflow connection share: proof of identity and rate limit."""

    # basic: the key is the user name, the password is empty. header: the key is the value of `header`.
    auth: Literal["basic", "header"]
    header: str = "Authorization"
    # Seconds over which the limit that the response headers report is counted; None when nobody says.
    limit_window: float | None = Field(default=None, gt=0)
    # Requests left to others when the quota is shared with them.
    reserve: int = Field(default=0, ge=0)


class Bounds(Declared):
    """Two query parameters that keep the rows whose ``field`` lies between them."""

    field: str
    start: str
    end: str


class Paging(Declared):
    """How the endpoint is paged: newest first, each page after the last id of the page before."""

    size_parameter: str = "limit"
    size: int = Field(default=100, ge=1)
    # Tried when the API refuses `size`.
    smallest: int = Field(default=10, ge=1)
    # Names of the cursor parameter, the likeliest first: documents and SDKs may disagree, the response decides.
    cursor: tuple[str, ...] = Field(min_length=1)
    # The member that says whether there is more; None where only an empty page ends the list.
    more: str | None = None
    # How to go on by time when every cursor is ignored.
    fallback: Bounds | None = None
    # Parts that a list is cut into and that are crawled at once, where raw has its ids from an earlier scan.
    lanes: int = Field(default=1, ge=1, le=8)


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
    sweep: int = Field(default=0, ge=0)
    # Windows that are crawled at once, where the rate limit allows it.
    lanes: int = Field(default=1, ge=1, le=8)


class Source(Declared):
    """One endpoint and the raw table that it fills. ``name`` is both the table and the task."""

    name: Name
    migration: Name
    connection: Name
    path: str = Field(pattern=r"^/")
    # What the API key must be allowed, for the error that says so.
    permission: str | None = None
    # Where the rows are in the response; None when the response itself is the list.
    rows: str | None = None
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
    gone_share: float = Field(default=0.1, ge=0, le=1)
    # A sync of whose rows more than this share cannot be stored is not believed: the API has changed, not the rows.
    rejected_share: float = Field(default=0.1, ge=0, le=1)
    # Columns that hold personal data, masked in samples.
    personal: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _windows_need_history(self) -> Source:
        if self.incremental and self.history is None:
            raise ValueError("`incremental` needs `history`: the first read has to be complete")
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
        relevant = self.model_dump_json(exclude={**irrelevant, "paging": {"lanes"}})
        return hashlib.sha256(relevant.encode()).hexdigest()[:16]
