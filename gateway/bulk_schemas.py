"""The public JSON of files of rows, as types."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.index_schemas import FailureBody, Status
from mesh.media import MediaType


class ArchiveRequest(msgspec.Struct, kw_only=True):
    """The body of POST /v1/index/bulk/zip."""

    url: str


class CsvForm(msgspec.Struct, kw_only=True):
    """The parts of POST /v1/index/bulk/csv as a form."""

    file: bytes


class BulkBody(msgspec.Struct, kw_only=True):
    """A file that was accepted; how many rows an archive has is known once it was fetched."""

    job_id: str
    status: Status
    rows: int | None


class RowQuery(msgspec.Struct, kw_only=True):
    """The query of GET /v1/jobs/{id}/rows."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str = ""
    status: Status | None = None


class RowBody(msgspec.Struct, kw_only=True):
    """What became of a row, or (without a line) of a file of an archive that no row is about."""

    line: int | None
    file: str | None
    status: Status
    asset_id: str | None
    media_type: MediaType | None
    name: str | None
    error: FailureBody | None


class RowListBody(msgspec.Struct, kw_only=True):
    rows: list[RowBody]
    next_cursor: str | None
