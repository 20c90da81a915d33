"""The database's life: made once, taken over after a kill, brought up to date by one of many, away and back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from index_svc.embedded import EmbeddedPostgres, make_cluster
from index_svc.store.database import MIGRATIONS, Database, DiskFull
from index_svc.store.migration import apply_migrations
from mesh.errors import Conflict, InvalidRequest, NotAvailable
from tests.running_mesh import ROOT

SERVE = """
import asyncio, sys
from pathlib import Path
from index_svc.embedded import EmbeddedPostgres
async def serve(folder):
    async with EmbeddedPostgres(folder / "database" / "18", folder / "db") as embedded:
        print(embedded._process.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(serve(Path(sys.argv[1])))
"""


def embedded_in(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "database" / "18", folder / "db", fsync="off")


async def rows(conninfo: str, statement: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def test_database_of_a_killed_process_ends_and_is_taken_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        postmaster = int(process.stdout.readline())
        embedded = embedded_in(tmp_path)
        await rows(embedded.conninfo, "CREATE TABLE kept AS SELECT 42 AS answer")
        process.kill()
    async with embedded:
        assert await rows(embedded.conninfo, "SELECT answer FROM kept") == [(42,)]
        assert not psutil.pid_exists(postmaster) or psutil.Process(postmaster).status() == psutil.STATUS_ZOMBIE


async def test_lock_that_a_killed_database_left_is_nobodys(tmp_path: Path) -> None:
    embedded = embedded_in(tmp_path)
    async with embedded:
        lock = (tmp_path / "database" / "18" / "postmaster.pid").read_text()
    stranger = lock.replace(lock.splitlines()[0], str(os.getpid()), 1)
    (tmp_path / "database" / "18" / "postmaster.pid").write_text(stranger)
    async with embedded_in(tmp_path) as again:
        assert await rows(again.conninfo, "SELECT 1") == [(1,)]


async def test_database_that_dies_is_started_again(tmp_path: Path) -> None:
    async with embedded_in(tmp_path) as embedded, Database(embedded.conninfo, 4) as database:
        before = await _started_at(database)
        assert embedded._process is not None
        os.kill(embedded._process.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                try:
                    if await _started_at(database) != before:
                        break
                except NotAvailable:
                    await asyncio.sleep(0)


async def test_two_databases_run_side_by_side_and_leave_nothing_running(tmp_path: Path) -> None:
    async with embedded_in(tmp_path / "one") as one, embedded_in(tmp_path / "two") as two:
        await rows(one.conninfo, "CREATE TABLE mine (a int)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await rows(two.conninfo, "SELECT * FROM mine")
        processes = [one._process, two._process]
    assert [process.returncode for process in processes if process] == [0, 0]


async def test_only_its_own_user_reaches_the_folders(tmp_path: Path) -> None:
    async with embedded_in(tmp_path):
        for folder in (tmp_path / "database", tmp_path / "database" / "18", tmp_path / "db"):
            assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
def test_root_of_a_namespace_without_other_users_has_a_database_too(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-r", "true"], check=False).returncode:
        pytest.skip("the kernel or the container gives this user no namespaces")
    command = ["unshare", "-r", sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        postmaster = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert not psutil.wait_procs([postmaster], timeout=20)[1] or postmaster.status() == psutil.STATUS_ZOMBIE


async def test_half_made_database_is_made_anew(tmp_path: Path) -> None:
    draft = tmp_path / "database" / "18.new"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    make_cluster(tmp_path / "database" / "18")
    assert not draft.exists()
    assert (tmp_path / "database" / "18" / "PG_VERSION").read_text().strip() == "18"


async def test_tables_are_made_once_by_whoever_comes_first(conninfo: str) -> None:
    async def state() -> list[tuple[object, ...]]:
        return await rows(conninfo, "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY oid")

    before = await state()
    await asyncio.gather(*(asyncio.to_thread(apply_migrations, conninfo, MIGRATIONS) for _ in range(4)))
    assert {name for _, name in await state()} == {name for _, name in before}


async def test_absent_database_is_a_coded_error_and_is_used_once_it_is_there(tmp_path: Path) -> None:
    embedded = embedded_in(tmp_path)
    async with Database(embedded.conninfo, 4) as database:
        with pytest.raises(NotAvailable):
            await _ask(database)
        async with embedded:
            async with asyncio.timeout(30):
                await database.is_migrated.wait()
            assert await _ask(database) == 1


@pytest.mark.parametrize("value", ["half\0way", 1 << 40], ids=["NUL", "too large"])
async def test_what_no_table_can_keep_is_told_to_whoever_gave_it(conninfo: str, value: object) -> None:
    async with Database(conninfo, 2) as database:
        with pytest.raises(InvalidRequest):
            async with database.transaction() as connection:
                await connection.execute("SELECT %s::text" if isinstance(value, str) else "SELECT %s::bigint::integer", (value,))
        assert await _ask(database) == 1


@pytest.mark.parametrize("state", ["53100", "25006"], ids=["disk full", "takes no writes"])
async def test_database_without_room_is_a_coded_error_that_passes(conninfo: str, state: str) -> None:
    async with Database(conninfo, 2) as database:
        with pytest.raises(DiskFull):
            async with database.transaction() as connection:
                await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$".encode())
        assert await _ask(database) == 1
    assert DiskFull.retryable


async def test_database_on_a_disk_without_room_is_read_and_not_written(full_database: Database) -> None:
    assert await _ask(full_database) == 1
    with pytest.raises(DiskFull):
        async with full_database.transaction() as connection:
            await connection.execute("CREATE TABLE more (a int)")


async def test_database_that_does_not_answer_is_given_up_and_used_again(tmp_path: Path) -> None:
    async with embedded_in(tmp_path) as embedded, Database(embedded.conninfo, 2) as database:
        assert embedded._process is not None
        postmaster = psutil.Process(embedded._process.pid)
        assert await _ask(database) == 1
        postmaster.suspend()
        stopped = [postmaster, *postmaster.children()]
        for process in stopped:
            process.suspend()
        try:
            # The first has a connection that nobody answers on, the others wait for one: for longer than it takes to find out.
            asked = await asyncio.gather(*(_ask(database) for _ in range(6)), return_exceptions=True)
            was_able = database.is_able
        finally:
            for process in stopped:
                process.resume()
        assert {type(outcome) for outcome in asked} == {NotAvailable}
        assert not was_able
        async with asyncio.timeout(30):
            while not database.is_able:
                await asyncio.sleep(0)
        assert await _ask(database) == 1


async def test_connection_whose_check_was_given_up_still_takes_all_or_nothing(conninfo: str) -> None:
    async with Database(conninfo, 2) as database:
        async with database.pool.connection() as one, database.pool.connection() as other:
            for connection in (one, other):
                await connection.set_autocommit(True)
        with pytest.raises(Conflict):
            async with database.transaction() as connection:
                await connection.execute("CREATE TABLE half (a int)")
                raise Conflict("so far and no further")
        async with database.transaction() as connection:
            assert await (await connection.execute("SELECT to_regclass('half') AS half")).fetchall() == [{"half": None}]


async def _ask(database: Database) -> int:
    async with database.transaction() as connection:
        return int((await (await connection.execute("SELECT 1 AS one")).fetchall())[0]["one"])


async def _started_at(database: Database) -> object:
    async with database.transaction() as connection:
        return (await (await connection.execute("SELECT pg_postmaster_start_time() AS at")).fetchall())[0]["at"]
