"""One person taken out of everything that the engine keeps.

Where a row is the person's, it is deleted; where a row of somebody else only names their address, the address is taken
out of it. Production's own rows are the application's to delete: they are counted, and left alone. What is evidence
(ledger, approvals, reviews, certificates) is masked when it is written, and is not changed.

Whose a row is, ``cutover.person`` tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cutover import request
from cutover.database import statements as files
from cutover.database.asleep import asleep
from cutover.database.connect import Connect, Log, opened
from cutover.errors import PROGRAM, CutoverError
from cutover.person import Person, Table, digests_of, follow, is_theirs, named, require_declared, tables_of
from cutover.records import approval, chain, ledger, phase, run
from cutover.records.run import Run
from cutover.validate import erasing

if TYPE_CHECKING:
    from cutover.migration import Migration
    from cutover.storage import Storage

ACTION = "erase_person"
_REQUESTS = request.Kind(ACTION, "erasure", "erasure_id")


@dataclass
class Found:
    """Table → what happens in it (``deleted``, ``blanked``, ``redacted``) → rows; and what stays where it is."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    production: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, int] = field(default_factory=dict)
    # runs whose staged rows become others, so that what was approved of them is void
    runs: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    # files of Data Docs that name one of the person's keys, and the runs that they are of
    pages: int = 0
    runs_of_pages: list[str] = field(default_factory=list)

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
        rows = {"counts": self.counts, "production": self.production, "evidence": self.evidence, "runs": self.runs}
        return rows | ({"pages": self.pages, "runs_of_pages": self.runs_of_pages} if self.pages else {})


def preview(connection: psycopg.Connection, migration: Migration, given: str, docs: Storage | None = None) -> Found:
    """What erasing would do: everything is done and taken back, so the figures are those of an erasure now.

    Pages of ``docs`` are looked through, and left alone. Raises ``storage.*``.
    """
    with connection.transaction(force_rollback=True):
        erasure, person = _erase(connection, migration, given)
    if docs is not None:
        _note_pages(erasure, erasing.find(docs, migration.migration, person.parameters["keys"]))
    return erasure


def ask(connection: psycopg.Connection, migration: Migration, given: str, by: str) -> int:
    """Write down that somebody wants a person erased, for DAG ``erase_person``; returns the number of the request.

    The person stands in this one row in clear until it is done; the run knows the number alone.
    """
    digests = digests_of(connection, _person(connection, migration, given))
    return request.ask(connection, _REQUESTS, migration.migration, subject=given.strip(), digests=digests, by=by)


def subject_of(connection: psycopg.Connection, migration: Migration, erasure_id: int) -> str:
    """Whom a request is about. Raises ``erase.no-request``."""
    subject = request.subject_of(connection, _REQUESTS, migration.migration, erasure_id)
    if subject is None:
        raise CutoverError(
            "erase.no-request",
            f"request {erasure_id} of {migration.migration}",
            "there is none of this number, or it has been done.",
            f"make one: {PROGRAM} erase --ask",
        )
    return subject


def erase(
    connection: psycopg.Connection,
    migration: Migration,
    given: str,
    *,
    by: str,
    erasure_id: int | None = None,
    approved: Sequence[chain.Row] = (),
    docs: Storage | None = None,
) -> Found:
    """Take a person out, in the caller's transaction, and write down that it happened; a request is done with it.

    ``approved`` is the row of the approval that this has used up: the chain covers what it is now. Pages of ``docs``
    go before the transaction ends: if it is broken off, another try still knows by which keys to find the rest.

    Raises CutoverError ``swap.another-run`` while a swap runs, ``erase.still-referenced`` if somebody else's row needs
    one of the person's, ``erase.nobody-named``, ``erase.not-declared`` and ``storage.*``.
    """
    erasure, person = _erase(connection, migration, given)
    if docs is not None:
        pages = erasing.find(docs, migration.migration, person.parameters["keys"])
        erasing.take_out(docs, pages, datetime.now(timezone.utc))
        _note_pages(erasure, pages)
    values = {"migration": migration.migration, "digests": erasure.digests, "by": by, "erasure_id": erasure_id}
    row = connection.execute(
        files.statement("erase/record.sql"), {**values, "counts": Jsonb(erasure.as_dict())}
    ).fetchone()
    assert row is not None  # inserted or updated just now
    _chain(connection, int(row[0]), erasure, approved)
    return erasure


