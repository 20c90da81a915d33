"""A client's connection: what aiohttp itself would answer in text it answers in the envelope, and who does not read is cut off."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from gateway.middleware import error_response, finish, translate
from mesh import call


class Connection(web.RequestHandler):
    def __init__(self, *arguments: Any, max_stall_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._max_stall_seconds = max_stall_seconds
        self._stalled: asyncio.TimerHandle | None = None

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What could not be parsed, or failed outside of every handler."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was already under way")
        return self._envelope(request, exc if isinstance(exc, Exception) else RuntimeError(message))

    async def finish_response(self, request: Any, resp: web.StreamResponse, start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """aiohttp raises some answers before any middleware is asked."""
        if isinstance(resp, web.HTTPException):
            resp = self._envelope(request, resp)
        return await super().finish_response(request, resp, start_time)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = asyncio.get_running_loop().call_later(self._max_stall_seconds, self._abort)

    def resume_writing(self) -> None:
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_stall()
        super().connection_lost(exc)

    def _envelope(self, request: Any, problem: Exception) -> web.Response:
        call.begin(None, None)
        error, headers = translate(problem)
        response = error_response(error, headers)
        finish(response, request.method, "unknown", error.code, time.perf_counter())
        response.force_close()
        return response

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
