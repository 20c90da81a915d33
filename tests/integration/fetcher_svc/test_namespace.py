"""The unchanged policy, with no exception at all, in a network namespace whose loopback has public and private addresses.

What runs in the namespace is this file itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.connector import Resolver
from fetcher_svc.fetcher import Fetcher
from fetcher_svc.origin import Origin
from fetcher_svc.patience import Patience
from mesh.errors import MeshError
from mesh.media import MediaType
from mesh.media_file import MediaPath
from tests.name_server import NameServer
from tests.raw_origin import RawOrigin, answer, redirect

ROOT = Path(__file__).parents[3]

PUBLIC, PUBLIC_IPV6, PRIVATE = "93.184.216.34", "2606:2800::1", "10.1.2.3"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(9000)

RECORDS: dict[str, tuple[str, ...] | int] = {
    "public.example.com": (PUBLIC,),
    "six.example.com": (PUBLIC_IPV6,),
    "both.example.com": ("2606:2800::dead", PUBLIC),
    "private.example.com": (PRIVATE,),
    "mixed.example.com": (PUBLIC, PRIVATE),
    "mixed-six.example.com": (PUBLIC, "::1"),
    "mapped.example.com": ("::ffff:93.184.216.34",),
    # What a search domain, or the hosts file, would make of names.
    "kubernetes.default.search.example.com": (PUBLIC,),
    "store.search.example.com": (PUBLIC,),
}

EXPECTED = {
    "http://public.example.com/": "fetched",
    "http://six.example.com/": "fetched",
    "http://both.example.com/": "fetched",
    f"http://{PUBLIC}/": "fetched",
    f"http://[{PUBLIC_IPV6}]/": "fetched",
    "http://private.example.com/": "invalid_url",
    "http://mixed.example.com/": "invalid_url",
    "http://mixed-six.example.com/": "invalid_url",
    "http://mapped.example.com/": "invalid_url",
    f"http://{PRIVATE}/": "invalid_url",
    "http://127.0.0.1/": "invalid_url",
    "http://[::1]/": "invalid_url",
    f"http://[::ffff:{PUBLIC}]/": "invalid_url",
    "http://public.example.com/to-private": "invalid_url",
    "http://public.example.com/to-private-name": "invalid_url",
    "http://public.example.com/to-six": "fetched",
    "http://kubernetes.default/": "invalid_url",
    "http://hosts-file.example.com/": "invalid_url",
    "http://store/": "invalid_url",
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What happened in there."""
    folder = tmp_path_factory.mktemp("namespace")
    (folder / "hosts").write_text(f"{PUBLIC} hosts-file.example.com\n")
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch search.example.com\noptions ndots:5\n")
    commands = [
        f"mount --bind {folder}/hosts /etc/hosts",
        f"mount --bind {folder}/resolv.conf /etc/resolv.conf",
        "ip link set lo up",
        *(f"ip address add {address}/32 dev lo" for address in (PUBLIC, PRIVATE)),
        f"ip -6 address add {PUBLIC_IPV6}/128 dev lo nodad",
    ]
    can_start = subprocess.run(["unshare", "-rnm", "sh", "-ec", "; ".join(commands)], capture_output=True, text=True, check=False)
    if can_start.returncode:
        pytest.skip(f"no namespaces here: {can_start.stderr.strip()}")
    script = "; ".join([*commands, f"exec {sys.executable} {__file__}"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "-rnm", "sh", "-ec", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, object] = json.loads(done.stdout)
    return outcome


@pytest.mark.parametrize("url", EXPECTED)
def test_public_addresses_are_fetched_and_no_others(seen: dict[str, dict[str, str]], url: str) -> None:
    assert seen["outcomes"][url] == EXPECTED[url]


def test_nothing_private_was_ever_dialled(seen: dict[str, object]) -> None:
    assert seen["private_connections"] == 0
    redirects = 3
    assert seen["public_connections"] == list(EXPECTED.values()).count("fetched") + redirects


def test_names_were_asked_for_as_they_stand(seen: dict[str, list[str]]) -> None:
    assert "kubernetes.default" in seen["asked"]
    assert not [name for name in seen["asked"] if name.endswith("search.example.com")]


async def look_around() -> dict[str, object]:
    async def probe(path: MediaPath, content_type: str, media_type: MediaType) -> float:
        raise AssertionError("pictures have no duration")

    async def fetch(url: str, *allow: str) -> str:
        policy, patience = AddressPolicy.allowing(allow), Patience()
        async with Resolver(policy) as resolver:
            fetcher = Fetcher(Origin(policy, resolver, patience, 8), probe, patience, 8, 2**20)
            try:
                async with aclosing(fetcher.fetch(url, MediaType.IMAGE, 30.0)) as parts:
                    async for _ in parts:
                        pass
            except MeshError as problem:
                return problem.code
            return "fetched"

    addresses = (PUBLIC, PUBLIC_IPV6, PRIVATE, "127.0.0.1", "::1")
    origins = {address: RawOrigin(address, port=80) for address in addresses}
    names = NameServer(RECORDS, port=53)
    async with names, origins[PUBLIC], origins[PUBLIC_IPV6], origins[PRIVATE], origins["127.0.0.1"], origins["::1"]:
        for origin in origins.values():
            origin.say("/", answer(PNG))
        origins[PUBLIC].say("/to-private", redirect(f"http://{PRIVATE}/"))
        origins[PUBLIC].say("/to-private-name", redirect("http://private.example.com/"))
        origins[PUBLIC].say("/to-six", redirect("http://six.example.com/"))
        outcomes = {url: await fetch(url) for url in EXPECTED}
        public_connections = sum(origins[address].connections for address in (PUBLIC, PUBLIC_IPV6))
        # A name that the operator allows comes from the hosts file or a name server, but from no search domain either.
        allowed = {url: await fetch(url, "store") for url in ("http://store/",)}
    return {
        "outcomes": outcomes,
        "allowed": allowed,
        "public_connections": public_connections,
        "private_connections": sum(origins[address].connections for address in (PRIVATE, "127.0.0.1", "::1")),
        "asked": names.asked,
    }


def test_an_allowed_name_is_not_completed_by_a_search_domain(seen: dict[str, dict[str, str]]) -> None:
    assert seen["allowed"] == {"http://store/": "invalid_url"}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(look_around())))  # noqa: T201
