"""Drawn films as the fingerprint takes them: grey frames on its grid of time, edited in space and time, without an encoder between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mesh.media import DETAIL, OUTLINE
from tests.films import Film
from tests.pictures import Pixels
from video_svc.fingerprint import Film as Recorded
from video_svc.fingerprint import detail, outline, record
from video_svc.fingerprint.film import FRAME_SIDE, SAMPLE_SECONDS, Grey

Edit = Callable[[Pixels], Pixels]
Layers = dict[int, bytes]


@dataclass(frozen=True)
class Shown:
    """One frame."""

    time_seconds: float
    grey: Grey


def shown(pictures: Iterable[Pixels], step_seconds: float = SAMPLE_SECONDS) -> Iterator[Shown]:
    """Pictures in RGB as frames of the grid, the longer side no more than the fingerprint looks at."""
    for number, picture in enumerate(pictures):
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        scale = min(1.0, FRAME_SIDE / max(grey.shape))
        size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
        yield Shown(number * step_seconds, np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8))


def moments(film: Film, start: float = 0.0, seconds: float | None = None, speed: float = 1.0) -> list[Pixels]:
    """What the film shows from `start` on for so many of its own seconds, played at a speed."""
    length = (film.seconds - start if seconds is None else seconds) / speed
    return [film.picture(start + speed * moment) for moment in np.arange(0.0, length - 1e-6, SAMPLE_SECONDS)]


def recorded(pictures: list[Pixels], *, is_still: bool = False) -> Recorded:
    height, width = pictures[0].shape[:2]
    return record(shown(pictures), width, height, 0.0 if is_still else len(pictures) * SAMPLE_SECONDS, is_still=is_still)


def layers(pictures: list[Pixels], edit: Edit | None = None, *, is_still: bool = False) -> Layers:
    """Both layers of a film of these pictures."""
    film = recorded([edit(picture) for picture in pictures] if edit else pictures, is_still=is_still)
    return {OUTLINE: outline(film), DETAIL: detail(film)}
