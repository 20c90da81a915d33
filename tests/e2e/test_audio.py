"""POST /audio/match of a whole running mesh, as its clients see it."""

from __future__ import annotations

from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.e2e.test_api import ENVELOPE
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import FILM_FORMATS, SOUND_FORMATS, Track, film_of, recorded, wav
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, Samples, music, silence, speech

SEGMENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["source_start", "source_end", "target_start", "target_end", "score"],
    "properties": {
        **{name: {"type": "number", "minimum": 0} for name in ("source_start", "source_end", "target_start", "target_end")},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
SOUND_ENVELOPE = {
    **ENVELOPE,
    "properties": {
        **ENVELOPE["properties"],  # type: ignore[dict-item]
        "media_type": {"const": "audio"},
        "matched_segments": {"type": "array", "items": SEGMENT},
    },
}
SECONDS = 20.0
MAX_OFF_SECONDS = 0.25


@pytest.fixture(scope="module")
def song() -> Samples:
    return music(1, SECONDS)


@pytest.fixture(scope="module")
def song_url(origin: Origin, song: Samples) -> str:
    return origin.serve("song.flac", recorded(song, "flac", rate=RATE))


def answer_to(mesh: RunningMesh, source_url: str, target_url: str, **options: object) -> dict[str, Any]:
    answer = mesh.match(source_url, target_url, "audio", **options)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    if not options:
        jsonschema.validate(answer.json, SOUND_ENVELOPE)
    for segment in answer.json["matched_segments"]:
        assert segment["source_start"] < segment["source_end"]
        assert segment["target_start"] < segment["target_end"]
    given: dict[str, Any] = answer.json
    return given


@pytest.mark.parametrize("name", SOUND_FORMATS)
def test_recording_in_every_format_is_the_same_sound(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str, name: str) -> None:
    answer = answer_to(mesh, song_url, origin.serve(f"song-as-{name.replace(' ', '-')}", recorded(np.stack([song, song]), name, rate=RATE)))
    assert answer["match"] is True
    assert answer["confidence"] == "high"
    assert answer["similarity_score"] >= 0.9
    (segment,) = answer["matched_segments"]
    assert segment["source_start"] < 1.0
    assert segment["source_end"] > SECONDS - 1.0
    assert answer["similarity_score"] <= segment["score"]


@pytest.mark.parametrize("name", FILM_FORMATS)
def test_sound_track_of_a_film_is_found(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str, name: str) -> None:
    answer = answer_to(mesh, song_url, origin.serve(f"film.{name}", film_of([Track(song, RATE)], name)))
    assert answer["match"] is True
    assert answer["similarity_score"] >= 0.9


def test_two_films_with_the_same_sound_are_told_from_two_with_another(mesh: RunningMesh, origin: Origin, song: Samples) -> None:
    """A swapped or dubbed sound track does not slip through."""
    here, there, dubbed = (
        origin.serve(f"{label}.mp4", film_of([Track(waves, RATE)], name))
        for label, waves, name in (("here", song, "mp4"), ("there", song, "mkv"), ("dubbed", music(9, SECONDS), "mp4"))
    )
    assert answer_to(mesh, here, there)["match"] is True
    assert answer_to(mesh, here, dubbed)["match"] is False


@pytest.mark.parametrize("is_source", [True, False])
def test_clip_from_the_middle_is_found_where_it_lies(
    mesh: RunningMesh, origin: Origin, song: Samples, song_url: str, is_source: bool
) -> None:
    clip = song[7 * RATE : 14 * RATE]
    clip_url = origin.serve("clip.mp3", recorded(clip, "mp3", rate=RATE))
    answer = answer_to(mesh, *((clip_url, song_url) if is_source else (song_url, clip_url)))
    assert answer["match"] is True
    (segment,) = answer["matched_segments"]
    whole, part = ("target", "source") if is_source else ("source", "target")
    found = [segment[f"{side}_{end}"] for side in (whole, part) for end in ("start", "end")]
    assert found == pytest.approx([7.0, 14.0, 0.0, 7.0], abs=MAX_OFF_SECONDS)


def test_clip_in_a_film_that_starts_late_is_found_when_it_is_heard(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str) -> None:
    film = film_of([Track(song[5 * RATE : 15 * RATE], RATE, start_seconds=3.0)], "mp4")
    (segment,) = answer_to(mesh, song_url, origin.serve("late.mp4", film))["matched_segments"]
    assert segment["target_start"] - segment["source_start"] == pytest.approx(-2.0, abs=MAX_OFF_SECONDS)
    assert segment["target_end"] == pytest.approx(13.0, abs=MAX_OFF_SECONDS)


@pytest.mark.parametrize("other", [music(2, SECONDS), speech(3, SECONDS)], ids=["music", "speech"])
def test_other_sound_is_no_match_in_the_same_envelope(mesh: RunningMesh, origin: Origin, song_url: str, other: Samples) -> None:
    answer = answer_to(mesh, song_url, origin.serve("other.mp3", recorded(other, "mp3", rate=RATE)))
    assert answer["match"] is False
    assert answer["confidence"] == "none"
    assert answer["similarity_score"] < 0.4


def test_identical_bytes_score_one_from_end_to_end(mesh: RunningMesh, song_url: str) -> None:
    answer = answer_to(mesh, song_url, song_url)
    assert answer["similarity_score"] == 1.0
    (segment,) = answer["matched_segments"]
    assert segment == {"source_start": 0.0, "source_end": SECONDS, "target_start": 0.0, "target_end": SECONDS, "score": 1.0}


def test_options_add_their_fields_and_change_no_score(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str) -> None:
    clip_url = origin.serve("optional.mp3", recorded(song[: 10 * RATE], "mp3", rate=RATE))
    plain = answer_to(mesh, song_url, clip_url)
    rich = answer_to(mesh, song_url, clip_url, include=["regions", "transform", "coverage", "hashes", "audio"])
    assert set(rich) - set(plain) == {"regions", "transform", "coverage", "hashes", "audio"}
    assert rich["similarity_score"] == plain["similarity_score"]
    assert (rich["regions"], rich["audio"]) == ([], None)
    assert set(rich["transform"]) == {"tempo", "pitch_semitones"}
    assert rich["transform"]["tempo"] == pytest.approx(1.0, abs=0.01)
    assert rich["coverage"]["source"] == pytest.approx(0.5, abs=0.06)
    assert rich["coverage"]["target"] > 0.9
    assert {"sha256", "md5"} <= set(rich["hashes"]["source"])
    assert rich["hashes"]["source"]["sha256"] != rich["hashes"]["target"]["sha256"]


def test_same_request_has_the_same_answer_but_for_the_time(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str) -> None:
    copy_url = origin.serve("again.opus", recorded(song, "opus", rate=RATE))
    answers = [answer_to(mesh, song_url, copy_url) for _ in range(3)]
    for answer in answers:
        answer.pop("processing_time_ms")
    assert answers[0] == answers[1] == answers[2]


def test_server_timing_names_every_stage(mesh: RunningMesh, origin: Origin, song_url: str) -> None:
    other_url = origin.serve("timed.wav", recorded(music(5, 5.0), rate=RATE))
    header = mesh.match(song_url, other_url, "audio").headers["server-timing"]
    stages = {part.split(";dur=")[0].strip(): float(part.split(";dur=")[1]) for part in header.split(",")}
    assert list(stages) == ["fetch", "decode", "fingerprint", "compare", "total"]
    assert stages["decode"] > 0


def test_sound_may_run_for_300_seconds_and_no_longer(mesh: RunningMesh, origin: Origin) -> None:
    def of(seconds: float) -> str:
        return origin.serve(f"{seconds}.wav", wav(b"\x80" * round(seconds * 44_100), bits=8))

    assert mesh.match(of(299.9), of(299.9), "audio").status == 200
    answer = mesh.match(of(299.9), of(300.1), "audio")
    assert (answer.status, answer.code) == (422, "duration_too_long")
    assert answer.json["error"]["message"] == "target_url runs for 300.1 s or more; audio may run for 300 s"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (encoded(photo(1, 64, 48), "JPEG"), "is image/jpeg, which is not supported as audio"),
        (film_of([], "mp4", seconds=2.0), "holds no audio"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.mp3\n", "is no type of file that is supported as audio"),
        (b"", "is an empty file"),
    ],
    ids=["picture", "film without sound", "playlist", "nothing"],
)
def test_what_holds_no_sound_is_unsupported_and_says_why(mesh: RunningMesh, origin: Origin, song_url: str, body: bytes, said: str) -> None:
    answer = mesh.match(song_url, origin.serve("named.mp3", body, "audio/mpeg"), "audio")
    assert (answer.status, answer.code) == (415, "unsupported_media")
    assert answer.json["error"]["message"] == f"target_url {said}"


