"""One against many on a whole running mesh, as the clients of /v1 see it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import jsonschema
import pytest
from PIL import Image

from tests.e2e.test_api import ERROR
from tests.index_client import ALL_SCOPES, Project, admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import ROOT, Answer, RunningMesh

ASSET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "name", "media_type", "status", "error", "collection", "metadata", "created_at", "ready_at"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": ["string", "null"]},
        "media_type": {"const": "image"},
        "status": {"enum": ["pending", "processing", "ready", "failed"]},
        "error": {"type": ["object", "null"], "required": ["code", "message"], "additionalProperties": {"type": "string"}},
        "collection": {"type": ["string", "null"]},
        "metadata": {"type": "object"},
        "created_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "ready_at": {"type": ["string", "null"]},
    },
}
HIT = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("asset_id", "name", "media_type", "similarity", "coverage", "matched_segments", "confidence", "collection", "metadata"),
    ],
    "properties": {
        "asset_id": {"type": "string"},
        "name": {"type": ["string", "null"]},
        "media_type": {"const": "image"},
        "similarity": {"type": "number", "minimum": 0, "maximum": 1},
        "coverage": {"type": "null"},
        "matched_segments": {"type": "array", "maxItems": 0},
        "confidence": {"enum": ["none", "low", "medium", "high"]},
        "collection": {"type": ["string", "null"]},
        "metadata": {"type": "object"},
    },
}
SEARCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["results", "next_cursor", "processing_time_ms"],
    "properties": {
        "results": {"type": "array", "items": HIT},
        "next_cursor": {"type": ["string", "null"]},
        "processing_time_ms": {"type": "integer", "minimum": 0},
    },
}
ROUTES = [
    ("POST", "/v1/index/image/url", "image:index"),
    ("POST", "/v1/index/audio/url", "audio:index"),
    ("POST", "/v1/index/video/url", "video:index"),
    ("POST", "/v1/search/image/url", "image:search"),
    ("POST", "/v1/search/image/asset", "image:search"),
    ("POST", "/v1/search/audio/url", "audio:search"),
    ("POST", "/v1/search/audio/asset", "audio:search"),
    ("POST", "/v1/search/video/url", "video:search"),
    ("POST", "/v1/search/video/asset", "video:search"),
    ("POST", "/v1/index/image/upload", "image:index"),
    ("POST", "/v1/index/audio/upload", "audio:index"),
    ("POST", "/v1/index/video/upload", "video:index"),
    ("POST", "/v1/search/image/upload", "image:search"),
    ("POST", "/v1/search/audio/upload", "audio:search"),
    ("POST", "/v1/search/video/upload", "video:search"),
    ("POST", "/v1/search/image/hash", "image:search"),
    ("POST", "/v1/search/audio/hash", "audio:search"),
    ("POST", "/v1/search/video/hash", "video:search"),
    ("POST", "/v1/index/image/hashes", "image:index"),
    ("POST", "/v1/index/audio/hashes", "audio:index"),
    ("POST", "/v1/index/video/hashes", "video:index"),
    ("GET", "/v1/hashes/export?kind=pdq", "assets:read"),
    ("GET", "/v1/assets/{asset}/media", "assets:read"),
    ("GET", "/v1/assets", "assets:read"),
    ("GET", "/v1/assets/{asset}", "assets:read"),
    ("DELETE", "/v1/assets/{asset}", "assets:delete"),
    ("POST", "/v1/assets/{asset}/retry", "image:index"),
    ("GET", "/v1/jobs", "jobs:read"),
    ("GET", "/v1/jobs/{job}", "jobs:read"),
    ("GET", "/v1/usage", "usage:read"),
]


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def stranger(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def photos(origin: Origin) -> list[str]:
    return [origin.serve(f"library-{seed}.jpg", encoded(photo(seed), "JPEG")) for seed in range(40, 46)]


@pytest.fixture(scope="module")
def library(project: Project, photos: list[str]) -> list[str]:
    """The ids of the indexed photos."""
    return [
        project.index(url, name=f"photo {at}", collection="odd" if at % 2 else "even", metadata={"at": at}) for at, url in enumerate(photos)
    ]


@pytest.fixture(scope="module")
def copy_url(origin: Origin) -> str:
    return origin.serve("library-copy.webp", encoded(Image.fromarray(photo(42)).resize((480, 360)).crop((20, 20, 460, 350)), "WEBP"))


def test_indexed_photo_is_found_by_its_copy(project: Project, library: list[str], copy_url: str) -> None:
    answer = project.post("/v1/search/image/url", url=copy_url)
    jsonschema.validate(answer.json, SEARCH)
    (hit,) = answer.json["results"]
    assert (hit["asset_id"], hit["name"], hit["collection"], hit["metadata"]) == (library[2], "photo 2", "even", {"at": 2})
    assert hit["similarity"] >= 0.85
    assert "candidates;dur=" in answer.headers["server-timing"]


def test_hit_has_the_score_of_the_pair_endpoint(project: Project, library: list[str], photos: list[str], copy_url: str) -> None:
    for url, low in ((copy_url, 0.0), (photos[2], 1.0)):
        hits = {hit["asset_id"]: hit for hit in project.search(url, threshold=low)}
        pair = project.mesh.match(url, photos[2]).json
        assert hits[library[2]]["similarity"] == pytest.approx(pair["similarity_score"], abs=1e-6)
        assert hits[library[2]]["confidence"] == pair["confidence"]


def test_threshold_is_inclusive(project: Project, library: list[str], copy_url: str) -> None:
    (hit,) = project.search(copy_url)
    assert [found["asset_id"] for found in project.search(copy_url, threshold=hit["similarity"])] == [library[2]]
    assert project.search(copy_url, threshold=min(1.0, hit["similarity"] + 0.0001)) == []


def test_asset_finds_itself_unless_it_is_left_out(project: Project, library: list[str]) -> None:
    with_itself = project.post("/v1/search/image/asset", asset_id=library[1])
    assert [(hit["asset_id"], hit["similarity"]) for hit in with_itself.json["results"]] == [(library[1], 1.0)]
    assert project.post("/v1/search/image/asset", asset_id=library[1], exclude_self=True).json["results"] == []


def test_collections_and_metadata_narrow_a_search(project: Project, library: list[str], copy_url: str) -> None:
    assert project.search(copy_url, collections=["odd"]) == []
    assert len(project.search(copy_url, collections=["odd", "even"])) == 1
    assert project.search(copy_url, filter={"at": 3}) == []
    assert len(project.search(copy_url, filter={"at": 2})) == 1


def test_pages_of_a_search_hold_every_hit_once(project: Project, origin: Origin) -> None:
    urls = [origin.serve(f"again-{quality}.jpg", encoded(photo(61), "JPEG", quality=quality)) for quality in (95, 80, 60, 50, 40)]
    ids = {project.index(url) for url in urls}
    whole = project.search(urls[1])
    assert {hit["asset_id"] for hit in whole} == ids
    assert [hit["similarity"] for hit in whole] == sorted((hit["similarity"] for hit in whole), reverse=True)
    seen, cursor = [], None
    while True:
        page = project.post("/v1/search/image/url", url=urls[1], limit=2, cursor=cursor).json
        seen += [hit["asset_id"] for hit in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [hit["asset_id"] for hit in whole]


def test_asset_and_job_are_described_as_documented(project: Project, library: list[str]) -> None:
    asset = project.request("GET", f"/v1/assets/{library[0]}").json
    jsonschema.validate(asset, ASSET)
    assert (asset["status"], asset["error"], asset["name"]) == ("ready", None, "photo 0")
    jobs = project.request("GET", "/v1/jobs?limit=100").json["jobs"]
    (job,) = [job for job in jobs if job["asset_id"] == library[0]]
    assert project.request("GET", f"/v1/jobs/{job['id']}").json == job
    assert job["progress"] == {"total": 1, "pending": 0, "processing": 0, "ready": 1, "failed": 0}
    assert job["finished_at"] >= job["created_at"]


def test_asset_that_cannot_be_fetched_fails_with_the_code_of_the_pair_endpoint(project: Project, origin: Origin) -> None:
    url = origin.url("late.jpg")
    asset = project.index(url)
    body = project.request("GET", f"/v1/assets/{asset}").json
    jsonschema.validate(body, ASSET)
    assert body["status"] == "failed"
    assert body["error"]["code"] == project.mesh.match(url, url).code == "fetch_failed"
    origin.serve("late.jpg", encoded(photo(71), "JPEG"))
    again = project.post(f"/v1/assets/{asset}/retry")
    assert again.status == 202
    assert project.until_done(asset)["status"] == "ready"
    assert project.request("GET", f"/v1/jobs/{again.json['job_id']}").json["status"] == "ready"
    assert project.post(f"/v1/assets/{asset}/retry").code == "conflict"


def test_private_address_fails_as_it_does_for_a_pair(project: Project) -> None:
    asset = project.index("http://10.0.0.1/secret.jpg")
    assert project.request("GET", f"/v1/assets/{asset}").json["error"]["code"] == "invalid_url"


def test_request_that_is_sent_again_is_answered_the_same_and_done_once(project: Project, photos: list[str]) -> None:
    def send(**said: object) -> Answer:
        body = {"url": photos[0], "collection": "again", **said}
        headers = {"Authorization": f"Bearer {project.key}", "Idempotency-Key": "order-42"}
        return project.mesh.post("/v1/index/image/url", body, **headers)

    with ThreadPoolExecutor(8) as at_once:
        answers = [answer.json for answer in at_once.map(lambda _: send(), range(8))]
    assert all(answer == answers[0] for answer in answers)
    assert send(name="another").code == "conflict"
    assert [asset["id"] for asset in project.request("GET", "/v1/assets?collection=again").json["assets"]] == [answers[0]["asset_id"]]
    project.until_done(answers[0]["asset_id"])
    assert project.request("DELETE", f"/v1/assets/{answers[0]['asset_id']}").status == 204


def test_asset_with_a_time_to_live_is_gone_after_it(project: Project, origin: Origin) -> None:
    url = origin.serve("short-lived.jpg", encoded(photo(91), "JPEG"))
    asset = project.post("/v1/index/image/url", url=url, ttl_seconds=2).json["asset_id"]
    assert project.request("GET", f"/v1/assets/{asset}").status == 200
    deadline = time.monotonic() + 30
    while project.request("GET", f"/v1/assets/{asset}").status == 200:
        assert time.monotonic() < deadline
    assert project.search(url) == []


def test_deleted_asset_is_found_no_more(project: Project, origin: Origin) -> None:
    url = origin.serve("gone.jpg", encoded(photo(81), "JPEG"))
    asset = project.index(url)
    assert [hit["asset_id"] for hit in project.search(url)] == [asset]
    assert project.request("DELETE", f"/v1/assets/{asset}").status == 204
    assert project.search(url) == []
    assert project.request("GET", f"/v1/assets/{asset}").status == 404
    assert project.request("DELETE", f"/v1/assets/{asset}").status == 404


def test_project_without_assets_finds_nothing(stranger: Project, library: list[str], copy_url: str) -> None:
    answer = stranger.post("/v1/search/image/url", url=copy_url)
    assert (answer.status, answer.json["results"], answer.json["next_cursor"]) == (200, [], None)


def test_blank_picture_finds_only_its_own_bytes(project: Project, library: list[str], origin: Origin) -> None:
    url = origin.serve("blank.png", encoded(Image.new("RGB", (640, 480), "white"), "PNG"))
    other = origin.serve("blank-too.png", encoded(Image.new("RGB", (320, 480), "white"), "PNG"))
    asset = project.index(url)
    assert [(hit["asset_id"], hit["similarity"]) for hit in project.search(url)] == [(asset, 1.0)]
    assert project.search(other) == []


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES if "asset" in path or "{job}" in path])
def test_other_projects_ids_are_as_if_they_never_were(
    stranger: Project, project: Project, library: list[str], method: str, path: str
) -> None:
    job = project.request("GET", "/v1/jobs?limit=1").json["jobs"][0]["id"]

    def ask(asset: str, job_id: str) -> tuple[int, str, str]:
        target = path.format(asset=asset, job=job_id)
        if path.endswith("/asset"):
            answer = stranger.post(target, asset_id=asset)
        else:
            answer = stranger.post(target) if method == "POST" else stranger.request(method, target)
        return (answer.status, answer.code, answer.json["error"]["message"]) if answer.status >= 400 else (200, "", str(answer.json))

    theirs, nobodys = ask(library[0], job), ask(str(uuid4()), str(uuid4()))
    assert theirs == nobodys
    if path != "/v1/assets":
        assert theirs[0] == 404
    assert project.request("GET", f"/v1/assets/{library[0]}").json["status"] == "ready"


def test_lists_and_cursors_of_one_project_show_nothing_of_another(stranger: Project, project: Project, library: list[str]) -> None:
    cursor = project.request("GET", "/v1/assets?limit=1").json["next_cursor"]
    for path in ("/v1/assets", f"/v1/assets?cursor={cursor}", "/v1/assets?name=photo%200&status=ready"):
        assert stranger.request("GET", path).json == {"assets": [], "next_cursor": None}
    assert stranger.request("GET", f"/v1/jobs?cursor={cursor}").json == {"jobs": [], "next_cursor": None}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"X-API-Key": "mm_live_" + "a" * 50},
        {"Authorization": "Basic bW1fbGl2ZV8="},
        {"X-API-Key": "ключ".encode().decode("latin-1")},
        {"X-API-Key": "x" * 5000},
    ],
    ids=["none", "nonsense", "well-formed", "basic", "cyrillic", "long"],
)
@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_without_a_valid_key_nothing_answers(mesh: RunningMesh, method: str, path: str, scope: str, headers: dict[str, str]) -> None:
    answer = mesh.request(method, path.format(asset=uuid4(), job=uuid4()), headers=headers)
    jsonschema.validate(answer.json, ERROR)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_scope_grants_exactly_its_routes(mesh: RunningMesh, project: Project, library: list[str], scope: str) -> None:
    limited = Project(mesh, project.id, admin(mesh, "create-key", project.id, "limited", scope))
    for method, path, needed in ROUTES:
        # An asset that is there, so that no answer is about it; nothing is deleted and nothing has failed.
        target = path.format(asset=library[0] if path.endswith("/retry") else uuid4(), job=uuid4())
        answer = limited.post(target) if method == "POST" else limited.request(method, target)
        is_refused = answer.status == 403
        assert is_refused == (needed != scope), (path, answer.body)
        if is_refused:
            assert answer.code == "insufficient_scope"
            assert answer.json["error"]["details"]["scope"] == needed


@pytest.mark.parametrize("header", ["X-API-Key", "x-rapidapi-key", "Authorization"])
def test_key_is_taken_from_every_documented_header(mesh: RunningMesh, project: Project, header: str) -> None:
    value = f"Bearer {project.key}" if header == "Authorization" else project.key
    assert mesh.request("GET", "/v1/assets", headers={header: value, "x-rapidapi-host": "example.com"}).status == 200


def test_revoked_key_ends_within_five_seconds(mesh: RunningMesh, project: Project) -> None:
    doomed = Project(mesh, project.id, admin(mesh, "create-key", project.id, "doomed", "assets:read"))
    assert doomed.request("GET", "/v1/assets").status == 200
    admin(mesh, "revoke-key", project.id, doomed.key[:20])
    revoked = time.monotonic()
    while doomed.request("GET", "/v1/assets").status == 200:
        assert time.monotonic() - revoked < 5
    assert doomed.request("GET", "/v1/assets").code == "unauthorized"


def test_keys_are_nowhere_in_the_logs(mesh: RunningMesh, project: Project) -> None:
    project.request("GET", "/v1/assets")
    mesh.request("GET", f"/v1/assets/{project.key}", headers={"X-API-Key": project.key})
    mesh.request("GET", "/v1/assets", headers={"X-API-Key": project.key + "x"})
    assert project.key[20:] not in mesh.log


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/index/image/url", {}, "url"),
        ("/v1/index/image/url", {"url": 1}, "url"),
        ("/v1/index/image/url", {"url": "http://x", "project_id": "x"}, "project_id"),
        ("/v1/index/image/url", {"url": "http://x", "metadata": []}, "metadata"),
        ("/v1/index/image/url", {"url": "http://x", "metadata": {"a": "\0"}}, "metadata"),
        ("/v1/index/image/url", {"url": "http://x", "metadata": {"a": "x" * 20000}}, "metadata"),
        ("/v1/index/image/url", {"url": "http://x", "name": "x" * 501}, "name"),
        ("/v1/index/image/url", {"url": "http://x", "name": "a\0b"}, "name"),
        ("/v1/index/image/url", {"url": "http://x\0"}, "url"),
        ("/v1/search/image/url", {"url": "http://x", "threshold": 1.5}, "threshold"),
        ("/v1/search/image/url", {"url": "http://x", "limit": 0}, "limit"),
        ("/v1/search/image/url", {"url": "http://x", "limit": 101}, "limit"),
        ("/v1/search/image/url", {"url": "http://x", "asset_id": "x"}, "asset_id"),
        ("/v1/search/image/url", {"url": "http://x", "cursor": "made up"}, "cursor"),
        ("/v1/search/image/url", {"url": "http://x", "media_types": ["audio"]}, "media_types"),
        ("/v1/search/image/url", {"url": "http://x", "min_coverage": 0.5}, "min_coverage"),
        ("/v1/search/image/url", {"url": "http://x", "collections": ["a\0"]}, "collections"),
        ("/v1/search/image/asset", {"url": "http://x"}, "asset_id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_field_is_named(project: Project, path: str, body: dict[str, object], field: str) -> None:
    answer = project.mesh.post(path, body, Authorization=f"Bearer {project.key}")
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.body
    assert answer.json["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=101", "status=gone", "type=text", "cursor=!", "offset=3", "limit=1&limit=2"]
)
def test_wrong_parameter_is_refused(project: Project, query: str) -> None:
    assert project.request("GET", f"/v1/assets?{query}").code == "invalid_request"


@pytest.mark.parametrize(
    "value", ["1" * 5000, "1e400", '"\\ud800"', "[" * 5000 + "]" * 5000, '{"a": 1, "a": 2}'], ids=lambda value: value[:8]
)
def test_odd_values_in_metadata_are_no_failure_of_ours(project: Project, value: str) -> None:
    body = b'{"url": "http://x", "metadata": {"a": %s}}' % value.encode()
    headers = {"Authorization": f"Bearer {project.key}", "Content-Type": "application/json"}
    for path in ("/v1/index/image/url", "/v1/search/image/url"):
        answer = project.mesh.request("POST", path, body.replace(b"metadata", b"filter") if "search" in path else body, headers)
        assert answer.code == "invalid_request", answer.body


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/assets/%ff", "not_found"),
        ("GET", "/v1/assets/%00", "not_found"),
        ("DELETE", "/v1/assets/%ed%a0%80", "not_found"),
        ("GET", "/v1/jobs/%27%20OR%201=1", "not_found"),
        ("GET", "/v1/assets?cursor=%ff", "invalid_request"),
        ("GET", "/v1/assets?name=%00", "invalid_request"),
    ],
)
def test_odd_characters_in_a_path_are_no_failure_of_ours(project: Project, method: str, path: str, code: str) -> None:
    assert project.request(method, path).code == code


@pytest.mark.parametrize("path", ["/v1/index/text/url", "/v1/search/text/url", "/v1/other"])
def test_unknown_type_is_not_found(project: Project, path: str) -> None:
    assert project.post(path, url="http://x").code == "not_found"


def test_body_that_is_too_large_is_refused(project: Project) -> None:
    assert project.post("/v1/index/image/url", url="http://x", metadata={"a": "x" * 70_000}).code == "request_too_large"


def test_page_from_elsewhere_is_not_let_in(mesh: RunningMesh, project: Project) -> None:
    answer = mesh.request("GET", "/v1/assets", headers={"X-API-Key": project.key, "Origin": "https://example.com"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_make_key_makes_a_first_project_and_prints_the_key_alone_on_the_last_line(mesh: RunningMesh) -> None:
    printed = admin(mesh, "key").splitlines()
    assert re.fullmatch(r"mm_live_[0-9A-Za-z]{50}", printed[-1])
    again = admin(mesh, "key").splitlines()
    assert again[-1] != printed[-1]
    assert len(admin(mesh, "projects").splitlines()) == len({line.split()[0] for line in admin(mesh, "projects").splitlines()})
    assert mesh.request("GET", "/v1/jobs", headers={"X-API-Key": printed[-1]}).status == 200


def test_walk_in_readme_works_as_printed(mesh: RunningMesh, project: Project, photos: list[str], copy_url: str) -> None:
    block = next(b for b in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "/index/image/url" in b)
    script = block.replace("https://picsum.photos/id/237/800/600.jpg", photos[2]).replace(
        "https://picsum.photos/id/237/400/300.webp", copy_url
    )
    script = script.replace("make -s key", f"DATA_DIR={mesh.data_dir} {sys.executable} -m index_svc.admin key")
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{mesh.port}")
    waiting = 'until curl -s $V1/assets -H "Authorization: Bearer $KEY" | grep -q \'"status":"ready"\'; do sleep 0.05; done'
    script = script.replace("# Search with", f"{waiting}\n# Search with")
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout[done.stdout.rindex('{"results"') :])["results"]
    assert "the dog" in [hit["name"] for hit in results]
