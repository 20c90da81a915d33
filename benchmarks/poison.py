"""What files that kill their decoders cost everybody else: pairs at a fixed rate, by turns without and with such files among them.

Each comes with bytes that nobody has seen, under a key of its own, and whichever worker opens it is ended by SIGSEGV in the middle of its
work. python -m benchmarks.poison --shares 0.5 0.9 --poison 0.05
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import aiohttp
import numpy as np

from benchmarks.load import Kind, Load, Outcomes, bodies, make_kind
from benchmarks.load_origin import LoadOrigin, stamped
from tests.hostile.processes import workers
from tests.index_client import new_project
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

LOOK_SECONDS: Final = 0.01


class Killer:
    """Enter it to have every worker that opens a file of this size ended."""

    def __init__(self, mesh: RunningMesh, size: int) -> None:
        self._mesh, self._size = mesh, size
        self._is_over = threading.Event()
        self.kills = 0
        self.away_seconds: list[float] = []
        """From each kill on, until there were as many workers as before."""

    def __enter__(self) -> Self:
        self._workers = len(workers(self._mesh, "image_svc"))
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        killed: dict[int, float] = {}
        while not self._is_over.wait(LOOK_SECONDS):
            alive = {worker.pid for worker in workers(self._mesh, "image_svc")} - killed.keys()
            if len(alive) >= self._workers:
                self.away_seconds += [time.monotonic() - moment for moment in killed.values() if moment]
                killed = dict.fromkeys(killed, 0.0)
            for pid in alive:
                if self._size in open_sizes(pid):
                    os.kill(pid, signal.SIGSEGV)
                    killed[pid] = time.monotonic()
                    self.kills += 1


def open_sizes(pid: int) -> Iterator[int]:
    """Of the files that a process has open."""
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            yield descriptor.stat().st_size
    except OSError:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.5, 0.9], help="of the peak")
    parser.add_argument("--poison", type=float, default=0.05, help="of all requests")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder), AUDIO_ADDRESS="", VIDEO_ADDRESS="") as mesh:
        asyncio.run(measure(mesh, arguments.shares, arguments.poison, arguments.seconds, arguments.rounds))


async def measure(mesh: RunningMesh, shares: list[float], poison: float, seconds: float, rounds: int) -> None:
    # Some tenths of a second's work, so that its worker is in the middle of it when it is found.
    large = encoded(photo(50, 640, 480).repeat(8, axis=0).repeat(8, axis=1), "WEBP", lossless=True, method=0, quality=0)
    async with LoadOrigin() as origin, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        good = Load(mesh, session, [await asyncio.to_thread(make_kind, "image-cold", origin, mesh)])
        key = (await asyncio.to_thread(new_project, mesh)).key
        urls = origin.serve(encoded(photo(51, 160, 120), "JPEG"), ".jpg"), origin.serve(large, ".webp")
        bad_kind = Kind("/image/match", bodies([urls], is_cold=True), {"Authorization": f"Bearer {key}"})
        bad = Load(mesh, session, [bad_kind])
        await good.keep_asking(seconds / 3)
        peak = (await good.keep_asking(seconds)).goodput
        print(f"{peak:.1f} answers a second to clients that wait for them")
        print("| offered | answered a second: without, with | of it | p50 | p99 | bad ones | decoders of each | without one for |")
        print("|---|---|---|---|---|---|---|---|")
        with Killer(mesh, len(stamped(large, ".webp", b"0"))) as killer:
            for share in shares:
                await compare(share, share * peak, poison, (seconds, rounds), good, bad, killer)


async def compare(share: float, rate: float, poison: float, phases: tuple[float, int], good: Load, bad: Load, killer: Killer) -> None:
    """One row: the same good requests by turns alone and with bad ones beside them."""
    seconds, rounds = phases
    killer.kills, killer.away_seconds = 0, []
    without, with_bad, bad_ones = Outcomes(0.0), Outcomes(0.0), Outcomes(0.0)
    for _ in range(rounds):
        add(without, await good.offer(rate, seconds))
        both = await asyncio.gather(good.offer(rate, seconds), bad.offer(rate * poison / (1 - poison), seconds))
        for total, one in zip((with_bad, bad_ones), both, strict=True):
            add(total, one)
    codes = Counter({code: len(spent) for code, spent in bad_ones.spent_ms.items()})
    cells = [
        f"{share:g} x",
        f"{without.goodput:.2f}, {with_bad.goodput:.2f}",
        f"{with_bad.goodput / without.goodput:.3f}",
        *(f"{without.percentile(part, 'ok'):.0f}, {with_bad.percentile(part, 'ok'):.0f} ms" for part in (50, 99)),
        ", ".join(f"{code} {count}" for code, count in codes.items()),
        f"{killer.kills / codes.total():.2f}",
        f"{np.median(killer.away_seconds):.2f} s, {max(killer.away_seconds):.2f} s at most",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def add(total: Outcomes, one: Outcomes) -> None:
    total.seconds += one.seconds
    for code, spent in one.spent_ms.items():
        total.spent_ms.setdefault(code, []).extend(spent)


if __name__ == "__main__":
    main()
