"""Moving windows in memory, as a store of the library `limits`: exact, bounded in names, and nothing runs behind the scenes.

The library's own store goes through every name it knows after each request, with a thread switch for each: milliseconds
where this takes microseconds.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import ClassVar, Final

from limits.aio.storage import MovingWindowSupport, Storage

_MAX_NAMES: Final = 100_000
"""Beyond that those are forgotten that were heard of longest ago."""


class MovingWindows(Storage, MovingWindowSupport):
    STORAGE_SCHEME: ClassVar[list[str] | None] = None  # type: ignore[misc]

    def __init__(self, clock: Callable[[], float] = time.time, max_names: int = _MAX_NAMES) -> None:
        super().__init__()
        self._clock = clock
        self._max_names = max_names
        self._entries: OrderedDict[str, deque[float]] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        entries = self._entries.setdefault(key, deque())
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_names:
            self._entries.popitem(last=False)
        now = self._clock()
        self._drop_old(entries, now - expiry)
        if len(entries) + amount > limit:
            return False
        entries.extend([now] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now = self._clock()
        entries = self._entries.get(key)
        if entries is not None:
            self._drop_old(entries, now - expiry)
        return (entries[0], len(entries)) if entries else (now, 0)

    async def clear(self, key: str) -> None:
        self._entries.pop(key, None)

    async def reset(self) -> int | None:
        count = len(self._entries)
        self._entries.clear()
        return count

    async def check(self) -> bool:
        return True

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        raise NotImplementedError("only moving windows")

    async def get(self, key: str) -> int:
        raise NotImplementedError("only moving windows")

    async def get_expiry(self, key: str) -> float:
        raise NotImplementedError("only moving windows")

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    @staticmethod
    def _drop_old(entries: deque[float], until: float) -> None:
        while entries and entries[0] <= until:
            entries.popleft()
