"""All that reads what strangers send, decoders in the very workers and parsers, as subjects of tests/ordeal.py."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID
from zlib import crc32

import aiohttp
import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

import audio_svc.server
import image_svc.server
import video_svc.server
from audio_svc.settings import Settings as AudioSettings
from fetcher_svc import probe
from fetcher_svc.settings import Settings as FetcherSettings
from fetcher_svc.url_grammar import parse_url
from gateway.analyst import analysis_of
from gateway.hash_rows import CSV as HASH_CSV
from gateway.hash_rows import JSON_LINES, Lines, RowReader
from gateway.routes import JSON
from gateway.schemas import read_body
from gateway.server import ROUTES
from image_svc.settings import Settings as ImageSettings
from index_svc import archive
from index_svc.manifest import CSV_COLUMNS, Permit, draft_of, items
from index_svc.server import UNPACKER_MEMORY_BYTES
from index_svc.table import Row, Table
from matching.thresholds.analysis import Wanted
from mesh.errors import BY_CODE, MeshError
from mesh.interceptors import from_rpc_error
from mesh.matcher import TASK_SECONDS, Room
from mesh.media import DETAIL, Fingerprint, MatchOptions, MediaType
from mesh.media_file import MediaFile
from mesh.media_type import SNIFF_BYTES, sniff
from mesh.settings import MatcherSettings, MeshSettings
from mesh.wire import fingerprint_to_proto
from mesh.workers import WorkerPool
from protos import decisions_pb2, fetcher_pb2, index_pb2, matcher_pb2, thresholds_pb2, usage_pb2
from tests import films, forms
from tests.archives import Member, manifest_of, zipped
from tests.hostile.test_urls import REFUSED, TAKEN
from tests.index_client import new_project
from tests.mutants import Mutants
from tests.ordeal import Subject, Try
from tests.pictures import FORMATS, encoded, photo
from tests.recordings import FORMATS as RECORDINGS
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music
from video_svc.settings import Settings as VideoSettings

MEDIA_CODES: Final = frozenset({"unsupported_media", "file_too_large", "duration_too_long"})
COMPARED_EVERY: Final = 16
"""What was read is compared with a good file's fingerprint, now and then: that reads it, too."""
ALL_MEDIA: Final = Permit(frozenset(MediaType), frozenset(f"{medium}:index" for medium in MediaType))


def pictures() -> list[bytes]:
    return [make(photo(4, 48, 36)) for make in FORMATS.values()]


def sounds() -> list[bytes]:
    return [recorded(music(4, 1.0), name, rate=RATE) for name in RECORDINGS]


def moving() -> list[bytes]:
    return [films.encoded(films.Film(4, 0.5, 64, 48, Fraction(8)), name) for name in films.FORMATS]


def _pool(room: Room, settings: MatcherSettings) -> WorkerPool:
    """As mesh/matcher_service.py makes it, with one worker."""
    return WorkerPool(
        room.media_type,
        workers=1,
        max_waiting=1,
        memory_bytes=settings.worker_memory_bytes,
        preload=(room.fingerprint.__module__,),
        warm_up=room.warm_up,
    )


@asynccontextmanager
async def _decoder(room: Room, settings: MatcherSettings) -> AsyncIterator[Try]:
    count = itertools.count()
    async with _pool(room, settings) as pool:
        reference: list[Fingerprint] = []

        async def attempt(content: bytes) -> str:
            with MediaFile.of(content) as media:
                fingerprint, _ = await pool.run(room.fingerprint, media.path, DETAIL, None, cpu_seconds=TASK_SECONDS)
            if not reference:
                reference.append(fingerprint)
            fingerprint_to_proto(fingerprint)
            if next(count) % COMPARED_EVERY == 0:
                compared = await pool.run(room.compare, fingerprint, reference[0], MatchOptions(), cpu_seconds=TASK_SECONDS)
                assert compared is not None
                assert 0.0 <= compared.score <= 1.0 + 1e-9
                await pool.run(room.search_terms, fingerprint, cpu_seconds=TASK_SECONDS)
            return digest(fingerprint)

        yield attempt


def digest(fingerprint: Fingerprint) -> str:
    return hashlib.sha256(b"".join(fingerprint.layers.values())).hexdigest()


