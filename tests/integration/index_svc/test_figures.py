from __future__ import annotations

from prometheus_client import REGISTRY

from index_svc.figures import Figures
from index_svc.store.database import Database


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_waiting_jobs_and_how_long_the_first_of_them_waits_are_told(database: Database) -> None:
    figures = Figures(database)
    await figures.read()
    assert (value("mediamesh_index_jobs_waiting", queue="assets"), value("mediamesh_index_lag_seconds", queue="assets")) == (0, 0)
    assert value("mediamesh_index_database_up") == 1
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at) VALUES"
            " ('assets', 'a', '{}', now() - interval '90 seconds'), ('assets', 'a', '{}', NULL),"
            " ('assets', 'a', '{}', now() + interval '1 hour')"
        )
    await figures.read()
    assert value("mediamesh_index_jobs_waiting", queue="assets") == 2
    assert 90 <= (value("mediamesh_index_lag_seconds", queue="assets") or 0) < 600
    assert (value("mediamesh_index_database_bytes") or 0) > 1_000_000


async def test_database_that_does_not_answer_is_told(database: Database) -> None:
    figures = Figures(database)
    await figures.read()
    database.is_migrated.clear()
    await figures.read()
    assert value("mediamesh_index_database_up") == 0
