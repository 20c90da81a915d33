"""What a search costs in an index of a million: known assets and their copies among drawn ones that carry as many terms as real ones.

The drawn ones carry the terms of known assets with some bits turned, so that frequent terms stay frequent, and the payload of a stranger
where a search would compare them. python -m benchmarks.scale --medium image --pairs pairs.csv --sizes 100000 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from PIL import Image

from benchmarks import material
from index_svc.records import MEDIUM_NUMBER, Fingerprint, Narrowing
from index_svc.settings import Settings
from index_svc.store.database import Database
from index_svc.store.postings import find_candidates
from index_svc.store.runs import PACKED_FROM, PACKING_LOCK
from mesh.media import MediaType
from tests.edits import as_file
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

STAGES: Final = ("fingerprint", "candidates", "compare", "total")
TURNED_BITS: Final = 3
TERM_BITS: Final = {MediaType.IMAGE: 24, MediaType.VIDEO: 24, MediaType.AUDIO: 29}
"""The low bits of a term that say what was seen; above them stands the table."""
AT_ONCE: Final = 2000
MIN_RUN: Final = 200
QUIET_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What is indexed and what is searched for: a file and a copy of it."""

    original: bytes
    copy: bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medium", type=MediaType, default=MediaType.IMAGE, choices=list(MediaType))
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="assets in the index (10000 100000)")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long each drawn sound or film is; 0: as long as a known one")
    parser.add_argument("--pairs", type=Path, help="a CSV file with columns source and target (a copy of it), paths relative to it")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where the database lies meanwhile (a temporary folder)")
    arguments = parser.parse_args()
    known = list(read_pairs(arguments.pairs, arguments.searches) if arguments.pairs else draw_pairs(arguments.searches))
    with Origin() as origin, tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        data_dir = Path(folder)
        with RunningMesh(data_dir, INDEX_JOBS="2") as mesh:
            library = Library(mesh, origin, arguments.medium, known)
            library.index_known()
            print("| assets | postings | bytes a posting | packed a second | p50 | p95 | of it candidates p50 | p95 | found first |")
            print("|---|---|---|---|---|---|---|---|---|")
            for size in arguments.sizes:
                library.fill(size, arguments.seconds)
                library.supply_payloads()
                library.search_all()
                library.show(library.search_all())
        evict(data_dir)
        with RunningMesh(data_dir, INDEX_JOBS="2") as mesh:
            library.mesh = library.project.mesh = mesh
            print("from a cold cache:")
            library.show(library.search_all())


def read_pairs(path: Path, count: int) -> Iterator[Known]:
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("label", "1") == "1"]
    Random(0).shuffle(rows)
    for row in rows[:count]:
        yield Known((path.parent / row["source"]).read_bytes(), (path.parent / row["target"]).read_bytes())


def draw_pairs(count: int) -> Iterator[Known]:
    edits = [edit for members in material.FAMILIES.values() for edit in members.values()]
    for number in range(count):
        picture = Image.fromarray(photo(number % 50, *material.SIZES[number % len(material.SIZES)]))
        yield Known(encoded(picture, "JPEG", quality=90), as_file(edits[number % len(edits)](picture, Random(number))))


