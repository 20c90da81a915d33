"""One gRPC service as a process: health, reflection, metrics, coded errors, and an end that leaves no call half done.

`run` reads the settings, enters the service's resources (workers, channels), serves, and on SIGTERM or SIGINT says
NOT_SERVING, lets what is under way finish, and leaves the resources in reverse order.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from mesh import call, log, traces
from mesh.certificates import server_credentials
from mesh.client import MAX_MESSAGE_BYTES, resolve_address
from mesh.interceptors import CallInterceptor
from mesh.kept_memory import keep_memory
from mesh.settings import InvalidSettings, MeshSettings, Settings, exit_on_invalid, make_runtime_dir, read_settings, unknown_variables

_log = logging.getLogger(__name__)

MAX_CALLS: Final = 1024
"""Calls at once, queued ones included; more are `overloaded`. What a service can really do at once it says itself, before that."""

_HEALTH_SECONDS: Final = 1.0

SANDBOX_HEALTH_PREFIX: Final = "sandbox:"
"""Health answers for `sandbox:seccomp` and the like where the decoders run under it, so that a caller can ask."""
SANDBOX_PARTS: Final = ("seccomp", "landlock", "limits")


ALIVE: Final = "alive"
"""Health of the process itself, whatever has become of its workers: who restarts it for that ends what its workers are about to do."""


class Able(Protocol):
    """A resource without which the service can do nothing."""

    @property
    def is_able(self) -> bool:
        """Whether it has anyone to do the work."""


class Sandboxed(Able, Protocol):
    """One whose work runs in a sandbox."""

    @property
    def sandbox(self) -> str: ...


@dataclass(frozen=True)
class Service:
    """What `build(settings)` returns: everything wired, nothing started."""

    name: str
    full_name: str
    listen: str
    metrics_port: int
    add_to_server: Callable[[grpc.aio.Server], None]
    resources: Sequence[AbstractAsyncContextManager[Any]]
    workers: Sandboxed | None = None
    needs: Able | None = None
    """What else it can do nothing without."""
    also_serves: Sequence[str] = ()
    """Full names of further gRPC services on the same port."""

    @property
    def is_able(self) -> bool:
        return self.has_needs and (self.workers is None or self.workers.is_able)

    @property
    def has_needs(self) -> bool:
        return self.needs is None or self.needs.is_able


def run(name: str, settings_class: type[Settings], build: Callable[[Settings], Service]) -> None:
    """The whole life of the process."""
    settings = start_process(name, settings_class)
    try:
        uvloop.run(_serve(settings, build(settings)))
    except InvalidSettings as problem:
        exit_on_invalid(problem)


def start_process(name: str, settings_class: type[Settings]) -> Settings:
    """Settings read, logging set up; ends the process with a clear word where the settings are wrong."""
    try:
        settings = read_settings(settings_class)
    except InvalidSettings as problem:
        exit_on_invalid(problem)
        raise
    log.set_up(name, settings.log_format, settings.log_level)
    keep_memory()
    for variable in unknown_variables(settings_class, f"{name.upper()}_"):
        _log.warning("%s is not a setting of this service", variable)
    return settings


async def _serve(settings: MeshSettings, service: Service) -> None:
    async with AsyncExitStack() as stack:
        for resource in service.resources:
            await stack.enter_async_context(resource)
        # Not before: its threads would be started anew in the child that becomes the embedded database, which has to have one.
        traces.set_up(service.name, settings.otel_exporter_otlp_endpoint)
        server, health_servicer = await start_server(settings, service)
        probed = await start_health_server(settings, health_servicer) if settings.health_listen else None
        serve_metrics(settings.metrics_host, service.metrics_port)
        _log.info("serving", extra={"listen": service.listen, "sandbox": service.workers.sandbox if service.workers else ""})
        watching = asyncio.create_task(_tell_health(health_servicer, service))
        await until_told_to_stop()
        _log.info("stopping")
        watching.cancel()
        await health_servicer.enter_graceful_shutdown()
        await asyncio.sleep(settings.lame_duck_seconds)
        await server.stop(settings.drain_seconds)
        if probed is not None:
            await probed.stop(None)


async def start_server(settings: MeshSettings, service: Service) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """A server that takes calls and answers for its health."""
    server = grpc.aio.server(
        interceptors=[CallInterceptor(MAX_CALLS, _callers(settings, service.listen))],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
            # Clients look the name up again now and then, and so find new replicas; no call is ever cut off for it.
            ("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000)),
            ("grpc.max_connection_age_grace_ms", int(call.MAX_SECONDS * 1000)),
            ("grpc.so_reuseport", 0),
        ],
    )
    service.add_to_server(server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    for name in ("", service.full_name):
        await health_servicer.set(name, _health(service.has_needs))
    await health_servicer.set(ALIVE, health_pb2.HealthCheckResponse.SERVING)
    if service.workers:
        for part in service.workers.sandbox.split("+"):
            await health_servicer.set(SANDBOX_HEALTH_PREFIX + part, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((service.full_name, *service.also_serves, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    _bind(server, settings, service.listen)
    await server.start()
    return server, health_servicer


async def start_health_server(settings: MeshSettings, health_servicer: health.aio.HealthServicer) -> grpc.aio.Server:
    """Where health alone is answered, without TLS: Kubernetes' probes know none."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    try:
        server.add_insecure_port(settings.health_listen)
    except RuntimeError as problem:
        raise InvalidSettings(f"HEALTH_LISTEN: cannot listen on {settings.health_listen}") from problem
    await server.start()
    return server


