"""Profiles and policies."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from index_svc.profile import MAX_OF_A_PROJECT, NamedPolicy, ThresholdProfile
from index_svc.store.database import Connection
from matching.thresholds.lanes import Policy
from mesh.media import MediaType

_PROFILE: Final = "name, image, video, audio, note, updated_at"
_POLICY: Final = "name, lanes, otherwise, note, updated_at"
# Two that are made at once wait for each other here, so that neither takes a place that is not there.
_LOCK: Final = "SELECT 1 FROM projects WHERE id = %s FOR UPDATE"


async def put_profile(connection: Connection, project: UUID, profile: ThresholdProfile) -> ThresholdProfile | None:
    """None: the project is full."""
    if not await _has_place(connection, "profiles", project, profile.name):
        return None
    cursor = await connection.execute(
        f"INSERT INTO profiles (project, name, image, video, audio, note) VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608
        " ON CONFLICT (project, name) DO UPDATE SET image = excluded.image, video = excluded.video, audio = excluded.audio,"
        f" note = excluded.note, updated_at = now() RETURNING {_PROFILE}",
        [project, profile.name, *(profile.cutoffs.get(medium) for medium in MediaType), profile.note],
    )
    return _profile((await cursor.fetchall())[0])


async def find_profile(connection: Connection, project: UUID, name: str) -> ThresholdProfile | None:
    cursor = await connection.execute(f"SELECT {_PROFILE} FROM profiles WHERE project = %s AND name = %s", [project, name])  # noqa: S608
    row = await cursor.fetchone()
    return _profile(row) if row else None


async def list_profiles(connection: Connection, project: UUID) -> list[ThresholdProfile]:
    cursor = await connection.execute(f"SELECT {_PROFILE} FROM profiles WHERE project = %s ORDER BY name", [project])  # noqa: S608
    return [_profile(row) for row in await cursor.fetchall()]


async def delete_profile(connection: Connection, project: UUID, name: str) -> bool:
    return (await connection.execute("DELETE FROM profiles WHERE project = %s AND name = %s", [project, name])).rowcount == 1


async def put_policy(connection: Connection, project: UUID, policy: NamedPolicy) -> NamedPolicy | None:
    """None: the project is full."""
    if not await _has_place(connection, "policies", project, policy.name):
        return None
    cursor = await connection.execute(
        f"INSERT INTO policies (project, name, lanes, otherwise, note) VALUES (%s, %s, %s, %s, %s)"  # noqa: S608
        " ON CONFLICT (project, name) DO UPDATE SET lanes = excluded.lanes, otherwise = excluded.otherwise, note = excluded.note,"
        f" updated_at = now() RETURNING {_POLICY}",
        [project, policy.name, Jsonb(dict(policy.policy.lanes)), policy.policy.otherwise, policy.note],
    )
    return _policy((await cursor.fetchall())[0])


async def find_policy(connection: Connection, project: UUID, name: str) -> NamedPolicy | None:
    cursor = await connection.execute(f"SELECT {_POLICY} FROM policies WHERE project = %s AND name = %s", [project, name])  # noqa: S608
    row = await cursor.fetchone()
    return _policy(row) if row else None


async def list_policies(connection: Connection, project: UUID) -> list[NamedPolicy]:
    cursor = await connection.execute(f"SELECT {_POLICY} FROM policies WHERE project = %s ORDER BY name", [project])  # noqa: S608
    return [_policy(row) for row in await cursor.fetchall()]


async def delete_policy(connection: Connection, project: UUID, name: str) -> bool:
    return (await connection.execute("DELETE FROM policies WHERE project = %s AND name = %s", [project, name])).rowcount == 1


async def _has_place(connection: Connection, table: str, project: UUID, name: str) -> bool:
    await connection.execute(_LOCK, [project])
    cursor = await connection.execute(
        f"SELECT count(*) FILTER (WHERE name <> %s) AS others FROM {table} WHERE project = %s",  # noqa: S608
        [name, project],
    )
    return bool((await cursor.fetchall())[0]["others"] < MAX_OF_A_PROJECT)


def _profile(row: DictRow) -> ThresholdProfile:
    cutoffs = {medium: row[medium] for medium in MediaType if row[medium] is not None}
    return ThresholdProfile(row["name"], cutoffs, row["note"], row["updated_at"])


def _policy(row: dict[str, Any]) -> NamedPolicy:
    return NamedPolicy(row["name"], Policy.of(row["lanes"], row["otherwise"]), row["note"], row["updated_at"])
