"""Names, as a real name server answers for them."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Iterator

import aiohttp
import pytest

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.connector import AddressRefused, PinnedConnector, Resolver
from fetcher_svc.url_grammar import parse_url
from mesh.errors import FetchFailed, InvalidUrl, MeshError
from tests.integration.fetcher_svc.fetching import PNG, SOON_SECONDS, a_fetcher, fetch, refusal
from tests.name_server import NXDOMAIN, REFUSED, SERVFAIL, SILENT, NameServer, Records
from tests.raw_origin import RawOrigin, answer, redirect


@pytest.mark.parametrize(
    "records",
    [
        ("10.1.2.3",),
        ("127.0.0.1", "10.1.2.3"),
        ("10.1.2.3", "127.0.0.1"),
        ("127.0.0.1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "64:ff9b::7f00:1"),
        ("127.0.0.1", "169.254.169.254"),
        ("fe80::1",),
        tuple(f"127.0.0.{number}" for number in range(1, 18)),
    ],
    ids=" ".join,
)
async def test_a_name_with_any_bad_answer_is_never_dialled(records: Records, dialled: list[object]) -> None:
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        problem = await refusal(fetcher, "http://example.com/a.png")
    assert isinstance(problem, InvalidUrl)
    assert dialled == []
    assert not any(text in problem.message for text in ("10.1", "127.", "::", "169."))


async def test_a_name_with_sixteen_good_answers_is_fetched(origin: RawOrigin) -> None:
    origin.say("/", answer(PNG))
    records = tuple(f"127.0.0.{number}" for number in range(1, 17))
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
    assert b"Host: example.com:" in origin.requests[0]


async def test_the_address_that_was_judged_is_the_one_that_is_dialled(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", answer(PNG))
    answers: Iterator[Records] = iter([("127.0.0.1",), ("127.0.0.1",), ("10.1.2.3",), ("10.1.2.3",)])
    async with NameServer({"example.com": lambda: next(answers)}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "example.com")))[1] == PNG
        assert names.asked == ["example.com", "example.com"]
        assert isinstance(await refusal(fetcher, origin.url("/", "example.com")), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


async def test_a_redirect_looks_the_name_up_afresh(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", redirect(f"http://example.com:{origin.port}/b"))
    answers: Iterator[Records] = iter([("127.0.0.1",), ("127.0.0.1",), ("10.1.2.3",), ("10.1.2.3",)])
    async with NameServer({"example.com": lambda: next(answers)}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, origin.url("/", "example.com")), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


@pytest.mark.parametrize(
    ("records", "error"),
    [(NXDOMAIN, InvalidUrl), ((), InvalidUrl), (SERVFAIL, FetchFailed), (REFUSED, FetchFailed), (SILENT, FetchFailed)],
    ids=["does not exist", "has no address", "server fails", "server refuses", "server is silent"],
)
async def test_a_name_that_does_not_exist_is_told_from_a_name_server_that_fails(records: Records, error: type[MeshError]) -> None:
    async with NameServer({"example.com": records}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        started = time.monotonic()
        assert type(await refusal(fetcher, "http://example.com/a.png")) is error
        assert time.monotonic() - started < SOON_SECONDS


async def test_a_name_that_gets_its_first_address_is_found_soon() -> None:
    names = NameServer({"late.example.com": ()})
    target = parse_url("http://late.example.com/")
    async with names, Resolver(AddressPolicy(), (names.address,), memory_seconds=0.0) as resolver:
        with pytest.raises(InvalidUrl):
            await resolver.resolve(target)
        names.records = {"late.example.com": ("93.184.216.34",)}
        assert await resolver.resolve(target) == (ipaddress.ip_address("93.184.216.34"),)


async def test_names_are_looked_up_absolutely() -> None:
    async with NameServer({}) as names, a_fetcher(name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, "http://kubernetes.default/"), InvalidUrl)
    assert set(names.asked) == {"kubernetes.default"}


async def test_an_allowed_name_may_point_anywhere_but_to_metadata(origin: RawOrigin, dialled: list[object]) -> None:
    origin.say("/", answer(PNG))
    records: dict[str, Records] = {"image-store": ("127.0.0.1",), "trap-store": ("169.254.169.254",), "example.com": ("127.0.0.1",)}
    async with NameServer(records) as names:  # noqa: SIM117
        async with a_fetcher(allow=("image-store", "trap-store"), name_servers=(names.address,)) as fetcher:
            assert (await fetch(fetcher, origin.url("/", "image-store")))[1] == PNG
            for host in ("trap-store", "example.com", "127.0.0.1", "other-store"):
                assert isinstance(await refusal(fetcher, origin.url("/", host)), InvalidUrl)
    assert dialled == [("127.0.0.1", origin.port)]


async def test_an_allowed_name_may_come_from_the_hosts_file(origin: RawOrigin) -> None:
    origin.say("/", answer(PNG))
    async with a_fetcher(allow=("localhost",)) as fetcher:
        assert (await fetch(fetcher, origin.url("/", "localhost")))[1] == PNG


async def test_no_other_name_comes_from_the_hosts_file(dialled: list[object]) -> None:
    async with NameServer({}) as names, a_fetcher(allow=("127.0.0.0/8",), name_servers=(names.address,)) as fetcher:
        assert isinstance(await refusal(fetcher, "http://localhost.example.com/"), InvalidUrl)
    assert dialled == []


async def test_a_pinned_connector_dials_nothing_else(origin: RawOrigin, dialled: list[object]) -> None:
    policy = AddressPolicy.allowing(("127.0.0.0/8",))
    target = parse_url(origin.say("/", answer(PNG)))
    for elsewhere in ("127.0.0.2", "10.1.2.3", "[::1]", "8.8.8.8"):
        connector = PinnedConnector(policy, target, (ipaddress.ip_address("127.0.0.1"),), ssl.create_default_context())
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as problem:
                await session.get(f"http://{elsewhere}:{origin.port}/")
            assert isinstance(problem.value.os_error, AddressRefused)
    assert dialled == []
