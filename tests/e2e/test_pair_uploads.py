"""Pairs that come as files: the same answers as by URL, the same caps, and nothing of them kept at the gateway."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import psutil
import pytest
from PIL import Image

from tests import films
from tests.forms import CONTENT_TYPE, File, form, post_form
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded, wav
from tests.running_mesh import Answer, RunningMesh
from tests.sounds import RATE, music

EVERYTHING: Final = ["regions", "transform", "coverage", "hashes"]
PHOTO: Final = encoded(photo(1), "JPEG")
COPY: Final = encoded(Image.fromarray(photo(1)).crop((100, 60, 760, 540)), "WEBP")
OTHER: Final = encoded(photo(2), "JPEG")


def by_files(mesh: RunningMesh, *parts: tuple[str, str | File], medium: str = "image") -> Answer:
    return post_form(mesh, f"/{medium}/match", *parts)


def timeless(answer: Answer) -> object:
    assert answer.status == 200, answer.body
    return {name: value for name, value in answer.json.items() if name != "processing_time_ms"}


@pytest.mark.parametrize("target", [PHOTO, COPY, OTHER], ids=["same", "copy", "other"])
def test_two_pictures_have_the_answer_that_their_urls_have(mesh: RunningMesh, origin: Origin, target: bytes) -> None:
    source_url, target_url = origin.serve("uploads/photo.jpg", PHOTO), origin.serve("uploads/target", target)
    by_url = mesh.match(source_url, target_url, include=EVERYTHING, threshold=0.9)
    wanted = (("include", json.dumps(EVERYTHING)), ("threshold", "0.9"))
    for sides in (
        (("source", File(PHOTO)), ("target", File(target))),
        (("target", File(target)), ("source", File(PHOTO))),
        (("source", File(PHOTO)), ("target_url", target_url)),
        (("source_url", source_url), ("target", File(target))),
        (("source_url", source_url), ("target_url", target_url)),
    ):
        assert timeless(by_files(mesh, *wanted, *sides)) == timeless(by_url)


def test_two_sounds_have_the_answer_that_their_urls_have(mesh: RunningMesh, origin: Origin) -> None:
    original = music(7, 20.0)
    source, target = recorded(original, "flac", rate=RATE), recorded(original[4 * RATE : 13 * RATE], "mp3", rate=RATE)
    by_url = mesh.match(origin.serve("uploads/song.flac", source), origin.serve("uploads/clip.mp3", target), "audio")
    answer = by_files(mesh, ("source", File(source)), ("target", File(target)), medium="audio")
    assert answer.json["similarity_score"] == pytest.approx(by_url.json["similarity_score"], abs=1e-6)
    assert timeless(answer) == timeless(by_url)
    assert answer.json["matched_segments"]


def test_options_may_come_after_the_files(mesh: RunningMesh) -> None:
    files = (("source", File(PHOTO)), ("target", File(COPY)))
    answer = by_files(mesh, *files, ("threshold", "1"), ("include", "coverage"), ("profile", "stock"))
    assert answer.json["match"] is False
    assert answer.json["coverage"]["target"] > 0.5


def test_times_say_what_took_them(mesh: RunningMesh) -> None:
    fresh = encoded(photo(8), "PNG")
    answer = by_files(mesh, ("source", File(fresh)), ("target", File(OTHER)))
    stages = dict(part.strip().split(";dur=") for part in answer.headers["server-timing"].split(","))
    assert list(stages) == ["fetch", "decode", "fingerprint", "compare", "total"]
    assert float(stages["decode"]) > 0
    assert float(stages["fetch"]) == 0
    assert 0 < answer.json["processing_time_ms"] <= float(stages["total"])


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ((("source", File(PHOTO)),), "target"),
        ((), "source"),
        ((("source", File(PHOTO)), ("source_url", "http://a.example/"), ("target", File(PHOTO))), "source"),
        ((("source", File(PHOTO)), ("source", File(PHOTO)), ("target", File(PHOTO))), "source"),
        ((("threshold", "2"), ("source", File(PHOTO)), ("target", File(PHOTO))), "threshold"),
        ((("source", File(PHOTO)), ("target", File(PHOTO)), ("profile", "loose")), "profile"),
        ((("source", File(PHOTO)), ("target", File(PHOTO)), ("include", '["regions", "regions"')), "include"),
        ((("source", File(PHOTO)), ("target", File(PHOTO)), ("include", "hashes")), "include"),
        ((("source", File(PHOTO)), ("target", File(PHOTO)), ("colour", "red")), "colour"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(mesh: RunningMesh, parts: tuple[tuple[str, str | File], ...], named: str) -> None:
    answer = by_files(mesh, *parts)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["error"]["details"]["field"] == named


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(PHOTO + bytes(15 * 1024 * 1024), 413, "file_too_large"), (b"<svg/>", 415, "unsupported_media"), (b"", 415, "unsupported_media")],
    ids=["large", "no picture", "empty"],
)
def test_file_that_is_not_taken_is_named(mesh: RunningMesh, side: str, content: bytes, status: int, code: str) -> None:
    files = {"source": File(PHOTO), "target": File(PHOTO), side: File(content)}
    answer = by_files(mesh, *files.items())
    assert (answer.status, answer.code) == (status, code)
    assert answer.json["error"]["details"]["field"] == side
    assert answer.json["error"]["message"].startswith(f"{side} is ")


def test_url_beside_a_file_is_held_to_the_rules_of_urls(mesh: RunningMesh) -> None:
    answer = by_files(mesh, ("source", File(PHOTO)), ("target_url", "http://169.254.169.254/latest"))
    assert (answer.status, answer.code) == (400, "invalid_url")
    assert answer.json["error"]["details"]["field"] == "target_url"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form(("source", File(PHOTO)))),
        ("multipart/form-data; boundary=another", form(("source", File(PHOTO)))),
        (CONTENT_TYPE, form(("source", File(PHOTO)), ("target", File(PHOTO)))[:-400]),
        (CONTENT_TYPE, b"{}"),
        (CONTENT_TYPE, b""),
        (CONTENT_TYPE, form(("threshold", "1")).replace(b"1\r\n", b"\xff\r\n")),
        (CONTENT_TYPE, form(("threshold", "1")).replace(b"threshold", b"thr\xffhold")),
        (CONTENT_TYPE, form(("source", File(PHOTO))).replace(b'; name="source"', b"")),
        (
            CONTENT_TYPE,
            form(("source", File(PHOTO))).replace(b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: base64"),
        ),
        (CONTENT_TYPE, form(*((f"field{number}", "x") for number in range(40)))),
    ],
)
def test_form_that_is_none_is_refused(mesh: RunningMesh, content_type: str, body: bytes) -> None:
    answer = mesh.request("POST", "/image/match", body, {"Content-Type": content_type})
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_large_field_is_refused(mesh: RunningMesh) -> None:
    answer = by_files(mesh, ("source_url", "x" * 70_000))
    assert (answer.status, answer.code) == (413, "request_too_large")


def test_two_films_have_the_answer_that_their_urls_have(mesh: RunningMesh, origin: Origin) -> None:
    source, target = films.encoded(films.Film(1, 8.0), sound=1), films.encoded(films.Film(1, 8.0), "webm")
    by_url = mesh.match(origin.serve("uploads/film.mp4", source), origin.serve("uploads/film.webm", target), "video", include=["transform"])
    answer = by_files(mesh, ("include", "transform"), ("source", File(source)), ("target", File(target)), medium="video")
    assert timeless(answer) == timeless(by_url)
    assert answer.json["match"] is True


def test_sound_of_films_is_only_heard_by_url(mesh: RunningMesh) -> None:
    film = File(films.encoded(films.Film(1, 4.0)))
    answer = by_files(mesh, ("include", "audio"), ("source", film), ("target", film), medium="video")
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["error"]["details"]["field"] == "include"


def test_gateway_never_holds_a_file(mesh: RunningMesh) -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 2 * 44_100 * 220, dtype=np.int16).tobytes()
    large = wav(noise, channels=2)
    assert len(large) > 35 * 1024 * 1024
    gateway = next(child for child in mesh_processes(mesh) if "gateway" in child.cmdline())
    body = form(("source", File(large)), ("target", File(large)))
    before = most_memory(gateway)
    answer = mesh.request("POST", "/audio/match", body, {"Content-Type": CONTENT_TYPE})
    assert answer.json["similarity_score"] == 1.0
    assert most_memory(gateway) - before < 20 * 1024 * 1024


def mesh_processes(mesh: RunningMesh) -> list[psutil.Process]:
    return psutil.Process(mesh.process.pid).children(recursive=True)


def most_memory(process: psutil.Process) -> int:
    """That it ever had, in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
