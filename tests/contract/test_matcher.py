"""What every matcher owes its callers over gRPC, whatever its medium: one suite, run against each of them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import audio_svc.server
import audio_svc.settings
import image_svc.server
import image_svc.settings
import video_svc.server
import video_svc.settings
from mesh import client
from mesh.errors import DurationTooLong, FileTooLarge, FingerprintMismatch, InvalidRequest, MeshError, NotAvailable, UnsupportedMedia
from mesh.media_type import LIMITS
from mesh.server import Service, start_server
from mesh.settings import MeshSettings
from mesh.wire import media_type_from_proto
from protos import matcher_pb2, matcher_pb2_grpc, media_pb2
from tests import films
from tests.pictures import encoded, photo
from tests.recordings import recorded, silent_flac
from tests.sounds import RATE, music, silence


@dataclass(frozen=True)
class Medium:
    """A matcher, and media to try it on."""

    build: Callable[[MeshSettings], Service]
    settings: Callable[..., MeshSettings]
    number: int
    original: bytes
    copy: bytes
    other: bytes
    blank: bytes
    bomb: bytes


def png_bomb() -> bytes:
    """60,000 x 60,000 pixels in 57 bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def image() -> Medium:
    return Medium(
        build=image_svc.server.build,  # type: ignore[arg-type]
        settings=lambda **values: image_svc.settings.Settings(workers=1, **values),
        number=media_pb2.MEDIA_TYPE_IMAGE,
        original=encoded(photo(1), "JPEG"),
        copy=encoded(Image.fromarray(photo(1)).resize((400, 300)), "PNG"),
        other=encoded(photo(2), "JPEG"),
        blank=encoded(Image.fromarray(photo(1)).resize((1, 1)).resize((640, 480)), "PNG"),
        bomb=png_bomb(),
    )


def audio() -> Medium:
    original = music(1, 10.0)
    return Medium(
        build=audio_svc.server.build,  # type: ignore[arg-type]
        settings=lambda **values: audio_svc.settings.Settings(workers=1, **values),
        number=media_pb2.MEDIA_TYPE_AUDIO,
        original=recorded(original, "flac", rate=RATE),
        copy=recorded(0.5 * original, "mp3", rate=RATE),
        other=recorded(music(2, 10.0), "flac", rate=RATE),
        blank=recorded(silence(10.0), "flac", rate=RATE),
        bomb=silent_flac(36_000.0),
    )


def video() -> Medium:
    original = films.Film(1, 8.0)
    return Medium(
        build=video_svc.server.build,  # type: ignore[arg-type]
        settings=lambda **values: video_svc.settings.Settings(workers=1, **values),
        number=media_pb2.MEDIA_TYPE_VIDEO,
        original=films.encoded(original),
        copy=films.encoded(replace(original, width=240, height=180), "webm"),
        other=films.encoded(films.Film(2, 8.0)),
        blank=films.encoded(original, edit=np.zeros_like),
        bomb=films.encoded(films.Film(1, 2.0, rate=Fraction(1)), "mkv", moments=[0.0, 36_000.0]),
    )


@pytest.fixture(scope="module", params=[image, audio, video], ids=lambda make: make.__name__)
def medium(request: pytest.FixtureRequest) -> Medium:
    made: Medium = request.param()
    return made


@pytest.fixture
async def stub(medium: Medium, tmp_path: Path) -> AsyncIterator[Any]:
    settings = medium.settings(data_dir=str(tmp_path))
    service = medium.build(settings)
    for resource in service.resources:
        await resource.__aenter__()
    server, _ = await start_server(settings, service)
    async with client.open_channel(settings, service.listen) as channel:
        yield matcher_pb2_grpc.MatcherServiceStub(channel)
    await server.stop(0)
    for resource in reversed(service.resources):
        await resource.__aexit__(None, None, None)


async def fingerprint(stub: Any, content: bytes, max_level: int | None = None) -> media_pb2.Fingerprint:
    async def requests() -> AsyncIterator[matcher_pb2.ComputeFingerprintRequest]:
        yield matcher_pb2.ComputeFingerprintRequest(head=matcher_pb2.FingerprintHead(inline=matcher_pb2.InlineMedia(), max_level=max_level))
        for start in range(0, len(content), 1 << 20):
            yield matcher_pb2.ComputeFingerprintRequest(chunk=content[start : start + (1 << 20)])

    response = await client.ask(stub.ComputeFingerprint, requests())
    return response.fingerprint  # type: ignore[no-any-return]


async def compare(stub: Any, query: media_pb2.Fingerprint, *candidates: media_pb2.Fingerprint) -> list[matcher_pb2.CompareResponse]:
    async def requests() -> AsyncIterator[matcher_pb2.CompareRequest]:
        yield matcher_pb2.CompareRequest(head=matcher_pb2.CompareHead(query=query))
        for number, candidate in enumerate(candidates):
            yield matcher_pb2.CompareRequest(candidate=matcher_pb2.Candidate(id=str(number), fingerprint=candidate))

    return [response async for response in client.ask_stream(stub.Compare, requests())]


