"""What a plan lets a marketplace's user ask a second: known by the index, remembered for a moment, and for longer while it is away."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.marketplace import DEFAULT_PLAN
from gateway.rate_limits import Rate
from mesh.errors import MeshError, NotAvailable

_log = logging.getLogger(__name__)

Ask = Callable[[], Awaitable[Mapping[str, Rate | None]]]
"""The rates of all plans, by name."""
_REMEMBERED_SECONDS: Final = 2.0
"""As long as keys are: a changed plan holds everywhere soon after."""
_ASK_SECONDS: Final = 1.5
"""A caller does not wait for more where the last answer will do."""


class PlanRates:
    def __init__(self, ask: Ask | None, clock: Callable[[], float] = time.monotonic) -> None:
        """None where this mesh has no index, and so no plans."""
        self._ask_index = ask
        self._clock = clock
        self._rates: Mapping[str, Rate | None] = {}
        self._until = -math.inf
        self._asking = asyncio.Lock()
        # Plans are named by the settings: there are few.
        self._warned_of: set[str] = set()

    async def of(self, plan: str) -> Rate | None:
        """None where that plan has no limit; a plan that there is not is the free one."""
        if self._ask_index is None:
            return None
        async with self._asking:
            if self._clock() >= self._until:
                await self._renew(self._ask_index)
        if plan not in self._rates and plan not in self._warned_of:
            self._warned_of.add(plan)
            _log.warning("a subscription stands for a plan that there is not", extra={"plan": plan})
        return self._rates.get(plan, self._rates.get(DEFAULT_PLAN))

    async def _renew(self, ask: Ask) -> None:
        try:
            async with asyncio.timeout(_ASK_SECONDS if self._rates else None):
                self._rates = await ask()
        except (MeshError, TimeoutError) as problem:
            if not self._rates:
                raise NotAvailable("the index does not say what the plans are") from problem
            _log.warning("plans cannot be asked for, the last ones hold", extra={"problem": type(problem).__name__})
        self._until = self._clock() + _REMEMBERED_SECONDS