def returned(connection: psycopg.Connection, migration: Migration) -> dict[str, int]:
    """Raw table → rows of people who were erased before, and whom a source has brought back."""
    counts: dict[str, int] = {}
    if migration.person is None:
        return counts
    for table in tables_of(connection, migration):
        column = next((column for column, kind in table.leads.items() if kind == "address"), None)
        if table.schema == "raw" and column is not None:
            query = files.statement("erase/returned.sql", raw=table.identifier, address=column)
            row = connection.execute(query, {"migration": migration.migration}).fetchone()
            if row and row[0]:
                counts[table.full] = int(row[0])
    return counts


def lines(copies: Found) -> list[str]:
    """What is (or would be) done, in words; nobody is named."""
    sentences = [
        f"{name}: {', '.join(f'{rows:,} {what}' for what, rows in of_table.items())}"
        for name, of_table in sorted(copies.counts.items())
    ] or ["Nothing that the engine keeps is theirs."]
    sentences += [
        f"{schema} loses {rows:,} rows: a rollback to it goes through, and comes back without them."
        for schema, rows in sorted(copies.backups.items())
    ]
    sentences += [f"run {run} waits: what it has staged changes, so an approval of it is void." for run in copies.runs]
    sentences += [
        f"{name}: {rows:,} still in production. Those are the application's to delete."
        for name, rows in sorted(copies.production.items())
    ]
    sentences += [
        f"{name}: {rows:,} entries of evidence name them (a comment, for instance), and are not changed."
        for name, rows in sorted(copies.evidence.items())
    ]
    if copies.pages:
        files_of_runs = f"{copies.pages:,} files of {len(copies.runs_of_pages):,} runs"
        sentences.append(f"Data Docs: {files_of_runs} deleted, which show a key.")
    if any(name.startswith("raw.") for name in copies.counts):
        sentences.append("Erase them at the sources first: the next sync brings back what a source still has.")
    return sentences


def _note_pages(erasure: Found, pages: dict[str, list[str]]) -> None:
    erasure.pages = sum(map(len, pages.values()))
    erasure.runs_of_pages = sorted({site.split("/")[1] for site in pages})


def _chain(connection: psycopg.Connection, erasure_id: int, copies: Found, approved: Sequence[chain.Row]) -> None:
    """Have the hash chain cover the erasure, and the approval that it has used."""
    content = {"erasure": erasure_id, **copies.as_dict(), "digests": copies.digests}
    chain.append(connection, "erasure", None, approved, says=content)


def _person(connection: psycopg.Connection, migration: Migration, given: str) -> Person:
    require_declared(migration)
    person = named(connection, migration, given)
    if person is None:
        raise CutoverError(
            "erase.nobody-named", "what was given", "it is neither an e-mail address nor an account's id.", "give one."
        )
    return person


def _erase(connection: psycopg.Connection, migration: Migration, given: str) -> tuple[Found, Person]:
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
    tables = tables_of(connection, migration)
    follow(connection, migration, tables, person)
    waiting = run.waiting(connection, migration.migration)
    erased = Found(digests=digests_of(connection, person))
    copies = [table for table in tables if table.is_ours and not table.is_record]
    with asleep(connection, [table.identifier for table in copies], captures=True):
        _unlink(connection, copies, person)
        _delete_all(connection, copies, person, erased)
        for table in copies:
            erased.add(table, "redacted", _redact(connection, table, person))
    _forget_counts(connection, erased)
    # captured writes come last: what was deleted elsewhere must not be kept there
    for table in tables:
        if table.is_record and not table.is_evidence:
            _take_out_of_records(connection, migration, table, person, erased)
    if any(name.startswith(("staging", "input")) for name in erased.counts):
        erased.runs = waiting
    for table in tables:
        if not table.is_ours:
            _count(connection, table, is_theirs(table, person), person, erased.production)
        elif table.is_evidence and table.name != "erasure":
            _count(connection, table, _mentions(table), person, erased.evidence)
    return erased, person


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


def _unlink(connection: psycopg.Connection, copies: list[Table], person: Person) -> None:
    """Rows of others that refer to one of the person's, and need not, no longer do."""
    by_name = {(table.schema, table.name): table for table in copies}
    keys = connection.execute(files.statement("erase/foreign_keys.sql")).fetchall()
    for schema in sorted({table.schema for table in copies}):
        for name, column, referred_name, referred_column in keys:
            table, referred = by_name.get((schema, name)), by_name.get((schema, referred_name))
            if table is None or referred is None or column not in table.kinds or referred_column not in referred.kinds:
                continue
            theirs, own = is_theirs(referred, person), is_theirs(table, person)
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


