"""What the API's reference shows: requests, and the answers that a mesh gave to them. Tests hold them against the types."""

from __future__ import annotations

from typing import Any, Final

from mesh.errors import (
    Conflict,
    DurationTooLong,
    FetchFailed,
    FileTooLarge,
    InvalidUrl,
    MeshError,
    QuotaExceeded,
    RateLimited,
    RequestTooLarge,
    UnsupportedMedia,
)
from mesh.media import MediaType
from mesh.media_type import LIMITS, MEBIBYTE

ONE: Final = {MediaType.IMAGE: "an image", MediaType.VIDEO: "a video", MediaType.AUDIO: "a sound"}
PLURAL: Final = {MediaType.IMAGE: "images", MediaType.VIDEO: "videos", MediaType.AUDIO: "sounds"}

PAIR_DESCRIPTION: Final = {
    MediaType.IMAGE: (
        "JPEG, PNG, APNG, WebP, GIF, BMP, TIFF, HEIC, HEIF or AVIF, at most 15 MB (of 1,048,576 bytes) and 50 megapixels each; of an "
        'animation the first frame counts. `matched_segments` is always empty; `include: ["regions"]` says where.'
    ),
    MediaType.VIDEO: (
        "MP4, MOV, WebM, Matroska, AVI, MPEG-TS or FLV, at most 100 MB and 180 s each. `matched_segments` says which seconds of the source "
        "lie where in the target. Either may be an image, as a film of one frame: then the segment says when the other shows it, and is "
        'empty on the side of the image. `include: ["audio"]` adds what `/audio/match` answers to the same request, or its error.'
    ),
    MediaType.AUDIO: (
        "MP3, AAC, M4A, Ogg Vorbis, Opus, FLAC, WAV, AIFF or WMA, or the sound track of a film, at most 50 MB and 300 s each. "
        "`matched_segments` says which seconds of the source lie where in the target."
    ),
}
SEARCH_DESCRIPTION: Final = (
    "Ranked by similarity, then (audio and video) coverage of the query, then the asset that was indexed first. `similarity` is the score "
    "that comparing the two as a pair gives. Where no `threshold` is given: image .85, audio .80, video .75, inclusive. `media_types` also "
    "looks through assets of other types; each then counts by the threshold of what it was `matched_through`."
)
HASH_SEARCH_DESCRIPTION: Final = (
    "Finds assets that carry the hash, whether they have media or came with a list. `md5`, `sha1` and `sha256` are of a file's bytes: "
    'similarity 1. The others are of images, as `include: ["hashes"]` gives them, and are compared bit by bit: `similarity` is '
    "1 - 0.15 × (differing bits / bits) / (31 / 256), so that PDQ at its recommended distance of 31 has 0.85; nothing further away is "
    "found (7 of 64 bits of the shorter ones)."
)
IMPORT_DESCRIPTION: Final = (
    "Each row becomes an asset that is its hash: ready at once, found by what has that hash, and a search with media finds it, too. A CSV "
    "names its columns in the first line: `hash`, and any of `kind`, `name`, `collection`, `owner`, `metadata` (a JSON object); without "
    "such a line the hash stands first and a name may follow. JSON lines have the same fields. Kinds: `md5`, `sha1`, `sha256`, of images "
    "`pdq`. At most 100,000 rows, one a line. Bad rows are reported by their line, the others proceed; what its collection has already is "
    "not taken in twice, and its time to live starts anew."
)
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_HOST: Final = "https://media.example.com"
PAIR_REQUEST: Final[dict[MediaType, dict[str, object]]] = {
    # One photo in two sizes and formats, which is there for everyone.
    MediaType.IMAGE: {
        "source_url": "https://picsum.photos/id/237/800/600.jpg",
        "target_url": "https://picsum.photos/id/237/400/300.webp",
    },
    MediaType.VIDEO: {"source_url": f"{_HOST}/original.mp4", "target_url": f"{_HOST}/copy.webm"},
    MediaType.AUDIO: {"source_url": f"{_HOST}/original.mp3", "target_url": f"{_HOST}/clip.ogg"},
}
_SEGMENTS: Final[dict[MediaType, list[dict[str, float]]]] = {
    MediaType.IMAGE: [],
    MediaType.VIDEO: [{"source_start": 0.0, "source_end": 12.4, "target_start": 3.2, "target_end": 15.6, "score": 0.91}],
    MediaType.AUDIO: [{"source_start": 7.004, "source_end": 13.997, "target_start": 0.0, "target_end": 7.0, "score": 0.9835}],
}
_SCORE: Final = {MediaType.IMAGE: 0.9953, MediaType.VIDEO: 0.88, MediaType.AUDIO: 0.9835}
_MILLISECONDS: Final = {MediaType.IMAGE: 11, MediaType.VIDEO: 1840, MediaType.AUDIO: 72}
PAIR_ANSWER: Final[dict[MediaType, dict[str, Any]]] = {
    medium: {
        "match": True,
        "confidence": "high",
        "similarity_score": _SCORE[medium],
        "processing_time_ms": _MILLISECONDS[medium],
        "media_type": medium.value,
        "matched_segments": _SEGMENTS[medium],
    }
    for medium in MediaType
}

