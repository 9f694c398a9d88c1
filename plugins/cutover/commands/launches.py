"""Launches and rollbacks from a terminal, as one account of Airflow's: what they show is what the pages show."""

from __future__ import annotations

import argparse
import codecs
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from cutover.commands import migrations
from cutover.commands.api import Api, RefusedError, run_path
from cutover.commands.deployment import Deployment
from cutover.commands.screen import Screen
from cutover.errors import PROGRAM, CutoverError
from cutover.migration import declared, load
from cutover.migration.quorum import in_person
from cutover.review.difference import KINDS

# Seconds between two looks of `status --watch`.
_PAUSE_S = 2.0
# An answer may come before Airflow's scheduler has heard that the task has begun to wait; it then fails the task. So
# old, in seconds, a question is before it is answered from here, where nobody needs time to find a button.
_SETTLED_S = 15.0
# Runs of each migration that `status` shows.
_RUNS = 3
_GATE = "approve"
# The third answer, where several people have to approve; as `operators.approve` has it.
_CHANGES = "Request changes"
_ACTIVE = ("under way", "waits for an answer", "waits for its time", "approved")
_OVER = ("success", "failed", "skipped", "upstream_failed", "removed")


def status(deployment: Deployment, arguments: Sequence[str]) -> int:
    """How the newest runs of each migration stand, and how far one is that is under way."""
    parser = _parser("status")
    parser.add_argument("migration", nargs="?", help="default: all")
    parser.add_argument("--watch", action="store_true", help="look again every 2 s while a run is under way")
    parser.add_argument("--json", action="store_true", help="as JSON, for a program")
    chosen = parser.parse_args(arguments)
    names = [load(chosen.migration).migration] if chosen.migration else [load(name).migration for name in declared()]
    api, screen = _signed_in(deployment, chosen.account), Screen()
    while True:
        standings = [_standing(api, name) for name in names]
        if chosen.json:
            print(json.dumps(standings, indent=2, default=str))
        else:
            screen.show(_status_lines(standings, deployment.url))
        if not chosen.watch or not any(one["tasks"] for one in standings):
            return 0
        time.sleep(_PAUSE_S)


