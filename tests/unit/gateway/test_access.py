"""Which key a request carries, and for how long the gateway believes what it was told of one."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access import presented_key
from mesh.errors import Unauthorized


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    "pair",
    [
        ("Authorization", "Bearer key"),
        ("authorization", "bearer  key "),
        ("X-API-Key", "key"),
        ("x-rapidapi-key", "key"),
        ("X-RapidAPI-Key", " key"),
    ],
)
def test_key_is_taken_from_any_of_its_headers(pair: tuple[str, str]) -> None:
    assert presented_key(headers(pair, ("x-rapidapi-host", "anything"))) == "key"


def test_same_key_under_several_names_is_one_key() -> None:
    assert presented_key(headers(("Authorization", "Bearer key"), ("X-API-Key", "key"))) == "key"


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("Authorization", "Basic a2V5")],
        [("Authorization", "Bearer ")],
        [("X-API-Key", "")],
        [("X-API-Key", "one"), ("x-rapidapi-key", "two")],
        [("X-API-Key", "one"), ("X-API-Key", "two")],
    ],
)
def test_no_key_or_more_than_one_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthorized):
        presented_key(headers(*pairs))
