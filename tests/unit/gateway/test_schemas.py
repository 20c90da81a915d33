from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from gateway.schemas import MatchBody, MatchRequest, match_body, read_body
from mesh.errors import InvalidRequest, UnsupportedMedia
from mesh.media import Box, Confidence, Coverage, Include, MatchResult, MediaType, Profile, Region, SoundTransform, Transform, Transforms

URLS = {"source_url": "http://a.example/1.jpg", "target_url": "http://a.example/2.jpg"}
BOX = Box(0.0, 0.0, 0.5, 0.5)
RESULT = MatchResult(
    match=True,
    confidence=Confidence.HIGH,
    similarity_score=0.94,
    processing_time_ms=38,
    media_type=MediaType.IMAGE,
    regions=(Region(BOX, BOX, 0.9),),
    transform=Transform(mirrored=True, crop=BOX),
    coverage=Coverage(1.0, 0.5),
    hashes=({"sha256": "ab"}, {"sha256": "cd"}),
)


def test_speed_is_said_of_films_alone() -> None:
    include = [Include.TRANSFORM]
    assert "speed" not in msgspec.to_builtins(match_body(RESULT, include, has_label_none=True))["transform"]
    of_film = replace(RESULT, media_type=MediaType.VIDEO, transform=Transform(speed=1.25))
    assert msgspec.to_builtins(match_body(of_film, include, has_label_none=True))["transform"]["speed"] == 1.25


def test_sound_of_films_stands_beside_their_verdict_as_its_own_endpoint_would_answer() -> None:
    heard = replace(RESULT, match=False, confidence=Confidence.NONE, similarity_score=0.1, media_type=MediaType.AUDIO, transform=None)
    include = [Include.AUDIO, Include.COVERAGE]
    body = msgspec.to_builtins(match_body(RESULT, include, has_label_none=False, sound=heard))
    assert body["audio"] == msgspec.to_builtins(match_body(heard, [Include.COVERAGE], has_label_none=False))
    assert body["audio"]["confidence"] == "low"
    assert {**body, "audio": None} == msgspec.to_builtins(match_body(RESULT, include, has_label_none=False))


def test_films_without_sound_say_so_by_its_code() -> None:
    problem = UnsupportedMedia("holds no audio").of_field("source_url")
    body = msgspec.to_builtins(match_body(RESULT, [Include.AUDIO], has_label_none=True, sound=problem, request_id="7"))
    said = {"code": "unsupported_media", "message": "source_url holds no audio", "request_id": "7", "details": {"field": "source_url"}}
    assert body["audio"] == {"error": said}


def test_two_urls_are_enough() -> None:
    request = read_body(json.dumps(URLS).encode(), MatchRequest)
    assert (request.source_url, request.target_url) == tuple(URLS.values())
    assert request.options().profile is Profile.GENERAL
    assert request.options().transforms is Transforms.ALL
    assert request.options().threshold is None


def test_every_option_is_understood() -> None:
    fields = {
        **URLS,
        "threshold": 0.7,
        "profile": "stock",
        "transforms": "none",
        "include": ["regions", "transform", "coverage", "hashes", "audio"],
    }
    request = read_body(json.dumps(fields).encode(), MatchRequest)
    assert request.options().include == frozenset(Include)
    assert request.options().threshold == 0.7


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"source_url": None}, ["source_url"]),
        ({"target_url": 5}, ["target_url"]),
        ({"source_url": [], "target_url": {}}, ["source_url", "target_url"]),
        ({"threshold": 1.5}, ["threshold"]),
        ({"threshold": "0.5"}, ["threshold"]),
        ({"threshold": True}, ["threshold"]),
        ({"profile": "Loose one"}, ["profile"]),
        ({"transforms": "some"}, ["transforms"]),
        ({"include": "regions"}, ["include"]),
        ({"include": ["everything"]}, ["include"]),
        ({"sourceurl": "x"}, ["sourceurl"]),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], named: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_body(json.dumps({**URLS, **change}).encode(), MatchRequest)
    assert all(name in refusal.value.message for name in named)


def test_unknown_field_is_named_but_not_repeated_at_length() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_body(json.dumps({**URLS, "x" * 50_000: 1}).encode(), MatchRequest)
    assert len(refusal.value.message) < 200
    assert refusal.value.details["field"] == "x" * 64


def test_both_urls_are_named_where_both_are_missing() -> None:
    with pytest.raises(InvalidRequest, match="source_url and target_url"):
        read_body(b"{}", MatchRequest)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"\xff\xfe{\x00}\x00",
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"source_url": NaN}',
        b'{"source_url": "\\ud800", "target_url": "x"}',
        b'{"source_url": 1' + b"0" * 5000 + b"}",
        b'{"threshold": 1e999, "source_url": "a", "target_url": "b"}',
        b"\xef\xbb\xbf{}",
        b'{"source_url": "http://a.example/", "target_url": "http://b.example/", "source_url": "http://c.example/"}',
    ],
)
def test_body_that_is_no_request_is_refused_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_body(body, MatchRequest)


def test_default_answer_has_the_six_fields_and_no_more() -> None:
    body = json.loads(msgspec.json.encode(match_body(RESULT, [], has_label_none=True)))
    assert body == {
        "match": True,
        "confidence": "high",
        "similarity_score": 0.94,
        "processing_time_ms": 38,
        "media_type": "image",
        "matched_segments": [],
    }


@pytest.mark.parametrize("include", list(Include))
def test_what_is_included_appears_under_its_own_name(include: Include) -> None:
    body = json.loads(msgspec.json.encode(match_body(RESULT, [include], has_label_none=True)))
    assert set(body) - {include.value} == {field.name for field in msgspec.structs.fields(MatchBody) if field.name != "lane"} - {
        word.value for word in Include
    }
    assert include.value in body


def test_label_none_can_be_given_out_as_low() -> None:
    result = MatchResult(False, Confidence.NONE, 0.1, 1, MediaType.IMAGE)
    assert match_body(result, [], has_label_none=True).confidence == "none"
    assert match_body(result, [], has_label_none=False).confidence == "low"
    assert match_body(RESULT, [], has_label_none=False).confidence == "high"


def test_fields_of_the_request_are_the_documented_ones() -> None:
    names = {field.name for field in msgspec.structs.fields(MatchRequest)}
    assert names == {"source_url", "target_url", "threshold", "profile", "policy", "transforms", "include"}


def test_transform_of_a_picture_says_nothing_of_sound_and_the_other_way_round() -> None:
    def shown(picture: Transform | None, sound: SoundTransform | None) -> object:
        body = match_body(replace(RESULT, transform=picture, sound_transform=sound), [Include.TRANSFORM], has_label_none=True)
        return json.loads(msgspec.json.encode(body))["transform"]

    assert shown(None, SoundTransform(-2.0, 1.05)) == {"pitch_semitones": -2.0, "tempo": 1.05}
    assert shown(Transform(crop=BOX), None) == {
        "mirrored": False,
        "rotation_degrees": 0.0,
        "scale": 1.0,
        "matrix": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "crop": {"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5},
    }
    assert shown(None, None) is None
