"""Jobs of many rows: how far a file is read, its rows as assets or refusals, many at once, and their report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from index_svc.records import MEDIUM, MEDIUM_NUMBER, AssetStatus, BulkJob, JobKind, JobRow, NewRow, RefusedRow
from index_svc.store.assets import IS_THERE
from index_svc.store.database import Connection
from index_svc.store.media import FAILED_HOURS
from mesh.media import MediaType

CANCELLED: Final = "cancelled"


async def insert_bulk_job(
    connection: Connection,
    project: UUID,
    job: UUID,
    kind: JobKind,
    allowed: Sequence[MediaType],
    *,
    total: int = 0,
    source: UUID | None = None,
    url: str | None = None,
) -> int:
    """The job's number. The source's bytes are its own from now on."""
    cursor = await connection.execute(
        "INSERT INTO jobs (id, project, kind, allowed, total, source, url, is_reading) VALUES (%s, %s, %s, %s, %s, %s, %s, true)"
        " RETURNING number",
        [job, project, kind, [MEDIUM_NUMBER[medium] for medium in allowed], total, source, url],
    )
    await connection.execute("UPDATE media SET expires_at = NULL WHERE id = %s", [source])
    return int((await cursor.fetchall())[0]["number"])


async def find_bulk_job(connection: Connection, number: int) -> BulkJob | None:
    """A job that is still reading its file."""
    cursor = await connection.execute(
        "SELECT jobs.id, jobs.project, jobs.kind, jobs.source, jobs.url, jobs.sha256, jobs.allowed, jobs.read_to, plans.features"
        " FROM jobs JOIN projects ON projects.id = jobs.project JOIN plans ON plans.name = projects.plan"
        " WHERE jobs.number = %s AND jobs.is_reading",
        [number],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    allowed = frozenset(MEDIUM[number] for number in row["allowed"])
    return BulkJob(**{**row, "kind": JobKind(row["kind"]), "allowed": allowed, "features": frozenset(row["features"])})


async def hold(connection: Connection, job: BulkJob) -> bool:
    """Until the transaction is through nobody else adds rows. False: it was cancelled, or another worker has gone on with it."""
    cursor = await connection.execute("SELECT FROM jobs WHERE id = %s AND is_reading AND read_to = %s FOR UPDATE", [job.id, job.read_to])
    return cursor.rowcount == 1


async def add_assets(connection: Connection, job: BulkJob, rows: Sequence[NewRow]) -> list[int]:
    """The numbers of the new assets."""
    drafts = [row.draft for row in rows]
    cursor = await connection.execute(
        "INSERT INTO assets (id, project, media_type, job, url, name, collection, owner, metadata, line, file)"
        " SELECT id, %(project)s, medium, %(job)s, url, name, collection, owner, metadata, line, file"
        " FROM unnest(%(ids)s::uuid[], %(media)s::smallint[], %(urls)s::text[], %(names)s::text[], %(collections)s::text[],"
        " %(owners)s::text[], %(metadata)s::jsonb[], %(lines)s::integer[], %(files)s::text[])"
        " AS added (id, medium, url, name, collection, owner, metadata, line, file) RETURNING number",
        {
            "project": job.project,
            "job": job.id,
            "ids": [uuid4() for _ in rows],
            "media": [MEDIUM_NUMBER[draft.media_type] for draft in drafts],
            "urls": [draft.url or None for draft in drafts],
            "names": [draft.name for draft in drafts],
            "collections": [draft.collection for draft in drafts],
            "owners": [draft.owner for draft in drafts],
            "metadata": [Jsonb(draft.metadata) for draft in drafts],
            "lines": [row.line for row in rows],
            "files": [row.file for row in rows],
        },
    )
    return sorted(row["number"] for row in await cursor.fetchall())


async def add_refusals(connection: Connection, job: BulkJob, rows: Sequence[RefusedRow]) -> None:
    await connection.execute(
        "INSERT INTO refused_rows (job, number, line, file, code, message) SELECT %s, added.*"
        " FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::text[], %s::text[]) AS added",
        [
            job.id,
            [row.number for row in rows],
            [row.line for row in rows],
            [row.file for row in rows],
            [row.code for row in rows],
            [row.message for row in rows],
        ],
    )


async def note_read(connection: Connection, job: BulkJob, read_to: int, added: int, refused: int) -> None:
    await connection.execute(
        "UPDATE jobs SET read_to = %s, rows_read = rows_read + %s, rows_refused = rows_refused + %s WHERE id = %s",
        [read_to, added + refused, refused, job.id],
    )


async def note_archive(connection: Connection, job: BulkJob, sha256: str, total: int) -> None:
    """What there is to read, known once the archive is."""
    await connection.execute("UPDATE jobs SET sha256 = %s, total = %s WHERE id = %s AND is_reading", [sha256, total, job.id])


async def end_reading(connection: Connection, job: UUID, code: str | None = None, message: str | None = None) -> None:
    """No row is added any more, and what was read is forgotten."""
    await connection.execute("DELETE FROM media USING jobs WHERE jobs.id = %s AND media.id = jobs.source", [job])
    await connection.execute(
        "UPDATE jobs SET is_reading = false, read_at = now(), total = rows_read, url = NULL, error_code = %s, error_message = %s"
        " WHERE id = %s AND is_reading",
        [code, message, job],
    )


async def note_growth(connection: Connection) -> None:
    """Else the queue's next piece of work is looked for as if there were none: 160 ms each, and not 6, among 100,000."""
    await connection.execute("ANALYZE procrastinate_jobs, assets")


