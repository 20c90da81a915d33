"""The index's life on a whole mesh: processes are killed, and nothing that was accepted is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.test_index_uploads import database, nobodys_chunks, post_head, until
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import Track, film_of
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index-life")


@pytest.fixture(scope="module")
def own_mesh(data_dir: Path) -> Iterator[RunningMesh]:
    with RunningMesh(data_dir, AUTH="on") as running:
        yield running


@pytest.fixture(scope="module")
def project(own_mesh: RunningMesh) -> Project:
    return new_project(own_mesh)


def service(mesh: RunningMesh, module: str) -> psutil.Process:
    assert mesh.process is not None
    children = psutil.Process(mesh.process.pid).children()
    return next(child for child in children if child.cmdline()[-1:] == [module])


def postmaster(mesh: RunningMesh) -> int:
    return int((mesh.data_dir / "database" / "18" / "postmaster.pid").read_text().splitlines()[0])


def until_answering(project: Project) -> set[str]:
    """The codes that came until it did."""
    codes: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := project.request("GET", "/v1/assets?limit=1")).status != 200:
        codes.add(answer.code)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return codes


def test_pair_endpoints_ask_for_a_key_where_auth_is_on(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    url = origin.serve("auth.jpg", encoded(photo(1), "JPEG"))
    assert own_mesh.match(url, url).code == "unauthorized"
    assert project.post("/image/match", source_url=url, target_url=url).json["match"] is True


def test_killed_index_loses_no_job(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    urls = [origin.serve(f"life-{seed}.jpg", encoded(photo(seed, 320, 240), "JPEG")) for seed in range(200, 212)]
    assets = [project.post("/v1/index/image/url", url=url).json["asset_id"] for url in urls]
    service(own_mesh, "index_svc").kill()
    assert until_answering(project) <= {"not_available"}
    assert [project.until_done(asset)["status"] for asset in assets] == ["ready"] * len(assets)
    assert {hit["asset_id"] for url in urls for hit in project.search(url)} == set(assets)


def test_index_that_is_killed_during_an_upload_leaves_no_half_of_it(own_mesh: RunningMesh, project: Project) -> None:
    content = encoded(photo(215, 1600, 1200), "BMP")
    head = post_head(project, "/v1/index/image/upload", f"Content-Length: {len(content)}")
    with own_mesh.connect(PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + content[: len(content) // 2])
        until(lambda: nobodys_chunks(own_mesh))
        service(own_mesh, "index_svc").kill()
        answer = connection.recv(65536)
    assert b" 503 " in answer.splitlines()[0]
    until_answering(project)
    with database(own_mesh) as connection:
        # As if it had been two minutes ago.
        connection.execute("UPDATE media SET expires_at = now() WHERE asset IS NULL")
    until(lambda: nobodys_chunks(own_mesh) == 0)
    assert content_of_all(own_mesh) == 0
    asset = project.index_upload(content)
    assert project.request("GET", f"/v1/assets/{asset}").json["status"] == "ready"


def content_of_all(mesh: RunningMesh) -> int:
    with database(mesh) as connection:
        found = connection.execute("SELECT count(*) FROM media_chunks").fetchone()
    assert found is not None
    return int(found[0])


def test_killed_index_loses_no_upload(own_mesh: RunningMesh, project: Project) -> None:
    """Their bytes are there, and nowhere else: no origin could give them again."""
    assets = [project.upload("/v1/index/image/upload", encoded(photo(seed, 320, 240), "PNG")).json["asset_id"] for seed in range(216, 222)]
    service(own_mesh, "index_svc").kill()
    until_answering(project)
    assert [project.until_done(asset)["status"] for asset in assets] == ["ready"] * len(assets)
    assert content_of_all(own_mesh) == 0


def test_killed_matcher_loses_no_job(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    urls = [origin.serve(f"life-{seed}.jpg", encoded(photo(seed, 320, 240), "JPEG")) for seed in range(220, 226)]
    service(own_mesh, "image_svc").kill()
    assets = [project.post("/v1/index/image/url", url=url).json["asset_id"] for url in urls]
    assert [project.until_done(asset)["status"] for asset in assets] == ["ready"] * len(assets)


def test_killed_audio_service_costs_no_film_its_sound(own_mesh: RunningMesh, project: Project) -> None:
    films = [film_of([Track(music(seed, 6.0), RATE)]) for seed in (227, 228)]
    service(own_mesh, "audio_svc").kill()
    assets = [project.upload("/v1/index/video/upload", film).json["asset_id"] for film in films]
    assert [project.until_done(asset)["found_through"] for asset in assets] == [["video", "audio"]] * 2


def test_killed_database_comes_back_and_loses_nothing(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    urls = [origin.serve(f"life-{seed}.jpg", encoded(photo(seed, 320, 240), "JPEG")) for seed in range(230, 236)]
    assets = [project.post("/v1/index/image/url", url=url).json["asset_id"] for url in urls]
    os.kill(postmaster(own_mesh), signal.SIGKILL)
    assert until_answering(project) <= {"not_available"}
    assert [project.until_done(asset)["status"] for asset in assets] == ["ready"] * len(assets)


def test_next_mesh_takes_over_what_a_killed_one_left(own_mesh: RunningMesh, project: Project, data_dir: Path, origin: Origin) -> None:
    url = origin.serve("life-240.jpg", encoded(photo(240, 320, 240), "JPEG"))
    asset = project.index(url)
    assert own_mesh.process is not None
    left = [child for child in psutil.Process(own_mesh.process.pid).children(recursive=True) if child.is_running()]
    own_mesh.process.kill()
    own_mesh.process.wait()
    psutil.wait_procs(left, timeout=PATIENCE_SECONDS)
    with RunningMesh(data_dir, log_name="next.log", AUTH="on") as following:
        again = Project(following, project.id, project.key)
        deadline = time.monotonic() + PATIENCE_SECONDS
        # Its services find each other in the first moments.
        while again.post("/v1/search/image/url", url=url).status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert [hit["asset_id"] for hit in again.search(url)] == [asset]
