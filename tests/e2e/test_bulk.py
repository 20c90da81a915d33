"""Files of rows on a whole running mesh, as the clients of /v1 see them."""

from __future__ import annotations

import json

import jsonschema
import pytest

from gateway import openapi
from gateway.server import ROUTES
from gateway.settings import Settings
from tests.archives import STORED, Member, manifest_of, zipped
from tests.bulk import csv_job, outcomes, rows_of, send_csv, until_over, wait_until, zip_job
from tests.index_client import ALL_SCOPES, Project, admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

SCHEMAS = {"components": openapi.document(ROUTES, Settings())["components"]}


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [encoded(photo(seed, 320, 240), "JPEG") for seed in range(700, 704)]


def is_of(body: object, name: str) -> None:
    jsonschema.validate(body, {"$ref": f"#/components/schemas/{name}", **SCHEMAS})


def test_rows_of_several_media_become_assets_that_are_found(project: Project, origin: Origin, pictures: list[bytes]) -> None:
    urls = [origin.serve(f"bulk-{at}.jpg", picture) for at, picture in enumerate(pictures)]
    sound = origin.serve("bulk.mp3", recorded(music(9, 5.0), "mp3", rate=RATE))
    head = "name,url,media_type,collection,metadata,owner\n"
    rows = [f'"p, {at}",{url},image,bulk,"{{""at"": {at}}}",ann' for at, url in enumerate(urls)]
    accepted = send_csv(
        project, (head + "\n".join([*rows, f"s,{sound},audio,bulk,,", f"gone,{origin.url('absent.jpg')},image,,,"])).encode()
    )
    is_of(accepted.json, "BulkBody")
    assert (accepted.status, accepted.json["rows"]) == (202, 6)
    job = until_over(project, accepted.json["job_id"])
    is_of(job, "JobBody")
    assert (job["kind"], job["status"], job["media_type"], job["asset_id"]) == ("csv", "ready", None, None)
    assert job["progress"] == {"total": 6, "pending": 0, "processing": 0, "ready": 5, "failed": 1}
    assert job in project.request("GET", "/v1/jobs").json["jobs"]
    report = project.request("GET", f"/v1/jobs/{job['id']}/rows").json
    is_of(report, "RowListBody")
    assert [row["status"] for row in report["rows"]] == ["ready"] * 5 + ["failed"]
    assert report["rows"][-1]["error"]["code"] == "fetch_failed"
    (hit,) = project.search(urls[1])
    assert (hit["asset_id"], hit["name"], hit["metadata"]) == (report["rows"][1]["asset_id"], "p, 1", {"at": 1})
    assert [hit["asset_id"] for hit in project.search(sound, "audio")] == [report["rows"][4]["asset_id"]]


