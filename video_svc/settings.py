"""What can be set about video_svc."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from mesh.settings import Count, MeshSettings, Port


class Settings(MeshSettings, frozen=True, kw_only=True):
    # What others dial; VIDEO_LISTEN where what this service binds is something else.
    video_address: str = "unix:video.sock"
    video_listen: str = ""
    video_metrics_port: Port = 9102
    fetcher_address: str = "unix:fetcher.sock"
    video_workers: Count = os.cpu_count() or 1
    # Pairs at once, before anything is fetched; more are `overloaded`. Each may hold 200 MB of media.
    video_max_under_way: Count = 8
    video_cache_bytes: Annotated[int, Meta(ge=0)] = 128 * 1024 * 1024
    # What decoding one file may take above an idle worker; the file itself is mapped into it.
    video_worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 768 * 1024 * 1024
