"""One of two films as the comparison sees it: its thumbnails as one stack, and which of them shows at any time."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.windows import Floats, Windows, content
from video_svc.fingerprint import Outline, Stars
from video_svc.fingerprint.film import MAX_STEP_SECONDS

GRID_SECONDS: Final = 0.5
"""How fine the time line is on which films are compared."""
_TINY: Final = 12
_LEAST_LENGTH: Final = 12.0
"""So that a blank frame is like nothing."""
MIN_CONTENT: Final = 0.02
"""Share of the picture; below it a frame is blank: it says nothing, and nothing is expected of it."""
FULL_CONTENT: Final = 0.10
_MAX_CHANNELS: Final = 64


class Side:
    def __init__(self, outline: Outline, stars: Stars | None = None) -> None:
        self.outline = outline
        self.stars = stars
        self.times, self.until = outline.times, outline.until
        self.duration = max(outline.duration_seconds, float(self.until[-1]) + 0.04)
        self.height, self.width = outline.thumbnails.shape[1:]

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def grid(self) -> NDArray[np.float64]:
        """Times at which the film is looked at: those at which it is known."""
        moments = np.arange(0.0, self.duration - 0.02, GRID_SECONDS)
        return moments[self.knows(moments)]

    @cached_property
    def showing(self) -> NDArray[np.intp]:
        """The frame at each time of the grid."""
        return self.at(self.grid)

    def at(self, times: NDArray[np.float64]) -> NDArray[np.intp]:
        """The frame that is nearest to each time."""
        if len(self) == 1:
            return np.zeros(len(times), np.intp)
        after = np.clip(np.searchsorted(self.times, times, side="right"), 1, len(self) - 1)
        before = after - 1
        is_nearer = np.abs(self.times[after] - times) < np.maximum(times - self.until[before], 0) + 1e-6
        return np.where(is_nearer, after, before)

    def knows(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether something was seen near each time."""
        frames = self.at(times)
        return (times > self.times[frames] - MAX_STEP_SECONDS) & (times < self.until[frames] + MAX_STEP_SECONDS)

    @cached_property
    def stack(self) -> NDArray[np.uint8]:
        """Height x width x frames."""
        return np.ascontiguousarray(self.outline.thumbnails.transpose(1, 2, 0))

    @cached_property
    def content(self) -> Floats:
        """How much there is to see around each place of each thumbnail, 0 to 1."""
        return np.concatenate([_content(self.stack[..., k : k + _MAX_CHANNELS]) for k in range(0, len(self), _MAX_CHANNELS)], axis=2)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How much each frame counts in time: blank ones not at all."""
        share = self.content.mean(axis=(0, 1)).astype(np.float64)
        weights: NDArray[np.float64] = np.clip((share - MIN_CONTENT) / (FULL_CONTENT - MIN_CONTENT), 0, 1)
        return weights

    @cached_property
    def tiny(self) -> Floats:
        """The composition of each frame as a vector of length 1."""
        small = np.stack([cv2.resize(t, (_TINY, _TINY), interpolation=cv2.INTER_AREA) for t in self.outline.thumbnails]).astype(np.float32)
        flat = small.reshape(len(self), -1)
        flat -= flat.mean(axis=1, keepdims=True)
        composition: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _LEAST_LENGTH)
        return composition

    @cached_property
    def tiny_mirrored(self) -> Floats:
        return self.tiny.reshape(-1, _TINY, _TINY)[:, :, ::-1].reshape(len(self), -1)


def _content(stack: NDArray[np.uint8]) -> Floats:
    soft = cv2.GaussianBlur(stack.astype(np.float32), (0, 0), 0.8)
    soft = soft.reshape(stack.shape)
    windows = Windows(np.ones(stack.shape[:2], np.float32), stacked=True)
    return content(windows.average(windows.structure(soft) ** 2))
