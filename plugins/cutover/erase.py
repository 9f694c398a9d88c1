"""One person taken out of everything that the engine keeps.

Where a row is the person's, it is deleted; where a row of somebody else only names their address, the address is taken
out of it. Production's own rows are the application's to delete: they are counted, and left alone. What is evidence
(ledger, approvals, reviews, certificates) is masked when it is written, and is not changed.

Whose a row is, is told by the columns that ``person`` of ``migration.yaml`` names: those that hold an address, and
those that hold a key of the person (an account's id, a contact's, an invoice's). A key that stands beside the address
leads to the rows that have the key alone. Addresses lead no further: whoever paid with somebody else's address is not
that person.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration.added import PREFIX
from cutover.records import ledger, phase, run
from cutover.records.run import Run

if TYPE_CHECKING:
    from cutover.migration import Migration
    from cutover.records import chain

ACTION = "erase_person"
ERASED = "[erased]"
# What proves what was launched. It names nobody, and is not changed; a comment that does name somebody is reported.
EVIDENCE = frozenset(
    {"run", "ledger", "approvals", "certificate", "reconciliation", "reading", "lineage", "sync", "sync_window"}
    | {
        "sync_state",
        "sync_page",
        "erasure",
        "erasure_key",
        "product",
        "notice",
        "timeline",
        "late_write",
        "turn",
        "workspace",
    }
)
_LATER_EVIDENCE = re.compile("chain|link|head|anchor|refusal|review|evidence|sign|phase|record")
# A key shorter than this may be a part of something else: it is looked for in the columns that are declared alone.
_SHORTEST = 8
_ROUNDS = 12
_NEVER = "(?!)"


@dataclass(frozen=True)
class Table:
    """A table that may hold rows of a person. ``leads``: column → the kind of what it holds."""

    schema: str
    name: str
    is_ours: bool
    kinds: dict[str, str]
    types: dict[str, str]
    leads: dict[str, str]

    @property
    def full(self) -> str:
        """Its name with its schema, for people."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Its name with its schema, for statements."""
        return sql.Identifier(self.schema, self.name)

    @property
    def is_record(self) -> bool:
        """Whether it is a table of the engine's own, and not a copy of somebody's rows."""
        return self.schema == "cutover"

    @property
    def is_evidence(self) -> bool:
        """Whether it proves what was launched."""
        return self.is_record and (self.name in EVIDENCE or _LATER_EVIDENCE.match(self.name) is not None)


