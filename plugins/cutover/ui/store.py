"""What the pages read from a target database: as its Airflow connection's role, read-only, in bounded time."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover import approve, assess, outlook, rehearsal, rollback, window
from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import PROGRAM, CutoverError
from cutover.extract.why import Origin, why
from cutover.masking import masked_all, masked_row, masked_text
from cutover.migration import Migration, load, load_order
from cutover.migration.quorum import in_person
from cutover.operators.base import bounded, reading
from cutover.outlook import Outlook
from cutover.records import anchors, audit, comments, evidence, phase, progress, signing
from cutover.records.run import get as get_run
from cutover.records.run import key as run_key
from cutover.review import difference as comparison
from cutover.review import samples, when
from cutover.review.verdict import Verdict, of_launch
from cutover.ui import charts, docs, lineage, sheet, shown, standing
from cutover.ui.picture import note
from cutover.ui.templating import STYLE, render
from cutover.validate.validation import docs_root
from cutover.watch import look
from cutover.watch.check import checks

Row = dict[str, Any]

_log = logging.getLogger(__name__)

PAGE = 50
ORIGINS = 20
_CREDENTIAL = re.compile(
    "passw|secret|token|hash|salt|nonce|(^|_)otp|credential|encrypted|private_?key|api_?key|signature|recovery_code|totp"
)
LONGEST_WORD = 400
# States of a launch in which it matters how many answers there are.
_ANSWERED = ("reviewed", "approved", "under way", standing.WAITS_FOR_AN_ANSWER, standing.WAITS_FOR_ITS_TIME)
# Characters of one API response on a page; the whole of it is one SQL statement away.
LONGEST_RESPONSE = 8_000


def migrations() -> list[Migration]:
    """Every migration of this deployment."""
    return [load(name) for name in files.migrations()]


def of_dag(dag_id: str) -> Migration | None:
    """The migration whose launches or rollbacks this DAG runs; None for any other DAG."""
    known = {migration.migration: migration for migration in migrations()}
    return known.get(dag_id) or known.get(dag_id.removesuffix("_rollback"))


def _rows(connection: psycopg.Connection, path: str, **parameters: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(path), parameters).fetchall()


def launches(connection: psycopg.Connection, migration: Migration, before: datetime | None) -> list[Row]:
    """Runs, newest first, one more than ``PAGE`` if there are older ones."""
    whole = {"dag_id": None, "dag_run_id": None, "before": before, "limit": PAGE + 1}
    rows = _rows(connection, "ui/launches.sql", migration=migration.migration, **whole)
    doing = progress.of_runs(connection, [row["run"] for row in rows])
    return [row | {"doing": doing.get(row["run"], []), "answers": _answers(connection, migration, row)} for row in rows]


def _answers(connection: psycopg.Connection, migration: Migration, row: Row) -> str | None:
    """How many answers to a launch's question there are, and who is missing, where one is not enough."""
    if migration.quorum is None or row["state"] != "reviewed" or row["dag_id"] != migration.migration:
        return None
    return approve.count(connection, migration.quorum, row["run"]).words


