"""What ``pg_dump --schema-only`` says of a database: somebody else's judgement on whether two moments are alike."""

from __future__ import annotations

import os
import re
import subprocess

from bench.production import Production
from cutover.swap.inventory import settled
from stack.postgres import bin_dir

_SCHEMAS = r"(cutover|staging|input|raw|workbench|backup_\w+)"
_OURS = re.compile(
    rf"cutover_capture|; Schema: {_SCHEMAS};|^-- Name: (SCHEMA )?{_SCHEMAS}; Type: |; Schema: -; Owner: cutover$", re.M
)


def dump(production: Production) -> set[str]:
    """Every object of the application as a block of SQL. Without what is the engine's own."""
    return dumped(production.admin_dsn)


def dumped(dsn: str) -> set[str]:
    """The same of a database, as a superuser sees it."""
    done = subprocess.run(
        [bin_dir() / "pg_dump", "--schema-only", dsn],
        capture_output=True,
        check=True,
        text=True,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
    )
    names: set[str] = set()
    settings: dict[str, str] = {}
    for block in re.split(r"\n(?=--\n-- Name: )", done.stdout):
        # of the first block only what it sets, for those behind it
        if block.startswith("--\n-- Name: ") and not _OURS.search(block):
            names.add("\n".join([_plain(block), *_made_with(block, settings)]))
        settings |= dict(_SETTING.findall(block))
    return names


_SETTING = re.compile(r"^SET (default_\w+) = (.*);$", re.M)


def _made_with(block: str, settings: dict[str, str]) -> list[str]:
    """What pg_dump has set for objects of this type, maybe long before: where they lie, and by which method."""
    kind = re.search(r"^-- Name: .*; Type: ([A-Z ]+);", block, re.M)
    if kind is None or kind.group(1) not in ("TABLE", "MATERIALIZED VIEW", "INDEX", "CONSTRAINT"):
        return []
    values = [f"-- default_tablespace = {settings.get('default_tablespace')}"]
    if kind.group(1) in ("TABLE", "MATERIALIZED VIEW") and "PARTITION BY" not in block:
        values.append(f"-- default_table_access_method = {settings.get('default_table_access_method')}")
    return values


def _plain(block: str) -> str:
    """Without the settings that pg_dump writes in between; expressions as PostgreSQL writes them from then on."""
    lines = (line for line in block.splitlines() if not line.startswith(("SET default_", "\\", "-- PostgreSQL")))
    return settled("\n".join(lines).strip().removesuffix("--").strip())
