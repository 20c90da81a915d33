"""How long files run, by what they hold: a probe reads every packet of a file, and finds the same in the same bytes again.

Only lengths that were let through are kept; what was refused is looked at anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from fetcher_svc.fetcher import Probe
from mesh.media import MediaType
from mesh.media_file import MediaPath

MAX_FILES: Final = 4096


class Durations:
    """The files asked for least recently are forgotten first."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._known: OrderedDict[tuple[str, str, MediaType], float] = OrderedDict()

    async def of(self, path: MediaPath, content_type: str, media_type: MediaType) -> float:
        """Seconds; raises what the probe raises."""
        name = (path.sha256, content_type, media_type)
        seconds = self._known.get(name)
        if seconds is None:
            seconds = await self._probe(path, content_type, media_type)
        self._known[name] = seconds
        self._known.move_to_end(name)
        if len(self._known) > MAX_FILES:
            self._known.popitem(last=False)
        return seconds
