"""Projects and keys on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from index_svc.access import Access
from index_svc.keys import make_key
from index_svc.store.database import Database
from mesh.errors import FeatureDisabled, InvalidRequest, NotFound, Unauthorized


async def test_key_opens_its_own_project_with_its_own_scopes(access: Access) -> None:
    one, two = await access.create_project("one", ""), await access.create_project("two", "")
    _, first = await access.create_key(one.id, "a", ["image:index"], None)
    _, second = await access.create_key(two.id, "b", ["jobs:read", "image:search"], None)
    assert (await access.authenticate(first)).project == one.id
    grant = await access.authenticate(second)
    assert (grant.project, grant.scopes) == (two.id, ["image:search", "jobs:read"])


async def test_key_is_stored_as_a_digest_only(access: Access, conninfo: str) -> None:
    project = await access.create_project("one", "")
    _, text = await access.create_key(project.id, "a", [], None)
    secret = text.removeprefix("mm_live_")[12:]
    with psycopg.connect(conninfo) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        dump = "".join(str(connection.execute(f'SELECT t::text FROM "{table}" t'.encode()).fetchall()) for table in tables)
    assert project.name in dump
    assert secret not in dump


async def test_well_formed_key_that_nobody_has_is_refused(access: Access) -> None:
    with pytest.raises(Unauthorized):
        await access.authenticate(make_key().text)


async def test_id_of_a_key_with_another_secret_is_refused(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await access.create_project("one", "")
    key, _ = await access.create_key(project.id, "a", [], None)
    monkeypatch.setattr("index_svc.keys._random", lambda length: key.id if length == len(key.id) else "x" * length)
    with pytest.raises(Unauthorized):
        await access.authenticate(make_key().text)


async def test_revoked_key_is_refused_at_once_and_revoking_twice_is_no_error(access: Access) -> None:
    project = await access.create_project("one", "")
    key, text = await access.create_key(project.id, "a", [], None)
    await access.revoke_key(project.id, key.id)
    await access.revoke_key(project.id, key.id)
    with pytest.raises(Unauthorized):
        await access.authenticate(text)


async def test_rotated_key_works_until_the_overlap_is_over(access: Access) -> None:
    project = await access.create_project("one", "")
    key, old = await access.create_key(project.id, "a", ["jobs:read"], None)
    fresh, new = await access.rotate_key(project.id, key.id, 3600)
    assert (await access.authenticate(old)).scopes == (await access.authenticate(new)).scopes == ["jobs:read"]
    await access.rotate_key(project.id, fresh.id, 0)
    with pytest.raises(Unauthorized):
        await access.authenticate(new)
    ends = {key.id: key.expires_at for key in await access.list_keys(project.id)}[key.id]
    assert ends is not None
    assert timedelta(minutes=59) < ends - datetime.now(UTC) < timedelta(minutes=61)


async def test_key_cannot_be_rotated_back_to_life(access: Access) -> None:
    project = await access.create_project("one", "")
    key, _ = await access.create_key(project.id, "a", [], None)
    await access.revoke_key(project.id, key.id)
    with pytest.raises(NotFound):
        await access.rotate_key(project.id, key.id, 3600)


async def test_key_of_another_project_can_be_neither_rotated_nor_revoked(access: Access) -> None:
    mine, theirs = await access.create_project("mine", ""), await access.create_project("theirs", "")
    key, text = await access.create_key(theirs.id, "a", [], None)
    with pytest.raises(NotFound):
        await access.revoke_key(mine.id, key.id)
    with pytest.raises(NotFound):
        await access.rotate_key(mine.id, key.id, 0)
    assert (await access.authenticate(text)).project == theirs.id
    assert await access.list_keys(mine.id) == []


async def test_last_use_is_written_down(access: Access) -> None:
    project = await access.create_project("one", "")
    _, text = await access.create_key(project.id, "a", [], None)
    assert (await access.list_keys(project.id))[0].last_used_at is None
    await access.authenticate(text)
    assert (await access.list_keys(project.id))[0].last_used_at is not None


async def test_key_works_on_every_replica(access: Access, conninfo: str) -> None:
    project = await access.create_project("one", "")
    _, text = await access.create_key(project.id, "a", [], None)
    async with Database(conninfo, 4) as other:
        assert (await Access(other, "").authenticate(text)).project == project.id


async def test_key_of_another_installation_is_refused(access: Access, database: Database) -> None:
    project = await access.create_project("one", "")
    _, text = await access.create_key(project.id, "a", [], None)
    with pytest.raises(Unauthorized):
        await Access(database, "another secret").authenticate(text)


@pytest.mark.parametrize("scope", ["image", "admin", "image:index ", "", "assets:write"])
async def test_made_up_scope_is_refused(access: Access, scope: str) -> None:
    project = await access.create_project("one", "")
    with pytest.raises(InvalidRequest):
        await access.create_key(project.id, "a", [scope], None)


async def test_key_that_is_over_before_it_begins_is_refused(access: Access) -> None:
    project = await access.create_project("one", "")
    with pytest.raises(InvalidRequest):
        await access.create_key(project.id, "a", [], datetime.now(UTC) - timedelta(seconds=1))


async def test_key_needs_a_project_and_a_project_a_plan(access: Access) -> None:
    with pytest.raises(NotFound):
        await access.create_key(uuid4(), "a", [], None)
    with pytest.raises(InvalidRequest):
        await access.create_project("one", "gold")


async def test_feature_that_the_plan_does_not_have_is_disabled(access: Access, database: Database) -> None:
    project = await access.create_project("one", "")
    async with database.transaction() as connection:
        await access.require_feature(connection, project.id, "image:index")
        await connection.execute("UPDATE plans SET features = '{image:search}' WHERE name = 'free'")
        with pytest.raises(FeatureDisabled):
            await access.require_feature(connection, project.id, "image:index")


async def test_first_keys_made_at_once_are_all_hashed_with_one_secret(database: Database, conninfo: str) -> None:
    project = await Access(database, "").create_project("one", "")
    made = await asyncio.gather(*(Access(database, "").create_key(project.id, "a", [], None) for _ in range(6)))
    checker = Access(database, "")
    for _, text in made:
        assert (await checker.authenticate(text)).project == project.id


async def test_whatever_happens_to_a_key_leaves_a_line_in_the_log_without_the_key(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "index_svc.access")
    project = await access.create_project("one", "")
    key, first = await access.create_key(project.id, "a", ["jobs:read"], None)
    fresh, second = await access.rotate_key(project.id, key.id, 0)
    await access.revoke_key(project.id, fresh.id)
    lines = [vars(record) for record in caplog.records if record.name == "index_svc.access"]
    assert [(line["message"], line["key"]) for line in lines] == [
        ("key made", key.id),
        ("key made", fresh.id),
        ("key rotated", key.id),
        ("key revoked", fresh.id),
    ]
    assert all(line["project"] == str(project.id) for line in lines)
    assert lines[1]["scopes"] == ["jobs:read"]
    assert not [line for line in lines if first[20:] in str(line) or second[20:] in str(line)]


async def test_key_is_known_while_the_disk_is_full(access: Access, full_database: Database) -> None:
    project = (await access.create_project("tenant", "free")).id
    _, text = await access.create_key(project, "key", ["assets:read"], None)
    assert (await Access(full_database, "").authenticate(text)).project == project
    with pytest.raises(Unauthorized):
        await Access(full_database, "").authenticate(text[:-1] + ("a" if text[-1] != "a" else "b"))
