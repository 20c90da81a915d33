"""Uploaded bytes, in chunks: nobody's while they come in, then an asset's, gone with it or when they are no longer needed."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from index_svc.records import Media
from index_svc.store.assets import IS_THERE
from index_svc.store.database import Connection

CHUNK_BYTES: Final = 1 << 20
UPLOAD_SECONDS: Final = 120
"""An upload that has written nothing for so long is not going on any more."""
FAILED_HOURS: Final = 24
"""How long what could not be fingerprinted waits to be tried again, where the project keeps no media."""


async def begin_media(connection: Connection, media: UUID, project: UUID, content_type: str) -> None:
    await connection.execute(
        "INSERT INTO media (id, project, content_type, expires_at) VALUES (%s, %s, %s, now() + make_interval(secs => %s))",
        [media, project, content_type, UPLOAD_SECONDS],
    )


async def append_chunk(connection: Connection, media: UUID, number: int, content: bytes) -> bool:
    """False: the upload was given up meanwhile."""
    still = await connection.execute(
        "UPDATE media SET expires_at = now() + make_interval(secs => %s) WHERE id = %s AND asset IS NULL", [UPLOAD_SECONDS, media]
    )
    if still.rowcount != 1:
        return False
    await connection.execute("INSERT INTO media_chunks (media, number, content) VALUES (%s, %s, %s)", [media, number, content], binary=True)
    return True


async def give_media(connection: Connection, media: UUID, asset: int, size_bytes: int, sha256: str) -> bool:
    """From now on they are the asset's. False: the upload was given up meanwhile."""
    done = await connection.execute(
        "UPDATE media SET asset = %s, size_bytes = %s, sha256 = %s, expires_at = NULL WHERE id = %s AND asset IS NULL",
        [asset, size_bytes, sha256, media],
    )
    return done.rowcount == 1


async def delete_nobodys(connection: Connection, media: UUID) -> None:
    """Unless an asset was given them."""
    await connection.execute("DELETE FROM media WHERE id = %s AND asset IS NULL", [media])


async def delete_expired_media(connection: Connection, limit: int) -> int:
    """How many files nobody needs any more, at most so many at once; those of uploads that ended half way are among them."""
    done = await connection.execute(
        "DELETE FROM media WHERE id IN"
        " (SELECT id FROM media WHERE expires_at <= now() ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        [limit],
    )
    return done.rowcount


async def settle_ready(connection: Connection, asset: int) -> None:
    """The asset is ready: its bytes go, unless its project keeps them, and for how long."""
    await connection.execute(
        "DELETE FROM media USING projects WHERE media.asset = %s AND projects.id = media.project AND NOT projects.store_media", [asset]
    )
    await connection.execute(
        "UPDATE media SET expires_at = now() + make_interval(days => projects.media_days) FROM projects"
        " WHERE media.asset = %s AND projects.id = media.project",
        [asset],
    )


async def settle_failed(connection: Connection, asset: int) -> None:
    """The asset has failed: its bytes wait a while for another try, unless its project keeps them."""
    await connection.execute(
        "UPDATE media SET expires_at = now() + make_interval(hours => %s) FROM projects"
        " WHERE media.asset = %s AND projects.id = media.project AND NOT projects.store_media",
        [FAILED_HOURS, asset],
    )


async def need_again(connection: Connection, asset: int) -> bool:
    """Whether the asset's bytes are still there, and then they stay; true of one that has a URL instead."""
    kept = await connection.execute("UPDATE media SET expires_at = NULL WHERE asset = %s", [asset])
    if kept.rowcount == 1:
        return True
    found = await connection.execute("SELECT 1 FROM assets WHERE number = %s AND url IS NOT NULL", [asset])
    return await found.fetchone() is not None


async def drop_media(connection: Connection, asset: int) -> None:
    await connection.execute("DELETE FROM media WHERE asset = %s", [asset])


async def drop_kept_media(connection: Connection, project: UUID) -> None:
    """The project keeps no media any more: what it has kept goes with the next sweep, and the URLs go at once."""
    await connection.execute(
        "UPDATE media SET expires_at = now() FROM assets"
        " WHERE media.project = %s AND assets.number = media.asset AND assets.status = 'ready'",
        [project],
    )
    await connection.execute("UPDATE assets SET url = NULL WHERE project = %s AND status = 'ready' AND url IS NOT NULL", [project])


async def find_media(connection: Connection, asset: int) -> Media | None:
    """The bytes that the job of this asset is about."""
    found = await connection.execute("SELECT id, content_type, size_bytes, sha256 FROM media WHERE asset = %s", [asset])
    row = await found.fetchone()
    return Media(**row) if row else None


async def find_kept_media(connection: Connection, project: UUID, asset: UUID) -> Media | None:
    """What the owner may have back: of an asset that is there, where the project keeps media."""
    found = await connection.execute(
        "SELECT media.id, media.content_type, media.size_bytes, media.sha256"  # noqa: S608
        " FROM media JOIN assets ON assets.number = media.asset JOIN projects ON projects.id = assets.project"
        " WHERE assets.project = %s AND assets.id = %s AND projects.store_media"
        f" AND (media.expires_at IS NULL OR media.expires_at > now()) AND {IS_THERE}",
        [project, asset],
    )
    row = await found.fetchone()
    return Media(**row) if row else None


async def read_chunk(connection: Connection, media: UUID, number: int) -> bytes | None:
    """None: there is none of that number (any more)."""
    cursor = connection.cursor(binary=True)
    await cursor.execute("SELECT content FROM media_chunks WHERE media = %s AND number = %s", [media, number])
    row = await cursor.fetchone()
    return row["content"] if row else None
