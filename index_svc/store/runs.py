"""Runs: what came lately to a shelf becomes one, in blocks sorted by term."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg.rows import class_row, tuple_row

from index_svc import blocks
from index_svc.blocks import Block
from index_svc.store.database import Connection

PACKED_FROM: Final = 50_000
"""Postings; a search reads fewer than that unsorted."""
FIRST_TERM: Final = int(np.iinfo(np.int64).min)
LAST_TERM: Final = int(np.iinfo(np.int64).max)
_PACKED_AT_ONCE: Final = 1000
PACKING_LOCK: Final = 0x6D6D_7061


@dataclass(frozen=True, slots=True)
class Shelf:
    """Of one project, all that is of one medium; the sounds of films are as good as a medium of their own."""

    project: int
    media_type: int


async def full_shelves(connection: Connection) -> list[Shelf]:
    """Where enough has come to be packed."""
    async with connection.cursor(row_factory=class_row(Shelf)) as cursor:
        await cursor.execute(
            "SELECT project, media_type FROM unpacked GROUP BY project, media_type HAVING sum(cardinality(terms)) >= %s", [PACKED_FROM]
        )
        return await cursor.fetchall()


async def pack(connection: Connection, shelf: Shelf) -> bool:
    """What came to the shelf lately becomes a run; False: there is nothing, or somebody else is packing."""
    if not await is_alone(connection, PACKING_LOCK):
        return False
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            "DELETE FROM unpacked WHERE (asset, media_type) IN ("
            " SELECT asset, media_type FROM unpacked WHERE project = %s AND media_type = %s"
            "  ORDER BY asset LIMIT %s FOR UPDATE SKIP LOCKED"
            ") RETURNING asset, terms, positions",
            [shelf.project, shelf.media_type, _PACKED_AT_ONCE],
        )
        found = blocks.joined([blocks.of_asset(*row) for row in await cursor.fetchall()])
    if not len(found):
        return False
    first_asset = int(found.assets.min())
    made = await asyncio.to_thread(lambda: list(blocks.blocks(blocks.in_order(found), first_asset)))
    await write_blocks(connection, await insert_run(connection, shelf, first_asset, len(found), LAST_TERM), made)
    return True


async def is_alone(connection: Connection, lock: int) -> bool:
    """One process does it at a time; the lock ends with the transaction."""
    cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS is_ours", [lock])
    return bool((await cursor.fetchall())[0]["is_ours"])


async def insert_run(connection: Connection, shelf: Shelf, first_asset: int, count: int, last_term: int) -> int:
    cursor = await connection.execute(
        "INSERT INTO runs (project, media_type, first_asset, postings, first_term, last_term) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        [shelf.project, shelf.media_type, first_asset, count, FIRST_TERM, last_term],
    )
    return int((await cursor.fetchall())[0]["id"])


async def write_blocks(connection: Connection, run: int, made: list[Block]) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY blocks (run, first_term, pairs, positions) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "int8", "bytea", "bytea"])
        for block in made:
            await copy.write_row((run, block.first_term, block.pairs, block.positions))
