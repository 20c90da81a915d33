"""The gateway's way to a matcher: two URLs at once; or each side for itself, as a URL or as bytes on their way, and then the two."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc

from mesh import client
from mesh.errors import Internal, MeshError, NotAvailable, from_code
from mesh.media import Include, MatchOptions, MatchResult, MediaType
from mesh.wire import options_to_proto, result_from_proto
from protos import matcher_pb2, matcher_pb2_grpc

_STAGES: Final = ("fetch", "decode", "fingerprint")


@dataclass(frozen=True, slots=True)
class Side:
    """One of a pair, fingerprinted; what is in the fingerprint is the matcher's own."""

    fingerprint: Any
    hashes: dict[str, str]
    timings: dict[str, float]

    @property
    def processing_ms(self) -> float:
        """Decoding and fingerprinting."""
        return self.timings.get("processing", 0.0)


class MatcherClient:
    def __init__(self, channel: grpc.aio.Channel | None, medium: MediaType) -> None:
        self._channel = channel
        self._medium = medium

    async def match(self, source_url: str, target_url: str, options: MatchOptions) -> MatchResult:
        request = matcher_pb2.MatchRequest(source_url=source_url, target_url=target_url, options=options_to_proto(options))
        response = await client.ask(self._stub.Match, request)
        return result_from_proto(response.result)

    async def take_url(self, field: str, url: str, *, has_hashes: bool) -> Side:
        """The field is what errors call it."""
        head = matcher_pb2.FingerprintHead(url=url, include_hashes=has_hashes)

        async def requests() -> AsyncGenerator[matcher_pb2.ComputeFingerprintRequest, None]:
            yield matcher_pb2.ComputeFingerprintRequest(head=head)

        return await self._take(field, requests())

    async def take_bytes(self, field: str, chunks: AsyncIterator[bytes], *, has_hashes: bool) -> Side:
        """Sent on as they come, at most 1 MiB each; not read to their end where the matcher has heard enough."""
        head = matcher_pb2.FingerprintHead(inline=matcher_pb2.InlineMedia(), include_hashes=has_hashes)

        async def requests() -> AsyncGenerator[matcher_pb2.ComputeFingerprintRequest, None]:
            yield matcher_pb2.ComputeFingerprintRequest(head=head)
            async for chunk in chunks:
                yield matcher_pb2.ComputeFingerprintRequest(chunk=chunk)

        return await self._take(field, requests())

    async def compare(self, source: Side, target: Side, options: MatchOptions) -> MatchResult:
        """The result that the two URLs would get."""

        async def requests() -> AsyncIterator[matcher_pb2.CompareRequest]:
            yield matcher_pb2.CompareRequest(head=matcher_pb2.CompareHead(query=source.fingerprint, options=options_to_proto(options)))
            yield matcher_pb2.CompareRequest(candidate=matcher_pb2.Candidate(fingerprint=target.fingerprint))

        async with aclosing(client.ask_stream(self._stub.Compare, requests())) as responses:
            response = await anext(responses, None)
        if response is None:
            raise Internal()
        if response.HasField("refusal"):
            raise from_code(response.refusal.code, response.refusal.message)
        result = result_from_proto(response.result)
        slower = {stage: max(side.timings.get(stage, 0.0) for side in (source, target)) for stage in (*_STAGES, "processing")}
        return replace(
            result,
            processing_time_ms=int(slower.pop("processing") + result.timings.get("compare", 0.0)),
            hashes=(source.hashes, target.hashes) if Include.HASHES in options.include else None,
            timings=slower | result.timings,
        )

    async def _take(self, field: str, requests: AsyncGenerator[matcher_pb2.ComputeFingerprintRequest, None]) -> Side:
        try:
            response = await client.ask_with(self._stub.ComputeFingerprint, requests)
        except MeshError as error:
            raise _renamed(error, field) from error
        timings = {timing.stage: timing.milliseconds for timing in response.timings}
        return Side(response.fingerprint, dict(response.hashes), timings)

    @property
    def _stub(self) -> matcher_pb2_grpc.MatcherServiceStub:
        if self._channel is None:
            raise NotAvailable(f"{self._medium} matching is not running here")
        return matcher_pb2_grpc.MatcherServiceStub(self._channel)


def _renamed(error: MeshError, field: str) -> MeshError:
    """The matcher knows one side only, and calls it by the form it came in."""
    known = error.details.get("field")
    if known not in ("url", "inline"):
        return error
    return type(error)(f"{field}{error.message.removeprefix(known)}", **{**error.details, "field": field})
