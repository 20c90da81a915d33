"""Rows V: what a film, or a still among films, may hold."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.contract.test_matcher import png_bomb
from tests.films import FORMATS, Film, encoded, sound_only
from tests.hostile.processes import cost_of, workers
from tests.hostile.test_mutations import answers_to
from tests.hostile.test_sounds import EVERYTHING, MEBIBYTE, REFERENCES, SOON_SECONDS, TOO_LONG, UNSUPPORTED, numbers
from tests.hostile.world import World
from tests.odd_films import crowded, evenly, jpeg, repeated, with_duration
from tests.pictures import encoded as picture_file
from tests.pictures import photo
from tests.recordings import with_cover
from tests.sounds import music

FILM = Film(1, 5.0, 160, 120)
ENDLESS_WHERE_CUT = {"ts", "ts-mpeg2"}


def half(name: str) -> bytes:
    whole = encoded(FILM, name)
    return whole[: len(whole) // 2]


def without_contents(film: bytes) -> bytes:
    return film[: film.index(b"moov") - 4]


def lasting(seconds: float) -> bytes:
    """Two pictures a second; the last of them ends then."""
    return repeated(jpeg(64, 48), [*evenly(seconds, 2), seconds - 0.001], "mov", "mjpeg", 64, 48)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    **{f"{name} as a body": (text.encode, UNSUPPORTED) for name, text in REFERENCES.items()},
    "V04 header of 0.065 s, 2000 s of pictures": (
        lambda: with_duration(repeated(jpeg(16, 16), evenly(2000, 2), "mov", "mjpeg", 16, 16), 0.065),
        TOO_LONG,
    ),
    "V05 ten pictures over 25 hours": (
        lambda: repeated(jpeg(16, 16), [9000.0 * number for number in range(11)], "matroska", "mjpeg", 16, 16),
        TOO_LONG,
    ),
    "V06 60,000 pictures in 179 s": (
        lambda: repeated(jpeg(16, 16), np.linspace(0, 179, 60_000).tolist(), "matroska", "mjpeg", 16, 16),
        UNSUPPORTED,
    ),
    "V07 8192 x 8192": (
        lambda: repeated(picture_file(Image.new("L", (8192, 8192)), "JPEG"), [0.0, 0.5], "avi", "mjpeg", 8192, 8192),
        UNSUPPORTED,
    ),
    "V09 nothing but zeros": (lambda: bytes(100_000), UNSUPPORTED),
    "V09 without its table of contents": (lambda: without_contents(encoded(FILM)), UNSUPPORTED),
    "V09 sound alone": (lambda: sound_only(1, 3.0), UNSUPPORTED),
    "V09 sound with a cover": (lambda: with_cover(music(1, 3.0)), UNSUPPORTED),
    **{f"V09 half a film of {name}": (partial(half, name), UNSUPPORTED) for name in sorted(set(FORMATS) - ENDLESS_WHERE_CUT)},
    "V10 180.1 s": (lambda: lasting(180.1), TOO_LONG),
    "box larger than all there is": (lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\x7f\xff\xff\xffmoov" + bytes(900), UNSUPPORTED),
    "MP4 of a million boxes": (lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x08skip" * 1_000_000, UNSUPPORTED),
    "still of 60,000 x 60,000": (png_bomb, "file_too_large"),
    "half a still": (lambda: picture_file(photo(1), "PNG")[:20_000], UNSUPPORTED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_film_is_refused_soon_in_little_memory_and_leads_nowhere(world: World, name: str) -> None:
    """By the fetcher, which measures it, or by the decoder behind it; and by the decoder alone, where the bytes come inline."""
    make, code = REFUSED[name]
    body = make()
    url = world.internet.serve("/hostile-film", body)
    with world.dials() as dials:
        by_url, of_fetcher = cost_of(world.mesh, lambda: asyncio.run(answers_to(world, iter([url]), "video")), "fetcher_svc")
        inline, of_decoder = cost_of(world.mesh, lambda: asyncio.run(answers_to(world, iter([body]), "video")), "video_svc")
    assert dials.count == 1
    assert by_url == inline == Counter([code])
    for cost in (of_fetcher, of_decoder):
        assert cost.cpu_seconds < SOON_SECONDS
        assert cost.growth_bytes < 50 * MEBIBYTE + 2 * len(body)


def test_playlist_named_by_its_ending_leads_nowhere_v01(world: World) -> None:
    for ending in ("m3u8", "mp4", "ts"):
        url = world.internet.serve(
            f"/list-of-films.{ending}", REFERENCES["V01 HLS"].encode(), "Content-Type: application/vnd.apple.mpegurl"
        )
        with world.dials() as dials:
            assert world.code(url, "video") == UNSUPPORTED
        assert dials.count == 2


TAKEN: dict[str, Callable[[], bytes]] = {
    "V06 as many pictures as may be": lambda: crowded(179.0, 250),
    "V08 header of 10^6 s, 5 s of pictures": lambda: with_duration(encoded(FILM), 40_000.0),
    "V10 179.9 s": lambda: lasting(179.9),
    **{f"half of {name}": partial(half, name) for name in sorted(ENDLESS_WHERE_CUT)},
    "one picture": lambda: repeated(jpeg(64, 48), [0.0], "mov", "mjpeg", 64, 48),
    "pictures of two pixels across": lambda: repeated(jpeg(16, 2048), [0.0, 0.5, 1.0], "avi", "mjpeg", 16, 2048),
    "black from end to end": lambda: encoded(FILM, edit=np.zeros_like),
    "noise": lambda: encoded(FILM, edit=lambda picture: np.random.default_rng(3).integers(0, 256, picture.shape, np.uint8)),
    "MP4 with a picture behind it": lambda: encoded(FILM) + picture_file(photo(1), "PNG"),
    "still of one pixel": lambda: picture_file(photo(1, 1, 1), "PNG"),
    "still with a film behind it": lambda: picture_file(photo(1), "JPEG") + encoded(FILM),
}


@pytest.mark.parametrize("name", TAKEN)
def test_odd_but_honest_film_is_answered_soon_and_the_same_every_time(world: World, name: str) -> None:
    url = world.internet.serve("/odd-film", TAKEN[name]())
    answer, cost = cost_of(world.mesh, lambda: world.mesh.match(url, world.film_url, "video", include=EVERYTHING), "video_svc")
    assert answer.status == 200, answer
    assert all(map(math.isfinite, numbers(answer.json)))
    assert cost.cpu_seconds < 2 * SOON_SECONDS
    again = world.mesh.match(url, world.film_url, "video").json
    assert {key: again[key] for key in ("match", "similarity_score", "matched_segments")}.items() <= answer.json.items()


def test_black_matches_no_other_black(world: World) -> None:
    black, darker = (
        world.internet.serve(f"/black-{name}", encoded(Film(seed, seconds), name, edit=np.zeros_like))
        for seed, seconds, name in ((1, 4.0, "mp4"), (2, 6.0, "webm"))
    )
    for one, two in ((black, darker), (darker, black), (black, world.film_url)):
        given = world.mesh.match(one, two, "video").json
        assert (given["match"], given["similarity_score"], given["confidence"], given["matched_segments"]) == (False, 0.0, "none", [])


def test_polyglot_is_what_its_first_bytes_say(world: World) -> None:
    other = encoded(Film(2, 5.0))
    url = world.internet.serve("/polyglot-film", encoded(Film(1, 5.0), "webm") + other)
    assert world.mesh.match(url, world.film_url, "video").json["similarity_score"] > 0.9
    hidden = world.internet.serve("/hidden.mp4", other)
    assert not world.mesh.match(url, hidden, "video").json["match"]


def test_decoders_of_films_have_come_through_alive(world: World) -> None:
    """The last test of this file."""
    assert workers(world.mesh, "video_svc")
    assert not [line for line in world.mesh.log.splitlines() if "ended its worker" in line and json.loads(line)["service"] == "video"]
