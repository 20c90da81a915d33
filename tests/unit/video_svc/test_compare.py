"""What a comparison says of copies, look-alikes and strangers among films, and that it says it whichever way it is asked."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
import pytest

from mesh.media import DETAIL, OUTLINE, Comparison, Segment
from tests.films import Film
from tests.pictures import Pixels, photo
from tests.reels import Edit, Layers, layers, moments
from video_svc.compare import compare

CUTOFF: Final = 0.6
HIGH: Final = 0.85
SECONDS: Final = 8.0


def film(seed: int, seconds: float = SECONDS) -> Film:
    return Film(seed, seconds, scene_seconds=2.0)


@cache
def original(seed: int = 1) -> Layers:
    return layers(moments(film(seed)))


def compared(query: Layers, reference: Layers, *, mirrored_too: bool = True) -> Comparison:
    comparison = compare(query, reference, mirrored_too=mirrored_too)
    assert comparison is not None
    return comparison


def times(segment: Segment) -> tuple[float, float, float, float]:
    return segment.source_start, segment.source_end, segment.target_start, segment.target_end


def letterboxed(picture: Pixels) -> Pixels:
    return np.pad(picture, ((40, 40), (0, 0), (0, 0)))


def cropped(picture: Pixels) -> Pixels:
    return picture[30:220, 20:280]


def rotated(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    return np.asarray(cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), 5, 1), (width, height)), np.uint8)


def faded(picture: Pixels) -> Pixels:
    return (0.6 * picture + 60).astype(np.uint8)


def soft(picture: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0), np.uint8)


def on_a_page(picture: Pixels) -> Pixels:
    page = photo(90_000, 320, 240)
    page[120:225, 160:300] = cv2.resize(picture, (140, 105), interpolation=cv2.INTER_AREA)
    return page


def captioned(picture: Pixels) -> Pixels:
    done = picture.copy()
    done[:60] = 255
    cv2.putText(done, "WHEN IT RAINS", (10, 40), cv2.FONT_HERSHEY_DUPLEX, 1.1, (0, 0, 0), 2, cv2.LINE_AA)
    return done


# ---- plain copies: the outlines suffice


def test_same_layers_are_a_whole_match() -> None:
    comparison = compared(original(), original())
    assert comparison.score == pytest.approx(1.0, abs=1e-3)
    assert [times(segment) for segment in comparison.segments] == [pytest.approx((0.0, SECONDS, 0.0, SECONDS), abs=0.05)]


@pytest.mark.parametrize("edit", [faded, soft])
def test_plain_copies_are_settled_by_their_outlines(edit: Edit) -> None:
    copy = layers(moments(film(1)), edit)
    comparison = compare({OUTLINE: original()[OUTLINE]}, {OUTLINE: copy[OUTLINE]}, mirrored_too=True)
    assert comparison is not None
    assert comparison.score >= 0.9


def test_outlines_leave_strangers_open_and_the_details_refuse_them() -> None:
    assert compare({OUTLINE: original(1)[OUTLINE]}, {OUTLINE: original(2)[OUTLINE]}, mirrored_too=True) is None
    assert compared(original(1), original(2)).score < 0.2


# ---- edits of the picture


@pytest.mark.parametrize("edit", [letterboxed, cropped, rotated, on_a_page, captioned])
def test_copies_are_found_through_edits_of_the_picture(edit: Edit) -> None:
    comparison = compared(original(), layers(moments(film(1)), edit))
    assert comparison.score >= CUTOFF
    assert times(comparison.segments[0]) == pytest.approx((0.0, SECONDS, 0.0, SECONDS), abs=0.3)


def test_mirrored_copy_is_found_unless_switched_off() -> None:
    mirrored = layers(moments(film(1)), lambda picture: picture[:, ::-1])
    comparison = compared(original(), mirrored)
    assert comparison.score >= HIGH
    assert comparison.transform is not None
    assert comparison.transform.mirrored
    assert compared(original(), mirrored, mirrored_too=False).score < CUTOFF


def test_region_and_transform_say_where_the_picture_lies() -> None:
    comparison = compared(original(), layers(moments(film(1)), on_a_page))
    (region,) = comparison.regions
    box = region.target
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0.5, 0.5, 0.4375, 0.4375), abs=0.05)
    assert comparison.transform is not None
    assert comparison.transform.scale == pytest.approx(0.4375, rel=0.05)
    assert comparison.coverage.source > 0.9
    assert comparison.coverage.target < 0.5


# ---- edits of time


def test_clip_from_the_middle_is_found_where_it_lies() -> None:
    clip = layers(moments(film(1), start=2.4, seconds=4.0))
    comparison = compared(original(), clip)
    assert comparison.score >= HIGH
    assert [times(segment) for segment in comparison.segments] == [pytest.approx((2.4, 6.4, 0.0, 4.0), abs=0.3)]


@pytest.mark.parametrize("speed", [0.8, 1.25, 1.5])
def test_speed_is_measured_by_the_segment(speed: float) -> None:
    comparison = compared(original(), layers(moments(film(1), speed=speed)))
    assert comparison.score >= CUTOFF
    assert [times(segment) for segment in comparison.segments] == [pytest.approx((0.0, SECONDS, 0.0, SECONDS / speed), abs=0.4)]


def test_clip_in_a_compilation_is_found_once() -> None:
    compilation = layers(moments(film(5, 5.0)) + moments(film(1), start=2.0, seconds=5.0) + moments(film(6, 5.0)))
    comparison = compared(original(), compilation)
    assert comparison.score >= CUTOFF
    assert [times(segment) for segment in comparison.segments] == [pytest.approx((2.0, 7.0, 5.0, 10.0), abs=0.4)]


def test_clips_that_changed_places_are_two_segments() -> None:
    swapped = layers(moments(film(1), start=4.0, seconds=4.0) + moments(film(5, 3.0)) + moments(film(1), start=0.0, seconds=4.0))
    segments = compared(original(), swapped).segments
    assert [times(segment) for segment in segments] == [
        pytest.approx((0.0, 4.0, 7.0, 11.0), abs=0.4),
        pytest.approx((4.0, 8.0, 0.0, 4.0), abs=0.4),
    ]


def test_loop_is_found_twice() -> None:
    pictures = moments(film(1, 5.0))
    segments = compared(layers(pictures), layers(pictures * 2)).segments
    assert sorted(times(segment) for segment in segments) == [
        pytest.approx((0.0, 5.0, 0.0, 5.0), abs=0.3),
        pytest.approx((0.0, 5.0, 5.0, 10.0), abs=0.3),
    ]


# ---- what is no copy


def test_shared_title_scores_low() -> None:
    title = moments(film(7, 1.5))
    one, two = (layers(title + moments(film(seed))) for seed in (1, 2))
    assert compared(one, two).score < 0.5


def test_one_lucky_frame_is_no_match() -> None:
    lucky = photo(80_000, 320, 240)
    one, two = (layers([*moments(film(seed, 4.0)), lucky, *moments(film(seed + 10, 4.0))]) for seed in (1, 2))
    assert compared(one, two).score < 0.4


def test_frame_that_two_films_wear_alike_makes_them_no_copies() -> None:
    def worn(picture: Pixels) -> Pixels:
        done = photo(81_000, 320, 240)
        done[30:210, 40:280] = picture[30:210, 40:280]
        return done

    one, two = (layers(moments(film(seed)), worn) for seed in (1, 2))
    assert compared(one, two).score < 0.5


@pytest.mark.parametrize("level", [0, 255])
def test_blank_film_matches_nothing_not_even_another(level: int) -> None:
    blank = layers([np.full((240, 320, 3), level, np.uint8)] * 20)
    assert compared(blank, original()).score == 0.0
    assert compared(blank, layers([np.full((240, 320, 3), level, np.uint8)] * 30)).score == 0.0


# ---- stills


def test_still_is_found_in_a_film_with_its_moment() -> None:
    still = layers([film(1).picture(4.6)], is_still=True)
    comparison = compared(still, original())
    assert comparison.score >= HIGH
    (segment,) = comparison.segments
    assert (segment.source_start, segment.source_end) == (0.0, 0.0)
    assert segment.target_start - 0.3 <= 4.6 <= segment.target_end + 0.3
    assert compared(still, original(2)).score < 0.3


# ---- both ways


@pytest.mark.parametrize("edit", [cropped, on_a_page])
def test_answer_is_the_mirror_of_the_question(edit: Edit) -> None:
    copy = layers(moments(film(1), start=2.0, seconds=5.0), edit)
    there, back = compared(original(), copy), compared(copy, original())
    assert there.score == back.score
    assert (there.coverage.source, there.coverage.target) == (back.coverage.target, back.coverage.source)
    turned = sorted(times(segment)[2:] + times(segment)[:2] for segment in back.segments)
    assert sorted(times(segment) for segment in there.segments) == turned
    assert (there.regions[0].source, there.regions[0].target) == (back.regions[0].target, back.regions[0].source)


def test_missing_detail_is_asked_for_only_where_it_matters() -> None:
    cut = layers(moments(film(1)), on_a_page)
    assert compare({OUTLINE: original()[OUTLINE]}, cut, mirrored_too=True) is None
    assert DETAIL in cut


def test_top_score_is_no_higher_than_that_of_its_best_segment() -> None:
    compilation = layers(moments(film(5, 6.0)) + moments(film(1), start=2.0, seconds=3.0) + moments(film(6, 6.0)))
    comparison = compared(original(), compilation)
    assert comparison.segments
    assert comparison.score <= max(segment.score for segment in comparison.segments)


def slides(*seeds: int) -> list[Pixels]:
    """Pictures that stand for three seconds each."""
    return [picture for seed in seeds for picture in [photo(seed, 320, 240)] * 12]


def test_few_pictures_that_are_all_either_film_has_are_nearly_identical() -> None:
    shown = layers(slides(1, 2, 3, 4, 5))
    assert compared(shown, layers(slides(1, 2, 3, 4, 5), faded)).score >= 0.97


def test_few_pictures_in_another_film_are_worth_less_than_the_same_alone() -> None:
    shown = layers(slides(1, 2, 3))
    alone, among = compared(shown, layers(slides(1, 2, 3), faded)).score, compared(shown, layers(slides(7, 1, 2, 3, 8), faded)).score
    assert among < alone
