"""Mapping, rules, dashboard and documentation name the metrics that there are, all of them, and no other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.operators import metrics

_NAME = re.compile(r"airflow_cutover_\w+")
_ROW = re.compile(r"^\| `(cutover\.[\w.]+)` \| ([^|]+) \|([^|]*)\| ([^|]+) \|", re.MULTILINE)
KNOWN = {metric.prometheus: metric for metric in metrics.METRICS}


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "deploy" / "monitoring"


@pytest.fixture(scope="module")
def rules(folder: Path) -> list[dict[str, Any]]:
    [group] = yaml.safe_load((folder / "prometheus_rules.yml").read_text())["groups"]
    loaded: list[dict[str, Any]] = group["rules"]
    return loaded


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "grafana_dashboard.json").read_text())
    return loaded


def page(repository: Path) -> str:
    return (repository / "docs" / "monitoring.md").read_text()


def test_the_page_has_each_metric_with_its_unit_labels_and_meaning(repository: Path) -> None:
    rows = {
        name: (unit, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, unit, labels, meaning in _ROW.findall(page(repository))
    }
    assert rows == {metric.name: (metric.unit, metric.labels, metric.meaning) for metric in metrics.METRICS}


def test_the_page_says_of_each_alert_what_to_do(repository: Path, rules: list[dict[str, Any]]) -> None:
    text = page(repository)
    alerts = text[text.index("## Alerts") :]
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", alerts, re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in rules]
    for rule in rules:
        assert re.search(r"^1\. ", sections[rule["alert"]], re.MULTILINE), rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_rules_name_metrics_and_labels_that_there_are(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        used = set(_NAME.findall(rule["expr"]))
        assert used and used <= KNOWN.keys(), rule["alert"]
        labels = {"migration", *(label for name in used for label in KNOWN[name].labels)}
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels, rule["alert"]


def test_the_dashboard_shows_every_metric_and_no_other(dashboard: dict[str, Any]) -> None:
    shown: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            [name] = _NAME.findall(target["expr"])
            shown.add(name)
            labels = {"migration", *KNOWN[name].labels}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert shown == KNOWN.keys()


def test_the_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 36
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"datasource", "migration"}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in ("stat", "timeseries") and panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells


def test_the_mapping_makes_labels_of_what_plain_statsd_gets(folder: Path) -> None:
    mappings = yaml.safe_load((folder / "statsd_mapping.yml").read_text())["mappings"]
    assert [mapping["name"] for mapping in mappings] == list(KNOWN)
    for mapping in mappings:
        metric = KNOWN[mapping["name"]]
        labels = dict(zip(("migration", *metric.labels), ("clean_launch", "a.b"), strict=False))
        sent = "airflow." + metrics._plain(metric, labels)
        # a star of the exporter is one part of a name
        pattern = re.escape(mapping["match"]).replace(r"\*", r"([^.]*)")
        match = re.fullmatch(pattern, sent)
        assert match is not None, sent
        given = {label: match[int(value.removeprefix("$"))] for label, value in mapping["labels"].items()}
        assert given == {label: value.replace(".", "__") for label, value in labels.items()}
        assert sum(bool(re.fullmatch(re.escape(m["match"]).replace(r"\*", r"([^.]*)"), sent)) for m in mappings) == 1


@pytest.mark.parametrize(
    "command", [("check", "rules", "prometheus_rules.yml"), ("test", "rules", "prometheus_rules_test.yml")]
)
def test_prometheus_itself_takes_the_rules(folder: Path, command: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus)")
    done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(
    folder: Path, rules: list[dict[str, Any]]
) -> None:
    cases = [
        case
        for test in yaml.safe_load((folder / "prometheus_rules_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} >= {
            rule["alert"] for rule in rules
        }, fires
