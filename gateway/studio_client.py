"""The studio's way to a running mesh: as any other client's, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from gateway.pair_list import Pair
from mesh.errors import BY_CODE, Forbidden, MeshError, NotAvailable, NotFound, QuotaExceeded, Unauthorized, from_code
from mesh.media import MediaType

_SECONDS: Final = 30.0
_TRIES: Final = 4
_MAX_WAIT_SECONDS: Final = 30
_END_ALL: Final = (Unauthorized, Forbidden, QuotaExceeded)


@dataclass(frozen=True, slots=True)
class Scored:
    """Both in the order of the list."""

    scores: list[tuple[Pair, float]]
    failed: list[tuple[Pair, str]]


class StudioClient:
    """Enter it to open the connections."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def __aenter__(self) -> StudioClient:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def score(self, pairs: Sequence[Pair], at_once: int, on_done: Callable[[int], None]) -> Scored:
        """What is wrong with a pair costs that pair alone; what is wrong with all of them is raised."""
        turns = asyncio.Semaphore(at_once)
        done = 0

        async def outcome(pair: Pair) -> float | MeshError:
            nonlocal done
            async with turns:
                try:
                    return await self._score_one(pair)
                except _END_ALL:
                    raise
                except MeshError as problem:
                    return problem
                finally:
                    done += 1
                    on_done(done)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(outcome(pair)) for pair in pairs]
        except* MeshError as problems:
            raise problems.exceptions[0] from None
        outcomes = [(pair, task.result()) for pair, task in zip(pairs, tasks, strict=True)]
        return Scored(
            [(pair, found) for pair, found in outcomes if isinstance(found, float)],
            [(pair, f"{found.code}: {found}") for pair, found in outcomes if isinstance(found, MeshError)],
        )

    async def save(self, name: str, cutoffs: Mapping[str, float]) -> None:
        """Other media that the profile has keep their cutoffs."""
        path = f"/v1/profiles/{name}"
        try:
            kept = (await self._send("GET", path))["cutoffs"]
        except NotFound:
            kept = {}
        await self._send("PUT", path, {"cutoffs": {**kept, **cutoffs}, "note": "from the threshold studio"})

    async def _score_one(self, pair: Pair) -> float:
        if pair.type not in set(MediaType):
            raise from_code("invalid_request", f"{pair.type[:32]} is none of image, video and audio")
        body = {"source_url": pair.source, "target_url": pair.target}
        for tried in range(1, _TRIES + 1):
            try:
                return float((await self._send("POST", f"/{pair.type}/match", body))["similarity_score"])
            except MeshError as problem:
                wait = int(problem.details.get("retry_after_seconds", problem.retry_after_seconds or 1))
                if tried == _TRIES or not problem.retryable or wait > _MAX_WAIT_SECONDS:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError

    async def _send(self, method: str, path: str, body: object = None) -> Any:
        try:
            async with self._session.request(method, self._url + path, json=body) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            raise NotAvailable(f"{self._url} does not answer as a mesh does: {problem}") from problem
        error = answer.get("error") if isinstance(answer, dict) else None
        if response.status >= 400:
            code = error.get("code", "") if isinstance(error, dict) else ""
            raise from_code(code if code in BY_CODE else "internal", str(error.get("message", "")) if isinstance(error, dict) else "")
        return answer