@dataclass
class Person:
    """What leads to a person: kind → values. Kind ``address`` holds e-mail keys."""

    known: dict[str, set[str]]
    # the names of all leading columns: the image of a row does not say which table it is of
    names: set[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """For the conditions below."""
        values = {v for kind, held in self.known.items() for v in held if kind == "address" or len(v) >= _SHORTEST}
        image = rf'"({"|".join(sorted(self.names))})"\s*:\s*"?({"|".join(map(_in_json, sorted(values)))})"?\s*[],}}]'
        mention = "|".join(_anywhere(address) for address in sorted(self.known["address"]))
        return {
            **{kind: sorted(held) for kind, held in self.known.items()},
            "image": image if values else _NEVER,
            "part": f"({'|'.join(map(_in_json, sorted(values)))})" if values else _NEVER,
            "mention": f"({mention})" if mention else _NEVER,
            "keys": sorted(values),
            "names": sorted(self.names),
            "erased": ERASED,
        }


@dataclass
class Found:
    """Table → what happens in it (``deleted``, ``blanked``, ``redacted``) → rows; and what stays where it is."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    production: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, int] = field(default_factory=dict)
    # runs whose staged rows become others, so that what was approved of them is void
    runs: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def add(self, table: Table, what: str, rows: int) -> None:
        """Count rows."""
        if rows:
            of_table = self.counts.setdefault(table.full, {})
            of_table[what] = of_table.get(what, 0) + rows

    @property
    def rows(self) -> int:
        """How many rows are deleted, blanked or redacted."""
        return sum(sum(of_table.values()) for of_table in self.counts.values())

    @property
    def backups(self) -> dict[str, int]:
        """Backup schema → rows that it loses, and a rollback to it does not bring back."""
        lost: dict[str, int] = {}
        for name, of_table in self.counts.items():
            schema = name.partition(".")[0]
            if schema.startswith("backup") and "deleted" in of_table:
                lost[schema] = lost.get(schema, 0) + of_table["deleted"]
        return lost

    def as_dict(self) -> dict[str, Any]:
        """As it is kept: numbers, and nobody's name."""
        return {"counts": self.counts, "production": self.production, "evidence": self.evidence, "runs": self.runs}


def preview(connection: psycopg.Connection, migration: Migration, given: str) -> Found:
    """What erasing would do: everything is done and taken back, so the figures are those of an erasure now."""
    with connection.transaction(force_rollback=True):
        return _erase(connection, migration, given)


def ask(connection: psycopg.Connection, migration: Migration, given: str, by: str) -> int:
    """Write down that somebody wants a person erased, for DAG ``erase_person``; returns the number of the request.

    The person stands in this one row in clear until it is done; the run knows the number alone.
    """
    person = _person(connection, migration, given)
    values = {"migration": migration.migration, "subject": given.strip(), "by": by}
    row = connection.execute(
        files.statement("erase/ask.sql"), {**values, "digests": _digests(connection, person)}
    ).fetchone()
    assert row is not None  # inserted just now
    return int(row[0])


def subject_of(connection: psycopg.Connection, migration: Migration, erasure_id: int) -> str:
    """Whom a request is about. Raises ``erase.no-request``."""
    row = connection.execute(
        files.statement("erase/subject.sql"), {"erasure_id": erasure_id, "migration": migration.migration}
    ).fetchone()
    if row is None or row[0] is None:
        raise CutoverError(
            "erase.no-request",
            f"request {erasure_id} of {migration.migration}",
            "there is none of this number, or it has been done." if row is None else "it has been done.",
            "make one: ./run erase --ask",
        )
    return str(row[0])


def erase(
    connection: psycopg.Connection,
    migration: Migration,
    given: str,
    *,
    by: str,
    erasure_id: int | None = None,
    approved: Sequence[chain.Row] = (),
) -> Found:
    """Take a person out, in the caller's transaction, and write down that it happened; a request is done with it.

    ``approved`` is the row of the approval that this has used up: the chain covers what it is now.

    Raises CutoverError ``swap.another-run`` while a swap runs, ``erase.still-referenced`` if somebody else's row needs
    one of the person's, ``erase.nobody-named`` and ``erase.not-declared``.
    """
    found = _erase(connection, migration, given)
    values = {"migration": migration.migration, "digests": found.digests, "by": by, "erasure_id": erasure_id}
    row = connection.execute(
        files.statement("erase/record.sql"), {**values, "counts": Jsonb(found.as_dict())}
    ).fetchone()
    assert row is not None  # inserted or updated just now
    _chain(connection, int(row[0]), found, approved)
    return found


def returned(connection: psycopg.Connection, migration: Migration) -> dict[str, int]:
    """Raw table → rows of people who were erased before, and whom a source has brought back."""
    found: dict[str, int] = {}
    if migration.person is None:
        return found
    for table in _tables(connection, migration):
        column = next((column for column, kind in table.leads.items() if kind == "address"), None)
        if table.schema == "raw" and column is not None:
            query = files.statement("erase/returned.sql", raw=table.identifier, address=column)
            row = connection.execute(query, {"migration": migration.migration}).fetchone()
            if row and row[0]:
                found[table.full] = int(row[0])
    return found


def lines(found: Found) -> list[str]:
    """What is (or would be) done, in words; nobody is named."""
    told = [
        f"{name}: {', '.join(f'{rows:,} {what}' for what, rows in of_table.items())}"
        for name, of_table in sorted(found.counts.items())
    ] or ["Nothing that the engine keeps is theirs."]
    told += [
        f"{schema} loses {rows:,} rows: a rollback to it goes through, and comes back without them."
        for schema, rows in sorted(found.backups.items())
    ]
    told += [f"run {run} waits: what it has staged changes, so an approval of it is void." for run in found.runs]
    told += [
        f"{name}: {rows:,} still in production. Those are the application's to delete."
        for name, rows in sorted(found.production.items())
    ]
    told += [
        f"{name}: {rows:,} entries of evidence name them (a comment, for instance), and are not changed."
        for name, rows in sorted(found.evidence.items())
    ]
    if any(name.startswith("raw.") for name in found.counts):
        told.append("Erase them at the sources first: the next sync brings back what a source still has.")
    return told


def _chain(connection: psycopg.Connection, erasure_id: int, found: Found, approved: Sequence[chain.Row]) -> None:
    """Have the hash chain cover the erasure, and the approval that it has used."""
    from cutover.records import chain

    told = {"erasure": erasure_id, **found.as_dict(), "digests": found.digests}
    chain.append(connection, "erasure", None, approved, says=told)


def _person(connection: psycopg.Connection, migration: Migration, given: str) -> Person:
    declared = migration.person
    if declared is None:
        raise CutoverError(
            "erase.not-declared",
            migration.migration,
            "its migration.yaml does not say which columns lead to a person.",
            "add the key person; docs/erase.md explains it.",
        )
    text = given.strip()
    known: dict[str, set[str]] = {"address": set(), **{kind: set() for kind in declared.leads}}
    # the statement's parameter must not end up in the server's log
    connection.execute("select set_config('log_parameter_max_length_on_error', '0', true)")
    key = connection.execute("select cutover.email_key(%s)", (text,)).fetchone() if "\0" not in text else None
    if key and key[0]:
        known["address"].add(key[0])
        known[declared.account].add(str(uuid.uuid5(migration.namespace, key[0])))
    elif re.fullmatch(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", text):
        known[declared.account].add(str(uuid.UUID(text)))
    else:
        raise CutoverError(
            "erase.nobody-named", "what was given", "it is neither an e-mail address nor an account's id.", "give one."
        )
    names = {name.rpartition(".")[2] for listed in (declared.address, *declared.leads.values()) for name in listed}
    return Person(known, names)


def _erase(connection: psycopg.Connection, migration: Migration, given: str) -> Found:
    if not ledger.take_turn(connection, "swap"):
        raise CutoverError(
            "swap.another-run",
            "this database",
            "a run is swapping or rolling back at this moment.",
            "wait for it to end.",
        )
    # rows that a policy hides must be an error here
    connection.execute("select set_config('row_security', 'off', true)")
    person = _person(connection, migration, given)
    tables = _tables(connection, migration)
    _follow(connection, migration, tables, person)
    waiting = connection.execute(files.statement("erase/waiting.sql"), {"migration": migration.migration}).fetchall()
    found = Found(digests=_digests(connection, person))
    copies = [table for table in tables if table.is_ours and not table.is_record]
    with _asleep(connection, copies):
        _unlink(connection, copies, person)
        _delete_all(connection, copies, person, found)
        for table in copies:
            found.add(table, "redacted", _redact(connection, table, person))
    _forget_counts(connection, found)
    # captured writes come last: what was deleted elsewhere must not be kept there
    for table in tables:
        if table.is_record and not table.is_evidence:
            _take_out_of_records(connection, migration, table, person, found)
    if any(name.startswith(("staging", "input")) for name in found.counts):
        found.runs = [run for (run,) in waiting]
    for table in tables:
        if not table.is_ours:
            _count(connection, table, _is_theirs(table, person), person, found.production)
        elif table.is_evidence and table.name != "erasure":
            _count(connection, table, _mentions(table), person, found.evidence)
    return found


def _tables(connection: psycopg.Connection, migration: Migration) -> list[Table]:
    live = [*migration.swapped_tables(), *migration.merged_tables(), *migration.inserted_tables()]
    declared = migration.person
    assert declared is not None  # _person has looked
    kinds = {"address": declared.address, **declared.leads}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            files.statement("erase/columns.sql"),
            {"live": [".".join(name) for name in live]},
        ).fetchall()
    return [
        Table(
            schema=row["schema_name"],
            name=row["table_name"],
            is_ours=row["is_ours"],
            kinds=dict(zip(row["columns"], row["kinds"], strict=True)),
            types=dict(zip(row["columns"], row["types"], strict=True)),
            leads={
                column: kind
                for kind, names in kinds.items()
                for column in row["columns"]
                # the copy of columns that the migration does not know is of the same rows
                if column in names or f"{row['table_name'].removeprefix(PREFIX)}.{column}" in names
            },
        )
        for row in rows
    ]


def _is_theirs(table: Table, person: Person) -> sql.Composable | None:
    """The condition that a row of ``table``, called t, is the person's; None if no column could tell."""
    conditions: list[sql.Composable] = []
    for column, kind in table.leads.items():
        if not person.known[kind]:
            continue
        name, values = sql.Identifier("t", column), sql.Placeholder(kind)
        if kind == "address":
            conditions.append(sql.SQL("cutover.email_key({}::text) = any({}::text[])").format(name, values))
        elif table.kinds[column] == "array":
            conditions.append(sql.SQL("{}::text[] && {}::text[]").format(name, values))
        else:
            conditions.append(sql.SQL("{}::text = any({}::text[])").format(name, values))
    if table.is_record:
        # images of rows: a member of such a name with such a value, however deep
        conditions += [
            sql.SQL("pg_catalog.to_jsonb({})::text ~* {}").format(sql.Identifier("t", column), sql.Placeholder("image"))
            for column, kind in table.kinds.items()
            if kind in ("json", "row")
        ]
    if table.is_record and table.name == "changelog":
        # an image has no names: only of those that hold such a value at all are they looked up
        conditions += [
            sql.SQL("(t.{} ~* {} and coalesce(cutover.captured_row(t, {})::text ~* {}, true))").format(
                sql.Identifier(f"{which}_image"), sql.Placeholder("part"), sql.Literal(which), sql.Placeholder("image")
            )
            for which in ("old", "new")
        ]
    if table.is_record and table.name == "set_aside":
        # a row of a table that nobody declared: it is theirs if it hangs on them, by the key that led to it
        hanging = files.statement("erase/hangs_on.sql")
        conditions.append(sql.SQL("t.set_aside_id in ({})").format(hanging))
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions)) if conditions else None


