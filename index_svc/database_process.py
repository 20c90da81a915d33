"""python -m index_svc.database_process: the embedded database as a process of its own, for several index_svc of one machine
that run with INDEX_RUNS_DATABASE=off."""

from __future__ import annotations

import uvloop

from index_svc.embedded import EmbeddedPostgres
from index_svc.settings import Settings
from mesh.server import start_process, until_told_to_stop
from mesh.settings import InvalidSettings, exit_on_invalid


async def _serve(settings: Settings) -> None:
    async with EmbeddedPostgres(settings.cluster_dir, settings.runtime_dir / "db"):
        await until_told_to_stop()


if __name__ == "__main__":
    try:
        uvloop.run(_serve(start_process("database", Settings)))
    except InvalidSettings as problem:
        exit_on_invalid(problem)
