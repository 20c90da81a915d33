"""Bad connections between two services: late, slow, cut, reset or silent, they cost coded errors in time, never a wrong answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mesh.settings import MeshSettings
from tests import links
from tests.links import Link, Write
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

MATCH_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
"""With a machine that has others to serve; what hangs, hangs for longer."""
REQUESTS = 6
AT_ONCE = 3
CODES = {(503, "not_available"), (503, "overloaded"), (504, "deadline_exceeded")}

Linked = tuple[RunningMesh, dict[str, Link]]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    folder = tmp_path_factory.mktemp("links")
    sockets = MeshSettings(data_dir=str(folder)).runtime_dir
    with Link(sockets / "image.sock") as to_image, Link(sockets / "fetcher.sock") as to_fetcher:
        environment = {
            "IMAGE_ADDRESS": to_image.address,
            "IMAGE_LISTEN": "unix:image.sock",
            "FETCHER_ADDRESS": to_fetcher.address,
            "FETCHER_LISTEN": "unix:fetcher.sock",
            "GATEWAY_MATCH_SECONDS": str(MATCH_SECONDS),
        }
        with RunningMesh(folder, **environment) as mesh:
            yield mesh, {"image": to_image, "fetcher": to_fetcher}


@pytest.fixture(scope="module")
def pair(origin: Origin) -> tuple[str, str]:
    return (
        origin.serve("link-1.jpg", encoded(photo(1, 320, 240), "JPEG")),
        origin.serve("link-2.webp", encoded(photo(1, 320, 240), "WEBP", quality=60)),
    )


@pytest.fixture(scope="module")
def right_answer(linked: Linked, pair: tuple[str, str]) -> dict[str, Any]:
    return envelope(linked[0].match(*pair))


def envelope(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    return {key: value for key, value in answer.json.items() if key != "processing_time_ms"}


@pytest.mark.parametrize("service", ["image", "fetcher"])
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(links.late, id="late"),
        pytest.param(links.slowly, id="slow"),
        pytest.param(links.byte_by_byte, id="byte by byte"),
        pytest.param(links.never, id="silent"),
        pytest.param(links.reset, id="reset"),
        pytest.param(links.cut, id="cut within a message"),
    ],
)
def test_bad_link_costs_coded_errors_in_time_and_no_wrong_answer(
    linked: Linked, pair: tuple[str, str], right_answer: dict[str, Any], service: str, write: Write
) -> None:
    mesh, by_service = linked

    def ask(_: int) -> Answer:
        started = time.monotonic()
        answer = mesh.match(*pair)
        assert time.monotonic() - started < PATIENCE_SECONDS
        return answer

    link = by_service[service]
    link.write = write
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(ask, range(REQUESTS)))
    finally:
        link.write = links.faithfully
    for answer in answers:
        if answer.status == 200:
            assert envelope(answer) == right_answer
        else:
            assert (answer.status, answer.code) in CODES
            assert int(answer.headers["retry-after"]) > 0
    if write in (links.never, links.reset):
        assert {answer.status for answer in answers} <= {503, 504}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := mesh.match(*pair)).status != 200:
        assert time.monotonic() < deadline
    assert envelope(answer) == right_answer
