"""Versions of fingerprints on a whole mesh: what an earlier one has made is found, counted and made again, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from protos import media_pb2
from tests.bulk import rows_of, until_over, wait_until
from tests.e2e.test_index_life import service, until_answering
from tests.e2e.test_index_uploads import database
from tests.index_client import Project, admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import Track, film_of, recorded
from tests.running_mesh import RunningMesh, free_port
from tests.sounds import RATE, music


@pytest.fixture(scope="module")
def own_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with RunningMesh(tmp_path_factory.mktemp("index-versions")) as running:
        yield running


@pytest.fixture
def project(own_mesh: RunningMesh) -> Project:
    """A project that keeps media."""
    made = new_project(own_mesh)
    admin(own_mesh, "settings", made.id, "--store-media", "on")
    return made


def age(project: Project, *, collection: str | None = None) -> int:
    """As if the project's assets had been fingerprinted by an earlier version; how many these are."""
    with database(project.mesh) as connection:
        rows = connection.execute(
            "SELECT assets.number, fingerprints.payload FROM assets JOIN fingerprints ON fingerprints.asset = assets.number"
            " WHERE assets.project = %s AND (%s::text IS NULL OR assets.collection = %s)",
            [project.id, collection, collection],
        ).fetchall()
        for number, payload in rows:
            old = media_pb2.Fingerprint.FromString(payload)
            old.version -= 1
            connection.execute("UPDATE assets SET version = %s WHERE number = %s", [old.version, number])
            connection.execute("UPDATE fingerprints SET payload = %s WHERE asset = %s", [old.SerializeToString(), number])
            connection.execute("UPDATE unpacked SET terms = '{1,2,3}', positions = NULL WHERE asset = %s", [number])
    return len(rows)


def copy_of(seed: int) -> bytes:
    """Cropped: no hash says that it is the same."""
    return encoded(Image.fromarray(photo(seed)).crop((90, 60, 600, 440)), "JPEG")


def resized(seed: int) -> bytes:
    return encoded(Image.fromarray(photo(seed)).resize((480, 360)), "PNG")


def found(project: Project, content: bytes, medium: str = "image", **wanted: object) -> list[str]:
    answer = project.upload(f"/v1/search/{medium}/upload", content, **wanted)  # type: ignore[arg-type]
    assert answer.status == 200, answer.body
    return [hit["asset_id"] for hit in answer.json["results"]]


def refingerprint(project: Project) -> str:
    """The id of the job."""
    said = admin(project.mesh, "refingerprint", project.id, "--no-wait")
    job = re.search(r"job ([0-9a-f-]{36})", said)
    assert job is not None, said
    return job[1]


def versions(project: Project) -> list[tuple[str, int, str]]:
    """Medium, number of assets and state."""
    lines = [line.split() for line in admin(project.mesh, "versions", project.id).splitlines()]
    return [(line[0], int(line[3].replace(",", "")), line[4]) for line in lines]


def test_old_asset_is_found_by_its_bytes_and_its_look_and_all_others_as_ever(project: Project) -> None:
    old = project.index_upload(encoded(photo(500), "JPEG"), name="old", collection="old")
    new = project.index_upload(encoded(photo(501), "JPEG"), name="new")
    assert found(project, copy_of(500)) == [old]
    assert age(project, collection="old") == 1
    assert sorted(versions(project)) == [("image", 1, "current"), ("image", 1, "old")]
    (exact,) = project.upload("/v1/search/image/upload", encoded(photo(500), "JPEG")).json["results"]
    assert (exact["asset_id"], exact["similarity"], exact["name"]) == (old, 1.0, "old")
    (near,) = project.upload("/v1/search/image/upload", resized(500)).json["results"]
    assert near["asset_id"] == old
    assert 0.85 <= near["similarity"] <= 1.0
    assert found(project, resized(500), collections=["elsewhere"]) == []
    assert found(project, copy_of(501)) == [new]
    by_asset = project.post("/v1/search/image/asset", asset_id=old)
    assert [hit["asset_id"] for hit in by_asset.json["results"]] == [old]
    assert project.post("/v1/search/image/asset", asset_id=old, exclude_self=True).json["results"] == []
    assert found(project, copy_of(500)) == []


