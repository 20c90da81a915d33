"""What the rows of a file ask for, and which file of an archive each is about; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from index_svc import texts
from index_svc.archive import MANIFEST, Entry, refusal
from index_svc.records import AssetDraft
from index_svc.table import Columns, Row, Table
from mesh.errors import Conflict, FeatureDisabled, FileTooLarge, InsufficientScope, InvalidRequest, MeshError, NotFound
from mesh.media import MediaType
from mesh.media_type import LIMITS, MEBIBYTE

CSV_COLUMNS: Final = Columns("url")
MANIFEST_COLUMNS: Final = Columns("file")


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be indexed: by the key that sent the file, and by the project's plan."""

    allowed: frozenset[MediaType]
    features: frozenset[str]

    def check(self, medium: MediaType) -> None:
        if medium not in self.allowed:
            raise InsufficientScope(f"the key does not carry the scope {medium}:index")
        if f"{medium}:index" not in self.features:
            raise FeatureDisabled(f"the project's plan does not have {medium}:index")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a job's report in the making: a file to index, or why it will not be."""

    number: int
    line: int | None
    file: str | None
    entry: Entry | None = None
    draft: AssetDraft | None = None
    error: MeshError | None = None


def draft_of(row: Row, permit: Permit, key: str) -> AssetDraft:
    """The row as an asset, or the error that its report gives."""
    if row.problem:
        raise InvalidRequest(f"the row {row.problem}")
    said = row.fields
    if not said.get(key):
        raise InvalidRequest(f"{key} is empty")
    try:
        medium = MediaType(said.get("media_type", "").strip().lower())
    except ValueError:
        raise InvalidRequest("media_type must be image, video or audio") from None
    permit.check(medium)
    return AssetDraft(
        media_type=medium,
        url=texts.checked_text(said["url"].strip(), "url", max_characters=texts.MAX_URL_CHARACTERS) if key == "url" else "",
        name=texts.checked_text(said.get("name", ""), "name"),
        collection=texts.checked_text(said.get("collection", ""), "collection"),
        owner=texts.checked_text(said.get("owner", ""), "owner"),
        metadata=texts.checked_object(said.get("metadata", ""), "metadata"),
    )


def items(manifest: bytes, entries: Sequence[Entry], permit: Permit, max_rows: int) -> list[Item]:
    """The manifest's rows in their order, each with its file, then the files that no row is about."""
    files = {entry.name: entry for entry in entries}
    found: list[Item] = []
    named: set[str] = set()
    for row in _rows(manifest):
        if len(found) == max_rows:
            raise FileTooLarge(f"holds a {MANIFEST} of more than {max_rows:,} rows")
        name = row.fields.get("file", "")
        entry = files.get(name)
        try:
            draft = draft_of(row, permit, "file")
            if entry is None:
                raise NotFound(f"the archive holds no such file beside {MANIFEST}")
            if name in named:
                raise Conflict("a row before this one is about the same file")
            _refuse_unfit(entry, draft.media_type)
            found.append(Item(row.line, row.line, name, entry, draft))
        except MeshError as error:
            found.append(Item(row.line, row.line, _shown(name), error=error))
        if entry is not None:
            named.add(name)
    last = found[-1].number if found else 0
    unnamed = (entry for entry in entries if entry.name not in named)
    return found + [Item(last + at, None, _shown(entry.name), error=_unlisted(entry)) for at, entry in enumerate(unnamed, 1)]


def _shown(name: str) -> str | None:
    """The name as a report can hold it."""
    return name[: texts.MAX_CHARACTERS].replace("\0", "\ufffd") or None


def _rows(manifest: bytes) -> Iterator[Row]:
    table = Table(MANIFEST_COLUMNS)
    yield from table.feed(manifest)
    yield from table.end()


def _refuse_unfit(entry: Entry, medium: MediaType) -> None:
    if (error := refusal(entry)) is not None:
        raise error
    max_bytes = LIMITS[medium].max_bytes
    if entry.size_bytes > max_bytes:
        raise FileTooLarge(f"is {entry.size_bytes:,} bytes large; one {medium} may have {max_bytes:,} bytes ({max_bytes // MEBIBYTE} MB)")


def _unlisted(entry: Entry) -> MeshError:
    return refusal(entry) or InvalidRequest(f"is not listed in {MANIFEST}")
