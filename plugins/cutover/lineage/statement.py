"""What a text of SQL writes, and from which columns: by sqlglot, which resolves names as PostgreSQL does.

Nothing here raises for a statement that cannot be read. What it writes is then told without columns, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

# Where the arrays that a statement is given stand for a table: ``unnest(%(ids)s, …) as fetched (id, …)``.
GIVEN = "given"
# What tells of tables and holds no rows of anybody's.
_CATALOGUE = ("pg_catalog", "information_schema")
# Table → its columns, in their order.
Columns = Mapping[str, Iterable[str]]
# Of sqlglot, which names their class differently where it is compiled.
Tokens = list[Any]

# A text, a name or a comment, in which nothing is a placeholder; or what psycopg or a template puts something into.
_PLACEHOLDER = re.compile(
    r"(?P<plain>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|%\((?P<value>\w+)\)s|(?P<percent>%%)|\{\{.*?\}\}|\{(?P<name>\w+)\}",
    re.DOTALL,
)
# Statements that fill a table, and what one begins with that only says which columns a table has.
_FILLS = re.compile(r"(create\s+(temp(orary)?\s+|unlogged\s+)?table|insert\s+into|update|with|delete)\b", re.IGNORECASE)
_BODY = re.compile(r"\$(\w*)\$(.*)\$\1\$", re.DOTALL)
# Words of PL/pgSQL behind which a statement begins.
_BEGINS = re.compile(r"\b(begin|then|else|loop)\b", re.IGNORECASE)


class Kind(IntEnum):
    """What becomes of a value on its way; of several steps the greatest counts."""

    IDENTITY = 0
    TRANSFORMATION = 1
    AGGREGATION = 2


class Source(NamedTuple):
    """A column that a value is made of. ``member``: the way into a JSON value, where only a part of it is taken."""

    table: str
    column: str
    member: str = ""
    kind: Kind = Kind.IDENTITY


@dataclass
class Written:
    """What one statement writes into one table. ``columns`` without a source are constants.

    ``unread``: why the columns are not known, and then ``columns`` is empty.
    """

    table: str
    columns: dict[str, frozenset[Source]] = field(default_factory=dict)
    reads: frozenset[str] = frozenset()
    unread: str | None = None


@dataclass
class Reading:
    """What a text comes to. ``made``: tables that it creates, with their columns; ``dropped``: that are gone then."""

    written: list[Written] = field(default_factory=list)
    made: dict[str, list[str]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def read(text: str, columns: Columns, *, into: str | None = None) -> Reading:
    """Read a text of statements. ``columns`` are those of the tables before it, ``into`` where a lone query goes.

    psycopg's placeholders are values, and names in braces are names.
    """
    reading = Reading()
    known = dict(columns)
    for tokens, sql in _statements(_without_placeholders(text)):
        _read_one(tokens, sql, known, into, reading)
        known |= reading.made
    return reading


def _without_placeholders(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match["plain"] is not None:
            return match[0]
        if match["percent"]:
            return "%"
        if match["value"]:
            return f":{match['value']}"
        return match["name"] or ":template"

    return _PLACEHOLDER.sub(plain, text)


def _statements(text: str) -> Iterator[tuple[Tokens, str]]:
    """Each statement that may fill a table, as tokens: what other things a file does says nothing about rows."""
    from sqlglot import Dialect, TokenType
    from sqlglot.errors import SqlglotError

    try:
        tokens = Dialect.get_or_raise("postgres").tokenize(text)
    except SqlglotError:
        return
    statement: Tokens = []
    for token in [*tokens, None]:
        if token is not None and token.token_type != TokenType.SEMICOLON:
            statement.append(token)
            continue
        if statement:
            if statement[0].text.lower() == "do":
                body = _BODY.search(" ".join(token.text for token in statement))
                for block in body[2].split(";") if body else ():
                    yield from _statements(_from_its_begin(block))
            elif _is_about_rows([token.text.lower() for token in statement[:3]]):
                yield _without_conflict(statement), text
        statement = []


def _is_about_rows(words: list[str]) -> bool:
    """Whether a statement that begins so makes, fills or drops a table, or is a query."""
    if words[0] in ("create", "drop"):
        return "table" in words
    return words[0] in ("insert", "update", "with", "select", "(")


def _from_its_begin(block: str) -> str:
    """The statement within a stretch of PL/pgSQL; nothing where there is none that fills a table."""
    rest = block.strip()
    while not _FILLS.match(rest):
        match = _BEGINS.search(rest)
        if match is None:
            return ""
        rest = rest[match.end() :].strip()
    return rest


def _without_conflict(tokens: Tokens) -> Tokens:
    """Without ``on conflict …``: it writes the same columns again, and sqlglot takes its ``on`` for a join's."""
    from sqlglot import TokenType

    rest: Tokens = []
    depth = 0
    skipping: int | None = None
    for place, token in enumerate(tokens):
        following = tokens[place + 1].text.lower() if place + 1 < len(tokens) else ""
        if skipping is None and token.text.lower() == "on" and following == "conflict":
            skipping = depth
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if skipping is not None and (depth < skipping or (depth == skipping and token.text.lower() == "returning")):
            skipping = None
        if skipping is None:
            rest.append(token)
    return rest


