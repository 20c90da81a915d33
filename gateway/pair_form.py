"""A pair that comes as a form: each side a file or a URL. A file is on its way to the matcher while it still comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import UNSET

from gateway.clients import Heard, Mesh
from gateway.decider import Decider, Deciders
from gateway.form import Form
from gateway.matcher_client import Side
from gateway.schemas import MatchForm, MatchOptionFields, read_fields
from mesh.errors import InvalidRequest
from mesh.media import Include, MediaType

_SIDES: Final = ("source", "target")


class PairForm:
    """Enter `answered` to have it read and compared; what is under way ends with it."""

    def __init__(self, form: Form, mesh: Mesh, medium: MediaType, deciders: Deciders) -> None:
        self._form = form
        self._deciders = deciders
        self._mesh = mesh
        self._medium = medium
        self._matcher = mesh.matcher(medium)
        self._tasks: dict[str, asyncio.Task[Side]] = {}
        self._has_hashes = True

    @asynccontextmanager
    async def answered(self) -> AsyncIterator[tuple[MatchOptionFields, Decider, Heard]]:
        try:
            yield await self._answer()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _answer(self) -> tuple[MatchOptionFields, Decider, Heard]:
        async for name, chunks in self._form.files(_SIDES):
            # What is wrong with the fields need not wait for the file, and neither for the other file what is wrong with this one.
            wants_hashes = Include.HASHES in read_fields(self._form.fields, MatchForm).include
            self._has_hashes = self._has_hashes and wants_hashes
            await self._take_while_it_comes(name, chunks, has_hashes=wants_hashes)
        wanted = read_fields(self._form.fields, MatchForm)
        urls = {name: self._checked_url(name, wanted) for name in _SIDES}
        if Include.HASHES in wanted.include and not self._has_hashes:
            raise InvalidRequest("include: hashes must be asked for before the files come", field="include")
        decider = await self._deciders.of(wanted)
        if not self._tasks:
            heard = await self._mesh.match_with_sound(self._medium, urls["source"], urls["target"], decider.options)
            return wanted, decider, heard
        if self._medium is MediaType.VIDEO and Include.AUDIO in wanted.include:
            raise InvalidRequest("include: audio is only heard of films that both come as URLs", field="include")
        for name in _SIDES:
            if name not in self._tasks:
                side = self._matcher.take_url(f"{name}_url", urls[name], has_hashes=Include.HASHES in wanted.include)
                self._begin(name, side)
        source, target = await asyncio.gather(*(self._tasks[name] for name in _SIDES))
        return wanted, decider, (await self._matcher.compare(source, target, decider.options), None)

    async def _take_while_it_comes(self, name: str, chunks: AsyncGenerator[bytes, None], *, has_hashes: bool) -> None:
        all_came = asyncio.Event()

        async def watched() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                yield chunk
            all_came.set()

        self._begin(name, self._matcher.take_bytes(name, watched(), has_hashes=has_hashes))
        coming = asyncio.create_task(all_came.wait())
        try:
            while not coming.done():
                under_way = [task for task in self._tasks.values() if not task.done()]
                done, _ = await asyncio.wait((coming, *under_way), return_when=asyncio.FIRST_COMPLETED)
                for task in done - {coming}:
                    task.result()
                if self._tasks[name].done():
                    break
        finally:
            coming.cancel()

    def _begin(self, name: str, side: Coroutine[Any, Any, Side]) -> None:
        self._tasks[name] = asyncio.create_task(side)

    def _checked_url(self, name: str, wanted: MatchForm) -> str:
        """Empty where the side is a file."""
        url = wanted.source_url if name == "source" else wanted.target_url
        if name in self._tasks and url is not UNSET:
            raise InvalidRequest(f"{name} is given twice, as a file and as {name}_url", field=name)
        if name not in self._tasks and url is UNSET:
            raise InvalidRequest(f"{name} must be given, as a file or as {name}_url", field=name)
        return "" if url is UNSET else url
