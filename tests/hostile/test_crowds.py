"""Many at once who go away, dawdle or bring too much: nothing of theirs stays, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import psutil
import pytest
from aiohttp import web

from tests.hostile.processes import PeakMemory, cpu_seconds, service, services, workers
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

MODULES = ("gateway", "image_svc", "fetcher_svc")
PATIENCE_SECONDS = 60.0
MAX_UNDER_WAY = 8
FEW_SPARE = 8
"""Files that a service may have open more than before, by chance."""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with RunningMesh(
        tmp_path_factory.mktemp("crowds"),
        AUTH="on",
        IMAGE_WORKERS="2",
        IMAGE_MAX_UNDER_WAY=str(MAX_UNDER_WAY),
        AUDIO_ADDRESS="",
        VIDEO_ADDRESS="",
        # Who sends nothing for so long is cut off.
        GATEWAY_CLIENT_SECONDS="5",
    ) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def honest(crowded: RunningMesh) -> Project:
    return new_project(crowded)


@pytest.fixture(scope="module")
def other(crowded: RunningMesh) -> Project:
    return new_project(crowded)


class SlowPictures:
    """Pictures that never end, each at a URL of its own, and how many are being sent just now."""

    def __init__(self, origin: Origin, name: str) -> None:
        self._origin, self._name, self._count = origin, name, 0
        self.asked = self.under_way = 0

    def url(self) -> str:
        self._count += 1
        return self._origin.respond(f"{self._name}-{self._count}.jpg", self._drip)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.asked += 1
        self.under_way += 1
        try:
            await response.write(encoded(photo(1), "JPEG")[:3000])
            while True:
                await response.write(b"\0" * 100)
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        finally:
            self.under_way -= 1
        return response


@pytest.fixture(scope="module")
def experience(crowded: RunningMesh, other: Project, origin: Origin) -> None:
    """From here on the gateway knows how many pairs are borne at once, and keeps some of them for who has none under way."""
    good, slow = origin.serve("experience.jpg", encoded(photo(36, 320, 240), "JPEG")), SlowPictures(origin, "experience")
    with ExitStack() as held:
        pairs = [json.dumps({"source_url": good, "target_url": slow.url()}).encode() for _ in range(2 * MAX_UNDER_WAY)]
        asked = [begin(other, held, pair) for pair in pairs]
        # The only answer that comes of slow origins is that it is too much.
        until(lambda: len(select.select(asked, [], [], 0)[0]) >= MAX_UNDER_WAY)
    until(lambda: slow.under_way == 0)


def show(figures: str) -> None:
    """With `pytest -s`: what the drill measured."""
    sys.stderr.write(f"\n{figures}\n")


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def open_files(mesh: RunningMesh) -> dict[str, int]:
    return {module: service(mesh, module).num_fds() for module in MODULES}


def match(project: Project, source: str, target: str) -> Answer:
    return project.post("/image/match", source_url=source, target_url=target)


def begin(project: Project, held: ExitStack, *body: bytes) -> socket.socket:
    """A connection with the head of a pair, and as much of its body as is given."""
    connection = held.enter_context(project.mesh.connect(PATIENCE_SECONDS))
    length = sum(map(len, body)) or 500
    connection.sendall(
        b"POST /image/match HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
        % (project.key.encode(), length)
        + b"".join(body)
    )
    return connection


@pytest.mark.parametrize(
    "clients", [pytest.param(24, id="few"), pytest.param(500, id="many", marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_clients_that_go_away_leave_nothing_behind(
    crowded: RunningMesh, honest: Project, other: Project, origin: Origin, clients: int
) -> None:
    good = origin.serve("crowd-good.jpg", encoded(photo(31, 320, 240), "JPEG"))
    assert match(other, good, good).status == 200
    before, files = services(crowded), open_files(crowded)
    slow, at_once = SlowPictures(origin, f"leaving-{clients}"), MAX_UNDER_WAY // 2
    lasted = []
    for _ in range(0, clients, at_once):
        with ExitStack() as held:
            asked = slow.asked
            for _ in range(at_once):
                body = json.dumps({"source_url": good, "target_url": slow.url()}).encode()
                begin(honest, held, body)
            until(lambda asked=asked: slow.asked >= asked + at_once)  # type: ignore[misc]
        left = time.monotonic()
        until(lambda: slow.under_way == 0)
        lasted.append(time.monotonic() - left)
    show(f"{clients} clients gone: their origins were let go after {np.median(lasted):.3f} s, at most {max(lasted):.3f} s")
    until(lambda: all(count <= files[module] + FEW_SPARE for module, count in open_files(crowded).items()))
    assert services(crowded) == before
    assert match(other, good, good).status == 200


def test_decoder_of_a_client_that_goes_away_does_not_go_on(crowded: RunningMesh, honest: Project, origin: Origin) -> None:
    good = origin.serve("crowd-known.jpg", encoded(photo(32, 320, 240), "JPEG"))
    picture = photo(33, 640, 480).repeat(9, axis=0).repeat(9, axis=1)
    heavy = origin.serve("crowd-heavy.webp", encoded(picture, "WEBP", lossless=True, method=0, quality=0))
    assert match(honest, good, good).status == 200
    ended = crowded.log.count("crashed its decoder")
    spent = {worker.pid: cpu_seconds([worker]) for worker in workers(crowded, "image_svc")}
    with ExitStack() as held:
        begin(honest, held, json.dumps({"source_url": good, "target_url": heavy}).encode())
        until(lambda: _busy(crowded, spent))
        busy = _busy(crowded, spent)
    # It is ended in the middle of its work, and another is there in its place.
    until(lambda: not set(busy) & set(workers(crowded, "image_svc")))
    until(lambda: len(workers(crowded, "image_svc")) == 2)
    assert crowded.log.count("crashed its decoder") == ended
    assert match(honest, good, good).status == 200


def _busy(mesh: RunningMesh, spent: dict[int, float]) -> list[psutil.Process]:
    """The workers that have done something since."""
    return [worker for worker in workers(mesh, "image_svc") if cpu_seconds([worker]) - spent.get(worker.pid, 0.0) > 0.05]


@pytest.mark.parametrize(
    ("sockets", "origins"),
    [pytest.param(150, 20, id="few"), pytest.param(1000, 200, id="many", marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_dawdlers_keep_nobody_else_out(
    crowded: RunningMesh, honest: Project, other: Project, origin: Origin, experience: None, sockets: int, origins: int
) -> None:
    """Clients that never send the rest, and pairs whose origins never do, with one key; what another key asks is answered."""
    good = origin.serve(f"dawdle-{sockets}.jpg", encoded(photo(34, 320, 240), "JPEG"))
    files, slow = open_files(crowded), SlowPictures(origin, f"dawdling-{sockets}")
    assert match(honest, good, good).status == 200
    until(lambda: match(honest, good, good).status == 200)
    quiet = _timed(honest, good)
    with ExitStack() as held:
        half = [held.enter_context(crowded.connect(PATIENCE_SECONDS)) for _ in range(sockets)]
        for number, connection in enumerate(half):
            connection.sendall((b"POST /image/match HTTP/1.1\r\nHost: a\r\nX-Dawdler: ", b"P", b"")[number % 3])
        for _ in range(origins):
            begin(other, held, json.dumps({"source_url": good, "target_url": slow.url()}).encode())
        until(lambda: slow.under_way)
        most = open_files(crowded)["gateway"]
        busy = _timed(honest, good)
        assert slow.under_way <= MAX_UNDER_WAY
        for connection in half:
            # Cut off by the gateway, one after another.
            until(lambda connection=connection: _is_over(connection))  # type: ignore[misc]
    show(
        f"{sockets} slow clients, {origins} slow origins: p99 of others {1000 * busy:.0f} ms, before {1000 * quiet:.0f} ms;"
        f" the gateway had {most} files open, before {files['gateway']}"
    )
    assert most <= files["gateway"] + sockets + origins + 2 * MAX_UNDER_WAY + FEW_SPARE
    until(lambda: all(count <= files[module] + FEW_SPARE for module, count in open_files(crowded).items()))


def _timed(project: Project, url: str, count: int = 40) -> float:
    """What the slowest of a hundred takes; all are answered."""
    spent = []
    for _ in range(count):
        started = time.perf_counter()
        answer = match(project, url, url)
        spent.append(time.perf_counter() - started)
        assert answer.status == 200, answer
    return float(np.percentile(spent, 99))


def _is_over(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return not connection.recv(65536)
    except TimeoutError:
        return False
    except OSError:
        return True


def test_services_grow_by_less_than_what_is_in_flight(crowded: RunningMesh, honest: Project, origin: Origin) -> None:
    """As many of the largest files as are let in; they lie in memory files, which count as nobody's own."""
    whole = encoded(photo(35, 320, 240), "JPEG")
    largest = whole[:2] + b"".join(b"\xff\xfe\xff\xff" + bytes(65_533) for _ in range(220)) + whole[2:]
    urls = [origin.serve(f"large-{number}.jpg", largest + bytes([number])) for number in range(2 * MAX_UNDER_WAY)]
    files = open_files(crowded)
    peaks = [PeakMemory(service(crowded, module)).__enter__() for module in MODULES]
    with ThreadPoolExecutor(MAX_UNDER_WAY) as threads:
        answers = list(threads.map(lambda pair: match(honest, *pair), zip(urls[::2], urls[1::2], strict=True)))
    for peak in peaks:
        peak.__exit__()
    assert {(answer.status, "" if answer.status == 200 else answer.code) for answer in answers} <= {(200, ""), (503, "overloaded")}
    assert any(answer.status == 200 for answer in answers)
    in_flight_bytes = len(urls) * len(largest)
    show(f"{in_flight_bytes >> 20} MB in flight: services grew by {[peak.growth_bytes >> 20 for peak in peaks]} MB")
    assert all(peak.growth_bytes < in_flight_bytes for peak in peaks)
    until(lambda: all(count <= files[module] + FEW_SPARE for module, count in open_files(crowded).items()))
