"""A file in a request, read no faster than it is taken on: as the body itself, or as a part of a form. None of it is kept here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from mesh.errors import FileTooLarge, InvalidRequest, RequestTooLarge, UnsupportedContentType
from mesh.media import MediaType
from mesh.media_type import LIMITS, MEBIBYTE

FILE: Final = "file"
_FORM: Final = "multipart/form-data"
_MAX_FIELDS: Final = 16
_MAX_FIELD_BYTES: Final = 64 * 1024
"""Of all fields together."""
_MAX_FORM_BYTES: Final = MEBIBYTE
"""What a form may take around its file."""
_CHUNK_BYTES: Final = 256 * 1024
_AS_IT_IS: Final = ("binary", "8bit", "7bit")

Piece = TypeVar("Piece")
CheckFields = Callable[[dict[str, str]], object]


class Upload:
    """The file's bytes by `chunks`; `fields` holds what came so far, and all of it once the chunks are at their end."""

    def __init__(self, request: web.Request, medium: MediaType, max_stall_seconds: float) -> None:
        self._request = request
        self._max_stall_seconds = max_stall_seconds
        self._is_form = request.content_type == _FORM
        self._field_bytes = 0
        self.fields = _query(request)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedContentType("the body must come without a content encoding")
        if not self._is_form and not _is_file(request.content_type):
            raise UnsupportedContentType(f"the body must be {_FORM}, application/octet-stream, or of a type of media")
        max_bytes = LIMITS[medium].max_bytes
        if (request.content_length or 0) > max_bytes + self._is_form * _MAX_FORM_BYTES:
            raise FileTooLarge(f"is larger than the {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB) that one {medium} may have").of_field(
                FILE
            )

    async def chunks(self, check: CheckFields) -> AsyncIterator[bytes]:
        """`check` says what is wrong with the fields that are known as the file begins: a client need not send all of it to learn that."""
        try:
            async for chunk in self._form(check) if self._is_form else self._body(check):
                yield chunk
        except (web.RequestPayloadError, ConnectionError) as problem:
            raise InvalidRequest("the body did not arrive whole") from problem
        except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as problem:
            raise InvalidRequest(f"the body is not well-formed {_FORM}") from problem

    async def _body(self, check: CheckFields) -> AsyncIterator[bytes]:
        check(self.fields)
        while chunk := await self._in_time(self._request.content.readany()):
            yield chunk

    async def _form(self, check: CheckFields) -> AsyncIterator[bytes]:
        reader = await self._request.multipart()
        has_file = False
        while (part := await self._in_time(reader.next())) is not None:
            if not isinstance(part, BodyPartReader):
                raise InvalidRequest("a part of the form has parts of its own")
            name = _checked_name(part)
            if name != FILE:
                await self._add(name, part)
                continue
            if has_file:
                raise InvalidRequest(f"{FILE} is given twice", field=FILE)
            has_file = True
            check(self.fields)
            while chunk := await self._in_time(part.read_chunk(_CHUNK_BYTES)):
                yield bytes(chunk)
        if not has_file:
            raise InvalidRequest(f"{FILE} must be given, as a part of the form", field=FILE)

    async def _add(self, name: str, part: BodyPartReader) -> None:
        content = bytearray()
        while chunk := await self._in_time(part.read_chunk(_CHUNK_BYTES)):
            content += chunk
            if self._field_bytes + len(content) > _MAX_FIELD_BYTES:
                raise RequestTooLarge(f"the fields may take at most {_MAX_FIELD_BYTES} bytes")
        self._field_bytes += len(content)
        if name in self.fields:
            raise InvalidRequest(f"{name[:64]} is given twice", field=name[:64])
        if len(self.fields) >= _MAX_FIELDS:
            raise InvalidRequest(f"a form may have at most {_MAX_FIELDS} fields")
        try:
            self.fields[name] = content.decode()
        except UnicodeDecodeError as problem:
            raise InvalidRequest(f"{name[:64]} is not UTF-8", field=name[:64]) from problem

    async def _in_time(self, piece: Awaitable[Piece]) -> Piece:
        try:
            async with asyncio.timeout(self._max_stall_seconds):
                return await piece
        except TimeoutError as problem:
            raise InvalidRequest(f"nothing of the body came for {self._max_stall_seconds:g} s") from problem


def _query(request: web.Request) -> dict[str, str]:
    if len(request.query) > len(set(request.query)):
        raise InvalidRequest("a parameter of the query is given twice")
    return dict(request.query)


def _is_file(content_type: str) -> bool:
    return content_type.split("/", maxsplit=1)[0] in set(MediaType) or content_type in ("application/octet-stream", "application/ogg")


def _checked_name(part: BodyPartReader) -> str:
    """What a part is called; its file name and what it says of its type have no voice."""
    encoding = part.headers.get("Content-Transfer-Encoding", "binary").lower()
    if encoding not in _AS_IT_IS or part.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidRequest("the parts of the form must come without an encoding")
    if not part.name:
        raise InvalidRequest("a part of the form has no name")
    return part.name
