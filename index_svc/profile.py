"""A project's own cutoffs under a name of their own; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from matching.decision import CUTOFFS
from matching.thresholds.lanes import NAME, Policy
from mesh.errors import InvalidRequest
from mesh.media import MediaType, Profile

MAX_OF_A_PROJECT = 100
MAX_NOTE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class ThresholdProfile:
    """Scores from which on it is a match; a medium that is not in it is none of its business."""

    name: str
    cutoffs: dict[MediaType, float]
    note: str = ""
    updated_at: datetime | None = None

    def checked(self) -> ThresholdProfile:
        """Itself, where it makes sense."""
        check_name(self.name)
        if self.name in set(Profile):
            raise InvalidRequest(f"{self.name} is a profile of the product itself", field="name")
        if not self.cutoffs:
            raise InvalidRequest("a profile has a cutoff for one medium or more", field="cutoffs")
        if not all(math.isfinite(cutoff) and 0.0 <= cutoff <= 1.0 for cutoff in self.cutoffs.values()):
            raise InvalidRequest("a cutoff is from 0 to 1", field="cutoffs")
        check_note(self.note)
        return self

    def cutoff(self, medium: MediaType) -> float:
        if medium not in self.cutoffs:
            raise InvalidRequest(f"profile: {self.name} has no cutoff for {medium}", field="profile")
        return self.cutoffs[medium]


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy as it is kept."""

    name: str
    policy: Policy
    note: str = ""
    updated_at: datetime | None = None

    def checked(self) -> NamedPolicy:
        check_name(self.name)
        check_note(self.note)
        return self


def product_cutoff(name: str, medium: MediaType) -> float | None:
    """Of a profile that every project has."""
    return CUTOFFS[medium].profiles.get(name)


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            "a name has 1 to 64 lower-case letters, digits, - and _, and begins with neither of the last two", field="name"
        )


def check_note(note: str) -> None:
    if len(note) > MAX_NOTE_CHARACTERS or "\0" in note:
        raise InvalidRequest(f"note may have at most {MAX_NOTE_CHARACTERS} characters, none of them NUL", field="note")