def _delete_all(connection: psycopg.Connection, copies: list[Table], person: Person, tally: Found) -> None:
    """Delete what is the person's, whatever order the foreign keys want."""
    left = [(table, condition) for table in copies if (condition := is_theirs(table, person)) is not None]
    while left:
        again, refused = [], None
        for table, condition in left:
            query = files.statement("erase/delete.sql", copy=table.identifier, condition=condition)
            try:
                with connection.transaction():
                    tally.add(table, "deleted", connection.execute(query, person.parameters).rowcount)
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
    connection: psycopg.Connection, migration: Migration, table: Table, person: Person, tally: Found
) -> None:
    """Rows about the person are blanked or deleted; in those of others (a captured write, say) they are unnamed."""
    whose = [condition for condition in (is_theirs(table, person), _in_bytes(table)) if condition is not None]
    if {"source", "source_id"} <= table.kinds.keys():
        whose.append(_of_source(migration, person))
    if table.name == "announcement":
        # it has no address, but the digest of one
        query = files.statement(
            "erase/delete.sql", copy=table.identifier, condition=sql.SQL("t.address = any(%(digests)s::text[])")
        )
        tally.add(table, "deleted", connection.execute(query, {"digests": tally.digests}).rowcount)
        return
    if table.name in ("rejects", "quarantine", "audience"):
        named = sql.SQL("({})").format(sql.SQL(" or ").join([*whose, _mentions(table)]))
        query = files.statement(f"erase/blank_{table.name}.sql", condition=named)
        tally.add(table, "blanked", connection.execute(query, person.parameters).rowcount)
        return
    if whose:
        query = files.statement("erase/delete.sql", copy=table.identifier, condition=sql.SQL(" or ").join(whose))
        tally.add(table, "deleted", connection.execute(query, person.parameters).rowcount)
    tally.add(table, "redacted", _redact(connection, table, person))


def _of_source(migration: Migration, person: Person) -> sql.Composable:
    """The condition that a record is about one of the person's rows of a source, told by the row's key."""
    declared = require_declared(migration)
    keys = {name: source.key for name, source in migration.sources.items()}
    keys |= {name: table.key for name, table in migration.tables.items() if isinstance(table.key, str)}
    keys |= {name: drop.key for name, drop in migration.files.items()}
    conditions = [
        sql.SQL("(t.source = {} and t.source_id = any({}::text[]))").format(sql.Literal(name), sql.Placeholder(kind))
        for name, key in keys.items()
        for kind, names in declared.leads.items()
        if f"{name}.{key}" in names and person.known[kind]
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions)) if conditions else sql.SQL("false")


def _forget_counts(connection: psycopg.Connection, tally: Found) -> None:
    """Tell the extraction that fewer rows are stored: else it would take them for somebody's doing, and read anew."""
    for name, of_table in tally.counts.items():
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


def fingerprint_of(row: Run) -> str:
    """What an approval is about: this request of this person, whatever rows there are by then."""
    review = row.review or {}
    content = json.dumps([row.migration, review.get("request"), review.get("digests")])
    return hashlib.sha256(content.encode()).hexdigest()


def review(
    connect: Connect, migration: Migration, this_run: str, erasure_id: int, log: Log, *, docs: Storage | None = None
) -> list[str]:
    """Count what a request would erase, and store the figures with their fingerprint in the run's row."""
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", ACTION)
        copies = preview(connection, migration, subject_of(connection, migration, erasure_id), docs)
        stored = {"request": erasure_id, "digests": copies.digests, "lines": lines(copies), **copies.as_dict()}
        request.keep_review(
            connection,
            migration,
            this_run,
            _REQUESTS,
            made_from=made_from,
            content=stored,
            fingerprint_of=fingerprint_of,
        )
    for line in lines(copies):
        log(line)
    return lines(copies)


def markdown(review: dict[str, Any]) -> str:
    """The figures as the approval form shows them."""
    bullets = "\n".join(f"* {line}" for line in review["lines"])
    return (
        f"Erases the person of request {review['request']} from everything that the engine keeps. **This cannot be "
        f"undone.**\n\n{bullets}"
    )


def erase_reviewed(
    connect: Connect, migration: Migration, this_run: str, log: Log, docs: Storage | None = None
) -> dict[str, Any]:
    """Erase whom the approved request is about. Raises ``swap.not-approved``, ``erase.no-request``."""
    with opened(connect) as connection:
        row = run.get(connection, this_run)
        number = int((row.review or {})["request"])
        subject = subject_of(connection, migration, number)
        given = approval.consume(connection, this_run, ACTION, fingerprint_of(row))
        run.note(connection, this_run, finished_at=datetime.now(timezone.utc))
        copies = erase(
            connection,
            migration,
            subject,
            by=given.approved_by,
            erasure_id=number,
            approved=[given.row],
            docs=docs,
        )
    for line in lines(copies):
        log(line)
    return copies.as_dict()
