"""Projects, plans and keys."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow, class_row

from index_svc.records import Grant, Key, Project, ProjectSettings
from index_svc.rule import DEFAULT
from index_svc.store.database import Connection
from mesh.media import MediaType

_KEY = "id, name, scopes, created_at, expires_at, revoked_at, last_used_at, requests_per_second, burst_seconds"
_SETTINGS = tuple(field.name for field in fields(ProjectSettings))
_PROJECT = ", ".join(("id", "name", "plan", "created_at", *_SETTINGS))


async def has_plan(connection: Connection, plan: str) -> bool:
    return await (await connection.execute("SELECT 1 FROM plans WHERE name = %s", [plan])).fetchone() is not None


async def insert_project(connection: Connection, project: UUID, name: str, plan: str) -> Project:
    cursor = await connection.execute(
        f"INSERT INTO projects (id, name, plan) VALUES (%s, %s, %s) RETURNING {_PROJECT}",  # noqa: S608
        [project, name, plan],
    )
    return _project((await cursor.fetchall())[0])


async def list_projects(connection: Connection) -> list[Project]:
    cursor = await connection.execute(f"SELECT {_PROJECT} FROM projects ORDER BY number")  # noqa: S608
    return [_project(row) for row in await cursor.fetchall()]


async def find_project(connection: Connection, project: UUID) -> Project | None:
    cursor = await connection.execute(f"SELECT {_PROJECT} FROM projects WHERE id = %s", [project])  # noqa: S608
    row = await cursor.fetchone()
    return _project(row) if row else None


async def write_settings(connection: Connection, project: UUID, settings: ProjectSettings) -> None:
    await connection.execute(
        f"UPDATE projects SET {', '.join(f'{name} = %s' for name in _SETTINGS)} WHERE id = %s",  # noqa: S608
        [*(getattr(settings, name) for name in _SETTINGS), project],
    )


async def has_project(connection: Connection, project: UUID) -> bool:
    return await (await connection.execute("SELECT 1 FROM projects WHERE id = %s", [project])).fetchone() is not None


async def has_feature(connection: Connection, project: UUID, feature: str) -> bool:
    """Whether the project's plan has it."""
    found = await connection.execute(
        "SELECT 1 FROM projects JOIN plans ON plans.name = projects.plan WHERE projects.id = %s AND %s = ANY(plans.features)",
        [project, feature],
    )
    return await found.fetchone() is not None


async def insert_key(
    connection: Connection, project: UUID, identity: str, name: str, digest: bytes, scopes: list[str], expires_at: datetime | None
) -> Key:
    cursor = connection.cursor(row_factory=class_row(Key))
    await cursor.execute(
        f"INSERT INTO keys (id, project, name, digest, scopes, expires_at) VALUES (%s, %s, %s, %s, %s, %s) RETURNING {_KEY}",  # noqa: S608
        [identity, project, name, digest, scopes, expires_at],
    )
    return (await cursor.fetchall())[0]


async def list_keys(connection: Connection, project: UUID) -> list[Key]:
    cursor = connection.cursor(row_factory=class_row(Key))
    await cursor.execute(f"SELECT {_KEY} FROM keys WHERE project = %s ORDER BY created_at, id", [project])  # noqa: S608
    return await cursor.fetchall()


async def find_valid_key(connection: Connection, identity: str) -> tuple[bytes, Grant] | None:
    """The key's digest and what it allows, where it is neither revoked nor past its time."""
    found = await connection.execute(
        "SELECT keys.digest, keys.project, keys.scopes, plans.features, projects.decision_log, own.image, own.video, own.audio,"
        " coalesce(keys.requests_per_second, plans.requests_per_second, 0) AS rate,"
        " CASE WHEN keys.requests_per_second IS NULL THEN plans.burst_seconds ELSE keys.burst_seconds END AS seconds"
        " FROM keys JOIN projects ON projects.id = keys.project JOIN plans ON plans.name = projects.plan"
        " LEFT JOIN profiles own ON own.project = keys.project AND own.name = %s"
        " WHERE keys.id = %s AND keys.revoked_at IS NULL AND (keys.expires_at IS NULL OR keys.expires_at > now())",
        [DEFAULT, identity],
    )
    row = await found.fetchone()
    if row is None:
        return None
    rate = row["rate"] * row["seconds"], row["seconds"]
    cutoffs = {medium: row[medium] for medium in MediaType if row[medium] is not None}
    return row["digest"], Grant(row["project"], identity, row["scopes"], *rate, row["features"], row["decision_log"], cutoffs)


async def touch_key(connection: Connection, identity: str) -> None:
    """Last used: to the minute, so that a busy key is not written at every call."""
    await connection.execute(
        "UPDATE keys SET last_used_at = now() WHERE id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        [identity],
    )


async def limit_key(connection: Connection, project: UUID, identity: str, overlap_seconds: float) -> Key | None:
    """The key where it is valid, which from now on ends after the overlap (or before, if it was to)."""
    cursor = connection.cursor(row_factory=class_row(Key))
    await cursor.execute(
        "UPDATE keys SET expires_at = least(expires_at, now() + make_interval(secs => %s))"  # noqa: S608
        " WHERE project = %s AND id = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
        f" RETURNING {_KEY}",
        [overlap_seconds, project, identity],
    )
    return await cursor.fetchone()


async def revoke_key(connection: Connection, project: UUID, identity: str) -> bool:
    """Whether the project has such a key; revoking twice changes nothing."""
    done = await connection.execute(
        "UPDATE keys SET revoked_at = coalesce(revoked_at, now()) WHERE project = %s AND id = %s", [project, identity]
    )
    return done.rowcount == 1


async def keep_secret(connection: Connection, name: str, value: bytes) -> bytes:
    """The secret of that name: this one, or the one that was there first."""
    there = "SELECT value FROM secrets WHERE name = %s"
    row = await (await connection.execute(there, [name])).fetchone()
    if row is None:
        await connection.execute("INSERT INTO secrets (name, value) VALUES (%s, %s) ON CONFLICT DO NOTHING", [name, value])
        row = await (await connection.execute(there, [name])).fetchone()
    assert row is not None
    return bytes(row["value"])


def _project(row: DictRow) -> Project:
    settings = ProjectSettings(**{name: row.pop(name) for name in _SETTINGS})
    return Project(**row, settings=settings)