def _mentions(table: Table) -> sql.Composable:
    """The condition that a row names an address anywhere, in bytes too."""
    text, bytes_ = sql.SQL("lower(t::text) ~ {}").format(sql.Placeholder("mention")), _in_bytes(table)
    return sql.SQL("({} or {})").format(text, bytes_) if bytes_ else text


def _in_bytes(table: Table) -> sql.Composable | None:
    """The condition that bytes as they were received name an address; None if the table has none."""
    conditions = [
        sql.SQL("lower(pg_catalog.encode({}, 'escape')) ~ {}").format(
            sql.Identifier("t", column), sql.Placeholder("mention")
        )
        for column, kind in table.kinds.items()
        if kind == "bytes"
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions)) if conditions else None


def _escaped(text: str) -> str:
    """For PostgreSQL's regular expressions: a backslash before anything that is no letter or digit is that thing."""
    return re.sub(r"([^\w@])", r"\\\1", text)


def _in_json(value: str) -> str:
    return _escaped(json.dumps(value, ensure_ascii=False)[1:-1])


def _anywhere(address: str) -> str:
    """An address as a word of its own, also as it stands in JSON text and in a URL; not as the end of another."""
    spelled = _escaped(address).replace("@", r"(@|%40|\\u0040)").replace(r"\+", r"(\+|%2b|\\u002b)")
    return rf"((?<![\w.+%-])|(?<=\\[nrtbf])){spelled}(?![\w-])(?!\.\w)"


