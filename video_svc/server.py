"""The door of video_svc: what it is made of, named here and nowhere else."""

from __future__ import annotations

from matching import decision
from mesh.matcher import Room
from mesh.matcher_service import build_matcher
from mesh.media import MediaType
from mesh.server import Service
from video_svc import fingerprint, matcher
from video_svc.settings import Settings

ROOM = Room(
    media_type=MediaType.VIDEO,
    algorithm=fingerprint.ALGORITHM,
    version=fingerprint.VERSION,
    fingerprint=matcher.fingerprint,
    compare=matcher.compare,
    explicit_hashes=matcher.explicit_hashes,
    search_terms=matcher.search_terms,
    warm_up=matcher.warm_up,
    is_match=decision.is_match,
    confidence_label=decision.confidence_label,
)


def build(settings: Settings) -> Service:
    return build_matcher(ROOM, settings)
