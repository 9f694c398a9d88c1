"""The server of a measurement."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.postgres import EmbeddedPostgres


@contextmanager
def temporary_server(*, durable: bool, settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that is started, and gone with its gigabytes at the end, also when ``kill`` ends the measurement."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="cutover-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # so that the OS user which runs it for root gets there
        server = EmbeddedPostgres(Path(folder) / "postgres", durable=durable, settings=settings or {})
        try:
            yield server.start()
        finally:
            server.remove()
