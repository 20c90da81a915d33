"""What two files or addresses come to: the verdict, and the picture of it."""

from __future__ import annotations

import pytest

from tests import films
from tests.origin import Origin
from tests.pictures import encoded
from tests.running_mesh import RunningMesh

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from playwright.sync_api import expect

from tests.browser import CHROMIUM, Visit, payload
from tests.e2e.playground.page import PICTURES, SCENE, answer_of, colours, compare, compare_addresses, drawn, film_files, sound_files

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")


def test_two_pictures_show_verdict_regions_outline_and_answer(visit: Visit) -> None:
    outcome = compare(visit(), "image", *PICTURES)
    answer = answer_of(outcome)
    assert answer["match"] is True
    expect(outcome.get_by_role("heading", name="Match", exact=True)).to_be_visible()
    expect(outcome.locator(".verdict")).to_contain_text("mirrored")
    region = answer["regions"][0]["source"]
    frame = outcome.locator(".picture").first
    drawn, whole = frame.locator(".region").first.bounding_box(), frame.bounding_box()
    assert drawn is not None and whole is not None
    assert (drawn["x"] - whole["x"]) / whole["width"] == pytest.approx(region["x"], abs=0.02)
    assert drawn["width"] / whole["width"] == pytest.approx(region["width"], abs=0.02)
    # The copy's frame in the photo: its left edge is the photo's right one, for it was mirrored.
    points = outcome.locator("polygon:not(.halo)").first.get_attribute("points") or ""
    corners = [tuple(float(value) for value in point.split(",")) for point in points.split()]
    assert corners[0] == pytest.approx((560, 60), abs=6)
    assert corners[2] == pytest.approx((80, 420), abs=6)


def test_profiles_are_shown_with_what_they_would_decide(visit: Visit, mesh: RunningMesh) -> None:
    outcome = compare(visit(), "image", *PICTURES)
    score = answer_of(outcome)["similarity_score"]
    for name, cutoff in mesh.get("/config").json["media"]["image"]["profiles"].items():
        row = outcome.get_by_role("row").filter(has_text=name)
        expect(row).to_contain_text(str(cutoff))
        expect(row.locator(".pill")).to_have_text("match" if score >= cutoff else "no match")


def test_own_threshold_decides(visit: Visit) -> None:
    page = visit()
    page.locator("#panel-image summary").click()
    page.get_by_label("Threshold").first.fill("1")
    outcome = compare(page, "image", *PICTURES)
    expect(outcome.get_by_role("heading", name="No match", exact=True)).to_be_visible()
    expect(outcome.get_by_role("row").filter(has_text="your threshold")).to_contain_text("no match")


def test_source_can_be_laid_over_the_target(visit: Visit) -> None:
    outcome = compare(visit(), "image", *PICTURES)
    outcome.get_by_text("Lay the source over the target").click()
    laid = outcome.locator(".laid")
    laid.wait_for()
    below, above = laid.locator("img").first.bounding_box(), laid.locator(".above").bounding_box()
    assert below is not None and above is not None
    # The photo is a third wider than what the copy shows of it.
    assert above["width"] / below["width"] == pytest.approx(640 / 480, rel=0.03)
    laid.locator("xpath=..").get_by_role("slider").fill("0")
    expect(laid.locator(".above")).to_have_css("opacity", "0")


def test_films_show_frames_and_joined_segments(visit: Visit) -> None:
    outcome = compare(visit(), "video", *film_files())
    segments = answer_of(outcome)["matched_segments"]
    assert len(segments) == 2
    expect(outcome.locator(".joins path")).to_have_count(2)
    drawn(outcome)
    expect(outcome.locator("td canvas:visible")).to_have_count(4)
    for canvas in (*outcome.locator(".strip canvas").all(), *outcome.locator("td canvas").all()):
        expect(canvas).to_be_visible()
        assert colours(canvas) > 50


def test_still_is_shown_where_the_film_shows_it(visit: Visit) -> None:
    film = films.Film(5, 8.0)
    still = payload("still.png", encoded(film.picture(5.0), "PNG"), "image/png")
    outcome = compare(visit(), "video", still, payload("film.webm", films.encoded(film, "webm"), "video/webm"))
    assert answer_of(outcome)["match"] is True
    drawn(outcome)
    expect(outcome.locator(".caption").first).to_have_text("Source a still")
    expect(outcome.locator("td canvas:visible")).to_have_count(2)
    expect(outcome.locator("td .times").first).to_contain_text("0:00.0")


def test_sound_tracks_of_films_are_told_beside(visit: Visit, origin: Origin) -> None:
    film = films.Film(5, 6.0)
    one = origin.serve("play/one.mp4", films.encoded(film, sound=1))
    two = origin.serve("play/two.mp4", films.encoded(film, sound=2))
    page = visit()
    page.click("#tab-video")
    page.locator("#panel-video summary").click()
    page.get_by_label("Compare the sound tracks, too").check()
    outcome = compare_addresses(page, "video", one, two)
    assert (answer_of(outcome)["match"], answer_of(outcome)["audio"]["match"]) == (True, False)
    expect(outcome.locator(".verdict dl")).to_contain_text("do not match")
    expect(outcome.locator(".caption").first).to_contain_text("not loaded")


def test_film_that_the_browser_cannot_show_still_has_its_time_line(visit: Visit) -> None:
    film = films.Film(5, 5.0)
    odd = payload("film.avi", films.encoded(film, "avi-mpeg4"), "video/x-msvideo")
    outcome = compare(visit(), "video", odd, payload("film.webm", films.encoded(film, "webm"), "video/webm"))
    assert answer_of(outcome)["match"] is True
    drawn(outcome)
    expect(outcome.locator(".caption").first).to_have_text("Source this browser cannot show it")
    expect(outcome.locator(".block")).to_have_count(2)
    expect(outcome.locator("td canvas:visible")).to_have_count(1)


def test_sounds_show_waveforms_and_joined_segments(visit: Visit) -> None:
    outcome = compare(visit(), "audio", *sound_files())
    assert answer_of(outcome)["matched_segments"]
    expect(outcome.locator(".joins path")).to_have_count(len(answer_of(outcome)["matched_segments"]))
    drawn(outcome)
    expect(outcome.locator(".caption")).to_have_text(["Source 0:24.0", "Target 0:13.0"])
    for canvas in outcome.locator(".strip canvas").all():
        assert colours(canvas) >= 2
    lanes = [lane.bounding_box() for lane in outcome.locator(".strip canvas").all()]
    assert lanes[0] is not None and lanes[1] is not None
    assert lanes[1]["width"] / lanes[0]["width"] == pytest.approx(13 / 24, rel=0.03)


def test_what_the_browser_cannot_show_is_still_compared(visit: Visit) -> None:
    heic = payload("photo.heic", encoded(SCENE, "HEIF"), "image/heic")
    outcome = compare(visit(), "image", PICTURES[0], heic)
    assert answer_of(outcome)["match"] is True
    expect(outcome.locator(".pair")).to_contain_text("Target: this browser cannot show it")
    expect(outcome.locator(".is-blank .region")).to_have_count(1)
