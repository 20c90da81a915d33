"""The public JSON, as types: what is not in here is neither taken nor given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, UnsetType
from multidict import MultiMapping

from mesh.errors import InvalidRequest, MeshError
from mesh.media import Include, MatchOptions, MatchResult, MediaType, Profile, Transforms

MAX_BODY_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 256 * 1024
MAX_TARGETS: Final = 100
FILE_SCHEMA: Final = {"type": "string", "format": "binary"}

Form = TypeVar("Form", bound=msgspec.Struct)
Score = Annotated[float, Meta(ge=0, le=1)]
Url = Annotated[str, Meta(description="A public http or https URL.")]
Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]


class MatchOptionFields(msgspec.Struct, kw_only=True):
    """What any comparison of a pair may be told."""

    threshold: Annotated[Score | None, Meta(description="The score from which on `match` is true, instead of the profile's cutoff.")] = None
    profile: Annotated[
        Name | UnsetType,
        Meta(
            description="Which cutoff decides: `general`, `stock` or `adversarial` (see GET /config), or a profile of the key's project. "
            "Without it: that of the key's project named `default`, where it has one, else `general`."
        ),
    ] = UNSET
    policy: Annotated[Name | None, Meta(description="A policy of the key's project; `lane` then says where the score falls in it.")] = None
    transforms: Annotated[Transforms, Meta(description="`none`: only copies that are upright, unmirrored and at their own pace match.")] = (
        Transforms.ALL
    )
    include: Annotated[list[Include], Meta(description="Fields that the answer has beside the six.")] = []

    def options(self, own_cutoff: float | None = None) -> MatchOptions:
        """With the cutoff of the profile that decides, where that is none of the product's."""
        threshold = own_cutoff if self.threshold is None else self.threshold
        profile = Profile(self.profile) if self.profile and threshold is None else Profile.GENERAL
        return MatchOptions(threshold, profile, self.transforms, frozenset(self.include))


class MatchRequest(MatchOptionFields, kw_only=True):
    """The body of POST /image/match, /video/match and /audio/match."""

    source_url: Url
    target_url: Url


class MatchForm(MatchOptionFields, kw_only=True):
    """The same as a form: each side is a file (`source`, `target`) or a URL, and the lists are JSON or one plain value."""

    source: Annotated[bytes | UnsetType, Meta(extra_json_schema=FILE_SCHEMA)] = UNSET
    target: Annotated[bytes | UnsetType, Meta(extra_json_schema=FILE_SCHEMA)] = UNSET
    source_url: Url | UnsetType = UNSET
    target_url: Url | UnsetType = UNSET


class BatchRequest(MatchOptionFields, kw_only=True):
    """The body of POST /image/match/batch, /video/match/batch and /audio/match/batch."""

    source_url: Url
    target_urls: Annotated[list[Url], Meta(min_length=1, max_length=MAX_TARGETS, description="Compared with the source, each for itself.")]


_SHOWN_CHARACTERS: Final = 64
_GIVEN_VALUE: Final = re.compile(r"(?<=Invalid enum value) '.*'", re.DOTALL)


class SegmentBody(msgspec.Struct, kw_only=True):
    source_start: float
    source_end: float
    target_start: float
    target_end: float
    score: Score


class BoxBody(msgspec.Struct, kw_only=True):
    x: float
    y: float
    width: float
    height: float


class RegionBody(msgspec.Struct, kw_only=True):
    source: BoxBody
    target: BoxBody
    score: Score


class TransformBody(msgspec.Struct, kw_only=True):
    """Of pictures the first five, of films these and their speed, of sounds the last two: what each can be changed by."""

    mirrored: bool | UnsetType = UNSET
    rotation_degrees: float | UnsetType = UNSET
    scale: float | UnsetType = UNSET
    matrix: list[float] | UnsetType = UNSET
    crop: BoxBody | UnsetType | None = UNSET
    speed: Annotated[float, Meta(gt=0)] | UnsetType | None = UNSET
    pitch_semitones: float | UnsetType = UNSET
    tempo: float | UnsetType = UNSET


class CoverageBody(msgspec.Struct, kw_only=True):
    source: Score
    target: Score


class HashesBody(msgspec.Struct, kw_only=True):
    source: dict[str, str]
    target: dict[str, str]


class ErrorDetail(msgspec.Struct, kw_only=True):
    code: str
    message: str
    request_id: str
    details: dict[str, str] | UnsetType = UNSET


class SoundBody(msgspec.Struct, kw_only=True):
    """What POST /audio/match answers to the same request: its fields, or `error` alone, as where there is no sound track."""

    match: bool | UnsetType = UNSET
    confidence: Literal["none", "low", "medium", "high"] | UnsetType = UNSET
    similarity_score: Score | UnsetType = UNSET
    processing_time_ms: int | UnsetType = UNSET
    media_type: Literal["audio"] | UnsetType = UNSET
    matched_segments: list[SegmentBody] | UnsetType = UNSET
    regions: list[RegionBody] | UnsetType = UNSET
    transform: TransformBody | UnsetType | None = UNSET
    coverage: CoverageBody | UnsetType = UNSET
    hashes: HashesBody | UnsetType = UNSET
    error: ErrorDetail | UnsetType = UNSET