def with_standing(rows: list[Row], migration: Migration, before: datetime | None) -> list[Row]:
    """The runs with how each stands, and with those that Airflow alone knows: they failed before anything was kept."""
    dags = (migration.migration, f"{migration.migration}_rollback")
    begun = standing.newest(dags, before, PAGE + 1)
    known = {(one.dag_id, one.dag_run_id): one for one in begun}
    wanted = {(row["dag_id"], row["dag_run_id"]) for row in rows}
    known |= standing.of_runs(wanted - known.keys())
    launches = []
    for row in rows:
        stands, waits_for = known.get((row["dag_id"], row["dag_run_id"])), standing.waits(row["wait"])
        state = standing.words(row["state"], stands, row["wait"])
        now = waits_for or standing.now(stands, row["doing"])
        launches.append(
            row
            | {"state": state, "now": now, "waits_for": waits_for, "progress": _progress(stands)}
            | {"answers": row["answers"] if state == standing.WAITS_FOR_AN_ANSWER else None}
        )
    without = ("run", "reviewed", "validated", "entry", "taken_back_by", "approved_by", "wait", "waits_for")
    empty: Row = {"doing": []} | dict.fromkeys((*without, "answers", "comment"))
    launches += [
        empty
        | {"dag_id": one.dag_id, "dag_run_id": one.dag_run_id, "started_at": one.started_at}
        | {"triggered_by": one.triggered_by, "state": standing.words("begun", one), "now": standing.now(one)}
        | {"progress": _progress(one)}
        for one in begun
        if (one.dag_id, one.dag_run_id) not in wanted
    ]
    return sorted(launches, key=lambda row: row["started_at"], reverse=True)


def _progress(stands: standing.Standing | None) -> dict[str, Any] | None:
    if stands is None or stands.progress is None:
        return None
    return asdict(stands.progress) | {"words": stands.progress.words()}


def state_of(connection: psycopg.Connection, migration: Migration, dag_id: str, dag_run_id: str) -> Row:
    """What became of one run, by the target database: ``state`` and the rest of a line of the list."""
    one = {"dag_id": dag_id, "dag_run_id": dag_run_id, "before": None, "limit": 1}
    rows = _rows(connection, "ui/launches.sql", migration=migration.migration, **one)
    return rows[0] if rows else {"state": "begun", "wait": None}


def ledger(connection: psycopg.Connection, migration: Migration, before: int | None) -> list[Row]:
    """Ledger entries, newest first, one more than ``PAGE`` if there are older ones."""
    return _rows(connection, "ui/ledger.sql", migration=migration.migration, before=before, limit=PAGE + 1)


def entry(connection: psycopg.Connection, migration: Migration, number: int) -> Row | None:
    """One entry, with its certificate, approvals, quarantine, maintenance window and place in the chain."""
    row = entry_alone(connection, migration, number)
    if row is None:
        return None
    run = row["run"]
    verdict = verdict_on(connection, migration)
    subjects = {f"ledger {number}", f"run {run}", f"certificate {run}"}
    return {
        **row,
        "approvals": approvals(connection, run),
        "quarantine": quarantine(connection, run),
        "reconciliation": _rows(connection, "review/reconciliation.sql", run=run),
        "timeline": _rows(connection, "window/timeline.sql", run=run),
        "late_writes": _rows(connection, "ui/late_writes.sql", run=run),
        "broken": [str(fault) for fault in verdict.about(*subjects)],
        "verdict": verdict,
        "links": _rows(connection, "chain/links_of_run.sql", run=run),
    }


def entry_alone(connection: psycopg.Connection, migration: Migration, number: int) -> Row | None:
    """One entry without what is beside it, and without a look at the chain."""
    rows = _rows(connection, "ui/entry.sql", entry=number, migration=migration.migration)
    return rows[0] if rows else None


def entry_of_number(connection: psycopg.Connection, migration: Migration, number: int) -> str | None:
    """The run of an entry of this migration's ledger."""
    rows = _rows(connection, "ui/run_of_entry.sql", entry=number, migration=migration.migration)
    return rows[0]["run"] if rows else None


