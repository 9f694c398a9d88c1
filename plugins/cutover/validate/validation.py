"""One validation from end to end: checks, suites, pages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cutover import transform
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.migration import Migration
from cutover.records import phase as phases
from cutover.records import run
from cutover.storage import Storage, at
from cutover.transform import SCHEMA
from cutover.validate import checks, data_docs, suites
from cutover.validate.result import CheckResult, ValidationResult
from cutover.validate.suites import Place

STAGING = "staging"
PRODUCTION = "production"


# A folder, or an address such as s3://connection@bucket/folder.
VARIABLE = "CUTOVER_DATA_DOCS"


def docs_root() -> Storage:
    """Where Data Docs are kept: ``CUTOVER_DATA_DOCS`` if set, else ``.local/data_docs`` beside ``include``.

    Raises CutoverError ``storage.bad-address``.
    """
    return at(os.environ.get(VARIABLE) or str(files.include_root().parent / ".local" / "data_docs"), VARIABLE)


def place(migration: Migration, phase: str) -> Place:
    """Where the tables of ``migration`` are before (``staging``) or after (``production``) its swap."""
    if phase == STAGING:
        return Place(phase, {table: (SCHEMA, table) for table in migration.staging_tables()})
    tables = {table: (migration.target_schema, table) for table in migration.staging_tables()}
    for table, live in migration.merge.items():
        schema, _, name = live.partition(".")
        tables[table] = (schema, name)
    return Place(phase, tables, live=frozenset(migration.merge))


def validate(
    connect: Connect,
    migration: Migration,
    this_run: str,
    *,
    phase: str,
    given: Mapping[str, Any],
    log: Log,
    root: Storage | None = None,
) -> ValidationResult:
    """Validate the tables of a migration and write its Data Docs below ``root`` (default: docs_root).

    Phase ``staging`` also records the reconciliation and runs the checks across tables; ``production`` runs the
    suites over what was swapped in. ``given`` replaces defaults of the suites' parameters. What does not hold is in
    the result: this raises only where nothing can be said (CutoverError ``validate.*``, ``connect.*``).
    """
    loaded = suites.load(migration.migration)
    suites.require_one_each(loaded, migration.staging_tables(), migration.migration)
    parameters = suites.parameters(loaded, given)
    limit = migration.rejects_limit.given(given)
    checked: list[CheckResult] = []
    if phase == STAGING:
        with opened(connect) as connection:
            checked = checks.run(connection, migration.migration, this_run, limit)
        # beside those of the suites, so that the result says by which bounds it was judged
        parameters |= {"rejects_rows": limit.rows, "rejects_share": limit.share}
        for check in checked:
            log(f"{check.check}: {'holds' if check.success else f'{check.offending:,} rows break it'} ({check.title})")
    outcome = suites.run(connect, loaded, place(migration, phase), parameters, log)
    result = ValidationResult(this_run, phase, parameters, tuple(outcome.suites), tuple(checked))
    folder, manifest = data_docs.write(root or docs_root(), migration.migration, outcome, result)
    log(f"Data Docs: {folder}")
    return replace(result, data_docs=folder, manifest=manifest)


def validate_staged(
    connect: Connect, migration: Migration, this_run: str, *, given: Mapping[str, Any], log: Log
) -> ValidationResult:
    """Validate what a run has staged, while nobody can change it, and record the result, good or bad, with the run.

    Raises CutoverError ``validate.*`` when what is staged is not complete; what does not hold is in the result.
    """
    with opened(connect) as held:
        made_from = phases.require(held, migration, this_run, "validation")
        transform.hold_still(held)
        result = validate(connect, migration, this_run, phase=STAGING, given=given, log=log)
        record = result.as_dict()
        run.note(held, this_run, validation=record)
        phases.record(
            held,
            migration,
            this_run,
            "validation",
            made_from,
            holds=result.success,
            why=result.complaint(),
            result=phases.digest(record),
            staged=transform.digest(held, migration),
        )
    return result
