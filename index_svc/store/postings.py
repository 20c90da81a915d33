"""Searching: the vote of the query's terms, and what is read of the assets that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from index_svc import blocks
from index_svc.blocks import Block, PlacedBlock, Postings
from index_svc.records import MEDIUM_NUMBER, Asset, Fingerprint, Narrowing
from index_svc.store.assets import COLUMNS, IS_THERE, to_asset
from index_svc.store.database import Connection
from index_svc.store.sounds import facet_of
from index_svc.voting import vote
from mesh.media import MediaType

# A term that is in so much says nothing, and would cost as much to read as all others together.
_MAX_BLOCK_BYTES: Final = 1 << 18
_NARROWED_AT_ONCE: Final = 2
"""Times as many as are wanted: most are there."""
_UNPACKED: Final = """
SELECT asset, terms, positions FROM unpacked
 WHERE project = (SELECT number FROM projects WHERE id = %(project)s) AND media_type = %(shelf)s
"""
# The block of each term in every large run, and small runs whole: as far as each is to be looked into. LIMIT keeps every plan on the index.
_BLOCKS: Final = """
WITH ours AS (
  SELECT id, first_asset, first_term, last_term, postings <= %(small)s AS is_small FROM runs
   WHERE project = (SELECT number FROM projects WHERE id = %(project)s) AND media_type = %(shelf)s
)
SELECT ours.id, ours.first_asset, found.first_term, found.pairs, found.positions
  FROM ours CROSS JOIN unnest(%(terms)s::bigint[]) AS given (term) CROSS JOIN LATERAL (
    SELECT first_term, pairs, positions FROM blocks WHERE run = ours.id AND first_term BETWEEN ours.first_term AND given.term
     ORDER BY first_term DESC LIMIT 1
  ) AS found
 WHERE NOT ours.is_small AND given.term BETWEEN ours.first_term AND ours.last_term AND octet_length(found.pairs) <= %(max_block_bytes)s
UNION ALL
SELECT ours.id, ours.first_asset, found.first_term, found.pairs, found.positions
  FROM ours CROSS JOIN LATERAL (
    SELECT first_term, pairs, positions FROM blocks WHERE run = ours.id AND first_term BETWEEN ours.first_term AND ours.last_term
     ORDER BY first_term LIMIT %(small)s
  ) AS found
 WHERE ours.is_small AND octet_length(found.pairs) <= %(max_block_bytes)s
"""
_NARROWED: Final = """
SELECT assets.number FROM assets {join}
 WHERE assets.number = ANY(%(numbers)s) AND assets.project = %(project)s AND assets.media_type = %(media_type)s
   AND assets.status = 'ready' AND (assets.expires_at IS NULL OR assets.expires_at > now())
   AND {kinds}.algorithm = %(algorithm)s AND {kinds}.version = %(version)s
   AND (%(collections)s::text[] IS NULL OR assets.collection = ANY(%(collections)s))
   AND assets.metadata @> %(metadata)s
   AND (%(without)s::uuid IS NULL OR assets.id <> %(without)s)
"""


async def find_candidates(
    connection: Connection,
    project: UUID,
    media_type: MediaType,
    query: Fingerprint,
    narrowing: Narrowing,
    limit: int,
    *,
    through: MediaType | None = None,
) -> list[int]:
    """Numbers of ready assets: those of the same bytes first, whatever their terms (a blank has none), then by their votes."""
    facet = facet_of(media_type, through)
    narrowed = _NARROWED.format(join=facet.kinds_join, kinds=facet.kinds)
    about = {"project": project, "media_type": MEDIUM_NUMBER[media_type], "shelf": facet.shelf}
    same = await connection.execute(
        "SELECT number FROM assets WHERE project = %(project)s AND media_type = %(media_type)s AND sha256 = %(sha256)s ORDER BY number",
        {**about, "sha256": query.sha256},
    )
    identical = [row["number"] for row in await same.fetchall()]
    asked = blocks.of_asset(0, query.terms, query.positions)
    voted, _ = vote(asked, await _read_postings(connection, about, sorted(set(query.terms))))
    numbers = [*identical, *voted[~np.isin(voted, identical)].tolist()]
    there = {
        **about,
        "algorithm": query.algorithm,
        "version": query.version,
        "collections": narrowing.collections or None,
        "metadata": Jsonb(narrowing.metadata),
        "without": narrowing.without,
    }
    found: list[int] = []
    start, count = 0, _NARROWED_AT_ONCE * limit
    while len(found) < limit and start < len(numbers):
        some = numbers[start : start + count]
        cursor = await connection.execute(narrowed, {**there, "numbers": some})
        left = {row["number"] for row in await cursor.fetchall()}
        found += [number for number in some if number in left]
        # Where the narrowing leaves little, the next look goes further down.
        start, count = start + count, 4 * count
    return found[:limit]


async def _read_postings(connection: Connection, about: dict[str, object], terms: list[int]) -> Postings:
    """What the project's media have on that shelf of these terms, and some of their neighbours."""
    if not terms:
        return blocks.joined(())
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        # First: what is packed meanwhile is read twice rather than never.
        await cursor.execute(_UNPACKED, about)
        unpacked = [blocks.of_asset(*row) for row in await cursor.fetchall()]
        small = len(terms) * blocks.BLOCK_POSTINGS
        await cursor.execute(_BLOCKS, {**about, "terms": terms, "small": small, "max_block_bytes": _MAX_BLOCK_BYTES})
        # Neighbouring terms lie in one block.
        found = {(run, block[0]): PlacedBlock(first_asset, Block(*block)) for run, first_asset, *block in await cursor.fetchall()}
    return blocks.joined([*unpacked, blocks.read_blocks(list(found.values()))])


async def read_payloads(
    connection: Connection, project: UUID, numbers: Sequence[int], media_type: MediaType, through: MediaType | None = None
) -> dict[int, bytes]:
    """The fingerprints of assets of that medium that are still there, by the asset's number."""
    facet = facet_of(media_type, through)
    cursor = await connection.execute(
        f"SELECT assets.number AS asset, {facet.payloads}.payload FROM assets {facet.join}"  # noqa: S608
        " WHERE assets.project = %s AND assets.number = ANY(%s)",
        [project, list(numbers)],
        binary=True,
    )
    return {row["asset"]: row["payload"] for row in await cursor.fetchall()}


async def read_ready(connection: Connection, project: UUID, numbers: Sequence[int]) -> dict[int, Asset]:
    """The assets that are ready just now, by their number."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM assets WHERE project = %s AND number = ANY(%s) AND status = 'ready' AND {IS_THERE}",  # noqa: S608
        [project, list(numbers)],
    )
    return {row["number"]: to_asset(row) for row in await cursor.fetchall()}


async def read_fingerprint(
    connection: Connection, project: UUID, asset: UUID, media_type: MediaType, through: MediaType | None = None
) -> Fingerprint | None:
    """What is stored of a ready asset of that medium, but for its terms."""
    facet = facet_of(media_type, through)
    cursor = await connection.execute(
        f"SELECT {facet.kinds}.algorithm, {facet.kinds}.version, assets.sha256, {facet.payloads}.payload"  # noqa: S608
        f" FROM assets {facet.join}"
        " WHERE assets.project = %s AND assets.id = %s AND assets.media_type = %s AND assets.status = 'ready'"
        f" AND {IS_THERE}",
        [project, asset, MEDIUM_NUMBER[media_type]],
        binary=True,
    )
    row = await cursor.fetchone()
    return Fingerprint(**row, terms=[], positions=[]) if row else None
