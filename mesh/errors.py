"""Every error of the mesh, drawn once; the code crosses every wire unchanged, uncaught text never does.

MeshError
├── the caller's: InvalidRequest InvalidUrl FileTooLarge DurationTooLong UnsupportedMedia FetchFailed
│                 FingerprintMismatch NotFound MethodNotAllowed UnsupportedContentType RequestTooLarge
│                 Unauthorized InsufficientScope Forbidden FeatureDisabled Conflict Duplicate RateLimited QuotaExceeded
└── ours:         Overloaded NotAvailable DeadlineExceeded Internal

A class's docstring is its message where nothing better is known. Messages about media are predicates ("is too large: …"),
which `of_field` completes ("source_url is too large: …").
"""

from __future__ import annotations

from typing import ClassVar

DOMAIN = "mediamesh"


class MeshError(Exception):
    """Something went wrong inside the service."""

    code: ClassVar[str] = "internal"
    grpc_status: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str | None = None, **details: str) -> None:
        self.message = message or type(self).__doc__ or self.code
        self.details = details
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.code, self.message, self.details)

    def of_field(self, field: str) -> MeshError:
        """The same error as a sentence about the request's field, where it is about one and does not name it already."""
        if "field" in self.details or self.http_status >= 500:
            return self
        return type(self)(f"{field} {self.message}", **self.details, field=field)


class InvalidRequest(MeshError):
    """The request is not what this call takes."""

    code, grpc_status, http_status = "invalid_request", "INVALID_ARGUMENT", 400


class InvalidUrl(MeshError):
    """is not a reachable http(s) URL"""

    code, grpc_status, http_status = "invalid_url", "INVALID_ARGUMENT", 400


class FileTooLarge(MeshError):
    """is too large"""

    code, grpc_status, http_status = "file_too_large", "FAILED_PRECONDITION", 413


class DurationTooLong(MeshError):
    """is too long"""

    code, grpc_status, http_status = "duration_too_long", "FAILED_PRECONDITION", 422


class UnsupportedMedia(MeshError):
    """is not of a supported type"""

    code, grpc_status, http_status = "unsupported_media", "FAILED_PRECONDITION", 415


class FetchFailed(MeshError):
    """could not be downloaded"""

    code, grpc_status, http_status = "fetch_failed", "FAILED_PRECONDITION", 422


class FingerprintMismatch(MeshError):
    """The fingerprints are of different algorithms or versions."""

    code, grpc_status, http_status = "fingerprint_mismatch", "FAILED_PRECONDITION", 409


class NotFound(MeshError):
    """There is nothing here."""

    code, grpc_status, http_status = "not_found", "NOT_FOUND", 404


class MethodNotAllowed(MeshError):
    """This path does not take that method."""

    code, grpc_status, http_status = "method_not_allowed", "UNIMPLEMENTED", 405


class UnsupportedContentType(MeshError):
    """The body is of a type that this does not take."""

    code, grpc_status, http_status = "unsupported_content_type", "INVALID_ARGUMENT", 415


class RequestTooLarge(MeshError):
    """The request is larger than this service takes."""

    code, grpc_status, http_status = "request_too_large", "INVALID_ARGUMENT", 413


class Unauthorized(MeshError):
    """This needs an API key, and the one given (if any) is not valid."""

    code, grpc_status, http_status = "unauthorized", "UNAUTHENTICATED", 401


class InsufficientScope(MeshError):
    """The key does not carry the scope that this needs."""

    code, grpc_status, http_status = "insufficient_scope", "PERMISSION_DENIED", 403


class Forbidden(MeshError):
    """This is not open to whoever asks in this way."""

    code, grpc_status, http_status = "forbidden", "PERMISSION_DENIED", 403


class FeatureDisabled(MeshError):
    """The project's plan does not have this."""

    code, grpc_status, http_status = "feature_disabled", "PERMISSION_DENIED", 403


class Conflict(MeshError):
    """What is there does not allow this now."""

    code, grpc_status, http_status = "conflict", "FAILED_PRECONDITION", 409


class Duplicate(MeshError):
    """The collection has this already."""

    code, grpc_status, http_status = "duplicate", "FAILED_PRECONDITION", 409


class RateLimited(MeshError):
    """Too many requests; details say which limit, and for how long."""

    code, grpc_status, http_status, retryable, retry_after_seconds = "rate_limited", "RESOURCE_EXHAUSTED", 429, True, 1


class QuotaExceeded(MeshError):
    """What the project's plan has of this is used up; details say of what."""

    code, grpc_status, http_status = "quota_exceeded", "RESOURCE_EXHAUSTED", 429


class Overloaded(MeshError):
    """Too much is under way; try again shortly."""

    code, grpc_status, http_status, retryable, retry_after_seconds = "overloaded", "RESOURCE_EXHAUSTED", 503, True, 1


class NotAvailable(MeshError):
    """That service is not running here."""

    code, grpc_status, http_status, retryable, retry_after_seconds = "not_available", "UNAVAILABLE", 503, True, 2


class DeadlineExceeded(MeshError):
    """The time for this request ran out."""

    code, grpc_status, http_status, retryable, retry_after_seconds = "deadline_exceeded", "DEADLINE_EXCEEDED", 504, True, 1


class Internal(MeshError):
    """Something went wrong inside the service."""

    code, grpc_status, http_status = "internal", "INTERNAL", 500


BY_CODE: dict[str, type[MeshError]] = {error.code: error for error in MeshError.__subclasses__()}


def _rebuild(code: str, message: str, details: dict[str, str]) -> MeshError:
    return BY_CODE.get(code, Internal)(message, **details)


def from_code(code: str, message: str, details: dict[str, str] | None = None) -> MeshError:
    """The error that a peer named; a code that is not in this table is ours to answer for."""
    if code not in BY_CODE:
        return Internal()
    return _rebuild(code, message, details or {})
