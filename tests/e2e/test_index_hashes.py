"""Hashes on a whole running mesh: searched by, taken in as lists, given out, and found by media that have them."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest
from PIL import Image

from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import Answer, RunningMesh
from tests.sounds import RATE, music

PICTURE = encoded(photo(400, 1200, 900), "JPEG")


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def hashes(mesh: RunningMesh, origin: Origin) -> dict[str, str]:
    """Those of the picture, as the pair endpoint publishes them."""
    url = origin.serve("hashed.jpg", PICTURE)
    return dict(mesh.match(url, url, include=["hashes"]).json["hashes"]["source"])


@pytest.fixture(scope="module")
def asset(project: Project) -> str:
    return project.index_upload(PICTURE, name="picture", collection="media")


def flipped(value: str, bits: int) -> str:
    """The hash with so many bits changed, spread over it."""
    size = 4 * len(value)
    number = int(value, 16)
    for at in range(bits):
        number ^= 1 << (at * size // max(bits, 1))
    return f"{number:0{len(value)}x}"


def take_in(project: Project, body: str | bytes, *, medium: str = "image", content_type: str = "text/csv", **query: str) -> Answer:
    content = body.encode() if isinstance(body, str) else body
    return project.upload(f"/v1/index/{medium}/hashes", content, content_type, **query)


def search(project: Project, value: str, kind: str, **wanted: object) -> list[tuple[str, float]]:
    answer = project.post("/v1/search/image/hash", hash=value, kind=kind, **wanted)
    assert answer.status == 200, answer.body
    return [(hit["asset_id"], hit["similarity"]) for hit in answer.json["results"]]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "pdq", "phash", "dhash", "ahash", "whash"])
def test_asset_is_found_by_every_hash_that_is_published_of_it(project: Project, asset: str, hashes: dict[str, str], kind: str) -> None:
    assert search(project, hashes[kind], kind) == [(asset, 1.0)]
    assert search(project, hashes[kind].upper(), kind, collections=["media"]) == [(asset, 1.0)]
    assert search(project, hashes[kind], kind, collections=["elsewhere"]) == []
    assert search(project, flipped(hashes[kind], len(hashes[kind]) * 2), kind) == []


@pytest.mark.parametrize(("kind", "furthest"), [("pdq", 31), ("phash", 7)])
def test_near_hash_is_found_up_to_the_documented_distance(
    project: Project, asset: str, hashes: dict[str, str], kind: str, furthest: int
) -> None:
    bits = 4 * len(hashes[kind])
    for distance in range(furthest + 1):
        ((found, similarity),) = search(project, flipped(hashes[kind], distance), kind)
        assert found == asset
        assert similarity == pytest.approx(1 - 0.15 * (distance / bits) / (31 / 256), abs=1e-4)
    assert search(project, flipped(hashes[kind], furthest + 1), kind, threshold=0.0) == []
    assert search(project, flipped(hashes[kind], furthest), kind, threshold=0.9) == []


def test_other_projects_hashes_are_not_found(mesh: RunningMesh, asset: str, hashes: dict[str, str]) -> None:
    stranger = new_project(mesh)
    assert all(search(stranger, hashes[kind], kind, threshold=0.0) == [] for kind in ("sha256", "pdq", "phash"))


def test_blank_pictures_are_not_alike_by_their_hashes(project: Project, origin: Origin) -> None:
    white = encoded(Image.new("RGB", (640, 480), "white"), "PNG")
    url = origin.serve("white.png", white)
    found = dict(project.mesh.match(url, url, include=["hashes"]).json["hashes"]["source"])
    blank = project.index_upload(white)
    assert search(project, found["sha256"], "sha256") == [(blank, 1.0)]
    assert search(project, found["pdq"], "pdq") == []
    take_in(project, f"{found['pdq']}\n", kind="pdq", collection="blank")
    assert project.upload("/v1/search/image/upload", encoded(Image.new("RGB", (320, 480), "white"), "PNG")).json["results"] == []


def test_list_is_taken_in_ready_and_found_by_media(mesh: RunningMesh, hashes: dict[str, str]) -> None:
    project = new_project(mesh)
    body = (
        "\ufeffhash,kind,name,metadata,notes\r\n"
        f'{hashes["md5"]},md5,exact,"{{""case"": 7}}",ignored\r\n'
        f"{flipped(hashes['pdq'], 20).upper()},pdq,near,,\r\n"
        f"{flipped(hashes['pdq'], 40)},pdq,far,,\r\n"
    )
    taken = take_in(project, body, collection="industry", owner="a list")
    assert taken.status == 200, taken.body
    assert {name: taken.json[name] for name in ("accepted", "already_there", "refused", "errors")} == {
        "accepted": 3,
        "already_there": 0,
        "refused": 0,
        "errors": [],
    }
    job = project.request("GET", f"/v1/jobs/{taken.json['job_id']}").json
    assert (job["status"], job["progress"]["total"], job["progress"]["ready"]) == ("ready", 3, 3)
    hits = project.upload("/v1/search/image/upload", PICTURE).json["results"]
    assert [(hit["name"], hit["similarity"], hit["metadata"]) for hit in hits] == [
        ("exact", 1.0, {"case": 7}),
        ("near", pytest.approx(1 - 0.15 * 20 / 31, abs=1e-4), {}),
    ]
    assert hits[0]["collection"] == "industry"
    by_asset = project.post("/v1/search/image/asset", asset_id=hits[1]["asset_id"], exclude_self=True).json["results"]
    assert [hit["name"] for hit in by_asset] == ["far"]
    own = project.index_upload(PICTURE)
    by_asset = project.post("/v1/search/image/asset", asset_id=hits[1]["asset_id"], exclude_self=True).json["results"]
    assert {hit["name"] or hit["asset_id"] for hit in by_asset} == {"far", own}
    again = project.post("/v1/search/image/asset", asset_id=own, exclude_self=True).json["results"]
    assert {hit["name"] for hit in again} == {"exact", "near"}


def test_bad_rows_are_reported_and_good_ones_proceed(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    rows = ["a" * 64, "a" * 63, "a" * 64, '"unclosed', "g" * 64, "b" * 64, f"{'c' * 64},{'n' * 501}", f"{'d' * 64},x,too,many", ""]
    taken = take_in(project, "\n".join(rows).encode() + b"\n\xff\xfe\n" + b"e" * 70_000 + b"\n" + b"f" * 64, kind="pdq").json
    assert (taken["accepted"], taken["already_there"], taken["refused"]) == (3, 1, 7)
    assert [error["line"] for error in taken["errors"]] == [2, 4, 5, 7, 8, 10, 11]
    assert taken["errors"][0]["message"] == "hash: a pdq has 64 hexadecimal digits"
    assert all(len(error["message"]) < 200 for error in taken["errors"])


def test_json_lines_are_taken_in(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    rows: list[object] = [
        {"hash": "a" * 40, "kind": "sha1", "name": "one", "metadata": {"n": 1}, "collection": "c"},
        {"hash": "b" * 32, "kind": "md5", "owner": None, "more": 1},
        {"hash": 5, "kind": "md5"},
        {"hash": "b" * 64, "kind": "phash"},
        {"hash": "b" * 64, "kind": "nonsense"},
        {"hash": "b" * 64, "kind": "sha256", "metadata": [1]},
        [],
        "x",
    ]
    body = "\n".join(map(json.dumps, rows)) + "\n{broken"
    taken = take_in(project, body, content_type="application/x-ndjson", medium="video").json
    assert (taken["accepted"], taken["refused"]) == (2, 7)
    assert [error["line"] for error in taken["errors"]] == [3, 4, 5, 6, 7, 8, 9]
    answer = project.post("/v1/search/video/hash", hash="A" * 40, kind="sha1", include=["strong"])
    ((name, similarity, coverage, strong),) = [
        (hit["name"], hit["similarity"], hit["coverage"], hit["strong"]) for hit in answer.json["results"]
    ]
    assert (name, similarity, coverage, strong) == ("one", 1.0, 1.0, True)


def test_list_that_is_taken_in_again_makes_nothing_twice_and_lives_anew(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    body = "\n".join(hashlib.sha256(bytes([at])).hexdigest() for at in range(50))
    assert take_in(project, body, kind="sha256", ttl_seconds="1").json["accepted"] == 50
    again = take_in(project, body, kind="sha256", ttl_seconds="3600").json
    assert (again["accepted"], again["already_there"]) == (0, 50)
    other = take_in(project, body, kind="sha256", collection="another").json
    assert other["accepted"] == 50
    shown = project.request("GET", "/v1/assets?limit=100").json["assets"]
    assert len(shown) == 100


def test_what_is_given_out_is_taken_in(mesh: RunningMesh, hashes: dict[str, str]) -> None:
    project, second = new_project(mesh), new_project(mesh)
    project.index_upload(PICTURE, name="=cmd|' /C calc'!A0", metadata={"a": 'b,"c'})
    take_in(project, f"{'0f' * 32},from a list\n", kind="pdq", collection="Ä")
    given = project.request("GET", "/v1/hashes/export?kind=pdq")
    assert given.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(given.body.decode())))
    assert [(row["hash"], row["name"]) for row in rows] == [(hashes["pdq"], "'=cmd|' /C calc'!A0"), ("0f" * 32, "from a list")]
    assert take_in(second, given.body).json["accepted"] == 2
    lines = project.request("GET", "/v1/hashes/export?kind=pdq&format=jsonl&collection=%C3%84").body
    assert [json.loads(line)["hash"] for line in lines.splitlines()] == ["0f" * 32]
    assert take_in(second, lines, content_type="application/x-ndjson").json["already_there"] == 1
    assert project.request("GET", "/v1/hashes/export?kind=whash&type=audio").body.count(b"\n") == 1
    assert project.request("GET", "/v1/hashes/export?kind=md4").code == "invalid_request"
    assert project.request("GET", "/v1/hashes/export").json["error"]["details"]["field"] == "kind"


def test_sound_is_found_by_a_list_of_exact_hashes(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    sound = recorded(music(9, 8.0), "flac", rate=RATE)
    assert take_in(project, hashlib.md5(sound).hexdigest(), kind="md5", medium="audio").json["accepted"] == 1
    ((similarity, coverage),) = [
        (hit["similarity"], hit["coverage"]) for hit in project.upload("/v1/search/audio/upload", sound, min_coverage="0.9").json["results"]
    ]
    assert (similarity, coverage) == (1.0, 1.0)
    assert take_in(project, "0f" * 32, kind="pdq", medium="audio").json["refused"] == 1


def test_deleted_asset_is_found_by_no_hash(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    take_in(project, "0f" * 32, kind="pdq")
    ((asset, _),) = search(project, "0f" * 32, "pdq")
    assert project.request("DELETE", f"/v1/assets/{asset}").status == 204
    assert search(project, "0f" * 32, "pdq") == []
    assert take_in(project, "0f" * 32, kind="pdq").json["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hash": "aa", "kind": "md5"}, "hash"),
        ({"hash": "z" * 32, "kind": "md5"}, "hash"),
        ({"hash": "a" * 32}, "kind"),
        ({"kind": "md5"}, "hash"),
        ({"hash": "a" * 32, "kind": "md4"}, "kind"),
        ({"hash": "a" * 32, "kind": "md5", "url": "http://x"}, "url"),
    ],
)
def test_wrong_hash_is_refused(project: Project, body: dict[str, object], field: str) -> None:
    answer = project.mesh.post("/v1/search/image/hash", body, Authorization=f"Bearer {project.key}")
    assert (answer.status, answer.code, answer.json["error"]["details"]["field"]) == (400, "invalid_request", field)


def test_hash_of_a_picture_is_none_of_a_sound(project: Project) -> None:
    assert project.post("/v1/search/audio/hash", hash="0f" * 32, kind="pdq").json["error"]["details"]["field"] == "kind"


def test_list_of_another_type_or_encoding_is_refused(project: Project) -> None:
    assert take_in(project, "[]", content_type="application/json").code == "unsupported_content_type"
    assert take_in(project, "hash\n" + "a" * 32, kind="md4").code == "invalid_request"
    assert take_in(project, ("a" * 32 + "\n").encode("utf-16"), kind="md5").code == "invalid_request"
    assert take_in(project, "hash,hash\n", kind="md5").code == "invalid_request"
    assert take_in(project, "a\n" * 100_001, kind="md5").code == "invalid_request"
