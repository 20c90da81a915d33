"""What the mesh does at and past its limits: requests come at a fixed rate, whatever becomes of those before them.

A request's time counts from the moment it was due. First the peak is found with a few clients that wait for their answers, then shares
of it are offered. python -m benchmarks.load --kinds image-cold image-cached audio-cold image-search --shares 0.5 1 2 4
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
import psutil
from PIL import Image

from benchmarks.load_origin import LoadOrigin
from tests import films
from tests.index_client import new_project
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

PAIRS: Final = 12
"""Different pairs of each kind; those of a cold kind come with other bytes each time."""
CLIENTS: Final = 8
RECOVERY_SHARE: Final = 0.5
REQUEST_SECONDS: Final = 40.0
MEMORY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one sort; `bodies` never ends."""

    path: str
    bodies: Iterator[dict[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Outcomes:
    """Of one phase: how long each request took from when it was due, by its code; "ok" is an answer."""

    seconds: float
    spent_ms: dict[str, list[float]] = field(default_factory=dict)
    resident_mb: float = 0.0
    answered_at: list[float] = field(default_factory=list)

    def add(self, code: str, spent: float) -> None:
        self.spent_ms.setdefault(code, []).append(1000 * spent)
        if code == "ok":
            self.answered_at.append(time.perf_counter())

    @property
    def goodput(self) -> float:
        return len(self.answered_at) / self.seconds

    def last_until_answered(self, started: float) -> None:
        """What was admitted is answered after the last was asked for: the rate is that of the time until then."""
        self.seconds = max([self.seconds, *(moment - started for moment in self.answered_at)])

    def percentile(self, share: float, code: str) -> float:
        values = self.spent_ms.get(code)
        return float(np.percentile(values, share)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["image-cold"], help="taken in turn")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.5, 1.0, 2.0, 4.0], help="of the peak")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder)) as mesh:
        asyncio.run(measure(mesh, arguments.kinds, arguments.shares, arguments.seconds))


async def measure(mesh: RunningMesh, names: Sequence[str], shares: Sequence[float], seconds: float) -> None:
    async with LoadOrigin() as origin, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        load = Load(mesh, session, [await asyncio.to_thread(make_kind, name, origin, mesh) for name in names])
        await load.keep_asking(seconds / 4)
        peak = (await load.keep_asking(seconds)).goodput
        print(f"{' + '.join(names)}: {peak:.1f} answers a second to {CLIENTS} clients that wait for them")
        print("| offered | a second | answered a second | of the peak | refused | p50 | p99 | refusals p99 | other codes | resident |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for share in shares:
            show(f"{share:g} x", await load.offer(share * peak, seconds), share * peak, peak)
        show(f"then {RECOVERY_SHARE:g} x", await load.offer(RECOVERY_SHARE * peak, seconds), RECOVERY_SHARE * peak, peak)


def show(name: str, outcomes: Outcomes, rate: float, peak: float) -> None:
    counts = Counter({code: len(spent) for code, spent in outcomes.spent_ms.items()})
    cells = [
        name,
        f"{rate:.0f}",
        f"{outcomes.goodput:.1f}",
        f"{outcomes.goodput / peak:.2f}",
        f"{counts['overloaded'] / counts.total():.0%}",
        f"{outcomes.percentile(50, 'ok'):.0f} ms",
        f"{outcomes.percentile(99, 'ok'):.0f} ms",
        f"{outcomes.percentile(99, 'overloaded'):.0f} ms",
        ", ".join(f"{code} {count}" for code, count in counts.items() if code not in ("ok", "overloaded")) or "none",
        f"{outcomes.resident_mb:.0f} MB",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


class Load:
    def __init__(self, mesh: RunningMesh, session: aiohttp.ClientSession, kinds: Sequence[Kind]) -> None:
        self._mesh = mesh
        self._session = session
        self._turns = itertools.cycle(kinds)

    async def keep_asking(self, seconds: float) -> Outcomes:
        """A few clients, each of which waits for its answer before it asks again."""
        outcomes = Outcomes(seconds)
        started = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() < started + seconds:
                await self._ask(next(self._turns), time.perf_counter(), outcomes)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())
        outcomes.last_until_answered(started)
        return outcomes

    async def offer(self, rate: float, seconds: float) -> Outcomes:
        """So many requests a second, whatever becomes of them."""
        outcomes = Outcomes(seconds)
        watching = asyncio.create_task(self._watch_memory(outcomes))
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self._ask(next(self._turns), due, outcomes))
        watching.cancel()
        outcomes.last_until_answered(started)
        return outcomes

    async def ask_next(self, outcomes: Outcomes) -> None:
        """One request, now."""
        await self._ask(next(self._turns), time.perf_counter(), outcomes)

    async def _ask(self, kind: Kind, due: float, outcomes: Outcomes) -> None:
        url, patience = f"http://127.0.0.1:{self._mesh.port}{kind.path}", aiohttp.ClientTimeout(REQUEST_SECONDS)
        try:
            async with self._session.post(url, json=next(kind.bodies), headers=kind.headers, timeout=patience) as response:
                body = await response.json()
                code = "ok" if response.status == 200 else body["error"]["code"]
        except (aiohttp.ClientError, TimeoutError) as problem:
            code = type(problem).__name__
        outcomes.add(code, time.perf_counter() - due)

    async def _watch_memory(self, outcomes: Outcomes) -> None:
        root = psutil.Process(self._mesh.process.pid)
        while True:
            resident = sum(member.memory_info().rss for member in (root, *root.children(recursive=True)))
            outcomes.resident_mb = max(outcomes.resident_mb, resident / 2**20)
            await asyncio.sleep(MEMORY_SECONDS)


