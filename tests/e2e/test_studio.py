"""The threshold studio in a real browser: what is given, what is drawn, what is saved, by everyone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.index_client import new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import CHROMIUM, DESK, NARROW, PHONE, Visit, payload, running_browser, visits

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")

ANSWERED_MS = 60_000
RANDOM = np.random.default_rng(1)
COPIES, OTHERS = [*RANDOM.beta(6, 1.5, 77), 0.5, 0.55, 0.58], [*RANDOM.beta(1.3, 7, 398), 0.6, 0.62]
LABELLED = "\n".join(
    ["score,label", *(f"{score:.4f},1" for score in COPIES), *(f"{score:.4f},0" for score in OTHERS), "<b>high</b>,1"]
).encode()
UNLABELLED = "\n".join(f"{score:.4f}" for score in (*COPIES, *OTHERS)).encode()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, mesh: RunningMesh) -> Iterator[Visit]:
    with visits(browser, mesh, "/studio", lambda page: expect(page.locator("#form-note")).not_to_be_empty()) as opened:
        yield opened


def look(page: Page, content: bytes) -> None:
    page.set_input_files("#file", payload("scores.csv", content, "text/csv"))
    expect(page.locator("#file")).not_to_have_value("")
    page.click("#begin")
    page.locator("#verdict h2").wait_for(timeout=ANSWERED_MS)


def cutoff(page: Page) -> float:
    return float(page.locator("#verdict h2 b").inner_text())


def test_labelled_scores_have_a_cutoff_its_interval_and_three_drawings(visit: Visit) -> None:
    page = visit()
    look(page, LABELLED)
    assert 0.3 < cutoff(page) < 0.8
    expect(page.locator("#verdict")).to_contain_text("95 % interval")
    expect(page.locator("#verdict")).to_contain_text("80 copies, 400 others")
    expect(page.locator("#verdict h2")).to_be_focused()
    expect(page.locator("#charts svg")).to_have_count(3)
    expect(page.get_by_role("row").filter(has_text="stock")).to_contain_text("0.850")
    page.get_by_text("1 row could not be read").click()
    expect(page.locator("#verdict")).to_contain_text("Line 482: <b>high</b> is no score")


def test_dearer_false_positives_move_the_cutoff_up(visit: Visit) -> None:
    page = visit()
    look(page, LABELLED)
    before = cutoff(page)
    with page.expect_response("**/thresholds/analyse?cost=1000*"):
        page.locator("#cost").fill("3")
    expect(page.locator("#cost-said")).to_have_text("1,000 times as much as")
    expect(page.locator("#verdict")).to_contain_text("costs 1,000 times as much as a miss")
    assert cutoff(page) > before


def test_scores_without_labels_part_in_their_valley_or_it_says_that_they_do_not(visit: Visit) -> None:
    page = visit()
    look(page, UNLABELLED)
    assert 0.3 < cutoff(page) < 0.8
    expect(page.locator("#verdict")).to_contain_text("valley")
    expect(page.locator("#cost")).to_be_disabled()
    look(page, "\n".join(f"{score:.4f}" for score in OTHERS).encode())
    expect(page.get_by_role("heading", name="No cutoff can be recommended")).to_be_visible()
    expect(page.locator("#verdict")).to_contain_text("one heap")


def test_pairs_are_compared_and_each_that_fails_is_named(visit: Visit, origin: Origin) -> None:
    source = origin.serve("studio/photo.jpg", encoded(photo(1), "JPEG"))
    copy, other = origin.serve("studio/copy.webp", encoded(photo(1), "WEBP")), origin.serve("studio/other.jpg", encoded(photo(2), "JPEG"))
    page = visit()
    rows = [f"{source},{copy},1", f'"{source}",{other},0', f"{source},http://10.0.0.1/a.jpg,1", f"{source},{copy},1,picture"]
    page.get_by_label("pairs of addresses").check()
    page.get_by_label("or its text").fill("\n".join(["source,target,label,type", *rows]))
    page.click("#begin")
    page.locator("#verdict h2").wait_for(timeout=ANSWERED_MS)
    expect(page.locator("#verdict")).to_contain_text("1 copy, 1 other")
    expect(page.locator("#work")).to_contain_text("2 pairs could not be compared")
    expect(page.locator("#work li")).to_contain_text(["Line 4: invalid_url", "Line 5: invalid_request"])
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the 2 scores as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["label", "1", "0"]


def test_cutoff_is_saved_as_a_profile_that_pairs_take(visit: Visit, mesh: RunningMesh) -> None:
    project, page = new_project(mesh), visit()
    look(page, LABELLED)
    page.locator("#profile-name").fill("marketplace")
    page.locator("#save button").click()
    expect(page.get_by_label("API key")).to_be_focused()
    page.get_by_label("API key").fill(project.key)
    page.locator("#save button").click()
    expect(page.locator("#save-said")).to_contain_text('"profile": "marketplace"')
    kept = project.request("GET", "/v1/profiles/marketplace").json
    assert kept["cutoffs"] == {"image": pytest.approx(cutoff(page))}
    page.get_by_label("The project’s own threshold").check()
    page.locator("#save button").click()
    expect(page.locator("#save-said")).to_contain_text("names no profile")
    # One medium after the other.
    page.get_by_label("images").uncheck()
    page.get_by_label("sounds").check()
    page.locator("#profile-cutoff").fill("0.9")
    page.locator("#save button").click()
    expect(page.locator("#save-said")).to_contain_text("names no profile")
    assert project.request("GET", "/v1/profiles/default").json["cutoffs"] == {"image": pytest.approx(cutoff(page)), "audio": 0.9}
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])") == '[{},{},""]'


def test_keyboard_alone_counts_lanes(visit: Visit) -> None:
    page = visit()
    page.get_by_label("or its text").fill("0.99,1\n0.8,1\n0.1,0\n0.05,0\n")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#verdict h2").wait_for(timeout=ANSWERED_MS)
    page.locator("[name=floor]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#lanes-said")).to_contain_text("auto_block")
    expect(page.locator("#lanes-said dd")).to_have_text(["1 (25 %)", "1 (25 %)", "2 (50 %)"])


def test_nonsense_is_told_where_it_stands(visit: Visit) -> None:
    page = visit()
    page.click("#begin")
    expect(page.locator("#given-problem")).to_have_text("Choose a file, or paste its text.")
    page.get_by_label("or its text").fill("name,size\na,1\n")
    page.click("#begin")
    expect(page.get_by_role("alert").last).to_contain_text("no column score", timeout=ANSWERED_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["empty", "labelled", "unlabelled"])
def test_axe_finds_nothing_and_nothing_is_too_wide(visit: Visit, scheme: str, state: str) -> None:
    page = visit(size=PHONE if scheme == "dark" else DESK, scheme=scheme)
    if state != "empty":
        look(page, LABELLED if state == "labelled" else UNLABELLED)
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
    page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    page.wait_for_function(f"document.documentElement.scrollWidth <= {NARROW['width']}")
