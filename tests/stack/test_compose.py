"""The Docker deployment, checked without an engine: that it is valid, complete, confined, and means what ./run does."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.errors import CutoverError
from stack import containers, lint
from stack.accounts import ACCOUNTS, read_passwords
from stack.settings import Settings

AIRFLOW_SERVICES = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
DEMONSTRATION = {"simulators", "production", "production-load"}
# What ./run sets for one machine and Celery workers in containers do not need, or get from elsewhere.
ONLY_LOCAL = {
    "AIRFLOW__CORE__PARALLELISM",
    "NO_PROXY",
    "no_proxy",
    "CUTOVER_PG_CLIENT",  # in the image
    "PYTHONPATH",  # in the image
    "SPT_NOENV",
}
# Who needs which secret; the reasons stand beside each service in the file.
SECRETS = {
    "metadata": {"metadata_password"},
    "redis": {"redis_password"},
    "init": {"metadata_password", "fernet_key", "accounts.env"},
    "api-server": {"metadata_password", "fernet_key", "api_secret_key", "jwt_secret", "targets.env", "signing.key.pub"},
    "scheduler": {"metadata_password", "redis_password", "jwt_secret"},
    "dag-processor": {"metadata_password", "fernet_key"},
    "triggerer": {"metadata_password", "fernet_key", "api_secret_key"},
    "worker": {
        "metadata_password",
        "redis_password",
        "api_secret_key",
        "connections.env",
        "signing.key",
        "signing.key.pub",
    },
    "simulators": set(),
    "production": {"production_password"},
    "production-load": {"production_password"},
}


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    return loaded


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_valid_by_the_compose_specification(repository: Path) -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    command = [tool, "--builtin-schema", "vendor.compose-spec", repository / "docker-compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_services(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services.keys() == AIRFLOW_SERVICES | DEMONSTRATION | {"metadata", "redis"}
    assert {name for name, service in services.items() if service.get("profiles") == ["demo"]} == DEMONSTRATION


def test_every_service_that_stays_up_has_a_health_check(compose: dict[str, Any]) -> None:
    one_shot = {name for name, service in compose["services"].items() if service.get("restart") == "no"}
    assert one_shot == {"init", "production-load"}
    for name in compose["services"].keys() - one_shot:
        assert compose["services"][name]["healthcheck"]["test"], name


def test_everything_waits_for_the_migrated_database(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES - {"init"}:
        condition = compose["services"][name]["depends_on"]["init"]["condition"]
        assert condition == "service_completed_successfully", name
    assert compose["services"]["init"]["depends_on"]["metadata"]["condition"] == "service_healthy"


def test_the_settings_are_those_of_a_local_stack(compose: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings.read({"CUTOVER_HOME": str(tmp_path)})
    local = settings.airflow_environment()
    containers.write_missing(tmp_path / "secrets")
    composed = compose["services"]["scheduler"]["environment"] | containers.variables(tmp_path / "secrets")
    # further demonstrations' databases are not in the compose file; your own come from secrets/connections.env
    missing = {name for name in local.keys() - composed.keys() if not name.startswith("AIRFLOW_CONN_")}
    assert missing == {name for name in ONLY_LOCAL if name in local}
    same = {name for name in local.keys() & composed.keys() if str(composed[name]) == local[name]}
    assert {
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME",
        "GX_ANALYTICS_ENABLED",
    } <= same
    # the demonstration's keys, until somebody writes others
    for name in ("AIRFLOW_CONN_XENDIT", "AIRFLOW_CONN_SYSTEMEIO"):
        assert local[name] == composed[name]


def test_each_service_gets_the_secrets_that_it_needs_and_no_other(compose: dict[str, Any], tmp_path: Path) -> None:
    assert {name: set(service.get("secrets", ())) for name, service in compose["services"].items()} == SECRETS
    containers.write_missing(tmp_path / "secrets")
    assert compose["secrets"] == {name: {"file": f"./secrets/{name}"} for name in names(tmp_path / "secrets")}


def test_no_secret_is_in_an_environment_or_in_a_file_that_is_kept(compose: dict[str, Any], repository: Path) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|KEY|CONN(?!_ID$)", variable) or value.startswith("/run/secrets/"), (
                name,
                variable,
            )
    text = (repository / "docker-compose.yaml").read_text()
    offered = set(re.findall(r"^# ([A-Z0-9_]+)=", (repository / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)[:}]", text)) == offered
    for path in (".env", "secrets/jwt_secret"):
        ignored = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=repository, check=False)
        assert ignored.returncode in (0, 128)  # 128: not a git checkout


def test_every_service_is_confined(repository: Path) -> None:
    assert lint.confinement(repository) == ""


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("  read_only: true", "  read_only: false", "service worker lacks read_only"),
        ("  cap_drop: [ALL]", "  cap_drop: [NET_RAW]", "service metadata lacks cap_drop"),
        ("no-new-privileges:true", "no-new-privileges:false", "service redis lacks security_opt"),
        ("${REDIS_IMAGE:-redis:7.4-bookworm}", "redis:latest", "service redis: image redis:latest can move"),
        ("    user: \"999:999\"", "    user: \"999:999\"\n    privileged: true", "service metadata has privileged"),
        ("POSTGRES_PASSWORD_FILE: /run/secrets/metadata_password", "POSTGRES_PASSWORD: x", "PASSWORD is a secret"),
        ("  init: true", "  init: true\n  env_file: [.env]", "service scheduler has env_file"),
    ],
)  # fmt: skip
def test_a_service_that_may_more_is_named(
    repository: Path, tmp_path: Path, before: str, after: str, fault: str
) -> None:
    text = (repository / "docker-compose.yaml").read_text()
    assert before in text
    (tmp_path / "docker-compose.yaml").write_text(text.replace(before, after))
    assert fault in lint.confinement(tmp_path)


def test_an_image_of_the_env_file_needs_its_digest(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "docker-compose.yaml", tmp_path)
    (tmp_path / ".env").write_text(f"CUTOVER_URL=http://x\nREDIS_IMAGE=redis:7.4@sha256:{'a' * 64}\n")
    assert lint.confinement(tmp_path) == ""
    (tmp_path / ".env").write_text("REDIS_IMAGE=redis:7.4\n")
    assert "redis:7.4 has no digest" in lint.confinement(tmp_path)


def test_images_are_printed_by_digest(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho sha256:{'b' * 64}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    images = lint.images(repository)
    assert images["POSTGRES_18_IMAGE"] == f"postgres:18@sha256:{'b' * 64}"
    assert images.keys() == {"PYTHON_IMAGE", "POSTGRES_16_IMAGE", "POSTGRES_18_IMAGE", "REDIS_IMAGE"}
    docker.write_text("#!/bin/sh\necho 'no such registry' >&2; exit 1\n")
    with pytest.raises(CutoverError, match=r"\[stack.no-digest\] image .*no such registry"):
        lint.images(repository)


def test_secrets_are_made_once_and_kept_to_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert set(containers.write_missing(folder)) == set().union(*SECRETS.values())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    before = {path.name: path.read_text() for path in folder.iterdir()}
    (folder / "jwt_secret").unlink()
    assert containers.write_missing(folder) == ["jwt_secret"]
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"jwt_secret"}
    assert len(set(before.values())) == len(before)


def test_a_service_becomes_its_command_with_what_its_secrets_say(tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "secrets"
    containers.write_missing(folder)
    (folder / "metadata_password").write_text("p@ss/word\n")
    settings = containers.variables(folder)
    assert (
        settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        == "postgresql+psycopg2://airflow:p%40ss%2Fword@metadata/airflow"
    )
    assert settings["AIRFLOW__CELERY__BROKER_URL"].startswith("redis://:")
    assert settings["AIRFLOW_CONN_PRODUCTION"].startswith("postgresql://cutover:")
    assert read_passwords([], settings).keys() == {account.name for account in ACCOUNTS}
    local = Settings.read({"CUTOVER_HOME": str(tmp_path)}).airflow_environment()
    for name in ("AIRFLOW_CONN_XENDIT", "AIRFLOW_CONN_SYSTEMEIO"):
        assert settings[name] == local[name]
    # and a service without a secret has none of it
    for name in SECRETS["worker"] ^ names(folder):
        (folder / name).unlink()
    script = f"from stack.containers import main; from pathlib import Path; main(['env'], Path({str(folder)!r}))"
    path = os.pathsep.join([str(repository / "include"), str(repository / "plugins")])
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PATH": os.environ["PATH"], "PYTHONPATH": path}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    given = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert {"AIRFLOW__CELERY__RESULT_BACKEND", "AIRFLOW__API__SECRET_KEY", "AIRFLOW_CONN_XENDIT"} <= given
    assert not given & {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "CUTOVER_PASSWORD_ADMIN"}


def test_a_line_of_a_secret_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "targets.env").write_text("# why\n\nAIRFLOW_CONN_A=b=c\nhunter2\n")
    with pytest.raises(CutoverError, match="line 4: it is not NAME=value") as refused:
        containers.variables(tmp_path)
    assert "hunter2" not in str(refused.value)
    (tmp_path / "targets.env").write_text("AIRFLOW_CONN_A=b=c")
    assert containers.variables(tmp_path) == {"AIRFLOW_CONN_A": "b=c"}


def test_health_checks_of_airflows_commands_have_the_secrets_too(compose: dict[str, Any]) -> None:
    """``docker exec`` does not pass through the image's entry point."""
    for name, service in compose["services"].items():
        test = " ".join(service.get("healthcheck", {}).get("test", ()))
        assert not re.search("airflow jobs|celery", test) or "python -m stack.containers " in test, name