def _read_one(tokens: Tokens, text: str, known: dict[str, Iterable[str]], into: str | None, to: Reading) -> None:
    from sqlglot import Dialect, exp
    from sqlglot.errors import SqlglotError

    dialect = Dialect.get_or_raise("postgres")
    try:
        (tree,) = dialect.parser().parse(tokens, text)
    except (SqlglotError, ValueError) as error:
        to.written += _unread(tokens, into, error)
        return
    tree = tree.transform(_no_lambda) if tree is not None else None
    if isinstance(tree, exp.Drop) and tree.kind == "TABLE":
        to.dropped += [_name(table) for table in tree.find_all(exp.Table)]
    elif isinstance(tree, exp.Create) and tree.kind == "TABLE" and isinstance(tree.this, exp.Schema):
        _made(to, _name(tree.this.this), [column.name for column in tree.this.find_all(exp.ColumnDef)])
    elif tree is not None:
        for target, names, query in _fillings(tree, into):
            known_now = {**known, **to.made}
            written = _of_query(target, names, query, known_now)
            to.written.append(written)
            if isinstance(tree, exp.Create) and written.columns:
                _made(to, target, list(written.columns))


def _made(to: Reading, table: str, columns: list[str]) -> None:
    to.made[table] = columns
    to.dropped = [one for one in to.dropped if one != table]


def _no_lambda(node: exp.Expression) -> exp.Expression:
    """``f(a -> 'b')`` takes a member in PostgreSQL; sqlglot sees a function without a name in it."""
    from sqlglot import exp

    if isinstance(node, exp.Lambda) and len(node.expressions) == 1:
        column = exp.column(node.expressions[0].name)
        return exp.JSONExtract(this=column, expression=exp.JSONPath(expressions=[exp.JSONPathKey(this=node.this.name)]))
    return node


def _unread(tokens: Tokens, into: str | None, error: Exception) -> list[Written]:
    """What a statement writes that sqlglot cannot read: the tables by the words before them."""
    words = [token.text.lower() for token in tokens]
    reads, target = set(), into
    for place, word in enumerate(words[:-3]):
        if words[place + 2] != ".":
            continue
        name = f"{words[place + 1]}.{words[place + 3]}"
        if word in ("into", "update") or (word == "table" and words[0] == "create"):
            target = target or name
        elif word in ("from", "join"):
            reads.add(name)
    why = " ".join(str(error).split())[:80]
    return [Written(target, reads=frozenset(reads), unread=f"sqlglot cannot read it: {why}")] if target else []


def _name(table: exp.Expression) -> str:
    return f"{table.args['db'].name}.{table.name}" if table.args.get("db") else str(table.name)


