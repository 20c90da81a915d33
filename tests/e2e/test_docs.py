"""The reference is a page that needs nothing from anywhere else, and lets nothing else in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest

from gateway.code_samples import DEFAULT_BASE
from gateway.pages import STATIC
from tests.running_mesh import RunningMesh

pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright from the group dev")
from playwright.sync_api import Page, expect

from tests.browser import CHROMIUM, DESK, NARROW, Visit, running_browser, visits

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need a Chromium: apt-get install chromium")


def scripts(mesh: RunningMesh) -> list[str]:
    found = re.findall(r"<script([^>]*)>([^<]*)</script>", mesh.get("/docs").body.decode())
    assert found
    assert not any(inline for _, inline in found)
    return [source for attributes, _ in found for source in re.findall(r'src="([^"]+)"', attributes)]


def test_page_loads_scripts_of_its_own_and_no_others(mesh: RunningMesh) -> None:
    page = mesh.get("/docs")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    for source in scripts(mesh):
        assert mesh.get(f"/{source}").headers["content-type"].startswith("text/javascript")
    assert "//" not in re.sub(r"xmlns='[^']*'", "", page.body.decode())


def test_policy_of_the_page_names_no_other_host_and_no_inline_script(mesh: RunningMesh) -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in mesh.get("/docs").headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in str(rules)
    assert "http" not in str(rules)


def test_samples_go_where_the_reference_was_found(mesh: RunningMesh) -> None:
    def sample(host: str) -> str:
        document = mesh.request("GET", "/openapi.json", headers={"Host": host}).json
        return str(document["paths"]["/image/match"]["post"]["x-codeSamples"][0]["source"])

    assert "'http://mesh.example:81/image/match'" in sample("mesh.example:81")
    assert "'http://[::1]:8080/image/match'" in sample("[::1]:8080")
    # What is no host is not repeated.
    assert f"'{DEFAULT_BASE}/image/match'" in sample("mesh.example'; rm x; '")


def test_viewer_is_served_as_it_was_published(mesh: RunningMesh) -> None:
    viewer = mesh.get(f"/{scripts(mesh)[0].rpartition('/')[0]}/redoc.standalone.js").body
    assert hashlib.sha256(viewer).hexdigest() == "8c70c2de83d33e33a75b225e573d6d9fe851f066f824b44b1637d831d52d7543"
    assert (STATIC / "docs" / "redoc.LICENSE").read_text().startswith("The MIT License")


def test_nothing_else_of_the_folder_is_served(mesh: RunningMesh) -> None:
    folder = scripts(mesh)[0].rpartition("/")[0]
    for name in ("README.md", "redoc.LICENSE", "docs.html", "..%2fdocs.py", ""):
        assert (mesh.get(f"/{folder}/{name}").status, mesh.get(f"/{folder}/{name}").code) == (404, "not_found")


@pytest.fixture(scope="module")
def visit(mesh: RunningMesh) -> Iterator[Visit]:
    def ready(page: Page) -> None:
        expect(page.get_by_role("heading", name="mediamesh")).to_be_visible(timeout=60_000)

    with running_browser() as browser, visits(browser, mesh, "/docs", ready) as opened:
        yield opened


@needs_browser
def test_reference_is_drawn_with_its_operations_and_samples_and_asks_no_other_host(visit: Visit, mesh: RunningMesh) -> None:
    page = visit(size=NARROW)
    expect(page.get_by_role("link", name="Playground")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    page.goto(f"{page.url}#operation/match_image")
    expect(page.get_by_role("heading", name="Compare two images")).to_be_visible(timeout=60_000)
    expect(page.get_by_text(f"{mesh.port}/image/match'").first).to_be_visible(timeout=60_000)