async def test_matcher_says_of_what_version_its_fingerprints_are(stub: Any, medium: Medium) -> None:
    said = await client.ask(stub.DescribeFingerprints, matcher_pb2.DescribeFingerprintsRequest())
    made = await fingerprint(stub, medium.original)
    assert (said.media_type, said.algorithm, said.version) == (medium.number, made.algorithm, made.version)


async def test_copy_matches_other_does_not_and_answers_keep_their_order(stub: Any, medium: Medium) -> None:
    original, copy, other = [await fingerprint(stub, content) for content in (medium.original, medium.copy, medium.other)]
    responses = await compare(stub, original, original, copy, other)
    assert [response.id for response in responses] == ["0", "1", "2"]
    same, near, far = [response.result for response in responses]
    assert same.similarity_score == 1.0
    assert near.match
    assert near.similarity_score >= 0.97
    assert not far.match
    assert far.similarity_score < 0.4
    assert far.confidence == media_pb2.CONFIDENCE_NONE
    assert {result.media_type for result in (same, near, far)} == {medium.number}


async def test_fingerprint_is_a_function_of_the_bytes_alone(stub: Any, medium: Medium, tmp_path: Path) -> None:
    first = await fingerprint(stub, medium.original)
    settings = medium.settings(data_dir=str(tmp_path / "another"))
    service = medium.build(settings)
    for resource in service.resources:
        await resource.__aenter__()
    server, _ = await start_server(settings, service)
    async with client.open_channel(settings, service.listen) as channel:
        second = await fingerprint(matcher_pb2_grpc.MatcherServiceStub(channel), medium.original)
    await server.stop(0)
    for resource in service.resources:
        await resource.__aexit__(None, None, None)
    assert first == second
    assert media_type_from_proto(first.media_type)
    assert len(first.terms.values) > 0
    assert len(first.hashes["sha256"]) == 64


async def test_outline_alone_is_given_where_it_is_all_that_is_asked_for(stub: Any, medium: Medium) -> None:
    shallow = await fingerprint(stub, medium.original, max_level=0)
    assert [layer.level for layer in shallow.layers] == [0]
    whole = await fingerprint(stub, medium.original)
    assert [layer.level for layer in whole.layers] == [0, 1]
    assert shallow.layers[0] == whole.layers[0]
    # Now that the whole of it is known: the same answer.
    assert await fingerprint(stub, medium.original, max_level=0) == shallow


async def test_score_does_not_depend_on_which_layers_happen_to_be_there(stub: Any, medium: Medium) -> None:
    whole = [await fingerprint(stub, content) for content in (medium.original, medium.copy)]
    shallow = [await fingerprint(stub, content, max_level=0) for content in (medium.original, medium.copy)]
    for query in (whole[0], shallow[0]):
        with_whole, with_shallow = await compare(stub, query, whole[1], shallow[1])
        if with_shallow.WhichOneof("outcome") == "result":
            assert with_shallow.result.similarity_score == with_whole.result.similarity_score
        else:
            assert with_shallow.refusal.code == "invalid_request"


async def test_pair_is_symmetric(stub: Any, medium: Medium) -> None:
    one, two = await fingerprint(stub, medium.original), await fingerprint(stub, medium.copy)
    there, back = (await compare(stub, one, two))[0], (await compare(stub, two, one))[0]
    assert abs(there.result.similarity_score - back.result.similarity_score) <= 1e-6


async def test_nothing_to_see_matches_nothing_but_itself(stub: Any, medium: Medium) -> None:
    blank, original = await fingerprint(stub, medium.blank), await fingerprint(stub, medium.original)
    assert blank.information < 0.05 < original.information
    against_other, against_itself = await compare(stub, blank, original, blank)
    assert against_other.result.similarity_score == 0.0
    assert against_itself.result.similarity_score == 1.0


async def test_other_algorithm_or_version_is_refused_and_the_stream_goes_on(stub: Any, medium: Medium) -> None:
    original = await fingerprint(stub, medium.original)
    newer, foreign, elsewhere = media_pb2.Fingerprint(), media_pb2.Fingerprint(), media_pb2.Fingerprint()
    for changed in (newer, foreign, elsewhere):
        changed.CopyFrom(original)
    newer.version += 1
    foreign.algorithm = "someone-elses"
    elsewhere.media_type = media_pb2.MEDIA_TYPE_VIDEO if medium.number != media_pb2.MEDIA_TYPE_VIDEO else media_pb2.MEDIA_TYPE_AUDIO
    *refused, kept = await compare(stub, original, newer, foreign, elsewhere, original)
    assert [response.refusal.code for response in refused] == ["fingerprint_mismatch"] * 3
    assert kept.result.similarity_score == 1.0


async def test_fingerprints_that_name_no_hash_are_not_taken_for_the_same(stub: Any, medium: Medium) -> None:
    original, other = await fingerprint(stub, medium.original), await fingerprint(stub, medium.other)
    for nameless in (original, other):
        nameless.hashes.clear()
    response = (await compare(stub, original, other))[0]
    assert response.result.similarity_score < 0.4


