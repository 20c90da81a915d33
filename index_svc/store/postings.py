"""Searching: the vote of the query's terms, and what is read of the assets that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from index_svc.records import MEDIUM_NUMBER, Asset, Fingerprint, Narrowing
from index_svc.store.assets import COLUMNS, IS_THERE, to_asset
from index_svc.store.database import Connection
from mesh.media import MediaType

SHIFT_MS: Final = 4000
"""Two assets agree on how far one lies behind the other; a changed tempo moves that slowly, hence not less."""

# A term counts once a shift, however often it is there. Assets of the same bytes come first, whatever their terms: a blank has none.
_CANDIDATES: Final = """
WITH query AS (
  SELECT DISTINCT term, position FROM unnest(%(terms)s::bigint[], %(positions)s::integer[]) AS given (term, position)
), shifts AS (
  SELECT postings.asset, count(DISTINCT query.term) AS votes
    FROM query JOIN postings ON postings.term = query.term
   WHERE postings.project = (SELECT number FROM projects WHERE id = %(project)s) AND postings.media_type = %(media_type)s
   GROUP BY postings.asset, (postings.position - query.position) / %(shift)s
), named AS (
  SELECT asset, max(votes) AS votes FROM shifts GROUP BY asset
  UNION ALL
  SELECT number, %(identical)s FROM assets
   WHERE project = %(project)s AND media_type = %(media_type)s AND sha256 = %(sha256)s
), voted AS (
  SELECT asset, max(votes) AS votes FROM named GROUP BY asset
)
SELECT voted.asset AS number, voted.votes
  FROM voted JOIN assets ON assets.number = voted.asset
 WHERE assets.project = %(project)s AND assets.status = 'ready'
   AND (assets.expires_at IS NULL OR assets.expires_at > now())
   AND assets.algorithm = %(algorithm)s AND assets.version = %(version)s
   AND (%(collections)s::text[] IS NULL OR assets.collection = ANY(%(collections)s))
   AND assets.metadata @> %(metadata)s
   AND (%(without)s::uuid IS NULL OR assets.id <> %(without)s)
 ORDER BY voted.votes DESC, voted.asset
 LIMIT %(limit)s
"""
_IDENTICAL: Final = 2**40


async def find_candidates(
    connection: Connection, project: UUID, media_type: MediaType, query: Fingerprint, narrowing: Narrowing, limit: int
) -> list[tuple[int, int]]:
    """Numbers of ready assets and their votes, the most votes first."""
    cursor = await connection.execute(
        _CANDIDATES,
        {
            "project": project,
            "media_type": MEDIUM_NUMBER[media_type],
            "terms": query.terms,
            "positions": query.positions,
            "shift": SHIFT_MS,
            "identical": _IDENTICAL,
            "sha256": query.sha256,
            "algorithm": query.algorithm,
            "version": query.version,
            "collections": narrowing.collections or None,
            "metadata": Jsonb(narrowing.metadata),
            "without": narrowing.without,
            "limit": limit,
        },
    )
    return [(row["number"], row["votes"]) for row in await cursor.fetchall()]


async def read_payloads(connection: Connection, project: UUID, numbers: Sequence[int]) -> dict[int, bytes]:
    """The fingerprints that are still there, by the asset's number."""
    cursor = await connection.execute(
        "SELECT fingerprints.asset, fingerprints.payload FROM fingerprints JOIN assets ON assets.number = fingerprints.asset"
        " WHERE assets.project = %s AND fingerprints.asset = ANY(%s)",
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


async def read_fingerprint(connection: Connection, project: UUID, asset: UUID, media_type: MediaType) -> Fingerprint | None:
    """What is stored of a ready asset of that medium."""
    cursor = await connection.execute(
        "SELECT assets.algorithm, assets.version, assets.sha256, fingerprints.payload, fingerprints.terms, fingerprints.positions"  # noqa: S608
        " FROM assets JOIN fingerprints ON fingerprints.asset = assets.number"
        " WHERE assets.project = %s AND assets.id = %s AND assets.media_type = %s AND assets.status = 'ready'"
        f" AND {IS_THERE}",
        [project, asset, MEDIUM_NUMBER[media_type]],
        binary=True,
    )
    row = await cursor.fetchone()
    return Fingerprint(**row) if row else None
