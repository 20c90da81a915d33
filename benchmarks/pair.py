"""What the mesh costs over the bare computation, for pairs of 1 MP JPEGs; what a cached pair takes; what the services hold in memory.

make benchmark
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from PIL import Image

from image_svc import matcher
from mesh.media import DETAIL, OUTLINE, MatchOptions
from mesh.media_file import MediaFile
from mesh.worker import KEPT_MEMORY
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

SIZE = (1152, 864)


def main() -> None:
    if not KEPT_MEMORY.keys() <= os.environ.keys():
        # As the workers have it, or the comparison would not be fair; malloc reads it when a process starts.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.pair", *sys.argv[1:]], {**os.environ, **KEPT_MEMORY})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24, help="of each kind")
    pairs = parser.parse_args().pairs
    with Origin() as origin, tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder)) as mesh:
        matcher.warm_up()
        spent = [compare_cold(kind, pairs, origin, mesh) for kind in ("re-encoded", "cropped", "unrelated")]
        bare, through_mesh = (sum(column) for column in zip(*spent, strict=True))
        print(f"cold pair, all three : ratio {through_mesh / bare:.2f}")
        show_large(pairs // 4)
        show_cached(pairs, origin, mesh)
        show_memory(mesh)


def compare_cold(kind: str, pairs: int, origin: Origin, mesh: RunningMesh) -> tuple[float, float]:
    """CPU of a pair that nobody asked about before: through HTTP at concurrency 1, and in this process alone."""
    bare, through_mesh, wall = [], [], []
    for number in range(pairs):
        source, target = make_pair(kind, number)
        urls = origin.serve(f"{kind}-{number}-a.jpg", source), origin.serve(f"{kind}-{number}-b.jpg", target)
        started = time.process_time()
        score = match_in_process(source, target)
        bare.append(time.process_time() - started)
        spent, started = cpu_seconds(mesh), time.perf_counter()
        answer = mesh.match(*urls)
        wall.append(time.perf_counter() - started)
        through_mesh.append(cpu_seconds(mesh) - spent)
        assert answer.status == 200, answer.body
        assert abs(answer.json["similarity_score"] - score) < 0.001, (answer.json, score)
    # CPU times come in steps of 10 ms: sums, not medians.
    print(
        f"cold pair, {kind:10}: bare {1000 * sum(bare) / pairs:6.1f} ms CPU, mesh {1000 * sum(through_mesh) / pairs:6.1f} ms CPU,"
        f" ratio {sum(through_mesh) / sum(bare):.2f}; answered in {1000 * statistics.median(wall):.1f} ms"
    )
    return sum(bare), sum(through_mesh)


def make_pair(kind: str, number: int) -> tuple[bytes, bytes]:
    """Two JPEGs of about 1 MP, never the same twice."""
    seed = 10_000 * len(kind) + number
    picture = Image.fromarray(photo(seed)).resize(SIZE)
    if kind == "re-encoded":
        other = picture
    elif kind == "cropped":
        width, height = SIZE
        other = picture.crop((width // 5, height // 6, width, height)).resize(SIZE)
    else:
        other = Image.fromarray(photo(seed + 1_000_000)).resize(SIZE)
    return encoded(picture, "JPEG", quality=88), encoded(other, "JPEG", quality=80)


def match_in_process(source: bytes, target: bytes) -> float:
    """Decode, fingerprint and compare both sides, one after the other, as deep as the pair needs."""
    options = MatchOptions()
    with MediaFile.of(source) as one, MediaFile.of(target) as two:
        outlines = [matcher.fingerprint(side.path, OUTLINE, None)[0] for side in (one, two)]
        comparison = matcher.compare(outlines[0], outlines[1], options)
        if comparison is None:
            whole = [matcher.fingerprint(side.path, DETAIL, known)[0] for side, known in zip((one, two), outlines, strict=True)]
            comparison = matcher.compare(whole[0], whole[1], options)
        assert comparison is not None
        return comparison.score


def show_large(pairs: int) -> None:
    """A re-encoded picture of 12 MP: settled by the outlines, on one core."""
    times = []
    for number in range(pairs):
        picture = Image.fromarray(photo(900 + number, 1600, 1200)).resize((4000, 3000), Image.Resampling.LANCZOS)
        source, target = encoded(picture, "JPEG", quality=90), encoded(picture, "JPEG", quality=75)
        started = time.perf_counter()
        match_in_process(source, target)
        times.append(time.perf_counter() - started)
    print(f"12 MP pair in one process: median {1000 * statistics.median(times):.1f} ms")


def show_cached(pairs: int, origin: Origin, mesh: RunningMesh) -> None:
    """How long a pair takes whose fingerprints are known; the bytes are fetched again, as they may have changed."""
    source, target = make_pair("cropped", 0)
    urls = origin.serve("cached-a.jpg", source), origin.serve("cached-b.jpg", target)
    mesh.match(*urls)
    times = []
    for _ in range(4 * pairs):
        started = time.perf_counter()
        mesh.match(*urls)
        times.append(time.perf_counter() - started)
    times.sort()
    print(f"cached pair: median {1000 * statistics.median(times):.1f} ms, p95 {1000 * times[int(0.95 * len(times))]:.1f} ms")


def show_memory(mesh: RunningMesh) -> None:
    """Resident memory of each service with its workers, shared pages counted once."""
    for service in psutil.Process(mesh.process.pid).children():
        family = [service, *service.children(recursive=True)]
        proportional = sum(member.memory_full_info().pss for member in family)
        resident = sum(member.memory_info().rss for member in family)
        print(
            f"{service.cmdline()[-1]:12} {len(family)} processes: {proportional / 2**20:4.0f} MB resident"
            f" ({resident / 2**20:.0f} MB with shared pages counted for each)"
        )


def cpu_seconds(mesh: RunningMesh) -> float:
    """All that the mesh's processes, also those that have ended, have used so far."""
    root = psutil.Process(mesh.process.pid)
    return sum(sum(member.cpu_times()[:4]) for member in (root, *root.children(recursive=True)))


if __name__ == "__main__":
    main()
