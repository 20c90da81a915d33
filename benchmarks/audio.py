"""What sounds cost, beside fpcalc (Chromaprint; Debian: libchromaprint-tools) on the same files: CPU time, one core, from the files' bytes.

make benchmark, or: python -m benchmarks.audio --media FOLDER
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import Final

import numpy as np

from audio_svc import matcher
from audio_svc.compare import compare
from audio_svc.decode import decode_audio
from audio_svc.fingerprint import outline, terms
from benchmarks import sound_material
from matching.decision import is_match
from mesh.errors import MeshError
from mesh.media import OUTLINE, MatchOptions
from mesh.worker import KEPT_MEMORY
from tests.recordings import recorded
from tests.sounds import Samples

RATE: Final = 44_100
FORMATS: Final = {"mp3": 128_000, "m4a": 128_000, "opus": 96_000, "flac": 128_000}
"""Drawn sounds are encoded as these."""
SHORT_SECONDS, LONG_SECONDS = 60.0, 300.0
MAX_OF_FPCALC, MAX_SHORT_SECONDS, MAX_LONG_SECONDS, MAX_LONG_MB = 3.0, 0.6, 10.0, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, metavar="FOLDER", action="append", help="a folder of sounds; without it sounds are drawn")
    parser.add_argument("--called", metavar="TEXT", help="what the folder's sounds are, for the record")
    parser.add_argument("--sounds", type=int, default=5, help="how many of them at most (5); drawn ones come in four types of file each")
    parser.add_argument("--fresh", nargs=2, metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fresh:
        print(json.dumps(spent_on_pair(*arguments.fresh)))
        return
    matcher.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        show_files(arguments, Path(folder))
        show_pairs(Path(folder))


def show_files(arguments: argparse.Namespace, folder: Path) -> None:
    """Decode and fingerprint, a row for each type of file; then what the fingerprints cost to compare."""
    fpcalc = shutil.which("fpcalc")
    seconds: dict[str, float] = defaultdict(float)
    spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    layers: dict[str, bytes] = {}
    for file in files(arguments, folder):
        kind, content = file.suffix[1:], file.read_bytes()
        started = time.process_time()
        try:
            sound = decode_audio(content)
        except MeshError:
            continue  # a folder holds other things, too
        decoded = time.process_time()
        layer = outline(sound)
        outlined = time.process_time()
        terms(layer)
        finished = time.process_time()
        seconds[kind] += sound.duration_seconds
        for stage, took in (("decode", decoded - started), ("outline", outlined - decoded), ("terms", finished - outlined)):
            spent[kind][stage] += took
        if fpcalc:
            spent[kind]["fpcalc"] += max(0.0, cpu_of(fpcalc, "-length", "0", str(file)) - cpu_of(fpcalc, "-version"))
        layers[str(file)] = layer
    if not layers:
        raise SystemExit("There is no sound in this folder.")
    what = f"{arguments.called or 'sounds of a folder'}" if arguments.media else "drawn by tests/sounds.py"
    print(f"\nsounds: {len(layers)} files, {sum(seconds.values()):.0f} s, {what}\n")
    if not fpcalc:
        print("fpcalc is not installed (Debian: libchromaprint-tools): no ratio to it.\n")
    print("| ms CPU per second of sound | decode | fingerprint | both | terms for an index | fpcalc | of fpcalc |")
    print("|---|---|---|---|---|---|---|")
    for kind in (*spent, "all"):
        length = sum(seconds.values()) if kind == "all" else seconds[kind]
        rows = list(spent.values()) if kind == "all" else [spent[kind]]
        each = {stage: 1000 * sum(row[stage] for row in rows) / length for stage in ("decode", "outline", "terms", "fpcalc")}
        both = each["decode"] + each["outline"]
        ratio = f"{each['fpcalc']:.2f} | {both / each['fpcalc']:.2f}" if each["fpcalc"] > 0 else "- | -"
        print(f"| {kind} | {each['decode']:.2f} | {each['outline']:.2f} | {both:.2f} | {each['terms']:.2f} | {ratio} |")
    print(f"(limit: {MAX_OF_FPCALC:g} times fpcalc, whose start is not counted)\n")
    show_comparisons(layers)


def files(arguments: argparse.Namespace, folder: Path) -> Iterator[Path]:
    if arguments.media:
        yield from sound_material.files_in(arguments.media)[: arguments.sounds]
        return
    for seed in range(arguments.sounds):
        waves = drawn(seed, SHORT_SECONDS)
        for name, bit_rate in FORMATS.items():
            file = folder / f"{seed}.{name}"
            file.write_bytes(recorded(waves, name, rate=RATE, bit_rate=bit_rate))
            yield file


def drawn(seed: int, seconds: float) -> Samples:
    return sound_material.drawn(seed, seconds, rate=RATE)


def show_comparisons(layers: dict[str, bytes]) -> None:
    """Stored fingerprints, each pair of the first twenty once."""
    times: dict[str, list[float]] = defaultdict(list)
    for one, two in combinations(islice(layers.values(), 20), 2):
        started = time.process_time()
        score = compare(one, two).score
        took = 1000 * (time.process_time() - started)
        times["confirmed" if is_match("audio", score) else "rejected"].append(took)
    for kind in ("rejected", "confirmed"):
        taken = times[kind] or [float("nan")]
        print(
            f"Compare of stored fingerprints, {kind:9}: {len(times[kind]):4} pairs,"
            f" mean {np.mean(taken):5.1f} ms, p95 {np.percentile(taken, 95):5.1f} ms"
        )
    print()


def show_pairs(folder: Path) -> None:
    """From two files to the comparison, each pair in a process of its own."""
    for length, limit, memory in (
        (SHORT_SECONDS, f"{MAX_SHORT_SECONDS:g} s", ""),
        (LONG_SECONDS, f"{MAX_LONG_SECONDS:g} s", f", {MAX_LONG_MB} MB"),
    ):
        for kind, other_seed in (("copy", 0), ("stranger", 2)):
            pair = []
            for seed, name in ((0, "mp3"), (other_seed, "m4a")):
                file = folder / f"{length:g} {kind} {seed}.{name}"
                file.write_bytes(recorded(drawn(seed, length), name, rate=RATE, bit_rate=FORMATS[name]))
                pair.append(str(file))
            said = subprocess.run(
                [sys.executable, "-m", "benchmarks.audio", "--fresh", *pair],
                env={**os.environ, **KEPT_MEMORY},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
            found = json.loads(said)
            print(
                f"Pair of {length:3g} s, MP3 and AAC, {kind:8}: {found['seconds']:5.2f} s CPU, peak {found['peak_mb']:3.0f} MB,"
                f" score {found['score']:.2f} (limit: {limit}{memory})"
            )


def spent_on_pair(source: str, target: str) -> dict[str, float]:
    """Both files to fingerprints, and those compared; the peak is that of the whole process."""
    matcher.warm_up()
    started = time.process_time()
    one, two = (matcher.fingerprint(side, OUTLINE, None)[0] for side in (source, target))
    score = matcher.compare(one, two, MatchOptions()).score
    took = time.process_time() - started
    return {"seconds": took, "peak_mb": peak_mb(), "score": score}


def peak_mb() -> float:
    """Of this process's resident memory. Not ru_maxrss: on Linux a process inherits that from the one it was started by."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1024 if peak else float("nan")


def cpu_of(*command: str) -> float:
    """CPU seconds that a program takes from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
