"""Opens foreign sound and film by FFmpeg, under our limits: for those who measure them and those who decode them.

Invariant: the demuxer is the one that the first bytes ask for, reads these bytes only, and can open nothing else: FFmpeg,
unless told otherwise, follows playlists and references in files to other files and to the network.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from mesh.errors import UnsupportedMedia

MAX_PIXELS: Final = 4096 * 4096
"""Of one picture in a film: 4K in either direction. A decoder keeps up to twenty of them."""

MAX_PACKETS: Final = 250_000
"""Twice what 300 s of Opus in its shortest packets, 2.5 ms, come to."""

_FILM_CODECS: Final = (
    "h264,hevc,vp8,vp9,libdav1d,mpeg4,mpeg2video,mpeg1video,mjpeg,msmpeg4,msmpeg4v2,h263,flv,vp6f,wmv1,wmv2,wmv3,vc1,prores"
)
_SOUND_CODECS: Final = (
    "aac,mp3float,mp3,mp2float,opus,libopus,vorbis,flac,alac,ac3,eac3,wmav1,wmav2,wmapro,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,"
    "pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav"
)

FILM_CODECS: Final = frozenset(_FILM_CODECS.split(","))
SOUND_CODECS: Final = frozenset(_SOUND_CODECS.split(","))
"""Decoders, by FFmpeg's names. Opening a file tries its streams with no others, and no others may decode them."""

DEMUXERS: Final = MappingProxyType(
    {
        "audio/mpeg": "mp3",
        "audio/aac": "aac",
        "audio/mp4": "mov",
        "audio/wav": "wav",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/aiff": "aiff",
        "audio/x-ms-wma": "asf",
        "video/mp4": "mov",
        "video/quicktime": "mov",
        "video/webm": "matroska",
        "video/x-matroska": "matroska",
        "video/x-msvideo": "avi",
        "video/mp2t": "mpegts",
        "video/x-flv": "flv",
    }
)


@contextmanager
def map_file(path: str) -> Iterator[mmap.mmap]:
    """The bytes of a file without a copy of them; an empty file is no medium."""
    with Path(path).open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except ValueError as problem:
            raise UnsupportedMedia("is empty") from problem
        with content:
            yield content


@contextmanager
def open_container(content: bytes | mmap.mmap, content_type: str) -> Iterator[InputContainer]:
    """The same content may be open several times. What goes wrong with FFmpeg in the body of the `with` is UnsupportedMedia."""
    demuxer = DEMUXERS[content_type]
    try:
        with av.open(
            _Reader(content),
            mode="r",
            format=demuxer,
            io_open=_open_nothing,
            timeout=(5, 5),
            buffer_size=256 * 1024,
            metadata_errors="replace",
            options={
                "format_whitelist": demuxer,
                "codec_whitelist": f"{_FILM_CODECS},{_SOUND_CODECS}",
                "protocol_whitelist": "none",
                "enable_drefs": "0",
                "use_absolute_path": "0",
                "max_streams": "16",
                # A WAV says what it holds; what else it might be (DTS, disguised) is not looked for beyond this, at 20 ms a file.
                "probesize": "65536" if demuxer == "wav" else "5000000",
                "analyzeduration": "5000000",
                # For the decoders that opening tries the streams with.
                "threads": "1",
                "max_pixels": str(MAX_PIXELS),
            },
        ) as container:
            yield container
    except (av.FFmpegError, OSError, ValueError, TypeError, ArithmeticError, EOFError) as problem:
        raise UnsupportedMedia(f"is damaged, or no {content_type} that can be read") from problem


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Of these streams, or of all; a flushing packet without bytes at the end of each, as PyAV has it. Streams that a container
    had not announced are passed over: PyAV stumbles over them, when all is read."""
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


class _Reader:
    """A position of its own in bytes that others read, too. It has no name, which FFmpeg would take for a URL."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self._content, self._position = content, 0

    def read(self, size: int) -> bytes:
        part = self._content[self._position : self._position + size]
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int) -> int:
        self._position = max(0, offset + (0, self._position, len(self._content))[whence])
        return self._position

    def tell(self) -> int:
        return self._position


def _open_nothing(*_: object) -> NoReturn:
    raise PermissionError("media may not refer to other files")
