"""A web server on loopback that serves what a test gives it, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """Runs in a thread of its own, so that tests may block."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    _responses: dict[str, Respond] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def serve(self, path: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        """These bytes at this path; returns the URL."""

        async def respond(request: web.Request) -> web.Response:
            return web.Response(body=body, content_type=content_type)

        return self.respond(path, respond)

    def respond(self, path: str, respond: Respond) -> str:
        """Whatever this coroutine answers at this path; returns the URL."""
        self._responses[path] = respond
        return self.url(path)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._open())
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _open(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port: int = runner.addresses[0][1]
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.lstrip("/")
        self.requests.append((request.method, path))
        respond = self._responses.get(path)
        return await respond(request) if respond else web.Response(status=404)  # type: ignore[arg-type]
