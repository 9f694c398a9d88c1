"""The declaration of a file drop: what ``migration.yaml`` says about files in a folder or an object store, typed."""

from __future__ import annotations

import codecs
import hashlib
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from cutover.errors import meant
from cutover.migration.source import Declared, Name, Share, Span
from cutover.migration.tables import ColumnType

# What the engine adds to each row of a file drop's raw table, with its type.
PROVENANCE = {
    "api_response": "jsonb",
    "sync_id": "bigint",
    "page_no": "integer",
    "source_file": "text",
    "source_line": "bigint",
    "api_synced_at": "timestamp with time zone",
    "gone_at": "timestamp with time zone",
}


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"{name!r} is no encoding that Python knows, such as utf-8, cp1252 or utf-16") from None


class FileDrop(Declared):
    """Files of one shape in a folder, and the raw table that their rows go into: by key, a later file over an earlier.

    Files are read in the order of their names, and each of them once, as long as it stays as it is.
    """

    name: Name
    migration: Name
    # file:///folder, s3://bucket/folder, gs://, abfs://: whatever Airflow's ObjectStoragePath knows
    path: str = Field(pattern=r"^[a-z][a-z0-9+.-]*://.")
    # the Airflow connection that opens the storage; None: as the machine itself may
    connection: str | None = None
    # Which files of the folder, part by part: * is no way into a folder below. Those that end in .gz are unpacked.
    pattern: str = Field(default="*", pattern=r"^[^/]+(/[^/]+)*$")
    # What a marker's name has behind the file's, such as `.done`: a file is read once that is there. None: by age.
    marker: str | None = Field(default=None, pattern=r"^[^/]+$")
    # Without a marker: for how long nobody must have written to a file before it is taken for complete.
    settled: Span = timedelta(minutes=1)
    format: Literal["csv", "json lines"]
    # Every column with its type. A row is one of the table's when each value can be read as that.
    columns: dict[Name, ColumnType] = Field(min_length=1)
    key: Name = "id"
    # column → its name in the files, where that is another
    names: dict[Name, str] = Field(default_factory=dict)
    # names in the files that are left where they are
    ignore: tuple[str, ...] = ()
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    # of CSV: what separates fields, what encloses one, and what stands for no value
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    no_value: str = ""
    # Each file holds the whole list: only the last one is read, and rows that it has no more are gone.
    whole: StrictBool = False
    # A whole list that misses more than this share of the rows known is not believed.
    gone_share: Share = 0.1
    # A file of whose rows more than this share cannot be stored is not believed.
    rejected_share: Share = 0.1
    # Columns that hold personal data, masked in samples.
    personal: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _named_columns_exist(self) -> FileDrop:
        for name in (self.key, *self.names, *self.personal):
            if name not in self.columns:
                raise ValueError(f"`{name}` is not among the columns.{meant(name, self.columns)}")
        for name in PROVENANCE:
            if name in self.columns:
                raise ValueError(f"`{name}` is the engine's own; call the column otherwise, and say under `names` how")
        written = [self.written(column) for column in self.columns]
        for name in (*written, *self.ignore):
            if [*written, *self.ignore].count(name) > 1:
                raise ValueError(f"{name!r} stands for two things in the files")
        return self

    @model_validator(mode="after")
    def _is_one_kind_of_csv(self) -> FileDrop:
        if self.format != "csv":
            given = self.model_fields_set & {"delimiter", "quote", "no_value"}
            if given:
                raise ValueError(f"`{min(given)}` is for csv")
        elif len({self.delimiter, self.quote, "\n", "\r"}) < 4:
            raise ValueError("`delimiter` and `quote` are two characters, and no line end")
        return self

    def written(self, column: str) -> str:
        """What a column is called in the files."""
        return self.names.get(column, column)

    @property
    def fingerprint(self) -> str:
        """Changes when the same files would give other rows: then they are read again."""
        irrelevant = {"migration", "connection", "pattern", "marker", "settled", "gone_share", "rejected_share"}
        relevant = self.model_dump_json(exclude={*irrelevant, "path", "personal"})
        return hashlib.sha256(relevant.encode()).hexdigest()[:16]