def _fillings(tree: Any, into: str | None) -> Iterator[tuple[str, list[str] | None, exp.Query]]:
    """(table, columns, query) for everything that a statement fills, each with the CTEs that its query needs.

    Columns are None where the query names them. A CTE that writes becomes a query of what it returns: the table's.
    """
    from sqlglot import exp

    before: list[exp.CTE] = []
    with_ = tree.args.get("with_")
    for cte in with_.expressions if with_ else ():
        writing = cte.this
        if isinstance(writing, exp.Insert | exp.Update | exp.Delete):
            yield from _filled_by(writing, before)
            returning = writing.args.get("returning")
            if returning is None:
                continue
            table = writing.this.this if isinstance(writing.this, exp.Schema) else writing.this
            returned = exp.select(*returning.expressions).from_(table.copy())
            before.append(exp.CTE(this=returned, alias=cte.args["alias"].copy()))
        else:
            before.append(cte)
    if isinstance(tree, exp.Query):
        if into:
            yield into, None, _with(tree, before)
        return
    yield from _filled_by(tree, before)


def _filled_by(tree: Any, before: list[exp.CTE]) -> Iterator[tuple[str, list[str] | None, exp.Query]]:
    from sqlglot import exp

    if isinstance(tree, exp.Create) and isinstance(tree.expression, exp.Query):
        yield _name(tree.this), None, _with(tree.expression, before)
    elif isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Query):
        schema = tree.this
        names = [one.name for one in schema.expressions] if isinstance(schema, exp.Schema) else []
        table = schema.this if isinstance(schema, exp.Schema) else schema
        yield _name(table), names, _with(tree.expression, before)
    elif isinstance(tree, exp.Update):
        sets = [one for one in tree.expressions if isinstance(one, exp.EQ)]
        query = exp.select(*(exp.alias_(one.expression.copy(), one.this.name) for one in sets)).from_(tree.this.copy())
        from_ = tree.args.get("from_")
        if from_ is not None:
            query = query.join(from_.this.copy(), join_type="cross")
            for join in from_.this.args.get("joins") or ():
                query.append("joins", join.copy())
        where = tree.args.get("where")
        if where is not None:
            query = query.where(where.this.copy())
        yield _name(tree.this), [one.this.name for one in sets], _with(query, before)


def _with(query: exp.Query, before: list[exp.CTE]) -> exp.Query:
    from sqlglot import exp

    own = query.args.get("with_")
    ctes = [cte.copy() for cte in [*before, *(own.expressions if own else ())]]
    made = query.copy()
    if ctes:
        made.set("with_", exp.With(expressions=ctes, recursive=bool(own and own.args.get("recursive"))))
    return made


def _of_query(target: str, names: list[str] | None, query: exp.Query, known: Columns) -> Written:
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    given = _name_what_is_given(query)
    tables = {_name(table) for table in query.find_all(exp.Table) if table.args.get("db")}
    reads = frozenset(table for table in tables if table.partition(".")[0] not in (GIVEN, *_CATALOGUE))
    schema: dict[str, Any] = {}
    for table, columns in {**known, **given}.items():
        db, _, name = table.partition(".")
        schema.setdefault(db, {})[name] = dict.fromkeys(columns, "text")
    try:
        qualified = qualify(
            query,
            dialect="postgres",
            schema=schema,
            # PostgreSQL knows a name that a select list gives in its order by alone
            expand_alias_refs=False,
            validate_qualify_columns=False,
            identify=False,
            quote_identifiers=False,
        )
        scope = build_scope(qualified)
        if scope is None:
            return Written(target, reads=reads, unread="it is no query")
        made = qualified.named_selects
        if "*" in made:
            return Written(target, reads=reads, unread="it takes all columns of a table that is not known")
        if names == [] and target in known:
            names = list(known[target])[: len(made)]
        resolver = _Resolver({**known, **given})
        called = names or made
        columns_of = {name: frozenset(resolver.column(scope, place)) for place, name in enumerate(called)}
    except (SqlglotError, RecursionError, KeyError, IndexError, AttributeError, ValueError) as error:
        # of a text of others: whatever its form makes of the library
        return Written(target, reads=reads, unread=f"{type(error).__name__}: {' '.join(str(error).split())[:80]}")
    return Written(target, columns_of, reads)


