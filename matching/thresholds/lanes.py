"""A policy: lanes under names of one's own, by the score from which on each begins (`auto_block` .95, `review` .7), and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
MAX_LANES: Final = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """The lanes from the highest to the lowest, and what becomes of what reaches none of them."""

    lanes: tuple[tuple[str, float], ...]
    otherwise: str

    @classmethod
    def of(cls, lanes: Mapping[str, float], otherwise: str) -> Self:
        """ValueError where it does not make sense."""
        if not 1 <= len(lanes) <= MAX_LANES:
            raise ValueError(f"a policy has from 1 to {MAX_LANES} lanes")
        for name in (*lanes, otherwise):
            if not NAME.fullmatch(name):
                raise ValueError("a lane is named by 1 to 64 lower-case letters, digits, - and _")
        if otherwise in lanes:
            raise ValueError("a lane cannot also be what is otherwise")
        if not all(0.0 <= floor <= 1.0 for floor in lanes.values()):
            raise ValueError("a lane begins at a score from 0 to 1")
        if len(set(lanes.values())) < len(lanes):
            raise ValueError("two lanes cannot begin at the same score")
        return cls(tuple(sorted(lanes.items(), key=lambda lane: -lane[1])), otherwise)

    @property
    def names(self) -> tuple[str, ...]:
        return (*(name for name, _ in self.lanes), self.otherwise)

    @property
    def floors(self) -> tuple[float, ...]:
        return tuple(floor for _, floor in self.lanes)

    def lane(self, score: float | None) -> str:
        """None: nothing was found that could have a score."""
        return next((name for name, floor in self.lanes if score is not None and score >= floor), self.otherwise)

    def counts(self, total: int, reaching: Sequence[int]) -> dict[str, int]:
        """How many of so many fall in each lane, by how many reach each of the floors."""
        ends = (*reaching, total)
        return {name: end - start for name, start, end in zip(self.names, (0, *reaching), ends, strict=True)}

    def counts_of(self, scores: Iterable[float | None]) -> dict[str, int]:
        counts = dict.fromkeys(self.names, 0)
        for score in scores:
            counts[self.lane(score)] += 1
        return counts
