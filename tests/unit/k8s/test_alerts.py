"""Alerts fire when they should, dashboards and alerts ask for metrics that exist, and each alert has a page to turn to."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.kustomize import K8S, load
from tests.running_mesh import ROOT

MONITORING = K8S / "monitoring"
MODULES = ("gateway.server", "image_svc.server", "video_svc.server", "audio_svc.server", "fetcher_svc.server", "index_svc.server")
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")
UNBOUNDED = {"url", "project", "key", "user", "tenant", "host", "address", "request_id", "asset"}


@pytest.fixture(scope="module")
def rules() -> Any:
    (rule,) = load(MONITORING / "alerts.yaml")
    return rule["spec"]


@pytest.fixture(scope="module")
def panels() -> list[Any]:
    (dashboard,) = load(MONITORING / "dashboard.yaml")
    return list(json.loads(dashboard["data"]["mediamesh.json"])["panels"])


def collectors() -> list[Any]:
    """Ours, of every service."""
    for module in MODULES:
        importlib.import_module(module)
    known: set[Any] = set(REGISTRY._collector_to_names)
    return [collector for collector in known if getattr(collector, "_name", "").startswith("mediamesh_")]


def metrics() -> dict[str, set[str]]:
    """What the services tell, with the labels of each."""
    return {f"{collector._name}{suffix}": set(collector._labelnames) for collector in collectors() for suffix in SUFFIXES}


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bmediamesh_\w+", expression))


def test_alerts_ask_for_metrics_that_exist(rules: Any) -> None:
    known = metrics()
    for rule in rules["groups"][0]["rules"]:
        assert names_in(rule["expr"]) <= known.keys(), rule["alert"]


def test_panels_ask_for_metrics_that_exist(panels: list[Any]) -> None:
    known = metrics()
    drawn = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert drawn
    for expression in drawn:
        assert names_in(expression) and names_in(expression) <= known.keys(), expression


def test_no_metric_has_a_label_without_bounds() -> None:
    assert not [name for name, labels in metrics().items() if labels & UNBOUNDED]


def test_times_are_told_in_seconds() -> None:
    assert all(collector._name.endswith("_seconds") for collector in collectors() if collector._type == "histogram")


def test_each_alert_has_its_page(rules: Any) -> None:
    headings = {
        line.lstrip("# ").strip().lower() for line in (ROOT / "docs/operations.md").read_text().splitlines() if line.startswith("#")
    }
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["alert"].lower() in headings


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
def test_alerts_fire_when_they_should_and_not_before(rules: Any, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(MONITORING / "alerts.test.yaml", tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested(rules: Any) -> None:
    tested = yaml.safe_load((MONITORING / "alerts.test.yaml").read_text())["tests"]
    fired = {case["alertname"] for one in tested for case in one["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules["groups"][0]["rules"]}