def test_old_sound_is_found_by_its_bytes(project: Project) -> None:
    sound = recorded(music(50, 8.0), "flac", rate=RATE)
    old = project.index_upload(sound, "audio")
    age(project)
    (hit,) = project.upload("/v1/search/audio/upload", sound, min_coverage="0.9").json["results"]
    assert (hit["asset_id"], hit["similarity"]) == (old, 1.0)


def test_duplicate_of_an_old_asset_is_known(project: Project) -> None:
    old = project.index_upload(encoded(photo(505), "JPEG"))
    age(project)
    again = project.request("GET", f"/v1/assets/{project.index_upload(encoded(photo(505), 'JPEG'), on_duplicate='skip')}").json
    assert (again["status"], again["error"]["code"], again["duplicate_of"]) == ("failed", "duplicate", old)


def test_old_assets_are_made_again_from_kept_bytes_and_urls(project: Project, origin: Origin) -> None:
    uploaded = project.index_upload(encoded(photo(510), "JPEG"), metadata={"a": 1})
    fetched = project.index(origin.serve("version.jpg", encoded(photo(511), "JPEG")))
    sound = music(51, 8.0)
    heard = project.index_upload(recorded(sound, "flac", rate=RATE), "audio")
    before = project.request("GET", f"/v1/assets/{uploaded}").json
    assert age(project) == 3
    assert found(project, copy_of(510)) == []
    job = until_over(project, refingerprint(project))
    assert (job["kind"], job["status"], job["media_type"], job["asset_id"]) == ("refingerprint", "ready", None, None)
    assert job["progress"] == {"total": 3, "pending": 0, "processing": 0, "ready": 3, "failed": 0}
    assert job["finished_at"] is not None
    assert job in project.request("GET", "/v1/jobs").json["jobs"]
    assert [row["asset_id"] for row in rows_of(project, job["id"])] == [uploaded, fetched, heard]
    assert found(project, copy_of(510)) == [uploaded]
    assert found(project, copy_of(511)) == [fetched]
    assert found(project, recorded(sound, "mp3", rate=RATE), "audio") == [heard]
    assert project.request("GET", f"/v1/assets/{uploaded}").json == before
    assert project.request("GET", f"/v1/assets/{uploaded}/media").body == encoded(photo(510), "JPEG")
    assert versions(project) == [("image", 2, "current"), ("audio", 1, "current")]
    assert admin(project.mesh, "refingerprint", project.id) == "nothing is old"


