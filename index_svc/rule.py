"""What a project decides by, under a name of its own: a profile (where a match begins) or a policy (lanes); pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from matching.decision import CUTOFFS
from matching.thresholds.lanes import NAME, Policy
from mesh.errors import InvalidRequest
from mesh.media import MediaType, Profile

MAX_OF_A_PROJECT: Final = 100
MAX_NOTE_CHARACTERS: Final = 500
DEFAULT: Final = "default"
"""The profile that decides where a request names none."""


class RuleKind(StrEnum):
    PROFILE = "profile"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Rule:
    """Its body is a policy, or the score from which on it is a match, by medium; one that is not in it is none of its business."""

    name: str
    body: Policy | Mapping[MediaType, float]
    note: str = ""
    updated_at: datetime | None = None

    @property
    def kind(self) -> RuleKind:
        return RuleKind.POLICY if isinstance(self.body, Policy) else RuleKind.PROFILE

    def checked(self) -> Rule:
        """Itself, where it makes sense; a policy was checked when it was made."""
        if not NAME.fullmatch(self.name):
            raise InvalidRequest(
                "a name has 1 to 64 lower-case letters, digits, - and _, and begins with neither of the last two", field="name"
            )
        if not isinstance(self.body, Policy):
            _check_cutoffs(self.name, self.body)
        if len(self.note) > MAX_NOTE_CHARACTERS or "\0" in self.note:
            raise InvalidRequest(f"note may have at most {MAX_NOTE_CHARACTERS} characters, none of them NUL", field="note")
        return self


def product_cutoff(name: str, medium: MediaType) -> float | None:
    """Of a profile that every project has."""
    return CUTOFFS[medium].profiles.get(name)


def _check_cutoffs(name: str, cutoffs: Mapping[MediaType, float]) -> None:
    if name in set(Profile):
        raise InvalidRequest(f"{name} is a profile of the product itself", field="name")
    if not cutoffs:
        raise InvalidRequest("a profile has a cutoff for one medium or more", field="cutoffs")
    if not all(math.isfinite(cutoff) and 0.0 <= cutoff <= 1.0 for cutoff in cutoffs.values()):
        raise InvalidRequest("a cutoff is from 0 to 1", field="cutoffs")
