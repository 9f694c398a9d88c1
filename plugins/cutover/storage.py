"""Where files lie that one process writes and another reads: a folder, or a bucket of an object store.

Names are relative and have slashes, as ``clean_launch/<run>/1-staging/index.html``. A file is there whole under its
name or not at all: in a folder it is written beside its place and renamed; a store shows no object that is not all
there. A set of files (:meth:`Storage.place`) is there whole, too: a folder is renamed; a store cannot rename, so the
file that says that the set is complete is written last, and whoever reads asks for that one first.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cutover.errors import CutoverError
from cutover.masking import masked_text

# Seconds that one call to a store may take in all: a page must not wait for ever for a store that does not answer.
TIMEOUT_S = 30
# The same for many objects at once: the files of a site, a dozen of megabytes.
TIMEOUT_MANY_S = 300
# Bytes that are read at once when a file is handed on.
BLOCK = 4 * 1024 * 1024
# Schemes of stores that keep objects in buckets and know no folders.
BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss")
_CONNECTION = re.compile(r"[A-Za-z0-9_.-]+")
# What stores call credentials that were good once, and a bucket that is not there.
_EXPIRED = re.compile(r"expired|TokenRefreshRequired|RefreshError", re.IGNORECASE)
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|(bucket|container)\b.*\bnot (exist|found)", re.IGNORECASE)
_NO_RIGHTS = re.compile(
    r"AccessDenied|Forbidden|\b40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed"
    r"|AuthorizationFailure|NoCredentials|Unable to locate credentials|Anonymous caller",
    re.IGNORECASE,
)
_CLAIM = ".claim-"


@dataclass(frozen=True)
class Object:
    """A file: its size in bytes, and a ``version`` that is another with any other content; None where none is known."""

    size: int
    version: str | None


class Storage(ABC):
    """A folder or a bucket. All methods raise CutoverError ``storage.*`` where it cannot be reached or used."""

    def __init__(self, address: str, variable: str) -> None:
        self.address = masked_text(address)
        self.variable = variable

    def __str__(self) -> str:
        return self.address

    @abstractmethod
    def beside(self, name: str) -> str:
        """The address of a folder beside this one, or in it where this is a whole bucket."""

    @abstractmethod
    def names(self, folder: str) -> dict[str, Object]:
        """Every file below a folder, by its name below the root, whatever depth; empty if there is no such folder."""

    @abstractmethod
    def look(self, name: str) -> Object | None:
        """A file without its content; None if there is none."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""

    @abstractmethod
    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of many files; those that are not there are left out."""

    @abstractmethod
    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """A file of so many bytes, a block at a time."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of the one before."""

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are not there are no error."""

    @abstractmethod
    def making(self) -> Any:
        """A context with an empty local folder (Path) to make a set of files in, which is gone afterwards."""

    @abstractmethod
    def place(self, made: Path, name: str, *, last: str) -> bool:
        """Put all files of a local folder below ``name``, whole or not at all. False if the name is taken.

        Whoever reads takes the set for complete when file ``last`` is there. The local folder may be gone afterwards.
        """

    def require_writable(self) -> None:
        """Raise CutoverError ``storage.*`` unless files can be written, listed, read and deleted here. Leaves none."""
        name = f".probe-{uuid.uuid4().hex}/file"
        # in a folder a full disk shows with the first megabytes
        content = b"a site has megabytes" * 100_000
        try:
            self.write(name, content)
            if self.read(name) != content or name not in self.names(name.partition("/")[0]):
                raise self._unavailable(name, "a file that was written to it is not there")
        finally:
            with suppress(CutoverError):
                self.delete([name])

    def _bad_address(self, why: str) -> CutoverError:
        return CutoverError(
            "storage.bad-address",
            f"{self.variable}={self.address}",
            why,
            "correct it: a folder, file:///FOLDER, or SCHEME://CONNECTION@BUCKET/FOLDER.",
        )

    def _no_bucket(self) -> CutoverError:
        return CutoverError(
            "storage.no-bucket",
            self.address,
            "there is no such bucket.",
            f"make it, or correct {self.variable}; then clear the task or load the page again.",
        )

    def _expired(self, name: str) -> CutoverError:
        return CutoverError(
            "storage.expired",
            f"{self.address}/{name}",
            "the store says that the credentials have expired.",
            f"give the connection that {self.variable} names new ones, then clear the task or load the page again.",
        )

    def _no_rights(self, name: str, said: str) -> CutoverError:
        return CutoverError(
            "storage.no-rights",
            f"{self.address}/{name}",
            f"it is refused: {said}.",
            "let workers list, read, write and delete there, and the API server list and read, or name another place "
            f"in {self.variable}; then clear the task or load the page again.",
        )

    def _unavailable(self, name: str, said: str) -> CutoverError:
        return CutoverError(
            "storage.unavailable",
            f"{self.address}/{name}",
            f"files cannot be kept or read there: {said}.",
            f"see to the disk or the store, make room, or name another place in {self.variable}; then clear the task "
            "or load the page again.",
        )


class Folder(Storage):
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, path: Path, variable: str) -> None:
        super().__init__(str(path), variable)
        self.path = path

    def beside(self, name: str) -> str:
        """See Storage."""
        return str(self.path.parent / name)

    def names(self, folder: str) -> dict[str, Object]:
        """See Storage. Links that lead out of the folder are not followed."""
        with self._errors(folder):
            start = self._path(folder)
            if start is None or not start.is_dir():
                return {}
            listed = sorted(path for path in start.rglob("*") if path.is_file())
            return {
                f"{folder}/{path.relative_to(start).as_posix()}": Object(path.stat().st_size, None) for path in listed
            }

    def look(self, name: str) -> Object | None:
        """See Storage. ``version`` is of the file's place and time: who changes it on purpose can keep both."""
        with self._errors(name):
            path = self._path(name)
            if path is None or not path.is_file():
                return None
            stat = path.stat()
            return Object(stat.st_size, f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}")

    def read(self, name: str) -> bytes | None:
        """See Storage."""
        with self._errors(name):
            path = self._path(name)
            return path.read_bytes() if path is not None and path.is_file() else None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """See Storage."""
        listed = {name: self.read(name) for name in names}
        return {name: content for name, content in listed.items() if content is not None}

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """See Storage."""
        with self._errors(name):
            path = self._path(name)
            if path is None:
                return
            with path.open("rb") as file:
                left = size
                while left and (block := file.read(min(BLOCK, left))):
                    left -= len(block)
                    yield block

    def write(self, name: str, content: bytes) -> None:
        """See Storage."""
        with self._errors(name):
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                partial.write_bytes(content)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def delete(self, names: Iterable[str]) -> None:
        """See Storage. A folder that is empty then goes, too."""
        for name in names:
            with self._errors(name):
                path = self.path / name
                path.unlink(missing_ok=True)
                for parent in path.parents:
                    if parent == self.path or not parent.is_relative_to(self.path):
                        break
                    try:
                        parent.rmdir()
                    except OSError:  # others are in it, or it is gone
                        break

    @contextmanager
    def making(self) -> Iterator[Path]:
        """See Storage. It is on the same disk, so that it can be renamed."""
        made = self.path / f".making-{uuid.uuid4().hex}"
        with self._errors(made.name):
            made.mkdir(parents=True)
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)

    def place(self, made: Path, name: str, *, last: str) -> bool:  # noqa: ARG002
        """See Storage. A folder that is not empty is never renamed over."""
        target = self.path / name
        with self._errors(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                made.rename(target)
            except OSError:
                # another task has taken the name in between
                if not target.exists():
                    raise
                return False
            return True

    def _path(self, name: str) -> Path | None:
        """The file of a name; None where a link leads out of the folder that the name begins with."""
        try:
            path = (self.path / name).resolve()
            if path.is_relative_to((self.path / name.partition("/")[0]).resolve()):
                path.exists()  # which refuses a name that is too long; resolve() does not
                return path
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
                raise
        except (RuntimeError, ValueError):  # a name that no file system takes, or links in a circle
            pass
        return None

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            refusal = self._no_rights if isinstance(error, PermissionError) else self._unavailable
            raise refusal(name, error.strerror or str(error)) from error


class Bucket(Storage):
    """A bucket of an object store, by Airflow's ObjectStoragePath and the connection that the address names."""

    def __init__(self, address: str, variable: str) -> None:
        shown = urlsplit(address)
        super().__init__(f"{shown.scheme}://{shown.netloc.rpartition('@')[2]}{shown.path}".rstrip("/"), variable)
        self._given = address
        self._opened: tuple[Any, str] | None = None

    def beside(self, name: str) -> str:
        """See Storage."""
        parts = urlsplit(self._given.rstrip("/"))
        return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}").geturl()

    def names(self, folder: str) -> dict[str, Object]:
        """See Storage. Of a thousand objects each it is one request."""
        fs, root = self._fs()
        with self._errors(folder):
            # what it has listed before, others may have changed
            fs.invalidate_cache()
            listed = self._call(fs, "find", f"{root}/{folder}", detail=True, many=True)
            if not listed:
                self._require_bucket(fs, root)
            return {
                str(path)[len(root) + 1 :]: _object(entry)
                for path, entry in listed.items()
                if str(path).startswith(f"{root}/{folder}/")
            }

    def look(self, name: str) -> Object | None:
        """See Storage."""
        fs, root = self._fs()
        with self._errors(name):
            fs.invalidate_cache()
            try:
                listed = self._call(fs, "info", f"{root}/{name}")
            except FileNotFoundError as error:
                self._require_bucket(fs, root, error)
                return None
            return _object(listed) if listed.get("type") == "file" else None

    def read(self, name: str) -> bytes | None:
        """See Storage."""
        fs, root = self._fs()
        with self._errors(name):
            try:
                return bytes(self._call(fs, "cat_file", f"{root}/{name}"))
            except FileNotFoundError as error:
                self._require_bucket(fs, root, error)
                return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """See Storage. Many are read at once."""
        fs, root = self._fs()
        wanted = [f"{root}/{name}" for name in names]
        if not wanted:
            return {}
        with self._errors(os.path.commonpath(wanted)[len(root) + 1 :]):
            listed = self._call(fs, "cat", wanted, recursive=False, on_error="return", many=True)
            # one path is answered with its content alone
            contents = listed if isinstance(listed, dict) else {wanted[0]: listed}
            for content in contents.values():
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    raise content
            return {
                str(path)[len(root) + 1 :]: bytes(content)
                for path, content in contents.items()
                if not isinstance(content, Exception)
            }

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """See Storage."""
        fs, root = self._fs()
        for start in range(0, size, BLOCK):
            with self._errors(name):
                block = self._call(fs, "cat_file", f"{root}/{name}", start=start, end=min(start + BLOCK, size))
            yield bytes(block)

    def write(self, name: str, content: bytes) -> None:
        """See Storage."""
        fs, root = self._fs()
        with self._errors(name):
            self._call(fs, "pipe_file", f"{root}/{name}", content, many=True)

    def delete(self, names: Iterable[str]) -> None:
        """See Storage."""
        fs, root = self._fs()
        paths = [f"{root}/{name}" for name in names]
        if paths:
            with self._errors(os.path.commonpath(paths)[len(root) + 1 :]), suppress(FileNotFoundError):
                # not `rm`, which asks of each whether it is a folder
                for path in paths:
                    self._call(fs, "rm_file", path)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """See Storage. It is in the worker's folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="cutover-site-") as folder:
            yield Path(folder)

    def place(self, made: Path, name: str, *, last: str) -> bool:
        """See Storage. A store has no lock and no rename: who writes puts a claim first, and looks whether it is alone.

        Of two that write at the same time at least the later sees the other's claim, and takes another name.
        """
        files = {path.relative_to(made).as_posix(): path for path in sorted(made.rglob("*")) if path.is_file()}
        claim = f"{name}/{_CLAIM}{uuid.uuid4().hex}"
        self.write(claim, b"")
        try:
            if set(self.names(name)) != {claim}:
                return False
            fs, root = self._fs()
            with self._errors(name):
                contents = {f"{root}/{name}/{path}": file.read_bytes() for path, file in files.items() if path != last}
                self._call(fs, "pipe", contents, many=True)
            self.write(f"{name}/{last}", files[last].read_bytes())
        finally:
            # What this leaves when it is killed nobody takes for complete, and nobody writes over.
            with suppress(CutoverError):
                self.delete([claim])
        return True

    def _fs(self) -> tuple[Any, str]:
        """The store's file system, and the root as it knows it. Raises ``storage.bad-address``."""
        if self._opened is None:
            parts = urlsplit(self._given)
            connection, _, bucket = parts.netloc.rpartition("@")
            if parts.scheme not in BUCKETS:
                why = f"there is no object store of scheme {masked_text(parts.scheme)}: known are {', '.join(BUCKETS)}."
                raise self._bad_address(why)
            if not bucket:
                raise self._bad_address("it names no bucket.")
            if ".." in parts.path.split("/"):
                raise self._bad_address("its path has `..` in it, which a store takes for a name.")
            if connection and not _CONNECTION.fullmatch(connection):
                raise self._bad_address("what is before the @ is no connection's name.")
            self._opened = self._open(connection)
        return self._opened

    def _open(self, connection: str) -> tuple[Any, str]:
        from airflow.sdk import BaseHook, ObjectStoragePath
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            if connection:
                # the provider would try without one
                BaseHook.get_connection(connection)
            path = ObjectStoragePath(self._given.rstrip("/"))
            return path.fs, str(path.path).rstrip("/")
        except AirflowNotFoundException:
            raise self._bad_address(f"Airflow has no connection {connection}.") from None
        except Exception as error:
            why = f"it cannot be opened: {masked_text(str(error)) or type(error).__name__}."
            raise self._bad_address(why) from error

    def _call(self, fs: Any, method: str, *given: Any, many: bool = False, **named: Any) -> Any:
        # the libraries' own bounds are minutes, times their tries
        if fs.async_impl:
            named["timeout"] = TIMEOUT_MANY_S if many else TIMEOUT_S
        return getattr(fs, method)(*given, **named)

    def _require_bucket(self, fs: Any, root: str, error: FileNotFoundError | None = None) -> None:
        """Nothing was found: in a bucket that is there, or in none? Raises FileNotFoundError that says so."""
        if error is not None and _NO_BUCKET.search(_said(error)):
            raise error
        try:
            self._call(fs, "ls", root.partition("/")[0], detail=False)
        except FileNotFoundError as said:
            if _NO_BUCKET.search(_said(said)):
                raise

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """What a store says, whatever its library raises, as an error that a person can clear."""
        try:
            yield
        except (CutoverError, AttributeError, NameError):  # what a person has done, or we
            raise
        except Exception as error:
            said = _said(error)
            if _NO_BUCKET.search(said):
                raise self._no_bucket() from error
            if _EXPIRED.search(said):
                self._forget()
                raise self._expired(name) from error
            if isinstance(error, PermissionError) or _NO_RIGHTS.search(said):
                self._forget()
                raise self._no_rights(name, _short(error)) from error
            raise self._unavailable(name, _short(error)) from error

    def _forget(self) -> None:
        """Have the next call open the store with the connection as it is then."""
        if self._opened is not None:
            from airflow.sdk.io.store import attach

            connection, _, _ = urlsplit(self._given).netloc.rpartition("@")
            store = attach(urlsplit(self._given).scheme, connection or None)
            vars(store).pop("fs", None)
            type(self._opened[0]).clear_instance_cache()
            self._opened = None


