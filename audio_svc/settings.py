"""What can be set about audio_svc: what can be set about every matcher, with defaults of its own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from mesh.settings import Count, MatcherSettings, Port


class Settings(MatcherSettings, frozen=True, kw_only=True):
    medium: ClassVar[str] = "audio"

    address: str = "unix:audio.sock"
    metrics_port: Port = 9103
    # Each pair may hold 100 MB of media.
    max_under_way: Count = 16
    worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 512 * 1024 * 1024
