"""What can be set about audio_svc."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from mesh.settings import Count, MeshSettings, Port


class Settings(MeshSettings, frozen=True, kw_only=True):
    # What others dial; AUDIO_LISTEN where what this service binds is something else.
    audio_address: str = "unix:audio.sock"
    audio_listen: str = ""
    audio_metrics_port: Port = 9103
    fetcher_address: str = "unix:fetcher.sock"
    audio_workers: Count = os.cpu_count() or 1
    # Pairs at once, before anything is fetched; more are `overloaded`. Each may hold 100 MB.
    audio_max_under_way: Count = 16
    audio_cache_bytes: Annotated[int, Meta(ge=0)] = 128 * 1024 * 1024
    # What decoding one file may take above an idle worker.
    audio_worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 512 * 1024 * 1024
