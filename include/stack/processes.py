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
from contextlib import suppress
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
        members: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            try:
                if process.uids().real != mine or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                mark = process.environ().get(MARKER, "")
            except (psutil.Error, OSError):
                continue  # it ended while we looked, or it is not ours to look at
            if mark.endswith(suffix):
                members.setdefault(mark.removesuffix(suffix), []).append(process)
        return members

    def leader(self, component: str) -> psutil.Process | None:
        """The process that was started as this component, if it still lives; its orphans do not count."""
        for process in self.members().get(component, []):
            if _session(process.pid) == process.pid:
                return process
        return None

    def stop(self, components: Iterable[str] | None = None, patience: float = 8.0) -> int:
        """End components (default: all) and everything they started; returns how many processes that were.

        The first process of each component is asked, and ends its own; orphans are asked themselves. After
        ``patience`` seconds what is left is killed.
        """
        wanted = None if components is None else set(components)
        deadline = time.monotonic() + patience
        asked: set[int] = set()
        processes: set[int] = set()
        while remaining := self._processes(wanted):
            processes |= remaining.keys()
            late = time.monotonic() > deadline
            for pid, process in remaining.items():
                led = _session(pid) != pid and _session(pid) in remaining
                with suppress(psutil.NoSuchProcess):
                    if late:
                        process.kill()
                    elif pid not in asked and not led:
                        process.terminate()
                        asked.add(pid)
            time.sleep(0.1)
        return len(processes)

    def _processes(self, wanted: set[str] | None) -> dict[int, psutil.Process]:
        return {
            process.pid: process
            for component, processes in self.members().items()
            if wanted is None or component in wanted
            for process in processes
        }


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
