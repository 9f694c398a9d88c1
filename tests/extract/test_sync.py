"""What a sync brings, what it leaves alone, and what it says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from cutover.errors import CutoverError
from cutover.extract.windows import timestamp
from cutover.records import ledger
from demo.simulators import Simulator, XenditOptions
from tests.extract.conftest import SMALL, SOURCES, Hurried, World


class At(Hurried):
    """A clock that says it is another time of day."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize("name", SOURCES)
def test_the_first_sync_brings_every_row_as_the_api_has_it(world: World, name: str) -> None:
    report = world.sync(name)
    truth = world.truth(name)
    assert world.content(name) == truth
    assert (report.mode, report.new, report.total) == ("full", len(truth), len(truth))
    assert report.rows - report.repeated == len(truth)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", SOURCES)
def test_an_unchanged_sync_writes_no_row(world: World, name: str, full: bool) -> None:
    world.sync(name)
    before = world.versions(name)
    counters = _counters(world, name)
    report = world.sync(name, full=full)
    assert world.versions(name) == before
    assert _counters(world, name) == counters
    assert report.written == 0
    assert report.summary() == f"{name}: 0 changed of {len(before):,}"
    assert report.summary() in world.log


def _counters(world: World, name: str) -> dict[str, Any]:
    """PostgreSQL's own count of rows written to the raw table, up to this moment."""
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        # other sessions hand in their counts when they end, which for a session that has just ended may be pending
        for _ in range(100):
            alive = connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            ).fetchone()
            if alive == (0,):
                break
            connection.execute("select pg_sleep(0.02)")
        connection.execute("select pg_stat_force_next_flush()")
    [counted] = world.query(
        "select n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables where schemaname = 'raw' and relname = %s",
        name,
    )
    return counted


def test_an_unchanged_sync_leaves_one_line_and_nothing_else(world: World) -> None:
    world.sync("systemeio_contacts")
    before = world.query("select * from cutover.sync_page order by sync_id, page_no")
    report = world.sync("systemeio_contacts")
    assert world.query("select * from cutover.sync_page order by sync_id, page_no") == before
    assert world.query("select * from cutover.sync_window where sync_id = %s", report.sync_id) == []
    [line] = world.query("select * from cutover.sync where sync_id = %s", report.sync_id)
    assert (line["state"], line["pages"], line["rows"]) == ("complete", report.pages, report.rows)
    assert (line["first_id"], line["last_id"]) == (report.first_id, report.last_id)


def test_a_hash_is_enough_the_rows_are_not_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from cutover.extract.store import Store

    world.sync("xendit_invoices")

    def refuse(*_: object) -> None:
        raise AssertionError("rows were sent to a database that has them")

    monkeypatch.setattr(Store, "_write", refuse)
    assert world.sync("xendit_invoices", full=True).unchanged >= len(world.truth("xendit_invoices"))


def test_lists_in_another_order_are_the_same_contact(world: World) -> None:
    world.sync("systemeio_contacts")
    before = world.versions("systemeio_contacts")
    rows = world.rows("systemeio_contacts")
    for row_id in rows.ids():
        row = rows.get(row_id)
        rows.update(row_id, fields=row["fields"][::-1], tags=row["tags"][::-1])
    assert world.sync("systemeio_contacts").written == 0
    assert world.versions("systemeio_contacts") == before


def test_only_what_changed_is_written(world: World) -> None:
    world.sync("systemeio_contacts")
    before = {version[0]: version for version in world.versions("systemeio_contacts")}
    rows = world.rows("systemeio_contacts")
    first, second = rows.ids()[3], rows.ids()[-2]
    rows.update(first, unsubscribed=True)
    rows.update(second, tags=[{"id": 1, "name": "New"}])
    report = world.sync("systemeio_contacts")
    assert (report.new, report.changed, report.rows - report.repeated) == (0, 2, len(before))
    changed = {version[0] for version in world.versions("systemeio_contacts") if version != before[version[0]]}
    assert changed == {str(first), str(second)}
    [row] = world.query("select tags from raw.systemeio_contacts where id = %s", second)
    assert row["tags"] == ["New"]


