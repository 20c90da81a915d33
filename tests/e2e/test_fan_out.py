"""One listing against a reference catalogue in the low thousands, pair by pair, as the documents' fan-out does it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

CALLS: Final = 2000
CONCURRENCY: Final = 4


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_thousand_pairs_at_concurrency_four_end_without_a_5xx(mesh: RunningMesh, origin: Origin) -> None:
    listing = origin.serve("fan-out/listing.jpg", encoded(photo(20_000), "JPEG"))
    copy = CALLS // 2

    def asked(number: int) -> tuple[int, bool]:
        # Each another picture: no answer comes from a cache.
        picture = photo(20_000 if number == copy else 30_000 + number, 200, 150)
        reference = origin.serve(f"fan-out/{number}.webp", encoded(picture, "WEBP", quality=80))
        answer = mesh.match(listing, reference)
        return answer.status, answer.status == 200 and answer.json["match"]

    with ThreadPoolExecutor(CONCURRENCY) as at_once:
        answers = list(at_once.map(asked, range(CALLS)))
    assert Counter(status for status, _ in answers) == {200: CALLS}
    assert [number for number, (_, is_match) in enumerate(answers) if is_match] == [copy]
