"""Whether anything grows in half an hour of mixed load: resident memory, open files and threads of every process of a mesh.

Caches are kept small, so that they are full when the counting begins. Prints for each process, and for each service's workers together
(they are replaced now and then), the slope of the last minutes after Theil and Sen, with its 95 % interval. Limit: 10 MB an hour.
python -m benchmarks.soak --minutes 30 --rate 3
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
import psutil
from scipy.stats import theilslopes

from benchmarks.load import KINDS, Load, make_kind
from benchmarks.load_origin import LoadOrigin
from tests.running_mesh import RunningMesh

MIX: Final = ("image-cold", "image-cached", "image-search", "audio-cold", "image-cold", "audio-cached", "video-cached", "audio-search")
CACHE_BYTES: Final = 1 << 20
SAMPLE_SECONDS: Final = 5.0
COUNTED_SHARE: Final = 2 / 3
MAX_GROWTH_MB: Final = 10.0
"""An hour, of any process, and of all together."""

Sample = dict[str, dict[str, float]]
"""By process: MB that are resident, open files, threads."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=3.0, help="requests a second")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(MIX), help="taken in turn")
    arguments = parser.parse_args()
    caches = {f"{medium}_CACHE_BYTES": str(CACHE_BYTES) for medium in ("IMAGE", "AUDIO", "VIDEO")}
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder), **caches) as mesh:
        is_sound = asyncio.run(soak(mesh, arguments.kinds, arguments.rate, 60 * arguments.minutes))
        for line in mesh.log.splitlines():
            if '"level":"error"' in line.replace(" ", ""):
                print(line)
    sys.exit(not is_sound)


async def soak(mesh: RunningMesh, names: Sequence[str], rate: float, seconds: float) -> bool:
    async with LoadOrigin() as origin, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kinds = {name: await asyncio.to_thread(make_kind, name, origin, mesh) for name in dict.fromkeys(names)}
        load = Load(mesh, session, [kinds[name] for name in names])
        samples: list[tuple[float, Sample]] = []
        watching = asyncio.create_task(_watch(mesh, samples))
        outcomes = await load.offer(rate, seconds)
        watching.cancel()
    print(f"{seconds / 60:.0f} minutes at {rate:g} a second: {', '.join(names)}")
    counts = {code: len(spent) for code, spent in outcomes.spent_ms.items()}
    print(f"answers: {counts}; p50 {outcomes.percentile(50, 'ok'):.0f} ms, p99 {outcomes.percentile(99, 'ok'):.0f} ms")
    return show(samples, seconds)


async def _watch(mesh: RunningMesh, samples: list[tuple[float, Sample]]) -> None:
    while True:
        samples.append((time.monotonic(), await asyncio.to_thread(_look, mesh.process.pid)))
        await asyncio.sleep(SAMPLE_SECONDS)


def _look(supervisor: int) -> Sample:
    """The supervisor, each service and its nursery, and its workers as one; the database's processes as one."""
    found: Sample = defaultdict(Counter)  # type: ignore[arg-type]
    root = psutil.Process(supervisor)
    _add(found, "supervisor", root)
    for service in root.children():
        name = _name(service)
        _add(found, name, service)
        for child in service.children():
            is_nursery = "nursery" in " ".join(_command(child))
            _add(found, f"{name} nursery" if is_nursery else f"{name} others", child)
            for grandchild in child.children(recursive=True):
                _add(found, f"{name} workers" if is_nursery else f"{name} others", grandchild)
    return found


def _add(found: Sample, name: str, process: psutil.Process) -> None:
    try:
        with process.oneshot():
            taken = {"MB": process.memory_info().rss / 2**20, "files": process.num_fds(), "threads": process.num_threads()}
    except psutil.Error:
        return
    for what, amount in taken.items():
        found[name][what] += amount
        found["all"][what] += amount


def _name(process: psutil.Process) -> str:
    return (_command(process) or ["gone"])[-1]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def show(samples: list[tuple[float, Sample]], seconds: float) -> bool:
    """Whether nothing has grown by more than it may."""
    start = samples[0][0] + (1 - COUNTED_SHARE) * seconds
    counted = [(moment, sample) for moment, sample in samples if moment >= start]
    names = sorted({name for _, sample in counted for name in sample})
    print(f"of the last {COUNTED_SHARE * seconds / 60:.0f} minutes:")
    print("| process | MB at first | MB at last | most | MB an hour | 95 % of it | files | threads |")
    print("|---|---|---|---|---|---|---|---|")
    is_sound = True
    for name in names:
        hours = np.array([moment for moment, sample in counted if name in sample]) / 3600
        resident, files, threads = (
            np.array([sample[name][what] for _, sample in counted if name in sample]) for what in ("MB", "files", "threads")
        )
        slope, _, low, high = theilslopes(resident, hours)
        is_sound = is_sound and slope < MAX_GROWTH_MB
        cells = [name, f"{resident[0]:.1f}", f"{resident[-1]:.1f}", f"{resident.max():.1f}", f"{slope:+.2f}", f"{low:+.2f} to {high:+.2f}"]
        cells += [f"{values[0]:.0f} to {values[-1]:.0f}" for values in (files, threads)]
        print(f"| {' | '.join(cells)} |")
    return is_sound


if __name__ == "__main__":
    main()
