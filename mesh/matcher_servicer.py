"""The gRPC face of a matcher, the same for every medium: read the request, call the matcher, write the reply."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from mesh.errors import FileTooLarge, InvalidRequest, MeshError
from mesh.matcher import Matcher
from mesh.media import DETAIL, Fingerprint, MatchOptions, MediaType
from mesh.media_file import MediaFile
from mesh.media_type import MEBIBYTE, SNIFF_BYTES, max_inline_bytes, sniff
from mesh.wire import (
    fingerprint_from_proto,
    fingerprint_to_proto,
    media_type_to_proto,
    options_from_proto,
    result_to_proto,
    timings_to_proto,
)
from protos import matcher_pb2, matcher_pb2_grpc


class MatcherServicer(matcher_pb2_grpc.MatcherServiceServicer):
    def __init__(self, matcher: Matcher, media_type: MediaType) -> None:
        self._matcher = matcher
        self._media_type = media_type

    async def Match(self, request: matcher_pb2.MatchRequest, context: Any) -> matcher_pb2.MatchResponse:  # noqa: N802
        result = await self._matcher.match(request.source_url, request.target_url, options_from_proto(request.options))
        return matcher_pb2.MatchResponse(result=result_to_proto(result))

    async def ComputeFingerprint(  # noqa: N802
        self, request_iterator: AsyncIterator[matcher_pb2.ComputeFingerprintRequest], context: Any
    ) -> matcher_pb2.ComputeFingerprintResponse:
        head = await _first(request_iterator, "head")
        max_level = min(head.max_level, DETAIL) if head.HasField("max_level") else DETAIL
        source = head.WhichOneof("media")
        if source is None:
            raise InvalidRequest("the head must name a url, or inline")
        started, timings = time.perf_counter(), {}
        try:
            with (
                self._matcher.admission(),
                await (self._matcher.fetch(head.url) if source == "url" else self._read_inline(request_iterator)) as media,
            ):
                if source == "url":
                    timings["fetch"] = (time.perf_counter() - started) * 1000
                fingerprint, spent_ms = await self._matcher.fingerprint(media, max_level)
                hashes = await self._matcher.hashes(media, fingerprint) if head.include_hashes else {}
                media_bytes = media.size_bytes
        except MeshError as error:
            raise error.of_field(source) from error
        return matcher_pb2.ComputeFingerprintResponse(
            fingerprint=fingerprint_to_proto(fingerprint),
            media_bytes=media_bytes,
            hashes=hashes,
            timings=timings_to_proto(timings | spent_ms),
        )

    async def ComputeSearchTerms(  # noqa: N802
        self, request: matcher_pb2.ComputeSearchTermsRequest, context: Any
    ) -> matcher_pb2.ComputeSearchTermsResponse:
        with self._matcher.admission():
            known = await self._matcher.search_terms(fingerprint_from_proto(request.fingerprint))
        return matcher_pb2.ComputeSearchTermsResponse(terms=fingerprint_to_proto(known).terms)

    async def DescribeFingerprints(  # noqa: N802
        self, request: matcher_pb2.DescribeFingerprintsRequest, context: Any
    ) -> matcher_pb2.DescribeFingerprintsResponse:
        algorithm, version = self._matcher.kind
        return matcher_pb2.DescribeFingerprintsResponse(
            media_type=media_type_to_proto(self._media_type), algorithm=algorithm, version=version
        )

    async def Compare(  # noqa: N802
        self, request_iterator: AsyncIterator[matcher_pb2.CompareRequest], context: Any
    ) -> AsyncIterator[matcher_pb2.CompareResponse]:
        head = await _first(request_iterator, "head")
        query, options = fingerprint_from_proto(head.query), options_from_proto(head.options)
        async for request in request_iterator:
            if request.WhichOneof("part") != "candidate":
                raise InvalidRequest("after the head come candidates")
            yield await self._compare_one(query, request.candidate, options)

    async def _compare_one(
        self, query: Fingerprint, candidate: matcher_pb2.Candidate, options: MatchOptions
    ) -> matcher_pb2.CompareResponse:
        try:
            result = await self._matcher.compare(query, fingerprint_from_proto(candidate.fingerprint), options)
        except MeshError as error:
            if error.retryable:
                raise
            refusal = matcher_pb2.Refusal(code=error.code, message=error.message)
            return matcher_pb2.CompareResponse(id=candidate.id, refusal=refusal)
        return matcher_pb2.CompareResponse(id=candidate.id, result=result_to_proto(result))

    async def _read_inline(self, request_iterator: AsyncIterator[matcher_pb2.ComputeFingerprintRequest]) -> MediaFile:
        media, head = MediaFile(), b""
        try:
            async for request in request_iterator:
                if request.WhichOneof("part") != "chunk":
                    raise InvalidRequest("after the head come chunks")
                head += request.chunk[: SNIFF_BYTES - len(head)]
                max_bytes = max_inline_bytes(self._media_type, sniff(head))
                if media.size_bytes + len(request.chunk) > max_bytes:
                    raise FileTooLarge(
                        f"is larger than the {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB) that one {self._media_type} may have"
                    )
                media.write(request.chunk)
            media.seal()
            return media
        except BaseException:
            media.close()
            raise


async def _first(request_iterator: AsyncIterator[Any], part: str) -> Any:
    """The head that every stream opens with."""
    async for request in request_iterator:
        if request.WhichOneof("part") == part:
            return getattr(request, part)
        break
    raise InvalidRequest(f"the first message must be the {part}")
