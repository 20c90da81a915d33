"""What a cached pair through HTTP costs each process, CPU by CPU: both sides are fetched again from an origin on loopback.

Nothing is decoded or fingerprinted for it, so it is what the mesh itself costs. `gRPC` is the part of matcher and fetcher that the calls
between the services take: the same calls with the same sizes, answered from memory (benchmarks/bare_services.py). The gateway's calls are
its own. Answers a second are of both cores of the machine with the client and the origin on them.
python -m benchmarks.cost --kinds image-cached --requests 600
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import aiohttp
import psutil

from benchmarks.bare_services import BareServices
from benchmarks.load import KINDS, PAIRS, Load, Outcomes, make_kind
from benchmarks.load_origin import LoadOrigin
from mesh.media import MediaType
from tests.running_mesh import RunningMesh

CLIENTS = 4
WARM_UP_SECONDS = 3.0
PAIR_KINDS = [name for name in KINDS if not name.endswith("search")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kinds", nargs="+", choices=PAIR_KINDS, default=["image-cached", "audio-cached", "video-cached"], help="one by one"
    )
    parser.add_argument("--requests", type=int, default=600, help="of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder)) as mesh:
        asyncio.run(measure(mesh, Path(folder), arguments.kinds, arguments.requests))


COLUMNS = (
    "gateway",
    "matcher",
    "its workers",
    "fetcher",
    "its workers",
    "all",
    "gRPC",
    "gateway and gRPC",
    "a second",
    "client and origin",
)


async def measure(mesh: RunningMesh, folder: Path, names: Sequence[str], requests: int) -> None:
    async with (
        LoadOrigin() as origin,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        BareServices(folder) as bare,
    ):
        print(f"| pairs | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
        for name in names:
            kind = await asyncio.to_thread(make_kind, name, origin, mesh)
            load = Load(mesh, session, [kind])
            await load.keep_asking(WARM_UP_SECONDS)
            before, own, started = spent(mesh), time.process_time(), time.perf_counter()
            outcomes = await ask(load, requests)
            seconds, own = time.perf_counter() - started, time.process_time() - own
            after = spent(mesh)
            cost = {process: 1000 * (after[process] - before[process]) / requests for process in after}
            service = f"{name.partition('-')[0]}_svc"
            sizes = [(origin.size_bytes(body["source_url"]), origin.size_bytes(body["target_url"])) for body in islice(kind.bodies, PAIRS)]
            calls = await bare.ask(MediaType(name.partition("-")[0]), sizes, requests, CLIENTS)
            processes = ("gateway", service, f"{service} workers", "fetcher_svc", "fetcher_svc workers")
            shown = [*(cost[process] for process in processes), sum(cost.values()), calls, cost["gateway"] + calls]
            rate = len(outcomes.spent_ms.get("ok", ())) / seconds
            cells = [name, *(f"{each:.2f}" for each in shown), f"{rate:.1f}", f"{1000 * own / requests:.2f}"]
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
