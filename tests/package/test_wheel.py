"""The engine as a package: built, installed beside Airflow with nothing of this repository in sight, and used there."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cutover.commands import COMMANDS
from cutover.provider import DISTRIBUTION
from cutover.scaffold import writing

# All that a team has: a folder of migrations, a DAG file, and one for all migrations.
_TEAM = {
    "include/sql/shop/migration.yaml": "migration: shop\ntarget: production\n",
    "include/sql/shop/freeze/people.sql": "create table input.people as select id, name from raw.people",
    "include/sql/shop/staging/people.sql": "create table staging.people (id integer primary key, name text)",
    "include/sql/shop/transform/people.sql": "insert into staging.people select id, name from input.people",
    "include/expectations/shop/people.json": json.dumps(
        {"name": "people", "meta": {"personal": [], "parameters": {}}, "expectations": []}
    ),
    "dags/shop.py": '"""The shop."""\n\nfrom cutover.operators.launch import launch\n\n# An Airflow DAG.\n'
    'dag = launch("shop", __doc__)\n',
    **writing.general(Path("/nowhere")),
}
# What Airflow knows of the engine, in one process: starting Airflow is what takes time.
_LOOK = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import get_import_errors, get_plugin_info
from airflow.providers_manager import ProvidersManager
import cutover
from cutover.commands.deployment import AirflowDeployment
from cutover.database import statements
from cutover.errors import CutoverError
from cutover.records.evidence import _VERIFIER
from cutover.ui.templating import _templates
from cutover.validate.data_docs import assets_folder

provider = ProvidersManager().providers["airflow-provider-cutover"]
plugins = [one for one in get_plugin_info() if one["name"] == "cutover"]
bag = DagBag()
try:
    unknown = AirflowDeployment().dsn("nowhere")
except CutoverError as error:
    unknown = str(error)
print(json.dumps({
    "engine": cutover.__file__,
    "provider": [provider.version, provider.data["name"]],
    "plugins": [[str(one["source"]), len(one["external_views"]), len(one["fastapi_apps"])] for one in plugins],
    "plugin errors": get_import_errors(),
    "DAGs": {name: sorted(dag.task_ids) for name, dag in bag.dags.items()},
    "DAG errors": bag.import_errors,
    "doc": bag.dags["erase_person"].doc_md,
    "statements": len(statements.engine_files()),
    "templates": len(_templates.list_templates()),
    "assets": len(list(assets_folder().rglob("*.js"))),
    "verifier": _VERIFIER.is_file(),
    "dsn": AirflowDeployment().dsn("production"),
    "unknown": unknown,
}))
"""

_HELPS = """
from contextlib import suppress
from cutover.commands import COMMANDS, main
for command in COMMANDS:
    with suppress(SystemExit):
        main([command, "--help"])
"""
# Packages whose names are not those of their modules.
_PACKAGES = {
    "dateutil": "python-dateutil",
    "jwt": "pyjwt",
    "markdown_it": "markdown-it-py",
    "opentelemetry": "opentelemetry-api",
    "yaml": "pyyaml",
}


