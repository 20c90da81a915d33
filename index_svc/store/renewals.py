"""Assets whose fingerprints are not what their matchers make now: counted, gone through by a job, replaced one by one.

A row that is being processed has a task, and whoever ends one gives the next row a task in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from index_svc.hashes import HashKind
from index_svc.records import MEDIUM, MEDIUM_NUMBER, NO_KIND, Fingerprint, JobKind, Kind, Renewal, SoundTrack, VersionCount
from index_svc.store.assets import IS_THERE
from index_svc.store.database import Connection
from index_svc.store.hashes import write_hashes
from index_svc.store.sounds import LAST_RUN, SHELF, write_sound, write_terms
from mesh.media import MediaType

_MAX_SECONDS: Final = 300
"""To go through a million assets."""
# Assets of another kind than the one that is given for their medium, and films whose sound is, or was not listened to yet.
_OLD: Final = f"""
  FROM assets LEFT JOIN unnest(%(media)s::smallint[], %(algorithms)s::text[], %(versions)s::integer[]) AS made (medium, algorithm, version)
    ON made.medium = assets.media_type
  LEFT JOIN sounds ON sounds.asset = assets.number
 WHERE assets.project = %(project)s AND assets.status = 'ready' AND assets.algorithm IS NOT NULL AND {IS_THERE}
   AND (assets.algorithm <> made.algorithm OR assets.version <> made.version
     OR (assets.media_type = %(film)s AND %(sound)s::text IS NOT NULL
       AND (sounds.algorithm IS DISTINCT FROM %(sound)s OR sounds.version <> %(sound_version)s)))
"""


async def count_versions(connection: Connection, project: UUID | None) -> list[VersionCount]:
    """Of ready assets that have a fingerprint; None: of all projects."""
    await connection.execute(f"SET LOCAL statement_timeout = '{_MAX_SECONDS}s'")
    ready = "assets.status = 'ready' AND assets.algorithm IS NOT NULL AND (%(project)s::uuid IS NULL OR assets.project = %(project)s)"
    cursor = await connection.execute(
        "SELECT media_type, media_type AS through, algorithm, version, count(*) AS assets FROM assets"  # noqa: S608
        f" WHERE {ready} GROUP BY media_type, algorithm, version UNION ALL"
        " SELECT assets.media_type, %(sound)s, coalesce(sounds.algorithm, %(none)s), coalesce(sounds.version, %(none_version)s), count(*)"
        f" FROM assets LEFT JOIN sounds ON sounds.asset = assets.number WHERE {ready} AND assets.media_type = %(film)s"
        " GROUP BY 1, 3, 4 ORDER BY 1, 2, 3, 4",
        {
            "project": project,
            "film": MEDIUM_NUMBER[MediaType.VIDEO],
            "sound": MEDIUM_NUMBER[MediaType.AUDIO],
            "none": NO_KIND.algorithm,
            "none_version": NO_KIND.version,
        },
    )
    return [
        VersionCount(MEDIUM[row["media_type"]], Kind(row["algorithm"], row["version"]), row["assets"], MEDIUM[row["through"]])
        for row in await cursor.fetchall()
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
        "film": MEDIUM_NUMBER[MediaType.VIDEO],
        "sound": made[MediaType.AUDIO].algorithm if MediaType.AUDIO in made else None,
        "sound_version": made[MediaType.AUDIO].version if MediaType.AUDIO in made else None,
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
        " assets.version, assets.sha256, assets.url, sounds.algorithm AS sound, sounds.version AS sound_version"
        " FROM renewals JOIN assets ON assets.number = renewals.asset LEFT JOIN sounds ON sounds.asset = assets.number"
        f" WHERE renewals.id = %s AND renewals.status = 'processing' AND assets.status = 'ready' AND {IS_THERE}",
        [identity],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    medium, kind = MEDIUM[row.pop("media_type")], Kind(row.pop("algorithm"), row.pop("version"))
    heard = Kind(row.pop("sound") or NO_KIND.algorithm, row.pop("sound_version") or NO_KIND.version)
    return Renewal(**row, media_type=medium, kind=kind, sound_kind=heard if medium is MediaType.VIDEO else None)


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


async def replace_fingerprint(connection: Connection, number: int, made: Fingerprint | None, sound: SoundTrack | None = None) -> bool:
    """All at once, and the asset is ready before and after; what is None stays as it is. False: it was deleted meanwhile."""
    there = await connection.execute(
        f"SELECT media_type FROM assets WHERE number = %s AND status = 'ready' AND {IS_THERE} FOR UPDATE",  # noqa: S608
        [number],
    )
    row = await there.fetchone()
    if row is None:
        return False
    if sound is not None:
        await write_sound(connection, number, sound)
    if made is None:
        return True
    await connection.execute("UPDATE fingerprints SET payload = %s WHERE asset = %s", [made.payload, number], binary=True)
    await write_terms(connection, number, row["media_type"], made)
    if made.hashes:
        await write_hashes(connection, number, {HashKind(name): value for name, value in made.hashes.items()})
    # Behind the terms: where these were just being packed, that run is one of the stale ones.
    await connection.execute(
        f"UPDATE assets SET algorithm = %s, version = %s, stale_runs = {LAST_RUN} WHERE number = %s",  # noqa: S608
        [made.algorithm, made.version, number],
    )
    return True


async def note_stale_runs(connection: Connection, job: UUID) -> bool:
    """Where nothing of the job is awaited any more its project's runs are to be written again."""
    await connection.execute("SELECT FROM jobs WHERE id = %s FOR NO KEY UPDATE", [job])
    marked = await connection.execute(
        "UPDATE runs SET is_stale = true WHERE id IN"
        " (SELECT runs.id FROM runs JOIN projects ON projects.number = runs.project JOIN jobs ON jobs.project = projects.id"
        "   WHERE jobs.id = %(job)s AND NOT EXISTS"
        "     (SELECT FROM renewals WHERE renewals.job = jobs.id AND renewals.status IN ('pending', 'processing'))"
        "   AND EXISTS (SELECT FROM renewals JOIN assets ON assets.number = renewals.asset"
        "     LEFT JOIN sounds ON sounds.asset = assets.number WHERE renewals.job = jobs.id AND renewals.status = 'ready'"
        "     AND (assets.media_type = runs.media_type AND assets.stale_runs >= runs.id"
        "       OR runs.media_type = %(sounds)s AND sounds.stale_runs >= runs.id))"
        "   ORDER BY runs.id FOR NO KEY UPDATE OF runs)",
        {"job": job, "sounds": SHELF},
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
