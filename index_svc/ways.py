"""Through what assets of one medium are found by a query of another; pure.

One way from each to each, so that an asset is found once, and a hit says which way it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mesh.errors import InvalidRequest
from mesh.media import MediaType

_IMAGE, _VIDEO, _AUDIO = MediaType.IMAGE, MediaType.VIDEO, MediaType.AUDIO

THROUGH: Final = {
    _IMAGE: {_IMAGE: _IMAGE, _VIDEO: _VIDEO},
    _VIDEO: {_VIDEO: _VIDEO, _AUDIO: _AUDIO},
    _AUDIO: {_AUDIO: _AUDIO, _VIDEO: _AUDIO},
}
"""By the query's medium, then the assets': whose fingerprints are compared. A picture is a film of one frame, a film has a sound track;
a picture is found by films only where it was indexed as one."""


@dataclass(frozen=True, slots=True)
class Way:
    """To assets of this medium, through the fingerprints of that matcher; hashes tell something of the query's own medium only."""

    media_type: MediaType
    through: MediaType
    has_hashes: bool


def ways(medium: MediaType, media_types: Iterable[MediaType], *, by_hash: bool = False) -> list[Way]:
    """To the assets that are wanted, none named: of the query's own medium. What it has nothing in common with is passed over."""
    wanted = set(media_types) or {medium}
    if by_hash:
        return [Way(each, each, True) for each in MediaType if each in wanted]
    found = [Way(each, THROUGH[medium][each], each is medium) for each in MediaType if each in wanted & THROUGH[medium].keys()]
    if not found:
        raise InvalidRequest(f"media_types: what can be found by {medium} is " + ", ".join(THROUGH[medium]), field="media_types")
    return found
