"""The dense check sees what an alignment explains, and where."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matching.alignment import Matrix
from matching.dense_check import Proof, check, check_coarsely
from matching.pyramid import Pyramid
from tests.unit.matching.test_local_features import grey

IDENTITY = np.eye(3)


def checked(first: int | Pyramid, second: int | Pyramid, matrix: Matrix = IDENTITY) -> Proof:
    one, two = (Pyramid(grey(picture)) if isinstance(picture, int) else picture for picture in (first, second))
    proof = check(one, two, matrix)
    assert proof is not None
    return proof


def test_same_picture_agrees_everywhere_and_is_covered_whole() -> None:
    proof = checked(1, 1)
    assert min(proof.agreement, proof.texture_agreement, proof.central_agreement, proof.weakest) > 0.97
    assert min(proof.query_coverage, proof.reference_coverage) > 0.9


def test_other_picture_hardly_agrees() -> None:
    proof = checked(1, 2)
    assert proof.agreement < 0.25
    assert proof.query_coverage < 0.2


def test_crop_covers_all_of_itself_and_its_share_of_the_whole() -> None:
    crop = Pyramid(np.ascontiguousarray(grey(1)[60:210, 100:300]))
    shift = np.array([[1.0, 0, -100], [0, 1, -60], [0, 0, 1]])
    proof = checked(Pyramid(grey(1)), crop, shift)
    assert proof.agreement > 0.97
    assert proof.reference_coverage > 0.9
    assert proof.query_coverage == pytest.approx(0.25, abs=0.1)
    covered = proof.query_map > 0.5
    height, width = covered.shape
    assert covered[height // 5 : height * 7 // 10, width // 4 : width * 3 // 4].mean() > 0.8
    assert covered[:, : width // 8].mean() < 0.05


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (3, 4)])
def test_glance_says_about_what_a_whole_look_says(first: int, second: int) -> None:
    one, two = Pyramid(grey(first)), Pyramid(grey(second))
    whole, at_a_glance = check(one, two, IDENTITY), check(one, two, IDENTITY, max_frame_px=80)
    assert whole is not None
    assert at_a_glance is not None
    for name in ("agreement", "texture_agreement", "central_agreement", "query_coverage", "reference_coverage"):
        assert getattr(at_a_glance, name) == pytest.approx(getattr(whole, name), abs=0.1), name


def test_misaligned_copy_does_not_agree() -> None:
    assert checked(1, 1, np.array([[1.0, 0, 25], [0, 1, 25], [0, 0, 1]])).agreement < 0.4


def test_shared_border_agrees_but_not_in_the_middle() -> None:
    framed = []
    for seed in (1, 2):
        picture = grey(9).copy()
        picture[60:240, 80:320] = grey(seed)[60:240, 80:320]
        framed.append(Pyramid(picture))
    proof = checked(framed[0], framed[1])
    assert proof.central_agreement < 0.3 < proof.agreement
    assert proof.weakest < 0.2


def test_brightness_and_contrast_do_not_matter() -> None:
    dim = Pyramid((grey(1) * 0.4 + 30).astype(np.uint8))
    assert checked(Pyramid(grey(1)), dim).agreement > 0.97


def test_pictures_that_do_not_overlap_or_show_nothing_prove_nothing() -> None:
    one, blank = Pyramid(grey(1)), Pyramid(np.full((300, 400), 90, np.uint8))
    assert check(one, one, np.array([[1.0, 0, 1000], [0, 1, 0], [0, 0, 1]])) is None
    assert check(blank, blank, IDENTITY) is None
    assert check(one, one, np.zeros((3, 3))) is None


def test_plain_ground_is_told_from_what_stands_before_it() -> None:
    page = np.full((300, 400), 240, np.uint8)
    page[100:200, 100:300] = grey(1)[100:200, 100:300]
    assert Pyramid(page).ground == 240
    _, mask = Pyramid(page).without_ground(240).draw(IDENTITY, (400, 300))
    assert mask[110:190, 110:290].mean() > 0.9
    assert mask[:90].max() == 0
    assert Pyramid(grey(1)).ground is None


def test_plain_patch_hides_without_contradicting() -> None:
    pixels = grey(1).copy()
    height, width = pixels.shape
    pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
    as_seen = checked(1, Pyramid(pixels))
    uncovered = check(Pyramid(grey(1)), Pyramid(pixels), IDENTITY, uncovered=True)
    assert uncovered is not None
    assert as_seen.contradiction > 0.1
    assert uncovered.contradiction < 0.02
    assert uncovered.agreement > 0.97
    assert 0.5 < uncovered.query_coverage < 0.9


def test_what_covers_more_than_a_third_stays_a_contradiction() -> None:
    pixels = grey(1).copy()
    height, width = pixels.shape
    pixels[:, width // 3 :] = grey(2)[:height, width // 3 : width]
    proof = check(Pyramid(grey(1)), Pyramid(pixels), IDENTITY, without_rivals=True)
    assert proof is not None
    assert proof.contradiction > 0.3


def test_coarse_look_sees_through_blur() -> None:
    soft = np.asarray(cv2.GaussianBlur(grey(1), (0, 0), 0.02 * max(grey(1).shape)), np.uint8)
    assert check_coarsely(Pyramid(grey(1)), Pyramid(soft), IDENTITY) > 0.9
    assert check_coarsely(Pyramid(grey(1)), Pyramid(grey(2)), IDENTITY) < 0.5
