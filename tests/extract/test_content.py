"""Content that nobody expects: kept, exact, and whole where it cannot be kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutover.database.connect import connector
from cutover.errors import CutoverError
from cutover.extract.client import Access
from cutover.extract.page import BodyError, reader, storable
from cutover.extract.report import SyncReport
from cutover.extract.sync import sync
from demo.population import Nasty, Population, Profile
from demo.simulators.server import Request, Response
from tests.extract.conftest import MIGRATION, SOURCES, Hurried, World
from tests.extract.scripted import Scripted

CONTACT = b'{"id":%d,"email":"a@example.com","registeredAt":"2024-01-01T00:00:00+00:00","fields":[],"tags":[]%s}'


@contextmanager
def serving(rows: list[bytes], name: str = "systemeio_contacts") -> Iterator[Scripted]:
    """An API that has exactly these rows, byte by byte."""
    source = MIGRATION.source(name)

    def handler(request: Request) -> Response:
        if source.rows is None:
            cursor = next((request.value(name) for name in source.paging.cursor if request.value(name)), None)
            ids = [json.loads(row)["id"] for row in rows]
            start = 0 if cursor is None else len(ids) - ids[::-1].index(cursor)
            return Response(200, b"[" + b",".join(rows[start:]) + b"]")
        more = (source.paging.more or "").encode()
        return Response(200, b'{"%s":[%s],"%s":false}' % (source.rows.encode(), b",".join(rows), more))

    with Scripted(handler) as server:
        yield server


def bring(
    server: Scripted,
    dsn: str,
    name: str = "systemeio_contacts",
    log: Any = lambda _line: None,
    accept_gone: bool = False,
    **declared: Any,
) -> SyncReport:
    """Sync the source from this server."""
    source = MIGRATION.source(name).model_copy(update={"history": None, "incremental": (), **declared})
    access = Access(source.connection, server.url, "the-key-of-the-api", patience=2.0)
    connect = connector(dsn, "production", "test")
    return sync(source, MIGRATION.service(source), access, connect, accept_gone=accept_gone, log=log, clock=Hurried())


def query(dsn: str, statement: str) -> list[dict[str, Any]]:
    """Rows of a query."""
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_what_the_demonstration_knows_of_nasty_content(simulate: Callable[..., World]) -> None:
    world = simulate(Population(profile=Profile().shrunk(200), nasty=Nasty.everything(2)))
    for name in SOURCES:
        world.sync(name)
    assert world.query("select 1 from cutover.rejects") == []
    for name in ("xendit_invoices", "xendit_transactions", "systemeio_contacts"):
        stored, truth = world.content(name), world.truth(name)
        assert set(stored) == set(truth)
        adjusted = {
            row["source_id"] for row in world.query("select * from cutover.sync_adjustment where source = %s", name)
        }
        assert {row_id for row_id in truth if stored[row_id] != truth[row_id]} == adjusted
    changes = {row["change"] for row in world.query("select change from cutover.sync_adjustment")}
    assert changes == {"\\u0000 replaced", "lone surrogate replaced"}


@pytest.mark.parametrize(
    ("member", "stored", "change"),
    [
        (rb'"locale":"a\u0000b"', "a\ufffdb", "\\u0000 replaced"),
        (rb'"locale":"a\ud800b"', "a\ufffdb", "lone surrogate replaced"),
        (rb'"locale":"a\uDC00\ud83d\ude00"', "a\ufffd\U0001f600", "lone surrogate replaced"),
        (rb'"locale":"\u0000\ud800"', "\ufffd\ufffd", "\\u0000 and lone surrogate replaced"),
        (b'"locale":"a\xffb"', "a?b", "byte that is not UTF-8 replaced"),
        (b'"locale":"a\tb\nc"', "a b c", "control character replaced"),
    ],
)
def test_what_postgresql_refuses_is_replaced_noted_and_kept_as_received(
    database: str, member: bytes, stored: str, change: str
) -> None:
    rows = [CONTACT % (1, b""), CONTACT % (2, b"," + member), CONTACT % (3, b"")]
    with serving(rows) as server:
        report = bring(server, database)
        again = bring(server, database)
    assert (report.new, report.adjusted, report.rejected) == (3, 1, 0)
    assert again.written == 0
    assert [row["locale"] for row in query(database, "select locale from raw.systemeio_contacts order by id")] == [
        None,
        stored,
        None,
    ]
    [noted] = query(database, "select * from cutover.sync_adjustment")
    assert (noted["source_id"], noted["change"], bytes(noted["received"])) == ("2", change, rows[1])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (CONTACT % (2, b',"score":NaN'), "it is no JSON"),
        (CONTACT % (2, b',"score":-Infinity'), "it is no JSON"),
        (CONTACT % (2, b',"score":01'), "it is no JSON"),
        (CONTACT % (2, b',"deep":' + b"[" * 1500 + b"]" * 1500), "it is nested too deeply"),
        (CONTACT % (2, b',"odd":{"a":1,}'), "it is no JSON"),
        (CONTACT % (2, b',"text":"NaN, ]} \\" [{", "score":NaN'), "it is no JSON"),
    ],
)
@pytest.mark.parametrize("name", ["systemeio_contacts", "xendit_invoices"])
def test_one_row_that_cannot_be_read_is_rejected_whole_and_the_others_are_kept(
    database: str, row: bytes, why: str, name: str
) -> None:
    rows = [CONTACT % (1, b""), row, CONTACT % (3, b"")]
    if name == "xendit_invoices":
        rows = [re.sub(rb'"id":(\d)', rb'"id":"\1"', each) for each in rows]
    source = MIGRATION.source(name)
    joined = b",".join(rows)
    body = reader(source)(b'{"%s":[%s]}' % (source.rows.encode(), joined) if source.rows else b"[%s]" % joined)
    assert [each.key for each in body.rows] == ["1", "2", "3"]
    assert [each.refusal is None for each in body.rows] == [True, False, True]
    assert body.rows[1].refusal is not None and why in body.rows[1].refusal
    assert body.rows[1].received == row if name == "systemeio_contacts" else True
    if name == "systemeio_contacts":
        with serving(rows) as server:
            report = bring(server, database)
            again = bring(server, database)
        assert (report.new, report.rejected, again.written) == (2, 1, 0)
        [reject] = query(database, "select * from cutover.rejects")
        assert (reject["source_id"], reject["reason"]) == ("2", "unreadable")
        assert (reject["source_row"], bytes(reject["source_bytes"])) == (None, row)


def test_a_row_that_can_no_longer_be_read_is_not_taken_for_gone(database: str) -> None:
    with serving([CONTACT % (n, b"") for n in range(1, 5)]) as server:
        bring(server, database)
    with serving([CONTACT % (n, b',"score":NaN' if n == 2 else b"") for n in range(1, 5)]) as server:
        report = bring(server, database)
    assert (report.gone, report.rejected, report.total) == (0, 1, 4)


@pytest.mark.parametrize("cut", [b'[{"id":"1"},{"id":"2"', b'[{"id":"1"},{"id":NaN}', b'{"data":[{"id":"1"}', b"["])
def test_a_list_that_does_not_come_to_its_end_is_no_page(cut: bytes) -> None:
    for name in ("xendit_invoices", "xendit_transactions"):
        with pytest.raises(BodyError) as raised:
            reader(MIGRATION.source(name))(cut)
        assert not raised.value.whole


def test_a_list_that_ends_in_null_or_begins_with_a_mark_is_read() -> None:
    enveloped, bare = reader(MIGRATION.source("systemeio_contacts")), reader(MIGRATION.source("xendit_invoices"))
    assert (enveloped(b'{"items":null,"hasMore":false}').rows, enveloped(b'{"items":null,"hasMore":false}').more) == (
        [],
        False,
    )
    assert bare(b"null").rows == []
    assert [row.key for row in bare(b'\xef\xbb\xbf[{"id":"1"}]').rows] == ["1"]


def test_an_error_that_says_200_is_told_apart_from_one_that_was_cut() -> None:
    for body, whole in ((b'{"error":"no"}', True), (b'{"items":{"1":{}}}', True), (b'{"items":[{"id":1}', False)):
        with pytest.raises(BodyError) as raised:
            reader(MIGRATION.source("systemeio_contacts"))(body)
        assert raised.value.whole is whole


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (b'{"1":{"name":"P2P"},"3":{"name":"Canva"}}', ["Canva", "P2P"]),
        (b'["P2P","Canva"]', ["Canva", "P2P"]),
        (b'[{"name":"P2P"},"Canva"]', ["Canva", "P2P"]),
        (b'{"5":"P2P"}', ["P2P"]),
        (b'[{"name":null},{"name":"P2P"},{"id":7}]', ["P2P"]),
        (b"null", []),
        (b"[]", []),
        (b"{}", []),
    ],
)
def test_tags_are_understood_however_they_are_written(database: str, tags: bytes, names: list[str]) -> None:
    row = (CONTACT % (1, b"")).replace(b'"tags":[]', b'"tags":' + tags)
    with serving([row]) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 0)
    assert query(database, "select tags from raw.systemeio_contacts") == [{"tags": names}]


@pytest.mark.parametrize(
    "fields",
    [
        b'[{"slug":"surname","value":"x"},{"slug":"first_name","value":"Ana"}]',
        b'{"4":{"slug":"first_name","value":"Ana"}}',
        b'{"first_name":{"value":"Ana"}}',
        b'{"first_name":"Ana","surname":null}',
    ],
)
def test_fields_are_understood_however_they_are_written(database: str, fields: bytes) -> None:
    row = (CONTACT % (1, b"")).replace(b'"fields":[]', b'"fields":' + fields)
    with serving([row]) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 0)
    assert query(database, "select first_name from raw.systemeio_contacts") == [{"first_name": "Ana"}]


@pytest.mark.parametrize(
    ("member", "value"), [("tags", b"7"), ("tags", b'"P2P"'), ("tags", b"[7]"), ("fields", b"true"), ("fields", b"[1]")]
)
def test_a_list_that_means_nothing_rejects_its_row_and_names_the_field(
    database: str, member: str, value: bytes
) -> None:
    row = (CONTACT % (1, b"")).replace(b'"%s":[]' % member.encode(), b'"%s":%s' % (member.encode(), value))
    with serving([row, CONTACT % (2, b"")]) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 1)
    [reject] = query(database, "select source_id, detail from cutover.rejects")
    assert reject["source_id"] == "1"
    assert reject["detail"].startswith(f"{member}: {member} ")


def test_a_value_that_cannot_be_stored_names_its_field_and_not_the_value(database: str) -> None:
    rows = [CONTACT % (1, b""), (CONTACT % (2, b"")).replace(b"2024-01-01T00:00:00+00:00", b"Ana's birthday")]
    with serving(rows) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 1)
    [reject] = query(database, "select detail from cutover.rejects")
    assert reject["detail"] == "registeredAt: invalid input syntax for type timestamp with time zone (22007)"


def test_an_api_that_has_changed_a_type_for_every_row_stops_the_sync_and_names_the_field(database: str) -> None:
    def rows(registered: bytes) -> list[bytes]:
        return [(CONTACT % (n, b"")).replace(b'"2024-01-01T00:00:00+00:00"', registered) for n in range(1, 41)]

    with serving(rows(b'"2024-01-01T00:00:00+00:00"')) as server:
        bring(server, database)
    with serving(rows(b'"the first of January"')) as server, pytest.raises(CutoverError) as raised:
        bring(server, database)
    assert raised.value.code == "extract.too-many-rejected"
    assert "40 of the 40 rows" in str(raised.value) and "registeredAt" in str(raised.value)
    [state] = query(database, "select last_sync from cutover.sync_state")
    assert state["last_sync"] == 1  # what was complete before stays what counts
    assert query(database, "select count(*) from raw.systemeio_contacts where gone_at is null") == [{"count": 40}]
    with serving(rows(b'"2024-01-02T00:00:00+00:00"')) as server:
        assert bring(server, database).changed == 40  # the sync that was not believed is not taken up again


def test_in_quiet_hours_all_of_a_few_rows_stop_the_sync_and_one_odd_row_does_not(database: str) -> None:
    def row(number: int, registered: bytes = b"2024-01-01T00:00:00+00:00") -> bytes:
        return (CONTACT % (number, b"")).replace(b"2024-01-01T00:00:00+00:00", registered)

    with serving([row(1), row(2)]) as server:
        bring(server, database)
    # the same odd row, hour after hour, and another one
    for numbers in ([3], [3], [3], [3, 4], [4]):
        with serving([row(number, b"Ana's birthday") for number in numbers]) as server:
            assert bring(server, database, accept_gone=True).rejected == len(numbers)
    with serving([row(5, b"Ben's birthday")]) as server, pytest.raises(CutoverError) as raised:
        bring(server, database, accept_gone=True)
    assert raised.value.code == "extract.too-many-rejected"
    assert "none of the last 3 rows could be stored; most because: registeredAt: " in str(raised.value)
    assert "birthday" not in str(raised.value)
    # one that can be stored: the others are odd rows, and no sign of anything
    with serving([row(3, b"Ana's birthday"), row(5, b"Ben's birthday"), row(6)]) as server:
        report = bring(server, database, accept_gone=True)
    assert (report.new, report.rejected) == (1, 2)
    # and all at once
    rows = [row(number, b"a birthday") for number in (7, 8, 9)]
    with serving(rows) as server, pytest.raises(CutoverError, match="none of the last 3 rows"):
        bring(server, database, accept_gone=True)


def test_the_field_is_named_of_every_row_however_many_there_are(database: str) -> None:
    odd = [(b"2024-01-01T00:00:00+00:00", b"no time"), (b'"fields"', b'"bounced":"x","fields"')]
    rows = [(CONTACT % (n, b"")).replace(*odd[n % 2]) if n % 8 < 2 else CONTACT % (n, b"") for n in range(1, 400)]
    declared = {"rejected_share": 0.5}
    with serving(rows) as server:
        report = bring(server, database, **declared)
    stored = query(database, "select source_id::int % 2 as kind, detail from cutover.rejects")
    assert len(stored) == report.rejected == 99
    assert {row["detail"].split(":")[0] for row in stored if row["kind"] == 0} == {"registeredAt"}
    assert {row["detail"].split(":")[0] for row in stored if row["kind"] == 1} == {"bounced"}


@pytest.mark.parametrize("key", [b'"0001"', b'"-0"', b'"+1"', b'"1 "', b'"99999999999999999999"', b"1.5"])
def test_an_id_that_postgresql_would_give_back_otherwise_is_rejected(database: str, key: bytes) -> None:
    row = (CONTACT % (1, b"")).replace(b'"id":1', b'"id":' + key)
    with serving([row, CONTACT % (2, b"")]) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 1)


@pytest.mark.parametrize(
    "member",
    [
        rb'"locale":"\\u0000 \\\\ud800"',  # a backslash and letters, not an escape
        rb'"locale":"\ud83d\ude00\uffff"',
        '"locale":"é漢字"'.encode(),
        rb'"locale":"\"\\\/\b\f\n\r\t"',
    ],
)
def test_what_only_looks_dangerous_is_left_alone(database: str, member: bytes) -> None:
    row = CONTACT % (1, b"," + member)
    with serving([row]) as server:
        report = bring(server, database)
    assert (report.new, report.adjusted) == (1, 0)
    [stored] = query(database, "select api_response from raw.systemeio_contacts")
    assert stored["api_response"] == json.loads(row)


@given(st.binary(max_size=200))
def test_repairing_keeps_the_length(body: bytes) -> None:
    repaired = storable(body)
    assert len(repaired) == len(body)
    repaired.decode()
    assert storable(repaired) == repaired


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_row_is_the_slice_that_it_came_in(value: Any) -> None:
    rows = [{"id": number, "value": value} for number in (1, 2)]
    body = json.dumps({"items": rows, "hasMore": False}).encode()
    read = reader(MIGRATION.source("systemeio_contacts"))(body)
    assert [row.key for row in read.rows] == ["1", "2"]
    for row, original in zip(read.rows, rows, strict=True):
        assert row.change is not None or json.loads(row.response) == original
        assert (row.received or row.response) in body


def test_amounts_are_exact_and_numbers_may_be_text(database: str) -> None:
    amounts = [
        b"0.1",
        b"99999999999999.99",
        b"1049.990",
        b'"800.00"',
        b"1e3",
        b"null",
        b"-5",
        b"0.30000000000000000004",
    ]
    rows = [b'{"id":"txn_%d","amount":%s,"created":"2025-01-01T00:00:00.000Z"}' % pair for pair in enumerate(amounts)]
    with serving(rows, "xendit_transactions") as server:
        bring(server, database, "xendit_transactions")
    stored = query(database, "select amount, api_response::text as text from raw.xendit_transactions order by id")
    expected = ["0.1", "99999999999999.99", "1049.990", "800.00", "1000", None, "-5", "0.30000000000000000004"]
    assert [row["amount"] for row in stored] == [None if text is None else Decimal(text) for text in expected]
    assert '"amount": 99999999999999.99' in stored[1]["text"]
    assert '"amount": 0.30000000000000000004' in stored[7]["text"]


def test_unknown_values_and_new_and_missing_members_are_kept(database: str) -> None:
    rows = [
        b'{"id":"1","type":"SOMETHING_NEW","status":"HOVERING","brand_new":{"deep":[1,2]}}',
        b'{"id":"2"}',
        b'{"id":"3","fee":null,"product_data":null,"created":null,"updated":""  }'.replace(b'""', b"null"),
        b'{"id":"4","fee":{"xendit_fee":"12.50"},"product_data":{"payment_link_id":"abc"}}',
        b'{"id":"5","fee":"none"}',
    ]
    with serving(rows, "xendit_transactions") as server:
        report = bring(server, database, "xendit_transactions")
    assert (report.new, report.rejected) == (5, 0)
    stored = query(database, "select * from raw.xendit_transactions order by id")
    assert (stored[0]["type"], stored[0]["status"]) == ("SOMETHING_NEW", "HOVERING")
    assert stored[0]["api_response"]["brand_new"] == {"deep": [1, 2]}
    assert [row["fee_amount"] for row in stored] == [None, None, None, Decimal("12.50"), None]
    assert stored[3]["payment_link_id"] == "abc"


@pytest.mark.parametrize(
    ("row", "source_id", "reason"),
    [
        (b'{"email":"nobody@example.com"}', None, "no_id"),
        (b'{"id":null}', None, "no_id"),
        (b'{"id":true}', None, "no_id"),
        (b"null", None, "no_id"),
        (b"5", None, "no_id"),
        (b'"text"', None, "no_id"),
        (b'{"id":"abc"}', "abc", "unstorable"),
        (b'{"id":99999999999999999999}', "99999999999999999999", "unstorable"),
        (b'{"id":7,"registeredAt":"some day"}', "7", "unstorable"),
        (b'{"id":7,"unsubscribed":"perhaps"}', "7", "unstorable"),
        (b'{"id":7,"locale":1e200000}', "7", "unstorable"),
    ],
)
def test_a_row_that_cannot_be_stored_is_rejected_whole_and_the_others_are_not(
    database: str, row: bytes, source_id: str | None, reason: str
) -> None:
    good = [CONTACT % (number, b"") for number in range(1, 6)]
    with serving([*good[:2], row, *good[2:]]) as server:
        report = bring(server, database)
        again = bring(server, database)
    assert (report.rows, report.new, report.rejected) == (6, 5, 1)
    [rejected] = query(database, "select *, source_row::text as whole from cutover.rejects")
    assert (rejected["source"], rejected["source_id"], rejected["reason"]) == ("systemeio_contacts", source_id, reason)
    assert rejected["sync_id"] == again.sync_id  # the last that was shown it
    assert rejected["detail"]
    if rejected["whole"] is not None:
        assert json.loads(rejected["whole"]) == json.loads(row)
    else:
        assert bytes(rejected["source_bytes"]) == row
    # said once, not every hour
    assert (again.written, again.rejected) == (0, 1)


def test_many_bad_rows_among_good_ones(database: str) -> None:
    rows = [CONTACT % (number, b',"bounced":"x"' if number % 7 == 0 else b"") for number in range(1, 100)]
    with serving(rows) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (85, 14)
    assert len(query(database, "select 1 from cutover.rejects where reason = 'unstorable'")) == 14
    assert len(query(database, "select 1 from raw.systemeio_contacts")) == 85


def test_a_row_that_recovers_is_stored(database: str) -> None:
    with serving([CONTACT % (1, b',"bounced":"x"')]) as server:
        assert bring(server, database).rejected == 1
    with serving([CONTACT % (1, b',"bounced":true')]) as server:
        report = bring(server, database)
    assert (report.new, report.rejected) == (1, 0)


def test_one_id_twice_in_a_page_is_one_row_and_the_later_version_wins(database: str) -> None:
    rows = [
        b'{"id":"a","status":"PAID","updated":"2025-01-01T00:00:00.000Z"}',
        b'{"id":"b","status":"SETTLED","updated":"2025-01-03T00:00:00.000Z"}',
        b'{"id":"a","status":"SETTLED","updated":"2025-01-02T00:00:00.000Z"}',
        b'{"id":"b","status":"PAID","updated":"2025-01-02T00:00:00.000Z"}',
    ]
    with serving(rows, "xendit_invoices") as server:
        report = bring(server, database, "xendit_invoices")
    assert (report.rows, report.repeated, report.new) == (4, 2, 2)
    stored = query(database, "select id, status from raw.xendit_invoices order by id")
    assert [(row["id"], row["status"]) for row in stored] == [("a", "SETTLED"), ("b", "SETTLED")]


def test_versions_in_one_page_are_compared_as_times_and_not_as_text(database: str) -> None:
    rows = [
        b'{"id":"a","status":"SETTLED","updated":"2025-01-01T00:00:00.5Z"}',
        b'{"id":"a","status":"PAID","updated":"2025-01-01T00:00:00Z"}',
        b'{"id":"b","status":"SETTLED","updated":"2025-01-01T08:00:01+08:00"}',
        b'{"id":"b","status":"PAID","updated":"2025-01-01T00:00:00Z"}',
    ]
    with serving(rows, "xendit_invoices") as server:
        bring(server, database, "xendit_invoices")
    stored = query(database, "select id, status from raw.xendit_invoices order by id")
    assert [(row["id"], row["status"]) for row in stored] == [("a", "SETTLED"), ("b", "SETTLED")]


def test_an_answer_that_was_late_does_not_undo_a_newer_one(database: str) -> None:
    new = b'{"id":"a","status":"SETTLED","updated":"2025-01-02T00:00:00.000Z"}'
    old = b'{"id":"a","status":"PAID","updated":"2025-01-01T00:00:00.000Z"}'
    for row, status in ((old, "PAID"), (new, "SETTLED"), (old, "SETTLED")):
        with serving([row], "xendit_invoices") as server:
            bring(server, database, "xendit_invoices")
        [value] = query(database, "select status from raw.xendit_invoices")
        assert value["status"] == status


def test_addresses_stay_as_they_are_and_two_contacts_of_one_person_are_two_rows(database: str) -> None:
    rows = [
        (CONTACT % (1, b"")).replace(b"a@example.com", b"  Maria.SANTOS@Example.COM "),
        (CONTACT % (2, b"")).replace(b"a@example.com", b"maria.santos@example.com"),
    ]
    with serving(rows) as server:
        bring(server, database)
    stored = query(database, "select email from raw.systemeio_contacts order by id")
    assert [row["email"] for row in stored] == ["  Maria.SANTOS@Example.COM ", "maria.santos@example.com"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"items":{}}', b'{"error":"busy"}', b'{"items":[1,2', b"[" * 100_000]
)
def test_a_body_of_another_shape_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(BodyError):
        reader(MIGRATION.source("systemeio_contacts"))(body)


def test_a_page_of_30_mb_passes_and_memory_stays_below_a_few_pages(database: str) -> None:
    """Three of them, in a process of its own, so that its peak is its own."""
    filler = json.dumps("x" * 300_000)[1:-1]
    pages = [
        b",".join(CONTACT % (page * 100 + number, b',"filler":"%s"' % filler.encode()) for number in range(100))
        for page in range(3, 0, -1)
    ]

    def handler(request: Request) -> Response:
        cursor = request.value("startingAfter")
        place = 0 if cursor is None else 4 - int(cursor) // 100
        more = b"true" if place < 2 else b"false"
        return Response(200, b'{"items":[%s],"hasMore":%s}' % (pages[place], more))

    with Scripted(handler) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.extract.killable", database, server.url, "systemeio_contacts"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            check=True,
        )
    stored, peak = map(int, done.stdout.split())
    assert len(pages[0]) > 30_000_000
    assert stored == 300
    # 63 MB of imports, and of one page: as it came, as it is read, as it is written, and what waits for a server that
    # is slower than we are (173 MB in all on an idle machine, 200 on a busy one). Three pages at once would be 240.
    assert peak < 63 + 5 * 30