def review(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Print what a run would change, as the question shows it; with ``--json`` everything that its page shows."""
    parser = _parser("review")
    _add_run(parser)
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    chosen = parser.parse_args(arguments)
    api = _signed_in(deployment, chosen.account)
    run = _run_of(api, chosen.run)
    document = _review_of(api, run)
    if chosen.json:
        print(json.dumps(document, indent=2, default=str))
        return 0
    screen = Screen()
    _show_review(screen, document)
    screen.line(f"The whole of it: {deployment.url}/cutover/{_page(run)}/review")
    return 0


def diff(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Count the rows of a table that a run would add, take away and change; with ``--csv`` print every one of them.

    Both read what is staged and production as they are now. Raises CutoverError ``run.unknown``, and ``diff.*`` as
    ``review.difference`` does.
    """
    parser = _parser("diff")
    parser.add_argument("run", help="a run's id, or a migration for its newest run")
    parser.add_argument("table", help="as the review names it, such as transactions or auth.users")
    parser.add_argument("--kind", choices=KINDS, help="only these rows")
    parser.add_argument("--csv", action="store_true", help="the rows, as CSV; what is personal in them is masked")
    chosen = parser.parse_args(arguments)
    api = _signed_in(deployment, chosen.account)
    run = _run_of(api, chosen.run)
    asked = {"table": chosen.table} | ({"kind": chosen.kind} if chosen.kind else {})
    pieces = _without_mark(api.pieces(f"{_page(run)}/difference.csv", **asked))
    if chosen.csv:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return 0
    now = Counter(line["kind"] for line in csv.DictReader(_lines(pieces)))
    [reviewed] = [one for one in _review_of(api, run)["review"]["tables"] if one["name"] == chosen.table]
    screen = Screen()
    screen.heading(f"{chosen.table}  {run['dag_id']}  {run['dag_run_id']}")
    kinds = [chosen.kind] if chosen.kind else KINDS
    screen.table(["rows", "as reviewed", "now"], [[kind, f"{reviewed[kind]:,}", f"{now[kind]:,}"] for kind in kinds])
    if any(reviewed[kind] != now[kind] for kind in kinds):
        screen.line("Production has been written since the review; the swap carries these writes into the new table.")
    screen.line(f"Every one of them: {PROGRAM} diff {run['run']} {chosen.table} --csv")
    return 0


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A file without the mark by which a spreadsheet knows UTF-8."""
    yield next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    yield from pieces


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """The lines of a file that comes in pieces, with their ends: one may be within a value."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
    for piece in pieces:
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest


def approve(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Answer the question of a run: shows the review, asks, and answers as one account.

    Raises CutoverError ``approve.nothing-asked``, ``approve.another-question``, ``approve.no-window``,
    ``approve.not-offered`` and ``approve.no-comment``; as Airflow does where that account may not answer.
    """
    parser = _parser("approve")
    _add_run(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--reject", action="store_true", help="answer Reject: production stays as it is")
    instead.add_argument(
        "--request-changes",
        action="store_true",
        help="answer that something is to be changed first: say what, --comment",
    )
    parser.add_argument("--for", dest="of", metavar="PERSON", help="answer for somebody who has delegated it to you")
    parser.add_argument("--comment", default="", help="is kept with the answer")
    parser.add_argument(
        "--revert", type=int, metavar="MINUTES", help="approve beforehand that exactly this swap is taken back so long"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask me whether I mean it")
    chosen = parser.parse_args(arguments)
    api = Api(deployment.url, *deployment.login(chosen.account, answers=True))
    run = _run_of(api, chosen.run)
    question = _question(api, run)
    document = _review_of(api, run)
    screen = Screen()
    _show_review(screen, document)
    _require_same(run, question, document)
    answer = "Reject" if chosen.reject else _CHANGES if chosen.request_changes else "Approve"
    typed = {name: field["value"] for name, field in question["params"].items()}
    _require_offered(run, question, answer, chosen.comment, chosen.of)
    if not chosen.yes and not _confirmed(f"{answer} as {api.account}? [y/N] "):
        print("Not answered.")
        return 1
    _wait_until_settled(question, document, screen)
    if chosen.of is not None:
        typed["answers_for"] = chosen.of
    if "comment" in typed:
        typed["comment"] = chosen.comment
    if chosen.revert is not None:
        typed |= _window(run, typed, chosen.revert)
    api.patch(_answers(run), {"chosen_options": [answer], "params_input": typed})
    screen.line(f"{_said(answer)} by {api.account}{f' for {chosen.of}' if chosen.of else ''}.")
    if answer == "Approve" and document["quorum"]:
        screen.line(f"Before this answer it was {document['quorum']['words']}.")
    if answer == "Approve" and (timing := (document["review"] or {}).get("timing")):
        following = f"; the next time is {timing['next']}" if timing["next"] else ""
        screen.line(f"It swaps {timing['swap_at'] or 'now'}{following}.")
    screen.line(f"How it goes on: {PROGRAM} status --watch {run['dag_id'].removesuffix('_rollback')}")
    return 0


def comment(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Say something about a run; without a text, ask for it.

    Raises CutoverError ``run.unknown`` and as ``records.comments.add`` does.
    """
    parser = _parser("comment")
    _add_run(parser)
    parser.add_argument("text", nargs="?", help="in quotation marks; default: it is asked for")
    chosen = parser.parse_args(arguments)
    api = _signed_in(deployment, chosen.account)
    run = _run_of(api, chosen.run)
    words = chosen.text or input(f"On {run['dag_id']} {run['dag_run_id']}: ")
    screen = Screen()
    for one in api.ask(f"{_page(run)}/comments.json", {"words": words}):
        _show_comment(screen, one)
    return 0


def logs(deployment: Deployment, arguments: Sequence[str]) -> int:
    """Print the log of a task's newest try; without a task, of the task that failed first or runs now."""
    parser = _parser("logs")
    _add_run(parser)
    parser.add_argument("task", nargs="?", help="such as load.unified_profiles")
    chosen = parser.parse_args(arguments)
    api = _signed_in(deployment, chosen.account)
    run = _run_of(api, chosen.run)
    instance = _instance(api, run, chosen.task)
    screen = Screen()
    screen.line(f"{run['dag_id']} {run['dag_run_id']}, {instance['task_id']}: {instance['state']}")
    for line in _log_lines(api, run, instance):
        print(line)
    return 0


def why(deployment: Deployment, arguments: Sequence[str]) -> int:
    """From a row of production back to the API responses that it was made of.

    Raises CutoverError ``why.address-on-command-line``: what is typed there stands in the list of processes, and in the
    shell's history.
    """
    parser = _parser("why")
    parser.add_argument("table", help="of production, such as transactions")
    parser.add_argument("id", nargs="?", help="an id or number; an address is asked for, as is what is not given")
    parser.add_argument("--migration", help="default: the first in name order")
    chosen = parser.parse_args(arguments)
    if chosen.id and "@" in chosen.id:
        raise CutoverError(
            "why.address-on-command-line",
            "the address of a person",
            "a command line stands in the list of processes and in the shell's history.",
            f"leave it out, and type it when asked: {PROGRAM} why {chosen.table}",
        )
    migration = migrations.chosen(chosen.migration).migration
    api = _signed_in(deployment, chosen.account)
    value = chosen.id or input(f"Row of {chosen.table} (id, number or address): ").strip()
    document = api.ask(f"dags/{migration}/why.json", {"table": chosen.table, "value": value})
    screen = Screen()
    screen.heading(f"The row in {chosen.table}")
    cells = {name: str(cell) for name, cell in document["row"].items() if cell is not None}
    screen.table(["column", "value"], [[name, cell] for name, cell in cells.items()])
    screen.heading(f"{len(document['origins'])} responses behind it")
    for origin in document["origins"]:
        gone = f"; gone from the source since {_moment(origin['gone_at'])}" if origin["gone_at"] else ""
        screen.line(
            f"{origin['role']}: {origin['raw_table']} {origin['raw_id']}, fetched {_moment(origin['fetched_at'])}, "
            f"sync {origin['sync_id']}, page {origin['page_no']}{gone}"
        )
        print(origin["text"])
    screen.line("Personal values are masked, and so is everything that nobody has declared; credentials are not read.")
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {name}")
    parser.add_argument("--as", dest="account", metavar="ACCOUNT", help="who you are in Airflow")
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", help="a run's id, or a migration for its newest run; default: the newest of all"
    )


def _signed_in(deployment: Deployment, account: str | None) -> Api:
    return Api(deployment.url, *deployment.login(account))


def _runs(api: Api, migration: str) -> tuple[list[dict[str, Any]], str | None]:
    """The newest runs of a migration, newest first, or in words why they cannot be seen: one must not hide the others.

    None, and no reason, where the account may see none, or no DAG is there.
    """
    try:
        return list(api.page(f"dags/{migration}/runs.json")), None
    except RefusedError as error:
        return [], None if error.status in (403, 404) else error.why


def _run_of(api: Api, name: str | None) -> dict[str, Any]:
    """The run that a person means. Raises CutoverError ``run.unknown``."""
    known = declared()
    of = [name] if name in known else known
    answers = {migration: _runs(api, migration) for migration in of}
    runs = [run for of_one, _ in answers.values() for run in of_one]
    runs.sort(key=lambda run: run["started_at"], reverse=True)
    meant = runs if name is None or name in known else [run for run in runs if name in (run["dag_run_id"], run["run"])]
    if not meant:
        raise CutoverError(
            "run.unknown",
            f"run {name}" if name else "any run",
            f"{api.account} sees no such run among the newest of {', '.join(of)}."
            + "".join(f" {migration}: {problem}." for migration, (_, problem) in answers.items() if problem),
            f"name a run as `{PROGRAM} status` shows it, or another account (--as).",
        )
    return meant[0]


def _page(run: dict[str, Any]) -> str:
    return f"dags/{quote(run['dag_id'], safe='')}/runs/{quote(run['dag_run_id'], safe='')}"


def _review_of(api: Api, run: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = api.page(f"{_page(run)}/review.json")
    return document


def _show_review(screen: Screen, document: dict[str, Any]) -> None:
    screen.heading(f"{document['dag_id']}  {document['dag_run_id']}")
    by = document["triggered_by"] or "nobody in person"
    screen.line(f"{document['state']}; triggered by {by}, {_moment(document['started_at'])}")
    if document["waits_for"]:
        screen.line(f"It swaps {document['waits_for']}.")
    for answer in document["approvals"]:
        by = in_person(answer["approved_by"], answer["answers_for"])
        comment = f": {answer['comment']}" if answer["comment"] and answer["decision"] == "changes" else ""
        screen.line(f"{_said(answer['decision'])} by {by}, {_moment(answer['decided_at'])}{comment}")
    if document["quorum"]:
        screen.line(f"It needs {document['quorum']['needs']}")
        screen.line(f"{document['quorum']['words']}.")
    if document["entry"]:
        screen.line(f"Ledger entry {document['entry']['entry']}, {_moment(document['entry']['recorded_at'])}")
    screen.line("")
    if document["verdict"] is not None:
        _show_verdict(screen, document["verdict"])
    if document["question"] is None:
        screen.line("The review of this run has not been made.")
    else:
        screen.markdown(document["question"])
    for one in document["comments"]:
        _show_comment(screen, one)
    for reason in document["in_the_way"] or []:
        screen.line("")
        screen.line(f"In the way of the swap now: {reason}")
    screen.line("")


def _show_comment(screen: Screen, one: dict[str, Any]) -> None:
    screen.line(f"{one['author']}, {_moment(one['written_at'])}: {one['words']}")


def _show_verdict(screen: Screen, verdict: dict[str, Any]) -> None:
    screen.heading(verdict["headline"])
    screen.line(verdict["what"])
    for sign, points in (("-", verdict["against"]), ("+", verdict["favour"])):
        for point in points:
            screen.line(f"  {sign} {point}")
    if verdict["undo"]:
        screen.line(f"To undo it: {verdict['undo']}")
    if verdict["wait"]:
        screen.line(verdict["wait"])
    screen.line("")


def _answers(run: dict[str, Any]) -> str:
    return f"{run_path(run['dag_id'], run['dag_run_id'])}/taskInstances/{_GATE}/-1/hitlDetails"


def _question(api: Api, run: dict[str, Any]) -> dict[str, Any]:
    """The question of a run that waits. Raises CutoverError ``approve.nothing-asked``."""
    question: dict[str, Any] | None = None
    with suppress(RefusedError):
        question = api.get(_answers(run))
    if question is None or question["response_received"] or run["state"] != "waits for an answer":
        raise CutoverError(
            "approve.nothing-asked",
            f"run {run['dag_run_id']} of {run['dag_id']}",
            f"it {run['state']}, and asks nobody." if run["state"] != "waits for an answer" else "it asks nobody now.",
            f"see how it stands: {PROGRAM} status {run['dag_id'].removesuffix('_rollback')}",
        )
    return question


def _said(answer: str) -> str:
    """An answer, as a form or a record has it, in a sentence's first words."""
    return {"approve": "Approved", "changes": "Changes requested", _CHANGES.lower(): "Changes requested"}.get(
        answer.lower(), "Rejected"
    )


def _require_offered(run: dict[str, Any], question: dict[str, Any], answer: str, comment: str, of: str | None) -> None:
    """Raise CutoverError ``approve.not-offered``, ``approve.no-comment`` unless a question takes this answer."""
    about = f"run {run['dag_run_id']} of {run['dag_id']}"
    if answer not in question["options"]:
        raise CutoverError(
            "approve.not-offered",
            about,
            f"its question takes {' or '.join(question['options'])}: only a launch that needs several answers, by its "
            "migration.yaml, can be answered otherwise.",
            "answer one of those.",
        )
    if of is not None and "answers_for" not in question["params"]:
        raise CutoverError(
            "approve.not-offered",
            about,
            "its question is not answered for anybody else: its migration.yaml has no delegations.",
            "answer it without --for.",
        )
    if answer == _CHANGES and not comment.strip():
        raise CutoverError(
            "approve.no-comment",
            about,
            "who asks for changes says which.",
            'answer again with --comment "what is to be changed".',
        )


def _window(run: dict[str, Any], typed: dict[str, Any], minutes: int) -> dict[str, Any]:
    """The fields of a form that give a revert window. Raises CutoverError ``approve.no-window``."""
    if "revert_minutes" not in typed:
        raise CutoverError(
            "approve.no-window",
            f"run {run['dag_run_id']} of {run['dag_id']}",
            "its question offers no revert window: only that of a swap does.",
            "answer it without --revert.",
        )
    return {"revert": True, "revert_minutes": minutes}


def _require_same(run: dict[str, Any], question: dict[str, Any], document: dict[str, Any]) -> None:
    """Raise unless the question is about the review that was shown: its form carries the fingerprint."""
    asked = question["params"].get("fingerprint", {}).get("value")
    shown = (document["review"] or {}).get("fingerprint")
    if asked != shown:
        raise CutoverError(
            "approve.another-question",
            f"run {run['dag_run_id']} of {run['dag_id']}",
            f"the question is about {asked}, and the review that was shown about {shown}.",
            "look again; if it stays so, somebody has made the review anew, and the question will be asked anew.",
        )


def _wait_until_settled(question: dict[str, Any], document: dict[str, Any], screen: Screen) -> None:
    # where several have to answer, it is asked anew after each of them
    asked = [question["created_at"], *(answer["decided_at"] for answer in document["approvals"])]
    settled_at = max(map(datetime.fromisoformat, asked)) + timedelta(seconds=_SETTLED_S)
    while (left := (settled_at - datetime.now(timezone.utc)).total_seconds()) > 0:
        screen.status(f"the question is new: answering in {left:.0f} s, when Airflow's scheduler knows of it")
        time.sleep(min(left, 1.0))
    screen.status("")


def _confirmed(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _instances(api: Api, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a run, in the order in which they began; what has not begun comes last."""
    path = f"{run_path(run['dag_id'], run['dag_run_id'])}/taskInstances"
    instances: list[dict[str, Any]] = api.get(path, limit=1000)["task_instances"]
    return sorted(instances, key=lambda one: (one["start_date"] is None, one["start_date"] or "", one["task_id"]))


def _instance(api: Api, run: dict[str, Any], task: str | None) -> dict[str, Any]:
    """The task whose log is meant. Raises CutoverError ``logs.no-task``."""
    instances = _instances(api, run)
    begun = [one for one in instances if one["start_date"]]
    ranked = [one for one in begun if one["task_id"] == task] or (
        []
        if task
        else [one for one in begun if one["state"] == "failed"]
        or [one for one in begun if one["state"] not in _OVER]
        or begun[-1:]
    )
    if not ranked:
        raise CutoverError(
            "logs.no-task",
            f"run {run['dag_run_id']} of {run['dag_id']}",
            f"no task {task} of it has begun." if task else "no task of it has begun.",
            "name one of: " + (", ".join(one["task_id"] for one in begun) or "none yet") + ".",
        )
    return ranked[0]


def _log_lines(api: Api, run: dict[str, Any], instance: dict[str, Any]) -> Iterator[str]:
    """The log of a task's newest try, a line each; Airflow gives it in pieces."""
    path = f"{run_path(run['dag_id'], run['dag_run_id'])}/taskInstances/{quote(instance['task_id'], safe='')}"
    token: dict[str, str] = {}
    number = max(instance["try_number"], 1)
    while True:
        piece = api.get(f"{path}/logs/{number}", map_index=instance.get("map_index", -1), **token)
        for entry in piece["content"]:
            if isinstance(entry, str):
                yield entry
            elif not str(entry.get("event", "")).startswith("::"):
                at = str(entry.get("timestamp") or "")[:19].replace("T", " ")
                yield f"{at:<19} {entry.get('level') or '':<7} {entry.get('event', '')}"
        following = piece.get("continuation_token")
        if not following or not piece["content"]:
            return
        token = {"token": following}


def _standing(api: Api, migration: str) -> dict[str, Any]:
    """The newest runs of a migration, and the tasks of the one that is under way."""
    runs, problem = _runs(api, migration)
    runs = runs[:_RUNS]
    active = next((run for run in runs if run["state"] in _ACTIVE), None)
    tasks = []
    if active is not None:
        tasks = [
            {name: one[name] for name in ("task_id", "state", "start_date", "end_date", "try_number")}
            for one in _instances(api, active)
        ]
    return {
        "migration": migration,
        "problem": problem,
        "runs": runs,
        "active": active and active["dag_run_id"],
        "tasks": tasks,
    }


def _status_lines(standings: list[dict[str, Any]], url: str) -> list[str]:
    lines = []
    for standing in standings:
        lines.append(standing["migration"])
        if standing["problem"]:
            lines.append(f"  cannot be seen now: {standing['problem'].splitlines()[0]}")
        elif not standing["runs"]:
            lines.append("  never launched here, as far as this account sees")
        width = max((len(run["state"]) for run in standing["runs"]), default=0)
        for run in standing["runs"]:
            by = run["triggered_by"] or "nobody in person"
            lines.append(f"  {run['state']:<{width}}  {_moment(run['started_at'])}  {run['dag_run_id']}  by {by}")
            if run["answers"]:
                lines.append(f"    {run['answers']}")
            if run["state"] == "changes requested" and run["comment"]:
                lines.append(f"    {run['approved_by']}: {run['comment']}")
            if run["waits_for"]:
                writes = sum(run["wait"]["writes"].values())
                lines.append(f"    swaps {run['waits_for']}; {writes:,} writes since the approval")
        if standing["tasks"]:
            lines.append(f"  {_how_far(standing)}")
            running = next(run for run in standing["runs"] if run["dag_run_id"] == standing["active"])
            lines += [f"    {line}" for line in running.get("doing", ())]
            lines += [
                f"    {one['state'].replace('_', ' '):<15} {one['task_id']}{_since(one['start_date'])}"
                for one in standing["tasks"]
                if one["state"] is not None and one["state"] not in ("success", "skipped", "removed", "scheduled")
            ]
        if any(run["state"] == "waits for an answer" for run in standing["runs"]):
            lines.append(f"  read it: {PROGRAM} review {standing['active']}   answer it: {PROGRAM} approve, or {url}")
        lines.append("")
    return lines[:-1]


def _how_far(standing: dict[str, Any]) -> str:
    """How far the run is that is under way; one that waits for somebody or for its time has no estimate."""
    for run in standing["runs"]:
        if run["dag_run_id"] == standing["active"] and run["progress"]:
            return str(run["progress"]["words"])
    ended = [one for one in standing["tasks"] if one["state"] in _OVER]
    return f"{len(ended)} of {len(standing['tasks'])} tasks have ended"


def _since(start: str | None) -> str:
    if start is None:
        return ""
    seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(start)).total_seconds()
    return f", {seconds:,.0f} s" if seconds < 120 else f", {seconds / 60:,.0f} min"


def _moment(text: str | None) -> str:
    return f"{datetime.fromisoformat(text).astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if text else "–"
