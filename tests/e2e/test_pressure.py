"""Too slow, too many, gone away: what a mesh does then."""

from __future__ import annotations

import asyncio
import http.client
import json
import select
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from tests.index_client import new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

PATIENCE_SECONDS = 30.0


class SlowPicture:
    """A picture that never ends, and that knows who is listening."""

    def __init__(self, origin: Origin, path: str) -> None:
        self.asked, self.left = threading.Event(), threading.Event()
        self.url = origin.respond(path, self._drip)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(encoded(photo(1), "JPEG")[:5000])
            self.asked.set()
            while True:
                await response.write(b"\x00" * 2000)
                await asyncio.sleep(0.05)
        finally:
            self.left.set()


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with RunningMesh(tmp_path_factory.mktemp("pressed"), GATEWAY_MATCH_SECONDS="2", IMAGE_MAX_UNDER_WAY="2", IMAGE_WORKERS="1") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def picture(origin: Origin) -> str:
    return origin.serve("pressure.jpg", encoded(photo(1), "JPEG"))


def test_time_runs_out_with_a_code_and_the_origin_is_let_go(pressed: RunningMesh, origin: Origin, picture: str) -> None:
    slow = SlowPicture(origin, "never-ends.jpg")
    started = time.monotonic()
    answer = pressed.match(picture, slow.url)
    assert (answer.status, answer.code) == (504, "deadline_exceeded")
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - started < 9
    assert slow.left.wait(20)


def test_client_that_goes_away_stops_the_work_down_to_the_origin(pressed: RunningMesh, origin: Origin, picture: str) -> None:
    slow = SlowPicture(origin, "abandoned.jpg")
    connection = http.client.HTTPConnection("127.0.0.1", pressed.port, timeout=10)
    body = json.dumps({"source_url": picture, "target_url": slow.url})
    connection.request("POST", "/image/match", body, {"Content-Type": "application/json"})
    assert slow.asked.wait(20)
    connection.close()
    assert slow.left.wait(20)
    assert pressed.match(picture, picture).status == 200


def test_one_pair_too_many_is_refused_at_once_and_nothing_is_fetched_for_it(pressed: RunningMesh, origin: Origin, picture: str) -> None:
    slow = [SlowPicture(origin, f"crowd-{number}.jpg") for number in range(2)]
    with ThreadPoolExecutor() as threads:
        held = [threads.submit(pressed.match, picture, each.url) for each in slow]
        assert all(each.asked.wait(20) for each in slow)
        unseen = origin.serve("unseen.jpg", encoded(photo(2), "JPEG"))
        answer = pressed.match(picture, unseen)
        assert (answer.status, answer.code) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert ("GET", "unseen.jpg") not in origin.requests
        assert {future.result().status for future in held} == {504}


def test_one_search_too_many_is_refused_before_its_body_has_come(pressed: RunningMesh, origin: Origin) -> None:
    project = new_project(pressed)
    slow = [SlowPicture(origin, f"searches-{number}.jpg") for number in range(2)]
    refused = threading.Event()

    def search(url: str) -> None:
        while not refused.is_set():
            project.post("/v1/search/image/url", url=url)

    with ThreadPoolExecutor() as threads:
        for each in slow:
            threads.submit(search, each.url)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while project.post("/v1/search/image/url", url=f"{slow[0].url}?another").code != "overloaded":
                assert time.monotonic() < deadline
        finally:
            refused.set()
    # From here on the gateway knows that two are what is borne: so many wait for their bodies, and the next one need not send its own.
    head = f"POST /v1/search/image/url HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {project.key}\r\nContent-Type: application/json\r\n"
    with ExitStack() as held:
        answers = []
        for _ in range(3):
            connection = held.enter_context(pressed.connect(PATIENCE_SECONDS))
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n".encode())
            answers.append(connection)
        readable, _, _ = select.select(answers, [], [], 9)
        assert readable
        said = readable[0].recv(65536)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b'"overloaded"' in said
        assert b"Retry-After: " in said


def test_many_at_once_all_get_the_answer_that_one_gets(tmp_path: Path, origin: Origin) -> None:
    urls = [origin.serve(f"many-{seed}.jpg", encoded(photo(seed), "JPEG")) for seed in range(6)]
    with RunningMesh(tmp_path) as mesh, ThreadPoolExecutor(8) as threads:
        alone = {(one, two): mesh.match(one, two).json["similarity_score"] for one in urls for two in urls}
        together = threads.map(lambda pair: (pair, mesh.match(*pair).json["similarity_score"]), list(alone) * 3)
        assert all(alone[pair] == score for pair, score in together)
