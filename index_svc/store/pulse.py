"""Whether the database answers: asked on a connection of its own, one question at a time, so that it is told from a busy pool."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

_ANSWER_SECONDS: Final = 3.0
"""For what takes a millisecond, however much else there is to do."""
_GRACE_SECONDS: Final = 0.2
"""What came while this process did not get round to reading it is read first."""


class Pulse:
    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: AsyncConnection[Any] | None = None

    async def beats(self) -> bool:
        """Asks once, and knows within the time that an answer may take."""
        try:
            if self._connection is None:
                self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True, connect_timeout=int(_ANSWER_SECONDS))
            await _ask(self._connection)
        except (psycopg.Error, OSError):
            await self.close()
            return False
        return True

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


async def _ask(connection: AsyncConnection[Any]) -> None:
    """Never cancelled: the library would ask the same database to end the question, and wait for that."""
    asking = asyncio.ensure_future(connection.execute("SELECT 1"))
    try:
        for seconds in (_ANSWER_SECONDS, _GRACE_SECONDS):
            await asyncio.wait((asking,), timeout=seconds)
    finally:
        if not asking.done():
            cut(connection)
        await asyncio.gather(asking, return_exceptions=True)
    asking.result()


def cut(connection: AsyncConnection[Any]) -> None:
    """Whoever waits for the other end hears at once that there is none; nothing is awaited."""
    if connection.closed:
        return
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        try:
            duplicate.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end was quicker
            return
