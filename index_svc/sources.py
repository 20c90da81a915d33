"""Where the bytes of a file come from: a URL, which a matcher has fetched, or bytes that are at hand and may be read again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from index_svc.held_media import HeldMedia, read_held
from index_svc.settings import Settings
from mesh.errors import MeshError
from mesh.fetching import FetcherClient
from mesh.media import MediaType
from mesh.media_type import LIMITS


@dataclass(frozen=True, slots=True)
class Source:
    """`read` gives the bytes from their beginning, each time it is called; what they are is known where they were fetched for it."""

    url: str = ""
    read: Callable[[], AsyncIterator[bytes]] | None = None
    sha256: str = ""
    size_bytes: int = 0

    @property
    def field(self) -> str:
        """What the caller knows it by."""
        return "url" if self.url else "file"


class Sources:
    """Enter it to open the channels to the fetcher."""

    def __init__(self, settings: Settings, held: HeldMedia) -> None:
        self._held = held
        self._fetchers = {medium: FetcherClient(settings, settings.fetcher_address, medium) for medium in MediaType}

    async def __aenter__(self) -> Sources:
        self._stack = AsyncExitStack()
        for fetcher in self._fetchers.values():
            await self._stack.enter_async_context(fetcher)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def at_hand(self, medium: MediaType, source: Source) -> AsyncIterator[Source]:
        """For more than one matcher: what a URL names is fetched once, as this medium, so that all of them get the same bytes."""
        if source.read is not None:
            yield source
            return
        with self._held.room() as room:
            room.grow(LIMITS[medium].max_bytes)
            try:
                media = await self._fetchers[medium].fetch(source.url)
            except MeshError as error:
                raise error.of_field("url") from error
            with media:
                room.shrink(room.size_bytes - media.size_bytes)
                yield replace(source, read=partial(read_held, media), sha256=media.sha256, size_bytes=media.size_bytes)
