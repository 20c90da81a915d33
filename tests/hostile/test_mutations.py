"""Real files, request bodies and URLs with their bytes changed: a coded answer to each, and every process lives on."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import grpc
import pytest

from mesh.client import ask
from mesh.errors import BY_CODE, MeshError
from mesh.media import OUTLINE
from protos import matcher_pb2, matcher_pb2_grpc
from tests import films
from tests.hostile import oracle
from tests.hostile.processes import services, workers
from tests.hostile.test_urls import REFUSED, TAKEN
from tests.hostile.world import World
from tests.mutants import mutated
from tests.pictures import FORMATS, photo
from tests.recordings import FORMATS as RECORDINGS
from tests.recordings import recorded
from tests.sounds import RATE, music

HANG_SECONDS = 60.0
AT_ONCE = 4
"""So that nothing is refused for want of room."""

few_or_many = pytest.mark.parametrize(
    "count", [pytest.param(400, id="few"), pytest.param(100_000, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)


@pytest.fixture
def unharmed(world: World) -> Iterator[None]:
    """Every service is the process that it was."""
    before = services(world.mesh)
    yield
    assert services(world.mesh) == before
    assert world.mesh.match(world.photo_url, world.copy_url).status == 200


async def answers_to(world: World, files: Iterator[bytes | str], medium: str = "image") -> Counter[str]:
    """What the medium's service says of each file or URL, by code; "fingerprint" where it can be read."""
    said: Counter[str] = Counter()
    socket_path = world.mesh.data_dir / "run" / f"{medium}.sock"

    async def parts(body: bytes | str) -> AsyncIterator[matcher_pb2.ComputeFingerprintRequest]:
        if isinstance(body, str):
            yield matcher_pb2.ComputeFingerprintRequest(head=matcher_pb2.FingerprintHead(url=body, max_level=OUTLINE))
            return
        head = matcher_pb2.FingerprintHead(inline=matcher_pb2.InlineMedia(), max_level=OUTLINE)
        yield matcher_pb2.ComputeFingerprintRequest(head=head)
        for start in range(0, len(body), 1 << 20):
            yield matcher_pb2.ComputeFingerprintRequest(chunk=body[start : start + (1 << 20)])

    async def feed(stub: matcher_pb2_grpc.MatcherServiceStub) -> None:
        for body in files:
            started = time.monotonic()
            try:
                await ask(stub.ComputeFingerprint, parts(body))
                said["fingerprint"] += 1
            except MeshError as error:
                said[error.code] += 1
                if "decoder" in error.message:
                    said[error.message] += 1
            assert time.monotonic() - started < HANG_SECONDS, body[:100]

    async with grpc.aio.insecure_channel(f"unix:{socket_path}") as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)
        await asyncio.gather(*(feed(stub) for _ in range(AT_ONCE)))
    return said


@few_or_many
@pytest.mark.usefixtures("unharmed")
async def test_mutated_picture_is_read_or_refused(world: World, count: int) -> None:
    dice = random.Random(7)
    seeds = [make(photo(4, 48, 36)) for make in FORMATS.values()]
    said = await answers_to(world, (mutated(dice, seeds[number % len(seeds)], seeds) for number in range(count)))
    assert sum(said[code] for code in ("fingerprint", "unsupported_media", "file_too_large")) == count, said
    assert said["fingerprint"] > count / 50
    assert said["unsupported_media"] > count / 10
    assert len(workers(world.mesh, "image_svc")) > 0


@few_or_many
@pytest.mark.usefixtures("unharmed")
async def test_mutated_sound_is_read_or_refused(world: World, count: int) -> None:
    dice = random.Random(10)
    seeds = [recorded(music(4, 1.0), name, rate=RATE) for name in RECORDINGS]
    said = await answers_to(world, (mutated(dice, seeds[number % len(seeds)], seeds) for number in range(count)), "audio")
    assert sum(said[code] for code in ("fingerprint", "unsupported_media", "duration_too_long")) == count, said
    assert said["fingerprint"] > count / 50
    assert said["unsupported_media"] > count / 10
    assert len(workers(world.mesh, "audio_svc")) > 0


@few_or_many
@pytest.mark.usefixtures("unharmed")
async def test_mutated_film_is_read_or_refused(world: World, count: int) -> None:
    dice = random.Random(11)
    seeds = [films.encoded(films.Film(4, 0.5, 64, 48, Fraction(8)), name) for name in films.FORMATS]
    said = await answers_to(world, (mutated(dice, seeds[number % len(seeds)], seeds) for number in range(count)), "video")
    assert sum(said[code] for code in ("fingerprint", "unsupported_media", "duration_too_long")) == count, said
    assert said["fingerprint"] > count / 50
    assert said["unsupported_media"] > count / 10
    assert len(workers(world.mesh, "video_svc")) > 0


