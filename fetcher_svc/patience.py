"""How long an origin is waited for: to connect, in all, and while it drips."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from mesh.errors import DeadlineExceeded, FetchFailed, MeshError
from mesh.media import MediaType

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    connect_seconds: float = 3.0
    # Over all redirects. Clients wait 30 s for two assets, fetched at once, and for what is computed from them.
    image_seconds: float = 10.0
    audio_or_video_seconds: float = 12.0
    # Nobody waits for an archive.
    archive_seconds: float = 240.0
    # Only once the body has been waited for this long is a rate asked for.
    slow_after_seconds: float = 5.0
    min_bytes_per_second: int = 16 * 1024

    def deadline(self, media_type: MediaType | None, remaining_seconds: float) -> Deadline:
        """One for all of a fetch's hops, and never later than the caller's own; without a medium, of an archive."""
        own_seconds = {None: self.archive_seconds, MediaType.IMAGE: self.image_seconds}.get(media_type, self.audio_or_video_seconds)
        if remaining_seconds < own_seconds:
            return Deadline(asyncio.get_running_loop().time() + remaining_seconds, DeadlineExceeded())
        too_slow = FetchFailed(f"could not be downloaded within {own_seconds:g} s")
        return Deadline(asyncio.get_running_loop().time() + own_seconds, too_slow)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the event loop's clock, and what to raise when it comes."""

    moment: float
    error: MeshError

    def earlier(self, moment: float, error: MeshError) -> Deadline:
        return Deadline(moment, error) if moment < self.moment else self

    async def bound(self, work: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout_at(self.moment) as timer:
                return await work
        except TimeoutError:
            if timer.expired():
                raise self.error from None
            raise