def _name_what_is_given(query: exp.Query) -> dict[str, list[str]]:
    """Puts a table in the place of each ``unnest`` of arrays that are given, and returns their columns.

    A column is called as the parameter that it comes from.
    """
    from sqlglot import exp

    tables: dict[str, list[str]] = {}
    for unnest in list(query.find_all(exp.Unnest)):
        values = [next(iter(value.find_all(exp.Placeholder)), None) for value in unnest.expressions]
        alias = unnest.args.get("alias")
        if not alias or not alias.columns or None in values or unnest.find(exp.Column):
            continue
        parameters = [value.name for value in values if value is not None]
        columns = [
            exp.alias_(exp.column(parameter, table=GIVEN), column.name)
            for parameter, column in zip(parameters, alias.columns, strict=False)
        ]
        inner = exp.select(*columns).from_(exp.table_(GIVEN, db=GIVEN))
        unnest.replace(inner.subquery(alias.name))
        tables[f"{GIVEN}.{GIVEN}"] = parameters
    return tables


class _Resolver:
    """Follows columns of a qualified query down to its tables, each once."""

    def __init__(self, known: Columns) -> None:
        self.known = known
        self.memo: dict[tuple[int, int], set[Source]] = {}

    def column(self, scope: Scope, place: int) -> set[Source]:
        """What the column at ``place`` of a query is made of."""
        key = (id(scope), place)
        if key not in self.memo:
            # a query that refers to itself adds nothing to what it begins with
            self.memo[key] = set()
            if scope.set_operation_scopes:
                parts = [self.column(one, place) for one in scope.set_operation_scopes]
                self.memo[key] = set().union(*parts)
            else:
                selects = _query(scope).selects
                self.memo[key] = self.expression(selects[place], scope) if place < len(selects) else set()
        return self.memo[key]

    def expression(self, node: Any, scope: Scope) -> set[Source]:
        """What an expression of ``scope`` is made of, the queries in it included."""
        from sqlglot import exp
        from sqlglot.optimizer.scope import find_all_in_scope

        value = node.unalias()
        if isinstance(value, exp.Column):
            kind = Kind.IDENTITY
        else:
            kind = Kind.AGGREGATION if value.find(exp.AggFunc) else Kind.TRANSFORMATION
        sources: set[Source] = set()
        references: list[Any] = list(find_all_in_scope(value, exp.Column))
        references += find_all_in_scope(value, exp.TableColumn)
        for column in references:
            sources |= {_through(source, kind) for source in self.reference(column, scope)}
        within = {id(inner.expression): inner for inner in scope.subquery_scopes}
        queries: list[Any] = [*find_all_in_scope(value, exp.Select), *find_all_in_scope(value, exp.SetOperation)]
        for query in queries:
            inner = within.get(id(query))
            if inner is None:
                continue
            for place in range(len(query.selects)):
                sources |= {_through(source, kind) for source in self.column(inner, place)}
            if isinstance(query.parent, exp.Exists) and query.args.get("where"):
                # what such a query selects says nothing
                for column in find_all_in_scope(query.args["where"], exp.Column):
                    sources |= {_through(source, kind) for source in self.reference(column, inner)}
        return sources

    def reference(self, column: Any, scope: Scope) -> set[Source]:
        """What one reference to a column, or to a whole row, means."""
        from sqlglot import exp
        from sqlglot.optimizer.scope import Scope

        if isinstance(column, exp.TableColumn) or (not column.table and column.name in _selected(scope)):
            return self.whole(_origin(column.name, scope))
        origin = _origin(column.table, scope) if column.table else self.holder(column, scope)
        member = _member(column)
        if isinstance(origin, Scope):
            inner = _query_of(origin)
            if inner is None:
                return self.function(origin.expression, origin, scope)
            wanted = [place for place, name in enumerate(_query(inner).named_selects) if name == column.name]
            return {_into(source, member) for place in wanted for source in self.column(inner, place)}
        if isinstance(origin, exp.Table) and not origin.args.get("db"):
            return self.function(origin.this, origin, scope)
        is_row = column.name == column.table and origin is not None and _name(origin) not in self.known
        # nobody's, or a whole row of a table whose columns nobody knows, or of what holds no rows of anybody's
        if origin is None or is_row or origin.args["db"].name in _CATALOGUE:
            return set()
        return {Source(_name(origin), column.name, member)}

    def holder(self, column: exp.Column, scope: Scope | None) -> Any:
        """What a column without the name of a table belongs to: whatever has it, from the inside to the outside."""
        from sqlglot import exp

        while scope is not None:
            selected = _selected(scope)
            having = [source for source in selected.values() if column.name in self.names(source)]
            unknown = [
                source
                for source in selected.values()
                if isinstance(source, exp.Table) and source.args.get("db") and _name(source) not in self.known
            ]
            if len(having or unknown) == 1:
                return (having or unknown)[0]
            scope = scope.parent
        return None

    def names(self, source: Any) -> Iterable[str]:
        """The columns of something that is selected from; none where nobody knows."""
        from sqlglot.optimizer.scope import Scope

        if isinstance(source, Scope):
            query = _query_of(source)
            return _query(query).named_selects if query is not None else ()
        return self.known.get(_name(source), ())

    def whole(self, source: Any) -> set[Source]:
        """All columns of a source."""
        from sqlglot.optimizer.scope import Scope

        if isinstance(source, Scope):
            query = _query_of(source)
            if query is None:
                return set()
            return set().union(*(self.column(query, place) for place in range(len(_query(query).selects))))
        return {Source(_name(source), name) for name in self.known.get(_name(source), ())} if source else set()

    def function(self, call: Any, itself: Any, scope: Scope) -> set[Source]:
        """What a function in the place of a table is given: all that it returns is made of that."""
        from sqlglot import exp

        sources: set[Source] = set()
        for column in call.find_all(exp.Column):
            if (_origin(column.table, scope) if column.table else self.holder(column, scope)) is not itself:
                sources |= self.reference(column, scope)
        return {_through(source, Kind.TRANSFORMATION) for source in sources}


