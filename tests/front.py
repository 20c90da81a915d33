"""What may stand before a gateway: a proxy that counts the calls that are under way, and may be a marketplace's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

import aiohttp
from aiohttp import web

from tests.origin import Origin
from tests.running_mesh import RunningMesh

_PASSED_ON: Final = ("Content-Type", "Retry-After")
_PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Marketplace:
    """Knows its users by keys of its own, which it passes on to nobody."""

    secret: str
    users: Mapping[str, tuple[str, str]]
    """By key: the name and the subscription."""

    def headers(self, key: str) -> dict[str, str] | None:
        if key not in self.users:
            return None
        user, subscription = self.users[key]
        return {"X-RapidAPI-Proxy-Secret": self.secret, "X-RapidAPI-User": user, "X-RapidAPI-Subscription": subscription}


class Front:
    """Enter it to serve; `together` calls are held until so many are under way, once."""

    def __init__(self, mesh: RunningMesh, marketplace: Marketplace | None = None, *, together: int = 1) -> None:
        self._mesh = mesh
        self._marketplace = marketplace
        self._together = together
        self._under_way = 0
        self._is_together = asyncio.Event()
        self.max_under_way = 0
        self.statuses: list[int] = []
        self._server = Origin()

    def __enter__(self) -> Self:
        self._server.__enter__()
        for medium in ("image", "video", "audio"):
            self._server.respond(f"{medium}/match", self._pass_on)
        self.url = self._server.url("").rstrip("/")
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.__exit__(*failure)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
        if self._marketplace is not None:
            known = self._marketplace.headers(headers.pop("x-rapidapi-key", ""))
            if known is None:
                return web.json_response({"message": "You are not subscribed to this API."}, status=HTTPStatus.FORBIDDEN)
            headers |= known
        self._under_way += 1
        self.max_under_way = max(self.max_under_way, self._under_way)
        if self._under_way >= self._together:
            self._is_together.set()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._is_together.wait()
            return await self._answer(request, headers)
        finally:
            self._under_way -= 1

    async def _answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        url = f"http://127.0.0.1:{self._mesh.port}{request.path_qs}"
        async with aiohttp.ClientSession() as session, session.post(url, data=await request.read(), headers=headers) as answer:
            self.statuses.append(answer.status)
            kept = {name: value for name, value in answer.headers.items() if name in _PASSED_ON}
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)