def test_file_may_come_as_a_part_of_a_form(project: Project, origin: Origin, pictures: list[bytes]) -> None:
    url = origin.serve("form.jpg", pictures[0])
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    form = head + f"url,media_type\r\n{url},image\r\n".encode() + b"\r\n--b--\r\n"
    accepted = send_csv(project, form, "multipart/form-data; boundary=b")
    assert (accepted.status, accepted.json["rows"]) == (202, 1)
    assert until_over(project, accepted.json["job_id"])["status"] == "ready"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/json", b"{}", 415, "unsupported_content_type"),
        ("text/csv; charset=latin-1", b"a,image\n", 415, "unsupported_content_type"),
        ("multipart/form-data", b"a,image\n", 400, "invalid_request"),
        ("multipart/form-data; boundary=b", b"a,image\n", 400, "invalid_request"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            400,
            "invalid_request",
        ),
        ("text/csv", b"a,image\n" * 100_001, 413, "request_too_large"),
    ],
)
def test_body_that_is_no_file_of_rows_is_refused_with_a_code(
    project: Project, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = send_csv(project, body, content_type)
    assert (answer.status, answer.code) == (status, code)


def test_file_that_is_sent_again_under_its_key_is_one_job(project: Project) -> None:
    content = b"http://10.0.0.1/a.jpg,image\n"
    first, again = (send_csv(project, content, **{"Idempotency-Key": "file-1"}) for _ in range(2))
    assert first.json == again.json
    assert send_csv(project, content + content, **{"Idempotency-Key": "file-1"}).code == "conflict"


def test_files_of_an_archive_become_assets_that_are_found(project: Project, origin: Origin, pictures: list[bytes]) -> None:
    manifest = manifest_of(["a.jpg,image,a", 'folder/b ä.jpg,image,"b"', "c.mp3,audio,c"])
    sound = recorded(music(19, 5.0), "mp3", rate=RATE)
    content = zipped(
        Member("manifest.csv", manifest),
        Member("a.jpg", encoded(photo(720), "JPEG")),
        Member("folder/", b"", attributes=0o040755 << 16),
        Member("folder/b ä.jpg", encoded(photo(721), "JPEG"), method=STORED),
        Member("c.mp3", sound),
    )
    job = zip_job(project, origin.serve("catalogue.zip", content))
    assert (job["kind"], job["status"], job["error"]) == ("zip", "ready", None)
    assert outcomes(project, job["id"]) == [(2, "a.jpg", "ready"), (3, "folder/b ä.jpg", "ready"), (4, "c.mp3", "ready")]
    found = project.search(origin.serve("copy.webp", encoded(photo(721), "WEBP", quality=70)))
    assert [hit["asset_id"] for hit in found] == [rows_of(project, job["id"])[1]["asset_id"]]
    assert (
        found[0]["similarity"]
        == project.mesh.match(origin.url("copy.webp"), origin.serve("b.jpg", encoded(photo(721), "JPEG"))).json["similarity_score"]
    )


def test_archive_that_cannot_be_fetched_fails_with_the_code_of_the_pair_endpoint(project: Project, origin: Origin) -> None:
    for url, code in ((origin.url("no.zip"), "fetch_failed"), ("http://10.0.0.1/a.zip", "invalid_url")):
        job = zip_job(project, url)
        assert (job["status"], job["error"]["code"]) == ("failed", code)
        assert job["finished_at"] is not None


def test_cancelled_job_is_over_at_once(project: Project) -> None:
    accepted = send_csv(project, b"http://10.0.0.1/a.jpg,image\n" * 3000)
    cancelled = project.post(f"/v1/jobs/{accepted.json['job_id']}/cancel")
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    progress = cancelled.json["progress"]
    assert progress["pending"] == progress["processing"] == 0
    assert progress["total"] == progress["failed"] + progress["ready"]
    assert {code for _, _, code in outcomes(project, accepted.json["job_id"])} <= {"cancelled", "invalid_url"}
    assert project.post(f"/v1/jobs/{accepted.json['job_id']}/cancel").json == cancelled.json


def test_job_that_is_over_cannot_be_cancelled(project: Project) -> None:
    job = csv_job(project, b"http://10.0.0.1/a.jpg,image\n")
    assert project.post(f"/v1/jobs/{job['id']}/cancel").code == "conflict"


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_any_scope_to_index_opens_files_of_rows_for_its_own_medium(mesh: RunningMesh, project: Project, scope: str) -> None:
    limited = Project(mesh, project.id, admin(mesh, "create-key", project.id, "limited", scope))
    answer = send_csv(limited, b"http://10.0.0.1/a.jpg,image\nhttp://10.0.0.1/a.mp3,audio\nhttp://10.0.0.1/a.mp4,video\n")
    archive = limited.post("/v1/index/bulk/zip", url="http://10.0.0.1/a.zip")
    if not scope.endswith(":index"):
        assert (answer.code, archive.code) == ("insufficient_scope", "insufficient_scope")
        assert json.loads(answer.body)["error"]["details"]["scope"].endswith(":index")
        return
    assert archive.status == 202
    job = answer.json["job_id"]
    wait_until(lambda: len(rows_of(project, job)) == 3)
    refused = [line for line, _, outcome in outcomes(project, job) if outcome == "insufficient_scope"]
    own = ["image:index", "audio:index", "video:index"].index(scope) + 1
    assert refused == [line for line in (1, 2, 3) if line != own]
