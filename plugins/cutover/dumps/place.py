"""Where dumps are kept: a folder or an object store, by migration and run.

::

    <root>/<migration>/<run>/<database>.dump
    <root>/<migration>/<run>/<database>.dump.partial      while it is written, and where its writer was killed
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psycopg

from cutover.errors import CutoverError
from cutover.validate.validation import docs_root

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

# A folder, or an address such as s3://connection@bucket/folder.
VARIABLE = "CUTOVER_DUMPS"
# Schemes of stores that keep objects in buckets and know no folders.
_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss")


def root() -> ObjectStoragePath:
    """Where dumps are kept: ``CUTOVER_DUMPS`` if set, else the folder ``dumps`` beside Data Docs.

    Raises CutoverError ``dump.not-written`` for an address that nothing here can reach.
    """
    from airflow.sdk import ObjectStoragePath

    named = os.environ.get(VARIABLE) or docs_root().beside("dumps")
    with _told(named):
        return ObjectStoragePath(named if "://" in named else Path(named).absolute().as_uri())


def require_writable(folder: ObjectStoragePath) -> None:
    """Raise CutoverError ``dump.not-written`` unless a file can be made in ``folder``. Leaves none."""
    with storing(folder, "probe") as file:
        file.write(b"a dump has more of them")
    with _told(folder):
        (folder / "probe").unlink()


@contextmanager
def storing(folder: ObjectStoragePath, name: str) -> Iterator[IO[bytes]]:
    """A file to write, which is there under its name when the block has ended well, and not at all otherwise.

    Raises CutoverError ``dump.not-written``.
    """
    partial, final = folder / f"{name}.partial", folder / name
    try:
        with _told(folder):
            _make(folder)
            with partial.open("wb") as file:  # type: ignore[no-untyped-call]
                yield file
            partial.rename(final)
    except BaseException:
        # whatever the store's library raises: what went wrong before is what is told
        with suppress(Exception):
            partial.unlink(missing_ok=True)
        raise


def _make(folder: ObjectStoragePath) -> None:
    if folder.protocol in _BUCKETS:
        # there are no folders in it, and to ask for one would make a bucket of a name that was mistyped
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.protocol in ("file", "local"):
        # everything that the application knows of anybody is in it
        Path(folder.path).chmod(0o700)


@contextmanager
def _told(folder: ObjectStoragePath | str) -> Iterator[None]:
    """What a store says, whatever its library raises, as an error that a person can clear."""
    try:
        yield
    except (CutoverError, psycopg.Error):
        raise
    except Exception as error:
        raise CutoverError(
            "dump.not-written",
            str(folder),
            f"dumps cannot be kept there: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}.",
            f"let the worker write there, make room, or name another place in {VARIABLE}; then clear the task.",
        ) from error
