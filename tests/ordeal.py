"""What becomes of mutants: each is read or refused with a code, within its time, and the good file after it is read as before."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import psutil

from mesh.errors import Internal, MeshError
from tests.mutants import Mutants

READ: Final = "read"
GOOD_EVERY: Final = 100
"""Mutants between two looks at how a good file fares, and at what the processes take."""

Try = Callable[[bytes], Awaitable[object]]
"""Reads one; what it gives must be the same for the same bytes. Raises MeshError, or it is a finding."""


@dataclass
class Toll:
    """By code; what should not have been, by the number of its mutant; the slowest answer, and the most that a process held."""

    name: str
    said: Counter[str] = field(default_factory=Counter)
    ended_workers: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    slowest_seconds: float = 0.0
    spent_seconds: float = 0.0
    peak_bytes: int = 0
    """What the largest process held: of this one, which may have held much before, what it has grown by."""

    @property
    def tried(self) -> int:
        return self.said.total()

    def add(self, number: int, code: str, seconds: float) -> None:
        self.said[code] += 1
        self.slowest_seconds = max(self.slowest_seconds, seconds)


@dataclass(frozen=True)
class Subject:
    """A decoder or a parser: enter `opened` for what reads one file."""

    name: str
    mutants: Mutants
    opened: Callable[[], AbstractAsyncContextManager[Try]]
    codes: frozenset[str]
    """With which it may refuse what it cannot read."""
    max_seconds: float = 30.0


async def undergo(subject: Subject, numbers: Iterable[int], show: Callable[[Toll], object] = lambda toll: None) -> Toll:
    """All these mutants, one after another."""
    toll = Toll(subject.name)
    good = subject.mutants.seeds
    before = _resident_bytes(psutil.Process())
    async with subject.opened() as attempt:
        known: dict[int, object] = {}
        for count, number in enumerate(numbers):
            if count % GOOD_EVERY == 0:
                seed = count // GOOD_EVERY % len(good)
                outcome = await _outcome(attempt, good[seed])
                if known.setdefault(seed, outcome) != outcome:
                    toll.findings.append((number, f"the good file {seed} is read otherwise than before"))
                toll.peak_bytes = max(toll.peak_bytes, _held_bytes(before))
                show(toll)
            await _try(subject, attempt, number, toll)
        toll.peak_bytes = max(toll.peak_bytes, _held_bytes(before))
    return toll


async def _try(subject: Subject, attempt: Try, number: int, toll: Toll) -> None:
    content = subject.mutants[number]
    started = time.perf_counter()
    code = READ
    try:
        async with asyncio.timeout(2 * subject.max_seconds):
            await attempt(content)
    except MeshError as error:
        code = error.code
        toll.ended_workers += "decoder" in error.message or "too long to decode" in error.message
        if code not in subject.codes or isinstance(error, Internal):
            toll.findings.append((number, f"{code}: {error.message}"))
    except Exception as problem:  # what this looks for
        code = f"uncoded {type(problem).__name__}"
        toll.findings.append((number, f"{code}: {problem}"))
    seconds = time.perf_counter() - started
    toll.spent_seconds += seconds
    toll.add(number, code, seconds)
    if seconds > subject.max_seconds:
        toll.findings.append((number, f"took {seconds:.1f} s"))


async def _outcome(attempt: Try, content: bytes) -> object:
    try:
        return await attempt(content)
    except MeshError as error:
        return error.code


def _held_bytes(before: int) -> int:
    own = psutil.Process()
    return max(_resident_bytes(own) - before, *map(_resident_bytes, own.children(recursive=True)), 0)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