class Library:
    """A project of a running mesh, filled past what was fetched for it."""

    def __init__(self, mesh: RunningMesh, origin: Origin, medium: MediaType, known: list[Known]) -> None:
        self.mesh, self.medium, self.known = mesh, medium, known
        self.project: Project = new_project(mesh)
        self._origin = origin
        settings = Settings(data_dir=str(mesh.data_dir))
        self._conninfo = f"host={settings.runtime_dir / 'db'} port=5432 user=mediamesh dbname=postgres"
        with psycopg.connect(self._conninfo) as connection:
            self._number: int = connection.execute("SELECT number FROM projects WHERE id = %s", [self.project.id]).fetchone()[0]  # type: ignore[index]
        self._assets: dict[bytes, str] = {}
        self._size = 0
        self._rate = 0.0

    def index_known(self) -> None:
        """As a client does it; nothing of it is packed before its terms are read."""
        with psycopg.connect(self._conninfo) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [PACKING_LOCK])
            started = time.perf_counter()
            for number, content in enumerate(dict.fromkeys(pair.original for pair in self.known)):
                self._assets[content] = self.project.index(self._origin.serve(f"original-{number}", content), self.medium)
            spent = time.perf_counter() - started
            self._size = len(self._assets)
            print(f"{self._size} known assets, one after the other: {self._size / spent:.1f} a second", flush=True)
            rows = connection.execute(
                "SELECT terms, positions FROM unpacked WHERE media_type = %s ORDER BY asset", [self._medium_number]
            ).fetchall()
        self._pool = [(np.array(terms), np.zeros(len(terms), int) if at is None else np.array(at)) for terms, at in rows]

    def fill(self, size: int, seconds: float) -> None:
        """Up to so many assets, packed as what clients index is packed."""
        draw = np.random.default_rng(size)
        started, packed = time.perf_counter(), 0
        with psycopg.connect(self._conninfo) as connection:
            job = uuid4()
            connection.execute(
                "INSERT INTO jobs (id, project, media_type, total) VALUES (%s, %s, %s, 0)", [job, self.project.id, self._medium_number]
            )
            while self._size < size:
                packed += self._add(connection, job, min(AT_ONCE, size - self._size), draw, seconds)
                connection.commit()
                self._wait_until_packed(connection, 4 * AT_ONCE)
            self._wait_until_packed(connection, MIN_RUN)
            self._rate = packed / (time.perf_counter() - started)
            self._wait_until_merged(connection)
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE blocks, assets, unpacked")

    def _add(self, connection: psycopg.Connection[Any], job: UUID, count: int, draw: np.random.Generator, seconds: float) -> int:
        """How many postings came with them."""
        algorithm, version = connection.execute("SELECT algorithm, version FROM assets WHERE version IS NOT NULL LIMIT 1").fetchone()  # type: ignore[misc]
        columns = "id, project, media_type, status, job, name, collection, owner, metadata, finished_at, algorithm, version, sha256"
        with connection.cursor() as cursor, cursor.copy(f"COPY assets ({columns}) FROM STDIN") as copy:
            for _ in range(count):
                identity = uuid4()
                about = (identity, self.project.id, self._medium_number, "ready", job, "", "", "", "{}", "now", algorithm, version)
                copy.write_row((*about, identity.hex * 2))
        numbers = connection.execute("SELECT number FROM assets WHERE job = %s ORDER BY number DESC LIMIT %s", [job, count]).fetchall()
        brought = 0
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY unpacked FROM STDIN BINARY") as copy,
        ):
            copy.set_types(["int8", "int4", "int2", "int8[]", "int4[]"])
            for (number,) in reversed(numbers):
                terms, positions = self._drawn(draw, seconds)
                brought += len(terms)
                where = positions.tolist() if positions.any() else None
                copy.write_row((number, self._number, self._medium_number, terms.tolist(), where))
        self._size += count
        return brought

    def _drawn(self, draw: np.random.Generator, seconds: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The terms of one that is there with some bits turned; of several, where it is to be longer."""
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        at = 0
        while not parts or at < seconds * 1000:
            terms, positions = self._pool[draw.integers(len(self._pool))]
            parts.append((terms, positions + at))
            at += int(positions.max(initial=0)) + 1000
        terms, positions = (np.concatenate(column) for column in zip(*parts, strict=True))
        for _ in range(TURNED_BITS):
            terms = terms ^ (1 << draw.integers(0, TERM_BITS[self.medium], len(terms)))
        is_in = np.ones(len(terms), bool) if not seconds else positions < seconds * 1000
        return terms[is_in], positions[is_in]

    def _wait_until_packed(self, connection: psycopg.Connection[Any], at_most: int) -> None:
        while True:
            left, postings = connection.execute("SELECT count(*), coalesce(sum(cardinality(terms)), 0) FROM unpacked").fetchone()  # type: ignore[misc]
            connection.commit()
            if left < at_most or postings < PACKED_FROM:
                return
            time.sleep(0.05)

    def _wait_until_merged(self, connection: psycopg.Connection[Any]) -> None:
        """Until there is no merge under way, for as long as it takes to see that none begins."""
        quiet = 0
        while quiet < QUIET_LOOKS:
            time.sleep(1)
            (merging,) = connection.execute("SELECT count(*) FROM runs WHERE merged_into IS NOT NULL").fetchone()  # type: ignore[misc]
            connection.commit()
            quiet = 0 if merging else quiet + 1

    def supply_payloads(self) -> None:
        """What a search compares has a payload: a stranger's."""
        asyncio.run(self._supply_payloads())

    async def _supply_payloads(self) -> None:
        async with Database(self._conninfo, 4) as database:
            for pair in self.known:
                query = await self._query(database, pair)
                async with database.transaction() as connection:
                    numbers = await find_candidates(connection, UUID(self.project.id), self.medium, query, Narrowing(), 200)
                    await connection.execute(
                        "INSERT INTO fingerprints (asset, payload) SELECT number, (SELECT payload FROM fingerprints ORDER BY asset LIMIT 1)"
                        " FROM assets WHERE number = ANY(%s) ON CONFLICT DO NOTHING",
                        [numbers],
                    )

    async def _query(self, database: Database, pair: Known) -> Fingerprint:
        """Near enough: the terms of the original are what its copies ask for."""
        place = list(self._assets).index(pair.original)
        terms, positions = self._pool[place]
        async with database.transaction() as connection:
            found = await connection.execute("SELECT algorithm, version FROM assets WHERE id = %s", [self._assets[pair.original]])
            row = (await found.fetchall())[0]
        return Fingerprint(row["algorithm"], row["version"], "", b"", terms.tolist(), positions.tolist())

    def search_all(self) -> list[tuple[dict[str, float], bool]]:
        """Milliseconds of each stage, and whether the original came first."""
        outcomes = []
        for number, pair in enumerate(self.known):
            url = self._origin.serve(f"copy-{number}", pair.copy)
            answer = self.project.post(f"/v1/search/{self.medium}/url", url=url, threshold=0.5)
            assert answer.status == 200, answer.body
            stages = {part.split(";")[0]: float(part.partition("dur=")[2]) for part in answer.headers["server-timing"].split(", ")}
            hits = answer.json["results"]
            outcomes.append((stages, bool(hits) and hits[0]["asset_id"] == self._assets[pair.original]))
        return outcomes

    def show(self, outcomes: list[tuple[dict[str, float], bool]]) -> None:
        with psycopg.connect(self._conninfo) as connection:
            size, postings = connection.execute("SELECT pg_total_relation_size('blocks'), sum(postings) FROM runs").fetchone()  # type: ignore[misc]
        total, candidates = ([stages[name] for stages, _ in outcomes] for name in ("total", "candidates"))
        found = statistics.mean(is_found for _, is_found in outcomes)
        times = " | ".join(f"{np.percentile(spent, share):.0f} ms" for spent in (total, candidates) for share in (50, 95))
        print(f"| {self._size:,} | {postings:,} | {size / postings:.1f} | {self._rate:,.0f} | {times} | {found:.3f} |", flush=True)

    @property
    def _medium_number(self) -> int:
        return MEDIUM_NUMBER[self.medium]


def evict(folder: Path) -> None:
    """Out of the kernel's memory."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            opened = os.open(path, os.O_RDONLY)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(opened)


if __name__ == "__main__":
    main()
