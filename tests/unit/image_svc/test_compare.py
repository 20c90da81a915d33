"""What a comparison says of copies, look-alikes and strangers, and that it says it whichever way it is asked."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import pytest

from image_svc.compare import compare
from image_svc.compare.evidence import CURVE
from image_svc.fingerprint import canonical, detail, outline
from mesh.media import DETAIL, OUTLINE, Box, Comparison, Coverage
from stills import Picture
from tests.pictures import Pixels, cut_out, flattened, photo

Layers = dict[int, bytes]
CUTOFF: Final = 0.6
HIGH: Final = 0.85


def layers(pixels: Pixels) -> Layers:
    picture = canonical(Picture(np.ascontiguousarray(pixels), pixels.shape[1], pixels.shape[0]))
    return {OUTLINE: outline(picture), DETAIL: detail(picture)}


@cache
def original(seed: int = 1) -> Layers:
    return layers(photo(seed))


def compared(query: Layers, reference: Layers, *, mirrored_too: bool = True) -> Comparison:
    comparison = compare(query, reference, mirrored_too=mirrored_too)
    assert comparison is not None
    return comparison


def score(query: Pixels | Layers, reference: Pixels | Layers) -> float:
    one, two = (side if isinstance(side, dict) else layers(side) for side in (query, reference))
    return compared(one, two).score


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    decoded = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


def pasted(small: Pixels, page: Pixels, x: int, y: int) -> Pixels:
    done = page.copy()
    done[y : y + small.shape[0], x : x + small.shape[1]] = small
    return done


def captioned(pixels: Pixels, top: str, bottom: str) -> Pixels:
    done = pixels.copy()
    for text, y in ((top, 60), (bottom, 460)):
        for colour, thickness in (((0, 0, 0), 14), ((255, 255, 255), 5)):
            cv2.putText(done, text, (20, y), cv2.FONT_HERSHEY_DUPLEX, 2.0, colour, thickness, cv2.LINE_AA)
    return done


def page_of_text(seed: int) -> Pixels:
    random = np.random.default_rng(seed)
    page = np.full((1100, 850, 3), 255, np.uint8)
    for y in range(90, 1040, 30):
        words = "".join(random.choice(list("abcdefghilmnoprstuvwz    "), 44))
        cv2.putText(page, words, (70, y), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (0, 0, 0), 2, cv2.LINE_AA)
    return page


def assert_near(box: Box, left: float, top: float, width: float, height: float, by: float) -> None:
    assert np.allclose((box.x, box.y, box.width, box.height), (left, top, width, height), atol=by)


# ---- plain copies: the outlines suffice


def test_query_kept_from_the_candidate_before_says_the_same_as_one_read_anew() -> None:
    query, copy = original(), layers(jpeg(photo(1)[60:420, 80:600], 40))
    alone = compared(query, copy)
    for other in (original(2), query, original(3)):
        compared(query, other)
        assert compared(query, copy) == alone
    assert compared(dict(query), copy) == alone
    assert compared(original(2), copy).score < CUTOFF
    assert compare({OUTLINE: query[OUTLINE]}, copy, mirrored_too=True) is None, "its detail was known, but is not part of what is asked"


def test_identical_pixels_score_one() -> None:
    comparison = compared(original(), layers(photo(1)))
    assert comparison.score == 1.0
    assert comparison.coverage.source > 0.9


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_re_encoded_and_resized_copies_are_near_identical(quality: int) -> None:
    assert score(original(), jpeg(photo(1), quality)) >= 0.97
    assert score(original(), cv2.resize(photo(1), (320, 240), interpolation=cv2.INTER_AREA).astype(np.uint8)) >= 0.97


def test_settled_pair_scores_the_same_with_and_without_details() -> None:
    copy = layers(jpeg(photo(1), 60))
    outlines_only = compare({OUTLINE: original()[OUTLINE]}, {OUTLINE: copy[OUTLINE]}, mirrored_too=True)
    assert outlines_only == compared(original(), copy)


def test_open_pair_without_its_details_is_left_open() -> None:
    crop = layers(photo(1)[100:400, 100:500])
    assert compare({OUTLINE: original()[OUTLINE]}, crop, mirrored_too=True) is None
    assert compare(original(), {OUTLINE: crop[OUTLINE]}, mirrored_too=True) is None


def test_picture_of_nothing_matches_nothing_not_even_its_like() -> None:
    blank, grey = layers(np.full((480, 640, 3), 255, np.uint8)), layers(np.full((480, 640, 3), 99, np.uint8))
    assert compared(blank, grey) == Comparison(0.0)
    assert compare({OUTLINE: blank[OUTLINE]}, {OUTLINE: original()[OUTLINE]}, mirrored_too=True) == Comparison(0.0)


# ---- edited copies


def test_crop_is_found_and_described() -> None:
    comparison = compared(original(), layers(photo(1)[96:384, 160:480]))
    assert comparison.score >= HIGH
    assert comparison.transform is not None
    assert comparison.transform.crop is not None
    assert not comparison.transform.mirrored
    assert comparison.transform.rotation_degrees == pytest.approx(0, abs=1)
    assert comparison.transform.scale == pytest.approx(1, abs=0.02)
    assert_near(comparison.transform.crop, 0.25, 0.2, 0.5, 0.6, by=0.02)
    assert_near(comparison.regions[0].source, 0.25, 0.2, 0.5, 0.6, by=0.06)
    assert_near(comparison.regions[0].target, 0, 0, 1, 1, by=0.08)
    assert comparison.coverage.target > 0.9
    assert comparison.coverage.source < 0.6


def test_matrix_maps_pixels_of_the_whole_source_to_those_of_the_whole_target() -> None:
    source, target = photo(1, 1200, 900), photo(1, 1200, 900)[300:800, 200:1000]
    transform = compared(layers(source), layers(target)).transform
    assert transform is not None
    landed = np.array(transform.matrix).reshape(3, 3) @ [600, 500, 1]
    assert np.allclose(landed[:2] / landed[2], [400, 200], atol=4)


@pytest.mark.parametrize(
    ("edit", "mirrored", "degrees"),
    [
        (lambda p: p[:, ::-1], True, 0),
        (lambda p: p[:, ::-1][80:420, 100:560], True, 0),
        (lambda p: np.rot90(p, -1), False, 90),
        (lambda p: p[::-1, ::-1], False, 180),
        (lambda p: p[::-1], True, 180),
    ],
    ids=["mirror", "mirror and crop", "quarter turn", "half turn", "flip"],
)
def test_turned_copies_match_unless_the_caller_wants_them_not_to(edit: object, mirrored: bool, degrees: float) -> None:
    assert callable(edit)
    turned = layers(edit(photo(1)))
    comparison = compared(original(), turned)
    assert comparison.score >= HIGH
    assert comparison.transform is not None
    assert comparison.transform.mirrored == mirrored
    assert abs((comparison.transform.rotation_degrees - degrees + 180) % 360 - 180) < 1
    assert compared(original(), turned, mirrored_too=False).score < 0.5


def test_slight_turn_matches_even_where_disguises_are_not_looked_through() -> None:
    turn = cv2.getRotationMatrix2D((320, 240), 6, 1.0)
    crooked = cv2.warpAffine(photo(1), turn, (640, 480)).astype(np.uint8)
    assert compared(original(), layers(crooked), mirrored_too=False).score >= HIGH


def test_oblique_photo_of_a_picture_is_found_by_its_perspective() -> None:
    corners = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float32)
    seen = np.array([[70, 40], [600, 10], [560, 450], [20, 380]], np.float32)
    oblique = cv2.warpPerspective(photo(1), cv2.getPerspectiveTransform(corners, seen), (640, 480)).astype(np.uint8)
    assert score(original(), oblique) >= HIGH


def test_small_paste_on_another_picture_is_found_where_it_is() -> None:
    small = cv2.resize(photo(1), (288, 216), interpolation=cv2.INTER_AREA).astype(np.uint8)
    comparison = compared(original(), layers(pasted(small, photo(2), 300, 200)))
    assert comparison.score >= CUTOFF
    assert comparison.coverage.source > 0.7
    assert_near(comparison.regions[0].target, 300 / 640, 200 / 480, 0.45, 0.45, by=0.06)


def test_picture_shown_twice_gives_two_regions() -> None:
    small = cv2.resize(photo(1), (300, 225), interpolation=cv2.INTER_AREA).astype(np.uint8)
    twice = pasted(small, pasted(small, photo(2), 10, 10), 330, 240)
    assert len(compared(original(), layers(twice)).regions) == 2


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_dim_blurred_noisy_and_filtered_copies_match(seed: int) -> None:
    picture = photo(seed).astype(np.float32)
    noise = np.random.default_rng(5).normal(0, 20, picture.shape)
    edits = (picture * 0.4, 255 * (picture / 255) ** 2, cv2.GaussianBlur(picture, (0, 0), 3), picture + noise, picture[..., ::-1])
    for edit in edits:
        assert score(original(seed), np.asarray(edit.clip(0, 255), np.uint8)) >= HIGH


def test_cut_out_on_white_and_on_black_is_the_same_thing() -> None:
    assert score(flattened(cut_out(7), 255), flattened(cut_out(7), 0)) >= 0.9


# ---- what is not a copy


def test_two_cut_outs_with_one_sticker_on_two_grounds_are_not_the_same_thing() -> None:
    sticker = photo(50, 200, 150)
    assert score(pasted(sticker, flattened(cut_out(7), 255), 220, 165), pasted(sticker, flattened(cut_out(8), 0), 220, 165)) < CUTOFF
    assert score(flattened(cut_out(7), 255), flattened(cut_out(8), 0)) < 0.4


def test_different_pictures_stay_well_below_half() -> None:
    scores = [score(original(one), original(two)) for one, two in pairwise(range(1, 9))]
    assert max(scores) < 0.2


def test_shared_sticker_watermark_frame_or_interface_is_no_match() -> None:
    sticker = photo(50, 260, 180)
    frame = photo(51)
    for seed in (1, 3):
        one, two = photo(seed), photo(seed + 1)
        assert score(pasted(sticker, one, 190, 150), pasted(sticker, two, 190, 150)) < 0.5
        assert score(captioned(one, "Silver Harbour", "2024"), captioned(two, "Silver Harbour", "2024")) < 0.5
        assert score(pasted(one[:300, :420], frame, 110, 90), pasted(two[:300, :420], frame, 110, 90)) < 0.5


def test_two_pages_of_text_are_no_match() -> None:
    pages = [layers(page_of_text(seed)) for seed in range(4)]
    assert max(score(one, two) for one, two in pairwise(pages)) < 0.4


def test_same_template_with_other_words_is_a_match_of_medium_confidence_below_the_copy() -> None:
    template = photo(6)
    one = layers(captioned(template, "when the engine", "finally stops"))
    two = layers(captioned(template, "nobody says so", "but winter comes"))
    copy = layers(jpeg(captioned(template, "when the engine", "finally stops"), 60))
    assert CUTOFF <= score(one, two) < score(one, copy)
    assert score(one, copy) >= 0.97


# ---- the score


@pytest.mark.parametrize("edit", [lambda p: p[40:440, 60:600], lambda p: p[:, ::-1], lambda p: jpeg(p, 40)], ids=["crop", "mirror", "jpeg"])
def test_order_of_the_two_changes_the_sides_not_the_score(edit: object) -> None:
    assert callable(edit)
    one, two = original(), layers(edit(photo(1)))
    there, back = compared(one, two), compared(two, one)
    assert there.score == back.score
    assert there.coverage == Coverage(back.coverage.target, back.coverage.source)
    assert [(r.source, r.target) for r in there.regions] == [(r.target, r.source) for r in back.regions]
    assert there.transform is not None
    assert back.transform is not None
    both = np.array(there.transform.matrix).reshape(3, 3) @ np.array(back.transform.matrix).reshape(3, 3)
    assert np.allclose(both / both[2, 2], np.eye(3), atol=1e-6)


@pytest.mark.parametrize("ladder", ["blur", "noise", "crop", "veil"])
def test_score_falls_step_by_step_as_a_copy_gets_worse(ladder: str) -> None:
    picture, other = photo(1).astype(np.float32), photo(9).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 1, picture.shape)

    def degraded(step: int) -> Pixels:
        if ladder == "blur":
            return cv2.GaussianBlur(picture, (0, 0), 0.3 + 0.4 * step).astype(np.uint8)
        if ladder == "noise":
            return np.asarray((picture + 4 * step * noise).clip(0, 255), np.uint8)
        if ladder == "veil":
            return np.asarray((1 - step / 40) * picture + step / 40 * other, np.uint8)
        return photo(1)[6 * step : 480 - 6 * step, 8 * step : 640 - 8 * step]

    scores = [score(original(), degraded(step)) for step in range(1, 31)]
    assert len({round(s, 4) for s in scores}) >= 25
    assert all(later <= earlier + 0.03 for earlier, later in pairwise(scores))
    assert scores[-1] < scores[0]


def test_scores_are_finite_and_within_bounds_for_odd_pictures() -> None:
    odd = [photo(2, 640, 33), photo(2, 33, 640), photo(2, 40, 40), np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)]
    all_layers = [layers(pixels) for pixels in odd] + [original()]
    for one in all_layers:
        for two in all_layers:
            assert 0 <= score(one, two) <= 1
    assert CURVE.score(2.0) == 1.0
