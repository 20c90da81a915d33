"""Floors of recall, an edit each, and no false match, on pictures that the tests draw. Real media are harder, and measured apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from random import Random

import pytest
from PIL import Image, ImageFilter

from image_svc import matcher
from matching.decision import is_match
from mesh.media import DETAIL, Comparison, Fingerprint, MatchOptions, Transforms
from mesh.media_file import MediaFile
from tests import edits
from tests.edits import Edit, as_file
from tests.pictures import cut_out, encoded, flattened, photo

SEEDS = range(10)


def fingerprint(content: bytes) -> Fingerprint:
    with MediaFile.of(content) as media:
        return matcher.fingerprint(media.path, DETAIL, None)[0]


@functools.cache
def original(seed: int) -> Fingerprint:
    return fingerprint(encoded(photo(seed), "PNG"))


def compare(one: Fingerprint, two: Fingerprint, transforms: Transforms = Transforms.ALL) -> Comparison:
    comparison = matcher.compare(one, two, MatchOptions(transforms=transforms))
    assert comparison is not None
    return comparison


def scores(name: str, edit: Edit) -> list[float]:
    found = []
    for seed in SEEDS:
        copy = edit(Image.fromarray(photo(seed)), Random(f"{name} {seed}"))
        found.append(compare(original(seed), fingerprint(as_file(copy))).score)
    return found


def recall(found: list[float]) -> float:
    return sum(is_match("image", score) for score in found) / len(found)


def families() -> Iterator[tuple[str, Edit, float, float]]:
    """An edit, the share of copies to be found, and the score that nine in ten of them reach."""
    for family, recall_floor, score_floor in (
        (edits.RE_ENCODED, 0.99, 0.97),
        (edits.RESIZED, 0.98, 0.90),
        (edits.WATERMARKED, 0.95, 0.75),
        (edits.CROPPED, 0.95, 0.85),
        (edits.COLOURED, 0.97, 0.85),
        (edits.MINOR, 0.95, 0.85),
        (edits.MIRRORED, 0.95, 0.85),
        (edits.PASTED, 0.80, 0.60),
        (edits.COVERED, 0.90, 0.70),
        (edits.BLURRED, 0.90, 0.60),
    ):
        for name, edit in family.items():
            yield name, edit, recall_floor, score_floor


CASES = list(families())


@pytest.mark.parametrize(("name", "edit", "recall_floor", "score_floor"), CASES, ids=[case[0] for case in CASES])
def test_copies_are_found_through_the_edit(name: str, edit: Edit, recall_floor: float, score_floor: float) -> None:
    found = scores(name, edit)
    assert recall(found) >= recall_floor, found
    assert sum(score >= score_floor for score in found) >= 0.9 * len(found), found


def test_different_pictures_never_match() -> None:
    pairs = list(itertools.combinations(SEEDS, 2))
    assert max(compare(original(one), original(two)).score for one, two in pairs) < 0.5


@pytest.mark.parametrize("name", ["border", "sticker", "text", "tiled"])
def test_what_two_pictures_wear_alike_makes_them_no_copies(name: str) -> None:
    edit = {**edits.MINOR, **edits.WATERMARKED}[name]
    worn = [fingerprint(as_file(edit(Image.fromarray(photo(seed)), Random(name)))) for seed in SEEDS]
    assert max(compare(one, two).score for one, two in itertools.combinations(worn, 2)) < 0.5


@pytest.mark.parametrize(
    "edit",
    [
        edits.covered(0.5),
        edits.covered_by_picture(0.15),
        edits.under_interface,
        lambda image, dice: edits.tiled(edits.darkened(image), dice),
    ],
    ids=["plain box over a half", "another picture over a sixth", "interface", "tiled mark on the dark"],
)
def test_what_covers_two_pictures_alike_makes_them_no_copies(edit: Edit) -> None:
    covered = [fingerprint(as_file(edit(Image.fromarray(photo(seed)), Random(0)))) for seed in SEEDS]
    assert max(compare(one, two).score for one, two in itertools.combinations(covered, 2)) < 0.5


def test_one_pixel_more_or_less_is_no_difference() -> None:
    pixels = photo(3)
    pixels[100, 100] = 255 - pixels[100, 100]
    assert compare(original(3), fingerprint(encoded(pixels, "PNG"))).score >= 0.99


def test_mirrors_and_turns_can_be_switched_off() -> None:
    for name in ("mirror", "flip", "quarter turn", "half turn"):
        copy = edits.MIRRORED[name](Image.fromarray(photo(4)), Random(0))
        turned = fingerprint(as_file(copy))
        assert is_match("image", compare(original(4), turned).score), name
        assert not is_match("image", compare(original(4), turned, Transforms.NONE).score), name
    assert compare(original(4), original(4), Transforms.NONE).score == 1.0


def test_transform_that_was_found_is_the_one_that_was_made() -> None:
    image = Image.fromarray(photo(5))
    half = compare(original(5), fingerprint(as_file(image.crop((160, 120, 480, 360)).resize((640, 480))))).transform
    assert half is not None
    assert half.crop is not None
    assert not half.mirrored
    assert half.scale == pytest.approx(2.0, rel=0.02)
    assert (half.crop.x, half.crop.y, half.crop.width, half.crop.height) == pytest.approx((0.25, 0.25, 0.5, 0.5), abs=0.02)
    for name, mirrored, degrees in (("mirror", True, 0), ("quarter turn", False, 270), ("half turn", False, 180)):
        found = compare(original(5), fingerprint(as_file(edits.MIRRORED[name](image, Random(0))))).transform
        assert found is not None
        assert found.mirrored is mirrored, name
        assert (found.rotation_degrees - degrees + 180) % 360 - 180 == pytest.approx(0, abs=1), name


def test_region_shows_where_the_copy_lies() -> None:
    page = Image.fromarray(photo(60_000, 900, 700))
    page.paste(Image.fromarray(photo(6)).resize((400, 300)), (450, 50))
    comparison = compare(original(6), fingerprint(as_file(page)))
    region = comparison.regions[0].target
    assert (region.x, region.y, region.width, region.height) == pytest.approx((0.5, 0.071, 0.444, 0.429), abs=0.06)
    assert comparison.coverage.source > 0.85
    assert comparison.coverage.target < 0.4


def test_cut_out_is_the_same_on_any_ground() -> None:
    cutting = cut_out(7)
    on_nothing, on_white, on_black = (
        fingerprint(encoded(pixels, "PNG")) for pixels in (cutting, flattened(cutting, 255), flattened(cutting, 0))
    )
    for one, two in itertools.combinations((on_nothing, on_white, on_black), 2):
        assert compare(one, two).score >= 0.9


def test_what_lies_under_full_transparency_does_not_count() -> None:
    one, two = cut_out(8), cut_out(8)
    two[two[..., 3] == 0] = (200, 30, 90, 0)
    assert compare(fingerprint(encoded(one, "PNG")), fingerprint(encoded(two, "PNG"))).score >= 0.99


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "WEBP"])
def test_animation_is_compared_by_its_first_frame(file_format: str) -> None:
    frames = [Image.fromarray(photo(seed)) for seed in (9, 70_000, 70_001)]
    animation = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100)
    assert compare(original(9), fingerprint(animation)).score >= 0.9


def test_score_falls_step_by_step_as_a_picture_is_degraded() -> None:
    """Thirty steps of blur: nearly every step its own score, none of them upwards by more than a hundredth."""
    image = Image.fromarray(photo(2))
    ladder = []
    for step in range(30):
        soft = image.filter(ImageFilter.GaussianBlur(0.25 * step))
        ladder.append(compare(original(2), fingerprint(encoded(soft, "PNG"))).score)
    assert len(set(ladder)) >= 25, ladder
    assert all(later <= earlier + 0.01 for earlier, later in itertools.pairwise(ladder)), ladder
    assert ladder[0] >= 0.99
