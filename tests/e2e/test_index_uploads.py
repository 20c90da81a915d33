"""Files that clients send to /v1, on a whole running mesh: indexed, searched with, kept where the project keeps media, given back."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jsonschema
import psycopg
import pytest
from PIL import Image

from mesh.media import MediaType
from mesh.media_type import LIMITS
from tests.e2e.test_api import ERROR
from tests.index_client import Project, admin, form, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

INDEX, SEARCH = "/v1/index/image/upload", "/v1/search/image/upload"
PATIENCE_SECONDS = 60.0
MAX_IMAGE_BYTES = LIMITS[MediaType.IMAGE].max_bytes


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def keeper(mesh: RunningMesh) -> Project:
    """A project that keeps media."""
    made = new_project(mesh)
    admin(mesh, "settings", made.id, "--store-media", "on")
    return made


@contextmanager
def database(mesh: RunningMesh) -> Iterator[psycopg.Connection]:
    run = mesh.data_dir / "run" / "db"
    with psycopg.connect(f"host={run} port=5432 user=mediamesh dbname=postgres", autocommit=True) as connection:
        yield connection


def kept_bytes(mesh: RunningMesh, asset: str) -> int:
    with database(mesh) as connection:
        found = connection.execute(
            "SELECT coalesce(sum(length(media_chunks.content)), 0) FROM media_chunks JOIN media ON media.id = media_chunks.media"
            " JOIN assets ON assets.number = media.asset WHERE assets.id = %s",
            [asset],
        ).fetchone()
    assert found is not None
    return int(found[0])


def nobodys_chunks(mesh: RunningMesh) -> int:
    with database(mesh) as connection:
        found = connection.execute(
            "SELECT count(*) FROM media_chunks JOIN media ON media.id = media_chunks.media WHERE media.asset IS NULL"
        ).fetchone()
    assert found is not None
    return int(found[0])


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline


def test_uploaded_picture_is_found_by_its_copy_and_nothing_of_it_is_kept(project: Project) -> None:
    content = encoded(photo(300), "JPEG")
    asset = project.index_upload(content, name="uploaded", collection="u", metadata={"by": "ann"}, owner="ann")
    shown = project.request("GET", f"/v1/assets/{asset}").json
    assert (shown["status"], shown["name"], shown["collection"], shown["metadata"]) == ("ready", "uploaded", "u", {"by": "ann"})
    copy = encoded(Image.fromarray(photo(300)).resize((400, 300)), "WEBP")
    answer = project.upload(SEARCH, copy, "image/webp")
    assert [hit["asset_id"] for hit in answer.json["results"]] == [asset]
    assert "fingerprint;dur=" in answer.headers["server-timing"]
    assert kept_bytes(project.mesh, asset) == 0
    assert project.request("GET", f"/v1/assets/{asset}/media").code == "not_found"


def test_form_is_taken_with_its_fields_before_and_after_the_file(project: Project) -> None:
    content = encoded(photo(301), "PNG")
    accepted = project.send_form(INDEX, ("name", "form"), ("file", content), ("metadata", {"a": [1]}), ("collection", "Ä"), ("owner", ""))
    assert accepted.status == 202, accepted.body
    shown = project.until_done(accepted.json["asset_id"])
    assert (shown["status"], shown["name"], shown["collection"], shown["metadata"]) == ("ready", "form", "Ä", {"a": [1]})
    found = project.send_form(SEARCH, ("limit", "5"), ("file", content), ("collections", ["Ä"]), ("threshold", "1.0"))
    assert [hit["asset_id"] for hit in found.json["results"]] == [accepted.json["asset_id"]]
    assert project.send_form(SEARCH, ("file", content), ("collections", "elsewhere")).json["results"] == []


def test_upload_has_the_score_of_the_url(project: Project, origin: Origin) -> None:
    asset = project.index_upload(encoded(photo(302), "JPEG"))
    copy = encoded(Image.fromarray(photo(302)).crop((30, 20, 600, 440)), "JPEG")
    (by_url,) = project.search(origin.serve("upload-copy.jpg", copy))
    (by_upload,) = project.upload(SEARCH, copy).json["results"]
    assert by_url == by_upload
    assert by_url["asset_id"] == asset


def test_uploaded_sound_is_found(project: Project) -> None:
    sound = music(3, 12.0)
    asset = project.index_upload(recorded(sound, "flac", rate=RATE), "audio")
    answer = project.upload("/v1/search/audio/upload", recorded(sound, "mp3", rate=RATE), "audio/mpeg", min_coverage="0.5")
    assert [hit["asset_id"] for hit in answer.json["results"]] == [asset]


def test_project_that_keeps_media_gives_them_back_to_itself_alone(keeper: Project, project: Project) -> None:
    content = encoded(photo(303, 1600, 1200), "BMP")
    assert len(content) > 2 << 20
    asset = keeper.index_upload(content)
    answer = keeper.request("GET", f"/v1/assets/{asset}/media")
    digest = hashlib.sha256(content).hexdigest()
    assert (answer.status, answer.body) == (200, content)
    headers = answer.headers
    assert (headers["content-type"], headers["content-disposition"]) == ("image/bmp", "attachment")
    assert (headers["x-content-type-options"], headers["etag"]) == ("nosniff", f'"{digest}"')
    again = keeper.mesh.request("GET", f"/v1/assets/{asset}/media", headers={"X-API-Key": keeper.key, "If-None-Match": f'"{digest}"'})
    assert (again.status, again.body) == (304, b"")
    assert project.request("GET", f"/v1/assets/{asset}/media").code == "not_found"
    assert keeper.request("DELETE", f"/v1/assets/{asset}").status == 204
    assert keeper.request("GET", f"/v1/assets/{asset}/media").code == "not_found"
    with database(keeper.mesh) as connection:
        left = connection.execute("SELECT count(*) FROM media WHERE sha256 = %s", [digest]).fetchone()
    assert left == (0,)


def test_project_that_keeps_media_no_longer_loses_them(mesh: RunningMesh) -> None:
    project = new_project(mesh)
    admin(mesh, "settings", project.id, "--store-media", "on", "--media-days", "30")
    asset = project.index_upload(encoded(photo(304), "JPEG"))
    assert kept_bytes(mesh, asset) > 0
    admin(mesh, "settings", project.id, "--store-media", "off")
    assert project.request("GET", f"/v1/assets/{asset}/media").code == "not_found"
    until(lambda: kept_bytes(mesh, asset) == 0)
    assert project.request("GET", f"/v1/assets/{asset}").json["status"] == "ready"


@pytest.mark.parametrize("path", [INDEX, SEARCH])
@pytest.mark.parametrize("as_form", [False, True], ids=["body", "form"])
def test_type_that_is_not_taken_is_refused_while_it_comes(project: Project, path: str, as_form: bool) -> None:
    for content in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7 " * 1000, b"", recorded(music(1, 2.0), "mp3", rate=RATE)):
        answer = project.send_form(path, ("file", content)) if as_form else project.upload(path, content, "image/jpeg")
        jsonschema.validate(answer.json, ERROR)
        assert (answer.status, answer.code, answer.json["error"]["details"]["field"]) == (415, "unsupported_media", "file")
    assert nobodys_chunks(project.mesh) == 0


@pytest.mark.parametrize("path", [INDEX, SEARCH])
@pytest.mark.parametrize("excess", [0, 1])
def test_cap_of_the_medium_holds_to_the_byte_while_streaming(project: Project, path: str, excess: int) -> None:
    """Without a Content-Length, so that nobody can know before."""
    content = encoded(photo(305, 64, 48), "PNG")
    content += bytes(MAX_IMAGE_BYTES + excess - len(content))
    answer = send_chunked(project, path, content)
    if excess:
        assert b" 413 " in answer.splitlines()[0]
        assert b"file_too_large" in answer
    else:
        assert b"file_too_large" not in answer
    assert nobodys_chunks(project.mesh) == 0


def test_length_that_is_too_large_is_refused_before_the_body(project: Project) -> None:
    head = post_head(project, INDEX, f"Content-Length: {MAX_IMAGE_BYTES + 1}")
    with project.mesh.connect(30) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)
    assert b" 413 " in answer.splitlines()[0]


def post_head(project: Project, path: str, length: str) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {project.key}\r\nContent-Type: image/png\r\n{length}\r\n\r\n"


def send_chunked(project: Project, path: str, content: bytes) -> bytes:
    head = post_head(project, path, "Transfer-Encoding: chunked")
    with project.mesh.connect(60) as connection:

        def send() -> None:
            try:
                connection.sendall(head.encode())
                for start in range(0, len(content), 1 << 16):
                    piece = content[start : start + (1 << 16)]
                    connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                connection.sendall(b"0\r\n\r\n")
            except OSError:
                pass  # refused before the end

        sending = threading.Thread(target=send)
        sending.start()
        answer = connection.recv(65536)
        sending.join()
    return answer


def test_upload_that_breaks_off_leaves_nothing(project: Project) -> None:
    before = project.request("GET", "/v1/assets?limit=1").json
    head = post_head(project, INDEX, "Content-Length: 9000000")
    with project.mesh.connect(30) as connection:
        connection.sendall(head.encode() + encoded(photo(306), "PNG") + bytes(3_000_000))
        until(lambda: nobodys_chunks(project.mesh))
        connection.shutdown(socket.SHUT_RDWR)
    until(lambda: nobodys_chunks(project.mesh) == 0)
    assert project.request("GET", "/v1/assets?limit=1").json == before


def test_same_upload_under_the_same_key_is_done_once(project: Project) -> None:
    content = encoded(photo(307), "JPEG")
    first, again = (project.upload(INDEX, content, key="upload-1", name="once") for _ in range(2))
    assert (first.status, first.json) == (202, again.json)
    assert project.upload(INDEX, content, key="upload-1", name="other").code == "conflict"
    assert project.upload(INDEX, content + b"x", key="upload-1", name="once").code == "conflict"
    assert nobodys_chunks(project.mesh) == 0
    assert len(project.request("GET", "/v1/assets?name=once").json["assets"]) == 1


def test_upload_that_failed_is_tried_again_while_its_bytes_are_there(project: Project) -> None:
    """A picture that ends too early fails, whoever tries; the same bytes are what is tried."""
    content = encoded(photo(308), "JPEG")
    asset = project.index_upload(content[: len(content) // 2])
    failed = project.request("GET", f"/v1/assets/{asset}").json
    assert (failed["status"], failed["error"]["code"]) == ("failed", "unsupported_media")
    assert failed["error"]["message"].startswith("file ")
    assert kept_bytes(project.mesh, asset) == len(content) // 2
    assert project.post(f"/v1/assets/{asset}/retry").status == 202
    assert project.until_done(asset)["error"] == failed["error"]
    with database(project.mesh) as connection:
        connection.execute("UPDATE media SET expires_at = now() FROM assets WHERE assets.number = media.asset AND assets.id = %s", [asset])
    until(lambda: kept_bytes(project.mesh, asset) == 0)
    assert project.post(f"/v1/assets/{asset}/retry").code == "conflict"


PICTURE = encoded(photo(309, 64, 48), "PNG")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([("name", "x")], "file"),
        ([("file", PICTURE), ("file", PICTURE)], "file"),
        ([("name", "a"), ("name", "b"), ("file", PICTURE)], "name"),
        ([("file", PICTURE), ("name", "a"), ("name", "b")], "name"),
        ([("url", "http://x"), ("file", PICTURE)], "url"),
        ([("file", PICTURE), ("project_id", "x")], "project_id"),
        ([("metadata", "{"), ("file", PICTURE)], "metadata"),
        ([("metadata", '{"a": 1, "a": 2}'), ("file", PICTURE)], None),
        ([("metadata", "[]"), ("file", PICTURE)], "metadata"),
        ([("ttl_seconds", "soon"), ("file", PICTURE)], "ttl_seconds"),
        ([("on_duplicate", "maybe"), ("file", PICTURE)], "on_duplicate"),
        ([(f"f{at}", "x") for at in range(17)], None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_form_is_refused(project: Project, parts: list[tuple[str, object]], field: str | None) -> None:
    answer = project.send_form(INDEX, *parts)
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.body
    if field:
        assert answer.json["error"]["details"]["field"] == field
    assert nobodys_chunks(project.mesh) == 0


@pytest.mark.parametrize("path", [INDEX, SEARCH])
def test_body_that_is_no_form_and_no_file_is_refused(project: Project, path: str) -> None:
    headers = {"Authorization": f"Bearer {project.key}"}
    content_type, body = form(("file", PICTURE))

    def send(body: bytes, content_type: str, **more: str) -> str:
        return project.mesh.request("POST", path, body, {**headers, "Content-Type": content_type, **more}).code

    assert send(PICTURE, "application/json") == "unsupported_content_type"
    assert send(PICTURE, "image/png", **{"Content-Encoding": "gzip"}) == "unsupported_content_type"
    assert send(body, "multipart/form-data") == "invalid_request"
    assert send(body[: len(body) // 2], content_type) == "invalid_request"
    assert send(body.replace(b"form-data; name", b"form-data; nick"), content_type) == "invalid_request"
    nested = body.replace(b"Content-Type: text/html", b"Content-Type: multipart/mixed; boundary=x")
    assert send(nested, content_type) == "invalid_request"
    many = form(*((f"f{at}", "") for at in range(1000)))
    assert send(many[1], many[0]) == "invalid_request"
    large = form(("name", "x" * 70_000), ("file", PICTURE))
    assert send(large[1], large[0]) == "request_too_large"


def test_query_of_an_upload_is_not_persisted(project: Project) -> None:
    with database(project.mesh) as connection:
        count = "SELECT (SELECT count(*) FROM assets), (SELECT count(*) FROM media), (SELECT count(*) FROM fingerprints)"
        before = connection.execute(count).fetchone()
        assert project.upload(SEARCH, encoded(photo(310), "JPEG")).status == 200
        assert connection.execute(count).fetchone() == before
