"""One PostgreSQL a session, as index_svc runs it; a database of its own a test, copied from one with the tables in place."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from index_svc.access import Access
from index_svc.embedded import EmbeddedPostgres
from index_svc.store.database import MIGRATIONS, Database
from index_svc.store.migration import apply_migrations

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("pg")
    with RunningPostgres(EmbeddedPostgres(folder / "database" / "18", folder / "db", fsync="off", full_page_writes="off")) as embedded:
        yield embedded


@pytest.fixture(scope="session")
def template(cluster: EmbeddedPostgres) -> str:
    _run(cluster, "CREATE DATABASE template")
    apply_migrations(_in(cluster, "template"), MIGRATIONS)
    return "template"


@pytest.fixture
def conninfo(cluster: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _run(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _in(cluster, name)
    _run(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[Database]:
    async with Database(conninfo, 8) as opened:
        yield opened


@pytest.fixture
async def full_database(conninfo: str, database: Database) -> AsyncIterator[Database]:
    """The same as `database`, for one whose disk is full: a file system that never has any room."""
    async with Database(conninfo, 2, Path("/proc")) as opened, asyncio.timeout(60):
        while not opened.is_full:
            await asyncio.sleep(0)
        yield opened


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database, "")


class RunningPostgres:
    """Lives in a thread and loop of its own, longer than the loop of any test."""

    def __init__(self, embedded: EmbeddedPostgres) -> None:
        self._embedded = embedded

    def __enter__(self) -> EmbeddedPostgres:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._embedded.__aenter__(), self._loop).result(60)
        return self._embedded

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._embedded.__aexit__(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _in(cluster: EmbeddedPostgres, database: str) -> str:
    return cluster.conninfo.replace("dbname=postgres", f"dbname={database}")


def _run(cluster: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(cluster.conninfo, autocommit=True) as connection:
        connection.execute(statement.encode())
