"""The newest swap of a migration taken back by its revert window, from a terminal."""

from __future__ import annotations

import argparse
import select
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cutover.commands import migrations
from cutover.commands.api import Api, RefusedError
from cutover.commands.deployment import Deployment
from cutover.errors import PROGRAM, CutoverError

# Seconds between two looks at how far it is.
_PAUSE_S = 0.5
_CONFLICT = 409


def revert(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Take the newest swap back by its window: shows what that does, and asks who has typed it.

    Raises CutoverError ``revert.not-offered``, ``revert.failed``, and as ``Api`` does.
    """
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} revert")
    parser.add_argument("migration", nargs="?", help="default: the first in name order")
    parser.add_argument("--as", dest="account", metavar="ACCOUNT", help="who you are in Airflow")
    parser.add_argument("--yes", action="store_true", help="do not ask me")
    chosen = parser.parse_args(arguments)
    migration = migrations.chosen(chosen.migration).migration
    api = Api(deployment.url, *deployment.login(chosen.account))
    page = f"dags/{migration}/revert.json"
    offer = api.page(page)
    print("\n".join(_lines(offer)))
    if offer["taken_back_entry"]:
        print(f"It was taken back already, as entry {offer['taken_back_entry']}.")
        return 0
    if offer["attempt"] is None or offer["attempt"]["has_ended"]:
        _require_offered(offer)
        if not chosen.yes and not _confirmed(offer["window"]["seconds_left"]):
            print("Nothing was changed.")
            return 1
        _trigger(api, offer)
    return _follow(api, f"{page}?entry={offer['entry']}")


def _lines(offer: dict[str, Any]) -> list[str]:
    """What it would do."""
    lines = [f"Entry {offer['entry']}, the swap of {offer['migration']} at {_moment(offer['recorded_at'])}", ""]
    width = max(len(table["name"]) for table in offer["tables"])
    lines.append(f"  {'table':<{width}}  {'rows before':>11}  {'as launched':>11}")
    for table in offer["tables"]:
        counts = "  ".join(
            f"{'–' if table[name] is None else format(table[name], ','):>11}" for name in ("before", "after")
        )
        fate = "comes back" if table["comes_back"] else "goes to the backup: it had no predecessor"
        lines.append(f"  {table['name']:<{width}}  {counts}  {fate}")
    lines.append("")
    written = [f"  {one['changes']:,} x {one['operation']} of {one['table_name']}" for one in offer["written"]]
    return [*lines, "Written since, and carried back to tables that come back:", *(written or ["  nothing"]), ""]


def _require_offered(offer: dict[str, Any]) -> None:
    if offer["obstacle"]:
        raise CutoverError(
            "revert.not-offered",
            f"entry {offer['entry']} of {offer['migration']}",
            offer["obstacle"],
            f"trigger {offer['dag_id']}, which asks a second person; or clear what it names.",
        )
    window = offer["window"]
    print(f"{window['approved_by']} has approved beforehand that it is taken back: nobody is asked but you.")


def _confirmed(seconds: float) -> bool:
    """Whether the person says yes before the window is over; in a terminal with a clock that runs down."""
    ends_at = time.monotonic() + seconds
    while (left := int(ends_at - time.monotonic())) > 0:
        clock = f"{left // 60}:{left % 60:02}"
        if not sys.stdin.isatty() or not sys.stderr.isatty():
            print(f"Take it back? {clock} left [y/N] ", end="", file=sys.stderr, flush=True)
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        print(f"\r\033[KTake it back? {clock} left [y/N] ", end="", file=sys.stderr, flush=True)
        if select.select([sys.stdin], [], [], 1)[0]:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
    print("\nThe window is over.", file=sys.stderr)
    return False


def _trigger(api: Api, offer: dict[str, Any]) -> None:
    """Trigger the run; whoever asks at the same moment gets the same one."""
    body = {"dag_run_id": offer["run_id"], "logical_date": None, "conf": offer["conf"]}
    try:
        api.post(f"dags/{offer['dag_id']}/dagRuns", body)
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
        print("Somebody else has asked at this moment: one run does it.")


def _follow(api: Api, page: str) -> int:
    """Wait until it has happened. Raises ``revert.failed``."""
    began = time.monotonic()
    while True:
        now = api.page(page)
        if now["taken_back_entry"]:
            print(f"Taken back as entry {now['taken_back_entry']}, {time.monotonic() - began:.1f} s after asking.")
            return 0
        attempt, failure = now["attempt"], now["failure"]
        if attempt is not None and attempt["has_ended"]:
            said = f" with [{failure['code']}]" if failure else ""
            raise CutoverError(
                "revert.failed",
                f"run {attempt['run_id']} of {now['dag_id']}",
                f"it was refused{said}; nothing was changed.",
                failure["remedy"] if failure else "read the log of the task that has failed.",
            )
        time.sleep(_PAUSE_S)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
