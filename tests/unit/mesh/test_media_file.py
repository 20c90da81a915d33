"""Media in memory: hashed as written, sealed, readable by path, never pickled."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest

from mesh.media_file import MediaFile


def test_size_and_hash_are_those_of_all_chunks() -> None:
    with MediaFile() as media:
        for chunk in (b"one", b"", b"two" * 100_000):
            media.write(chunk)
        media.seal()
        whole = b"one" + b"two" * 100_000
        assert (media.size_bytes, media.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
        assert Path(media.path).read_bytes() == whole


def test_each_opening_starts_at_the_beginning() -> None:
    with MediaFile.of(b"abcdef") as media, open(media.path, "rb") as first, open(media.path, "rb") as second:
        assert (first.read(3), second.read(3), first.read()) == (b"abc", b"abc", b"def")


def test_sealed_media_cannot_be_written_by_anyone() -> None:
    with MediaFile.of(b"abc") as media:
        with pytest.raises(PermissionError):
            media.write(b"d")
        with open(media.path, "r+b", buffering=0) as opened, pytest.raises(PermissionError):
            opened.write(b"x")
        with pytest.raises(PermissionError):
            os.truncate(media.path, 0)
        assert (media.size_bytes, Path(media.path).read_bytes()) == (3, b"abc")


def test_path_is_given_out_only_while_sealed_and_open() -> None:
    media = MediaFile()
    with pytest.raises(ValueError, match="not sealed"):
        _ = media.path
    media.seal()
    path = media.path
    media.close()
    media.close()
    assert not os.path.exists(path)
    with pytest.raises(ValueError, match="closed"):
        _ = media.path


def test_media_are_never_pickled() -> None:
    with MediaFile.of(b"abc") as media, pytest.raises(TypeError, match="path"):
        pickle.dumps(media)
