"""Great Expectations suites from git, run inside the database that holds the tables.

A suite is ``include/expectations/<migration>/<table>.json``, in Great Expectations' own form. In its ``meta``:

* ``personal``: columns whose values must not be kept in samples;
* ``parameters``: names that the suite's ``$PARAMETER`` values refer to, with their defaults.

An expectation with ``"meta": {"only": "staging"}`` (or ``"production"``) is left out in the other phase. Queries of
``unexpected_rows_expectation`` name other tables as ``{unified_profiles}``: staging's before, production's after.

Great Expectations takes seconds to import, so it is imported inside the functions that need it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened, options, own_environment, whole
from cutover.errors import CutoverError
from cutover.masking import masked_all, masked_row, masked_text
from cutover.validate.result import Failure, SuiteResult

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

SAMPLE = 20
_TABLE = re.compile(r"\{(\w+)\}")
# Fails, is shown, and does not stop a run.
_MILD = ("warning", "info")
_ROWS = "unexpected_rows_expectation"
_NUMBER = "number"


@dataclass(frozen=True)
class Suite:
    """A suite as its file says. ``source`` is the file's SHA-256."""

    table: str
    source: str
    expectations: tuple[dict[str, Any], ...]
    personal: frozenset[str]
    parameters: Mapping[str, Any]

    def for_phase(self, phase: str) -> list[dict[str, Any]]:
        """The expectations that mean something in this phase."""
        return [
            expectation for expectation in self.expectations if expectation.get("meta", {}).get("only", phase) == phase
        ]


@dataclass(frozen=True)
class Place:
    """Where the tables of a phase are: table of the suite → (schema, name) in the database.

    Queries may name all of them; ``live`` ones have no suite of their own there, since they hold more than ours.
    """

    phase: str
    tables: Mapping[str, tuple[str, str]]
    live: frozenset[str] = frozenset()

    def within(self, query: str) -> str:
        """``query`` with every ``{table}`` of this place as a qualified name; ``{batch}`` is the suite's own."""

        def name(match: re.Match[str]) -> str:
            table = self.tables.get(match[1])
            return sql.Identifier(*table).as_string() if table else match[0]

        return _TABLE.sub(name, query)


@dataclass
class Outcome:
    """What running the suites gave: figures by suite, and the objects from which the pages are made."""

    context: EphemeralDataContext
    suites: list[SuiteResult] = field(default_factory=list)
    details: list[tuple[ExpectationSuite, ExpectationSuiteValidationResult]] = field(default_factory=list)


def load(migration: str) -> list[Suite]:
    """The suites of a migration, by table. Raises CutoverError ``validate.no-suites`` or ``validate.bad-suite``."""
    folder = files.include_root() / "expectations" / migration
    suites = [_read(path) for path in sorted(folder.glob("*.json"))]
    if not suites:
        raise CutoverError(
            "validate.no-suites",
            f"include/expectations/{migration}",
            "there is no suite: whatever was staged would pass.",
            "add one JSON file for each staging table.",
        )
    return suites


def personal_columns(migration: str) -> dict[str, frozenset[str]]:
    """Table → columns whose values must be masked wherever samples are shown."""
    return {suite.table: suite.personal for suite in load(migration)}


def require_one_each(suites: Sequence[Suite], tables: Collection[str], migration: str) -> None:
    """Raise CutoverError ``validate.no-suites`` for a table without a suite, or a suite without a table."""
    have = {suite.table for suite in suites}
    for table in sorted(set(tables) ^ have):
        missing = "suite" if table in tables else "staging table"
        raise CutoverError(
            "validate.no-suites",
            f"{migration}, {table}",
            f"it has no {missing}: nothing would be validated.",
            f"include/expectations/{migration} and the staging folder must name the same tables.",
        )


