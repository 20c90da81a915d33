"""The file's outer structure, read without decoding anything: what is visibly cut is refused, not half-read.

Where a stream ends wherever it is cut (bare AAC, transport streams, MP3 without a header of its own), nothing tells.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from mesh.errors import UnsupportedMedia

Bytes = bytes | mmap.mmap

MAX_PARTS: Final = 250_000
"""Boxes, chunks or tags that are walked; each costs a microsecond. 300 s of film in FLV are some 25,000."""

MAX_OWN_HEADER: Final = 128
"""By so much a writer may be wrong that counts its own header in, or a last byte of padding that it then leaves out."""

MIN_UNKNOWN_SIZE: Final = 0x7FFF_0000
"""What writers put that cannot go back to fill in a size of 32 bits: all ones, or nearly the largest signed number."""


def check_structure(data: Bytes, content_type: str) -> None:
    """Refuses what ends before its own header says it does."""
    end = _DECLARED_END.get(content_type, _unknown)(data)
    if end > len(data) + MAX_OWN_HEADER:
        raise UnsupportedMedia(f"is truncated: {end - len(data):,} bytes of it are missing")


def _unknown(_: Bytes) -> int:
    return 0


def _wave(data: Bytes) -> int:
    """To the end of the chunk with the samples; a size of 0 or 4 GB is that of a stream."""
    return _chunked(data, b"data", "little")


def _aiff(data: Bytes) -> int:
    return _chunked(data, b"SSND", "big")


def _chunked(data: Bytes, name: bytes, order: str) -> int:
    at = 12
    for _ in range(MAX_PARTS):
        head = data[at : at + 8]
        if len(head) < 8:
            return 0
        size = int.from_bytes(head[4:], "little" if order == "little" else "big")
        if head[:4] == name:
            return at + 8 + size if size < MIN_UNKNOWN_SIZE else 0
        at += 8 + size + size % 2
    raise _too_many_parts()


def _avi(data: Bytes) -> int:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size if size < MIN_UNKNOWN_SIZE else 0


def _iso_media(data: Bytes) -> int:
    """To the end of the last box that matters; whatever lies behind the others is no box (ISO/IEC 14496-12, section 4.2)."""
    at = end = 0
    for _ in range(MAX_PARTS):
        head = data[at : at + 16]
        if len(head) < 8:
            return end
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if name in (b"mdat", b"moov", b"moof"):
            end = max(end, at + size)
        if size < 8:  # 0: to the end of the file
            return end
        at += size
    raise _too_many_parts()


def _matroska(data: Bytes) -> int:
    """To the end of the segment, where it says how long it is (RFC 8794, section 6)."""
    at = 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if data[at : at + 4] != name:
            return 0
        first = data[at + 4 : at + 5]
        if not first or not first[0]:
            return 0
        length = 9 - first[0].bit_length()
        size = int.from_bytes(data[at + 4 : at + 4 + length], "big") & (1 << 7 * length) - 1
        if size == (1 << 7 * length) - 1:
            return 0
        at += 4 + length + (size if name.startswith(b"\x1a") else 0)
    return at + size


def _ogg(data: Bytes) -> int:
    """To the end of the last page (RFC 3533, section 6)."""
    at = data.rfind(b"OggS")
    head = data[at : at + 27]
    if len(head) < 27:
        return len(data) + MAX_OWN_HEADER + 1
    lengths = data[at + 27 : at + 27 + head[26]]
    missing = head[26] - len(lengths)
    end = at + 27 + head[26] + sum(lengths)
    return end + MAX_OWN_HEADER if missing or end > len(data) else end


def _windows_media(data: Bytes) -> int:
    """What the file's properties say, but for a broadcast (Advanced Systems Format, section 3.2)."""
    at = data[:65_536].find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    properties = data[at : at + 92]
    if at < 0 or len(properties) < 92 or properties[88] & 1:
        return 0
    return int.from_bytes(properties[40:48], "little")


def _flash(data: Bytes) -> int:
    """To the end of the last tag."""
    at = int.from_bytes(data[5:9], "big") + 4
    for _ in range(MAX_PARTS):
        head = data[at : at + 4]
        if len(head) < 4 or head[0] not in (8, 9, 18):
            return 0
        end = at + 11 + int.from_bytes(head[1:], "big")
        if end > len(data):
            return end + MAX_OWN_HEADER
        at = end + 4
    raise _too_many_parts()


_XING: Final = re.compile(rb"\xff[\xe2-\xff][^\xff].{1,60}?(?:Xing|Info)(...[\x02\x03\x06\x07\x0a\x0b\x0e\x0f])(.{8})", re.DOTALL)


def _mpeg(data: Bytes) -> int:
    """By what the encoder wrote into the first frame, where it did: how many bytes there are from here."""
    at = 0
    while data[at : at + 3] == b"ID3":
        size = data[at + 6 : at + 10]
        if len(size) < 4:
            return 0
        at += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    head = _XING.search(data[at : at + 4096])
    if not head:
        return 0
    has_frames = head[1][3] & 1
    return at + head.start() + int.from_bytes(head[2][4:] if has_frames else head[2][:4], "big")


def _too_many_parts() -> UnsupportedMedia:
    return UnsupportedMedia(f"is made of more than {MAX_PARTS:,} parts")


_DECLARED_END: Final[Mapping[str, Callable[[Bytes], int]]] = MappingProxyType(
    {
        "audio/mpeg": _mpeg,
        "audio/mp4": _iso_media,
        "audio/wav": _wave,
        "audio/aiff": _aiff,
        "audio/ogg": _ogg,
        "audio/x-ms-wma": _windows_media,
        "video/mp4": _iso_media,
        "video/quicktime": _iso_media,
        "video/webm": _matroska,
        "video/x-matroska": _matroska,
        "video/x-msvideo": _avi,
        "video/x-flv": _flash,
    }
)
