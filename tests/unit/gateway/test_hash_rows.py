"""Lists of hashes as text."""

from __future__ import annotations

import pytest

from gateway.hash_rows import CSV, JSON_LINES, MAX_LINE_BYTES, Lines, Row, RowReader, header, written
from mesh.errors import InvalidRequest


def rows(content: bytes, content_type: str = CSV, kind: str = "", step: int = 1 << 16) -> list[Row]:
    lines, reader = Lines(), RowReader(content_type, kind)
    found = [pair for start in range(0, len(content), step) for pair in lines.feed(content[start : start + step])]
    return [row for pair in [*found, *lines.rest()] if (row := reader.read(*pair))]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_rows_are_the_same_however_the_bytes_come(step: int) -> None:
    content = '\ufeffname,hash\r\n"ä, b",aa\r\n\r\nx,bb'.encode()
    assert rows(content, kind="md5", step=step) == [
        Row(2, {"name": "ä, b", "hash": "aa", "kind": "md5"}),
        Row(4, {"name": "x", "hash": "bb", "kind": "md5"}),
    ]


def test_list_without_a_header_begins_with_hashes() -> None:
    assert rows(b"aa\nbb,two\n", kind="pdq") == [
        Row(1, {"hash": "aa", "kind": "pdq"}),
        Row(2, {"hash": "bb", "name": "two", "kind": "pdq"}),
    ]


def test_row_says_its_own_kind() -> None:
    assert [row.texts["kind"] for row in rows(b"hash,kind\naa,sha1\nbb,\n", kind="md5")] == ["sha1", "md5"]


def test_quote_that_is_not_closed_swallows_no_other_row() -> None:
    first, second = rows(b'hash,name\naa,"open\nbb,fine\n')
    assert first.problem
    assert (second.line, second.texts["name"], second.problem) == (3, "fine", "")


@pytest.mark.parametrize("content_type", [CSV, JSON_LINES])
def test_line_that_is_too_long_is_one_bad_row(content_type: str) -> None:
    long, end = rows(b"x" * (5 * MAX_LINE_BYTES) + b"\n{}", content_type, step=1000)
    assert "may have at most" in long.problem
    assert end.line == 2


def test_json_lines_keep_objects_and_refuse_what_is_no_text() -> None:
    good, bad, worse = rows(b'{"hash": "aa", "metadata": {"a": [1]}, "more": 1}\n{"hash": 1}\n"x"', JSON_LINES)
    assert good.texts == {"hash": "aa", "metadata": '{"a": [1]}', "kind": ""}
    assert bad.problem == "hash must be a string"
    assert worse.problem == "this is no JSON object"


@pytest.mark.parametrize("content", ["aa\n".encode("utf-16"), b"hash,HASH\naa,bb\n"], ids=["utf-16", "doubles"])
def test_list_that_cannot_be_read_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        rows(content)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_cell_is_never_a_formula(name: str) -> None:
    row: dict[str, object] = {
        "hash": "aa",
        "kind": "md5",
        "name": name,
        "collection": None,
        "owner": None,
        "metadata": {},
        "media_type": "image",
        "asset_id": "i",
    }
    (read,) = rows(header() + written([row], CSV).replace(b"\rx", b" x"))
    assert read.texts["name"].startswith("'")
    (verbatim,) = rows(written([row], JSON_LINES), JSON_LINES)
    assert verbatim.texts["name"] == name