def test_typed_columns_hold_the_values_as_given(world: World) -> None:
    for name in SOURCES:
        world.sync(name)
    for row in world.query("select * from raw.xendit_invoices"):
        response = row["api_response"]
        assert row["payer_email"] == response.get("payer_email")
        assert row["amount"] == response["amount"]
        assert row["created"] == datetime.fromisoformat(response["created"].replace("Z", "+00:00"))
        assert row["customer"] == response.get("customer")
    for row in world.query("select * from raw.xendit_transactions"):
        fee = row["api_response"].get("fee")
        parts = ("xendit_fee", "value_added_tax", "xendit_withholding_tax", "third_party_withholding_tax")
        assert row["fee_amount"] == (None if fee is None else sum(fee[part] for part in parts))
        assert row["payment_link_id"] == (row["api_response"].get("product_data") or {}).get("payment_link_id")
    for row in world.query("select * from raw.systemeio_contacts"):
        fields = {field["slug"]: field["value"] for field in row["api_response"]["fields"]}
        assert (row["first_name"], row["surname"]) == (fields["first_name"], fields["surname"])
        assert row["tags"] == sorted(tag["name"] for tag in row["api_response"]["tags"])


# Incremental ----------------------------------------------------------------------------------------------------


def test_a_changed_transaction_is_seen_by_its_time_of_modification(world: World) -> None:
    history = world.source("xendit_transactions").history
    assert history is not None
    source = world.source("xendit_transactions", history=history.model_copy(update={"sweep": 0}))
    world.sync(source)
    row_id = world.rows("xendit_transactions").ids()[40]
    now = timestamp(datetime.now(timezone.utc))
    world.rows("xendit_transactions").update(row_id, settlement_status="EARLY_SETTLED", updated=now)
    world.simulator.forget_requests()
    report = world.sync(source)
    assert (report.mode, report.changed) == ("incremental", 1)
    assert world.simulator.count() == 1
    assert world.content("xendit_transactions") == world.truth("xendit_transactions")


@pytest.fixture
def without_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes be seen by the windows that are meant for them, and not by chance."""
    monkeypatch.setattr("cutover.extract.windows._swept", lambda _history, _span, _part: _nothing())


def _nothing() -> Any:
    from cutover.extract.windows import Window

    return Window("nothing", {"created_after": timestamp(_LONG_AGO), "created_before": timestamp(_LONG_AGO)})


_LONG_AGO = datetime(2001, 1, 1, tzinfo=timezone.utc)


@pytest.mark.usefixtures("without_sweep")
@pytest.mark.parametrize(
    ("age", "changes"),
    [
        (timedelta(days=20), {"status": "SETTLED"}),
        # an old invoice that was paid yesterday
        (timedelta(days=400), {"status": "PAID", "paid_at": timedelta(days=1)}),
        # paid two weeks ago, settled now: no filter shows that
        (timedelta(days=400), {"status": "SETTLED", "paid_at": timedelta(days=14)}),
        # expired by its date, and by hand before it
        (timedelta(days=400), {"status": "EXPIRED", "expiry_date": timedelta(days=1)}),
        (timedelta(days=400), {"status": "EXPIRED", "expiry_date": timedelta(days=-30)}),
    ],
)
def test_what_becomes_of_an_invoice_is_seen_although_there_is_no_filter_for_it(
    world: World, age: timedelta, changes: dict[str, Any]
) -> None:
    now = datetime.now(timezone.utc)
    rows = world.rows("xendit_invoices")
    row = rows.get(rows.ids()[0]) | {"id": "68f00000000000000000abcd", "status": "PENDING"}
    row |= {"created": timestamp(now - age), "updated": timestamp(now - age), "expiry_date": timestamp(now - age)}
    row.pop("paid_at", None)
    rows.insert(row)
    world.sync("xendit_invoices")
    times = {name: timestamp(now - value) for name, value in changes.items() if isinstance(value, timedelta)}
    rows.update(row["id"], **{**changes, **times, "updated": timestamp(now)})
    report = world.sync("xendit_invoices")
    assert (report.mode, report.changed) == ("incremental", 1)
    assert world.content("xendit_invoices") == world.truth("xendit_invoices")


@pytest.mark.parametrize("name", ["xendit_invoices", "xendit_transactions"])
def test_a_change_that_no_window_shows_is_seen_by_the_sweep(world: World, name: str) -> None:
    history = world.source(name).history
    assert history is not None
    source = world.source(name, history=history.model_copy(update={"sweep": 4}))
    world.sync(source)
    rows = world.rows(name)
    for row_id in (rows.ids()[0], rows.ids()[-1], rows.ids()[len(rows) // 2]):
        rows.update(row_id, status="SETTLED", amount=1.5)  # `updated` is not bumped
    for _ in range(4):
        assert world.sync(source).mode == "incremental"
    assert world.content(name) == world.truth(name)


def test_new_rows_are_seen_wherever_the_watermark_is(world: World) -> None:
    world.sync("xendit_invoices")
    rows = world.rows("xendit_invoices")
    now = datetime.now(timezone.utc)
    row = rows.get(rows.ids()[0]) | {"id": "68f00000000000000000abcd", "created": timestamp(now)}
    rows.insert(row)
    assert world.sync("xendit_invoices").new == 1


def test_after_a_long_pause_the_windows_reach_back_to_the_last_sync(world: World) -> None:
    last_year = datetime(2025, 10, 1, tzinfo=timezone.utc)
    world.sync("xendit_invoices", clock=At(last_year))
    rows = world.rows("xendit_invoices")
    inserted = []
    for day in (1, 100, 250):
        moment = timestamp(last_year + timedelta(days=day))
        inserted.append(rows.get(rows.ids()[0]) | {"id": f"68f00000000000000000{day:04d}", "created": moment})
        rows.insert(inserted[-1])
    report = world.sync("xendit_invoices", clock=At(last_year + timedelta(days=300)))
    assert (report.mode, report.new) == ("incremental", 3)


def test_the_watermark_goes_by_the_clock_of_the_api(simulate: Callable[..., World]) -> None:
    world = simulate()
    simulator = world.simulator
    behind = datetime.now(timezone.utc) - timedelta(hours=3)
    _date_header(simulator, behind)
    world.sync("xendit_transactions")
    [state] = world.query("select watermark from cutover.sync_state")
    assert abs(state["watermark"] - behind) < timedelta(seconds=30)


def test_the_watermark_goes_by_the_clock_of_the_api_also_after_a_kill(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that goes on asks nothing any more, and so is told no time."""
    from cutover.extract.sync import _Sync

    behind = datetime.now(timezone.utc) - timedelta(hours=3)
    _date_header(world.simulator, behind)
    with monkeypatch.context() as patched:
        patched.setattr(_Sync, "_finish", _killed)
        patched.setattr(_Sync, "_record_failure", lambda *_: None)  # a killed process records nothing
        with pytest.raises(KeyboardInterrupt):
            world.sync("xendit_transactions")
    world.simulator.forget_requests()
    world.sync("xendit_transactions")
    assert world.simulator.count() == 0
    [state] = world.query("select watermark from cutover.sync_state")
    assert abs(state["watermark"] - behind) < timedelta(seconds=30)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _date_header(simulator: Any, moment: datetime) -> None:
    from email.utils import format_datetime

    api = simulator._xendit
    answer = api.answer

    def dated(request: Any) -> Any:
        response = answer(request)
        response.headers["Date"] = format_datetime(moment, usegmt=True)
        return response

    api.answer = dated


