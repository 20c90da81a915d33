"""What the rows of a file ask for, and which file of an archive each is about."""

from __future__ import annotations

import pytest

from index_svc.archive import Entry
from index_svc.manifest import CSV_COLUMNS, Item, Permit, draft_of, items
from index_svc.table import Row
from mesh.errors import FileTooLarge, MeshError
from mesh.media import MediaType
from mesh.media_type import LIMITS

EVERYTHING = Permit(frozenset(MediaType), frozenset(f"{medium}:index" for medium in MediaType))


def entry(name: str, size_bytes: int = 10, code: str = "") -> Entry:
    return Entry(name, 0, 0, size_bytes, size_bytes, 0, 0, code, "is refused" if code else "")


def told(manifest: str, *entries: Entry, permit: Permit = EVERYTHING) -> list[tuple[int | None, str | None, str]]:
    """The line, the file, and the code of each item."""
    found = items(f"file,media_type,name\n{manifest}".encode(), entries, permit, 100)
    assert [item.number for item in found] == sorted({item.number for item in found})
    return [(item.line, item.file, item.error.code if item.error else "ok") for item in found]


def test_rows_find_their_files_and_files_without_a_row_come_last() -> None:
    manifest = 'b.jpg,image,b\n"a, too.jpg",image,a\n'
    assert told(manifest, entry("a, too.jpg"), entry("b.jpg"), entry("c.jpg"), entry("d.zip", code="conflict")) == [
        (2, "b.jpg", "ok"),
        (3, "a, too.jpg", "ok"),
        (None, "c.jpg", "invalid_request"),
        (None, "d.zip", "conflict"),
    ]


def test_row_without_its_file_and_second_row_about_one_file_are_refused() -> None:
    assert told("a.jpg,image\nmissing.jpg,image\na.jpg,image\n", entry("a.jpg")) == [
        (2, "a.jpg", "ok"),
        (3, "missing.jpg", "not_found"),
        (4, "a.jpg", "conflict"),
    ]


def test_file_that_is_too_large_for_its_medium_is_refused_unpacked() -> None:
    size = LIMITS[MediaType.IMAGE].max_bytes + 1
    assert told("a,image\nb,video\n", entry("a", size), entry("b", size)) == [(2, "a", "file_too_large"), (3, "b", "ok")]


def test_name_that_no_table_can_keep_is_shown_as_far_as_it_can_be() -> None:
    assert told("", entry("a\0b.jpg"), entry("x" * 900)) == [
        (None, "a\ufffdb.jpg", "invalid_request"),
        (None, "x" * 500, "invalid_request"),
    ]


def test_two_files_of_one_name_are_both_reported() -> None:
    assert [code for _, _, code in told("", entry("a", code="conflict"), entry("a", code="conflict"))] == ["conflict", "conflict"]


def test_manifest_of_too_many_rows_is_refused_as_a_whole() -> None:
    with pytest.raises(FileTooLarge):
        items(b"a,image\n" * 101, [], EVERYTHING, 100)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://a", "media_type": "image"}, "ok"),
        ({"url": " http://a ", "media_type": " Image "}, "ok"),
        ({"url": "", "media_type": "image"}, "invalid_request"),
        ({"url": "http://a", "media_type": ""}, "invalid_request"),
        ({"url": "http://a", "media_type": "text"}, "invalid_request"),
        ({"url": "http://a"}, "invalid_request"),
        ({"url": "http://a", "media_type": "image", "name": "n" * 501}, "invalid_request"),
        ({"url": "http://a" * 2000, "media_type": "image"}, "invalid_request"),
        ({"url": "http://a", "media_type": "image", "metadata": "[1]"}, "invalid_request"),
        ({"url": "http://a", "media_type": "image", "metadata": '{"a": 1}'}, "ok"),
        ({"url": "http://a", "media_type": "audio"}, "insufficient_scope"),
        ({"url": "http://a", "media_type": "video"}, "feature_disabled"),
    ],
)
def test_row_is_an_asset_or_says_why_not(fields: dict[str, str], code: str) -> None:
    permit = Permit(frozenset({MediaType.IMAGE, MediaType.VIDEO}), frozenset({"image:index"}))
    try:
        draft = draft_of(Row(2, fields), permit, CSV_COLUMNS.key)
        assert (draft.url, draft.media_type) == ("http://a", MediaType.IMAGE)
        assert code == "ok"
    except MeshError as error:
        assert error.code == code


def test_formula_in_a_cell_is_kept_as_it_stands() -> None:
    name = "=cmd|' /C calc'!A0"
    draft = draft_of(Row(2, {"url": "http://a", "media_type": "image", "name": name, "owner": name}), EVERYTHING, "url")
    assert (draft.name, draft.owner) == (name, name)


def test_item_is_a_file_or_a_reason() -> None:
    (found,) = items(b"a.jpg,image,n\n", [entry("a.jpg")], EVERYTHING, 100)
    assert found == Item(1, 1, "a.jpg", entry("a.jpg"), found.draft)
    assert found.draft is not None
    assert (found.draft.name, found.draft.url) == ("n", "")