def test_sound_is_no_picture(mesh: RunningMesh, song_url: str) -> None:
    answer = mesh.match(song_url, song_url, "image")
    assert (answer.status, answer.code) == (415, "unsupported_media")


def test_cut_recording_is_refused_not_half_read(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str) -> None:
    whole = recorded(song, "mp3", rate=RATE)
    answer = mesh.match(song_url, origin.serve("half.mp3", whole[: len(whole) // 2]), "audio")
    assert (answer.status, answer.code) == (415, "unsupported_media")
    assert "truncated" in answer.json["error"]["message"]


def test_silence_matches_nothing_but_itself(mesh: RunningMesh, origin: Origin, song_url: str) -> None:
    quiet = origin.serve("quiet.mp3", recorded(silence(10.0), "mp3", rate=RATE))
    quieter = origin.serve("quieter.flac", recorded(silence(6.0), "flac", rate=RATE))
    for one, two in ((quiet, quieter), (quieter, quiet), (quiet, song_url)):
        answer = answer_to(mesh, one, two)
        assert (answer["match"], answer["similarity_score"], answer["matched_segments"]) == (False, 0.0, [])


def test_inverted_channel_hides_nothing(mesh: RunningMesh, origin: Origin, song: Samples, song_url: str) -> None:
    url = origin.serve("inverted.flac", recorded(np.stack([song, -song]), "flac", rate=RATE))
    assert answer_to(mesh, song_url, url)["similarity_score"] >= 0.9


def test_voice_in_one_channel_is_found(mesh: RunningMesh, origin: Origin) -> None:
    voice = speech(4, SECONDS)
    both = origin.serve("both.mp3", recorded(voice, "mp3", rate=RATE))
    one = origin.serve("one.mp3", recorded(np.stack([np.zeros_like(voice), voice]), "mp3", rate=RATE))
    assert answer_to(mesh, both, one)["match"] is True
