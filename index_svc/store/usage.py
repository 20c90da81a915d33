"""What projects may use and have used: plans, the counters of a month, places for ready assets.

Whatever is counted up to a limit is compared and counted in one statement: no two can take the same last place.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from index_svc.plans import Month, Plan, Usage, usage_of
from index_svc.records import MEDIUM, MEDIUM_NUMBER
from index_svc.store.database import Connection
from mesh.media import MediaType

_PLAN: Final = (
    "plans.name, plans.features, plans.max_ready_images, plans.max_ready_videos, plans.max_ready_audio, plans.max_search_bytes,"
    " plans.max_searches, plans.max_calls, plans.search_soft_factor, plans.requests_per_second, plans.burst_seconds"
)
_PLAN_FIELDS: Final = tuple(name.strip().removeprefix("plans.") for name in _PLAN.split(","))
# As records.MEDIUM_NUMBER has them.
_MAX_READY: Final = (
    "CASE assets.media_type WHEN 1 THEN plans.max_ready_images WHEN 2 THEN plans.max_ready_videos WHEN 3 THEN plans.max_ready_audio END"
)

_COUNT_SEARCH: Final = """
WITH allowed AS (
  SELECT projects.id AS project, floor(plans.max_searches * plans.search_soft_factor)::bigint AS searches,
         CASE WHEN %(is_downloading)s THEN plans.max_search_bytes END AS search_bytes
    FROM projects JOIN plans ON plans.name = projects.plan WHERE projects.id = %(project)s
)
INSERT INTO usage AS counted (project, period, searches)
SELECT allowed.project, %(period)s, 1 FROM allowed
 WHERE coalesce(allowed.searches > 0, true) AND coalesce(allowed.search_bytes > 0, true)
ON CONFLICT (project, period) DO UPDATE SET searches = counted.searches + 1
 WHERE (SELECT coalesce(counted.searches < allowed.searches, true) AND coalesce(counted.search_bytes < allowed.search_bytes, true)
          FROM allowed)
"""
_COUNT_CALL: Final = """
WITH allowed AS (
  SELECT projects.id AS project, plans.max_calls AS calls
    FROM projects JOIN plans ON plans.name = projects.plan WHERE projects.id = %(project)s
)
INSERT INTO usage AS counted (project, period, calls)
SELECT allowed.project, %(period)s, 1 FROM allowed WHERE coalesce(allowed.calls > 0, true)
ON CONFLICT (project, period) DO UPDATE SET calls = counted.calls + 1
 WHERE (SELECT coalesce(counted.calls < allowed.calls, true) FROM allowed)
"""
_CHARGE: Final = """
UPDATE usage SET search_bytes = usage.search_bytes + %(bytes)s
  FROM projects JOIN plans ON plans.name = projects.plan
 WHERE usage.project = %(project)s AND usage.period = %(period)s AND projects.id = usage.project
   AND coalesce(usage.search_bytes + %(bytes)s <= plans.max_search_bytes, true)
"""
_USAGE: Final = f"""
SELECT {_PLAN},
       coalesce(usage.searches, 0) AS used_searches, coalesce(usage.search_bytes, 0) AS used_search_bytes,
       coalesce(usage.calls, 0) AS used_calls,
       ARRAY(SELECT ready_assets.media_type FROM ready_assets WHERE ready_assets.project = projects.id ORDER BY 1) AS media_types,
       ARRAY(SELECT ready_assets.ready FROM ready_assets WHERE ready_assets.project = projects.id ORDER BY media_type) AS ready
  FROM projects JOIN plans ON plans.name = projects.plan
  LEFT JOIN usage ON usage.project = projects.id AND usage.period = %(period)s
 WHERE projects.id = %(project)s
"""  # noqa: S608
_READY: Final = f"""
WITH due AS (
  SELECT assets.project, assets.media_type, {_MAX_READY} AS max_ready
    FROM assets JOIN projects ON projects.id = assets.project JOIN plans ON plans.name = projects.plan
   WHERE assets.number = %(number)s AND assets.status = 'processing' FOR UPDATE OF assets
), place AS (
  INSERT INTO ready_assets AS taken (project, media_type, ready)
  SELECT due.project, due.media_type, 1 FROM due WHERE coalesce(due.max_ready > 0, true)
  ON CONFLICT (project, media_type) DO UPDATE SET ready = taken.ready + 1
   WHERE (SELECT coalesce(taken.ready < due.max_ready, true) FROM due)
  RETURNING taken.ready
)
UPDATE assets SET status = 'ready', finished_at = now(), algorithm = %(algorithm)s, version = %(version)s, sha256 = %(sha256)s,
       url = CASE WHEN (SELECT store_media FROM projects WHERE id = assets.project) THEN url END
  FROM place WHERE assets.number = %(number)s
