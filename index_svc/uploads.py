"""Bytes that clients send: held to the medium's cap and type while they come, kept in the database or spooled in memory, given back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from index_svc.access import Access
from index_svc.held_media import HeldMedia
from index_svc.index import Index
from index_svc.kept_media import read_media
from index_svc.records import AssetDraft, Media, Received
from index_svc.store import media as store
from index_svc.store.database import Database
from mesh.errors import DeadlineExceeded, FileTooLarge, MeshError, NotFound, UnsupportedMedia
from mesh.media import MediaType
from mesh.media_file import MediaFile
from mesh.media_type import LIMITS, MEBIBYTE, SNIFF_BYTES, accepts, sniff

_FIELD: Final = "file"


class Uploads:
    def __init__(self, database: Database, access: Access, index: Index, held: HeldMedia) -> None:
        self._database = database
        self._access = access
        self._index = index
        self._held = held

    async def require(self, project: UUID, feature: str) -> None:
        """Before anything is read."""
        async with self._database.transaction() as connection:
            await self._access.require_project(connection, project)
            await self._access.require_feature(connection, project, feature)

    @asynccontextmanager
    async def receive(self, project: UUID, medium: MediaType, chunks: AsyncIterator[bytes]) -> AsyncIterator[Received]:
        """The bytes in the database. They are gone when the block ends, unless an asset was given them."""
        media, digest, size = uuid4(), hashlib.sha256(), 0
        try:
            number = 0
            async for content in _grouped(_checked(medium, chunks), store.CHUNK_BYTES):
                async with self._database.transaction() as connection:
                    if number == 0:
                        await store.begin_media(connection, media, project, sniff(content[:SNIFF_BYTES]) or "")
                    if not await store.append_chunk(connection, media, number, content):
                        raise DeadlineExceeded("the upload was given up, for it stood still for too long")
                digest.update(content)
                size += len(content)
                number += 1
            yield Received(media, size, digest.hexdigest())
        finally:
            # Also where the caller has gone; what this cannot do, or a killed process leaves, is swept up.
            with suppress(MeshError):
                await asyncio.shield(self._forget(media))

    async def accept(self, project: UUID, draft: AssetDraft, received: Received, idempotency_key: str) -> tuple[UUID, UUID]:
        """The ids of the asset that the bytes belong to from now on, and of its job; of the first one's where this was sent before."""
        return await self._index.accept(project, replace(draft, sha256=received.sha256), idempotency_key, received)

    @asynccontextmanager
    async def hold(self, medium: MediaType, chunks: AsyncIterator[bytes]) -> AsyncIterator[MediaFile]:
        """The bytes in memory, for as long as the block: slow clients wait here, and not where media are compared."""
        with self._held.room() as room, MediaFile() as media:
            async for chunk in _checked(medium, chunks):
                room.grow(len(chunk))
                media.write(chunk)
            media.seal()
            yield media

    async def find(self, project: UUID, asset: UUID) -> Media:
        """What is kept of an asset."""
        async with self._database.transaction() as connection:
            found = await store.find_kept_media(connection, project, asset)
        if found is None:
            raise NotFound("there is no such asset whose media are kept")
        return found

    def read(self, media: Media) -> AsyncIterator[bytes]:
        return read_media(self._database, media)

    async def _forget(self, media: UUID) -> None:
        async with self._database.transaction() as connection:
            await store.delete_nobodys(connection, media)


async def _checked(medium: MediaType, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, as long as they are of a type that the medium takes, and not too many."""
    max_bytes = LIMITS[medium].max_bytes
    size, head, is_known = 0, b"", False
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise FileTooLarge(f"is larger than the {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB) that one {medium} may have").of_field(
                _FIELD
            )
        if is_known:
            yield chunk
            continue
        head += chunk
        if len(head) >= SNIFF_BYTES:
            _check_type(medium, head)
            is_known = True
            yield head
    if not is_known:
        _check_type(medium, head)
        yield head


def _check_type(medium: MediaType, head: bytes) -> None:
    if not head:
        raise UnsupportedMedia("is empty").of_field(_FIELD)
    content_type = sniff(head)
    if content_type is None or not accepts(medium, content_type):
        what = f"is {content_type}, which is no {medium}" if content_type else f"is not of a type that {medium} takes"
        raise UnsupportedMedia(what).of_field(_FIELD)


async def _grouped(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of this size, but for the last."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
