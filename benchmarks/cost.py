"""What a cached pair through HTTP costs each process, CPU by CPU: both sides are fetched again from an origin on loopback.

Nothing is decoded or fingerprinted for it, so it is what the mesh itself costs. The second figure, answers a second, is that of both cores
of the machine with the client and the origin on them. python -m benchmarks.cost --kinds image-cached --requests 600
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil

from benchmarks.load import KINDS, Load, Outcomes, make_kind
from benchmarks.load_origin import LoadOrigin
from tests.running_mesh import RunningMesh

CLIENTS = 4
WARM_UP_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["image-cached", "audio-cached", "video-cached"], help="one by one")
    parser.add_argument("--requests", type=int, default=600, help="of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder)) as mesh:
        asyncio.run(measure(mesh, arguments.kinds, arguments.requests))


async def measure(mesh: RunningMesh, names: Sequence[str], requests: int) -> None:
    async with LoadOrigin() as origin, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        print("| pairs | gateway | matcher | its workers | fetcher | all, ms CPU | answers a second | client and origin, ms CPU |")
        print("|---|---|---|---|---|---|---|---|")
        for name in names:
            load = Load(mesh, session, [await asyncio.to_thread(make_kind, name, origin, mesh)])
            await load.keep_asking(WARM_UP_SECONDS)
            before, own, started = spent(mesh), time.process_time(), time.perf_counter()
            outcomes = await ask(load, requests)
            seconds, own = time.perf_counter() - started, time.process_time() - own
            after = spent(mesh)
            cost = {process: 1000 * (after[process] - before[process]) / requests for process in after}
            service = f"{name.partition('-')[0]}_svc"
            shown = [cost["gateway"], cost[service], cost[f"{service} workers"], cost["fetcher_svc"] + cost["fetcher_svc workers"]]
            rate = len(outcomes.spent_ms.get("ok", ())) / seconds
            cells = [name, *(f"{each:.2f}" for each in shown), f"{sum(cost.values()):.2f}", f"{rate:.1f}", f"{1000 * own / requests:.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


async def ask(load: Load, requests: int) -> Outcomes:
    """So many, a few at a time."""
    outcomes = Outcomes(1.0)

    async def client() -> None:
        for _ in range(requests // CLIENTS):
            await load.ask_next(outcomes)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return outcomes


def spent(mesh: RunningMesh) -> defaultdict[str, float]:
    """Seconds of a processor by each service, and by each service's workers."""
    found: defaultdict[str, float] = defaultdict(float)
    for service in psutil.Process(mesh.process.pid).children():
        name = service.cmdline()[-1]
        found[name] += sum(service.cpu_times()[:2])
        for child in service.children():
            # Its children that have ended count, too.
            found[f"{name} workers"] += sum(child.cpu_times()[:4]) + sum(sum(worker.cpu_times()[:4]) for worker in child.children())
    return found


if __name__ == "__main__":
    main()
