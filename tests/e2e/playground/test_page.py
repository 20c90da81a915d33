"""The page itself: small, and for everyone."""

from __future__ import annotations

from typing import Final, Literal

import pytest

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from axe_playwright_python.sync_playwright import Axe

from tests.browser import CHROMIUM, DESK, NARROW, PHONE, Visit
from tests.e2e.playground.page import (
    PICTURES,
    compare,
    compare_addresses,
    drawn,
    film_files,
    ready,
    sound_files,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")


MAX_TRANSFER_BYTES: Final = 400_000
SEEN: Final[tuple[tuple[Literal["light", "dark"], dict[str, int]], ...]] = (("light", DESK), ("dark", PHONE))


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


@pytest.mark.parametrize("state", ["empty", "pictures", "films", "sounds", "error", "search"])
def test_axe_finds_nothing(visit: Visit, state: str) -> None:
    page = visit()
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
    for scheme, size in SEEN:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        found = Axe().run(page).response["violations"]
        assert [(scheme, each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


def test_nothing_is_wider_than_a_small_phone(visit: Visit) -> None:
    page = visit(size=NARROW)
    for medium, files in (("image", PICTURES), ("audio", sound_files()), ("video", film_files())):
        compare(page, medium, *files)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.click("#tab-search")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
