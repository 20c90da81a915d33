"""Services killed and stopped under load, decoders that die over a file: only coded errors, no wrong answer, and all is soon well.

A killed gateway refuses connections; that is its client's to handle, and counts as no answer here.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests import films
from tests.hostile.processes import cpu_seconds, service, services, workers
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import Answer, RunningMesh
from tests.sounds import RATE, music

RECOVERY_SECONDS = 15.0
"""Five on a machine that does nothing else; one that has others to serve is given PATIENCE_SECONDS."""
PATIENCE_SECONDS = 60.0
MATCH_SECONDS = 3.0
CLIENTS = 3
MODULES = ("image_svc", "video_svc", "audio_svc", "fetcher_svc", "gateway")

Pair = tuple[str, str, str]
"""Two URLs, and what they are."""


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with RunningMesh(
        tmp_path_factory.mktemp("faults"), IMAGE_WORKERS="2", VIDEO_WORKERS="1", AUDIO_WORKERS="1", GATEWAY_MATCH_SECONDS=str(MATCH_SECONDS)
    ) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def golden(hurt: RunningMesh, origin: Origin) -> dict[Pair, Any]:
    """Pairs, and what is the right answer to each."""
    urls = [origin.serve(f"fault-{seed}.jpg", encoded(photo(seed, 320, 240), "JPEG")) for seed in (1, 1, 2)]
    urls.append(origin.serve("fault-copy.webp", encoded(photo(1, 320, 240), "WEBP", quality=60)))
    sounds = [origin.serve(f"fault-{seed}.mp3", recorded(music(seed, 2.0), "mp3", rate=RATE)) for seed in (1, 2)]
    reels = [origin.serve(f"fault-{seed}.mp4", films.encoded(films.Film(seed, 2.0))) for seed in (1, 2)]
    pairs = [
        *((one, two, "image") for one in urls for two in urls),
        *((sounds[0], two, "audio") for two in sounds),
        *((reels[0], two, "video") for two in reels),
    ]
    return {pair: envelope(hurt.match(*pair)) for pair in pairs}


def envelope(answer: Answer) -> Any:
    """What an answer says, but for the time it took."""
    assert answer.status == 200, answer
    return {key: value for key, value in answer.json.items() if key != "processing_time_ms"}


class Load:
    """A few clients that ask on and on; each answer is judged as it comes. Enter it to start, leave it to stop them."""

    def __init__(self, mesh: RunningMesh, golden: dict[Pair, Any], *, may_refuse: bool) -> None:
        self._mesh, self._golden, self._may_refuse = mesh, golden, may_refuse
        self._is_over = threading.Event()
        self.failures: list[tuple[float, int]] = []
        """When each error came, and its status; 0 where there was no answer."""
        self.rights = [0] * CLIENTS
        """How many right answers in a row each client has had."""

    def __enter__(self) -> Load:
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._clients = [self._threads.submit(self._ask_on, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._threads.shutdown()
        for client in self._clients:
            client.result()

    def wait_until_well(self, timeout_seconds: float) -> float:
        """The moment of the last error, once every client has had the right answer to every pair, one after another."""
        self.rights[:] = [0] * CLIENTS
        deadline = time.monotonic() + timeout_seconds
        while min(self.rights) < len(self._golden):
            assert time.monotonic() < deadline, f"not well after {timeout_seconds} s: {self.failures[-5:]}"
            for client in self._clients:
                assert not client.done() or client.result()
            time.sleep(0.02)
        return max((moment for moment, _ in self.failures), default=0.0)

    def wait_for_an_error(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not self.failures:
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.02)

    def _ask_on(self, number: int) -> None:
        pairs = list(self._golden)
        turn = number
        while not self._is_over.is_set():
            pair = pairs[turn % len(pairs)]
            turn += 1
            status = self._ask(pair)
            if status == 200:
                self.rights[number] += 1
            else:
                self.rights[number] = 0
                self.failures.append((time.monotonic(), status))
                # Sooner than it was asked to come back, but not so often that what starts has no processor to start on.
                self._is_over.wait(0.05)

    def _ask(self, pair: Pair) -> int:
        try:
            answer = self._mesh.request(
                "POST", f"/{pair[2]}/match", body_of(pair), {"Content-Type": "application/json"}, timeout_seconds=PATIENCE_SECONDS
            )
        except OSError:
            assert self._may_refuse
            return 0
        if answer.status == 200:
            assert envelope(answer) == self._golden[pair]
            return 200
        assert (answer.status, answer.code) in ((503, "not_available"), (503, "overloaded"), (504, "deadline_exceeded")), answer
        assert int(answer.headers["retry-after"]) > 0
        return answer.status


def body_of(pair: Pair) -> bytes:
    return json.dumps({"source_url": pair[0], "target_url": pair[1]}).encode()


few_or_many = pytest.mark.parametrize(
    ("rounds", "recovery_seconds"),
    [
        pytest.param(1, PATIENCE_SECONDS, id="once"),
        pytest.param(20, RECOVERY_SECONDS, id="20 rounds", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)


@few_or_many
@pytest.mark.parametrize("module", MODULES)
def test_killed_service_costs_coded_errors_and_is_back_soon(
    hurt: RunningMesh, golden: dict[Pair, Any], module: str, rounds: int, recovery_seconds: float
) -> None:
    for _ in range(rounds):
        with Load(hurt, golden, may_refuse=module == "gateway") as load:
            load.wait_until_well(PATIENCE_SECONDS)
            load.failures.clear()
            victim = service(hurt, module)
            killed = time.monotonic()
            victim.kill()
            load.wait_for_an_error(PATIENCE_SECONDS)
            last_error = load.wait_until_well(PATIENCE_SECONDS)
        assert last_error - killed < recovery_seconds
        assert service(hurt, module).pid != victim.pid


@few_or_many
@pytest.mark.parametrize("module", MODULES)
def test_stopped_service_costs_its_callers_their_deadline_and_goes_on(
    hurt: RunningMesh, golden: dict[Pair, Any], module: str, rounds: int, recovery_seconds: float
) -> None:
    for _ in range(rounds):
        with Load(hurt, golden, may_refuse=module == "gateway") as load:
            load.wait_until_well(PATIENCE_SECONDS)
            load.failures.clear()
            victim = service(hurt, module)
            victim.suspend()
            try:
                if module == "gateway":
                    # Nobody is there to say that the time is over, so there is no event to wait for; but nothing is lost either.
                    time.sleep(MATCH_SECONDS / 4)
                else:
                    load.wait_for_an_error(PATIENCE_SECONDS)
                    assert 504 in {status for _, status in load.failures}
            finally:
                victim.resume()
            resumed = time.monotonic()
            last_error = load.wait_until_well(PATIENCE_SECONDS)
        assert last_error - resumed < recovery_seconds
        assert service(hurt, module) == victim


def large_picture(origin: Origin, number: int) -> str:
    """Honest, but some tenths of a second's work; another one for each number, so that nothing is known of it."""
    picture = photo(50 + number, 640, 480).repeat(8, axis=0).repeat(8, axis=1)
    return origin.serve(f"large-{number}.webp", encoded(picture, "WEBP", lossless=True, method=0, quality=0))


