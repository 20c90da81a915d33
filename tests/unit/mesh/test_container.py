"""Opening foreign sound and film: what is read, what is not, and what FFmpeg's binding makes of odd files."""

from __future__ import annotations

import mmap
import struct

import pytest

from mesh.container import map_file, open_container, read_packets
from mesh.errors import UnsupportedMedia
from mesh.media_file import MediaFile
from tests.films import Film, encoded

FILM = Film(seed=1, seconds=3.0, width=96, height=64)


def test_an_empty_file_is_refused() -> None:
    with MediaFile.of(b"") as media, pytest.raises(UnsupportedMedia, match="empty"), map_file(media.path):
        pass


def test_a_file_is_read_where_it_lies() -> None:
    with MediaFile.of(b"content") as media, map_file(media.path) as content:
        assert isinstance(content, mmap.mmap)
        assert content[:] == b"content"


def test_what_is_open_twice_is_read_apart() -> None:
    film = encoded(FILM, "mkv")
    with open_container(film, "video/x-matroska") as one, open_container(film, "video/x-matroska") as two:
        pairs = list(zip(read_packets(one), read_packets(two), strict=True))
    assert len(pairs) > 70
    assert all(a.pts == b.pts and bytes(a) == bytes(b) for a, b in pairs)


def test_a_stream_that_appears_late_does_not_break_the_others() -> None:
    """As in a recording whose sound began after its pictures: a tag of MP3 behind a film of pictures alone."""
    film = encoded(FILM, "flv")
    sound = b"\x2f" + bytes(418)
    tag = b"\x08" + struct.pack(">I", len(sound))[1:] + struct.pack(">I", 2500)[1:] + bytes(4) + sound
    with open_container(film + tag + struct.pack(">I", len(tag)), "video/x-flv") as container:
        pictures = [packet for packet in read_packets(container, container.streams.video[0]) if packet.size]
    assert len(pictures) == 72


def test_what_goes_wrong_while_reading_is_a_refusal() -> None:
    with pytest.raises(UnsupportedMedia, match="video/mp4"), open_container(bytes(1000), "video/mp4"):
        pass
