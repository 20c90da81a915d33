"""What travels with a call through every hop: its request id, and its deadline, which only ever shrinks."""

from __future__ import annotations

import re
import time
import uuid
from contextvars import ContextVar
from typing import Final

from mesh.errors import DeadlineExceeded

REQUEST_ID_HEADER: Final = "x-request-id"
DEFAULT_SECONDS: Final = 30.0
"""The deadline of a caller that set none."""
MAX_SECONDS: Final = 600.0

# Each hop keeps a little of its caller's time, so that the one who ran out of it can still say so itself.
_HOP_MARGIN_SECONDS: Final = 0.02
_MIN_USEFUL_SECONDS: Final = 0.05
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(request_id: str | None, seconds: float | None) -> str:
    """Start a call with the caller's id (a new one where it is none) and time; refuse what cannot be done in time."""
    identity = request_id if request_id and _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex
    _request_id.set(identity)
    seconds = DEFAULT_SECONDS if seconds is None else min(seconds - _HOP_MARGIN_SECONDS, MAX_SECONDS)
    _deadline.set(time.monotonic() + seconds)
    if seconds < _MIN_USEFUL_SECONDS:
        raise DeadlineExceeded()
    return identity


def request_id() -> str:
    """The id of the call that this task works for; empty outside of one."""
    return _request_id.get()


def deadline() -> float:
    """When this call's time ends, by time.monotonic()."""
    moment = _deadline.get()
    return time.monotonic() + DEFAULT_SECONDS if moment is None else moment


def remaining_seconds() -> float:
    """What is left of this call's time; never negative."""
    return max(0.0, deadline() - time.monotonic())
