"""An origin that costs little itself: files from memory, and the same file under other bytes wherever a URL has a query."""

from __future__ import annotations

import asyncio
from typing import Self


class LoadOrigin:
    """Enter it to serve, in this very loop."""

    def __init__(self) -> None:
        self._files: list[tuple[bytes, str]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def serve(self, content: bytes, suffix: str) -> str:
        """Its URL."""
        self._files.append((content, suffix))
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/{len(self._files) - 1}{suffix}"

    def size_bytes(self, url: str) -> int:
        """Of what lies at the URL, without a query."""
        return len(self._file(url.rpartition("/")[2])[0])

    def _file(self, name: str) -> tuple[bytes, str]:
        return self._files[int(name.partition(".")[0])]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path, _, query = head.split(b" ", 2)[1].partition(b"?")
                content, suffix = self._file(path.decode().lstrip("/"))
                body = stamped(content, suffix, query) if query else content
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def stamped(content: bytes, suffix: str, stamp: bytes) -> bytes:
    """The same media with a note that no decoder minds, so that nobody has seen these bytes before."""
    if suffix == ".jpg":
        return content[:2] + b"\xff\xfe" + (len(stamp) + 2).to_bytes(2, "big") + stamp + content[2:]
    if suffix == ".mp4":
        return content + (len(stamp) + 8).to_bytes(4, "big") + b"free" + stamp
    return content + b"TAG" + stamp.ljust(125, b"\0")