def test_what_cannot_be_made_again_says_why_and_stays(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    forgetful = new_project(own_mesh)
    lost = forgetful.index_upload(encoded(photo(520), "JPEG"))
    assert age(forgetful) == 1
    assert "1 media_not_kept: its media are not kept: index it again" in admin(own_mesh, "refingerprint", forgetful.id)
    assert found(forgetful, encoded(photo(520), "JPEG")) == [lost]
    changed = project.index(origin.serve("changed.jpg", encoded(photo(521), "JPEG")))
    origin.serve("changed.jpg", encoded(photo(522), "JPEG"))
    gone = project.index_upload(encoded(photo(523), "JPEG"))
    assert age(project) == 2
    assert project.request("DELETE", f"/v1/assets/{gone}").status == 204
    job = until_over(project, refingerprint(project))
    assert (job["status"], job["progress"]["total"], job["progress"]["failed"]) == ("failed", 1, 1)
    (row,) = rows_of(project, job["id"], "limit=10&status=failed")
    assert (row["asset_id"], row["error"]["code"], row["line"]) == (changed, "media_changed", None)
    assert project.request("GET", f"/v1/assets/{changed}").json["status"] == "ready"
    assert found(project, encoded(photo(521), "JPEG")) == [changed]
    assert found(project, encoded(photo(522), "JPEG")) == []


def test_killed_index_makes_all_of_them_again(own_mesh: RunningMesh, project: Project, origin: Origin) -> None:
    seeds = range(530, 542)
    first, *others = [encoded(photo(seed, 480, 360), "PNG") for seed in seeds]
    assets = [project.index(origin.serve("held-530.png", first)), *map(project.index_upload, others)]
    assert age(project) == len(assets)
    with held(origin, "held-530.png", first):
        job = refingerprint(project)
        wait_until(lambda: asked(origin, "held-530.png") > 1)
        assert refingerprint(project) == job
        assert project.request("GET", f"/v1/jobs/{job}").json["status"] == "processing"
        service(own_mesh, "index_svc").kill()
        until_answering(project)
    over = until_over(project, job)
    assert (over["progress"]["ready"], over["progress"]["failed"]) == (len(assets), 0)
    assert versions(project) == [("image", len(assets), "current")]
    assert [found(project, encoded(photo(seed, 480, 360), "JPEG")) for seed in seeds] == [[asset] for asset in assets]


def test_film_that_nobody_has_listened_to_is_heard_after_the_job(project: Project) -> None:
    """As those are that were indexed before films were listened to; what they show is not looked at again."""
    song = music(54, 10.0)
    films = [project.index_upload(film_of([Track(song, RATE)]), "video"), project.index_upload(film_of([]), "video")]
    clip = recorded(song, "mp3", rate=RATE)
    assert found(project, clip, "audio", media_types=["video"]) == films[:1]
    with database(project.mesh) as connection:
        numbers = [row[0] for row in connection.execute("SELECT number FROM assets WHERE project = %s", [project.id]).fetchall()]
        connection.execute("DELETE FROM sounds WHERE asset = ANY(%s)", [numbers])
        connection.execute("DELETE FROM unpacked WHERE asset = ANY(%s) AND media_type = 4", [numbers])
        connection.execute("UPDATE fingerprints SET payload = payload || payload WHERE asset = ANY(%s)", [numbers])
    assert found(project, clip, "audio", media_types=["video"]) == []
    assert project.request("GET", f"/v1/assets/{films[0]}").json["found_through"] == ["video"]
    lines = [line.split() for line in admin(project.mesh, "versions", project.id).splitlines()]
    assert [(line[0], line[-2], line[-1]) for line in lines] == [("video", "2", "current"), ("sound", "2", "old")]
    job = until_over(project, refingerprint(project))
    assert (job["progress"]["ready"], job["progress"]["failed"]) == (2, 0)
    assert found(project, clip, "audio", media_types=["video"]) == films[:1]
    with database(project.mesh) as connection:
        changed = connection.execute(
            "SELECT count(*) FROM fingerprints WHERE asset = ANY(%s)"
            " AND substr(payload, 1, length(payload) / 2) = substr(payload, length(payload) / 2 + 1)",
            [numbers],
        ).fetchone()
    assert changed == (2,)
    assert admin(project.mesh, "refingerprint", project.id) == "nothing is old"


@contextmanager
def held(origin: Origin, path: str, content: bytes) -> Iterator[None]:
    """Whoever asks for it meanwhile is answered when this ends."""
    is_over = threading.Event()

    async def respond(request: web.Request) -> web.Response:
        await asyncio.to_thread(is_over.wait)
        return web.Response(body=content)

    origin.respond(path, respond)
    try:
        yield
    finally:
        origin.serve(path, content)
        is_over.set()


def asked(origin: Origin, path: str) -> int:
    return origin.requests.count(("GET", path))


def test_cancelled_job_leaves_assets_as_they_are(project: Project, origin: Origin) -> None:
    content = encoded(photo(550), "JPEG")
    asset = project.index(origin.serve("held-550.jpg", content))
    age(project)
    with held(origin, "held-550.jpg", content):
        job = refingerprint(project)
        wait_until(lambda: asked(origin, "held-550.jpg") > 1)
        cancelled = project.request("POST", f"/v1/jobs/{job}/cancel").json
    assert (cancelled["status"], cancelled["progress"]["failed"]) == ("cancelled", 1)
    assert [row["error"]["code"] for row in rows_of(project, job)] == ["cancelled"]
    assert project.request("GET", f"/v1/assets/{asset}").json["status"] == "ready"
    assert found(project, content) == [asset]
    assert versions(project) == [("image", 1, "old")]


def test_old_assets_are_told_of_at_start(tmp_path: Path) -> None:
    port = free_port()
    with RunningMesh(tmp_path) as first:
        project = new_project(first)
        project.index_upload(encoded(photo(560), "JPEG"))
        age(project)
    with RunningMesh(tmp_path, log_name="next.log", INDEX_METRICS_PORT=str(port)) as following:
        wait_until(lambda: "run python -m index_svc.admin refingerprint" in following.log)
        assert 'mediamesh_index_assets_old{media_type="image"} 1.0' in metrics(port)


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())
