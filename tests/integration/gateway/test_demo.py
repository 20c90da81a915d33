"""The demo: pairs without a key, so many a day; on a gateway before the services of a running mesh."""

from __future__ import annotations

import aiohttp
import jsonschema
import pytest

from tests.e2e.test_api import ERROR
from tests.forms import CONTENT_TYPE, File, form
from tests.index_client import Project, new_project
from tests.integration.gateway.test_modes import gateway
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

PHOTO, COPY = encoded(photo(951), "JPEG"), encoded(photo(951, 320, 240), "WEBP")
PROXIED = {"gateway_trusted_proxies": ("127.0.0.0/8",)}


@pytest.fixture(scope="module")
def pair(origin: Origin) -> dict[str, str]:
    return {"source_url": origin.serve("demo-a.jpg", PHOTO), "target_url": origin.serve("demo-b.webp", COPY)}


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


async def ask(session: aiohttp.ClientSession, body: dict[str, str], address: str) -> tuple[int, dict[str, str], dict[str, object]]:
    async with session.post("/demo/image/match", json=body, headers={"X-Forwarded-For": address}) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.json()


async def test_demo_is_off_unless_it_is_asked_for(mesh: RunningMesh, pair: dict[str, str]) -> None:
    async with gateway(mesh) as session:
        async with session.post("/demo/image/match", json=pair) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")
        async with session.get("/openapi.json") as answer:
            assert not [path for path in (await answer.json())["paths"] if path.startswith("/demo")]


async def test_demo_answers_without_a_key_what_the_pair_endpoint_answers_with_one(
    mesh: RunningMesh, project: Project, pair: dict[str, str]
) -> None:
    async with gateway(mesh, auth=True, demo=True) as session:
        async with session.post("/image/match", json=pair) as answer:
            assert answer.status == 401
        async with session.post("/image/match", json=pair, headers={"X-API-Key": project.key}) as answer:
            expected = await answer.json()
        async with session.post("/demo/image/match", json=pair) as answer:
            found = await answer.json()
        files = form(("source", File(PHOTO)), ("target", File(COPY)))
        async with session.post("/demo/image/match", data=files, headers={"Content-Type": CONTENT_TYPE}) as answer:
            uploaded = await answer.json()
    assert expected["match"] is True
    for body in (found, uploaded):
        assert {**body, "processing_time_ms": 0} == {**expected, "processing_time_ms": 0}


async def test_address_has_so_many_a_day_and_the_next_address_its_own(mesh: RunningMesh, origin: Origin, pair: dict[str, str]) -> None:
    async with gateway(mesh, auth=True, demo=True, demo_address_per_day=2, **PROXIED) as session:
        statuses = [(await ask(session, {}, "198.51.100.1"))[0] for _ in range(2)]
        asked_before = len(origin.requests)
        status, headers, body = await ask(session, pair, "198.51.100.1")
        assert statuses == [400, 400]
        assert status == 429
        jsonschema.validate(body, ERROR)
        assert body["error"]["code"] == "rate_limited"  # type: ignore[index]
        assert body["error"]["details"]["policy"] == "demo_address"  # type: ignore[index]
        assert 24 * 3600 - 120 < int(headers["retry-after"]) <= 24 * 3600
        assert headers["x-ratelimit-remaining"] == "0"
        assert len(origin.requests) == asked_before
        assert (await ask(session, pair, "198.51.100.2"))[0] == 200
        # One customer of IPv6 has a whole /64 network.
        in_one_network = [(await ask(session, {}, f"2001:db8::{number}"))[0] for number in (1, 2, 3)]
        assert in_one_network == [400, 400, 429]


async def test_all_addresses_together_have_so_many_a_day(mesh: RunningMesh, pair: dict[str, str]) -> None:
    async with gateway(mesh, auth=True, demo=True, demo_per_day=3, **PROXIED) as session:
        answers = [await ask(session, {}, f"198.51.100.{number}") for number in range(5)]
    assert [status for status, _, _ in answers] == [400, 400, 400, 429, 429]
    assert answers[-1][2]["error"]["details"]["policy"] == "demo"  # type: ignore[index]
    assert answers[0][1]["ratelimit-policy"] == '"demo";q=3;w=86400, "demo_address";q=50;w=86400'


async def test_what_one_address_is_refused_does_not_use_up_what_all_have(mesh: RunningMesh) -> None:
    async with gateway(mesh, auth=True, demo=True, demo_address_per_day=1, demo_per_day=3, **PROXIED) as session:
        assert [(await ask(session, {}, "198.51.100.1"))[0] for _ in range(5)] == [400, 429, 429, 429, 429]
        assert [(await ask(session, {}, f"198.51.100.{number}"))[0] for number in (2, 3, 4)] == [400, 400, 429]


async def test_batches_and_searches_have_no_demo(mesh: RunningMesh) -> None:
    async with gateway(mesh, demo=True) as session:
        for path in ("/demo/image/match/batch", "/demo/v1/search/image/url", "/demo/v1/assets"):
            async with session.post(path, json={}) as answer:
                assert answer.status == 404


async def test_document_says_that_the_demo_asks_for_no_key_and_may_refuse(mesh: RunningMesh) -> None:
    async with gateway(mesh, auth=True, demo=True) as session, session.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    for medium in ("image", "video", "audio"):
        operation = paths[f"/demo/{medium}/match"]["post"]
        assert operation["security"] == []
        assert {"200", "429"} <= set(operation["responses"])
        assert "401" not in operation["responses"]
        assert "Retry-After" in operation["responses"]["429"]["headers"]
