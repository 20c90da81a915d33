"""Who may: projects, their keys, and whose key it is that was presented."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from index_svc import keys
from index_svc.records import Grant, Key, Project, ProjectSettings
from index_svc.store import access as store
from index_svc.store import media as media_store
from index_svc.store.database import Connection, Database, DiskFull
from index_svc.store.usage import set_key_rate
from mesh.errors import FeatureDisabled, InvalidRequest, NotFound, Unauthorized

_log = logging.getLogger(__name__)

DEFAULT_PLAN: Final = "free"
MAX_NAME_CHARACTERS: Final = 200
MAX_OVERLAP_SECONDS: Final = 90 * 24 * 3600.0
_KEPT_AS: Final = "keys"
_SECRET_BYTES: Final = 32


class Access:
    def __init__(self, database: Database, key_secret: str) -> None:
        self._database = database
        self._secret = key_secret.encode()

    async def create_project(self, name: str, plan: str) -> Project:
        plan = plan or DEFAULT_PLAN
        async with self._database.transaction() as connection:
            if not await store.has_plan(connection, plan):
                raise InvalidRequest("there is no plan of that name", field="plan")
            return await store.insert_project(connection, uuid4(), _checked_name(name), plan)

    async def list_projects(self) -> list[Project]:
        async with self._database.transaction() as connection:
            return await store.list_projects(connection)

    async def create_key(self, project: UUID, name: str, scopes: list[str], expires_at: datetime | None) -> tuple[Key, str]:
        """The key's row, and the key itself: to be shown this once."""
        if unknown := sorted(set(scopes) - set(keys.SCOPES)):
            raise InvalidRequest(f"{unknown[0][:64]} is no scope", field="scopes")
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidRequest("expires_at must lie ahead", field="expires_at")
        async with self._database.transaction() as connection:
            if not await store.has_project(connection, project):
                raise NotFound("there is no such project")
            return await self._insert_key(connection, project, _checked_name(name), sorted(set(scopes)), expires_at)

    async def list_keys(self, project: UUID) -> list[Key]:
        async with self._database.transaction() as connection:
            return await store.list_keys(connection, project)

    async def rotate_key(self, project: UUID, identity: str, overlap_seconds: float) -> tuple[Key, str]:
        """A new key in the place of this one, which works on until the overlap is over."""
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            raise InvalidRequest(f"overlap_seconds must be from 0 to {MAX_OVERLAP_SECONDS:.0f}", field="overlap_seconds")
        async with self._database.transaction() as connection:
            old = await store.limit_key(connection, project, identity, overlap_seconds)
            if old is None:
                raise NotFound("the project has no such key that is still valid")
            key, text = await self._insert_key(connection, project, old.name, old.scopes, None)
            _log.info("key rotated", extra={"project": str(project), "key": old.id, "by": key.id})
            if old.requests_per_second:
                await set_key_rate(connection, project, key.id, old.requests_per_second, old.burst_seconds or 1)
            return replace(key, requests_per_second=old.requests_per_second, burst_seconds=old.burst_seconds), text

    async def revoke_key(self, project: UUID, identity: str) -> None:
        async with self._database.transaction() as connection:
            if not await store.revoke_key(connection, project, identity):
                raise NotFound("the project has no such key")
        _log.info("key revoked", extra={"project": str(project), "key": identity})

    async def authenticate(self, text: str) -> Grant:
        """What the key allows; the same refusal whatever is wrong with it."""
        identity = keys.key_id(text)
        if identity is None:
            raise Unauthorized()
        try:
            return await self._grant(text, identity)
        except DiskFull:
            # When it was last used is known again later.
            return await self._grant(text, identity, is_noted=False)

    async def _grant(self, text: str, identity: str, *, is_noted: bool = True) -> Grant:
        async with self._database.transaction() as connection:
            presented = keys.digest(text, await self._key_secret(connection))
            found = await store.find_valid_key(connection, identity)
            if found is None or not keys.is_same(found[0], presented):
                raise Unauthorized()
            if is_noted:
                await store.touch_key(connection, identity)
        return found[1]

    async def require_project(self, connection: Connection, project: UUID) -> None:
        if not await store.has_project(connection, project):
            raise NotFound("there is no such project")

    async def update_project(self, project: UUID, settings: ProjectSettings) -> Project:
        """All of its settings; what it keeps no longer goes."""
        async with self._database.transaction() as connection:
            await self.require_project(connection, project)
            await store.write_settings(connection, project, settings)
            if not settings.store_media:
                await media_store.drop_kept_media(connection, project)
            found = await store.find_project(connection, project)
        assert found is not None
        return found

    async def require_feature(self, connection: Connection, project: UUID, feature: str) -> None:
        """Where a plan does not have it, no quota helps."""
        if not await store.has_feature(connection, project, feature):
            raise FeatureDisabled(f"the project's plan does not have {feature}", feature=feature)

    async def _insert_key(
        self, connection: Connection, project: UUID, name: str, scopes: list[str], expires_at: datetime | None
    ) -> tuple[Key, str]:
        new = keys.make_key()
        digest = keys.digest(new.text, await self._key_secret(connection))
        key = await store.insert_key(connection, project, new.id, name, digest, scopes, expires_at)
        _log.info("key made", extra={"project": str(project), "key": key.id, "scopes": scopes})
        return key, new.text

    async def _key_secret(self, connection: Connection) -> bytes:
        if not self._secret:
            self._secret = await store.keep_secret(connection, _KEPT_AS, secrets.token_bytes(_SECRET_BYTES))
        return self._secret


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or "\0" in name:
        raise InvalidRequest(f"name must have from 1 to {MAX_NAME_CHARACTERS} characters", field="name")
    return name
