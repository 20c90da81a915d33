"""What the algorithms of one VERSION make of a few pictures, sounds and films: stored fingerprints are only good while it stays exactly so.

They are files, because drawing them anew would depend on more than the algorithms.
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

import audio_svc.fingerprint
import audio_svc.matcher
import image_svc.fingerprint
import image_svc.matcher
import video_svc.fingerprint
import video_svc.matcher
from mesh.media import DETAIL, OUTLINE, Comparison, Fingerprint, MatchOptions

FOLDER: Final = Path(__file__).parent
RECORD: Final = FOLDER / "record.json"
PICTURES: Final = sorted(path for path in FOLDER.iterdir() if path.suffix in {".jpg", ".png", ".webp"})
SOUNDS: Final = sorted(path for path in FOLDER.iterdir() if path.suffix in {".flac", ".mp3", ".opus"})
FILMS: Final = sorted(path for path in FOLDER.iterdir() if path.suffix in {".mp4", ".webm"})


def processor() -> str:
    """The kind of processor: OpenCV's SIFT differs in the last bit between instruction sets."""
    return f"{platform.machine()} {cv2.getCPUFeaturesLine()}"


def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text())
    return record


def measured() -> dict[str, Any]:
    """The record as this build would write it."""
    return {
        "processor": processor(),
        "image": _measured(PICTURES, image_svc.fingerprint, image_svc.matcher),
        "audio": _measured(SOUNDS, audio_svc.fingerprint, audio_svc.matcher),
        "video": _measured(FILMS, video_svc.fingerprint, video_svc.matcher),
    }


def _measured(paths: list[Path], versioned: Any, matcher: Any) -> dict[str, Any]:
    fingerprints = {path.name: matcher.fingerprint(str(path), DETAIL, None)[0] for path in paths}
    return {
        "algorithm": versioned.ALGORITHM,
        "version": versioned.VERSION,
        "digests": {name: _digests(fingerprint) for name, fingerprint in fingerprints.items()},
        "scores": {
            f"{one} {two}": round(_score(matcher.compare(fingerprints[one], fingerprints[two], MatchOptions())), 5)
            for one, two in itertools.combinations(fingerprints, 2)
        },
    }


def _digests(fingerprint: Fingerprint) -> dict[str, str]:
    parts = {
        "outline": fingerprint.layers[OUTLINE],
        "detail": fingerprint.layers[DETAIL],
        "terms": array("Q", fingerprint.terms).tobytes(),
    }
    return {name: sha256(part).hexdigest()[:32] for name, part in parts.items()}


def _score(comparison: Comparison | None) -> float:
    assert comparison is not None
    return comparison.score
