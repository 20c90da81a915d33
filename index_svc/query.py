"""What is searched for, and what is known of it: fingerprints by their matcher, hashes by their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from index_svc.hashes import HashKind
from index_svc.listening import listen
from index_svc.matchers import Matchers
from index_svc.records import AssetStatus, Fingerprint, Kind, Narrowing
from index_svc.sources import Source, Sources
from index_svc.store import assets as asset_store
from index_svc.store import hashes as hash_store
from index_svc.store import postings as store
from index_svc.store.database import Database
from index_svc.ways import Way
from mesh.errors import InvalidRequest, NotFound
from mesh.media import MediaType


@dataclass(frozen=True, slots=True)
class Query:
    """One of source, asset and hash; what assets are looked through (none: those of its own medium), and what counts as found."""

    media_type: MediaType
    source: Source | None = None
    asset: UUID | None = None
    hash: tuple[HashKind, str] | None = None
    media_types: Sequence[MediaType] = ()
    threshold: float | None = None
    min_coverage: float = 0.0
    limit: int = 0
    offset: int = 0
    narrowing: Narrowing = field(default_factory=Narrowing)
    profile: str = ""
    policy: str = ""

    @property
    def endpoint(self) -> str:
        """As the public route is named."""
        by = "asset" if self.asset else "hash" if self.hash else self.source.field if self.source else "url"
        return f"search_{self.media_type}_by_{'upload' if by == 'file' else by}"


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to find others by."""

    fingerprints: Mapping[MediaType, Fingerprint]
    hashes: Mapping[str, str]
    media_bytes: int = 0


class Queries:
    def __init__(self, database: Database, matchers: Matchers, sources: Sources) -> None:
        self._database = database
        self._matchers = matchers
        self._sources = sources

    async def read(self, project: UUID, query: Query, ways: Sequence[Way], there: frozenset[Kind]) -> Known:
        """As much as these ways need; `there` are the kinds of assets of its own medium, which hashes have to make up for."""
        throughs = list(dict.fromkeys(way.through for way in ways))
        if query.hash is not None:
            return Known({}, dict([query.hash]))
        if query.asset is not None:
            return await self._stored(project, query.media_type, query.asset, throughs)
        if query.source is None:
            raise InvalidRequest("the query must be a url, an asset_id, a hash or a file")
        with_hashes = bool(there) and there != {await self._matchers.kind_if_known(query.media_type)}
        return await self._made(query.media_type, query.source, throughs, with_hashes=with_hashes)

    async def _made(self, medium: MediaType, source: Source, throughs: Sequence[MediaType], *, with_hashes: bool) -> Known:
        if throughs == [medium]:
            made = await self._matchers.fingerprint(medium, source, with_hashes=with_hashes)
            return Known({medium: made}, made.hashes, made.media_bytes)
        fingerprints: dict[MediaType, Fingerprint] = {}
        async with self._sources.at_hand(medium, source) as file:
            for through in throughs:
                if (medium, through) == (MediaType.VIDEO, MediaType.AUDIO):
                    # A film without sound is found by none.
                    if heard := (await listen(self._matchers, file)).made:
                        fingerprints[through] = heard
                else:
                    fingerprints[through] = await self._matchers.fingerprint(through, file, with_hashes=with_hashes and through is medium)
        hashes = fingerprints[medium].hashes if medium in fingerprints else {}
        return Known(fingerprints, hashes, file.size_bytes)

    async def _stored(self, project: UUID, medium: MediaType, asset: UUID, throughs: Sequence[MediaType]) -> Known:
        if medium is MediaType.IMAGE and MediaType.VIDEO in throughs:
            raise InvalidRequest(
                "media_types: an image in the library is not kept as a film of one frame; search with its URL or file", field="media_types"
            )
        # What is heard may be a film's sound track.
        kept_as = [medium, MediaType.VIDEO] if medium is MediaType.AUDIO else [medium]
        fingerprints: dict[MediaType, Fingerprint] = {}
        async with self._database.transaction() as connection:
            for through in throughs:
                for media_type in kept_as:
                    if stored := await store.read_fingerprint(connection, project, asset, media_type, through):
                        fingerprints[through] = stored
            hashes = await hash_store.read_hashes(connection, project, asset, medium)
            if not fingerprints and not hashes:
                found = await asset_store.find_asset(connection, project, asset)
                if found is None or (found.media_type, found.status) != (medium, AssetStatus.READY):
                    raise NotFound(f"there is no such {medium} asset that is ready")
        return Known(fingerprints, {str(kind): value for kind, value in hashes.items()})