class MatchBody(msgspec.Struct, kw_only=True):
    """The envelope: six fields, those that `include` asked for (null where there is nothing to say), and the lane that `policy` gave."""

    match: bool
    confidence: Literal["none", "low", "medium", "high"]
    similarity_score: Score
    processing_time_ms: int
    media_type: Literal["image", "video", "audio"]
    matched_segments: list[SegmentBody]
    regions: list[RegionBody] | UnsetType = UNSET
    transform: TransformBody | UnsetType | None = UNSET
    coverage: CoverageBody | UnsetType = UNSET
    hashes: HashesBody | UnsetType = UNSET
    audio: SoundBody | UnsetType | None = UNSET
    lane: str | UnsetType = UNSET


class FailureDetail(msgspec.Struct, kw_only=True):
    """As in an error's body."""

    code: str
    message: str
    details: dict[str, str] | UnsetType = UNSET


class TargetBody(msgspec.Struct, kw_only=True):
    """One target's outcome: the envelope that the pair alone would get, or why there is none."""

    target_url: str
    result: MatchBody | UnsetType = UNSET
    error: FailureDetail | UnsetType = UNSET


class BatchBody(msgspec.Struct, kw_only=True):
    """In the order of `target_urls`; the time is that of all the work together."""

    results: list[TargetBody]
    succeeded: int
    failed: int
    processing_time_ms: int


class HealthBody(msgspec.Struct, kw_only=True):
    status: Literal["ok"]


class ServiceBody(msgspec.Struct, kw_only=True):
    status: Literal["serving", "not_serving", "not_available"]
    # What its decoders are kept in.
    sandbox: str | UnsetType = UNSET


class ReadinessBody(msgspec.Struct, kw_only=True):
    status: Literal["ready"]
    services: dict[str, ServiceBody]


class LabelFloorsBody(msgspec.Struct, kw_only=True):
    """The scores from which on `confidence` says so."""

    low: Score
    medium: Score
    high: Score


class MediumBody(msgspec.Struct, kw_only=True):
    """What holds for one medium; cutoffs are inclusive."""

    match_cutoff: Score
    profiles: dict[str, Score]
    confidence: LabelFloorsBody
    max_bytes: int
    max_duration_seconds: float | None


class ConfigBody(msgspec.Struct, kw_only=True):
    media: dict[MediaType, MediumBody]


class ErrorBody(msgspec.Struct, kw_only=True):
    """Every answer that is not 2xx."""

    error: ErrorDetail


class NotReadyBody(msgspec.Struct, kw_only=True):
    error: ErrorDetail
    status: Literal["not_ready"]
    services: dict[str, ServiceBody]


def error_body(error: MeshError, request_id: str) -> ErrorBody:
    """The error as the public API answers it."""
    details = {name: _sayable(text) for name, text in error.details.items()}
    detail = ErrorDetail(code=error.code, message=_sayable(error.message), request_id=request_id, details=details or UNSET)
    return ErrorBody(error=detail)


def _sayable(text: str) -> str:
    """A name that an error repeats may have come as bytes that are no UTF-8, and so as halves of characters."""
    return text.encode(errors="replace").decode()


def read_body(body: bytes, form: type[Form]) -> Form:
    """The body as a request, or InvalidRequest that names what is wrong with which field."""
    required = [field.name for field in _fields_of(form) if field.required]
    try:
        fields = msgspec.json.decode(body)
        _refuse_doubles(body)
    except (ValueError, RecursionError) as problem:
        raise InvalidRequest("the body is not valid JSON") from problem
    if not isinstance(fields, dict):
        raise InvalidRequest(f"the body must be a JSON object with {' and '.join(required)}")
    _require(fields, form)
    return _convert(fields, form)


def read_query(query: MultiMapping[str], form: type[Form]) -> Form:
    """The query of a URL as a request, under the same rules."""
    if len(query) > len(set(query)):
        raise InvalidRequest("a parameter of the query is given twice")
    _require(dict(query), form)
    return _convert(dict(query), form, is_text=True)


def read_fields(texts: Mapping[str, str], form: type[Form]) -> Form:
    """A form's fields as a request: objects and lists are JSON (a list of one may be that one), and an empty field is none."""
    fields: dict[str, Any] = {name: text for name, text in texts.items() if text}
    lists = list_fields(form)
    for name in (lists | _fields_of_kind(form, dict)) & set(fields):
        text = fields[name]
        if name in lists and not text.startswith("["):
            fields[name] = [text]
            continue
        try:
            fields[name] = msgspec.json.decode(text)
            _refuse_doubles(text)
        except (ValueError, RecursionError) as problem:
            raise InvalidRequest(f"{name} is not valid JSON", field=name) from problem
    return _convert(fields, form, is_text=True)


