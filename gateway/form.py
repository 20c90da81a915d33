"""A form with files in it, read no faster than they are taken on: no file is ever held here, and nobody is waited for who sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection, Mapping
from typing import Final, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from mesh.errors import InvalidRequest, RequestTooLarge, UnsupportedContentType

_CHUNK_BYTES: Final = 256 * 1024
_MAX_FIELDS: Final = 16
_MAX_FIELD_BYTES: Final = 64 * 1024
"""Of all fields together."""
_AS_IT_IS: Final = ("binary", "8bit", "7bit")

Piece = TypeVar("Piece")


class Form:
    """`files` gives the files by name as they come; `fields` holds the other parts that came so far."""

    def __init__(self, request: web.Request, max_stall_seconds: float, fields: Mapping[str, str] | None = None) -> None:
        refuse_encoding(request)
        self._request = request
        self._max_stall_seconds = max_stall_seconds
        self._field_bytes = 0
        self.fields = dict(fields or {})

    async def files(self, names: Collection[str]) -> AsyncIterator[tuple[str, AsyncGenerator[bytes, None]]]:
        """Each with its bytes in chunks; what is left of them when the next one is asked for is passed over."""
        given = set(self.fields)
        reader = await self._arriving(self._request.multipart())
        while (part := await self._arriving(reader.next())) is not None:
            if not isinstance(part, BodyPartReader):
                raise InvalidRequest("a part of the form has parts of its own")
            name = _checked_name(part)
            if name in given:
                raise InvalidRequest(f"{name[:64]} is given twice", field=name[:64])
            given.add(name)
            if name in names:
                yield name, self._chunks(part)
            else:
                await self._add(name, part)

    async def _chunks(self, part: BodyPartReader) -> AsyncGenerator[bytes, None]:
        while chunk := await self._arriving(part.read_chunk(_CHUNK_BYTES)):
            yield bytes(chunk)

    async def _add(self, name: str, part: BodyPartReader) -> None:
        content = bytearray()
        async for chunk in self._chunks(part):
            content += chunk
            if self._field_bytes + len(content) > _MAX_FIELD_BYTES:
                raise RequestTooLarge(f"the fields may take at most {_MAX_FIELD_BYTES} bytes")
        self._field_bytes += len(content)
        if len(self.fields) >= _MAX_FIELDS:
            raise InvalidRequest(f"a form may have at most {_MAX_FIELDS} fields")
        try:
            self.fields[name] = content.decode()
        except UnicodeDecodeError as problem:
            raise InvalidRequest(f"{name[:64]} is not UTF-8", field=name[:64]) from problem

    async def _arriving(self, piece: Awaitable[Piece]) -> Piece:
        try:
            return await _arriving(piece, self._max_stall_seconds)
        except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as problem:
            raise InvalidRequest("the body is not well-formed multipart/form-data") from problem


async def body(request: web.Request, max_stall_seconds: float) -> AsyncGenerator[bytes, None]:
    """A body that is no form, in chunks."""
    while chunk := await _arriving(request.content.readany(), max_stall_seconds):
        yield chunk


async def _arriving(piece: Awaitable[Piece], max_stall_seconds: float) -> Piece:
    """The next of what a client sends."""
    try:
        async with asyncio.timeout(max_stall_seconds):
            return await piece
    except TimeoutError as problem:
        raise InvalidRequest(f"nothing of the body came for {max_stall_seconds:g} s") from problem
    except (web.RequestPayloadError, ConnectionError) as problem:
        raise InvalidRequest("the body did not arrive whole") from problem


def refuse_encoding(request: web.Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedContentType("the body must come without a content encoding")


def _checked_name(part: BodyPartReader) -> str:
    """What a part is called; its file name and what it says of its type have no voice."""
    encoding = part.headers.get("Content-Transfer-Encoding", "binary").lower()
    if encoding not in _AS_IT_IS or part.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidRequest("the parts of the form must come without an encoding")
    if not part.name:
        raise InvalidRequest("a part of the form has no name")
    return part.name
