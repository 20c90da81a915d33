"""Several replicas of every service on one machine: they share the work, give the same answers, and come and go without a loss."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from mesh import client
from mesh.settings import MeshSettings
from mesh.wire import result_from_proto
from protos import matcher_pb2, matcher_pb2_grpc
from tests import films
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.replicas import SERVICES, Ask, Client, Outcome, ReplicatedMesh
from tests.sounds import RATE, music

RECOVERY_SECONDS = 30.0
FRESH_SECONDS = 30.0
"""Five where nothing else is done: the tests are not alone on their machine."""
SETTLE_SECONDS = 2.0
"""After a replica is back, before the next one goes: minReadySeconds of the manifests, which is longer."""
SHARE_OF_SATURATION = 0.3
MEDIA = ("image", "video", "audio")


@dataclass(frozen=True)
class Material:
    """Two files of each medium, and a library that holds the first picture."""

    pairs: dict[str, tuple[str, str]]
    project: Project
    asset: str

    def ask(self, medium: str) -> Ask:
        source, target = self.pairs[medium]
        return Ask("POST", f"/{medium}/match", {"source_url": source, "target_url": target})

    def search(self) -> Ask:
        return Ask("POST", "/v1/search/image/asset", {"asset_id": self.asset}, (("Authorization", f"Bearer {self.project.key}"),))

    @property
    def mixed(self) -> list[Ask]:
        """Mostly pictures, as is usual, and one search."""
        return [*[self.ask("image")] * 16, self.ask("audio"), self.ask("video"), self.search(), self.search()]


def some_or_long(*some: str) -> list[Any]:
    """All services, those that are not named as long tests."""
    return [pytest.param(service, marks=[] if service in some else [pytest.mark.long]) for service in SERVICES]


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicatedMesh]:
    with ReplicatedMesh(tmp_path_factory.mktemp("replicas")) as mesh:
        yield mesh
        family = psutil.Process(mesh.process.pid).children(recursive=True)
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert not list((mesh.data_dir / "run").glob("*.sock"))


@pytest.fixture(scope="module")
def material(replicated: ReplicatedMesh, origin: Origin) -> Material:
    picture = origin.serve("replica.jpg", encoded(photo(3, 320, 240), "JPEG"))
    pairs = {
        "image": (picture, origin.serve("replica.webp", encoded(photo(3, 320, 240), "WEBP", quality=60))),
        "audio": (
            origin.serve("replica-1.mp3", recorded(music(3, 2.0), "mp3", rate=RATE)),
            origin.serve("replica-2.mp3", recorded(music(4, 2.0), "mp3", rate=RATE)),
        ),
        "video": tuple(origin.serve(f"replica-{seed}.mp4", films.encoded(films.Film(seed, 2.0))) for seed in (3, 4)),
    }
    project = new_project(replicated)
    return Material(pairs, project, project.index(picture))  # type: ignore[arg-type]


async def test_load_spreads_within_a_fifth_of_even_over_the_replicas(replicated: ReplicatedMesh, material: Material) -> None:
    # A call goes to the next replica, whichever it is: now and then a search is two calls.
    methods = {"image": ["Match"], "fetcher": ["Fetch"], "index": ["Authenticate", "Search"]}
    before = {service: replicated.calls(service, names) for service, names in methods.items()}
    async with Client(replicated.doors) as asking:
        for turn in range(50):
            for ask in (material.ask("image"), material.search())[: 1 + turn % 2]:
                assert (await asking.ask(ask)).status == 200
    for service, names in methods.items():
        done = [after - early for after, early in zip(replicated.calls(service, names), before[service], strict=True)]
        even = sum(done) / len(done)
        assert sum(done) >= 25
        assert all(abs(count - even) <= 0.2 * even for count in done), (service, done)


@pytest.mark.parametrize("medium", MEDIA)
async def test_every_replica_gives_the_same_answer(replicated: ReplicatedMesh, material: Material, medium: str) -> None:
    settings = MeshSettings(data_dir=str(replicated.data_dir))
    source, target = material.pairs[medium]
    request = matcher_pb2.MatchRequest(source_url=source, target_url=target)
    answers = []
    for number in range(replicated.COUNT):
        async with client.open_channel(settings, f"unix:{replicated.socket_of(medium, number)}") as channel:
            response = await client.ask(matcher_pb2_grpc.MatcherServiceStub(channel).Match, request)
        found = result_from_proto(response.result)
        answers.append((found.match, found.confidence, found.similarity_score, found.matched_segments))
    assert len(set(answers)) == 1
    async with Client(replicated.doors) as asking:
        said = [(await asking.ask(material.ask(medium))).said for _ in range(2 * replicated.COUNT)]
    assert all(one == said[0] for one in said)
    assert said[0]["similarity_score"] == answers[0][2]


async def test_asset_that_is_ready_is_found_through_every_replica_at_once(
    replicated: ReplicatedMesh, material: Material, origin: Origin
) -> None:
    url = origin.serve("replica-fresh.jpg", encoded(photo(77, 320, 240), "JPEG"))
    asset = material.project.index(url)
    ready = time.monotonic()
    search = Ask("POST", "/v1/search/image/url", {"url": url}, material.search().headers)
    async with Client(replicated.doors) as asking:
        found = [await asking.ask(search) for _ in range(2 * replicated.COUNT)]
    assert all([hit["asset_id"] for hit in outcome.body["results"]] == [asset] for outcome in found)
    assert time.monotonic() - ready < FRESH_SECONDS


@pytest.mark.parametrize("service", some_or_long("image", "gateway"))
async def test_replica_that_is_killed_costs_coded_errors_for_a_moment(replicated: ReplicatedMesh, material: Material, service: str) -> None:
    victim = replicated.replica(service, 1)
    assert victim is not None
    asks, is_over = [material.ask("image"), material.ask("image"), material.search()], asyncio.Event()
    async with Client(replicated.doors) as asking:
        golden = {ask: (await asking.ask(ask)).said for ask in asks}
        load = asyncio.create_task(asking.ask_at_rate(asks, 15.0, is_over))
        await asking_goes_well(asking, 5)
        killed = time.monotonic()
        victim.kill()
        await replicated.until_back(service, 1, victim)
        await asking_goes_well(asking, 10)
        is_over.set()
        await load
    failed = [outcome for outcome in asking.outcomes if outcome.status != 200]
    # A gateway that is gone cannot say so; its client goes to the other one.
    assert {outcome.status for outcome in failed} <= ({0, 503, 504} if service == "gateway" else {503, 504})
    assert all(outcome.retry_after for outcome in failed if outcome.status)
    assert all(outcome.moment - killed < RECOVERY_SECONDS for outcome in failed)
    assert all(outcome.said == golden[outcome.ask] for outcome in asking.outcomes if outcome.status == 200)


async def asking_goes_well(asking: Client, times: int) -> None:
    """So many answers from now on were right, one after another."""
    seen = len(asking.outcomes)
    while not all(outcome.status == 200 for outcome in asking.outcomes[-times:]) or len(asking.outcomes) < seen + times:
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("service", some_or_long("fetcher", "gateway"))
async def test_replica_that_is_told_to_stop_loses_no_request(replicated: ReplicatedMesh, material: Material, service: str) -> None:
    outcomes = await roll(replicated, [material.ask("image"), material.search()], [(service, 1)], per_second=15.0, at_least=0)
    assert Counter(outcome.status for outcome in outcomes) == {200: len(outcomes)}, failures(outcomes)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_rolling_restarts_of_every_replica_lose_none_of_ten_thousand_requests(
    replicated: ReplicatedMesh, material: Material, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = material.mixed
    async with Client(replicated.doors) as asking:
        golden: dict[Ask, Any] = {ask: (await asking.ask(ask)).said for ask in asks}
        per_second = SHARE_OF_SATURATION * await asking.saturation(asks, 10.0)
    order = [(service, number) for service in SERVICES for number in range(replicated.COUNT)]
    outcomes = await roll(replicated, asks, order, per_second=per_second, at_least=10_000)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(outcomes)} requests at {per_second:.1f} a second: {Counter(outcome.status for outcome in outcomes)}\n")
    assert len(outcomes) >= 10_000
    assert Counter(outcome.status for outcome in outcomes) == {200: len(outcomes)}, failures(outcomes)
    assert all(outcome.said == golden[outcome.ask] for outcome in outcomes)


async def roll(mesh: ReplicatedMesh, asks: list[Ask], order: list[tuple[str, int]], *, per_second: float, at_least: int) -> list[Outcome]:
    """What became of the requests while the replicas were told to stop, one after another and all of them at least once."""
    is_over = asyncio.Event()
    async with Client(mesh.doors) as asking:
        load = asyncio.create_task(asking.ask_at_rate(asks, per_second, is_over))
        await asking_goes_well(asking, 3)
        rounds = 0
        while rounds == 0 or len(asking.outcomes) < at_least:
            rounds += 1
            for service, number in order:
                leaving = mesh.replica(service, number)
                assert leaving is not None
                leaving.terminate()
                await mesh.until_back(service, number, leaving)
                await asyncio.sleep(SETTLE_SECONDS)
        is_over.set()
        await load
        return asking.outcomes


def failures(outcomes: list[Outcome]) -> list[tuple[float, int, Any]]:
    return [(outcome.moment, outcome.status, outcome.body) for outcome in outcomes if outcome.status != 200][:5]
