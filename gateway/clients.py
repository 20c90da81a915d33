"""The gateway's ways into the mesh: one matcher a medium, opened and closed together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.decision_client import DecisionClient
from gateway.index_client import IndexClient
from gateway.matcher_client import MatcherClient
from gateway.settings import Settings
from gateway.threshold_client import ThresholdClient
from gateway.usage_client import UsageClient
from mesh import client
from mesh.errors import MeshError
from mesh.media import Include, MatchOptions, MatchResult, MediaType
from mesh.server import SANDBOX_HEALTH_PREFIX, SANDBOX_PARTS

_HEALTH_SECONDS = 1.0

Heard = tuple[MatchResult, MatchResult | MeshError | None]
"""A result, and what was found out about the sound tracks where they were asked about."""


class Mesh:
    """Enter it to open the channels."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses: dict[str, str] = {
            MediaType.IMAGE: settings.image_address,
            MediaType.VIDEO: settings.video_address,
            MediaType.AUDIO: settings.audio_address,
            "fetcher": settings.fetcher_address,
            "index": settings.index_address,
        }

    async def __aenter__(self) -> Mesh:
        self._stack = AsyncExitStack()
        self._channels: dict[str, grpc.aio.Channel] = {}
        for name, address in self._addresses.items():
            if address:
                channel = client.open_channel(self._settings, address, is_retrying=True)
                self._channels[name] = await self._stack.enter_async_context(channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def matcher(self, medium: MediaType) -> MatcherClient:
        return MatcherClient(self._channels.get(medium), medium)

    async def match_with_sound(self, medium: MediaType, source_url: str, target_url: str, options: MatchOptions) -> Heard:
        """Two URLs; where the options include the sound of films, also what the audio matcher says of it meanwhile: another witness."""
        options, is_heard = replace(options, include=options.include - {Include.AUDIO}), Include.AUDIO in options.include
        if medium is not MediaType.VIDEO or not is_heard:
            return await self.matcher(medium).match(source_url, target_url, options), None
        hearing = asyncio.create_task(self._hear(source_url, target_url, options))
        try:
            return await self.matcher(medium).match(source_url, target_url, options), await hearing
        finally:
            hearing.cancel()
            await asyncio.wait((hearing,))

    async def _hear(self, source_url: str, target_url: str, options: MatchOptions) -> MatchResult | MeshError:
        try:
            return await self.matcher(MediaType.AUDIO).match(source_url, target_url, options)
        except MeshError as problem:
            return problem

    @property
    def index(self) -> IndexClient:
        return IndexClient(self._channels.get("index"))

    @property
    def usage(self) -> UsageClient:
        return UsageClient(self._channels.get("index"))

    @property
    def thresholds(self) -> ThresholdClient:
        return ThresholdClient(self._channels.get("index"))

    @property
    def decisions(self) -> DecisionClient:
        return DecisionClient(self._channels.get("index"))

    async def health(self) -> dict[str, dict[str, str]]:
        """What each service says of itself: its status, and the sandbox that its decoders run in."""
        answers = await asyncio.gather(*map(self._service_health, self._addresses))
        return dict(zip(self._addresses, answers, strict=True))

    async def _service_health(self, name: str) -> dict[str, str]:
        if name not in self._channels:
            return {"status": "not_available"}
        if not await self._is_serving(name, ""):
            return {"status": "not_serving"}
        in_force = await asyncio.gather(*(self._is_serving(name, SANDBOX_HEALTH_PREFIX + part) for part in SANDBOX_PARTS))
        sandbox = "+".join(part for part, is_in_force in zip(SANDBOX_PARTS, in_force, strict=True) if is_in_force)
        return {"status": "serving", "sandbox": sandbox or "none"}

    async def _is_serving(self, name: str, component: str) -> bool:
        stub = health_pb2_grpc.HealthStub(self._channels[name])
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=component), timeout=_HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
