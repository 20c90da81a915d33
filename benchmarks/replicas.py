"""How throughput grows with replicas and with workers of image_svc, on a machine too small to show it with whole processors.

Each replica gets a share of one core, as a node with less to give would (cgroups: needs root), and clients that wait for their answers
ask for pairs of new pictures; then one replica is run with more workers and no such bound. Beside it stands what a pair costs each service.
Last, its workers by themselves, without gateway, fetcher, client or origin: what is lost to those on the same cores is not lost to workers.

python -m benchmarks.replicas docs/scaling.svg
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from benchmarks.dashboard_picture import COLOURS, text
from benchmarks.load import Kind, draw_pictures, make_kind
from benchmarks.load_origin import LoadOrigin
from image_svc import matcher
from image_svc.settings import Settings
from mesh.matcher import TASK_SECONDS
from mesh.media import DETAIL, MatchOptions
from mesh.media_file import MediaFile
from mesh.workers import WorkerPool
from tests.running_mesh import ROOT, RunningMesh

CLIENTS: Final = 4
"""For each replica or worker."""
PERIOD_MICROSECONDS: Final = 50_000
SERVICES: Final = {"gateway": "gateway", "fetcher_svc": "fetcher", "image_svc": "image"}
CGROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Point:
    count: int
    per_second: float
    cost_ms: dict[str, float]
    """Processor time of a pair, by service."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="where the SVG goes")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--share", type=float, default=0.1, help="of one core, for each replica (0.1)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (30)")
    arguments = parser.parse_args()
    replicas = [measure(count, 1, arguments.share, arguments.seconds) for count in arguments.replicas]
    show(f"replicas with {arguments.share:g} of a core each", replicas)
    workers = [measure(1, count, None, arguments.seconds) for count in arguments.workers]
    show(f"workers on {os.cpu_count()} cores", workers)
    show("workers in process", [asyncio.run(work(count, arguments.seconds)) for count in arguments.workers])
    arguments.picture.write_text(draw(replicas, arguments.share))


