"""Fingerprints by content hash, the least recently used dropped first; changes the speed of an answer, never the answer."""

from __future__ import annotations

from collections import OrderedDict

from mesh.media import Fingerprint


class FingerprintCache:
    """Bounded in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._kept: OrderedDict[str, Fingerprint] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def get(self, sha256: str) -> Fingerprint | None:
        """What is known of this content: perhaps only its first layer."""
        fingerprint = self._kept.get(sha256)
        if fingerprint is not None:
            self._kept.move_to_end(sha256)
        return fingerprint

    def put(self, sha256: str, fingerprint: Fingerprint) -> None:
        """Keep it, unless more of the same is kept already."""
        known = self._kept.get(sha256)
        if known is not None:
            if len(known.layers) >= len(fingerprint.layers):
                return
            self._drop(sha256)
        self._kept[sha256] = fingerprint
        self._size_bytes += fingerprint.size_bytes
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, sha256: str) -> None:
        self._size_bytes -= self._kept.pop(sha256).size_bytes
