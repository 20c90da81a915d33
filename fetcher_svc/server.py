"""The door of fetcher_svc: everything it is made of, wired here and nowhere else."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.connector import Resolver
from fetcher_svc.durations import Durations
from fetcher_svc.fetcher import Fetcher, Head, Parts, Tail
from fetcher_svc.origin import Origin
from fetcher_svc.patience import Patience
from fetcher_svc.probe import probe_duration, warm_up
from fetcher_svc.settings import Settings
from mesh import call
from mesh.media import MediaType
from mesh.media_file import MediaPath
from mesh.server import Service
from mesh.settings import InvalidSettings
from mesh.wire import media_type_from_proto
from mesh.workers import WorkerPool
from protos import fetcher_pb2, fetcher_pb2_grpc

PROBE_SECONDS: Final = 5.0
"""Reading the packets of 100 MB takes a tenth of it."""

_log = logging.getLogger(__name__)


class FetcherServicer(fetcher_pb2_grpc.FetcherServiceServicer):
    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def Fetch(self, request: fetcher_pb2.FetchRequest, context: Any) -> AsyncIterator[fetcher_pb2.FetchResponse]:  # noqa: N802
        if request.is_archive:
            found = self._fetcher.fetch_archive(request.url, call.remaining_seconds())
        else:
            found = self._fetcher.fetch(request.url, media_type_from_proto(request.media_type), call.remaining_seconds())
        async with aclosing(_gathered(found) if request.takes_whole else found) as parts:
            async for part in parts:
                yield _to_response(part)


def build(settings: Settings) -> Service:
    policy = _policy(settings)
    patience = Patience()
    resolver = Resolver(policy, settings.fetcher_name_servers)
    workers = WorkerPool(
        "fetcher",
        workers=settings.fetcher_workers,
        max_waiting=settings.fetcher_max_fetches,
        memory_bytes=settings.fetcher_worker_memory_bytes,
        preload=("fetcher_svc.probe",),
        warm_up=warm_up,
    )

    async def probe(path: MediaPath, content_type: str, media_type: MediaType) -> float:
        deadline = time.monotonic() + call.remaining_seconds()
        return await workers.run(probe_duration, path, content_type, media_type, cpu_seconds=PROBE_SECONDS, deadline=deadline)

    origin = Origin(policy, resolver, patience, settings.fetcher_max_fetches_per_host)
    fetcher = Fetcher(
        origin, Durations(probe).of, patience, settings.fetcher_max_fetches, settings.fetcher_max_held_bytes, settings.archive_max_bytes
    )
    servicer = FetcherServicer(fetcher)
    return Service(
        name="fetcher",
        full_name=fetcher_pb2.DESCRIPTOR.services_by_name["FetcherService"].full_name,
        listen=settings.fetcher_listen or settings.fetcher_address,
        metrics_port=settings.fetcher_metrics_port,
        add_to_server=lambda server: fetcher_pb2_grpc.add_FetcherServiceServicer_to_server(servicer, server),
        resources=(workers, resolver),
        workers=workers,
    )


def _policy(settings: Settings) -> AddressPolicy:
    try:
        policy = AddressPolicy.allowing(settings.fetcher_allow_networks)
    except ValueError as problem:
        raise InvalidSettings(f"FETCHER_ALLOW_NETWORKS: {problem}") from problem
    if policy.has_exceptions:
        _log.warning("may fetch what is not public", extra={"allowed": ", ".join(settings.fetcher_allow_networks)})
    return policy


Whole = tuple[Head, bytes, Tail]


async def _gathered(found: Parts) -> AsyncGenerator[Head | bytes | Tail | Whole, None]:
    """What has one chunk only as one part: each message costs both its ends more than the bytes in it."""
    first: list[Head | bytes | Tail] = []
    async with aclosing(found) as parts:
        async for part in parts:
            match [*first, part]:
                case [Head() as head, bytes() as content, Tail() as tail]:
                    yield head, content, tail
                case [Head()] | [Head(), bytes()]:
                    first.append(part)
                case waited:
                    for each in waited:
                        yield each
                    first.clear()


def _to_response(part: Head | bytes | Tail | Whole) -> fetcher_pb2.FetchResponse:
    match part:
        case Head():
            return fetcher_pb2.FetchResponse(head=_to_head(part))
        case Tail():
            return fetcher_pb2.FetchResponse(tail=_to_tail(part))
        case (head, content, tail):
            whole = fetcher_pb2.FetchWhole(head=_to_head(head), content=content, tail=_to_tail(tail))
            return fetcher_pb2.FetchResponse(whole=whole)
    return fetcher_pb2.FetchResponse(chunk=part)


def _to_head(head: Head) -> fetcher_pb2.FetchHead:
    return fetcher_pb2.FetchHead(content_type=head.content_type, size_bytes=head.size_bytes, duration_seconds=head.duration_seconds)


def _to_tail(tail: Tail) -> fetcher_pb2.FetchTail:
    return fetcher_pb2.FetchTail(sha256=tail.sha256, size_bytes=tail.size_bytes)
