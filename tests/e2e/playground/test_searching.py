"""Searches of a library, and keys."""

from __future__ import annotations

import re

import pytest

from tests import films
from tests.index_client import new_project
from tests.origin import Origin
from tests.pictures import encoded
from tests.recordings import Track, film_of, recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from playwright.sync_api import expect

from tests.browser import CHROMIUM, Visit, payload
from tests.e2e.playground.page import ANSWERED_MS, COPY, PHOTO, PICTURES, compare, film_files, give

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")


def test_search_asks_for_a_key_and_keeps_it_in_memory_alone(visit: Visit, mesh: RunningMesh, origin: Origin) -> None:
    project = new_project(mesh)
    project.index(origin.serve("play/photo.jpg", PHOTO), name="the <b>photo</b>", metadata={"by": "ann"})
    page = visit()
    sent: list[dict[str, str]] = []
    page.on("request", lambda request: sent.append(request.headers) if "/v1/search/" in request.url else None)
    page.click("#tab-search")
    page.locator("#panel-search input[type=url]").fill(origin.serve("play/copy.webp", COPY))
    page.click("#panel-search button[type=submit]")
    expect(page.get_by_label("API key")).to_be_focused()
    assert not sent
    page.get_by_label("API key").fill(project.key)
    page.keyboard.press("Enter")
    expect(page.locator(".hits li")).to_contain_text("the <b>photo</b>", timeout=ANSWERED_MS)
    assert [headers["authorization"] for headers in sent] == [f"Bearer {project.key}"]
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert kept.startswith('[{},{},"",')
    assert project.key not in kept
    assert project.key not in page.locator("#panel-search .outcome").inner_text()
    page.get_by_role("button", name="Clear").last.click()
    page.locator("#panel-search input[type=file]").set_input_files(PICTURES[1])
    page.click("#panel-search button[type=submit]")
    expect(page.locator(".hits li")).to_contain_text("the <b>photo</b>", timeout=ANSWERED_MS)


def test_films_are_found_by_what_they_show_and_by_what_is_heard_in_them(visit: Visit, mesh: RunningMesh) -> None:
    project, page = new_project(mesh), visit()
    song = music(63, 20.0)
    project.index_upload(film_files()[0]["buffer"], "video", name="the film")
    project.index_upload(film_of([Track(song, RATE)]), "video", name="the concert")
    project.index_upload(recorded(song, "flac", rate=RATE), "audio", name="the song")
    page.click("#tab-search")
    page.get_by_label("API key").fill(project.key)
    among = page.get_by_role("group", name="Among")
    among.get_by_label("images").uncheck()
    page.click("#panel-search button[type=submit]")
    expect(page.locator("#announcer")).to_have_text("Choose what to look through.")
    among.get_by_label("videos that show it").check()
    still = payload("still.png", encoded(films.Film(5, 8.0).picture(5.0), "PNG"), "image/png")
    page.locator("#panel-search input[type=file]").set_input_files(still)
    page.click("#panel-search button[type=submit]")
    expect(page.locator(".hits li")).to_contain_text(re.compile("the film.*video .*shown at 0:0[45]"), timeout=ANSWERED_MS)
    page.locator("#panel-search [name=medium][value=audio]").check()
    among.get_by_label("videos in which it is heard").check()
    clip = payload("clip.mp3", recorded(song[4 * RATE : 14 * RATE], "mp3", rate=RATE), "audio/mpeg")
    page.locator("#panel-search input[type=file]").set_input_files(clip)
    page.click("#panel-search button[type=submit]")
    expect(page.get_by_role("heading", name="2 found")).to_be_visible(timeout=ANSWERED_MS)
    expect(page.locator(".hits li").filter(has_text="the concert")).to_contain_text("video, by its sound track")
    expect(page.locator(".hits li").filter(has_text="the song")).to_contain_text("sound · confidence")
    assert "media_types" in (page.locator("#panel-search .outcome").text_content() or "")


def test_wrong_key_is_told_at_the_key(visit: Visit, origin: Origin) -> None:
    page = visit()
    page.click("#tab-search")
    page.get_by_label("API key").fill("mm_live_wrong")
    page.locator("#panel-search input[type=url]").fill(origin.serve("play/photo.jpg", PHOTO))
    page.click("#panel-search button[type=submit]")
    expect(page.locator("#key-note")).to_contain_text("does not know this key", timeout=ANSWERED_MS)
    expect(page.get_by_label("API key")).to_be_focused()


def test_with_auth_on_a_pair_asks_for_a_key(visit: Visit, tmp_path_factory: pytest.TempPathFactory) -> None:
    with RunningMesh(tmp_path_factory.mktemp("guarded"), AUTH="on", VIDEO_ADDRESS="", AUDIO_ADDRESS="") as guarded:
        page = visit(at=guarded)
        expect(page.get_by_label("API key")).to_be_visible()
        give(page, "image", *PICTURES)
        page.click("#panel-image button[type=submit]")
        expect(page.get_by_role("alert")).to_contain_text("An API key is needed", timeout=ANSWERED_MS)
        page.get_by_label("API key").fill(new_project(guarded).key)
        page.keyboard.press("Enter")
        expect(page.locator(".verdict")).to_be_visible(timeout=ANSWERED_MS)


def test_with_the_demo_on_a_pair_needs_no_key_until_the_day_is_used_up(visit: Visit, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"AUTH": "on", "DEMO": "on", "DEMO_ADDRESS_PER_DAY": "1", "VIDEO_ADDRESS": "", "AUDIO_ADDRESS": ""}
    with RunningMesh(tmp_path_factory.mktemp("demo"), **settings) as guarded:
        page = visit(at=guarded)
        expect(page.get_by_label("API key")).to_be_hidden()
        compare(page, "image", *PICTURES)
        assert "/demo/image/match" in (page.locator("#panel-image .outcome").text_content() or "")
        page.click("#panel-image button[type=submit]")
        expect(page.get_by_role("alert")).to_contain_text("Too many requests", timeout=ANSWERED_MS)
        expect(page.locator("#key-note")).to_contain_text("used up")
        page.get_by_label("API key").fill(new_project(guarded).key)
        page.keyboard.press("Enter")
        expect(page.locator(".verdict")).to_be_visible(timeout=ANSWERED_MS)
        assert "/demo/" not in (page.locator("#panel-image .outcome").text_content() or "")
