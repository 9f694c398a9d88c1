"""Several windows crawled at once, and one place where their pages come out.

The threads fetch, the caller stores. What is in memory at one time is bounded in bytes, not in pages: pages of
30 MB pass one by one, small ones are handed over as many at a time as have come while the last ones were stored.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType

from cutover.extract.client import StoppedError
from cutover.extract.pagination import Crawl, Page

# Pages that wait to be stored: enough to keep both sides busy, few enough to lose little when killed.
MOST_PAGES = 4
MOST_BYTES = 48 * 1024 * 1024


class Meeting:
    """Where the lanes of one list begin, so that each can end where it meets one further down. Thread-safe.

    Each lane shows every row from its first page on, up to where it meets another or the API ends the list. So a
    lane that shows a row of another's first page has met it: all that follows the row is the other's to read. One
    whose first page was not met is read over. Whichever lanes meet, the list is whole once all of them have ended,
    because the first begins at its top and meetings lead downwards only, to one that ended by the API's own word.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first_ids: dict[int, frozenset[str]] = {}

    def begin(self, lane: int, ids: Iterable[str]) -> None:
        """``ids`` of the lane's first page, which must have been stored: else a kill could lose what was met."""
        with self._lock:
            self._first_ids[lane] = frozenset(ids)

    def met(self, lane: int, ids: list[str]) -> bool:
        """Whether a page of the lane shows a row of the first page of one further down."""
        with self._lock:
            return any(lane < other and not first.isdisjoint(ids) for other, first in self._first_ids.items())


class Lanes:
    """Crawls ``crawls`` (window number and crawl) in ``count`` threads; ``stop`` makes their requests end.

    Use as a context manager: leaving it ends the threads.
    """

    def __init__(self, crawls: Sequence[tuple[int, Crawl]], count: int, stop: Callable[[], None]) -> None:
        self._waiting = deque(crawls)
        self._stop = stop
        self._changed = threading.Condition()
        self._pages: deque[tuple[int, Page]] = deque()
        # bytes of pages fetched and not yet let go by the caller
        self._held = 0
        self._fetching = 0
        self._largest = 0
        self._failure: BaseException | None = None
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"extract-{number}", daemon=True)
            for number in range(min(count, len(crawls)))
        ]
        self._running = len(self._threads)

    def __enter__(self) -> Lanes:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._stop()
        for thread in self._threads:
            thread.join()

    def batches(self) -> Iterator[list[tuple[int, Page]]]:
        """Pages with the number of their window, in the order in which each window has them.

        A failure in a thread is raised here, after the pages that came before it.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pages or not self._running)
                batch = list(self._pages)
                self._pages.clear()
                self._changed.notify_all()
            if not batch:
                break
            size = sum(page.size for _, page in batch)
            yield batch
            batch.clear()
            with self._changed:
                self._held -= size
                self._changed.notify_all()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while self._waiting:
                number, crawl = self._waiting.popleft()
                while self._deliver(number, crawl):
                    pass
        except StoppedError:
            pass
        except IndexError:  # another thread has taken the last one
            pass
        except BaseException as error:
            with self._changed:
                self._failure = self._failure or error
                self._waiting.clear()
            self._stop()
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _deliver(self, number: int, crawl: Crawl) -> bool:
        """Fetch the next page of a window once there is room for it; False behind the last one.

        Nothing here keeps the page: while the next one is fetched, it is the storing side's alone.
        """
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._stopped:
                raise StoppedError
            self._fetching += 1
        page = None
        try:
            page = crawl.next_page()
        finally:
            with self._changed:
                self._fetching -= 1
                if page is not None:
                    self._pages.append((number, page))
                    self._held += page.size
                    self._largest = max(self._largest, page.size)
                self._changed.notify_all()
        return page is not None

    def _has_room(self) -> bool:
        if self._stopped or not (self._held or self._fetching):
            return True
        expected = self._held + self._largest * (self._fetching + 1)
        return len(self._pages) < MOST_PAGES and expected <= MOST_BYTES
