"""A library of films, sounds and pictures that is searched across media: a film by a still and by a sound, a sound by a film."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.e2e.test_index_uploads import database
from tests.films import SOUND_RATE as FILM_SOUND_RATE
from tests.films import Film, encoded, tones
from tests.index_client import Project, admin, new_project
from tests.origin import Origin
from tests.pictures import Pixels
from tests.pictures import encoded as picture_file
from tests.recordings import Track, film_of, recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, Samples, music, silence

SECONDS = 20.0
START = 3.0
"""When the song begins in the film."""
FILM = Film(35, 8.0)
MAX_OFF_SECONDS = 0.25


@pytest.fixture(scope="module")
def song() -> Samples:
    return music(61, SECONDS)


@pytest.fixture(scope="module")
def clip(song: Samples) -> bytes:
    return recorded(song[7 * RATE : 14 * RATE], "mp3", rate=RATE)


@pytest.fixture(scope="module")
def film_with_song(song: Samples) -> bytes:
    return film_of([Track(song, RATE, start_seconds=START)])


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def assets(project: Project, origin: Origin, song: Samples, film_with_song: bytes) -> dict[str, str]:
    """By their names: three films, two sounds and a picture."""
    return {
        "sung": project.index(origin.serve("media-sung.mp4", film_with_song), "video", name="sung"),
        "shown": project.index(origin.serve("media-shown.mp4", encoded(FILM, sound=8)), "video", name="shown"),
        "mute": project.index_upload(encoded(Film(36, 4.0)), "video", name="mute"),
        "song": project.index_upload(recorded(song, "flac", rate=RATE), "audio", name="song"),
        "other": project.index_upload(recorded(music(62, SECONDS), "flac", rate=RATE), "audio", name="other"),
        "picture": project.index_upload(picture_file(FILM.picture(3.0), "PNG"), name="picture"),
    }


def captioned(picture: Pixels) -> Pixels:
    """With a bar of text above and below, as memes have them."""
    height, width = picture.shape[:2]
    page = np.full((height + 110, width, 3), 255, np.uint8)
    page[55:-55] = picture
    for words, line in (("WHEN YOU SEE IT", 38), ("FOR THE SECOND TIME", height + 92)):
        cv2.putText(page, words, (12, line), cv2.FONT_HERSHEY_DUPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    return page


def test_assets_say_what_they_are_found_through(project: Project, assets: dict[str, str]) -> None:
    found = {name: project.request("GET", f"/v1/assets/{asset}").json for name, asset in assets.items()}
    assert {asset["status"] for asset in found.values()} == {"ready"}
    assert {name: asset["found_through"] for name, asset in found.items() if "found_through" in asset} == {
        "sung": ["video", "audio"],
        "shown": ["video", "audio"],
        "mute": ["video"],
    }


def test_film_is_found_by_a_sound_that_is_heard_in_it(project: Project, assets: dict[str, str], origin: Origin, clip: bytes) -> None:
    clip_url = origin.serve("media-clip.mp3", clip)
    in_song, in_film = sorted(project.search(clip_url, "audio", media_types=["video", "audio"]), key=lambda hit: str(hit["name"]))
    assert [(hit["asset_id"], hit["media_type"], hit["matched_through"]) for hit in (in_song, in_film)] == [
        (assets["song"], "audio", "audio"),
        (assets["sung"], "video", "audio"),
    ]
    (segment,) = in_film["matched_segments"]
    times = [segment[name] for name in ("source_start", "source_end", "target_start", "target_end")]
    assert times == pytest.approx([0.0, 7.0, START + 7.0, START + 14.0], abs=MAX_OFF_SECONDS)
    assert in_film["coverage"] > 0.9
    pair = project.mesh.match(clip_url, origin.url("media-sung.mp4"), "audio").json
    assert (in_film["similarity"], in_film["matched_segments"]) == (pair["similarity_score"], pair["matched_segments"])


def test_only_media_of_the_querys_own_type_are_looked_through_unless_it_says_so(
    project: Project, assets: dict[str, str], clip: bytes
) -> None:
    (hit,) = project.upload("/v1/search/audio/upload", clip).json["results"]
    assert hit["asset_id"] == assets["song"]
    assert "matched_through" not in hit
    still = picture_file(FILM.picture(3.0), "PNG")
    assert [hit["asset_id"] for hit in project.upload("/v1/search/image/upload", still).json["results"]] == [assets["picture"]]


def test_other_sound_finds_no_film(project: Project, assets: dict[str, str], origin: Origin) -> None:
    url = origin.serve("media-other.mp3", recorded(music(63, 8.0), "mp3", rate=RATE))
    assert project.search(url, "audio", media_types=["audio", "video"]) == []


@pytest.mark.parametrize("edit", [lambda picture: picture, captioned], ids=["as it is", "with text bars"])
def test_film_is_found_by_a_still_with_its_moment(project: Project, assets: dict[str, str], edit: object) -> None:
    assert callable(edit)
    still = picture_file(edit(FILM.picture(5.0)), "JPEG")
    (hit,) = project.upload("/v1/search/image/upload", still, media_types=["video"]).json["results"]
    assert (hit["asset_id"], hit["media_type"], hit["matched_through"]) == (assets["shown"], "video", "video")
    (segment,) = hit["matched_segments"]
    assert segment["target_start"] - MAX_OFF_SECONDS <= 5.0 <= segment["target_end"] + MAX_OFF_SECONDS
    assert (segment["source_start"], segment["source_end"]) == (0.0, 0.0)


def test_still_finds_pictures_and_films_in_one_order(project: Project, assets: dict[str, str]) -> None:
    still = picture_file(FILM.picture(3.0), "PNG")
    hits = project.upload("/v1/search/image/upload", still, media_types=["image", "video", "audio"], min_coverage="0.5").json["results"]
    assert [(hit["asset_id"], hit["matched_through"]) for hit in hits] == [(assets["picture"], "image"), (assets["shown"], "video")]
    assert (hits[0]["similarity"], hits[0]["coverage"]) == (1.0, None)
    first = project.upload("/v1/search/image/upload", still, media_types=["image", "video"], limit="1").json
    second = project.upload("/v1/search/image/upload", still, media_types=["image", "video"], limit="1", cursor=first["next_cursor"]).json
    assert [page["results"][0]["asset_id"] for page in (first, second)] == [assets["picture"], assets["shown"]]
    assert second["next_cursor"] is None


def test_sound_is_found_by_a_film_that_uses_it(project: Project, assets: dict[str, str], origin: Origin, song: Samples) -> None:
    film = film_of([Track(song[5 * RATE : 15 * RATE], RATE)], "webm")
    url = origin.serve("media-reused.webm", film)
    (hit,) = project.search(url, "video", media_types=["audio", "video"])
    assert (hit["asset_id"], hit["media_type"], hit["matched_through"]) == (assets["song"], "audio", "audio")
    (segment,) = hit["matched_segments"]
    assert segment["target_start"] - segment["source_start"] == pytest.approx(5.0, abs=MAX_OFF_SECONDS)
    assert segment["target_end"] == pytest.approx(15.0, abs=MAX_OFF_SECONDS)
    assert origin.requests.count(("GET", "media-reused.webm")) == 1
    (sent,) = project.send_form("/v1/search/video/upload", ("media_types", "audio"), ("file", film)).json["results"]
    assert (sent["asset_id"], sent["similarity"]) == (assets["song"], hit["similarity"])


def test_film_is_found_by_its_pictures_and_a_sound_by_its_sound_in_one_search(project: Project, assets: dict[str, str]) -> None:
    tune = project.index_upload(recorded(tones(8, 8.0), "flac", rate=FILM_SOUND_RATE), "audio", name="tune")
    copy = encoded(FILM, "webm", sound=8)
    hits = project.upload("/v1/search/video/upload", copy, media_types=["video", "audio"], include=["strong"]).json["results"]
    assert {hit["asset_id"]: (hit["matched_through"], hit["strong"]) for hit in hits} == {
        assets["shown"]: ("video", True),
        tune: ("audio", None),
    }
    assert project.request("DELETE", f"/v1/assets/{tune}").status == 204


def test_film_without_sound_finds_nothing_by_sound_and_is_no_error(project: Project, assets: dict[str, str]) -> None:
    mute = encoded(Film(36, 4.0), "webm")
    (hit,) = project.upload("/v1/search/video/upload", mute, media_types=["audio", "video"]).json["results"]
    assert (hit["asset_id"], hit["matched_through"]) == (assets["mute"], "video")
    assert project.upload("/v1/search/video/upload", mute, media_types=["audio"]).json["results"] == []


def test_film_in_the_library_finds_by_what_is_stored_of_it(project: Project, assets: dict[str, str]) -> None:
    by_sound = project.post("/v1/search/video/asset", asset_id=assets["sung"], media_types=["audio"]).json["results"]
    assert [(hit["asset_id"], hit["matched_through"]) for hit in by_sound] == [(assets["song"], "audio")]
    heard = project.post("/v1/search/audio/asset", asset_id=assets["sung"], media_types=["audio", "video"]).json["results"]
    assert {hit["asset_id"] for hit in heard} == {assets["song"], assets["sung"]}
    song = project.post("/v1/search/audio/asset", asset_id=assets["song"], media_types=["video"], exclude_self=True).json["results"]
    assert [hit["asset_id"] for hit in song] == [assets["sung"]]
    assert project.post("/v1/search/video/asset", asset_id=assets["mute"], media_types=["audio"]).json["results"] == []
    assert project.post("/v1/search/audio/asset", asset_id=assets["mute"]).code == "not_found"
    still = project.post("/v1/search/image/asset", asset_id=assets["picture"], media_types=["video"])
    assert (still.status, still.code, still.json["error"]["details"]["field"]) == (400, "invalid_request", "media_types")


def test_hash_finds_the_same_file_in_every_medium(project: Project, assets: dict[str, str], film_with_song: bytes) -> None:
    as_sound = project.index_upload(film_with_song, "audio")
    (sung,) = [
        row for row in project.request("GET", "/v1/hashes/export?kind=md5&format=csv").body.decode().splitlines() if assets["sung"] in row
    ]
    found = project.post("/v1/search/audio/hash", hash=sung.split(",")[0], kind="md5", media_types=["video", "audio"]).json["results"]
    assert [(hit["asset_id"], hit["matched_through"]) for hit in found] == [(assets["sung"], "video"), (as_sound, "audio")]
    assert project.request("DELETE", f"/v1/assets/{as_sound}").status == 204
    refused = project.post("/v1/search/image/hash", hash="0" * 64, kind="pdq", media_types=["image", "video"])
    assert (refused.status, refused.json["error"]["details"]["field"]) == (400, "kind")


@pytest.mark.parametrize(
    ("path", "media_types"),
    [
        ("image", ["text"]),
        ("image", ["audio"]),
        ("audio", ["image"]),
        ("video", ["image"]),
        ("video", []),
        ("video", "audio"),
        ("audio", [None]),
    ],
    ids=str,
)
def test_media_that_are_unknown_or_have_nothing_in_common_are_refused(project: Project, path: str, media_types: object) -> None:
    answer = project.post(f"/v1/search/{path}/url", url="http://127.0.0.1:9/", media_types=media_types)
    assert (answer.status, answer.code, answer.json["error"]["details"]["field"]) == (400, "invalid_request", "media_types")


def test_each_medium_that_is_looked_through_takes_its_scope(project: Project, assets: dict[str, str], clip: bytes) -> None:
    key = admin(project.mesh, "create-key", project.id, "sounds", "audio:search")
    limited = Project(project.mesh, project.id, key)
    assert limited.upload("/v1/search/audio/upload", clip, media_types=["audio"]).status == 200
    for answer in (
        limited.upload("/v1/search/audio/upload", clip, media_types=["audio", "video"]),
        limited.post("/v1/search/audio/asset", asset_id=assets["song"], media_types=["video"]),
    ):
        assert (answer.status, answer.code, answer.json["error"]["details"]["scope"]) == (403, "insufficient_scope", "video:search")


def test_other_projects_films_are_not_heard(mesh: RunningMesh, assets: dict[str, str], clip: bytes) -> None:
    stranger = new_project(mesh)
    assert stranger.upload("/v1/search/audio/upload", clip, media_types=["audio", "video"]).json["results"] == []
    assert stranger.post("/v1/search/video/asset", asset_id=assets["sung"], media_types=["audio"]).code == "not_found"


def test_silent_film_is_found_by_what_it_shows_alone(project: Project) -> None:
    silent = project.index_upload(film_of([Track(silence(4.0), RATE)]), "video")
    asset = project.request("GET", f"/v1/assets/{silent}").json
    assert (asset["status"], asset["found_through"]) == ("ready", ["video"])
    assert project.request("DELETE", f"/v1/assets/{silent}").status == 204


def test_deleted_film_is_found_in_no_way_and_leaves_no_trace(project: Project, song: Samples) -> None:
    film = project.index_upload(film_of([Track(song, RATE)], "mkv"), "video")
    clip = recorded(song[2 * RATE : 9 * RATE], "flac", rate=RATE)
    assert film in films_with(project, clip)
    with database(project.mesh) as connection:
        (number,) = connection.execute("SELECT number FROM assets WHERE id = %s", [film]).fetchone() or (0,)
    assert project.request("DELETE", f"/v1/assets/{film}").status == 204
    assert film not in films_with(project, clip)
    with database(project.mesh) as connection:
        left = connection.execute(
            "SELECT (SELECT count(*) FROM sounds WHERE asset = %(asset)s) + (SELECT count(*) FROM unpacked WHERE asset = %(asset)s)",
            {"asset": number},
        ).fetchone()
    assert left == (0,)


def films_with(project: Project, sound: bytes) -> list[str]:
    return [hit["asset_id"] for hit in project.upload("/v1/search/audio/upload", sound, media_types=["video"]).json["results"]]


def test_duplicate_is_told_by_pictures_not_by_sound(project: Project) -> None:
    """Two films with one tune are not one film."""
    first, second = (encoded(Film(seed), sound=9) for seed in (37, 38))
    one = project.index_upload(first, "video", collection="twins")
    other = project.index_upload(second, "video", collection="twins", on_duplicate="skip")
    again = project.index_upload(first, "video", collection="twins", on_duplicate="skip")
    assert project.request("GET", f"/v1/assets/{other}").json["found_through"] == ["video", "audio"]
    assert project.request("GET", f"/v1/assets/{again}").json["duplicate_of"] == one
    for asset in (one, other, again):
        assert project.request("DELETE", f"/v1/assets/{asset}").status == 204


def test_mesh_without_an_audio_service_indexes_films_by_what_they_show(tmp_path: Path) -> None:
    with RunningMesh(tmp_path, AUDIO_ADDRESS="") as deaf:
        project = new_project(deaf)
        film = encoded(Film(39), sound=10)
        asset = project.request("GET", f"/v1/assets/{project.index_upload(film, 'video')}").json
        assert (asset["status"], asset["found_through"]) == ("ready", ["video"])
        answer = project.upload("/v1/search/video/upload", film, media_types=["video", "audio"])
        assert (answer.status, answer.code) == (503, "not_available")
        assert "retry-after" in answer.headers
