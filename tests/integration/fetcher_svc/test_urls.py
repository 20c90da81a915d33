"""URLs that are refused without a connect, and what the environment and the log have of a URL."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from fetcher_svc.fetcher import Fetcher
from mesh.errors import InvalidUrl
from tests.integration.fetcher_svc.fetching import PNG, a_fetcher, fetch, refusal
from tests.name_server import NameServer
from tests.raw_origin import RawOrigin, answer


@pytest.mark.parametrize(
    "url",
    [
        "http://10.1.2.3/a.png",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
        "http://8.8.8.8:22/",
        "http://8.8.8.8:6379/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://example.com@127.0.0.1/",
        "file:///etc/passwd",
        "http://exa mple.com/",
        "http://" + "a" * 64 + ".com/",
        "",
    ],
)
async def test_a_refused_url_is_never_dialled(fetcher: Fetcher, dialled: list[object], url: str) -> None:
    assert isinstance(await refusal(fetcher, url), InvalidUrl)
    assert dialled == []


async def test_loopback_is_refused_unless_it_is_allowed(origin: RawOrigin, dialled: list[object]) -> None:
    async with a_fetcher(allow=()) as strict:
        assert isinstance(await refusal(strict, origin.say("/", answer(PNG))), InvalidUrl)
    assert (dialled, origin.connections) == ([], 0)


async def test_another_port_of_a_name_is_refused_before_a_name_server_is_asked() -> None:
    async with NameServer({"example.com": ("127.0.0.1",)}) as names, a_fetcher(allow=(), name_servers=(names.address,)) as strict:
        problem = await refusal(strict, "http://example.com:6379/")
    assert isinstance(problem, InvalidUrl)
    assert "6379" in problem.message
    assert names.asked == []


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    fetcher: Fetcher, origin: RawOrigin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password canary\ndefault login somebody password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawOrigin() as trap:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await fetch(fetcher, origin.say("/", answer(PNG))))[1] == PNG
        assert trap.connections == 0
    assert b"authorization" not in origin.requests[0].lower()


async def test_logs_hold_no_path_query_or_fragment(fetcher: Fetcher, origin: RawOrigin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = origin.say("/canary-path?token=canary-query", answer(PNG)) + "#canary-fragment"
    await fetch(fetcher, url)
    for bad in (url.replace("canary-path", "canary-gone"), "http://canary-user:canary-password@example.com/", "http://canary host/"):
        await refusal(fetcher, bad)
    lines = [record for record in caplog.records if record.name == "fetcher_svc.fetcher"]
    assert [vars(record)["outcome"] for record in lines] == ["fetched", "fetch_failed", "invalid_url", "invalid_url"]
    assert vars(lines[0])["origin"] == "http://127.0.0.1"
    assert vars(lines[0])["url_sha256"] == hashlib.sha256(url.encode()).hexdigest()[:12]
    assert not any("canary" in str(vars(record)) for record in caplog.records)
