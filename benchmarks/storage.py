"""What one asset costs in rows and bytes: files of a folder are indexed on a mesh of their own, and its database is asked.

python -m benchmarks.storage --media folder: images, sounds and films, by their first bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final

import psycopg

from index_svc.records import MEDIUM
from index_svc.store import runs
from index_svc.store.database import Database
from index_svc.store.sounds import SHELF
from mesh.media import MediaType
from mesh.media_type import FILMS, IMAGES, SNIFF_BYTES, SOUNDS, sniff
from protos import media_pb2
from tests.index_client import Project, new_project
from tests.running_mesh import RunningMesh

LISTED: Final = 20_000
"""Rows of a list of hashes, by which the tables and indexes of every asset are measured: those of a few files are mostly empty pages."""
_KINDS: Final = {MediaType.IMAGE: IMAGES, MediaType.AUDIO: SOUNDS, MediaType.VIDEO: FILMS}
_TABLES: Final = ("assets", "hashes")
_PAYLOADS: Final = """
SELECT assets.media_type, fingerprints.payload FROM assets JOIN fingerprints ON fingerprints.asset = assets.number
 UNION ALL SELECT 4, payload FROM sounds WHERE payload IS NOT NULL
"""
_POSTINGS: Final = """
SELECT runs.media_type, sum(runs.postings) AS postings, sum(held.bytes) AS bytes FROM runs CROSS JOIN LATERAL
 (SELECT sum(octet_length(pairs) + coalesce(octet_length(positions), 0)) AS bytes FROM blocks WHERE run = runs.id) AS held
 GROUP BY runs.media_type
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--files", type=int, default=20, help="of each medium (20)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RunningMesh(Path(folder)) as mesh:
        project = new_project(mesh)
        for medium, known in _KINDS.items():
            files = [path for each in arguments.media for path in sorted(each.rglob("*")) if path.is_file() and _type(path) in known]
            for path in files[: arguments.files]:
                project.index_upload(path.read_bytes(), medium)
        conninfo = f"host={mesh.data_dir / 'run' / 'db'} port=5432 user=mediamesh dbname=postgres"
        asyncio.run(_pack_all(conninfo))
        print_media(conninfo)
        print_rows(conninfo, project)


def print_media(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        payloads = connection.execute(_PAYLOADS).fetchall()
        postings = {shelf: (count, size) for shelf, count, size in connection.execute(_POSTINGS)}
    print("| | files | seconds | fingerprint, bytes | terms | their bytes | bytes in all | a minute |")
    print("|---|---|---|---|---|---|---|---|")
    for shelf in (*MEDIUM, SHELF):
        mine = [payload for of, payload in payloads if of == shelf]
        if not mine:
            continue
        seconds = sum(media_pb2.Fingerprint.FromString(payload).duration_seconds for payload in mine)
        count, size = (int(number) for number in postings.get(shelf, (0, 0)))
        whole = sum(map(len, mine)) + size
        name = "sound track of a film" if shelf == SHELF else str(MEDIUM[shelf])
        cells: list[Any] = [name, len(mine), round(seconds), sum(map(len, mine)) // len(mine), count // len(mine), size // len(mine)]
        minute = f"{60 * whole / seconds:,.0f}" if seconds else ""
        print(f"| {' | '.join(map(str, cells))} | {whole // len(mine):,} | {minute} |")


def print_rows(conninfo: str, project: Project) -> None:
    """Of tables in which every asset has a row."""
    hashes = "\n".join(f"{number:032x}" for number in range(LISTED))
    answer = project.mesh.request(
        "POST",
        "/v1/index/image/hashes?kind=md5",
        hashes.encode(),
        {"Authorization": f"Bearer {project.key}", "Content-Type": "text/csv"},
    )
    assert answer.status == 200, answer.body
    with psycopg.connect(conninfo) as connection:
        for table in _TABLES:
            row = connection.execute(
                f"SELECT pg_table_size('{table}'), pg_indexes_size('{table}'), count(*) FROM {table}".encode()
            ).fetchone()
            assert row is not None
            print(f"{table}: {row[0] // row[2]} bytes a row, {row[1] // row[2]} in its indexes")


async def _pack_all(conninfo: str) -> None:
    async with Database(conninfo, 4) as database:
        while True:
            async with database.transaction() as connection:
                cursor = await connection.execute("SELECT DISTINCT project, media_type FROM unpacked")
                shelves = [runs.Shelf(**row) for row in await cursor.fetchall()]
                for shelf in shelves:
                    await runs.pack(connection, shelf)
            if not shelves:
                return


def _type(path: Path) -> str | None:
    with path.open("rb") as file:
        return sniff(file.read(SNIFF_BYTES))


if __name__ == "__main__":
    main()
