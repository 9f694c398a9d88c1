"""Sends what was approved: each message is claimed before it is sent, and what became of it is written down after.

The claim is a row that only one sender can make, committed before anything leaves. Whoever dies between claim and
record leaves a message of which nobody knows whether it was delivered: its state becomes ``unknown``, and a person
decides. So nobody gets a message twice, whatever is killed, and nobody is forgotten without its showing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.announce import ACTION, audience
from cutover.announce.channels import Letter, Open, Outcome, Way, deferred, failed
from cutover.announce.message import as_html, for_person
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration
from cutover.records import approval, chain, phase, run
from cutover.records.run import Run

# Threads per channel: what is waited for is the other side, a tenth of a second for each message.
_WORKERS = 4
# No attempt takes longer, by the time-outs of the channels: a claim this old is of a sender that is gone.
_CLAIM_LIMIT = timedelta(minutes=10)
# A recipient that is refused for now so often, while others are taken, is given up.
_ATTEMPTS = 5
# So many attempts in a row that nobody took: it is not the recipients. The task ends, and can be cleared.
_REFUSALS_IN_A_ROW = 40
# So many in a row of which nobody knows: the fewer people get into that state, the better.
_UNKNOWN_IN_A_ROW = 5
# After a refusal that says nothing of time, the channel rests so long, doubled at each further one. Seconds.
_REST_S, _LONGEST_REST_S = 1.0, 60.0
# Who asks to wait longer is not waited for: the task ends, and can be cleared then. Seconds.
_LONGEST_WAIT_S = 600.0
_PROGRESS_EVERY_S = 10.0


class Pace:
    """When the next message of a channel may go out: ``rate`` a second, evenly, and not before a rest is over."""

    def __init__(self, rate: float) -> None:
        self._gap_s = 1.0 / rate
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, until: threading.Event) -> bool:
        """Wait for one's turn. Returns False when the event was set meanwhile."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap_s
        return not until.wait(max(0.0, turn - time.monotonic()))

    def rest(self, seconds: float) -> None:
        """Nothing goes out for ``seconds`` from now."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


@dataclass
class _Sending:
    """One channel of a campaign in this process."""

    connect: Connect
    migration: Migration
    row: Run
    channel: str
    # the text, made into HTML once
    html: str
    open: Open
    stop: threading.Event
    pace: Pace
    pending: deque[int]
    until: datetime | None
    done: dict[str, int] = field(default_factory=dict)
    refused_in_a_row: int = 0
    unknown_in_a_row: int = 0
    problem: BaseException | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self) -> None:
        """One thread: send until nothing is left, or another one has met something that ends it."""
        try:
            with opened(self.connect, autocommit=True) as connection, self.open() as way:
                me = connection.execute(files.statement("announce/session.sql")).fetchone()
                assert me is not None
                while (audience_id := self._next()) is not None:
                    self._one(connection, way, audience_id, {"pid": me[0], "started": me[1]})
        except BaseException as error:
            self.problem = self.problem or error
            self.stop.set()

    def _next(self) -> int | None:
        """The next person, when it is time for one; None if there is none, or it is too late."""
        with self.lock:
            if not self.pending:
                return None
            audience_id = self.pending.popleft()
        if not self.pace.wait(self.stop) or self._is_too_late():
            return None
        return audience_id

    def _is_too_late(self) -> bool:
        return self.until is not None and datetime.now(timezone.utc) >= self.until

    def _one(self, connection: psycopg.Connection, way: Way, audience_id: int, me: Mapping[str, Any]) -> None:
        assert self.row.review is not None
        with connection.cursor(row_factory=dict_row) as cursor:
            claimed = cursor.execute(
                files.statement("announce/claim.sql"), {**_keys(self.row), **me, "audience_id": audience_id}
            ).fetchone()
        if claimed is None:
            return
        outcome = self._deliver(connection, way, claimed)
        if outcome.state == "deferred" and outcome.personal and claimed["attempts"] >= _ATTEMPTS:
            outcome = failed(f"{claimed['attempts']} times: {outcome.reason}")
        self._record(connection, claimed, outcome)
        self._judge(outcome, audience_id)

    def _deliver(self, connection: psycopg.Connection, way: Way, claimed: Mapping[str, Any]) -> Outcome:
        """To the first recipient that there still is; a person's other devices are not told a second time."""
        review = self.row.review or {}
        outcome = failed("no device")
        for place, recipient in enumerate(claimed["recipients"]):
            if place:
                self.pace.wait(self.stop)
            letter = Letter(
                campaign=review["campaign"],
                letter=claimed["letter"],
                recipient=recipient,
                subject=for_person(review["subject"], claimed["name"]),
                text=for_person(review["text"], claimed["name"]),
                html=for_person(self.html, claimed["name"]),
                push=for_person(review["push"] or "", claimed["name"]),
            )
            try:
                outcome = way.deliver(letter)
            except CutoverError as error:
                # not delivered, and it will be when somebody has cleared this
                self._record(connection, claimed, deferred(error.code))
                raise
            if not outcome.dead:
                break
            self._switch_off(connection, recipient)
        return outcome

    def _switch_off(self, connection: psycopg.Connection, recipient: str) -> None:
        """Nothing goes to this address or device any more; the application is told of a device, where it has one."""
        reason = "unregistered" if self.channel == "push" else "bounced"
        path = f"{self.migration.migration}/announce/switch_off.sql"
        # neither a device nor an address belongs in the server's log
        with connection.transaction():
            connection.execute("select set_config('log_parameter_max_length_on_error', '0', true)")
            connection.execute(files.statement("announce/suppress.sql"), {"recipient": recipient, "reason": reason})
            if self.channel == "push" and files.files(f"{self.migration.migration}/announce", "switch_off.sql"):
                try:
                    with connection.transaction():
                        connection.execute(files.statement(path), {"token": recipient})
                except psycopg.errors.UndefinedTable:
                    pass  # before the first launch there is no table yet

    def _record(self, connection: psycopg.Connection, claimed: Mapping[str, Any], outcome: Outcome) -> None:
        connection.execute(
            files.statement("announce/record.sql"),
            {
                "announcement_id": claimed["announcement_id"],
                "attempts": claimed["attempts"],
                "state": outcome.state,
                "reason": None if outcome.reason is None else masked_text(outcome.reason),
            },
        )

    def _judge(self, outcome: Outcome, audience_id: int) -> None:
        """Count, rest and come back where that is wanted; end the channel when it is not the recipients."""
        with self.lock:
            self.done[outcome.state] = self.done.get(outcome.state, 0) + 1
            shared = outcome.state == "deferred" and not outcome.personal
            self.refused_in_a_row = self.refused_in_a_row + 1 if shared else 0
            self.unknown_in_a_row = self.unknown_in_a_row + 1 if outcome.state == "unknown" else 0
            if outcome.state == "deferred":
                self.pending.append(audience_id)
            refused, unknown = self.refused_in_a_row, self.unknown_in_a_row
        if shared:
            wait_s = outcome.wait_s
            if wait_s is None:
                wait_s = min(_LONGEST_REST_S, _REST_S * 2 ** (refused - 1))
            if wait_s > _LONGEST_WAIT_S or refused >= _REFUSALS_IN_A_ROW:
                raise self._given_up(f"{refused} refusals in a row, the last one: {outcome.reason}")
            self.pace.rest(wait_s)
        if unknown >= _UNKNOWN_IN_A_ROW:
            raise self._given_up(f"of {unknown} in a row nobody knows what became of them, the last: {outcome.reason}")

    def _given_up(self, why: str) -> CutoverError:
        return CutoverError(
            "announce.gave-up",
            f"{self.channel}, campaign {self.migration.migration} {(self.row.review or {})['campaign']}",
            f"{masked_text(why)}. Whoever has not been told waits.",
            "see what the other side has, then clear the task send: it goes on where this has stopped.",
        )

    def progress(self, since: float) -> str:
        """How far this process has come, in a line."""
        with self.lock:
            done, left = dict(self.done), len(self.pending)
        seconds = max(time.monotonic() - since, 0.001)
        over = sum(count for state, count in done.items() if state != "deferred")
        rate = over / seconds
        about = f", about {timedelta(seconds=round(left / rate))} more" if rate and left else ""
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(done.items())) or "nothing yet"
        return f"{self.channel}: {states}; {left:,} left, {rate:.1f} a second{about}"


