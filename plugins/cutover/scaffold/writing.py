"""The files of a new migration, made of templates and written all or none; what is there is never written over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutover.errors import CutoverError
from cutover.scaffold.answers import FILES, HTTP, KINDS, TARGET, Answers
from cutover.scaffold.plan import Plan, ddl_of, plans

_TEMPLATES = Path(__file__).with_name("templates")
# An empty line at a statement's end, or two in a row, come of templates' loops.
_BLANK = re.compile(r"\n{3,}")
_IMPORTED = re.compile(r"cutover\.operators(\.| import )general\b")
# The DAGs that serve all migrations of a folder; the first migration brings it.
GENERAL = "dags/all_migrations.py"


def texts(answers: Answers) -> dict[str, str]:
    """Path of each file, from the folder that holds ``include``, ``dags`` and ``tests`` → its text.

    Raises CutoverError ``new.circle``.
    """
    made = plans(answers)
    of = {kind: [plan for plan in made if plan.origin.kind == kind] for kind in KINDS}
    common: dict[str, Any] = {
        "name": answers.name,
        "target": answers.target,
        "schema": answers.schema,
        "plans": made,
        "of": of,
        "may_be_empty": [plan.name for plan in made if plan.shape.is_empty],
    }
    folder, suites = f"include/sql/{answers.name}", f"include/expectations/{answers.name}"
    written = {
        f"{folder}/migration.yaml": _render("migration.yaml", common),
        f"{folder}/validate/reconciliation.sql": _render("reconciliation.sql", common),
        f"{folder}/probes/{made[0].name}.sql": _render("probe.sql", {**common, "t": made[0]}),
        f"dags/{answers.name}.py": _render("dag.py", common),
        f"dags/{answers.name}_rollback.py": _render("rollback.py", common),
        f"tests/test_{answers.name}.py": _render("test.py", common),
    }
    if of[HTTP] or of[FILES]:
        written[f"{folder}/freeze/refused.sql"] = _render("freeze.refused.sql", common)
    for plan in made:
        written |= {f"{folder}/{path}": text for path, text in _of_table(plan, common).items()}
        written[f"{suites}/{plan.name}.json"] = _suite(plan.suite())
    return dict(sorted(written.items()))


def general(root: Path) -> dict[str, str]:
    """The file with the DAGs that serve all migrations, unless a DAG file below ``root`` has such already."""
    there = (path.read_text(encoding="utf-8", errors="replace") for path in (root / "dags").glob("*.py"))
    if any(re.search(_IMPORTED, text) for text in there):
        return {}
    return {GENERAL: _render("general.py", {})}


def write(root: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files below ``root``, all or none. Returns their paths.

    Raises CutoverError ``new.there-already`` for files that are there, and ``new.not-writable``.
    """
    paths = {root / name: text for name, text in files.items()}
    there = [path for path in paths if path.exists()]
    if there:
        raise CutoverError(
            "new.there-already",
            _listed([str(path.relative_to(root)) for path in there[:3]]) + (" and others" if len(there) > 3 else ""),
            "nothing is written over, and so nothing was written.",
            "choose another name; or move these files away, and try again.",
        )
    done: list[Path] = []
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                done.append(path)
                file.write(text)
    except OSError as error:
        for path in done:
            path.unlink(missing_ok=True)
        raise CutoverError(
            "new.not-writable",
            str(error.filename or root),
            f"{error.strerror}; nothing was written.",
            "name a folder that you may write to: --to FOLDER.",
        ) from error
    return list(paths)


def remaining(answers: Answers) -> list[str]:
    """What the files cannot know, in the order in which it is to be done."""
    made = plans(answers)
    steps = []
    for connection in dict.fromkeys(plan.origin.connection for plan in made if plan.origin.kind != TARGET):
        kind = next(plan.origin.kind for plan in made if plan.origin.connection == connection)
        if kind == FILES:
            continue
        uri = "https://:KEY@HOST" if kind == HTTP else "postgresql://READER:PASSWORD@HOST:5432/DATABASE"
        steps.append(f"the connection: export AIRFLOW_CONN_{connection.upper()}={uri}")
    if any(plan.origin.kind == HTTP for plan in made):
        steps.append(
            f"include/sql/{answers.name}/migration.yaml: what the API is like (`auth`, `rows`, `paging`); then "
            "extract/*.store.sql: what it calls the columns"
        )
    for plan in made:
        if plan.origin.kind == FILES:
            steps.append(
                f"include/sql/{answers.name}/migration.yaml: what the files of {plan.origin.place} are like "
                "(`pattern`, `format`, `names`, `marker`), and the `connection` that opens the storage, if it needs one"
            )
    steps += [
        f"include/sql/{answers.name}/transform/{plan.name}.sql: production wants a value for "
        f"{', '.join(plan.unfilled())}, and the source has none"
        for plan in made
        if plan.unfilled()
    ]
    steps += [
        f"include/sql/{answers.name}/staging/{plan.name}.sql: it has an id and the whole row; write out its columns"
        for plan in made
        if plan.is_minimal
    ]
    return steps


def _of_table(plan: Plan, common: Mapping[str, Any]) -> dict[str, str]:
    values = {**common, "t": plan}
    key_names = [column.name for column in plan.shape.key]
    files = {
        f"staging/{plan.name}.sql": _render("staging.sql", {**values, "ddl": ddl_of(plan)}),
        f"freeze/{plan.live}.sql": _render("freeze.live.sql", values),
        f"transform/{plan.name}.sql": _render("transform.sql", values),
        f"why/{plan.name}.sql": _render("why.sql", values),
    }
    for closing in plan.closings:
        files[f"transform/{closing.step}.sql"] = _render(
            "transform.closing.sql", {**values, "closing": closing, "key_names": key_names}
        )
    production = {**values, "table_of": plan.live, "of_source": False}
    files[f"validate/checks/{plan.name}_kept.sql"] = _render("check.sql", production)
    if plan.keeps:
        files[f"freeze/{plan.raw}.sql"] = _render("freeze.source.sql", values)
        of_source = {**values, "table_of": plan.raw, "of_source": True}
        files[f"validate/checks/{plan.name}_complete.sql"] = _render("check.sql", of_source)
    if plan.origin.kind == HTTP:
        files[f"extract/{plan.raw}.create.sql"] = _render("extract.create.sql", values)
        files[f"extract/{plan.raw}.store.sql"] = _render("extract.store.sql", values)
    return files


def _render(template: str, values: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # what is made is SQL, YAML and Python
        autoescape=False,
    )
    text = environment.get_template(f"{template}.jinja").render(values)
    return _BLANK.sub("\n\n", text.strip("\n")) + "\n"


def _suite(suite: Mapping[str, Any]) -> str:
    """As JSON, an expectation a line."""
    lines = ",\n".join(f"    {json.dumps(one, ensure_ascii=False)}" for one in suite["expectations"])
    head = f'  "name": {json.dumps(suite["name"])},\n  "meta": {json.dumps(suite["meta"])},'
    return f'{{\n{head}\n  "expectations": [\n{lines}\n  ]\n}}\n'


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
