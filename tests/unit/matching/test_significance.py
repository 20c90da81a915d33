"""What stands above chance stands out, and what is crowded anyway does not."""

from __future__ import annotations

import numpy as np
import pytest

from matching.significance import excess, standing_out


def test_agreements_as_chance_has_them_are_no_excess() -> None:
    chance = np.full(1000, 0.1)
    found = excess(np.arange(1000) % 10 == 0, chance)
    assert found.agreed == 100
    assert found.deviations == pytest.approx(0)
    assert found.share == pytest.approx(0)


def test_share_is_what_agrees_when_chance_is_taken_out() -> None:
    found = excess(np.arange(1000) < 550, np.full(1000, 0.1))
    assert found.share == pytest.approx(0.5)
    assert found.deviations > 40


def test_nothing_tried_is_no_excess() -> None:
    found = excess(np.zeros(0, bool), np.zeros(0))
    assert (found.deviations, found.share) == (0, 0)


def test_a_lone_cell_stands_out_and_full_rows_and_columns_do_not() -> None:
    votes = np.full((30, 400), 2, np.float32)
    votes[10] += 20
    votes[:, 100] += 20
    votes[20, 300] += 25
    cells, deviations = standing_out(votes, 50, 3.0)
    assert divmod(int(cells[0]), 400) == (20, 300)
    assert deviations[0] > 8
    assert all(divmod(int(cell), 400) == (20, 300) for cell in cells[deviations > 5])
