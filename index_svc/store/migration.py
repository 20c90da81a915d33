"""The tables, brought up to date at start by whichever process comes first; the others wait for it.

The order is kept by an advisory lock, which ends with its connection: a killed process locks nobody out.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import psycopg
from procrastinate.schema import migrations_path
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri

_LOCK: Final = 0x6D656469616D6573
"""Any number that others do not use: "mediames"."""


def apply_migrations(conninfo: str, folder: Path) -> None:
    """Ours by yoyo, those of the job queue in the order that its authors gave them."""
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=3) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _apply_jobs_schema(guard)
        backend = _backend(conninfo)
        try:
            backend.init_database()
            backend.apply_migrations(backend.to_apply(read_migrations(str(folder))))
        finally:
            backend.connection.close()


def _apply_jobs_schema(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS procrastinate_schema (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())")
    applied = {row[0] for row in connection.execute("SELECT name FROM procrastinate_schema")}
    for path in sorted(Path(migrations_path).glob("*.sql")):
        if path.name not in applied:
            with connection.transaction():
                connection.execute(path.read_bytes())
                connection.execute("INSERT INTO procrastinate_schema (name) VALUES (%s)", [path.name])


def _backend(conninfo: str) -> Any:
    """yoyo takes URLs of its own making; libpq takes everything that DATABASE_URL can be."""

    class Backend(PostgresqlPsycopgBackend):
        def connect(self, dburi: object) -> psycopg.Connection[Any]:
            return psycopg.connect(conninfo, autocommit=True)

    return Backend(parse_uri("postgresql+psycopg:///"), "_yoyo_migration")