def bodies(urls: Sequence[tuple[str, str]], *, is_cold: bool) -> Iterator[dict[str, str]]:
    for number in itertools.count():
        source, target = urls[number % len(urls)]
        stamp = f"?{number}" if is_cold else ""
        yield {"source_url": source + stamp, "target_url": target + stamp}


def searches(urls: Sequence[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """With copies of what is indexed, never the same bytes twice."""
    for number in itertools.count():
        yield {"url": f"{urls[number % len(urls)][1]}?{number}"}


def draw_pictures() -> list[tuple[bytes, bytes]]:
    """Of 2 MP, cropped: compared by their details, as most pairs that are not plain."""
    made = []
    for number in range(PAIRS):
        picture = Image.fromarray(photo(number)).resize((1600, 1200))
        crop = picture.crop((200, 150, 1600, 1200))
        made.append((encoded(picture, "JPEG", quality=88), encoded(crop, "JPEG", quality=80)))
    return made


def _sounds() -> list[tuple[bytes, bytes]]:
    """Of half a minute, at two rates."""
    made = []
    for number in range(4):
        waves = music(number, 30.0)
        made.append((recorded(waves, "mp3", rate=RATE), recorded(waves, "mp3", rate=RATE, bit_rate=64_000)))
    return made


def _films() -> list[tuple[bytes, bytes]]:
    """Of six seconds, in two qualities."""
    made = []
    for number in range(2):
        film = films.Film(number, 6.0, 640, 360)
        made.append((films.encoded(film), films.encoded(film, options={"crf": "30"})))
    return made


MATERIAL: Final = {"image": (draw_pictures, ".jpg"), "audio": (_sounds, ".mp3"), "video": (_films, ".mp4")}
STATES: Final = ("cold", "cached", "search")
KINDS: Final = [f"{medium}-{state}" for medium in MATERIAL for state in STATES]


def make_kind(name: str, origin: LoadOrigin, mesh: RunningMesh) -> Kind:
    medium, _, state = name.partition("-")
    draw, suffix = MATERIAL[medium]
    urls = [(origin.serve(source, suffix), origin.serve(target, suffix)) for source, target in draw()]
    if state != "search":
        return Kind(f"/{medium}/match", bodies(urls, is_cold=state == "cold"))
    project = new_project(mesh)
    for source, _ in urls:
        project.index(source, medium)
    return Kind(f"/v1/search/{medium}/url", searches(urls), {"Authorization": f"Bearer {project.key}"})


if __name__ == "__main__":
    main()
