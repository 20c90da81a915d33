"""A file is refused after its second crash, for an hour, and the table never grows beyond its bound."""

from __future__ import annotations

import pytest

from mesh.errors import UnsupportedMedia
from mesh.quarantine import MAX_FILES, QUARANTINE_SECONDS, Quarantine

CRASH = UnsupportedMedia("crashed its decoder (SIGSEGV)")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def is_refused(quarantine: Quarantine, digest: str) -> bool:
    try:
        quarantine.admit([digest])
    except UnsupportedMedia:
        return True
    return False


def test_second_crash_puts_a_file_into_quarantine_and_no_other() -> None:
    quarantine = Quarantine()
    quarantine.note(["a"], CRASH)
    quarantine.admit(["a", "b"])
    quarantine.note(["a"], CRASH)
    with pytest.raises(UnsupportedMedia, match=r"^crashed its decoder \(SIGSEGV\), again and again, and is refused for now$"):
        quarantine.admit(["b", "a"])
    quarantine.admit(["b"])


def test_quarantine_ends_after_an_hour_and_begins_anew() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    quarantine.note(["a"], CRASH)
    quarantine.note(["a"], CRASH)
    clock.now += QUARANTINE_SECONDS - 1
    assert is_refused(quarantine, "a")
    clock.now += 1
    assert not is_refused(quarantine, "a")
    quarantine.note(["a"], CRASH)
    assert not is_refused(quarantine, "a")


def test_crashes_further_apart_than_an_hour_are_accidents() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    for _ in range(5):
        quarantine.note(["a"], CRASH)
        clock.now += QUARANTINE_SECONDS
        assert not is_refused(quarantine, "a")


def test_oldest_is_forgotten_when_there_are_too_many() -> None:
    quarantine = Quarantine()
    for digest in ("first", *map(str, range(MAX_FILES - 1))):
        quarantine.note([digest], CRASH)
        quarantine.note([digest], CRASH)
    assert is_refused(quarantine, "first")
    quarantine.note(["one more"], CRASH)
    assert not is_refused(quarantine, "first")
    assert is_refused(quarantine, "0")
