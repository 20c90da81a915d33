"""The index's ways to the matchers, one a medium: a URL to a fingerprint, a query and stored fingerprints to results.

What is kept of a fingerprint is the matcher's own message without its terms; nobody but a matcher reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import grpc

from index_svc.hashes import EXACT
from index_svc.records import Fingerprint, Kind
from index_svc.settings import Settings
from index_svc.sources import Source
from mesh import client
from mesh.errors import Internal, MeshError, NotAvailable
from mesh.media import Include, MatchOptions, MatchResult, MediaType
from mesh.wire import options_to_proto, result_from_proto
from protos import matcher_pb2, matcher_pb2_grpc, media_pb2

_SIGN: Final = 1 << 63
_KIND_SECONDS: Final = 5.0
_STREAMS: Final = 4
"""A matcher answers the candidates of one stream in turn; its workers share out several."""


class Matchers:
    """Enter it to open the channels."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds: dict[MediaType, tuple[Kind, float]] = {}
        self._addresses = {
            MediaType.IMAGE: settings.image_address,
            MediaType.VIDEO: settings.video_address,
            MediaType.AUDIO: settings.audio_address,
        }

    async def __aenter__(self) -> Matchers:
        self._stack = AsyncExitStack()
        self._channels: dict[MediaType, grpc.aio.Channel] = {}
        for medium, address in self._addresses.items():
            if address:
                channel = client.open_channel(self._settings, address)
                self._channels[medium] = await self._stack.enter_async_context(channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def has(self, medium: MediaType) -> bool:
        """Whether this mesh has a matcher for it, be it just now there or not."""
        return medium in self._channels

    async def fingerprint(self, medium: MediaType, source: Source, *, with_hashes: bool = False) -> Fingerprint:
        """All layers of what the URL names, or of the bytes that are at hand."""
        head = matcher_pb2.FingerprintHead(include_hashes=with_hashes)
        if source.read is None:
            head.url = source.url
        else:
            head.inline.SetInParent()

        async def requests() -> AsyncGenerator[matcher_pb2.ComputeFingerprintRequest, None]:
            yield matcher_pb2.ComputeFingerprintRequest(head=head)
            if source.read is not None:
                async for chunk in source.read():
                    yield matcher_pb2.ComputeFingerprintRequest(chunk=chunk)

        try:
            response = await client.ask_with(self._stub(medium).ComputeFingerprint, requests())
        except MeshError as error:
            raise _of_source(error, source) from error
        return replace(_from_proto(response), media_bytes=response.media_bytes)

    async def kind(self, medium: MediaType) -> Kind:
        """What it makes now; what it said within the last seconds is not asked again."""
        known = self._kinds.get(medium)
        if known is None or known[1] < time.monotonic():
            said = await client.ask(self._stub(medium).DescribeFingerprints, matcher_pb2.DescribeFingerprintsRequest())
            known = self._kinds[medium] = (Kind(said.algorithm, said.version), time.monotonic() + _KIND_SECONDS)
        return known[0]

    async def kinds(self) -> dict[MediaType, Kind | None]:
        """Of every matcher that this mesh has; None: it does not answer just now."""
        return dict(zip(self._channels, await asyncio.gather(*map(self.kind_if_known, self._channels)), strict=True))

    async def kind_if_known(self, medium: MediaType) -> Kind | None:
        """None: it does not answer just now, or is too old to say."""
        try:
            return await self.kind(medium)
        except MeshError:
            return None

    async def search_terms(self, medium: MediaType, known: Fingerprint) -> Fingerprint:
        """With what is asked for to find it, or what it is a copy of."""
        request = matcher_pb2.ComputeSearchTermsRequest(fingerprint=_to_proto(known.payload))
        response = await client.ask(self._stub(medium).ComputeSearchTerms, request)
        terms, positions = _read_terms(response.terms)
        return replace(known, terms=terms, positions=positions)

    async def compare(self, medium: MediaType, query: bytes, candidates: Sequence[bytes]) -> list[MatchResult | None]:
        """One result a candidate, in their order; None for one that does not compare with the query."""
        streams = [asyncio.create_task(self._compare_some(medium, query, candidates[at::_STREAMS])) for at in range(_STREAMS)]
        try:
            parts = await asyncio.gather(*streams)
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
        results: list[MatchResult | None] = [None] * len(candidates)
        for at, part in enumerate(parts):
            results[at::_STREAMS] = part
        return results

    async def _compare_some(self, medium: MediaType, query: bytes, candidates: Sequence[bytes]) -> list[MatchResult | None]:
        if not candidates:
            return []
        options = options_to_proto(MatchOptions(include=frozenset({Include.COVERAGE})))
        head = matcher_pb2.CompareHead(query=_to_proto(query), options=options)

        async def requests() -> AsyncIterator[matcher_pb2.CompareRequest]:
            yield matcher_pb2.CompareRequest(head=head)
            for at, payload in enumerate(candidates):
                yield matcher_pb2.CompareRequest(candidate=matcher_pb2.Candidate(id=str(at), fingerprint=_to_proto(payload)))

        results = [
            result_from_proto(response.result) if response.HasField("result") else None
            async for response in client.ask_stream(self._stub(medium).Compare, requests())
        ]
        if len(results) != len(candidates):
            raise Internal()
        return results

    def _stub(self, medium: MediaType) -> matcher_pb2_grpc.MatcherServiceStub:
        if medium not in self._channels:
            raise NotAvailable(f"{medium} matching is not running here")
        return matcher_pb2_grpc.MatcherServiceStub(self._channels[medium])


def _of_source(error: MeshError, source: Source) -> MeshError:
    """As whoever sent or named the file knows it: by no other name."""
    if error.details.get("field") != "inline":
        return error
    details = {**error.details, "field": source.field}
    return type(error)(error.message.replace("inline", source.field, 1), **details)


def _from_proto(response: matcher_pb2.ComputeFingerprintResponse) -> Fingerprint:
    message = response.fingerprint
    # A blank picture looks like every other one.
    is_blank = message.information <= 0
    hashes = {name: value for name, value in response.hashes.items() if name in EXACT or not is_blank}
    terms, positions = _read_terms(message.terms)
    if "sha256" not in message.hashes:
        raise Internal()
    message.ClearField("terms")
    return Fingerprint(
        message.algorithm, message.version, message.hashes["sha256"], message.SerializeToString(), terms, positions, hashes=hashes
    )


def _read_terms(message: media_pb2.Terms) -> tuple[list[int], list[int]]:
    # PostgreSQL's integers have a sign.
    terms = [term - 2 * _SIGN if term >= _SIGN else term for term in message.values]
    positions = list(message.positions) or [0] * len(terms)
    if len(positions) != len(terms):
        raise Internal()
    return terms, positions


def _to_proto(payload: bytes) -> media_pb2.Fingerprint:
    return media_pb2.Fingerprint.FromString(payload)