def send(connect: Connect, migration: Migration, this_run: str, ways: Mapping[str, Open], log: Log) -> dict[str, Any]:
    """Send the approved campaign of a run to everybody who has not been told. Safe to repeat and to kill at any time.

    ``ways`` opens each channel. Returns the report: people by channel, state and reason. Raises CutoverError
    ``swap.not-approved``, ``announce.refused``, ``announce.gave-up``, and as ``audience.require_live`` does, also for a
    launch that is taken back while people are told of it.
    """
    with opened(connect) as connection:
        row = run.get(connection, this_run)
        reported = phase.newest(connection, this_run).get("send")
    review = row.review or {}
    if reported is not None:
        log("this campaign has been sent; its report:")
        _say(reported.result["counts"], log)
        return reported.result
    _require_live(connect, migration, row)
    _begin(connect, migration, row, log)
    until = datetime.fromisoformat(review["opens"]) if review["opens"] else None
    stop = threading.Event()
    channels = []
    for name in review["channels"]:
        with opened(connect) as connection:
            due = connection.execute(files.statement("announce/pending.sql"), {**_keys(row), "channel": name})
            pending = deque(number for (number,) in due.fetchall())
        pace = Pace(review["rates"][name])
        channels.append(
            _Sending(connect, migration, row, name, as_html(review["text"]), ways[name], stop, pace, pending, until)
        )
    _run(channels, stop, log, lambda: _require_live(connect, migration, row))
    return _finish(connect, migration, row, channels, log)


