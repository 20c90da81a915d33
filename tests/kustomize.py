"""Reads a kustomization as `kubectl kustomize` renders it, as far as those in k8s/ go: resources, components, the namespace, and strategic
merge patches. Where there is a kubectl, a test holds the two against each other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from tests.running_mesh import ROOT

Manifest = dict[str, Any]

K8S = ROOT / "k8s"
OVERLAYS = {"base": K8S / "base", "dev": K8S / "overlays/dev", "production": K8S / "overlays/production"}

_MERGED_BY = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}
_NOT_NAMESPACED = {"Namespace"}
_KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "patches"}


def render(folder: Path) -> list[Manifest]:
    """Every object of it."""
    return _apply(folder, [])


def load(path: Path) -> list[Manifest]:
    """The objects of one file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _apply(folder: Path, objects: list[Manifest]) -> list[Manifest]:
    wanted = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := wanted.keys() - _KNOWN:
        raise NotImplementedError(f"{folder}: {unknown}")
    for name in wanted.get("resources", ()):
        path = folder / name
        objects = objects + (render(path) if path.is_dir() else load(path))
    for name in wanted.get("components", ()):
        objects = _apply(folder / name, objects)
    for patch in wanted.get("patches", ()):
        changes = load(folder / patch["path"]) if "path" in patch else list(yaml.safe_load_all(patch["patch"]))
        for change in changes:
            objects = _patched(objects, change, patch.get("target") or _identity(change))
    for found in objects:
        if "namespace" in wanted and found["kind"] not in _NOT_NAMESPACED:
            found["metadata"]["namespace"] = wanted["namespace"]
    return objects


def _identity(change: Manifest) -> dict[str, str]:
    return {"kind": change["kind"], "name": change["metadata"]["name"]}


def _patched(objects: list[Manifest], change: Manifest, target: dict[str, str]) -> list[Manifest]:
    def is_meant(found: Manifest) -> bool:
        return bool(found["kind"] == target["kind"]) and target.get("name", found["metadata"]["name"]) == found["metadata"]["name"]

    if not any(map(is_meant, objects)):
        raise LookupError(f"nothing to patch: {target}")
    if change.get("$patch") == "delete":
        return [found for found in objects if not is_meant(found)]
    change = {key: value for key, value in change.items() if key not in ("apiVersion", "kind", "metadata")}
    return [_merged(found, change, "") if is_meant(found) else found for found in objects]


def _merged(value: Any, change: Any, field: str) -> Any:
    if isinstance(value, dict) and isinstance(change, dict):
        if change.get("$patch") == "replace":
            return {key: part for key, part in change.items() if key != "$patch"}
        merged = copy.deepcopy(value)
        for key, part in change.items():
            merged[key] = _merged(merged[key], part, key) if key in merged else part
        return merged
    if isinstance(value, list) and isinstance(change, list) and field in _MERGED_BY:
        key = _MERGED_BY[field]
        rest = {part[key]: part for part in change}
        kept = [_merged(part, rest.pop(part[key]), field) if part[key] in rest else part for part in value]
        return [part for part in (*kept, *rest.values()) if part.get("$patch") != "delete"]
    return change
