from __future__ import annotations

import pytest

from fetcher_svc import durations
from fetcher_svc.durations import Durations
from mesh.errors import DurationTooLong
from mesh.media import MediaType
from mesh.media_file import MediaPath


class Probed:
    """Says how long a file runs, and remembers that it was asked; a negative length is too long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, str, MediaType]] = []

    async def __call__(self, path: MediaPath, content_type: str, media_type: MediaType) -> float:
        self.asked.append((path.sha256, content_type, media_type))
        if self.seconds < 0:
            raise DurationTooLong
        return self.seconds


def a_file(sha256: str) -> MediaPath:
    path = MediaPath(f"/{sha256}")
    path.sha256 = sha256
    return path


async def test_the_same_bytes_are_probed_once() -> None:
    probe = Probed(3.0)
    known = Durations(probe)
    assert [await known.of(a_file("a"), "audio/wav", MediaType.AUDIO) for _ in range(3)] == [3.0, 3.0, 3.0]
    assert len(probe.asked) == 1


async def test_other_bytes_and_another_medium_are_probed_for_themselves() -> None:
    probe = Probed(0.0)
    known = Durations(probe)
    asked = [("a", "video/mp4", MediaType.VIDEO), ("b", "video/mp4", MediaType.VIDEO), ("a", "video/mp4", MediaType.AUDIO)]
    for sha256, content_type, media_type in asked * 2:
        await known.of(a_file(sha256), content_type, media_type)
    assert probe.asked == asked


async def test_a_refusal_is_not_kept() -> None:
    probe = Probed(-1.0)
    known = Durations(probe)
    for _ in range(2):
        with pytest.raises(DurationTooLong):
            await known.of(a_file("a"), "audio/wav", MediaType.AUDIO)
    assert len(probe.asked) == 2


async def test_the_file_asked_for_least_recently_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "MAX_FILES", 2)
    probe = Probed(1.0)
    known = Durations(probe)
    for sha256 in ("a", "b", "a", "c", "a", "b"):
        await known.of(a_file(sha256), "audio/wav", MediaType.AUDIO)
    assert [sha256 for sha256, _, _ in probe.asked] == ["a", "b", "c", "b"]