def review(
    connection: psycopg.Connection,
    migration: Migration,
    run: str,
    stands: standing.Standing | None = None,
    *,
    in_airflow: bool = False,
) -> tuple[str, Row]:
    """The page of a run's review: its template, and what it shows. Raises ``run.unknown``.

    ``stands`` is the run as Airflow knows it, where Airflow was asked (``in_airflow``).
    """
    row = get_run(connection, run)
    became = state_of(connection, migration, row.dag_id, row.dag_run_id)
    entry = entry_of_run(connection, run)
    rolls_back = "undoes" in (row.review or {})
    timeline = _rows(connection, "window/timeline.sql", run=run)
    state = standing.words(became["state"], stands, became["wait"]) if in_airflow else became["state"]
    waiting = row.review is not None and row.snapshot is not None and entry is None and not rolls_back
    return "rollback_review.html" if rolls_back else "review.html", {
        "migration": migration,
        "sites": docs.sites(migration.migration, run),
        "run": row,
        "state": state,
        "now": standing.now(stands, progress.of_runs(connection, [run]).get(run, ())),
        "wait": became["wait"],
        "waits_for": standing.waits(became["wait"]),
        "when": when.in_words((row.review or {}).get("timing")),
        "waits": stands is not None and stands.waits,
        "review": row.review,
        "carrying": rollback.carrying(row.review or {}),
        "entry": entry,
        "approvals": approvals(connection, run),
        "answered_by": answered_by(connection, run),
        "quorum": quorum(connection, migration, run) if waiting and state in _ANSWERED else None,
        "comments": comments.of_run(connection, run),
        "notices": notices(connection, run),
        "outlooks": outlooks(connection, run),
        "timeline": timeline,
        "sign_ins": rehearsal.of_run(connection, run),
        # which accounts: for who may sign in here, and not for a file that goes elsewhere
        "names_accounts": in_airflow,
        "fence": fence_of(timeline, has_swapped=entry is not None),
        # why the rows of a table cannot be had, where they cannot; a file that goes elsewhere offers none
        "no_difference": comparison.obstacle(connection, row) if in_airflow else None,
        "captured": captured(connection, migration, row.snapshot or "") if waiting else None,
        # by the files of this deployment: a file that goes elsewhere says what the run itself has recorded
        "lineage": lineage_of(connection, migration, run) if in_airflow and row.review and not rolls_back else None,
    }


def lineage_of(connection: psycopg.Connection, migration: Migration, run: str) -> Row:
    """What the tables of a launch are made of, with the rows that its steps have counted."""
    records = phase.newest(connection, run)
    try:
        return lineage.of_run(migration, records)
    except Exception as error:  # whatever a team's files make of a parser: their review is read without it
        _log.exception("no lineage of run %s", run)
        reason = f"It cannot be read ({type(error).__name__}): the API server's log says more."
        return {"picture": None, "tables": [], "unread": [reason]}


def verdict(values: Row, ahead: Outlook | None = None) -> Verdict | None:
    """What an approver is told first of the review in ``values``; None of a rollback's, and of one that is not made."""
    review = values["review"]
    if review is None or "undoes" in review:
        return None
    return of_launch(
        review,
        values["state"],
        answered_by=values["answered_by"],
        reasons=ahead.reasons if ahead else (),
        unknown=ahead.unknown if ahead else None,
        looked=ahead is not None,
    )


def difference(migration: Migration, dag_id: str, dag_run_id: str, table: str, kinds: Sequence[str]) -> Iterator[bytes]:
    """Every row of a table that a run would add, take away or change, as CSV in pieces. Raises ``diff.*``."""
    with reading(migration) as connection:
        row = get_run(connection, run_key(connection, dag_id, dag_run_id))
        compared = comparison.of_table(connection, migration, row, table)
        rows = comparison.rows(connection, compared, samples.masks(migration.migration), kinds, bounded)
        yield from sheet.difference(compared, rows, kinds)


def sign_ins_picture(row: Row) -> str:
    """A rehearsal of sign-ins as an image: of each way in how many have failed."""
    lines = []
    for name, way in row["ways"].items():
        lines += [f"{name}:", f"{way['failed']:,} of {way['tried']:,} failed"]
    title = row["trouble"][0] if row["trouble"] else "Sign-ins work."
    return note(title, lines, f"rehearsed {row['recorded_at']:%Y-%m-%d %H:%M:%S} UTC", not row["trouble"])


