"""A query with names written in full made to mean the rehearsed tables; what has no schema, the search_path decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from psycopg import sql

from cutover.masking import HIDDEN

# What a parameter may stand in without being one, or a parameter.
_PARTS = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/"""
    r"""|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$|\$(?P<number>\d+)""",
    re.DOTALL,
)
# How a parameter is called while sqlglot reads a query: it takes `$1,$` for the beginning of a text.
SIGN = "cutover_parameter_"


def rehearsed(query: str, schema: str, moved: Collection[tuple[str, str]]) -> str:
    """``query`` with ``schema`` in the place of the schema of each (schema, name) of ``moved``.

    Nothing else of the text is touched. What PostgreSQL then takes the names for is looked at by whoever runs it.
    """
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import TokenError

    try:
        tokens = tokenize(query, read="postgres")
    except TokenError:
        return query
    parts, done = [], 0
    for before, first, dot, name in zip([None, *tokens], tokens, tokens[1:], tokens[2:], strict=False):
        if dot.token_type is not TokenType.DOT or (before and before.token_type is TokenType.DOT):
            continue
        if (_name(query, first), _name(query, name)) in moved:
            parts.append(query[done : first.start])
            parts.append(sql.Identifier(schema).as_string())
            done = first.end + 1
    return "".join([*parts, query[done:]])


def with_parameters(query: str, written: Callable[[int], str]) -> str:
    """``query`` with what ``written`` says in the place of each ``$n``; not within texts, names and comments."""
    return _PARTS.sub(lambda part: written(int(part["number"])) if part["number"] else part[0], query)


def masked(query: str) -> str:
    """A query as it may be shown: without comments, on one line, each value in it hidden."""
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import TokenError

    text = with_parameters(query, lambda number: f"{SIGN}{number} ")
    try:
        tokens = tokenize(text, read="postgres")
    except TokenError:
        return HIDDEN
    shown, end = "", 0
    for token in tokens:
        is_value = token.token_type is TokenType.NUMBER or token.token_type.name.endswith("STRING")
        part = HIDDEN if is_value else text[token.start : token.end + 1]
        shown += (" " if shown and token.start > end else "") + part
        end = token.end + 1
    return re.sub(rf"{SIGN}(\d+)( (?=[,)]))?", r"$\1", shown)


def _name(query: str, token: object) -> str:
    """The name that a token stands for: as PostgreSQL folds it, where it is not quoted."""
    text = query[token.start : token.end + 1]  # type: ignore[attr-defined]
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
