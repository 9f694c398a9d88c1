"""One sync of one source: decide what to read, crawl it, store it, and say what it came to.

Killed at any moment and started again, a sync goes on behind the last page that was stored. It is complete when
every window has ended by the API's own word; only then does the watermark move, and only a complete full read
marks rows as gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cutover.database.connect import Connect, Log
from cutover.database.words import said
from cutover.errors import CutoverError
from cutover.extract import session
from cutover.extract import windows as planned
from cutover.extract.client import Access, Answer, Endpoint
from cutover.extract.lanes import Lanes, Meeting
from cutover.extract.page import Body, reader
from cutover.extract.pagination import Crawl, Learned, Page, Position, Trail
from cutover.extract.places import Links, crawl_of
from cutover.extract.rates import Clock
from cutover.extract.report import Progress, SyncReport
from cutover.extract.store import Placed, Store
from cutover.extract.windows import Window
from cutover.migration.source import Service, Source

# A cursor is a place in a list that goes on changing: after this long, begin anew.
OLDEST_TO_RESUME = timedelta(hours=24)
# So few rows may go at once without being doubted, whatever their share.
FEW_GONE = 20
# So few rows may be refused in one sync without the API being doubted, whatever their share.
FEW_REJECTED = 20
# But so many different rows, and since the first of them none that could be stored, are not odd rows: in a quiet hour
# one or two are, and they are shown again by each sync.
ALL_REJECTED = 3
# So often a list is read whose pages are a number or a link, while each reading brings rows that raw had not.
READINGS = 4
# A lane that is shorter than this is not worth the page on which it meets the next.
LEAST_PAGES = 4


@dataclass(frozen=True)
class _Decision:
    """Whether to read everything or what has changed, and why."""

    mode: str
    because: str
    watermark: datetime | None = None
    sweep: int = 0
    cursor_name: str | None = None
    # The list was read to its end before: the ids that raw has are good places to cut it.
    known: bool = False


@dataclass(frozen=True)
class _Begun:
    """A sync that is in the table: new, or one to be taken up again."""

    sync_id: int
    decision: _Decision
    until: datetime
    waited: dict[str, float]


def sync(
    source: Source,
    service: Service,
    access: Access,
    connect: Connect,
    *,
    full: bool = False,
    accept_gone: bool = False,
    log: Log = print,
    clock: Clock | None = None,
) -> SyncReport:
    """Bring ``raw.<source>`` up to what the API shows, and return what was done.

    ``full`` reads everything again; without it, only what can have changed is read where the API has a filter for
    that. ``accept_gone`` believes a full read that misses many of the rows known. ``connect`` opens a connection
    to the database; ``log`` is called with lines for a person who watches.

    Raises CutoverError: ``extract.unauthorized``, ``extract.forbidden``, ``extract.redirected``,
    ``extract.bad-connection``, ``extract.refused``, ``extract.gave-up``, ``extract.wait-too-long``,
    ``extract.cannot-page``, ``extract.foreign-link``, ``extract.key-in-link``, ``extract.too-many-gone``,
    ``extract.too-many-rejected``, ``extract.busy``,
    ``extract.overtaken``, ``extract.database``, ``extract.not-allowed``, ``extract.raw-table``. After each of them raw
    holds what was stored so far, and the next call goes on from there.
    """
    clock = clock or Clock()
    made_by = f"{source.migration}/extract/{source.name}.create.sql"
    with session.database_errors(source.name, made_by), connect() as connection:
        connection.execute("set time zone 'UTC'")
        connection.commit()
        store = Store(connection, source)
        store.prepare()
        with session.turn(connection, source.name, log):
            steps = _Sync(source, service, access, store, accept_gone=accept_gone, log=log, clock=clock)
            return steps.run(full)


@dataclass
class _Counts:
    """Pages stored so far: of the sync, and of each window."""

    sync: int
    windows: dict[int, int]

    def place(self, window_no: int, page: Page) -> Placed:
        """Give the page the next number."""
        self.sync += 1
        self.windows[window_no] += 1
        return Placed(page, self.sync, window_no, self.windows[window_no] - 1)


class _Sync:
    """The steps of one sync, in order, over one connection."""

    def __init__(
        self,
        source: Source,
        service: Service,
        access: Access,
        store: Store,
        *,
        accept_gone: bool,
        log: Log,
        clock: Clock,
    ) -> None:
        self._source = source
        self._store = store
        self._accept_gone = accept_gone
        self._log = log
        self._clock = clock
        self._progress = Progress(source.name, None, log, clock)
        self._endpoint = Endpoint(
            access, service, source.path, permission=source.permission, clock=clock, on_wait=self._on_wait
        )
        self._learned = Learned(source)
        self._meeting = Meeting()
        self._clock_is_kept = False

    def run(self, full: bool) -> SyncReport:
        stored, _ = self._store.count()
        begun = self._take_up(full) or self._begin(self._decide(full, stored))
        self._store.connection.commit()
        self._learned = Learned(self._source, begun.decision.cursor_name)
        try:
            self._crawl(begun)
            while self._read_again(begun):
                self._endpoint.stop.clear()  # set where the lanes of the reading before have ended
                self._crawl(begun)
            report = self._finish(begun)
        except BaseException as error:
            self._record_failure(begun, error)
            raise
        finally:
            self._endpoint.close()
        for line in report.lines():
            self._log(line)
        return report

    # Deciding

    def _take_up(self, full: bool) -> _Begun | None:
        """An unfinished sync that is still good, if there is one. One that is not is abandoned, with the reason."""
        unfinished = self._store.one("extract/unfinished.sql")
        if unfinished is None:
            return None
        doubts = (
            (full and unfinished["mode"] != "full", "a full read was asked for"),
            (unfinished["api"] != self._endpoint.api, "the API is at another address"),
            (unfinished["account"] != self._endpoint.account, "the API key is another one"),
            (unfinished["declaration"] != self._source.fingerprint, "the declaration of the source has changed"),
            (self._clock.now() - unfinished["started_at"] > OLDEST_TO_RESUME, "it is too old to go on with"),
            (
                (unfinished["error_code"] == "extract.too-many-gone" and not self._accept_gone)
                or unfinished["error_code"] == "extract.too-many-rejected",
                "what it had read was not believed",
            ),
        )
        for doubt, why in doubts:
            if doubt:
                self._log(f"{self._source.name}: sync {unfinished['sync_id']} is not taken up again: {why}")
                self._store.execute("extract/abandon_sync.sql", sync_id=unfinished["sync_id"], why=why)
                return None
        self._store.execute("extract/take_up_sync.sql", sync_id=unfinished["sync_id"])
        self._log(f"{self._source.name}: taking up sync {unfinished['sync_id']} behind the last page that was stored")
        state = self._store.one("extract/state.sql")
        decision = _Decision(
            unfinished["mode"],
            unfinished["because"],
            sweep=state["sweep"] if state else 0,
            cursor_name=state["cursor_name"] if state else None,
        )
        return _Begun(unfinished["sync_id"], decision, unfinished["until"], unfinished["waited"])

    def _decide(self, full: bool, stored: int) -> _Decision:
        """Full or incremental. A watermark counts only for the rows, API, account and declaration it was set for."""
        state = self._store.one("extract/state.sql")
        if state is None:
            return _Decision("full", "this source was never read to its end")
        reasons = (
            (state["api"] != self._endpoint.api, False, "the API is at another address than last time"),
            (state["account"] != self._endpoint.account, False, "the API key is another one than last time"),
            (state["declaration"] != self._source.fingerprint, False, "the declaration of the source has changed"),
            (full, True, "a full read was asked for"),
            (state["stored"] != stored, True, f"raw has {stored:,} rows where the last sync left {state['stored']:,}"),
            (not self._source.incremental, True, "this API has no filter for what has changed"),
        )
        for reason, known, because in reasons:
            if reason:
                return _Decision("full", because, sweep=state["sweep"], cursor_name=state["cursor_name"], known=known)
        because = f"the last sync was complete up to {planned.timestamp(state['watermark'])}"
        return _Decision("incremental", because, state["watermark"], state["sweep"], state["cursor_name"])

    def _begin(self, decision: _Decision) -> _Begun:
        until = self._clock.now()
        begun = self._store.one(
            "extract/begin_sync.sql",
            mode=decision.mode,
            because=decision.because,
            api=self._endpoint.api,
            account=self._endpoint.account,
            declaration=self._source.fingerprint,
            until=until,
        )
        assert begun is not None
        for number, window in enumerate(self._plan(decision, until)):
            self._store.execute(
                "extract/begin_window.sql",
                sync_id=begun["sync_id"],
                window_no=number,
                name=window.name,
                params=Jsonb(window.params),
                position=Jsonb(Position(cut=window.cut).to_json()),
            )
        self._log(f"{self._source.name}: sync {begun['sync_id']}, {decision.mode}: {decision.because}")
        return _Begun(begun["sync_id"], decision, until, {})

    def _plan(self, decision: _Decision, until: datetime) -> list[Window]:
        if decision.known:
            _, present = self._store.count()
            lanes = min(self._source.paging.lanes, present // (LEAST_PAGES * self._source.paging.size))
            if lanes > 1:
                return planned.lanes(self._store.cuts(lanes))
        if decision.watermark is None:
            return planned.full(self._source, until)
        span = None
        if self._source.history:
            bounds = self._store.span(self._source.history.column)
            span = bounds if bounds[0] is not None else None
        return planned.incremental(self._source, until, decision.watermark, span, decision.sweep)

    # Reading and storing

    def _crawl(self, begun: _Begun) -> None:
        """Crawl every window that is not complete, and store its pages as they come."""
        counted = self._store.one("extract/count_pages.sql", sync_id=begun.sync_id)
        expected = self._store.one("extract/expected_pages.sql", mode=begun.decision.mode)
        windows = self._store.execute("extract/windows.sql", sync_id=begun.sync_id)
        self._store.connection.commit()
        assert counted is not None
        pages = expected["pages"] if expected else None
        self._progress = Progress(self._source.name, pages, self._log, self._clock)
        self._progress.start(counted["pages"])
        counts = _Counts(counted["last_page_no"], {window["window_no"]: window["pages"] for window in windows})
        crawls = [(window["window_no"], self._crawl_of(window)) for window in windows if window["state"] == "open"]
        lanes = self._source.history.lanes if self._source.history else self._source.paging.lanes
        for window in windows:
            self._meeting.begin(window["window_no"], window["first_ids"])
        with Lanes(crawls, lanes, self._endpoint.stop.set) as running:
            for batch in running.batches():
                self._keep_clock(begun)
                self._save(begun.sync_id, [counts.place(*item) for item in batch])
                self._begin_lanes(batch)

    def _read_again(self, begun: _Begun) -> bool:
        """Open windows anew where rows may have moved over a place; see places.py. True if there are any.

        One that brought rows which raw had not is read again, and once where rows are missing.
        """
        if not self._source.paging.shifts:
            return False
        with self._store.connection.transaction():
            unsettled = self._store.execute(
                "extract/unsettled.sql", sync_id=begun.sync_id, full=begun.decision.mode == "full"
            )
            for window in unsettled:
                before = Position.from_json(window["position"])
                if before.readings + 1 >= READINGS:
                    self._learned.note(f"rows came in during each of {READINGS} readings of the list")
                    continue
                anew = Position(before.attempt + 1, readings=before.readings + 1)
                self._store.execute(
                    "extract/reopen_window.sql",
                    sync_id=begun.sync_id,
                    window_no=window["window_no"],
                    position=Jsonb(anew.to_json()),
                )
                self._log(f"{self._source.name}: window {window['name']} is read again: {window['why']}")
        return any(Position.from_json(window["position"]).readings + 1 < READINGS for window in unsettled)

    def _begin_lanes(self, batch: Sequence[tuple[int, Page]]) -> None:
        """Lanes whose first page has been stored may be met. Nothing here outlives the call: pages may be of 30 MB."""
        for lane, page in batch:
            if page.position.pages == 1 and page.rows:
                self._meeting.begin(lane, (row.key for row in page.rows if row.key is not None))

    def _crawl_of(self, window: dict[str, Any]) -> Crawl:
        read = reader(self._source)
        lane = window["window_no"]

        def ask(params: dict[str, str]) -> Answer[Body]:
            return self._endpoint.get(params, read)

        def follow(request: str) -> Answer[Body]:
            return self._endpoint.follow(request, read)

        return crawl_of(
            self._source,
            Window(window["name"], window["params"]),
            ask,
            self._learned,
            Links(self._endpoint.own, follow),
            position=Position.from_json(window["position"]),
            trail=Trail(window["first_ids"], window["last_ids"], dict.fromkeys(window["cursors"])),
            # windows of a history overlap by design, and each is read to its own end
            meets=lambda ids: self._source.history is None and self._meeting.met(lane, ids),
        )

    def _keep_clock(self, begun: _Begun) -> None:
        """Keep how far the API's clock is behind ours before any page: the watermark needs it, also after a kill."""
        if not self._clock_is_kept and self._endpoint.clock_ahead is not None:
            self._store.execute("extract/keep_clock.sql", sync_id=begun.sync_id, clock_ahead=self._endpoint.clock_ahead)
            self._store.connection.commit()
            self._clock_is_kept = True

    def _save(self, sync_id: int, placed: list[Placed]) -> None:
        self._store.save(sync_id, placed)
        written = sum(item.new + item.changed + item.returned for item in placed)
        pages: list[Page] = [item.page for item in placed if item.page.rows]
        self._progress.stored(len(pages), sum(len(page.rows) for page in pages), written)

    def _on_wait(self, seconds: float, reason: str) -> None:
        self._progress.wait(seconds, reason)

    # Ending

    def _finish(self, begun: _Begun) -> SyncReport:
        """Mark what is gone, move the watermark, drop what nobody needs any more: one transaction."""
        full = begun.decision.mode == "full"
        store = self._store
        with store.connection.transaction():
            windows = store.execute("extract/windows.sql", sync_id=begun.sync_id)
            # a lane that did not find its cut has not begun: the one above it has read its rows
            begun_windows = [w for w in windows if w["pages"] or not w["position"].get("cut")]
            if not begun_windows or any(window["state"] != "complete" for window in begun_windows):
                raise CutoverError(
                    "extract.unread",
                    f"raw.{self._source.name}, sync {begun.sync_id}",
                    "not every part of the source was read to its end, so that nothing can be said to be complete.",
                    "clear the task: it goes on where it stopped. If it comes back, trigger a run with full=true.",
                )
            self._sum_up(begun)
            self._require_few_rejected(begun.sync_id)
            gone = self._mark_gone(begun.sync_id) if full else 0
            stored, present = store.count()
            done = store.one("extract/complete_sync.sql", sync_id=begun.sync_id, gone=gone, total=present)
            assert done is not None
            # of the process that froze the bound, which may not be this one
            ahead = max(0.0, done.pop("clock_ahead") or 0.0)
            store.execute(
                "extract/keep_state.sql",
                sync_id=begun.sync_id,
                api=self._endpoint.api,
                account=self._endpoint.account,
                declaration=self._source.fingerprint,
                # by the API's clock: what it stamps is compared with this
                watermark=begun.until - timedelta(seconds=ahead),
                cursor_name=self._learned.proven or begun.decision.cursor_name,
                sweep=begun.decision.sweep + (not full),
                stored=stored,
                full=full,
            )
            for path in ("extract/drop_pages.sql", "extract/drop_ids.sql", "extract/drop_windows.sql"):
                store.execute(path, sync_id=begun.sync_id)
        return SyncReport(source=self._source.name, sync_id=begun.sync_id, **done)

    def _require_few_rejected(self, sync_id: int) -> None:
        """Raise ``extract.too-many-rejected``, with the field, when rows are refused because the API has changed."""
        counted = self._store.one("extract/refused.sql", sync_id=sync_id)
        assert counted is not None
        rows, rejected, in_a_row = counted["rows"], counted["rejected"], counted["in_a_row"]
        # whoever lets all rows of a sync be refused has said so
        all_of_them = rejected == rows and in_a_row >= ALL_REJECTED and self._source.rejected_share < 1
        too_many = rejected > max(FEW_REJECTED, self._source.rejected_share * rows)
        if not too_many and not all_of_them:
            return
        most = self._store.one("extract/refused_most.sql")
        many = f"none of the last {in_a_row:,} rows could be stored"
        if too_many:
            share = f"more than {self._source.rejected_share:.0%}"
            many = f"{rejected:,} of the {rows:,} rows shown could not be stored, {share}"
        raise CutoverError(
            "extract.too-many-rejected",
            f"raw.{self._source.name}, sync {sync_id}",
            f"{many}; most because: {most['detail'] if most else 'unknown'}.",
            f"look at cutover.rejects, where they are whole; if the API writes that field otherwise now, correct "
            f"include/sql/{self._source.migration}/extract/{self._source.name}.store.sql, then clear the task.",
        )

    def _mark_gone(self, sync_id: int) -> int:
        """Mark the rows that a complete read did not show. Raises ``extract.too-many-gone``."""
        gone = self._store.one("extract/missing.sql", sync_id=sync_id)
        assert gone is not None
        missing, present = gone["missing"], gone["present"]
        many = missing > max(FEW_GONE, self._source.gone_share * present)
        # An answer without any row is more likely a mistake than the end of the business.
        if missing and (many or missing == present) and not self._accept_gone:
            share = f"more than {self._source.gone_share:.0%}" if many else "which is all"
            raise CutoverError(
                "extract.too-many-gone",
                f"raw.{self._source.name}, sync {sync_id}",
                f"a complete read did not show {missing:,} of the {present:,} rows known, {share}; "
                "none was marked as gone.",
                "look whether the API key is for the right account and sees everything; "
                "if the rows are really gone, start it again with the parameter accept_gone.",
            )
        if missing:
            self._store.execute("extract/mark_gone.sql", sync_id=sync_id)
        return int(missing)

    def _sum_up(self, begun: _Begun) -> None:
        endpoint = self._endpoint
        waited = dict(begun.waited)
        for reason, seconds in endpoint.waited.items():
            waited[reason] = round(waited.get(reason, 0.0) + seconds, 3)
        self._store.execute(
            "extract/sum_pages.sql",
            sync_id=begun.sync_id,
            requests=endpoint.requests,
            retries=endpoint.retries,
            waited=Jsonb(waited),
            not_given=Jsonb(self._learned.notes),
            clock_ahead=endpoint.clock_ahead,
        )

    def _record_failure(self, begun: _Begun, error: BaseException) -> None:
        """Leave what happened where people look for it; the error itself goes on to the caller."""
        if self._store.connection.closed:
            return
        code = error.code if isinstance(error, CutoverError) else "extract.failed"
        try:
            self._store.connection.rollback()
            with self._store.connection.transaction():
                self._sum_up(begun)
                reason = said(error) if isinstance(error, psycopg.Error) else str(error)
                self._store.execute(
                    "extract/fail_sync.sql", sync_id=begun.sync_id, code=code, error=f"{type(error).__name__}: {reason}"
                )
        except psycopg.Error as failed:
            self._log(f"{self._source.name}: the failure could not be recorded: {said(failed)}")
