"""The connections: a pool that outlives the database's absences, migrations before first use, coded errors.

While the database is away, does not answer, or has no room on its disk, whoever comes is told so at once: one task looks after that.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from index_svc.store.migration import apply_migrations
from index_svc.store.pulse import Pulse, cut
from mesh.errors import DeadlineExceeded, InvalidRequest, NotAvailable

_log = logging.getLogger(__name__)

Connection = AsyncConnection[DictRow]

_WAIT_SECONDS: Final = 3.0
_STATEMENT_SECONDS: Final = 20
_LOOK_SECONDS: Final = 0.5
RESERVED_BYTES: Final = 64 * 1024 * 1024
"""Four files of PostgreSQL's log. Where it cannot write that it ends, and with it all reading, so nothing new is taken before."""
_MOMENT_SECONDS: Final = 1.0
"""Who comes so soon after it was lost waits that long: a restart of the database, or a restore, is over by then."""
_AWAY: Final = "the database is not reachable just now"
MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"


class DiskFull(NotAvailable):
    """The database takes nothing new just now: its disk is full."""


class Database:
    """Enter it to open the pool; where the database is not there yet it is waited for behind the scenes."""

    def __init__(self, conninfo: str, max_connections: int, folder: Path | None = None) -> None:
        self.conninfo = conninfo
        self._max_connections = max_connections
        self._folder = folder
        """Where its files lie, if on this machine."""
        self.is_migrated = asyncio.Event()
        self._answers = asyncio.Event()
        self._lost_at = -math.inf
        self.is_full = False
        self._connections: WeakSet[AsyncConnection[Any]] = WeakSet()
        self._queued: dict[asyncio.Task[Any] | None, asyncio.Timeout] = {}
        """Who waits for a connection, and has none yet."""

    async def __aenter__(self) -> Database:
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self.conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "connect_timeout": _WAIT_SECONDS},
            min_size=2,
            max_size=self._max_connections,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=2 * _WAIT_SECONDS,
            configure=self._configure,
            # A connection that the database dropped is replaced before anyone is given it.
            check=self._check,
            open=False,
        )
        await self._migrate()
        await self.pool.open(wait=False)
        self._watcher = asyncio.create_task(self._keep_watching())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await self.pool.close(timeout=_WAIT_SECONDS)

    @property
    def is_able(self) -> bool:
        """Whether it answers; it may be full all the same."""
        return self.is_migrated.is_set() and self._answers.is_set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection for one transaction: all of it or nothing."""
        if not self.is_migrated.is_set():
            raise NotAvailable(_AWAY)
        if not self._answers.is_set():
            await self._wait_a_moment()
        try:
            async with AsyncExitStack() as stack:
                connection = await self._next_connection(stack)
                # Said with its BEGIN. What only reads goes on, and nothing is added to the log of a full disk.
                await connection.set_read_only(self.is_full or None)
                yield connection
        except (psycopg.errors.DiskFull, psycopg.errors.ReadOnlySqlTransaction) as problem:
            _log.warning("database", extra={"problem": type(problem).__name__})
            raise DiskFull() from problem
        except psycopg.errors.QueryCanceled as problem:
            raise DeadlineExceeded() from problem
        except psycopg.DataError as problem:
            # NUL in a text, a number beyond the column's: whoever gave it is told, wherever it was not looked for.
            _log.warning("database", extra={"problem": type(problem).__name__})
            raise InvalidRequest("holds a text or a number that cannot be kept") from problem
        except (psycopg.OperationalError, PoolTimeout, PoolClosed) as problem:
            _log.warning("database", extra={"problem": type(problem).__name__})
            raise NotAvailable(_AWAY) from problem

    async def _wait_a_moment(self) -> None:
        try:
            async with asyncio.timeout_at(self._lost_at + _MOMENT_SECONDS):
                await self._answers.wait()
        except TimeoutError as problem:
            raise NotAvailable(_AWAY) from problem

    async def _next_connection(self, stack: AsyncExitStack) -> Connection:
        """Waits while others have them all, but not for a database that does not answer."""
        waiter = asyncio.current_task()
        try:
            async with asyncio.timeout(None) as self._queued[waiter]:
                return await stack.enter_async_context(self.pool.connection())
        except TimeoutError as problem:
            raise PoolTimeout(_AWAY) from problem
        finally:
            self._queued.pop(waiter, None)

    async def _check(self, connection: AsyncConnection[Any]) -> None:
        waiter = asyncio.current_task()
        # Now it waits for an answer, which ends by itself when the connection is cut.
        patience = self._queued.pop(waiter, None)
        try:
            await AsyncConnectionPool.check_connection(connection)
            # The library's check turns it on meanwhile; given up just then, it stays on, and nothing on it were all or nothing.
            await connection.set_autocommit(False)
        except psycopg.Error:
            if patience is not None and self._answers.is_set():
                self._queued[waiter] = patience
            elif patience is not None:
                _end(patience)
            raise

    async def _configure(self, connection: AsyncConnection[Any]) -> None:
        self._connections.add(connection)
        await connection.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
        await connection.commit()

    async def _migrate(self) -> None:
        try:
            await asyncio.to_thread(apply_migrations, self.conninfo, MIGRATIONS)
        except psycopg.OperationalError as problem:
            _log.warning("the database is not reachable", extra={"problem": type(problem).__name__})
            return
        self._answers.set()
        self.is_migrated.set()

    async def _keep_watching(self) -> None:
        while not self.is_migrated.is_set():
            await asyncio.sleep(_LOOK_SECONDS)
            await self._migrate()
        pulse = Pulse(self.conninfo)
        try:
            while True:
                try:
                    self._note(is_answering=await pulse.beats(), is_full=await asyncio.to_thread(self._has_no_room))
                except Exception as problem:
                    _log.warning("looking after the database failed", extra={"problem": type(problem).__name__})
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await pulse.close()

    def _note(self, *, is_answering: bool, is_full: bool) -> None:
        if is_full != self.is_full:
            _log.warning("the disk of the database is full" if is_full else "the disk of the database has room again")
        if is_answering != self._answers.is_set():
            _log.warning("the database answers again" if is_answering else "the database does not answer")
        self.is_full = is_full
        if is_answering:
            self._answers.set()
        else:
            if self._answers.is_set():
                self._lost_at = asyncio.get_running_loop().time()
            self._answers.clear()
            for connection in self._connections:
                cut(connection)
            while self._queued:
                _end(self._queued.popitem()[1])

    def _has_no_room(self) -> bool:
        try:
            disk = os.statvfs(self._folder) if self._folder else None
        except OSError:
            return False
        return disk is not None and disk.f_bavail * disk.f_frsize < RESERVED_BYTES


def _end(patience: asyncio.Timeout) -> None:
    patience.reschedule(asyncio.get_running_loop().time())
