"""Workers of a queue end when they are told to, whatever has become of the database."""

from __future__ import annotations

import asyncio

import psycopg

from index_svc.embedded import EmbeddedPostgres
from index_svc.leased_queue import LeasedQueue
from index_svc.store.database import Database


async def test_worker_whose_database_is_away_ends_when_it_is_told_to(cluster: EmbeddedPostgres, conninfo: str) -> None:
    is_working = asyncio.Event()

    async def work(number: int, is_last: bool) -> None:
        is_working.set()

    async with Database(conninfo, 4) as database:
        queue = LeasedQueue(database, "made-up", "made_up", work, 1, 3)
        await queue.__aenter__()
        async with database.transaction() as connection:
            await queue.put(connection, [1])
        await is_working.wait()
        name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
        async with await psycopg.AsyncConnection.connect(cluster.conninfo, autocommit=True) as outside:
            await outside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            await outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        # It would go on for ever, one worker after the other.
        async with asyncio.timeout(120):
            await queue.__aexit__()
