"""Two plans of a query, and in words what PostgreSQL does otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

# What PostgreSQL calls a node, as people say it; others are said as they are, in lower case.
_WORDS = {
    "Seq Scan": "sequential scan",
    "Index Only Scan": "index-only scan",
    "Bitmap Heap Scan": "bitmap scan",
    "Bitmap Index Scan": "bitmap scan",
    "Aggregate": "aggregate",
}
# Nodes that say nothing of how rows are looked up or put together.
_PLAIN = frozenset(("Result", "Limit", "Subquery Scan", "CTE Scan", "Bitmap Index Scan", "Append", "Gather", "Hash"))
# Scans of one relation named at most; more say no more.
_MOST = 6


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In words, what of the plan ``before`` is otherwise ``after``: how each relation is read, then the joins."""
    was, is_now = dict(_scans(before)), dict(_scans(after))
    words = [
        f"{name}: {was.get(name, 'not read')} → {is_now.get(name, 'not read')}"
        for name in dict.fromkeys([*was, *is_now])
        if was.get(name) != is_now.get(name)
    ][:_MOST]
    others_before, others_after = Counter(_others(before)), Counter(_others(after))
    old, new = others_before - others_after, others_after - others_before
    if old or new:
        words.append(f"{_listed(old)} → {_listed(new)}")
    return words


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _scans(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(relation with its alias, how it is read), each name once."""
    counts: Counter[str] = Counter()
    for node in _nodes(plan):
        if "Relation Name" not in node:
            continue
        name, alias = node["Relation Name"], node.get("Alias", node["Relation Name"])
        shown = name if alias == name else f"{name} {alias}"
        counts[shown] += 1
        index = next((one["Index Name"] for one in _nodes(node) if "Index Name" in one), None)
        way = _said(node)
        yield shown if counts[shown] == 1 else f"{shown} ({counts[shown]})", f"{way} ({index})" if index else way


def _others(plan: Mapping[str, Any]) -> Iterator[str]:
    for node in _nodes(plan):
        if "Relation Name" not in node and node["Node Type"] not in _PLAIN:
            yield _said(node)


def _said(node: Mapping[str, Any]) -> str:
    kind = str(node["Node Type"])
    return _WORDS.get(kind, kind.lower())


def _listed(nodes: Counter[str]) -> str:
    return ", ".join(nodes) or "none"