def test_the_watermark_stays_when_a_window_was_not_stored_to_its_end(world: World) -> None:
    world.sync("xendit_transactions")
    [before] = world.query("select watermark, last_sync from cutover.sync_state")
    world.simulator.fail("server_error", "/transactions", times=1000)
    with pytest.raises(CutoverError, match=r"\[extract.gave-up\]"):
        world.sync("xendit_transactions", access=world.access("xendit", patience=3.0))
    [after] = world.query("select watermark, last_sync from cutover.sync_state")
    assert after == before
    [failed] = world.query("select * from cutover.sync where state = 'failed'")
    assert failed["error_code"] == "extract.gave-up"


# When everything is read again ---------------------------------------------------------------------------------


def _second_mode(world: World, **arguments: Any) -> tuple[str, str]:
    report = world.sync("xendit_transactions", **arguments)
    return report.mode, report.because


def test_without_a_reason_only_changes_are_read(world: World) -> None:
    world.sync("xendit_transactions")
    assert _second_mode(world)[0] == "incremental"


def test_a_parameter_forces_a_full_read(world: World) -> None:
    world.sync("xendit_transactions")
    assert _second_mode(world, full=True) == ("full", "a full read was asked for")


def test_another_key_forces_a_full_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sandbox's watermark, the live account's history would never be read."""
    world.sync("xendit_transactions")
    monkeypatch.setattr("demo.simulators.xendit.XENDIT_API_KEY", "xnd_production_another")
    mode, because = _second_mode(world, access=world.access("xendit", secret="xnd_production_another"))
    assert mode == "full"
    assert "key" in because


def test_another_address_forces_a_full_read(world: World) -> None:
    """A stand-in's watermark, set with the real key, would hide the real API's history."""
    world.sync("xendit_transactions")
    with Simulator(SMALL) as elsewhere:
        mode, because = _second_mode(world, access=world.access("xendit", base_url=elsewhere.xendit_url))
    assert (mode, because) == ("full", "the API is at another address than last time")


def test_another_declaration_forces_a_full_read(world: World) -> None:
    world.sync("xendit_transactions")
    report = world.sync(world.source("xendit_transactions", params={"statuses": "SUCCESS"}), accept_gone=True)
    assert report.mode == "full"


def test_rows_that_somebody_deleted_from_raw_come_back(world: World) -> None:
    world.sync("xendit_transactions")
    world.execute("delete from raw.xendit_transactions where type = 'REFUND'")
    mode, because = _second_mode(world)
    assert mode == "full"
    assert "rows where the last sync left" in because
    assert world.content("xendit_transactions") == world.truth("xendit_transactions")


# Rows that are gone ---------------------------------------------------------------------------------------------


def test_a_complete_scan_marks_what_is_gone_and_welcomes_it_back(world: World) -> None:
    world.sync("systemeio_contacts")
    rows = world.rows("systemeio_contacts")
    gone = rows.ids()[5]
    row = rows.get(gone)
    rows.delete(gone)
    report = world.sync("systemeio_contacts")
    assert (report.gone, report.total) == (1, len(rows))
    [stored] = world.query("select gone_at from raw.systemeio_contacts where id = %s", gone)
    assert stored["gone_at"] is not None
    assert world.sync("systemeio_contacts").written == 0
    rows.insert(row)
    report = world.sync("systemeio_contacts")
    assert (report.returned, report.new, report.changed) == (1, 0, 0)
    assert world.content("systemeio_contacts") == world.truth("systemeio_contacts")


def test_windows_that_overlap_are_each_read_to_their_own_end(world: World) -> None:
    """They show the same rows beside other ones: unlike lanes, one that meets another must go on."""
    source = world.source("xendit_invoices")
    created, paid = (window.model_copy(update={"reach": timedelta(days=7300)}) for window in source.incremental[:2])
    source = source.model_copy(update={"incremental": (created, paid)})
    rows = world.rows("xendit_invoices")
    # the first page of `paid` is far down in `created`, which comes to it long after
    for row_id in rows.ids()[:80]:
        rows.update(row_id, status="PENDING", paid_at=None)
    world.sync(source)
    for row_id in rows.ids():
        rows.update(row_id, description="Changed")
    assert world.sync(source).mode == "incremental"
    assert world.content("xendit_invoices") == world.truth("xendit_invoices")


def test_an_incremental_sync_marks_nothing(world: World) -> None:
    world.sync("xendit_invoices")
    world.rows("xendit_invoices").delete(world.rows("xendit_invoices").ids()[0])
    assert world.sync("xendit_invoices").gone == 0
    assert world.sync("xendit_invoices", full=True).gone == 1


def test_a_scan_that_did_not_end_marks_nothing(world: World) -> None:
    world.sync("systemeio_contacts")
    _cut_off(world, after=5)
    with pytest.raises(CutoverError):
        world.sync("systemeio_contacts", access=world.access("systemeio", patience=2.0))
    assert world.query("select 1 from raw.systemeio_contacts where gone_at is not null") == []


def _cut_off(world: World, after: int) -> None:
    """Let the API fail for good after so many more requests."""
    left = [after]

    def count(_request: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            world.simulator.fail("server_error", "/", times=1000)

    world.simulator.on_request(count)


def test_too_many_gone_are_not_believed_until_somebody_says_so(world: World) -> None:
    world.sync("systemeio_contacts")
    rows = world.rows("systemeio_contacts")
    ids = rows.ids()
    for row_id in ids[: len(ids) // 2]:
        rows.delete(row_id)
    for _ in range(2):
        with pytest.raises(CutoverError, match=r"\[extract.too-many-gone\]"):
            world.sync("systemeio_contacts")
        assert world.query("select 1 from raw.systemeio_contacts where gone_at is not null") == []
    report = world.sync("systemeio_contacts", accept_gone=True)
    assert report.gone == len(ids) // 2
    assert world.content("systemeio_contacts") == world.truth("systemeio_contacts")


def test_a_read_that_shows_nothing_at_all_is_not_believed_however_little_there_was(world: World) -> None:
    """A dozen tags are fewer than what may go without a doubt, and yet not all of them at once."""
    world.sync("systemeio_tags")
    rows = world.rows("systemeio_tags")
    ids = rows.ids()
    assert 1 < len(ids) <= 20
    stored = rows.get(ids[0])
    for row_id in ids:
        rows.delete(row_id)
    with pytest.raises(CutoverError, match=r"\[extract.too-many-gone\].*which is all"):
        world.sync("systemeio_tags")
    assert world.query("select 1 from raw.systemeio_tags where gone_at is not null") == []
    rows.insert(stored)
    assert world.sync("systemeio_tags").gone == len(ids) - 1


# Side by side ---------------------------------------------------------------------------------------------------


def test_sources_are_synced_side_by_side_into_an_empty_database(world: World) -> None:
    errors: list[BaseException] = []

    def one(name: str) -> None:
        try:
            world.sync(name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(name,)) for name in SOURCES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(world.content(name) == world.truth(name) for name in SOURCES)


def test_a_second_sync_of_a_source_waits_for_the_first(world: World) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as holder:
        ledger.install(holder)
        holder.execute("select cutover.begin_source('systemeio_tags')")
        waiting = threading.Thread(target=world.sync, args=("systemeio_tags",))
        waiting.start()
        waiting.join(1.5)
        assert waiting.is_alive()
        assert world.simulator.count() == 0
    waiting.join(10)
    assert world.content("systemeio_tags") == world.truth("systemeio_tags")
    assert any("waiting for another sync" in line for line in world.log)


def test_a_sync_that_was_overtaken_stores_nothing_more(world: World) -> None:
    """Behind a pooler the lock may belong to somebody else's session: the number of pages still tells."""
    stolen = threading.Event()

    def steal(_request: Any) -> None:
        if not stolen.is_set() and world.query("select 1 from cutover.sync_page where window_no = 0 and rows > 0"):
            stolen.set()
            world.execute("update cutover.sync_window set pages = pages + 7")

    world.simulator.on_request(steal)
    with pytest.raises(CutoverError, match=r"\[extract.overtaken\]"):
        world.sync("systemeio_contacts")
    stored = world.query("select count(*) as rows from raw.systemeio_contacts")
    assert stored[0]["rows"] < len(world.truth("systemeio_contacts"))


