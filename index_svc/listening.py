"""The sound track of a film as the audio matcher hears it, for films are found by their sound, too."""

from __future__ import annotations

import logging

from index_svc.matchers import Matchers
from index_svc.records import SoundTrack
from index_svc.sources import Source
from mesh.errors import MeshError
from mesh.media import MediaType

_log = logging.getLogger(__name__)


async def listen(matchers: Matchers, source: Source) -> SoundTrack:
    """Of bytes that are at hand. A film without a track, with one that cannot be read or with silence has none; what may pass is raised."""
    kind = await matchers.kind(MediaType.AUDIO)
    try:
        made = await matchers.fingerprint(MediaType.AUDIO, source)
    except MeshError as error:
        if error.retryable:
            raise
        if error.http_status >= 500:
            _log.warning("a film's sound could not be fingerprinted", extra={"code": error.code})
        return SoundTrack(kind, None)
    return SoundTrack(made.kind, made if made.terms else None)
