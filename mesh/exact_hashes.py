"""The hashes of a file's bytes that others' lists speak, beside the SHA-256 that every fingerprint has."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 1 << 20


def exact_hashes(path: str) -> dict[str, str]:
    """MD5 and SHA-1 in lower-case hexadecimal, by name. They guard nothing here: they are what the lists have."""
    made = {"md5": hashlib.md5(usedforsecurity=False), "sha1": hashlib.sha1(usedforsecurity=False)}
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            for digest in made.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in made.items()}