"""  # noqa: S608


async def list_plans(connection: Connection) -> list[Plan]:
    cursor = connection.cursor(row_factory=class_row(Plan))
    await cursor.execute(f"SELECT {_PLAN} FROM plans ORDER BY name")  # noqa: S608
    return await cursor.fetchall()


async def insert_plan(connection: Connection, plan: Plan) -> bool:
    """False: there is one of that name."""
    columns, values = ", ".join(_PLAN_FIELDS), ", ".join(f"%({name})s" for name in _PLAN_FIELDS)
    done = await connection.execute(f"INSERT INTO plans ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING", asdict(plan))  # noqa: S608
    return done.rowcount == 1


async def replace_plan(connection: Connection, plan: Plan) -> bool:
    """False: there is none of that name."""
    changes = ", ".join(f"{name} = %({name})s" for name in _PLAN_FIELDS if name != "name")
    done = await connection.execute(f"UPDATE plans SET {changes} WHERE name = %(name)s", asdict(plan))  # noqa: S608
    return done.rowcount == 1


async def set_project_plan(connection: Connection, project: UUID, plan: str) -> bool:
    """False: there is no such project."""
    return (await connection.execute("UPDATE projects SET plan = %s WHERE id = %s", [plan, project])).rowcount == 1


async def set_key_rate(connection: Connection, project: UUID, identity: str, requests_per_second: int | None, burst_seconds: int) -> bool:
    """False: the project has no such key."""
    done = await connection.execute(
        "UPDATE keys SET requests_per_second = %s, burst_seconds = %s WHERE project = %s AND id = %s",
        [requests_per_second, burst_seconds if requests_per_second else None, project, identity],
    )
    return done.rowcount == 1


async def do_not_wait_for_disk(connection: Connection) -> None:
    """This transaction does not wait until it is on disk: where PostgreSQL itself dies, less than a second goes uncounted."""
    await connection.execute("SET LOCAL synchronous_commit = off")


async def count_search(connection: Connection, project: UUID, month: Month, *, is_downloading: bool) -> bool:
    """False: it is one too many, or it needs bytes and none are left."""
    wanted = {"project": project, "period": month.start.date(), "is_downloading": is_downloading}
    return (await connection.execute(_COUNT_SEARCH, wanted)).rowcount == 1


async def charge_search(connection: Connection, project: UUID, month: Month, media_bytes: int) -> bool:
    """Adds what a counted search downloaded; False: that is more than is left, and nothing was added."""
    wanted = {"project": project, "period": month.start.date(), "bytes": media_bytes}
    return (await connection.execute(_CHARGE, wanted)).rowcount == 1


async def count_call(connection: Connection, project: UUID, month: Month) -> bool:
    """False: it is one too many."""
    return (await connection.execute(_COUNT_CALL, {"project": project, "period": month.start.date()})).rowcount == 1


async def give_back(
    connection: Connection, project: UUID, month_start: datetime, *, searches: int = 0, search_bytes: int = 0, calls: int = 0
) -> None:
    """Undoes what was counted in that month; never more than there is."""
    await connection.execute(
        "UPDATE usage SET searches = greatest(searches - %s, 0), search_bytes = greatest(search_bytes - %s, 0),"
        " calls = greatest(calls - %s, 0) WHERE project = %s AND period = %s",
        [searches, search_bytes, calls, project, month_start.date()],
    )


async def read_usage(connection: Connection, project: UUID, month: Month) -> Usage | None:
    """None: there is no such project."""
    cursor = await connection.execute(_USAGE, {"project": project, "period": month.start.date()})
    row = await cursor.fetchone()
    if row is None:
        return None
    counted: dict[str, Any] = {name: row[f"used_{name}"] for name in ("searches", "search_bytes", "calls")}
    ready = {MEDIUM[number]: count for number, count in zip(row["media_types"], row["ready"], strict=True)}
    return usage_of(Plan(**{name: row[name] for name in _PLAN_FIELDS}), month, counted, ready)


async def take_place(connection: Connection, number: int, algorithm: str, version: int, sha256: str) -> bool:
    """Makes an asset in processing ready where its project's plan has a place left for it."""
    made = {"number": number, "algorithm": algorithm, "version": version, "sha256": sha256}
    return (await connection.execute(_READY, made)).rowcount == 1


async def take_places(connection: Connection, project: UUID, media_type: MediaType, count: int) -> bool:
    """For so many assets that are ready at once, where the project's plan has places left for all of them."""
    taken = await connection.execute(
        "WITH due AS (SELECT projects.id AS project, %(media_type)s::smallint AS media_type, CASE %(media_type)s::smallint"
        "  WHEN 1 THEN plans.max_ready_images WHEN 2 THEN plans.max_ready_videos WHEN 3 THEN plans.max_ready_audio END AS max_ready"
        "  FROM projects JOIN plans ON plans.name = projects.plan WHERE projects.id = %(project)s)"
        " INSERT INTO ready_assets AS taken (project, media_type, ready)"
        " SELECT due.project, due.media_type, %(count)s FROM due WHERE coalesce(due.max_ready >= %(count)s, true)"
        " ON CONFLICT (project, media_type) DO UPDATE SET ready = taken.ready + %(count)s"
        "  WHERE (SELECT coalesce(taken.ready + %(count)s <= due.max_ready, true) FROM due) RETURNING ready",
        {"project": project, "media_type": MEDIUM_NUMBER[media_type], "count": count},
    )
    return await taken.fetchone() is not None


async def leave_place(connection: Connection, number: int) -> None:
    """Deletes an asset; where it was ready its place is free again."""
    await connection.execute(
        "WITH gone AS (DELETE FROM assets WHERE number = %s RETURNING project, media_type, status)"
        " UPDATE ready_assets SET ready = ready - 1 FROM gone"
        " WHERE gone.status = 'ready' AND ready_assets.project = gone.project AND ready_assets.media_type = gone.media_type",
        [number],
    )
