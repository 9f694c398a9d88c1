"""Background processes that outlive the command that started them, and are found again by what they carry.

Every process gets the variable MARKER in its environment, and its children inherit it. So there is no pid file that
a kill or a restart of the machine could leave wrong: what carries the mark is ours, orphans of a killed parent
included, and nothing else is.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.settings import MARKER, marker

_ROTATE_AT = 20 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Processes:
    """The background processes of one home; each component is a session of its own."""

    home: Path
    logs: Path

    def start(self, component: str, command: Sequence[str], environment: Mapping[str, str]) -> psutil.Process:
        """Start a component, or return the one that runs. Its output goes to ``logs``/<component>.log."""
        running = self.leader(component)
        if running:
            return running
        self.stop([component])  # what a killed one has left behind
        started = subprocess.Popen(
            command,
            env={**environment, MARKER: marker(component, self.home)},
            stdin=subprocess.DEVNULL,
            stdout=self._open_log(component),
            stderr=subprocess.STDOUT,
            cwd=self.home,
            start_new_session=True,
        )
        return psutil.Process(started.pid)

    def log(self, component: str) -> Path:
        """Where a component's output goes."""
        return self.logs / f"{component}.log"

    def _open_log(self, component: str) -> int:
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.log(component)
        if path.exists() and path.stat().st_size > _ROTATE_AT:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def members(self) -> dict[str, list[psutil.Process]]:
        """Component -> its live processes, orphans included."""
        mine = os.getuid()
        suffix = f"@{self.home}"
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            try:
                if process.uids().real != mine or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                mark = process.environ().get(MARKER, "")
            except (psutil.Error, OSError):
                continue  # it ended while we looked, or it is not ours to look at
            if mark.endswith(suffix):
                found.setdefault(mark.removesuffix(suffix), []).append(process)
        return found

    def leader(self, component: str) -> psutil.Process | None:
        """The process that was started as this component, if it still lives; its orphans do not count."""
        for process in self.members().get(component, []):
            try:
                if os.getsid(process.pid) == process.pid:
                    return process
            except ProcessLookupError:
                continue
        return None

    def stop(self, components: Iterable[str] | None = None, patience: float = 15.0) -> int:
        """End components (default: all), politely, then after ``patience`` seconds not. Returns how many processes."""
        wanted = None if components is None else set(components)

        def remaining() -> list[psutil.Process]:
            return [
                process
                for component, processes in self.members().items()
                if wanted is None or component in wanted
                for process in processes
            ]

        ended: set[int] = set()
        deadline = time.monotonic() + patience
        asked: set[int] = set()
        while found := remaining():
            ended |= {process.pid for process in found}
            for process in found:
                late = time.monotonic() > deadline
                if not late and (process.pid in asked or not _leads(process) and _led(process, found)):
                    continue  # it has been asked, or its leader will end it
                asked.add(process.pid)
                try:
                    process.kill() if late else process.terminate()
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.1)
        return len(ended)


def _leads(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _led(process: psutil.Process, among: Sequence[psutil.Process]) -> bool:
    """Whether the leader of its session is alive among these."""
    try:
        return os.getsid(process.pid) in {other.pid for other in among}
    except ProcessLookupError:
        return False
