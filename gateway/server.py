"""The door of the gateway: all its routes, wired here and nowhere else, and the life of the process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import uvloop
from aiohttp import web

from gateway import (
    bulk_handlers,
    decision_handlers,
    demo,
    docs,
    handlers,
    hash_handlers,
    index_handlers,
    openapi,
    pair_handlers,
    playground,
    threshold_handlers,
    upload_handlers,
    usage_handlers,
)
from gateway.access import Access
from gateway.admission import Admission, DemoRates
from gateway.analyst import Analyst
from gateway.client_address import ClientAddresses
from gateway.clients import Mesh
from gateway.connection import Connection
from gateway.docs import DOCUMENT
from gateway.handlers import LEAVING, MESH
from gateway.index_handlers import INDEX
from gateway.marketplace import MIN_SECRET_CHARACTERS, Marketplace, read_plans
from gateway.middleware import watch
from gateway.plan_rates import PlanRates
from gateway.rate_limits import Rate, RateLimits
from gateway.routes import ADMISSION, SETTINGS, Route, add_routes
from gateway.schemas import MAX_BODY_BYTES
from gateway.settings import Settings
from gateway.threshold_handlers import ANALYST
from gateway.usage_handlers import USAGE
from mesh import traces
from mesh.server import serve_metrics, start_process, until_told_to_stop
from mesh.settings import InvalidSettings, exit_on_invalid

_log = logging.getLogger(__name__)

_DAY_SECONDS: Final = 24 * 3600

ROUTES: Final[tuple[Route, ...]] = (
    *pair_handlers.ROUTES,
    *demo.ROUTES,
    *handlers.ROUTES,
    *index_handlers.ROUTES,
    *bulk_handlers.ROUTES,
    *upload_handlers.ROUTES,
    *hash_handlers.ROUTES,
    *usage_handlers.ROUTES,
    *threshold_handlers.ROUTES,
    *decision_handlers.ROUTES,
    *docs.ROUTES,
    *playground.ROUTES,
)


def build(settings: Settings) -> web.Application:
    app = web.Application(middlewares=[watch], client_max_size=MAX_BODY_BYTES)
    app[SETTINGS] = settings
    app[LEAVING] = asyncio.Event()
    app[ANALYST] = Analyst()
    rates, addresses = _limits(settings)
    app.cleanup_ctx.append(partial(_open_mesh, rates=rates, addresses=addresses, marketplace=_marketplace(settings)))
    routes = routes_of(settings)
    app[DOCUMENT] = openapi.document(routes, settings)
    add_routes(app.router, routes)
    return app


def routes_of(settings: Settings) -> tuple[Route, ...]:
    """Those that this gateway has."""
    off = (() if settings.playground else playground.ROUTES) + (() if settings.demo else demo.ROUTES)
    return tuple(route for route in ROUTES if route not in off)


def _limits(settings: Settings) -> tuple[RateLimits, ClientAddresses]:
    try:
        addresses = ClientAddresses(settings.gateway_trusted_proxies)
    except ValueError as problem:
        raise InvalidSettings(f"GATEWAY_TRUSTED_PROXIES: {problem}") from problem
    try:
        return RateLimits(settings.rate_limit_store), addresses
    except ValueError as problem:
        raise InvalidSettings(f"RATE_LIMIT_STORE: {problem}") from problem


def _marketplace(settings: Settings) -> Marketplace:
    if any(len(secret) < MIN_SECRET_CHARACTERS for secret in settings.rapidapi_proxy_secrets):
        raise InvalidSettings(f"RAPIDAPI_PROXY_SECRETS: each must have {MIN_SECRET_CHARACTERS} characters or more")
    try:
        return Marketplace(settings.rapidapi_proxy_secrets, read_plans(settings.rapidapi_plans))
    except ValueError as problem:
        raise InvalidSettings(f"RAPIDAPI_PLANS: {problem}") from problem


async def _open_mesh(
    app: web.Application, *, rates: RateLimits, addresses: ClientAddresses, marketplace: Marketplace
) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    per_address = settings.rate_limit_address_per_second * settings.rate_limit_address_burst_seconds
    address_rate = Rate(per_address, settings.rate_limit_address_burst_seconds) if per_address else None
    demo_rates = DemoRates(Rate(settings.demo_address_per_day, _DAY_SECONDS), Rate(settings.demo_per_day, _DAY_SECONDS))
    async with Mesh(settings) as mesh:
        access = Access(
            mesh.index,
            marketplace,
            PlanRates(mesh.usage.plan_rates if settings.index_address else None),
            takes_keys=settings.native_keys,
            rapidapi_host=settings.rapidapi_host,
        )
        app[MESH] = mesh
        app[INDEX] = mesh.index
        app[USAGE] = mesh.usage
        app[ADMISSION] = Admission(access, mesh.usage, rates, addresses, address_rate=address_rate, demo_rates=demo_rates)
        yield


def run() -> None:
    """The whole life of the process."""
    settings = start_process("gateway", Settings)
    try:
        uvloop.run(_serve(settings))
    except InvalidSettings as problem:
        exit_on_invalid(problem)


async def _serve(settings: Settings) -> None:
    traces.set_up("gateway", settings.otel_exporter_otlp_endpoint)
    runner, server = await start(settings)
    serve_metrics(settings.metrics_host, settings.gateway_metrics_port)
    host, port = server.sockets[0].getsockname()[:2]
    _log.info("serving", extra={"listen": f"http://{host}:{port}"})
    await until_told_to_stop()
    _log.info("stopping")
    runner.app[LEAVING].set()
    await asyncio.sleep(settings.lame_duck_seconds)
    server.close()
    await runner.cleanup()


async def start(settings: Settings) -> tuple[web.AppRunner, asyncio.Server]:
    """The gateway, taking connections."""
    # aiohttp waits this long twice: for calls to end, then for what it cancelled.
    runner = web.AppRunner(build(settings), handler_cancellation=True, access_log=None, shutdown_timeout=settings.drain_seconds / 2)
    await runner.setup()
    connections = runner.server
    assert connections is not None
    loop = asyncio.get_running_loop()

    def connect() -> asyncio.Protocol:
        if len(connections.connections) >= settings.gateway_max_connections:
            return _Refused()
        return Connection(
            connections,
            loop=loop,
            # Also how long a client may take over its headers.
            keepalive_timeout=settings.gateway_client_seconds,
            max_stall_seconds=settings.gateway_client_seconds,
            lingering_time=1.0,
            max_headers=100,
            auto_decompress=False,
            access_log=None,
        )

    try:
        server = await loop.create_server(connect, settings.gateway_host, settings.gateway_port, backlog=512)
    except OSError as problem:
        await runner.cleanup()
        sys.exit(f"cannot listen on {settings.gateway_host}:{settings.gateway_port} ({problem.strerror}); set GATEWAY_PORT to a free port")
    return runner, server


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
