"""What can be set about fetcher_svc."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mesh.settings import Count, MeshSettings, Port


class Settings(MeshSettings, frozen=True, kw_only=True):
    # What others dial; FETCHER_LISTEN where what this service binds is something else.
    fetcher_address: str = "unix:fetcher.sock"
    fetcher_listen: str = ""
    fetcher_metrics_port: Port = 9104
    # Networks and host names that may be fetched, on any port, although they are not public.
    fetcher_allow_networks: tuple[str, ...] = ()
    # Instead of those of /etc/resolv.conf: address or address:port.
    fetcher_name_servers: tuple[str, ...] = ()
    # At once; more are `overloaded`. The bytes are of sound and film, which are kept until it is known how long they run.
    fetcher_max_fetches: Count = 128
    fetcher_max_fetches_per_host: Count = 64
    fetcher_max_held_bytes: Annotated[int, Meta(ge=100 * 1024 * 1024)] = 1024 * 1024 * 1024
    # Processes that find out how long media run; what a file may take in one above what it takes idle.
    fetcher_workers: Count = 1
    fetcher_worker_memory_bytes: Annotated[int, Meta(ge=128 * 1024 * 1024)] = 384 * 1024 * 1024
    # Of a ZIP archive, which is passed on as it comes.
    archive_max_bytes: Annotated[int, Meta(ge=1)] = 512 * 1024 * 1024
