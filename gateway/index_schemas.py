"""The public JSON of /v1, as types: what is not in here is neither taken nor given."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.schemas import Name, Score, SegmentBody, Url
from mesh.media import Confidence, MediaType

Status = Literal["pending", "processing", "ready", "failed"]
JobStatus = Literal["pending", "processing", "ready", "failed", "cancelled"]
JobKind = Literal["asset", "csv", "zip", "refingerprint"]
Text = Annotated[str, Meta(max_length=500)]
Limit = Annotated[int, Meta(ge=1, le=100)]
HashKind = Literal["md5", "sha1", "sha256", "pdq", "phash", "dhash", "ahash", "whash"]
File = Annotated[str, Meta(description="The file itself.", extra_json_schema={"format": "binary"})]

DEFAULT_LIMIT = 20


class AssetFields(msgspec.Struct, kw_only=True):
    """What can be said of an asset."""

    name: Text | None = None
    collection: Text | None = None
    metadata: dict[str, Any] | None = None
    owner: Text | None = None
    ttl_seconds: Annotated[int, Meta(ge=1, le=10 * 366 * 24 * 3600)] | None = None
    on_duplicate: Annotated[
        Literal["index", "skip", "link"],
        Meta(description="Where its collection has it already: index it all the same, fail it as a `duplicate`, or index and link it."),
    ] = "index"


class IndexRequest(AssetFields, kw_only=True):
    """The body of POST /v1/index/{type}/url."""

    url: Url


class IndexForm(AssetFields, kw_only=True):
    """The form of POST /v1/index/{type}/upload; what is no text is JSON."""

    file: File


class SearchRequest(msgspec.Struct, kw_only=True):
    """What every search takes, beside its query."""

    threshold: Score | None = None
    min_coverage: Score = 0.0
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    collections: Annotated[list[Text], Meta(max_length=100)] = []
    media_types: (
        Annotated[
            list[MediaType],
            Meta(
                min_length=1,
                max_length=10,
                description="Of the assets that are looked through; by default those of the query's own type. An image finds images and "
                "videos, a video finds videos and (by its sound track) audio, audio finds audio and (by their sound tracks) videos; the "
                "rest is passed over, and refused where nothing else is named. A hash finds all. Each needs its scope {type}:search. "
                "Where this is given each result says what it was `matched_through`.",
            ),
        ]
        | None
    ) = None
    filter: dict[str, Any] | None = None
    exclude_self: bool = False
    profile: Annotated[
        Name | None, Meta(description="Whose cutoff is the threshold where none is given: the product's, or one of the project's.")
    ] = None
    policy: Annotated[Name | None, Meta(description="A policy of the project; each result then has its `lane`.")] = None
    include: Annotated[list[Literal["strong"]], Meta(description="Fields that each result has beside the others.")] = []


class UrlSearchRequest(SearchRequest, kw_only=True):
    """The body of POST /v1/search/{type}/url."""

    url: Url


class AssetSearchRequest(SearchRequest, kw_only=True):
    """The body of POST /v1/search/{type}/asset."""

    asset_id: str


class HashSearchRequest(SearchRequest, kw_only=True):
    """The body of POST /v1/search/{type}/hash."""

    hash: Annotated[str, Meta(description="In hexadecimal.")]
    kind: HashKind


class SearchForm(SearchRequest, kw_only=True):
    """The form of POST /v1/search/{type}/upload; what is no text is JSON."""

    file: File


class AssetQuery(msgspec.Struct, kw_only=True):
    """The query of GET /v1/assets."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str = ""
    # A query has no null: it would be read from the word.
    status: Status | UnsetType = UNSET
    type: MediaType | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    collection: Text | UnsetType = UNSET


class ImportQuery(msgspec.Struct, kw_only=True):
    """The query of POST /v1/index/{type}/hashes: what holds for every row that does not say."""

    kind: Literal["md5", "sha1", "sha256", "pdq", ""] = ""
    collection: Text = ""
    owner: Text = ""
    # 0: they stay.
    ttl_seconds: Annotated[int, Meta(ge=0, le=10 * 366 * 24 * 3600)] = 0


class ExportQuery(msgspec.Struct, kw_only=True):
    """The query of GET /v1/hashes/export."""

    kind: HashKind
    format: Literal["csv", "jsonl"] = "csv"
    type: MediaType | UnsetType = UNSET
    collection: Text | UnsetType = UNSET


class PageQuery(msgspec.Struct, kw_only=True):
    """The query of GET /v1/jobs."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str = ""


class FailureBody(msgspec.Struct, kw_only=True):
    code: str
    message: str


class AcceptedBody(msgspec.Struct, kw_only=True):
    asset_id: str
    job_id: str
    status: Status


class AssetBody(msgspec.Struct, kw_only=True):
    id: str
    name: str | None
    media_type: MediaType
    status: Status
    error: FailureBody | None
    collection: str | None
    metadata: dict[str, Any]
    created_at: str
    ready_at: str | None
    # Only of one that is a duplicate.
    duplicate_of: str | UnsetType = UNSET
    found_through: Annotated[
        list[MediaType] | UnsetType, Meta(description="Of a video that is ready: by what it shows, and (`audio`) by its sound track.")
    ] = UNSET


class AssetListBody(msgspec.Struct, kw_only=True):
    assets: list[AssetBody]
    next_cursor: str | None


class RowErrorBody(msgspec.Struct, kw_only=True):
    line: int
    message: str


class ImportBody(msgspec.Struct, kw_only=True):
    """Counts of rows; the errors are the first thousand."""

    job_id: str
    accepted: int
    already_there: int
    refused: int
    errors: list[RowErrorBody]


class ProgressBody(msgspec.Struct, kw_only=True):
    """Counts of the job's assets, by their status; rows that are not read yet are pending, refused ones have failed, and assets
    that were deleted since are in the total alone."""

    total: int
    pending: int
    processing: int
    ready: int
    failed: int


class JobBody(msgspec.Struct, kw_only=True):
    """`media_type` is null where the job is about a file of rows, or fingerprints again what an earlier version has made."""

    id: str
    kind: JobKind
    status: JobStatus
    media_type: MediaType | None
    asset_id: str | None
    progress: ProgressBody
    error: FailureBody | None
    created_at: str
    finished_at: str | None


class JobListBody(msgspec.Struct, kw_only=True):
    jobs: list[JobBody]
    next_cursor: str | None


class HitBody(msgspec.Struct, kw_only=True):
    asset_id: str
    name: str | None
    media_type: MediaType
    similarity: Score
    coverage: Score | None
    matched_segments: list[SegmentBody]
    confidence: Confidence
    collection: str | None
    metadata: dict[str, Any]
    # Where the search includes it; null: it was not found by what a film shows.
    strong: bool | UnsetType | None = UNSET
    matched_through: Annotated[
        MediaType | UnsetType,
        Meta(
            description="Where the search names media_types: what the two were compared as. `audio` of a video: its sound track matched; "
            "`video` where the query is an image: a moment of the film shows it."
        ),
    ] = UNSET
    # Where the search names a policy.
    lane: str | UnsetType = UNSET


class SearchBody(msgspec.Struct, kw_only=True):
    results: list[HitBody]
    next_cursor: str | None
    processing_time_ms: int
