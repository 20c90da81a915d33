"""TLS to an origin: the name is verified while the address is pinned."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import aclosing
from pathlib import Path

import pytest

from fetcher_svc.fetcher import Fetcher
from mesh.errors import FetchFailed
from tests.certificates import Authority
from tests.integration.fetcher_svc.fetching import HURRIED, IMAGE, PNG, SOON_SECONDS, a_fetcher, fetch, refusal
from tests.name_server import NameServer
from tests.raw_origin import RawOrigin, answer, redirect


def serving(authority: Authority, name: str, hours: int = 1) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(name, hours, names=[name]))
    return context


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.file)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_tls_verifies_the_name_while_the_address_is_pinned(authority: Authority) -> None:
    async with (
        RawOrigin(tls=serving(authority, "example.com")) as origin,
        NameServer({"example.com": ("127.0.0.1",), "example.org": ("127.0.0.1",)}) as names,
        a_fetcher(name_servers=(names.address,), tls=trusting(authority)) as fetcher,
    ):
        origin.say("/", answer(PNG))
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
        for host in ("example.org", "127.0.0.1"):
            assert isinstance(await refusal(fetcher, origin.url("/", host)), FetchFailed)
        assert len(origin.requests) == 1


async def test_tls_verifies_an_address_too(authority: Authority) -> None:
    async with RawOrigin(tls=serving(authority, "127.0.0.1")) as origin, a_fetcher(tls=trusting(authority)) as fetcher:
        assert (await fetch(fetcher, origin.say("/", answer(PNG))))[1] == PNG


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    async with RawOrigin(tls=serving(authority, "127.0.0.1", hours=-1)) as origin, a_fetcher(tls=trusting(authority)) as fetcher:
        problem = await refusal(fetcher, origin.say("/", answer(PNG)))
    assert isinstance(problem, FetchFailed)
    assert "certificate" in problem.message
    assert origin.requests == []


async def test_an_unknown_authority_is_refused(authority: Authority, fetcher: Fetcher) -> None:
    async with RawOrigin(tls=serving(authority, "127.0.0.1")) as origin:
        assert isinstance(await refusal(fetcher, origin.say("/", answer(PNG))), FetchFailed)
    assert origin.requests == []


async def test_tls_to_an_origin_without_tls_is_a_failed_fetch(origin: RawOrigin) -> None:
    async with a_fetcher(patience=HURRIED) as fetcher:
        assert isinstance(await refusal(fetcher, origin.say("/", answer(PNG)).replace("http:", "https:")), FetchFailed)


async def test_a_redirect_from_https_to_http_is_refused(authority: Authority, origin: RawOrigin) -> None:
    async with RawOrigin(tls=serving(authority, "127.0.0.1")) as secure, a_fetcher(tls=trusting(authority)) as fetcher:
        url = secure.say("/", redirect(origin.say("/", answer(PNG))))
        assert isinstance(await refusal(fetcher, url), FetchFailed)
        assert origin.connections == 0
        assert (await fetch(fetcher, origin.say("/up", redirect(secure.say("/b", answer(PNG))))))[1] == PNG


async def test_cancelling_closes_a_tls_connection_at_once(authority: Authority) -> None:
    async with RawOrigin(tls=serving(authority, "127.0.0.1")) as origin, a_fetcher(tls=trusting(authority)) as fetcher:
        url = origin.say_without_end("/", answer(b"", length=False) + PNG, bytes(1024), pause_seconds=0.01)
        async with aclosing(fetcher.fetch(url, IMAGE, 30.0)) as parts:
            await anext(parts)
        await asyncio.wait_for(origin.left.wait(), SOON_SECONDS)
