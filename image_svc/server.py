"""The door of image_svc: everything it is made of, wired here and nowhere else."""

from __future__ import annotations

from image_svc import fingerprint, matcher
from image_svc.settings import Settings
from matching import decision
from mesh.fetching import FetcherClient
from mesh.fingerprint_cache import FingerprintCache
from mesh.matcher import Matcher, Room
from mesh.matcher_servicer import MatcherServicer
from mesh.media import MediaType
from mesh.server import Service
from mesh.workers import WorkerPool
from protos import matcher_pb2, matcher_pb2_grpc

ROOM = Room(
    media_type=MediaType.IMAGE,
    algorithm=fingerprint.ALGORITHM,
    version=fingerprint.VERSION,
    fingerprint=matcher.fingerprint,
    compare=matcher.compare,
    explicit_hashes=matcher.explicit_hashes,
    search_terms=matcher.search_terms,
    is_match=decision.is_match,
    confidence_label=decision.confidence_label,
)


def build(settings: Settings) -> Service:
    workers = WorkerPool(
        "image",
        workers=settings.image_workers,
        max_waiting=2 * settings.image_max_under_way,
        memory_bytes=settings.image_worker_memory_bytes,
        preload=("image_svc.matcher",),
        warm_up=matcher.warm_up,
    )
    fetcher = FetcherClient(settings, settings.fetcher_address, MediaType.IMAGE)
    cache = FingerprintCache(settings.image_cache_bytes)
    servicer = MatcherServicer(Matcher(ROOM, workers, fetcher, cache, settings.image_max_under_way), MediaType.IMAGE)
    return Service(
        name="image",
        full_name=matcher_pb2.DESCRIPTOR.services_by_name["MatcherService"].full_name,
        listen=settings.image_listen or settings.image_address,
        metrics_port=settings.image_metrics_port,
        add_to_server=lambda server: matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server),
        resources=(workers, fetcher),
        workers=workers,
    )
