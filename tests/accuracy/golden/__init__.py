"""What the algorithm of one VERSION makes of a few pictures: stored fingerprints are only good while it stays exactly so.

The pictures are files, because drawing them anew would depend on more than the algorithm.
"""

from __future__ import annotations

import itertools
import json
import platform
from array import array
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import cv2

from image_svc import matcher
from image_svc.fingerprint import ALGORITHM, VERSION
from mesh.media import DETAIL, OUTLINE, Fingerprint, MatchOptions

FOLDER: Final = Path(__file__).parent
RECORD: Final = FOLDER / "record.json"
PICTURES: Final = sorted(path for path in FOLDER.iterdir() if path.suffix in {".jpg", ".png", ".webp"})


def processor() -> str:
    """The kind of processor: OpenCV's SIFT differs in the last bit between instruction sets."""
    return f"{platform.machine()} {cv2.getCPUFeaturesLine()}"


def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text())
    return record


def measured() -> dict[str, Any]:
    """The record as this build would write it."""
    fingerprints = {path.name: matcher.fingerprint(str(path), DETAIL, None)[0] for path in PICTURES}
    return {
        "algorithm": ALGORITHM,
        "version": VERSION,
        "processor": processor(),
        "digests": {name: _digests(fingerprint) for name, fingerprint in fingerprints.items()},
        "scores": {
            f"{one} {two}": round(_score(fingerprints[one], fingerprints[two]), 5) for one, two in itertools.combinations(fingerprints, 2)
        },
    }


def _digests(fingerprint: Fingerprint) -> dict[str, str]:
    parts = {
        "outline": fingerprint.layers[OUTLINE],
        "detail": fingerprint.layers[DETAIL],
        "terms": array("Q", fingerprint.terms).tobytes(),
    }
    return {name: sha256(part).hexdigest()[:32] for name, part in parts.items()}


def _score(one: Fingerprint, two: Fingerprint) -> float:
    comparison = matcher.compare(one, two, MatchOptions())
    assert comparison is not None
    return comparison.score
