"""The review as the approval form shows it: Markdown, and short."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from cutover.review import forecast, probes, when
from cutover.swap.rehearsal import in_words

# Figures of more lines than this are on the whole review only: the form has to stay short.
FORM_ROWS = 8
# What is done to rows outside that lose what they refer to, in the approver's words.
_LEAVING = {
    "delete": "go to `cutover.set_aside`",
    "move": "refer to the row that the person's other one goes on as",
    "set null": "lose the reference",
    "set default": "get the default reference",
}


def markdown(review: dict[str, Any]) -> str:
    """The review as the approval form shows it: short, every figure beside the one before."""
    lines = [
        "| table | before | after | added | removed | changed |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {t['name']} | {t['before']:,} | {t['after']:,} | {t['added']:,} | {t['removed']:,} | {t['changed']:,} |"
            for t in review["tables"]
        ),
        "",
        "| source | read | staged | merged | left out | rejected | balance |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {r['source']} | {r['read']:,} | {r['staged']:,} | {r['merged']:,} | {r['left_out']:,} "
            f"| {r['rejected']:,} | {r['difference']} |"
            for r in review["reconciliation"]
        ),
        "",
        *_rejects(review),
        *[line for figure in review["figures"] for line in _figure(figure)],
        *_leaving(review),
        "**Warnings**",
        "",
        *([f"* {w['title']}: **{w['total']:,}**" for w in review["warnings"] if w["total"]] or ["* none"]),
        "",
        *([f"{sentence}.", ""] if (sentence := in_words(review.get("rehearsal"))) else []),
        *probes.in_form(review.get("probes")),
        *([f"**When.** {' '.join(said)}", ""] if (said := when.in_words(review.get("timing"))) else []),
        f"{validated(review)}; {len(review['dependents'])} dependent objects follow the new tables; "
        f"{review['captured']:,} production writes captured so far will be carried; {forecast.expected(review)}.",
        "",
        f"Fingerprint `{review['fingerprint']}`",
    ]
    return "\n".join(lines)


def rejects_limit(review: dict[str, Any]) -> str | None:
    """How many rows of a source may be rejected, by what the validation was run with."""
    bounds = (review.get("validation") or {}).get("parameters") or {}
    if "rejects_share" not in bounds:
        return None
    percent = f"{float(bounds['rejects_share']) * 100:.6g} %"
    return f"{bounds['rejects_rows']:,} rows, or {percent} of those read"


def _rejects(review: dict[str, Any]) -> list[str]:
    """The bounds under which the source with most rejected rows has come through."""
    limit = rejects_limit(review)
    return [f"A source may have as many rejected as {limit}, whichever is more.", ""] if limit else []


def _leaving(review: dict[str, Any]) -> list[str]:
    """What becomes of rows outside the set, key by key."""
    if not review.get("leaving"):
        return []
    return [
        "**Rows of other tables that lose what they refer to** (a rollback puts them back)",
        "",
        *(f"* `{one['key_name']}`: **{one['rows']:,}** {_LEAVING[one['operation']]}" for one in review["leaving"]),
        "",
    ]


def _figure(figure: dict[str, Any]) -> list[str]:
    """A short figure with a before and an after as a table; nothing for any other, which the whole review shows."""
    columns, rows = figure["columns"], figure["rows"]
    if not {"before", "after"} <= set(columns) or not 0 < figure["total"] <= FORM_ROWS:
        return []
    numbers = figure.get("numbers", [*columns])
    marks = ["---:" if column in ("before", "after", "change") else "---" for column in columns]
    return [
        f"**{figure['title']}**",
        "",
        f"| {' | '.join(column.replace('_', ' ') for column in columns)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(map(_in_form, row, [column in numbers for column in columns]))} |" for row in rows),
        "",
    ]


def _in_form(value: Any, is_number: bool) -> str:
    """A value as the form shows it: exact numbers with separators, and text that cannot be taken for Markdown."""
    if value is None:
        return "–"
    with suppress(InvalidOperation):
        if is_number:
            return f"{Decimal(str(value)):,}"
    text = re.sub(r"[`\s]+", " ", str(value))[:40].replace("|", "\\|")
    return f"`{text}`"


def validated(review: dict[str, Any]) -> str:
    """The validation in half a sentence."""
    validation = review["validation"] or {}
    suites, checks = validation.get("suites", []), validation.get("checks", [])
    passes = sum(suite["evaluated"] - len(suite["failed"]) - len(suite["warned"]) for suite in suites)
    total = sum(suite["evaluated"] for suite in suites)
    passed = sum(check["success"] for check in checks)
    return f"{passes} of {total} expectations and {passed} of {len(checks)} checks hold"
