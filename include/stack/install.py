"""From a bare interpreter to ``.venv`` with exactly what requirements.txt names. Standard library only.

Safe to kill at any instant and to run twice at once: ``.venv/installed`` is written last and holds a digest of what
was installed. With the same digest nothing is done; without any the environment is built anew.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import io
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

STAMP = "installed"
# pip's option -> uv's variable, and how several values are joined there.
_PIP_TO_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "client-cert": ("SSL_CLIENT_CERT", ""),
    "proxy": ("ALL_PROXY", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
}
# What pip takes for yes.
_YES = ("1", "true", "t", "yes", "y", "on")
# Of PIP_* and UV_*, what says where packages come from and how they are fetched. All others (PIP_USER, PIP_TARGET,
# PIP_CONSTRAINT, UV_OVERRIDE, ...: defaults of some cloud workspaces) say what is installed and where, which this file
# decides.
_FETCHING = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_CERT",
    "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_CACHE_DIR",
    "PIP_NO_CACHE_DIR", "PIP_CONFIG_FILE", "PIP_KEYRING_PROVIDER",
    "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE", "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS", "UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_INDEX_STRATEGY", "UV_CONCURRENT_DOWNLOADS",
)  # fmt: skip
# What a shell, or Airflow when it expands variables in its options, would read in a path.
_MEANT_FOR_SHELLS = "$`\"'\\\n"
# Without a terminal, seconds between two lines that say that the work goes on.
_SAY_EVERY_S = 30.0


class InstallError(Exception):
    """What stopped the installation, and the way out; printed as it is."""


def main(root: str, arguments: list[str]) -> NoReturn:
    """Install what is missing, then go on as ``python -m stack`` in the environment. Never returns."""
    folder = Path(root)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an encoding without the ellipsis must not stop an installation
    try:
        require_usable(folder)
        install(folder)
    except InstallError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(
            f"[stack.not-writable] {error.filename or folder}: {error.strerror or error}.\n  To clear it: make this "
            "folder writable for the user who runs ./run, with room in it, or run a copy of the checkout that is."
        )
    except KeyboardInterrupt:
        sys.exit(130)
    python = folder / ".venv" / "bin" / "python"
    os.execve(python, [str(python), "-m", "stack", *arguments], environment(folder))


def require_usable(root: Path) -> None:
    """Raise InstallError for a place or a user that some program below would stumble over, in words of its own."""
    strange = sorted(set(_MEANT_FOR_SHELLS) & set(str(root.resolve())))
    if strange:
        raise InstallError(
            f"[stack.bad-path] {root}: the path holds {', '.join(map(repr, strange))}, which PostgreSQL's and "
            "Airflow's own programs would read as something else.\n  To clear it: move the checkout to another folder."
        )
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise InstallError(
            f"[stack.no-account] user id {os.getuid()}: it has no entry in the passwd file, without which PostgreSQL "
            "does not start.\n  To clear it: run as a user that has one, or add it (containers: useradd, or "
            "nss_wrapper)."
        ) from None


def without_own_ways(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would have pip or uv install something else, or elsewhere."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith(("PIP_", "UV_")) or name in _FETCHING or name.startswith("UV_INDEX_")
    }


def environment(root: Path) -> dict[str, str]:
    """The environment of everything that runs in ``.venv``: our two source folders, byte code kept."""
    variables = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME")
    }
    variables["PYTHONPATH"] = os.pathsep.join([str(root / "plugins"), str(root / "include")])
    variables["VIRTUAL_ENV"] = str(root / ".venv")
    variables["PATH"] = os.pathsep.join([str(root / ".venv" / "bin"), os.environ.get("PATH", os.defpath)])
    return variables


def install(root: Path) -> bool:
    """Make ``root``/.venv hold what ``root``/requirements.txt names; returns whether anything was done."""
    requirements = root / "requirements.txt"
    if _is_current(root, requirements):
        return False
    state = root / ".local"
    state.mkdir(exist_ok=True)
    with _locked(state / "install.lock"):
        if _is_current(root, requirements):
            return False  # another run did it while this one waited
        started = time.monotonic()
        venv = root / ".venv"
        if (venv / STAMP).exists() and _works(venv):
            (venv / STAMP).unlink()
        else:
            _create(venv)
        uv = _install_uv(venv, requirements)
        count = len(re.findall(r"^[a-z0-9]", requirements.read_text(), re.MULTILINE))
        with _step(f"Installing the packages of requirements.txt ({count} pinned)"):
            pip = read_pip_settings(venv / "bin" / "python")
            _call(
                *sync(uv, venv / "bin" / "python", requirements, pip),
                variables=uv_environment(pip, without_own_ways(os.environ)),
                what="installing requirements.txt",
            )
        (venv / STAMP).write_text(_digest(requirements, venv))
        print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)
        return True


def _digest(requirements: Path, venv: Path) -> str:
    """What the stamp holds: the requirements and the interpreter, since a moved folder breaks an environment."""
    digest = hashlib.sha256(requirements.read_bytes())
    digest.update(str(venv.resolve()).encode())
    return digest.hexdigest()


def _is_current(root: Path, requirements: Path) -> bool:
    venv = root / ".venv"
    try:
        return (venv / STAMP).read_text() == _digest(requirements, venv) and (venv / "bin" / "python").exists()
    except FileNotFoundError:
        return False


def _works(venv: Path) -> bool:
    """Whether the environment's interpreter still runs: the one it was made from may have been removed."""
    python = venv / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def _create(venv: Path) -> None:
    with _step("Making .venv"):
        if venv.exists():
            shutil.rmtree(venv)
        # The interpreter below any environment that this command was itself started from.
        base = getattr(sys, "_base_executable", sys.executable)
        _call(base, "-m", "venv", str(venv), what="making .venv")


