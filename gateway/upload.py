"""A file in a request, read no faster than it is taken on: as the body itself, or as a part of a form. None of it is kept here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

from aiohttp import web

from gateway.form import Form, body, refuse_encoding
from mesh.errors import FileTooLarge, InvalidRequest, UnsupportedContentType
from mesh.media import MediaType
from mesh.media_type import LIMITS, MEBIBYTE

FILE: Final = "file"
_FORM: Final = "multipart/form-data"
_MAX_FORM_BYTES: Final = MEBIBYTE
"""What a form may take around its file."""

CheckFields = Callable[[dict[str, str]], object]


class Upload:
    """The file's bytes by `chunks`; `fields` holds what came so far, and all of it once the chunks are at their end."""

    def __init__(self, request: web.Request, medium: MediaType, max_stall_seconds: float) -> None:
        refuse_encoding(request)
        self._request = request
        self._max_stall_seconds = max_stall_seconds
        self._form = Form(request, max_stall_seconds, _query(request)) if request.content_type == _FORM else None
        self.fields = _query(request) if self._form is None else self._form.fields
        if self._form is None and not _is_file(request.content_type):
            raise UnsupportedContentType(f"the body must be {_FORM}, application/octet-stream, or of a type of media")
        max_bytes = LIMITS[medium].max_bytes
        if (request.content_length or 0) > max_bytes + (self._form is not None) * _MAX_FORM_BYTES:
            raise FileTooLarge(f"is larger than the {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB) that one {medium} may have").of_field(
                FILE
            )

    async def chunks(self, check: CheckFields) -> AsyncIterator[bytes]:
        """`check` says what is wrong with the fields that are known as the file begins: a client need not send all of it to learn that."""
        has_file = False
        async for file in self._files():
            has_file = True
            check(self.fields)
            async for chunk in file:
                yield chunk
        if not has_file:
            raise InvalidRequest(f"{FILE} must be given, as a part of the form", field=FILE)

    async def _files(self) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        if self._form is None:
            yield body(self._request, self._max_stall_seconds)
        else:
            async for _, file in self._form.files({FILE}):
                yield file


def _query(request: web.Request) -> dict[str, str]:
    if len(request.query) > len(set(request.query)):
        raise InvalidRequest("a parameter of the query is given twice")
    return dict(request.query)


def _is_file(content_type: str) -> bool:
    return content_type.split("/", maxsplit=1)[0] in set(MediaType) or content_type in ("application/octet-stream", "application/ogg")
