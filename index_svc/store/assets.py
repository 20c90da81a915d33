"""Assets, their fingerprints and postings, and the jobs that they came with."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from index_svc.records import MEDIUM, MEDIUM_NUMBER, Asset, AssetDraft, AssetFilter, AssetStatus, Fingerprint, Job, JobKind, SoundTrack
from index_svc.store.database import Connection
from index_svc.store.sounds import IS_HEARD, write_sound, write_terms
from index_svc.store.usage import leave_place, take_place
from mesh.errors import QuotaExceeded
from mesh.media import MediaType

COLUMNS: Final = (
    "assets.id, assets.number, assets.name, assets.media_type, assets.status, assets.error_code, assets.error_message,"
    " assets.collection, assets.owner, assets.metadata, assets.created_at, assets.finished_at, assets.duplicate_of,"
    f" {IS_HEARD} AS is_heard"
)
IS_THERE: Final = "(assets.expires_at IS NULL OR assets.expires_at > now())"
"""Holds for what has not outlived its time; the rest is deleted soon."""
REPEATABLE_HOURS: Final = 24
_JOB: Final = """
SELECT jobs.id, jobs.number, jobs.kind, jobs.media_type, jobs.total, jobs.created_at, jobs.is_reading,
       jobs.cancelled_at IS NOT NULL AS is_cancelled, jobs.rows_read, jobs.rows_refused,
       count(*) FILTER (WHERE assets.status = 'pending') AS pending,
       count(*) FILTER (WHERE assets.status = 'processing') AS processing,
       count(*) FILTER (WHERE assets.status = 'ready') AS ready,
       count(*) FILTER (WHERE assets.status = 'failed') AS failed,
       greatest(max(assets.finished_at), jobs.read_at) AS finished_at,
       CASE WHEN jobs.kind = 'asset' AND jobs.total = 1 THEN min(assets.id::text) END AS asset_id,
       CASE WHEN jobs.kind = 'asset' AND jobs.total = 1 THEN min(assets.error_code) ELSE jobs.error_code END AS error_code,
       CASE WHEN jobs.kind = 'asset' AND jobs.total = 1 THEN min(assets.error_message) ELSE jobs.error_message END AS error_message
  FROM jobs LEFT JOIN LATERAL (
    SELECT id, status, error_code, error_message, finished_at FROM assets WHERE assets.job = jobs.id
    UNION ALL
    SELECT NULL, status, error_code, error_message, finished_at FROM renewals WHERE renewals.job = jobs.id
  ) AS assets ON true
"""


async def insert_job(connection: Connection, project: UUID, job: UUID, media_type: MediaType, total: int) -> None:
    await connection.execute(
        "INSERT INTO jobs (id, project, media_type, total) VALUES (%s, %s, %s, %s)",
        [job, project, MEDIUM_NUMBER[media_type], total],
    )


async def insert_asset(connection: Connection, project: UUID, asset: UUID, job: UUID, draft: AssetDraft) -> int:
    """The number of the new asset."""
    cursor = await connection.execute(
        "INSERT INTO assets (id, project, media_type, job, url, name, collection, owner, metadata, on_duplicate, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s)) RETURNING number",
        [
            asset,
            project,
            MEDIUM_NUMBER[draft.media_type],
            job,
            draft.url or None,
            draft.name,
            draft.collection,
            draft.owner,
            Jsonb(draft.metadata),
            draft.on_duplicate,
            draft.ttl_seconds,
        ],
    )
    return int((await cursor.fetchall())[0]["number"])


async def find_asset(connection: Connection, project: UUID, asset: UUID) -> Asset | None:
    cursor = await connection.execute(f"SELECT {COLUMNS} FROM assets WHERE project = %s AND id = %s AND {IS_THERE}", [project, asset])  # noqa: S608
    row = await cursor.fetchone()
    return to_asset(row) if row else None


async def list_assets(connection: Connection, project: UUID, wanted: AssetFilter, before: int | None, limit: int) -> list[Asset]:
    """The newest first, from below the number `before`."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM assets WHERE project = %(project)s AND {IS_THERE}"  # noqa: S608
        " AND (%(before)s::bigint IS NULL OR number < %(before)s)"
        " AND (%(status)s::text IS NULL OR status = %(status)s)"
        " AND (%(media_type)s::smallint IS NULL OR media_type = %(media_type)s)"
        " AND (%(collection)s::text IS NULL OR collection = %(collection)s)"
        " AND (%(name)s::text IS NULL OR name = %(name)s)"
        " ORDER BY number DESC LIMIT %(limit)s",
        {
            "project": project,
            "before": before,
            "status": wanted.status,
            "media_type": MEDIUM_NUMBER[wanted.media_type] if wanted.media_type else None,
            "collection": wanted.collection,
            "name": wanted.name,
            "limit": limit,
        },
    )
    return [to_asset(row) for row in await cursor.fetchall()]


