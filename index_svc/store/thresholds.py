"""Profiles and policies: two tables that are read and written alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from index_svc.rule import MAX_OF_A_PROJECT, Rule, RuleKind
from index_svc.store.database import Connection
from matching.thresholds.lanes import Policy
from mesh.media import MediaType

_TABLES: Final = {RuleKind.PROFILE: "profiles", RuleKind.POLICY: "policies"}
# Two that are made at once wait for each other here, so that neither takes a place that is not there.
_LOCK: Final = "SELECT 1 FROM projects WHERE id = %s FOR UPDATE"


async def put(connection: Connection, project: UUID, rule: Rule) -> Rule | None:
    """None: the project is full."""
    table, columns = _TABLES[rule.kind], _columns(rule)
    await connection.execute(_LOCK, [project])
    cursor = await connection.execute(
        f"SELECT count(*) FILTER (WHERE name <> %s) AS others FROM {table} WHERE project = %s",  # noqa: S608
        [rule.name, project],
    )
    if (await cursor.fetchall())[0]["others"] >= MAX_OF_A_PROJECT:
        return None
    cursor = await connection.execute(
        f"INSERT INTO {table} (project, {', '.join(columns)}) VALUES (%s{', %s' * len(columns)}) ON CONFLICT (project, name)"  # noqa: S608
        f" DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in columns)}, updated_at = now() RETURNING *",
        [project, *columns.values()],
    )
    return _rule((await cursor.fetchall())[0])


async def read(connection: Connection, project: UUID, kind: RuleKind) -> list[Rule]:
    cursor = await connection.execute(f"SELECT * FROM {_TABLES[kind]} WHERE project = %s ORDER BY name", [project])  # noqa: S608
    return [_rule(row) for row in await cursor.fetchall()]


async def find(connection: Connection, project: UUID, kind: RuleKind, name: str) -> Rule | None:
    cursor = await connection.execute(f"SELECT * FROM {_TABLES[kind]} WHERE project = %s AND name = %s", [project, name])  # noqa: S608
    row = await cursor.fetchone()
    return _rule(row) if row else None


async def find_cutoff(connection: Connection, project: UUID, name: str, medium: MediaType) -> float | None:
    """None: there is no such profile, or it is not for that medium."""
    found = await find(connection, project, RuleKind.PROFILE, name)
    return found.body.get(medium) if found and isinstance(found.body, Mapping) else None


async def delete(connection: Connection, project: UUID, kind: RuleKind, name: str) -> bool:
    done = await connection.execute(f"DELETE FROM {_TABLES[kind]} WHERE project = %s AND name = %s", [project, name])  # noqa: S608
    return done.rowcount == 1


def _columns(rule: Rule) -> dict[str, Any]:
    own = (
        {"lanes": Jsonb(dict(rule.body.lanes)), "otherwise": rule.body.otherwise}
        if isinstance(rule.body, Policy)
        else {medium.value: rule.body.get(medium) for medium in MediaType}
    )
    return {"name": rule.name, "note": rule.note, **own}


def _rule(row: DictRow) -> Rule:
    if "lanes" in row:
        return Rule(row["name"], Policy.of(row["lanes"], row["otherwise"]), row["note"], row["updated_at"])
    cutoffs = {medium: row[medium] for medium in MediaType if row[medium] is not None}
    return Rule(row["name"], cutoffs, row["note"], row["updated_at"])
