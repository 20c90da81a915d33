"""The decision log: appended to under one lock, so that its numbers rise in the order in which rows are seen; read by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from index_svc.decision import Decision, DecisionFilter
from index_svc.records import MEDIUM, MEDIUM_NUMBER
from index_svc.store.database import Connection
from mesh.errors import NotFound
from mesh.media import Confidence

_LOCK: Final = 0x6D6D6465636C6F67
"""Any number that others do not use: "mmdeclog"."""
_COLUMNS: Final = (
    *("project", "request_id", "endpoint", "media_type", "source_sha256", "target_sha256", "source_pdq", "target_pdq", "score"),
    *("confidence", "is_match", "threshold", "profile", "policy", "lane", "algorithm", "version", "hits"),
)
_INSERT: Final = f"INSERT INTO decisions ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608
_SELECT: Final = f"SELECT number, at, {', '.join(_COLUMNS[1:])} FROM decisions"  # noqa: S608
_HASHES: Final = ("source_sha256", "target_sha256", "source_pdq", "target_pdq")


async def append(connection: Connection, rows: Sequence[tuple[UUID, Decision]]) -> None:
    """Held until the transaction ends: no row with a lower number is ever seen later."""
    try:
        async with connection.pipeline(), connection.cursor() as cursor:
            await cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            await cursor.executemany(_INSERT, [_values(project, decision) for project, decision in rows])
    except psycopg.errors.ForeignKeyViolation as problem:
        raise NotFound("there is no such project") from problem


async def read(connection: Connection, project: UUID, wanted: DecisionFilter, after: int, limit: int) -> list[Decision]:
    where, values = _where(project, wanted)
    cursor = await connection.execute(f"{_SELECT} WHERE {where} AND number > %s ORDER BY number LIMIT %s", [*values, after, limit])
    return [_decision(row) for row in await cursor.fetchall()]


async def count(connection: Connection, project: UUID, wanted: DecisionFilter, floors: Sequence[float]) -> tuple[int, list[int]]:
    """All of them, and how many reach each score."""
    where, values = _where(project, wanted)
    reaching = "".join(f", count(*) FILTER (WHERE score >= %s) AS reaching_{at}" for at in range(len(floors)))
    cursor = await connection.execute(f"SELECT count(*) AS total{reaching} FROM decisions WHERE {where}", [*floors, *values])  # noqa: S608
    row = (await cursor.fetchall())[0]
    return row["total"], [row[f"reaching_{at}"] for at in range(len(floors))]


async def delete_expired(connection: Connection, limit: int) -> int:
    """Of each project some of the oldest that are past what it keeps; the table itself refuses others."""
    done = await connection.execute(
        "DELETE FROM decisions WHERE number IN (SELECT oldest.number FROM projects CROSS JOIN LATERAL"
        " (SELECT number, at FROM decisions WHERE project = projects.id ORDER BY number LIMIT %s) AS oldest"
        " WHERE oldest.at < clock_timestamp() - make_interval(days => projects.decision_days))",
        [limit],
    )
    return done.rowcount


def _where(project: UUID, wanted: DecisionFilter) -> tuple[str, list[Any]]:
    conditions: list[tuple[str, Any]] = [("project = %s", project)]
    if wanted.since is not None:
        conditions.append(("at >= %s", wanted.since))
    if wanted.until is not None:
        conditions.append(("at < %s", wanted.until))
    if wanted.media_type is not None:
        conditions.append(("media_type = %s", MEDIUM_NUMBER[wanted.media_type]))
    if wanted.is_match is not None:
        conditions.append(("is_match = %s", wanted.is_match))
    if wanted.min_score is not None:
        conditions.append(("score >= %s", wanted.min_score))
    conditions += [
        (f"{name} = %s", getattr(wanted, name)) for name in ("endpoint", "policy", "lane", "request_id") if getattr(wanted, name)
    ]
    return " AND ".join(text for text, _ in conditions), [value for _, value in conditions]


def _values(project: UUID, decision: Decision) -> list[Any]:
    values = {name: getattr(decision, name) for name in _COLUMNS[1:]}
    values |= {name: bytes.fromhex(values[name]) or None for name in _HASHES}
    values["media_type"] = MEDIUM_NUMBER[decision.media_type]
    values["confidence"] = decision.confidence.value
    values["hits"] = None if decision.hits is None else Jsonb([[str(asset), score] for asset, score in decision.hits])
    return [project, *values.values()]


def _decision(row: DictRow) -> Decision:
    hashes = {name: row[name].hex() if row[name] else "" for name in _HASHES}
    hits = None if row["hits"] is None else tuple((UUID(asset), score) for asset, score in row["hits"])
    known = {
        **row,
        **hashes,
        "media_type": MEDIUM[row["media_type"]],
        "confidence": Confidence(row["confidence"]),
        "hits": hits,
    }
    return Decision(**known)