async def delete_asset(connection: Connection, project: UUID, asset: UUID) -> bool:
    """The asset, its fingerprint and its postings, all gone when the transaction is through; False: there was none."""
    found = await connection.execute(
        f"SELECT number FROM assets WHERE project = %s AND id = %s AND {IS_THERE} FOR UPDATE",  # noqa: S608
        [project, asset],
    )
    row = await found.fetchone()
    if row is None:
        return False
    await _delete(connection, row["number"])
    return True


async def delete_expired(connection: Connection, limit: int) -> int:
    """How many assets had outlived their time, at most so many at once; what was answered to requests a day ago is forgotten, too."""
    found = await connection.execute(
        "SELECT number, project, media_type FROM assets WHERE expires_at <= now() ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED",
        [limit],
    )
    # Places are counted by project and medium: whoever deletes several goes through them in one order.
    rows = sorted(await found.fetchall(), key=lambda row: (row["project"], row["media_type"]))
    numbers = [row["number"] for row in rows]
    for number in numbers:
        await _delete(connection, number)
    await connection.execute("DELETE FROM repeatable_requests WHERE created_at < now() - make_interval(hours => %s)", [REPEATABLE_HOURS])
    return len(numbers)


async def claim_request(
    connection: Connection, project: UUID, key: str, digest: bytes, asset: UUID, job: UUID
) -> tuple[bytes, UUID, UUID] | None:
    """None: this request is the first under its key. Else what the first one asked for (its digest) and was given."""
    claimed = await connection.execute(
        "INSERT INTO repeatable_requests (project, key, digest, asset, job) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [project, key, digest, asset, job],
    )
    if claimed.rowcount == 1:
        return None
    found = await connection.execute("SELECT digest, asset, job FROM repeatable_requests WHERE project = %s AND key = %s", [project, key])
    row = (await found.fetchall())[0]
    return bytes(row["digest"]), row["asset"], row["job"]


async def reset_failed(connection: Connection, project: UUID, asset: UUID) -> tuple[int, UUID] | None:
    """The number and the job of the asset, pending again; None where it has not failed."""
    cursor = await connection.execute(
        "UPDATE assets SET status = 'pending', error_code = NULL, error_message = NULL, finished_at = NULL, duplicate_of = NULL"
        " WHERE project = %s AND id = %s AND status = 'failed' RETURNING number, job",
        [project, asset],
    )
    row = await cursor.fetchone()
    return (row["number"], row["job"]) if row else None


async def find_waiting(connection: Connection, project: UUID, asset: UUID) -> tuple[UUID, AssetStatus] | None:
    """The job of an asset that is pending or processing, and which of the two it is."""
    cursor = await connection.execute(
        "SELECT job, status FROM assets WHERE project = %s AND id = %s AND status IN ('pending', 'processing')", [project, asset]
    )
    row = await cursor.fetchone()
    return (row["job"], AssetStatus(row["status"])) if row else None


async def begin_processing(connection: Connection, number: int) -> DictRow | None:
    """What an asset that waits is about; also one whose worker was killed. None: nothing is left to do."""
    cursor = await connection.execute(
        "UPDATE assets SET status = 'processing' WHERE number = %s AND status IN ('pending', 'processing')"
        " RETURNING id, url, media_type, project, collection, on_duplicate",
        [number],
    )
    return await cursor.fetchone()