@dataclass(frozen=True)
class Installed:
    """An environment of its own with the engine and Airflow, and a team's Airflow home."""

    folder: Path
    wheel: Path

    @property
    def home(self) -> Path:
        """Airflow's."""
        return self.folder / "airflow"

    def call(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with nothing of this process's own variables that could help it."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "CUTOVER", "PYTHON")) and name != "VIRTUAL_ENV"
        }
        return subprocess.run(
            [self.folder / "env" / "bin" / program, *arguments],
            env={
                **environment,
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW_CONN_PRODUCTION": "postgres://cutover:se%40cret@db.example.com/shop?sslmode=require",
                **variables,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel, built and installed without network; packages that it needs are those of the tests' environment."""
    folder = tmp_path_factory.mktemp("package")
    uv = str(Path(sys.executable).with_name("uv"))
    _done(uv, "build", "--wheel", "--offline", "--quiet", "--out-dir", str(folder / "dist"), str(repository))
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    _done(uv, "pip", "install", "--offline", "--quiet", "--no-deps", "--python", str(python), str(wheel))
    packages = next((folder / "env" / "lib").glob("python*/site-packages"))
    (packages / "beside.pth").write_text(sysconfig.get_paths()["purelib"])
    for name, text in _TEAM.items():
        path = folder / "airflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield Installed(folder, wheel)


def _done(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_every_file_of_the_engine_and_no_other(installed: Installed, repository: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "plugins/cutover"],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    source = {name.removeprefix("plugins/") for name in listed.stdout.split("\n") if (repository / name).is_file()}
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/") and ".dist-info/" not in name}
    assert names == source
    assert len(names) > 400


def test_airflow_finds_the_provider_the_pages_and_a_teams_dag_of_one_call(installed: Installed) -> None:
    done = installed.call("python", "-W", "ignore", "-c", _LOOK)
    assert done.returncode == 0, done.stderr
    look: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert look["engine"].startswith(str(installed.folder / "env"))
    assert look["provider"] == [metadata_of(installed.wheel)["Version"], "Cutover"]
    ((source, views, apps),) = look["plugins"]
    assert DISTRIBUTION in source and (views, apps) == (4, 1)
    assert look["plugin errors"] == {} and look["DAG errors"] == {}
    # it reads no API, and tells nobody
    of_all = {"drop_backups", "erase_person", "launch_watch", "outlook", "restore_people"}
    assert set(look["DAGs"]) == {"shop", *of_all} and look["DAGs"]["outlook"] == ["shop"]
    assert {"swap", "approve", "transform.people"} <= set(look["DAGs"]["shop"])
    assert "`cutover erase --ask`" in look["doc"]
    assert look["statements"] > 250 and look["templates"] > 10 and look["assets"] > 5 and look["verifier"]
    assert look["dsn"] == "postgresql://cutover:se%40cret@db.example.com/shop?sslmode=require"
    assert look["unknown"].startswith("[connect.unknown] connection nowhere")


def test_the_help_names_every_command_and_where_migrations_are(installed: Installed) -> None:
    done = installed.call("cutover")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: cutover <command>")
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert f"(here: {installed.home / 'include'})" in done.stdout
    assert "./run" not in done.stdout
    version = metadata_of(installed.wheel)["Version"]
    assert installed.call("cutover", "--version").stdout == f"{DISTRIBUTION} {version}\n"
    unknown = installed.call("cutover", "launch")
    assert unknown.returncode == 2 and unknown.stderr.startswith("cutover launch: there is no such command.")


def test_every_command_says_how_it_is_called(installed: Installed) -> None:
    done = installed.call("python", "-c", _HELPS)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"usage: cutover {command}" in done.stdout


def test_the_roles_are_those_of_the_repository(installed: Installed, repository: Path) -> None:
    assert installed.call("cutover", "roles").stdout == (repository / "include/sql/roles.sql").read_text()


def test_a_folder_without_migrations_is_named(installed: Installed, tmp_path: Path) -> None:
    done = installed.call("cutover", "assess", CUTOVER_INCLUDE=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"[migration.none] folder {tmp_path}/sql: ")
    done = installed.call("cutover", "erase", "warehouse")
    assert done.stderr.startswith("[migration.missing] migration warehouse: ")
    assert str(installed.home / "include/sql/warehouse/migration.yaml") in done.stderr


def test_whatever_the_engine_imports_is_asked_for(installed: Installed, repository: Path) -> None:
    """By the package itself, or by Airflow, beside which it is installed."""
    wanted = {name for text in metadata_of(installed.wheel).get_all("Requires-Dist", []) for name in _names(text)}
    airflow = [name for name in wanted if name.startswith("apache-airflow")]
    for name in (*airflow, "apache-airflow-core", "apache-airflow-task-sdk"):
        wanted |= {name} | {name for text in metadata.requires(name) or [] for name in _names(text)}
    # of the extra of that name, and imported by nothing that is called without it
    known = {*sys.stdlib_module_names, "cutover", "airflow", "openlineage"}
    missing = {}
    for path in sorted((repository / "plugins" / "cutover").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [str(node.module)]
            for module in (module.split(".")[0] for module in modules):
                if module not in known and _PACKAGES.get(module, _canonical(module)) not in wanted:
                    missing[module] = str(path.relative_to(repository))
    assert missing == {}


def metadata_of(wheel: Path) -> metadata.PackageMetadata:
    """What a wheel says of itself."""
    return next(iter(metadata.distributions(path=[str(wheel)]))).metadata


def _names(requirement: str) -> list[str]:
    """The package that a requirement names, unless it is for an extra."""
    if "extra ==" in requirement:
        return []
    return [_canonical(re.split(r"[\[=<>~!;\s(]", requirement, maxsplit=1)[0])]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
