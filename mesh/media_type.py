"""What a file is, told by its first bytes alone, and what each medium takes: types, bytes and seconds.

Invariant: neither a file's name nor what its origin says about it has a voice here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mesh.media import MediaType

SNIFF_BYTES: Final = 4096
"""All that `sniff` looks at. Two frames of MP3 and five packets of a transport stream fit, and the list of a file's brands."""

MEBIBYTE: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one file of a medium may hold; images have no duration."""

    max_bytes: int
    max_duration_seconds: float | None = None


LIMITS: Final[Mapping[MediaType, Limit]] = MappingProxyType(
    {
        MediaType.IMAGE: Limit(max_bytes=15 * MEBIBYTE),
        MediaType.AUDIO: Limit(max_bytes=50 * MEBIBYTE, max_duration_seconds=300.0),
        MediaType.VIDEO: Limit(max_bytes=100 * MEBIBYTE, max_duration_seconds=180.0),
    }
)

PRIMING_SAMPLES: Final = 4096
"""What encoders add around sound (MP3 up to 3,409, AAC 3,135) comes on top of the cap, which is on what was put in."""
_MIN_PRIMED_RATE: Final = 8000
"""What a header may say for these samples to last long."""

IMAGES: Final = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/heic", "image/heif", "image/avif"}
)
SOUNDS: Final = frozenset({"audio/mpeg", "audio/aac", "audio/mp4", "audio/wav", "audio/flac", "audio/ogg", "audio/aiff", "audio/x-ms-wma"})
FILMS: Final = frozenset({"video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-msvideo", "video/mp2t", "video/x-flv"})

TAKEN: Final[Mapping[MediaType, frozenset[str]]] = MappingProxyType(
    # A film's sound track is sound: a swapped or dubbed one is found by /audio/match. A picture is a film of one frame.
    {MediaType.IMAGE: IMAGES, MediaType.VIDEO: FILMS | IMAGES, MediaType.AUDIO: SOUNDS | FILMS}
)


def accepts(media_type: MediaType, content_type: str) -> bool:
    return content_type in TAKEN[media_type]


def limited_as(media_type: MediaType, content_type: str) -> MediaType:
    """The medium whose limits hold for a file of this type: a still may be as large as an image, also among films."""
    return MediaType.IMAGE if content_type in IMAGES else media_type


def max_inline_bytes(media_type: MediaType, content_type: str | None) -> int:
    """A film that was let in as one may be as large as a film, also for those who hear it."""
    return LIMITS[MediaType.VIDEO if content_type in FILMS & TAKEN[media_type] else media_type].max_bytes


def max_sound_seconds(media_type: MediaType, sample_rate: int) -> float:
    """How long a sound track of this rate may run, with what its encoder may have added."""
    return (LIMITS[media_type].max_duration_seconds or 0.0) + PRIMING_SAMPLES / max(sample_rate, _MIN_PRIMED_RATE)


def sniff(first_bytes: bytes) -> str | None:
    """The content type, or None for whatever no medium takes (SVG, PDF, PSD, HTML, playlists, text, archives …)."""
    head = bytes(first_bytes[:SNIFF_BYTES])
    for signature, content_type in _SIGNATURES:
        if signature.match(head):
            return content_type
    return _iso_media(head) or _ogg(head) or _windows_media(head) or _mpeg_audio(head) or _transport_stream(head)


_SIGNATURES: Final = tuple(
    (re.compile(signature, re.DOTALL), content_type)
    for signature, content_type in (
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"GIF8[79]a", "image/gif"),
        # Two letters are no signature: the reserved bytes are zero, and the second header has one of its known lengths.
        (rb"BM....\0{4}....[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", "image/bmp"),
        (rb"(?:II\*\0|MM\0\*)(?!....CR)", "image/tiff"),  # CR: a camera's raw file, whose first picture is a thumbnail
        (rb"(?:RIFF|RF64|BW64)....WAVE", "audio/wav"),
        (rb"FORM....AIF[FC]", "audio/aiff"),
        (rb"fLaC", "audio/flac"),
        (rb"RIFF....AVI ", "video/x-msvideo"),
        (rb"FLV\x01", "video/x-flv"),
        # EBML, and in its header the name of what it holds (RFC 8794, section 11.2.4).
        (rb"\x1a\x45\xdf\xa3.{1,60}?\x42\x82[\x80-\xff]webm", "video/webm"),
        (rb"\x1a\x45\xdf\xa3.{1,60}?\x42\x82[\x80-\xff]matroska", "video/x-matroska"),
        # QuickTime from before there were brands.
        (rb"\0.{3}moov.{4}(?:mvhd|cmov|udta)|[\0-\x07].{3}mdat|\0.{3}(?:wide|free|skip).*?(?:mdat|moov)", "video/quicktime"),
    )
)

_HEVC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_AV1_BRANDS: Final = {b"avif", b"avis"}
_RAW_BRAND: Final = b"crx "  # a camera's raw file, which calls itself compatible with films
_STILL_BRANDS: Final = {b"mif1", b"msf1", b"miaf"}
_SOUND_BRANDS: Final = {b"M4A ", b"M4B ", b"M4P "}
_FILM_BRAND: Final = re.compile(rb"iso[m1-9]|mp4[12]|avc1|M4V.|MSNV|dash|3g[p2].|F4V |mmp4|cmfc")


def _iso_media(head: bytes) -> str | None:
    """By the brand that the file calls its own, then by those it is compatible with (ISO/IEC 14496-12, section 4.3)."""
    if head[4:8] != b"ftyp" or head[8:12] == _RAW_BRAND:
        return None
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head) - 3), 4))]
    for brand in brands:
        if brand in _AV1_BRANDS:
            return "image/avif"
        if brand in _HEVC_BRANDS:
            return "image/heic"
        if brand in _SOUND_BRANDS:
            return "audio/mp4"
        if brand == b"qt  ":
            return "video/quicktime"
        if _FILM_BRAND.fullmatch(brand):
            return "video/mp4"
    return "image/heif" if brands[0] in _STILL_BRANDS else None


def _ogg(head: bytes) -> str | None:
    """Sound only: the first pages name each stream's codec (RFC 3533, section 6)."""
    if not head.startswith(b"OggS") or b"\x80theora" in head:
        return None
    return "audio/ogg" if any(codec in head for codec in (b"OpusHead", b"\x01vorbis", b"\x7fFLAC", b"Speex   ")) else None