async def _tell_health(health_servicer: health.aio.HealthServicer, service: Service) -> None:
    """A service whose workers, or whatever else it needs, are gone says so, until they are back; not for the moment of replacing one."""
    # Workers are there by now, or about to be.
    was_able = service.has_needs
    while service.workers or service.needs:
        is_able = service.is_able
        for name in ("", service.full_name):
            await health_servicer.set(name, _health(is_able or was_able))
        was_able = is_able
        await asyncio.sleep(_HEALTH_SECONDS)


def _health(is_able: bool) -> health_pb2.HealthCheckResponse.ServingStatus:
    return health_pb2.HealthCheckResponse.SERVING if is_able else health_pb2.HealthCheckResponse.NOT_SERVING


async def until_told_to_stop() -> None:
    """Wait for SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


def serve_metrics(host: str, port: int) -> None:
    """Prometheus metrics on a port of their own; on the next free one where a second mesh already has it; 0: none."""
    if not port:
        return
    try:
        start_http_server(port, host)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise InvalidSettings(f"METRICS_HOST={host}: {problem.strerror or problem}") from problem
        server, _ = start_http_server(0, host)
        _log.warning("metrics port %d is taken, using %d", port, server.server_port)


def _bind(server: grpc.aio.Server, settings: MeshSettings, listen: str) -> None:
    target = resolve_address(settings, listen)
    if target.startswith("unix:"):
        make_runtime_dir(settings)
        path = Path(target.removeprefix("unix:"))
        if _is_served(path):
            raise InvalidSettings(f"{path} is already served by another process")
        path.unlink(missing_ok=True)
        # Whoever can connect can use the service: ours alone.
        mask = os.umask(0o177)
        try:
            server.add_insecure_port(target)
        finally:
            os.umask(mask)
        return
    is_guarded = settings.mesh_plaintext or target.rsplit(":", 1)[0] in ("127.0.0.1", "[::1]", "localhost")
    if not settings.mesh_tls_cert and not is_guarded:
        raise InvalidSettings(f"{target} is open to the network: set MESH_TLS_CERT, MESH_TLS_KEY and MESH_TLS_CA, or MESH_PLAINTEXT=on")
    try:
        if settings.mesh_tls_cert:
            server.add_secure_port(target, server_credentials(settings))
        else:
            server.add_insecure_port(target)
    except RuntimeError as problem:
        raise InvalidSettings(f"cannot listen on {target}") from problem


def _callers(settings: MeshSettings, listen: str) -> frozenset[str]:
    """Whose calls are answered; a socket's file says that by itself."""
    return frozenset() if resolve_address(settings, listen).startswith("unix:") else frozenset(settings.mesh_callers)


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