def _follow(connection: psycopg.Connection, migration: Migration, tables: list[Table], person: Person) -> None:
    """Add to what is known the keys that stand in rows of the person, until no row has a new one."""
    declared = migration.person
    assert declared is not None  # _person has looked
    if not person.known["address"]:
        _find_address(connection, tables, person, declared.account)
    for _ in range(_ROUNDS):
        before = sum(map(len, person.known.values()))
        for table in tables:
            condition = None if table.is_record else _is_theirs(table, person)
            for column, kind in table.leads.items() if condition is not None else ():
                if kind != "address":
                    found = _values(connection, table, column, condition, person.parameters) - person.known[kind]
                    if found and kind in declared.shared:
                        found -= _of_others(connection, tables, kind, found, person)
                    person.known[kind] |= found
        if sum(map(len, person.known.values())) == before:
            return


def _find_address(connection: psycopg.Connection, tables: list[Table], person: Person, account: str) -> None:
    """The address of an account: where the account's id is the row's own."""
    for table in tables:
        columns = [column for column, kind in table.leads.items() if kind == "address"]
        if table.leads.get("id") == account and columns:
            found = _values(connection, table, columns[0], _is_theirs(table, person), person.parameters)
            keys = connection.execute("select cutover.email_key(v) from unnest(%s::text[]) as v", (list(found),))
            person.known["address"] |= {key for (key,) in keys.fetchall() if key}