BATCH_DESCRIPTION: Final = (
    "The source is fetched and read once, and so is each target, however often it is named. Each target has its own outcome, in the order "
    "asked for: `result` is what the pair alone would get, `error` says why there is none. Where the time runs out, those that are left "
    "have `deadline_exceeded`. Only what is wrong with the request or with its source fails the whole."
)
BATCH_REQUEST: Final[dict[MediaType, dict[str, object]]] = {
    medium: {
        "source_url": PAIR_REQUEST[medium]["source_url"],
        "target_urls": [PAIR_REQUEST[medium]["target_url"], f"{_HOST}/moved-away"],
    }
    for medium in MediaType
}
BATCH_ANSWER: Final[dict[MediaType, dict[str, Any]]] = {
    medium: {
        "results": [
            {"target_url": PAIR_REQUEST[medium]["target_url"], "result": PAIR_ANSWER[medium]},
            {
                "target_url": f"{_HOST}/moved-away",
                "error": {
                    "code": "fetch_failed",
                    "message": "target_url could not be downloaded: its server answered with status 404",
                    "details": {"field": "target_url"},
                },
            },
        ],
        "succeeded": 1,
        "failed": 1,
        "processing_time_ms": _MILLISECONDS[medium],
    }
    for medium in MediaType
}

ASSET_ID: Final = "0198c0a4-6f0e-7d3b-9a51-2f4f0c6f7b11"
JOB_ID: Final = "0198c0a4-6f0e-7d3b-9a51-2f4f0c6f7b12"
INDEX_REQUEST: Final[dict[MediaType, dict[str, object]]] = {
    medium: {
        "url": PAIR_REQUEST[medium]["source_url"],
        "name": "spring campaign",
        "collection": "campaigns",
        "metadata": {"rights": "all"},
    }
    for medium in MediaType
}
ACCEPTED: Final = {"asset_id": ASSET_ID, "job_id": JOB_ID, "status": "pending"}
ASSET: Final[dict[str, Any]] = {
    "id": ASSET_ID,
    "name": "spring campaign",
    "media_type": "image",
    "status": "ready",
    "error": None,
    "collection": "campaigns",
    "metadata": {"rights": "all"},
    "created_at": "2026-11-21T10:15:30.120Z",
    "ready_at": "2026-11-21T10:15:30.431Z",
}
JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "kind": "asset",
    "status": "ready",
    "media_type": "image",
    "asset_id": ASSET_ID,
    "progress": {"total": 1, "pending": 0, "processing": 0, "ready": 1, "failed": 0},
    "error": None,
    "created_at": "2026-11-21T10:15:30.120Z",
    "finished_at": "2026-11-21T10:15:30.431Z",
}
IMPORT_ANSWER: Final[dict[str, Any]] = {
    "job_id": JOB_ID,
    "accepted": 2,
    "already_there": 1,
    "refused": 1,
    "errors": [{"line": 3, "message": "hash: a pdq has 64 hexadecimal digits"}],
}
EXPORT_ANSWER: Final = (
    "hash,kind,name,collection,owner,metadata,media_type,asset_id\r\n"
    f'{SHA256},sha256,spring campaign,campaigns,,"{{""rights"": ""all""}}",image,{ASSET_ID}\r\n'
)
BULK: Final[dict[str, Any]] = {"job_id": JOB_ID, "status": "pending", "rows": 3}
CANCELLED_JOB: Final[dict[str, Any]] = {
    **JOB,
    "kind": "csv",
    "status": "cancelled",
    "media_type": None,
    "asset_id": None,
    "progress": {"total": 3, "pending": 0, "processing": 0, "ready": 1, "failed": 2},
}
ROWS: Final[list[dict[str, Any]]] = [
    {"line": 2, "file": None, "status": "ready", "asset_id": ASSET_ID, "media_type": "image", "name": "spring campaign", "error": None},
    {
        "line": 3,
        "file": None,
        "status": "failed",
        "asset_id": None,
        "media_type": None,
        "name": None,
        "error": {"code": "invalid_request", "message": "media_type must be image, video or audio"},
    },
]
_HIT: Final[dict[str, Any]] = {
    "asset_id": ASSET_ID,
    "name": "spring campaign",
    "confidence": "high",
    "collection": "campaigns",
    "metadata": {"rights": "all"},
}
# The query is the source here.
_HIT_SEGMENTS: Final[dict[MediaType, list[dict[str, float]]]] = {
    MediaType.IMAGE: [],
    MediaType.VIDEO: [{"source_start": 3.2, "source_end": 15.6, "target_start": 0.0, "target_end": 12.4, "score": 0.91}],
    MediaType.AUDIO: [{"source_start": 0.0, "source_end": 7.0, "target_start": 7.004, "target_end": 13.997, "score": 0.9835}],
}
_COVERAGE: Final = {MediaType.IMAGE: None, MediaType.VIDEO: 0.78, MediaType.AUDIO: 1.0}
SEARCH_ANSWER: Final[dict[MediaType, dict[str, Any]]] = {
    medium: {
        "results": [
            {
                **_HIT,
                "media_type": medium.value,
                "similarity": _SCORE[medium],
                "coverage": _COVERAGE[medium],
                "matched_segments": _HIT_SEGMENTS[medium],
            }
        ],
        "next_cursor": None,
        "processing_time_ms": _MILLISECONDS[medium] + 5,
    }
    for medium in MediaType
}

