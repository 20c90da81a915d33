"""What is given, by every way there is, and what is said of what cannot be used."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest
from aiohttp import web

from tests import sounds
from tests.origin import Origin
from tests.running_mesh import RunningMesh

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from playwright.sync_api import Browser, expect

from tests.browser import CHROMIUM, Visit, payload
from tests.e2e.playground.page import ANSWERED_MS, COPY, OTHER, PHOTO, PICTURES, answer_of, compare, compare_addresses, give

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")


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


@pytest.mark.parametrize("medium", ["image", "audio"])
def test_who_has_no_file_at_hand_tries_an_example(visit: Visit, medium: str) -> None:
    page = visit()
    page.click(f"#tab-{medium}")
    page.locator(f"#panel-{medium}").get_by_role("button", name="Try an example").click()
    outcome = page.locator(f"#panel-{medium} .outcome")
    expect(outcome.get_by_role("heading", name="Match", exact=True)).to_be_visible(timeout=ANSWERED_MS)


def test_addresses_are_compared_unseen_and_come_back_with_the_link(visit: Visit, origin: Origin) -> None:
    page = visit()
    source, target = origin.serve("play/photo.jpg", PHOTO), origin.serve("play/copy.webp", COPY)
    outcome = compare_addresses(page, "image", source, target)
    assert answer_of(outcome)["match"] is True
    expect(outcome.locator(".is-blank")).to_have_count(2)
    again = visit(page.url.removeprefix(page.url.split("/#")[0]))
    assert [field.input_value() for field in again.locator("#panel-image input[type=url]").all()] == [source, target]


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
