"""One of the two pictures: its fingerprint, each part of it read once somebody asks for it, and only once.

An index compares one query with many candidates, one after the other; what was read of the last query is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from image_svc.fingerprint import Detail, Outline, read_detail, read_outline
from matching.glimpse import Small
from matching.local_features import Constellation
from matching.pyramid import Pyramid
from mesh.media import DETAIL, OUTLINE

COMPOSITION_SIDE: Final = 24


class Side:
    def __init__(self, layers: Mapping[int, bytes]) -> None:
        self.layers = dict(layers)

    @property
    def has_detail(self) -> bool:
        return DETAIL in self.layers

    @cached_property
    def outline(self) -> Outline:
        return read_outline(self.layers[OUTLINE])

    @cached_property
    def detail(self) -> Detail:
        return read_detail(self.layers[DETAIL])

    @property
    def features(self) -> Constellation:
        return self.detail.features

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what the features and the pyramid are made from."""
        return self.detail.size

    @property
    def pyramid(self) -> Pyramid:
        return self.detail.pyramid

    @property
    def information(self) -> float:
        return self.outline.information

    @cached_property
    def thumbnail(self) -> Pyramid:
        return Pyramid(self.outline.thumbnail)

    @cached_property
    def small(self) -> Small:
        """The thumbnail, ready for a first look."""
        return Small(self.outline.thumbnail)

    @cached_property
    def composition(self) -> NDArray[Any]:
        """A tiny version, of mean 0 and length 1."""
        size = COMPOSITION_SIDE, COMPOSITION_SIDE
        tiny = cv2.resize(self.outline.thumbnail, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        tiny -= tiny.mean()
        return tiny / max(float(np.linalg.norm(tiny)), 1e-3)


_last_query: Final[deque[Side]] = deque(maxlen=1)


def side_of_query(layers: Mapping[int, bytes]) -> Side:
    """As it was read for the candidate before, if it is the same."""
    for known in _last_query:
        if known.layers == layers:
            return known
    side = Side(layers)
    _last_query.append(side)
    return side
