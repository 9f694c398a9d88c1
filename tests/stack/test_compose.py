"""The Docker deployment, checked without an engine: that it is valid, complete, and means what ./run means."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.errors import CutoverError
from stack.accounts import ACCOUNTS, read_passwords
from stack.settings import Settings

AIRFLOW_SERVICES = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
DEMONSTRATION = {"simulators", "production", "production-load"}
# What ./run sets for one machine and Celery workers in containers do not need, or get from elsewhere.
ONLY_LOCAL = {
    "AIRFLOW__CORE__PARALLELISM",
    "NO_PROXY",
    "PYTHONPATH",  # in the image
    "SPT_NOENV",
}


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    return loaded


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
    composed = compose["services"]["scheduler"]["environment"]
    # further demonstrations' databases are not in the compose file; your own come from .env
    missing = {name for name in local.keys() - composed.keys() if not name.startswith("AIRFLOW_CONN_")}
    assert missing == ONLY_LOCAL
    same = {name for name in local.keys() & composed.keys() if str(composed[name]) == local[name]}
    assert {
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME",
        "GX_ANALYTICS_ENABLED",
    } <= same
    # the demonstration's keys, where no connection is given
    for name in ("AIRFLOW_CONN_XENDIT", "AIRFLOW_CONN_SYSTEMEIO"):
        assert f"${{{name}:-{local[name]}}}" == composed[name]


def test_secrets_come_from_the_env_file_alone(compose: dict[str, Any], repository: Path) -> None:
    text = (repository / "docker-compose.yaml").read_text()
    example = (repository / ".env.example").read_text()
    offered = set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)[:}]", text))
    assert required == {"FERNET_KEY", "API_SECRET_KEY", "JWT_SECRET", "REDIS_PASSWORD", "METADATA_PASSWORD"}
    assert used <= offered
    assert {f"CUTOVER_PASSWORD_{account.name.upper()}" for account in ACCOUNTS} <= offered
    for line in re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE):
        assert line[1] == "", f"{line[0]} has a value in the example"
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=repository, check=False)
    assert ignored.returncode in (0, 128)  # 128: not a git checkout


def test_only_init_is_given_the_accounts_passwords(compose: dict[str, Any]) -> None:
    names = [f"CUTOVER_PASSWORD_{account.name.upper()}" for account in ACCOUNTS]
    for name, service in compose["services"].items():
        if "env_file" in service:
            given = [service["environment"][password] for password in names]
            assert given == ([f"${{{password}:-}}" for password in names] if name == "init" else [""] * len(names))


def test_named_volumes_hold_the_state(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"], name


def test_the_image_holds_what_it_needs_and_pins_it(repository: Path) -> None:
    text = (repository / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.1[0-4]-slim-bookworm$", text, re.MULTILINE)
    assert "pip install --require-hashes --requirement /opt/cutover/requirements.txt" in text
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert copied == ["requirements.txt", "dags", "plugins", "include"]
    allowed = (repository / ".dockerignore").read_text().splitlines()
    for path in copied:
        assert (repository / path).exists()
        assert f"!{path}" in allowed
    assert text.rindex("\nUSER airflow") > text.rindex("\nRUN ")


def test_an_account_without_a_password_stops_the_initialisation() -> None:
    variables = {f"CUTOVER_PASSWORD_{account.name.upper()}": "x" for account in ACCOUNTS}
    assert read_passwords([], variables).keys() == {account.name for account in ACCOUNTS}
    with pytest.raises(CutoverError, match=r"\[stack.no-password\] account reviewer"):
        read_passwords([], {**variables, "CUTOVER_PASSWORD_REVIEWER": ""})
