"""Merging: runs become one, a slice of their terms in each transaction; between these a posting stands in one of them, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import class_row, tuple_row

from index_svc import blocks
from index_svc.blocks import Block, PlacedBlock
from index_svc.records import MEDIUM_NUMBER
from index_svc.store.database import Connection
from index_svc.store.runs import FIRST_TERM, LAST_TERM, Shelf, insert_run, is_alone, write_blocks
from index_svc.store.sounds import SHELF
from mesh.media import MediaType

_MERGED_FROM: Final = 0.5
"""So much of the next larger run the smaller ones come to: less makes fewer runs to look into, and writes a posting more often."""
_SLICE_POSTINGS: Final = 1_000_000
_LOCK: Final = 0x6D6D_6D65
_GONE: Final = LAST_TERM
_RIPE: Final = f"""
SELECT project, media_type, min(first_asset) AS first_asset, array_agg(id) AS runs FROM (
  SELECT *, bool_or(smaller >= {_MERGED_FROM} * postings)
      OVER (PARTITION BY project, media_type ORDER BY postings DESC, id DESC) AS is_reached
    FROM (
      SELECT *, sum(postings)
          OVER (PARTITION BY project, media_type ORDER BY postings, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS smaller
        FROM runs WHERE merged_into IS NULL AND id NOT IN (SELECT merged_into FROM runs WHERE merged_into IS NOT NULL)
    ) AS free
) AS weighed WHERE is_reached OR is_stale GROUP BY project, media_type
"""  # noqa: S608
_SMALLEST: Final = """
SELECT runs.project, runs.media_type, runs.first_asset, runs.id AS merged FROM runs JOIN runs AS part ON part.merged_into = runs.id
 GROUP BY runs.id ORDER BY sum(part.postings), runs.id LIMIT 1
"""
# As far as each part's share of a slice goes at most; nothing where all of them end within.
_CUT: Final = """
SELECT min(found.first_term) AS cut FROM unnest(%(parts)s::bigint[], %(shares)s::bigint[]) AS part (run, share) CROSS JOIN LATERAL (
  SELECT first_term FROM blocks WHERE run = part.run AND first_term >= %(first)s ORDER BY first_term OFFSET part.share LIMIT 1
) AS found
"""
_TAKE: Final = (
    "DELETE FROM blocks WHERE run = ANY(%(runs)s) AND first_term BETWEEN %(first)s AND %(last)s RETURNING run, first_term, pairs, positions"
)


@dataclass(frozen=True, slots=True)
class Merge:
    """On one shelf, the run that several become, and the lowest number of an asset in them."""

    project: int
    media_type: int
    first_asset: int
    merged: int


@dataclass(frozen=True, slots=True)
class Part:
    """A run, as far as it was not merged yet; the merged one itself is one of them."""

    id: int
    first_asset: int
    postings: int
    first_term: int


async def begin_merges(connection: Connection) -> None:
    """Wherever there are runs that are stale, or small ones that together come to much of a larger one."""
    if not await is_alone(connection, _LOCK):
        return
    found = await connection.execute(_RIPE)
    for row in await found.fetchall():
        # In this order everywhere, so that nobody waits for each other.
        await connection.execute("SELECT FROM runs WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [row["runs"]])
        merged = await insert_run(connection, Shelf(row["project"], row["media_type"]), row["first_asset"], 0, FIRST_TERM)
        await connection.execute("UPDATE runs SET merged_into = %s WHERE id = ANY(%s)", [merged, row["runs"]])


async def smallest_merge(connection: Connection) -> Merge | None:
    """Which is to go on next: a large one waits for those that take a moment. None: there is none, or somebody else is merging."""
    if not await is_alone(connection, _LOCK):
        return None
    async with connection.cursor(row_factory=class_row(Merge)) as cursor:
        await cursor.execute(_SMALLEST)
        return await cursor.fetchone()


async def merge_slice(connection: Connection, merge: Merge, stale_runs: NDArray[np.int64]) -> None:
    """One slice more of the runs goes over, without what is stale in them; after the last one they are gone."""
    async with connection.cursor(row_factory=class_row(Part)) as cursor:
        await cursor.execute(
            "SELECT id, first_asset, postings, first_term FROM runs WHERE %s IN (id, merged_into) ORDER BY id FOR UPDATE", [merge.merged]
        )
        parts = {part.id: part for part in await cursor.fetchall()}
    merged = parts.get(merge.merged)
    sources = [part for part in parts.values() if part is not merged]
    if merged is None or not sources:
        return
    first = min(part.first_term for part in sources)
    cut = await _cut(connection, sources, first)
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(_TAKE, {"runs": list(parts), "first": first, "last": LAST_TERM if cut is None else cut - 1})
        rows = await cursor.fetchall()
    made, added, last = await asyncio.to_thread(_merged, rows, parts, merged, cut, stale_runs)
    await write_blocks(connection, merged.id, made)
    await connection.execute("UPDATE runs SET postings = postings + %s, last_term = %s WHERE id = %s", [added, last, merged.id])
    identities = [part.id for part in sources]
    if cut is not None:
        await connection.execute("UPDATE runs SET first_term = %s WHERE id = ANY(%s)", [cut, identities])
        return
    await connection.execute("DELETE FROM runs WHERE id = ANY(%s) OR id = %s AND postings = 0", [identities, merged.id])


async def read_stale_runs(connection: Connection, merge: Merge) -> NDArray[np.int64]:
    """By the number of the asset, from the first one on: the run up to which all is stale; every run of an asset that is gone.

    What becomes stale later is merged once more: whoever makes it so marks the merged run.
    """
    medium, noted = merge.media_type, "assets.stale_runs FROM assets"
    if merge.media_type == SHELF:
        medium, noted = MEDIUM_NUMBER[MediaType.VIDEO], "sounds.stale_runs FROM assets JOIN sounds ON sounds.asset = assets.number"
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"SELECT assets.number, {noted} JOIN projects ON projects.id = assets.project"
            " WHERE projects.number = %s AND assets.media_type = %s AND assets.number >= %s",
            [merge.project, medium, merge.first_asset],
        )
        found = np.array(await cursor.fetchall(), np.int64).reshape(-1, 2)
    numbers = found[:, 0] - merge.first_asset
    stale = np.full(int(numbers.max(initial=-1)) + 2, _GONE, np.int64)
    stale[numbers] = found[:, 1]
    return stale


async def _cut(connection: Connection, sources: Sequence[Part], first: int) -> int | None:
    """The term before which the slice ends."""
    together = max(1, sum(part.postings for part in sources))
    wanted = _SLICE_POSTINGS // blocks.BLOCK_POSTINGS
    shares = [max(1, wanted * part.postings // together) for part in sources]
    cursor = await connection.execute(_CUT, {"parts": [part.id for part in sources], "shares": shares, "first": first})
    cut = (await cursor.fetchall())[0]["cut"]
    return None if cut is None else int(cut)


def _merged(
    rows: Sequence[tuple[int, int, bytes, bytes | None]],
    parts: dict[int, Part],
    merged: Part,
    cut: int | None,
    stale_runs: NDArray[np.int64],
) -> tuple[list[Block], int, int]:
    """The blocks that become of those, how many postings come to the run by them, and up to where it is to be looked into from then on."""
    placed = [PlacedBlock(parts[run].first_asset, Block(term, pairs, positions)) for run, term, pairs, positions in rows]
    counts = [each.block.count for each in placed]
    read = blocks.read_blocks(placed)
    origins = np.repeat(np.array([row[0] for row in rows], np.int64), counts)
    is_alive = origins > stale_runs[np.minimum(read.assets - merged.first_asset, len(stale_runs) - 1)]
    alive = blocks.in_order(read.where(is_alive))
    # The last terms of a block may lie beyond the cut: they make blocks of their own, which the next slice takes up again.
    end = len(alive) if cut is None else int(np.searchsorted(alive.terms, cut))
    places = np.arange(len(alive))
    made = [block for some in (places < end, places >= end) for block in blocks.blocks(alive.where(some), merged.first_asset)]
    last = LAST_TERM if cut is None else int(alive.terms[-1]) if end < len(alive) else cut - 1
    return made, len(alive) - int((origins == merged.id).sum()), last
