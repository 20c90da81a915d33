from __future__ import annotations

import asyncio

import pytest

from mesh import call
from mesh.errors import DeadlineExceeded


async def test_deadline_shrinks_from_hop_to_hop() -> None:
    call.begin("abc", 5.0)
    first = call.remaining_seconds()
    await asyncio.create_task(_hop(first))


async def _hop(seconds: float) -> None:
    call.begin(call.request_id(), seconds)
    assert call.request_id() == "abc"
    assert call.remaining_seconds() < seconds < 5.0


async def test_caller_without_a_deadline_gets_thirty_seconds() -> None:
    call.begin(None, None)
    assert 29 < call.remaining_seconds() <= 30


async def test_nothing_is_begun_that_cannot_end_in_time() -> None:
    with pytest.raises(DeadlineExceeded):
        call.begin(None, 0.03)


@pytest.mark.parametrize("identity", ["", "a" * 65, "new\nline", "ключ", "a b", '"'])
async def test_request_id_that_could_forge_a_log_line_is_replaced(identity: str) -> None:
    assert call.begin(identity, None) != identity
    assert len(call.request_id()) == 32


async def test_well_formed_request_id_is_kept() -> None:
    assert call.begin("order-7.1_a", None) == "order-7.1_a"
