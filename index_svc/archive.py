"""A ZIP archive (PKWARE APPNOTE 6.3) read as what it is: hostile input. Runs in a sandboxed worker; pure.

Names are labels and never paths. Invariant: nothing is unpacked before the whole directory was found consistent (no two files
share a byte, no file is larger than it may be), and no more is ever unpacked than the directory announced.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mesh.errors import Conflict, FileTooLarge, InvalidRequest, MeshError, UnsupportedMedia

MANIFEST: Final = "manifest.csv"
MAX_MANIFEST_BYTES: Final = 16 * 1_048_576
MAX_RATIO: Final = 100
"""Media are compressed already; what deflate makes this much smaller holds nothing."""
FREE_BYTES: Final = 1_048_576
"""Up to which the ratio does not matter."""
SIGNATURE: Final = b"PK\x03\x04"

_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED, _AES = 0, 8, 99
_ENCRYPTED, _STRONGLY, _UTF8 = 1 << 0, 1 << 6, 1 << 11
_PIECE_BYTES: Final = 64 * 1024
_SHOWN_CHARACTERS: Final = 200
_ODD_NAME: Final = re.compile(r"^/|^[A-Za-z]:|\\|[\x00-\x1f\x7f]|(^|/)\.{1,2}(/|$)|//")
_DAMAGED: Final = "is damaged: "


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive as its directory has it; `code` and `problem` where it is not to be unpacked, and why."""

    name: str
    header: int
    """Where its own header begins."""
    start: int
    """Where its bytes do."""
    packed_bytes: int
    size_bytes: int
    method: int
    crc32: int
    code: str = ""
    problem: str = ""


def read_directory(path: str, max_entries: int, max_unpacked_bytes: int) -> tuple[list[Entry], bytes]:
    """All files but the manifest, and the manifest's bytes."""
    with _mapped(path) as content:
        entries = _with_starts(content, list(_listed(content, max_entries)))
        if (total := sum(entry.size_bytes for entry in entries)) > max_unpacked_bytes:
            raise FileTooLarge(f"unpacks to {total:,} bytes; an archive may to {max_unpacked_bytes:,}")
        entries = _without_doubles(entries)
        manifests = [entry for entry in entries if entry.name == MANIFEST]
        if not manifests:
            raise InvalidRequest(f"holds no {MANIFEST} at its top")
        manifest = manifests[0]
        if manifest.code:
            raise InvalidRequest(f"holds a {MANIFEST} that {manifest.problem}")
        if manifest.size_bytes > MAX_MANIFEST_BYTES:
            raise FileTooLarge(f"holds a {MANIFEST} of more than {MAX_MANIFEST_BYTES:,} bytes")
        return [entry for entry in entries if entry is not manifest], _unpacked(content, manifest, 0, MAX_MANIFEST_BYTES)


def read_part(path: str, entry: Entry, start: int, max_bytes: int) -> bytes:
    """At most so many of a file's bytes from `start` on; with the last of them all were found to be whole."""
    with _mapped(path) as content:
        return _unpacked(content, entry, start, max_bytes)


def warm_up() -> None:
    """Nothing to prepare but the imports."""


def key_of(name: str) -> str:
    """Two names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@contextmanager
def _mapped(path: str) -> Iterator[mmap.mmap]:
    with Path(path).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnsupportedMedia("is an empty file")
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
            yield content


def _listed(content: mmap.mmap, max_entries: int) -> Iterator[tuple[Entry, bytes]]:
    """The files as the directory has them, and their names as they stand there."""
    count, size_bytes, at = _end_of_directory(content)
    if count > max_entries:
        raise FileTooLarge(f"holds {count:,} files; an archive may hold {max_entries:,}")
    end = at + size_bytes
    for _ in range(count):
        if at + _CENTRAL.size > end:
            raise UnsupportedMedia(f"{_DAMAGED}its directory is cut")
        signature, _, _, flags, method, _, _, crc32, *sizes, disk, _, attributes, header = _CENTRAL.unpack_from(content, at)
        packed, size, name_bytes, extra_bytes, comment_bytes = sizes
        behind = at + _CENTRAL.size + name_bytes + extra_bytes + comment_bytes
        if signature != b"PK\x01\x02" or behind > end or disk:
            raise UnsupportedMedia(f"{_DAMAGED}its directory is none")
        raw = content[at + _CENTRAL.size : at + _CENTRAL.size + name_bytes]
        extra = content[at + _CENTRAL.size + name_bytes : at + _CENTRAL.size + name_bytes + extra_bytes]
        at = behind
        if max(packed, size, header) == 0xFFFFFFFF:
            size, packed, header = _large(extra, size, packed, header)
        name, is_utf8 = _name(raw, flags)
        if name.endswith("/") and not size:
            continue
        entry = Entry(name, header, 0, packed, size, method, crc32)
        code, problem = _problem(entry, flags, attributes >> 16 & 0o170000, is_utf8)
        yield replace(entry, code=code, problem=problem), raw
    if at != end:
        raise UnsupportedMedia(f"{_DAMAGED}its directory holds more than it counts")


def _end_of_directory(content: mmap.mmap) -> tuple[int, int, int]:
    """How many files, how long the directory is, and where it begins: right before its own end, or the archive is not what it seems."""
    lowest = max(0, len(content) - _END.size - 0xFFFF)
    at = len(content)
    while (at := content.rfind(b"PK\x05\x06", lowest, at)) >= 0:
        if at + _END.size <= len(content):
            _, disk, first_disk, here, count, size_bytes, start, comment_bytes = _END.unpack_from(content, at)
            if at + _END.size + comment_bytes == len(content):
                break
    else:
        raise UnsupportedMedia("is no ZIP archive that is whole")
    if disk or first_disk or here != count:
        raise UnsupportedMedia("is one part of an archive in several")
    if count == 0xFFFF or start == 0xFFFFFFFF or size_bytes == 0xFFFFFFFF:
        raise FileTooLarge("holds more files, or more bytes, than an archive may")
    if start + size_bytes != at:
        raise UnsupportedMedia(f"{_DAMAGED}its directory is not where it says")
    return count, size_bytes, start


def _large(extra: bytes, *values: int) -> tuple[int, int, int]:
    """Sizes and place from the field for archives beyond 4 GiB, which some writers use for any."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            numbers = extra[at + 4 : at + 4 + length]
            given = iter(struct.unpack_from(f"<{len(numbers) // 8}Q", numbers))
            found = tuple(next(given, 1 << 63) if value == 0xFFFFFFFF else value for value in values)
            return found[0], found[1], found[2]
        at += 4 + length
    raise UnsupportedMedia(f"{_DAMAGED}a file's size is missing")