WANTED: list[dict[str, Any]] = [
    {"source_url": "http://10.0.0.1/a", "target_url": "http://localhost/b"},
    {"source_url": "http://127.0.0.1/", "target_url": "ftp://a", "threshold": 0.5, "profile": "stock", "transforms": "none"},
    {"source_url": "é☃\U0001f600", "target_url": "\\u0000", "include": ["regions", "transform", "coverage", "hashes", "audio"]},
    {"source_url": None, "target_url": [], "threshold": -1e400, "include": {"a": [1, 2, {"b": None}]}},
]
BODIES = [json.dumps(body, ensure_ascii=False).encode() for body in WANTED]
TOKENS = [*rb'{ } [ ] " , : \u \ud800 null true 1e999 -0 NaN'.split(), b"\xff", b"\0", b"\xef\xbb\xbf", b"[" * 500]


@few_or_many
@pytest.mark.usefixtures("unharmed")
def test_mutated_body_gets_a_coded_answer(world: World, count: int) -> None:
    dice = random.Random(8)
    bodies = [mutated(dice, dice.choice(BODIES), [*BODIES, *TOKENS]) for _ in range(count)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = threads.map(lambda share: list(outcomes_of(world, share)), (bodies[number::AT_ONCE] for number in range(AT_ONCE)))
        counted = Counter(outcome for share in outcomes for outcome in share)
    assert sum(counted.values()) == count
    # Of the last one: an address in a body that has become a public one, where nobody answers.
    expected = {(400, "invalid_request"), (400, "invalid_url"), (413, "request_too_large"), (422, "fetch_failed")}
    assert set(counted) <= expected, counted
    assert len(counted) >= 2


def outcomes_of(world: World, bodies: list[bytes]) -> Iterator[tuple[int, str]]:
    """Over one connection for as long as it is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", world.mesh.port)
    for body in bodies:
        connection.sock = connection.sock or world.mesh.connect(HANG_SECONDS)
        connection.request("POST", "/image/match", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
        assert error["message"]
        yield response.status, error["code"]
    connection.close()


def seeds_of_urls() -> list[str]:
    return [str(parameter.values[0]) for parameter in (*REFUSED, *TAKEN)] + ["http://www.example.com/photo.jpg"]


@pytest.mark.parametrize(
    "count", [pytest.param(1200, id="few"), pytest.param(20_000, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
@pytest.mark.usefixtures("unharmed")
def test_mutated_url_dials_public_addresses_only(world: World, count: int) -> None:
    """Whatever name is left stands for two random addresses, near the edges of what is public: all of them must be."""
    dice = random.Random(9)
    edges = [
        (end + step, bits) for bits in (32, 128) for block in oracle.BLOCKS[bits] for end, step in ((block.first, -1), (block.last, 1))
    ]
    edges = [(number, bits) for number, bits in edges if 0 < number < 1 << bits]

    def any_addresses() -> tuple[str, ...]:
        return tuple(oracle.text_of(number, bits) for number, bits in (dice.choice(edges), dice.choice(edges)))

    seeds = [url.encode() for url in seeds_of_urls() if url]
    urls = [mutated(dice, dice.choice(seeds), seeds).decode("utf-8", "replace") for _ in range(count)]
    known = world.internet.names.records
    world.internet.names.records = Anyhow(known, any_addresses)
    before = len(world.internet.dialled)
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(lambda pair: world.mesh.match(*pair), zip(urls[::2], urls[1::2], strict=True)))
    finally:
        world.internet.names.records = known
    assert {answer.status for answer in answers} <= {200, 400, 415, 422}
    assert {answer.code for answer in answers if answer.status != 200} <= set(BY_CODE)
    dialled = world.internet.dialled[before:]
    assert dialled
    assert not [address for address in dialled if not oracle.is_public_text(address)]


class Anyhow(dict[str, Any]):
    """Every name is known: those that are not stand for whatever `answer` says."""

    def __init__(self, known: Mapping[str, Any], answer: Callable[[], tuple[str, ...]]) -> None:
        super().__init__(known)
        self._answer = answer

    def get(self, name: str, default: object = None) -> Any:
        return super().get(name, self._answer)
