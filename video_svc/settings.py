"""What can be set about video_svc: what can be set about every matcher, with defaults of its own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from mesh.settings import Count, MatcherSettings, Port


class Settings(MatcherSettings, frozen=True, kw_only=True):
    medium: ClassVar[str] = "video"

    address: str = "unix:video.sock"
    metrics_port: Port = 9102
    # Each pair may hold 200 MB of media.
    max_under_way: Count = 8
    # Beside the file itself, which is mapped into it.
    worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 768 * 1024 * 1024
