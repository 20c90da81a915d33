"""What a pair of images costs, beside PDQ, imagehash and a plain SIFT + RANSAC pair: CPU time, one core, from the files' bytes.

make benchmark, or: python -m benchmarks.image --media FOLDER
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from random import Random
from typing import Any, Final

import cv2
import imagehash
import numpy as np
from PIL import Image

from benchmarks import material
from benchmarks.pair import match_in_process
from image_svc import matcher
from image_svc.pdq import pdq
from matching.decision import is_match
from tests.edits import as_file

SIFT_SIDE: Final = 640
SIFT_FEATURES: Final = 1000
MAX_RATIO: Final = 0.75
MIN_INLIERS: Final = 10
RANSAC_PX: Final = 5.0
MAX_PDQ_DISTANCE: Final = 31
"""As PDQ's authors have it."""
MAX_PHASH_DISTANCE: Final = 10
"""As imagehash's users have it, of 64 bits."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=12)
    parser.add_argument("--copies", type=int, default=6, help="of each picture, and as many strangers (6)")
    arguments = parser.parse_args()
    chosen = material.chosen(arguments)
    matcher.warm_up()
    cold: dict[str, list[float]] = defaultdict(list)
    found: dict[str, list[bool]] = defaultdict(list)
    stored: dict[str, list[float]] = defaultdict(list)
    for kind, source, target in pairs(chosen.pictures, arguments.copies):
        for name, is_found in WAYS.items():
            started = time.process_time()
            answer = is_found(source, target)
            cold[f"{name} {kind}"].append(1000 * (time.process_time() - started))
            found[f"{name} {kind}"].append(answer)
        one, two = material.fingerprint(source), material.fingerprint(target)
        started = time.process_time()
        confirmed = is_match("image", material.compare(one, two).score)
        stored["confirmed" if confirmed else "rejected"].append(1000 * (time.process_time() - started))
    count = {kind: len(cold[f"mediamesh {kind}"]) for kind in ("copy", "stranger")}
    print(f"\nimages: {chosen.description}; {count['copy']} pairs with a copy, {count['stranger']} with a stranger\n")
    show_cold(cold, found)
    for kind in ("rejected", "confirmed"):
        times = stored[kind] or [float("nan")]
        print(f"Compare of stored fingerprints, {kind:9}: mean {np.mean(times):5.1f} ms, p95 {np.percentile(times, 95):5.1f} ms")


def pairs(pictures: list[Image.Image], count: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Copies by every edit in turn, and as many strangers."""
    files = [material.original(picture) for picture in pictures]
    for number, picture in enumerate(pictures):
        edits = [(name, edit) for members in material.FAMILIES.values() for name, edit in members.items()]
        Random(number).shuffle(edits)
        for name, edit in islice(edits, count):
            yield "copy", files[number], as_file(edit(picture, Random(f"{name} {number}")))
        for step in range(1, min(count + 1, len(pictures))):
            yield "stranger", files[number], files[(number + step) % len(pictures)]


def show_cold(cold: dict[str, list[float]], found: dict[str, list[bool]]) -> None:
    """A row for each way; the ratio is of the means over copies and strangers, each kind once."""
    means = {key: float(np.mean(times)) for key, times in cold.items()}
    whole = {name: (means[f"{name} copy"] + means[f"{name} stranger"]) / 2 for name in WAYS}
    print("| cold pair, ms CPU | copy | stranger | mean | of SIFT + RANSAC | copies found | strangers taken for copies |")
    print("|---|---|---|---|---|---|---|")
    for name in WAYS:
        right, wrong = (float(np.mean(found[f"{name} {kind}"])) for kind in ("copy", "stranger"))
        print(
            f"| {name} | {means[f'{name} copy']:.1f} | {means[f'{name} stranger']:.1f} | {whole[name]:.1f}"
            f" | {whole[name] / whole['SIFT + RANSAC']:.2f} | {right:.2f} | {wrong:.2f} |"
        )
    print()


def found_by_mediamesh(source: bytes, target: bytes) -> bool:
    return is_match("image", match_in_process(source, target))


def found_by_pdq(source: bytes, target: bytes) -> bool:
    one, two = (int.from_bytes(pdq(np.asarray(opened(side)))[0]) for side in (source, target))
    return (one ^ two).bit_count() <= MAX_PDQ_DISTANCE


def found_by_phash(source: bytes, target: bytes) -> bool:
    return bool(imagehash.phash(opened(source)) - imagehash.phash(opened(target)) <= MAX_PHASH_DISTANCE)


def found_by_sift(source: bytes, target: bytes) -> bool:
    """As the tutorials have it: ratio test, homography by RANSAC, enough inliers."""
    (places_1, codes_1), (places_2, codes_2) = described(source), described(target)
    if codes_1 is None or codes_2 is None or min(len(codes_1), len(codes_2)) < 2:
        return False
    matches = [one for one, two in cv2.BFMatcher().knnMatch(codes_1, codes_2, k=2) if one.distance < MAX_RATIO * two.distance]
    if len(matches) < 4:
        return False
    first = np.array([places_1[match.queryIdx].pt for match in matches], np.float32)
    second = np.array([places_2[match.trainIdx].pt for match in matches], np.float32)
    inliers = cv2.findHomography(first, second, cv2.RANSAC, RANSAC_PX)[1]
    return inliers is not None and int(inliers.sum()) >= MIN_INLIERS


def described(content: bytes) -> tuple[Any, Any]:
    grey = np.asarray(opened(content).convert("L"))
    scale = min(1.0, SIFT_SIDE / max(grey.shape))
    if scale < 1:
        grey = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    sift: Any = cv2.SIFT.create(SIFT_FEATURES)
    return sift.detectAndCompute(grey, None)  # type: ignore[no-any-return]


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content)).convert("RGB")


WAYS: Final[dict[str, Callable[[bytes, bytes], bool]]] = {
    "mediamesh": found_by_mediamesh,
    "PDQ": found_by_pdq,
    "imagehash.phash": found_by_phash,
    "SIFT + RANSAC": found_by_sift,
}


if __name__ == "__main__":
    main()
