"""Archives: what is honest is read whole, what lies is refused before it is unpacked."""

from __future__ import annotations

import io
import os
import random
import resource
import zipfile
import zlib
from pathlib import Path

import pytest

from index_svc import archive
from index_svc.archive import Entry
from mesh.errors import FileTooLarge, InvalidRequest, MeshError, UnsupportedMedia
from tests.archives import BZIP2, ENCRYPTED, LINK, STORED, UTF8, Member, chained, manifest_of, overlapping, zipped

MANIFEST = Member("manifest.csv", manifest_of(["a.jpg,image,a"]))
PICTURE = random.Random(1).randbytes(100_000)
MAX_FILES, MAX_BYTES = 1000, 10_000_000


def saved(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    return str(path)


def directory(tmp_path: Path, content: bytes) -> dict[str, Entry]:
    entries, _ = archive.read_directory(saved(tmp_path, content), MAX_FILES, MAX_BYTES)
    return {entry.name: entry for entry in entries}


def whole(tmp_path: Path, entry: Entry, part_bytes: int = 1 << 30) -> bytes:
    path = str(tmp_path / "archive.zip")
    starts = range(0, max(1, entry.size_bytes), part_bytes)
    return b"".join(archive.read_part(path, entry, start, part_bytes) for start in starts)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_archive_of_a_common_writer_is_read_whole(tmp_path: Path, method: int, streamed: bool) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return not streamed

        def tell(self) -> int:
            if streamed:
                raise OSError
            return super().tell()

    files = {"a.jpg": PICTURE, "folder/ä b.png": b"b" * 1000, "empty.jpg": b"", "日本.webp": PICTURE[:5000]}
    buffer = Stream()
    with zipfile.ZipFile(buffer, "w", method) as writer:
        writer.comment = b"PK\x05\x06 a comment"
        writer.mkdir("folder")
        for name, content in files.items():
            writer.writestr(name, content)
        writer.writestr("manifest.csv", MANIFEST.content)
    entries, manifest = archive.read_directory(saved(tmp_path, buffer.getvalue()), MAX_FILES, MAX_BYTES)
    assert manifest == MANIFEST.content
    assert {entry.name: entry.problem for entry in entries} == dict.fromkeys(files, "")
    for part_bytes in (777, 1 << 20):
        assert {entry.name: whole(tmp_path, entry, part_bytes) for entry in entries} == files


def test_sizes_in_the_field_for_large_archives_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name, content in (("manifest.csv", MANIFEST.content), ("a.jpg", PICTURE)):
            with writer.open(name, "w", force_zip64=True) as file:
                file.write(content)
    assert whole(tmp_path, directory(tmp_path, buffer.getvalue())["a.jpg"]) == PICTURE


@pytest.mark.parametrize("count", [2, 1000])
@pytest.mark.parametrize("make", [overlapping, chained])
def test_files_that_share_bytes_are_refused_before_any_is_unpacked(tmp_path: Path, make: object, count: int) -> None:
    assert callable(make)
    content = make(count if make is overlapping else min(count, 40), PICTURE, MANIFEST.content)
    with pytest.raises(UnsupportedMedia, match=r"overlap|disagree"):
        archive.read_directory(saved(tmp_path, content), 10_000, 1 << 40)


@pytest.mark.parametrize(
    "name",
    ["../x.jpg", "/abs.jpg", "C:\\x.jpg", "c:x.jpg", "a\\..\\b.jpg", "a/../b.jpg", "./a.jpg", "a//b.jpg", "a\0b.jpg", "a\nb.jpg", "..", ""],
)
def test_name_that_is_a_path_elsewhere_is_no_name(tmp_path: Path, name: str) -> None:
    entry = directory(tmp_path, zipped(MANIFEST, Member(name, PICTURE), Member("a.jpg", PICTURE)))
    assert entry[name].code == InvalidRequest.code
    assert whole(tmp_path, entry["a.jpg"]) == PICTURE


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (Member("b.jpg", b"/etc/passwd", attributes=LINK), "invalid_request"),
        (Member("b.jpg", b"", attributes=0o010644 << 16), "invalid_request"),
        (Member("b.jpg", PICTURE, flags=UTF8 | ENCRYPTED), "unsupported_media"),
        (Member("b.jpg", PICTURE, method=99), "unsupported_media"),
        (Member("b.jpg", PICTURE, method=BZIP2), "unsupported_media"),
        (Member("b.jpg", PICTURE, method=STORED, size_bytes=5), "unsupported_media"),
        (Member("b.jpg", bytes(5_000_000)), "file_too_large"),
    ],
    ids=["link", "pipe", "encrypted", "AES", "bzip2", "two sizes", "bomb"],
)
def test_file_that_is_not_to_be_unpacked_says_why_and_costs_itself_alone(tmp_path: Path, member: Member, code: str) -> None:
    found = directory(tmp_path, zipped(MANIFEST, member, Member("a.jpg", PICTURE)))
    assert (found["b.jpg"].code, found["a.jpg"].code) == (code, "")


