"""What happens to an asset that its collection has already, and what a project sets for itself, on a whole running mesh."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.index_client import Project, admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

ORIGINAL = encoded(photo(500), "JPEG")
COPY = encoded(Image.fromarray(photo(500)).resize((480, 360)), "WEBP")
OTHER = encoded(photo(501), "JPEG")


@pytest.fixture
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


def shown(project: Project, asset: str) -> Any:
    return project.request("GET", f"/v1/assets/{asset}").json


@pytest.mark.parametrize("content", [ORIGINAL, COPY], ids=["same bytes", "copy"])
def test_duplicate_is_skipped_and_names_what_it_is_one_of(project: Project, content: bytes) -> None:
    original = project.index_upload(ORIGINAL, collection="c", on_duplicate="skip")
    assert shown(project, original)["status"] == "ready"
    assert "duplicate_of" not in shown(project, original)
    duplicate = project.index_upload(content, collection="c", on_duplicate="skip")
    found = shown(project, duplicate)
    assert (found["status"], found["error"]["code"], found["duplicate_of"]) == ("failed", "duplicate", original)
    assert original in found["error"]["message"]
    jobs = project.request("GET", "/v1/jobs").json["jobs"]
    (job,) = [job for job in jobs if job["asset_id"] == duplicate]
    assert (job["status"], job["error"]["code"], job["progress"]["failed"]) == ("failed", "duplicate", 1)
    hits = project.upload("/v1/search/image/upload", COPY).json["results"]
    assert [hit["asset_id"] for hit in hits] == [original]
    assert project.post(f"/v1/assets/{duplicate}/retry").code == "conflict"


def test_duplicate_is_linked_and_found_like_any_other(project: Project, origin: Origin) -> None:
    original = project.index(origin.serve("link-a.jpg", ORIGINAL))
    copy = project.index(origin.serve("link-b.webp", COPY), on_duplicate="link")
    assert (shown(project, copy)["status"], shown(project, copy)["duplicate_of"]) == ("ready", original)
    assert {hit["asset_id"] for hit in project.search(origin.url("link-a.jpg"))} == {original, copy}


def test_what_is_no_duplicate_is_indexed(project: Project) -> None:
    project.index_upload(ORIGINAL, collection="c")
    other = project.index_upload(OTHER, collection="c", on_duplicate="skip")
    elsewhere = project.index_upload(ORIGINAL, collection="d", on_duplicate="skip")
    told_nothing = project.index_upload(COPY, collection="c")
    assert all(shown(project, asset)["status"] == "ready" for asset in (other, elsewhere, told_nothing))


def test_of_copies_that_come_at_once_one_is_indexed(project: Project) -> None:
    copies = [encoded(photo(502), "JPEG", quality=quality) for quality in (95, 90, 85, 80, 75, 70)]
    with ThreadPoolExecutor(6) as at_once:
        assets = list(at_once.map(lambda content: project.index_upload(content, on_duplicate="skip"), copies))
    found = [shown(project, asset) for asset in assets]
    (original,) = [asset["id"] for asset in found if asset["status"] == "ready"]
    assert {asset["duplicate_of"] for asset in found if asset["status"] == "failed"} == {original}


def test_project_sets_its_own_default_threshold(project: Project, origin: Origin) -> None:
    asset = project.index_upload(encoded(photo(503), "JPEG"))
    url = origin.serve(
        "threshold.jpg", encoded(Image.fromarray(photo(503)).resize((300, 200)).crop((20, 20, 270, 170)), "JPEG", quality=30)
    )
    ((found, similarity),) = [(hit["asset_id"], hit["similarity"]) for hit in project.search(url, threshold=0.0)]
    assert (found, similarity < 1.0) == (asset, True)
    admin(project.mesh, "settings", project.id, "--image-threshold", str(min(1.0, similarity + 0.0001)))
    assert project.search(url) == []
    printed = admin(project.mesh, "settings", project.id, "--image-threshold", "default", "--video-threshold", "0.5").splitlines()
    assert "image-threshold default" in printed
    assert "video-threshold 0.5" in printed
    assert [hit["asset_id"] for hit in project.search(url, threshold=similarity)] == [asset]


def test_strong_is_said_only_where_it_is_asked_for_and_never_of_pictures(project: Project) -> None:
    project.index_upload(ORIGINAL)
    (plain,) = project.upload("/v1/search/image/upload", COPY).json["results"]
    (told,) = project.upload("/v1/search/image/upload", COPY, include="strong").json["results"]
    assert "strong" not in plain
    assert told == {**plain, "strong": None}


def test_film_is_strong_where_threshold_and_coverage_are_reached(project: Project) -> None:
    """By a list: what is found by its bytes is found whole, and so reaches any coverage but not a threshold above one."""
    value = "5a" * 32
    assert project.upload("/v1/index/video/hashes", value.encode(), "text/csv", kind="sha256").json["accepted"] == 1
    ask = {"hash": value, "kind": "sha256", "include": ["strong"]}
    (hit,) = project.post("/v1/search/video/hash", **ask).json["results"]
    assert (hit["similarity"], hit["coverage"], hit["strong"]) == (1.0, 1.0, True)
