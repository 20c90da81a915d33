"""What clients say of their assets, and where their pages ended."""

from __future__ import annotations

import pytest

from index_svc.cursors import cursor_of, read_cursor
from index_svc.texts import checked_object, checked_text, known_id
from mesh.errors import InvalidRequest, NotFound


@pytest.mark.parametrize("text", ["x" * 501, "a\0b"])
def test_text_that_the_tables_cannot_keep_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        checked_text(text, "name")
    assert refusal.value.details["field"] == "name"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "1",
        "{",
        '{"a": NaN}',
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        "[" * 9000,
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": "' + "x" * 17000 + '"}',
    ],
)
def test_metadata_that_is_no_object_to_keep_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_object(text, "metadata")


def test_metadata_is_kept_as_it_is() -> None:
    assert checked_object('{"a": {"b": [1, "é", null]}}', "metadata") == {"a": {"b": [1, "é", None]}}
    assert checked_object("", "metadata") == {}


@pytest.mark.parametrize(
    "text", ["", "1", "../x", "{871d4c67-bc76-4119-a947-c353b1c2b981}", "5F4DBB8B-9284-4EC8-BE48-D68240D218A6", "0" * 32, "é"]
)
def test_id_that_was_never_given_out_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        known_id(text, "asset")


@pytest.mark.parametrize("number", [1, 12345, 2**63 - 1])
def test_cursor_gives_its_number_back(number: int) -> None:
    assert read_cursor(cursor_of(number)) == number


@pytest.mark.parametrize("cursor", ["!", "AAAA", "_" * 11, "é", "A" * 100, "AAAAAAAAAAA"])
def test_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(cursor)
