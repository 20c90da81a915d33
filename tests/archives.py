"""ZIP archives as tests need them: honest ones, and ones that lie about anything."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STORED, DEFLATED, BZIP2 = 0, 8, 12
LINK: Final = 0o120777 << 16
ENCRYPTED: Final = 1
UTF8: Final = 1 << 11


@dataclass(frozen=True)
class Member:
    """A file; what is set beside its content is said in its place."""

    name: str | bytes
    content: bytes
    method: int = DEFLATED
    flags: int = UTF8
    attributes: int = 0o100644 << 16
    crc32: int | None = None
    size_bytes: int | None = None
    packed: bytes | None = None
    local_name: bytes | None = None

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name


def zipped(*members: Member, comment: bytes = b"") -> bytes:
    """An archive of these, each where the last one ends."""
    body, directory = bytearray(), bytearray()
    for member in members:
        directory += _central(member, len(body))
        body += _local(member)
    return _ended(bytes(body), bytes(directory), len(members), comment)


def overlapping(count: int, content: bytes, manifest: bytes) -> bytes:
    """So many files that are all the same bytes."""
    first, kernel = Member("manifest.csv", manifest), Member("same.jpg", content)
    body = _local(first) + _local(kernel)
    names = [Member(f"{number}.jpg", content) for number in range(count)]
    directory = _central(first, 0) + b"".join(_central(name, len(_local(first))) for name in names)
    return _ended(body, directory, 1 + count, b"")


def chained(count: int, content: bytes, manifest: bytes) -> bytes:
    """So many files, each of which holds, stored, the headers of those behind it: no header is shared, all bytes are."""
    first = Member("manifest.csv", manifest)
    tail = b""
    members: list[tuple[Member, int]] = []
    for number in reversed(range(count)):
        member = Member(f"{number:05}.jpg", tail or content, method=STORED)
        tail = _local(member)
        members.insert(0, (member, len(tail)))
    start = len(_local(first))
    directory = _central(first, 0) + b"".join(_central(member, start + len(tail) - length) for member, length in members)
    return _ended(_local(first) + tail, directory, 1 + count, b"")


def manifest_of(rows: Iterable[str]) -> bytes:
    return "\n".join(("file,media_type,name", *rows, "")).encode()


def _packed(member: Member) -> bytes:
    if member.packed is not None:
        return member.packed
    if member.method != DEFLATED:
        return member.content
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(member.content) + deflater.flush()


def _numbers(member: Member) -> tuple[int, int, int]:
    crc32 = zlib.crc32(member.content) if member.crc32 is None else member.crc32
    size_bytes = len(member.content) if member.size_bytes is None else member.size_bytes
    return crc32, len(_packed(member)), size_bytes


def _local(member: Member) -> bytes:
    name = member.raw_name if member.local_name is None else member.local_name
    head = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, member.flags, member.method, 0, 0, *_numbers(member), len(name), 0)
    return head + name + _packed(member)


def _central(member: Member, at: int) -> bytes:
    numbers = _numbers(member)
    head = (b"PK\x01\x02", 3 << 8 | 20, 20, member.flags, member.method, 0, 0, *numbers, len(member.raw_name), 0, 0, 0, 0)
    return struct.pack("<4s6H3L5H2L", *head, member.attributes, at) + member.raw_name


def _ended(body: bytes, directory: bytes, count: int, comment: bytes) -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), len(comment))
    return body + directory + end + comment
