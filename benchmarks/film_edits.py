"""What people do to a film before it comes back: each edit takes a film and gives the copy as it is recorded.

Most change every picture on the fingerprint's grid of time; what a codec does is done by the codec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from tests.films import Film, encoded
from tests.pictures import Pixels, photo
from tests.reels import moments, recorded
from video_svc.decode import Video
from video_svc.fingerprint import Film as Recorded
from video_svc.fingerprint import record
from video_svc.fingerprint.film import FRAME_SIDE, SAMPLE_SECONDS

Copy = Callable[[Film], Recorded]
Look = Callable[[Pixels], Pixels]

_PAGE: Final = 91_000
_NEIGHBOUR: Final = 92_000
_STRANGER: Final = 93_000
"""Seeds of what copies are shown on, beside and among."""
_TITLE_SECONDS: Final = 1.5


def seen(edit: Look) -> Copy:
    return lambda film: recorded([edit(picture) for picture in moments(film)])


def re_encoded(file_format: str = "mp4", **options: str) -> Copy:
    def copy(film: Film) -> Recorded:
        video = Video(encoded(film, file_format, options=options))
        frames = video.frames(1 / SAMPLE_SECONDS, max_side=FRAME_SIDE)
        return record(frames, video.width, video.height, video.duration_seconds, is_still=False)

    return copy


def played(speed: float) -> Copy:
    return lambda film: recorded(moments(film, speed=speed))


def clip(seconds: float, start: float = 3.3) -> Copy:
    return lambda film: recorded(moments(film, start, seconds))


def embedded(seconds: float) -> Copy:
    """A clip between two that are five seconds each of another film."""

    def copy(film: Film) -> Recorded:
        host = Film(_STRANGER + film.seed, 10.0, film.width, film.height, scene_seconds=1.7)
        return recorded(moments(host, 0.0, 5.0) + moments(film, 2.0, seconds) + moments(host, 5.0, 5.0))

    return copy


def swapped(film: Film) -> Recorded:
    """The second half first."""
    middle = film.seconds / 2
    return recorded(moments(film, middle, film.seconds - middle) + moments(film, 0.0, middle))


def titled(film: Film) -> Recorded:
    """The same title before every film."""
    return recorded(moments(Film(_STRANGER, _TITLE_SECONDS, film.width, film.height)) + moments(film))


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def shrunk(share: float) -> Copy:
    return seen(lambda picture: resized(picture, round(picture.shape[1] * share), round(len(picture) * share)))


def recoloured(gains: tuple[float, float, float], lift: float = 0.0) -> Copy:
    return seen(lambda picture: (picture * np.array(gains) + lift).clip(0, 255).astype(np.uint8))


def cropped(share: float) -> Copy:
    side = share**0.5

    def edit(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        rows, columns = round(height * side), round(width * side)
        top, left = (height - rows) // 3, (width - columns) // 3
        return np.ascontiguousarray(picture[top : top + rows, left : left + columns])

    return seen(edit)


def inset(share: float) -> Copy:
    """On a page of 480 x 360 of another picture."""

    def edit(picture: Pixels) -> Pixels:
        width = round(480 * share)
        height = min(300, round(width * len(picture) / picture.shape[1]))
        page = photo(_PAGE, 480, 360)
        top, left = (360 - height) // 4, (480 - width) * 3 // 4
        page[top : top + height, left : left + width] = resized(picture, width, height)
        return page

    return seen(edit)


def captioned(share: float) -> Copy:
    def edit(picture: Pixels) -> Pixels:
        bar = picture.copy()
        top = round(len(picture) * (1 - share))
        bar[top:] = 20
        for line in range(top + 18, len(picture), 22):
            cv2.putText(bar, "the words of a caption", (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (240, 240, 240), 2, cv2.LINE_AA)
        return bar

    return seen(edit)


def marked(picture: Pixels) -> Pixels:
    """A round mark in a corner."""
    done, radius = picture.copy(), min(picture.shape[:2]) // 9
    middle = done.shape[1] - radius - 6, radius + 6
    cv2.circle(done, middle, radius, (230, 30, 60), -1, cv2.LINE_AA)
    cv2.circle(done, middle, radius // 2, (255, 255, 255), radius // 4, cv2.LINE_AA)
    return done


def blurred(share: float) -> Copy:
    return seen(lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), share * max(picture.shape)), np.uint8))


def noisy(deviation: float) -> Copy:
    dice = np.random.default_rng(5)
    return seen(lambda picture: (picture + dice.normal(0, deviation, picture.shape)).clip(0, 255).astype(np.uint8))


def turned(degrees: float) -> Copy:
    def edit(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        return np.asarray(
            cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height)), np.uint8
        )

    return seen(edit)


def mirrored(picture: Pixels) -> Pixels:
    return np.ascontiguousarray(picture[:, ::-1])


def bordered(picture: Pixels) -> Pixels:
    edge = min(picture.shape[:2]) // 10
    return np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), constant_values=210)


def letterboxed(picture: Pixels) -> Pixels:
    bar = len(picture) // 4
    return np.pad(picture, ((bar, bar), (0, 0), (0, 0)))


def on_blurred_sides(picture: Pixels) -> Pixels:
    """In an upright picture, over itself enlarged and blurred."""
    height = round(240 * len(picture) / picture.shape[1])
    ground = np.asarray(cv2.GaussianBlur(resized(picture, 240, 426), (0, 0), 12), np.uint8)
    height = min(height, 400)
    top = (426 - height) // 2
    ground[top : top + height] = resized(picture, 240, height)
    return ground


def beside(picture: Pixels) -> Pixels:
    """Another picture to its right, as large."""
    return np.concatenate([picture, photo(_NEIGHBOUR, picture.shape[1], len(picture))], axis=1)


def framed(picture: Pixels) -> Pixels:
    """In the window of an interface."""
    height, width = picture.shape[:2]
    page = np.full_like(picture, 30)
    cv2.rectangle(page, (0, 0), (width, height // 9), (40, 60, 140), -1)
    cv2.putText(page, "EVENING REPORT", (8, height // 11), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (250, 250, 120), 1, cv2.LINE_AA)
    for row in range(3):
        cv2.rectangle(
            page, (width * 4 // 5, height // 6 + row * height // 4), (width - 8, height // 3 + row * height // 4), (150, 150, 160), -1
        )
    rows, columns = height * 3 // 4, width * 3 // 4
    page[height // 7 : height // 7 + rows, 8 : 8 + columns] = resized(picture, columns, rows)
    return page


def recaptured(picture: Pixels) -> Pixels:
    """As a camera sees a screen: aslant, soft, pale."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    lies = corners * 0.88 + np.array([[0.06, 0.05], [0.04, 0.09], [0.07, 0.04], [0.03, 0.06]]) * (width, height)
    turn = cv2.getPerspectiveTransform(corners, lies.astype(np.float32))
    warped = cv2.warpPerspective(picture, turn, (width, height), borderValue=(20, 18, 16))
    return (0.8 * cv2.GaussianBlur(warped, (0, 0), 0.8) + 24).astype(np.uint8)