async def wait_again(connection: Connection, number: int) -> None:
    await connection.execute("UPDATE assets SET status = 'pending' WHERE number = %s AND status = 'processing'", [number])


async def fail(connection: Connection, number: int, code: str, message: str, duplicate_of: UUID | None = None) -> None:
    await connection.execute(
        "UPDATE assets SET status = 'failed', error_code = %s, error_message = %s, duplicate_of = %s, finished_at = now()"
        " WHERE number = %s AND status = 'processing'",
        [code, message, duplicate_of, number],
    )


async def link(connection: Connection, number: int, duplicate_of: UUID) -> None:
    await connection.execute("UPDATE assets SET duplicate_of = %s WHERE number = %s AND status = 'ready'", [duplicate_of, number])


async def lock_collection(connection: Connection, project: UUID, media_type: MediaType, collection: str) -> None:
    """Whoever wants to know whether it holds something, and then to add to it, does so alone until the transaction's end."""
    name = f"{project} {media_type} {collection}"
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


async def make_ready(connection: Connection, number: int, made: Fingerprint, sound: SoundTrack | None = None) -> bool:
    """All at once: the fingerprints, the postings, and the status that lets searches see them. False: it was deleted meanwhile.

    Where the plan has no place left it raises QuotaExceeded, and the transaction must go.
    """
    due = await connection.execute("SELECT media_type FROM assets WHERE number = %s AND status = 'processing' FOR UPDATE", [number])
    row = await due.fetchone()
    if row is None:
        return False
    await connection.execute(
        "INSERT INTO fingerprints (asset, payload) VALUES (%s, %s)",
        [number, made.payload],
        binary=True,
    )
    await write_terms(connection, number, row["media_type"], made)
    if sound is not None:
        await write_sound(connection, number, sound)
    # Last, because it locks the project's count of ready assets.
    if not await take_place(connection, number, made.algorithm, made.version, made.sha256):
        raise QuotaExceeded("the project's plan has no place left for it")
    return True


async def find_job(connection: Connection, project: UUID, job: UUID) -> Job | None:
    cursor = await connection.execute(f"{_JOB} WHERE jobs.project = %s AND jobs.id = %s GROUP BY jobs.id", [project, job])
    row = await cursor.fetchone()
    return _job(row) if row else None


async def list_jobs(connection: Connection, project: UUID, before: int | None, limit: int) -> list[Job]:
    cursor = await connection.execute(
        f"{_JOB} WHERE jobs.project = %(project)s AND (%(before)s::bigint IS NULL OR jobs.number < %(before)s)"
        " GROUP BY jobs.id ORDER BY jobs.number DESC LIMIT %(limit)s",
        {"project": project, "before": before, "limit": limit},
    )
    return [_job(row) for row in await cursor.fetchall()]


async def _delete(connection: Connection, number: int) -> None:
    await leave_place(connection, number)


def to_asset(row: dict[str, Any]) -> Asset:
    return Asset(**{**row, "media_type": MEDIUM[row["media_type"]], "status": AssetStatus(row["status"])})


def _job(row: dict[str, Any]) -> Job:
    counts = {status: row[status] for status in AssetStatus}
    counts[AssetStatus.FAILED] += row["rows_refused"]
    if row["is_reading"]:
        counts[AssetStatus.PENDING] += row["total"] - row["rows_read"]
    is_done = not row["is_reading"] and not counts[AssetStatus.PENDING] and not counts[AssetStatus.PROCESSING]
    return Job(
        id=row["id"],
        number=row["number"],
        kind=JobKind(row["kind"]),
        media_type=MEDIUM.get(row["media_type"]),
        total=row["total"],
        counts=counts,
        asset_id=UUID(row["asset_id"]) if row["asset_id"] else None,
        error_code=row["error_code"],
        error_message=row["error_message"],
        created_at=row["created_at"],
        finished_at=row["finished_at"] if is_done else None,
        is_reading=row["is_reading"],
        is_cancelled=row["is_cancelled"],
    )
