"""What decoding a film costs, by codec and by what is left out: CPU seconds, one core, for each second of film.

python -m benchmarks.video_decode [FILE …]; without files, ten seconds of drawn film at 1280 x 720 in each codec.
Drawn film is smoother than filmed, so its figures are lower; what the ways cost beside each other is much the same.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mesh.container import open_container, read_packets
from mesh.media_type import SNIFF_BYTES, sniff
from tests.films import Film, encoded
from video_svc.decode import MAX_SIDE, Grey, Video
from video_svc.decode.decoder import film_stream

DRAWN: Final = ("mp4", "mp4-hevc", "mp4-av1", "webm", "webm-vp9", "avi-mpeg4", "ts-mpeg2", "avi-mjpeg")
FILM: Final = Film(seed=1, seconds=10.0, width=1280, height=720, rate=Fraction(30))


@dataclass(frozen=True)
class Way:
    """How FFmpeg may be asked to decode: `skip_frame` and `skip_loop_filter` by its names."""

    skip_frame: str = "DEFAULT"
    skip_loop_filter: str = "default"
    grid_rate: float = 0.0


WAYS: Final = {
    "everything": Way(),
    "and a grid of 2/s": Way(grid_rate=2.0),
    "no unreferenced": Way("NONREF"),
    "no loop filter": Way(skip_loop_filter="all"),
    "neither": Way("NONREF", "all"),
    "no bidirectional": Way("BIDIR", "all"),
    "key frames": Way("NONKEY", "all"),
}
OURS: Final[dict[str, Callable[[Video], object]]] = {
    "Video: key frames": lambda video: list(video.key_frames()),
    "Video: 1/s": lambda video: list(video.frames(1.0)),
    "Video: 2/s": lambda video: list(video.frames(2.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    costs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    damage: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for content in films(parser.parse_args().files):
        measure(content, costs, damage)
    print(f"{'CPU ms per second of film':28} {'':8}" + "".join(f"{codec:>12}" for codec in costs))
    for way in (*WAYS, "Video: opening", *OURS):
        print(f"{way:28} {'':8}" + "".join(f"{1000 * float(np.mean(costs[codec][way])):12.2f}" for codec in costs))
    print(f"\n{'change of what is seen':28} {'levels':8}" + "".join(f"{codec:>12}" for codec in costs))
    for way in damage[next(iter(damage))]:
        print(f"{way:28} {'':8}" + "".join(f"{float(np.mean(damage[codec][way] or [np.nan])):12.2f}" for codec in costs))


def films(files: list[Path]) -> Iterator[bytes]:
    if files:
        yield from (file.read_bytes() for file in files)
    else:
        yield from (encoded(FILM, file_format) for file_format in DRAWN)


def measure(content: bytes, costs: dict[str, dict[str, list[float]]], damage: dict[str, dict[str, list[float]]]) -> None:
    started = time.process_time()
    video = Video(content)
    opening = time.process_time() - started
    seconds = max(video.duration_seconds, 0.1)
    truth = dict(every_seventh(content, WAYS["everything"]))
    for name, way in WAYS.items():
        started = time.process_time()
        for _ in decoded(content, way):
            pass
        codec = codec_of(content)
        costs[codec][name].append((time.process_time() - started) / seconds)
        if name not in ("everything", "and a grid of 2/s"):
            seen = every_seventh(content, way, set(truth))
            damage[codec][name] += [float(np.sqrt(np.mean((grey.astype(float) - truth[pts]) ** 2))) for pts, grey in seen]
    costs[codec]["Video: opening"].append(opening / seconds)
    for name, look in OURS.items():
        started = time.process_time()
        look(video)
        costs[codec][name].append((time.process_time() - started) / seconds)


def codec_of(content: bytes) -> str:
    with open_container(content, sniff(content[:SNIFF_BYTES]) or "") as container:
        return film_stream(container).codec_context.name


def decoded(content: bytes, way: Way) -> Iterator[tuple[int, VideoFrame]]:
    scaler = VideoReformatter()
    with open_container(content, sniff(content[:SNIFF_BYTES]) or "") as container:
        stream = film_stream(container)
        context = stream.codec_context
        context.thread_count, context.options = 1, {"skip_loop_filter": way.skip_loop_filter}
        context.skip_frame = way.skip_frame  # type: ignore[assignment]
        tick, following = float(stream.time_base or 1), 0.0
        for packet in read_packets(container, stream):
            for frame in packet.decode():
                pts = frame.pts or 0
                if way.grid_rate and pts * tick >= following:
                    following = pts * tick + 1 / way.grid_rate
                    small(frame, scaler)
                yield pts, frame


def every_seventh(content: bytes, way: Way, wanted: set[int] | None = None) -> Iterator[tuple[int, Grey]]:
    scaler = VideoReformatter()
    for number, (pts, frame) in enumerate(decoded(content, way)):
        if pts in wanted if wanted is not None else number % 7 == 0:
            yield pts, small(frame, scaler)


def small(frame: VideoFrame, scaler: VideoReformatter) -> Grey:
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = round(frame.width * scale), round(frame.height * scale)
    return np.asarray(scaler.reformat(frame, width, height, "gray", interpolation=Interpolation.AREA, threads=1).to_ndarray(), np.uint8)


if __name__ == "__main__":
    main()
