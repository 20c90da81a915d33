"""What can be set about image_svc: what can be set about every matcher, with defaults of its own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from mesh.settings import Count, MatcherSettings, Port


class Settings(MatcherSettings, frozen=True, kw_only=True):
    medium: ClassVar[str] = "image"

    address: str = "unix:image.sock"
    metrics_port: Port = 9101
    max_under_way: Count = 16
    worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 768 * 1024 * 1024
