"""The Internet as a hostile test has it, and a whole mesh, under the unchanged policy, that can reach nothing else."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tests.certificates import Authority
from tests.collector import Collector
from tests.hostile.namespace import Namespace
from tests.name_server import NameServer, Records
from tests.raw_origin import RawOrigin, answer
from tests.running_mesh import ROOT, Answer, RunningMesh

PUBLIC: Final = "93.184.216.34"
PUBLIC_IPV6: Final = "2606:2800:220:1::1"
SEARCH_DOMAIN: Final = "search.example.com"

NAMES: Final[dict[str, Records]] = {
    "www.example.com": (PUBLIC,),
    "example.com": (PUBLIC, PUBLIC_IPV6),
    "six.example.com": (PUBLIC_IPV6,),
    "xn--bcher-kva.example-cdn.de": (PUBLIC,),
    "expired.example.com": (PUBLIC,),
    "self-signed.example.com": (PUBLIC,),
    "unnamed.example.com": (PUBLIC,),
    f"kubernetes.default.{SEARCH_DOMAIN}": (PUBLIC,),
}

METRICS_PORTS: Final = {"GATEWAY": 9100, "IMAGE": 9101, "VIDEO": 9102, "AUDIO": 9103, "FETCHER": 9104, "INDEX": 9105}
UNDER_WAY: Final = re.compile(r'^mediamesh_calls_under_way{method="Fetch"} (.+)$', re.MULTILINE)

T = TypeVar("T")


class Internet:
    """One origin for http and one for https, at every address at once, and the name server that all believe."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        authority, stranger = Authority(folder), Authority(folder, "stranger")
        self.authority_file = authority.file
        certificates = {
            "example.com": authority.issue("example.com"),
            "www.example.com": authority.issue("www.example.com"),
            "expired.example.com": authority.issue("expired.example.com", hours=-1),
            "self-signed.example.com": stranger.issue("self-signed.example.com"),
        }
        self.records: dict[str, Records | Callable[[], Records]] = dict(NAMES)
        self.names = NameServer(self.records, listening=namespace.take_datagrams("127.0.0.1", 53))
        self.http = RawOrigin(listening=namespace.listen(80))
        self.https = RawOrigin(tls=_by_name(certificates), listening=namespace.listen(443))
        # Nobody should come to these: 8080 and 8443 are ports that may be dialled, 3128 is the proxy of the environment.
        self.others = [RawOrigin(listening=namespace.listen(port)) for port in (8080, 8443, 3128)]
        self._servers: list[NameServer | RawOrigin] = [self.names, self.http, self.https, *self.others]

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for each in self._servers:
            self.wait_for(each.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._servers:
            self.wait_for(each.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def serve(self, path: str, body: bytes, *headers: str) -> str:
        """These bytes, at this path of every host; the URL."""
        return self.say(path, answer(body, "200 OK", *headers))

    def say(self, path: str, *pieces: bytes) -> str:
        self.http.say(path, *pieces)
        return f"http://www.example.com{path}"

    def name(self, records: Records | Callable[[], Records]) -> str:
        """A name that nobody has heard of before, which stands for this."""
        name = f"name-{len(self.records)}.example.org"
        self.records[name] = records
        return name

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """In the loop that the origins live in."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait_for(self, work: Coroutine[Any, Any, T], timeout_seconds: float = 30) -> T:
        return self.start(work).result(timeout_seconds)

    @property
    def dialled(self) -> list[str]:
        """The addresses of every connection so far."""
        return [address for origin in (self.http, self.https, *self.others) for address in origin.dialled]


def _by_name(certificates: dict[str, tuple[str, str]]) -> ssl.SSLContext:
    """Serves the certificate of the name that is asked for, or else the first."""
    contexts = {}
    for name, (certificate, key) in certificates.items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(certificate, key)
    first = next(iter(contexts.values()))

    def choose(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = contexts.get(name or "", first)

    first.sni_callback = choose
    return first


class ConfinedMesh(RunningMesh):
    """A mesh that runs inside, spoken to from outside."""

    def __init__(self, namespace: Namespace, data_dir: Path, **environment: str) -> None:
        super().__init__(data_dir, **{"FETCHER_ALLOW_NETWORKS": "", **environment})
        self._namespace = namespace
        self._command = namespace.command(sys.executable, "-m", "mesh", folder=ROOT)

    def __enter__(self) -> Self:
        super().__enter__()
        # From here on it asks itself nothing any more: who dials, dials for a test.
        while "mediamesh is ready" not in self.log:
            time.sleep(0.02)
        return self

    def connect(self, timeout_seconds: float) -> socket.socket:
        connection = self._namespace.connect("127.0.0.1", self.port)
        connection.settimeout(timeout_seconds)
        return connection


@dataclass
class Dials:
    count: int = 0


@dataclass(frozen=True)
class World:
    namespace: Namespace
    internet: Internet
    mesh: ConfinedMesh
    collector: Collector
    photo_url: str
    copy_url: str
    sound_url: str
    film_url: str

    def match(self, source_url: object, target_url: object, **options: Any) -> tuple[Answer, int]:
        """The answer, and how many connections the mesh began for it, wherever to."""
        with self.dials() as dials:
            given = self.mesh.match(source_url, target_url, **options)
        return given, dials.count

    @contextmanager
    def dials(self) -> Iterator[Dials]:
        """How many connections the mesh begins for what is asked in here: none for what was asked before, and given up."""
        self._settle()
        dials, before = Dials(), self.namespace.dials
        yield dials
        self._settle()
        dials.count = self.namespace.dials - before

    def metrics(self, service: str) -> str:
        port = METRICS_PORTS[service]
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = self.namespace.connect("127.0.0.1", port)
        connection.request("GET", "/metrics")
        with closing(connection), connection.getresponse() as page:
            return page.read().decode()

    def _settle(self) -> None:
        """Waits until the fetcher is at nothing: a side that is given up goes on for a moment after the answer."""
        while any(float(count) for count in UNDER_WAY.findall(self.metrics("FETCHER"))):
            time.sleep(0.01)

    def refusal(self, url: object) -> tuple[str, int]:
        """The code that this URL is refused with on both sides, and how many connections that took; the same on either side."""
        given, dials = self.match(url, url)
        assert given.status in (400, 413, 415, 422), given
        assert "retry-after" not in given.headers
        return given.code, dials

    def code(self, url: str, medium: str = "image") -> str:
        """The code that this URL is refused with beside a good one."""
        given = self.mesh.match({"image": self.photo_url, "audio": self.sound_url, "video": self.film_url}[medium], url, medium)
        assert 400 <= given.status < 500, given
        assert given.json["error"]["details"]["field"] == "target_url"
        assert given.json["error"]["message"].startswith("target_url ")
        return given.code
