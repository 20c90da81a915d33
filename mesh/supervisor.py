"""The whole mesh on one machine: one process a service, started again when it dies, stopped together.

With REPLICAS there are several processes of each service, each on an address of its own, and as many front doors on ports one after
another. The front doors open last and close first. A second mesh runs beside this one with another DATA_DIR and GATEWAY_PORT.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import http.client
import importlib.util
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Annotated, Any, Final

from msgspec import Meta

from mesh.client import resolve_address
from mesh.replicas import replica_environments, shared_environment
from mesh.server import until_told_to_stop
from mesh.settings import InvalidSettings, MeshSettings, exit_on_invalid, make_runtime_dir, read_settings

SERVICES: Final = ("fetcher_svc", "image_svc", "video_svc", "audio_svc", "index_svc")
FRONT_DOOR: Final = "gateway"
DATABASE: Final = "index_svc.database_process"
"""Of several index_svc that share the embedded one."""

_READY_SECONDS: Final = 60.0
_MIN_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 5.0
_LIVED_SECONDS: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class Settings(MeshSettings, frozen=True, kw_only=True):
    gateway_host: str = "127.0.0.1"
    gateway_port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    # Processes of each service, on this machine; several gateways take the ports from GATEWAY_PORT on.
    replicas: Annotated[int, Meta(ge=1, le=16)] = 1

    @property
    def gateway_ports(self) -> range:
        return range(self.gateway_port, self.gateway_port + self.replicas)


def run() -> None:
    try:
        settings = read_settings(Settings)
        lock = _lock(settings)
        for port in settings.gateway_ports:
            _check_port(settings.gateway_host, port)
        services, doors = _processes(settings)
    except InvalidSettings as problem:
        exit_on_invalid(problem)
    with lock:
        status = asyncio.run(_supervise(settings, services, doors))
        for left in settings.runtime_dir.glob("*.sock"):
            left.unlink(missing_ok=True)
    sys.exit(status)


def _lock(settings: Settings) -> IO[str]:
    """One mesh a data folder; a killed one leaves no lock behind."""
    lock = (make_runtime_dir(settings) / "mesh.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InvalidSettings(f"a mesh already runs on DATA_DIR={settings.data_dir}; give this one another") from None
    return lock


def _check_port(host: str, port: int) -> None:
    """Found out before anything is started, and never mistaken for ours when another mesh answers there."""
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        raise InvalidSettings(f"cannot listen on {host} port {port} ({problem.strerror}); set GATEWAY_PORT to a free port") from problem


def _processes(settings: Settings) -> tuple[list[_Process], list[_Process]]:
    """Everything behind the front doors, in the order in which it starts, and the front doors."""
    environment = {
        "LOG_FORMAT": "text" if sys.stderr.isatty() else "json",
        **os.environ,
        "DATA_DIR": settings.data_dir,
    }
    count, services = settings.replicas, [module for module in SERVICES if _is_wanted(module, environment)]
    shared = shared_environment(environment, count)
    behind = []
    if count > 1 and "index_svc" in services and not environment.get("DATABASE_URL", "").strip():
        behind.append(_Process(DATABASE, shared))
        shared["INDEX_RUNS_DATABASE"] = "off"
    for module in services:
        replicas = replica_environments(environment, module.removesuffix("_svc"), count)
        behind += [_Process(module, shared | own) for own in replicas]
    doors = [
        _Process(FRONT_DOOR, {**shared, **own, "GATEWAY_PORT": str(port)})
        for port, own in zip(settings.gateway_ports, replica_environments(environment, FRONT_DOOR, count), strict=True)
    ]
    return behind, doors


async def _supervise(settings: Settings, services: list[_Process], doors: list[_Process]) -> int:
    processes = (*services, *doors)
    for process in processes:
        process.start()
    stopped = asyncio.create_task(until_told_to_stop())
    ready = asyncio.create_task(_until_ready(settings, processes))
    await asyncio.wait((stopped, ready), return_when=asyncio.FIRST_COMPLETED)
    failure = ready.result() if ready.done() else None
    if ready.done() and failure is None:
        _announce(settings)
        for process in processes:
            process.is_needed = True
        await stopped
    ready.cancel()
    if failure:
        print(f"mediamesh did not start: {failure}", file=sys.stderr, flush=True)
    else:
        print("mediamesh is stopping", flush=True)
    grace_seconds = settings.lame_duck_seconds + settings.drain_seconds
    databases = [process for process in services if process.module == DATABASE]
    for group in (doors, [process for process in services if process not in databases], databases):
        await asyncio.gather(*(process.stop(grace_seconds) for process in group))
    return 1 if failure else 0


def _is_wanted(module: str, environment: dict[str, str]) -> bool:
    """An address that is set, but empty, says that this mesh has no such service."""
    address = environment.get(f"{module.removesuffix('_svc').upper()}_ADDRESS", "set by default")
    return bool(address.strip() and importlib.util.find_spec(module) and importlib.util.find_spec(f"{module}.__main__"))


@dataclass
class _Process:
    """One service, kept alive until it is stopped."""

    module: str
    environment: dict[str, str]
    is_needed: bool = False
    """From when the mesh was ready: whatever ends the service, it is started again."""
    given_up: str = ""

    def start(self) -> None:
        self._is_stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._keeper = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        pause = _MIN_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            status = await self._run_once()
            if self._is_stopping:
                return
            # Wrong settings do not mend by themselves: what ends of its own will before the mesh ever was ready is not tried again.
            if status == 1 and not self.is_needed:
                self.given_up = f"{self.module} ended with status 1; its own lines say why"
                return
            is_failing = status > 0 and time.monotonic() - started < _LIVED_SECONDS
            pause = min(pause * 2, _MAX_PAUSE_SECONDS) if is_failing else _MIN_PAUSE_SECONDS
            print(f"{self.module} ended (status {status}), starting it again", file=sys.stderr, flush=True)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, env=self.environment, start_new_session=True, preexec_fn=_die_with_parent
            )
        except OSError as problem:
            print(f"{self.module} cannot be started: {problem}", file=sys.stderr, flush=True)
            return 1
        return await self._process.wait()

    async def stop(self, grace_seconds: float) -> None:
        self._is_stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), grace_seconds + 5)
            except TimeoutError:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._keeper.cancel()


async def _until_ready(settings: Settings, processes: tuple[_Process, ...]) -> str | None:
    """None once every replica listens and every front door says ready, else why they never will."""
    sockets = [] if settings.replicas == 1 else [_socket(settings, process) for process in processes]
    started = time.monotonic()
    while time.monotonic() - started < _READY_SECONDS:
        for process in processes:
            if process.given_up:
                return process.given_up
        if all(_is_served(path) for path in sockets) and await asyncio.to_thread(_is_ready, settings):
            return None
        await asyncio.sleep(0.1)
    waited_for = await asyncio.to_thread(_waited_for, settings)
    late = f"not ready after {_READY_SECONDS:.0f} s: {', '.join(sorted(waited_for))}"
    if waited_for != {"index"}:
        return late
    # Nobody but it waits for the database.
    print(f"{late}; all else goes on without it", file=sys.stderr, flush=True)
    return None


def _socket(settings: Settings, process: _Process) -> str:
    """Where a replica listens; of others nothing."""
    service = process.module.removesuffix("_svc").upper()
    return resolve_address(settings, process.environment.get(f"{service}_LISTEN", "")).removeprefix("unix:")


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return not path or probe.connect_ex(path) == 0


def _is_ready(settings: Settings) -> bool:
    return all(_readiness(settings, port)[0] == HTTPStatus.OK for port in settings.gateway_ports)


def _waited_for(settings: Settings) -> set[str]:
    """Who is not ready, as the front doors say, or does not say so."""
    reports = [_readiness(settings, port)[1] for port in settings.gateway_ports]
    return {name for report in reports for name, service in report["services"].items() if service["status"] == "not_serving"}


def _readiness(settings: Settings, port: int) -> tuple[int, Any]:
    """The status and the body of a front door's answer."""
    connection = http.client.HTTPConnection(_reachable_host(settings), port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, json.load(response)
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {"services": {FRONT_DOOR: {"status": "not_serving"}}}
    finally:
        connection.close()


def _announce(settings: Settings) -> None:
    host = _reachable_host(settings)
    base = f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway_port}"
    others = f" to {settings.gateway_ports[-1]}" if settings.replicas > 1 else ""
    print(
        f"""
mediamesh is ready
  API       {base}{others}   (GET /readyz, /healthz, /config)
  services  {settings.runtime_dir}/*.sock   (gRPC, for processes of this user)
  keys      make key   (prints one for /v1, to index and search)

Try it:

  curl -s {base}/image/match -H 'Content-Type: application/json' -d '{{
    "source_url": "https://picsum.photos/id/237/800/600.jpg",
    "target_url": "https://picsum.photos/id/237/400/300.webp"
  }}'

Ctrl-C stops it.
""",
        flush=True,
    )


def _reachable_host(settings: Settings) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.gateway_host, settings.gateway_host)


def _die_with_parent() -> None:
    """A service outlives its supervisor by nothing, even if that was killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
