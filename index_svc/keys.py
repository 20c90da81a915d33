"""API keys: `mm_live_`, an id, a secret, a checksum. Only the id is ever stored as it is; pure.

A checksum tells a mistyped or made-up key from a real one before anything is looked up, and lets scanners for leaked secrets be sure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "mm_live_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 32
"""190 bits: nothing to guess, so one round of a hash is enough to store it."""
_CHECKSUM_LENGTH: Final = 6
KEY: Final = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_ID_LENGTH}}})[0-9A-Za-z]{{{_SECRET_LENGTH}}}[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}}", re.ASCII)
"""What a scanner for leaked secrets looks for."""

MEDIA_SCOPES: Final = tuple(f"{medium}:{action}" for medium in ("image", "audio", "video") for action in ("index", "search"))
SCOPES: Final = (
    *MEDIA_SCOPES,
    "assets:read",
    "assets:delete",
    "jobs:read",
    "usage:read",
    "thresholds:read",
    "thresholds:write",
    "decisions:read",
)
"""Every grant that a key can carry."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key while it can still be shown."""

    id: str
    text: str


def make_key() -> NewKey:
    """A key that was never there before."""
    identity, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    body = f"{PREFIX}{identity}{secret}"
    return NewKey(identity, body + _checksum(body))


def key_id(text: str) -> str | None:
    """The id of what is a key by its form and checksum."""
    form = KEY.fullmatch(text)
    if form is None:
        return None
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return form[1] if hmac.compare_digest(_checksum(body), checksum) else None


def shown_prefix(identity: str) -> str:
    """What may be read of a key by those who may not use it."""
    return f"{PREFIX}{identity}"


def digest(text: str, secret: bytes) -> bytes:
    """What is stored of a key."""
    return hmac.digest(secret, text.encode(), hashlib.sha256)


def is_same(stored: bytes, presented: bytes) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(stored, presented)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
