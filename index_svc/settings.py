"""What can be set about index_svc."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.settings import Count, MeshSettings, Port


class Settings(MeshSettings, frozen=True, kw_only=True):
    # What others dial; INDEX_LISTEN where what this service binds is something else.
    index_address: str = "unix:index.sock"
    index_listen: str = ""
    index_metrics_port: Port = 9105
    # Any PostgreSQL, as a URL or key=value pairs; empty: one of its own under DATA_DIR.
    database_url: str = ""
    # Off: that one is run by another process, `python -m index_svc.database_process`, for several of these.
    index_runs_database: bool = True
    index_connections: Annotated[int, Meta(ge=4, le=1024)] = 16
    # What keys are hashed with; empty: a random one that is kept in the database.
    index_key_secret: str = ""
    # Assets that this process has fingerprinted at once; 0: none, others do.
    index_jobs: Annotated[int, Meta(ge=0, le=256)] = 4
    # Times that an asset is tried whose matcher was not there or too busy.
    index_job_attempts: Count = 12
    # Off: assets that have media are not found by the hashes of their looks, which cost more than a fingerprint where a picture is large.
    index_hashes: bool = True
    # Of files that are searched with, and of films that are indexed by URL, at once.
    index_max_held_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    # Files of rows that this process reads at once; 0: none, others do.
    index_bulk_jobs: Annotated[int, Meta(ge=0, le=16)] = 2
    # What one such file, and one archive, may hold.
    csv_max_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000
    archive_max_files: Annotated[int, Meta(ge=1, le=60_000)] = 10_000
    archive_max_unpacked_bytes: Annotated[int, Meta(ge=1)] = 2 * 1024 * 1024 * 1024
    # Candidates that a search compares at most.
    index_max_candidates: Annotated[int, Meta(ge=1, le=1000)] = 200
    image_address: str = "unix:image.sock"
    video_address: str = "unix:video.sock"
    audio_address: str = "unix:audio.sock"
    fetcher_address: str = "unix:fetcher.sock"

    @property
    def cluster_dir(self) -> Path:
        """Where the database of its own lies; PostgreSQL 19 could not read what 18 wrote."""
        return Path(self.data_dir).resolve() / "database" / "18"
