"""The sound tracks of films: what was made of them, and which tables tell what an asset is found through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from index_svc.records import MEDIUM_NUMBER, Fingerprint, SoundTrack
from index_svc.store.database import Connection
from mesh.media import MediaType

SHELF: Final = 4
"""What the terms of films' sounds have in place of a medium's number."""

IS_HEARD: Final = "EXISTS (SELECT FROM sounds WHERE sounds.asset = assets.number AND sounds.payload IS NOT NULL)"
LAST_RUN: Final = "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM runs_id_seq)"


@dataclass(frozen=True, slots=True)
class Facet:
    """Where SQL finds what assets are found through: on which shelf are the terms, in which table the payloads and their kinds."""

    shelf: int
    payloads: str
    kinds: str
    join: str

    @property
    def kinds_join(self) -> str:
        """What it takes to know the kinds."""
        return "" if self.kinds == "assets" else self.join


def facet_of(media_type: MediaType, through: MediaType | None = None) -> Facet:
    """What assets of this medium are found through: what their own matcher made, or of films also the audio matcher."""
    if (media_type, through) == (MediaType.VIDEO, MediaType.AUDIO):
        return Facet(SHELF, "sounds", "sounds", "JOIN sounds ON sounds.asset = assets.number AND sounds.payload IS NOT NULL")
    if through not in (None, media_type):
        raise ValueError(f"{media_type} is not found through {through}")
    return Facet(MEDIUM_NUMBER[media_type], "fingerprints", "assets", "JOIN fingerprints ON fingerprints.asset = assets.number")


async def write_terms(connection: Connection, number: int, shelf: int, made: Fingerprint) -> None:
    """What searches find a ready asset by; again where it is fingerprinted again."""
    await connection.execute(
        "INSERT INTO unpacked (asset, project, media_type, terms, positions)"
        " SELECT assets.number, projects.number, %s, %s, %s"
        " FROM assets JOIN projects ON projects.id = assets.project WHERE assets.number = %s"
        " ON CONFLICT (asset, media_type) DO UPDATE SET terms = excluded.terms, positions = excluded.positions",
        [shelf, made.terms, made.positions if any(made.positions) else None, number],
        binary=True,
    )


async def write_sound(connection: Connection, number: int, sound: SoundTrack) -> None:
    """Of a film that is there; again where it is listened to again."""
    if sound.made is None:
        await connection.execute("DELETE FROM unpacked WHERE asset = %s AND media_type = %s", [number, SHELF])
    else:
        await write_terms(connection, number, SHELF, sound.made)
    # Behind the terms: where these were just being packed, that run is one of the stale ones.
    await connection.execute(
        "INSERT INTO sounds (asset, algorithm, version, payload) VALUES (%s, %s, %s, %s)"  # noqa: S608
        " ON CONFLICT (asset) DO UPDATE SET algorithm = excluded.algorithm, version = excluded.version, payload = excluded.payload,"
        f" stale_runs = {LAST_RUN}",
        [number, *sound.kind, sound.made.payload if sound.made else None],
        binary=True,
    )
