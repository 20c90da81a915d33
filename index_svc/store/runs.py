"""Packing: what came lately becomes a run of blocks, and runs of one size become a larger one, a slice of their terms at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import class_row, tuple_row

from index_svc import blocks
from index_svc.blocks import Block, PlacedBlock, Postings
from index_svc.records import MEDIUM_NUMBER
from index_svc.store.database import Connection
from index_svc.store.sounds import SHELF
from mesh.media import MediaType

PACKED_FROM: Final = 50_000
"""Postings; a search reads fewer than that unsorted."""
MERGED_AT_ONCE: Final = 4
"""So many runs of a size become one: a posting is written again each time, and a search looks into every run."""
_PACKED_AT_ONCE: Final = 1000
_SLICE_POSTINGS: Final = 2_000_000
_LOCK: Final = 0x6D6D_7061
_COLUMNS: Final = "id, project, media_type, first_asset, postings, is_stale"
_GONE: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Shelf:
    """Of one project, all that is of one medium; the sounds of films are as good as a medium of their own."""

    project: int
    media_type: int


@dataclass(frozen=True, slots=True)
class Run:
    id: int
    project: int
    media_type: int
    first_asset: int
    postings: int
    is_stale: bool = False

    @property
    def size(self) -> int:
        """How often it was multiplied by what is merged at once."""
        size, ceiling = 0, PACKED_FROM * MERGED_AT_ONCE
        while self.postings >= ceiling:
            size, ceiling = size + 1, ceiling * MERGED_AT_ONCE
        return size


async def full_shelves(connection: Connection) -> list[Shelf]:
    """Where enough has come to be packed."""
    async with connection.cursor(row_factory=class_row(Shelf)) as cursor:
        await cursor.execute(
            "SELECT project, media_type FROM unpacked GROUP BY project, media_type HAVING sum(cardinality(terms)) >= %s", [PACKED_FROM]
        )
        return await cursor.fetchall()


async def stale_shelves(connection: Connection) -> list[Shelf]:
    """Where runs hold what assets no longer have."""
    async with connection.cursor(row_factory=class_row(Shelf)) as cursor:
        await cursor.execute("SELECT DISTINCT project, media_type FROM runs WHERE is_stale")
        return await cursor.fetchall()


async def pack(connection: Connection, shelf: Shelf) -> bool:
    """What came to the shelf lately becomes a run; False: somebody else is packing."""
    if not await _lock(connection):
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
    if len(found):
        first_asset = int(found.assets.min())
        run = await _insert_run(connection, shelf, first_asset, len(found))
        await _write(connection, run, first_asset, await asyncio.to_thread(blocks.in_order, found))
    return True


async def runs_to_merge(connection: Connection, shelf: Shelf) -> list[Run]:
    """Those that are stale; else the smallest ones that are as many of a size as are merged at once."""
    async with connection.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE project = %s AND media_type = %s ORDER BY postings",  # noqa: S608
            [shelf.project, shelf.media_type],
        )
        runs = await cursor.fetchall()
    if stale := [run for run in runs if run.is_stale]:
        return stale
    for size in sorted({run.size for run in runs}):
        alike = [run for run in runs if run.size == size]
        if len(alike) >= MERGED_AT_ONCE:
            return alike
    return []


async def merge(connection: Connection, shelf: Shelf, runs: Sequence[Run]) -> bool:
    """One run instead of several, without the assets that are gone and what they had before they were fingerprinted again.

    False: somebody else is packing.
    """
    if not await _lock(connection):
        return False
    identities = [run.id for run in runs]
    held = await connection.execute("SELECT id FROM runs WHERE id = ANY(%s) FOR UPDATE", [identities])
    if len(await held.fetchall()) != len(runs):
        return True
    first_asset = min(run.first_asset for run in runs)
    merged = await _insert_run(connection, shelf, first_asset, 0)
    stale_runs = await _stale_runs(connection, shelf, first_asset)
    written, rest = 0, blocks.joined(())
    for lower, upper in await _slices(connection, identities):
        read, origins = await _read_slice(connection, runs, lower, upper)
        is_alive = origins > stale_runs[np.minimum(read.assets - first_asset, len(stale_runs) - 1)]
        found = blocks.joined([rest, read.where(is_alive)])
        is_in = np.ones(len(found), bool) if upper is None else found.terms < upper
        rest = found.where(~is_in)
        alive = await asyncio.to_thread(blocks.in_order, found.where(is_in))
        await _write(connection, merged, first_asset, alive)
        written += len(alive)
    await connection.execute("UPDATE runs SET postings = %s WHERE id = %s", [written, merged])
    await connection.execute("DELETE FROM runs WHERE id = ANY(%s)", [identities if written else [*identities, merged]])
    return True


async def _lock(connection: Connection) -> bool:
    """One process packs at a time; the lock ends with the transaction."""
    cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS is_ours", [_LOCK])
    return bool((await cursor.fetchall())[0]["is_ours"])


async def _insert_run(connection: Connection, shelf: Shelf, first_asset: int, count: int) -> int:
    cursor = await connection.execute(
        "INSERT INTO runs (project, media_type, first_asset, postings) VALUES (%s, %s, %s, %s) RETURNING id",
        [shelf.project, shelf.media_type, first_asset, count],
    )
    return int((await cursor.fetchall())[0]["id"])


async def _slices(connection: Connection, runs: list[int]) -> list[tuple[int | None, int | None]]:
    """Ranges of terms, each with about as much as is held at once."""
    cursor = await connection.execute(
        "SELECT first_term FROM (SELECT first_term, row_number() OVER (ORDER BY first_term) AS number FROM blocks WHERE run = ANY(%s))"
        " WHERE number %% %s = 0 ORDER BY first_term",
        [runs, _SLICE_POSTINGS // blocks.BLOCK_POSTINGS],
    )
    cuts = sorted({row["first_term"] for row in await cursor.fetchall()})
    return list(zip([None, *cuts], [*cuts, None], strict=True))


async def _read_slice(
    connection: Connection, runs: Sequence[Run], lower: int | None, upper: int | None
) -> tuple[Postings, NDArray[np.int64]]:
    """What stands in the blocks that begin within, and in which run; their last terms may lie beyond."""
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT run, first_term, pairs, positions FROM blocks WHERE run = ANY(%s)"
            " AND first_term >= coalesce(%s::bigint, first_term) AND (%s::bigint IS NULL OR first_term < %s::bigint)",
            [[run.id for run in runs], lower, upper, upper],
        )
        first_assets = {run.id: run.first_asset for run in runs}
        rows = await cursor.fetchall()
    found = [PlacedBlock(first_assets[run], Block(*block)) for run, *block in rows]
    origins = np.repeat(np.array([row[0] for row in rows], np.int64), [each.block.count for each in found])
    return blocks.read_blocks(found), origins


async def _stale_runs(connection: Connection, shelf: Shelf, first_asset: int) -> NDArray[np.int64]:
    """By the number of the asset, from the first one on: the run up to which all is stale; every run of an asset that is gone."""
    medium, noted = shelf.media_type, "assets.stale_runs FROM assets"
    if shelf.media_type == SHELF:
        medium, noted = MEDIUM_NUMBER[MediaType.VIDEO], "sounds.stale_runs FROM assets JOIN sounds ON sounds.asset = assets.number"
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"SELECT assets.number, {noted} JOIN projects ON projects.id = assets.project"
            " WHERE projects.number = %s AND assets.media_type = %s AND assets.number >= %s",
            [shelf.project, medium, first_asset],
        )
        found = np.array(await cursor.fetchall(), np.int64).reshape(-1, 2)
    numbers = found[:, 0] - first_asset
    stale = np.full(int(numbers.max(initial=-1)) + 2, _GONE, np.int64)
    stale[numbers] = found[:, 1]
    return stale


async def _write(connection: Connection, run: int, first_asset: int, found: Postings) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY blocks (run, first_term, pairs, positions) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "int8", "bytea", "bytea"])
        for block in blocks.blocks(found, first_asset):
            await copy.write_row((run, block.first_term, block.pairs, block.positions))