def evidence_file(connection: psycopg.Connection, migration: Migration, run: str) -> bytes:
    """The evidence of a run as it is now, or, without the key that signs it, as the run's last task has kept it.

    Raises CutoverError ``evidence.not-kept``.
    """
    if signing.keys().signer is not None:
        return archive(connection, migration, run)
    made = docs_root().read(evidence.path_of(migration.migration, run))
    if made is not None:
        return made
    raise CutoverError(
        "evidence.not-kept",
        f"run {run}",
        "its tasks have kept no evidence, and the pages have no key to sign it with.",
        f"make it where the key is: {PROGRAM} evidence {run}",
    )


def archive(connection: psycopg.Connection, migration: Migration, run: str) -> bytes:
    """The evidence of a run as one signed file, with the review's page as it can be read from there."""
    template, values = review(connection, migration, run)
    page = render(template, base="", airflow="", embedded=True, verdict=verdict(values), **values)
    page = evidence.page_alone(page, STYLE.read_text(encoding="utf-8"), migration.migration)
    return evidence.archive(connection, migration, run, docs_root=docs_root(), review_page=page)


def verdict_on(connection: psycopg.Connection, migration: Migration) -> audit.Verdict:
    """Whether all evidence in a target is as it was written, and what that was compared with."""
    return audit.look(connection, signing.keys(), anchors.known(migration.target, docs_root()))


def entry_of_run(connection: psycopg.Connection, run: str) -> Row | None:
    """The ledger entry of a run, in short."""
    rows = _rows(connection, "ui/entry_of_run.sql", run=run)
    return rows[0] if rows else None


def approvals(connection: psycopg.Connection, run: str) -> list[Row]:
    """Every answer given to the question of a run."""
    return _rows(connection, "ui/approvals.sql", run=run)


def answered_by(connection: psycopg.Connection, run: str) -> str | None:
    """Who has given the newest answer to the question of a run; of several that count together everybody."""
    rows = approvals(connection, run)
    if not rows:
        return None
    newest = rows[-1]
    together = [
        row
        for row in rows
        if row is newest
        or (newest["completes"] and row["completes"] is False and row["consumed_by"] == newest["consumed_by"])
    ]
    return ", ".join(in_person(row["approved_by"], row["answers_for"]) for row in together)


def quorum(connection: psycopg.Connection, migration: Migration, run: str) -> Row | None:
    """What a launch needs, how many of these answers are there, and who is missing; None if one answer is enough."""
    if migration.quorum is None:
        return None
    come_to = approve.count(connection, migration.quorum, run)
    return {
        "needs": migration.quorum.words,
        "words": come_to.words,
        "is_complete": come_to.is_complete,
        "missing": list(come_to.missing),
        "more": come_to.more,
    }


def approvals_picture(row: Row, at: datetime) -> str:
    """How many answers there are as an image, for a form that cannot change."""
    number, _, parts = row["words"].partition(": ")
    return note(row["words"], [number, *parts.split(", ")], f"at {at:%H:%M:%S} UTC", row["is_complete"])


def failure(connection: psycopg.Connection, dag_id: str, dag_run_id: str) -> Row | None:
    """Why a run has failed: code and remedy. None where no task of it has said so."""
    rows = _rows(connection, "ui/failure.sql", dag_id=dag_id, dag_run_id=dag_run_id)
    return rows[0] if rows else None


def fence_of(timeline: list[Row], *, has_swapped: bool) -> tuple[str, bool] | None:
    """In words, how the fence of a run's window stands, and whether somebody may be shut out; None if it has none."""
    done = {step["step"]: step for step in timeline if step["ended_at"]}
    release, fenced = done.get("release"), done.get("fence")
    if release is not None:
        said = str(release["note"])
        return f"{said} (at {shown.moment(release['ended_at'])})", window.STILL_FENCED in said
    if fenced is None:
        return None
    since = shown.moment(fenced["ended_at"])
    if has_swapped:
        return f"The sources are fenced since {since}, and stay so while this launch is in use.", False
    return f"The sources are fenced since {since}: their applications are refused writes until this run ends.", True