@pytest.mark.parametrize("damage", ["empty", "cut", "noise"])
async def test_damaged_fingerprint_is_refused_with_a_code_and_the_matcher_lives_on(stub: Any, medium: Medium, damage: str) -> None:
    original, copy = await fingerprint(stub, medium.original), await fingerprint(stub, medium.copy)
    damaged = media_pb2.Fingerprint()
    damaged.CopyFrom(copy)
    for layer in damaged.layers:
        payload = layer.payload
        layer.payload = {
            "empty": b"",
            "cut": payload[: len(payload) // 2],
            "noise": bytes(len(payload)),
        }[damage]
    damaged.hashes["sha256"] = "0" * 64
    refused, kept = await compare(stub, original, damaged, copy)
    assert refused.WhichOneof("outcome") == "refusal" or not refused.result.match
    assert refused.refusal.code in ("", "invalid_request", "fingerprint_mismatch")
    assert kept.result.match


@pytest.mark.parametrize(
    ("content", "error"),
    [("", UnsupportedMedia), ("garbage" * 1000, UnsupportedMedia), ("\x00" * 5000, UnsupportedMedia)],
    ids=["empty", "garbage", "zeros"],
)
async def test_what_is_no_medium_is_unsupported(stub: Any, content: str, error: type[MeshError]) -> None:
    with pytest.raises(error):
        await fingerprint(stub, content.encode())


async def test_bomb_ends_in_a_code(stub: Any, medium: Medium) -> None:
    with pytest.raises((UnsupportedMedia, FileTooLarge, DurationTooLong)):
        await fingerprint(stub, medium.bomb)


async def test_inline_media_over_the_cap_are_refused(stub: Any, medium: Medium) -> None:
    cap = LIMITS[media_type_from_proto(medium.number)].max_bytes
    with pytest.raises(FileTooLarge):
        await fingerprint(stub, medium.original + bytes(cap))


async def test_stream_that_does_not_begin_with_its_head_is_refused(stub: Any) -> None:
    async def headless() -> AsyncIterator[matcher_pb2.ComputeFingerprintRequest]:
        yield matcher_pb2.ComputeFingerprintRequest(chunk=b"x")

    with pytest.raises(InvalidRequest):
        await client.ask(stub.ComputeFingerprint, headless())


async def test_match_without_a_fetcher_is_not_available(stub: Any) -> None:
    request = matcher_pb2.MatchRequest(source_url="http://example.com/a", target_url="http://example.com/b")
    with pytest.raises(NotAvailable):
        await client.ask(stub.Match, request)


async def test_search_terms_of_a_copy_meet_the_terms_that_an_index_keeps_of_the_original(stub: Any, medium: Medium) -> None:
    original, copy, other = [await fingerprint(stub, content) for content in (medium.original, medium.copy, medium.other)]
    # As an index stores it.
    copy.ClearField("terms")
    asked = await client.ask(stub.ComputeSearchTerms, matcher_pb2.ComputeSearchTermsRequest(fingerprint=copy))
    assert len(asked.terms.positions) in (0, len(asked.terms.values))
    shared = [len(set(asked.terms.values) & set(kept.terms.values)) for kept in (original, other)]
    assert shared[0] > 3 * shared[1]


async def test_search_terms_need_whole_fingerprints_of_this_kind(stub: Any, medium: Medium) -> None:
    known = await fingerprint(stub, medium.original)
    bare = media_pb2.Fingerprint(media_type=known.media_type, algorithm=known.algorithm, version=known.version)
    with pytest.raises(InvalidRequest):
        await client.ask(stub.ComputeSearchTerms, matcher_pb2.ComputeSearchTermsRequest(fingerprint=bare))
    known.version += 1
    with pytest.raises(FingerprintMismatch):
        await client.ask(stub.ComputeSearchTerms, matcher_pb2.ComputeSearchTermsRequest(fingerprint=known))


async def test_hashes_that_others_speak_come_where_they_are_asked_for(medium: Medium, stub: Any) -> None:
    async def requests(*, with_hashes: bool) -> AsyncIterator[matcher_pb2.ComputeFingerprintRequest]:
        head = matcher_pb2.FingerprintHead(inline=matcher_pb2.InlineMedia(), include_hashes=with_hashes)
        yield matcher_pb2.ComputeFingerprintRequest(head=head)
        yield matcher_pb2.ComputeFingerprintRequest(chunk=medium.original)

    asked = await client.ask(stub.ComputeFingerprint, requests(with_hashes=True))
    exact = {name: hashlib.new(name, medium.original).hexdigest() for name in ("md5", "sha1", "sha256")}
    assert exact.items() <= dict(asked.hashes).items()
    assert ("pdq" in asked.hashes) == (medium.number == media_pb2.MEDIA_TYPE_IMAGE)
    plain = await client.ask(stub.ComputeFingerprint, requests(with_hashes=False))
    assert not plain.hashes
    assert plain.fingerprint == asked.fingerprint
