"""How much there is, and how far behind: figures of all projects together."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from index_svc.records import MEDIUM
from index_svc.store.database import Connection


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs that are due and have no worker, and for how long the first of them has been."""

    name: str
    waiting: int
    lag_seconds: float


async def queues(connection: Connection) -> list[Queue]:
    async with connection.cursor(row_factory=class_row(Queue)) as cursor:
        await cursor.execute(
            "SELECT jobs.queue_name AS name, count(DISTINCT jobs.id) AS waiting,"
            " extract(epoch FROM now() - min(coalesce(jobs.scheduled_at, events.at, now())))::float8 AS lag_seconds"
            " FROM procrastinate_jobs AS jobs"
            " LEFT JOIN procrastinate_events AS events ON events.job_id = jobs.id AND events.type = 'deferred'"
            " WHERE jobs.status = 'todo' AND coalesce(jobs.scheduled_at <= now(), true) GROUP BY jobs.queue_name"
        )
        return await cursor.fetchall()


async def ready_assets(connection: Connection) -> dict[str, int]:
    """By medium."""
    cursor = await connection.execute("SELECT media_type, sum(ready)::bigint AS ready FROM ready_assets GROUP BY media_type")
    return {str(MEDIUM[row["media_type"]]): row["ready"] for row in await cursor.fetchall()}


async def database_bytes(connection: Connection) -> int:
    cursor = await connection.execute("SELECT pg_database_size(current_database()) AS size")
    return int((await cursor.fetchall())[0]["size"])
