"""What a service frees it keeps for what comes next: media pass through in chunks, and giving each back to the system only to fault it
in again cost more than copying it."""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h of glibc
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_LARGEST_KEPT_BYTES: Final = 4 << 20
"""No message between services is larger (mesh/client.py)."""
_KEPT_BYTES: Final = 8 << 20
"""Free at the end of a heap; what is beyond goes back."""


def keep_memory() -> None:
    """For the rest of the process; other libraries of C than glibc have no such setting, and do without."""
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