def test_named_volumes_hold_the_state(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"], name


def test_the_image_holds_what_it_needs_and_pins_it(repository: Path) -> None:
    text = (repository / "Dockerfile").read_text()
    # dockerfilelint does not look at the argument's value (.dockerfilelintrc): the tag is asked for here
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.1[0-4]-slim-bookworm\nFROM \$\{PYTHON_IMAGE\}$", text, re.MULTILINE)
    assert "pip install --compile --require-hashes --requirement /opt/cutover/requirements-image.txt" in text
    assert 'ENTRYPOINT ["python", "-m", "stack.containers"]' in text
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert copied == ["requirements-image.txt", "dags", "plugins", "include"]
    allowed = (repository / ".dockerignore").read_text().splitlines()
    for path in copied:
        assert (repository / path).exists()
        assert f"!{path}" in allowed
    assert text.rindex("\nUSER airflow") > text.rindex("\nRUN ")


def pins(path: Path) -> dict[str, set[str]]:
    """Package → versions."""
    values: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][^=\s\[]*)(?:\[[^]]*\])?==([^\s;]+)", path.read_text(), re.MULTILINE):
        values.setdefault(name, set()).add(version)
    return values


def test_the_image_has_every_package_that_its_code_imports_and_no_test_tool(repository: Path) -> None:
    in_image, everything = pins(repository / "requirements-image.txt"), pins(repository / "requirements.txt")
    assert in_image.items() <= everything.items()
    assert not {"pytest", "hypothesis", "playwright", "ruff", "mypy", "sqlfluff", "uv"} & in_image.keys()
    provided = importlib.metadata.packages_distributions()
    for folder in ("dags", "plugins", "include/demo", "include/stack"):
        for path in (repository / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                for module in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
                    packages = {re.sub("[-_.]+", "-", name).lower() for name in provided.get(module, ())}
                    assert not packages or packages & in_image.keys(), (path.name, module)


def test_an_account_without_a_password_stops_the_initialisation() -> None:
    variables = {f"CUTOVER_PASSWORD_{account.name.upper()}": "x" for account in ACCOUNTS}
    assert read_passwords([], variables).keys() == {account.name for account in ACCOUNTS}
    with pytest.raises(CutoverError, match=r"\[stack.no-password\] account reviewer"):
        read_passwords([], {**variables, "CUTOVER_PASSWORD_REVIEWER": ""})