def outlooks(connection: psycopg.Connection, run: str) -> list[Row]:
    """What stood in the way of a run's swap while its question waited, from each moment in which this changed."""
    return _rows(connection, "outlook/of_run.sql", run=run) if outlook.has_records(connection) else []


def announcements(connection: psycopg.Connection, migration: Migration) -> tuple[list[Row], list[Row]]:
    """What has become of all messages, and the runs that sent them, newest first."""
    announced = _rows(connection, "ui/announced.sql", migration=migration.migration)
    runs = _rows(connection, "ui/announcements.sql", migration=migration.migration, limit=PAGE)
    known = standing.of_runs((run["dag_id"], run["dag_run_id"]) for run in runs)
    for run in runs:
        stands = known.get((run["dag_id"], run["dag_run_id"]))
        run["state"] = standing.words("begun", stands) if stands and not run["finished_at"] else None
    return announced, runs


def watched(connection: psycopg.Connection, migration: Migration) -> tuple[Row | None, list[Row]]:
    """The newest launch, and of each check what the looks at it have shown, with a picture; bounds as they are now."""
    newest = next((one for one in ledger(connection, migration, None) if one["action"] == "swap"), None)
    if newest is None:
        return None, []
    history = look.history(connection, newest["run"])
    shown = []
    for check in checks(migration.migration):
        looks = [one for one in history if one["name"] == check.name]
        before = next((one["value"] for one in reversed(looks) if one["moment"] == "baseline"), None)
        limits = [bound.against(before) for bound in (check.at_least, check.at_most) if bound is not None]
        chart = charts.line([one["value"] for one in looks], [limit for limit in limits if limit is not None])
        last = looks[-1] if looks else {"verdict": look.INCONCLUSIVE, "detail": "not looked at yet"}
        shown.append(
            {"title": check.title, "unit": check.unit, "chart": chart, "looks": looks}
            | {"verdict": last["verdict"], "detail": last["detail"]}
        )
    return newest, shown


def assessment(migration: Migration) -> Row:
    """What the page of an assessment shows: the newest one, and the names of all tables in it."""
    stored = assess.load(docs_root(), migration.migration)
    tables = [table["name"] for source in (stored or {"sources": []})["sources"] for table in source["tables"]]
    return {"migration": migration, "assessment": stored, "names": list(dict.fromkeys(tables))}


def notices(connection: psycopg.Connection, run: str) -> list[Row]:
    """Who was told that a run waits for an answer, and where that failed."""
    return [
        {**row, "recipient": masked_text(row["recipient"])} for row in _rows(connection, "approve/notices.sql", run=run)
    ]


def quarantine(connection: psycopg.Connection, run: str) -> list[Row]:
    """Writes that could not be carried, by reason. A reason may quote a value: addresses are masked."""
    return [{**row, "reason": masked_text(row["reason"])} for row in _rows(connection, "ui/quarantine.sql", run=run)]


def captured(connection: psycopg.Connection, migration: Migration, since: str) -> list[Row]:
    """Production writes on the migration's tables that the freeze did not see, by table and operation."""
    oids = catalog.oids(connection, (sql.Identifier(*name) for name in migration.swapped_tables()))
    tables = [oid for oid in oids if oid is not None]
    return _rows(connection, "review/captured.sql", tables=tables, since=since)


def traceable(connection: psycopg.Connection, migration: Migration) -> list[str]:
    """Tables whose rows ``why`` can explain."""
    return [row["table_name"] for row in _rows(connection, "ui/lineage.sql", migration=migration.migration)]


