"""Between the plain values of mesh/media.py and protobuf: one function a direction and message. Untrusted numbers are clamped here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

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
    Provenance,
    Region,
    Segment,
    SoundTransform,
    Transform,
    Transforms,
)
from protos import media_pb2, thresholds_pb2

Word = TypeVar("Word", bound=StrEnum)


def _numbers(words: type[Word], prefix: str) -> dict[Word, int]:
    return {word: getattr(media_pb2, f"{prefix}_{word.name}") for word in words}


_MEDIA_TYPE = _numbers(MediaType, "MEDIA_TYPE")
_CONFIDENCE = _numbers(Confidence, "CONFIDENCE")
_PROFILE = _numbers(Profile, "PROFILE")
_TRANSFORMS = _numbers(Transforms, "TRANSFORMS")
_INCLUDE = _numbers(Include, "INCLUDE")


def _word(numbers: dict[Word, int], number: int, what: str, default: Word | None = None) -> Word:
    for word, value in numbers.items():
        if value == number:
            return word
    if number == 0 and default is not None:
        return default
    raise InvalidRequest(f"{what} has no meaning for {number}", field=what)


def media_type_to_proto(media_type: MediaType) -> Any:
    return _MEDIA_TYPE[media_type]


def media_type_from_proto(number: int) -> MediaType:
    return _word(_MEDIA_TYPE, number, "media_type")


def confidence_to_proto(confidence: Confidence) -> Any:
    return _CONFIDENCE[confidence]


def confidence_from_proto(number: int) -> Confidence:
    return _word(_CONFIDENCE, number, "confidence")


def fingerprint_to_proto(fingerprint: Fingerprint) -> media_pb2.Fingerprint:
    return media_pb2.Fingerprint(
        media_type=media_type_to_proto(fingerprint.media_type),
        algorithm=fingerprint.algorithm,
        version=fingerprint.version,
        layers=[media_pb2.Layer(level=level, payload=payload) for level, payload in sorted(fingerprint.layers.items())],
        terms=media_pb2.Terms(values=fingerprint.terms, positions=fingerprint.term_positions),
        duration_seconds=fingerprint.duration_seconds,
        information=fingerprint.information,
        hashes=fingerprint.hashes,
    )


def fingerprint_from_proto(message: media_pb2.Fingerprint) -> Fingerprint:
    return Fingerprint(
        media_type=media_type_from_proto(message.media_type),
        algorithm=message.algorithm,
        version=message.version,
        layers={layer.level: layer.payload for layer in message.layers},
        information=message.information,
        hashes=dict(message.hashes),
        terms=tuple(message.terms.values),
        term_positions=tuple(message.terms.positions),
        duration_seconds=message.duration_seconds,
    )


def options_to_proto(options: MatchOptions) -> media_pb2.MatchOptions:
    return media_pb2.MatchOptions(
        threshold=options.threshold,
        profile=_PROFILE[options.profile],  # type: ignore[arg-type]
        transforms=_TRANSFORMS[options.transforms],  # type: ignore[arg-type]
        include=[_INCLUDE[word] for word in sorted(options.include)],  # type: ignore[misc]
    )


def options_from_proto(message: media_pb2.MatchOptions) -> MatchOptions:
    threshold = message.threshold if message.HasField("threshold") else None
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InvalidRequest("threshold must be from 0 to 1", field="threshold")
    return MatchOptions(
        threshold=threshold,
        profile=_word(_PROFILE, message.profile, "profile", Profile.GENERAL),
        transforms=_word(_TRANSFORMS, message.transforms, "transforms", Transforms.ALL),
        include=frozenset(_word(_INCLUDE, number, "include") for number in message.include),
    )


def result_to_proto(result: MatchResult) -> media_pb2.MatchResult:
    message = media_pb2.MatchResult(
        match=result.match,
        confidence=_CONFIDENCE[result.confidence],  # type: ignore[arg-type]
        similarity_score=result.similarity_score,
        processing_time_ms=result.processing_time_ms,
        media_type=media_type_to_proto(result.media_type),
        matched_segments=[_segment_to_proto(segment) for segment in result.matched_segments],
        regions=[
            media_pb2.Region(source=_box_to_proto(region.source), target=_box_to_proto(region.target), score=region.score)
            for region in result.regions
        ],
        timings=timings_to_proto(result.timings),
    )
    if result.transform is not None:
        message.transform.CopyFrom(_transform_to_proto(result.transform))
    if (sound := result.sound_transform) is not None:
        message.sound_transform.CopyFrom(media_pb2.SoundTransform(pitch_semitones=sound.pitch_semitones, tempo=sound.tempo))
    if result.coverage is not None:
        message.coverage.CopyFrom(media_pb2.Coverage(source=result.coverage.source, target=result.coverage.target))
    if result.hashes is not None:
        message.hashes.CopyFrom(media_pb2.Hashes(source=result.hashes[0], target=result.hashes[1]))
    if (made := result.provenance) is not None:
        hashes = media_pb2.Hashes(source=made.source, target=made.target)
        message.provenance.CopyFrom(media_pb2.Provenance(algorithm=made.algorithm, version=made.version, hashes=hashes))
    return message


def timings_to_proto(timings: dict[str, float]) -> list[media_pb2.Timing]:
    return [media_pb2.Timing(stage=stage, milliseconds=spent) for stage, spent in timings.items()]


def result_from_proto(message: media_pb2.MatchResult) -> MatchResult:
    return MatchResult(
        match=message.match,
        confidence=_word(_CONFIDENCE, message.confidence, "confidence"),
        similarity_score=message.similarity_score,
        processing_time_ms=message.processing_time_ms,
        media_type=media_type_from_proto(message.media_type),
        matched_segments=tuple(
            Segment(part.source_start, part.source_end, part.target_start, part.target_end, part.score) for part in message.matched_segments
        ),
        regions=tuple(Region(_box_from_proto(region.source), _box_from_proto(region.target), region.score) for region in message.regions),
        transform=_transform_from_proto(message.transform) if message.HasField("transform") else None,
        sound_transform=_sound_transform_from_proto(message.sound_transform) if message.HasField("sound_transform") else None,
        coverage=Coverage(message.coverage.source, message.coverage.target) if message.HasField("coverage") else None,
        hashes=(dict(message.hashes.source), dict(message.hashes.target)) if message.HasField("hashes") else None,
        timings={timing.stage: timing.milliseconds for timing in message.timings},
        provenance=_provenance_from_proto(message.provenance) if message.HasField("provenance") else None,
    )


def _segment_to_proto(segment: Segment) -> media_pb2.Segment:
    return media_pb2.Segment(
        source_start=segment.source_start,
        source_end=segment.source_end,
        target_start=segment.target_start,
        target_end=segment.target_end,
        score=segment.score,
    )


def _provenance_from_proto(message: media_pb2.Provenance) -> Provenance:
    return Provenance(message.algorithm, message.version, dict(message.hashes.source), dict(message.hashes.target))


def _box_to_proto(box: Box) -> media_pb2.Box:
    return media_pb2.Box(x=box.x, y=box.y, width=box.width, height=box.height)


def _box_from_proto(message: media_pb2.Box) -> Box:
    return Box(message.x, message.y, message.width, message.height)


def _transform_to_proto(transform: Transform) -> media_pb2.Transform:
    return media_pb2.Transform(
        mirrored=transform.mirrored,
        rotation_degrees=transform.rotation_degrees,
        scale=transform.scale,
        matrix=transform.matrix,
        crop=_box_to_proto(transform.crop) if transform.crop else None,
        speed=transform.speed,
    )


def _sound_transform_from_proto(message: media_pb2.SoundTransform) -> SoundTransform:
    return SoundTransform(message.pitch_semitones, message.tempo)


def _transform_from_proto(message: media_pb2.Transform) -> Transform:
    return Transform(
        mirrored=message.mirrored,
        rotation_degrees=message.rotation_degrees,
        scale=message.scale,
        matrix=tuple(message.matrix),
        crop=_box_from_proto(message.crop) if message.HasField("crop") else None,
        speed=message.speed if message.HasField("speed") else None,
    )


def cutoffs_to_proto(cutoffs: Mapping[MediaType, float]) -> thresholds_pb2.Cutoffs:
    return thresholds_pb2.Cutoffs(**{medium.value: cutoff for medium, cutoff in cutoffs.items()})


def cutoffs_from_proto(message: thresholds_pb2.Cutoffs) -> dict[MediaType, float]:
    return {medium: getattr(message, medium) for medium in MediaType if message.HasField(medium.value)}
