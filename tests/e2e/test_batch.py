"""One source against many targets: the same scores as each pair alone, each file fetched once, each failure its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image, ImageOps

from tests import films
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import Answer, RunningMesh
from tests.sounds import RATE, music

EVERYTHING = ["regions", "transform", "coverage", "hashes"]


def match_batch(mesh: RunningMesh, source: str, targets: list[str], medium: str = "image", **options: object) -> Answer:
    return mesh.post(f"/{medium}/match/batch", {"source_url": source, "target_urls": targets, **options})


@pytest.fixture(scope="module")
def photo_url(origin: Origin) -> str:
    return origin.serve("batch/photo.jpg", encoded(photo(1), "JPEG"))


@pytest.fixture(scope="module")
def target_urls(origin: Origin) -> list[str]:
    original = Image.fromarray(photo(1))
    return [
        origin.serve("batch/other.jpg", encoded(photo(2), "JPEG")),
        origin.serve("batch/small.webp", encoded(original.resize((500, 375)), "WEBP")),
        origin.serve("batch/mirrored.png", encoded(ImageOps.mirror(original), "PNG")),
        origin.serve("batch/cut.jpg", encoded(original.crop((150, 90, 700, 520)), "JPEG")),
    ]


def test_each_picture_has_the_result_that_the_pair_alone_has(mesh: RunningMesh, photo_url: str, target_urls: list[str]) -> None:
    targets = [*target_urls, photo_url]
    answer = match_batch(mesh, photo_url, targets, include=EVERYTHING)
    assert answer.status == 200
    assert [result["target_url"] for result in answer.json["results"]] == targets
    assert (answer.json["succeeded"], answer.json["failed"]) == (5, 0)
    for result in answer.json["results"]:
        alone = mesh.match(photo_url, result["target_url"], include=EVERYTHING).json
        del alone["processing_time_ms"], result["result"]["processing_time_ms"]
        assert result["result"] == alone


def test_each_sound_has_the_score_that_the_pair_alone_has(mesh: RunningMesh, origin: Origin) -> None:
    original = music(5, 20.0)
    source = origin.serve("batch/song.flac", recorded(original, "flac", rate=RATE))
    clip = origin.serve("batch/clip.mp3", recorded(original[5 * RATE : 14 * RATE], "mp3", rate=RATE))
    other = origin.serve("batch/other.flac", recorded(music(6, 20.0), "flac", rate=RATE))
    results = match_batch(mesh, source, [clip, other], "audio").json["results"]
    for result in results:
        alone = mesh.match(source, result["target_url"], "audio").json
        assert result["result"]["similarity_score"] == pytest.approx(alone["similarity_score"], abs=1e-6)
        assert result["result"]["matched_segments"] == alone["matched_segments"]
    assert [result["result"]["match"] for result in results] == [True, False]


def test_each_film_and_its_sound_have_the_answers_that_the_pair_alone_has(mesh: RunningMesh, origin: Origin) -> None:
    source = origin.serve("batch/film.mp4", films.encoded(films.Film(1, 8.0), sound=1))
    silent = origin.serve("batch/silent.mp4", films.encoded(films.Film(1, 8.0)))
    results = match_batch(mesh, source, [source, silent], "video", include=["audio"]).json["results"]
    for result in results:
        alone, together = mesh.match(source, result["target_url"], "video", include=["audio"]).json, result["result"]
        assert together["audio"].get("error", {}).get("code") == alone["audio"].get("error", {}).get("code")
        assert together["audio"].get("similarity_score") == alone["audio"].get("similarity_score")
        assert together["similarity_score"] == alone["similarity_score"]
    assert [("error" in result["result"]["audio"]) for result in results] == [False, True]


def test_target_that_fails_fails_alone_and_in_its_place(mesh: RunningMesh, origin: Origin, photo_url: str, target_urls: list[str]) -> None:
    page = origin.serve("batch/page.jpg", b"<html></html>")
    targets = [origin.url("batch/missing.jpg"), target_urls[1], "http://10.0.0.1/", page, photo_url]
    answer = match_batch(mesh, photo_url, targets)
    assert answer.status == 200
    assert [result.get("error", {}).get("code") for result in answer.json["results"]] == [
        "fetch_failed",
        None,
        "invalid_url",
        "unsupported_media",
        None,
    ]
    assert (answer.json["succeeded"], answer.json["failed"]) == (2, 3)
    assert all(result["error"]["details"]["field"] == "target_url" for result in answer.json["results"] if "error" in result)


def test_source_that_fails_fails_the_whole(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    answer = match_batch(mesh, origin.url("batch/missing.jpg"), [photo_url])
    assert (answer.status, answer.code) == (422, "fetch_failed")
    assert answer.json["error"]["details"]["field"] == "source_url"
    assert answer.json["error"]["message"].startswith("source_url could not be downloaded")


def test_each_file_is_fetched_once(mesh: RunningMesh, origin: Origin) -> None:
    content = encoded(photo(3), "JPEG")
    source, target = origin.serve("batch/once-source.jpg", content), origin.serve("batch/once-target.jpg", content)
    answer = match_batch(mesh, source, [target] * 7)
    assert [result["result"]["similarity_score"] for result in answer.json["results"]] == [1.0] * 7
    fetched = [path for method, path in origin.requests if method == "GET"]
    assert fetched.count("batch/once-source.jpg") == fetched.count("batch/once-target.jpg") == 1


def test_no_more_than_a_few_targets_are_fetched_at_once(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    content = encoded(photo(4), "JPEG")
    under_way, most = 0, 0
    four = asyncio.Event()

    async def respond(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 4:
            four.set()
        await four.wait()
        under_way -= 1
        return web.Response(body=content)

    targets = [origin.respond(f"batch/turn-{number}.jpg", respond) for number in range(12)]
    answer = match_batch(mesh, photo_url, targets)
    assert answer.json["succeeded"] == 12
    assert most == 4


@pytest.mark.parametrize("targets", [[], ["http://a.example/"] * 101, "http://a.example/", [5], None])
def test_other_than_1_to_100_targets_are_refused(mesh: RunningMesh, photo_url: str, targets: object) -> None:
    answer = mesh.post("/image/match/batch", {"source_url": photo_url, "target_urls": targets})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["error"]["details"]["field"] == "target_urls"


def test_a_hundred_long_urls_fit(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    targets = [origin.url(f"missing-{number}?{'x' * 2000}") for number in range(100)]
    answer = match_batch(mesh, photo_url, targets)
    assert answer.status == 200
    assert {result["error"]["code"] for result in answer.json["results"]} == {"fetch_failed"}


def test_what_is_not_done_in_time_is_said_of_each_target(origin: Origin, photo_url: str, tmp_path: Path) -> None:
    async def never(request: web.Request) -> web.Response:
        while request.transport is not None:
            await asyncio.sleep(0.05)
        return web.Response()

    silent = [origin.respond(f"batch/silent-{number}.jpg", never) for number in range(3)]
    with RunningMesh(
        tmp_path, GATEWAY_BATCH_SECONDS="4", GATEWAY_BATCH_CONCURRENCY="2", AUDIO_ADDRESS="", VIDEO_ADDRESS="", INDEX_ADDRESS=""
    ) as mesh:
        answer = match_batch(mesh, photo_url, [photo_url, *silent])
    assert answer.status == 200
    first, *late = answer.json["results"]
    assert first["result"]["similarity_score"] == 1.0
    assert {result["error"]["code"] for result in late} == {"deadline_exceeded"}
