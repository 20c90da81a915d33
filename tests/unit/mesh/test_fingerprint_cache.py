from __future__ import annotations

import hashlib
import pickle
import tracemalloc

import pytest

from mesh.fingerprint_cache import FingerprintCache
from mesh.media import DETAIL, OUTLINE, Fingerprint, MediaType


def fingerprint(*levels: int, payload_bytes: int = 1000) -> Fingerprint:
    return Fingerprint(MediaType.IMAGE, "sample", 1, {level: bytes(payload_bytes) for level in levels}, information=1.0)


def test_what_was_kept_is_found_again() -> None:
    cache = FingerprintCache(10_000)
    kept = fingerprint(OUTLINE)
    cache.put("a", kept)
    assert cache.get("a") is kept
    assert cache.get("b") is None


def test_least_recently_used_goes_first_and_the_bound_holds() -> None:
    cache = FingerprintCache(7_000)
    for name in "abc":
        cache.put(name, fingerprint(OUTLINE))
    cache.get("a")
    cache.put("d", fingerprint(OUTLINE))
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    assert cache.size_bytes <= 7_000


def test_deeper_fingerprint_replaces_a_shallower_one_and_never_the_reverse() -> None:
    cache = FingerprintCache(10_000)
    cache.put("a", fingerprint(OUTLINE))
    deeper = fingerprint(OUTLINE, DETAIL)
    cache.put("a", deeper)
    cache.put("a", fingerprint(OUTLINE))
    assert cache.get("a") is deeper
    assert cache.size_bytes == deeper.size_bytes


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = FingerprintCache(1_000)
    cache.put("a", fingerprint(OUTLINE, payload_bytes=2_000))
    assert cache.get("a") is None
    assert cache.size_bytes == 0


@pytest.mark.parametrize("terms", [0, 500])
def test_bound_holds_for_what_the_fingerprints_really_take(terms: int) -> None:
    made = []
    for number in range(50):
        name = hashlib.sha256(bytes([number])).hexdigest()
        values = tuple(range(1 << 40, (1 << 40) + terms))
        whole = Fingerprint(MediaType.AUDIO, "sample", 1, {OUTLINE: bytes(4000)}, 1.0, {"sha256": name}, values, values)
        made.append(pickle.dumps((name, whole)))
    cache = FingerprintCache(1 << 30)
    tracemalloc.start()
    try:
        for content in made:
            cache.put(*pickle.loads(content))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= cache.size_bytes
