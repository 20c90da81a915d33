"""What can be set about image_svc."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from mesh.settings import Count, MeshSettings, Port


class Settings(MeshSettings, frozen=True, kw_only=True):
    # What others dial; IMAGE_LISTEN where what this service binds is something else.
    image_address: str = "unix:image.sock"
    image_listen: str = ""
    image_metrics_port: Port = 9101
    fetcher_address: str = "unix:fetcher.sock"
    image_workers: Count = os.cpu_count() or 1
    # Pairs at once, before anything is fetched; more are `overloaded`.
    image_max_under_way: Count = 32
    image_cache_bytes: Annotated[int, Meta(ge=0)] = 128 * 1024 * 1024
    # What decoding one file may take above an idle worker.
    image_worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)] = 768 * 1024 * 1024
