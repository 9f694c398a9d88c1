"""The commands of a runbook, as they stand on its page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]


def commands(page: str, heading: str) -> list[str]:
    """The lines of the blocks under the heading that begins so."""
    text = (_ROOT / "docs" / "runbooks" / f"{page}.md").read_text()
    (section,) = [part for part in text.split("\n## ")[1:] if part.startswith(heading)]
    return [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]


def triggered(page: str, heading: str) -> dict[str, dict[str, Any]]:
    """DAG → the parameters that the commands under a heading trigger it with."""
    split = [shlex.split(line) for line in commands(page, heading)]
    return {words[1]: json.loads(words[2]) for words in split if words[0] == "trigger"}
