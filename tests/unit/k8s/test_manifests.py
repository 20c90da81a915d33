"""Every object of every overlay is what its kind asks for, and is rendered as kubectl renders it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.kustomize import K8S, OVERLAYS, Manifest, render

OLDEST = "1.30"
"""Kubernetes, for preStop's sleep."""
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (K8S / "schemas").glob("*.json")}


def in_all_overlays() -> list[Any]:
    return [
        pytest.param(found, id=f"{overlay} {found['kind']} {found['metadata']['name']}")
        for overlay, folder in OVERLAYS.items()
        for found in render(folder)
    ]


@pytest.mark.parametrize("found", in_all_overlays())
def test_object_is_what_its_kind_asks_for(found: Manifest) -> None:
    if found["kind"] in SCHEMAS:
        jsonschema.validate(found, SCHEMAS[found["kind"]])
    else:
        kubernetes_validate.validate(found, OLDEST, strict=True)


def test_schema_of_a_custom_kind_refuses_what_it_does_not_know() -> None:
    (monitor,) = (found for found in render(OVERLAYS["production"]) if found["kind"] == "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["prot"] = "metrics"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(monitor, SCHEMAS["ServiceMonitor"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_object_is_there_twice(overlay: str) -> None:
    names = [(found["kind"], found["metadata"]["name"]) for found in render(OVERLAYS[overlay])]
    assert len(names) == len(set(names))


def test_every_file_belongs_to_some_overlay_or_component() -> None:
    named: set[str] = set()
    for path in K8S.rglob("kustomization.yaml"):
        wanted = yaml.safe_load(path.read_text())
        parts = [*wanted.get("resources", ()), *(patch["path"] for patch in wanted.get("patches", ()) if "path" in patch)]
        named |= {str((path.parent / part).resolve()) for part in parts}
    left = {str(path) for path in K8S.rglob("*.yaml")} - named
    assert {path.rsplit("/", 1)[1] for path in left} == {"kustomization.yaml", "alerts.test.yaml"}


def kubectl_renders() -> bool:
    """From 1.27 on its kustomize is a 5."""
    if shutil.which("kubectl") is None:
        return False
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"Client Version: .*?v1\.(\d+)", said)
    return version is not None and int(version.group(1)) >= 27


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.skipif(not kubectl_renders(), reason="there is no kubectl of 1.27 or newer")
def test_kubectl_renders_the_same(overlay: str) -> None:
    done = subprocess.run(["kubectl", "kustomize", str(OVERLAYS[overlay])], capture_output=True, text=True, check=True)
    theirs = {(found["kind"], found["metadata"]["name"]): found for found in yaml.safe_load_all(done.stdout)}
    ours = {(found["kind"], found["metadata"]["name"]): found for found in render(OVERLAYS[overlay])}
    assert theirs.keys() == ours.keys()
    for name, found in ours.items():
        assert in_order(found) == in_order(theirs[name]), name


def in_order(value: Any) -> Any:
    """Lists of named things have no order of their own."""
    if isinstance(value, dict):
        return {key: in_order(part) for key, part in value.items()}
    if isinstance(value, list):
        parts = [in_order(part) for part in value]
        return sorted(parts, key=lambda part: str(part.get("name"))) if all(isinstance(part, dict) for part in parts) else parts
    return value
