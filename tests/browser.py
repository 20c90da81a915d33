"""A real browser for the gateway's pages, which watches that they ask no other host for anything and break no policy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.running_mesh import RunningMesh

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE: Final = {"width": 390, "height": 844}
NARROW: Final = {"width": 320, "height": 640}
DESK: Final = {"width": 1180, "height": 900}

PATIENCE_MS: Final = 60_000
"""For whatever is waited for, on a machine that has others to serve."""

Visit = Callable[..., Page]


@contextmanager
def running_browser() -> Iterator[Browser]:
    # Its own sandbox does not run under root, which is what containers have.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        expect.set_options(timeout=PATIENCE_MS)
        yield running
        running.close()


@contextmanager
def visits(browser: Browser, mesh: RunningMesh, start: str, ready: Callable[[Page], None]) -> Iterator[Visit]:
    """Opens pages. Afterwards: nothing was asked of another host, no script failed, no policy was broken."""
    reached: list[str] = []
    complaints: list[str] = []
    contexts = []

    def heard(kind: str, text: str) -> None:
        # An answer that is not 2xx is what some tests are about.
        if kind in ("error", "warning") and "status of" not in text:
            complaints.append(text)

    def opened(path: str = start, *, at: RunningMesh = mesh, size: dict[str, int] = DESK, scheme: Any = "light") -> Page:
        context = browser.new_context(viewport=cast(Any, size), color_scheme=scheme, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        context.on("request", lambda request: reached.append(request.url))
        page = context.new_page()
        page.on("console", lambda message: heard(message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        origins.add(f"http://127.0.0.1:{at.port}/")
        page.goto(f"http://127.0.0.1:{at.port}{path}")
        ready(page)
        return page

    origins: set[str] = set()
    yield opened
    for context in contexts:
        context.close()
    assert not complaints
    assert reached
    assert [url for url in reached if not url.startswith(("blob:", "data:", *origins))] == []


def payload(name: str, content: bytes, kind: str) -> FilePayload:
    return FilePayload(name=name, mimeType=kind, buffer=content)
