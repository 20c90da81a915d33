"""What clients say of their assets, held to what the tables can keep; pure."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from mesh.errors import InvalidRequest, NotFound

MAX_CHARACTERS: Final = 500
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_URL_CHARACTERS: Final = 8192
MAX_KEY_CHARACTERS: Final = 255


def checked_text(text: str, field: str, *, max_characters: int = MAX_CHARACTERS) -> str:
    """The text, where it is short enough and whole: PostgreSQL keeps no NUL."""
    if len(text) > max_characters or "\0" in text:
        raise InvalidRequest(f"{field} may have at most {max_characters} characters, none of them NUL", field=field)
    return text


def checked_object(text: str, field: str) -> dict[str, Any]:
    """A JSON object from its text; nothing is an empty one."""
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"{field} may take at most {MAX_METADATA_BYTES} bytes", field=field)
    try:
        value = json.loads(text or "{}")
        # Also what Python reads and PostgreSQL does not: numbers without end, half of a character.
        whole = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as problem:
        raise InvalidRequest(f"{field} must be a JSON object", field=field) from problem
    if not isinstance(value, dict) or b"\\u0000" in whole:
        raise InvalidRequest(f"{field} must be a JSON object without NUL characters", field=field)
    return value


def checked_key(text: str) -> str:
    """An Idempotency-Key."""
    return checked_text(text, "Idempotency-Key", max_characters=MAX_KEY_CHARACTERS)


def known_id(text: str, what: str) -> UUID:
    """The id; what is none was never given to anything."""
    try:
        identity = UUID(text)
    except ValueError:
        identity = None
    if identity is None or str(identity) != text:
        raise NotFound(f"there is no such {what}")
    return identity
