"""A file drop: real files, in a folder and in an S3-compatible store, into a real PostgreSQL."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG, ObjectStoragePath
from psycopg.rows import dict_row

from cutover import status
from cutover.database.connect import connector
from cutover.errors import CutoverError
from cutover.extract import drop as extract_drop
from cutover.extract import folder as extract_folder
from cutover.extract import load as extract_load
from cutover.extract import records
from cutover.extract.drop import DropReport, sync_drop
from cutover.extract.folder import Folder
from cutover.migration import Migration, load
from cutover.migration.declaration import parse
from cutover.migration.files import FileDrop
from cutover.operators.extract import FileDropOperator, extract_group, folder
from stack.postgres import free_port
from tests.object_store import CONNECTION, connect_to

COLUMNS = {"id": "bigint", "email": "text", "amount": "numeric(12,2)", "paid_on": "date"}
HEADER = "id,email,amount,paid_on\n"
ONE = HEADER + "1,ana@example.com,10.50,2026-01-02\n2,bo@example.com,,\n"


class Drop:
    """A folder of files, its declaration, and a database. ``log`` is what was said."""

    def __init__(self, root: Path, dsn: str) -> None:
        self.root = root
        self.dsn = dsn
        self.log: list[str] = []
        self.path = ObjectStoragePath(root.as_uri())

    def declared(self, **changes: Any) -> FileDrop:
        """The drop, with ``changes`` to its declaration."""
        values = {
            "name": "orders",
            "migration": "clean_launch",
            "path": self.root.as_uri(),
            "pattern": "*.csv",
            "settled": "0s",
            "format": "csv",
            "columns": COLUMNS,
            "personal": ["email"],
        }
        return FileDrop(**{**values, **changes})

    def put(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def sync(self, *, full: bool = False, accept_gone: bool = False, **changes: Any) -> DropReport:
        """One sync."""
        connect = connector(self.dsn, "production", "test")
        return sync_drop(
            self.declared(**changes), self.path, connect, full=full, accept_gone=accept_gone, log=self.log.append
        )

    def refuses(self, code: str, *, full: bool = False, **changes: Any) -> CutoverError:
        """The error of a sync that must fail with this code."""
        with pytest.raises(CutoverError) as caught:
            self.sync(full=full, **changes)
        assert caught.value.code == code, str(caught.value)
        assert "ana@" not in str(caught.value), "no error repeats a value"
        return caught.value

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a query."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def rows(self, columns: str = "id, email, amount::text, paid_on::text") -> list[tuple[Any, ...]]:
        """The rows in raw that are not gone."""
        rows = self.query(f"select {columns} from raw.orders where gone_at is null order by id")
        return [tuple(row.values()) for row in rows]

    def rejects(self) -> list[tuple[str | None, str, str]]:
        """Key, reason and detail of what was rejected."""
        rows = self.query("select source_id, reason, detail from cutover.rejects order by reject_id")
        return [(row["source_id"], row["reason"], row["detail"]) for row in rows]


@pytest.fixture
def drop(tmp_path: Path, database: str) -> Drop:
    """An empty folder."""
    root = tmp_path / "drop"
    root.mkdir()
    return Drop(root, database)


# what is read


def test_rows_of_csv_come_with_types_and_where_they_are_from(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    report = drop.sync()
    assert drop.rows() == [(1, "ana@example.com", "10.50", "2026-01-02"), (2, "bo@example.com", None, None)]
    assert drop.rows("source_file, source_line, page_no") == [("a.csv", 2, 1), ("a.csv", 3, 1)]
    assert drop.rows("api_response")[0][0] == {
        "id": "1",
        "email": "ana@example.com",
        "amount": "10.50",
        "paid_on": "2026-01-02",
    }
    assert (report.files, report.rows, report.new, report.total, report.written) == (1, 2, 2, 2, 2)
    assert "ana@" not in json.dumps(report.to_xcom()) + "".join(drop.log)


def test_csv_as_programs_write_it(drop: Drop) -> None:
    text = "\ufeffpaid_on;E-Mail;extra;id;amount\r\n2026-01-02;'a; b''s\r\nsecond line';x;1;1\r\n\r\nNULL;NULL;x;2;NULL"
    drop.put("a.csv", text)
    given = {"delimiter": ";", "quote": "'", "no_value": "NULL", "names": {"email": "E-Mail"}, "ignore": ["extra"]}
    drop.sync(**given)
    assert drop.rows() == [(1, "a; b's\r\nsecond line", "1.00", "2026-01-02"), (2, None, None, None)]
    assert drop.rows("source_line") == [(2,), (5,)]
    assert "extra" not in drop.rows("api_response")[0][0], "what is ignored stays where it is"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_encodings_and_packed_files(drop: Drop, encoding: str) -> None:
    drop.put("a.csv.gz", gzip.compress((HEADER + "1,Zoë,1,\n").encode(encoding)))
    drop.sync(pattern="*.csv.gz", encoding=encoding)
    assert drop.rows("id, email") == [(1, "Zoë")]


def test_json_lines_with_every_kind_of_value(drop: Drop) -> None:
    columns = {"id": "text", "n": "numeric", "ok": "boolean", "tags": "text[]", "doc": "jsonb", "note": "text"}
    exact = "12345678901234567890.123456789"
    lines = [
        f'{{"id":"a","n":{exact},"ok":true,"tags":["x,y","\\"z"],"doc":{{"b":[1]}},"note":"\\u00e9 \\n"}}',
        "",
        '{"id": 7, "doc": "text", "Other": 1, "tags": []}',
    ]
    drop.put("a.ndjson", "\n".join(lines))
    drop.sync(pattern="*.ndjson", format="json lines", columns=columns, personal=[], ignore=["Other"])
    wanted = "id, n::text, ok, tags, doc, note"
    assert drop.rows(wanted) == [
        ("7", None, None, [], "text", None),
        ("a", exact, True, ["x,y", '"z'], {"b": [1]}, "é \n"),
    ]
    assert drop.rows("api_response")[0][0] == {"id": 7, "doc": "text", "tags": []}


# once, and in which order


def test_a_file_is_read_once(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop.put("a.csv", ONE)
    drop.sync()
    before = drop.query("select xmin::text, ctid::text from raw.orders")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "opened", lambda *_: pytest.fail("an unchanged file is not even opened"))
        report = drop.sync()
    assert (report.files, report.rows, report.written, report.total) == (0, 0, 0, 2)
    os.utime(drop.root / "a.csv", (1, 1))
    assert drop.sync().files == 0, "the same bytes under another time"
    assert drop.sync(full=True).files == 1
    assert drop.query("select xmin::text, ctid::text from raw.orders") == before, "nothing is written that is the same"
    assert len(drop.query("select 1 from cutover.sync_file")) == 2


def test_what_raw_holds_follows_from_names_and_not_from_when_files_came(drop: Drop) -> None:
    contents = {
        "1.csv": HEADER + "1,old,1,\n2,only-in-one,1,\n3,one,1,\n",
        "2.csv": HEADER + "1,middle,2,\n3,two,2,\n",
        "3.csv": HEADER + "1,new,3,\n1,newest,4,\n3,one,1,\n",
    }
    expected = [(1, "newest"), (2, "only-in-one"), (3, "one")]
    for order in (["1.csv", "3.csv", "2.csv"], ["3.csv", "1.csv", "2.csv"], ["2.csv", "3.csv", "1.csv"]):
        for path in drop.root.iterdir():
            path.unlink()
        drop.query("drop schema if exists raw cascade; drop schema if exists cutover cascade")
        for name in order:
            drop.put(name, contents[name])
            drop.sync()
        assert drop.rows("id, email") == expected, order
    assert sum(row["repeated"] for row in drop.query("select repeated from cutover.sync_file")) == 1


def test_a_changed_file_is_told_and_read_over_what_it_brought(drop: Drop) -> None:
    drop.put("a.csv", ONE + "x,bad,1,\n")
    drop.sync()
    assert len(drop.rejects()) == 1
    drop.put("a.csv", HEADER + "1,new@example.com,11,\n")
    report = drop.sync()
    assert any("a.csv was changed since it was read" in note for note in report.not_given)
    assert (report.changed, report.unchanged) == (1, 0)
    assert drop.rows("id, email") == [(1, "new@example.com"), (2, "bo@example.com")]
    assert drop.rejects() == [], "what the file had wrong it has no more"
    assert len(drop.query("select 1 from cutover.sync_file where name = 'a.csv'")) == 2, "both versions are on record"


def test_a_removed_file_is_told_once_and_its_rows_stay(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", HEADER + "3,c,1,\n")
    drop.sync()
    (drop.root / "a.csv").unlink()
    report = drop.sync()
    assert [note.split(":")[0] for note in report.not_given] == ["a.csv is no longer in the folder"]
    assert drop.sync().not_given == []
    assert len(drop.rows()) == 3
    drop.put("a.csv", ONE)
    assert drop.sync().files == 0, "it is back, as it was"
    assert drop.query("select removed_at from cutover.sync_file where name = 'a.csv'") == [{"removed_at": None}]


def test_only_the_files_of_the_pattern_in_their_folder(drop: Drop) -> None:
    for name in ("2026/02/a.csv", "2026/01/z.csv", "top.csv", "2026/b.csv", "2026/01/.hidden.csv", "2026/01/x.txt"):
        drop.put(name, HEADER + f"{len(name)},{name},1,\n")
    drop.sync(pattern="*/*/*.csv")
    assert drop.query("select name from cutover.sync_file order by file_id") == [
        {"name": "2026/01/z.csv"},
        {"name": "2026/02/a.csv"},
    ]


# whole lists


def test_of_whole_lists_the_last_counts_and_what_it_lacks_is_gone(drop: Drop) -> None:
    everyone = "".join(f"{n},c{n},1,\n" for n in range(1, 101))
    drop.put("1.csv", HEADER + everyone)
    drop.put("2.csv", HEADER + everyone.replace("5,c5,1,\n", "").replace("7,c7,1,\n", "7,c7,no number,\n"))
    report = drop.sync(whole=True)
    assert (report.files, report.total, report.rejected) == (1, 98, 1), "only the last one is read"
    drop.put("3.csv", HEADER + everyone)
    report = drop.sync(whole=True)
    assert (report.new, report.gone, report.total) == (2, 0, 100)
    drop.put("4.csv", HEADER + everyone.replace("9,c9,1,\n", "9,c9,no number,\n").replace("1,c1,1,\n", "", 1))
    report = drop.sync(whole=True)
    assert (report.gone, report.total, report.rejected) == (1, 99, 1), "a row that was rejected is not gone"
    assert drop.rows("id")[0] == (2,)
    assert (9,) in drop.rows("id")
    drop.put("5.csv", HEADER + everyone.replace("42,c42,1,\n", "").replace("8,c8,1,\n", "8,\n", 1))
    report = drop.sync(whole=True)
    assert (report.gone, report.total) == (0, 100), "a rejected row without a key may be anybody's"
    assert any("not marked as gone" in note for note in report.not_given)
    (drop.root / "5.csv").unlink()
    report = drop.sync(whole=True)
    assert report.files == 0, "an older list does not stand over a later one"
    assert "5.csv, the last list that was read, is no longer there" in report.not_given[0]


def test_a_whole_list_that_lacks_many_rows_is_not_believed(drop: Drop) -> None:
    drop.put("1.csv", HEADER + "".join(f"{n},c{n},1,\n" for n in range(100)))
    drop.sync(whole=True)
    drop.put("2.csv", HEADER + "1,c1,1,\n")
    drop.refuses("extract.too-many-gone", whole=True)
    assert len(drop.rows()) == 100
    assert drop.sync(whole=True, accept_gone=True).gone == 99


# what is complete


def test_a_file_is_left_alone_until_it_is_complete(drop: Drop) -> None:
    path = drop.put("a.csv", ONE)
    error = drop.refuses("extract.no-files", settled="1h")
    assert "none of the 1 files there is complete" in error.why
    os.utime(path, (1, 1))
    drop.put("b.csv", HEADER + "3,c,1,\n")
    report = drop.sync(settled="1h")
    assert (report.files, report.total) == (1, 2)
    assert "b.csv is left for later: it was written to 0 s ago" in report.not_given[0]


def test_a_marker_says_that_a_file_is_complete(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", HEADER + "3,c,1,\n")
    drop.put("a.csv.done", "")
    report = drop.sync(marker=".done", pattern="*", settled="1h")
    assert [row["name"] for row in drop.query("select name from cutover.sync_file")] == ["a.csv"]
    assert report.not_given == ["b.csv is left for later: it has no marker b.csv.done"]
    drop.put("b.csv.done", "")
    assert drop.sync(marker=".done", pattern="*").files == 1


@pytest.mark.parametrize("change", ["longer", "same size", "removed", "behind what was read"])
def test_a_file_that_changes_while_it_is_read_is_refused_and_read_again(
    drop: Drop, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = drop.put("a.csv", HEADER + "".join(f"{n},c{n},1,\n" for n in range(40_000)))
    genuine = records.records

    def meddle() -> None:
        if change == "removed":
            path.unlink()
            return
        at = path.stat()
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END if change == "longer" else os.SEEK_SET)
            if change == "same size":
                file.seek(-10, os.SEEK_END)
            elif change == "behind what was read":
                file.seek(len(HEADER))
            file.write(b"9999999999")
        if change == "same size":
            # a clock that is too coarse to show it: only the bytes do
            os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))

    def reading(*arguments: Any) -> Iterator[Any]:
        for number, record in enumerate(genuine(*arguments)):
            if number == 1_000:
                meddle()
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(extract_load, "records", reading)
        drop.refuses("extract.file-changed")
    assert drop.rows() == []
    assert drop.query("select 1 from cutover.sync_file") == []
    drop.put("a.csv", ONE)
    assert drop.sync().total == 2


# bad rows


def test_a_bad_row_is_rejected_with_its_text_and_stops_nothing(drop: Drop) -> None:
    good = "".join(f"{n},c{n},1,\n" for n in range(100, 300))
    bad = (
        "1,one\n"
        "2,two,ana@example.com,\n"
        "3,three,1,2026-02-30\n"
        ",four,1,\n"
        "5,five,1.239,\n"
        "6,six,1,01/02/2026\n"
        '7,"sev"en,1,\n'
        "99999999999999999999,eight,1,\n"
    )
    drop.put("a.csv", (HEADER + good + bad).encode() + b"9,ana\xe9@example.com,1,\n" + b"10,\0,1,\n" + b"11,fine,1,\n")
    report = drop.sync()
    assert (report.rows, report.rejected, report.new) == (211, 10, 201)
    assert drop.rows("id")[0] == (11,)
    values = [(key, reason, detail.removeprefix("a.csv, ")) for key, reason, detail in drop.rejects()]
    assert values == [
        (None, "ragged", "line 202: it has 2 fields, and the header 4"),
        (None, "no_id", "line 205: it has no usable id"),
        ("5", "unstorable", "line 206: amount: more than 2 digits behind the point, which would be rounded"),
        (None, "unreadable", "line 208: it is no CSV: ',' expected after '\"'"),
        (None, "unreadable", "line 210: it is not utf-8 (byte 0xe9)"),
        (None, "unreadable", "line 211: it holds a NUL"),
        ("2", "unstorable", "line 203: amount: invalid input syntax for type numeric (22P02)"),
        ("3", "unstorable", "line 204: paid_on: date/time field value out of range (22008)"),
        ("6", "unstorable", "line 207: paid_on: date/time field value out of range (22008)"),
        (
            "99999999999999999999",
            "unstorable",
            "line 209: id: value is out of range for type bigint (22003)",
        ),
    ]
    held = drop.query("select source_row, source_bytes from cutover.rejects order by reject_id")
    assert bytes(held[0]["source_bytes"]) == b"1,one\n"
    assert bytes(held[4]["source_bytes"]) == b"9,ana\xe9@example.com,1,\n"
    assert held[6]["source_row"] == {"id": "2", "email": "two", "amount": "ana@example.com", "paid_on": None}


def test_bad_json_lines_are_rejected_alone(drop: Drop) -> None:
    lines = [json.dumps({"id": n, "email": f"c{n}"}) for n in range(100, 200)]
    lines[50:50] = [
        '{"id": 1, "email": "cut',
        '{"id": 2, "email": "\\u0000"}',
        '{"id": 3, "email": "\\ud800"}',
        '["no object"]',
        '{"id": 4, "unknown": 1}',
        '{"email": "no id"}',
        '{"id": {"a": 1}}',
        '{"id": 5, "email": NaN}',
        '{"id": 6, "amount": 1e999999}',
        "[" * 100_000,
    ]
    drop.put("a.ndjson", "\n".join(lines))
    report = drop.sync(pattern="*.ndjson", format="json lines")
    assert (report.rows, report.rejected, report.total) == (110, 10, 100)
    assert [detail.split(": ", 1)[0] for _, _, detail in sorted(drop.rejects(), key=lambda one: one[2])] == [
        f"a.ndjson, line {line}" for line in range(51, 61)
    ]


def test_many_bad_rows_among_good_ones_cost_no_more_than_a_few_tries_each(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"{n},c,{'x' if n % 3 == 0 else '1'},\n" for n in range(1_200))
    drop.put("a.csv", HEADER + lines)
    tries: list[int] = []
    genuine = extract_load.Load._write_all
    monkeypatch.setattr(
        extract_load.Load, "_write_all", lambda self, part: (tries.append(len(part)), genuine(self, part))[1]
    )
    report = drop.sync(rejected_share=0.5)
    assert (report.rejected, report.new) == (400, 800)
    assert len(tries) < 4 * 400
    assert sum(tries) < 140 * 400


def test_a_file_of_bad_rows_is_not_believed(drop: Drop) -> None:
    drop.put("a.csv", HEADER + "".join(f"{n},ana@example.com,1;5,\n" for n in range(30)))
    drop.put("b.csv", HEADER + "1,b,x,\n2,b,x,\n3,b,x,\n")
    drop.put("c.csv", ONE)
    error = drop.refuses("extract.too-many-rejected")
    assert "30 of 30 rows cannot be stored; the first on line 2: amount: invalid input syntax" in error.why
    assert "and 1 more could not be read" in error.why
    assert len(drop.rows()) == 2, "the file that is well was stored"
    assert drop.rejects() == []
    drop.put("a.csv", HEADER + "".join(f"{n},c,x,\n" for n in range(1_050)))
    assert "the rest was not read" in drop.refuses("extract.too-many-rejected").why


# files that cannot be read

BROKEN: dict[str, tuple[bytes, str, str]] = {
    "no byte": (b"", "empty-file", "it has no byte"),
    "no header": (b"1,ana@example.com,1,2026-01-01\n", "no-header", "none of the names id, email"),
    "another delimiter": (b"id;email;amount;paid_on\n1;a;1;\n", "no-header", "none of the names"),
    "a column too few": (b"id,email,amount\n1,a,1\n", "wrong-columns", "paid_on is missing"),
    "a column too many": (b"id,email,amount,paid_on,more\n", "wrong-columns", "'more' is not known"),
    "a column twice": (b"id,email,amount,paid_on,id\n", "wrong-columns", "id is there twice"),
    "utf-16": (ONE.encode("utf-16"), "wrong-encoding", "it is not utf-8"),
    "cut within quotes": (ONE.encode() + b'3,"ana@example.com,1,\n', "open-quote", "not closed to the end"),
    "a quote that runs on": (
        ONE.encode() + b'3,"x,1,\n' + b"4,x,1,2026-01-01\n" * 300_000,
        "open-quote",
        "for millions of characters",
    ),
    "no line ends": (HEADER.encode() + b"x" * 5_000_000, "long-record", "more than 4,194,304 characters"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_be_read_is_an_error_in_words(drop: Drop, kind: str) -> None:
    content, code, why = BROKEN[kind]
    drop.put("a.csv", content)
    drop.put("b.csv", HEADER + "7,fine,1,\n")
    error = drop.refuses(f"extract.{code}")
    assert why in error.why
    assert drop.rows("id") == [(7,)], "it keeps nobody from the others"
    assert drop.query("select state, error_code from cutover.sync") == [
        {"state": "failed", "error_code": f"extract.{code}"}
    ]
    drop.put("a.csv", ONE)
    assert drop.sync().total == 3


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (gzip.compress(ONE.encode() * 50)[:-20], "cut-off"),
        (ONE.encode(), "no-gzip"),
        (gzip.compress(b""), "empty-file"),
        (gzip.compress(ONE.encode())[:-8] + b"damaged!", "no-gzip"),
    ],
)
def test_a_packed_file_that_is_broken(drop: Drop, content: bytes, code: str) -> None:
    drop.put("a.csv.gz", content)
    drop.refuses(f"extract.{code}", pattern="*.gz")
    assert drop.rows() == []


def test_a_folder_that_cannot_be_read(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop.put("a.txt", ONE)
    assert "no file that matches *.csv (1 do not)" in drop.refuses("extract.no-files").why
    genuine = drop.path
    drop.path = ObjectStoragePath((drop.root / "elsewhere").as_uri())
    drop.refuses("extract.no-folder")
    drop.path = ObjectStoragePath((drop.root / "a.txt").as_uri())
    drop.refuses("extract.no-folder")
    drop.path = genuine
    drop.put("a.csv", ONE)
    # tests may run as a user who may read everything
    monkeypatch.setattr(type(drop.path.fs), "ls", _denied)
    assert "the account that the worker runs as may not read it" in drop.refuses("extract.no-permission").why


def _denied(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_types_are_written_as_postgresql_writes_them(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    assert "id would be integer" in drop.refuses("extract.bad-type", columns={**COLUMNS, "id": "int"}).why
    drop.refuses("extract.bad-type", columns={**COLUMNS, "id": "nothing"})
    assert drop.query("select to_regclass('raw.orders') as found") == [{"found": None}]
    assert drop.sync().total == 2


# again


def test_a_sync_that_failed_goes_on_with_what_it_had_not_stored(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", "")
    drop.refuses("extract.empty-file")
    drop.put("b.csv", HEADER + "3,c,1,\n")
    report = drop.sync()
    assert (report.files, report.total) == (1, 3), "a.csv is not read twice"
    states = drop.query("select state from cutover.sync order by sync_id")
    assert [row["state"] for row in states] == ["abandoned", "complete"]
    drop.put("c.csv", HEADER + "4,d,1,\n")
    drop.put("d.csv", "")
    drop.refuses("extract.empty-file")
    drop.put("d.csv", HEADER + "5,e,1,\n")
    report = drop.sync()
    assert (report.files, report.total) == (1, 5), "nor is what was read before that, nor c.csv"


def test_a_sync_whose_session_is_ended_has_stored_whole_files_alone(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", HEADER + "".join(f"{n},c{n},1,\n" for n in range(10, 20_000)))
    genuine = records.records

    def reading(*arguments: Any) -> Iterator[Any]:
        for number, record in enumerate(genuine(*arguments)):
            if number == 12_000:
                drop.query(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(extract_load, "records", reading)
        drop.refuses("extract.database")
    assert drop.rows("id") == [(1,), (2,)]
    report = drop.sync()
    assert (report.files, report.total) == (1, 19_992)


def test_a_sync_that_is_killed_behind_its_last_file_reads_none_again(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", HEADER + "3,c,x,\n4,d,1,\n")
    genuine = extract_drop._Sync._finish

    def killed(steps: Any, *given: Any, **named: Any) -> Any:
        drop.query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return genuine(steps, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(extract_drop._Sync, "_finish", killed)
        drop.refuses("extract.database")
    before = drop.rows()
    report = drop.sync()
    assert (report.files, report.new, report.total) == (0, 0, 3)
    assert drop.rows() == before and len(drop.rejects()) == 1
    states = drop.query("select state, rows, rejected from cutover.sync order by sync_id")
    assert [tuple(row.values()) for row in states] == [("abandoned", 4, 1), ("complete", 0, 0)]


def test_two_files_that_have_exchanged_their_names_are_both_read_again(drop: Drop) -> None:
    drop.put("a.csv", HEADER + "1,a,10,\n2,a,10,\n")
    drop.put("b.csv", HEADER + "1,b,20,\n3,b,20,\n")
    drop.sync()
    assert drop.rows("id, email") == [(1, "b"), (2, "a"), (3, "b")]
    aside = drop.root / "aside"
    (drop.root / "a.csv").rename(aside)
    (drop.root / "b.csv").rename(drop.root / "a.csv")
    aside.rename(drop.root / "b.csv")
    report = drop.sync()
    # a.csv once more, for what b.csv has lost
    assert report.files == 3
    assert sum("was changed since it was read" in note for note in report.not_given) == 2
    # the third is in a.csv now, and no longer in b.csv
    shown = "id, email, source_file"
    here = [(1, "a", "b.csv"), (2, "a", "b.csv"), (3, "b", "a.csv")]
    assert drop.rows(shown) == here
    drop.query("drop table raw.orders")
    drop.sync()
    assert drop.rows(shown) == here, "as if they had been read from nothing"


# what a changed file has lost

SHOWN = "id, email, source_file"


def lost(drop: Drop, **further: str) -> None:
    """Three files that were read, of which the middle one has row 2 of version "b"; and then has it no more."""
    for name, content in {"b.csv": "1,b,1,\n2,b,1,\n", **further}.items():
        drop.put(name, HEADER + content)
    drop.sync()
    drop.put("b.csv", HEADER + "1,b,1,\n")


@pytest.mark.parametrize(
    ("further", "row"),
    [
        ({"a.csv": "2,a,1,\n9,a,1,\n"}, (2, "a", "a.csv")),
        ({"a.csv": "2,a,1,\n", "a2.csv": "2,a2,1,\n", "a3.csv": "3,a3,1,\n"}, (2, "a2", "a2.csv")),
        # the same row, written alike
        ({"a.csv": "2,b,1,\n"}, (2, "b", "a.csv")),
        ({"c.csv": "2,c,1,\n"}, (2, "c", "c.csv")),
        ({"a.csv": "2,a,1,\n", "c.csv": "2,c,1,\n"}, (2, "c", "c.csv")),
        # in no other: it stays
        ({"a.csv": "3,a,1,\n"}, (2, "b", None)),
        # what the earlier file had wrong is no row
        ({"a.csv": "2,a,x,\n3,a,1,\n"}, (2, "b", None)),
    ],
)
def test_what_a_changed_file_has_lost_is_found_in_another(
    drop: Drop, further: dict[str, str], row: tuple[Any, ...]
) -> None:
    lost(drop, **further)
    rejects = drop.rejects()
    report = drop.sync()
    assert row in drop.rows(SHOWN)
    rows = drop.rows(SHOWN)
    assert report.rows == report.new + report.changed + report.returned + report.unchanged + report.rejected
    assert drop.rejects() == rejects, "each is told once"
    assert drop.sync().files == 0, "each file is looked into once"
    if row[2] is not None:
        drop.query("drop table raw.orders")
        drop.sync()
        assert drop.rows(SHOWN) == rows, "as if they had been read from nothing"


def test_what_no_file_has_any_file_may_bring(drop: Drop) -> None:
    lost(drop)
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "b", None)]
    drop.put("a.csv", HEADER + "1,a,1,\n2,a,1,\n")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "a", "a.csv")]
    drop.put("b.csv", HEADER + "1,b,1,\n2,b again,1,\n")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "b again", "b.csv")]


def test_a_row_that_a_changed_file_has_wrong_is_not_lost(drop: Drop) -> None:
    lost(drop, **{"a.csv": "2,a,1,\n"})
    drop.put("b.csv", HEADER + "1,b,1,\n2,b,x,\n")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "b", "b.csv")]


def test_a_sync_that_is_killed_behind_the_file_that_lost_a_row_finds_it_when_it_is_started_again(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(drop, **{"a.csv": "2,a,1,\n", "a2.csv": "1,a2,1,\n"})
    genuine = extract_load.Load.refill

    def killed(load: Any, *given: Any) -> Any:
        drop.query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return genuine(load, *given)

    with monkeypatch.context() as patch:
        patch.setattr(extract_load.Load, "refill", killed)
        drop.refuses("extract.database")
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "b", None)], "never lost"
    report = drop.sync()
    assert report.files == 2
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "a", "a.csv")]
    assert drop.sync().files == 0


def test_whoever_was_erased_is_not_brought_back_by_a_file_that_is_looked_into_again(drop: Drop) -> None:
    lost(drop, **{"a.csv": "2,a,1,\n3,erased,1,\n4,erased,x,\n"})
    drop.query("delete from raw.orders where id = 3")
    drop.query("delete from cutover.rejects")
    # as the erasure leaves it, so that nothing seems to be missing
    drop.query("update cutover.sync_state set stored = stored - 1")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "a", "a.csv")]
    assert drop.rejects() == []
    drop.put("b.csv", HEADER + "1,b,1,\n2,b,1,\n")
    drop.sync()
    drop.query("delete from raw.orders where id = 2")
    drop.query("update cutover.sync_state set stored = stored - 1")
    drop.put("b.csv", HEADER + "1,b,1,\n")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv")], "who was erased has no row to be lost"


def test_a_file_that_was_away_is_looked_into_when_it_is_back(drop: Drop) -> None:
    lost(drop, **{"a.csv": "2,a,1,\n"})
    (drop.root / "a.csv").rename(drop.root / "aside")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "b", None)]
    (drop.root / "aside").rename(drop.root / "a.csv")
    drop.sync()
    assert drop.rows(SHOWN) == [(1, "b", "b.csv"), (2, "a", "a.csv")]


def test_rows_that_somebody_has_taken_away_are_read_again(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    drop.sync()
    drop.query("delete from raw.orders where id = 1")
    report = drop.sync()
    assert (report.files, report.new, report.total) == (1, 1, 2)
    assert "raw has 1 rows where the last sync left 2" in report.because
    drop.query("drop table raw.orders")
    assert drop.sync().new == 2


def test_another_declaration_reads_all_files_again(drop: Drop) -> None:
    drop.put("a.csv", HEADER.replace("email", "email,name") + "1,a,Ana,1,\n")
    drop.sync(ignore=["name"])
    assert drop.sync(ignore=["name"], rejected_share=0.2).files == 0, "a bound changes nothing of the rows"
    report = drop.sync(names={"email": "name"}, ignore=["email"])
    assert (report.files, drop.rows("email")) == (1, [("Ana",)])
    wider = {**COLUMNS, "name": "text"}
    assert drop.sync(columns=wider).files == 1
    assert drop.rows("email, name") == [("a", "Ana")]


def test_a_raw_table_is_not_made_anew_without_all_its_files(drop: Drop) -> None:
    drop.put("a.csv", ONE)
    drop.put("b.csv", HEADER + "3,c,1,\n")
    drop.sync()
    (drop.root / "a.csv").unlink()
    fewer = {name: kind for name, kind in COLUMNS.items() if name != "paid_on"}
    error = drop.refuses("extract.files-gone", columns=fewer, ignore=["paid_on"])
    assert "a.csv" in error.why
    assert len(drop.rows()) == 3
    assert drop.sync(columns=fewer, ignore=["paid_on"], accept_gone=True).total == 1


def test_two_syncs_at_once_read_a_file_once(drop: Drop) -> None:
    for number in range(3):
        drop.put(f"{number}.csv", HEADER + "".join(f"{n},c{n},1,\n" for n in range(2_000)))
    failures: list[BaseException] = []

    def one() -> None:
        try:
            drop.sync()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(drop.query("select 1 from cutover.sync_file")) == 3


def test_memory_does_not_grow_with_the_file(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held at once is bounded, in rows and in characters; so is what is read at once."""
    held: list[tuple[int, int]] = []
    genuine = extract_load.Load._write_all

    def write(self: Any, part: list[records.Record]) -> None:
        held.append((len(part), sum(len(one.response) for one in part)))
        genuine(self, part)

    sizes: list[int] = []
    read_into = extract_folder.Digesting.readinto

    def reading(self: Any, buffer: Any) -> int:
        sizes.append(len(buffer))
        return read_into(self, buffer)

    monkeypatch.setattr(extract_load.Load, "_write_all", write)
    monkeypatch.setattr(extract_folder.Digesting, "readinto", reading)
    wide = "x" * 1_000_000
    drop.put(
        "a.csv",
        HEADER + "".join(f"{n},{wide},1,\n" for n in range(20)) + "".join(f"{100 + n},,1,\n" for n in range(12_000)),
    )
    assert drop.sync().total == 12_020
    assert max(rows for rows, _ in held) <= 5_000
    assert max(size for _, size in held) < 6_000_000
    assert max(sizes) <= 1024 * 1024