@asynccontextmanager
async def _prober() -> AsyncIterator[Try]:
    """The fetcher's look at how long media run."""
    memory_bytes = FetcherSettings().fetcher_worker_memory_bytes
    async with WorkerPool(
        "fetcher", workers=1, max_waiting=1, memory_bytes=memory_bytes, preload=("fetcher_svc.probe",), warm_up=probe.warm_up
    ) as pool:

        async def attempt(content: bytes) -> float:
            content_type = sniff(content[:SNIFF_BYTES])
            if content_type is None:
                return 0.0
            medium = MediaType.AUDIO if content_type.startswith("audio/") else MediaType.VIDEO
            with MediaFile.of(content) as media:
                return await pool.run(probe.probe_duration, media.path, content_type, medium, cpu_seconds=5.0)

        yield attempt


@asynccontextmanager
async def _unpacker() -> AsyncIterator[Try]:
    async with WorkerPool(
        "archive", workers=1, max_waiting=1, memory_bytes=UNPACKER_MEMORY_BYTES, preload=("index_svc.archive",), warm_up=archive.warm_up
    ) as pool:

        async def attempt(content: bytes) -> int:
            with MediaFile.of(content) as media:
                entries, manifest = await pool.run(archive.read_directory, media.path, 100, 1 << 24, cpu_seconds=10.0)
                items(manifest, entries, ALL_MEDIA, 1000)
                for entry in entries:
                    if not entry.code:
                        await pool.run(archive.read_part, media.path, entry, 0, 1 << 20, cpu_seconds=10.0)
            return len(entries)

        yield attempt


def archives() -> list[bytes]:
    picture = encoded(photo(4, 48, 36), "JPEG")
    manifest = Member("manifest.csv", manifest_of(["a.jpg,image,one", "b/ü.png,image,two"]))
    large = struct_extra(zipped(manifest, Member("a.jpg", picture), Member("b/ü.png", picture, method=0)))
    return [zipped(manifest, Member("a.jpg", picture), Member("b/ü.png", picture, method=0), comment=b"hello"), zipped(manifest), large]


def struct_extra(content: bytes) -> bytes:
    """The same with a field for sizes beyond 4 GiB behind each name of its directory, as some writers have it for any."""
    at = content.index(b"PK\x01\x02")
    directory, body, rest = bytearray(), content[:at], content[at:]
    while rest.startswith(b"PK\x01\x02"):
        name = int.from_bytes(rest[28:30], "little")
        sizes = int.from_bytes(rest[24:28], "little").to_bytes(8, "little") + int.from_bytes(rest[20:24], "little").to_bytes(8, "little")
        extra = b"\x01\0\x10\0" + sizes
        directory += rest[:20] + b"\xff" * 8 + rest[28:30] + len(extra).to_bytes(2, "little") + rest[32 : 46 + name] + extra
        rest = rest[46 + name :]
    end = rest[:12] + len(directory).to_bytes(4, "little") + rest[16:]
    return body + bytes(directory) + end


