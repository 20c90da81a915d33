"""A server on loopback that sends exactly the bytes that a test says, and knows who connected, what was asked and who left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]

CRLF = b"\r\n"


def answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """A whole answer; with its right length unless told otherwise."""
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, f"Location: {location}")


class RawOrigin:
    """Lives in the event loop that it is entered in. `requests` are the heads as they came in, `paths` their paths."""

    def __init__(
        self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0, listening: socket.socket | None = None
    ) -> None:
        self.requests: list[bytes] = []
        self.dialled: list[str] = []
        """The address that each connection was made to."""
        self.sent_bytes = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        """Somebody who was being answered has closed the connection."""
        self._host, self._tls, self.port, self._listening = host, tls, port, listening
        self._says: dict[str, Say] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._listening:
            self._server = await asyncio.start_server(self._talk, sock=self._listening, ssl=self._tls)
        else:
            self._server = await asyncio.start_server(self._talk, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        return len(self.dialled)

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]

    def url(self, path: str, host: str | None = None) -> str:
        return f"http{'s' if self._tls else ''}://{host or self._host}:{self.port}{path}"

    def say(self, path: str, *pieces: bytes) -> str:
        """These bytes, then the end of the connection; returns the URL."""

        async def say(writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                self.sent_bytes += len(piece)

        return self.do(path, say)

    def say_without_end(self, path: str, start: bytes, again: bytes, pause_seconds: float = 0.0) -> str:
        """These bytes, then others again and again; returns the URL."""

        async def say(writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            while not writer.is_closing():
                await writer.drain()
                await asyncio.sleep(pause_seconds)
                writer.write(again)
                self.sent_bytes += len(again)

        return self.do(path, say)

    def saying(self, path: str) -> Say:
        """What is said there."""
        return self._says[path]

    def do(self, path: str, say: Say) -> str:
        self._says[path] = say
        return self.url(path)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer.get_extra_info("sockname")[0].removeprefix("::ffff:"))
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(CRLF * 2)
            self.requests.append(head)
            self.asked.set()
            say = self._says.get(head.split(b" ")[1].decode())
            watch = asyncio.create_task(self._watch(reader, writer))
            try:
                if say:
                    await say(writer)
            finally:
                writer.close()
                await watch
        except (OSError, EOFError):
            self.left.set()
        finally:
            self._tasks.discard(task)

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        self.left.set()
        writer.close()
