"""The sample that asks a matcher directly: over a socket, and over TCP with TLS that lets nobody else in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.settings import MeshSettings
from tests.certificates import Authority
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh, free_port
from tests.samples import FOLDER, printed, run

SAMPLE = FOLDER / "grpc_match.py"
Certified = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def pair(origin: Origin) -> tuple[str, str]:
    return origin.serve("grpc-a.jpg", encoded(photo(971), "JPEG")), origin.serve("grpc-b.webp", encoded(photo(971), "WEBP"))


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    """A mesh between whose machines there may be a network, and what its clients hold."""
    folder = tmp_path_factory.mktemp("certified")
    authority = Authority(folder)
    certificate, key = authority.issue("mesh")
    held = {"MESH_TLS_CERT": certificate, "MESH_TLS_KEY": key, "MESH_TLS_CA": authority.file}
    address = f"127.0.0.1:{free_port()}"
    with RunningMesh(folder, IMAGE_ADDRESS=address, VIDEO_ADDRESS="", AUDIO_ADDRESS="", INDEX_ADDRESS="", **held):
        yield address, held


def test_sample_asks_over_a_socket_without_generated_code(mesh: RunningMesh, pair: tuple[str, str]) -> None:
    socket = MeshSettings(data_dir=str(mesh.data_dir)).runtime_dir / "image.sock"
    result = json.loads(printed(SAMPLE, f"unix:{socket}", *pair))
    over_http = mesh.match(*pair).json
    assert (result["match"], round(result["similarityScore"], 4)) == (True, over_http["similarity_score"])


def test_sample_asks_over_tls(certified: Certified, pair: tuple[str, str]) -> None:
    address, held = certified
    assert json.loads(printed(SAMPLE, address, *pair, **held))["match"] is True


def test_sample_without_a_certificate_gets_no_answer(certified: Certified, pair: tuple[str, str], tmp_path: Path) -> None:
    address, held = certified
    certificate, key = Authority(tmp_path, "stranger").issue("stranger")
    for holds in ({}, {**held, "MESH_TLS_CERT": certificate, "MESH_TLS_KEY": key}):
        done = run(SAMPLE, address, *pair, DEADLINE_SECONDS="5", **holds)
        assert done.returncode == 1
        assert done.stdout == ""


def test_sample_shows_the_code_that_http_callers_get(certified: Certified, pair: tuple[str, str]) -> None:
    address, held = certified
    done = run(SAMPLE, address, pair[0], "ftp://example.com/x", **held)
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "invalid_url")


def test_sample_gives_up_at_its_deadline(certified: Certified, pair: tuple[str, str]) -> None:
    address, held = certified
    done = run(SAMPLE, address, *pair, DEADLINE_SECONDS="0.001", **held)
    assert (done.returncode, done.stderr.split(":")[0].lower()) == (1, "deadline_exceeded")