def production_row(connection: psycopg.Connection, migration: Migration, table: str, value: str) -> Row | None:
    """A row of a production table by any column that alone names it, unmasked: callers mask what they show.

    Credentials are not read. A column is only asked for what its type can hold: an error would put the value, which may
    be somebody's address, into the server's log.
    """
    live = _live_name(migration, table)
    name = live.as_string()
    kinds = {row["column_name"]: row["kind"] for row in _rows(connection, "ui/columns.sql", name=name)}
    readable = [column for column in kinds if not is_credential(column)]
    columns = sql.SQL(", ").join(sql.Identifier("t", column) for column in readable)
    for key in _rows(connection, "ui/single_keys.sql", name=name):
        column = key["column_name"]
        if column in readable and _can_be(kinds[column], value):
            query = files.statement("ui/row.sql", live=live, columns=columns, column=column)
            record = connection.execute(query, {"value": value}).fetchone()
            if record:
                return dict(record[0])
    return None


def _can_be(kind: str, value: str) -> bool:
    if kind == "integer":
        return re.fullmatch(r"-?[0-9]{1,18}", value) is not None
    if kind == "uuid":
        return re.fullmatch(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", value) is not None
    return kind == "text"


def is_credential(name: str) -> bool:
    """Whether a column or member looks as if whoever has its value could act as somebody."""
    return _CREDENTIAL.search(name.lower()) is not None


def _live_name(migration: Migration, table: str) -> sql.Identifier:
    schema, _, name = migration.merge.get(table, f"{migration.target_schema}.{table}").partition(".")
    return sql.Identifier(schema, name)


def origins(connection: psycopg.Connection, migration: Migration, table: str, row: Row) -> list[Row]:
    """Where a production row comes from: its API responses, with what is personal in them masked."""
    rows = why(connection, table, str(row["id"]))[:ORIGINS]
    return [_shown(connection, migration, origin) for origin in rows]


def _shown(connection: psycopg.Connection, migration: Migration, origin: Origin) -> Row:
    source = migration.sources.get(origin.raw_table) or migration.files.get(origin.raw_table)
    declared = source.personal if source else samples.masks(migration.migration).anywhere
    personal = {_plain(name) for name in declared}
    columns = _rows(connection, "ui/raw_columns.sql", raw_table=origin.raw_table)
    known = {_plain(row["column_name"]) for row in columns} - personal
    text = json.dumps(_response(origin.api_response, known), indent=2, ensure_ascii=False, default=str)
    if len(text) > LONGEST_RESPONSE:
        text = f"{text[:LONGEST_RESPONSE]}\n… {len(text) - LONGEST_RESPONSE:,} characters more"
    fields = {name: value for name, value in vars(origin).items() if name != "api_response"}
    return {**fields, "request": masked_text(origin.request or ""), "text": text}


def _response(response: Any, known: set[str]) -> Any:
    """The members that are declared columns and not personal; of others, unknown ones included, only the shape."""
    if not isinstance(response, dict):
        return masked_all(response)
    return {
        name: masked_row(value, ()) if _plain(name) in known else masked_all(value)
        for name, value in response.items()
        if not is_credential(name)
    }


def _plain(name: str) -> str:
    """A member's name without its spelling: registeredAt and registered_at are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def masked_production_row(migration: Migration, table: str, row: Row) -> Row:
    """A production row as a page may show it: what the staging table does not declare is masked, whatever it is."""
    declared = load_order.columns(files.text(f"{migration.migration}/staging/{table}.sql"))
    hidden = {name: masked_all(value) for name, value in row.items() if name not in declared}
    return samples.masks(migration.migration).row(table, row) | {n: samples.cut(v) for n, v in hidden.items()}


def require_text(value: str) -> str:
    """A search word as PostgreSQL can take it. Raises ``why.not-an-id``, which does not repeat it."""
    if "\0" in value or len(value) > LONGEST_WORD:
        raise CutoverError(
            "why.not-an-id", "the search", "no value of a column looks like this.", "copy the value anew."
        )
    return value