# object storage


@pytest.fixture(scope="module")
def bucket(s3: Any) -> Any:
    """A client of an S3-compatible server, with a bucket."""
    s3.create_bucket(Bucket="drops")
    return s3


def test_a_drop_in_a_bucket_by_an_airflow_connection(drop: Drop, bucket: Any) -> None:
    given = {"path": "s3://drops/shop/orders", "connection": CONNECTION, "pattern": "*.csv*"}

    def put(name: str, text: str) -> None:
        body = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
        bucket.put_object(Bucket="drops", Key=f"shop/orders/{name}", Body=body)

    drop.path = folder(drop.declared(**given))
    drop.refuses("extract.no-folder", **given)
    put("1.csv", ONE)
    put("2.csv.gz", HEADER + "".join(f"{n},c{n},1,\n" for n in range(3, 3_000)))
    put("archive/0.csv", HEADER + "0,archived,1,\n")
    assert (drop.sync(**given).files, len(drop.rows())) == (2, 2_999)
    assert drop.sync(**given).files == 0
    assert drop.rows("source_file")[5] == ("2.csv.gz",)
    put("1.csv", ONE.replace("bo@", "bob@"))
    report = drop.sync(**given)
    assert (report.files, report.changed) == (1, 1)
    bucket.delete_object(Bucket="drops", Key="shop/orders/1.csv")
    assert "1.csv is no longer in the folder" in drop.sync(**given).not_given[0]
    drop.path = folder(drop.declared(**{**given, "path": "s3://no-such-bucket/orders"}))
    drop.refuses("extract.no-folder", **{**given, "path": "s3://no-such-bucket/orders"})


