"""Headers in every form, and a pacer that spends the whole quota and no more."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta, timezone

import pytest

from cutover.extract.rates import Clock, Pacer, seconds_until

NOW = datetime(2025, 9, 30, 12, 0, 0, tzinfo=timezone.utc)
EPOCH = NOW.timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("58.37", 58.37),
        ("0", 0.0),
        ("Tue, 30 Sep 2025 12:00:30 GMT", 30.0),
        ("Tue, 30 Sep 2025 11:59:30 GMT", 0.0),
        ("2025-09-30T12:00:45+00:00", 45.0),
        ("2025-09-30T12:00:45Z", 45.0),
        ("2025-09-30T20:00:45+08:00", 45.0),
        ("2025-09-30 12:00:45", 45.0),
        (str(int(EPOCH) + 20), 20.0),
        (str(int(EPOCH) - 20), 0.0),
        (str(int(EPOCH * 1000) + 1500), 1.5),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_moment_in_any_form(value: str | None, seconds: float | None) -> None:
    result = seconds_until(value, NOW)
    assert result == (seconds if seconds is None else pytest.approx(seconds, abs=0.001))


class Still(Clock):
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.moment = 960.0

    def monotonic(self) -> float:
        return self.moment

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.moment)

    def sleep(self, seconds: float, until: threading.Event) -> None:
        self.moment += seconds


class Server:
    """Counts requests as a server does: over a sliding or a fixed window, with others using the same quota."""

    def __init__(self, clock: Still, limit: int, window: float, *, fixed: bool, round_up: bool = False) -> None:
        self.clock, self.limit, self.window, self.fixed, self.round_up = clock, limit, window, fixed, round_up
        self.taken: deque[float] = deque()
        self.allowed = 0
        self.refused = 0

    def request(self) -> dict[str, str]:
        """The headers of the answer to a request made now."""
        now = self.clock.moment
        period_start = now - now % self.window if self.fixed else now - self.window
        while self.taken and (self.taken[0] < period_start if self.fixed else self.taken[0] <= period_start):
            self.taken.popleft()
        if len(self.taken) < self.limit:
            self.taken.append(now)
            self.allowed += 1
        else:
            self.refused += 1
        reset = (period_start + self.window - now) if self.fixed else (self.taken[0] + self.window - now)
        return {
            "Rate-Limit-Limit": str(self.limit),
            "Rate-Limit-Remaining": str(self.limit - len(self.taken)),
            "Rate-Limit-Reset": str(int(reset) + 1) if self.round_up else f"{reset:.2f}",
        }


def run(
    server: Server,
    pacer: Pacer,
    *,
    seconds: float,
    latency: float,
    others: float = 0.0,
    headers: tuple[str, ...] = ("Rate-Limit-Limit", "Rate-Limit-Remaining", "Rate-Limit-Reset"),
) -> tuple[int, int]:
    """Ask as fast as the pacer lets us for so many seconds; how many of our requests were allowed and refused.

    ``others``: requests a second that somebody else makes.
    """
    clock = server.clock
    end = clock.moment + seconds
    foreign = clock.moment
    mine = refused = 0
    while clock.moment < end:
        pacer.acquire(lambda wait, _reason: clock.sleep(wait, threading.Event()))
        while others and foreign < clock.moment:
            foreign += 1 / others
            server.request()
        before = server.allowed, server.refused
        clock.moment += latency / 2
        answer = server.request()
        clock.moment += latency / 2
        pacer.settle({name: answer[name] for name in headers}, clock.now())
        mine += server.allowed - before[0]
        refused += server.refused - before[1]
    return mine, refused


@pytest.mark.parametrize("latency", [0.001, 0.02, 0.09])
@pytest.mark.parametrize("limit", [60, 600])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("known", [True, False])
def test_at_least_95_percent_of_the_quota_and_never_more(latency: float, limit: int, fixed: bool, known: bool) -> None:
    clock = Still()
    server = Server(clock, limit, 60.0, fixed=fixed)
    pacer = Pacer(clock, window=60.0 if known else None, ceiling=None, reserve=0)
    mine, refused = run(server, pacer, seconds=1800, latency=latency)
    assert refused == 0
    assert mine >= 0.95 * limit * 30


def test_a_refill_in_whole_seconds_costs_little() -> None:
    clock = Still()
    server = Server(clock, 60, 60.0, fixed=False, round_up=True)
    mine, refused = run(server, Pacer(clock, window=None, ceiling=None, reserve=0), seconds=1800, latency=0.05)
    assert refused == 0
    assert mine >= 0.95 * 60 * 30


@pytest.mark.parametrize("known", [True, False])
def test_others_may_use_the_same_quota(known: bool) -> None:
    clock = Still()
    server = Server(clock, 60, 60.0, fixed=False)
    pacer = Pacer(clock, window=60.0 if known else None, ceiling=None, reserve=5)
    mine, refused = run(server, pacer, seconds=1800, latency=0.05, others=0.5)
    assert mine >= 0.9 * (60 - 30 - 5) * 30
    assert refused <= 0.01 * mine


def test_a_reserve_is_left_to_others() -> None:
    clock = Still()
    server = Server(clock, 60, 60.0, fixed=True)
    run(server, Pacer(clock, window=None, ceiling=None, reserve=10), seconds=50, latency=0.01)
    assert server.allowed == 50 + 1  # the last one had to wait for the next period
    assert clock.moment >= 1020


@pytest.mark.parametrize("ceiling", [6, 30])
def test_the_ceiling_of_the_connection_holds_whatever_the_headers_allow(ceiling: int) -> None:
    clock = Still()
    server = Server(clock, 600, 60.0, fixed=False)
    mine, _ = run(server, Pacer(clock, window=60.0, ceiling=ceiling, reserve=0), seconds=600, latency=0.01)
    assert 0.95 * ceiling * 10 <= mine <= ceiling * 10 + 1


def test_without_any_header_only_the_ceiling_counts() -> None:
    clock = Still()
    server = Server(clock, 10_000, 60.0, fixed=False)
    mine, _ = run(server, Pacer(clock, window=60.0, ceiling=None, reserve=0), seconds=10, latency=0.1, headers=())
    assert mine == pytest.approx(100, abs=2)


def test_a_limit_without_what_is_left_of_it_is_counted_by_ourselves() -> None:
    clock = Still()
    server = Server(clock, 60, 60.0, fixed=False)
    pacer = Pacer(clock, window=60.0, ceiling=None, reserve=0)
    mine, refused = run(server, pacer, seconds=600, latency=0.01, headers=("Rate-Limit-Limit",))
    assert refused == 0
    assert mine >= 0.95 * 60 * 10


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "nan", "1e400", "", "many"])
def test_a_limit_that_is_no_number_is_ignored(value: str) -> None:
    names = ("Limit", "Remaining", "Reset")
    for prefix in ("Rate-Limit", "X-RateLimit"):
        clock = Still()
        pacer = Pacer(clock, window=60.0, ceiling=None, reserve=0)
        for _ in range(3):
            pacer.acquire(lambda wait, _reason, clock=clock: clock.sleep(wait, threading.Event()))
            pacer.settle({f"{prefix}-{name}": value for name in names}, clock.now())
        assert clock.moment == 960.0


def test_a_hold_is_kept_by_every_thread_and_the_reason_is_told() -> None:
    clock = Still()
    pacer = Pacer(clock, window=60.0, ceiling=None, reserve=0)
    pacer.hold(12.0, "429")
    lines: list[tuple[float, str]] = []

    def wait(seconds: float, reason: str) -> None:
        lines.append((seconds, reason))
        clock.sleep(seconds, threading.Event())

    pacer.acquire(wait)
    pacer.settle({}, clock.now())
    pacer.acquire(wait)
    assert lines == [(12.0, "429")]


def test_before_the_first_answer_only_one_request_is_out() -> None:
    pacer = Pacer(Clock(), window=60.0, ceiling=None, reserve=0)
    pacer.acquire(lambda _seconds, _reason: None)
    second = threading.Thread(target=pacer.acquire, args=(lambda _seconds, _reason: None,), daemon=True)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    pacer.settle({"Rate-Limit-Limit": "60", "Rate-Limit-Remaining": "59"}, NOW)
    second.join(5)
    assert not second.is_alive()


def test_threads_that_share_a_quota_spend_it_and_no_more() -> None:
    """In real time: four requests under way at once, and a window of one second."""

    class Real(Still):
        @property
        def moment(self) -> float:  # type: ignore[override]
            return Clock.monotonic(self)

        @moment.setter
        def moment(self, value: float) -> None: ...

    clock = Real()
    server, lock = Server(clock, 40, 1.0, fixed=False), threading.Lock()
    pacer = Pacer(Clock(), window=1.0, ceiling=None, reserve=0)
    end = clock.moment + 2.9

    def work() -> None:
        while clock.moment < end:
            pacer.acquire(lambda seconds, _reason: threading.Event().wait(seconds))
            threading.Event().wait(0.05)
            with lock:
                answer = server.request()
            threading.Event().wait(0.05)
            pacer.settle(answer, NOW)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.refused == 0
    assert server.allowed >= 0.8 * 40 * 2.9