def test_name_in_an_encoding_that_it_is_not_in_is_refused(tmp_path: Path) -> None:
    found = directory(tmp_path, zipped(MANIFEST, Member(b"\xff\xfe.jpg", PICTURE)))
    assert [entry.code for entry in found.values()] == ["invalid_request"]


@pytest.mark.parametrize(("one", "two"), [("a.jpg", "a.jpg"), ("a.jpg", "A.JPG"), ("ä.jpg", "a\u0308.jpg"), ("straße", "STRASSE")])
def test_names_that_some_file_system_takes_for_one_are_refused_both(tmp_path: Path, one: str, two: str) -> None:
    entries, _ = archive.read_directory(saved(tmp_path, zipped(MANIFEST, Member(one, PICTURE), Member(two, PICTURE))), 10, MAX_BYTES)
    assert [entry.code for entry in entries] == ["conflict", "conflict"]


@pytest.mark.parametrize(
    "member",
    [
        Member("b.jpg", PICTURE, crc32=1),
        Member("b.jpg", PICTURE, size_bytes=len(PICTURE) - 1),
        Member("b.jpg", PICTURE, size_bytes=len(PICTURE) + 1),
        Member("b.jpg", PICTURE, packed=zlib.compress(PICTURE, wbits=-15)[:-10]),
        Member("b.jpg", PICTURE, packed=zlib.compress(PICTURE, wbits=-15) + b"more"),
        Member("b.jpg", PICTURE, packed=PICTURE),
        Member("b.jpg", bytes(1000), packed=zlib.compress(bytes(1 << 28), wbits=-15)),
    ],
    ids=["checksum", "says less", "says more", "cut", "more behind it", "not deflated", "announces little, unpacks to much"],
)
@pytest.mark.parametrize("part_bytes", [10_000, 1 << 20])
def test_file_that_is_not_what_the_directory_says_is_never_given_whole(tmp_path: Path, member: Member, part_bytes: int) -> None:
    entry = directory(tmp_path, zipped(MANIFEST, member))["b.jpg"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnsupportedMedia, match="damaged"):
        whole(tmp_path, entry, part_bytes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (zipped(Member("a.jpg", PICTURE)), InvalidRequest),
        (zipped(Member("folder/manifest.csv", b"")), InvalidRequest),
        (zipped(MANIFEST, MANIFEST), InvalidRequest),
        (zipped(Member("manifest.csv", b"x", flags=UTF8 | ENCRYPTED)), InvalidRequest),
        (zipped(Member("manifest.csv", os.urandom(17 << 20))), FileTooLarge),
        (zipped(MANIFEST, *(Member(f"{number}", b"") for number in range(MAX_FILES))), FileTooLarge),
        (zipped(MANIFEST, Member("a", b"", size_bytes=MAX_BYTES)), FileTooLarge),
        (zipped(MANIFEST, Member("a", b"", size_bytes=0xFFFFFFFF)), UnsupportedMedia),
        (b"junk before it" + zipped(MANIFEST), UnsupportedMedia),
        (zipped(MANIFEST) + b"junk behind it", UnsupportedMedia),
        (zipped(MANIFEST)[:-5], UnsupportedMedia),
        (zipped(MANIFEST)[30:], UnsupportedMedia),
        (zipped(MANIFEST, Member("a.jpg", b"", local_name=b"b.jpg")), UnsupportedMedia),
        (b"PK\x03\x04" + bytes(1000), UnsupportedMedia),
        (b"PK\x05\x06" + bytes(18), InvalidRequest),
        (b"", UnsupportedMedia),
    ],
    ids=[
        *(
            "no manifest",
            "manifest in a folder",
            "two manifests",
            "encrypted manifest",
            "large manifest",
            "too many files",
            "too many bytes",
        ),
        *("no size", "junk before", "junk behind", "cut behind", "cut before", "two names", "no directory", "empty", "no bytes"),
    ],
)
def test_archive_that_cannot_be_trusted_is_refused_as_a_whole(tmp_path: Path, content: bytes, error: type[MeshError]) -> None:
    with pytest.raises(error):
        archive.read_directory(saved(tmp_path, content), MAX_FILES, MAX_BYTES)


def test_field_for_large_archives_that_is_cut_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(MANIFEST))
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = b"\xff" * 8
    name_bytes = int.from_bytes(content[at + 28 : at + 30], "little")
    content[at + 30 : at + 32] = (12).to_bytes(2, "little")
    # It says that it has two numbers, and there is room for one.
    content[at + 46 + name_bytes : at + 46 + name_bytes] = b"\1\0\x10\0" + bytes(8)
    directory_bytes = int.from_bytes(content[-10:-6], "little") + 12
    content[-10:-6] = directory_bytes.to_bytes(4, "little")
    with pytest.raises(MeshError):
        archive.read_directory(saved(tmp_path, bytes(content)), MAX_FILES, MAX_BYTES)
