"""The connections: a pool that outlives the database's absences, migrations before first use, a coded error when it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from index_svc.store.migration import apply_migrations
from mesh.errors import DeadlineExceeded, InvalidRequest, NotAvailable

_log = logging.getLogger(__name__)

Connection = AsyncConnection[DictRow]

_WAIT_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = 0.5
_STATEMENT_SECONDS: Final = 20
MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"


class Database:
    """Enter it to open the pool; where the database is not there yet it is waited for behind the scenes."""

    def __init__(self, conninfo: str, max_connections: int) -> None:
        self.conninfo = conninfo
        self._max_connections = max_connections
        self.is_migrated = asyncio.Event()

    async def __aenter__(self) -> Database:
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self.conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "connect_timeout": _WAIT_SECONDS},
            min_size=2,
            max_size=self._max_connections,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=2 * _WAIT_SECONDS,
            configure=_limit_statements,
            # A connection that the database dropped is replaced before anyone is given it.
            check=_check,
            open=False,
        )
        self._migrating: asyncio.Task[None] | None = None
        if not await self._migrate():
            self._migrating = asyncio.create_task(self._keep_migrating())
        await self.pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._migrating is not None:
            self._migrating.cancel()
        await self.pool.close(timeout=_WAIT_SECONDS)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection for one transaction: all of it or nothing."""
        if not self.is_migrated.is_set():
            raise NotAvailable("the database is not reachable just now")
        try:
            async with self.pool.connection() as connection:
                yield connection
        except psycopg.errors.QueryCanceled as problem:
            raise DeadlineExceeded() from problem
        except psycopg.DataError as problem:
            # NUL in a text, a number beyond the column's: whoever gave it is told, wherever it was not looked for.
            _log.warning("database", extra={"problem": type(problem).__name__})
            raise InvalidRequest("holds a text or a number that cannot be kept") from problem
        except (psycopg.OperationalError, PoolTimeout, PoolClosed) as problem:
            _log.warning("database", extra={"problem": type(problem).__name__})
            raise NotAvailable("the database is not reachable just now") from problem

    async def _migrate(self) -> bool:
        try:
            await asyncio.to_thread(apply_migrations, self.conninfo, MIGRATIONS)
        except psycopg.OperationalError as problem:
            _log.warning("the database is not reachable", extra={"problem": type(problem).__name__})
            return False
        self.is_migrated.set()
        return True

    async def _keep_migrating(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            if await self._migrate():
                return


async def _check(connection: AsyncConnection[Any]) -> None:
    await AsyncConnectionPool.check_connection(connection)
    # The library's check turns it on meanwhile; given up just then, it stays on, and nothing on that connection were all or nothing.
    await connection.set_autocommit(False)


async def _limit_statements(connection: AsyncConnection[Any]) -> None:
    await connection.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
    await connection.commit()