def _install_uv(venv: Path, requirements: Path) -> Path:
    """pip, which every Python brings, installs uv alone, at the version and hashes of requirements.txt."""
    uv = venv / "bin" / "uv"
    match = re.search(r"^uv==(\S+) (?:.*\n)(?:    --hash=.*\n?)+", requirements.read_text(), re.MULTILINE)
    if match is None:
        raise InstallError("[stack.lock-broken] requirements.txt: it does not pin uv.\n  To clear it: ./run lock")
    if uv.exists() and f" {match[1]} " in f"{_call(str(uv), '--version', what='uv')} ":
        return uv
    only_uv = venv / "uv.txt"
    only_uv.write_text(match[0])
    with _step("Installing uv"):
        _call(
            *(str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-input", "--require-hashes", "--no-deps", "-r", str(only_uv)),
            what="installing uv",
            # a pip.conf may say so as well, and the variable counts for more
            variables={**without_own_ways(os.environ), "PIP_USER": "0"},
        )
    return uv


def read_pip_settings(python: Path) -> dict[str, list[str]]:
    """pip's effective settings (files, then PIP_* variables), option -> values."""
    listing = _call(str(python), "-m", "pip", "config", "list", what="reading pip's settings")
    return parse_pip_settings(listing)


def parse_pip_settings(listing: str) -> dict[str, list[str]]:
    """Read ``pip config list``: ``scope.option='values'`` with later scopes of pip's own precedence on top."""
    rank = {"global": 0, "install": 1, ":env:": 2}
    settings: dict[str, tuple[int, list[str]]] = {}
    for line in listing.splitlines():
        scope, dot, rest = line.partition(".")
        option, equals, quoted = rest.partition("=")
        if not dot or not equals or scope not in rank:
            continue
        try:
            values = str(ast.literal_eval(quoted)).split()
        except (SyntaxError, ValueError):
            continue
        if option not in settings or rank[scope] >= settings[option][0]:
            settings[option] = (rank[scope], values)
    return {option: values for option, (_, values) in settings.items()}


def sync(uv: Path, python: Path, requirements: Path, pip: Mapping[str, list[str]]) -> list[str]:
    """The command that makes an environment hold what ``requirements`` names; without an index if pip is told so."""
    # the one setting of these for which uv has no variable
    no_index = ["--no-index"] if pip.get("no-index", ["no"])[0].lower() in _YES else []
    command = [str(uv), "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", *no_index]
    return [*command, "--python", str(python), str(requirements)]


def uv_environment(pip: Mapping[str, list[str]], variables: Mapping[str, str]) -> dict[str, str]:
    """``variables`` with pip's index settings as uv's, where uv's own are not set and the location exists."""
    result = {name: value for name, value in variables.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for option, values in pip.items():
        variable, separator = _PIP_TO_UV.get(option, ("", ""))
        present = [value for value in values if _location_exists(value)]
        if variable and variable not in variables and present:
            result[variable] = separator.join(present) if separator else present[0]
    # pip looks at every index and takes the best match; uv stops at the first that knows the name.
    result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    result["UV_NO_PROGRESS"] = "1"
    return result


def _location_exists(value: str) -> bool:
    """False only for a path or file URL that is not there: uv stops at those, pip passes over them."""
    if value.startswith("file:"):
        return Path(unquote(urlsplit(value).path)).exists()
    return Path(value).exists() if value.startswith(("/", "./", "../", "~")) else True


def _call(*command: str, what: str, variables: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=variables, check=False
        )
    except OSError as error:
        raise InstallError(
            f"[stack.install-failed] {what}: {error}\n  To clear it: remove .venv and try again."
        ) from error
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InstallError(
            f"[stack.install-failed] {what}: it ended with {done.returncode}.\n{output}\n"
            "  To clear it: read the lines above (no package index, no space and a proxy are the usual causes), "
            "then run the same command again; it starts over where needed."
        )
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another ./run is installing the packages; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _step(text: str) -> Iterator[None]:
    """Print what is being done; on a terminal, with the seconds so far."""
    done = threading.Event()
    started = time.monotonic()
    live = sys.stdout.isatty()
    if not live:
        print(f"{text} …", flush=True)

    def tick() -> None:
        while not live:
            if done.wait(_SAY_EVERY_S):
                return
            print(f"  … {time.monotonic() - started:.0f} s", flush=True)
        while True:
            print(f"\r{text} … {time.monotonic() - started:.0f} s ", end="", flush=True)
            if done.wait(0.5):
                break
        print(f"\r\033[K{text}: {time.monotonic() - started:.1f} s", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
