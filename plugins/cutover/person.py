"""Whose a row is: which rows of which tables are a person's, as a migration declares it.

That is told by the columns that ``person`` of ``migration.yaml`` names: those that hold an address, and those that hold
a key of the person (an account's id, a contact's, an invoice's). A key that stands beside the address leads to the rows
that have the key alone. Addresses lead no further: whoever paid with somebody else's address is not that person.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration.added import PREFIX
from cutover.records import WHOLE

if TYPE_CHECKING:
    from cutover.migration import Migration
    from cutover.migration.declaration import Leads

# What stands where an erased address stood.
ERASED = "[erased]"
# What proves what was launched. It names nobody, and is not changed; a comment that does name somebody is reported.
EVIDENCE = frozenset(
    {"run", "ledger", "approvals", "certificate", "reconciliation", "reading", "lineage", "sync", "sync_window"}
    | {
        "sync_state",
        "sync_page",
        "sync_file",
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


def require_declared(migration: Migration) -> Leads:
    """What ``migration.yaml`` says of a person. Raises CutoverError ``erase.not-declared``."""
    if migration.person is None:
        raise CutoverError(
            "erase.not-declared",
            migration.migration,
            "its migration.yaml does not say which columns lead to a person.",
            "add the key person; docs/erase.md explains it.",
        )
    return migration.person


def named(connection: psycopg.Connection, migration: Migration, given: str) -> Person | None:
    """Who is meant by an e-mail address, or by the id of an account; None for anything else."""
    declared = require_declared(migration)
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
        return None
    names = {name.rpartition(".")[2] for listed in (declared.address, *declared.leads.values()) for name in listed}
    return Person(known, names)


def tables_of(connection: psycopg.Connection, migration: Migration) -> list[Table]:
    live = [*migration.swapped_tables(), *migration.merged_tables(), *migration.inserted_tables()]
    declared = require_declared(migration)
    kinds = {"address": declared.address, **declared.leads}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            files.statement("person/columns.sql"),
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
                if column in names or f"{_of(row['table_name'])}.{column}" in names
            },
        )
        for row in rows
    ]


def _of(table: str) -> str:
    """The table whose rows a copy has, of columns that the migration does not know or of all; else itself."""
    return table.removeprefix(PREFIX).removeprefix(WHOLE)


def is_theirs(table: Table, person: Person) -> sql.Composable | None:
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
        hanging = files.statement("person/hangs_on.sql")
        conditions.append(sql.SQL("t.set_aside_id in ({})").format(hanging))
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


def follow(connection: psycopg.Connection, migration: Migration, tables: list[Table], person: Person) -> None:
    """Add to what is known the keys that stand in rows of the person, until no row has a new one."""
    declared = require_declared(migration)
    if not person.known["address"]:
        find_address(connection, tables, person, declared.account)
    for _ in range(_ROUNDS):
        before = sum(map(len, person.known.values()))
        for table in tables:
            condition = None if table.is_record else is_theirs(table, person)
            for column, kind in table.leads.items() if condition is not None else ():
                if kind != "address":
                    values = _values(connection, table, column, condition, person.parameters) - person.known[kind]
                    if values and kind in declared.shared:
                        values -= _of_others(connection, tables, kind, values, person)
                    person.known[kind] |= values
        if sum(map(len, person.known.values())) == before:
            return


def find_address(connection: psycopg.Connection, tables: list[Table], person: Person, account: str) -> None:
    """The address of an account: where the account's id is the row's own."""
    for table in tables:
        columns = [column for column, kind in table.leads.items() if kind == "address"]
        if table.leads.get("id") == account and columns:
            addresses = _values(connection, table, columns[0], is_theirs(table, person), person.parameters)
            keys = connection.execute(files.statement("person/email_keys.sql"), {"values": list(addresses)})
            person.known["address"] |= {key for (key,) in keys.fetchall() if key}


def _values(
    connection: psycopg.Connection, table: Table, column: str, condition: sql.Composable | None, parameters: Any
) -> set[str]:
    path = "person/values_of_list.sql" if table.kinds[column] == "array" else "person/values.sql"
    query = files.statement(path, copy=table.identifier, lead=column, condition=condition or sql.SQL("true"))
    return {value for (value,) in connection.execute(query, parameters).fetchall()}


def _of_others(
    connection: psycopg.Connection, tables: list[Table], kind: str, values: set[str], person: Person
) -> set[str]:
    """Those of the values, of a kind of which several people may have one, that stand beside another address too."""
    others: set[str] = set()
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
                others |= _values(connection, table, column, condition, parameters)
    return others


def digests_of(connection: psycopg.Connection, person: Person) -> list[str]:
    """Keyed digests of the addresses (or of the account, if none is known), by which a return is noticed."""
    values: Iterable[str] = person.known["address"] or {value for held in person.known.values() for value in held}
    rows = connection.execute(files.statement("person/digests.sql"), {"values": sorted(values)})
    return [digest for (digest,) in rows.fetchall()]
