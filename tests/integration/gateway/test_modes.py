"""Who is let in: by a key, by the marketplace, by both or neither, as the gateway is set; on a gateway whose index is the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.server import start
from gateway.settings import Settings
from tests.index_client import Project, admin, new_project
from tests.running_mesh import RunningMesh

SECRET = "the-secret-of-the-proxy"
PROXIED = {"X-RapidAPI-Proxy-Secret": SECRET, "X-RapidAPI-User": "ann", "X-RapidAPI-Subscription": "PRO"}
FORGED = {**PROXIED, "X-RapidAPI-Proxy-Secret": "a-secret-of-someone-else"}
PAST_THE_PROXY = {"X-RapidAPI-User": "ann", "X-RapidAPI-Subscription": "PRO"}


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@asynccontextmanager
async def gateway(mesh: RunningMesh, **modes: object) -> AsyncIterator[aiohttp.ClientSession]:
    """A second one before the same services."""
    settings = Settings(data_dir=str(Path(mesh.data_dir)), gateway_port=0, **modes)  # type: ignore[arg-type]
    runner, server = await start(settings)
    port = server.sockets[0].getsockname()[1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        server.close()
        await runner.cleanup()


async def outcome(session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> str:
    """The code; one that was let in has nothing but the body to be told about."""
    method = "GET" if path.startswith("/v1") else "POST"
    async with session.request(method, path, headers=headers, json=None if method == "GET" else {}) as answer:
        body = await answer.json()
        code = body["error"]["code"] if "error" in body else "ok"
        return "ok" if code == "invalid_request" else str(code)


@pytest.mark.parametrize(
    ("auth", "market", "native", "expected"),
    [
        # nobody, key, by the proxy, forged, past the proxy
        (False, False, True, ("ok", "ok", "ok", "ok", "ok")),
        (True, False, True, ("unauthorized", "ok", "unauthorized", "unauthorized", "unauthorized")),
        (False, True, True, ("unauthorized", "ok", "ok", "forbidden", "unauthorized")),
        (True, True, True, ("unauthorized", "ok", "ok", "forbidden", "unauthorized")),
        (True, True, False, ("forbidden", "forbidden", "ok", "forbidden", "forbidden")),
        (False, True, False, ("forbidden", "forbidden", "ok", "forbidden", "forbidden")),
        (True, False, False, ("forbidden", "forbidden", "forbidden", "forbidden", "forbidden")),
        (False, False, False, ("ok", "ok", "ok", "ok", "ok")),
    ],
)
async def test_matrix_of_the_modes_at_the_pair_endpoints(
    mesh: RunningMesh, project: Project, auth: bool, market: bool, native: bool, expected: tuple[str, ...]
) -> None:
    key = {"x-rapidapi-key": project.key, "x-rapidapi-host": "anything.example"}
    secrets = (SECRET,) if market else ()
    async with gateway(mesh, auth=auth, native_keys=native, rapidapi_proxy_secrets=secrets) as session:
        found = [await outcome(session, "/image/match", headers) for headers in ({}, key, PROXIED, FORGED, PAST_THE_PROXY)]
        library = [await outcome(session, "/v1/assets", headers) for headers in ({}, key, PROXIED)]
    assert tuple(found) == expected
    closed = "unauthorized" if native else "forbidden"
    assert library == [closed, "ok" if native else "forbidden", "forbidden" if market else closed]


async def test_subscription_has_no_library_whatever_the_route(mesh: RunningMesh) -> None:
    routes = (("POST", "/v1/assets/x/retry"), ("POST", "/v1/index/image/url"), ("DELETE", "/v1/assets/x"), ("GET", "/v1/usage"))
    async with gateway(mesh, rapidapi_proxy_secrets=(SECRET,)) as session:
        for method, path in routes:
            async with session.request(method, path, headers=PROXIED) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (403, "forbidden")


async def test_strict_host_is_asked_for_beside_the_marketplace_key(mesh: RunningMesh, project: Project) -> None:
    async with gateway(mesh, auth=True, rapidapi_host="mesh.p.rapidapi.com") as session:
        key = {"x-rapidapi-key": project.key}
        assert await outcome(session, "/image/match", {**key, "x-rapidapi-host": "mesh.p.rapidapi.com"}) == "ok"
        assert await outcome(session, "/image/match", key) == "forbidden"
        assert await outcome(session, "/image/match", {**key, "x-rapidapi-host": "other.p.rapidapi.com"}) == "forbidden"
        assert await outcome(session, "/image/match", {"X-API-Key": project.key}) == "ok"


@pytest.mark.parametrize("path", ["/image/match", "/v1/assets"])
async def test_key_from_a_web_page_is_warned_of_and_no_origin_is_allowed(mesh: RunningMesh, project: Project, path: str) -> None:
    origin = {"Origin": "https://shop.example"}
    async with gateway(mesh) as session:
        for headers in ({"X-API-Key": project.key}, {"Authorization": "Bearer mm_live_bad"}):
            async with session.request("GET", path, headers={**origin, **headers}) as answer:
                assert answer.headers["Warning"].startswith("299 ")
                assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        async with session.options(path, headers={**origin, "Access-Control-Request-Method": "POST"}) as answer:
            assert answer.status == 405
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert "Warning" not in answer.headers
        async with session.get(path, headers={"X-API-Key": project.key}) as answer:
            assert "Warning" not in answer.headers


async def test_key_that_is_typed_into_the_gateways_own_page_is_not_warned_of(mesh: RunningMesh, project: Project) -> None:
    key = {"X-API-Key": project.key}
    async with gateway(mesh) as session:
        async with session.get("/v1/assets", headers={**key, "Host": "mesh.example", "Origin": "https://mesh.example"}) as answer:
            assert "Warning" not in answer.headers
        async with session.get("/v1/assets", headers={**key, "Origin": "https://mesh.example", "Sec-Fetch-Site": "same-origin"}) as answer:
            assert "Warning" not in answer.headers
        async with session.get("/v1/assets", headers={**key, "Origin": "https://shop.example", "Sec-Fetch-Site": "same-site"}) as answer:
            assert "Warning" in answer.headers


async def test_each_user_of_the_marketplace_has_the_rate_of_their_plan(mesh: RunningMesh) -> None:
    admin(mesh, "create-plan", "of-the-market", "--requests-per-second", "1", "--burst-seconds", "60")
    settings = {"rapidapi_proxy_secrets": (SECRET,), "rapidapi_plans": ("PRO=of-the-market",)}
    async with gateway(mesh, **settings) as session:
        for user in ("ann", "bob"):
            sent = {**PROXIED, "X-RapidAPI-User": user}
            assert [await outcome(session, "/image/match", sent) for _ in range(61)] == ["ok"] * 60 + ["rate_limited"]
        async with session.post("/image/match", headers=PROXIED, json={}) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["details"]["policy"], error["details"]["limit"]) == (429, "user", "60")
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
            assert answer.headers["RateLimit-Policy"] == '"user";q=60;w=60'