def parameters(suites: Sequence[Suite], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of all suites, with what a run gives in their place. Names that no suite knows are not taken."""
    known = {name: value for suite in suites for name, value in suite.parameters.items()}
    return {name: given.get(name, default) for name, default in sorted(known.items())}


def _read(path: Path) -> Suite:
    text = path.read_bytes()
    try:
        document = json.loads(text)
        meta = document["meta"]
        suite = Suite(
            table=path.stem,
            source=hashlib.sha256(text).hexdigest(),
            expectations=tuple(document["expectations"]),
            personal=frozenset(meta["personal"]),
            parameters=dict(meta["parameters"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(path.name, f"{type(error).__name__}: {error}") from error
    if document.get("name") != path.stem:
        raise _bad(path.name, f"its name is {document.get('name')!r}, and must be the table's.")
    return suite


def _bad(name: str, why: str) -> CutoverError:
    return CutoverError(
        "validate.bad-suite",
        f"suite {name}",
        why,
        "write it as Great Expectations does: name, meta (with personal and parameters), expectations.",
    )


def run(connect: Connect, suites: Sequence[Suite], place: Place, given: Mapping[str, Any], log: Log) -> Outcome:
    """Run every suite over its table in ``place``.

    Nothing is fetched but counts; for an expectation that fails also up to ``SAMPLE`` rows, masked. Sessions are
    read-only and see every row or fail. Raises CutoverError ``validate.bad-suite``.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    runner = _Runner(gx.get_context(mode="ephemeral"), place, dict(given))
    runner.context.variables.progress_bars = ProgressBarsConfig(globally=False)
    outcome = Outcome(runner.context)
    with _url(connect) as url, opened(connect) as connection, own_environment():
        source = runner.context.data_sources.add_postgres("cutover", connection_string=url)
        try:
            for suite in suites:
                if suite.table in place.live:
                    continue
                schema, name = place.tables[suite.table]
                asset = source.add_table_asset(name=suite.table, table_name=name, schema_name=schema)
                table = sql.Identifier(schema, name)
                rows = catalog.count(connection, table)
                key = [row["name"] for row in catalog.rows(connection, "key_columns", table=table.as_string())]
                runner.shown_by = tuple(column for column in key if column not in suite.personal)
                expected, details = runner.run(suite, asset.add_batch_definition_whole_table("all"), rows)
                result = _summary(suite, details)
                outcome.details.append((expected, details))
                outcome.suites.append(result)
                log(
                    f"{suite.table}: {result.evaluated - len(result.failed) - len(result.warned)} of "
                    f"{result.evaluated} expectations hold over {rows:,} rows"
                )
        finally:
            source.get_engine().dispose()
    return outcome


@dataclass
class _Runner:
    """Runs one suite after the other in one context."""

    context: EphemeralDataContext
    place: Place
    given: dict[str, Any]
    # columns that tell which row is at fault: those of the table's primary key that are not personal
    shown_by: tuple[str, ...] = ()

    def run(
        self, suite: Suite, batch: BatchDefinition[Any], rows: int
    ) -> tuple[ExpectationSuite, ExpectationSuiteValidationResult]:
        """Run ``suite`` over ``batch``, which has ``rows`` rows."""
        from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
        from great_expectations.validator.v1_validator import Validator

        configured = self._configured(suite)
        expected = self._suite(suite, configured)
        # First only whether each holds: all counts of a table in one pass. Then the figures of those that do not.
        asked = self._counting(suite, configured)
        outcome = Validator(batch, result_format="BOOLEAN_ONLY").validate_expectation_suite(asked, self.given)
        results = []
        for entry, config in self._paired(outcome.results, expected):
            entry.expectation_config = config
            results.append(
                self._explained(config, batch, suite.personal) if _needs_figures(entry) else _passed(entry, rows)
            )
        held = sum(bool(entry.success) for entry in results)
        statistics = {
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": held / len(results) * 100 if results else None,
        }
        details = ExpectationSuiteValidationResult(
            success=held == len(results),
            results=results,
            suite_name=suite.table,
            statistics=statistics,
            meta=outcome.meta,
            batch_id=outcome.batch_id,
        )
        return expected, details

    def _configured(self, suite: Suite) -> list[dict[str, Any]]:
        """The expectations of this phase, with the tables of this place in their queries."""
        configured = []
        for expectation in suite.for_phase(self.place.phase):
            arguments = dict(expectation["kwargs"])
            if "unexpected_rows_query" in arguments:
                arguments["unexpected_rows_query"] = self.place.within(arguments["unexpected_rows_query"])
            configured.append({**expectation, "kwargs": arguments})
        return configured

    def _suite(self, suite: Suite, configured: list[dict[str, Any]]) -> ExpectationSuite:
        """The suite as the pages show it."""
        from great_expectations.core import ExpectationSuite
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        expectations = []
        for expectation in configured:
            # A suite made from configurations leaves out the ones it does not understand, and only logs them.
            try:
                expectations.append(ExpectationConfiguration(**expectation).to_domain_obj())
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                raise _bad(f"{suite.table}.json", f"{expectation.get('type')}: {reason}") from error
        meta = {"personal": sorted(suite.personal)}
        return self.context.suites.add(ExpectationSuite(name=suite.table, expectations=expectations, meta=meta))

    def _counting(self, suite: Suite, configured: list[dict[str, Any]]) -> ExpectationSuite:
        """The same suite, numbered, with queries that are only counted."""
        from great_expectations.core import ExpectationSuite

        from cutover.validate.counting import UnexpectedRowsCounted

        numbered = [
            {
                **expectation,
                "type": UnexpectedRowsCounted.expectation_type if expectation["type"] == _ROWS else expectation["type"],
                "meta": {_NUMBER: number},
            }
            for number, expectation in enumerate(configured)
        ]
        return ExpectationSuite(name=f"{suite.table}, counted", expectations=numbered)

    def _paired(
        self, results: Sequence[ExpectationValidationResult], expected: ExpectationSuite
    ) -> Iterator[tuple[ExpectationValidationResult, ExpectationConfiguration]]:
        """Each result with the expectation that it is about, in the suite's order."""
        configurations = expected.expectation_configurations
        by_number = {entry.expectation_config.meta[_NUMBER]: entry for entry in results if entry.expectation_config}
        for number, configuration in enumerate(configurations):
            yield by_number[number], configuration

    def _explained(
        self, config: ExpectationConfiguration, batch: BatchDefinition[Any], personal: frozenset[str]
    ) -> ExpectationValidationResult:
        """The same expectation again, with what was observed and a masked sample of the rows at fault."""
        from great_expectations.validator.v1_validator import Validator

        # Rows of a query come with COMPLETE only, and never more than 200; of a column COMPLETE would fetch all.
        detail: dict[str, Any] = {
            "result_format": "COMPLETE" if config.type == _ROWS else "SUMMARY",
            "partial_unexpected_count": SAMPLE,
        }
        if config.type.startswith("expect_column_values_") and self.shown_by:
            detail["unexpected_index_column_names"] = list(self.shown_by)
        again = Validator(batch, result_format=detail).validate_expectation(config.to_domain_obj(), self.given)
        own = {config.kwargs.get("column"), *config.kwargs.get("column_list", ())}
        about_people = bool(own & personal) and not config.type.startswith("expect_table_")
        hide = masked_all if about_people else (lambda value: masked_row(value, personal))
        again.result = {name: _shown(name, value, hide, self.shown_by) for name, value in again.result.items()}
        again.exception_info = _without_traceback(again.exception_info)
        return again


def _summary(suite: Suite, details: ExpectationSuiteValidationResult) -> SuiteResult:
    failures = [_failure(entry) for entry in details.results if not entry.success]
    failed = tuple(failure for failure in failures if failure.severity not in _MILD)
    return SuiteResult(
        suite=suite.table,
        source=suite.source,
        success=not failed,
        evaluated=len(details.results),
        failed=failed,
        warned=tuple(failure for failure in failures if failure.severity in _MILD),
    )


def _needs_figures(entry: ExpectationValidationResult) -> bool:
    """Whether an outcome says more than yes: one that fails, tolerates a share, or is about a whole table."""
    config = entry.expectation_config
    assert config is not None
    tolerant = config.kwargs.get("mostly", 1) != 1
    return not entry.success or tolerant or config.type.startswith("expect_table_")


def _passed(entry: ExpectationValidationResult, rows: int) -> ExpectationValidationResult:
    """The figures that follow from the fact that an expectation holds for every row."""
    config = entry.expectation_config
    assert config is not None
    if config.type == _ROWS:
        entry.result = {"observed_value": 0}
    else:
        entry.result = {"element_count": rows, "unexpected_count": 0, "unexpected_percent": 0.0}
    return entry


def _shown(name: str, value: Any, hide: Any, key: tuple[str, ...]) -> Any:
    """One entry of a result: figures as they are, samples cut and masked, queries left out (they hold values)."""
    if name == "details":
        return {"unexpected_rows": hide(value.get("unexpected_rows", [])[:SAMPLE])}
    if name == "unexpected_index_query":
        return None
    if name == "partial_unexpected_counts":
        return [{**item, "value": hide(item["value"])} for item in value[:SAMPLE]]
    if name == "partial_unexpected_index_list":
        return [{at: part if at in key else hide(part) for at, part in item.items()} for item in value[:SAMPLE]]
    if name in ("partial_unexpected_list", "unexpected_list", "unexpected_index_list"):
        return hide(value[:SAMPLE])
    return value


def _without_traceback(document: Any) -> dict[str, Any]:
    """Exception details reduced to one masked line: a traceback can hold values and the way to the database."""
    message = _exception_message(document)
    return {
        "raised_exception": message is not None,
        "exception_message": message,
        "exception_traceback": "left out",
    }


def _exception_message(document: Any) -> str | None:
    if not document:
        return None
    entries = [document] if "raised_exception" in document else list(document.values())
    messages = [entry.get("exception_message") for entry in entries if entry.get("raised_exception")]
    return masked_text(str(messages[0]).strip().split("\n")[0][:300]) if messages else None


def _failure(entry: ExpectationValidationResult) -> Failure:
    config = entry.expectation_config
    assert config is not None
    subject = config.kwargs.get("column") or ", ".join(config.kwargs.get("column_list", ()))
    name = config.description or f"{config.type}{f' of {subject}' if subject else ''}"
    message = _exception_message(entry.exception_info)
    if message is not None:
        observed = f"could not be evaluated: {message}"
    elif "unexpected_count" in entry.result:
        observed = f"{entry.result['unexpected_count']:,} of {entry.result['element_count']:,} rows"
    elif config.type == _ROWS:
        observed = f"{entry.result.get('observed_value', 'some')} rows"
    else:
        observed = f"found {entry.result.get('observed_value')}"
    return Failure(name, observed, str(getattr(config.severity, "value", config.severity) or "critical"))


@contextmanager
def _url(connect: Connect) -> Iterator[str]:
    """A URL of the same database for SQLAlchemy, without the password: that is in a file that only we can read.

    Great Expectations keeps the URL in its configuration and shows it in errors.
    """
    from sqlalchemy import URL

    with opened(connect) as connection:
        info = connection.info
        parameters = info.get_parameters()
        password = info.password
    pinned = options(default_transaction_read_only="on", row_security="off")
    parameters["options"] = f"{parameters.pop('options', '')} {pinned}".strip()
    with tempfile.TemporaryDirectory() as folder:
        passfile = Path(folder) / "pgpass"
        descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("*:*:*:*:" + re.sub(r"([:\\])", r"\\\1", password) + "\n")
        host, port, user, database = (parameters.pop(name, None) for name in ("host", "port", "user", "dbname"))
        address = ("host", "port", "user", "dbname", "password", "passfile")
        query = {name: value for name, value in {**whole(""), **parameters}.items() if name not in address}
        yield URL.create(
            "postgresql+psycopg",
            username=user,
            host=host,
            port=int(port) if port else None,
            database=database,
            query={**query, "passfile": str(passfile)},
        ).render_as_string(hide_password=False)
