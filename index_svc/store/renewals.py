"""Assets whose fingerprints are not what their matchers make now: counted, gone through by a job, replaced one by one.

A row that is being processed has a task, and whoever ends one gives the next row a task in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from index_svc.hashes import HashKind
from index_svc.records import MEDIUM, MEDIUM_NUMBER, Fingerprint, JobKind, Kind, Renewal, VersionCount
from index_svc.store.assets import IS_THERE
from index_svc.store.database import Connection
from index_svc.store.hashes import write_hashes
from mesh.media import MediaType

_MAX_SECONDS: Final = 300
"""To go through a million assets."""
# Assets of another kind than the one that is given for their medium.
_OLD: Final = f"""
  FROM assets JOIN unnest(%(media)s::smallint[], %(algorithms)s::text[], %(versions)s::integer[]) AS made (medium, algorithm, version)
    ON made.medium = assets.media_type
 WHERE assets.project = %(project)s AND assets.status = 'ready' AND {IS_THERE}
   AND (assets.algorithm <> made.algorithm OR assets.version <> made.version)
"""


async def count_versions(connection: Connection, project: UUID | None) -> list[VersionCount]:
    """Of ready assets that have a fingerprint; None: of all projects."""
    await connection.execute(f"SET LOCAL statement_timeout = '{_MAX_SECONDS}s'")
    cursor = await connection.execute(
        "SELECT media_type, algorithm, version, count(*) AS assets FROM assets"
        " WHERE status = 'ready' AND algorithm IS NOT NULL AND (%(project)s::uuid IS NULL OR project = %(project)s)"
        " GROUP BY media_type, algorithm, version ORDER BY media_type, algorithm, version",
        {"project": project},
    )
    return [
        VersionCount(MEDIUM[row["media_type"]], Kind(row["algorithm"], row["version"]), row["assets"]) for row in await cursor.fetchall()
    ]


async def find_unfinished_job(connection: Connection, project: UUID) -> UUID | None:
    """The project's job that is under way; until the transaction is through nobody else starts one."""
    await connection.execute("SELECT FROM projects WHERE id = %s FOR NO KEY UPDATE", [project])
    cursor = await connection.execute(
        "SELECT id FROM jobs WHERE project = %s AND kind = %s AND cancelled_at IS NULL AND EXISTS"
        " (SELECT FROM renewals WHERE renewals.job = jobs.id AND renewals.status IN ('pending', 'processing')) ORDER BY number LIMIT 1",
        [project, JobKind.REFINGERPRINT],
    )
    row = await cursor.fetchone()
    return row["id"] if row else None


async def insert_renewals(connection: Connection, project: UUID, job: UUID, made: Mapping[MediaType, Kind]) -> int:
    """A job for every asset of the project that is of another kind than its matcher makes; how many these are, and without any no job."""
    await connection.execute(f"SET LOCAL statement_timeout = '{_MAX_SECONDS}s'")
    about: dict[str, Any] = {
        "project": project,
        "job": job,
        "kind": JobKind.REFINGERPRINT,
        "media": [MEDIUM_NUMBER[medium] for medium in made],
        "algorithms": [kind.algorithm for kind in made.values()],
        "versions": [kind.version for kind in made.values()],
    }
    await connection.execute("INSERT INTO jobs (id, project, kind, total) VALUES (%(job)s, %(project)s, %(kind)s, 0)", about)
    inserted = await connection.execute(
        "INSERT INTO renewals (job, number, asset)"
        f" SELECT %(job)s, row_number() OVER (ORDER BY assets.number), assets.number {_OLD} ORDER BY assets.number",
        about,
    )
    if inserted.rowcount:
        await connection.execute("UPDATE jobs SET total = %s WHERE id = %s", [inserted.rowcount, job])
    else:
        await connection.execute("DELETE FROM jobs WHERE id = %s", [job])
    return inserted.rowcount


async def claim_next(connection: Connection, job: UUID, limit: int) -> list[int]:
    """The next rows of the job, each of which needs a task now."""
    cursor = await connection.execute(
        "UPDATE renewals SET status = 'processing' WHERE id IN"
        " (SELECT id FROM renewals WHERE job = %s AND status = 'pending' ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id",
        [job, limit],
    )
    return sorted(row["id"] for row in await cursor.fetchall())


async def rows_under_way(connection: Connection, job: UUID) -> list[int]:
    """Those that should have a task."""
    cursor = await connection.execute("SELECT id FROM renewals WHERE job = %s AND status = 'processing' ORDER BY id", [job])
    return [row["id"] for row in await cursor.fetchall()]