def measure(replicas: int, workers: int, share: float | None, seconds: float) -> Point:
    listening = [f"unix:image{f'-{number}' if number else ''}.sock" for number in range(replicas)]
    environment = {
        "IMAGE_ADDRESS": "unix:" + ",".join(address.removeprefix("unix:") for address in listening),
        "IMAGE_LISTEN": listening[0],
        "IMAGE_WORKERS": str(workers),
        "IMAGE_METRICS_PORT": "0",
        **dict.fromkeys(("VIDEO_ADDRESS", "AUDIO_ADDRESS", "INDEX_ADDRESS"), ""),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = stack.enter_context(RunningMesh(folder, **environment))
        for address in listening[1:]:
            more = {**os.environ, **environment, "DATA_DIR": str(folder), "IMAGE_LISTEN": address, "LOG_LEVEL": "warning"}
            stack.enter_context(running([sys.executable, "-m", "image_svc"], more, folder / "run" / address.removeprefix("unix:")))
        family = psutil.Process(os.getpid()).children(recursive=True)
        if share is not None:
            for replica in (process for process in family if process.cmdline()[-1:] == ["image_svc"]):
                stack.enter_context(bounded([replica, *replica.children(recursive=True)], share))
        return asyncio.run(ask(mesh, CLIENTS * replicas * workers, seconds, replicas * workers))


@contextmanager
def running(command: Sequence[str], environment: dict[str, str], socket: Path) -> Iterator[None]:
    """Until the block ends; entered when its socket is there."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        while not socket.exists():
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bounded(processes: Sequence[psutil.Process], share: float) -> Iterator[None]:
    """All of them together, and what they start, have this much of one core."""
    is_first_version = (CGROUPS / "cpu").is_dir()
    group = (CGROUPS / "cpu" if is_first_version else CGROUPS) / f"mediamesh-{processes[0].pid}"
    group.mkdir()
    try:
        quota = str(int(share * PERIOD_MICROSECONDS))
        if is_first_version:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(quota)
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
        for process in processes:
            (group / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


async def ask(mesh: RunningMesh, clients: int, seconds: float, count: int) -> Point:
    async with LoadOrigin() as origin, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kind = make_kind("image-cold", origin, mesh)
        await answered(session, mesh, kind, clients, seconds / 3)
        before = spent()
        done, passed = await answered(session, mesh, kind, clients, seconds)
        return Point(count, done / passed, {name: 1000 * (after - before[name]) / done for name, after in spent().items()})


async def work(workers: int, seconds: float) -> Point:
    """Pairs fingerprinted and compared in a pool, as a matcher does it with what it has fetched."""
    settings = Settings()
    pool = WorkerPool(
        "pairs",
        workers=workers,
        max_waiting=2 * CLIENTS * workers,
        memory_bytes=settings.worker_memory_bytes,
        preload=(matcher.__name__,),
        warm_up=matcher.warm_up,
    )
    with ExitStack() as files:
        pairs = [[files.enter_context(MediaFile.of(content)) for content in pair] for pair in draw_pictures()]
        turns = itertools.cycle(pairs)
        async with pool:
            await _work(pool, turns, CLIENTS * workers, seconds / 3)
            done, passed = await _work(pool, turns, CLIENTS * workers, seconds)
    return Point(workers, done / passed, {})


async def _work(pool: WorkerPool, turns: Iterator[list[MediaFile]], clients: int, seconds: float) -> tuple[int, float]:
    started = time.perf_counter()
    done = 0

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < started + seconds:
            sides = [pool.run(matcher.fingerprint, media.path, DETAIL, None, cpu_seconds=TASK_SECONDS) for media in next(turns)]
            (source, _), (target, _) = await asyncio.gather(*sides)
            await pool.run(matcher.compare, source, target, MatchOptions(), cpu_seconds=TASK_SECONDS)
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return done, time.perf_counter() - started


async def answered(session: aiohttp.ClientSession, mesh: RunningMesh, kind: Kind, clients: int, seconds: float) -> tuple[int, float]:
    """How many pairs, and in which time, until the last that was asked is answered."""
    started = time.perf_counter()
    done = 0

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < started + seconds:
            async with session.post(f"http://127.0.0.1:{mesh.port}/image/match", json=next(kind.bodies)) as response:
                if response.status != 200:
                    raise RuntimeError(await response.text())
                done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return done, time.perf_counter() - started


def spent() -> dict[str, float]:
    """Processor seconds so far, of each service with its workers, those that have ended included."""
    found = dict.fromkeys(SERVICES.values(), 0.0)
    for process in psutil.Process(os.getpid()).children(recursive=True):
        name = SERVICES.get((process.cmdline() or [""])[-1])
        if name is not None:
            for member in (process, *process.children(recursive=True)):
                times = member.cpu_times()
                found[name] += times.user + times.system + times.children_user + times.children_system
    return found


def show(what: str, points: Sequence[Point]) -> None:
    print(f"| {what} | pairs a second | to one | processor time of a pair: {' | '.join(points[0].cost_ms)} |")
    print("|---|---|---|" + "---|" * len(points[0].cost_ms))
    for point in points:
        costs = " | ".join(f"{cost:.1f} ms" for cost in point.cost_ms.values())
        print(f"| {point.count} | {point.per_second:.2f} | {point.per_second / points[0].per_second:.2f} | {costs} |", flush=True)


def draw(points: Sequence[Point], share: float) -> str:
    """Pairs a second against replicas, and the straight line through the first point."""
    width, height, left, top = 640, 380, 60, 50
    across, up = points[-1].count, points[0].per_second * points[-1].count / points[0].count * 1.1

    def place(count: float, per_second: float) -> str:
        return f"{left + (width - left - 30) * count / across:.1f},{top + (height - top - 50) * (1 - per_second / up):.1f}"

    found = " ".join(place(point.count, point.per_second) for point in points)
    ideal = " ".join(place(count, points[0].per_second * count / points[0].count) for count in (0, across))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(left, 24, f"Pairs of pictures a second, by replicas of image_svc with {share:g} of a core each", size=14),
        text(left, 42, "dashed: as many times the first as there are replicas", fill="#666"),
        f'<polyline points="{place(0, up)} {place(0, 0)} {place(across, 0)}" fill="none" stroke="#888"/>',
        f'<polyline points="{ideal}" fill="none" stroke="#999" stroke-dasharray="6 4"/>',
        f'<polyline points="{found}" fill="none" stroke="{COLOURS[0]}" stroke-width="2"/>',
    ]
    for point in points:
        x, y = map(float, place(point.count, point.per_second).split(","))
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{COLOURS[0]}"/>', text(x - 8, y - 8, f"{point.per_second:.1f}", anchor="end")]
        parts.append(text(x, height - 30, str(point.count), anchor="middle"))
    return "\n".join([*parts, text(width / 2, height - 10, "replicas", anchor="middle"), "</svg>", ""])


if __name__ == "__main__":
    main()