def _object(entry: Mapping[str, Any]) -> Object:
    version = next((str(entry[key]) for key in ("ETag", "etag", "md5Hash", "generation") if entry.get(key)), None)
    return Object(int(entry.get("size") or 0), version.strip('"') if version else None)


def _said(error: BaseException) -> str:
    """All that an error and those behind it say, with their types and a store's codes."""
    said, depth = [], 0
    current: BaseException | None = error
    while current is not None and depth < 5:
        code = getattr(current, "response", None)
        code = code.get("Error", {}).get("Code", "") if isinstance(code, dict) else ""
        said.append(f"{type(current).__name__} {code} {getattr(current, 'error_code', '') or ''} {current}")
        current, depth = current.__cause__ or current.__context__, depth + 1
    return "\n".join(said)


def _short(error: BaseException) -> str:
    said = " ".join(masked_text(getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
    return (f"no answer within {TIMEOUT_S} s" if type(error).__name__ == "FSTimeoutError" else said[:300]).rstrip(".")


# One for each address: to open a bucket costs a login, and what was read of it is remembered by it.
_known: dict[tuple[str, str], Storage] = {}


def at(address: str, variable: str) -> Storage:
    """The folder or bucket of an address, which stood in ``variable``: a path, ``file://…``, ``s3://conn@bucket/path``.

    A bucket is not asked before it is used. Raises CutoverError ``storage.bad-address``.
    """
    if "://" not in address:
        return _known.setdefault((address, variable), Folder(Path(address), variable))
    parts = urlsplit(address)
    if parts.scheme in ("file", "local"):
        if parts.netloc or not parts.path.startswith("/") or ".." in parts.path.split("/"):
            raise Folder(Path(parts.path), variable)._bad_address("a folder's address is file:///PATH, without `..`.")
        made: Storage = Folder(Path(parts.path), variable)
    else:
        made = Bucket(address, variable)
    return _known.setdefault((address, variable), made)