def _values(
    connection: psycopg.Connection, table: Table, column: str, condition: sql.Composable | None, parameters: Any
) -> set[str]:
    path = "erase/values_of_list.sql" if table.kinds[column] == "array" else "erase/values.sql"
    query = files.statement(path, copy=table.identifier, lead=column, condition=condition or sql.SQL("true"))
    return {value for (value,) in connection.execute(query, parameters).fetchall()}


def _of_others(
    connection: psycopg.Connection, tables: list[Table], kind: str, values: set[str], person: Person
) -> set[str]:
    """Those of the values, of a kind of which several people may have one, that stand beside another address too."""
    found: set[str] = set()
    parameters = {**person.parameters, kind: sorted(values)}
    for table in tables:
        address = next((column for column, of in table.leads.items() if of == "address"), None)
        for column, of in table.leads.items():
            if of == kind and address is not None and not table.is_record:
                condition = sql.SQL("{}::text = any({}::text[]) and cutover.email_key({}) <> all({}::text[])").format(
                    sql.Identifier("t", column),
                    sql.Placeholder(kind),
                    sql.Identifier("t", address),
                    sql.Placeholder("address"),
                )
                found |= _values(connection, table, column, condition, parameters)
    return found


@contextmanager
def _asleep(connection: psycopg.Connection, copies: list[Table]) -> Iterator[None]:
    """The application's triggers on copies of its tables do not run, and are as they were afterwards."""
    stopped: list[tuple[sql.Identifier, str, str]] = []
    for table in copies:
        rows = connection.execute(files.statement("erase/triggers.sql"), {"name": table.identifier.as_string()})
        for name, way in rows.fetchall():
            connection.execute(
                sql.SQL("alter table {} disable trigger {}").format(table.identifier, sql.Identifier(name))
            )
            stopped.append((table.identifier, name, way))
    yield
    # in case of an error the transaction is rolled back, and they are as they were
    for identifier, name, way in stopped:
        # the word is one of three of ours
        statement = {"": "enable trigger", "replica": "enable replica trigger", "always": "enable always trigger"}[way]
        connection.execute(sql.SQL("alter table {} {} {}").format(identifier, sql.SQL(statement), sql.Identifier(name)))


