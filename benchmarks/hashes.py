"""What it costs to find a PDQ among many, and to take in more of them: python -m benchmarks.hashes --count 1000000"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import psycopg

from index_svc.access import Access
from index_svc.embedded import EmbeddedPostgres
from index_svc.hash_lists import BATCH, HashLists, HashRow
from index_svc.hashes import HashKind, bands, max_distance
from index_svc.records import Narrowing
from index_svc.store import hashes as store
from index_svc.store.database import Database
from mesh.media import MediaType

_LIST_ROWS = 10_000
_QUERIES = 40
_BITS = 256


async def measure(count: int, folder: Path) -> None:
    async with EmbeddedPostgres(folder / "database" / "18", folder / "db") as embedded, Database(embedded.conninfo, 4) as database:
        access = Access(database, "")
        project = (await access.create_project("hashes", "unlimited")).id
        drawn = random.Random(1)
        known = await asyncio.to_thread(_fill, embedded.conninfo, project, count, drawn)

        async def batches() -> AsyncIterator[list[HashRow]]:
            for _ in range(_LIST_ROWS // BATCH):
                values = [_draw(drawn) for _ in range(BATCH)]
                yield [HashRow(line, HashKind.PDQ, value) for line, value in enumerate(values, 1)]

        began = time.perf_counter()
        made = await HashLists(database, access).take_in(project, MediaType.IMAGE, batches(), None)
        print(f"a list of {made.accepted:,} taken in within {time.perf_counter() - began:.1f} s", flush=True)
        await _search(database, project, known, drawn)


def _draw(drawn: random.Random) -> str:
    return f"{drawn.getrandbits(_BITS):064x}"


def _fill(conninfo: str, project: UUID, count: int, drawn: random.Random) -> list[str]:
    """So many assets that are their hashes, as they lie there in the end: the index of bands is built at once. Some of the hashes."""
    known = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        number, job = connection.execute("SELECT number, gen_random_uuid() FROM projects WHERE id = %s", [project]).fetchone() or (0, None)
        connection.execute("INSERT INTO jobs (id, project, media_type, total) VALUES (%s, %s, 1, %s)", [job, project, count])
        connection.execute(
            "INSERT INTO assets (id, project, media_type, status, job, name, collection, owner, metadata, finished_at)"
            " SELECT gen_random_uuid(), %s, 1, 'ready', %s, '', '', '', '{}', now() FROM generate_series(1, %s)",
            [project, job, count],
        )
        connection.execute("DROP INDEX hashes_bands_idx")
        with connection.cursor().copy("COPY hashes (asset, project, pdq, bands) FROM STDIN") as copy:
            for asset in range(1, count + 1):
                value = _draw(drawn)
                if asset % (count // _QUERIES) == 1:
                    known.append(value)
                copy.write_row((asset, number, f"{int(value, 16):0{_BITS}b}", [number << 23 | band for band in bands(HashKind.PDQ, value)]))
        connection.execute("CREATE INDEX hashes_bands_idx ON hashes USING gin (bands) WITH (fastupdate = off)")
        for table in ("hashes", "assets"):
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        sizes = "SELECT pg_size_pretty(pg_total_relation_size('hashes')), pg_size_pretty(pg_relation_size('hashes_bands_idx'))"
        print(
            "{:,} hashes: {} in all, {} of it the index of bands".format(count, *(connection.execute(sizes).fetchone() or ())), flush=True
        )
    return known


async def _search(database: Database, project: UUID, known: list[str], drawn: random.Random) -> None:
    spent, found = [], 0
    furthest = max_distance(HashKind.PDQ)
    for value in drawn.sample(known, min(_QUERIES, len(known))):
        number = int(value, 16)
        for bit in drawn.sample(range(_BITS), furthest):
            number ^= 1 << bit
        began = time.perf_counter()
        async with database.transaction() as connection:
            hits = await store.find_by_hash(
                connection, project, MediaType.IMAGE, HashKind.PDQ, f"{number:064x}", Narrowing(), 100, not_of=None
            )
        spent.append((time.perf_counter() - began) * 1000)
        found += [distance for _, distance in hits] == [furthest]
    print(f"{found} of {len(spent)} found at {furthest} bits; median {statistics.median(spent):.0f} ms, slowest {max(spent):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the database runs as another user where this runs as root
        asyncio.run(measure(parser.parse_args().count, Path(folder)))


if __name__ == "__main__":
    main()