def test_an_object_that_is_replaced_while_it_is_read_is_refused(
    drop: Drop, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"path": "s3://drops/replaced", "connection": CONNECTION}
    text = HEADER + "".join(f"{n},c{n}{'x' * 100},1,\n" for n in range(30_000))
    bucket.put_object(Bucket="drops", Key="replaced/a.csv", Body=text.encode())
    drop.path = folder(drop.declared(**given))
    genuine = records.records

    def reading(*arguments: Any) -> Iterator[Any]:
        for number, record in enumerate(genuine(*arguments)):
            if number == 100:
                bucket.put_object(Bucket="drops", Key="replaced/a.csv", Body=text.replace("c1", "d1").encode())
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(extract_load, "records", reading)
        drop.refuses("extract.file-changed", **given)
    assert drop.rows() == []
    assert drop.sync(**given).total == 30_000
    assert drop.rows("left(email, 2)")[1] == ("d1",)


def test_a_store_that_does_not_answer_is_an_error_in_words(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = connect_to(monkeypatch, f"http://127.0.0.1:{free_port()}")
    given = {"path": "s3://drops/orders", "connection": nobody}
    drop.path = folder(drop.declared(**given))
    error = drop.refuses("extract.storage", **given)
    assert f"see to the storage, or to connection {nobody}" in error.remedy
    with pytest.raises(CutoverError, match=r"(?s)extract\.no-connection.*AIRFLOW_CONN_NO_SUCH"):
        folder(drop.declared(path="s3://drops/orders", connection="no_such"))


# declared, and as a task


def declare(text: str, name: str = "shop") -> Migration:
    """A migration with one file drop, of these lines."""
    lines = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return parse(f"migration: {name}\nfiles:\n  orders:\n{lines}", name)


@pytest.mark.parametrize(
    ("line", "key", "why"),
    [
        ("format: xml", "files.orders.format", "it is 'xml', and should be 'csv' or 'json lines'"),
        ("path: /srv/drop", "files.orders.path", "should be an address such as s3://bucket/folder"),
        ("encoding: utf-9", "files.orders.encoding", "is no encoding that Python knows"),
        ("key: other", "files.orders", "`other` is not among the columns"),
        ("personal: [mail]", "files.orders", "`mail` is not among the columns"),
        ("names: {id: name}", "files.orders", "'name' stands for two things in the files"),
        ("ignore: [name]", "files.orders", "'name' stands for two things in the files"),
        ("columns: {id: text, sync_id: text}", "files.orders", "`sync_id` is the engine's own"),
        ("columns: {id: 'text; drop table x'}", "files.orders.columns.id", "a type as PostgreSQL itself writes it"),
        ("delimiter: '\"'", "files.orders", "`delimiter` and `quote` are two characters"),
        ("format: json lines\ndelimiter: ;", "files.orders", "`delimiter` is for csv"),
        ("pattern: /a/*.csv", "files.orders.pattern", "names of folders and files, such as *.csv"),
        ("settled: soon", "files.orders.settled", "a span is a number with its unit"),
        ("wholly: true", "files.orders.wholly", "Did you mean `whole`"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused_with_its_key(line: str, key: str, why: str) -> None:
    right = {"path": "s3://bucket/drop", "format": "csv", "columns": "{id: text, name: text}"}
    given = dict(one.split(": ", 1) for one in line.splitlines())
    text = "\n".join(f"{name}: {value}" for name, value in {**right, **given}.items())
    with pytest.raises(CutoverError) as caught:
        declare(text)
    assert caught.value.code == "migration.invalid"
    assert caught.value.obj.endswith(f", {key}"), caught.value
    assert why in caught.value.why


def test_two_sources_of_one_name_are_refused() -> None:
    table = "{database: old, table: public.o, columns: {id: text}}"
    text = f"migration: shop\ndatabases: {{old: {{}}}}\ntables:\n  orders: {table}\n"
    files = "files:\n  orders: {path: 's3://b/o', format: csv, columns: {id: text}}\n"
    with pytest.raises(CutoverError, match=r"another source is called 'orders', too"):
        parse(text + files, "shop")


def test_a_task_of_its_own_reads_the_files_and_reports_without_a_value(
    drop: Drop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "include/sql/shop"
    place.mkdir(parents=True)
    declared = f"path: {drop.root.as_uri()}\nformat: csv\nsettled: 0s\ncolumns: {json.dumps(COLUMNS)}"
    lines = "".join(f"    {line}\n" for line in declared.splitlines())
    (place / "migration.yaml").write_text(f"migration: shop\nfiles:\n  orders:\n{lines}")
    monkeypatch.setenv("CUTOVER_INCLUDE", str(tmp_path / "include"))
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", drop.dsn)
    load.cache_clear()
    with DAG("d", schedule=None):
        group = extract_group("shop")
    task = group.children["extract.orders"]
    assert isinstance(task, FileDropOperator)
    assert [asset.name for asset in task.outlets] == ["raw.orders"]
    drop.put("a.csv", ONE)
    context: Any = {
        "dag_run": SimpleNamespace(dag_id="raw_sync", run_id="scheduled__2025-11-02T08:00:00+00:00"),
        "params": {},
        "outlet_events": defaultdict(SimpleNamespace),
    }
    made = FileDropOperator(task_id="orders", migration="shop", drop="orders")
    rows = made.execute(context)
    assert (rows["files"], rows["rows"], rows["total"]) == (1, 2, 2)
    assert "ana@" not in json.dumps(rows)
    [event] = context["outlet_events"].values()
    assert event.extra == {"changed": 2, "total": 2}
    with psycopg.connect(drop.dsn) as connection:
        assert list(status._extracted(connection, load("shop"))) == ["orders"]
    load.cache_clear()