def _unlink(connection: psycopg.Connection, copies: list[Table], person: Person) -> None:
    """Rows of others that refer to one of the person's, and need not, no longer do."""
    by_name = {(table.schema, table.name): table for table in copies}
    keys = connection.execute(files.statement("erase/foreign_keys.sql")).fetchall()
    for schema in sorted({table.schema for table in copies}):
        for name, column, referred_name, referred_column in keys:
            table, referred = by_name.get((schema, name)), by_name.get((schema, referred_name))
            if table is None or referred is None or column not in table.kinds or referred_column not in referred.kinds:
                continue
            theirs, own = _is_theirs(referred, person), _is_theirs(table, person)
            if theirs is not None:
                query = files.statement(
                    "erase/unlink.sql",
                    copy=table.identifier,
                    lead=column,
                    referred=referred.identifier,
                    referred_key=referred_column,
                    theirs=theirs,
                    own=own or sql.SQL("false"),
                )
                connection.execute(query, person.parameters)


def _delete_all(connection: psycopg.Connection, copies: list[Table], person: Person, found: Found) -> None:
    """Delete what is the person's, whatever order the foreign keys want."""
    left = [(table, condition) for table in copies if (condition := _is_theirs(table, person)) is not None]
    while left:
        again, refused = [], None
        for table, condition in left:
            query = files.statement("erase/delete.sql", copy=table.identifier, condition=condition)
            try:
                with connection.transaction():
                    found.add(table, "deleted", connection.execute(query, person.parameters).rowcount)
            except psycopg.errors.ForeignKeyViolation as error:
                again.append((table, condition))
                refused = error
        if len(again) == len(left):
            assert refused is not None  # each of them was refused
            raise CutoverError(
                "erase.still-referenced",
                again[0][0].full,
                f"a row of somebody else needs one of theirs: constraint {refused.diag.constraint_name} of "
                f"{refused.diag.schema_name}.{refused.diag.table_name}. Nothing was erased.",
                "name that table's column under person in migration.yaml, if its rows are theirs too.",
            ) from None
        left = again


def _redact(connection: psycopg.Connection, table: Table, person: Person) -> int:
    """Take the address out of rows of others that name it."""
    columns = [column for column, kind in table.kinds.items() if kind in ("text", "json", "array", "row")]
    if not columns or not person.known["address"]:
        return 0
    named: dict[str, int] = {}
    _count(connection, table, _mentions(table), person, named)
    for column in columns if named else ():
        # the type's name as PostgreSQL itself writes it
        type_name = sql.SQL(table.types[column])
        query = files.statement("erase/redact.sql", copy=table.identifier, lead=column, type_name=type_name)
        connection.execute(query, person.parameters)
    return named.get(table.full, 0)


def _take_out_of_records(
    connection: psycopg.Connection, migration: Migration, table: Table, person: Person, found: Found
) -> None:
    """Rows about the person are blanked or deleted; in those of others (a captured write, say) they are unnamed."""
    whose = [condition for condition in (_is_theirs(table, person), _in_bytes(table)) if condition is not None]
    if {"source", "source_id"} <= table.kinds.keys():
        whose.append(_of_source(migration, person))
    if table.name == "announcement":
        # it has no address, but the digest of one
        query = files.statement(
            "erase/delete.sql", copy=table.identifier, condition=sql.SQL("t.address = any(%(digests)s::text[])")
        )
        found.add(table, "deleted", connection.execute(query, {"digests": found.digests}).rowcount)
        return
    if table.name in ("rejects", "quarantine", "audience"):
        named = sql.SQL("({})").format(sql.SQL(" or ").join([*whose, _mentions(table)]))
        query = files.statement(f"erase/blank_{table.name}.sql", condition=named)
        found.add(table, "blanked", connection.execute(query, person.parameters).rowcount)
        return
    if whose:
        query = files.statement("erase/delete.sql", copy=table.identifier, condition=sql.SQL(" or ").join(whose))
        found.add(table, "deleted", connection.execute(query, person.parameters).rowcount)
    found.add(table, "redacted", _redact(connection, table, person))


