"""How alike hashes are, and that no near one is missed."""

from __future__ import annotations

import random

import pytest

from index_svc.hashes import BITS, EXACT, NEAR, HashKind, bands, checked_hash, max_distance, probes, similarity
from mesh.errors import InvalidRequest


def changed(value: str, places: list[int]) -> str:
    number = int(value, 16)
    for place in places:
        number ^= 1 << place
    return f"{number:0{len(value)}x}"


@pytest.mark.parametrize("kind", NEAR)
def test_every_hash_within_the_distance_shares_a_band_with_the_probes(kind: HashKind) -> None:
    numbers, size = random.Random(1), BITS[kind]
    for _ in range(300):
        value = f"{numbers.getrandbits(size):0{size // 4}x}"
        places = numbers.sample(range(size), max_distance(kind))
        assert set(bands(kind, changed(value, places))) & set(probes(kind, value))


@pytest.mark.parametrize("kind", NEAR)
def test_worst_spread_of_the_furthest_is_found(kind: HashKind) -> None:
    """Two changes in every band but one, which has one."""
    value = "0" * (BITS[kind] // 4)
    places = [place for band in range(BITS[kind] // 16) for place in (16 * band, 16 * band + 9)][: max_distance(kind)]
    assert len(set(bands(kind, changed(value, places))) & set(probes(kind, value))) == 1


def test_kinds_share_no_band() -> None:
    found = [set(bands(kind, "0" * (BITS[kind] // 4))) for kind in NEAR]
    assert sum(map(len, found)) == len(set.union(*found)) == 16 + 4 * 4


def test_similarity_falls_with_every_bit_to_the_default_threshold_at_the_furthest() -> None:
    assert similarity(HashKind.PDQ, 0) == 1.0
    assert similarity(HashKind.PDQ, 31) == 0.85
    assert similarity(HashKind.PDQ, 128) < 0.5
    assert similarity(HashKind.PDQ, 256) == 0.0
    assert similarity(HashKind.PHASH, 7) >= 0.85 > similarity(HashKind.PHASH, 8)
    falling = [similarity(HashKind.PDQ, distance) for distance in range(200)]
    assert falling == sorted(set(falling), reverse=True)


@pytest.mark.parametrize("kind", EXACT)
def test_exact_hashes_have_no_neighbours(kind: HashKind) -> None:
    assert max_distance(kind) == 0


@pytest.mark.parametrize("kind", HashKind)
def test_hash_is_hexadecimal_of_its_length(kind: HashKind) -> None:
    digits = BITS[kind] // 4
    assert checked_hash(kind, f" {'Ab' * (digits // 2)}\n") == "ab" * (digits // 2)
    for text in ("a" * (digits - 1), "a" * (digits + 1), "g" * digits, "", "０" * digits, "0x" + "a" * (digits - 2)):
        with pytest.raises(InvalidRequest, match=f"{digits} hexadecimal digits"):
            checked_hash(kind, text)