async def find_renewal(connection: Connection, identity: int) -> Renewal | None:
    """What a task is about; None: nothing is left to do."""
    cursor = await connection.execute(
        "SELECT renewals.id, renewals.job, assets.number, assets.id AS asset, assets.project, assets.media_type, assets.algorithm,"  # noqa: S608
        " assets.version, assets.sha256, assets.url FROM renewals JOIN assets ON assets.number = renewals.asset"
        f" WHERE renewals.id = %s AND renewals.status = 'processing' AND assets.status = 'ready' AND {IS_THERE}",
        [identity],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    kind = Kind(row.pop("algorithm"), row.pop("version"))
    return Renewal(**{**row, "media_type": MEDIUM[row["media_type"]]}, kind=kind)


async def drop_renewal(connection: Connection, identity: int) -> UUID | None:
    """Its asset was deleted before its turn: the job goes on without it. None: it is no longer on its way."""
    cursor = await connection.execute("DELETE FROM renewals WHERE id = %s AND status = 'processing' RETURNING job", [identity])
    row = await cursor.fetchone()
    return row["job"] if row else None


async def finish(connection: Connection, identity: int, code: str | None = None, message: str | None = None) -> bool:
    """Without a code it is done. False: it was cancelled, or another worker has done it."""
    done = await connection.execute(
        "UPDATE renewals SET status = %s, error_code = %s, error_message = %s, finished_at = now() WHERE id = %s AND status = 'processing'",
        ["failed" if code else "ready", code, message, identity],
    )
    return done.rowcount == 1


async def replace_fingerprint(connection: Connection, number: int, made: Fingerprint) -> bool:
    """All at once, and the asset is ready before and after. False: it was deleted meanwhile."""
    there = await connection.execute(f"SELECT 1 FROM assets WHERE number = %s AND status = 'ready' AND {IS_THERE} FOR UPDATE", [number])  # noqa: S608
    if await there.fetchone() is None:
        return False
    await connection.execute("UPDATE fingerprints SET payload = %s WHERE asset = %s", [made.payload, number], binary=True)
    await connection.execute(
        "INSERT INTO unpacked (asset, project, media_type, terms, positions)"
        " SELECT assets.number, projects.number, assets.media_type, %s, %s"
        " FROM assets JOIN projects ON projects.id = assets.project WHERE assets.number = %s"
        " ON CONFLICT (asset) DO UPDATE SET terms = excluded.terms, positions = excluded.positions",
        [made.terms, made.positions if any(made.positions) else None, number],
        binary=True,
    )
    if made.hashes:
        await write_hashes(connection, number, {HashKind(name): value for name, value in made.hashes.items()})
    # Behind the terms: where these were just being packed, that run is one of the stale ones.
    await connection.execute(
        "UPDATE assets SET algorithm = %s, version = %s,"
        " stale_runs = (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM runs_id_seq) WHERE number = %s",
        [made.algorithm, made.version, number],
    )
    return True


async def note_stale_runs(connection: Connection, job: UUID) -> bool:
    """Where nothing of the job is awaited any more its project's runs are to be written again; those that are being merged just now are."""
    await connection.execute("SELECT FROM jobs WHERE id = %s FOR NO KEY UPDATE", [job])
    marked = await connection.execute(
        "UPDATE runs SET is_stale = true WHERE id IN"
        " (SELECT runs.id FROM runs JOIN projects ON projects.number = runs.project JOIN jobs ON jobs.project = projects.id"
        "   WHERE jobs.id = %(job)s AND NOT EXISTS"
        "     (SELECT FROM renewals WHERE renewals.job = jobs.id AND renewals.status IN ('pending', 'processing'))"
        "   AND EXISTS (SELECT FROM renewals JOIN assets ON assets.number = renewals.asset WHERE renewals.job = jobs.id"
        "     AND renewals.status = 'ready' AND assets.media_type = runs.media_type AND assets.stale_runs >= runs.id)"
        "   FOR NO KEY UPDATE OF runs SKIP LOCKED)",
        {"job": job},
    )
    return marked.rowcount > 0


async def cancel_renewals(connection: Connection, job: UUID, code: str, limit: int) -> int:
    """How many of its rows nobody waits for any more, at most so many at once; their assets stay as they are."""
    stopped = await connection.execute(
        "UPDATE renewals SET status = 'failed', error_code = %s, error_message = 'its job was cancelled', finished_at = now()"
        " WHERE id IN (SELECT id FROM renewals WHERE job = %s AND status IN ('pending', 'processing') LIMIT %s FOR UPDATE)",
        [code, job, limit],
    )
    return stopped.rowcount
