"""POST /video/match of a whole running mesh, as its clients see it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from tests.e2e.test_api import ENVELOPE
from tests.e2e.test_audio import SEGMENT
from tests.films import FORMATS, Cut, Film, Montage, encoded, sound_only
from tests.origin import Origin
from tests.pictures import Pixels, photo
from tests.pictures import encoded as picture_file
from tests.running_mesh import RunningMesh

FILM_ENVELOPE = {
    **ENVELOPE,
    "properties": {
        **ENVELOPE["properties"],  # type: ignore[dict-item]
        "media_type": {"const": "video"},
        "matched_segments": {"type": "array", "items": SEGMENT},
    },
}
SECONDS = 16.0
FILM = Film(1, SECONDS)
OTHER = Film(2, SECONDS)
MAX_OFF_SECONDS = 0.5


@pytest.fixture(scope="module")
def film_url(origin: Origin) -> str:
    return origin.serve("film.mp4", encoded(FILM, sound=1))


def answer_to(mesh: RunningMesh, source_url: str, target_url: str, **options: object) -> dict[str, Any]:
    answer = mesh.match(source_url, target_url, "video", **options)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    if not options:
        jsonschema.validate(answer.json, FILM_ENVELOPE)
    segments = answer.json["matched_segments"]
    for segment in segments:
        assert segment["source_start"] < segment["source_end"]
        assert segment["target_start"] < segment["target_end"]
    assert [segment["source_start"] for segment in segments] == sorted(segment["source_start"] for segment in segments)
    if segments:
        assert answer.json["similarity_score"] <= max(segment["score"] for segment in segments)
    given: dict[str, Any] = answer.json
    return given


def times(segment: dict[str, float]) -> list[float]:
    return [segment[f"{side}_{end}"] for side in ("source", "target") for end in ("start", "end")]


@pytest.mark.parametrize("file_format", FORMATS)
def test_film_in_every_format_is_the_same_film(mesh: RunningMesh, origin: Origin, film_url: str, file_format: str) -> None:
    copy = encoded(replace(FILM, width=256, height=192, rate=Fraction(25)), file_format)
    answer = answer_to(mesh, film_url, origin.serve(f"film-as-{file_format}", copy))
    assert answer["match"] is True
    assert answer["confidence"] == "high"
    assert answer["similarity_score"] >= 0.9
    (segment,) = answer["matched_segments"]
    assert times(segment) == pytest.approx([0.0, SECONDS, 0.0, SECONDS], abs=MAX_OFF_SECONDS)


@pytest.mark.parametrize("rate", [Fraction(60), Fraction(30_000, 1001), Fraction(12)], ids=str)
@pytest.mark.parametrize("width", [160, 640])
def test_film_of_another_size_and_rate_is_the_same_film(
    mesh: RunningMesh, origin: Origin, film_url: str, width: int, rate: Fraction
) -> None:
    copy = replace(FILM, width=width, height=3 * width // 4, rate=rate)
    assert answer_to(mesh, film_url, origin.serve("resized.mp4", encoded(copy)))["similarity_score"] >= 0.9


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_brightness_is_looked_through(mesh: RunningMesh, origin: Origin, film_url: str, gain: float) -> None:
    def edit(picture: Pixels) -> Pixels:
        return np.asarray(np.clip(gain * picture.astype(np.float32), 0, 255), np.uint8)

    assert answer_to(mesh, film_url, origin.serve("graded.mp4", encoded(FILM, edit=edit)))["match"] is True


@pytest.mark.parametrize("is_source", [True, False])
def test_clip_from_the_middle_is_found_where_it_lies(mesh: RunningMesh, origin: Origin, film_url: str, is_source: bool) -> None:
    clip_url = origin.serve("clip.webm", encoded(Montage((Cut(FILM, 5.3, 5.0),)), "webm"))
    answer = answer_to(mesh, *((clip_url, film_url) if is_source else (film_url, clip_url)))
    assert answer["match"] is True
    (segment,) = answer["matched_segments"]
    expected = [5.3, 10.3, 0.0, 5.0]
    assert times(segment) == pytest.approx(expected[2:] + expected[:2] if is_source else expected, abs=MAX_OFF_SECONDS)


def test_five_seconds_of_three_minutes_are_found_where_they_lie(mesh: RunningMesh, origin: Origin) -> None:
    long = Film(3, 179.5, rate=Fraction(8), scene_seconds=4.1)
    long_url = origin.serve("long.mp4", encoded(long, options={"preset": "ultrafast"}))
    clip_url = origin.serve("short.mp4", encoded(Montage((Cut(long, 131.2, 5.0),))))
    (segment,) = answer_to(mesh, long_url, clip_url)["matched_segments"]
    assert times(segment) == pytest.approx([131.2, 136.2, 0.0, 5.0], abs=MAX_OFF_SECONDS)


def test_compilation_has_the_one_part_that_is_from_this_film(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    strangers = [Cut(Film(seed), 0.0, 3.0) for seed in range(60, 64)]
    montage = Montage((*strangers[:2], Cut(FILM, 8.0, 5.0), *strangers[2:]))
    answer = answer_to(mesh, film_url, origin.serve("compilation.mp4", encoded(montage)))
    (segment,) = answer["matched_segments"]
    assert times(segment) == pytest.approx([8.0, 13.0, 6.0, 11.0], abs=MAX_OFF_SECONDS)


def test_parts_in_another_order_are_found_each(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    montage = Montage((Cut(FILM, 9.6, 4.8), Cut(OTHER, 0.0, 3.0), Cut(FILM, 1.6, 4.8)))
    answer = answer_to(mesh, film_url, origin.serve("shuffled.mp4", encoded(montage)))
    assert answer["match"] is True
    first, second = answer["matched_segments"]
    assert times(first) == pytest.approx([1.6, 6.4, 7.8, 12.6], abs=MAX_OFF_SECONDS)
    assert times(second) == pytest.approx([9.6, 14.4, 0.0, 4.8], abs=MAX_OFF_SECONDS)


@pytest.mark.parametrize("speed", [0.8, 1.25, 1.5])
def test_film_at_another_speed_is_found_and_said_to_be(mesh: RunningMesh, origin: Origin, film_url: str, speed: float) -> None:
    url = origin.serve("quick.mp4", encoded(Montage((Cut(FILM, 0.0, SECONDS, speed),))))
    answer = answer_to(mesh, film_url, url, include=["transform"])
    assert answer["match"] is True
    assert answer["transform"]["speed"] == pytest.approx(speed, rel=0.02)
    (segment,) = answer["matched_segments"]
    assert times(segment) == pytest.approx([0.0, SECONDS, 0.0, SECONDS / speed], abs=MAX_OFF_SECONDS)
    back = answer_to(mesh, url, film_url, include=["transform"])
    assert back["transform"]["speed"] == pytest.approx(1 / speed, rel=0.02)


def test_mirrored_film_is_found_where_the_caller_wants_it(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    url = origin.serve("mirrored.mp4", encoded(FILM, edit=lambda picture: picture[:, ::-1].copy()))
    answer = answer_to(mesh, film_url, url, include=["transform"])
    assert answer["match"] is True
    assert answer["transform"]["mirrored"] is True
    assert answer_to(mesh, film_url, url, transforms="none")["match"] is False


def test_picture_in_a_picture_is_found_with_the_place_where_it_lies(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    def inset(picture: Pixels) -> Pixels:
        page = photo(91_000, 480, 270)
        page[20:155, 280:460] = cv2.resize(picture, (180, 135), interpolation=cv2.INTER_AREA)
        return page

    answer = answer_to(mesh, film_url, origin.serve("inset.mp4", encoded(FILM, edit=inset)), include=["regions", "coverage"])
    assert answer["match"] is True
    box = answer["regions"][0]["target"]
    found = [box["x"], box["y"], box["width"], box["height"]]
    assert found == pytest.approx([280 / 480, 20 / 270, 180 / 480, 135 / 270], abs=0.05)
    assert answer["coverage"]["source"] > 0.9 > answer["coverage"]["target"]


def test_other_film_is_no_match_in_the_same_envelope(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    answer = answer_to(mesh, film_url, origin.serve("other.mp4", encoded(OTHER)))
    assert answer["match"] is False
    assert answer["confidence"] == "none"
    assert answer["similarity_score"] < 0.4


def test_shared_title_card_is_no_match(mesh: RunningMesh, origin: Origin) -> None:
    card = Cut(Film(900), 0.0, 1.5)
    urls = [origin.serve(f"titled-{film.seed}.mp4", encoded(Montage((card, Cut(film, 0.0, 12.0))))) for film in (FILM, OTHER)]
    answer = answer_to(mesh, *urls, include=["coverage"])
    assert answer["match"] is False
    assert answer["similarity_score"] < 0.5


def test_same_sound_under_another_picture_is_no_match(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    answer = answer_to(mesh, film_url, origin.serve("dubbed-over.mp4", encoded(OTHER, sound=1)))
    assert answer["match"] is False


@pytest.mark.parametrize("sound", [2, None], ids=["replaced", "cut out"])
def test_same_picture_is_a_match_whatever_becomes_of_the_sound(mesh: RunningMesh, origin: Origin, film_url: str, sound: int | None) -> None:
    copy = replace(FILM, width=240, height=180)
    answer = answer_to(mesh, film_url, origin.serve("dubbed.mp4", encoded(copy, sound=sound)))
    assert answer["match"] is True
    assert answer["similarity_score"] >= 0.9


def test_blank_films_match_nothing_but_their_own_bytes(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    black = origin.serve("black.mp4", encoded(replace(FILM, seconds=6.0), edit=np.zeros_like))
    longer = origin.serve("longer.webm", encoded(replace(FILM, seconds=8.0), "webm", edit=np.zeros_like))
    for one, two in ((black, longer), (longer, black), (black, film_url)):
        answer = answer_to(mesh, one, two)
        assert (answer["match"], answer["similarity_score"], answer["matched_segments"]) == (False, 0.0, [])
    assert answer_to(mesh, black, black)["similarity_score"] == 1.0


def test_identical_bytes_score_one_from_end_to_end(mesh: RunningMesh, film_url: str) -> None:
    answer = answer_to(mesh, film_url, film_url)
    assert answer["similarity_score"] == 1.0
    (segment,) = answer["matched_segments"]
    assert times(segment) == pytest.approx([0.0, SECONDS, 0.0, SECONDS], abs=0.05)
    assert segment["score"] == 1.0


def test_options_add_their_fields_and_change_no_score(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    half_url = origin.serve("half.mp4", encoded(replace(FILM, seconds=SECONDS / 2, width=240, height=180)))
    plain = answer_to(mesh, film_url, half_url)
    rich = answer_to(mesh, film_url, half_url, include=["regions", "transform", "coverage", "hashes"])
    assert set(rich) - set(plain) == {"regions", "transform", "coverage", "hashes"}
    assert rich["similarity_score"] == plain["similarity_score"]
    assert set(rich["transform"]) == {"mirrored", "rotation_degrees", "scale", "matrix", "crop", "speed"}
    assert rich["transform"]["scale"] == pytest.approx(0.75, abs=0.02)
    assert rich["transform"]["speed"] == pytest.approx(1.0, abs=0.01)
    assert rich["coverage"]["source"] == pytest.approx(0.5, abs=0.06)
    assert rich["coverage"]["target"] > 0.9
    assert {"sha256", "md5"} <= set(rich["hashes"]["source"])


def test_verdict_on_the_sound_stands_beside_and_is_what_its_own_endpoint_answers(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    copy_url = origin.serve("sounding.mp4", encoded(replace(FILM, seconds=12.0, width=240, height=180), sound=1))
    plain = answer_to(mesh, film_url, copy_url)
    rich = answer_to(mesh, film_url, copy_url, include=["audio", "coverage"])
    heard = mesh.match(film_url, copy_url, "audio", include=["coverage"]).json
    assert rich["audio"].pop("processing_time_ms") >= 0
    heard.pop("processing_time_ms")
    assert rich["audio"] == heard
    assert heard["match"] is True
    assert rich["similarity_score"] == plain["similarity_score"]


@pytest.mark.parametrize(
    ("sound", "said"), [(2, {"match": False}), (None, {"code": "unsupported_media", "message": "target_url holds no audio"})]
)
def test_swapped_or_missing_sound_is_said_and_changes_no_verdict_on_the_picture(
    mesh: RunningMesh, origin: Origin, film_url: str, sound: int | None, said: dict[str, object]
) -> None:
    answer = answer_to(mesh, film_url, origin.serve("swapped.mp4", encoded(FILM, sound=sound)), include=["audio"])
    assert answer["match"] is True
    audio = answer["audio"]
    assert said.items() <= audio.get("error", audio).items()


@pytest.mark.parametrize("is_source", [True, False])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_still_is_found_at_its_moment_in_the_film(
    mesh: RunningMesh, origin: Origin, film_url: str, file_format: str, is_source: bool
) -> None:
    still_url = origin.serve("still", picture_file(FILM.picture(9.0), file_format))
    answer = mesh.match(*((still_url, film_url) if is_source else (film_url, still_url)), "video", include=["transform"]).json
    assert answer["match"] is True
    assert answer["transform"]["speed"] is None
    (segment,) = answer["matched_segments"]
    here, there = ("source", "target") if is_source else ("target", "source")
    assert (segment[f"{here}_start"], segment[f"{here}_end"]) == (0.0, 0.0)
    assert segment[f"{there}_start"] - 0.25 <= 9.0 <= segment[f"{there}_end"] + 0.25
    assert segment[f"{there}_end"] - segment[f"{there}_start"] < 2.0


def test_still_under_a_caption_is_found_and_one_of_another_film_is_not(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    captioned = cv2.copyMakeBorder(FILM.picture(4.1), 50, 0, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(captioned, "WHEN YOU", (20, 40), cv2.FONT_HERSHEY_DUPLEX, 1.2, (0, 0, 0), 3)
    urls = [
        origin.serve(f"{name}.png", picture_file(np.asarray(picture, np.uint8), "PNG"))
        for name, picture in (("captioned", captioned), ("stranger", OTHER.picture(4.1)))
    ]
    assert [mesh.match(url, film_url, "video").json["match"] for url in urls] == [True, False]


def test_two_stills_compare_as_films_do_without_segments(mesh: RunningMesh, origin: Origin) -> None:
    one, two = (origin.serve(f"pair.{ending}", picture_file(FILM.picture(2.0), ending)) for ending in ("JPEG", "PNG"))
    answer = mesh.match(one, two, "video").json
    assert (answer["match"], answer["media_type"], answer["matched_segments"]) == (True, "video", [])


def test_image_endpoint_goes_on_refusing_films(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    still_url = origin.serve("alone.png", picture_file(FILM.picture(2.0), "PNG"))
    assert mesh.match(still_url, film_url, "image").code == "unsupported_media"


def test_same_request_has_the_same_answer_but_for_the_time(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    copy_url = origin.serve("again.mkv", encoded(FILM, "mkv-hevc"))
    answers = [answer_to(mesh, film_url, copy_url) for _ in range(3)]
    for answer in answers:
        answer.pop("processing_time_ms")
    assert answers[0] == answers[1] == answers[2]


def test_server_timing_names_every_stage(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    header = mesh.match(film_url, origin.serve("timed.mp4", encoded(Film(5))), "video").headers["server-timing"]
    stages = {part.split(";dur=")[0].strip(): float(part.split(";dur=")[1]) for part in header.split(",")}
    assert list(stages) == ["fetch", "decode", "fingerprint", "compare", "total"]
    assert stages["decode"] > 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (sound_only(1, 2.0), "holds no video"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", "is no type of file that is supported as video"),
        (b"", "is an empty file"),
    ],
    ids=["sound alone", "playlist", "nothing"],
)
def test_what_holds_no_pictures_is_unsupported_and_says_why(
    mesh: RunningMesh, origin: Origin, film_url: str, body: bytes, said: str
) -> None:
    answer = mesh.match(film_url, origin.serve("named.mp4", body, "video/mp4"), "video")
    assert (answer.status, answer.code) == (415, "unsupported_media")
    assert answer.json["error"]["message"] == f"target_url {said}"


def test_cut_film_is_refused_not_half_read(mesh: RunningMesh, origin: Origin, film_url: str) -> None:
    whole = encoded(FILM, muxer_options={"movflags": "faststart"})
    answer = mesh.match(film_url, origin.serve("cut.mp4", whole[: len(whole) // 2]), "video")
    assert (answer.status, answer.code) == (415, "unsupported_media")
    assert "truncated" in answer.json["error"]["message"]