def _of_source(migration: Migration, person: Person) -> sql.Composable:
    """The condition that a record is about one of the person's rows of a source, told by the row's key."""
    declared = migration.person
    assert declared is not None  # _person has looked
    keys = {name: source.key for name, source in migration.sources.items()}
    keys |= {name: table.key for name, table in migration.tables.items() if isinstance(table.key, str)}
    conditions = [
        sql.SQL("(t.source = {} and t.source_id = any({}::text[]))").format(sql.Literal(name), sql.Placeholder(kind))
        for name, key in keys.items()
        for kind, names in declared.leads.items()
        if f"{name}.{key}" in names and person.known[kind]
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions)) if conditions else sql.SQL("false")


def _forget_counts(connection: psycopg.Connection, found: Found) -> None:
    """Tell the extraction that fewer rows are stored: else it would take them for somebody's doing, and read anew."""
    for name, of_table in found.counts.items():
        schema, _, table = name.partition(".")
        if schema == "raw" and "deleted" in of_table:
            connection.execute(
                files.statement("erase/forget_count.sql"), {"source": table, "rows": of_table["deleted"]}
            )


def _count(
    connection: psycopg.Connection,
    table: Table,
    condition: sql.Composable | None,
    person: Person,
    into: dict[str, int],
) -> None:
    if condition is not None:
        query = files.statement("erase/count.sql", copy=table.identifier, condition=condition)
        row = connection.execute(query, person.parameters).fetchone()
        if row and row[0]:
            into[table.full] = int(row[0])


def _digests(connection: psycopg.Connection, person: Person) -> list[str]:
    """Keyed digests of the addresses (or of the account, if none is known), by which a return is noticed."""
    values: Iterable[str] = person.known["address"] or {value for held in person.known.values() for value in held}
    rows = connection.execute("select cutover.person_digest(v) from unnest(%s::text[]) as v", (sorted(values),))
    return [digest for (digest,) in rows.fetchall()]


def fingerprint_of(row: Run) -> str:
    """What an approval is about: this request of this person, whatever rows there are by then."""
    review = row.review or {}
    told = json.dumps([row.migration, review.get("request"), review.get("digests")])
    return hashlib.sha256(told.encode()).hexdigest()


def review(connect: Connect, migration: Migration, this_run: str, erasure_id: int, log: Log) -> list[str]:
    """Count what a request would erase, and store the figures with their fingerprint in the run's row."""
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", ACTION)
        found = preview(connection, migration, subject_of(connection, migration, erasure_id))
        told = {"request": erasure_id, "digests": found.digests, "lines": lines(found), **found.as_dict()}
        run.note(connection, this_run, review=told)
        run.note(connection, this_run, fingerprint=fingerprint_of(run.get(connection, this_run)))
        phase.record(connection, migration, this_run, "review", made_from, action=ACTION, request=erasure_id)
    for line in lines(found):
        log(line)
    return lines(found)


def markdown(review: dict[str, Any]) -> str:
    """The figures as the approval form shows them."""
    told = "\n".join(f"* {line}" for line in review["lines"])
    return (
        f"Erases the person of request {review['request']} from everything that the engine keeps. **This cannot be "
        f"undone.**\n\n{told}"
    )


def erase_reviewed(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Erase whom the approved request is about. Raises ``swap.not-approved``, ``erase.no-request``."""
    from cutover.records import approval

    with opened(connect) as connection:
        row = run.get(connection, this_run)
        number = int((row.review or {})["request"])
        subject = subject_of(connection, migration, number)
        given = approval.consume(connection, this_run, ACTION, fingerprint_of(row))
        run.note(connection, this_run, finished_at=datetime.now(timezone.utc))
        found = erase(connection, migration, subject, by=given.approved_by, erasure_id=number, approved=[given.row])
    for line in lines(found):
        log(line)
    return found.as_dict()
