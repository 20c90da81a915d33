"""The playground as its users meet it: in a real browser, which is to reach nothing but the gateway and to complain of nothing."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from tests import films, sounds
from tests.index_client import new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.browser import CHROMIUM, DESK, NARROW, PHONE, Visit, payload, running_browser, visits

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")

MAX_TRANSFER_BYTES: Final = 400_000
ANSWERED_MS: Final = 60_000

SCENE: Final = Image.fromarray(photo(1))
PHOTO: Final = encoded(SCENE, "JPEG")
COPY: Final = encoded(SCENE.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((80, 60, 560, 420)), "WEBP")
OTHER: Final = encoded(photo(2), "JPEG")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, mesh: RunningMesh) -> Iterator[Visit]:
    with visits(browser, mesh, "/", ready) as opened:
        yield opened


def ready(page: Page) -> None:
    """Its script runs, and knows the gateway's limits."""
    expect(page.locator("#panel-image .limits").first).not_to_be_empty()


def drawn(outcome: Locator) -> None:
    expect(outcome.locator(".lines")).not_to_have_attribute("aria-busy", "true", timeout=ANSWERED_MS)


def give(page: Page, medium: str, *files: FilePayload) -> None:
    page.click(f"#tab-{medium}")
    for index, file in enumerate(files):
        page.locator(f"#panel-{medium} input[type=file]").nth(index).set_input_files(file)


def compare(page: Page, medium: str, *files: FilePayload) -> Locator:
    """The outcome, once it is there."""
    give(page, medium, *files)
    page.click(f"#panel-{medium} button[type=submit]")
    outcome = page.locator(f"#panel-{medium} .outcome")
    outcome.locator(".verdict, .wrong").wait_for(timeout=ANSWERED_MS)
    return outcome


def compare_addresses(page: Page, medium: str, source: str, target: str) -> Locator:
    page.click(f"#tab-{medium}")
    fields = page.locator(f"#panel-{medium} input[type=url]")
    fields.nth(0).fill(source)
    fields.nth(1).fill(target)
    return compare(page, medium)


def answer_of(outcome: Locator) -> Any:
    return json.loads(outcome.locator("pre").first.inner_text())


def colours(canvas: Locator) -> int:
    """How many different ones are on it."""
    script = """canvas => {
        const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        return new Set(pixels).size;
    }"""
    return int(canvas.evaluate(script))


PICTURES: Final = (payload("photo.jpg", PHOTO, "image/jpeg"), payload("copy.webp", COPY, "image/webp"))


def film_files() -> tuple[FilePayload, FilePayload]:
    film, other = films.Film(5, 8.0), films.Film(6, 4.0)
    parts = films.Montage((films.Cut(film, 4.0, 4.0), films.Cut(other, 0.0, 3.0), films.Cut(film, 0.0, 4.0)))
    return payload("film.webm", films.encoded(film, "webm"), "video/webm"), payload("parts.mp4", films.encoded(parts), "video/mp4")


def sound_files() -> tuple[FilePayload, FilePayload]:
    original = sounds.music(3, 24.0)
    part = np.concatenate([sounds.cut(original, 12.0, 9.0), sounds.music(9, 4.0)])
    return (
        payload("song.flac", sounds.encoded(original, "flac"), "audio/flac"),
        payload("part.mp3", sounds.encoded(part, "mp3"), "audio/mpeg"),
    )


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


def test_two_files_dropped_at_once_fill_both_sides(visit: Visit) -> None:
    page = visit()
    script = """files => {
        const dropped = new DataTransfer();
        for (const [name, bytes] of files) dropped.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
        const drop = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
        document.querySelector("#panel-image .slot").dispatchEvent(drop);
    }"""
    page.evaluate(script, [["one.jpg", list(PHOTO)], ["two.jpg", list(OTHER)]])
    expect(page.locator("#panel-image .file")).to_have_text(
        [f"one.jpg · {round(len(PHOTO) / 1024)} kB", f"two.jpg · {round(len(OTHER) / 1024)} kB"]
    )
    assert answer_of(compare(page, "image"))["match"] is False
    expect(page.locator("#panel-image .outcome")).to_contain_text("No region of one was found in the other")


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


def test_addresses_are_compared_unseen_and_come_back_with_the_link(visit: Visit, origin: Origin) -> None:
    page = visit()
    source, target = origin.serve("play/photo.jpg", PHOTO), origin.serve("play/copy.webp", COPY)
    outcome = compare_addresses(page, "image", source, target)
    assert answer_of(outcome)["match"] is True
    expect(outcome.locator(".is-blank")).to_have_count(2)
    again = visit(page.url.removeprefix(page.url.split("/#")[0]))
    assert [field.input_value() for field in again.locator("#panel-image input[type=url]").all()] == [source, target]


def test_wrong_address_is_told_where_it_stands_and_what_to_do(visit: Visit, origin: Origin) -> None:
    page = visit()
    outcome = compare_addresses(page, "image", origin.serve("play/photo.jpg", PHOTO), "http://10.0.0.1/copy.jpg")
    expect(outcome.get_by_role("alert")).to_contain_text("The target points at an address or port that is not public.")
    expect(outcome.locator(".ids")).to_contain_text("invalid_url")
    fields = page.locator("#panel-image input[type=url]")
    expect(fields.nth(1)).to_have_attribute("aria-invalid", "true")
    expect(fields.nth(0)).not_to_have_attribute("aria-invalid", "true")
    expect(outcome.get_by_role("heading")).to_be_focused()


def test_too_large_a_file_is_not_sent(visit: Visit, tmp_path: Path) -> None:
    page, large = visit(), tmp_path / "large.jpg"
    large.write_bytes(bytes(15 * 1024 * 1024 + 1))
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    give(page, "image", PICTURES[0])
    page.locator("#panel-image input[type=file]").nth(1).set_input_files(large)
    page.click("#panel-image button[type=submit]")
    expect(page.locator("#panel-image .problem").nth(1)).to_contain_text("at most 15 MB")
    assert not posts