_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILM: Final = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")


def _windows_media(head: bytes) -> str | None:
    return "audio/x-ms-wma" if head.startswith(_ASF) and _ASF_FILM not in head else None


_ID3: Final = re.compile(rb"ID3[\x02-\x04][^\xff].[\0-\x7f]{4}", re.DOTALL)


def _mpeg_audio(head: bytes) -> str | None:
    """Bare frames have a mark of eleven bits, which noise has too: a second frame must follow where the first one ends."""
    is_tagged = False
    while _ID3.match(head):
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        is_tagged, head = True, head[10 + length :].lstrip(b"\0")
    if is_tagged and not head:
        return "audio/mpeg"  # a picture of the cover fills all that we see
    if is_tagged and head.startswith(b"fLaC"):
        return "audio/flac"
    for content_type, frame_bytes in (("audio/mpeg", _mp3_frame_bytes), ("audio/aac", _adts_frame_bytes)):
        first = frame_bytes(head)
        if first and (len(head) == first or frame_bytes(head[first:])):
            return content_type
    return None


_KILOBITS: Final = {
    # By whether it is MPEG 1, and by layer (ISO/IEC 11172-3, section 2.4.2.3; 13818-3, section 2.4.2.3).
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}


def _mp3_frame_bytes(frame: bytes) -> int:
    """Zero where it is none; layers II and III."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0
    version, layer, rate = frame[1] >> 3 & 3, 4 - (frame[1] >> 1 & 3), frame[2] >> 2 & 3
    if version == 1 or layer not in (2, 3) or rate == 3:
        return 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kilobits = _KILOBITS[version == 3, layer][frame[2] >> 4]
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples * 125 * kilobits // hertz + (frame[2] >> 1 & 1) if kilobits else 0


def _adts_frame_bytes(frame: bytes) -> int:
    """Zero where it is none (ISO/IEC 13818-7, section 6.2)."""
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0 or frame[2] >> 2 & 15 > 12:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length > 7 else 0


def _transport_stream(head: bytes) -> str | None:
    """Packets of 188 bytes, or of 192 with a time stamp before each."""
    for first, step in ((0, 188), (4, 192)):
        marks = head[first : first + 5 * step : step]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return "video/mp2t"
    return None
