"""The door of image_svc: what it is made of, named here and nowhere else."""

from __future__ import annotations

from image_svc import fingerprint, matcher
from image_svc.settings import Settings
from matching import decision
from mesh.matcher import Room
from mesh.matcher_service import build_matcher
from mesh.media import MediaType
from mesh.server import Service

ROOM = Room(
    media_type=MediaType.IMAGE,
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