READINESS: Final[dict[str, Any]] = {
    "status": "ready",
    "services": {
        "image": {"status": "serving", "sandbox": "limits+landlock+seccomp"},
        "video": {"status": "serving", "sandbox": "limits+landlock+seccomp"},
        "audio": {"status": "serving", "sandbox": "limits+landlock+seccomp"},
        "fetcher": {"status": "serving", "sandbox": "limits+landlock+seccomp"},
        "index": {"status": "serving", "sandbox": "none"},
    },
}

_MONTH_END: Final = "2026-12-01T00:00:00.000Z"
USAGE: Final[dict[str, Any]] = {
    "project_id": "0198c0a4-6f0e-7d3b-9a51-2f4f0c6f7b13",
    "plan": "free",
    "period": {"start": "2026-11-01T00:00:00.000Z", "end": _MONTH_END},
    "quotas": {
        "searches": {"used": 120, "limit": 10000, "remaining": 9880, "reset": _MONTH_END},
        "search_bytes": {"used": 52428800, "limit": 10737418240, "remaining": 10684989440, "reset": _MONTH_END},
        "calls": {"used": 0, "limit": 10000, "remaining": 10000, "reset": _MONTH_END},
        "ready_images": {"used": 317, "limit": 10000, "remaining": 9683, "reset": None},
        "ready_videos": {"used": 0, "limit": 500, "remaining": 500, "reset": None},
        "ready_audio": {"used": 12, "limit": 2000, "remaining": 1988, "reset": None},
    },
    "indexed": {"image": 317, "video": 0, "audio": 12},
    "features": ["audio:index", "audio:search", "image:index", "image:search", "video:index", "video:search"],
    "rate": {"requests": 10, "seconds": 1},
}

NOT_READY: Final = {"status": "not_ready", "services": {**READINESS["services"], "audio": {"status": "not_serving"}}}

ERRORS: Final[tuple[MeshError, ...]] = (
    RequestTooLarge("the body may have at most 65536 bytes"),
    Conflict("this Idempotency-Key came with another request before", field="Idempotency-Key"),
    RateLimited("more than 10 requests in 1 s", policy="key", limit="10", remaining="0", window_seconds="1", retry_after_seconds="1"),
    QuotaExceeded(
        "the project has used up its 10,000 searches of this month",
        policy="searches",
        limit="10000",
        remaining="0",
        retry_after_seconds="812345",
    ),
)
"""What is said where a code's own words say too little."""


def media_errors(medium: MediaType) -> tuple[MeshError, ...]:
    """What is said of a URL or file; a field of the request stands before it."""
    limit = LIMITS[medium]
    return (
        InvalidUrl("points at an address or port that is not public"),
        FetchFailed("could not be downloaded: its server answered with status 404"),
        FileTooLarge(
            f"is {limit.max_bytes + 1:,} bytes large; one {medium} may have {limit.max_bytes:,} bytes ({limit.max_bytes // MEBIBYTE} MB)"
        ),
        UnsupportedMedia(f"is no type of file that is supported as {medium}"),
        DurationTooLong(f"runs for 412.5 s or more; {medium} may run for {limit.max_duration_seconds or 0:g} s"),
    )


FULL: Final = QuotaExceeded(
    "the project has as many images ready as its plan holds, 10,000: delete some, or change the plan",
    policy="ready_images",
    limit="10000",
    remaining="0",
)
"""Of a request that would add to the library."""

REQUEST_ID: Final = "5f0c2a9be2c94dbba3a5b6a0f1b2c3d4"