async def lock_job(connection: Connection, project: UUID, job: UUID) -> dict[str, Any] | None:
    """What its end depends on: whether it is cancelled, and whether anything of it is awaited."""
    cursor = await connection.execute(
        "SELECT cancelled_at IS NOT NULL AS is_cancelled, is_reading OR EXISTS"
        " (SELECT FROM assets WHERE assets.job = jobs.id AND assets.status IN ('pending', 'processing')) OR EXISTS"
        " (SELECT FROM renewals WHERE renewals.job = jobs.id AND renewals.status IN ('pending', 'processing')) AS is_awaited"
        " FROM jobs WHERE project = %s AND id = %s FOR UPDATE",
        [project, job],
    )
    return await cursor.fetchone()


async def note_cancelled(connection: Connection, job: UUID) -> None:
    await connection.execute("UPDATE jobs SET cancelled_at = now() WHERE id = %s", [job])


async def cancel_assets(connection: Connection, job: UUID, limit: int) -> int:
    """How many of its assets nobody waits for any more, at most so many at once; their bytes wait as those of any that failed."""
    stopped = await connection.execute(
        "UPDATE assets SET status = 'failed', error_code = %s, error_message = 'its job was cancelled', finished_at = now()"
        " WHERE number IN (SELECT number FROM assets WHERE job = %s AND status IN ('pending', 'processing') LIMIT %s FOR UPDATE)"
        " RETURNING number",
        [CANCELLED, job, limit],
    )
    numbers = [row["number"] for row in await stopped.fetchall()]
    await connection.execute(
        "UPDATE media SET expires_at = now() + make_interval(hours => %s) FROM projects"
        " WHERE media.asset = ANY(%s) AND projects.id = media.project AND NOT projects.store_media",
        [FAILED_HOURS, numbers],
    )
    return len(numbers)


async def list_rows(
    connection: Connection, project: UUID, job: UUID, status: AssetStatus | None, after: int, limit: int
) -> list[JobRow] | None:
    """The report of a job in the order of its file; None: there is no such job."""
    if not (await connection.execute("SELECT FROM jobs WHERE project = %s AND id = %s", [project, job])).rowcount:
        return None
    cursor = await connection.execute(
        "(SELECT line AS number, line, file, status, id AS asset_id, media_type, name, error_code, error_message FROM assets"  # noqa: S608
        f"  WHERE job = %(job)s AND line > %(after)s AND (%(status)s::text IS NULL OR status = %(status)s) AND {IS_THERE}"
        "  ORDER BY line LIMIT %(limit)s)"
        " UNION ALL "
        "(SELECT number, line, file, 'failed', NULL, NULL, '', code, message FROM refused_rows"
        "  WHERE job = %(job)s AND number > %(after)s AND coalesce(%(status)s::text, 'failed') = 'failed'"
        "  ORDER BY number LIMIT %(limit)s)"
        " UNION ALL "
        "(SELECT renewals.number, NULL, NULL, renewals.status, assets.id, assets.media_type, assets.name, renewals.error_code,"
        "  renewals.error_message FROM renewals JOIN assets ON assets.number = renewals.asset"
        f"  WHERE renewals.job = %(job)s AND renewals.number > %(after)s AND {IS_THERE}"
        "  AND (%(status)s::text IS NULL OR renewals.status = %(status)s)"
        "  ORDER BY renewals.number LIMIT %(limit)s)"
        " ORDER BY number LIMIT %(limit)s",
        {"job": job, "after": after, "status": status, "limit": limit},
    )
    rows = await cursor.fetchall()
    return [JobRow(**{**row, "media_type": MEDIUM.get(row["media_type"]), "status": AssetStatus(row["status"])}) for row in rows]