def simple(read: Callable[[bytes], object]) -> Callable[[], AbstractAsyncContextManager[Try]]:
    """A parser of this process."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Try]:
        async def attempt(content: bytes) -> object:
            return read(content)

        yield attempt

    return opened


def read_url(content: bytes) -> str:
    """It is read as another parser reads it, and its own form means the same."""
    target = parse_url(content.decode("utf-8", "replace"))
    split = urlsplit(str(target.url))
    assert (split.scheme, split.hostname) == (target.scheme, target.host)
    assert split.port in (None, target.port)
    assert split.username is None
    assert parse_url(str(target.url)) == target
    return str(target.url)


def urls() -> list[bytes]:
    return [str(case.values[0]).encode("utf-8", "replace") for case in (*REFUSED, *TAKEN) if case.values[0]]


BODIES: Final = tuple(dict.fromkeys(route.bodies[JSON] for route in ROUTES if JSON in route.bodies))
JSON_TOKENS: Final = [*rb'{ } [ ] " , : \u \ud800 null true 1e999 -0 NaN'.split(), b"\xff", b"\0", b"\xef\xbb\xbf", b"[" * 500, b"9" * 400]


def read_json(content: bytes) -> int:
    """Of all bodies that the API takes; refused where it is none of them."""
    read, refusal = 0, None
    for body in BODIES:
        try:
            read_body(content, body)
            read += 1
        except MeshError as error:
            refusal = error
    if not read and refusal is not None:
        raise refusal
    return read


def json_bodies() -> list[bytes]:
    return [json.dumps(route.example_request).encode() for route in ROUTES if route.example_request]


def read_csv(content: bytes) -> int:
    """The rows of a bulk file, the same in whatever pieces it comes."""
    whole = list(_rows(content, len(content) or 1))
    assert whole == list(_rows(content, 7))
    for row in whole:
        try:
            draft_of(row, ALL_MEDIA, "url")
        except MeshError as error:
            assert error.code == "invalid_request", error
    return len(whole)


def _rows(content: bytes, size: int) -> Iterable[Row]:
    table = Table(CSV_COLUMNS)
    for start in range(0, len(content), size):
        yield from table.feed(content[start : start + size])
    yield from table.end()


def read_hashes(content: bytes) -> int:
    count = 0
    for content_type in (HASH_CSV, JSON_LINES):
        lines, reader = Lines(), RowReader(content_type, "sha256")
        for number, line in [*lines.feed(content), *lines.rest()]:
            count += reader.read(number, line) is not None
    return count


def read_scores(content: bytes) -> int:
    return analysis_of(content, Wanted(), None).refused


TABLES: Final = (
    b'url,media_type,name,metadata\nhttp://a.example.com/1.jpg,image,one,"{""a"": 1}"\r\nhttp://a.example.com/2.mp3,audio,"two\nlines",\n',
    b"\xef\xbb\xbfhttp://a.example.com/1.jpg,image,\xc3\xbc\nhttp://a.example.com/2.jpg,image\n",
)
HASHES: Final = (
    b"hash,kind,name\n" + b"ab" * 32 + b",sha256,one\n" + b"cd" * 16 + b",md5,two\n",
    b'{"hash": "' + b"ab" * 32 + b'", "kind": "pdq", "metadata": {"a": [1]}}\n{"hash": "' + b"0" * 16 + b'", "kind": "phash"}\n',
)
SCORES: Final = (
    b"score,label\n0.1,0\n0.97,1\n0.5,\n0.3,false\n0.8,match\n",
    b"".join(b"0.%03d\n" % (number * 37 % 1000) for number in range(60)),
)
CSV_TOKENS: Final = (b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xe2\x80\xa8", b"nan", b"-1e999", b"=cmd()", b"x" * 70_000)


@contextmanager
def own_mesh() -> Iterator[RunningMesh]:
    with (
        TemporaryDirectory() as folder,
        RunningMesh(Path(folder), AUDIO_ADDRESS="", VIDEO_ADDRESS="", FETCHER_ALLOW_NETWORKS="", IMAGE_WORKERS="1") as mesh,
    ):
        yield mesh
        said = [json.loads(line) for line in mesh.log.splitlines() if '"level": "error"' in line]
        surprises = {str(line.get("exception", line["message"])).strip()[-600:] for line in said}
        assert not surprises, "\n\n".join(sorted(surprises))


@asynccontextmanager
async def _gateway_form() -> AsyncIterator[Try]:
    """A pair as a form, at the front door of a running mesh."""
    with own_mesh() as mesh:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{mesh.port}/image/match"

            async def attempt(content: bytes) -> int:
                async with session.post(url, data=content, headers={"Content-Type": forms.CONTENT_TYPE}) as response:
                    answer = await response.json()
                if response.status != 200:
                    raise _error_of(response.status, answer)
                return int(1000 * answer["similarity_score"])

            yield attempt


def _error_of(status: int, answer: Any) -> MeshError:
    error = BY_CODE[answer["error"]["code"]](answer["error"]["message"])
    assert error.http_status == status
    return error


def form_bodies() -> list[bytes]:
    one, two = encoded(photo(4, 48, 36), "JPEG"), encoded(photo(4, 48, 36), "PNG")
    return [
        forms.form(("include", '["regions"]'), ("threshold", "0.5"), ("source", forms.File(one)), ("target", forms.File(two))),
        forms.form(("source", forms.File(one, "a.jpg", "image/jpeg")), ("target_url", "nowhere"), ("profile", "stock")),
        forms.form(("source_url", "nowhere"), ("target_url", "nowhere")),
    ]


FORM_TOKENS: Final = (
    b"\r\n", b"--", b"\r\n-----", b'name="source"', b"Content-Transfer-Encoding: base64\r\n", b"Content-Encoding: gzip\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n", b"filename*=utf-8''x\r\n", b"Content-Length: 9999999999\r\n", b"\0", b"a" * 9000,
)  # fmt: skip


SOCKETS: Final = {"Matcher": "image", "Fetcher": "fetcher"}
"""Of a service's name; the others are the index's."""
FILES: Final = (matcher_pb2, fetcher_pb2, index_pb2, usage_pb2, thresholds_pb2, decisions_pb2)


PROJECT: Final = str(UUID(int=1 << 127))
"""Stands for one that there is."""


@cache
def methods() -> list[tuple[str, str, Descriptor]]:
    """The socket, the path and what is sent."""
    found = []
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            socket = next((value for name, value in SOCKETS.items() if service.name.startswith(name)), "index")
            found += [(socket, f"/{service.full_name}/{method.name}", method.input_type) for method in service.methods]
    return found


def populated(descriptor: Descriptor, choice: int, depth: int = 0) -> Message:
    """With something in every field, of each group that excludes each other in one."""
    message = message_factory.GetMessageClass(descriptor)()
    chosen = {group.fields[choice % len(group.fields)].name for group in descriptor.oneofs}
    for field in descriptor.fields:
        if (field.containing_oneof and field.name not in chosen) or depth > 3:
            continue
        value = _value(field, choice, depth)
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            if entry.fields_by_name["value"].message_type is None:
                getattr(message, field.name)[value.key] = value.value
        elif field.is_repeated:
            getattr(message, field.name).extend([value, value])
        elif isinstance(value, Message):
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


def _value(field: FieldDescriptor, choice: int, depth: int) -> Any:
    if field.message_type is not None:
        return populated(field.message_type, choice, depth + 1)
    if field.enum_type is not None:
        return field.enum_type.values[choice % len(field.enum_type.values)].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        identity = str(UUID(int=choice)) if field.name.endswith("id") else "nowhere"
        text = {"project_id": PROJECT, "media_type": "image"}.get(field.name, identity)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return bool(choice % 2)
    return (1, 0.5, 7)[choice] if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT) else 1


def messages() -> list[bytes]:
    """With the number of its method behind each."""
    return [
        populated(descriptor, choice).SerializeToString() + b"\n" + bytes([number])
        for choice in range(3)
        for number, (_, _, descriptor) in enumerate(methods())
    ]


@asynccontextmanager
async def _grpc_doors() -> AsyncIterator[Try]:
    """Every method of every service, sent bytes that no stub wrote."""
    with own_mesh() as mesh:
        sockets, project = MeshSettings(data_dir=str(mesh.data_dir)).runtime_dir, new_project(mesh).id
        channels = {name: grpc.aio.insecure_channel(f"unix:{sockets / name}.sock") for name in {socket for socket, _, _ in methods()}}

        async def attempt(content: bytes) -> None:
            message, _, number = content.rpartition(b"\n")
            if len(number) != 1 or number[0] >= len(methods()):
                message, number = content, bytes([crc32(content) % len(methods())])
            message = message.replace(PROJECT.encode(), project.encode())
            socket, path, _ = methods()[number[0]]
            call = channels[socket].stream_stream(path)(iter([message]), timeout=10)
            try:
                async for _ in call:
                    pass
            except grpc.aio.AioRpcError as problem:
                raise from_rpc_error(problem) from problem

        yield attempt
        for channel in channels.values():
            await channel.close()


@asynccontextmanager
async def _stored_layers(room: Room, settings: MatcherSettings, good: Fingerprint) -> AsyncIterator[Try]:
    """A layer of a stored fingerprint, as a caller of Compare may send it, beside a good one."""
    async with _pool(room, settings) as pool:

        async def attempt(content: bytes) -> float:
            level = int.from_bytes(content[:1], "big") & 1
            stored = replace(good, layers={**good.layers, level: content[1:]}, hashes={})
            compared = await pool.run(room.compare, stored, good, MatchOptions(), cpu_seconds=TASK_SECONDS)
            await pool.run(room.search_terms, stored, cpu_seconds=TASK_SECONDS)
            return compared.score if compared else -1.0

        yield attempt


SETTINGS: Final[dict[str, tuple[Room, MatcherSettings]]] = {
    "image": (image_svc.server.ROOM, ImageSettings()),
    "audio": (audio_svc.server.ROOM, AudioSettings()),
    "video": (video_svc.server.ROOM, VideoSettings()),
}


def subject(name: str) -> Subject:
    return SUBJECTS[name]()


def _media(name: str, seeds: Callable[[], list[bytes]], medium: str) -> Subject:
    return Subject(name, Mutants(seeds()), partial(_decoder, *SETTINGS[medium]), MEDIA_CODES)


def _stored(medium: str, seed: bytes) -> Subject:
    room, settings = SETTINGS[medium]
    with MediaFile.of(seed) as media:
        good = room.fingerprint(media.path, DETAIL, None)[0]
    layers = [bytes([level]) + layer for level, layer in good.layers.items()]
    codes = frozenset({"invalid_request", "fingerprint_mismatch"})
    return Subject(f"{medium} fingerprint", Mutants(layers), partial(_stored_layers, room, settings, good), codes)


def _parser(name: str, seeds: Sequence[bytes], tokens: Sequence[bytes], read: Callable[[bytes], object], *codes: str) -> Subject:
    return Subject(name, Mutants(seeds, tokens), simple(read), frozenset(codes), max_seconds=10.0)


_CALL_CODES: Final = frozenset(
    {"invalid_request", "invalid_url", "not_found", "unauthorized", "forbidden", "conflict", "duplicate", "fetch_failed", "not_available"}
    | {"quota_exceeded", "feature_disabled", "fingerprint_mismatch", "unsupported_media", "file_too_large", "insufficient_scope"}
)
SUBJECTS: Final[dict[str, Callable[[], Subject]]] = {
    "image": lambda: _media("image", pictures, "image"),
    "audio": lambda: _media("audio", sounds, "audio"),
    "video": lambda: _media("video", moving, "video"),
    "still as video": lambda: _media("still as video", pictures, "video"),
    "probe": lambda: Subject("probe", Mutants([*sounds(), *moving()]), _prober, MEDIA_CODES),
    "image fingerprint": lambda: _stored("image", encoded(photo(1, 160, 120), "JPEG")),
    "audio fingerprint": lambda: _stored("audio", recorded(music(1, 4.0), "mp3", rate=RATE)),
    "video fingerprint": lambda: _stored("video", films.encoded(films.Film(1, 2.0))),
    "zip": lambda: Subject(
        "zip",
        Mutants(archives(), (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\1\0\x10\0", b"../", b"\xff" * 8)),
        _unpacker,
        frozenset({"unsupported_media", "file_too_large", "invalid_request"}),
    ),
    "url": lambda: _parser("url", urls(), (b"@", b"%00", b"\\", b"[::1]", b"\xef\xbc\x8e", b"xn--"), read_url, "invalid_url"),
    "json": lambda: _parser("json", json_bodies(), JSON_TOKENS, read_json, "invalid_request"),
    "csv": lambda: _parser("csv", TABLES, CSV_TOKENS, read_csv, "invalid_request"),
    "hash list": lambda: _parser("hash list", HASHES, (*CSV_TOKENS, *JSON_TOKENS), read_hashes, "invalid_request"),
    "scores": lambda: _parser("scores", SCORES, CSV_TOKENS, read_scores, "invalid_request"),
    "multipart": lambda: Subject(
        "multipart",
        Mutants(form_bodies(), FORM_TOKENS),
        _gateway_form,
        frozenset(
            {"invalid_request", "invalid_url", "unsupported_media", "unsupported_content_type", "request_too_large", "not_available"}
        ),
    ),
    "protobuf": lambda: Subject("protobuf", Mutants(messages()), _grpc_doors, _CALL_CODES),
}
