"""The database's backups: what k8s/backup adds to production, which no overlay has before somebody names a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.kustomize import K8S, OVERLAYS, Manifest, render
from tests.unit.k8s.test_manifests import OLDEST, SCHEMAS

PLUGIN = "barman-cloud.cloudnative-pg.io"


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """Production with the component, as an overlay of one's own has them."""
    folder = tmp_path_factory.mktemp("overlay")
    wanted = {"resources": [str(OVERLAYS["production"])], "components": [str(K8S / "backup")], "namespace": "mediamesh"}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    return render(Path(folder))


def one(objects: list[Manifest], kind: str, name: str) -> Any:
    (found,) = (found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name))
    return found["spec"]


def test_objects_are_what_their_kinds_ask_for(backed_up: list[Manifest]) -> None:
    before = render(OVERLAYS["production"])
    added = [found for found in backed_up if found not in before]
    assert sorted(found["kind"] for found in added) == ["Cluster", "NetworkPolicy", "ObjectStore", "ScheduledBackup"]
    for found in added:
        assert found["metadata"]["namespace"] == "mediamesh"
        if found["kind"] in SCHEMAS:
            jsonschema.validate(found, SCHEMAS[found["kind"]])
        else:
            kubernetes_validate.validate(found, OLDEST, strict=True)


def test_backups_and_every_change_go_to_the_store_that_is_there(backed_up: list[Manifest]) -> None:
    schedule, (plugin,) = one(backed_up, "ScheduledBackup", "database"), one(backed_up, "Cluster", "database")["plugins"]
    assert one(backed_up, "ObjectStore", plugin["parameters"]["barmanObjectName"])["retentionPolicy"]
    assert plugin["isWALArchiver"] is True
    assert schedule["method"] == "plugin"
    assert plugin["name"] == schedule["pluginConfiguration"]["name"] == PLUGIN
    assert one(backed_up, "Cluster", schedule["cluster"]["name"])["instances"] > 1


def test_only_the_database_reaches_the_store(backed_up: list[Manifest]) -> None:
    policy = one(backed_up, "NetworkPolicy", "database-backup")
    assert policy["podSelector"]["matchLabels"] == {"cnpg.io/cluster": "database"}
    assert policy["policyTypes"] == ["Egress"]
    assert [rule["ports"] for rule in policy["egress"]] == [[{"protocol": "TCP", "port": 443}]]