@cache
def _fields_of(form: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Worked out from the type's annotations, which takes longer than reading a body."""
    return msgspec.structs.fields(form)


def list_fields(form: type[msgspec.Struct]) -> set[str]:
    return _fields_of_kind(form, list)


def _fields_of_kind(form: type[msgspec.Struct], kind: type) -> set[str]:
    return {field.name for field in _fields_of(form) if _is_of_kind(field.type, kind)}


def _is_of_kind(declared: Any, kind: type) -> bool:
    """Also as one of several, annotated or not."""
    if kind in (declared, get_origin(declared)):
        return True
    return get_origin(declared) not in (list, dict) and any(_is_of_kind(part, kind) for part in get_args(declared))


def _require(fields: dict[str, Any], form: type[msgspec.Struct]) -> None:
    """All that are wrong are named at once."""
    required = {field.name: field.type for field in _fields_of(form) if field.required}
    texts = {name for name, kind in required.items() if getattr(kind, "__origin__", kind) is str}
    wrong = [name for name in required if name not in fields or (name in texts and not isinstance(fields[name], str))]
    if wrong:
        as_text = ", as a string" if texts.issuperset(wrong) else ""
        raise InvalidRequest(f"{' and '.join(wrong)} must be given{as_text}", field=wrong[0])


def _convert(fields: dict[str, Any], form: type[Form], *, is_text: bool = False) -> Form:
    known = {field.name for field in _fields_of(form)}
    if unknown := sorted(set(fields) - known):
        name = unknown[0][:_SHOWN_CHARACTERS]
        raise InvalidRequest(f"{name} is no {'parameter' if is_text else 'field'} of this request", field=name)
    try:
        return msgspec.convert(fields, form, strict=not is_text)
    except msgspec.ValidationError as problem:
        reason, _, path = str(problem).partition(" - at `$.")
        name = path.split("`")[0].split("[")[0].split(".")[0]
        # What was given is not said back: it may have been meant for another field.
        raise InvalidRequest(f"{name}: {_GIVEN_VALUE.sub('', reason)}", field=name) from problem


def _refuse_doubles(body: bytes | str) -> None:
    """A field given twice means different things to different readers."""

    def check(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise InvalidRequest("a field of the body is given twice")

    json.loads(body, object_pairs_hook=check)


def match_body(
    result: MatchResult,
    include: list[Include],
    *,
    has_label_none: bool,
    sound: MatchResult | MeshError | None = None,
    request_id: str = "",
    lane: str | None = None,
) -> MatchBody:
    """The envelope of a result; `sound` is what was found out about the sound tracks, where they were asked about."""
    body = MatchBody(
        match=result.match,
        confidence="low" if result.confidence == "none" and not has_label_none else result.confidence.value,
        similarity_score=result.similarity_score,
        processing_time_ms=result.processing_time_ms,
        media_type=result.media_type.value,
        matched_segments=[msgspec.convert(segment, SegmentBody, from_attributes=True) for segment in result.matched_segments],
        lane=lane or UNSET,
    )
    if Include.REGIONS in include:
        body.regions = [msgspec.convert(region, RegionBody, from_attributes=True) for region in result.regions]
    if Include.TRANSFORM in include:
        body.transform = _transform_body(result)
    if Include.COVERAGE in include and result.coverage:
        body.coverage = msgspec.convert(result.coverage, CoverageBody, from_attributes=True)
    if Include.HASHES in include and result.hashes:
        body.hashes = HashesBody(source=result.hashes[0], target=result.hashes[1])
    if Include.AUDIO in include:
        body.audio = _sound_body(sound, include, has_label_none=has_label_none, request_id=request_id)
    return body


def _sound_body(
    sound: MatchResult | MeshError | None, include: list[Include], *, has_label_none: bool, request_id: str
) -> SoundBody | None:
    if sound is None:
        return None
    if isinstance(sound, MeshError):
        return SoundBody(error=error_body(sound, request_id).error)
    body = match_body(sound, [word for word in include if word is not Include.AUDIO], has_label_none=has_label_none)
    return SoundBody(**{field: getattr(body, field) for field in SoundBody.__struct_fields__ if field != "error"})


def _transform_body(result: MatchResult) -> TransformBody | None:
    """What was done to the picture, to the sound, or to both, in one object."""
    body = msgspec.convert(result.transform, TransformBody | None, from_attributes=True)
    if body and result.media_type is not MediaType.VIDEO:
        body.speed = UNSET
    if result.sound_transform is None:
        return body
    body = body or TransformBody()
    body.pitch_semitones, body.tempo = result.sound_transform.pitch_semitones, result.sound_transform.tempo
    return body
