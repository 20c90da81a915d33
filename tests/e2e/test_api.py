"""The public JSON API of a whole running mesh, as its clients see it."""

from __future__ import annotations

import http.client
import json
import socket
import time

import jsonschema
import pytest
from PIL import Image

from tests.origin import Origin
from tests.pictures import FORMATS, encoded, photo
from tests.running_mesh import RunningMesh

ENVELOPE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["match", "confidence", "similarity_score", "processing_time_ms", "media_type", "matched_segments"],
    "properties": {
        "match": {"type": "boolean"},
        "confidence": {"enum": ["none", "low", "medium", "high"]},
        "similarity_score": {"type": "number", "minimum": 0, "maximum": 1},
        "processing_time_ms": {"type": "integer", "minimum": 0},
        "media_type": {"const": "image"},
        "matched_segments": {"type": "array", "maxItems": 0},
    },
}
ERROR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "additionalProperties": False,
            "required": ["code", "message", "request_id"],
            "properties": {
                "code": {"type": "string", "pattern": "^[a-z_]+$"},
                "message": {"type": "string", "minLength": 5},
                "request_id": {"type": "string", "minLength": 1},
                "details": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    },
}


@pytest.fixture(scope="module")
def photo_url(origin: Origin) -> str:
    return origin.serve("photo.jpg", encoded(photo(1), "JPEG"))


@pytest.fixture(scope="module")
def copy_url(origin: Origin) -> str:
    return origin.serve("copy.webp", encoded(Image.fromarray(photo(1)).resize((500, 375)), "WEBP"))


@pytest.fixture(scope="module")
def other_url(origin: Origin) -> str:
    return origin.serve("other.jpg", encoded(photo(2), "JPEG"))


def test_copy_is_a_match_in_the_documented_envelope(mesh: RunningMesh, photo_url: str, copy_url: str) -> None:
    answer = mesh.match(photo_url, copy_url)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    jsonschema.validate(answer.json, ENVELOPE)
    assert answer.json["match"] is True
    assert answer.json["confidence"] == "high"
    assert answer.json["similarity_score"] >= 0.97


def test_other_picture_is_no_match_in_the_same_envelope(mesh: RunningMesh, photo_url: str, other_url: str) -> None:
    answer = mesh.match(photo_url, other_url)
    jsonschema.validate(answer.json, ENVELOPE)
    assert answer.json["match"] is False
    assert answer.json["confidence"] == "none"
    assert answer.json["similarity_score"] < 0.4


def test_identical_bytes_score_one(mesh: RunningMesh, photo_url: str) -> None:
    assert mesh.match(photo_url, photo_url).json["similarity_score"] == 1.0


def test_same_request_has_the_same_answer_but_for_the_time(mesh: RunningMesh, photo_url: str, copy_url: str) -> None:
    answers = [mesh.match(photo_url, copy_url).json for _ in range(3)]
    for answer in answers:
        answer.pop("processing_time_ms")
    assert answers[0] == answers[1] == answers[2]


def test_processing_time_is_within_the_time_that_the_client_saw(mesh: RunningMesh, photo_url: str, other_url: str) -> None:
    started = time.perf_counter()
    answer = mesh.match(photo_url, other_url)
    assert answer.json["processing_time_ms"] <= (time.perf_counter() - started) * 1000


def test_server_timing_names_every_stage(mesh: RunningMesh, photo_url: str, other_url: str) -> None:
    header = mesh.match(photo_url, other_url).headers["server-timing"]
    stages = {part.split(";dur=")[0].strip(): float(part.split(";dur=")[1]) for part in header.split(",")}
    assert list(stages) == ["fetch", "decode", "fingerprint", "compare", "total"]
    assert stages["total"] >= stages["fetch"] > 0


def test_options_add_their_fields_and_change_no_score(mesh: RunningMesh, photo_url: str, copy_url: str) -> None:
    plain = mesh.match(photo_url, copy_url).json
    rich = mesh.match(photo_url, copy_url, include=["regions", "transform", "coverage", "hashes"]).json
    assert set(rich) - set(plain) == {"regions", "transform", "coverage", "hashes"}
    assert rich["similarity_score"] == plain["similarity_score"]
    assert rich["coverage"]["source"] > 0.9
    assert rich["transform"]["mirrored"] is False
    assert {"sha256", "md5", "pdq", "phash", "dhash"} <= set(rich["hashes"]["source"])
    assert rich["hashes"]["source"]["sha256"] != rich["hashes"]["target"]["sha256"]
    region = rich["regions"][0]
    assert region["source"]["width"] > 0.8
    assert region["target"]["height"] > 0.8


