"""The fitted curve keeps the promises that it is fitted to, and its picture can be read."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.calibrate import EDITED_SHARE, PLAIN_SHARE, Found, fit, recall_at
from benchmarks.calibration_picture import draw
from image_svc.compare.evidence import CURVE


def found(*, copies_from: float, strangers_up_to: float) -> Found:
    random = np.random.default_rng(1)
    plain, edited = random.uniform(0.9, 0.99, 200), random.uniform(copies_from, 0.95, 400)
    return Found(np.sort(plain), np.sort(edited), np.sort(random.uniform(0, strangers_up_to, 500)))


def test_fitted_curve_holds_the_bands_and_parts_strangers_from_copies() -> None:
    measured = found(copies_from=0.6, strangers_up_to=0.3)
    curve = fit(measured)
    plain, edited, strangers = ([curve.score(v) for v in values] for values in (measured.plain, measured.edited, measured.strangers))
    assert np.mean(np.array(plain) >= 0.97) >= PLAIN_SHARE - 0.01
    assert np.mean(np.array(edited) >= 0.85) >= EDITED_SHARE - 0.01
    assert max(strangers) <= 0.4
    assert min(edited) >= 0.6
    assert recall_at(measured, 0.0) == 1.0


@pytest.mark.parametrize("strangers_up_to", [0.0, 0.5, 0.97, 1.0])
def test_fitted_curve_rises_whatever_was_found(strangers_up_to: float) -> None:
    points = fit(found(copies_from=0.2, strangers_up_to=strangers_up_to)).points
    assert all(one[0] < two[0] and one[1] < two[1] for one, two in pairwise(points))
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))


def test_picture_of_the_curve_is_a_document_with_every_point() -> None:
    measured = found(copies_from=0.6, strangers_up_to=0.3)
    groups = {"plain": measured.plain, "edited": measured.edited, "strangers": measured.strangers}
    document = ElementTree.fromstring(draw(CURVE, fit(measured), groups, "sounds", "drawn & found <ones>", "2026-01-01"))
    assert len(document.findall("{http://www.w3.org/2000/svg}circle")) == len(CURVE.points)
