"""Through what a query of one medium finds assets of another."""

from __future__ import annotations

import pytest

from index_svc.ways import Way, ways
from mesh.errors import InvalidRequest
from mesh.media import MediaType

IMAGE, VIDEO, AUDIO = MediaType.IMAGE, MediaType.VIDEO, MediaType.AUDIO


@pytest.mark.parametrize("medium", MediaType)
def test_assets_of_the_querys_own_medium_are_looked_through_where_none_is_named(medium: MediaType) -> None:
    assert ways(medium, ()) == [Way(medium, medium, True)]


def test_every_asset_is_reached_by_one_way_and_what_is_in_common_with_nothing_is_passed_over() -> None:
    assert ways(IMAGE, [AUDIO, VIDEO, IMAGE, VIDEO]) == [Way(IMAGE, IMAGE, True), Way(VIDEO, VIDEO, False)]
    assert ways(VIDEO, MediaType) == [Way(VIDEO, VIDEO, True), Way(AUDIO, AUDIO, False)]
    assert ways(AUDIO, MediaType) == [Way(VIDEO, AUDIO, False), Way(AUDIO, AUDIO, True)]


@pytest.mark.parametrize(("medium", "wanted"), [(IMAGE, AUDIO), (AUDIO, IMAGE), (VIDEO, IMAGE)])
def test_search_that_could_find_nothing_is_refused(medium: MediaType, wanted: MediaType) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ways(medium, [wanted])
    assert refusal.value.details == {"field": "media_types"}


def test_hash_goes_to_every_medium_as_itself() -> None:
    assert ways(IMAGE, [AUDIO, VIDEO], by_hash=True) == [Way(VIDEO, VIDEO, True), Way(AUDIO, AUDIO, True)]
