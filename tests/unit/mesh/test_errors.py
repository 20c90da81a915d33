from __future__ import annotations

import pickle
import re

import grpc
import pytest

from mesh import errors
from mesh.errors import BY_CODE, FetchFailed, Internal, InvalidUrl, MeshError, Overloaded, from_code
from mesh.interceptors import from_rpc_error, to_status

FROZEN = {
    "invalid_request": 400,
    "invalid_url": 400,
    "file_too_large": 413,
    "duration_too_long": 422,
    "unsupported_media": 415,
    "fetch_failed": 422,
    "fingerprint_mismatch": 409,
    "not_found": 404,
    "method_not_allowed": 405,
    "unsupported_content_type": 415,
    "request_too_large": 413,
    "forbidden": 403,
    "overloaded": 503,
    "not_available": 503,
    "deadline_exceeded": 504,
    "internal": 500,
    "unauthorized": 401,
    "insufficient_scope": 403,
    "feature_disabled": 403,
    "conflict": 409,
    "rate_limited": 429,
    "quota_exceeded": 429,
    "duplicate": 409,
}


def test_codes_and_their_http_statuses_are_frozen() -> None:
    assert {code: error.http_status for code, error in BY_CODE.items()} == FROZEN


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
def test_every_error_has_a_known_grpc_status_and_a_message(error: type[MeshError]) -> None:
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert hasattr(grpc.StatusCode, error.grpc_status)
    assert error().message


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
def test_only_what_may_mend_by_itself_asks_to_be_tried_again(error: type[MeshError]) -> None:
    mends = error.http_status in (503, 504) or error.code == "rate_limited"
    assert error.retryable == (error.retry_after_seconds is not None) == mends


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
def test_error_survives_pickling_and_the_wire(error: type[MeshError]) -> None:
    original = error("why it happened", field="source_url")
    status = to_status(original)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    crossed = from_rpc_error(grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, grpc.aio.Metadata(), trailers))
    for copy in (pickle.loads(pickle.dumps(original)), crossed):
        assert type(copy) is error
        assert (copy.message, copy.details) == ("why it happened", {"field": "source_url"})


def test_message_reads_as_a_sentence_about_the_field() -> None:
    error = InvalidUrl().of_field("source_url")
    assert error.message == "source_url is not a reachable http(s) URL"
    assert error.details == {"field": "source_url"}
    assert type(error) is InvalidUrl


def test_field_is_named_once_only() -> None:
    assert FetchFailed().of_field("url").of_field("target_url").message == "url could not be downloaded"


def test_unknown_code_from_a_peer_is_our_own_failure() -> None:
    assert type(from_code("os_system", "rm -rf")) is Internal
    assert "rm" not in from_code("os_system", "rm -rf").message


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, "not_available"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded"),
        (grpc.StatusCode.UNKNOWN, "internal"),
    ],
)
def test_status_that_grpc_made_itself_becomes_one_of_ours_without_its_text(status: grpc.StatusCode, code: str) -> None:
    bare = grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), details="unix:/secret/place.sock")
    error = from_rpc_error(bare)
    assert error.code == code
    assert "secret" not in error.message


def test_table_holds_every_class_of_the_module() -> None:
    classes = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, MeshError)}
    assert classes - {MeshError} == set(BY_CODE.values())
    assert Overloaded in classes
