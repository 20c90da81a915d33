"""Bytes that the database has, read chunk by chunk."""

from __future__ import annotations

from collections.abc import AsyncIterator

from index_svc.records import Media
from index_svc.store import media as store
from index_svc.store.database import Database
from mesh.errors import NotFound


async def read_media(database: Database, media: Media) -> AsyncIterator[bytes]:
    """A transaction for each chunk: whoever reads them may be slow."""
    left, number = media.size_bytes, 0
    while left > 0:
        async with database.transaction() as connection:
            chunk = await store.read_chunk(connection, media.id, number)
        if not chunk:
            raise NotFound("there is no such asset whose media are kept")
        left, number = left - len(chunk), number + 1
        yield chunk