def test_a_page_number_that_is_taken_tells_too_that_a_sync_was_overtaken(world: World) -> None:
    """The other process has stored a page of another window."""
    stolen = threading.Event()

    def steal(_request: Any) -> None:
        if not stolen.is_set() and world.query("select 1 from cutover.sync_page where window_no = 0 and rows > 0"):
            stolen.set()
            world.execute(
                "insert into cutover.sync_page (sync_id, page_no, window_no, attempt, request, fetched_at, "
                "received_bytes, rows, new, changed, returned, rejected, adjusted) "
                "select sync_id, page_no + 10, 1, 1, '', now(), 0, 0, 0, 0, 0, 0, 0 from cutover.sync_page "
                "order by page_no desc limit 1"
            )

    world.simulator.on_request(steal)
    with pytest.raises(CutoverError, match=r"\[extract.overtaken\]"):
        world.sync("systemeio_contacts")


def test_a_raw_table_that_somebody_altered_is_told_so(world: World) -> None:
    world.sync("systemeio_tags")
    world.execute("alter table raw.systemeio_tags rename column name to label")
    world.rows("systemeio_tags").update(world.rows("systemeio_tags").ids()[0], name="Renamed")
    with pytest.raises(CutoverError, match=r"\[extract.raw-table\] raw.systemeio_tags: .*systemeio_tags.create.sql"):
        world.sync("systemeio_tags")


