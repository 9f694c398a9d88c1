"""The folder of a file drop, by Airflow's ObjectStoragePath: which files are there and complete, and their bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import IO, TYPE_CHECKING, Any

import psycopg

from cutover.errors import CutoverError
from cutover.masking import masked_text

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from cutover.migration.files import FileDrop

# Bytes that are read at once.
_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class File:
    """A file as its storage lists it: its name below the folder, bytes, and what tells one version from another."""

    name: str
    path: str
    size: int
    stamp: str
    modified: datetime | None = None

    @property
    def shown(self) -> str:
        """Its path, for people and records: an address in it is masked."""
        return masked_text(self.path)


@dataclass(frozen=True)
class Listing:
    """``files`` that can be read, by name, ``waiting`` ones with the reason, and how many ``others`` do not match."""

    files: list[File]
    waiting: dict[str, str]
    others: int


class Folder:
    """One file drop's folder. All methods raise CutoverError ``extract.storage`` and ``extract.no-permission``."""

    def __init__(self, drop: FileDrop, path: ObjectStoragePath) -> None:
        self._drop = drop
        self._path = path

    def list(self) -> Listing:
        """What is there now. Raises CutoverError ``extract.no-folder``, too."""
        depth = self._drop.pattern.count("/")
        with self._errors(str(self._drop.path)):
            self._fs.invalidate_cache()
            there = {file.name: file for file in self._below("", depth)}
        marker = self._drop.marker
        files, waiting, others = [], {}, 0
        # by code points, as PostgreSQL's "C"
        for name in sorted(there):
            if not self._matches(name) or (marker is not None and name.endswith(marker)):
                others += 1
            elif marker is not None and name + marker not in there:
                waiting[name] = f"it has no marker {masked_text(name + marker)}"
            elif marker is None and (why := self._unsettled(there[name])):
                waiting[name] = why
            else:
                files.append(there[name])
        return Listing(files, waiting, others)

    def current(self, file: File) -> File | None:
        """The same file as it is now; None if it is no more."""
        with self._errors(file.shown):
            self._fs.invalidate_cache()
            try:
                return self._file(self._fs.info(self._full(file.name)), file.name)
            except FileNotFoundError:
                return None

    def digest(self, file: File) -> str:
        """SHA-256 of its bytes as they lie there."""
        digest = hashlib.sha256()
        with self.opened(file) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    @contextmanager
    def opened(self, file: File) -> Iterator[IO[bytes]]:
        """Its bytes as they lie there, to be read once, from their beginning. Raises ``extract.file-changed``, too."""
        with self._errors(file.shown):
            try:
                with self._fs.open(self._full(file.name), "rb", block_size=_BLOCK) as stream:
                    yield stream
            except FileNotFoundError:
                raise changed(file, "it is no longer there") from None

    @property
    def _fs(self) -> Any:
        return self._path.fs

    def _full(self, name: str) -> str:
        return f"{str(self._path.path).rstrip('/')}/{name}" if name else str(self._path.path)

    def _below(self, folder: str, depth: int) -> Iterator[File]:
        """Every file down to ``depth`` folders below. What cannot be listed is an error: it is not nothing."""
        try:
            entries = self._fs.ls(self._full(folder), detail=True)
        except FileNotFoundError:
            if folder:  # taken away meanwhile
                return
            raise self._no_folder() from None
        except NotADirectoryError:
            raise self._no_folder() from None
        base = self._full(folder).rstrip("/")
        for entry in entries:
            path = str(entry["name"]).rstrip("/")
            last = path.rpartition("/")[2]
            if path == base or last.startswith("."):  # the folder itself, as some stores list it
                if path == base and entry["type"] == "file" and entry["size"]:
                    raise self._no_folder()
                continue
            name = f"{folder}/{last}" if folder else last
            if entry["type"] == "directory":
                if depth:
                    yield from self._below(name, depth - 1)
            else:
                yield self._file(entry, name)

    def _file(self, entry: dict[str, Any], name: str) -> File:
        modified = entry.get("mtime", entry.get("LastModified", entry.get("last_modified", entry.get("updated"))))
        if isinstance(modified, (int, float)):
            modified = datetime.fromtimestamp(modified, timezone.utc)
        stamp = [modified.isoformat() if isinstance(modified, datetime) else str(modified or "")]
        # a file that was moved to the place has the time of its own, which may be the same
        stamp += [str(entry[key]) for key in ("ino", "ETag", "etag", "md5Hash", "generation") if entry.get(key)]
        return File(
            name,
            f"{self._drop.path.rstrip('/')}/{name}",
            int(entry["size"] or 0),
            " ".join(stamp),
            modified if isinstance(modified, datetime) else None,
        )

    def _matches(self, name: str) -> bool:
        parts, wanted = name.split("/"), self._drop.pattern.split("/")
        return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))

    def _unsettled(self, file: File) -> str | None:
        """Why somebody may be writing to it still; None if not."""
        if file.modified is None or self._drop.settled <= timedelta(0):
            return None
        modified = file.modified if file.modified.tzinfo else file.modified.replace(tzinfo=timezone.utc)
        age = (datetime.now(timezone.utc) - modified).total_seconds()
        settled = self._drop.settled.total_seconds()
        if age < settled:
            return f"it was written to {age:,.0f} s ago, and is read once it has been left alone for {settled:,.0f} s"
        return None

    def _no_folder(self) -> CutoverError:
        return CutoverError(
            "extract.no-folder",
            masked_text(self._drop.path),
            "there is no such folder, or nothing is in it.",
            f"correct `path` of files.{self._drop.name} in migration.yaml, or put the files there.",
        )

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """What a storage says, whatever its library raises, as an error that a person can clear."""
        try:
            yield
        except (CutoverError, psycopg.Error, FileNotFoundError, EOFError, UnicodeError):
            raise
        except PermissionError:
            raise CutoverError(
                "extract.no-permission",
                masked_text(path),
                f"{self._reader()} may not read it.",
                "give it the right to list the folder and to read its files, then clear the task.",
            ) from None
        except Exception as error:
            if type(error).__name__ == "FileExpired":  # s3fs: another version lies there since it was opened
                raise changed(path, "another version was put in its place while it was read") from None
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CutoverError(
                "extract.storage",
                masked_text(path),
                f"it cannot be read: {masked_text(reason)}.",
                f"see to the storage, or to {self._reader()}, then clear the task: files that were stored stay so.",
            ) from error

    def _reader(self) -> str:
        return f"connection {self._drop.connection}" if self._drop.connection else "the account that the worker runs as"


def changed(file: File | str, how: str) -> CutoverError:
    """``extract.file-changed``: what was read of it is not a file that there ever was."""
    return CutoverError(
        "extract.file-changed",
        file if isinstance(file, str) else file.shown,
        f"{how}; nothing of it was stored.",
        "clear the task once it is complete; have it written under another name and renamed, or declare a `marker`.",
    )


class Digesting(io.RawIOBase):
    """A stream that passes bytes on and digests them. ``size`` is how many there were."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As the stream has them."""
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._digest.update(block)
        self.size += len(block)
        return len(block)

    def rest(self) -> str:
        """SHA-256 of all of the stream, to its end."""
        while block := self._stream.read(_BLOCK):
            self._digest.update(block)
            self.size += len(block)
        return self._digest.hexdigest()
