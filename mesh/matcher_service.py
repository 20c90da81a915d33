"""The door of a matcher, whatever its medium: from a room and its settings to a service, everything wired and nothing started."""

from __future__ import annotations

from mesh.fetching import FetcherClient
from mesh.fingerprint_cache import FingerprintCache
from mesh.matcher import Matcher, Room
from mesh.matcher_servicer import MatcherServicer
from mesh.server import Service
from mesh.settings import MatcherSettings
from mesh.workers import WorkerPool
from protos import matcher_pb2, matcher_pb2_grpc


def build_matcher(room: Room, settings: MatcherSettings) -> Service:
    workers = WorkerPool(
        room.media_type,
        workers=settings.workers,
        max_waiting=2 * settings.max_under_way,
        memory_bytes=settings.worker_memory_bytes,
        preload=(room.fingerprint.__module__,),
        warm_up=room.warm_up,
    )
    fetcher = FetcherClient(settings, settings.fetcher_address, room.media_type)
    matcher = Matcher(room, workers, fetcher, FingerprintCache(settings.cache_bytes), settings.max_under_way)
    servicer = MatcherServicer(matcher, room.media_type)
    return Service(
        name=room.media_type,
        full_name=matcher_pb2.DESCRIPTOR.services_by_name["MatcherService"].full_name,
        listen=settings.listen or settings.address,
        metrics_port=settings.metrics_port,
        add_to_server=lambda server: matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server),
        resources=(workers, fetcher),
        workers=workers,
    )
