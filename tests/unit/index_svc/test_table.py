"""Rows of CSV files: honest ones in every dialect that RFC 4180 has, and damaged ones that cost themselves alone."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_svc.table import MAX_ROW_BYTES, Columns, Row, Table
from mesh.errors import InvalidRequest

COLUMNS = Columns("url")
HEADER = b"url,media_type,name\n"


def rows(content: bytes, piece_bytes: int = 1 << 20) -> list[Row]:
    table = Table(COLUMNS)
    found = [row for at in range(0, len(content), piece_bytes) for row in table.feed(content[at : at + piece_bytes])]
    return found + list(table.end())


def said(content: bytes) -> list[tuple[int, str | None]]:
    """The line and the URL of each row; None: it has a problem."""
    return [(row.line, None if row.problem else row.fields["url"]) for row in rows(content)]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("header", [b"", b"url,media_type,name", b" URL ,Media_Type,NAME"], ids=["none", "plain", "shouted"])
def test_rows_are_the_same_in_every_dress(bom: bytes, end: bytes, header: bytes) -> None:
    lines = [*([header] if header else []), b'a,image,"x, ""y"""', b"", b"b,video,", b"c,audio"]
    found = rows(bom + end.join(lines))
    first = 2 if header else 1
    assert [(row.line - first, row.fields) for row in found] == [
        (0, {"url": "a", "media_type": "image", "name": 'x, "y"'}),
        (2, {"url": "b", "media_type": "video", "name": ""}),
        (3, {"url": "c", "media_type": "audio"}),
    ]


def test_columns_come_in_the_order_of_the_header() -> None:
    (row,) = rows(b'metadata,name,owner,url,collection,media_type\n"{""a"": 1}",n,o,u,c,image\n')
    assert row.fields == {"metadata": '{"a": 1}', "name": "n", "owner": "o", "url": "u", "collection": "c", "media_type": "image"}


def test_field_of_several_lines_is_one_field_and_its_row_begins_where_it_begins() -> None:
    assert [(row.line, row.fields["name"]) for row in rows(HEADER + b'a,image,"x\r\ny"\nb,image,z\n')] == [(2, "x\ny"), (4, "z")]


@given(
    st.lists(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=3, max_size=3)),
    st.integers(1, 99),
)
@settings(max_examples=200, deadline=None)
def test_whatever_a_writer_quotes_is_read_back_however_it_is_cut(table: list[list[str]], piece_bytes: int) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["url", "media_type", "name"], *table])
    found = rows(file.getvalue().encode(), piece_bytes)
    plain = [[cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row] for row in table]
    assert [list(row.fields.values()) for row in found] == plain


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_noise_behind_a_header_is_told_row_by_row_however_it_is_cut(noise: bytes, piece_bytes: int) -> None:
    whole = rows(HEADER + noise)
    assert rows(HEADER + noise, piece_bytes) == whole
    assert [row.line for row in whole] == sorted({row.line for row in whole})


@pytest.mark.parametrize(
    "bad",
    [
        b'b,image,"open',
        b'b,"image"x,n',
        b"b,image,\xff\xfe",
        b"b,image,a\0b",
        b"b,image," + b"n" * 200_000,
        b'b,image,"' + b"n" * 200_000,
        b"b,image,n,too many",
    ],
    ids=["open quote", "text behind a quote", "not UTF-8", "NUL", "long", "long and quoted", "too many fields"],
)
@pytest.mark.parametrize("piece_bytes", [999, 1 << 20])
def test_bad_row_costs_itself_alone(bad: bytes, piece_bytes: int) -> None:
    content = HEADER + b"a,image,n\n" + bad + b"\nc,image,n\nd,image,\xc3\xa4\n"
    found = rows(content, piece_bytes)
    assert [(row.line, bool(row.problem)) for row in found] == [(2, False), (3, True), (4, False), (5, False)]


def test_quote_that_is_open_to_the_end_loses_no_row_behind_it() -> None:
    assert said(HEADER + b'a,image,"x\n' + b"b,image,n\n" * 3) == [(2, None), (3, "b"), (4, "b"), (5, "b")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfeu\0r\0l\0", "UTF-16"),
        (b"\xfe\xff\0u\0r\0l", "UTF-16"),
        (b"u\0r\0l\0,\0\n\0", "NUL"),
        (b"url,media_type,url\n", "twice"),
        (b"url,name\n", "media_type is missing"),
        (b"url,media_type,colour\n", "colour"),
        (b'"url,media_type\n', "quote"),
    ],
)
def test_file_that_cannot_be_a_table_is_refused_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        rows(content)
    assert refused.value.details["field"] == "file"


@pytest.mark.parametrize(
    "unit",
    [b'a,image,"x\n' + b"\n" * 30_000, b'a,image,"x\n' + b"b,i\n" * 9_000, b'"', b'"\n', b'a,"\n', b"\r", b'""",\n'],
    ids=lambda unit: repr(unit[:12]),
)
def test_work_grows_with_the_size_of_a_file_and_no_faster(unit: bytes) -> None:
    def seconds(size_bytes: int) -> float:
        content = HEADER + unit * (size_bytes // len(unit) + 1)
        started = time.process_time()
        rows(content, 1 << 15)
        return time.process_time() - started

    seconds(1 << 16)
    assert seconds(1 << 20) < 64 * (seconds(1 << 16) + 0.005)


def test_what_is_held_back_is_never_more_than_a_row() -> None:
    table = Table(COLUMNS)
    for _ in range(50):
        assert not list(table.feed(b"x" * 100_000))
        assert len(table._rest) <= MAX_ROW_BYTES + 1
