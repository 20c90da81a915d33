"""Rows as a file that streams, CSV or JSON lines. What is wrong before the first row has its code, what breaks later is cut off."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from aiohttp import web

from gateway.handlers import HEADERS
from gateway.hash_rows import CSV, header, written
from mesh import call

Rows = list[dict[str, Any]]


async def send_rows(
    request: web.Request, batches: AsyncGenerator[Rows, None], content_type: str, columns: Sequence[str]
) -> web.StreamResponse:
    """Whoever calls closes the batches."""
    # Before the head is sent, so that what is wrong is answered with its code.
    first: Rows = await anext(batches, [])
    response = web.StreamResponse(headers={**HEADERS, "X-Request-Id": call.request_id(), "Content-Disposition": "attachment"})
    response.content_type, response.charset = content_type, "utf-8"
    try:
        await response.prepare(request)
        if content_type == CSV:
            await response.write(header(columns))
        await response.write(written(first, content_type, columns))
        async for batch in batches:
            await response.write(written(batch, content_type, columns))
        await response.write_eof()
    except BaseException:
        # Its head is sent: only the end of the connection says that this is not all.
        if request.transport is not None:
            request.transport.abort()
        raise
    return response
