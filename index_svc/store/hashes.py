"""The hashes that assets are found by, whether or not the asset has media, and those that are given out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from index_svc.hashes import EXACT, NEAR, HashKind, bands, max_distance, probes
from index_svc.records import MEDIUM_NUMBER, NO_KIND, Asset, Kind, Narrowing
from index_svc.store.assets import COLUMNS, IS_THERE, to_asset
from index_svc.store.database import Connection
from index_svc.store.usage import take_places
from mesh.errors import QuotaExceeded
from mesh.media import MediaType

_BAND_SHIFT: Final = 23
"""Below the project's number: what hashes.bands makes."""

_MAX_SECONDS: Final = 120

_PROJECT: Final = "(SELECT number FROM projects WHERE id = %(project)s)"
_KEYS: Final = f"(SELECT array_agg({_PROJECT}::bigint << {_BAND_SHIFT} | band) FROM unnest(%(bands)s::bigint[]) AS band)"  # noqa: S608

_ONE_BY_ONE: Final = "SET LOCAL enable_seqscan = {0}; SET LOCAL enable_hashjoin = {0}; SET LOCAL enable_mergejoin = {0}"
_FIND: Final = """
SELECT found.asset AS number, found.distance FROM (
  {found}
) AS found JOIN assets ON assets.number = found.asset
 WHERE assets.project = %(project)s AND assets.media_type = %(media_type)s AND assets.status = 'ready'
   AND (assets.expires_at IS NULL OR assets.expires_at > now())
   AND (%(not_of)s::text IS NULL OR assets.algorithm IS NULL OR assets.algorithm <> %(not_of)s OR assets.version <> %(not_of_version)s)
   AND (%(collections)s::text[] IS NULL OR assets.collection = ANY(%(collections)s))
   AND assets.metadata @> %(metadata)s
   AND (%(without)s::uuid IS NULL OR assets.id <> %(without)s)
 ORDER BY found.distance, found.asset
 LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class HashDraft:
    """An asset that is its hash."""

    id: UUID
    kind: HashKind
    value: str
    name: str
    collection: str
    owner: str
    metadata: dict[str, Any]


async def write_hashes(connection: Connection, asset: int, hashes: dict[HashKind, str]) -> None:
    """What a ready asset can be found by; again where it is fingerprinted again."""
    columns, values = ["asset", "project", "bands"], ["assets.number", "projects.number", _keys_of("%(bands)s")]
    arguments: dict[str, Any] = {"asset": asset, "bands": [key for kind in NEAR if kind in hashes for key in bands(kind, hashes[kind])]}
    for kind, value in hashes.items():
        columns.append(kind)
        values.append(_value(kind))
        arguments[kind] = _argument(kind, value)
    await connection.execute(
        f"INSERT INTO hashes ({', '.join(columns)}) SELECT {', '.join(values)}"  # noqa: S608
        " FROM assets JOIN projects ON projects.id = assets.project WHERE assets.number = %(asset)s"
        " ON CONFLICT (asset) DO UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in columns[2:]),
        arguments,
    )


async def read_hashes(connection: Connection, project: UUID, asset: UUID, media_type: MediaType) -> dict[HashKind, str]:
    """Those of a ready asset; empty: there is none, or it has none."""
    cursor = await connection.execute(
        f"SELECT {', '.join(f'hashes.{_shown(kind)} AS {kind}' for kind in HashKind)}"  # noqa: S608
        " FROM hashes JOIN assets ON assets.number = hashes.asset"
        f" WHERE assets.project = %s AND assets.id = %s AND assets.media_type = %s AND assets.status = 'ready' AND {IS_THERE}",
        [project, asset, MEDIUM_NUMBER[media_type]],
    )
    row = await cursor.fetchone()
    return {kind: _hexadecimal(kind, row[kind]) for kind in HashKind if row[kind]} if row else {}


async def kinds_there(connection: Connection, project: UUID, media_type: MediaType) -> set[Kind]:
    """Of what kind the fingerprints of ready assets are, as far as that tells one kind from several; NO_KIND: of some there is none."""
    about = {"project": project, "media_type": MEDIUM_NUMBER[media_type]}
    ready = "FROM assets WHERE project = %(project)s AND media_type = %(media_type)s AND status = 'ready' AND algorithm"
    cursor = await connection.execute(
        f"(SELECT algorithm, version {ready} IS NOT NULL ORDER BY algorithm, version LIMIT 1) UNION ALL"
        f" (SELECT algorithm, version {ready} IS NOT NULL ORDER BY algorithm DESC, version DESC LIMIT 1) UNION ALL"
        f" (SELECT %(none)s, %(none_version)s {ready} IS NULL LIMIT 1)",
        {**about, "none": NO_KIND.algorithm, "none_version": NO_KIND.version},
    )
    return {Kind(**row) for row in await cursor.fetchall()}


async def find_by_hash(
    connection: Connection,
    project: UUID,
    media_type: MediaType,
    kind: HashKind,
    value: str,
    narrowing: Narrowing,
    limit: int,
    *,
    not_of: Kind | None,
) -> list[tuple[int, int]]:
    """Numbers of ready assets and the bits in which their hash differs, the nearest first; without those of `not_of`."""
    if kind in EXACT:
        found = f"SELECT asset, 0 AS distance FROM hashes WHERE project = {_PROJECT} AND {kind} = %(value)s"  # noqa: S608
    else:
        # A planner that cannot know how rare the bands are would rather read everything.
        await connection.execute(_ONE_BY_ONE.format("off"))
        distance = f"bit_count({kind} # {_value(kind, 'value')})"
        found = f"SELECT asset, {distance} AS distance FROM hashes WHERE bands && {_KEYS} AND {distance} <= %(max_distance)s"  # noqa: S608
    arguments = {
        "value": _argument(kind, value),
        "bands": [] if kind in EXACT else probes(kind, value),
        "max_distance": max_distance(kind),
    }
    numbers = await _find(connection, project, media_type, found, arguments, narrowing, limit, not_of)
    if kind not in EXACT:
        await connection.execute(_ONE_BY_ONE.format("on"))
    return numbers


async def find_same_bytes(
    connection: Connection, project: UUID, media_type: MediaType, sha256: str, narrowing: Narrowing, limit: int, *, not_of: Kind | None
) -> list[int]:
    """Ready assets whose fingerprint was made from these bytes, whether or not they carry hashes; without those of `not_of`."""
    found = (
        "SELECT number AS asset, 0 AS distance FROM assets"
        " WHERE project = %(project)s AND media_type = %(media_type)s AND sha256 = %(value)s"
    )
    return [number for number, _ in await _find(connection, project, media_type, found, {"value": sha256}, narrowing, limit, not_of)]


async def insert_hash_assets(
    connection: Connection, project: UUID, media_type: MediaType, job: UUID, drafts: Sequence[HashDraft], ttl_seconds: int | None
) -> int:
    """How many of them the project did not have yet; they are ready at once. The time to live of those that it had starts anew."""
    # A thousand rows have 16,000 places in the index of bands, which a busy disk takes its time over.
    await connection.execute(f"SET LOCAL statement_timeout = '{_MAX_SECONDS}s'")
    added = await connection.execute(
        "INSERT INTO assets (id, project, media_type, status, job, name, collection, owner, metadata, expires_at, finished_at)"
        " SELECT given.id, %(project)s, %(media_type)s, 'ready', %(job)s, given.name, given.collection, given.owner, given.metadata,"
        " now() + make_interval(secs => %(ttl)s), now()"
        " FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(collections)s::text[], %(owners)s::text[], %(metadata)s::jsonb[])"
        " AS given (id, name, collection, owner, metadata)"
        " ON CONFLICT (project, id) DO UPDATE SET expires_at = excluded.expires_at"
        # No transaction has yet replaced a row that is new.
        " RETURNING id, number, xmax = 0 AS is_new",
        {
            "project": project,
            "media_type": MEDIUM_NUMBER[media_type],
            "job": job,
            "ttl": ttl_seconds,
            "ids": [draft.id for draft in drafts],
            "names": [draft.name for draft in drafts],
            "collections": [draft.collection for draft in drafts],
            "owners": [draft.owner for draft in drafts],
            "metadata": [Jsonb(draft.metadata) for draft in drafts],
        },
    )
    numbers = {row["id"]: row["number"] for row in await added.fetchall() if row["is_new"]}
    for kind in HashKind:
        new = [(numbers[draft.id], draft.value) for draft in drafts if draft.kind is kind and draft.id in numbers]
        await _insert_hashes(connection, project, kind, new)
    await connection.execute("UPDATE jobs SET total = total + %s WHERE id = %s", [len(numbers), job])
    # Last, because it locks the project's count of ready assets.
    if numbers and not await take_places(connection, project, media_type, len(numbers)):
        raise QuotaExceeded("the project's plan has no places left for these; the rows before are taken in")
    return len(numbers)


async def export_hashes(
    connection: Connection, project: UUID, kind: HashKind, media_type: MediaType | None, collection: str | None, after: int, limit: int
) -> list[tuple[str, Asset]]:
    """From above the number `after`, in the order of indexing."""
    cursor = await connection.execute(
        f"SELECT hashes.{_shown(kind)} AS hash, {COLUMNS} FROM hashes JOIN assets ON assets.number = hashes.asset"  # noqa: S608
        f" WHERE assets.project = %(project)s AND assets.number > %(after)s AND assets.status = 'ready' AND {IS_THERE}"
        f" AND hashes.{kind} IS NOT NULL"
        " AND (%(media_type)s::smallint IS NULL OR assets.media_type = %(media_type)s)"
        " AND (%(collection)s::text IS NULL OR assets.collection = %(collection)s)"
        " ORDER BY assets.number LIMIT %(limit)s",
        {
            "project": project,
            "after": after,
            "media_type": MEDIUM_NUMBER[media_type] if media_type else None,
            "collection": collection,
            "limit": limit,
        },
    )
    return [(_hexadecimal(kind, row.pop("hash")), to_asset(row)) for row in await cursor.fetchall()]


async def _find(
    connection: Connection,
    project: UUID,
    media_type: MediaType,
    found: str,
    arguments: dict[str, Any],
    narrowing: Narrowing,
    limit: int,
    not_of: Kind | None,
) -> list[tuple[int, int]]:
    cursor = await connection.execute(
        _FIND.format(found=found),
        {
            **arguments,
            "project": project,
            "media_type": MEDIUM_NUMBER[media_type],
            "not_of": not_of.algorithm if not_of else None,
            "not_of_version": not_of.version if not_of else None,
            "collections": narrowing.collections or None,
            "metadata": Jsonb(narrowing.metadata),
            "without": narrowing.without,
            "limit": limit,
        },
    )
    return [(row["number"], row["distance"]) for row in await cursor.fetchall()]


async def _insert_hashes(connection: Connection, project: UUID, kind: HashKind, hashes: list[tuple[int, str]]) -> None:
    if not hashes:
        return
    per_hash = len(bands(kind, hashes[0][1])) if kind in NEAR else 0
    value = "given.value" if kind in EXACT else f"('x' || given.value)::{_type(kind)}"
    keys = _keys_of(f"(%(bands)s::bigint[])[(given.at - 1) * {per_hash} + 1 : given.at * {per_hash}]")
    await connection.execute(
        f"INSERT INTO hashes (asset, project, {kind}, bands)"  # noqa: S608
        f" SELECT given.asset, projects.number, {value}, {keys}"
        f" FROM projects, unnest(%(assets)s::bigint[], %(values)s::{'bytea' if kind in EXACT else 'text'}[])"
        " WITH ORDINALITY AS given (asset, value, at) WHERE projects.id = %(project)s",
        {
            "project": project,
            "assets": [asset for asset, _ in hashes],
            "values": [_argument(kind, value) for _, value in hashes],
            "bands": [key for _, value in hashes for key in bands(kind, value)] if kind in NEAR else [],
        },
    )


def _keys_of(array: str) -> str:
    """The bands with the number of the joined project before them."""
    keys = f"SELECT array_agg(projects.number::bigint << {_BAND_SHIFT} | band) FROM unnest({array}::bigint[]) AS band"  # noqa: S608
    return f"coalesce(({keys}), '{{}}')"


def _type(kind: HashKind) -> str:
    return "bit(256)" if kind is HashKind.PDQ else "bit(64)"


def _value(kind: HashKind, name: str = "") -> str:
    """A parameter as its column has it."""
    parameter = f"%({name or kind})s"
    return parameter if kind in EXACT else f"('x' || {parameter})::{_type(kind)}"


def _argument(kind: HashKind, value: str) -> bytes | str:
    return bytes.fromhex(value) if kind in EXACT else value


def _shown(kind: HashKind) -> str:
    return kind if kind in EXACT else f"{kind}::text"


def _hexadecimal(kind: HashKind, stored: bytes | str) -> str:
    if isinstance(stored, bytes):
        return stored.hex()
    return f"{int(stored, 2):0{len(stored) // 4}x}"
