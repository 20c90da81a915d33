"""Terms: shared by copies, mirrored or not, and by hardly anything else."""

from __future__ import annotations

import cv2
import numpy as np

from matching.local_features import Constellation, extract, mirrored
from matching.terms import FEATURE_TABLES, TERM_BITS, code_terms, feature_terms
from tests.unit.matching.test_local_features import grey


def constellation(seed: int) -> Constellation:
    return extract(grey(seed), max_features=500)


def test_mirrored_features_have_the_same_terms() -> None:
    terms = feature_terms(constellation(1))
    assert len(terms & feature_terms(mirrored(constellation(1)))) > 0.99 * len(terms)


def test_re_encoded_smaller_copy_shares_terms_and_another_picture_hardly_any() -> None:
    small = cv2.resize(grey(1), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    copy = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_GRAYSCALE)
    assert copy is not None
    terms = feature_terms(constellation(1))
    assert len(terms & feature_terms(extract(copy.astype(np.uint8), max_features=500))) > 20
    assert len(terms & feature_terms(constellation(2))) < 5


def test_near_global_codes_share_a_slice_and_unlike_ones_do_not() -> None:
    code = np.random.default_rng(1).bytes(32)
    near = bytes([code[0] ^ 1, *code[1:]])
    assert len(code_terms(code) & code_terms(near)) >= 8
    assert not code_terms(code) & code_terms(bytes(255 - byte for byte in code))


def test_terms_of_features_and_of_codes_never_meet() -> None:
    border = FEATURE_TABLES << TERM_BITS
    assert max(feature_terms(constellation(1))) < border <= min(code_terms(bytes(32)))


def test_picture_without_features_has_no_terms() -> None:
    assert feature_terms(extract(np.zeros((60, 60), np.uint8), max_features=10)) == set()
