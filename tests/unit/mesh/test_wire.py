from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.errors import InvalidRequest
from mesh.media import (
    Box,
    Confidence,
    Coverage,
    Fingerprint,
    Include,
    MatchOptions,
    MatchResult,
    MediaType,
    Profile,
    Region,
    Segment,
    SoundTransform,
    Transform,
    Transforms,
)
from mesh.wire import fingerprint_from_proto, fingerprint_to_proto, options_from_proto, options_to_proto, result_from_proto, result_to_proto
from protos import media_pb2


def test_fingerprint_crosses_whole_but_for_its_working_bytes() -> None:
    fingerprint = Fingerprint(
        MediaType.AUDIO, "sample", 3, {0: b"a", 1: b"b"}, 0.5, {"sha256": "ab"}, (1, 2**64 - 1), (0, 250), 12.5, working=b"never leaves"
    )
    crossed = fingerprint_from_proto(fingerprint_to_proto(fingerprint))
    assert crossed.working == b""
    assert crossed == Fingerprint(MediaType.AUDIO, "sample", 3, {0: b"a", 1: b"b"}, 0.5, {"sha256": "ab"}, (1, 2**64 - 1), (0, 250), 12.5)


@pytest.mark.parametrize(
    "options",
    [
        MatchOptions(),
        MatchOptions(threshold=0.0, profile=Profile.STOCK, transforms=Transforms.NONE, include=frozenset(Include)),
    ],
)
def test_options_cross_whole(options: MatchOptions) -> None:
    assert options_from_proto(options_to_proto(options)) == options


def test_options_left_out_mean_the_defaults() -> None:
    assert options_from_proto(media_pb2.MatchOptions()) == MatchOptions()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf")])
def test_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidRequest, match="threshold"):
        options_from_proto(media_pb2.MatchOptions(threshold=threshold))


def test_number_without_a_meaning_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="media_type"):
        fingerprint_from_proto(media_pb2.Fingerprint(media_type=99))  # type: ignore[arg-type]


def test_result_crosses_whole() -> None:
    box = Box(0.1, 0.2, 0.3, 0.4)
    result = MatchResult(
        match=True,
        confidence=Confidence.MEDIUM,
        similarity_score=0.74,
        processing_time_ms=612,
        media_type=MediaType.AUDIO,
        matched_segments=(Segment(5.1, 18.9, 0.0, 13.8, 0.78),),
        regions=(Region(box, box, 0.9),),
        transform=Transform(True, 90.0, 0.5, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0), box),
        coverage=Coverage(1.0, 0.25),
        hashes=({"sha256": "ab"}, {"sha256": "cd"}),
        timings={"fetch": 1.5},
    )
    assert result_from_proto(result_to_proto(result)) == result
    of_film = replace(result, transform=Transform(speed=1.25))
    assert result_from_proto(result_to_proto(of_film)) == of_film
    of_sound = replace(result, transform=None, sound_transform=SoundTransform(-2.0, 1.05))
    assert result_from_proto(result_to_proto(of_sound)) == of_sound
