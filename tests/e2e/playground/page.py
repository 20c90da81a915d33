"""The playground as its users handle it: what they give it, and what they see."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests import films, sounds
from tests.browser import payload
from tests.pictures import encoded, photo

ANSWERED_MS: Final = 60_000

SCENE: Final = Image.fromarray(photo(1))
PHOTO: Final = encoded(SCENE, "JPEG")
COPY: Final = encoded(SCENE.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((80, 60, 560, 420)), "WEBP")
OTHER: Final = encoded(photo(2), "JPEG")
PICTURES: Final = (payload("photo.jpg", PHOTO, "image/jpeg"), payload("copy.webp", COPY, "image/webp"))


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


@cache
def film_files() -> tuple[FilePayload, FilePayload]:
    film, other = films.Film(5, 8.0), films.Film(6, 4.0)
    parts = films.Montage((films.Cut(film, 4.0, 4.0), films.Cut(other, 0.0, 3.0), films.Cut(film, 0.0, 4.0)))
    return payload("film.webm", films.encoded(film, "webm"), "video/webm"), payload("parts.mp4", films.encoded(parts), "video/mp4")


@cache
def sound_files() -> tuple[FilePayload, FilePayload]:
    original = sounds.music(3, 24.0)
    part = np.concatenate([sounds.cut(original, 12.0, 9.0), sounds.music(9, 4.0)])
    return (
        payload("song.flac", sounds.encoded(original, "flac"), "audio/flac"),
        payload("part.mp3", sounds.encoded(part, "mp3"), "audio/mpeg"),
    )
