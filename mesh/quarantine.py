"""Files that have cost two workers their lives: refused for a while, unread, with the error that they earned.

By content, so that another URL does not help; bounded, the oldest forgotten first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mesh.errors import UnsupportedMedia

MAX_CRASHES: Final = 2
"""One may be an accident: a worker is also killed when the machine runs out of memory."""

QUARANTINE_SECONDS: Final = 3600.0
MAX_FILES: Final = 4096


@dataclass
class _Record:
    crashes: int
    message: str
    ends: float


class Quarantine:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def admit(self, digests: Iterable[str]) -> None:
        """Raises UnsupportedMedia where one of these files is in quarantine."""
        for digest in digests:
            record = self._records.get(digest)
            if record is not None and record.crashes >= MAX_CRASHES and self._clock() < record.ends:
                raise UnsupportedMedia(f"{record.message}, again and again, and is refused for now")

    def note(self, digests: Iterable[str], crash: UnsupportedMedia) -> None:
        """These files have just cost a worker its life."""
        now = self._clock()
        for digest in digests:
            record = self._records.pop(digest, None)
            crashes = record.crashes if record is not None and now < record.ends else 0
            self._records[digest] = _Record(crashes + 1, crash.message, now + QUARANTINE_SECONDS)
            if len(self._records) > MAX_FILES:
                del self._records[next(iter(self._records))]