def _require_live(connect: Connect, migration: Migration, row: Run) -> None:
    """Raise when it is about a launch that is not live, or not any more."""
    if (row.review or {}).get("of_launch"):
        with opened(connect) as connection:
            audience.require_live(connection, migration)


def _keys(row: Run) -> dict[str, Any]:
    """Which campaign of which run, for statements."""
    return {"run": row.run, "migration": row.migration, "campaign": (row.review or {})["campaign"]}


def _begin(connect: Connect, migration: Migration, row: Run, log: Log) -> None:
    """Use up the approval, or find that this run has; then settle who is not told, and what dead senders have left."""
    keys, review = _keys(row), row.review or {}
    with opened(connect) as connection:
        connection.execute(files.statement("announce/lock_run.sql"), keys)
        fingerprint = audience.fingerprint_of(connection, row)
        begun = connection.execute(
            files.statement("announce/approved.sql"),
            {"run": row.run, "action": ACTION, "consumer": f"{ACTION} of {row.run}"},
        ).fetchone()
        if begun is None:
            approved = approval.consume(connection, row.run, ACTION, fingerprint)
            _resolve(connection, row, approved.approved_by, log)
            chain.append(connection, ACTION, row.run, [approved.row], says={"campaign": review["campaign"]})
        elif begun[1] != fingerprint:
            raise CutoverError(
                "swap.not-approved",
                f"{ACTION} of run {row.run}",
                "a text or the audience was changed after it had begun to be sent.",
                "trigger a new run, and have it approved: whoever has been told is not told again.",
            )
    with opened(connect) as connection:
        values = {**keys, "limit": _CLAIM_LIMIT}
        dead = connection.execute(files.statement("announce/dead_claims.sql"), values).rowcount
        if dead:
            log(f"{dead:,} messages were claimed by senders that are gone: nobody knows what became of them")
        connection.execute(files.statement("announce/skip.sql"), {**keys, "everybody": None})
        query = audience.query_of(migration, review["audience"])
        changed = connection.execute(files.statement("announce/skip_changed.sql", audience=query), keys).rowcount
        if changed:
            log(f"{changed:,} people of the audience have opted out or gone since the approval was asked for")


def _resolve(connection: psycopg.Connection, row: Run, by: str, log: Log) -> None:
    """What nobody knew of when the approver was asked: sent again, or counted as sent, if that is what was approved."""
    state = {"resend": "deferred", "sent": "sent"}.get((row.review or {})["unknown"])
    if state is not None:
        values = {**_keys(row), "state": state, "by": by}
        resolved = connection.execute(files.statement("announce/resolve.sql"), values).rowcount
        log(f"{resolved:,} messages of which nobody knew: {(row.review or {})['unknown']}")


def _run(channels: list[_Sending], stop: threading.Event, log: Log, require_live: Callable[[], None]) -> None:
    """Let all threads work, and say how far they are, until they have ended, or nobody is to be told any more."""
    since = time.monotonic()
    threads = [
        threading.Thread(target=one.work, name=one.channel, daemon=True) for one in channels for _ in range(_WORKERS)
    ]
    try:
        for thread in threads:
            thread.start()
        reported_at = since
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.2) if threads[0].is_alive() else time.sleep(0.05)
            if time.monotonic() - reported_at >= _PROGRESS_EVERY_S:
                reported_at = time.monotonic()
                for one in channels:
                    log(one.progress(since))
                require_live()
    finally:
        # also when the task is ended from outside: what has been claimed is still recorded
        stop.set()
        for thread in threads:
            thread.join(_CLAIM_LIMIT.total_seconds())
    for one in channels:
        log(one.progress(since))


def _finish(connect: Connect, migration: Migration, row: Run, channels: list[_Sending], log: Log) -> dict[str, Any]:
    """The report, on record and in the chain; or the first thing that has kept it from being whole."""
    keys, review = _keys(row), row.review or {}
    problem = next((one.problem for one in channels if one.problem is not None), None)
    with opened(connect) as connection:
        late = "too late: the window has opened" if any(one._is_too_late() for one in channels) else None
        connection.execute(files.statement("announce/skip.sql"), {**keys, "everybody": late})
        counted = audience.counts(connection, migration, row.run, review["campaign"])
        _say(counted, log)
        if problem is None:
            report = {"campaign": review["campaign"], "counts": counted}
            phase.record(connection, migration, row.run, "send", action=ACTION, **report)
            run.note(connection, row.run, finished_at=datetime.now(timezone.utc))
            connection.execute(files.statement("announce/forget_told.sql"), keys)
            chain.append(connection, "announced", row.run, says=report)
    if problem is not None:
        raise problem
    return report


def _say(counted: list[dict[str, Any]], log: Log) -> None:
    for line in audience.lines(counted):
        log(line)