def _name(raw: bytes, flags: int) -> tuple[str, bool]:
    try:
        return (raw.decode() if flags & _UTF8 else raw.decode("cp437")), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


def _problem(entry: Entry, flags: int, kind: int, is_utf8: bool) -> tuple[str, str]:
    if not is_utf8 or not entry.name or _ODD_NAME.search(entry.name):
        return InvalidRequest.code, "has a name that is no plain relative one"
    if kind not in (0, 0o100000):
        return InvalidRequest.code, "is a link, or another thing that is no file"
    if flags & (_ENCRYPTED | _STRONGLY) or entry.method == _AES:
        return UnsupportedMedia.code, "is encrypted"
    if entry.method not in (_STORED, _DEFLATED):
        return UnsupportedMedia.code, "is compressed by a method that is not supported; deflate is"
    if entry.method == _STORED and entry.packed_bytes != entry.size_bytes:
        return UnsupportedMedia.code, f"{_DAMAGED}it has two sizes"
    if entry.size_bytes > max(FREE_BYTES, MAX_RATIO * entry.packed_bytes):
        return FileTooLarge.code, f"unpacks to more than {MAX_RATIO} times its size"
    return "", ""


def _with_starts(content: mmap.mmap, listed: list[tuple[Entry, bytes]]) -> list[Entry]:
    """Where each file's bytes begin; no two of them, nor one and the directory, may share a byte."""
    directory = _end_of_directory(content)[2]
    starts: dict[int, int] = {}
    free_from = 0
    for entry, raw in sorted(listed, key=lambda each: each[0].header):
        if not free_from <= entry.header <= directory - _LOCAL.size:
            raise UnsupportedMedia("holds files that overlap")
        signature, _, _, method, _, _, _, _, _, name_bytes, extra_bytes = _LOCAL.unpack_from(content, entry.header)
        start = entry.header + _LOCAL.size + name_bytes + extra_bytes
        free_from = start + entry.packed_bytes
        if free_from > directory:
            raise UnsupportedMedia("holds files that overlap")
        if (signature, method, content[start - extra_bytes - name_bytes : start - extra_bytes]) != (SIGNATURE, entry.method, raw):
            raise UnsupportedMedia(f"{_DAMAGED}its directory and its files disagree")
        starts[entry.header] = start
    return [replace(entry, start=starts[entry.header]) for entry, _ in listed]


def _without_doubles(entries: list[Entry]) -> list[Entry]:
    counts = Counter(key_of(entry.name) for entry in entries)
    return [
        replace(entry, code=Conflict.code, problem="has a name that another file has, too") if counts[key_of(entry.name)] > 1 else entry
        for entry in entries
    ]


def _unpacked(content: mmap.mmap, entry: Entry, start: int, max_bytes: int) -> bytes:
    kept = bytearray()
    passed, crc32 = 0, 0
    for piece in _pieces(content, entry):
        crc32 = zlib.crc32(piece, crc32)
        kept += piece[max(0, start - passed) : max(0, start + max_bytes - passed)]
        passed += len(piece)
        if passed > entry.size_bytes:
            raise UnsupportedMedia(f"{_DAMAGED}it unpacks to more than it says")
        if start + max_bytes <= passed < entry.size_bytes:
            return bytes(kept)
    if passed != entry.size_bytes or crc32 != entry.crc32:
        raise UnsupportedMedia(f"{_DAMAGED}its checksum is wrong")
    return bytes(kept)


def _pieces(content: mmap.mmap, entry: Entry) -> Iterator[bytes]:
    end = entry.start + entry.packed_bytes
    if entry.method == _STORED:
        for at in range(entry.start, end, _PIECE_BYTES):
            yield content[at : min(at + _PIECE_BYTES, end)]
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(entry.start, end, _PIECE_BYTES):
            packed = content[at : min(at + _PIECE_BYTES, end)]
            while packed:
                if piece := inflater.decompress(packed, _PIECE_BYTES):
                    yield piece
                packed = inflater.unconsumed_tail
        while piece := inflater.decompress(b"", _PIECE_BYTES):
            yield piece
    except zlib.error as problem:
        raise UnsupportedMedia(f"{_DAMAGED}it does not unpack") from problem
    if not inflater.eof or inflater.unused_data:
        raise UnsupportedMedia(f"{_DAMAGED}it is cut, or has something behind it")


def refusal(entry: Entry) -> MeshError | None:
    """Why this file is not to be unpacked."""
    classes = {error.code: error for error in (InvalidRequest, UnsupportedMedia, FileTooLarge, Conflict)}
    return classes[entry.code](entry.problem) if entry.code else None