def busy_worker(mesh: RunningMesh) -> psutil.Process:
    """The worker that has begun to work on something."""
    before = {worker: cpu_seconds([worker]) for worker in workers(mesh, "image_svc")}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for worker, spent in before.items():
            if cpu_seconds([worker]) - spent > 0.05:
                return worker
        time.sleep(0.005)
    raise AssertionError("no worker has begun")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        pytest.param(signal.SIGSEGV, 415, "unsupported_media", id="crashes"),
        pytest.param(signal.SIGKILL, 415, "unsupported_media", id="is killed for its memory"),
        pytest.param(signal.SIGSTOP, 504, "deadline_exceeded", id="hangs"),
    ],
)
def test_file_whose_decoder_dies_costs_its_own_request_alone(
    hurt: RunningMesh, origin: Origin, golden: dict[Pair, Any], number: signal.Signals, status: int, code: str
) -> None:
    url = large_picture(origin, number)
    known = next(iter(golden))[0]
    before = services(hurt)
    with ThreadPoolExecutor(1) as thread:
        poisoned = thread.submit(hurt.match, known, url)
        victim = busy_worker(hurt)
        victim.send_signal(number)
        with Load(hurt, golden, may_refuse=False) as load:
            answer = poisoned.result(PATIENCE_SECONDS)
            answered = time.monotonic()
            load.wait_until_well(PATIENCE_SECONDS)
        assert not load.failures
    assert (answer.status, answer.code) == (status, code)
    assert services(hurt) == before
    while len(survivors := workers(hurt, "image_svc")) < 2:
        assert time.monotonic() - answered < PATIENCE_SECONDS
    assert victim not in survivors


def test_file_that_has_cost_two_decoders_is_refused_unread(hurt: RunningMesh, origin: Origin, golden: dict[Pair, Any]) -> None:
    known = next(iter(golden))[0]
    url = large_picture(origin, 0)
    for _ in range(2):
        with ThreadPoolExecutor(1) as thread:
            poisoned = thread.submit(hurt.match, known, url)
            busy_worker(hurt).kill()
            assert poisoned.result(PATIENCE_SECONDS).code == "unsupported_media"
    before = set(workers(hurt, "image_svc"))
    for again in (url, f"{url}?another"):
        answer = hurt.match(known, again)
        assert (answer.status, answer.code) == (415, "unsupported_media")
        assert "refused for now" in answer.json["error"]["message"]
    assert before <= set(workers(hurt, "image_svc"))
    assert hurt.match(known, large_picture(origin, 1)).status == 200