def test_file_of_another_kind_is_told_before_it_is_sent(visit: Visit) -> None:
    page = visit()
    give(page, "image", payload("film.mp4", b"not looked at", "video/mp4"))
    expect(page.locator("#panel-image .problem").first).to_have_text("This is a video, but an image is asked for here.")
    give(page, "audio", payload("film.mp4", b"not looked at", "video/mp4"))
    expect(page.locator("#panel-audio .problem").first).to_be_hidden()


def test_name_of_a_file_is_text(visit: Visit) -> None:
    page = visit()
    give(page, "image", payload("<img src=x onerror=alert(1)>.jpg", PHOTO, "image/jpeg"))
    expect(page.locator("#panel-image .file").first).to_contain_text("<img src=x onerror=alert(1)>.jpg")
    expect(page.locator("#panel-image .chosen img")).to_have_count(0)


def test_work_is_seen_and_can_be_stopped(visit: Visit, origin: Origin) -> None:
    page = visit()

    released = threading.Event()

    async def stalled(request: web.Request) -> web.Response:
        await asyncio.to_thread(released.wait, 60)
        return web.Response()

    fields = page.locator("#panel-image input[type=url]")
    fields.nth(0).fill(origin.respond("play/slow.jpg", stalled))
    fields.nth(1).fill(origin.serve("play/photo.jpg", PHOTO))
    page.click("#panel-image button[type=submit]")
    expect(page.locator("#announcer")).to_have_text("Comparing")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#announcer")).to_have_text("Cancelled.")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    released.set()


def test_upload_says_how_far_it_is(visit: Visit) -> None:
    page = visit()
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    give(page, "audio", *(payload(f"{seed}.wav", sounds.encoded(sounds.music(seed, 20.0)), "audio/wav") for seed in (1, 2)))
    page.click("#panel-audio button[type=submit]")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"^0\.\d+"), timeout=ANSWERED_MS)
    expect(page.locator("#announcer")).to_have_text("Uploading")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#announcer")).to_have_text("Cancelled.")


def test_keyboard_alone_is_enough(visit: Visit, origin: Origin) -> None:
    page = visit()
    page.locator("#tab-image").focus()
    for key, tab in (("ArrowRight", "video"), ("End", "search"), ("ArrowRight", "image")):
        page.keyboard.press(key)
        expect(page.locator(f"#tab-{tab}")).to_be_focused()
        expect(page.locator(f"#panel-{tab}")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#panel-image input[type=file]").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type(origin.serve("play/photo.jpg", PHOTO))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(origin.serve("play/copy.webp", COPY))
    page.keyboard.press("Enter")
    page.locator(".verdict").wait_for(timeout=ANSWERED_MS)
    expect(page.locator("#announcer")).to_contain_text("Match. Similarity")


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


def test_wrong_key_is_told_at_the_key(visit: Visit, origin: Origin) -> None:
    page = visit()
    page.click("#tab-search")
    page.get_by_label("API key").fill("mm_live_wrong")
    page.locator("#panel-search input[type=url]").fill(origin.serve("play/photo.jpg", PHOTO))
    page.click("#panel-search button[type=submit]")
    expect(page.locator("#key-note")).to_contain_text("does not know this key", timeout=ANSWERED_MS)
    expect(page.get_by_label("API key")).to_be_focused()


def test_page_is_small_and_comes_once(visit: Visit) -> None:
    page = visit()
    script = """() => {
        const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
        return loaded.map(entry => [entry.name, entry.transferSize]);
    }"""
    first = dict(page.evaluate(script))
    assert 10_000 < sum(first.values()) < MAX_TRANSFER_BYTES
    page.reload()
    ready(page)
    again = dict(page.evaluate(script))
    assert [name for name, size in again.items() if size and "/playground/" in name] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["empty", "pictures", "films", "sounds", "error", "search"])
def test_axe_finds_nothing(visit: Visit, origin: Origin, scheme: str, state: str) -> None:
    page = visit(size=PHONE if scheme == "dark" else DESK, scheme=scheme)
    match state:
        case "pictures":
            page.locator("#panel-image summary").click()
            compare(page, "image", *PICTURES).get_by_text("Lay the source over the target").click()
        case "films":
            drawn(compare(page, "video", *film_files()))
        case "sounds":
            drawn(compare(page, "audio", *sound_files()))
        case "error":
            compare_addresses(page, "image", "http://10.0.0.1/a.jpg", "http://10.0.0.1/b.jpg")
        case "search":
            page.click("#tab-search")
            page.locator("#panel-search button[type=submit]").click()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


def test_nothing_is_wider_than_a_small_phone(visit: Visit) -> None:
    page = visit(size=NARROW)
    for medium, files in (("image", PICTURES), ("audio", sound_files()), ("video", film_files())):
        compare(page, medium, *files)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.click("#tab-search")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_addresses_are_shown_where_that_is_asked_for(browser: Browser, mesh: RunningMesh, origin: Origin) -> None:
    source, target = origin.serve("play/photo.jpg", PHOTO), origin.serve("play/copy.webp", COPY)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{mesh.port}/#source={source}&target={target}")
    page.get_by_label("Show what is given by address").check()
    page.wait_for_url("**/?previews=on#*")
    expect(page.locator("#panel-image input[type=url]").first).to_have_value(source)
    outcome = compare(page, "image")
    expect(outcome.locator(".pair img")).to_have_count(2)
    assert outcome.locator(".pair img").first.evaluate("image => image.naturalWidth") == 640
    page.close()


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
