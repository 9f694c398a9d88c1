"""The values for Airflow's Helm chart: that they mean what the compose file does, and that the chart takes them.

The chart is not in this repository. Its part is run where ``CUTOVER_AIRFLOW_CHART`` names the chart's folder, and the
rendering where there is ``helm`` besides.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CHART = os.environ.get("CUTOVER_AIRFLOW_CHART")
COMPONENTS = ("apiServer", "scheduler", "dagProcessor", "triggerer", "workers")
# What the compose file says by variables that the chart sets by itself, or knows by another name.
BY_THE_CHART = {
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__AUTH_MANAGER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__LOAD_EXAMPLES",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",
}


@pytest.fixture(scope="module")
def values(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((repository / "deploy" / "helm" / "values.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    return loaded


def variables(values: dict[str, Any]) -> dict[str, str]:
    """What the values say to Airflow, as variables."""
    named = {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, settings in values["config"].items()
        for name, value in settings.items()
    }
    return named | {entry["name"]: entry["value"] for entry in values["env"]}


def test_the_settings_are_those_of_the_compose_file(values: dict[str, Any], compose: dict[str, Any]) -> None:
    composed = compose["services"]["scheduler"]["environment"]
    given = variables(values)
    assert composed.keys() - given.keys() == BY_THE_CHART
    different = {name for name in composed.keys() & given.keys() if str(composed[name]) != given[name]}
    # several machines: a store for what one pod writes and another reads, and for task logs
    stored = {"CUTOVER_ANCHORS", "CUTOVER_DATA_DOCS", "CUTOVER_DUMPS"}
    logs = {"AIRFLOW__LOGGING__REMOTE_LOGGING", "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"}
    assert different == {"AIRFLOW__API__BASE_URL"} | stored | logs
    assert given.keys() - composed.keys() == set()
    for name in stored:
        folder = name.removeprefix("CUTOVER_").lower()
        assert composed[name] == f"${{CUTOVER_STORE:-/opt/cutover/state}}/{folder}"
        assert given[name] == f"s3://cutover_store@BUCKET/cutover/{folder}"


def test_airflow_is_the_version_that_is_installed(values: dict[str, Any], repository: Path) -> None:
    [pinned] = re.findall(r"^apache-airflow==([\d.]+)", (repository / "requirements.txt").read_text(), re.MULTILINE)
    assert values["airflowVersion"] == pinned


def test_every_pod_is_confined_as_the_services_of_the_compose_file_are(values: dict[str, Any]) -> None:
    confined = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert values["securityContexts"]["containers"] == confined
    assert values["securityContexts"]["pod"]["runAsNonRoot"] is True
    for name in ("redis", "statsd"):
        assert values[name]["securityContexts"]["container"] == confined
        assert values[name]["securityContexts"]["pod"]["runAsNonRoot"] is True
    for name in (*COMPONENTS, "redis", "statsd", "migrateDatabaseJob"):
        assert values[name]["serviceAccount"] == {"automountServiceAccountToken": False}, name


def test_every_component_asks_for_memory_and_may_not_take_more_than_it_is_given(values: dict[str, Any]) -> None:
    for name in (*COMPONENTS, "migrateDatabaseJob"):
        asked, most = values[name]["resources"]["requests"], values[name]["resources"]["limits"]
        assert re.fullmatch(r"\d+m", asked["cpu"]), name
        assert 0 < int(asked["memory"].removesuffix("Mi")) < int(most["memory"].removesuffix("Mi")), name


def test_each_component_mounts_its_own_secret_and_the_page_says_how_each_is_made(
    values: dict[str, Any], repository: Path
) -> None:
    mounted = {
        name: values[name]["extraVolumes"][0]["secret"]["secretName"] for name in values if _mounts(values[name])
    }
    assert mounted == {
        "migrateDatabaseJob": "cutover-accounts",
        "apiServer": "cutover-api-server",
        "workers": "cutover-worker",
    }
    text = (repository / "deploy" / "helm" / "values.yaml").read_text()
    named = set(re.findall(r"(?:ecretName|SecretKeySecretName|name|claimName): (cutover-[\w-]+)", text))
    page = (repository / "docs" / "kubernetes.md").read_text()
    assert named == set(re.findall(r"create secret generic (cutover-[\w-]+)", page))


def test_no_pod_needs_what_another_has_on_its_disk(values: dict[str, Any]) -> None:
    assert [volume["name"] for volume in values["volumes"] if "emptyDir" not in volume] == []
    assert values["workers"]["persistence"]["enabled"] is False


def _mounts(component: Any) -> bool:
    return isinstance(component, dict) and any(
        mount["mountPath"] == "/run/secrets" for mount in component.get("extraVolumeMounts", ())
    )


def test_the_exporter_gets_the_mapping_of_the_metrics(values: dict[str, Any], repository: Path) -> None:
    mapping = yaml.safe_load((repository / "deploy" / "monitoring" / "statsd_mapping.yml").read_text())
    assert values["statsd"]["extraMappings"] == mapping["mappings"]


@pytest.fixture(scope="module")
def chart() -> Path:
    if CHART is None:
        pytest.skip("CUTOVER_AIRFLOW_CHART names no folder of Airflow's chart")
    return Path(CHART)


def test_the_chart_knows_every_value(values: dict[str, Any], chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(values)
    assert values.keys() <= schema["properties"].keys()


@pytest.fixture(scope="module")
def manifests(chart: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the chart makes of the values. The chart's PostgreSQL, which is off, needs not be there."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    copy = tmp_path_factory.mktemp("chart") / "airflow"
    shutil.copytree(chart, copy)
    metadata = yaml.safe_load((copy / "Chart.yaml").read_text())
    metadata.pop("dependencies", None)
    (copy / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (copy / "Chart.lock").unlink(missing_ok=True)
    command = [helm, "template", "cutover", copy, "--namespace", "cutover", "--values"]
    done = subprocess.run(
        [*command, repository / "deploy" / "helm" / "values.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def test_what_is_rendered_is_confined_and_calls_nothing_that_the_image_has_not(
    manifests: list[dict[str, Any]],
) -> None:
    pods = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job")
    }
    assert pods.keys() == {
        f"cutover-{name}"
        for name in (
            "api-server",
            "dag-processor",
            "redis",
            "run-airflow-migrations",
            "scheduler",
            "statsd",
            "triggerer",
            "worker",
        )
    }
    assert "/entrypoint" not in json.dumps(pods) and "/clean-logs" not in json.dumps(pods)
    accounts = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ServiceAccount"}
    for name, pod in pods.items():
        assert accounts[pod["serviceAccountName"]].get("automountServiceAccountToken") is False, name
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, (name, container["name"])
    assert [m["kind"] for m in manifests if m["kind"] in ("Secret", "Role", "RoleBinding")] == []
    [scaled] = [m for m in manifests if m["kind"] == "ScaledObject"]
    assert "count(*)::decimal / 4" in scaled["spec"]["triggers"][0]["metadata"]["query"].lower()
