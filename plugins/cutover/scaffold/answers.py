"""What a new migration is to be: from options, or asked for on a terminal, and refused where it cannot be written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cutover.database import statements
from cutover.database.connect import Connect
from cutover.errors import PROGRAM, CutoverError
from cutover.scaffold import shape
from cutover.scaffold.shape import Shape

HTTP, POSTGRES, FILES, TARGET = "http", "postgres", "files", "target"
# The kinds of source that this engine reads, with what they are called in a question.
KINDS = {
    HTTP: "an HTTP API",
    POSTGRES: "another PostgreSQL database",
    FILES: "files in a folder or in object storage",
    TARGET: "the target's own tables",
}
# As `migration.source.Name`, with room for a table's name behind it: both name a raw table and a task.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_LONGEST = 48

# Opens an Airflow connection by its id; raises `connect.*` and what else there is to say of it.
Opener = Callable[[str], Connect]
Ask = Callable[[str], str]


@dataclass(frozen=True)
class Origin:
    """Where the rows of a table come from: a kind, an Airflow connection, and a path, table or address there."""

    kind: str
    connection: str
    place: str


@dataclass(frozen=True)
class Table:
    """A table of the new migration: its shape, the origin of its rows, and the shape of a database's table there.

    ``raw`` is the name of source and raw table; ``is_live``: production has it already.
    """

    raw: str
    shape: Shape
    origin: Origin
    is_live: bool
    source: Shape | None = None


@dataclass(frozen=True)
class Answers:
    """Everything that is asked."""

    name: str
    target: str
    schema: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Options:
    """What was given on the command line; ``None`` and empty are asked for."""

    name: str
    target: str | None = None
    tables: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def complete(options: Options, opener: Opener, ask: Ask | None) -> Answers:
    """The answers that ``options`` give, the missing ones from ``ask``; without it they are an error.

    Raises:
        CutoverError: ``new.bad-name``; ``new.bad-source``; ``new.incomplete``; ``new.two-schemas``;
            ``migration.name-taken``; those of ``shape.read``; ``connect.*``.
    """
    require_name(options.name)
    target = options.target or _answer(
        ask, "--target", "Airflow connection of the database to launch into", "production"
    )
    named = _names(options, ask)
    schemas = {schema for schema, _ in named}
    if len(schemas) > 1:
        raise CutoverError(
            "new.two-schemas",
            ", ".join(sorted(schemas)),
            "the tables of one migration are in one schema.",
            "make a migration for each schema; the second can read what the first has launched.",
        )
    sources = list(options.sources)
    if not sources and not options.like:
        choices = {kind: words for kind, words in KINDS.items() if kind != TARGET}
        listed = ", ".join(f"{kind} ({words})" for kind, words in choices.items())
        sources = [_answer(ask, "--source", f"Where do the rows come from? {listed}", HTTP)]
    origins = _origins(options.name, target, named, sources)
    live = {split(name) for name in options.like}
    tables = tuple(
        _table(options.name, table, origins[table[1]], opener, target if table in live else None) for table in named
    )
    return Answers(options.name, target, schemas.pop(), tables)


def require_name(name: str) -> None:
    """Raise ``new.bad-name`` or ``migration.name-taken`` for what a migration cannot be called."""
    if not _NAME.fullmatch(name):
        raise CutoverError(
            "new.bad-name",
            f"migration {name!r}",
            "it names folders, files, tables and DAGs, so it is a small letter followed by at most 23 small letters, "
            "digits and underscores.",
            "choose a name such as shop or shop_2.",
        )
    if statements.is_taken(name):
        raise CutoverError(
            "migration.name-taken",
            f"migration {name}",
            "a folder of the engine's own statements, or of another package of include, has that name.",
            f"choose another name, such as {name}_data.",
        )


def split(name: str) -> tuple[str, str]:
    """(schema, table) of ``schema.table``; without a schema it is ``public``. Raises ``new.bad-name``."""
    schema, _, table = name.rpartition(".")
    for part in (schema or "public", table):
        if not _TABLE.fullmatch(part):
            raise CutoverError(
                "new.bad-name",
                f"table {name!r}",
                "it names files and a task, so schema and table are small letters, digits and underscores.",
                "write it as schema.table; a table with another name would have to be renamed first.",
            )
    return schema or "public", table


def _names(options: Options, ask: Ask | None) -> list[tuple[str, str]]:
    """(schema, table) of every table of the migration, in the order given, each once."""
    given = [*options.like, *options.tables]
    if not given:
        given = _answer(ask, "--tables or --like", "Tables to launch, with commas between them", "").split(",")
    # a bare name means the schema of the others
    schemas = {split(name)[0] for name in given if "." in name} or {"public"}
    if len(schemas) == 1:
        (schema,) = schemas
        given = [name if "." in name else f"{schema}.{name}" for name in (one.strip() for one in given)]
    return list(dict.fromkeys(split(name) for name in given))


def _origins(name: str, target: str, tables: Sequence[tuple[str, str]], sources: Iterable[str]) -> dict[str, Origin]:
    """Table → its origin, from ``[TABLE=]KIND[:CONNECTION[:PLACE]]``; the last that names a table decides."""
    names = [table for _, table in tables]
    origins = {table: Origin(TARGET, target, f"{schema}.{table}") for schema, table in tables}
    # those for all tables first
    for source in sorted(sources, key=lambda text: "=" in text):
        table, _, place = source.rpartition("=")
        kind = place.partition(":")[0]
        if kind not in KINDS or (table and table not in names):
            wrong = f"{kind!r} is no kind of source" if kind not in KINDS else f"{table} is not among the tables"
            raise CutoverError(
                "new.bad-source",
                f"--source {source}",
                f"{wrong}; kinds are {', '.join(KINDS)}, tables {', '.join(names)}.",
                "write it as KIND, KIND:CONNECTION or KIND:CONNECTION:PLACE, for one table behind TABLE=, such as "
                f"--source {names[0]}=http:crm:/api/{names[0]}.",
            )
        for one in [table] if table else names:
            origins[one] = _origin(name, target, one, place)
    return origins


def _origin(name: str, target: str, table: str, where: str) -> Origin:
    """Of a table, from ``KIND[:CONNECTION[:PLACE]]``."""
    kind, _, rest = where.partition(":")
    connection, _, place = rest.partition(":")
    defaults: Mapping[str, tuple[str, str]] = {
        HTTP: (f"{name}_api", f"/{table}"),
        POSTGRES: (f"{name}_source", f"public.{table}"),
        FILES: (f"{name}_files", f"s3://{name}/{table}"),
        TARGET: (target, ""),
    }
    own, there = defaults[kind]
    return Origin(kind, connection or own, place or there)


def _table(name: str, table: tuple[str, str], origin: Origin, opener: Opener, live_in: str | None) -> Table:
    """A table with its shapes; ``live_in`` is the connection of the database that has it already."""
    raw = f"{name}_{table[1]}"
    if len(raw) > _LONGEST:
        raise CutoverError(
            "new.bad-name",
            f"source {raw}",
            f"migration and table together name the raw table, in at most {_LONGEST} characters.",
            "choose a shorter name for the migration.",
        )
    source = None
    if origin.kind == POSTGRES:
        source = shape.as_source(shape.read(opener(origin.connection), *split(origin.place), origin.connection))
    if live_in is not None:
        target_shape = shape.read(opener(live_in), *table, live_in)
    elif origin.kind == TARGET:
        raise CutoverError(
            "new.incomplete",
            f"table {table[1]}",
            "nothing says where its rows come from.",
            f"add --source {table[1]}=KIND (kinds are {', '.join(KINDS)}), or --like {table[0]}.{table[1]} to copy "
            "the table that is there.",
        )
    else:
        target_shape = shape.minimal(*table) if source is None else shape.named(source, *table)
    if source is not None:
        _require_common_key(target_shape, source, origin)
    if origin.kind == FILES:
        _require_one_key(target_shape, origin)
    return Table(raw, target_shape, origin, live_in is not None, source)


def _require_common_key(target: Shape, source: Shape, origin: Origin) -> None:
    """Raise unless the source's rows can be told apart by one column, and be found again by the target's key."""
    if len(source.key) > 1:
        raise CutoverError(
            "new.key-of-several",
            f"{origin.place} (connection {origin.connection})",
            f"its primary key has several columns ({', '.join(c.name for c in source.key)}); a copy goes by one.",
            "name a table with a key of one column, or copy a view of it into such a table first.",
        )
    has = {column.name for column in source.columns}
    missing = [column.name for column in target.key if column.name not in has]
    if missing:
        raise CutoverError(
            "new.no-common-key",
            f"{origin.place} (connection {origin.connection})",
            f"it lacks {', '.join(missing)}, by which {target.schema}.{target.table} tells its rows apart.",
            f"name the table that has it: --source {target.table}={origin.kind}:{origin.connection}:SCHEMA.TABLE.",
        )


def _require_one_key(target: Shape, origin: Origin) -> None:
    """Raise unless rows of files can be told apart by one column, whose name the declaration can have."""
    if len(target.key) > 1 or not _TABLE.fullmatch(target.key[0].name):
        raise CutoverError(
            "new.key-of-several",
            f"{target.schema}.{target.table} from {origin.place}",
            f"its primary key is {', '.join(c.name for c in target.key)}; rows of files go by one column, with "
            "a name of small letters, digits and underscores.",
            "leave the table out of this migration, or give it such a key first.",
        )


def _answer(ask: Ask | None, option: str, question: str, default: str) -> str:
    if ask is None:
        raise CutoverError(
            "new.incomplete",
            option,
            "it was not given, and there is no terminal to ask on.",
            f"give it, as in: {PROGRAM} new shop {EXAMPLE}",
        )
    return ask(f"{question}{f' [{default}]' if default else ''}: ").strip() or default


# What a complete command looks like, behind the name.
EXAMPLE = "--target production --tables customers,orders --source http"
