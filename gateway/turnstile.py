"""At the door of one matcher: how many requests of this gateway it bears at once, learnt from what it refuses, and fair shares of that.

So what would only be refused is refused here, before it is read, counted or sent on. Several gateways before one matcher find their
shares by themselves: each goes back by one when it was refused, and forward by one when as many as it may have were answered.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mesh.errors import MeshError, Overloaded

SHARED_FROM: Final = 0.75
"""Of what is borne: the rest is for those who have less than their share under way."""
SHARING_SECONDS: Final = 60.0
"""For so long after they asked, callers have a share, also where they have nothing under way: who lets all they may have stand still
keeps nobody out."""


class Turnstile:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way: Counter[str] = Counter()
        self._asked_at: dict[str, float] = {}
        """The one who asked last comes last."""
        self._borne = math.inf

    @property
    def borne(self) -> float:
        """So many at once, as far as is known."""
        return self._borne

    @contextmanager
    def pass_through(self, caller: str) -> Iterator[None]:
        """Enter it for a request that the matcher is to answer; refuses what is too much, for anybody or for this caller."""
        self._admit(caller)
        self._under_way[caller] += 1
        try:
            yield
        except Overloaded:
            self._borne = max(1.0, min(self._borne, self._under_way.total()) - 1.0)
            raise
        except MeshError as error:
            self._note_answer(is_answer=not error.retryable)
            raise
        else:
            self._note_answer(is_answer=True)
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]

    def _note_answer(self, *, is_answer: bool) -> None:
        is_full = self._under_way.total() > self._borne - 1.0
        if is_answer and is_full:
            self._borne += 1.0 / self._borne

    def _admit(self, caller: str) -> None:
        callers = self._count_callers(caller)
        under_way = self._under_way.total()
        if under_way + 1 > self._borne:
            raise Overloaded()
        if under_way + 1 > SHARED_FROM * self._borne and callers > 1 and self._under_way[caller] + 1 > max(1.0, self._borne / callers):
            raise Overloaded("you have your share of what can be worked on at once under way; try again shortly")

    def _count_callers(self, caller: str) -> int:
        """This one, and who asked lately."""
        now = self._clock()
        self._asked_at.pop(caller, None)
        self._asked_at[caller] = now
        while (first := next(iter(self._asked_at))) != caller and self._asked_at[first] < now - SHARING_SECONDS:
            del self._asked_at[first]
        return len(self._asked_at)
