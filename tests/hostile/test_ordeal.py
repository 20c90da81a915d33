"""Mutants for every decoder, in its sandboxed worker, and every parser: read or refused with a code, and nobody else is harmed.

python -m benchmarks.mutants tells more, and can be told how many.
"""

from __future__ import annotations

import pytest

from tests.ordeal import READ, undergo
from tests.readers import SUBJECTS, subject

MAX_PROCESS_BYTES = 1 << 30


@pytest.mark.parametrize(
    "count", [pytest.param(100, id="few"), pytest.param(30_000, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("name", SUBJECTS)
async def test_mutant_is_read_or_refused_and_the_next_good_file_is_read_as_before(name: str, count: int) -> None:
    toll = await undergo(subject(name), range(count))
    assert not toll.findings, toll.findings[:5]
    assert toll.tried == count
    assert 0 < toll.said[READ] <= count
    assert toll.peak_bytes < MAX_PROCESS_BYTES