def test_threshold_changes_the_decision_alone(mesh: RunningMesh, photo_url: str, copy_url: str, other_url: str) -> None:
    strict, loose = mesh.match(photo_url, copy_url, threshold=1.0).json, mesh.match(photo_url, other_url, threshold=0.0).json
    assert strict["match"] is False
    assert strict["confidence"] == "high"
    assert loose["match"] is True
    assert loose["confidence"] == "none"


def test_published_cutoffs_are_the_ones_that_decide(mesh: RunningMesh, photo_url: str, copy_url: str) -> None:
    media = mesh.get("/config").json["media"]
    assert set(media) == {"image", "video", "audio"}
    image = media["image"]
    assert image["match_cutoff"] == image["profiles"]["general"]
    assert image["max_bytes"] == 15 * 1024 * 1024
    score = mesh.match(photo_url, copy_url).json["similarity_score"]
    for profile, cutoff in image["profiles"].items():
        assert mesh.match(photo_url, copy_url, profile=profile).json["match"] == (score >= cutoff)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_told_which_one_is_taken(mesh: RunningMesh, method: str) -> None:
    answer = mesh.request(method, "/image/match")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/image", "/image/match/", "/v9/match", "/%00", "/../etc/passwd"])
def test_unknown_path_is_not_found_in_the_envelope(mesh: RunningMesh, path: str) -> None:
    answer = mesh.request("POST", path, b"{}", {"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_only_json_is_taken_and_forms(mesh: RunningMesh, photo_url: str, content_type: str, status: int) -> None:
    body = json.dumps({"source_url": photo_url, "target_url": photo_url}).encode()
    answer = mesh.request("POST", "/image/match", body, {"Content-Type": content_type})
    assert answer.status == status
    if status != 200:
        assert answer.code == "unsupported_content_type"


@pytest.mark.parametrize("value", [None, 5, [], {}, True])
@pytest.mark.parametrize("field", ["source_url", "target_url"])
def test_url_that_is_no_string_is_named(mesh: RunningMesh, photo_url: str, field: str, value: object) -> None:
    answer = mesh.post("/image/match", {"source_url": photo_url, "target_url": photo_url, field: value})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert field in answer.json["error"]["message"]
    assert answer.json["error"]["details"]["field"] == field


@pytest.mark.parametrize("field", ["source_url", "target_url"])
def test_url_that_leads_nowhere_is_named(mesh: RunningMesh, photo_url: str, field: str) -> None:
    answer = mesh.post("/image/match", {"source_url": photo_url, "target_url": photo_url, field: ""})
    assert (answer.status, answer.code) == (400, "invalid_url")
    assert answer.json["error"]["message"].startswith(f"{field} is not a reachable http(s) URL")
    assert answer.json["error"]["details"]["field"] == field


def test_both_missing_urls_are_named(mesh: RunningMesh) -> None:
    answer = mesh.post("/image/match", {})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert all(name in answer.json["error"]["message"] for name in ("source_url", "target_url"))


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/a.jpg", "http://169.254.169.254/latest", "ftp://example.com/a", "http://u:p@example.com/", "x"]
)
def test_address_that_is_not_public_is_refused(mesh: RunningMesh, photo_url: str, url: str) -> None:
    answer = mesh.match(photo_url, url)
    assert (answer.status, answer.code) == (400, "invalid_url")
    assert "10.0.0.1" not in answer.json["error"]["message"]


def test_origin_that_fails_is_the_callers_matter(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    answer = mesh.match(photo_url, origin.url("nothing-here.jpg"))
    assert (answer.status, answer.code) == (422, "fetch_failed")
    assert answer.json["error"]["message"].startswith("target_url could not be downloaded")
    assert "127.0.0.1" not in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>hello</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"8BPS\x00\x01",
    ],
)
def test_what_is_no_picture_is_unsupported_whatever_it_is_called(mesh: RunningMesh, origin: Origin, photo_url: str, body: bytes) -> None:
    answer = mesh.match(origin.serve("named.jpg", body, "image/jpeg"), photo_url)
    assert (answer.status, answer.code) == (415, "unsupported_media")
    assert "source_url" in answer.json["error"]["message"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_still_format_is_the_same_picture(mesh: RunningMesh, origin: Origin, photo_url: str, name: str) -> None:
    answer = mesh.match(photo_url, origin.serve(f"as-{name}", FORMATS[name](photo(1))))
    assert answer.status == 200
    assert answer.json["similarity_score"] >= 0.95


def test_truncated_picture_is_refused_not_half_read(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    whole = encoded(photo(1), "JPEG")
    answer = mesh.match(photo_url, origin.serve("half.jpg", whole[: len(whole) // 2]))
    assert (answer.status, answer.code) == (415, "unsupported_media")


def test_file_over_the_cap_is_refused_with_the_cap(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    answer = mesh.match(photo_url, origin.serve("large.jpg", encoded(photo(1), "JPEG") + bytes(15 * 1024 * 1024)))
    assert (answer.status, answer.code) == (413, "file_too_large")
    assert "15" in answer.json["error"]["message"]


def test_body_over_its_limit_is_refused(mesh: RunningMesh) -> None:
    answer = mesh.post("/image/match", {"source_url": "x" * 70_000, "target_url": ""})
    assert (answer.status, answer.code) == (413, "request_too_large")


def test_every_error_has_the_documented_shape(mesh: RunningMesh, photo_url: str) -> None:
    answers = [
        mesh.get("/nowhere"),
        mesh.get("/image/match"),
        mesh.post("/image/match", []),
        mesh.match(photo_url, "http://localhost/"),
        mesh.match(photo_url, photo_url, "audio"),
    ]
    for answer in answers:
        jsonschema.validate(answer.json, ERROR)
        assert answer.headers["x-request-id"] == answer.json["error"]["request_id"]


def test_request_id_is_kept_or_given(mesh: RunningMesh) -> None:
    own = mesh.request("GET", "/healthz", headers={"X-Request-Id": "order-7"})
    assert own.headers["x-request-id"] == "order-7"
    assert len(mesh.get("/healthz").headers["x-request-id"]) == 32


def test_request_id_crosses_every_hop(mesh: RunningMesh, photo_url: str, copy_url: str) -> None:
    body = json.dumps({"source_url": photo_url, "target_url": copy_url}).encode()
    mesh.request("POST", "/image/match", body, {"Content-Type": "application/json", "X-Request-Id": "hop-by-hop"})
    lines = [json.loads(line) for line in mesh.log.splitlines() if '"hop-by-hop"' in line]
    assert {line["service"] for line in lines} == {"gateway", "image", "fetcher"}


def test_logs_hold_no_query_string(mesh: RunningMesh, origin: Origin, photo_url: str) -> None:
    mesh.match(photo_url + "?token=canary-7f3a", origin.url("missing?token=canary-7f3a"))
    mesh.match("http://user:canary-7f3a@example.com/", "http://10.0.0.1/?canary-7f3a")
    assert "canary" not in mesh.log


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /image/match HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /image/match HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"<script>" * 2000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(300)) + b"\r\n",
    ],
    ids=["no http", "two hosts", "two framings", "negative length", "long header", "many headers"],
)
def test_malformed_http_gets_the_envelope_and_nothing_echoed(mesh: RunningMesh, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=30) as connection:
        connection.sendall(request_bytes)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    jsonschema.validate(json.loads(body), ERROR)
    assert b"<script>" not in answer


def test_client_that_waits_for_leave_to_send_its_body_gets_it(mesh: RunningMesh) -> None:
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=30) as connection:
        head = (
            "POST /image/match HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert b"invalid_request" in connection.recv(65536)


@pytest.mark.parametrize("path", ["/healthz", "/nowhere"])
def test_other_expectations_are_refused_in_the_envelope(mesh: RunningMesh, path: str) -> None:
    answer = mesh.request("GET", path, headers={"Expect": "<b>miracles"})
    assert answer.status == 400
    jsonschema.validate(answer.json, ERROR)
    assert b"miracles" not in answer.body


def test_body_in_chunks_is_held_to_the_same_limit(mesh: RunningMesh) -> None:
    chunks = (b'{"source_url": "' + b"x" * 9000 if number == 0 else b"x" * 9000 for number in range(20))
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=30)
    connection.request("POST", "/image/match", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"]["code"] == "request_too_large"
    connection.close()


def test_answers_are_not_to_be_stored_or_guessed_at(mesh: RunningMesh) -> None:
    headers = mesh.get("/config").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_ready_says_which_sandbox_the_decoders_run_in(mesh: RunningMesh) -> None:
    services = mesh.get("/readyz").json["services"]
    assert {service["status"] for service in services.values()} == {"serving"}
    assert all("limits" in services[name]["sandbox"] for name in ("image", "video", "audio", "fetcher"))
