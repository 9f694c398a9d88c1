"""docs/your-own-migration.md as a newcomer follows it: files made and commands typed, from the page itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^(?:--|#) (\w+\.(?:sql|py))\n")
_EXPORT = re.compile(r"^export (\w+)=(.*)$")
# Starts servers: what is in front of it is typed here, what is behind it is the DAG's.
UP = "./run up"


@dataclass
class Page:
    """The page's blocks, and a home folder to follow it in. ``given`` replaces what the page has example hosts for."""

    repository: Path
    home: Path
    given: dict[str, str] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = (self.repository / "docs" / "your-own-migration.md").read_text()
        self.blocks = _BLOCK.findall(text)
        self.files = {name[1]: body for _, body in self.blocks if (name := _NAMED.match(body))}

    @property
    def folder(self) -> Path:
        """Where the page has its migration written."""
        return self.home / "shop"

    def commands(self) -> list[str]:
        """Every command, in the page's order, one a line."""
        shell = "".join(body for kind, body in self.blocks if kind == "bash").replace("\\\n", " ")
        return [re.sub(r"\s+", " ", line) for line in shell.splitlines()]

    def follow(self) -> list[str]:
        """Do what the page says, in its order. Returns what the commands printed; they must not fail."""
        said = []
        for kind, body in self.blocks:
            if kind == "bash":
                said += [self.type(line) for line in re.sub(r"\\\n\s*", "", body).splitlines() if line != UP]
            elif kind == "diff":
                self.change(body)
        return said

    def type(self, command: str) -> str:
        """One command, as the shell that has the exports so far would run it."""
        if export := _EXPORT.match(command):
            name, value = export.groups()
            self.exported[name] = self.given[name] if name.startswith("AIRFLOW_CONN_") else self._at_home(value)
            return ""
        done = subprocess.run(
            ["bash", "-c", command.replace("./run", f"{sys.executable} -m stack")],
            cwd=self.repository,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """What the shell of the page's reader has."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "CUTOVER_"))}
        paths = os.pathsep.join([str(self.repository / "plugins"), str(self.repository / "include")])
        return {
            **own,
            "HOME": str(self.home),
            "PYTHONPATH": paths,
            "CUTOVER_HOME": str(self.home / "state"),
            **self.exported,
        }

    def change(self, diff: str) -> None:
        """Replace each line with a minus by the one with a plus behind it; it must be there once."""
        head, *lines = diff.splitlines()
        path = self.folder / head.removeprefix("--- ")
        text = path.read_text()
        for before, after in zip(lines[::2], lines[1::2], strict=True):
            assert text.count(f"\n{before[1:]}\n") == 1, f"{path}: {before}"
            text = text.replace(f"\n{before[1:]}\n", f"\n{after[1:]}\n")
        path.write_text(text)

    def touched(self) -> list[str]:
        """The files that its reader changes by hand."""
        return sorted({body.splitlines()[0].removeprefix("--- ") for kind, body in self.blocks if kind == "diff"})

    def _at_home(self, value: str) -> str:
        return value.replace("~", str(self.home))

    def run_sql(self, name: str, dsn: str) -> None:
        """One of the page's SQL files."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(self.files[name].encode())

    def crm(self) -> tuple[subprocess.Popen[str], str]:
        """The page's CRM on a free port, and the connection that it prints."""
        process = subprocess.Popen(
            [sys.executable, "-", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(self.files["crm.py"])
        process.stdin.close()
        return process, process.stdout.readline().strip()


def connection_of(dsn: str) -> str:
    """A DSN as an Airflow connection."""
    return dsn.replace("postgresql://", "postgres://") if "?" not in dsn else quote(dsn, safe=":/@?=&%")
