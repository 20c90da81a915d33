"""The calibration curve rises, and ends at its ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from matching.calibration import Curve


def test_more_evidence_always_gives_a_higher_score() -> None:
    curve = Curve(((0.0, 0.0), (0.5, 0.6), (1.0, 1.0)))
    scores = [curve.score(evidence) for evidence in np.linspace(0, 1, 1001)]
    assert all(later > earlier for earlier, later in pairwise(scores))
    assert curve.score(0.5) == 0.6


def test_scores_end_where_the_curve_ends() -> None:
    curve = Curve(((0.0, 0.0), (1.0, 1.0)))
    assert (curve.score(-3.0), curve.score(7.0)) == (0.0, 1.0)


@pytest.mark.parametrize("points", [((0.0, 0.0), (0.0, 1.0)), ((0.0, 0.5), (1.0, 0.5)), ((0.0, 0.0), (0.6, 0.9), (0.5, 1.0))])
def test_curve_that_does_not_rise_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Curve(points)
