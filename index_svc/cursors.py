"""Where a page ended, as clients carry it: opaque to them, and of no use in another project, whose rows it does not name; pure."""

from __future__ import annotations

import base64

from mesh.errors import InvalidRequest


def cursor_of(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(8)).decode().rstrip("=")


def read_cursor(cursor: str) -> int | None:
    """The number in it; None: there is no cursor."""
    if not cursor:
        return None
    try:
        number = int.from_bytes(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except ValueError:
        number = 0
    if not 0 < number < 2**63:
        raise InvalidRequest("cursor is none that was given out", field="cursor")
    return number