def _selected(scope: Scope) -> dict[str, Any]:
    """What a query selects from, by the name that it has there."""
    return {name: source for name, (_, source) in scope.selected_sources.items()}


def _query(scope: Scope) -> exp.Query:
    return cast("exp.Query", scope.expression)


def _query_of(source: Scope) -> Scope | None:
    """The query behind a source; None for a function in the place of a table."""
    from sqlglot import exp

    if isinstance(source.expression, exp.Query):
        return source
    if isinstance(source.expression, exp.Lateral) and isinstance(source.expression.this, exp.Subquery):
        within = source.expression.this.unnest()
        return next((one for one in source.subquery_scopes if one.expression is within), None)
    return None


def _origin(called: str, scope: Scope | None) -> Any:
    """What a name means in a query, or in those around it; None where it is nobody's."""
    while scope is not None:
        selected = _selected(scope)
        if called in selected:
            return selected[called]
        scope = scope.parent
    return None


def _through(source: Source, kind: Kind) -> Source:
    return source._replace(kind=max(source.kind, kind))


def _into(source: Source, member: str) -> Source:
    return source._replace(member=source.member or member)


def _member(column: exp.Column) -> str:
    """The member that is taken of a JSON value: by ``a -> 'b'``, ``a ->> 'b'``, ``jsonb_path_query(a, '$.b[*]')``."""
    from sqlglot import exp

    parent = column.parent
    if isinstance(parent, exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.JSONExtract | exp.JSONExtractScalar | exp.JSONBExtract | exp.JSONBExtractScalar):
        if parent.this.find(exp.Column) is column:
            keys = [str(key.this) for key in parent.expression.find_all(exp.JSONPathKey)]
            return keys[0] if keys else ""
    elif isinstance(parent, exp.Func):
        texts = [one.name for one in parent.find_all(exp.Literal) if one.is_string and one.name.startswith("$.")]
        match = re.match(r"\$\.(\w+)", texts[0]) if texts else None
        return match[1] if match else ""
    return ""


def merged(parts: Iterable[Written]) -> Written:
    """What several statements write into one table."""
    first, *others = parts
    whole = Written(first.table, dict(first.columns), first.reads, first.unread)
    for part in others:
        for name, sources in part.columns.items():
            whole.columns[name] = whole.columns.get(name, frozenset()) | sources
        whole.reads |= part.reads
        whole.unread = whole.unread or part.unread
    return whole
