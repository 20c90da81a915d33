"""What pg_dump takes of a running index, pg_restore gives back: projects, keys that still open, assets that searches find."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

from index_svc.access import Access
from index_svc.embedded import binaries
from index_svc.store.database import Database
from tests.integration.index_svc.test_store import Library, fingerprint


async def test_index_is_whole_after_a_backup_and_a_restore(database: Database, access: Access, conninfo: str, tmp_path: Path) -> None:
    project = await access.create_project("one", "")
    _, key = await access.create_key(project.id, "a", ["image:index"], None)
    made = fingerprint(list(range(100)))
    asset, number = await Library(database, project.id).add(made)
    dump, restored = tmp_path / "mediamesh.dump", conninfo.replace("dbname=test", "dbname=restored_test")
    subprocess.run([binaries() / "pg_dump", "--format=custom", f"--file={dump}", conninfo], check=True, capture_output=True)
    name = restored.rsplit("dbname=", 1)[1]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        restore = [str(binaries() / "pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={restored}", str(dump)]
        subprocess.run(restore, check=True, capture_output=True)
        async with Database(restored, 4) as other:
            assert (await Access(other, "").authenticate(key)).project == project.id
            library = Library(other, project.id)
            assert await library.vote(made) == [number]
            # What comes next gets numbers of its own.
            _, later = await library.add(fingerprint(list(range(100))))
            assert later > number
            assert sorted(await library.vote(made)) == [number, later]
            assert (await library.status(asset)) is not None
    finally:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
