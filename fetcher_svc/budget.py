"""So much at once and no more. What does not fit is refused at once: a queue here would only hide that it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import Overloaded


class Budget:
    """The limit holds for each holder by itself."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    def taken(self) -> int:
        """By all holders together."""
        return self._taken.total()

    @contextmanager
    def take(self, amount: int = 1, holder: str = "") -> Iterator[None]:
        if self._taken[holder] + amount > self._limit:
            raise Overloaded()
        self._taken[holder] += amount
        try:
            yield
        finally:
            self._taken[holder] -= amount
            if not self._taken[holder]:
                del self._taken[holder]