def test_a_role_that_may_not_create_is_told_so(world: World, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("drop role if exists reader")
        admin.execute("create role reader login password 'not-enough' nosuperuser nocreatedb nocreaterole")
    world.dsn = psycopg.conninfo.make_conninfo(database, user="reader", password="not-enough")
    try:
        with pytest.raises(CutoverError, match=r"\[extract.not-allowed\] raw.systemeio_tags: .*permission denied"):
            world.sync("systemeio_tags")
    finally:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("drop role reader")


def test_a_role_that_may_only_create_is_enough(simulate: Callable[..., World], database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("drop role if exists extractor")
        admin.execute("create role extractor login password 'just-enough' nosuperuser nocreatedb nocreaterole")
        admin.execute(f"grant create on database {admin.info.dbname} to extractor")
    world = simulate()
    world.dsn = psycopg.conninfo.make_conninfo(database, user="extractor", password="just-enough")
    try:
        for name in SOURCES:
            world.sync(name)
            assert world.content(name) == world.truth(name)
    finally:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("drop owned by extractor cascade")
            admin.execute("drop role extractor")


def test_a_person_watching_sees_pages_rows_rate_and_what_is_left(
    simulate: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = simulate(latency=0.02, xendit=XenditOptions(rate_limit=600))
    world.sync("systemeio_contacts")
    monkeypatch.setattr("cutover.extract.report.INTERVAL", 0.1)
    world.log.clear()
    world.sync("systemeio_contacts")
    progress = [line for line in world.log if "pages and" in line]
    assert progress, world.log
    assert "page" in progress[0]
    assert "of about" in progress[0]
    assert "rows a second" in progress[0]
    assert "s left" in progress[0]
